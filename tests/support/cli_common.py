# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of the command line share."""

import csv
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

import fastimg

SIZE = (37, 23)  # width, height


def encoded(seed: int = 0, size: tuple[int, int] = SIZE, orientation: int = 1, **options: Any) -> bytes:
    """A small JPEG whose pixels depend on `seed`."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (5, 7, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    small.resize(size, Image.Resampling.BICUBIC).save(
        file, "JPEG", quality=90, exif=exif.tobytes(), **options
    )
    return file.getvalue()


def pixels(data: bytes) -> npt.NDArray[np.uint8]:
    """Pillow's pixels, upright, (H, W, 3)."""
    return np.array(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))


def with_size(data: bytes, width: int, height: int) -> bytes:
    """The same file with another size in its header."""
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + data[at + 4 :]


def with_precision(data: bytes, bits: int) -> bytes:
    at = data.index(b"\xff\xc0") + 4
    return data[:at] + bytes([bits]) + data[at + 1 :]


def is_mapped(name: str) -> bool:
    """Whether this process maps a file of that name into its memory (Linux)."""
    return name in Path("/proc/self/maps").read_text()


def npy_header_size(path: Path) -> int:
    with open(path, "rb") as file:
        assert np.lib.format.read_magic(file) == (1, 0)
        np.lib.format.read_array_header_1_0(file)
        return file.tell()


def table(path: Path) -> list[list[str]]:
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        return list(csv.reader(file))


def run(*args: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run the command, or a program after "-c", in a process of its own with the package that is tested here."""
    command = [sys.executable, *(args if args[0] == "-c" else ("-m", "fastimg", *args))]
    return process(command, **options)


def process(command: list[str], **options: Any) -> "subprocess.CompletedProcess[str]":
    source = str(Path(fastimg.__file__).parent.parent)
    env = {**os.environ, "PYTHONPATH": source, "PYTHONIOENCODING": "utf-8", **options.pop("env", {})}
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": 120, **options}
    return subprocess.run(command, env=env, encoding="utf-8", errors="replace", **options)


PATHS = ["photos/cat/1.jpg", "photos/cat/2.jpg", "photos/dog/3.jpg"]


def rows() -> npt.NDArray[np.uint8]:
    return np.stack([pixels(encoded(seed)) for seed in (1, 2, 3)])


def left(folder: Path) -> list[str]:
    return sorted(name for name in os.listdir(folder) if name != "photos")
