# SPDX-License-Identifier: BSD-3-Clause
"""Archives that are damaged, compressed or none: an error that says so, and nothing from them."""

import errno
import io
import os
import pathlib
import random
import re
import struct
import subprocess
import tarfile

import pytest
from support.archive_files import (
    FIRST,
    IMAGES,
    bytes_of,
    make_archive,
    make_tar,
    make_zip,
    patch,
    patch_tar_header,
    refuse,
)

import fastimg
from fastimg import archive_members
from fastimg.archives import open_regular

# ---- what is no plain archive ------------------------------------------------------------------


def test_zstd_tar(tmp_path):
    (tmp_path / "a.tar.zst").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(range(250)))
    refuse(tmp_path / "a.tar.zst", "zstd", "unzstd it first")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "an empty file"),
        (b"x", "begins with 78"),
        (IMAGES[FIRST], "begins with ff d8 ff"),
        (b"text\n" * 999, "begins with 74 65 78 74"),
        (bytes(512), "begins with 00 00 00 00"),
        (bytes(2**20), "begins with 00 00 00 00"),
        (bytes(512) + b"x" * 512, "begins with 00 00 00 00"),
        (b"Rar!\x1a\7\1\0" + bytes(99), "RAR"),
    ],
    ids=["empty", "one byte", "JPEG", "text", "a block of zeros", "many zeros", "zeros and more", "RAR"],
)
def test_not_an_archive(tmp_path, data, words):
    (tmp_path / "a.tar").write_bytes(data)
    refuse(tmp_path / "a.tar", "expected a tar or zip archive", words)


def test_zip_that_is_cut_short(tmp_path):
    path = pathlib.Path(make_zip(tmp_path / "a.zip", IMAGES))
    data = path.read_bytes()
    for size in range(4, len(data), 7):
        path.write_bytes(data[:size])
        refuse(path)
    path.write_bytes(data[: len(data) // 2])
    refuse(path, "cut short")


def test_tar_that_is_cut_short(tmp_path):
    # Wherever it is cut, either an error, or the file ends with a whole member, as tar itself takes for an end.
    path = pathlib.Path(make_tar(tmp_path / "a.tar", IMAGES))
    data = path.read_bytes()
    members = archive_members(path)
    ends = {-(-(member.offset + member.size) // 512) * 512: i for i, member in enumerate(members, 1)}
    for size in range(0, max(ends) + 1, 64):
        path.write_bytes(data[:size])
        if size in ends:
            assert archive_members(path) == members[: ends[size]]
        elif size - size % 512 in ends:
            refuse(path, "damaged")
        elif size < max(ends) - 512:
            refuse(path)


def test_data_that_reaches_past_the_end(tmp_path):
    path = make_tar(tmp_path / "a.tar", {"a.jpg": b"data", "labels.bin": b"x" * 4000, "b.jpg": IMAGES[FIRST]})
    members = archive_members(path)
    os.truncate(path, members[1].offset + members[1].size - 1)
    refuse(path, "cut short", "b.jpg", str(members[1].size))
    os.truncate(path, members[0].offset + 2000)
    refuse(path, "cut short", "labels.bin")


def test_missing_and_special_files(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for call in (archive_members, fastimg.read_shard):
        with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path / "missing.tar"))):
            call(tmp_path / "missing.tar")
        with pytest.raises(IsADirectoryError, match=re.escape(str(tmp_path))):
            call(tmp_path)
        with pytest.raises(OSError, match="expected a regular file, found a FIFO") as caught:
            call(tmp_path / "fifo")  # and it does not wait for a writer
        assert (caught.value.errno, caught.value.filename) == (errno.EINVAL, str(tmp_path / "fifo"))


def test_a_disk_that_fails_meanwhile(archive):
    with pytest.raises(OSError) as caught, open_regular(archive):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    assert (caught.value.errno, caught.value.filename) == (errno.EIO, archive)
    assert archive in str(caught.value)


@pytest.mark.parametrize("bad", [None, 5, b"a.tar", ["a.tar"]], ids=repr)
def test_not_a_path(bad):
    with pytest.raises(TypeError):
        archive_members(bad)


@pytest.mark.parametrize("bad", [".jpg", b".jpg", 5, None, [5], [b".jpg"]], ids=repr)
def test_not_extensions(archive, bad):
    with pytest.raises(TypeError, match="extensions must be a sequence of str"):
        archive_members(archive, bad)


# ---- zip archives that are damaged -------------------------------------------------------------


def central(data):
    """Where the directory's first entry begins."""
    return data.index(b"PK\1\2")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        (8, b"\1\0", ["encrypted"]),
        (8, b"\x41\0", ["encrypted"]),
        (10, b"\x60\0", ["compressed", "method 96", "zip -0"]),
        (20, struct.pack("<I", 2**31), ["expected stored data of"]),
        (20, struct.pack("<II", 2**31, 2**31), ["cut short", FIRST, str(2**31)]),
        (20, struct.pack("<II", 2**32 - 1, 2**32 - 1), ["damaged"]),
        (42, struct.pack("<I", 5), ["its header at byte 5"]),
        (42, struct.pack("<I", 2**31), [f"its header at byte {2**31}"]),
        (46, b"X", ["its header at byte 0"]),
        (0, b"PK\1\3", ["damaged zip archive"]),
        (28, b"\xff\xff", ["damaged zip archive"]),
    ],
    ids=["encrypted", "strongly encrypted", "unknown method", "sizes that differ", "huge size", "size of zip64",
         "wrong offset", "huge offset", "wrong name", "bad signature", "long name"],
)  # fmt: skip
def test_damaged_directory(tmp_path, field, value, words):
    path = make_zip(tmp_path / "a.zip", IMAGES)
    data = pathlib.Path(path).read_bytes()
    pathlib.Path(path).write_bytes(patch(data, central(data) + field, value))
    refuse(path, *words)


