# SPDX-License-Identifier: BSD-3-Clause
"""Members of tar and zip archives: all that are there, and where they are."""

import io
import os
import pathlib
import pickle
import shutil
import struct
import subprocess
import tarfile
import zipfile

import pytest
from support.archive_files import (
    EXPECTED,
    FIRST,
    IMAGES,
    TAR_FORMATS,
    bytes_of,
    contents,
    make_archive,
    make_tar,
    make_zip,
    refuse,
)
from support.files import touch
from support.jpegs import assert_same

import fastimg
from fastimg import FileRange, archive_members

KINDS = pytest.mark.parametrize("kind", ["tar", "zip"])


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
    touch(tmp_path / "out", *names)
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
    [(zipfile.ZIP_BZIP2, "bzip2"), (zipfile.ZIP_LZMA, "lzma")],
)
def test_compressed_member(tmp_path, method, word):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("labels.txt", "0" * 99, method)  # none of ours
        archive.writestr("a.jpg", IMAGES[FIRST])
    assert [member.name for member in archive_members(tmp_path / "a.zip")] == ["a.jpg"]
    with zipfile.ZipFile(tmp_path / "a.zip", "a") as archive:
        archive.writestr("b.jpg", IMAGES[FIRST], method)
    refuse(tmp_path / "a.zip", "b.jpg", f"({word})", "zip -0")


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
