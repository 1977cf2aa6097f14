# SPDX-License-Identifier: BSD-3-Clause
"""Accessors as Dask arrays: nothing happens before it is asked for, and two processes give what `load` gives."""

import itertools
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from support.jpegs import assert_same

import fastimg

dask_array = pytest.importorskip("dask.array")

COUNT, SIZE = 1000, 32
CHUNKS = (64, -1, -1, -1)


class NpyFile:
    """A .npy file as a target of `dask.array.store`: a process that writes opens it by its name."""

    def __init__(self, path, shape, dtype):
        self.path = str(path)
        np.lib.format.open_memmap(self.path, "w+", dtype, shape)

    def __setitem__(self, index, block):
        np.lib.format.open_memmap(self.path, "r+")[index] = block


def fill(path, accessor, start, stop):
    """Decodes rows in the process that runs this, straight into the file; gives the process."""
    accessor.read_into(slice(start, stop), np.lib.format.open_memmap(path, "r+")[start:stop])
    return os.getpid()


@pytest.fixture(scope="module")
def client():
    """Two worker processes of one thread each."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def thousand(batch, mixed):
    """1,000 paths: synthetic files of many sizes, and photos if there are any."""
    paths = [*batch.paths, *mixed.paths]
    folder = os.path.join(os.environ.get("FASTIMG_TEST_DATA", ""), "photos")
    if os.path.isdir(folder):
        paths += sorted(os.path.join(folder, name) for name in os.listdir(folder))
    return list(itertools.islice(itertools.cycle(paths), COUNT))


@pytest.fixture(scope="module")
def expected(thousand):
    return fastimg.load(thousand, size=SIZE)


def missing(count):
    """Paths as long as ImageNet's, of files that do not exist."""
    return [f"/data/train/n{i % 1000:08d}/n{i % 1000:08d}_{i}.JPEG" for i in range(count)]


# ---- before anything is computed ---------------------------------------------------------------


def test_construction_reads_nothing():
    accessor = fastimg.ImageFileAccessor(missing(35_000), size=256)
    lazy = dask_array.from_array(accessor, chunks=CHUNKS)
    assert lazy.shape == (35_000, 3, 256, 256) and lazy.dtype == np.uint8
    assert lazy.numblocks == (547, 1, 1, 1) and lazy.chunks[0][-1] == 35_000 - 546 * 64
    half = (lazy[::2, :, :128] / 255).mean(axis=0)
    with pytest.raises(FileNotFoundError) as caught:
        half.compute(scheduler="synchronous")
    assert caught.value.source == missing(35_000)[caught.value.index]  # whichever chunk came first


def test_construction_decodes_nothing(batch, bad_files):
    # Without a size, the first header says it; the pixels behind that header are damaged.
    paths = [bad_files["TruncatedJpegError"], *missing(99)]
    lazy = dask_array.from_array(fastimg.ImageFileAccessor(paths), chunks=CHUNKS)
    assert lazy.shape == (100, 3, 24, 31)
    with pytest.raises(fastimg.TruncatedJpegError):
        lazy[0].compute(scheduler="synchronous")


def test_35000_paths_are_sent_in_2_mb():
    accessor = fastimg.ImageFileAccessor(missing(35_000), size=256)
    lazy = dask_array.from_array(accessor, chunks=CHUNKS)
    assert len(pickle.dumps(accessor)) < 2_000_000
    assert len(pickle.dumps(lazy)) < 2_000_000  # one accessor, however many chunks


def test_the_name_is_that_of_the_work():
    def name(paths, **options):
        return dask_array.from_array(fastimg.ImageFileAccessor(paths, **options), chunks=CHUNKS).name

    paths = missing(200)
    assert name(paths, size=64) == name(list(paths), size=(64, 64), num_threads=1)
    others = [
        name(paths[:-1], size=64),
        name(paths[::-1], size=64),
        name(paths, size=65),
        name(paths, size=64, mode="BGR"),
        name(paths, size=64, flip=True),
        name(paths, size=64, mean=0.5, dtype="float32"),
        name(paths, size=64, on_error="fill"),
    ]
    assert len({name(paths, size=64), *others}) == len(others) + 1


