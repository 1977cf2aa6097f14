# SPDX-License-Identifier: BSD-3-Clause
"""The files that the arguments of a command name."""

import os
from collections.abc import Sequence

import fastimg.folders as folders
from fastimg.archives import archive_members, is_archive_name
from fastimg.sources import FileRange


def images(inputs: Sequence[str]) -> tuple[list[str | FileRange], list[str | None]]:
    """Return the images that the arguments name, and for each the folder among them in which it was found."""
    sources: list[str | FileRange] = []
    roots: list[str | None] = []
    for name in inputs:
        if is_folder(name):
            sources += folders.find_images(name)
            roots += [name] * (len(sources) - len(roots))
        else:
            sources += files_of(name)
            roots += [None] * (len(sources) - len(roots))
    if not sources:
        raise ValueError(f"no {', '.join(folders.SUFFIXES)} file below {', '.join(inputs)}")
    return sources, roots


def is_folder(name: str) -> bool:
    return os.path.isdir(name) or name.endswith(os.sep)


def files_of(name: str) -> list[str | FileRange]:
    """Return the images of an archive, or the file itself if it is none."""
    if is_archive_name(name) and not is_folder(name):
        return list(archive_members(name))
    return [name]
