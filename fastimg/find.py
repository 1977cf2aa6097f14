# SPDX-License-Identifier: BSD-3-Clause
"""Folders: which images lie below one, and the class that a file's folder stands for."""

import heapq
import os
from collections.abc import Callable, Sequence

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif")


def find_images(root: str | os.PathLike[str]) -> list[str]:
    """List the JPEG files below a folder.

    Names that end in ``.jpg``, ``.jpeg``, ``.jpe`` or ``.jfif``, in any case, count; files are not opened.
    Hidden files and folders (names that start with a dot) are left out. Symbolic links are followed, but no
    folder is listed twice, so loops end; a file that can be reached without a link is listed under that path.
    A link whose target is missing is listed, and is an error once it is read.

    Parameters
    ----------
    root : str or os.PathLike
        The folder. It may itself be hidden or a link.

    Returns
    -------
    list of str
        Paths that start with `root`, sorted by their parts: folder by folder, the order of torchvision's
        ``ImageFolder`` classes.

    Raises
    ------
    FileNotFoundError
        `root` does not exist.
    NotADirectoryError
        `root` is a file.
    OSError
        A folder below `root` cannot be listed.
    TypeError
        `root` is not a str or a path of str.
    """
    return find_files(root, SUFFIXES)


def find_files(
    root: str | os.PathLike[str],
    suffixes: tuple[str, ...] = ("",),
    on_error: Callable[[OSError], object] | None = None,
) -> list[str]:
    """List the files below a folder, by the rules of `find_images`.

    Parameters
    ----------
    root : str or os.PathLike
        The folder.
    suffixes : tuple of str
        Lower-case ends of the names that count; the default lets every name pass.
    on_error : callable, optional
        Is given the OSError of a folder below `root` that cannot be listed. Without it, the error is raised.

    Returns
    -------
    list of str
        Paths that start with `root`, sorted by their parts. FIFOs, sockets and devices are left out.

    Raises
    ------
    OSError
        `root`, or without `on_error` a folder below it, cannot be listed.
    TypeError
        `root` is not a str or a path of str.
    """
    top = os.fspath(root)
    if not isinstance(top, str):
        raise TypeError(f"root: expected str or a path of str, found {type(root).__name__}")
    found: list[tuple[str, ...]] = []
    seen: set[tuple[int, int]] = set()
    # Links wait until no real folder is left: what lies below a class folder keeps that class, whoever links to it.
    folders: list[tuple[str, ...]] = [()]
    links: list[tuple[str, ...]] = []
    while folders or links:
        parts = folders.pop() if folders else heapq.heappop(links)
        folder = os.path.join(top, *parts)
        try:
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    below = (*parts, entry.name)
                    if not _is_folder(entry):
                        if entry.name.lower().endswith(suffixes) and _is_file(entry):
                            found.append(below)
                    elif entry.is_symlink():
                        heapq.heappush(links, below)
                    else:
                        folders.append(below)
        except OSError as error:
            if on_error is None or not parts:
                raise
            on_error(error)
    return [os.path.join(top, *parts) for parts in sorted(found)]


def class_labels(paths: Sequence[str], roots: Sequence[str | None]) -> tuple[list[int], list[str]]:
    """Take each file's class from the folder it lies in.

    Parameters
    ----------
    paths : sequence of str
        The files.
    roots : sequence of str or None
        One for each path: the folder that `find_images` found it in, or None for a file given by name.
        The class is the first folder below the root; for a file given by name, the folder that holds it.

    Returns
    -------
    labels : list of int
        One for each path, an index into `class_names`.
    class_names : list of str
        Sorted, without repeats: the order of torchvision's ``ImageFolder``.

    Raises
    ------
    ValueError
        There is no folder between a file and its root; the text names the file.
    """
    names = [_class_name(path, root) for path, root in zip(paths, roots, strict=True)]
    class_names = sorted(set(names))
    number = {name: label for label, name in enumerate(class_names)}
    return [number[name] for name in names], class_names


def _class_name(path: str, root: str | None) -> str:
    if root is None:
        name = os.path.basename(os.path.dirname(os.path.abspath(path)))
        if not name:
            raise ValueError(f"{path}: no class: the file lies in no folder with a name")
        return name
    start = os.path.join(root, "")
    name, slash, _ = path[len(start) :].partition(os.sep)
    if not path.startswith(start) or not slash:
        raise ValueError(f"{path}: no class: the file lies in no folder below {root}")
    return name


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except (
        OSError
    ):  # a link to itself, or into a folder that is closed to us: whoever reads it gets the error
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file() or (entry.is_symlink() and not os.path.exists(entry.path))
    except OSError:
        return True
