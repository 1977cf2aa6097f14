# SPDX-License-Identifier: BSD-3-Clause
"""Classes: what the names of folders say about the images in them."""

import errno
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

import fastimg.folders as folders
from fastimg.folders import SUFFIXES, Formats, OnError
from fastimg.sources import FileRange


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

    Examples
    --------
    >>> folder = fastimg.image_folder("photos")
    >>> folder.paths[0], int(folder.labels[0]), folder.classes
    ('photos/cat/000.jpg', 0, ['cat', 'dog'])
    """

    paths: list[str]
    labels: npt.NDArray[np.int64]
    classes: list[str]


class ClassFolder(NamedTuple):
    """A folder all of whose images are of one class."""

    name: str
    path: str
    above: tuple[tuple[int, int], ...]  # as in `folders.walk`


def image_folder(
    root: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    on_error: OnError = "raise",
    left_out: Counter[str] | None = None,
    formats: Formats = "jpeg",
) -> ImageFolder:
    """List the JPEG files of a folder with one folder for each class, in the order of torchvision's ``ImageFolder``.

    The same files count as in `find_images`. Hidden folders such as ``.ipynb_checkpoints`` are no classes: for
    ``ImageFolder`` they are. Apart from them and files of other formats, indices mean the same. Links are followed
    wherever they are.

    Parameters
    ----------
    root : str or os.PathLike, or iterable of them
        The folder. Each folder in it is a class; files in `root` itself are left out. Of several roots, either all hold
        class folders and no images beside them, and those of one name are one class; or all hold images, and each is a
        class itself: ``image_folder(["photos/cat", "photos/dog"])``.
    on_error : {"raise"} or callable
        What becomes of a folder that cannot be listed, as in `find_images`. A class keeps its number even if all of its
        folders failed.
    left_out : collections.Counter, optional
        Gets the number of other files, as in `find_images`.
    formats : {"jpeg", "all"}
        "all": images of other formats, too, as in `find_images`.

    Returns
    -------
    ImageFolder
        Paths, which start with their root, labels and classes.

    Raises
    ------
    FileNotFoundError
        A root does not exist, a single root has no folder in it, or a class has no image; the text names the classes.
    NotADirectoryError
        A root is a file.
    OSError
        A root cannot be listed, or with "raise" a folder below it; a folder is a link to one that it lies in (ELOOP).
    TypeError
        A root is not a str or a path of str, or `on_error` is not callable.
    ValueError
        Some roots hold class folders and others are classes, two folders that are classes themselves have the same
        name, an image lies beside class folders, the list is empty, or `on_error` or `formats` is another word.

    Examples
    --------
    >>> paths, labels, classes = fastimg.image_folder("photos")
    >>> len(paths), labels.shape, classes
    (72, (72,), ['cat', 'dog'])
    """
    report = folders.reporter(on_error)
    suffixes = folders.suffixes_of(formats)
    if isinstance(root, Iterable) and not isinstance(root, str | bytes | os.PathLike):
        tops = [folders.check_root(each) for each in root]
        if not tops:
            raise ValueError("root: expected at least one folder, found none")
        found = [each for group in find_classes(tops, left_out, suffixes) for each in group]
    else:
        tops = [folders.check_root(root)]
        found = _classes_in(_look_into(tops[0], suffixes), left_out)
        if not found:
            raise FileNotFoundError(errno.ENOENT, "expected a folder for each class, found none", tops[0])
    found.sort(key=lambda each: each.name)  # those of one name stay in the order of their roots
    images, empty = list_images(found, report, left_out, suffixes)
    if empty:
        raise FileNotFoundError(errno.ENOENT, describe_empty(empty, suffixes), ", ".join(tops))
    classes, labels = number_classes([each.name for each in found])
    return ImageFolder(
        [path for paths in images for path in paths],
        np.repeat(np.array(labels, np.int64), [len(paths) for paths in images]),
        classes,
    )


def number_classes(names: Sequence[str]) -> tuple[list[str], list[int]]:
    """Return the names, sorted and without duplicates, and for each name its index among them."""
    classes = sorted(set(names))
    number = {name: label for label, name in enumerate(classes)}
    return classes, [number[name] for name in names]


def class_of(source: str | FileRange) -> str:
    """The class of a file given by name, or of a member of an archive: the folder that holds it.

    Not the first folder of an archive, as archives often have one folder around all others.
    """
    if isinstance(source, FileRange):
        name = os.path.basename(os.path.dirname(source.name))
        if name in ("", ".", ".."):
            raise ValueError(f"{source}: no class: the member lies in no folder of its archive")
        return name
    name = os.path.basename(os.path.dirname(os.path.abspath(source)))
    if not name:
        raise ValueError(f"{source}: no class: the file lies in no folder with a name")
    return name


# ---- class folders


class _Root(NamedTuple):
    """What lies in a folder, not deeper."""

    path: str
    folders: list[str]
    images: list[str]
    others: Counter[str]
    error: OSError | None = None  # it exists and cannot be listed


def find_classes(
    roots: Sequence[str], left_out: Counter[str] | None, suffixes: tuple[str, ...] = SUFFIXES
) -> list[list[ClassFolder]]:
    """Find the class folders that each root holds, or is itself, by the rules of `image_folder` for several roots.

    Parameters
    ----------
    roots : sequence of str
        The folders.
    left_out : collections.Counter or None
        Gets the number of files that lie beside class folders.
    suffixes : tuple of str
        What names of images end in.

    Returns
    -------
    list of list of ClassFolder
        Those of each root, sorted by name.

    Raises
    ------
    OSError
        A root cannot be listed. If others are classes, so is this one: listing it later is an error.
    ValueError
        As for `image_folder`.
    """
    looked = [_look_into(root, suffixes) for root in roots]
    if not any(root.images and not root.folders for root in looked):
        # Folders without anything hold no class and are none: the caller finds that they have no images.
        for root in looked:
            if root.error is not None:
                raise root.error
            if root.folders and root.images:
                path = os.path.join(root.path, min(root.images))
                raise ValueError(f"{path}: no class: the file lies in no folder below {root.path}")
        if all(root.folders for root in looked):
            return [_classes_in(root, left_out) for root in looked]
    holders = [root.path for root in looked if root.folders and not root.images]
    if holders:
        others = [root.path for root in looked if root.path not in holders]
        raise ValueError(
            f"expected folders of one kind: {_several(holders)} {'hold' if len(holders) > 1 else 'holds'} class "
            f"folders, {_several(others)} {'are classes themselves' if len(others) > 1 else 'is a class itself'}; "
            "give the folder above the classes"
        )
    return _distinct([_class_itself(root.path) for root in looked])


def _look_into(root: str, suffixes: tuple[str, ...]) -> _Root:
    found = _Root(root, [], [], Counter())
    try:
        with os.scandir(root) as entries:
            for entry in entries:
                if folders.is_hidden(entry.name):
                    continue
                if folders.is_folder(entry):
                    found.folders.append(entry.name)
                elif folders.counts(entry, suffixes, found.others):
                    found.images.append(entry.name)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        return _Root(root, [], [], Counter(), error)
    return found


def _classes_in(root: _Root, left_out: Counter[str] | None) -> list[ClassFolder]:
    if root.error is not None:
        raise root.error
    if left_out is not None:
        left_out.update(root.others)
        left_out.update(folders.ending(name) for name in root.images)
    above = (folders.identity_of(root.path),)
    return [ClassFolder(name, os.path.join(root.path, name), above) for name in sorted(root.folders)]


def _class_itself(root: str) -> ClassFolder:
    name = os.path.basename(os.path.abspath(root))
    if not name:
        raise ValueError(f"{root}: no class: the folder has no name")
    return ClassFolder(name, root, ())


def _distinct(found: Sequence[ClassFolder]) -> list[list[ClassFolder]]:
    """One class for each root. cats/train and dogs/train are hardly meant to be one class."""
    first: dict[str, ClassFolder] = {}
    for each in found:
        other = first.setdefault(each.name, each)
        if os.path.realpath(other.path) != os.path.realpath(each.path):
            raise ValueError(
                f"class {each.name!r}: expected one folder, found {other.path} and {each.path}; "
                "if they are one class, give the folders above them"
            )
    return [[each] for each in found]


def _several(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - 5} more" if len(paths) > 5 else ""
    return ", ".join(paths[:5]) + more


# ---- the images of a class


def list_images(
    found: Sequence[ClassFolder],
    on_error: Callable[[OSError], object],
    left_out: Counter[str] | None,
    suffixes: tuple[str, ...] = SUFFIXES,
) -> tuple[list[list[str]], list[str]]:
    """List the images of each class folder.

    Parameters
    ----------
    found : sequence of ClassFolder
    on_error : callable
        Gets the OSError of a folder that cannot be listed.
    left_out : collections.Counter or None
        Gets the number of other files.
    suffixes : tuple of str
        What names of images end in.

    Returns
    -------
    images : list of list of str
        Those of each class folder, sorted as torchvision's ``ImageFolder`` sorts them.
    empty : list of str
        The classes that have no image, although all of their folders were listed.
    """
    full: set[str] = set()
    images = []
    for each in found:

        def report(error: OSError, name: str = each.name) -> None:
            full.add(name)  # for all we know
            on_error(error)

        images.append(_images_of(each, report, left_out, suffixes))
        if images[-1]:
            full.add(each.name)
    return images, sorted({each.name for each in found} - full)


def describe_empty(names: Sequence[str], suffixes: tuple[str, ...] = SUFFIXES) -> str:
    return f"expected {', '.join(suffixes)} files in every class, found none in {', '.join(names)}"


def _images_of(
    each: ClassFolder,
    on_error: Callable[[OSError], object],
    left_out: Counter[str] | None,
    suffixes: tuple[str, ...],
) -> list[str]:
    """The images below a class folder: folders sorted by their whole paths as text, names within each."""
    found = [
        (os.path.join(each.path, *parts), entry.name)
        for parts, entry in folders.walk(each.path, once=False, on_error=on_error, above=each.above)
        if folders.counts(entry, suffixes, left_out)
    ]
    return [os.path.join(folder, name) for folder, name in sorted(found)]
