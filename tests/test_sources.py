# SPDX-License-Identifier: BSD-3-Clause
"""Where an image may come from: paths, bytes-like objects, ranges of files."""

import array
import copy
import dataclasses
import mmap
import os
import pathlib
import pickle
import tarfile
import zipfile

import numpy as np
import pytest
from support import jpegs
from support.jpegs import assert_same

import fastimg
from fastimg.sources import SourceList

DATA = jpegs.jpeg(24, 31)
EXPECTED = jpegs.reference(DATA)


def read_all_ways(source):
    """The same from every entry point, or the same class of error from all."""
    results = []
    for call in (
        fastimg.decode,
        lambda source: fastimg.load([source])[0],
        lambda source: fastimg.ImageFileAccessor([source])[0],
        lambda source: fastimg.NonUniformImageFileAccessor([source])[0],
    ):
        results.append(call(source))
    for result in results:
        assert_same(result, EXPECTED)
    assert fastimg.read_header(source).shape == EXPECTED.shape


def refuse_all_ways(source, error):
    for call in (
        fastimg.decode,
        fastimg.read_header,
        lambda source: fastimg.load([source]),
        lambda source: fastimg.ImageFileAccessor([source])[0],
    ):
        with pytest.raises(error):
            call(source)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "image.jpg"
    path.write_bytes(DATA)
    return path


class Pathish:
    def __init__(self, path):
        self.path = path

    def __fspath__(self):
        return self.path


# ---- paths -------------------------------------------------------------------------------------