def test_local_header_that_leads_elsewhere(tmp_path):
    path = make_zip(tmp_path / "a.zip", IMAGES)
    data = pathlib.Path(path).read_bytes()
    last = data.rindex(b"PK\3\4")
    pathlib.Path(path).write_bytes(patch(data, last + 28, b"\xff\xff"))  # the length of its extra field
    refuse(path, "cut short", list(IMAGES)[-1])


def test_negative_offset(tmp_path):
    # The directory claims to begin later than it does: all offsets are shifted to before the file.
    path = make_zip(tmp_path / "a.zip", IMAGES)
    data = pathlib.Path(path).read_bytes()
    end = data.rindex(b"PK\5\6")
    pathlib.Path(path).write_bytes(patch(data, end + 16, struct.pack("<I", central(data) + 1000)))
    refuse(path, "its header at byte -1000")


@pytest.mark.parametrize("size", [2**31, 2**32 - 2])
def test_directory_of_a_huge_size(tmp_path, size):
    path = make_zip(tmp_path / "a.zip", IMAGES)
    data = pathlib.Path(path).read_bytes()
    end = data.rindex(b"PK\5\6")
    pathlib.Path(path).write_bytes(patch(data, end + 12, struct.pack("<I", size)))
    refuse(path, "damaged zip archive")


def test_members_that_overlap(tmp_path):
    path = make_zip(tmp_path / "a.zip", IMAGES)
    data = pathlib.Path(path).read_bytes()
    size = struct.unpack_from("<I", data, central(data) + 20)[0] + 1
    pathlib.Path(path).write_bytes(patch(data, central(data) + 20, struct.pack("<II", size, size)))
    refuse(path, "overlap", *list(IMAGES)[:2])


def test_members_of_one_place(tmp_path):
    # Two entries of the directory for the same bytes, both correct by themselves.
    path = make_zip(tmp_path / "a.zip", {"a.jpg": b"data", "b.jpg": b"data"})
    data = pathlib.Path(path).read_bytes()
    second = data.rindex(b"PK\1\2")
    first = data[central(data) : second]
    pathlib.Path(path).write_bytes(data[:second] + first + data[second + len(first) :])
    refuse(path, "overlap", "a.jpg")


# ---- tar archives that are damaged -------------------------------------------------------------


def sparse_file(tmp_path):
    path = tmp_path / "image.jpg"
    with open(path, "wb") as file:
        file.write(IMAGES[FIRST])
        file.seek(10**6)
        file.write(b"end")
    return path


@pytest.mark.skipif("GNU tar" not in os.popen("tar --version 2>&1").read(), reason="needs GNU tar")
@pytest.mark.parametrize("kind", ["gnu", "pax 0.0", "pax 0.1", "pax 1.0"])
def test_sparse_members(tmp_path, kind):
    options = [
        f"--{name}={value}" for name, value in zip(("format", "sparse-version"), kind.split(), strict=False)
    ]
    sparse_file(tmp_path)
    (tmp_path / "b.jpg").write_bytes(IMAGES[FIRST])
    subprocess.run(["tar", "cSf", "a.tar", *options, "image.jpg", "b.jpg"], cwd=tmp_path, check=True)
    assert os.path.getsize(tmp_path / "a.tar") < 10**6
    refuse(tmp_path / "a.tar", "image.jpg", "sparse")
    assert archive_members(tmp_path / "a.tar", [".txt"]) == []
    [member] = archive_members(tmp_path / "a.tar", ["b.jpg"])
    assert bytes_of(member) == IMAGES[FIRST]


