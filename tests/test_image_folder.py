# SPDX-License-Identifier: BSD-3-Clause
"""`image_folder`: the samples of torchvision's ImageFolder, in its order."""

import errno
import os
import pathlib
import random
import re

import numpy as np
import pytest
from support.files import touch
from support.jpegs import assert_same

from fastimg import ImageFolder, image_folder

EXTENSIONS = (".jpg", ".jpeg", ".jpe", ".jfif")


def described(root):
    """The order, step by step: classes, then folders, then names, all sorted as text."""
    root = os.fspath(root)
    classes = sorted(name for name in os.listdir(root) if os.path.isdir(os.path.join(root, name)))
    samples = []
    for label, name in enumerate(classes):
        for folder, _, names in sorted(os.walk(os.path.join(root, name), followlinks=True)):
            for file in sorted(names):
                if os.path.splitext("x" + file)[1].lower() in EXTENSIONS:
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
b/1.jpg a/10.jpg a/9.jpg a/B.JPG a/b.JpEg a/é.jpe a/😀.jfif a/.hidden.jpg a/.jpg
a/x/1.jpg a/x_y/1.jpg a/x-y/1.jpg a/x.jpg a/x/y/1.jpg a/x0/1.jpg a/.d/1.jpg a/folder.jpg/1.jpg
B/1.jpg .c/1.jpg a_b/1.jpg a-b/1.jpg a.b/1.jpg 10/1.jpg 9/1.jpg é/1.jpg"""


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


@pytest.mark.parametrize("bad", [None, 5, b"folder", ["folder"]], ids=repr)
def test_not_a_path(bad):
    with pytest.raises(TypeError):
        image_folder(bad)
