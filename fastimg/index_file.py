# SPDX-License-Identifier: BSD-3-Clause
"""What a file index holds, and the file that it is saved in: an ``.npz`` archive of plain arrays, not compressed."""

from __future__ import annotations

import enum
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastimg.file_scan import Facts
from fastimg.folders import Formats, suffixes_of
from fastimg.packed_paths import PackedPaths
from fastimg.packing import write_npz

#: The entry that says what the file is: version, and the number of entries, as a damaged directory may lose some.
_FORMAT = "fastimg_file_index"
_VERSION = 1

#: What else is in it: the kind of dtype, and the shape of what is kept per file (None: another number of entries).
_ENTRIES: dict[str, tuple[str, tuple[int, ...] | None]] = {
    "root": ("u", None),
    "listed": ("u", None),
    "paths": ("u", None),
    "classes": ("u", None),
    "nbytes": ("i", ()),
    "mtimes": ("i", ()),
    "labels": ("i", ()),
    "sizes": ("i", (2,)),
    "formats": ("u", None),
}
_OPTIONAL = ("labels", "sizes", "formats")  # without the last, "jpeg"

_Entries = dict[str, npt.NDArray[Any]]


class Listed(enum.Enum):
    """How the files of an index were found."""

    GIVEN = "given"  # by the user
    IMAGES = "images"  # by `find_images`
    CLASSES = "classes"  # by `image_folder`


class Content(NamedTuple):
    """What a file index holds.

    Attributes
    ----------
    paths : PackedPaths, (N,)
        Absolute.
    labels : ndarray of int64, (N,), or None
    classes : list of str
    sizes : ndarray of int32, (N, 2), or None
    nbytes : ndarray of int32, (N,)
        int64 if a file has 2 GiB or more.
    mtimes : ndarray of int64, (N,)
    root : str
    listed : Listed
    formats : {"jpeg", "all"}
        What was listed, and is listed again.
    """

    paths: PackedPaths
    labels: npt.NDArray[np.int64] | None
    classes: list[str]
    sizes: npt.NDArray[np.int32] | None
    nbytes: npt.NDArray[Any]
    mtimes: npt.NDArray[np.int64]
    root: str
    listed: Listed
    formats: Formats = "jpeg"

    def take(self, chosen: npt.NDArray[np.int64]) -> Content:
        """The files at these positions."""
        return self._replace(
            paths=self.paths.take(chosen),
            labels=None if self.labels is None else self.labels[chosen],
            sizes=None if self.sizes is None else self.sizes[chosen],
            nbytes=self.nbytes[chosen],
            mtimes=self.mtimes[chosen],
        )


def parse_labels(labels: Any, count: int, classes: Sequence[str]) -> npt.NDArray[np.int64] | None:
    if labels is None:
        return None
    array = np.asarray(labels, None if np.size(labels) else np.int64)  # to NumPy, [] holds floats
    if array.dtype.kind not in "iu":
        raise TypeError(f"labels must be integers, found dtype {array.dtype}")
    if array.shape != (count,):
        raise ValueError(f"expected one label for each of {count} paths, found labels of shape {array.shape}")
    if count and classes and not 0 <= array.min() <= array.max() < len(classes):
        raise ValueError(
            f"labels must be from 0 to {len(classes) - 1}, the indices of {len(classes)} classes, "
            f"found {array.min()} to {array.max()}"
        )
    return array.astype(np.int64)


def parse_classes(classes: Any) -> list[str]:
    if classes is None:
        return []
    if isinstance(classes, str) or not all(isinstance(name, str) for name in classes):
        raise TypeError(f"classes must be a sequence of str, found {classes!r}")
    for name in classes:
        if "\0" in name:
            raise ValueError(f"the name of a class cannot contain a null character, found {name!r}")
    return list(classes)


def put_together(
    paths: PackedPaths,
    labels: npt.NDArray[np.int64] | None,
    classes: list[str],
    facts: Facts,
    root: str,
    listed: Listed,
    formats: Formats,
) -> Content:
    """What an index of these files holds."""
    small = not len(paths) or facts.nbytes.max() < 2**31
    nbytes = facts.nbytes.astype(np.int32 if small else np.int64)
    return Content(paths, labels, classes, facts.sizes, nbytes, facts.mtimes, root, listed, formats=formats)


