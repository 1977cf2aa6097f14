# SPDX-License-Identifier: BSD-3-Clause
"""Deflated members of zip archives, and tar archives that are compressed as a whole."""

import bz2
import copy
import gzip
import lzma
import os
import pathlib
import pickle
import random
import re
import zipfile

import numpy as np
import pytest
from support.archive_files import EXPECTED, FIRST, IMAGES, make_archive, make_tar, make_zip, patch, refuse
from support.jpegs import assert_same

import fastimg
from fastimg import FileRange, archive_members
from fastimg.archives import readers
from fastimg.sources import ReaderItem

NAMES = ["deflated.zip", "a.tar.gz", "a.tgz", "a.tar.bz2", "a.tar.xz"]
STREAMS = pytest.mark.parametrize("name", NAMES[1:])
GARBAGE = random.Random(0).randbytes(70_000)  # which no codec makes smaller


@pytest.fixture(params=NAMES)
def path(request, tmp_path):
    return make_archive(tmp_path / request.param, IMAGES)


def read_all(members):
    return {member.reader.member_name(member.index): bytes(member.read()) for member in members}


# ---- reading -----------------------------------------------------------------------------------


def test_members_are_images_of_a_reader(path):
    members = archive_members(path)
    assert [type(member) for member in members] == [ReaderItem] * 3
    assert [str(member) for member in members] == [f"{path}/{name}" for name in IMAGES]
    assert members.names == list(IMAGES)
    reader = members.reader
    assert len(reader) == 3 and [reader.nbytes(i) for i in range(3)] == [
        len(data) for data in IMAGES.values()
    ]
    assert [reader.read(i) for i in range(3)] == list(IMAGES.values())
    assert reader.thread_safe == path.endswith(".zip")


def test_members_are_decoded_as_the_files(path):
    members = archive_members(path)
    assert_same(fastimg.load(members), EXPECTED)
    assert_same(fastimg.load(list(members)), EXPECTED)
    assert_same(fastimg.load(members[::-1]), EXPECTED[::-1])
    assert_same(fastimg.load(members, size=9, read_threads=3), fastimg.load(list(IMAGES.values()), size=9))
    assert_same(np.stack([fastimg.decode(member) for member in members]), EXPECTED)
    assert fastimg.read_headers(members) == fastimg.read_headers(list(IMAGES.values()))
    for make in (fastimg.ImageFileAccessor, fastimg.NonUniformImageFileAccessor):
        accessor = make(members)
        for each in (accessor, pickle.loads(pickle.dumps(accessor))):
            assert_same(np.stack(each[:]), EXPECTED)
            assert_same(each[[2, 0, 1]][0], EXPECTED[2])


def test_the_packed_list_is_what_a_list_gives(tmp_path, path):
    mixed = make_zip(tmp_path / "mixed.zip", IMAGES)
    with zipfile.ZipFile(mixed, "a") as archive:
        archive.writestr("deflated.jpg", IMAGES[FIRST], zipfile.ZIP_DEFLATED)
        archive.writestr("stored.jpg", IMAGES[FIRST])
    for name, kinds in ((path, [ReaderItem] * 3), (mixed, [FileRange] * 3 + [ReaderItem, FileRange])):
        members = archive_members(name)
        assert [type(member) for member in members] == kinds
        for chosen in (members, members[::2], members[1:]):
            packed = chosen._source_list()
            assert [packed[i] for i in range(len(packed))] == list(chosen)
            assert pickle.loads(pickle.dumps(chosen)) == chosen == copy.deepcopy(chosen) == list(chosen)
        assert archive_members(name) == members
        assert members[1:] != members[:-1]
        expected = fastimg.load([IMAGES.get(n, IMAGES[FIRST]) for n in members.names])
        assert_same(fastimg.load(members), expected)


@pytest.mark.parametrize("extensions", [(".png",), ("",), (".png", ".jpg")])
def test_some_of_the_members(tmp_path, extensions):
    files = {"x.png": b"picture", **IMAGES, "y.txt": b"text", "z.png": b"more", "empty.png": b""}
    for name in NAMES:
        path = make_archive(tmp_path / name, files)
        expected = {key: data for key, data in files.items() if key.endswith(extensions)}
        assert read_all(archive_members(path, extensions)) == expected


def test_listings_that_are_kept(path):
    members = archive_members(path, index=True)
    assert os.path.exists(f"{path}.index")
    kept = archive_members(path, index=True)
    assert kept == members == archive_members(path)
    assert read_all(kept) == IMAGES
    assert archive_members(path, [".png"], index=True) == []
    assert_same(fastimg.load(kept), EXPECTED)


@pytest.mark.parametrize("changes", [
    {"crcs": None}, {"codec": np.frombuffer(b"lz4", np.uint8)}, {"crcs": np.zeros(2, np.uint32)},
    {"codec": np.frombuffer(b"\xff", np.uint8)}, {"codec": None},
])  # fmt: skip
def test_kept_listings_that_cannot_be(path, changes):
    archive_members(path, index=True)
    with np.load(f"{path}.index") as found:
        entries = {**found, **changes}
    with open(f"{path}.index", "wb") as file:
        np.savez(file, **{key: value for key, value in entries.items() if value is not None})
    with pytest.raises(ValueError, match="remove it"):
        archive_members(path, index=True)


