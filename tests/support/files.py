# SPDX-License-Identifier: BSD-3-Clause
"""Files on a disk: empty ones, or with the pixels that they must give."""

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
