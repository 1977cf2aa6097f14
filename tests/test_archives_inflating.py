# SPDX-License-Identifier: BSD-3-Clause
"""Compressed members and streams whose sizes or data cannot be."""

import bz2
import gzip
import io
import lzma
import pathlib
import random
import struct
import tarfile
import zlib

import numpy as np
import pytest
from support.archive_files import IMAGES, make_archive, patch, refuse

import fastimg
from fastimg import archive_members
from fastimg.archives import readers
from fastimg.archives.streams import CompressedFile, read_exactly

GARBAGE = random.Random(0).randbytes(70_000)  # which no codec makes smaller


@pytest.mark.parametrize("name", ["deflated.zip", "a.tar.gz"])
def test_no_memory_is_not_damage(tmp_path, monkeypatch, name):
    """zlib says both by one exception."""

    class Inflater:
        eof = False
        unconsumed_tail = unused_data = b""

        def decompress(self, *_):
            raise zlib.error("Error -4 while decompressing data")

    members = archive_members(make_archive(tmp_path / name, {"a.jpg": bytes(5000)}))
    monkeypatch.setattr(zlib, "decompressobj", lambda *_: Inflater())
    with pytest.raises(MemoryError, match="Error -4"):
        fastimg.load(members, size=8, on_error="fill")


# ---- zip archives that are damaged -------------------------------------------------------------


def deflated(tmp_path, field, value):
    """An archive with one entry of the directory changed."""
    path = pathlib.Path(make_archive(tmp_path / "deflated.zip", {"a.jpg": bytes(5000)}))
    data = path.read_bytes()
    path.write_bytes(patch(data, data.index(b"PK\1\2") + field, value))
    return path


def test_a_size_that_cannot_be(tmp_path):
    path = deflated(tmp_path, 24, struct.pack("<I", 10**9))
    refuse(path, "a.jpg is damaged", "cannot be 1000000000 when they are inflated")


@pytest.mark.parametrize("size", [0, 4999, 5001, 6000])
def test_another_size(tmp_path, size):
    [member] = archive_members(deflated(tmp_path, 24, struct.pack("<I", size)))
    with pytest.raises(fastimg.CorruptJpegError, match=f"expected {size} bytes, found"):
        member.read()


def test_a_bomb_is_not_inflated(tmp_path, monkeypatch):
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = packed.compress(bytes(1 << 28)) + packed.flush()  # 256 MiB
    path = pathlib.Path(make_archive(tmp_path / "deflated.zip", {"a.jpg": b"x" * 100}))
    reader = archive_members(path).reader
    path.write_bytes(bomb)
    reader._places = np.array([[0, len(bomb), 1000]], np.uint64)
    most = 0

    class Inflater:
        def __init__(self, real):
            self._real = real

        def decompress(self, data, limit):
            nonlocal most
            image = self._real.decompress(data, limit)
            most = max(most, len(image))
            return image

        def __getattr__(self, name):
            return getattr(self._real, name)

    real = zlib.decompressobj
    monkeypatch.setattr(readers.zlib, "decompressobj", lambda *args: Inflater(real(*args)))
    with pytest.raises(fastimg.CorruptJpegError, match="expected 1000 bytes, found at least 1001"):
        reader.read(0)
    assert most == 1001


def test_another_checksum(tmp_path):
    [member] = archive_members(deflated(tmp_path, 16, b"1234"))
    with pytest.raises(fastimg.CorruptJpegError, match="CRC-32"):
        member.read()


def test_bytes_after_the_data(tmp_path):
    path = make_archive(tmp_path / "deflated.zip", {"a.jpg": b"x" * 1000})
    reader = archive_members(path).reader
    reader._places[0, 1] += 3
    with pytest.raises(fastimg.CorruptJpegError, match="damaged"):
        reader.read(0)
    reader._places[0, 1] -= 5
    with pytest.raises(fastimg.CorruptJpegError, match="at least"):
        reader.read(0)


def test_encrypted_members_are_refused(tmp_path):
    path = pathlib.Path(make_archive(tmp_path / "deflated.zip", {"a.jpg": bytes(5000)}))
    data = path.read_bytes()
    path.write_bytes(patch(data, data.index(b"PK\1\2") + 8, b"\1\0"))
    refuse(path, "a.jpg is encrypted")


# ---- the stream itself -------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["gzip", "bzip2", "xz"])
def test_streams_are_read_to_their_end(tmp_path, codec):
    data = GARBAGE + bytes(10**6) + GARBAGE
    compress = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}[codec]
    (tmp_path / "a").write_bytes(compress(data))
    for step in (1, 1000, 10**7):
        stream = CompressedFile(str(tmp_path / "a"), codec)
        expected = data if step > 1 else data[:3000]
        found = io.BytesIO()
        while found.tell() < len(expected) and (part := stream.read(step)):
            assert len(part) <= step
            found.write(part)
        assert found.getvalue() == expected
        if step > 1:
            assert stream.read(1) == b"" == stream.read(1)
        stream.close()
    stream = CompressedFile(str(tmp_path / "a"), codec)
    assert b"".join(read_exactly(stream, 10**8)) == data
    stream.close()


def test_a_python_without_a_codec(tmp_path, monkeypatch):
    path = make_archive(tmp_path / "a.tar.xz", IMAGES)
    monkeypatch.setitem(__import__("sys").modules, "lzma", None)
    refuse(path, "this Python cannot read xz")


def test_sparse_members_of_a_stream(tmp_path):
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as tar:
        for name, headers in (
            ("a.jpg", {}),
            ("s.jpg", {"GNU.sparse.map": "0,0", "GNU.sparse.size": "0"}),
            ("b.jpg", {}),
        ):
            info = tarfile.TarInfo(name)
            info.pax_headers = headers
            tar.addfile(info)
    refuse(tmp_path / "a.tgz", "s.jpg is stored as a sparse file")
    assert [str(member) for member in archive_members(tmp_path / "a.tgz", ["b.jpg"])] == [
        f"{tmp_path}/a.tgz/b.jpg"
    ]
