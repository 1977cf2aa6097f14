# SPDX-License-Identifier: BSD-3-Clause
"""The files of a folder, as an index holds them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

import fastimg.folders as folders
from fastimg.classes import image_folder
from fastimg.packed_paths import PackedPaths


def holds_classes(top: str, formats: folders.Formats) -> bool:
    """Whether a folder holds folders and no images beside them."""
    suffixes = folders.suffixes_of(formats)
    found = False
    with os.scandir(top) as entries:
        for entry in entries:
            if folders.is_hidden(entry.name):
                continue
            if folders.is_folder(entry):
                found = True
            elif folders.counts(entry, suffixes, None):
                return False
    return found


def list_files(
    top: str,
    labelled: bool,
    on_error: Callable[[Exception], object],
    left_out: Counter[str] | None,
    formats: folders.Formats,
) -> tuple[PackedPaths, npt.NDArray[np.int64] | None, list[str]]:
    """The files below a folder, their labels, and the names of the classes."""
    if labelled:
        found = image_folder(top, on_error=on_error, left_out=left_out, formats=formats)
        return PackedPaths.pack(found.paths, top), found.labels, found.classes
    paths = folders.find_images(top, on_error=on_error, left_out=left_out, formats=formats)
    return PackedPaths.pack(paths, top), None, []
