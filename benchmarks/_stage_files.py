# SPDX-License-Identifier: BSD-3-Clause
"""The files that `stages` decodes: of every size, quality and sampling, re-encoded, and damaged ones."""

from __future__ import annotations

import io
import itertools
import pathlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks._common import Photo
from benchmarks._stage_run import Task

# (height, width): images, and how many of them are a block, of about 20 ms. There are so many small ones because a
# processor learns the branches of files that come again soon, and decodes them faster than any new one.
SIZES = {
    "32x32": (32, 32, 2048, 512),
    "256x256": (256, 256, 64, 16),
    "500x375": (375, 500, 32, 8),
    "4000x3000": (3000, 4000, 4, 1),
}
QUALITIES = {"q30": 30, "q75": 75, "q95": 95}
COLOURS = ("4:4:4", "4:2:0", "grey")
RESTARTS = {"no-restarts": 0, "restarts": 1}  # rows of MCUs in an interval
AXES: tuple[Collection[str], ...] = (SIZES, QUALITIES, COLOURS, RESTARTS)

PICTURES = 128  # photos that the generated files are made of
LARGEST = 1024  # pixels of a side that are used of a photo
SHRUNK = 0.75  # of the photos' size: what is left of their own blocks of 8 x 8 would compress too well
TILE = 256
MADE = 24  # pictures that stand in for photos


@dataclass(frozen=True)
class Class:
    """Generated files that are alike in all that the time depends on: a word of each of `AXES`."""

    size: str
    quality: str
    colour: str
    restarts: str

    @property
    def words(self) -> tuple[str, str, str, str]:
        return (self.size, self.quality, self.colour, self.restarts)

    @property
    def name(self) -> str:
        return " ".join(self.words)


def choose(words: Collection[str]) -> list[Class]:
    """Return the classes that have one of those words for each axis that has any among them."""
    return [
        Class(*one) for one in itertools.product(*([w for w in axis if w in words] or axis for axis in AXES))
    ]


# Pixels: uint8 (H, W, 3)


