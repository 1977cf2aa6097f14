# SPDX-License-Identifier: BSD-3-Clause
"""`fastimg load`, `check` and `info` of archives."""

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest
from support.archive_files import make_archive, make_tar, make_zip
from support.cli_common import PATHS, encoded, rows, run, table, with_precision

import fastimg
from fastimg.cli import main

ARCHIVES = pytest.mark.parametrize(
    "name", ["photos.tar", "photos.zip", "PHOTOS.TAR", "deflated.zip", "photos.tar.gz", "photos.tgz"]
)


@pytest.fixture
def files() -> dict[str, bytes]:
    return {name: encoded(seed) for seed, name in enumerate(PATHS, 1)}


@ARCHIVES
def test_load(here: Path, files: dict[str, bytes], name: str, capsys: pytest.CaptureFixture[str]) -> None:
    make_archive(here / name, {**files, "photos/labels.txt": b"text"})
    assert main(["load", name, "-o", "x.npy", "--labels"]) == 0
    np.testing.assert_array_equal(np.load("x.npy"), rows().transpose(0, 3, 1, 2))
    assert table(here / "x.files.csv") == [
        ["row", "path", "label", "error"],
        ["0", f"{name}/photos/cat/1.jpg", "0", ""],
        ["1", f"{name}/photos/cat/2.jpg", "0", ""],
        ["2", f"{name}/photos/dog/3.jpg", "1", ""],
    ]
    assert np.load("x.labels.npy").tolist() == [0, 0, 1]
    out, err = capsys.readouterr()
    assert err == "" and out.splitlines()[2] == "2 classes: 0 cat, 1 dog"


def test_load_in_the_order_of_the_archive(here: Path, files: dict[str, bytes]) -> None:
    make_tar(here / "a.tar", dict(reversed(files.items())))
    assert main(["load", "a.tar", "photos", "a.tar", PATHS[0], "-o", "x.npy"]) == 0
    order = [2, 1, 0, 0, 1, 2, 2, 1, 0, 0]
    np.testing.assert_array_equal(np.load("x.npy"), rows().transpose(0, 3, 1, 2)[order])
    paths = [row[1] for row in table(here / "x.files.csv")[1:]]
    members = [f"a.tar/{name}" for name in reversed(PATHS)]
    assert paths == [*members, *PATHS, *members, PATHS[0]]


def test_labels_of_archives_and_folders_together(here: Path, files: dict[str, bytes]) -> None:
    make_zip(here / "a.zip", {"emu/1.jpg": files[PATHS[0]], "deep/in/dog/1.jpg": files[PATHS[0]]})
    assert main(["load", "photos", "a.zip", "-o", "x.npy", "--labels"]) == 0
    assert np.load("x.labels.npy").tolist() == [0, 0, 1, 2, 1]


@pytest.mark.parametrize("member", ["1.jpg", "./1.jpg"])
def test_labels_of_members_without_a_folder(
    here: Path, capsys: pytest.CaptureFixture[str], member: str
) -> None:
    make_tar(here / "a.tar", {member: encoded(1)})
    assert main(["load", "a.tar", "-o", "x.npy", "--labels"]) == 2
    assert f"a.tar/{member}: no class: the member lies in no folder" in capsys.readouterr().err
    assert sorted(os.listdir()) == ["a.tar", "photos"]


