# SPDX-License-Identifier: BSD-3-Clause
"""Members of tar and zip archives: all that are there, where they are, and nothing from a damaged archive."""

import errno
import io
import os
import pathlib
import pickle
import random
import re
import shutil
import struct
import subprocess
import tarfile
import zipfile

import numpy as np
import pytest
from support import jpegs
from support.archive_files import TAR_FORMATS, make_archive, make_tar, make_zip, patch, patch_tar_header
from support.jpegs import assert_same

import fastimg
from fastimg import FileRange, archive_members
from fastimg.archives import open_regular

IMAGES = {f"train/{kind}/{i}.jpg": jpegs.jpeg(24, 31, seed=i) for i, kind in enumerate(("cat", "dog", "cat"))}
EXPECTED = np.stack([jpegs.reference(data) for data in IMAGES.values()])
FIRST = next(iter(IMAGES))

KINDS = pytest.mark.parametrize("kind", ["tar", "zip"])


def bytes_of(member):
    with open(member.path, "rb") as file:
        file.seek(member.offset)
        return file.read(member.size)


def contents(members):
    return {member.name: bytes_of(member) for member in members}


def refuse(path, *words, extensions=None):
    """The archive is a ValueError that names it, and says all of `words`."""
    with pytest.raises(ValueError) as caught:
        archive_members(path, *([] if extensions is None else [extensions]))
    assert type(caught.value) is ValueError
    for word in (str(path), *words):
        assert word in str(caught.value)


@pytest.fixture(params=["tar", "zip"])
def archive(request, tmp_path):
    return make_archive(tmp_path / f"shard.{request.param}", IMAGES)


# ---- what is listed ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", TAR_FORMATS)
def test_tar_formats(tmp_path, kind):
    path = make_tar(tmp_path / "a.tar", IMAGES, kind)
    assert contents(archive_members(path)) == IMAGES


def test_members_are_ranges_in_the_order_of_the_archive(tmp_path):
    files = {name: b"x" * i for i, name in enumerate(("b.jpg", "a.jpg", "d/c.jpg", "B.jpg"))}
    for name in ("a.tar", "a.zip"):
        path = make_archive(tmp_path / name, files)
        members = archive_members(pathlib.Path(path))
        assert [type(member) for member in members] == [FileRange] * 4
        assert [(member.path, member.name, member.size) for member in members] == [
            (path, file, len(data)) for file, data in files.items()
        ]
        assert [str(member) for member in members] == [f"{path}/{file}" for file in files]


@KINDS
def test_extensions(tmp_path, kind):
    names = ["a.jpg", "b.JPEG", "c.jpe", "d.JfIf", "e.png", "f", "jpg", "g.jpg.txt", "h.cls"]
    path = make_archive(tmp_path / f"a.{kind}", dict.fromkeys(names, b"data"))
    for extensions, expected in (
        (None, names[:4]),
        ((".png",), ["e.png"]),
        ([".PNG", ".cls"], ["e.png", "h.cls"]),
        (iter([".png"]), ["e.png"]),
        ([""], names),
        ([], []),
    ):
        members = archive_members(path) if extensions is None else archive_members(path, extensions)
        assert [member.name for member in members] == expected


@KINDS
def test_hidden_members_are_left_out_as_by_find_images(tmp_path, kind):
    names = ["a.jpg", "._a.jpg", ".jpg", "__MACOSX/._a.jpg", ".git/b.jpg", "c/.d/e.jpg", "./f.jpg", "c/g.jpg"]
    path = make_archive(tmp_path / f"a.{kind}", dict.fromkeys(names, b"data"))
    members = [member.name for member in archive_members(path)]
    assert members == ["a.jpg", "./f.jpg", "c/g.jpg"]
    for name in names:
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / name).touch()
    found = [os.path.relpath(image, tmp_path / "out") for image in fastimg.find_images(tmp_path / "out")]
    assert sorted(found) == sorted(os.path.normpath(name) for name in members)


@KINDS
@pytest.mark.parametrize(
    "name", ["grün.jpg", "写真.jpg", "a b\tc\n.jpg", "100%s{}.jpg", "😀.jpg", "x" * 300 + ".jpg"]
)
def test_unusual_names(tmp_path, kind, name):
    assert contents(archive_members(make_archive(tmp_path / f"a.{kind}", {name: b"data"}))) == {name: b"data"}


