# SPDX-License-Identifier: BSD-3-Clause
"""New ``.npy`` files, with room on the disk for all of the array before any of it is written."""

from __future__ import annotations

import errno
import math
import os
import shutil
import stat
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from fastimg.options import integers
from fastimg.working_files import new_file

_CANNOT_RESERVE = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
_MAX_NBYTES = 2**62  # with a header still an offset in a file


def create_array(
    path: str | os.PathLike[str], shape: int | Sequence[int], dtype: npt.DTypeLike = "uint8"
) -> np.memmap[Any, np.dtype[Any]]:
    """Create a ``.npy`` file, reserve its disk space and map its array into memory.

    ``numpy.lib.format.open_memmap(path, "w+")`` reserves nothing: if the disk fills up later, writing to the array is
    a SIGBUS, which ends the process. Here a disk without room is an error at once.

    Parameters
    ----------
    path : str or os.PathLike
        The file's name, such as ``train.npy``. As with ``open_memmap``, a file of that name is replaced, and a
        symbolic link is followed. It is replaced as a whole, once the space of the new one is reserved, so there must
        be room for both: it survives all errors, and arrays that are mapped from it stay as they are.
    shape : int or sequence of int
        The array's shape, such as ``(len(paths), 3, 256, 256)``.
    dtype : dtype
        Numeric or bool. ``.npy`` files have no bfloat16: "bfloat16" is an array of uint16, for the bits, which
        `load` fills with ``dtype="bfloat16"``.

    Returns
    -------
    numpy.memmap
        Of `shape`, C order, writable, all zeros. Its `flush` writes to the disk what has been changed.

    Raises
    ------
    OSError
        If the disk has no room (ENOSPC, with how much is needed and, if the file system says it, how much is free),
        `path` is not a file that may be replaced, or the file cannot be written.
    ValueError
        If a side is negative, the array is too large for any file, or `dtype` is neither numeric nor bool.
    TypeError
        If `path`, `shape` or `dtype` has the wrong type.

    Notes
    -----
    The new file is ``NAME.fastimg.partial`` in the same folder until its space is reserved. Errors and Ctrl-C remove
    it. A process that is killed in that moment leaves it, and the next call for this name removes it. If another
    process makes an array of this name, the call waits for ten seconds, then it is a `BlockingIOError`. On a file
    system without locks (`flock`) neither is possible: each call then takes a name of its own,
    ``NAME.*.fastimg.partial``, and what a killed process left stays. Windows replaces no file that is mapped or open,
    which is an OSError.

    Examples
    --------
    >>> paths = fastimg.find_images("photos")
    >>> data = fastimg.create_array("train.npy", (len(paths), 3, 64, 64))
    >>> data = fastimg.load(paths, data, size=64)
    >>> data.flush()
    >>> np.load("train.npy", mmap_mode="r").shape
    (72, 3, 64, 64)
    """
    name = os.fspath(path)
    if not isinstance(name, str):
        raise TypeError(f"path: expected str or a path of str, found {type(path).__name__}")
    storage = _parse_dtype(dtype)
    sides = _parse_shape(shape, storage)
    target = os.path.realpath(name)
    mode = _mode_of(target, name)
    reject_too_large(storage.itemsize * math.prod(sides), free_space(target), name)
    arrays: list[np.memmap[Any, np.dtype[Any]]] = []  # the only reference, so that an error can drop it
    with new_file(target, name, arrays.clear) as file:
        if mode is not None and hasattr(os, "fchmod"):
            os.fchmod(file.fileno(), mode)
        arrays.append(begin_array(file, sides, storage, name))
    [array] = arrays
    # NumPy saw the name that the file had until now. Its newer stubs call it final.
    array.filename = target  # type: ignore[misc,unused-ignore]
    return array


def _parse_dtype(value: Any) -> np.dtype[Any]:
    if isinstance(value, str) and value == "bfloat16":  # NumPy knows it after ml_dtypes is imported alone
        return np.dtype(np.uint16)
    try:
        dtype: np.dtype[Any] = np.dtype(value)
    except TypeError:
        raise TypeError(f"dtype must be numeric, bool or 'bfloat16', found {value!r}") from None
    if dtype.name == "bfloat16":
        return np.dtype(np.uint16)
    if value is None or dtype.kind not in "biufc":
        raise ValueError(f"dtype must be numeric, bool or 'bfloat16', found {value!r}")
    return dtype


def _parse_shape(value: Any, dtype: np.dtype[Any]) -> tuple[int, ...]:
    try:
        sides = integers(value)
    except TypeError:
        raise TypeError(f"shape must be an integer or a tuple of integers, found {value!r}") from None
    if min(sides, default=0) < 0:
        raise ValueError(f"shape must not be negative, found {value!r}")
    if max(*sides, 1, dtype.itemsize * math.prod(sides)) > _MAX_NBYTES:
        raise ValueError(f"shape {sides} of dtype {dtype} is too large for a file")
    return sides


