# SPDX-License-Identifier: BSD-3-Clause
import errno
import os
import shutil
import socket
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from support.files import deep_path, touch

import fastimg.folders as find
from fastimg import find_images

Tree = Callable[..., Path]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Make files below a folder; find_images does not open them."""

    def make(*names: str, root: str = "root") -> Path:
        top = tmp_path / root
        top.mkdir(exist_ok=True)
        return touch(top, *names)

    return make


def below(root: Path) -> list[str]:
    return [path.removeprefix(f"{root}{os.sep}") for path in find_images(root)]


def test_every_suffix_in_any_case(tree: Tree) -> None:
    images = ["a.jpg", "b.jpeg", "c.jpe", "d.jfif", "e.JPG", "f.JpEg", "g.x.jpg"]
    others = ["a.png", "jpg", "b.jpg.txt", "c.jp", "d.jpgg", "e-jpg"]
    assert below(tree(*images, *others)) == images


def test_hidden_files_and_folders_are_left_out(tree: Tree) -> None:
    names = [".a.jpg", ".jpg", ".hidden/b.jpg", "c/.d/e.jpg", "c/f.jpg", "g.jpg", "__MACOSX/h.jpg"]
    assert below(tree(*names)) == [
        "c/f.jpg",
        "g.jpg",
    ]


def test_a_hidden_root_is_searched(tree: Tree) -> None:
    root = tree("a.jpg", root=".photos")
    assert find_images(root) == [str(root / "a.jpg")]


def test_sorted_by_parts_not_by_text(tree: Tree) -> None:
    # As text, "a b/1.jpg" and "a-b/1.jpg" come before "a/1.jpg": a space and "-" are below "/".
    names = ["a/1.jpg", "a/2/3.jpg", "a b/1.jpg", "a-b/1.jpg", "a.jpg", "B.jpg", "a/10.jpg", "é.jpg"]
    assert below(tree(*names)) == [
        "B.jpg",
        "a/1.jpg",
        "a/10.jpg",
        "a/2/3.jpg",
        "a b/1.jpg",
        "a-b/1.jpg",
        "a.jpg",
        "é.jpg",
    ]


@pytest.mark.parametrize("root", ["root", "root/", "./root", Path("root")])
def test_paths_start_with_the_root_as_given(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, root: str | Path
) -> None:
    monkeypatch.chdir(tree("a/b.jpg").parent)
    found = find_images(root)
    assert found == [os.path.join(root, "a", "b.jpg")]
    assert type(found[0]) is str


def test_dot_is_a_root(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree("a.jpg"))
    assert find_images(".") == ["./a.jpg"]


def test_empty_folder(tree: Tree) -> None:
    assert find_images(tree()) == []


def test_a_folder_with_the_name_of_an_image_is_a_folder(tree: Tree) -> None:
    assert below(tree("a.jpg/b.jpg", "c.jpg/d.txt")) == ["a.jpg/b.jpg"]


def test_missing_root(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        find_images(tmp_path / "none")
    assert caught.value.filename == str(tmp_path / "none")


def test_root_is_a_file(tree: Tree) -> None:
    with pytest.raises(NotADirectoryError) as caught:
        find_images(tree("a.jpg") / "a.jpg")
    assert str(caught.value.filename).endswith("a.jpg")


@pytest.mark.parametrize("root", [b"photos", None, 3, ["photos"]])
def test_root_of_a_wrong_type(root: object) -> None:
    with pytest.raises(TypeError):
        find_images(root)  # type: ignore[arg-type]


# ---- links


def test_linked_files_and_folders_are_followed(tree: Tree) -> None:
    other = tree("x.jpg", "sub/y.jpg", root="other")
    root = tree("a.jpg")
    (root / "b.jpg").symlink_to(other / "x.jpg")
    (root / "c").symlink_to(other / "sub", target_is_directory=True)
    assert below(root) == ["a.jpg", "b.jpg", "c/y.jpg"]


def test_root_may_be_a_link(tree: Tree) -> None:
    root = tree("a.jpg")
    link = root.with_name("link")
    link.symlink_to(root)
    assert find_images(link) == [str(link / "a.jpg")]


def test_loops_end_and_no_folder_is_listed_twice(tree: Tree) -> None:
    root = tree("a/1.jpg", "b/2.jpg")
    (root / "a" / "up").symlink_to(root)
    (root / "a" / "self").symlink_to(root / "a")
    (root / "b" / "a").symlink_to(root / "a")
    assert below(root) == ["a/1.jpg", "b/2.jpg"]


def test_a_real_path_goes_before_a_link_to_it(tree: Tree) -> None:
    root = tree("z/sub/1.jpg", "z/2.jpg")
    (root / "a").symlink_to(root / "z")  # sorts first, and would otherwise give z's images another class
    (root / "b").mkdir()
    (root / "b" / "c").symlink_to(root / "z" / "sub")
    assert below(root) == ["z/2.jpg", "z/sub/1.jpg"]


def test_of_two_links_to_a_folder_the_first_in_order_is_followed(tree: Tree) -> None:
    other = tree("1.jpg", "sub/2.jpg", root="other")
    root = tree()
    for name in ("c", "a", "b"):
        (root / name).symlink_to(other)
    (root / "0").symlink_to(other / "sub")
    assert below(root) == ["0/2.jpg", "a/1.jpg"]


def test_links_without_a_target_are_listed_for_their_reader_to_fail_on(tree: Tree) -> None:
    root = tree("a.jpg")
    (root / "gone.jpg").symlink_to(root / "nothing")
    (root / "self.jpg").symlink_to(root / "self.jpg")
    (root / "gone.txt").symlink_to(root / "nothing")
    assert below(root) == ["a.jpg", "gone.jpg", "self.jpg"]


def test_fifos_and_sockets_are_no_images(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree("a.jpg")
    monkeypatch.chdir(root)  # a socket's path is at most 107 bytes long
    os.mkfifo("b.jpg")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind("c.jpg")
    os.symlink("b.jpg", "d.jpg")
    assert below(root) == ["a.jpg"]


def test_a_name_that_is_not_utf8(tree: Tree) -> None:
    root = tree("a.jpg")
    try:
        open(os.path.join(os.fsencode(root), b"\xff.jpg"), "x").close()
    except OSError:
        pytest.skip("this file system wants UTF-8")
    assert [os.fsencode(path) for path in below(root)] == [b"a.jpg", b"\xff.jpg"]


# ---- folders that cannot be listed


@pytest.fixture
def closed_folder(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root whose folder "closed" cannot be listed: root's rights do not matter to this one."""
    root = tree("a.jpg", "closed/b.jpg", "open/c.jpg")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if path == str(root / "closed"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    return root


def test_a_folder_that_cannot_be_listed_is_an_error(closed_folder: Path) -> None:
    with pytest.raises(PermissionError) as caught:
        find_images(closed_folder)
    assert caught.value.filename == str(closed_folder / "closed")


def test_find_files_hands_over_the_error(closed_folder: Path) -> None:
    errors: list[OSError] = []
    found = find.find_files(closed_folder, on_error=errors.append)
    assert found == [str(closed_folder / "a.jpg"), str(closed_folder / "open" / "c.jpg")]
    assert [error.filename for error in errors] == [str(closed_folder / "closed")]


def test_find_files_raises_the_roots_own_error(tmp_path: Path) -> None:
    errors: list[OSError] = []
    with pytest.raises(FileNotFoundError):
        find.find_files(tmp_path / "none", on_error=errors.append)
    assert errors == []


def test_find_files_lists_every_name(tree: Tree) -> None:
    root = tree("a.jpg", "b.png", "c", "d/e.txt", ".f", ".g/h.jpg")
    assert find.find_files(root) == [str(root / name) for name in ("a.jpg", "b.png", "c", "d/e.txt")]


def test_every_folder_but_one_is_listed(closed_folder: Path) -> None:
    errors: list[OSError] = []
    found = find_images(closed_folder, on_error=errors.append)
    assert found == [str(closed_folder / "a.jpg"), str(closed_folder / "open" / "c.jpg")]
    assert [(type(error), error.filename) for error in errors] == [
        (PermissionError, str(closed_folder / "closed"))
    ]


def test_a_path_that_is_too_long(tree: Tree) -> None:
    root = tree("a.jpg", "z/b.jpg")
    path = deep_path(root)
    errors: list[OSError] = []
    assert find_images(root, on_error=errors.append) == [str(root / "a.jpg"), str(root / "z" / "b.jpg")]
    assert [(error.errno, error.filename) for error in errors] == [(errno.ENAMETOOLONG, path)]
    with pytest.raises(OSError) as caught:
        find_images(root)
    assert (caught.value.errno, caught.value.filename) == (errno.ENAMETOOLONG, path)


def test_a_folder_that_vanishes(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree("a.jpg", "b/c.jpg")
    scandir = os.scandir

    def remove(path: str) -> object:
        if path == str(root / "b"):
            shutil.rmtree(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", remove)
    errors: list[OSError] = []
    assert find_images(root, on_error=errors.append) == [str(root / "a.jpg")]
    assert [(type(error), error.filename) for error in errors] == [(FileNotFoundError, str(root / "b"))]


def test_an_error_of_a_folder_without_its_name_gets_one(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree("a.jpg", "b/c.jpg")
    scandir = os.scandir

    def fail(path: str) -> object:
        if path == str(root / "b"):
            raise OSError(errno.EIO, "Input/output error")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", fail)
    with pytest.raises(OSError) as caught:
        find_images(root)
    assert caught.value.filename == str(root / "b")


def test_what_the_callable_raises_ends_the_call(closed_folder: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        find_images(closed_folder, on_error=lambda error: 1 / 0)


@pytest.mark.parametrize("bad", ["fill", "", None, 5])
def test_on_error_of_another_kind(tree: Tree, bad: object) -> None:
    kind = ValueError if isinstance(bad, str) else TypeError
    with pytest.raises(kind, match="on_error must be 'raise' or a callable, found"):
        find_images(tree("a.jpg"), on_error=bad)  # type: ignore[arg-type]


# ---- what is left out


def test_other_files_are_counted_by_ending(tree: Tree) -> None:
    root = tree(
        "a.jpg", "b.png", "c/d.PNG", "c/e.tar.gz", "c/README", "f.jpg.txt", "c/g.", ".h.png", ".i/j.png"
    )
    tree("__MACOSX/k.png", "__MACOSX/l.jpg")
    os.mkfifo(root / "fifo.jpg")
    (root / "zero.jpg").symlink_to("/dev/zero")
    (root / "gone.png").symlink_to("nothing")
    (root / "again").symlink_to("c")
    left_out = Counter({".png": 100})
    assert find_images(root, left_out=left_out) == [str(root / "a.jpg")]
    assert left_out == {".png": 103, ".gz": 1, "": 2, ".txt": 1, "special": 2}