def write(path: str | os.PathLike[str], content: Content) -> None:
    """Write an index file, or leave everything as it was.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    entries: dict[str, Any] = {
        "root": _to_entry(content.root),
        "listed": _to_entry(content.listed.value),
        "paths": np.frombuffer(content.paths._blob, np.uint8),
        "classes": _to_entry("".join(f"{name}\0" for name in content.classes)),
        "nbytes": content.nbytes,
        "mtimes": content.mtimes,
    }
    entries |= {
        key: getattr(content, key) for key in ("labels", "sizes") if getattr(content, key) is not None
    }
    if content.formats != "jpeg":
        entries["formats"] = _to_entry(content.formats)
    entries[_FORMAT] = np.array([_VERSION, len(entries) + 1])
    write_npz(os.fsdecode(path), entries)


def read(path: str | os.PathLike[str]) -> Content:
    """Read an index file.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        It is another kind of file, of another version, or damaged.
    """
    name = os.fsdecode(path)
    with open(path, "rb") as file:
        try:
            entries = _read_entries(file)
        except MemoryError:
            raise
        except Exception as error:  # zipfile and NumPy raise many kinds
            raise ValueError(f"{name}: not a file index, or damaged: {error}") from error
    try:
        _check(entries)
        return _make_content(entries)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name}: damaged file index: {error}") from None


def _to_entry(text: str) -> npt.NDArray[np.uint8]:
    return np.frombuffer(os.fsencode(text), np.uint8)


def _to_str(entry: npt.NDArray[Any]) -> str:
    return os.fsdecode(entry.tobytes())


def _read_entries(file: Any) -> _Entries:
    archive = np.load(file, allow_pickle=False)
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise ValueError("expected an .npz file, found a single array")
    with archive:
        if _FORMAT not in archive.files:
            raise ValueError("it holds other arrays")
        version, count = archive[_FORMAT].astype(np.int64, casting="safe").tolist()
        if version != _VERSION:
            raise ValueError(f"expected version {_VERSION}, found {version}")
        if len(archive.files) != count or not {_FORMAT, *_ENTRIES}.issuperset(archive.files):
            raise ValueError(f"expected {count} entries, found {', '.join(archive.files)}")
        entries = {key: archive[key] for key in archive.files if key != _FORMAT}
    for key, entry in entries.items():
        if not isinstance(entry, np.ndarray):
            raise ValueError(f"{key} is no array")
    return entries


def _check(entries: _Entries) -> None:
    """Refuse entries that are missing, or of another dtype or length."""
    count = len(entries["nbytes"]) if "nbytes" in entries and entries["nbytes"].ndim else 0
    for name, (kind, shape) in _ENTRIES.items():
        if name not in entries:
            if name in _OPTIONAL:
                continue
            raise ValueError(f"no {name}")
        entry = entries[name]
        if entry.dtype.kind != kind or (kind == "u" and entry.dtype != np.uint8):
            raise ValueError(f"{name} of dtype {entry.dtype}")
        if entry.ndim != 1 if shape is None else entry.shape != (count, *shape):
            raise ValueError(f"{name} of shape {entry.shape} for {count} files")


def _make_content(entries: _Entries) -> Content:
    paths = PackedPaths(entries["paths"].tobytes())
    count = len(entries["nbytes"])
    if len(paths) != count:
        raise ValueError(f"{len(paths)} paths for {count} files")
    classes = _to_str(entries["classes"]).split("\0")[:-1]
    sizes = entries.get("sizes")
    formats: Any = _to_str(entries["formats"]) if "formats" in entries else "jpeg"
    suffixes_of(formats)
    return Content(
        paths,
        parse_labels(entries.get("labels"), count, classes),
        classes,
        None if sizes is None else sizes.astype(np.int32, copy=False),
        entries["nbytes"],
        entries["mtimes"].astype(np.int64, copy=False),
        _to_str(entries["root"]),
        Listed(_to_str(entries["listed"])),
        formats=formats,
    )
