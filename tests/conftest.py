# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures that several test files share; what is not a fixture lies in `support`."""

import gc
import os
import pathlib
import signal
import subprocess
import sys
import threading

import hypothesis
import numpy as np
import pytest

# `support` lies beside this file, whatever import mode pytest runs in.
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from support import archive_files, cli_common, data_sources, jpegs, kills
from support.files import write_batch
from support.processes import child_env as make_child_env

import fastimg
from fastimg.data_source import ArrayDataSource

# A shell's background job ignores SIGINT, and so would the programs that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples in every run: a failure seen once can be seen again, and a run's time is known.
hypothesis.settings.register_profile("fastimg", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("fastimg")


@pytest.fixture(scope="session")
def shared():
    """The root of the photo collections."""
    root = os.environ.get("FASTIMG_TEST_DATA")
    if not root or not os.path.isdir(root):
        pytest.skip("FASTIMG_TEST_DATA does not name a folder")
    return pathlib.Path(root)


@pytest.fixture(scope="session")
def batch(tmp_path_factory):
    """37 files of one size, of every subsampling, baseline and progressive."""
    kinds = list(jpegs.SUBSAMPLINGS)
    files = [jpegs.jpeg(24, 31, kinds[i % len(kinds)], seed=i, progressive=i % 4 == 3) for i in range(37)]
    return write_batch(tmp_path_factory.mktemp("batch"), files)


@pytest.fixture(scope="session")
def mixed(tmp_path_factory):
    """19 files of as many sizes."""
    kinds = list(jpegs.SUBSAMPLINGS)
    files = [jpegs.jpeg(9 + 3 * i, 40 - i, kinds[i % len(kinds)], seed=i) for i in range(19)]
    return write_batch(tmp_path_factory.mktemp("mixed"), files)


@pytest.fixture(scope="session")
def slow_path(tmp_path_factory):
    """A file that takes milliseconds to decode, so that a load of thousands can be interrupted."""
    path = tmp_path_factory.mktemp("slow") / "slow.jpg"
    path.write_bytes(jpegs.turbo(jpegs.pixels(480, 640), "4:4:4", quality=95))
    return str(path)


@pytest.fixture
def child_env():
    """The environment in which a child process imports the same fastimg as this process."""
    return make_child_env()


@pytest.fixture
def threads():
    """The test leaves no thread behind. Those of libraries that other tests use may end meanwhile."""
    gc.collect()  # what a failed test left behind is not this one's
    before = set(threading.enumerate())
    yield before
    assert set(threading.enumerate()) <= before


@pytest.fixture(params=data_sources.PREFETCH)
def prefetch(request):
    return request.param


@pytest.fixture
def numbers():
    """A source of the numbers below data_sources.N."""
    return ArrayDataSource([np.arange(data_sources.N)], seed=7)


@pytest.fixture(params=["decode", "load", "ImageFileAccessor", "NonUniformImageFileAccessor"])
def call(request):
    """What takes options, with an image of 24 x 31 as its only source."""
    data = jpegs.jpeg(24, 31)
    function = getattr(fastimg, request.param)
    return lambda **options: function(data if request.param == "decode" else [data], **options)


@pytest.fixture
def silent(capfd):
    """The test must print nothing: libjpeg's messages go into exceptions."""
    yield
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def bad_files(tmp_path):
    """One file for each way to fail, by the name of the error class that it must raise.

    Those that have a size have that of `batch`, but for the one that is too large.
    """
    good = jpegs.jpeg(24, 31)
    files = {
        "CorruptJpegError": jpegs.bad_codes(24, 31),
        "TruncatedJpegError": jpegs.truncated(good),
        "UnsupportedJpegError": b"This is not a picture at all.\n" * 9,
        "JpegTooLargeError": jpegs.reframed(good, height=65500, width=65500),
    }
    paths = {}
    for name, data in files.items():
        path = tmp_path / f"{name}.jpg"
        path.write_bytes(data)
        paths[name] = str(path)
    paths["FileNotFoundError"] = str(tmp_path / "missing.jpg")
    paths["IsADirectoryError"] = str(tmp_path)
    return paths


@pytest.fixture(params=["tar", "zip"])
def archive(request, tmp_path):
    """An archive of archive_files.IMAGES."""
    return archive_files.make_archive(tmp_path / f"shard.{request.param}", archive_files.IMAGES)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The current folder: photos/cat/1.jpg, photos/cat/2.jpg, photos/dog/3.jpg, of one size."""
    for seed, name in enumerate(("cat/1.jpg", "cat/2.jpg", "dog/3.jpg"), 1):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cli_common.encoded(seed))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def many(here):
    """The folder "many" of 12 images; gives the files that `load` writes of them, by name."""
    return kills.write_many()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 kB."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("needs root, to mount a file system of 64 kB")
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if subprocess.run(command, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("this container may not mount")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)