def test_tar_archives_of_every_kind(tmp_path):
    for kind in ("ustar", "gnu", "pax"):
        plain = make_tar(
            tmp_path / "a.tar", {**IMAGES, "d/" * 60 + "x.jpg": GARBAGE}, kind if kind != "ustar" else "gnu"
        )
        with open(plain, "rb") as file:
            data = file.read()
        for joined in (
            data,
            data + data,
            data.rstrip(b"\0").ljust(-(-len(data.rstrip(b"\0")) // 512) * 512, b"\0"),
        ):
            (tmp_path / "a.tar").write_bytes(joined)
            (tmp_path / "a.tar.gz").write_bytes(gzip.compress(joined))
            expected = archive_members(tmp_path / "a.tar")
            members = archive_members(tmp_path / "a.tar.gz")
            assert members.names == expected.names
            assert np.array_equal(members.ranges, expected.ranges)
            assert (members.archives is None) == (expected.archives is None)
            for one, other in zip(members, expected, strict=True):
                with open(other.path, "rb") as file:
                    file.seek(other.offset)
                    assert one.read() == file.read(other.size)


@STREAMS
def test_streams_in_several_parts(tmp_path, name):
    compress = {"gz": gzip.compress, "tgz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}[
        name.rpartition(".")[2]
    ]
    plain = pathlib.Path(make_tar(tmp_path / "a.tar", IMAGES)).read_bytes()
    parts = [compress(plain[at : at + 1000]) for at in range(0, len(plain), 1000)]
    (tmp_path / name).write_bytes(b"".join(parts))
    assert read_all(archive_members(tmp_path / name)) == IMAGES
    (tmp_path / name).write_bytes(b"".join(parts) + bytes(512))
    assert read_all(archive_members(tmp_path / name)) == IMAGES
    (tmp_path / name).write_bytes(b"".join(parts[:-1]) + compress(b"") * 3 + parts[-1])
    assert read_all(archive_members(tmp_path / name)) == IMAGES


@STREAMS
def test_any_order(tmp_path, name):
    files = {f"{i}.jpg": GARBAGE[: i * 100] for i in range(200)}
    members = archive_members(make_archive(tmp_path / name, files))
    reader = members.reader
    order = [*range(200), *random.Random(1).sample(range(200), 30), 199, 0, 199, 5, 4, 3, 90, 91, 100, 99]
    for i in order:
        assert reader.read(i) == files[f"{i}.jpg"], i


def test_a_stream_is_read_once_if_threads_ask_a_little_out_of_order(tmp_path, monkeypatch):
    opened = []
    real = readers.CompressedFile
    monkeypatch.setattr(readers, "CompressedFile", lambda *args: opened.append(args) or real(*args))
    files = {f"{i:03}.jpg": GARBAGE[: i * 10] for i in range(200)}
    reader = archive_members(make_archive(tmp_path / "a.tar.gz", files)).reader
    order = list(range(200))
    for at in range(0, 200, 8):
        order[at : at + 8] = reversed(order[at : at + 8])
    assert [reader.read(i) for i in order] == [files[f"{i:03}.jpg"] for i in order]
    assert len(opened) == 1
    reader.read(0)
    assert len(opened) == 2


def test_load_reads_a_stream_once(tmp_path, monkeypatch):
    opened = []
    real = readers.CompressedFile
    monkeypatch.setattr(readers, "CompressedFile", lambda *args: opened.append(args) or real(*args))
    files = {f"{i:03}.jpg": IMAGES[FIRST] for i in range(100)}
    members = archive_members(make_archive(tmp_path / "a.tar.gz", files))
    assert len(fastimg.load(members, size=8, num_threads=2)) == 100
    assert len(opened) == 1


def test_passing_over_members_takes_little_memory(tmp_path):
    files = {f"{i}.jpg": bytes(1 << 20) for i in range(40)}
    reader = archive_members(make_archive(tmp_path / "a.tar.gz", files)).reader
    assert reader.read(39) == bytes(1 << 20)
    reader.read(0), reader.read(38)
    assert sum(map(len, reader._passed.values())) <= readers._MOST_PASSED_BYTES


def test_files_are_closed(path):
    before = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
    members = archive_members(path)
    read_all(members)
    if before:
        assert len(os.listdir("/proc/self/fd")) == before
    members.reader.read(0)
    del members
    if before:
        assert len(os.listdir("/proc/self/fd")) == before


def test_shards(tmp_path):
    files = {}
    for i in range(5):
        files |= {
            f"{i}.json": b'{"a": %d}' % i,
            f"{i}.jpg": IMAGES[FIRST],
            f"{i}.cls": b"%d" % i,
            f"{i}.txt": b"text",
        }
    for name in NAMES:
        shard = fastimg.read_shard(make_archive(tmp_path / name, files))
        assert shard.labels.tolist() == list(range(5))
        assert shard.metadata == [{"a": i} for i in range(5)] and shard.captions == ["text"] * 5
        assert_same(fastimg.load(shard.images), np.stack([EXPECTED[0]] * 5))


# ---- damage ------------------------------------------------------------------------------------


def errors_of(members):
    """What each member raises when it is read, or None."""
    found = []
    for member in members:
        try:
            member.read()
        except fastimg.JpegError as error:
            assert str(member) in str(error) and error.source == str(member)
            found.append(error)
        else:
            found.append(None)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_damage_is_that_of_the_images_concerned(tmp_path, name):
    files = {f"{i}.jpg": GARBAGE[i * 7000 : i * 7000 + 7000] for i in range(10)}
    path = pathlib.Path(make_archive(tmp_path / name, files))
    members = archive_members(path)
    data = path.read_bytes()
    assert len(data) > 60_000
    path.write_bytes(patch(data, 35_000, bytes(100)))
    for each in (members, pickle.loads(pickle.dumps(members))):
        bad = [error is not None for error in errors_of(each)]
        assert bad == [i == 4 for i in range(10)] if name.endswith(".zip") else all(bad[5:])
        if not name.endswith(("bz2", "xz")):  # which have larger blocks
            assert not any(bad[:4])
        told = []
        fastimg.load(each, size=8, on_error=told.append)
        assert len(told) == 10  # none of them is an image
    path.write_bytes(data[:35_000])
    bad = [error is not None for error in errors_of(members)]
    assert all(bad[6:])
    if not name.endswith(("bz2", "xz")):
        assert not any(bad[:4])
    # The same from the end to the beginning.
    again = pickle.loads(pickle.dumps(members))
    assert [error is not None for error in errors_of(again[::-1])][::-1] == bad
    path.unlink()
    with pytest.raises(FileNotFoundError, match=re.escape(str(path))):
        pickle.loads(pickle.dumps(members))[0].read()


@pytest.mark.parametrize("name", NAMES)
def test_an_archive_that_was_replaced(tmp_path, name):
    path = make_archive(tmp_path / name, IMAGES)
    members = archive_members(path)
    make_archive(tmp_path / name, {key: data[::-1] for key, data in IMAGES.items()})
    assert all("CRC-32" in str(error) or "damaged" in str(error) for error in errors_of(members))


@STREAMS
def test_listing_a_damaged_stream(tmp_path, name):
    path = pathlib.Path(make_archive(tmp_path / name, {"a.jpg": GARBAGE[:30_000], "b.jpg": GARBAGE[30_000:]}))
    data = path.read_bytes()
    for size in (len(data) // 2, len(data) - 20):
        path.write_bytes(data[:size])
        refuse(path, "stream")
    path.write_bytes(data[: len(data) // 2])
    refuse(path, "after byte 0" if name.endswith("bz2") else "b.jpg")  # all is in one block of bzip2's
    path.write_bytes(patch(data, 500, bytes(100)))
    refuse(path, "stream")
    path.write_bytes(data + b"text")
    refuse(path, "stream")


def test_the_checksum_of_gzip(tmp_path):
    path = pathlib.Path(make_archive(tmp_path / "a.tgz", IMAGES))
    data = path.read_bytes()
    path.write_bytes(patch(data, len(data) - 8, b"1234"))
    refuse(path, "stream is damaged", "incorrect data check")


@STREAMS
def test_streams_of_something_else(tmp_path, name):
    compress = {"gz": gzip.compress, "tgz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}[
        name.rpartition(".")[2]
    ]
    for data, words in ((b"", ""), (b"text", "74 65 78 74"), (bytes(100), ""), (IMAGES[FIRST], "ff d8")):
        (tmp_path / name).write_bytes(compress(data))
        refuse(tmp_path / name, "expected a tar archive in the", words)


def test_a_tar_that_is_damaged_within_a_stream(tmp_path):
    plain = pathlib.Path(make_tar(tmp_path / "a.tar", {"a.jpg": b"data", "b.jpg": GARBAGE})).read_bytes()
    for data, words in (
        (plain[:60_000], "b.jpg"),
        (patch(plain, 1024, b"?"), "expected the header of a member"),
        (plain + b"text", "another tar archive"),
    ):
        (tmp_path / "a.tgz").write_bytes(gzip.compress(data))
        refuse(tmp_path / "a.tgz", words)


def test_damage_at_random(tmp_path):
    rng = random.Random(3)
    for name in NAMES:
        path = pathlib.Path(make_archive(tmp_path / name, IMAGES))
        data = path.read_bytes()
        for _ in range(60):
            at, size = rng.randrange(len(data)), rng.choice((1, 8, 100))
            path.write_bytes(data[:at] + rng.randbytes(size) + data[at + size :])
            try:
                members = archive_members(path)
            except ValueError as error:
                assert type(error) is ValueError and str(path) in str(error)
                continue
            for member, error in zip(members, errors_of(members), strict=True):
                if error is None:
                    assert bytes(member.read()) == IMAGES[str(member)[len(str(path)) + 1 :]]
