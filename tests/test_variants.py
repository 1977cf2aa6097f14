# SPDX-License-Identifier: BSD-3-Clause
"""Pixels are the same whatever kernels the CPU gets, and with libjpeg's entropy stage."""

from support import jpegs
from support.variants import hash_of, key_of, pixels_of_all_variants

import fastimg
from fastimg._decode import DTYPES

ORIENTATIONS = range(1, 9)
FILTERS = ["bilinear", "box", "hamming", "bicubic", "lanczos"]


# ---- exact ---------------------------------------------------------------------------------------


def oriented_files():
    """Colour, grey and CMYK, in widths around those of vectors and blocks, in every orientation."""
    sizes = [(1, 1), (5, 31), (17, 32), (33, 64), (70, 65), (64, 97), (130, 16), (16, 300)]
    files = {}
    for (height, width), orientation in zip(sizes, ORIENTATIONS, strict=True):
        color = jpegs.jpeg(height, width, "4:2:0", seed=orientation)
        grey = jpegs.turbo(jpegs.pixels(height, width, 1, seed=orientation))
        four = jpegs.pillow(jpegs.pixels(height, width, 4, seed=orientation))
        for name, data in (("color", color), ("grey", grey), ("cmyk", four)):
            files[f"{name}-{orientation}"] = jpegs.oriented(data, orientation)
    # The largest of them in all orientations: full blocks and rests in both directions.
    for orientation in ORIENTATIONS:
        files[f"same-{orientation}"] = jpegs.oriented(jpegs.jpeg(70, 150), orientation)
    return files


def test_exact(tmp_path):
    files = oriented_files()
    normalized = [{"dtype": dtype, "mean": 0.4, "std": 0.2} for dtype in DTYPES if dtype != "uint8"]
    options = [
        {"mode": mode, "layout": layout, "flip": flip, **kind}
        for mode in ("RGB", "BGR", "L")
        for layout in ("CHW", "HWC")
        for flip in (False, True)
        for kind in ({}, {"dtype": "float32", "mean": 0.4}, {"dtype": "float16", "std": 0.2}, *normalized)
    ]
    hashes = pixels_of_all_variants(tmp_path, files, options)
    # That the hashes are of pixels: one of them made by others.
    assert hashes[key_of("same-6", options[0])] == hash_of(jpegs.reference(files["same-6"]))


def test_progressive(tmp_path):
    files = {}
    for i, (height, width) in enumerate([(9, 7), (40, 33), (70, 150), (131, 97)]):
        for kind in jpegs.SUBSAMPLINGS:
            files[f"{kind} {i}"] = jpegs.jpeg(height, width, kind, seed=i, progressive=True)
        cmyk = jpegs.pixels(height, width, 4, seed=i)
        files[f"cmyk {i}"] = jpegs.pillow(cmyk, progressive=True, restart_marker_blocks=5)
        noise = jpegs.noise(height, width, seed=i)
        files[f"noise {i}"] = jpegs.turbo(noise, "4:4:4", quality=100, progressive=True)
    options = [{}, {"mode": "L"}, {"size": 64}, {"size": [20, 30], "dtype": "float16"}, {"size": [8, 9]}]
    hashes = pixels_of_all_variants(tmp_path, files, options, libjpeg_entropy=("", "c"))
    for name, data in files.items():
        assert hashes[key_of(name, {})] == hash_of(jpegs.reference(data))


# ---- resized -------------------------------------------------------------------------------------


def make_files():
    """Sizes around those of vectors, in every sampling and orientation."""
    sizes = [(1, 1), (5, 31), (17, 32), (33, 64), (70, 65), (64, 97), (130, 16), (16, 300), (150, 210)]
    files = {}
    for i, (height, width) in enumerate(sizes):
        for kind in jpegs.SUBSAMPLINGS:
            files[f"{kind} {i}"] = jpegs.jpeg(height, width, kind, seed=i, progressive=i % 3 == 2)
        files[f"restarts {i}"] = jpegs.restarts(height, width, blocks=3)
        files[f"cmyk {i}"] = jpegs.pillow(jpegs.pixels(height, width, 4, seed=i))
        files[f"rgb {i}"] = jpegs.pillow(jpegs.pixels(height, width, seed=i), keep_rgb=True)
    # Stripes: what overshoots must be clipped alike.
    stripes = jpegs.pixels(90, 120) // 128 * 255
    files["stripes"] = jpegs.turbo(stripes, "4:4:4", quality=100)
    return {name: jpegs.oriented(data, 1 + i % 8) for i, (name, data) in enumerate(files.items())}


def settings():
    for i, width in enumerate((1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 47, 63, 65, 130)):
        yield {
            "size": [1 + 29 * i % 67, width], "resample": FILTERS[i % 5], "reducing_gap": (None, 1.0, 2.0)[i % 3],
            "mode": ("RGB", "BGR", "L")[i // 3 % 3], "layout": ("CHW", "HWC")[i % 2], "flip": i % 4 == 1,
            "fit": ("stretch", "contain", "cover")[i // 2 % 3], "pad_value": 7 * i,
        }  # fmt: skip
    for name in FILTERS:
        yield {"size": [37, 70], "resample": name, "reducing_gap": None}
        yield {"size": 224, "resample": name, "dtype": "float32", "mean": 0.4, "std": 0.2}
        yield {"size": [11, 13], "resample": name, "dtype": "float16", "layout": "HWC", "crop": [0, 0, 1, 1]}


def test_resized(tmp_path):
    files, options = make_files(), list(settings())
    hashes = pixels_of_all_variants(tmp_path, files, options, libjpeg_entropy=("", "c"))
    # That the hashes are of pixels, and of different ones.
    assert len(set(hashes.values())) > len(files) * 15
    assert hashes[key_of("4:2:0 8", options[12])] == hash_of(fastimg.decode(files["4:2:0 8"], **options[12]))
