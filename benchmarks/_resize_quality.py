# SPDX-License-Identifier: BSD-3-Clause
"""What a shrunken photo should look like, and how far a contestant is from it."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks import _common as common
from benchmarks._resize_peers import Resizing

# Mean and worst PSNR, in dB, below which a result is not the photo. An aliased result of a detailed photo has
# 17 dB and less than 30 on average; another photo, a half that is missing, or R for B has 5 to 15.
FLOORS = {True: (30.0, 15.0), False: (20.0, 12.0)}  # by `antialiased`


def area_weights(length: int, target: int) -> np.ndarray:
    """Return (target, length) weights: the share of each pixel in each of `target` equal parts."""
    edges = np.linspace(0, length, target + 1)
    pixels = np.arange(length)
    shares = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.clip(shares, 0, None) * (target / length)


def reference(pixels: np.ndarray, size: tuple[int, int], resample: str) -> np.ndarray:
    """Return `pixels` (h, w, 3) as (3, height, width) float32 in 0 to 255, unrounded.

    By Pillow's filter of that name on images of mode F, one a channel; by area_weights for "area".
    """
    from PIL import Image

    planes = pixels.transpose(2, 0, 1).astype(np.float32)
    if resample == "area":
        rows, columns = (area_weights(a, b) for a, b in zip(planes.shape[1:], size, strict=True))
        return (rows @ planes @ columns.T).astype(np.float32)
    by = Image.Resampling[resample.upper()]
    small = [np.asarray(Image.fromarray(plane).resize(size[::-1], by)) for plane in planes]
    return np.clip(small, 0, 255)  # bicubic and lanczos overshoot


def psnr(got: np.ndarray, expected: np.ndarray) -> float:
    """Return the PSNR in dB; against an unrounded reference, rounding alone leaves about 59."""
    error = float(np.mean(np.square(got - expected, dtype=np.float64)))
    return 10 * float(np.log10(255**2 / max(error, 1e-9)))


def checksums(rows: np.ndarray) -> list[int]:
    return [zlib.crc32(row) for row in rows]


def inspect(
    peers: Sequence[Resizing], paths: Sequence[str], size: tuple[int, int], num_threads: int, block: int
) -> dict[str, dict[str, Any]]:
    """Return what every contestant makes of every photo, as {name: figures}.

    "own" and "bilinear" are the PSNR of each photo against the reference of the contestant's own filter and
    of the bilinear one; "sums" checksums of the pixels; "reason" says why it has to be left out, or is None.
    """
    found: dict[str, dict[str, Any]] = {
        peer.name: {"own": [], "bilinear": [], "sums": [], "reason": None} for peer in peers
    }
    out = np.ones((block, 3, *size), np.uint8)
    for first in tqdm(range(0, len(paths), block), desc=f"pixels, {size[0]} x {size[1]}"):
        some = paths[first : first + block]
        references: dict[str, list[np.ndarray]] = {
            name: [] for name in {"bilinear", *(p.resample for p in peers)}
        }
        for path in some:
            with open(path, "rb") as file:
                pixels = common.pillow_pixels(file.read())
            for name, images in references.items():
                images.append(reference(pixels, size, name))
        here = out[: len(some)]
        for peer in peers:
            facts = found[peer.name]
            if facts["reason"]:
                continue
            here[...] = 255 - np.rint(
                references["bilinear"]
            )  # nothing that was left there passes for a result
            try:
                peer.load(some, here, num_threads)
            except Exception as error:  # whatever a peer raises, the others go on
                facts["reason"] = f"{type(error).__name__}: {error}".splitlines()[0]
                continue
            for key, name in (("own", peer.resample), ("bilinear", "bilinear")):
                facts[key] += [psnr(*pair) for pair in zip(here, references[name], strict=True)]
            facts["sums"] += checksums(here)
    for peer in peers:
        facts = found[peer.name]
        facts["reason"] = facts["reason"] or too_far(facts["bilinear"], peer.antialiased)
    return found


def too_far(values: Sequence[float], antialiased: bool) -> str | None:
    """Return what is wrong with these PSNR against the bilinear reference, or None."""
    mean, worst = float(np.mean(values)), min(values)
    floors = FLOORS[antialiased]
    if mean >= floors[0] and worst >= floors[1]:
        return None
    return (
        f"PSNR {mean:.1f} dB, worst {worst:.1f}; at least {floors[0]:.0f} and {floors[1]:.0f} are asked for"
    )
