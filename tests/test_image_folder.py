# SPDX-License-Identifier: BSD-3-Clause
"""`image_folder`: the samples of torchvision's ImageFolder, in its order."""

import errno
import os
import pathlib
import random
import re
from collections import Counter

import numpy as np
import pytest
from support.files import touch
from support.jpegs import assert_same

from fastimg import ImageFolder, find_images, image_folder
from fastimg.classes import class_of, number_classes

EXTENSIONS = (".jpg", ".jpeg", ".jpe", ".jfif")


def described(root):
    """The order, step by step: classes, then folders, then names, all sorted as text; without what is hidden."""
    root = os.fspath(root)
    names = [name for name in os.listdir(root) if not name.startswith(".")]
    classes = sorted(name for name in names if os.path.isdir(os.path.join(root, name)))
    samples = []
    for label, name in enumerate(classes):
        for folder, _, names in sorted(os.walk(os.path.join(root, name), followlinks=True)):
            if "/." in folder[len(root) :]:
                continue
            for file in sorted(names):
                if not file.startswith(".") and os.path.splitext(file)[1].lower() in EXTENSIONS:
                    samples.append((os.path.join(folder, file), label))
    return classes, samples


def of_torchvision(root):
    folder = pytest.importorskip("torchvision.datasets").DatasetFolder(root, open, extensions=EXTENSIONS)
    return folder.classes, folder.samples


@pytest.fixture(params=[described, of_torchvision], ids=["described", "torchvision"])
def same(request):
    def check(root):
        classes, samples = request.param(root)
        found = image_folder(root)
        assert isinstance(found, ImageFolder) and isinstance(found, tuple)
        assert found.classes == classes
        assert list(zip(found.paths, found.labels.tolist(), strict=True)) == samples
        assert found.labels.dtype == np.int64
        return found

    return check


def test_a_folder(tmp_path):
    touch(tmp_path, "dog/2.jpg", "cat/1.jpg", "cat/0.jpg", "readme.jpg", "cat/notes.txt")
    paths, labels, classes = image_folder(tmp_path)
    assert paths == [str(tmp_path / name) for name in ("cat/0.jpg", "cat/1.jpg", "dog/2.jpg")]
    assert_same(labels, np.array([0, 0, 1], np.int64))
    assert classes == ["cat", "dog"]


AWKWARD = """\
b/1.jpg a/10.jpg a/9.jpg a/B.JPG a/b.JpEg a/é.jpe a/😀.jfif
a/x/1.jpg a/x_y/1.jpg a/x-y/1.jpg a/x.jpg a/x/y/1.jpg a/x0/1.jpg a/folder.jpg/1.jpg
B/1.jpg a_b/1.jpg a-b/1.jpg a.b/1.jpg 10/1.jpg 9/1.jpg é/1.jpg"""


def test_order(tmp_path, same):
    images = [name.replace("_", " ") for name in AWKWARD.split()]
    touch(tmp_path, *images, "a/1.png", "a/jpg", "a/1.jpg.txt", "top.jpg", "a/folder.jpg/2.txt")
    assert sorted(same(tmp_path).paths) == sorted(str(tmp_path / name) for name in images)


def test_random_trees(tmp_path, same):
    rng = random.Random(0)
    words = ["a", "b", "A", "a b", "a-b", "a.jpg", "ä", "1", "10", "2"]
    for turn in range(8):
        root = tmp_path / str(turn)
        for name in words[: 3 + turn % 3]:
            touch(root, f"{name}/0.jpg")
            for _ in range(12):
                parts = [rng.choice(words) + "." for _ in range(rng.randrange(3))]
                touch(
                    root, "/".join([name, *parts, rng.choice(words) + rng.choice((".jpg", ".JPEG", ".txt"))])
                )
        same(root)