def test_paths(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    for source in (
        str(path),
        path,
        Pathish(str(path)),
        "image.jpg",
        pathlib.Path("image.jpg"),
        "./image.jpg",
    ):
        read_all_ways(source)


def test_path_of_bytes_from_fspath(path):
    # __fspath__ may give bytes; then they are a path all the same.
    assert_same(fastimg.decode(Pathish(os.fsencode(path))), EXPECTED)


def test_bytes_are_data_and_not_a_path(path):
    with pytest.raises(fastimg.UnsupportedJpegError):
        fastimg.decode(os.fsencode(path))


@pytest.mark.parametrize("name", ["grün.jpg", "写真.jpg", "a b\tc\n.jpg", "100%s{}.jpg", "'\".jpg", "😀.jpg"])
def test_unusual_names(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(DATA)
    read_all_ways(str(path))
    with pytest.raises(FileNotFoundError) as caught:
        fastimg.decode(str(path) + "x")
    assert caught.value.filename == str(path) + "x"


def test_name_that_is_no_text(tmp_path):
    # Any bytes but "/" and NUL can be a name; Python shows those that are no UTF-8 as surrogates.
    name = os.fsencode(tmp_path) + b"/\xff\xfe\x80.jpg"
    try:
        with open(name, "wb") as file:
            file.write(DATA)
    except OSError:
        pytest.skip("this file system takes Unicode names only")
    source = os.fsdecode(name)
    read_all_ways(source)
    accessor = pickle.loads(pickle.dumps(fastimg.ImageFileAccessor([source])))
    assert_same(accessor[0], EXPECTED)
    os.unlink(name)
    with pytest.raises(FileNotFoundError) as caught:
        fastimg.decode(source)
    assert caught.value.source == caught.value.filename == source
    repeated = pickle.loads(pickle.dumps(caught.value))
    assert repeated.source == source


def test_no_path_at_all():
    refuse_all_ways("", FileNotFoundError)
    refuse_all_ways("a\0b.jpg", ValueError)


def test_symbolic_link(path):
    (path.parent / "link").symlink_to(path)
    read_all_ways(path.parent / "link")


def test_file_changes_between_calls(path):
    other = jpegs.jpeg(9, 50, seed=1)
    fastimg.decode(path)
    path.write_bytes(other)
    assert_same(fastimg.decode(path), jpegs.reference(other))


def test_large_file(tmp_path):
    # More than any buffer that a reader starts with, in several sizes and in falling order too.
    for size in (2_000_000, 70_000, 65_536, 500_000):
        data = jpegs.insert(DATA, jpegs.segment(0xE5, bytes(60_000)) * (size // 60_000))
        path = tmp_path / f"{size}.jpg"
        path.write_bytes(data + bytes(max(0, size - len(data))))
        assert_same(fastimg.decode(path), EXPECTED)


# ---- bytes-like objects ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        bytes,
        bytearray,
        memoryview,
        lambda data: memoryview(bytearray(data)),
        lambda data: memoryview(b"??" + data + b"??")[2:-2],
        lambda data: np.frombuffer(data, np.uint8),
        lambda data: np.frombuffer(data, np.int8),
        lambda data: np.array(bytearray(data)),
        lambda data: np.frombuffer(data + b"\0" * (-len(data) % 4), np.uint8).reshape(-1, 4),
        lambda data: array.array("B", data),
    ],
    ids=["bytes", "bytearray", "memoryview", "writable view", "sliced view", "read-only array", "int8",
         "array", "2-D array", "array.array"],
)  # fmt: skip
def test_bytes_like(make):
    read_all_ways(make(DATA))


def test_mmap(path):
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        read_all_ways(mapped)  # and the with statement can close it: nobody holds it still
    read_all_ways(np.memmap(path, np.uint8, mode="r"))


@pytest.mark.parametrize("step", [2, -1])
def test_not_contiguous(step):
    # Either refused as what it is, or read right; but never taken for other bytes.
    spread = np.zeros((len(DATA), abs(step)), np.uint8)
    spread[:, 0] = np.frombuffer(DATA, np.uint8)
    source = spread.reshape(-1)[::step] if step > 0 else np.frombuffer(DATA[::-1], np.uint8)[::-1]
    assert bytes(source) == DATA and not source.flags.c_contiguous
    for given in (source, memoryview(source)):
        try:
            image = fastimg.decode(given)
        except (TypeError, ValueError, BufferError) as error:
            assert not isinstance(error, fastimg.JpegError)
        else:
            assert_same(image, EXPECTED)


def test_sources_are_released():
    good, bad = bytearray(DATA), bytearray(DATA[:200])
    fastimg.decode(good)
    fastimg.load([good, good], num_threads=2)
    fastimg.read_header(good)
    for call in (fastimg.decode, lambda source: fastimg.load([good, source], num_threads=2)):
        with pytest.raises(fastimg.TruncatedJpegError):
            call(bad)
    with pytest.raises(TypeError):
        fastimg.load([good, bad, 5])
    with pytest.raises(ValueError):
        fastimg.load([good, bad], mode="P")
    good.append(0)  # a BufferError while a view of it is held
    bad.append(0)


def test_source_is_not_changed():
    data = bytearray(DATA)
    fastimg.decode(data, flip=True)
    assert data == DATA


@pytest.mark.parametrize(
    "source",
    [None, 5, 2.5, True, ["a.jpg"], ("a.jpg",), object(), {"a.jpg"}, type],
    ids=lambda source: type(source).__name__,
)
def test_not_a_source(source):
    with pytest.raises(TypeError, match=type(source).__name__):
        fastimg.decode(source)
    with pytest.raises(TypeError, match=type(source).__name__):
        fastimg.load([DATA, source])


# ---- ranges of files ---------------------------------------------------------------------------


@pytest.fixture
def archive(tmp_path):
    """Three images among other bytes, and where they are."""
    images = [jpegs.jpeg(24, 31, seed=i) for i in range(3)]
    path, blob, offsets = tmp_path / "archive.bin", b"\xff\xd8 not yet", []
    for data in images:
        offsets.append(len(blob))
        blob += data + b"\xff\xd9 between \xff\xd8"
    path.write_bytes(blob)
    return str(path), [(offset, len(data)) for offset, data in zip(offsets, images, strict=True)], images


def test_ranges(archive):
    path, places, images = archive
    for kind in (str, pathlib.Path):
        ranges = [fastimg.FileRange(kind(path), *place) for place in places]
        assert_same(fastimg.load(ranges), np.stack([jpegs.reference(data) for data in images]))
        for source, data in zip(ranges, images, strict=True):
            assert fastimg.read_header(source).nbytes == len(data)


def test_range_is_its_own_end(archive):
    # Bytes behind the range are another file's: they must not complete a truncated image.
    path, places, images = archive
    part = jpegs.truncated(images[1])
    source = fastimg.FileRange(path, places[1][0], len(part))
    with pytest.raises(fastimg.TruncatedJpegError):
        fastimg.decode(source)
    assert_same(fastimg.decode(source, strict=False, layout="HWC"), jpegs.rgb_turbo(part))


def test_whole_file_as_a_range(path):
    read_all_ways(fastimg.FileRange(str(path), 0, len(DATA)))


def test_empty_range(path):
    for offset in (0, 5, len(DATA)):
        refuse_all_ways(fastimg.FileRange(str(path), offset, 0), fastimg.TruncatedJpegError)


@pytest.mark.parametrize(
    ("offset", "size"),
    [
        (len(DATA) + 1, 10),
        (len(DATA), 10),
        (10**6, 10**6),
        (2**62, 10),
        (2**62, 2**62),
        (2**70, 1),
        (0, 2**70),
    ],
)
def test_range_outside_the_file(path, offset, size):
    # No memory of that size may be asked for: MemoryError would not do.
    def use(call):
        call(fastimg.FileRange(str(path), offset, size))

    for call in (fastimg.decode, fastimg.read_header, lambda source: fastimg.load([source])):
        if size == 2**70 and offset == 0 and call is fastimg.read_header:
            continue  # its head is there
        with pytest.raises((ValueError, OSError, OverflowError)):
            use(call)


@pytest.mark.parametrize(("offset", "size"), [(-1, 10), (0, -1), (-5, -5)])
def test_negative_range(path, offset, size):
    with pytest.raises(ValueError) as caught:
        fastimg.decode(fastimg.FileRange(str(path), offset, size))
    assert not isinstance(caught.value, fastimg.JpegError)


@pytest.mark.parametrize(("offset", "size"), [(0.5, 10), (0, 10.0), ("0", 10), (None, None)])
def test_range_of_something_else(path, offset, size):
    with pytest.raises(TypeError):
        fastimg.decode(fastimg.FileRange(str(path), offset, size))


@pytest.mark.parametrize("bad", [None, 5, DATA], ids=["None", "int", "bytes"])
def test_range_of_no_path(bad):
    with pytest.raises(TypeError):
        fastimg.decode(fastimg.FileRange(bad, 0, 10))


def test_range_far_into_a_sparse_file(tmp_path):
    # Beyond what 32 bits can count.
    path, offset = tmp_path / "sparse", 5 * 2**30 + 7
    try:
        with open(path, "wb") as file:
            file.seek(offset)
            file.write(DATA)
    except OSError:
        pytest.skip("no sparse file of that size here")
    read_all_ways(fastimg.FileRange(str(path), offset, len(DATA)))


def test_members_of_archives(tmp_path, path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(path, "image.jpg")
    with tarfile.open(tmp_path / "a.tar") as tar:
        member = tar.getmember("image.jpg")
    read_all_ways(fastimg.FileRange(str(tmp_path / "a.tar"), member.offset_data, member.size))
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_STORED) as archive:
        archive.write(path, "image.jpg")
    # Behind the member's local header: 30 bytes and its name.
    start = archive.getinfo("image.jpg").header_offset + 30 + len("image.jpg")
    read_all_ways(fastimg.FileRange(str(tmp_path / "a.zip"), start, len(DATA)))


def test_name_of_a_range(archive):
    path, places, _ = archive
    named = fastimg.FileRange(path, *places[0], "cat/1.jpg")
    assert named.name == "cat/1.jpg" and fastimg.FileRange(path, *places[0]).name == ""
    assert str(named) == str(fastimg.FileRange(pathlib.Path(path), *places[0], name="cat/1.jpg"))
    assert str(named) == f"{path}/cat/1.jpg"
    assert str(fastimg.FileRange("a.tar", 512, 100)) == "a.tar[512:612]"
    assert_same(fastimg.decode(named), fastimg.decode(fastimg.FileRange(path, *places[0])))


@pytest.mark.parametrize(
    ("bad", "error"), [(None, TypeError), (5, TypeError), (b"a", TypeError), ("a\0", ValueError)]
)
def test_name_that_is_none(bad, error):
    with pytest.raises(error, match="name"):
        fastimg.FileRange("a.tar", 0, 1, bad)


def test_names_in_a_packed_list(path):
    # Of all kinds of sources, in any order, also names that are no valid Unicode.
    given = [
        fastimg.FileRange("a.tar", 0, 1, "one"),
        DATA,
        fastimg.FileRange("a.tar", 1, 2),
        str(path),
        fastimg.FileRange("a.tar", 3, 4, "\ud800/é.jpg"),
        fastimg.FileRange("b.tar", 0, 1, "one"),
    ]
    packed = SourceList(given)
    for each in (packed, pickle.loads(pickle.dumps(packed))):
        assert [each[i] for i in (4, 0, 5, 1, 2, 3)] == [given[i] for i in (4, 0, 5, 1, 2, 3)]
        assert each.hashable() == packed.hashable() == SourceList(given).hashable()
    others = [fastimg.FileRange("a.tar", 0, 1, "another"), *given[1:]]
    assert SourceList(others).hashable() != packed.hashable()


def test_members_pickle_small():
    count = 100_000
    members = [fastimg.FileRange("train.tar", 512 * i, 500, f"train/{i:08d}.jpg") for i in range(count)]
    pickled = pickle.dumps(fastimg.ImageFileAccessor(members, size=8))
    # The place of each, the file it is in, its name: nothing an object.
    assert len(pickled) < count * (16 + 8 + len("train/00000000.jpg") + 1) + 2000
    assert pickle.loads(pickled)._sources[count - 1] == members[-1]
    unnamed = [fastimg.FileRange("train.tar", 512 * i, 500) for i in range(count)]
    assert len(pickle.dumps(fastimg.ImageFileAccessor(unnamed, size=8))) < count * (16 + 8) + 2000


def test_file_range_is_a_frozen_dataclass():
    one = fastimg.FileRange("a.tar", 512, 100)
    assert (one.path, one.offset, one.size) == ("a.tar", 512, 100)
    assert (
        one == fastimg.FileRange(path="a.tar", offset=512, size=100) != fastimg.FileRange("a.tar", 512, 101)
    )
    assert hash(one) == hash(copy.copy(one))
    assert pickle.loads(pickle.dumps(one)) == one
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.size = 5
