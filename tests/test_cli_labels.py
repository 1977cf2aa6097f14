# SPDX-License-Identifier: BSD-3-Clause
"""`fastimg load --labels`: what is a class, NAME.classes.txt, and what was left out."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from support.archive_files import make_archive
from support.cli_common import PATHS, encoded, left, process, table

import fastimg
from fastimg.cli import main

LOAD = ("load", "-o", "x.npy", "--labels")


def add(*names: str) -> None:
    """Write an image to each name, or text if that is no image's."""
    for name in names:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(len(name)) if name.endswith(".jpg") else b"text")


def written() -> dict[str, str]:
    """The class of each path in the table, found through NAME.labels.npy and NAME.classes.txt."""
    rows = table(Path("x.files.csv"))[1:]
    labels = np.load("x.labels.npy")
    assert [row[2] for row in rows] == [str(label) for label in labels]
    classes = Path("x.classes.txt").read_text(encoding="utf-8", errors="surrogateescape").split("\n")
    assert classes.pop() == ""
    assert classes == sorted(set(classes))
    return {row[1]: classes[label] for row, label in zip(rows, labels, strict=True)}


AWKWARD = (
    "a/10.jpg a/9.jpg a/x/1.jpg a/x-y/1.jpg a/x.y/1.jpg a/x.jpg b/z.jpg B/1.jpg a-b/1.jpg a.b/1.jpg 10/1.jpg "
    "9/1.jpg é/1.jpg .c/1.jpg a/.d/1.jpg a/.hidden.jpg .ipynb_checkpoints/1.jpg .git/1.jpg __MACOSX/1.jpg "
    "a/2.png b/notes.txt b/README"
)


def test_load_and_image_folder_and_find_images_agree(here: Path) -> None:
    shutil.rmtree("photos")
    add(*(f"photos/{name}" for name in AWKWARD.split()))
    (here / "photos/a/link").symlink_to(here / "photos/b")
    assert main([*LOAD, "photos"]) == 0
    paths, labels, classes = fastimg.image_folder("photos")
    assert [row[1] for row in table(here / "x.files.csv")[1:]] == paths
    assert np.load("x.labels.npy").tolist() == labels.tolist()
    assert Path("x.classes.txt").read_text().split("\n") == [*classes, ""]
    assert classes == ["10", "9", "B", "a", "a-b", "a.b", "b", "é"]
    assert set(paths) == {*fastimg.find_images("photos"), "photos/a/link/z.jpg"}


@pytest.mark.parametrize("name", [".ipynb_checkpoints", ".git", ".cache", "__MACOSX"])
def test_hidden_folders_are_no_classes(here: Path, name: str) -> None:
    add(f"photos/{name}/4.jpg", f"photos/cat/{name}/5.jpg")
    (here / "photos" / name / "empty").mkdir()
    assert main([*LOAD, "photos"]) == 0
    assert written() == dict(zip(PATHS, ["cat", "cat", "dog"], strict=True))