def test_load_names_the_members_that_fail(
    here: Path, files: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    make_tar(here / "a.tar", {"bad.jpg": b"no image", **files})
    assert main(["load", "a.tar", "-o", "x.npy"]) == 1
    array = np.load("x.npy")
    assert not array[0].any()
    np.testing.assert_array_equal(array[1:], rows().transpose(0, 3, 1, 2))
    errors = [row[3] for row in table(here / "x.files.csv")[1:]]
    assert errors[0].startswith("image 0: a.tar/bad.jpg: not a JPEG file") and errors[1:] == ["", "", ""]
    assert capsys.readouterr().err == f"fastimg: {errors[0]}\n"


BAD = {
    "text.tar": (lambda path: path.write_text("text"), "expected a tar or zip archive"),
    "text.zip": (lambda path: path.write_text("text"), "expected a tar or zip archive"),
    "a.tar.gz": (
        lambda path: path.write_bytes(gzip.compress(b"text")),
        "expected a tar archive in the gzip stream",
    ),
    "a.tgz": (
        lambda path: path.write_bytes(gzip.compress(bytes(9000))[:-1]),
        "the gzip stream is damaged or cut short",
    ),
    "a.tar.zst": (lambda path: path.write_bytes(b"\x28\xb5\x2f\xfd" + bytes(99)), "unzstd it first"),
    "missing.tar": (lambda path: None, "No such file or directory"),
}


@pytest.mark.parametrize("name", BAD)
def test_archives_that_cannot_be_read(here: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    make, words = BAD[name]
    make(here / name)
    before = sorted(os.listdir())
    assert main(["load", "photos", name, "-o", "x.npy"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and name in err and words in err
    assert sorted(os.listdir()) == before

    assert main(["check", name, "photos"]) == 1
    lines = capsys.readouterr().out.splitlines()
    kind, reason, path = lines[0].split("\t")
    assert (kind, path) == ("unreadable", name) and words in reason
    assert lines[0].count(name) == 1
    assert lines[1:] == ["3 files: 3 fine, 1 unreadable"]

    assert main(["info", "--json", name, PATHS[0]]) == 1
    first, second = json.loads(capsys.readouterr().out)
    assert first.keys() == {"path", "error"} and first["path"] == name
    assert words in first["error"] and name not in first["error"]
    assert second["path"] == PATHS[0] and second["width"] == 37


def test_archive_without_images(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_tar(here / "a.tar", {"a.txt": b"text"})
    assert main(["load", "a.tar", "-o", "x.npy"]) == 2
    assert "no .jpg, .jpeg, .jpe, .jfif file below a.tar" in capsys.readouterr().err
    assert main(["check", "a.tar"]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("0 files: 0 fine\n", "fastimg: error: no file below a.tar\n")
    assert main(["info", "--json", "a.tar"]) == 0
    assert json.loads(capsys.readouterr().out) == []


@ARCHIVES
def test_check(here: Path, files: dict[str, bytes], name: str, capsys: pytest.CaptureFixture[str]) -> None:
    members = {
        "deep.jpg": with_precision(files[PATHS[0]], 12),
        **files,
        "cut.jpg": files[PATHS[0]][:-99],
        "page.jpg": b"<html>",
        "labels.txt": b"text",
        "odd.jpg": files[PATHS[0]][:-2],
    }
    make_archive(here / name, members)
    assert main(["check", name, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [(row["kind"], row["path"]) for row in found] == [
        ("unsupported", f"{name}/deep.jpg"),
        ("broken", f"{name}/cut.jpg"),
        ("not JPEG", f"{name}/page.jpg"),
        ("odd", f"{name}/odd.jpg"),
    ]
    assert all(row["reason"] and name not in row["reason"] for row in found)
    assert main(["check", name]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "7 files: 3 fine, 1 unsupported, 1 broken, 1 not JPEG (1 HTML), 1 odd"


@ARCHIVES
def test_info(here: Path, files: dict[str, bytes], name: str, capsys: pytest.CaptureFixture[str]) -> None:
    make_archive(here / name, {**files, "bad.jpg": b"no image"})
    assert main(["info", PATHS[2], name, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [record.pop("path") for record in found] == [
        PATHS[2], *(f"{name}/{path}" for path in PATHS), f"{name}/bad.jpg",
    ]  # fmt: skip
    assert found[4]["error"].startswith("not a JPEG file")
    for record, path in zip(found[1:4], PATHS, strict=True):
        assert fastimg.Header(**record) == fastimg.read_header(path)
    assert main(["info", name]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [
        "path",
        *(f"{name}/{path}" for path in (*PATHS, "bad.jpg")),
    ]


def test_a_folder_with_the_name_of_an_archive(here: Path) -> None:
    os.rename("photos", "photos.tar")
    assert main(["load", "photos.tar", "-o", "x.npy"]) == 0
    assert [row[1] for row in table(here / "x.files.csv")[1:]] == [
        name.replace("photos", "photos.tar") for name in PATHS
    ]
    assert main(["check", "photos.tar/"]) == 0
    assert main(["info", "photos.tar"]) == 1


def test_in_a_process_of_its_own(here: Path, files: dict[str, bytes]) -> None:
    make_tar(here / "a.tar", files)
    done = run("load", "a.tar", "-o", "x.npy", "--size", "8", "--labels")
    assert (done.returncode, done.stderr) == (0, "")
    assert np.load("x.npy").shape == (3, 3, 8, 8)
