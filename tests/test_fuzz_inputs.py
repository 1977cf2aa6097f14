# SPDX-License-Identifier: BSD-3-Clause
"""The fuzz targets of headers, whole decodes, parts and what Python parses: on their seeds, and with wrong code."""

import os
import re
import subprocess
import sys
import time
import warnings

import pytest
from support.c_programs import (
    CORE,
    PLAIN_ENV,
    compile_program,
    jpeg_flags,
    skip_without,
    skip_without_compiler,
)
from support.fuzz_targets import FOLDER
from support.processes import child_env

HEADER = [FOLDER / "fuzz_header.c", FOLDER / "replay.c"]
HEADER_CORE = ["header.c", "orientation.c", "status.c"]
ALL_CORE = sorted(CORE.rglob("*.c"))
DECODE = [FOLDER / "fuzz_decode.c", FOLDER / "replay.c", *ALL_CORE]
# It has team.c in it.
PARTS = [FOLDER / "fuzz_parts.c", FOLDER / "replay.c", *(path for path in ALL_CORE if path.name != "team.c")]


def compile_target(sources, target):
    skip_without([CORE / "header.c"])
    return compile_program([*sources, *jpeg_flags("libs")], target, "-O1", *jpeg_flags("cflags"))


def make_seeds(target, folder):
    folder.mkdir()
    command = [sys.executable, FOLDER / "seeds.py", target, folder]
    subprocess.run(command, capture_output=True, check=True, timeout=120)
    return sorted(folder.iterdir())


def replay(program, paths):
    return subprocess.run([program, *paths], capture_output=True, text=True, timeout=120, env=PLAIN_ENV)