def test_links_are_followed(tmp_path, same):
    root = touch(tmp_path / "root", "a/1.jpg", "b/x/1.jpg", "c/1.jpg")
    touch(tmp_path / "other", "2.jpg", "deep/3.jpg")
    (root / "a/link").symlink_to(root / "b")
    (root / "a/file.jpg").symlink_to(root / "c/1.jpg")
    (root / "a/nowhere.jpg").symlink_to("missing.jpg")
    (root / "d").symlink_to(tmp_path / "other")
    (root / "e").symlink_to("missing")
    (root / "c/again").symlink_to(tmp_path / "other")
    (root / "c/and again").symlink_to(tmp_path / "other")
    found = same(root)
    assert found.classes == ["a", "b", "c", "d"]
    assert found.paths[:4] == [
        str(root / name) for name in ("a/1.jpg", "a/file.jpg", "a/nowhere.jpg", "a/link/x/1.jpg")
    ]
    assert len(found.paths) == 12


@pytest.mark.parametrize("form", ["root", "root/", "./root", ".", pathlib.Path("root")], ids=repr)
def test_paths_start_with_the_root_as_given(tmp_path, monkeypatch, same, form):
    touch(tmp_path / "root", "a/1.jpg", "b/c/1.jpg")
    monkeypatch.chdir(tmp_path / "root" if form == "." else tmp_path)
    found = same(form)
    assert found.paths == [os.path.join(form, "a/1.jpg"), os.path.join(form, "b/c/1.jpg")]
    assert type(found.paths[0]) is str


@pytest.mark.parametrize(
    ("link", "target"),
    [("a/loop", "."), ("a/loop", "a"), ("a/x/loop", "."), ("a/x/loop", "a"), ("loop", ".")],
)
def test_loops(tmp_path, link, target):
    root = touch(tmp_path / "root", "a/x/1.jpg")
    (root / link).symlink_to(root / target)
    with pytest.raises(OSError, match="a link to a folder that it lies in") as caught:
        image_folder(root)
    assert caught.value.errno == errno.ELOOP
    assert caught.value.filename.startswith(str(root)) and caught.value.filename.endswith("loop")


def test_loop_of_two(tmp_path):
    root = touch(tmp_path, "a/1.jpg", "b/1.jpg")
    (root / "a/x").symlink_to(root / "b")
    (root / "b/y").symlink_to(root / "a")
    with pytest.raises(OSError, match="a link to a folder that it lies in"):
        image_folder(root)


def test_no_classes(tmp_path):
    touch(tmp_path, "1.jpg")
    with pytest.raises(FileNotFoundError, match="expected a folder for each class, found none") as caught:
        image_folder(tmp_path)
    assert caught.value.filename == str(tmp_path) and str(tmp_path) in str(caught.value)


def test_classes_without_images(tmp_path):
    touch(tmp_path, "cat/1.jpg", "dog/1.png", "emu/deep/notes.txt")
    with pytest.raises(FileNotFoundError, match="found none in dog, emu") as caught:
        image_folder(tmp_path)
    assert caught.value.filename == str(tmp_path)


