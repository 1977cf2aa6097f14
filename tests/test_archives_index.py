# SPDX-License-Identifier: BSD-3-Clause
"""Listings that are kept beside the archive: used while they are right, never wrong, and never in the way."""

import errno
import os
import pathlib
import re
import shutil
import tarfile
from collections import Counter

import numpy as np
import pytest
from support.archive_files import IMAGES, contents, make_archive, make_tar, patch
from support.cli_common import table

import fastimg
from fastimg import archive_members, archives
from fastimg.archives import saved
from fastimg.cli import main

FILES = {**IMAGES, "labels.txt": b"text", ".hidden.jpg": b"data", "train/grün.png": b"more"}


@pytest.fixture(params=["tar", "zip"])
def path(request, tmp_path):
    return make_archive(tmp_path / f"a.{request.param}", FILES)


@pytest.fixture
def listed(monkeypatch):
    """How many times an archive has been listed from itself."""
    counter = Counter()
    real = archives.list_archive

    def count(*args):
        counter["listed"] += 1
        return real(*args)

    monkeypatch.setattr(archives, "list_archive", count)
    return counter


def index_of(path):
    return pathlib.Path(f"{path}.index")


def rewrite(path, **changes):
    """Write the index with other entries; None leaves one out."""
    with np.load(index_of(path)) as found:
        entries = dict(found)
    entries |= changes
    with open(index_of(path), "wb") as file:
        np.savez(file, **{key: value for key, value in entries.items() if value is not None})


def test_the_second_listing_is_from_the_index(path, listed):
    members = archive_members(path)
    assert not index_of(path).exists()
    assert archive_members(path, index=True) == members == archive_members(path, index=True)
    assert listed["listed"] == 2
    assert contents(archive_members(path, index=True)) == IMAGES
    assert sorted(os.listdir(os.path.dirname(path))) == [
        os.path.basename(path),
        f"{os.path.basename(path)}.index",
    ]


@pytest.mark.parametrize("extensions", [(".jpg",), (".png", ".txt"), ("",), ()])
def test_it_holds_every_member(path, listed, extensions):
    archive_members(path, index=True)
    assert archive_members(path, extensions, index=True) == archive_members(path, extensions)
    assert listed["listed"] == 2


def test_archives_that_follow_one_another(tmp_path):
    for name in ("a", "b"):
        make_tar(tmp_path / f"{name}.tar", {"1.jpg": IMAGES["train/cat/0.jpg"], "1.cls": name.encode()})
    with open(tmp_path / "a.tar", "ab") as file:
        file.write((tmp_path / "b.tar").read_bytes())
    for _ in range(2):
        shard = fastimg.read_shard(tmp_path / "a.tar", index=True)
        assert shard.labels.tolist() == ["a", "b"]
    assert np.load(index_of(tmp_path / "a.tar"))["archives"].tolist() == [0, 0, 1, 1]


def test_an_archive_that_changed_is_listed_anew(path, listed):
    archive_members(path, index=True)
    make_archive(pathlib.Path(path), {"other.jpg": b"data"})
    assert archive_members(path, index=True).names == ["other.jpg"]
    assert archive_members(path, index=True).names == ["other.jpg"]
    assert listed["listed"] == 2
    stat = os.stat(path)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))  # the size is the same
    archive_members(path, index=True)
    archive_members(path, index=True)
    assert listed["listed"] == 3


def test_another_version_is_written_anew(path, listed):
    archive_members(path, index=True)
    stamp = np.load(index_of(path))[saved._FORMAT]
    rewrite(path, **{saved._FORMAT: stamp + np.array([1, 0, 0, 0])})
    members = archive_members(path, index=True)
    assert members == archive_members(path, index=True) == archive_members(path)
    assert np.load(index_of(path))[saved._FORMAT].tolist() == stamp.tolist()


def test_an_archive_and_its_index_can_be_moved(path, tmp_path, listed):
    archive_members(path, index=True)
    (tmp_path / "new").mkdir()
    moved = shutil.move(path, tmp_path / "new")
    shutil.move(index_of(path), tmp_path / "new")
    assert contents(archive_members(moved, index=True)) == IMAGES
    assert listed["listed"] == 1


def test_faults_are_those_of_the_members_that_count(tmp_path, listed):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, headers in (("a.jpg", {}), ("s.png", {"GNU.sparse.map": "0,0", "GNU.sparse.size": "0"})):
            info = tarfile.TarInfo(name)
            info.pax_headers = headers
            tar.addfile(info)
    for _ in range(2):
        assert archive_members(tmp_path / "a.tar", index=True).names == ["a.jpg"]
        with pytest.raises(
            ValueError, match=re.escape(f"{tmp_path}/a.tar: member s.png is stored as a sparse file")
        ):
            archive_members(tmp_path / "a.tar", [".png"], index=True)
    assert listed["listed"] == 1


