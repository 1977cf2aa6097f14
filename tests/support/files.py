# SPDX-License-Identifier: BSD-3-Clause
"""Files on a disk: empty ones, or with the pixels that they must give."""

import os
from typing import NamedTuple

import numpy as np

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


def half_in_files(folder, contents):
    """Sources of these contents: bytes and files in turn."""
    sources = []
    for i, data in enumerate(contents):
        if i % 2:
            (folder / f"{i:02d}.jpg").write_bytes(data)
            data = str(folder / f"{i:02d}.jpg")
        sources.append(data)
    return sources


def write_motley(folder, count):
    """Sources of many sizes and all orientations; half of them files, half bytes."""
    files = (
        jpegs.jpeg(20 + 9 * (i % 11), 24 + 7 * (i % 13), seed=i, progressive=i % 4 == 3) for i in range(count)
    )
    return half_in_files(folder, [jpegs.oriented(data, 1 + 5 * i % 8) for i, data in enumerate(files)])


def write_photos(folder, count, height=8, width=10):
    """A folder of images of so many blocks of 20 x 20 pixels: fine noise is nothing that filters agree on."""
    folder.mkdir()
    for i in range(count):
        image = np.kron(jpegs.pixels(height, width, seed=i), np.ones((20, 20, 1), np.uint8))
        (folder / f"{i}.jpg").write_bytes(jpegs.turbo(image))
    return folder


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