def _mode_of(target: str, name: str) -> int | None:
    """The permissions of a file that is there; OSError if that is not one to replace."""
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "not a regular file", name)
    if not os.access(target, os.W_OK):  # which os.replace would not ask
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
    return stat.S_IMODE(mode)


def free_space(path: str) -> int | None:
    """Return how many bytes the folder of a file has room for, or None if its file system does not say."""
    try:
        usage = shutil.disk_usage(os.path.dirname(path) or ".")
    except OSError:
        return None
    return usage.free if usage.total else None


def reject_too_large(nbytes: int, free: int | None, name: str) -> None:
    """Raise the OSError of a full disk (ENOSPC) if it is clear that a file cannot fit."""
    if free is not None and nbytes > free:
        text = f"cannot reserve {nbytes:,} bytes, {free:,} are free: {os.strerror(errno.ENOSPC)}"
        raise OSError(errno.ENOSPC, text, name)


def begin_array(
    file: BinaryIO, shape: tuple[int, ...], dtype: np.dtype[Any], name: str
) -> np.memmap[Any, np.dtype[Any]]:
    """Write the header of a ``.npy`` file, reserve space for its data, and map that into memory.

    Parameters
    ----------
    file : binary file
        Empty, open for reading and writing.
    shape : tuple of int
    dtype : numpy.dtype
    name : str
        The file's name in errors.

    Returns
    -------
    numpy.memmap
        All zeros, C order; its first byte is 64-byte aligned in the file.

    Raises
    ------
    OSError
        The disk has no room (ENOSPC), or the file cannot be written.
    """
    descr = np.lib.format.dtype_to_descr(dtype)
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)  # pads to a multiple of 64 bytes
    start = file.tell()
    nbytes = dtype.itemsize * math.prod(shape)
    return _map(file, start, nbytes, shape, dtype, name)


def open_array(
    file: BinaryIO, shape: tuple[int, ...], dtype: np.dtype[Any], name: str
) -> np.memmap[Any, np.dtype[Any]]:
    """Map the data of a file that `begin_array` has written, and maybe an earlier process has filled in part.

    Parameters
    ----------
    file : binary file
        Open for reading and writing.
    shape : tuple of int
    dtype : numpy.dtype
    name : str
        The file's name in errors.

    Returns
    -------
    numpy.memmap
        The data as it is.

    Raises
    ------
    ValueError
        The file has another shape, dtype or length.
    OSError
        The disk has no room for the parts of the file that have none yet, or the file cannot be read.
    """
    nbytes = dtype.itemsize * math.prod(shape)
    try:
        np.lib.format.read_magic(file)
        found, fortran_order, found_dtype = np.lib.format.read_array_header_1_0(file)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    start = file.tell()
    length = file.seek(0, os.SEEK_END)
    if (found, fortran_order, found_dtype, length) != (shape, False, dtype, start + nbytes):
        raise ValueError(
            f"{name}: expected shape {shape}, dtype {dtype} and {start + nbytes:,} bytes, "
            f"found shape {found}, dtype {found_dtype} and {length:,} bytes"
        )
    return _map(file, start, nbytes, shape, dtype, name)


def _map(
    file: BinaryIO, start: int, nbytes: int, shape: tuple[int, ...], dtype: np.dtype[Any], name: str
) -> np.memmap[Any, np.dtype[Any]]:
    try:
        reserve(file, start + nbytes)
    except OSError as error:
        raise OSError(error.errno, f"cannot reserve {nbytes:,} bytes: {error.strerror}", name) from None
    return np.memmap(file, dtype, "r+", start, shape)


def reserve(file: BinaryIO, nbytes: int) -> None:
    """Make a file `nbytes` long, with room on the disk for all of them.

    If the disk is full when a page of a mapped file is first written, SIGBUS ends the process; here it is an OSError.

    Parameters
    ----------
    file : binary file
        Open for writing, at its end, and not longer than `nbytes`.
    nbytes : int
        Final length. What is added reads as zeros.

    Raises
    ------
    OSError
        No room (ENOSPC), too long for a limit (EFBIG), or another error of the file system.
    """
    file.flush()
    fallocate = getattr(os, "posix_fallocate", None)  # macOS has none
    if fallocate is not None:
        try:
            fallocate(file.fileno(), 0, nbytes)
            return
        except OSError as error:
            if error.errno not in _CANNOT_RESERVE:
                raise
    zeros = bytes(1 << 20)
    left = nbytes - file.tell()
    while left > 0:
        left -= file.write(zeros[: min(left, len(zeros))])
    file.flush()