@pytest.mark.parametrize("kind", ["gnu", "pax"])
@pytest.mark.parametrize("length", [99, 100, 101, 155, 256, 257, 511, 512, 4000])
def test_long_names(tmp_path, kind, length):
    name = ("d/" * length)[: length - 5] + "x.jpg"
    assert contents(archive_members(make_tar(tmp_path / "a.tar", {name: b"data"}, kind))) == {name: b"data"}


@pytest.mark.parametrize("kind", ["gnu", "pax"])
def test_names_that_are_no_text(tmp_path, kind):
    name = os.fsdecode(b"\xff\xfe.jpg")
    [member] = archive_members(make_tar(tmp_path / "a.tar", {name: IMAGES[FIRST]}, kind))
    assert member.name == name
    accessor = pickle.loads(pickle.dumps(fastimg.ImageFileAccessor([member])))
    assert_same(accessor[0], EXPECTED[0])
    assert accessor._sources[0].name == name


def test_only_regular_members_of_a_tar(tmp_path):
    path = make_tar(tmp_path / "a.tar", {"a.jpg": b"data"})
    with tarfile.open(path, "a") as tar:
        for i, kind in enumerate(
            (
                tarfile.DIRTYPE,
                tarfile.SYMTYPE,
                tarfile.LNKTYPE,
                tarfile.FIFOTYPE,
                tarfile.CHRTYPE,
                tarfile.BLKTYPE,
            )
        ):
            info = tarfile.TarInfo(f"{i}.jpg")
            info.type, info.linkname = kind, "a.jpg"
            tar.addfile(info)
        for kind in (tarfile.CONTTYPE, tarfile.AREGTYPE):
            info = tarfile.TarInfo(f"regular {kind!r}.jpg")
            info.type, info.size = kind, 4
            tar.addfile(info, io.BytesIO(b"more"))
    assert [member.name for member in archive_members(path)] == [
        "a.jpg", "regular b'7'.jpg", "regular b'\\x00'.jpg",
    ]  # fmt: skip


def test_only_regular_members_of_a_zip(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, mode in (
            ("a.jpg", 0o100644),
            ("link.jpg", 0o120777),
            ("folder.jpg/", 0o40755),
            ("dos.jpg", 0),
        ):
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, "" if name.endswith("/") else "a.jpg")
    assert [member.name for member in archive_members(tmp_path / "a.zip")] == ["a.jpg", "dos.jpg"]


@KINDS
def test_an_archive_without_members(tmp_path, kind):
    assert archive_members(make_archive(tmp_path / f"a.{kind}", {})) == []


@KINDS
def test_names_that_come_twice(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    if kind == "tar":
        make_tar(path, {"a.jpg": b"one"})
        make_tar(path, {"a.jpg": b"other"}, mode="a")
    else:
        make_zip(path, {"a.jpg": b"one"})
        with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning):
            archive.writestr("a.jpg", b"other")
    assert [bytes_of(member) for member in archive_members(path)] == [b"one", b"other"]


def test_the_kind_is_that_of_the_content(tmp_path):
    assert contents(archive_members(make_tar(tmp_path / "a.zip", IMAGES))) == IMAGES
    os.rename(make_zip(tmp_path / "b.zip", IMAGES), tmp_path / "b.tar")
    assert contents(archive_members(tmp_path / "b.tar")) == IMAGES


def test_a_tar_that_holds_a_zip(tmp_path):
    # The end of the file looks like the end of a zip archive.
    with open(make_zip(tmp_path / "a.zip", {"inner.jpg": b"data"}), "rb") as file:
        path = make_tar(tmp_path / "a.tar", {"a.jpg": b"data", "a.zip": file.read()})
    assert [member.name for member in archive_members(path)] == ["a.jpg"]


# ---- zip archives of every kind ----------------------------------------------------------------


class Pipe(io.BytesIO):
    """Cannot be sought: sizes come behind the data then, in a data descriptor."""

    def seekable(self):
        return False

    def seek(self, *_):
        raise io.UnsupportedOperation

    def tell(self):
        raise io.UnsupportedOperation