def fallen_leaves(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Return a picture with edges at all scales, shading and a little grain, as photos have them."""
    y, x = np.mgrid[:height, :width].astype(np.float32)

    def colour() -> np.ndarray:
        return rng.uniform(30, 225) + rng.normal(0, 20, 3)  # photos have more light and shade than colours

    image = np.empty((height, width, 3), np.float32)
    image[:] = colour()
    # A density of radius^-3, so that the picture looks alike at every scale; the large ones lie below.
    for radius in np.sort(1 / np.sqrt(rng.uniform(1 / 120**2, 1 / 10**2, 1000)))[::-1]:
        top, left = rng.uniform(0, height), rng.uniform(0, width)
        rows = slice(max(0, int(top - radius)), int(top + radius) + 1)
        columns = slice(max(0, int(left - radius)), int(left + radius) + 1)
        dy, dx = y[rows, columns] - top, x[rows, columns] - left
        light = (rng.uniform(-0.5, 0.5) * dy + rng.uniform(-0.5, 0.5) * dx)[:, :, None]
        leaf = colour() + light
        inside = dy**2 + dx**2 < radius**2
        image[rows, columns][inside] = leaf[inside]
    return np.clip(image + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8)


def write_pictures(folder: str) -> None:
    """Write JPEG files that stand in for photos."""
    for i in range(MADE):
        pixels = fallen_leaves(375, 500, np.random.default_rng(i))
        pathlib.Path(folder, f"{i:02}.jpg").write_bytes(encode(pixels, quality=90, subsampling="4:2:0"))


def read_pictures(photos: Sequence[Photo]) -> list[np.ndarray]:
    """Return the pixels of some of the photos, shrunk."""
    from PIL import Image

    pictures = []
    for photo in photos[:: -(-len(photos) // PICTURES)]:
        image = Image.open(io.BytesIO(photo.data)).convert("RGB")
        image = image.crop((0, 0, min(image.width, LARGEST), min(image.height, LARGEST)))
        size = [max(TILE, round(length * SHRUNK)) for length in image.size]
        pictures.append(np.asarray(image.resize(size, Image.Resampling.LANCZOS)))
    return pictures


def mosaic(pictures: Sequence[np.ndarray], height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Return tiles side by side, each a random part of a random picture."""
    image = np.empty((height, width, 3), np.uint8)
    for top, left in itertools.product(range(0, height, TILE), range(0, width, TILE)):
        tile = image[top : top + TILE, left : left + TILE]
        picture = pictures[rng.integers(len(pictures))]
        y = rng.integers(picture.shape[0] - tile.shape[0] + 1)
        x = rng.integers(picture.shape[1] - tile.shape[1] + 1)
        tile[:] = picture[y : y + tile.shape[0], x : x + tile.shape[1]]
    return image


# Files


def encode(pixels: np.ndarray, *, grey: bool = False, **options: object) -> bytes:
    """Return a JPEG file; the options are those of Pillow."""
    from PIL import Image

    image = Image.fromarray(pixels)
    stream = io.BytesIO()
    (image.convert("L") if grey else image).save(stream, "JPEG", **options)
    return stream.getvalue()


class Classes:
    """Makes the files of one class after another; the pixels of a size are made once."""

    def __init__(self, photos: Sequence[Photo]) -> None:
        self.pictures = read_pictures(photos)
        self.size = ""
        self.images: list[np.ndarray] = []

    def task(self, wanted: Class) -> Task:
        height, width, count, block = SIZES[wanted.size]
        if wanted.size != self.size:
            rng = np.random.default_rng(width)
            self.images = [mosaic(self.pictures, height, width, rng) for _ in range(count)]
            self.size = wanted.size
        grey = wanted.colour == "grey"
        options: dict[str, object] = {
            "quality": QUALITIES[wanted.quality],
            "restart_marker_rows": RESTARTS[wanted.restarts],
        }
        if not grey:
            options["subsampling"] = wanted.colour
        files = [encode(image, grey=grey, **options) for image in self.images]
        names = [f"{wanted.name}, image {i}" for i in range(count)]
        shape = (1 if grey else 3, height, width)
        return Task(names, files, [shape] * count, block, {"mode": "L" if grey else "RGB"})


def scan(data: bytes) -> int:
    """Return where the entropy-coded bytes of Pillow's only scan begin."""
    at = data.rindex(b"\xff\xda")  # in entropy-coded bytes a zero would follow the 0xff
    return at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")


def flipped(data: bytes) -> bytes:
    """Return the file with one bit in the middle of its scan flipped."""
    middle = (scan(data) + len(data)) // 2
    return data[:middle] + bytes([data[middle] ^ 0x10]) + data[middle + 1 :]


def truncated(data: bytes) -> bytes:
    """Return the file without the last 30 % of its scan."""
    start = scan(data)
    return data[: start + (len(data) - start) * 7 // 10]


# name: (what Pillow makes it with, what is done to the file then)
KINDS: dict[str, tuple[dict[str, object], Callable[[bytes], bytes]]] = {
    "re-encoded": ({}, bytes),
    "optimised tables": ({"optimize": True}, bytes),
    "progressive": ({"progressive": True}, bytes),
    "one bit flipped": ({}, flipped),
    "truncated at 70 %": ({}, truncated),
}


def kind_task(photos: Sequence[Photo], kind: str, block: int) -> Task:
    """Return the photos, re-encoded at quality 85, as files of that kind."""
    from PIL import Image

    options, change = KINDS[kind]
    files = []
    for photo in photos:
        image = Image.open(io.BytesIO(photo.data)).convert("RGB")
        files.append(change(encode(np.asarray(image), quality=85, **options)))
    names = [f"{photo.path}, {kind}" for photo in photos]
    shapes = [(3, photo.shape[0], photo.shape[1]) for photo in photos]
    return Task(names, files, shapes, block, {"strict": False})
