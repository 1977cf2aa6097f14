# SPDX-License-Identifier: BSD-3-Clause
"""Folders: the images below them."""

import errno
import heapq
import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Literal, TypeAlias

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif")

#: Also what `fallback="pillow"` decodes, some of it with packages of its own. No endings that other files have, too.
ALL_SUFFIXES = (
    *SUFFIXES,
    *(".png", ".apng", ".gif", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".ico"),
    *(".avif", ".heic", ".heif", ".hif", ".jxl", ".jp2", ".j2k", ".jpx", ".jpf", ".j2c", ".jpc"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".pcx", ".psd", ".qoi", ".dds", ".sgi", ".mpo", ".jps"),
)

Formats: TypeAlias = "Literal['jpeg', 'all']"

#: The key in counts of files that were left out for FIFOs, sockets and devices, whatever their names end in.
SPECIAL = "special"

OnError: TypeAlias = "Literal['raise'] | Callable[[OSError], object]"

_Identity: TypeAlias = tuple[int, int]  # device and inode of a folder


def find_images(
    root: str | os.PathLike[str],
    *,
    on_error: OnError = "raise",
    left_out: Counter[str] | None = None,
    formats: Formats = "jpeg",
) -> list[str]:
    """List the JPEG files below a folder, or all images.

    Names that end in ``.jpg``, ``.jpeg``, ``.jpe`` or ``.jfif``, in any case, count; files are not opened. FIFOs,
    sockets and devices are left out, and so are hidden files and folders: names that start with a dot, and
    ``__MACOSX``. Symbolic links are followed, but no folder is listed twice, so loops end; a file that can be reached
    without a link is listed under that path. A link whose target is missing is listed; reading it is an error.

    Parameters
    ----------
    root : str or os.PathLike
        The folder. It may itself be hidden or a link.
    on_error : {"raise"} or callable
        What becomes of a folder below `root` that cannot be listed: it may not be read, its path is too long, or it
        was removed meanwhile. "raise": its OSError ends the call. A callable gets the OSError, and the other folders
        are listed: ``on_error=failures.append``.
    left_out : collections.Counter, optional
        Gets the number of other files, hidden ones apart: by the end of their name in lower case (``".png"``; ``""``
        without one), and ``"special"`` for FIFOs, sockets and devices.
    formats : {"jpeg", "all"}
        "all": also names that end in ``.png``, ``.webp``, ``.tif`` and so on, for ``load(..., fallback="pillow")``.

    Returns
    -------
    list of str
        Paths that start with `root`, sorted by their parts.

    Raises
    ------
    FileNotFoundError
        `root` does not exist.
    NotADirectoryError
        `root` is a file.
    OSError
        `root`, or with "raise" a folder below it, cannot be listed.
    TypeError
        `root` is not a str or a path of str, or `on_error` is not callable.
    ValueError
        `on_error` is another word than "raise", or `formats` than "jpeg" and "all".

    Examples
    --------
    >>> paths = fastimg.find_images("photos")
    >>> len(paths), paths[0]
    (72, 'photos/cat/000.jpg')
    """
    return find_files(root, suffixes_of(formats), on_error=on_error, left_out=left_out)


def find_files(
    root: str | os.PathLike[str],
    suffixes: tuple[str, ...] = ("",),
    *,
    on_error: OnError = "raise",
    left_out: Counter[str] | None = None,
) -> list[str]:
    """List the files below a folder whose names have one of the suffixes, by default all; otherwise `find_images`."""
    top = check_root(root)
    report = reporter(on_error)

    def report_below(error: OSError) -> None:
        if error.filename == top:
            raise error
        report(error)

    found = [
        (*parts, entry.name)
        for parts, entry in walk(top, once=True, on_error=report_below)
        if counts(entry, suffixes, left_out)
    ]
    return [os.path.join(top, *parts) for parts in sorted(found)]


def suffixes_of(formats: Formats) -> tuple[str, ...]:
    """What names of images end in."""
    if not isinstance(formats, str) or formats not in ("jpeg", "all"):
        raise ValueError(f"formats must be 'jpeg' or 'all', found {formats!r}")
    return ALL_SUFFIXES if formats == "all" else SUFFIXES


def walk(
    top: str, *, once: bool, on_error: Callable[[OSError], object], above: tuple[_Identity, ...] = ()
) -> Iterator[tuple[tuple[str, ...], os.DirEntry[str]]]:
    """Yields each visible entry below a folder that is not a folder, after the parts of its folder's path below `top`.

    Parameters
    ----------
    once : bool
        True: no folder is listed twice, and under a path without links if it has one. False: links are followed
        wherever they are; a link to a folder that it lies in is an OSError (ELOOP).
    on_error : callable
        Gets the OSError of a folder that cannot be listed, `top` included, with its path as `filename`.
    above : tuple
        Folders that `top` lies in, to which no link may lead.
    """
    seen: set[_Identity] = set()
    # Links wait until no real folder is left: files below a class folder keep that class, whatever links to it.
    folders: list[tuple[tuple[str, ...], tuple[_Identity, ...]]] = [((), above)]
    links = folders[:0]
    while folders or links:
        parts, above = folders.pop() if folders else heapq.heappop(links)
        folder = os.path.join(top, *parts)
        try:
            identity = identity_of(folder)
            if once and identity in seen:
                continue
            if identity in above:
                raise OSError(errno.ELOOP, "a link to a folder that it lies in", folder)
            seen.add(identity)
            with os.scandir(folder) as entries:
                for entry in entries:
                    if is_hidden(entry.name):
                        continue
                    if not is_folder(entry):
                        yield parts, entry
                    elif once and entry.is_symlink():
                        heapq.heappush(links, ((*parts, entry.name), ()))
                    else:
                        folders.append(((*parts, entry.name), (*above, identity)))
        except OSError as error:
            error.filename = folder
            on_error(error)


def reporter(on_error: OnError) -> Callable[[OSError], object]:
    """Return the callable that `on_error` is or stands for, after checking it."""
    if isinstance(on_error, str):
        if on_error != "raise":
            raise ValueError(f"on_error must be 'raise' or a callable, found {on_error!r}")
        return _raise
    if not callable(on_error):
        raise TypeError(f"on_error must be 'raise' or a callable, found {type(on_error).__name__}")
    return on_error


def _raise(error: OSError) -> None:
    raise error


def check_root(root: str | os.PathLike[str]) -> str:
    top = os.fspath(root)
    if not isinstance(top, str):
        raise TypeError(f"root: expected str or a path of str, found {type(root).__name__}")
    return top


def counts(entry: os.DirEntry[str], suffixes: tuple[str, ...], left_out: Counter[str] | None) -> bool:
    """Whether an entry that is not a folder is a file with one of the suffixes; if not, count it in `left_out`."""
    if not is_file(entry):
        key = SPECIAL
    elif entry.name.lower().endswith(suffixes):
        return True
    else:
        key = ending(entry.name)
    if left_out is not None:
        left_out[key] += 1
    return False


def ending(name: str) -> str:
    """The end of a file's name from its last dot, in lower case; empty without one."""
    return os.path.splitext(name)[1].lower().rstrip(".")


def is_hidden(name: str) -> bool:
    # __MACOSX is what macOS adds to zip archives: a copy of the tree that holds no images, only hidden files.
    return name.startswith(".") or name == "__MACOSX"


def identity_of(folder: str) -> _Identity:
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or into a folder that may not be read: an error when it is read
        return False


def is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file() or (entry.is_symlink() and not os.path.exists(entry.path))
    except OSError:
        return True