def test_zip64(tmp_path):
    path = make_zip(tmp_path / "a.zip", IMAGES, force_zip64=True)
    assert contents(archive_members(path)) == IMAGES


def test_zip64_offsets(tmp_path):
    # More than 4 GiB in front: the directory tells of offsets in its extra fields.
    path = tmp_path / "a.zip"
    try:
        with open(path, "wb") as file:
            file.seek(5 * 2**30)
            with zipfile.ZipFile(file, "w") as archive:
                for name, data in IMAGES.items():
                    archive.writestr(name, data)
    except OSError:
        pytest.skip("no sparse file of that size here")
    members = archive_members(path)
    assert members[0].offset > 5 * 2**30
    assert contents(members) == IMAGES


def test_zip_with_data_descriptors(tmp_path):
    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w") as archive:
        for name, data in IMAGES.items():
            archive.writestr(name, data)
    data = pipe.getvalue()
    assert data[6] & 8  # bit 3: sizes follow
    (tmp_path / "a.zip").write_bytes(data)
    assert contents(archive_members(tmp_path / "a.zip")) == IMAGES


@pytest.mark.parametrize(
    "prefix", [b"#!/bin/sh\nexit\n", bytes(700), b"\xff\xd8\xff\xe0" * 99, b"x" * 70_000]
)
def test_zip_behind_other_data(tmp_path, prefix):
    path = make_zip(tmp_path / "a.zip", IMAGES)
    data = pathlib.Path(path).read_bytes()
    pathlib.Path(path).write_bytes(prefix + data)
    assert contents(archive_members(path)) == IMAGES


def test_zip_with_comments_and_extra_fields(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.comment = b"a comment that is as long as it may be".ljust(65535)
        for name, data in IMAGES.items():
            info = zipfile.ZipInfo(name)
            info.comment, info.extra = b"a comment", struct.pack("<HH5s", 0x9999, 5, b"12345")
            archive.writestr(info, data)
    assert contents(archive_members(tmp_path / "a.zip")) == IMAGES


@pytest.mark.skipif(shutil.which("zip") is None, reason="needs zip")
def test_archives_of_info_zip(tmp_path):
    for name, data in IMAGES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    subprocess.run(["zip", "-q0r", "a.zip", "train"], cwd=tmp_path, check=True)
    assert contents(archive_members(tmp_path / "a.zip")) == IMAGES


def test_zip_names_in_the_old_character_set(tmp_path):
    path = make_zip(tmp_path / "a.zip", {"~~.jpg": b"data"})
    data = pathlib.Path(path).read_bytes().replace(b"~~", b"\x81\x84")
    pathlib.Path(path).write_bytes(data)
    assert contents(archive_members(path)) == {"üä.jpg": b"data"}


@pytest.mark.parametrize(
    ("method", "word"),
    [(zipfile.ZIP_DEFLATED, "deflate"), (zipfile.ZIP_BZIP2, "bzip2"), (zipfile.ZIP_LZMA, "lzma")],
)
def test_compressed_member(tmp_path, method, word):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("labels.txt", "0" * 99, method)  # none of ours
        archive.writestr("a.jpg", IMAGES[FIRST])
    assert [member.name for member in archive_members(tmp_path / "a.zip")] == ["a.jpg"]
    with zipfile.ZipFile(tmp_path / "a.zip", "a") as archive:
        archive.writestr("b.jpg", IMAGES[FIRST], method)
    refuse(tmp_path / "a.zip", "b.jpg", f"({word})", "zip -0")


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


# ---- what is no plain archive ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "kind", "remedy"),
    [
        ("w:gz", "gzip", "gunzip it first"),
        ("w:bz2", "bzip2", "bunzip2 it first"),
        ("w:xz", "xz", "unxz it first"),
    ],
)
def test_compressed_tar(tmp_path, mode, kind, remedy):
    refuse(make_tar(tmp_path / "a.tar", IMAGES, mode=mode), kind, remedy)


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


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize(
    "size",
    [-1, -511, -512, -513, -(10**4), -(2**62), 2**40, 2**62, 2**63 - 1, 2**70, 2**87],
)
def test_tar_sizes_that_cannot_be(tmp_path, size, which):
    encoded = bytearray(size.to_bytes(12, "big", signed=True))
    if size > 0:
        encoded[0] |= 0x80
    refuse(damaged_tar(tmp_path, 124, bytes(encoded), which))