def test_a_damaged_archive_has_no_index(tmp_path):
    path = pathlib.Path(make_tar(tmp_path / "a.tar", FILES))
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match="cut short"):
        archive_members(path, index=True)
    assert os.listdir(tmp_path) == ["a.tar"]


# ---- where it cannot be written ----------------------------------------------------------------


@pytest.mark.parametrize("error", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_folder_that_cannot_be_written(path, monkeypatch, error, listed):
    def fail(*args, **kwargs):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(saved.np, "savez", fail)
    for _ in range(2):
        assert contents(archive_members(path, index=True)) == IMAGES
    assert listed["listed"] == 2
    assert os.listdir(os.path.dirname(path)) == [os.path.basename(path)]


def test_an_archive_that_changes_meanwhile(path, monkeypatch):
    real = archives.list_archive

    def list_and_change(*args):
        listing = real(*args)
        os.utime(path, ns=(0, 0))
        return listing

    monkeypatch.setattr(archives, "list_archive", list_and_change)
    archive_members(path, index=True)
    assert not index_of(path).exists()


# ---- what is no index --------------------------------------------------------------------------


def refuse(path):
    content = index_of(path).read_bytes()
    with pytest.raises(ValueError, match=re.escape(f"{path}.index: ")) as caught:
        archive_members(path, index=True)
    assert "remove it" in str(caught.value)
    assert index_of(path).read_bytes() == content  # it may be the user's
    archive_members(path)


@pytest.mark.parametrize("content", [b"", b"text", b"PK\5\6" + bytes(18), IMAGES["train/cat/0.jpg"]])
def test_another_file_of_that_name(path, content):
    index_of(path).write_bytes(content)
    refuse(path)


def test_arrays_of_another_kind(path, tmp_path):
    for arrays in ({"a": np.zeros(5)}, {"fastimg_file_index": np.array([1, 2])}):
        with open(index_of(path), "wb") as file:
            np.savez(file, **arrays)
        refuse(path)
    with open(index_of(path), "wb") as file:
        np.save(file, np.zeros(5))
    refuse(path)
    index_of(path).unlink()
    index_of(path).mkdir()
    with pytest.raises(IsADirectoryError):
        archive_members(path, index=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"names": None},
        {"ranges": None},
        {"more": np.zeros(1)},
        {"names": np.frombuffer(b"a\0", np.uint8)},
        {"names": np.frombuffer(b"\xff\0" * 6, np.uint8)},
        {"names": np.zeros(6, np.int64)},
        {"ranges": np.zeros((6, 2), np.int64)},
        {"ranges": np.zeros((6, 3), np.uint64)},
        {"ranges": np.full((6, 2), 2**63, np.uint64)},
        {"ranges": np.array([[0, 10**6]] * 6, np.uint64)},
        {"fault_positions": np.array([0])},
        {"fault_positions": np.array([6]), "faults": np.frombuffer(b"text\0", np.uint8)},
        {"fault_positions": np.array([-1]), "faults": np.frombuffer(b"text\0", np.uint8)},
        {"names": np.array([None] * 6)},
    ],
    ids=lambda changes: " ".join(changes),
)
def test_entries_that_cannot_be(path, changes):
    archive_members(path, index=True)
    rewrite(path, **changes)
    refuse(path)


def test_an_index_that_is_compressed(path):
    archive_members(path, index=True)
    with np.load(index_of(path)) as found:
        entries = dict(found)
    with open(index_of(path), "wb") as file:
        np.savez_compressed(file, **entries)
    refuse(path)


def test_every_byte_of_an_index(path):
    members = archive_members(path, [""], index=True)
    data = index_of(path).read_bytes()
    for at in range(0, len(data), 3):
        index_of(path).write_bytes(patch(data, at, bytes([data[at] ^ 0x11])))
        try:
            found = archive_members(path, [""], index=True)
        except ValueError as error:
            assert str(index_of(path)) in str(error)
        else:
            assert found == members
    for size in range(0, len(data), 29):
        index_of(path).write_bytes(data[:size])
        refuse(path)


# ---- the command -------------------------------------------------------------------------------


def test_commands(tmp_path, monkeypatch, capsys, listed):
    monkeypatch.chdir(tmp_path)
    make_archive(tmp_path / "a.tar", FILES)
    for words in (
        ["load", "a.tar", "-o", "x.npy"],
        ["load", "--labels", "a.tar", "-o", "y.npy"],
        ["check", "a.tar"],
        ["info", "a.tar"],
    ):
        assert main([*words, "--index"]) == 0
    assert listed["listed"] == 1
    assert index_of("a.tar").exists()
    assert [row[1] for row in table(tmp_path / "y.files.csv")[1:]] == [f"a.tar/{name}" for name in IMAGES]
    out = capsys.readouterr().out
    index_of("a.tar").write_bytes(b"text")
    assert main(["load", "a.tar", "-o", "x.npy", "--index"]) == 2
    assert "a.tar.index: not an index" in capsys.readouterr().err
    assert main(["check", "a.tar", "--index"]) == 1
    assert out.count(".txt") == 2  # what load left out
