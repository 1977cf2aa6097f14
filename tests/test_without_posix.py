# SPDX-License-Identifier: BSD-3-Clause
"""Systems without some of POSIX: what Windows and macOS lack is taken away before fastimg is imported."""

import ntpath
import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest
from support import jpegs
from support.processes import child_env

from fastimg.descriptors import open_movable, read_at
from fastimg.packed_paths import PackedPaths

# asyncio, which hypothesis imports, wants os.register_at_fork from CPython 3.12 on.
LACKING = """
import asyncio, multiprocessing.util, os, subprocess, sys, tempfile
import numpy as np
for name in ("pread", "posix_fallocate", "posix_fadvise", "fchmod", "O_NONBLOCK", "O_CLOEXEC", "O_NOFOLLOW",
             "sched_getaffinity", "getloadavg", "register_at_fork"):
    vars(os).pop(name, None)  # macOS has not all of them
sys.modules["fcntl"] = sys.modules["resource"] = None
import fastimg
from fastimg.cli import main
"""
PROGRAM = """
expected = [fastimg.decode(path) for path in sys.argv[1:3]]
for archive in sys.argv[3:]:
    members = fastimg.archive_members(archive)
    found = fastimg.load(members)
    assert [str(member).rpartition("/")[2] for member in members] == ["0.jpg", "1.jpg"], members
    assert all((image == wanted).all() for image, wanted in zip(found, expected, strict=True))
array = fastimg.create_array("new.npy", (2, 3, 40, 50))
fastimg.load(sys.argv[1:3], array)
array.flush()
assert main(["load", *sys.argv[1:3], "-o", "made.npy", "--quiet"]) == 0
assert (np.load("made.npy") == np.load("new.npy")).all() and (np.load("new.npy") == expected).all()
assert not [name for name in os.listdir() if "partial" in name]
print("ok")
"""
# pytest and what a wheel's tests import; then modules of the tests, by name.
IMPORTS = """
import importlib, signal, socket
import hypothesis, PIL.Image, pytest, turbojpeg
for name in ("fork", "geteuid", "getuid", "mkfifo", "statvfs"):
    delattr(os, name)
for name in ("SIGKILL", "SIGHUP", "SIGALRM"):
    delattr(signal, name)
del socket.AF_UNIX
for name in sys.argv[1:]:
    importlib.import_module(name)
print("ok")
"""
TESTS = Path(__file__).resolve().parent

lacking = pytest.mark.skipif(sys.platform == "win32", reason="it lacks them anyway")


def run_lacking(program, *args, cwd=None):
    """Runs a program where all that is lacking; returns what it writes to stderr."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", LACKING + program, *args],
        cwd=cwd, env=child_env(), capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["ok"]), done.stderr
    return done.stderr


@lacking
def test_without_functions(tmp_path):
    for i in range(2):
        (tmp_path / f"{i}.jpg").write_bytes(jpegs.turbo(jpegs.pixels(40, 50) ^ np.uint8(i)))
    for kind in ("", ":gz"):
        with tarfile.open(tmp_path / f"files.tar{kind[1:]}", f"w{kind}") as archive:
            for i in range(2):
                archive.add(tmp_path / f"{i}.jpg", f"{i}.jpg")
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(tmp_path / f"files{method}.zip", "w", method) as archive:
            for i in range(2):
                archive.write(tmp_path / f"{i}.jpg", f"{i}.jpg")
    names = ["0.jpg", "1.jpg", *sorted(path.name for path in tmp_path.glob("files*"))]
    errors = run_lacking(PROGRAM, *names, cwd=tmp_path).splitlines()
    assert [line for line in errors if "no locks in this folder" not in line] == []


@lacking
def test_the_tests_of_each_wheel_can_be_imported():
    settings = tomllib.loads((TESTS.parent / "pyproject.toml").read_text("utf-8"))["tool"]["cibuildwheel"]
    names = [Path(word).stem for word in settings["test-command"].split() if word.startswith("tests/")]
    assert "test_errors" in names
    run_lacking(IMPORTS, "conftest", *names)


def test_read_at(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(bytes(range(100)))
    for lacks in (False, True):
        if lacks:
            monkeypatch.delattr(os, "pread", raising=False)
        with open(tmp_path / "file", "rb", 0) as file:
            file.seek(7)
            assert read_at(file.fileno(), 10, 50) == bytes(range(50, 60))
            assert read_at(file.fileno(), 10, 95) == bytes(range(95, 100))
            assert read_at(file.fileno(), 10, 0) == bytes(range(10))
            assert read_at(file.fileno(), 10, 200) == b""
            assert file.tell() == 7


def test_open_files_may_move(tmp_path):
    old, new = str(tmp_path / "old"), str(tmp_path / "new")
    with pytest.raises(FileNotFoundError):
        open_movable(old, os.O_RDWR)
    descriptor = open_movable(old, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    with pytest.raises(FileExistsError):
        open_movable(old, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    os.write(descriptor, b"a\n")
    os.replace(old, new)
    os.unlink(new)
    assert read_at(descriptor, 9, 0) == b"a\n"
    os.close(descriptor)
    assert os.listdir(tmp_path) == []


def test_absolute_paths_of_windows(monkeypatch):
    monkeypatch.setattr(os, "sep", ntpath.sep)
    monkeypatch.setattr(os, "path", ntpath)
    names = ["a.jpg", "D:\\b.jpg", "\\\\server\\share\\c.jpg", "d/é.jpg"]
    expected = ["C:\\top\\a.jpg", "D:\\b.jpg", "\\\\server\\share\\c.jpg", "C:\\top\\d/é.jpg"]
    assert list(PackedPaths.pack(names, "C:\\top")) == expected
