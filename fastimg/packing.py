# SPDX-License-Identifier: BSD-3-Clause
"""Many strings in one bytes object, arrays in one file, and files that are replaced as a whole."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt


def starts_of(blob: bytes) -> npt.NDArray[np.uint64]:
    """The positions of the entries of a blob, each of which ends with a null byte."""
    ends = np.flatnonzero(np.frombuffer(blob, np.uint8) == 0).astype(np.uint64)
    starts = np.zeros_like(ends)
    starts[1:] = ends[:-1] + np.uint64(1)
    return starts


def write_npz(path: str, entries: dict[str, Any]) -> None:
    """Write arrays into an uncompressed ``.npz`` file, or leave everything as it was.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    with new_file(path, path) as file:
        np.savez(file, **entries)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def new_file(path: str, name: str) -> Iterator[BinaryIO]:
    """Open a new file, which becomes `path` at the end of the block, or is removed if that is left by an error.

    Raises
    ------
    OSError
        The file cannot be written. The error names `name`.
    """
    partial = os.path.join(os.path.dirname(path), f".fastimg-{os.urandom(8).hex()}.partial")
    try:
        with open(partial, "x+b") as file:
            yield file
        os.replace(partial, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        if isinstance(error, OSError):  # not with the name that nobody has asked for
            raise OSError(error.errno, error.strerror, name) from None
        raise
