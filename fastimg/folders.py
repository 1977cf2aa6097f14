# SPDX-License-Identifier: BSD-3-Clause
"""Folders: the images below them, and the classes that they stand for."""

import errno
import heapq
import os
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from fastimg.sources import FileRange

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif")

_Identity: TypeAlias = tuple[int, int]  # device and inode of a folder


class ImageFolder(NamedTuple):
    """The images of a folder with one folder for each class.

    Attributes
    ----------
    paths : list of str
        Sorted by class, then by folder, then by name.
    labels : int64 ndarray, (n,)
        The class of each path, an index into `classes`.
    classes : list of str
        The names of the class folders, sorted.
    """

    paths: list[str]
    labels: npt.NDArray[np.int64]
    classes: list[str]


def find_images(root: str | os.PathLike[str]) -> list[str]:
    """List the JPEG files below a folder.

    Names that end in ``.jpg``, ``.jpeg``, ``.jpe`` or ``.jfif``, in any case, count; files are not opened. Hidden files
    and folders (names that start with a dot) are left out. Symbolic links are followed, but no folder is listed twice,
    so loops end; a file that can be reached without a link is listed under that path. A link whose target is missing is
    listed; reading it is an error.

    Parameters
    ----------
    root : str or os.PathLike
        The folder. It may itself be hidden or a link.

    Returns
    -------
    list of str
        Paths that start with `root`, sorted by their parts: folder by folder, in the order of the classes of
        torchvision's ``ImageFolder``.

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
        Lower-case ends of the names that count; by default, all do.
    on_error : callable, optional
        Gets the OSError of a folder below `root` that cannot be listed. Without it, the error is raised.

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
    top = _check_root(root)
    found = [
        (*parts, entry.name)
        for parts, entry in _walk(top, hidden=False, once=True, on_error=on_error)
        if entry.name.lower().endswith(suffixes) and _is_file(entry)
    ]
    return [os.path.join(top, *parts) for parts in sorted(found)]


def _walk(
    top: str,
    *,
    hidden: bool,
    once: bool,
    above: tuple[_Identity, ...] = (),
    on_error: Callable[[OSError], object] | None = None,
) -> Iterator[tuple[tuple[str, ...], os.DirEntry[str]]]:
    """Yields each entry below a folder that is not a folder, after the parts of its folder's path below `top`.

    Parameters
    ----------
    hidden : bool
        Whether names that start with a dot count.
    once : bool
        True: no folder is listed twice, and under a path without links if it has one. False: links are followed
        wherever they are; a link to a folder that it lies in is an OSError (ELOOP).
    above : tuple
        Folders that `top` lies in, to which no link may lead.
    on_error : callable, optional
        Gets the OSError of a folder below `top` that cannot be listed. Without it, the error is raised.
    """
    seen: set[_Identity] = set()
    # Links wait until no real folder is left: files below a class folder keep that class, whatever links to it.
    folders: list[tuple[tuple[str, ...], tuple[_Identity, ...]]] = [((), above)]
    links = folders[:0]
    while folders or links:
        parts, above = folders.pop() if folders else heapq.heappop(links)
        folder = os.path.join(top, *parts)
        try:
            identity = _identity(folder)
            if once and identity in seen:
                continue
            if identity in above:
                raise OSError(errno.ELOOP, "a link to a folder that it lies in", folder)
            seen.add(identity)
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.startswith(".") and not hidden:
                        continue
                    if not _is_folder(entry):
                        yield parts, entry
                    elif once and entry.is_symlink():
                        heapq.heappush(links, ((*parts, entry.name), ()))
                    else:
                        folders.append(((*parts, entry.name), (*above, identity)))
        except OSError as error:
            if on_error is None or not parts:
                raise
            on_error(error)


def image_folder(root: str | os.PathLike[str]) -> ImageFolder:
    """List the JPEG files of a folder with one folder for each class, in the order of torchvision's ``ImageFolder``.

    Names that end in ``.jpg``, ``.jpeg``, ``.jpe`` or ``.jfif``, in any case, count; files are not opened. Unlike in
    `find_images`, hidden files and folders count, and links are followed wherever they are, so that indices mean the
    same as those of ``ImageFolder`` if there are no images of other formats.

    Parameters
    ----------
    root : str or os.PathLike
        The folder. Each folder in it is a class; files in `root` itself are ignored.

    Returns
    -------
    ImageFolder
        paths, which start with `root`, labels and classes.

    Raises
    ------
    FileNotFoundError
        `root` does not exist, has no folder in it, or a class has no image; the text names the classes.
    NotADirectoryError
        `root` is a file.
    OSError
        A folder cannot be listed, or is a link to one that it lies in (ELOOP).
    TypeError
        `root` is not a str or a path of str.

    Examples
    --------
    >>> paths, labels, classes = fastimg.image_folder("train")
    >>> train_X = fastimg.ImageFileAccessor(paths, size=256)
    """
    top = _check_root(root)
    with os.scandir(top) as entries:
        classes = sorted(entry.name for entry in entries if _is_folder(entry))
    if not classes:
        raise FileNotFoundError(errno.ENOENT, "expected a folder for each class, found none", top)
    images = [_images_of_class(top, name) for name in classes]
    empty = [name for name, found in zip(classes, images, strict=True) if not found]
    if empty:
        text = f"expected {', '.join(SUFFIXES)} files in every class, found none in {', '.join(empty)}"
        raise FileNotFoundError(errno.ENOENT, text, top)
    labels = np.repeat(np.arange(len(classes), dtype=np.int64), [len(found) for found in images])
    return ImageFolder([path for found in images for path in found], labels, classes)


def _images_of_class(root: str, name: str) -> list[str]:
    """The images below a class folder: folders sorted by their whole paths as text, names within each."""
    top = os.path.join(root, name)
    found = [
        (os.path.join(top, *parts), entry.name)
        for parts, entry in _walk(top, hidden=True, once=False, above=(_identity(root),))
        if entry.name.lower().endswith(SUFFIXES)
    ]
    return [os.path.join(folder, name) for folder, name in sorted(found)]


def _identity(folder: str) -> _Identity:
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def _check_root(root: str | os.PathLike[str]) -> str:
    top = os.fspath(root)
    if not isinstance(top, str):
        raise TypeError(f"root: expected str or a path of str, found {type(root).__name__}")
    return top


def class_labels(
    sources: Sequence[str | FileRange], roots: Sequence[str | None]
) -> tuple[list[int], list[str]]:
    """Derive the class of each file from its folder.

    Parameters
    ----------
    sources : sequence of str or FileRange
        The files, and members of archives.
    roots : sequence of str or None
        For each source, the folder that `find_images` found it in, or None for a file given by name. The class is the
        first folder below the root; for a file given by name, or a member of an archive, the folder that holds it, as
        archives often have one folder around all others.

    Returns
    -------
    labels : list of int
        For each source, an index into `class_names`.
    class_names : list of str
        Sorted, without duplicates, as in torchvision's ``ImageFolder``.

    Raises
    ------
    ValueError
        There is no folder between a file and its root, or its archive; the text names the file.
    """
    names = [_class_name(source, root) for source, root in zip(sources, roots, strict=True)]
    class_names = sorted(set(names))
    number = {name: label for label, name in enumerate(class_names)}
    return [number[name] for name in names], class_names


def _class_name(path: str | FileRange, root: str | None) -> str:
    if isinstance(path, FileRange):
        name = os.path.basename(os.path.dirname(path.name))
        if name in ("", ".", ".."):
            raise ValueError(f"{path}: no class: the member lies in no folder of its archive")
        return name
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
    except OSError:  # a link to itself, or into a folder that may not be read: an error when it is read
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file() or (entry.is_symlink() and not os.path.exists(entry.path))
    except OSError:
        return True
