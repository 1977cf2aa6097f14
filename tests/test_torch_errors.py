# SPDX-License-Identifier: BSD-3-Clause
"""Errors in the workers of a torch DataLoader say which image they are of."""

import pathlib
import pickle

import pytest
from support.jpegs import jpeg

import fastimg
from fastimg.data_source import ArrayDataSource

torch_data = pytest.importorskip("torch.utils.data")


def error_of(dataset, start, **options):
    """What all batches, from one worker, end in."""
    options = {"batch_size": 4, "num_workers": 1, "multiprocessing_context": start, "timeout": 120} | options
    with pytest.raises(Exception) as caught:
        list(torch_data.DataLoader(dataset, **options))
    return caught.value


class Batches(torch_data.IterableDataset):
    """What `batch_iterator` gives, in a worker."""

    def __init__(self, source):
        self.source = source

    def __iter__(self):
        return iter(self.source.batch_iterator(5))


class Loaded(torch_data.Dataset):
    """A batch that `load` makes."""

    def __init__(self, paths):
        self.paths = paths

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return fastimg.load(self.paths, size=8)


@pytest.fixture
def paths(batch, bad_files):
    return [*batch.paths[:6], bad_files["CorruptJpegError"], *batch.paths[7:]]


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_errors_keep_index_and_source(batch, bad_files, tmp_path, start):
    (tmp_path / "other.jpg").write_bytes(jpeg(25, 31))
    (tmp_path / 'a\nfastimg error: {"index": 5}\n.jpg').write_bytes(b"no picture")
    other = fastimg.FileRange(str(tmp_path / "other.jpg"), 0, 10, "inside")
    cases = [
        *((name, path) for name, path in bad_files.items()),
        ("ValueError", str(tmp_path / "other.jpg")),  # of another size
        ("TruncatedJpegError", other),
        ("UnsupportedJpegError", str(tmp_path / 'a\nfastimg error: {"index": 5}\n.jpg')),
        ("FileNotFoundError", str(tmp_path / "b\udcff\N{SNOWMAN}.jpg")),
    ]
    for name, source in cases if start == "fork" else cases[4:5]:
        dataset = fastimg.ImageFileAccessor([*batch.paths[:6], source], strict=True)
        error = error_of(dataset, start)
        assert name in [cls.__name__ for cls in type(error).__mro__]
        assert (error.index, error.source) == (6, source)
        assert "DataLoader worker process 0" in str(error) and "image 6" in str(error)
        assert '"source"' not in str(error)  # the note that they came in
        copied = pickle.loads(pickle.dumps(error))
        assert type(copied) is type(error) and str(copied) == str(error)
        assert (copied.index, copied.source) == (6, source)
        if isinstance(error, OSError):
            with pytest.raises(OSError) as local:
                dataset[6]
            assert (error.errno, error.filename) == (local.value.errno, local.value.filename)
            assert error.strerror == local.value.strerror


def test_paths_come_back_as_str(batch, tmp_path):
    error = error_of(Loaded([pathlib.Path(batch.paths[0]), tmp_path / "none.jpg"]), "fork")
    assert (error.index, error.source) == (1, str(tmp_path / "none.jpg"))


def test_data_in_memory_is_described(batch):
    error = error_of(fastimg.ImageFileAccessor([batch.data[0], b"no picture"]), "fork")
    assert (error.index, error.source) == (1, "<bytes, 10 bytes>")


def test_errors_of_batches(paths):
    error = error_of(Batches(ArrayDataSource([fastimg.ImageFileAccessor(paths)])), "fork", batch_size=None)
    assert isinstance(error, fastimg.CorruptJpegError)
    assert (error.index, error.source) == (6, paths[6])


def test_outside_of_workers_errors_are_plain(paths, bad_files):
    with pytest.raises(fastimg.CorruptJpegError) as caught:
        fastimg.load(paths)
    assert not hasattr(caught.value, "__notes__")
    with pytest.raises(FileNotFoundError) as caught:
        fastimg.load([*paths[:6], bad_files["FileNotFoundError"]])
    assert type(caught.value) is FileNotFoundError and not hasattr(caught.value, "__notes__")


def test_an_error_from_its_message_alone():
    error = fastimg.CorruptJpegError("damaged")
    assert (str(error), error.index, error.source) == ("damaged", None, None)
    error = fastimg.JpegError("a\nfastimg error: not JSON")
    assert (str(error), error.index) == ("a\nfastimg error: not JSON", None)
