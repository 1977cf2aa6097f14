# SPDX-License-Identifier: BSD-3-Clause
"""What must not depend on the version of libjpeg-turbo that is loaded: here also the one that Pillow brings."""

import json
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from support import jpegs
from support.processes import child_env
from support.segments import DHT, SOS, segment

import fastimg
from fastimg.cli import main

LOSSLESS = "a frame of type SOF3 is not supported"

# Prints which libjpeg it has, what fastimg says about that, and what becomes of each file.
PROBE = """
import json, pathlib, sys
import fastimg

def outcome(function, *arguments):
    try:
        return repr(function(*arguments))
    except fastimg.JpegError as error:
        return f"{type(error).__name__}: {error}"

maps = pathlib.Path("/proc/self/maps").read_text()
found = [
    [outcome(lambda: fastimg.decode(path).shape), outcome(fastimg.read_header, path)] for path in sys.argv[1:]
]
loaded = [line.split(None, 5)[5] for line in maps.splitlines() if "/libjpeg" in line]
print(json.dumps([loaded, fastimg.build_info(), found]))
"""


def ask_child(*arguments, **env):
    """What the probe prints about its libjpeg and the files, in the environment `env`."""
    command = [sys.executable, "-P", "-c", PROBE, *map(str, arguments)]
    return json.loads(subprocess.check_output(command, text=True, timeout=120, env=child_env(**env)))


@pytest.fixture(scope="module")
def other_libjpeg(tmp_path_factory):
    """The folder of another libjpeg.so.62, for LD_LIBRARY_PATH."""
    folder = pathlib.Path(Image.__file__).parent.parent / "pillow.libs"
    libraries = sorted(folder.glob("libjpeg-*.so.62*"))
    if not libraries:
        pytest.skip("Pillow brings no libjpeg.so.62")
    here = tmp_path_factory.mktemp("libjpeg")
    (here / "libjpeg.so.62").symlink_to(libraries[0])
    loaded, *_ = ask_child(LD_LIBRARY_PATH=str(here))
    if str(libraries[0]) not in loaded:
        pytest.skip("fastimg is not linked to a libjpeg.so.62 that could be another one")
    return here


def lossless_files():
    """Files whose frame alone is lossless, and one that is: a grey image with all differences 0."""
    frame = segment(0xC3, b"\x08\x00\x08\x00\x08\x01\x01\x11\x00")
    table = segment(DHT, b"\x00\x01" + bytes(15) + b"\x00")
    scan = segment(SOS, b"\x01\x01\x00\x01\x00\x00") + bytes(8)
    return {
        "whole": b"\xff\xd8" + frame + table + scan + b"\xff\xd9",
        "color": jpegs.reframed(jpegs.jpeg(24, 31), marker=0xC3),
        "grey": jpegs.reframed(jpegs.turbo(jpegs.pixels(24, 31, 1)), marker=0xC3),
        "cut": jpegs.truncated(jpegs.reframed(jpegs.jpeg(24, 31), marker=0xC3)),
    }


@pytest.fixture(scope="module")
def lossless(tmp_path_factory):
    """Paths of lossless files."""
    folder = tmp_path_factory.mktemp("lossless")
    for name, data in lossless_files().items():
        (folder / f"{name}.jpg").write_bytes(data)
    return sorted(folder.iterdir())


@pytest.mark.parametrize("strict", [True, False])
def test_lossless_files_are_refused(lossless, strict):
    for path in lossless:
        out = np.full((1, 3, 8, 8), 7, np.uint8)
        for call, arguments, options in (
            (fastimg.decode, (path,), {}),
            (fastimg.decode, (path.read_bytes(),), {"size": 8, "mode": "L"}),
            (fastimg.load, ([path],), {}),
            (fastimg.load, ([path], out), {"size": 8}),
        ):
            with pytest.raises(fastimg.UnsupportedJpegError, match=LOSSLESS):
                call(*arguments, strict=strict, **options)
        assert (out == 7).all()


def test_check_refuses_lossless_files(lossless, capsys):
    assert main(["check", "--json", *map(str, lossless)]) == 1
    report = capsys.readouterr().out
    assert report.count(LOSSLESS) == len(lossless)


def test_headers_of_lossless_files_are_read(lossless):
    sizes = {path.stem: fastimg.read_header(path).shape for path in lossless}
    assert sizes == {"whole": (3, 8, 8), "color": (3, 24, 31), "grey": (3, 24, 31), "cut": (3, 24, 31)}


def test_lossless_files_go_to_a_fallback(lossless):
    pixels = np.full((24, 31, 3), 7, np.uint8)
    for path in lossless:
        for image in (
            fastimg.decode(path, fallback=lambda data: pixels),
            fastimg.load([path], fallback=lambda data: pixels)[0],
        ):
            assert image.shape == (3, 24, 31) and (image == 7).all()


def test_lossless_files_are_refused_by_any_libjpeg(lossless, other_libjpeg, tmp_path):
    good = tmp_path / "good.jpg"
    good.write_bytes(jpegs.jpeg(24, 31))
    loaded, _, found = ask_child(*lossless, good)
    other, _, found_by_other = ask_child(*lossless, good, LD_LIBRARY_PATH=str(other_libjpeg))
    assert set(loaded).isdisjoint(other)
    assert found == found_by_other
    assert [LOSSLESS in outcome for outcome, _ in found] == [True] * len(lossless) + [False]


# ---- build_info --------------------------------------------------------------------------------


def version_in(path):
    """The version that a library has among its constants."""
    return re.search(rb"libjpeg-turbo version ([0-9.]+) ", pathlib.Path(path).read_bytes())[1].decode()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc/self/maps")
def test_the_libjpeg_in_use_is_named():
    loaded, info, _ = ask_child()
    if not loaded:
        pytest.skip("libjpeg-turbo is linked statically")
    assert info["libjpeg_turbo"] == version_in(loaded[0])


def test_another_libjpeg_is_named(other_libjpeg):
    _, info, _ = ask_child()
    loaded, info_of_other, _ = ask_child(LD_LIBRARY_PATH=str(other_libjpeg))
    assert info_of_other["libjpeg_turbo"] == version_in(loaded[0])
    assert info_of_other["libjpeg_turbo_built"] == info["libjpeg_turbo_built"]


@pytest.mark.parametrize(
    ("line", "version"),
    [
        (b"libjpeg-turbo version 9.8.76", "9.8.76"),
        (b"libjpeg-turbo version 10", "10"),
        (b"libjpeg-turbo version next", "unknown"),
        (b"libjpeg-plain version 9", "unknown"),
    ],
)
def test_versions(line, version, other_libjpeg, tmp_path):
    library = (other_libjpeg / "libjpeg.so.62").read_bytes()
    start = library.index(b"libjpeg-turbo version ")
    end = library.index(b"\0", start)
    changed = line.ljust(end - start)
    (tmp_path / "libjpeg.so.62").write_bytes(library[:start] + changed + library[end:])
    loaded, info, _ = ask_child(LD_LIBRARY_PATH=str(tmp_path))
    assert str(tmp_path / "libjpeg.so.62") in loaded
    assert info["libjpeg_turbo"] == version
