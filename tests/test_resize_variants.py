# SPDX-License-Identifier: BSD-3-Clause
"""Resized pixels are the same with every set of kernels and with both entropy stages."""

import hashlib
import json

import pytest
from support import jpegs
from support.processes import run_probe

import fastimg

FILTERS = ["bilinear", "box", "hamming", "bicubic", "lanczos"]


def make_files(folder):
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
    turned = {name: jpegs.oriented(data, 1 + i % 8) for i, (name, data) in enumerate(files.items())}
    for name, data in turned.items():
        (folder / f"{name}.jpg").write_bytes(data)
    return turned


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


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("variants")
    return folder, make_files(folder)


def test_every_variant(folder, child_env):
    folder, files = folder
    options = list(settings())
    for name in ("FASTIMG_CPU", "FASTIMG_ENTROPY"):
        child_env.pop(name, None)
    variants = {}
    for name, extra in (
        ("default", {}), ("c", {"FASTIMG_CPU": "c"}), ("libjpeg", {"FASTIMG_ENTROPY": "libjpeg"}),
        ("c, libjpeg", {"FASTIMG_CPU": "c", "FASTIMG_ENTROPY": "libjpeg"}),
    ):  # fmt: skip
        printed = run_probe("resize_probe", folder, json.dumps(options), env={**child_env, **extra})
        kernels, entropy, variants[name] = json.loads(printed)
        assert kernels == "c" or "FASTIMG_CPU" not in extra
        assert (entropy == "libjpeg") == ("FASTIMG_ENTROPY" in extra)
    for name, hashes in variants.items():
        assert hashes == variants["default"], name
        assert len(hashes) == len(files) * len(options)
    # That the hashes are of pixels, and of different ones.
    assert len(set(variants["c"].values())) > len(files) * 15
    once = json.loads(json.dumps(options[12]))
    expected = fastimg.decode(files["4:2:0 8"], **once)
    assert variants["c"][f"4:2:0 8 {once}"] == hashlib.sha256(expected.tobytes()).hexdigest()
