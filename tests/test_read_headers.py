# SPDX-License-Identifier: BSD-3-Clause
"""read_headers: read_header of each, in threads, the heads of the files only."""

import os
import pathlib
import re
import threading

import numpy as np
import pytest
from support import jpegs

import fastimg


@pytest.fixture(params=[None, 1, 2, 8], ids=lambda n: f"{n} threads")
def num_threads(request):
    return request.param


def test_each_as_by_itself(mixed, batch, num_threads):
    sources = [*mixed.paths, *mixed.data, *map(pathlib.Path, batch.paths), bytearray(batch.data[0])]
    sources += [memoryview(batch.data[1]), fastimg.FileRange(batch.paths[2], 0, len(batch.data[2]))]
    sources += [jpegs.oriented(data, 1 + i % 8) for i, data in enumerate(mixed.data)]
    headers = fastimg.read_headers(sources, num_threads=num_threads)
    assert type(headers) is list
    assert headers == [fastimg.read_header(source) for source in sources]
    assert all(type(header) is fastimg.Header for header in headers)


def test_many(mixed, num_threads):
    order = np.random.default_rng(0).integers(0, len(mixed.paths), 2000)
    each = [fastimg.read_header(path) for path in mixed.paths]
    sources = [mixed.paths[i] for i in order]
    assert fastimg.read_headers(sources, num_threads=num_threads) == [each[i] for i in order]


def test_any_iterable(mixed):
    expected = [fastimg.read_header(path) for path in mixed.paths]
    for sources in (tuple(mixed.paths), iter(mixed.paths), np.array(mixed.paths), dict.fromkeys(mixed.paths)):
        assert fastimg.read_headers(sources) == expected


def test_empty(num_threads):
    for sources in ([], (), iter([])):
        assert fastimg.read_headers(sources, num_threads=num_threads) == []


def test_headers_of_files_that_cannot_be_decoded(num_threads):
    sources = [
        jpegs.reframed(jpegs.jpeg(), height=65500, width=65500),
        jpegs.reframed(jpegs.jpeg(24, 31), marker=0xC1, precision=12),
        jpegs.truncated(jpegs.jpeg(24, 31)),
    ]
    headers = fastimg.read_headers(sources, num_threads=num_threads)
    assert headers == [fastimg.read_header(source) for source in sources]


def test_the_lowest_failing_index_is_raised(batch, bad_files, num_threads):
    sources = list(batch.paths)
    sources[7], sources[20] = bad_files["UnsupportedJpegError"], bad_files["FileNotFoundError"]
    for _ in range(10):
        with pytest.raises(fastimg.UnsupportedJpegError) as caught:
            fastimg.read_headers(sources, num_threads=num_threads)
        assert (caught.value.index, caught.value.source) == (7, sources[7])
        assert sources[7] in str(caught.value) and re.search(
            r"\b7\b", str(caught.value).replace(sources[7], "")
        )
    with pytest.raises(FileNotFoundError) as caught:
        fastimg.read_headers(sources[8:], num_threads=num_threads)
    assert (caught.value.index, caught.value.source) == (12, sources[20])


def test_threads_end(mixed, bad_files):
    before = threading.active_count()
    fastimg.read_headers(mixed.paths * 20, num_threads=8)
    with pytest.raises(IsADirectoryError):
        fastimg.read_headers([*mixed.paths, bad_files["IsADirectoryError"]], num_threads=8)
    assert threading.active_count() == before


def test_files_are_closed(mixed, bad_files):
    before = len(os.listdir("/dev/fd"))
    for _ in range(20):
        fastimg.read_headers(mixed.paths, num_threads=2)
        with pytest.raises(fastimg.UnsupportedJpegError):
            fastimg.read_headers([*mixed.paths, bad_files["UnsupportedJpegError"]], num_threads=2)
    assert len(os.listdir("/dev/fd")) <= before


@pytest.mark.skipif(not os.path.exists("/proc/self/io"), reason="needs the kernel's count of bytes read")
def test_only_the_heads_are_read(tmp_path):
    paths = []
    for i in range(8):
        paths.append(tmp_path / f"{i}.jpg")
        paths[-1].write_bytes(jpegs.jpeg(24, 31, seed=i))
        os.truncate(paths[-1], 2**26)

    def bytes_read():
        return int(pathlib.Path("/proc/self/io").read_text().split()[1])

    fastimg.read_headers(paths, num_threads=2)
    before = bytes_read()
    headers = fastimg.read_headers(paths, num_threads=2)
    assert bytes_read() - before < 8 * 2**18
    assert [header.nbytes for header in headers] == [2**26] * 8


@pytest.mark.parametrize("bad", [None, 5, 2.5, ["a.jpg"], object()], ids=lambda x: type(x).__name__)
def test_not_a_source(mixed, bad):
    with pytest.raises(TypeError, match=type(bad).__name__):
        fastimg.read_headers([mixed.paths[0], bad])


@pytest.mark.parametrize("value", [0, -1])
def test_bad_num_threads_value(mixed, value):
    with pytest.raises(ValueError, match="num_threads"):
        fastimg.read_headers(mixed.paths, num_threads=value)


@pytest.mark.parametrize("value", [1.0, True, "2"])
def test_bad_num_threads_type(mixed, value):
    with pytest.raises(TypeError, match="num_threads"):
        fastimg.read_headers(mixed.paths, num_threads=value)