def test_the_name_is_the_same_in_another_process(child_env):
    code = (
        "import dask.array, fastimg\n"
        "accessor = fastimg.ImageFileAccessor(['a.jpg', 'b.jpg'], size=64, dtype='float32', mean=(0.1, 0.2, 0.3))\n"
        "print(dask.array.from_array(accessor, chunks=(1, -1, -1, -1)).name)\n"
    )
    names = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**child_env, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in "12"
    ]
    assert names[0] == names[1] and names[0].startswith("array-")


# ---- in one process ----------------------------------------------------------------------------


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_a_thousand_images(thousand, expected, scheduler):
    lazy = dask_array.from_array(fastimg.ImageFileAccessor(thousand, size=SIZE), chunks=CHUNKS)
    assert_same(lazy.compute(scheduler=scheduler), expected)
    assert_same(lazy[990:9:-97, ::-1, 4:9].compute(scheduler=scheduler), expected[990:9:-97, ::-1, 4:9])


def test_statistics(thousand, expected):
    lazy = dask_array.from_array(fastimg.ImageFileAccessor(thousand, size=SIZE), chunks=CHUNKS)
    sums = lazy.sum(axis=(0, 2, 3), dtype=np.int64)
    assert_same(sums.compute(scheduler="threads"), expected.sum(axis=(0, 2, 3), dtype=np.int64))


def test_random_resized_crops(mixed):
    view = fastimg.ImageFileAccessor(mixed.paths, size=20).random_resized_crop(20, seed=3)
    lazy, other = (dask_array.from_array(view.with_epoch(e), chunks=(4, -1, -1, -1)) for e in (0, 1))
    assert_same(lazy.compute(scheduler="threads"), view[:])
    assert_same(other.compute(scheduler="threads"), view.with_epoch(1)[:])
    assert lazy.name != other.name
    assert lazy.name == dask_array.from_array(view, chunks=(4, -1, -1, -1)).name


# ---- in two processes --------------------------------------------------------------------------


def test_cluster(client, thousand, expected):
    lazy = dask_array.from_array(fastimg.ImageFileAccessor(thousand, size=SIZE), chunks=CHUNKS)
    assert_same(client.compute(lazy, sync=True), expected)


def test_cluster_writes_zarr(client, thousand, expected, tmp_path):
    zarr = pytest.importorskip("zarr")
    lazy = dask_array.from_array(fastimg.ImageFileAccessor(thousand, size=SIZE), chunks=CHUNKS)
    lazy.to_zarr(str(tmp_path / "train.zarr"))
    stored = zarr.open_array(str(tmp_path / "train.zarr"), mode="r")
    assert stored.chunks == (64, 3, SIZE, SIZE)
    assert_same(stored[:], expected)


def test_cluster_writes_npy(client, thousand, expected, tmp_path):
    lazy = dask_array.from_array(fastimg.ImageFileAccessor(thousand, size=SIZE), chunks=CHUNKS)
    dask_array.store(lazy, NpyFile(tmp_path / "train.npy", lazy.shape, lazy.dtype), lock=False)
    assert_same(np.load(tmp_path / "train.npy"), expected)


def test_cluster_decodes_into_npy(client, thousand, expected, tmp_path):
    accessor, path = fastimg.ImageFileAccessor(thousand, size=SIZE), str(tmp_path / "train.npy")
    np.lib.format.open_memmap(path, "w+", accessor.dtype, accessor.shape)
    workers = list(client.scheduler_info()["workers"])
    shared = client.scatter(accessor, broadcast=True)
    starts = range(0, COUNT, 100)
    calls = [
        client.submit(fill, path, shared, start, start + 100, workers=[workers[i % 2]])
        for i, start in enumerate(starts)
    ]
    assert len({os.getpid(), *client.gather(calls)}) == 3
    assert_same(np.load(path), expected)


def test_cluster_errors_have_names(client, thousand, bad_files):
    paths = [*thousand[:150], bad_files["TruncatedJpegError"], *thousand[150:200]]
    lazy = dask_array.from_array(fastimg.ImageFileAccessor(paths, size=SIZE), chunks=CHUNKS)
    with pytest.raises(fastimg.TruncatedJpegError) as caught:
        client.compute(lazy, sync=True)
    assert caught.value.source == bad_files["TruncatedJpegError"]
    assert caught.value.index == 150
