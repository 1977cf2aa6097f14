# SPDX-License-Identifier: BSD-3-Clause
"""The command as a whole."""

import errno
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from support.cli_common import PATHS, encoded, process, run, table

import fastimg
from fastimg.cli import main

# ---- the command as a whole


def test_version() -> None:
    done = run("--version")
    assert (done.returncode, done.stderr) == (0, "")
    info = fastimg.build_info()
    assert done.stdout.splitlines() == [
        f"fastimg {fastimg.__version__}",
        *(f"{key}: {value}" for key, value in info.items() if key != "version"),
    ]


@pytest.mark.parametrize(
    "command", [[], ["load"], ["info"], ["check"], ["index"]], ids=lambda words: "".join(words)
)
def test_help(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*command, "--help"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("usage: fastimg")


BUFFERING = pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])


@BUFFERING
@pytest.mark.parametrize("command", [["info"], ["check"], ["load", "-o", "x.npy"]], ids=" ".join)
def test_a_reader_that_went_away(here: Path, command: list[str], unbuffered: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = run(*command, *PATHS, stdout=writer, env={"PYTHONUNBUFFERED": unbuffered})
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


@BUFFERING
@pytest.mark.parametrize("command", ["--version", "--help"])
def test_nobody_reads_the_help(command: str, unbuffered: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = run(command, stdout=writer, env={"PYTHONUNBUFFERED": unbuffered})
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


@BUFFERING
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_stdout(here: Path, unbuffered: str) -> None:
    with open("/dev/full", "w") as full:
        done = run("info", *PATHS, stdout=full, env={"PYTHONUNBUFFERED": unbuffered})
    assert done.returncode == 1
    assert done.stderr == f"fastimg: error: {OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))}\n"


def test_no_stdout_at_all(here: Path) -> None:
    done = process(["sh", "-c", 'exec "$0" -m fastimg load photos -o x.npy >&-', sys.executable])
    assert (done.returncode, done.stderr) == (0, "")
    assert np.load("x.npy").shape == (3, 3, 23, 37)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_names_that_are_not_utf8(here: Path, encoding: str) -> None:
    good, broken = b"photos/cat/\xff\xe9.jpg", b"photos/cat/\xff\xe9\n\xc3\xa9.jpg"
    try:
        with open(good, "wb") as file:
            file.write(encoded(4))
        with open(broken, "wb") as file:
            file.write(b"no image")
    except OSError:
        pytest.skip("this file system wants UTF-8")
    env = {
        "PYTHONIOENCODING": encoding,
        "PYTHONUTF8": "1",
    }  # argv as UTF-8 with surrogates, whatever the locale
    loaded = run("load", "photos", "-o", "x.npy", env=env)
    assert loaded.returncode == 1
    assert loaded.stderr.count("\n") == 1
    paths = [os.fsencode(row[1]) for row in table(here / "x.files.csv")[1:]]
    assert paths == [*map(os.fsencode, PATHS[:2]), broken, good, os.fsencode(PATHS[2])]
    assert np.load("x.npy")[[0, 1, 3, 4]].any(axis=(1, 2, 3)).all()

    checked = run("check", "photos", env=env)
    assert checked.returncode == 1
    shown = {"utf-8": "é", "ascii": "\\xe9", "latin-1": "\ufffd"}[encoding]
    assert checked.stderr == ""
    assert checked.stdout.count("\n") == 2
    assert f"photos/cat/\\udcff\\udce9\\n{shown}.jpg" in checked.stdout
    rows = json.loads(run("check", "photos", "--json", env=env).stdout)
    assert [os.fsencode(row["path"]) for row in rows] == [broken]

    info = run("info", os.fsdecode(good), env=env)
    assert (info.returncode, info.stderr) == (0, "")
    assert info.stdout.splitlines()[1].startswith("photos/cat/\\udcff\\udce9.jpg  37 ")