@pytest.mark.parametrize("kind", [b"L", b"K", b"x", b"g", b"S"])
@pytest.mark.parametrize("size", [-1, -600, 2**21, 2**40, 2**70])
def test_tar_headers_of_a_size_that_cannot_be(tmp_path, kind, size):
    encoded = bytearray(size.to_bytes(12, "big", signed=True))
    if size > 0:
        encoded[0] |= 0x80
    path = damaged_tar(tmp_path, 124, bytes(encoded))
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


# ---- cost --------------------------------------------------------------------------------------


def test_data_is_not_read(tmp_path, monkeypatch):
    # Members of a terabyte, all hole: to read them would take hours.
    path = tmp_path / "a.tar"
    try:
        with open(path, "wb") as file:
            for name in ("a.jpg", "b.jpg"):
                info = tarfile.TarInfo(name)
                info.size = 2**40
                file.write(info.tobuf(tarfile.GNU_FORMAT))
                file.seek(2**40, os.SEEK_CUR)
            file.write(bytes(1024))
    except OSError:
        pytest.skip("no sparse file of that size here")
    assert [(member.offset, member.size) for member in archive_members(path)] == [
        (512, 2**40),
        (2**40 + 1024, 2**40),
    ]


# ---- members as sources ------------------------------------------------------------------------


def test_members_are_decoded_as_the_files(archive):
    members = archive_members(archive)
    assert_same(np.stack([fastimg.decode(member) for member in members]), EXPECTED)
    assert_same(fastimg.load(members), EXPECTED)
    assert_same(fastimg.load(members, size=9), fastimg.load(list(IMAGES.values()), size=9))
    assert fastimg.read_headers(members) == fastimg.read_headers(list(IMAGES.values()))
    for make in (fastimg.ImageFileAccessor, fastimg.NonUniformImageFileAccessor):
        accessor = make(members)
        for each in (accessor, pickle.loads(pickle.dumps(accessor))):
            assert_same(np.stack(each[:]), EXPECTED)
            assert_same(each[1], EXPECTED[1])


def errors_of(sources, index):
    """The same failure of everything that reads `sources`."""
    accessor = fastimg.ImageFileAccessor(sources)
    told = []
    fastimg.load(sources, on_error=told.append, size=8)
    yield from told
    for call in (
        lambda: fastimg.decode(sources[index]),
        lambda: fastimg.read_header(sources[index]),
        lambda: fastimg.load(sources),
        lambda: fastimg.read_headers(sources),
        lambda: accessor[index],
        lambda: pickle.loads(pickle.dumps(accessor))[index],
        lambda: fastimg.NonUniformImageFileAccessor(sources)[:],
    ):
        with pytest.raises(fastimg.JpegError) as caught:
            call()
        yield caught.value


@KINDS
def test_errors_name_the_member(tmp_path, kind):
    path = make_archive(tmp_path / f"a.{kind}", {**IMAGES, "bad/grün.jpg": b"no image"})
    members = archive_members(path)
    for error in errors_of(members, 3):
        assert f"{path}/bad/grün.jpg: not a JPEG file" in str(error)
        assert error.source == members[3]
        assert pickle.loads(pickle.dumps(error)).source == members[3]


def test_sizes_that_differ_name_the_members(tmp_path):
    path = make_tar(tmp_path / "a.tar", {"a.jpg": IMAGES[FIRST], "b.jpg": jpegs.jpeg(8, 8)})
    for sources in (archive_members(path), fastimg.ImageFileAccessor(archive_members(path))._sources):
        with pytest.raises(ValueError, match=re.escape(f"image 1, {path}/b.jpg, has height 8")):
            fastimg.load([sources[0], sources[1]])


def test_an_archive_that_is_gone(archive):
    members = archive_members(archive)
    os.unlink(archive)
    with pytest.raises(FileNotFoundError) as caught:
        fastimg.load(members)
    assert caught.value.filename == archive
    assert caught.value.source == members[0]
