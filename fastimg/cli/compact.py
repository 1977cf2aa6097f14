# SPDX-License-Identifier: BSD-3-Clause
"""Taking rows out of a ``.npy`` file where it is, without a second one."""

import io
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np

_BLOCK = 16 << 20  # bytes that are moved at once


def drop_rows(
    file: BinaryIO, shape: tuple[int, ...], dtype: np.dtype[Any], offset: int, rows: Sequence[int]
) -> np.memmap[Any, np.dtype[Any]]:
    """Leave rows out: those after them move up, and the file ends earlier.

    Nothing may map the file meanwhile: Windows shortens no file that is mapped.

    Parameters
    ----------
    file : binary file
        As `npy_files.begin_array` has written it, open for reading and writing.
    shape : tuple of int
    dtype : numpy.dtype
    offset : int
        Where its data begins, in bytes.
    rows : sequence of int
        Not all of them.

    Returns
    -------
    numpy.memmap
        The other rows, in their order.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    count = shape[0] - len(set(rows))
    array = np.memmap(file, dtype, "r+", offset, shape)
    row_nbytes = max(1, array.nbytes // len(array))
    _move_rows(array, rows, row_nbytes)
    array.flush()
    del array
    shape = (count, *shape[1:])
    file.seek(0)
    file.write(_header(shape, dtype, offset))
    file.flush()
    file.truncate(offset + count * row_nbytes)
    return np.memmap(file, dtype, "r+", offset, shape)


def _move_rows(array: np.memmap[Any, np.dtype[Any]], rows: Sequence[int], row_nbytes: int) -> None:
    kept = np.delete(np.arange(len(array)), rows)
    step = max(1, _BLOCK // row_nbytes)
    to = 0
    for run in np.split(kept, np.flatnonzero(np.diff(kept) != 1) + 1):
        start, stop = int(run[0]), int(run[-1]) + 1
        for first in range(start, stop, step) if start != to else ():
            block = array[first : min(first + step, stop)]
            at = first - start + to
            array[at : at + len(block)] = block  # NumPy looks whether the two overlap
        to += stop - start


def _header(shape: tuple[int, ...], dtype: np.dtype[Any], nbytes: int) -> bytes:
    """The header of a ``.npy`` file of version 1.0, filled up with spaces to a length."""
    text = io.BytesIO()
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(text, header)
    head = text.getvalue()
    body = head[10:].rstrip(b"\n").ljust(nbytes - 11) + b"\n"
    return head[:8] + len(body).to_bytes(2, "little") + body
