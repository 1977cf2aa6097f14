# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of file indices share."""

import os
import pickle

import numpy as np

import fastimg
from fastimg import file_scan
from support import jpegs

KINDS = [("cat/1.jpg", (24, 31)), ("cat/2.JPEG", (9, 50)), ("dog/a/3.jpg", (60, 8)), ("dog/4.jpe", (1, 1))]
JOURNEYS = ["here", "loaded", "pickled"]


def write_train(folder):
    """Two classes of two images each; one is turned."""
    for seed, (name, size) in enumerate(KINDS):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = jpegs.jpeg(*size, seed=seed)
        path.write_bytes(jpegs.oriented(data, 6) if seed == 1 else data)
    return folder


def travel(index, journey, folder):
    """An index as it is after a journey."""
    if journey == "loaded":
        index.save(folder / "travelled.npz")
        return fastimg.FileIndex.load(folder / "travelled.npz")
    return pickle.loads(pickle.dumps(index)) if journey == "pickled" else index


def check(index, paths):
    """What an index must say of paths that can all be read."""
    paths = list(map(str, paths))
    headers = fastimg.read_headers(paths)
    assert len(index) == len(paths)
    assert list(index) == list(index.paths) == [index[i] for i in range(len(paths))] == paths
    assert index.sizes.dtype == np.int32 and index.sizes.shape == (len(paths), 2)
    assert index.sizes.tolist() == [[header.height, header.width] for header in headers]
    assert index.nbytes.dtype == index.mtimes.dtype == np.int64
    assert index.nbytes.tolist() == [os.stat(path).st_size for path in paths]
    assert index.mtimes.tolist() == [os.stat(path).st_mtime_ns for path in paths]


def headers_read(monkeypatch):
    """The paths whose headers indices read from now on."""
    read = []
    real = file_scan._read_sizes

    def count(paths, positions, *rest):
        read.extend(paths[i] for i in positions.tolist())
        return real(paths, positions, *rest)

    monkeypatch.setattr(file_scan, "_read_sizes", count)
    return read
