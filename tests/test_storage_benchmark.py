# SPDX-License-Identifier: BSD-3-Clause
"""Files that are slow are slow, and counted; the benchmark of them runs, and does not time what is wrong."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from support import jpegs
from support.c_programs import skip_without_compiler
from support.files import write_photos
from support.processes import child_env

from benchmarks import _slow_files as slow_files
from benchmarks import storage
from benchmarks._loaders import Epoch
from benchmarks._slow_files import SlowFiles, SlowFilesError
from benchmarks._storage import STORAGE
from fastimg.benchmarking.peers import available, find

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


# ---- the benchmark -----------------------------------------------------------------------------------


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_photos(tmp_path / "photos", 4)


def test_runs(photos, tmp_path, capsys):
    skip_without_compiler()
    facts = tmp_path / "facts.json"
    options = ["--count", "9", "--size", "64", "--rounds", "1", "--waits", "30", "0", "--json", str(facts)]
    only = ("fastimg.load", "fastimg crops, batches of 8", "32 threads, fastimg.decode")
    storage.main(["--images", str(photos), *options, "--work", str(tmp_path), "--only", *only])
    payload, text = json.loads(facts.read_text()), capsys.readouterr().out
    assert "plain: 9 files to (3, 64, 64), 1 rounds, images/s" in text
    assert not list(tmp_path.glob("fastimg-bench-*"))
    for table in ("plain", "crop"):
        rows = payload[table]
        assert set(rows) == {only[table == "crop"], only[2]}
        for row in rows.values():
            assert row["reason"] is None
            assert row["psnr"][0] >= 30
            assert row["kept"][0] == 1
            assert [len(rates) for rates in row["rates"]] == [1, 1]
            assert all(0 < row["min"][i] <= row["rate"][i] <= row["max"][i] for i in range(2))
            assert min(row["opens"]) >= 1
        assert rows["32 threads, fastimg.decode"]["opens"] == [1, 1]
        assert max(rows["32 threads, fastimg.decode"]["rates"][1]) <= 9 / 0.03
    if payload["cold"]:
        assert set(payload["cold"]) == set(payload["plain"])
    else:
        assert "cold is left out" in text


def test_refuses_without_a_compiler(photos, monkeypatch):
    monkeypatch.setenv("CC", "/none/cc")
    with pytest.raises(SystemExit, match="no C compiler"):
        storage.main(["--images", str(photos)])


@pytest.fixture
def epoch(photos: Path) -> Epoch:
    return Epoch([str(path) for path in sorted(photos.iterdir())], None, None, None, 64, None, False)


@pytest.fixture
def originals(epoch: Epoch) -> dict[str, np.ndarray]:
    return {path: jpegs.rgb_pillow(Path(path).read_bytes()) for path in epoch.paths}


@pytest.mark.parametrize("cropped", [False, True])
@pytest.mark.parametrize(
    "name",
    [
        "DataLoader, 2 workers, fastimg.decode",
        "SPDL, fastimg.decode",
        "SPDL, FFmpeg",
        "32 threads, simplejpeg",
    ],
)
def test_peers(photos, tmp_path, epoch, originals, name, cropped):
    skip_without_compiler()
    kind = find(STORAGE, name)
    if available([kind])[1]:
        pytest.skip(f"{name} cannot be imported")
    slow = SlowFiles(photos, tmp_path)
    if cropped:
        boxes, flips = (
            np.tile([10, 20, 130, 140], (len(epoch.paths), 1)),
            np.arange(len(epoch.paths)) % 2 == 0,
        )
        epoch = epoch._replace(boxes=boxes, flips=flips)
    assert storage.verify(kind, epoch, originals, slow)["reason"] is None
    assert slow.counts()["opens"] == len(epoch.paths)


def test_leaves_out_what_is_wrong(epoch, originals, slow):
    kind = find(STORAGE, "fastimg.load")
    black = dict.fromkeys(originals, np.zeros((160, 200, 3), np.uint8))
    missing = epoch._replace(paths=["none.jpg"])
    assert storage.verify(kind, missing, black, slow)["reason"].startswith("FileNotFoundError")
    assert storage.verify(kind, epoch, black, slow)["reason"].startswith("PSNR")
    assert storage.verify(kind, epoch, originals, slow)["reason"].startswith("0 opens of 4 files were seen")
