# SPDX-License-Identifier: BSD-3-Clause
"""URLs as sources, alone and among others."""

import pickle
import sys

import numpy as np
import pytest

import fastimg

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def urls(batch):
    fs = fsspec.filesystem("memory")
    fs.pipe({f"/urls/{i:02d}.jpg": data for i, data in enumerate(batch.data)})
    yield [f"memory://urls/{i:02d}.jpg" for i in range(len(batch.data))]
    fs.rm("/urls", recursive=True)


def test_load(urls, batch):
    expected = fastimg.load(batch.paths)
    np.testing.assert_array_equal(fastimg.load(urls), expected)
    mixed = [*urls[:5], *batch.paths[5:10], *batch.data[10:12], *urls[12:]]
    np.testing.assert_array_equal(fastimg.load(mixed), expected)


def test_one(urls, batch):
    np.testing.assert_array_equal(fastimg.load(urls[:1])[0], batch.images[0])
    np.testing.assert_array_equal(fastimg.decode(urls[0]), batch.images[0])
    assert fastimg.read_header(urls[0]) == fastimg.read_header(batch.paths[0])
    assert fastimg.read_headers(urls) == fastimg.read_headers(batch.paths)


def test_accessor(urls, batch):
    accessor = fastimg.ImageFileAccessor([batch.paths[0], *urls[1:]])
    again = pickle.loads(pickle.dumps(accessor))
    for each in (accessor, again):
        np.testing.assert_array_equal(each[[7, 0, 30]], fastimg.load(batch.paths)[[7, 0, 30]])


def test_error(urls):
    with pytest.raises(FileNotFoundError) as caught:
        fastimg.load([*urls, "memory://urls/no.jpg"])
    error = caught.value
    assert (error.index, error.source, error.filename) == (37, "memory://urls/no.jpg", "memory://urls/no.jpg")


def test_without_fsspec(urls, monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    for call in (fastimg.load, fastimg.ImageFileAccessor, fastimg.read_headers):
        with pytest.raises(ModuleNotFoundError, match=r"pip install 'fastimg\[fsspec\]'"):
            call(urls)


def test_unknown_protocol():
    with pytest.raises(ValueError, match="nosuch"):
        fastimg.load(["nosuch://a.jpg"])