def test_no_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path / "missing"))):
        image_folder(tmp_path / "missing")
    with pytest.raises(NotADirectoryError):
        image_folder(touch(tmp_path, "file") / "file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_folders_that_are_closed(tmp_path):
    touch(tmp_path, "cat/1.jpg", "cat/closed/1.jpg")
    (tmp_path / "cat/closed").chmod(0)
    try:
        with pytest.raises(PermissionError):
            image_folder(tmp_path)
    finally:
        (tmp_path / "cat/closed").chmod(0o700)


@pytest.mark.parametrize("bad", [None, 5, b"folder", ["folder", 5], [b"folder"], [["folder"]]], ids=repr)
def test_not_a_path(bad):
    with pytest.raises(TypeError):
        image_folder(bad)


# ---- what is no class


HIDDEN = [".ipynb_checkpoints", ".git", ".cache", "__MACOSX"]


@pytest.mark.parametrize("name", HIDDEN)
def test_hidden_folders_are_no_classes(tmp_path, name):
    touch(
        tmp_path, "cat/1.jpg", f"{name}/2.jpg", "dog/3.jpg", f"dog/{name}/4.jpg", "dog/.5.jpg", "dog/._3.jpg"
    )
    paths, labels, classes = image_folder(tmp_path)
    assert classes == ["cat", "dog"]
    assert paths == [str(tmp_path / "cat/1.jpg"), str(tmp_path / "dog/3.jpg")] == find_images(tmp_path)
    assert labels.tolist() == [0, 1]


def test_a_hidden_folder_alone_is_no_class(tmp_path):
    touch(tmp_path, ".ipynb_checkpoints/1.jpg")
    with pytest.raises(FileNotFoundError, match="expected a folder for each class, found none"):
        image_folder(tmp_path)


def test_special_files_are_left_out(tmp_path):
    touch(tmp_path, "cat/1.jpg")
    os.mkfifo(tmp_path / "cat/fifo.jpg")
    (tmp_path / "cat/zero.jpg").symlink_to("/dev/zero")
    (tmp_path / "cat/gone.jpg").symlink_to("nothing")
    assert [os.path.basename(path) for path in image_folder(tmp_path).paths] == ["1.jpg", "gone.jpg"]


def test_other_files_are_counted(tmp_path):
    names = ["cat/1.jpg", "cat/2.png", "cat/deep/3.PNG", "dog/4.jpg", "dog/LICENSE", "a.csv", "b.jpg"]
    touch(tmp_path, *names, ".c.csv", ".git/config")
    left_out = Counter()
    assert len(image_folder(tmp_path, left_out=left_out).paths) == 2
    assert left_out == {".png": 2, "": 1, ".csv": 1, ".jpg": 1}


# ---- folders that cannot be listed


@pytest.fixture
def refuse(monkeypatch):
    """Makes os.scandir fail for one folder, whoever runs the tests."""

    def refuse(folder):
        scandir = os.scandir

        def closed(path):
            if path == str(folder):
                raise PermissionError(errno.EACCES, "Permission denied", path)
            return scandir(path)

        monkeypatch.setattr(os, "scandir", closed)

    return refuse


@pytest.mark.parametrize("closed", ["bat", "cat", "cat/deep"])
def test_a_closed_folder_is_an_error_among_the_others(tmp_path, refuse, closed):
    touch(tmp_path, "bat/0.jpg", "cat/1.jpg", "cat/deep/2.jpg", "dog/3.jpg")
    refuse(tmp_path / closed)
    with pytest.raises(PermissionError) as caught:
        image_folder(tmp_path)
    assert caught.value.filename == str(tmp_path / closed)
    errors = []
    paths, labels, classes = image_folder(tmp_path, on_error=errors.append)
    assert [(type(error), error.filename) for error in errors] == [(PermissionError, str(tmp_path / closed))]
    assert classes == ["bat", "cat", "dog"]  # whatever failed
    names = ["bat/0.jpg", "cat/1.jpg", "cat/deep/2.jpg", "dog/3.jpg"]
    left = [name for name in names if not name.startswith(closed)]
    assert paths == [str(tmp_path / name) for name in left]
    assert [classes[label] for label in labels] == [name[:3] for name in left]


def test_a_loop_is_an_error_among_the_others(tmp_path):
    touch(tmp_path, "cat/1.jpg", "cat/z/2.jpg", "dog/3.jpg")
    (tmp_path / "cat/loop").symlink_to(".")
    errors = []
    assert len(image_folder(tmp_path, on_error=errors.append).paths) == 3
    assert [error.errno for error in errors] == [errno.ELOOP]


def test_a_class_without_images_is_one_although_another_failed(tmp_path, refuse):
    touch(tmp_path, "bat/0.jpg", "cat/1.png", "dog/3.jpg")
    refuse(tmp_path / "bat")
    with pytest.raises(FileNotFoundError, match="found none in cat: "):
        image_folder(tmp_path, on_error=lambda error: None)


@pytest.mark.parametrize("many", [False, True])
def test_a_root_that_cannot_be_listed_is_always_an_error(tmp_path, refuse, many):
    touch(tmp_path, "a/cat/1.jpg", "b/cat/1.jpg")
    refuse(tmp_path / "a")
    errors = []
    with pytest.raises(PermissionError):
        image_folder([tmp_path / "b", tmp_path / "a"] if many else tmp_path / "a", on_error=errors.append)
    assert errors == []


# ---- several roots


def test_roots_that_hold_class_folders(tmp_path):
    touch(tmp_path, "a/cat/1.jpg", "a/emu/2.jpg", "a/notes.txt", "b/cat/0.jpg", "b/bat/4.jpg")
    left_out = Counter()
    for roots in (["a", "b"], ("b", "a"), iter(["a", "b"])):
        roots = [tmp_path / root for root in roots]
        paths, labels, classes = image_folder(roots, left_out=left_out)
        assert classes == ["bat", "cat", "emu"]
        assert labels.tolist() == [0, 1, 1, 2]
        cats = [str(root / "cat" / ("1.jpg" if root.name == "a" else "0.jpg")) for root in roots]
        assert paths == [str(tmp_path / "b/bat/4.jpg"), *cats, str(tmp_path / "a/emu/2.jpg")]
    assert left_out == {".txt": 3}


def test_a_list_of_one_root(tmp_path):
    touch(tmp_path, "cat/1.jpg", "dog/2.jpg")
    one, several = image_folder(tmp_path), image_folder([tmp_path])
    assert (one.paths, one.classes) == (several.paths, several.classes)
    assert image_folder([tmp_path / "cat"])[::2] == ([str(tmp_path / "cat/1.jpg")], ["cat"])


def test_roots_that_are_classes(tmp_path, monkeypatch):
    touch(tmp_path, "dog/2.jpg", "dog/deep/1.jpg", "cat/3.jpg", "cat/README")
    monkeypatch.chdir(tmp_path)
    left_out = Counter()
    paths, labels, classes = image_folder(["dog/", "./cat"], left_out=left_out)
    assert paths == ["./cat/3.jpg", "dog/2.jpg", "dog/deep/1.jpg"]
    assert (labels.tolist(), classes) == ([0, 1, 1], ["cat", "dog"])
    assert left_out == {"": 1}
    monkeypatch.chdir("cat")
    assert image_folder([".", "../dog"]).classes == ["cat", "dog"]


def test_roots_of_both_kinds(tmp_path, monkeypatch):
    touch(tmp_path, "train/cat/1.jpg", "more/dog/1.jpg", "emu/2.jpg", "fox/3.jpg")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError) as caught:
        image_folder(["train", "emu", "more", "fox"])
    assert str(caught.value) == (
        "expected folders of one kind: train, more hold class folders, emu, fox are classes themselves; "
        "give the folder above the classes"
    )


