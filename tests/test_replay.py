# SPDX-License-Identifier: BSD-3-Clause
"""The replay of files through every route: it finds nothing, and finds what is broken on purpose."""

import io
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from support import jpegs
from support.processes import child_env
from support.replay import Replay, files_of

import fastimg

PLAIN = jpegs.jpeg(24, 31)


def png():
    file = io.BytesIO()
    Image.fromarray(jpegs.pixels(20, 30)).save(file, "PNG")
    return file.getvalue()


FILES = {
    "4:2:0": lambda: PLAIN,
    "4:4:4, turned": lambda: jpegs.oriented(jpegs.jpeg(40, 17, "4:4:4"), 6),
    "progressive": lambda: jpegs.jpeg(33, 50, "4:2:2", progressive=True),
    "grey": lambda: jpegs.turbo(jpegs.pixels(9, 70, 1)),
    "cmyk": lambda: jpegs.turbo(jpegs.pixels(24, 24, 4)),
    "arithmetic": lambda: jpegs.arithmetic(jpegs.pixels(24, 24)),
    "truncated": lambda: jpegs.truncated(PLAIN),
    "bad codes": jpegs.bad_codes,
    "too large": lambda: jpegs.reframed(PLAIN, height=65500, width=65500),
    "12 bits": lambda: jpegs.reframed(PLAIN, marker=0xC1, precision=12),
    "text": lambda: b"no picture",
    "empty": lambda: b"",
    "png": png,
}
WITHOUT_A_SIZE = ("too large", "12 bits", "text", "empty", "png")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("replay")
    for name, make in FILES.items():
        (folder / name).write_bytes(make())
    return folder


@pytest.mark.parametrize("name", FILES)
def test_all_routes_agree(name, folder):
    replay = Replay()
    replay.file(folder / name)
    assert replay.wrong == []
    assert replay.decodes > (30 if name in WITHOUT_A_SIZE else 100)


def test_real_files(shared):
    files = files_of([shared / "cases"])
    replay = Replay()
    for path in files[::4]:
        replay.file(path)
    assert files and replay.wrong == []


real_decode, real_load = fastimg.decode, fastimg.load


def leaves_a_pixel(source, out=None, **options):
    old = None if out is None else out[-1, -1, -1]
    result = real_decode(source, out, **options)
    if out is not None:
        out[-1, -1, -1] = old
    return result


def writes_beside(source, out=None, **options):
    result = real_decode(source, out, **options)
    if out is not None and out.base is not None and out.base.shape != out.shape:
        out.base[-1, -1, -1] = 0
    return result


def differs_in_files(source, out=None, **options):
    result = real_decode(source, out, **options)
    if not isinstance(source, bytes):
        result.view(np.uint8)[0, 0, 0] ^= 1
    return result


def crops_beside(source, out=None, crop=None, **options):
    if crop is not None and "size" not in options:
        crop = (max(crop[0] - 1, 0), *crop[1:])
    return real_decode(source, out, crop=crop, **options)


def fails_with_layout(source, out=None, layout="CHW", **options):
    if layout == "HWC" and "size" not in options:
        raise fastimg.CorruptJpegError("damaged")
    return real_decode(source, out, layout=layout, **options)


def ignores_orientation(source, out=None, orient=True, **options):
    return real_decode(source, out, orient=False, **options)


def is_off_by_one_when_turned(source, out=None, **options):
    result = real_decode(source, out, **options)
    if isinstance(source, bytes) and source != PLAIN:
        result[0, 0, 0] ^= 1
    return result


def differs_in_batches(sources, out=None, **options):
    result = real_load(sources, out, **options)
    if "views" not in options:
        result[-1:].view(np.uint8)[..., 0] ^= 1
    return result


def differs_in_views(sources, out=None, **options):
    result = real_load(sources, out, **options)
    if "views" in options:
        result[1][0, 0, 0, 0] ^= 1
    return result


BROKEN = {
    leaves_a_pixel: "CHW of the file",
    writes_beside: "CHW into a part of an array",
    differs_in_files: "float16 64 of the file",
    crops_beside: "crop half",
    fails_with_layout: "HWC: found CorruptJpegError: damaged",
    ignores_orientation: "orientation 6",
    is_off_by_one_when_turned: "orientation 1",
    differs_in_batches: "CHW in a batch",
    differs_in_views: "view 1",
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda function: function.__name__)
def test_what_is_broken_is_named(broken, folder, monkeypatch):
    monkeypatch.setattr(
        fastimg, "load" if broken.__name__.endswith(("batches", "views")) else "decode", broken
    )
    replay = Replay()
    replay.file(folder / "4:2:0")
    assert any(line.startswith(f"{folder / '4:2:0'}: {BROKEN[broken]}") for line in replay.wrong)


def run(folder, now, code=""):
    """Run the program, after this code."""
    program = f"import fastimg, os, sys\n{code}\nfrom support import replay\nsys.exit(replay.main())"
    command = [sys.executable, "-P", "-c", program, "--now", str(now), str(folder)]
    return subprocess.run(command, env=child_env(), capture_output=True, text=True, timeout=120)


def test_program(tmp_path):
    folder, now = tmp_path / "files", tmp_path / "now"
    (folder / "below").mkdir(parents=True)
    path = folder / "below" / "plain"
    path.write_bytes(PLAIN)
    done = run(folder, now)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("1 files, ") and done.stdout.endswith(" calls, 0 wrong results\n")
    done = run(folder, now, "fastimg.read_headers = lambda sources: []")
    assert done.returncode == 1
    assert done.stdout.startswith(f"{path}: headers: found [], expected [Header(")
    done = run(folder, now, "fastimg.load = lambda *args, **options: os.abort()")
    assert done.returncode == -signal.SIGABRT
    assert now.read_text() == f"{path}: CHW"