def test_a_class_without_images(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Without it, image_folder (and torchvision) would number the others differently.
    add("photos/ant/1.png")
    assert main([*LOAD, "photos"]) == 2
    assert "files in every class, found none in ant" in capsys.readouterr().err
    assert left(here) == []


# ---- folders that are classes themselves


@pytest.mark.parametrize("form", ["photos/cat photos/dog", "photos/dog/ ./photos/cat/", "photos/*"])
def test_each_folder_is_a_class(here: Path, form: str) -> None:
    if form == "photos/*":
        done = process(["sh", "-c", f'exec "$0" -m fastimg {" ".join(LOAD)} {form}', sys.executable])
        assert (done.returncode, done.stderr) == (0, "")
    else:
        assert main([*LOAD, *form.split()]) == 0
    found = {os.path.normpath(path): name for path, name in written().items()}
    assert found == dict(zip(PATHS, ["cat", "cat", "dog"], strict=True))


def test_one_folder_is_a_class(here: Path) -> None:
    assert main([*LOAD, "photos/cat"]) == 0
    assert written() == {PATHS[0]: "cat", PATHS[1]: "cat"}


def test_the_current_folder_is_a_class(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("photos/cat")
    assert main([*LOAD, ".", "../dog"]) == 0
    assert written() == {"./1.jpg": "cat", "./2.jpg": "cat", "../dog/3.jpg": "dog"}


def test_what_a_shell_adds_to_the_folders(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add("photos/README.md", "photos/list.csv", "photos/LICENSE", "photos/dog/deep/4.jpg")
    names = sorted(str(path) for path in Path("photos").glob("*"))
    assert main([*LOAD, *names]) == 0
    expected = dict(zip([*PATHS, "photos/dog/deep/4.jpg"], ["cat", "cat", "dog", "dog"], strict=True))
    assert written() == expected
    by_glob = capsys.readouterr().out.splitlines()[2:]
    assert by_glob == ["2 classes: 0 cat, 1 dog", "left out: 1 without an ending, 1 .csv, 1 .md"]
    assert main([*LOAD, "photos"]) == 0
    assert written() == expected
    assert capsys.readouterr().out.splitlines()[2:] == by_glob

    add("photos/5.jpg")
    assert main([*LOAD, *names, "photos/5.jpg"]) == 2
    assert capsys.readouterr().err.startswith("fastimg: error: photos/5.jpg: no class: ")


def test_roots_that_hold_class_folders_are_merged(here: Path) -> None:
    add("more/cat/4.jpg", "more/ant/5.jpg")
    assert main([*LOAD, "photos", "more"]) == 0
    assert written() == {
        PATHS[0]: "cat", PATHS[1]: "cat", PATHS[2]: "dog", "more/ant/5.jpg": "ant", "more/cat/4.jpg": "cat",
    }  # fmt: skip


def test_a_mix_says_which_folder_is_which(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add("ant/4.jpg")
    assert main([*LOAD, "photos", "ant"]) == 2
    assert capsys.readouterr().err == (
        "fastimg: error: expected folders of one kind: photos holds class folders, ant is a class itself; "
        "give the folder above the classes\n"
    )
    assert left(here) == ["ant"]


def test_two_folders_of_one_name(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add("more/cat/4.jpg")
    assert main([*LOAD, "photos/cat", "more/cat"]) == 2
    err = capsys.readouterr().err
    assert "'cat': expected one folder, found photos/cat and more/cat; " in err
    assert left(here) == ["more"]


def test_archives_and_files_beside_folders(here: Path) -> None:
    make_archive(here / "a.tar", {"in/emu/4.jpg": encoded(4)})
    assert main([*LOAD, "photos/cat", "a.tar", PATHS[2]]) == 0
    assert list(written().values()) == ["cat", "cat", "emu", "dog"]


# ---- NAME.classes.txt


def test_classes_are_lines_in_the_order_of_the_labels(here: Path) -> None:
    names = ["n10", "n9", "N1", "é", "a b", " a", "a,b", "#a"]
    shutil.rmtree("photos")
    add(*(f"photos/{name}/1.jpg" for name in names))
    assert main([*LOAD, "photos"]) == 0
    assert Path("x.classes.txt").read_bytes() == "".join(f"{name}\n" for name in sorted(names)).encode()
    assert all(path.split("/")[1] == name for path, name in written().items())


def test_a_class_that_is_not_utf8(here: Path) -> None:
    try:
        os.mkdir(b"photos/\xff")
    except OSError:
        pytest.skip("this file system wants UTF-8")
    shutil.copy(PATHS[0], os.fsdecode(b"photos/\xff/1.jpg"))
    assert main([*LOAD, "photos"]) == 0
    assert Path("x.classes.txt").read_bytes() == b"cat\ndog\n\xff\n"


@pytest.mark.parametrize("bad", ["a\nb", "a\rb", "a\u2028b", "a\x0c"])
def test_a_class_that_is_no_line(here: Path, capsys: pytest.CaptureFixture[str], bad: str) -> None:
    add(f"photos/{bad}/4.jpg")
    assert main([*LOAD, "photos"]) == 2
    assert f"class {bad!r}: expected a name of one line" in capsys.readouterr().err
    assert left(here) == []


def test_without_labels_no_classes(here: Path) -> None:
    assert main(["load", "photos", "-o", "x.npy"]) == 0
    assert left(here) == ["x.files.csv", "x.npy"]


# ---- what is left out


@pytest.mark.parametrize("labels", [[], ["--labels"]])
def test_other_files_are_counted(here: Path, capsys: pytest.CaptureFixture[str], labels: list[str]) -> None:
    add(
        "photos/cat/3.png",
        "photos/cat/4.PNG",
        "photos/dog/notes.txt",
        "photos/dog/README",
        "photos/.hidden.png",
    )
    os.mkfifo("photos/cat/fifo.jpg")
    make_archive(
        here / "a.zip", {"emu/1.jpg": encoded(1), "emu/2.png": b"", "emu/3.webp": b"", ".4.gif": b""}
    )
    assert main(["load", "photos", "a.zip", "-o", "x.npy", *labels]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[-1] == "left out: 3 .png, 1 without an ending, 1 .txt, 1 .webp, 1 special"
    assert len(out) == 3 + len(labels)


def test_many_endings_are_one_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(*(f"photos/cat/x.{number:02}" for number in range(13)), *(f"photos/cat/{i}.png" for i in range(1200)))
    assert main(["load", "photos", "-o", "x.npy"]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith("left out: 1,200 .png, 1 .00, 1 .01, ") and line.endswith(", 4 with other endings")


def test_no_image_at_all_says_what_there_was(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add("empty/1.png", "empty/2.png", "empty/3")
    assert main(["load", "empty", "-o", "x.npy"]) == 2
    assert capsys.readouterr().err == (
        "fastimg: error: no .jpg, .jpeg, .jpe, .jfif file below empty; left out: 2 .png, 1 without an ending\n"
    )
