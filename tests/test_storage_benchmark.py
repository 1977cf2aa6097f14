# SPDX-License-Identifier: BSD-3-Clause
"""Files that are slow are slow, and counted."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from support import jpegs
from support.c_programs import skip_without_compiler
from support.processes import child_env

from benchmarks import _slow_files as slow_files
from benchmarks._slow_files import SlowFiles, SlowFilesError

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="LD_PRELOAD is Linux's")

COUNT = 6
NBYTES = 1000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    for i in range(COUNT):
        (folder / f"{i}.bin").write_bytes(bytes(NBYTES))
    return folder


@pytest.fixture
def slow(root: Path, tmp_path: Path) -> SlowFiles:
    skip_without_compiler()
    made = SlowFiles(root, tmp_path)
    made.start()
    return made


def run_slow(slow, root, code):
    """Run a program in which `paths` are the files below `root`, and return what it prints."""
    code = f"import os, pathlib\npaths = sorted(map(str, pathlib.Path({str(root)!r}).iterdir()))\n{code}"
    env = child_env(**slow.environment())
    return subprocess.run(
        [sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True, timeout=60
    ).stdout


PYTHON = """
for path in paths:
    with open(path, "rb") as file:
        assert len(file.read()) == 1000
"""
PREAD = """
for path in paths:
    fd = os.open(path, os.O_RDONLY)
    assert len(os.pread(fd, 700, 0)) + os.preadv(fd, [bytearray(700)], 700) == 1000
    os.close(fd)
"""
RELATIVE = """
os.chdir(os.path.dirname(paths[0]))
for path in paths:
    with open(os.path.basename(path), "rb", buffering=0) as file:
        file.read(1000)
"""
FOLDER = """
folder = os.open(os.path.dirname(paths[0]), os.O_RDONLY | os.O_DIRECTORY)
for path in paths:
    fd = os.open(os.path.basename(path), os.O_RDONLY, dir_fd=folder)
    os.read(fd, 1000)
    os.close(fd)
"""
STREAM = """
import ctypes
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
data = ctypes.create_string_buffer(1000)
for path in paths:
    stream = ctypes.c_void_p(libc.fopen(path.encode(), b"rb"))
    assert libc.fread(data, ctypes.c_size_t(1), ctypes.c_size_t(1000), stream) == 1000
    libc.fclose(stream)
"""
FORKED = """
import multiprocessing
def read(path):
    with open(path, "rb") as file:
        return file.read()
with multiprocessing.get_context("fork").Pool(2) as pool:
    pool.map(read, paths)
"""


@pytest.mark.parametrize(
    ("code", "reads"),
    [(PYTHON, 1), (PREAD, 2), (RELATIVE, 1), (FOLDER, 1), (STREAM, 1), (FORKED, 1)],
    ids=["open", "pread", "relative", "dir_fd", "fopen", "forked"],
)
def test_counts(slow, root, code, reads):
    run_slow(slow, root, code)
    counts = slow.counts()
    assert counts["most_opens"] in (1, 2)
    assert {name: counts[name] for name in ("opens", "reads", "nbytes")} == {
        "opens": COUNT,
        "reads": reads * COUNT,
        "nbytes": NBYTES * COUNT,
    }


def test_counts_the_core(slow, tmp_path):
    photos = tmp_path / "files"
    for path in photos.iterdir():
        path.write_bytes(jpegs.turbo(jpegs.pixels(40, 50)))
    run_slow(slow, photos, "import fastimg\nfastimg.load(paths, size=16, num_threads=2)")
    counts, nbytes = slow.counts(), sum(path.stat().st_size for path in photos.iterdir())
    assert (counts["opens"], counts["nbytes"]) == (COUNT, nbytes)


TIMED = "import time\nbegin = time.monotonic()\n{}\nprint(time.monotonic() - begin)"
THREADS = """
from concurrent.futures import ThreadPoolExecutor
def read(path):
    with open(path, "rb") as file:
        return file.read()
with ThreadPoolExecutor(6) as pool:
    list(pool.map(read, paths))
"""


def test_waits_for_each_open(slow, root):
    slow.start(open_ms=50)
    assert float(run_slow(slow, root, TIMED.format(PYTHON))) >= 0.05 * COUNT
    assert slow.counts()["most_opens"] == 1
    slow.start(open_ms=500)
    assert 0.5 <= float(run_slow(slow, root, TIMED.format(THREADS))) < 0.5 * COUNT
    assert slow.counts()["most_opens"] == COUNT


def test_waits_for_each_read(slow, root):
    slow.start(read_ms=50)
    assert float(run_slow(slow, root, TIMED.format(PYTHON))) >= 0.05 * COUNT
    slow.start(read_ms=500)
    assert 0.5 <= float(run_slow(slow, root, TIMED.format(THREADS))) < 0.5 * COUNT
    assert slow.counts()["most_reads"] == COUNT


@pytest.mark.parametrize("code", [THREADS, FORKED], ids=["threads", "processes"])
def test_shares_the_bandwidth(slow, root, code):
    slow.start(megabytes_per_second=0.02)  # 6,000 bytes take 300 ms, however many ask
    assert float(run_slow(slow, root, TIMED.format(code))) >= 0.3


def test_waits_for_a_missing_file(slow, root):
    slow.start(open_ms=100)
    code = "try:\n    open(paths[0] + 'none')\nexcept FileNotFoundError as error:\n    print(error.errno)"
    begin = time.monotonic()
    assert run_slow(slow, root, code) == "2\n"
    assert time.monotonic() - begin >= 0.1
    assert slow.counts()["opens"] == 1


def test_other_files_are_fast(slow, root, tmp_path):
    other = tmp_path / "files-too"  # begins with the folder's name
    other.mkdir()
    (other / "one").write_bytes(bytes(10))
    slow.start(open_ms=60_000, read_ms=60_000)
    run_slow(slow, other, "os.listdir('..')\nassert len(open(paths[0], 'rb').read()) == 10")
    assert not any(slow.counts().values())


def test_a_number_that_is_used_again_is_fast(slow, root):
    code = """
fd = os.open(paths[0], os.O_RDONLY)
os.close(fd)
ends = os.pipe()
assert fd in ends
os.write(ends[1], b"x")
os.read(ends[0], 1)
"""
    run_slow(slow, root, code)
    assert (slow.counts()["opens"], slow.counts()["reads"]) == (1, 0)


def test_starts_from_zero(slow, root):
    run_slow(slow, root, PYTHON)
    slow.start()
    assert not any(slow.counts().values())


def test_pages(root):
    path = root / "0.bin"
    path.write_bytes(bytes(100_000))
    with path.open("rb") as file:
        file.read()
        assert slow_files.resident_pages(file.fileno()) == [True] * -(-100_000 // os.sysconf("SC_PAGESIZE"))
    kept = slow_files.drop_pages([path])
    with path.open("rb") as file:  # not all file systems forget
        assert np.mean(slow_files.resident_pages(file.fileno())) == kept
    assert kept in (0, 1)
    path.write_bytes(b"")
    assert slow_files.drop_pages([path]) == 0


@pytest.mark.parametrize(("compiler", "words"), [("/none/cc", "no C compiler"), ("false", "false")])
def test_says_why_not(monkeypatch, root, tmp_path, compiler, words):
    monkeypatch.setenv("CC", compiler)
    with pytest.raises(SlowFilesError, match=words):
        SlowFiles(root, tmp_path)
