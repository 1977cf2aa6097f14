# SPDX-License-Identifier: BSD-3-Clause
"""New ``.npy`` files, with room on the disk for all of the array before any of it is written."""

from __future__ import annotations

import errno
import math
import os
from typing import Any, BinaryIO

import numpy as np

_CANNOT_RESERVE = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


def free_space(path: str) -> int | None:
    """Return how many bytes the folder of a file has room for, or None if its file system does not say."""
    try:
        state = os.statvfs(os.path.dirname(path) or ".")
    except OSError:
        return None
    return state.f_bavail * state.f_frsize if state.f_blocks else None


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