def results(program, paths):
    done = replay(program, paths)
    assert (done.returncode, done.stderr) == (0, "")
    return [line.rpartition(": ")[2].split() for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def header_seeds(tmp_path_factory):
    return make_seeds("header", tmp_path_factory.mktemp("header") / "seeds")


def test_headers(tmp_path, header_seeds):
    sources = [*HEADER, *(CORE / name for name in HEADER_CORE)]
    program = compile_target(sources, tmp_path / "program")
    found = results(program, header_seeds)
    assert sum(status == "OK" for status, *_ in found) > 120
    assert {orientation for *_, orientation in found} >= {"1", "3", "6", "8"}


@pytest.mark.parametrize(
    ("name", "right", "wrong", "message"),
    [
        ("header.c", "header->width = be16(p + 3)", "header->width = be16(p + 3) + 1", "width: 9, not 8"),
        ("header.c", "hint->adobe = true", "hint->adobe = false", "color: "),
        ("header.c", "(have < total)", "(have + 9 < total)", "status in pieces: "),
        ("header.c", "(uint64_t)have + 1", "(uint64_t)have", "more bytes: "),
        ("header.c", "8 + (p[i] & 15)", "4 + (p[i] & 15)", "tables: "),
        ("orientation.c", "(uint8_t)(digit[0] - '0')", "digit[0]", "orientation: "),
    ],
)
def test_wrong_headers(tmp_path, header_seeds, name, right, wrong, message):
    skip_without_compiler()
    skip_without([CORE / name])
    text = (CORE / name).read_text()
    assert right in text
    (tmp_path / name).write_text(text.replace(right, wrong))
    others = [CORE / other for other in HEADER_CORE if other != name]
    program = compile_target([*HEADER, tmp_path / name, *others], tmp_path / "program")
    done = replay(program, header_seeds)
    assert done.returncode != 0
    assert message in done.stderr


def test_decodes(tmp_path):
    program = compile_target(DECODE, tmp_path / "program")
    seeds = make_seeds("decode", tmp_path / "seeds")
    found = results(program, seeds)
    assert sum(status == "OK" for status, _ in found) > 300
    assert sum(int(compared) for _, compared in found) > 200
    # What is no JPEG is taken for pixels.
    (tmp_path / "pixels").write_bytes(bytes(24) + bytes(range(255)))
    assert results(program, [tmp_path / "pixels"]) == [["NOT_JPEG", "1"]]


def compile_changed(target, path, right, wrong, folder):
    """The target with a change in one of the core's sources."""
    skip_without_compiler()
    skip_without([path])
    text = path.read_text()
    assert right in text
    (folder / path.name).write_text(text.replace(right, wrong))
    sources = [folder / path.name if source == path else source for source in target]
    return compile_target(sources, folder / "program")


def test_wrong_decodes(tmp_path):
    padding = "pad_pixels(out, options, y, right, out->width);"
    wrong = padding.replace("out->width", "right")
    program = compile_changed(DECODE, CORE / "pixels" / "writer.c", padding, wrong, tmp_path)
    done = replay(program, make_seeds("decode", tmp_path / "seeds"))
    assert done.returncode != 0
    assert ": byte " in done.stderr


def test_parts(tmp_path):
    program = compile_target(PARTS, tmp_path / "program")
    found = results(program, make_seeds("parts", tmp_path / "seeds"))
    assert sum(int(compared) for _, compared, _ in found) > 350
    *_, together = found[-1]
    assert int(together) > 250


@pytest.mark.parametrize(
    ("name", "right", "wrong", "message"),
    [
        ("part_scan.c", " - dc[c]", "", "several threads: byte"),
        ("parts.c", "fi_try_alone(jpeg)", "fi_fail(jpeg, FI_E_CORRUPT)", "with several threads CORRUPT"),
        ("parts.c", "jpeg->entropy, &marker) == 0", "jpeg->entropy, &marker) < 99", "warns 0 times, with "),
    ],
)
def test_wrong_parts(tmp_path, name, right, wrong, message):
    program = compile_changed(PARTS, CORE / "jpeg" / name, right, wrong, tmp_path)
    seeds = make_seeds("parts", tmp_path / "seeds")
    for _ in range(20):  # on a busy machine, threads may come too late to do anything
        done = replay(program, seeds)
        if done.returncode != 0:
            break
    assert done.returncode != 0
    assert re.search(message, done.stderr)


# ---- Python


def fuzz(*arguments):
    command = [sys.executable, FOLDER / "fuzz_python.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=child_env())


def test_python(tmp_path):
    done = fuzz("all", "--runs", "60", "--findings", tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    kinds = dict(
        re.findall(r"^(\w+): 60 inputs, .*, (\d+) kinds of outcome, 0 findings$", done.stdout, re.MULTILINE)
    )
    assert len(kinds) == 8
    assert all(int(count) > 5 for count in kinds.values()), kinds
    assert not os.listdir(tmp_path)


def test_replay(tmp_path):
    (tmp_path / "input").write_bytes(bytes(24) + b"not a JPEG")
    done = fuzz("decode", tmp_path / "input")
    assert (done.returncode, done.stderr) == (0, "")
    assert "not a JPEG" in done.stdout


def raise_error(choices, data, folder):
    raise KeyError("images")


def warn(choices, data, folder):
    warnings.warn("not documented", RuntimeWarning, stacklevel=1)


def write_line(choices, data, folder):
    os.write(2, b"a line")


def take_long(choices, data, folder):
    end = time.process_time() + 1.1
    while time.process_time() < end:
        pass


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (raise_error, "KeyError: 'images'"),
        (warn, "RuntimeWarning: not documented"),
        (write_line, r"it wrote b'a line'"),
        (take_long, r"it took 1\.\d seconds"),
    ],
)
def test_findings(tmp_path, monkeypatch, wrong, message):
    monkeypatch.syspath_prepend(FOLDER)
    import fuzz_python

    with (tmp_path / "output").open("w+b") as output, warnings.catch_warnings():
        warnings.simplefilter("error")
        _, found = fuzz_python.run(fuzz_python.Target(wrong, None), bytes(24), tmp_path, output)
    assert re.search(message, found)