def test_classes_of_one_name(tmp_path, monkeypatch):
    touch(tmp_path, "cats/train/1.jpg", "dogs/train/2.jpg")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="expected one folder, found cats/train and dogs/train/; if"):
        image_folder(["cats/train", "dogs/train/"])
    assert image_folder(["cats/train", "cats/../cats/train/"]).labels.tolist() == [0, 0]
    assert image_folder(["cats", "dogs"]).classes == ["train"]


def test_images_beside_class_folders(tmp_path, monkeypatch):
    touch(tmp_path, "a/1.jpg", "a/cat/2.jpg", "b/3.jpg")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"^a/1\.jpg: no class: the file lies in no folder below a$"):
        image_folder(["a"])
    # Beside a folder that can only be a class itself, it is one as well: b/ holds them all.
    assert image_folder(["a", "b"]).classes == ["a", "b"]


def test_no_roots():
    with pytest.raises(ValueError, match="expected at least one folder, found none"):
        image_folder([])


def test_number_classes():
    names = ["n10", "n9", "N1", "é", "a b", "a", "n9"]
    classes, labels = number_classes(names)
    assert classes == ["N1", "a", "a b", "n10", "n9", "é"]
    assert [classes[label] for label in labels] == names
    assert number_classes([]) == ([], [])


def test_the_class_of_a_file_is_the_folder_that_holds_it(tmp_path, monkeypatch):
    (tmp_path / "cat" / "sub").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "cat")
    paths = ["1.jpg", "./2.jpg", "sub/3.jpg", "sub/../4.jpg", "../dog/5.jpg", "/a/b/6.jpg"]
    assert [class_of(path) for path in paths] == ["cat", "cat", "sub", "cat", "dog", "b"]
    with pytest.raises(ValueError, match=r"^/1\.jpg: no class"):
        class_of("/1.jpg")