def damaged_tar(tmp_path, field, value, which=0):
    path = pathlib.Path(make_tar(tmp_path / "a.tar", IMAGES, "gnu"))
    at = archive_members(path)[which].offset - 512
    path.write_bytes(patch_tar_header(path.read_bytes(), at, field, value))
    return path


def binary(size):
    """GNU tar's encoding of a size: the first bit is set."""
    encoded = bytearray(size.to_bytes(12, "big", signed=True))
    encoded[0] |= 0x80
    return bytes(encoded)


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize(
    "size",
    [-1, -511, -512, -513, -(10**4), -(2**62), 2**40, 2**62, 2**63 - 1, 2**70, 2**87],
)
def test_tar_sizes_that_cannot_be(tmp_path, size, which):
    refuse(damaged_tar(tmp_path, 124, binary(size), which))


@pytest.mark.parametrize("kind", [b"L", b"K", b"x", b"g", b"S"])
@pytest.mark.parametrize("size", [-1, -600, 2**21, 2**40, 2**70])
def test_tar_headers_of_a_size_that_cannot_be(tmp_path, kind, size):
    path = damaged_tar(tmp_path, 124, binary(size))
    path.write_bytes(patch_tar_header(path.read_bytes(), 0, 156, kind))
    refuse(path)


def test_tar_with_a_damaged_header(tmp_path):
    path = pathlib.Path(make_tar(tmp_path / "a.tar", IMAGES))
    data = path.read_bytes()
    for member in archive_members(path)[1:]:
        path.write_bytes(patch(data, member.offset - 512, b"?"))
        refuse(path, f"expected the header of a member, or the end, at byte {member.offset - 512}")
        # A block of zeros is half an end only.
        path.write_bytes(patch(data, member.offset - 512, bytes(512)))
        refuse(path, "damaged")


def test_tar_of_long_names_alone(tmp_path):
    # A header that another is to follow, a thousand times over.
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 5
    (tmp_path / "a.tar").write_bytes((header.tobuf(tarfile.GNU_FORMAT) + b"name".ljust(512, b"\0")) * 3000)
    refuse(tmp_path / "a.tar", "damaged")


@pytest.mark.parametrize("size", ["-1", "-100000", "9" * 30, "x"])
def test_pax_size(tmp_path, size):
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        for name in ("a.jpg", "b.jpg"):
            info = tarfile.TarInfo(name)
            info.size, info.pax_headers = 2000, {"size": size}
            tar.addfile(info, io.BytesIO(b"x" * 2000))
    refuse(tmp_path / "a.tar")


def test_pax_name_with_a_null(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("a.jpg")
        info.pax_headers = {"path": "a\0b.jpg"}
        tar.addfile(info)
    refuse(tmp_path / "a.tar", "null character")


@pytest.mark.parametrize("value", [0, 0xFF, None])
def test_every_single_byte(tmp_path, value):
    for kind, step in (("tar", 3), ("zip", 1)):
        path = pathlib.Path(make_archive(tmp_path / f"a.{kind}", {"a.jpg": b"data", "b.jpg": b"more"}))
        data = path.read_bytes()[:2048]
        for at in range(0, len(data), step):
            path.write_bytes(patch(data, at, bytes([data[at] ^ 1 if value is None else value])))
            check_what_is_given(path, len(data))


def test_garbage(tmp_path):
    rng = random.Random(0)
    for kind in ("tar", "zip"):
        path = pathlib.Path(make_archive(tmp_path / f"a.{kind}", IMAGES))
        data = path.read_bytes()
        for _ in range(200):
            broken = bytearray(data)
            for _ in range(rng.choice((1, 3, 20))):
                at, size = rng.randrange(len(data)), rng.choice((1, 2, 8, 600))
                broken[at : at + size] = rng.randbytes(size)
            path.write_bytes(broken)
            check_what_is_given(path, len(broken))
            if kind == "tar":  # past the checksums
                at = rng.randrange(0, len(data) - 512, 512)
                path.write_bytes(patch_tar_header(bytes(broken), at, rng.randrange(148), rng.randbytes(20)))
                check_what_is_given(path, len(data))


def check_what_is_given(path, size):
    try:
        members = archive_members(path)
    except ValueError as error:
        assert type(error) is ValueError and str(path) in str(error)
    else:
        assert all(member.offset + member.size <= size for member in members)
