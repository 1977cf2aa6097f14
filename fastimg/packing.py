# SPDX-License-Identifier: BSD-3-Clause
"""Many strings in one bytes object, and arrays in one file."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from fastimg.working_files import new_file


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
