# SPDX-License-Identifier: BSD-3-Clause
"""Files on a disk: empty ones, or with the pixels that they must give."""

import os
from typing import NamedTuple

from support import jpegs


class Batch(NamedTuple):
    """Files and what is in them; `images` are uint8 (3, height, width), RGB and upright."""

    paths: list
    data: list
    images: list


def touch(root, *names):
    """Make empty files, and the folders that they need."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def write_batch(folder, files):
    paths = []
    for i, data in enumerate(files):
        path = folder / f"{i:03d}.jpg"
        path.write_bytes(data)
        paths.append(str(path))
    return Batch(paths, list(files), [jpegs.reference(data) for data in files])


def deep_path(root, name="x" * 250):
    """Make folders in folders until the last one's path is too long for the system; returns that path."""
    path = str(root)
    at = os.open(root, os.O_RDONLY)
    try:
        while len(path) < os.pathconf(root, "PC_PATH_MAX"):
            os.mkdir(name, dir_fd=at)
            below = os.open(name, os.O_RDONLY, dir_fd=at)
            os.close(at)
            at = below
            path = os.path.join(path, name)
        os.close(os.open("never.jpg", os.O_CREAT | os.O_WRONLY, dir_fd=at))
    finally:
        os.close(at)
    return path
