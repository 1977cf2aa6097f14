# SPDX-License-Identifier: BSD-3-Clause
"""A format of the tests' own, which only a fallback knows: so tests of the way to a fallback need no other library."""

import pathlib

import numpy as np

MAGIC = b"RAWPIX"


def encode(pixels):
    """The bytes of an image, uint8 (H, W) or (H, W, C)."""
    sides = np.array([*pixels.shape, *([0] * (3 - pixels.ndim))], "<u4")
    return MAGIC + sides.tobytes() + np.ascontiguousarray(pixels).tobytes()


def decode(source):
    """The pixels again, from a path or bytes; what is no such image is a ValueError."""
    data = source if isinstance(source, bytes) else pathlib.Path(source).read_bytes()
    if not data.startswith(MAGIC):
        raise ValueError(f"no raw image: {data[:8]!r}")
    height, width, channels = np.frombuffer(data, "<u4", 3, len(MAGIC)).tolist()
    shape = (height, width, channels) if channels else (height, width)
    return np.frombuffer(data, np.uint8, offset=len(MAGIC) + 12).reshape(shape)
