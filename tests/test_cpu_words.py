# SPDX-License-Identifier: BSD-3-Clause
"""FASTIMG_CPU and FASTIMG_ENTROPY choose the code that runs, and never the pixels."""

import functools
import json
import subprocess
import sys

import pytest
from support import jpegs, processes

PROGRAM = """
import hashlib, json, pathlib, sys
try:
    import fastimg
except ImportError as error:
    print(json.dumps({"error": str(error)}))
    sys.exit()

sized = [
    {"size": size, "resample": resample, "fit": "cover", "dtype": dtype}
    for size, resample, dtype in (
        (64, "bilinear", "uint8"), ((33, 150), "lanczos", "float32"), ((190, 210), "bicubic", "float16"))
]
exact = [{"mode": mode, "layout": layout, "flip": mode == "BGR"} for mode, layout in (
    ("RGB", "CHW"), ("BGR", "HWC"), ("L", "CHW"))]
pixels = {}
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.jpg")):
    for options in (*exact, *sized):
        array = fastimg.decode(path, **options)
        pixels[f"{path.name} {options}"] = [array.shape, hashlib.sha256(array.tobytes()).hexdigest()]
info = fastimg.build_info()
print(json.dumps({"kernels": info["kernels"], "entropy": info["entropy"], "pixels": pixels}))
"""

KNOWN_CPU = ("c", "ssse3", "avx2", "bmi2", "pdep", "neon")
KNOWN_ENTROPY = ("fastimg", "libjpeg")
MASKS = (
    *KNOWN_CPU,
    *("-ssse3", "-avx2", "-bmi2", "-pdep", "-neon"),
    *("avx2,-bmi2", "-avx2,-bmi2", "-bmi2,-avx2", "ssse3,-bmi2", "c,-neon", "neon,-neon", "bmi2,-pdep"),
)
UNKNOWN = (
    "sse9",
    "AVX2",
    "-avx512vnni",
    "avx2,sse9",
    "sse9,c",
    "c,-sse9",
    "avx2;bmi2",
    "1",
    "--avx2",
    "native",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Baseline and progressive files, large enough for each stage, whose widths end amid a vector."""
    path = tmp_path_factory.mktemp("words")
    files = {
        "color": jpegs.jpeg(203, 301, "4:2:0", seed=1),
        "full": jpegs.jpeg(150, 131, "4:4:4", seed=2, quality=97),
        "grey": jpegs.turbo(jpegs.pixels(97, 190, 1, seed=3)),
        "cmyk": jpegs.pillow(jpegs.pixels(60, 75, 4, seed=4)),
        "turned": jpegs.oriented(jpegs.jpeg(170, 140, "4:2:2", seed=5), 6),
        "progressive": jpegs.jpeg(180, 233, "4:2:0", seed=6, progressive=True),
    }
    for name, data in files.items():
        (path / f"{name}.jpg").write_bytes(data)
    return path


@pytest.fixture(scope="module")
def run(folder):
    """What a process finds whose environment has these settings: kernels, entropy and pixels, or error."""
    env = processes.child_env()
    for name in ("FASTIMG_CPU", "FASTIMG_ENTROPY"):
        env.pop(name, None)

    @functools.cache
    def run(cpu=None, entropy=None):
        settings = {"FASTIMG_CPU": cpu, "FASTIMG_ENTROPY": entropy}
        extra = {name: value for name, value in settings.items() if value is not None}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(folder)],
            env={**env, **extra}, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="module")
def default(run):
    found = run()
    assert found["kernels"] in ("avx2", "ssse3", "neon", "c")
    assert len(found["pixels"]) == 36
    return found


# ---- the pixels ----------------------------------------------------------------------------------


@pytest.mark.parametrize("words", MASKS)
def test_pixels(run, default, words):
    found = run(words)
    assert found["pixels"] == default["pixels"]
    assert found["entropy"] == default["entropy"]


@pytest.mark.parametrize("words", [None, "c", "-bmi2"])
def test_pixels_of_libjpeg(run, default, words):
    found = run(words, "libjpeg")
    assert found["entropy"] == "libjpeg"
    assert found["pixels"] == default["pixels"]
    assert found["kernels"] == run(words)["kernels"]


# ---- FASTIMG_CPU ---------------------------------------------------------------------------------


def test_default(run, default):
    assert run("") == default


def test_ceiling(run, default):
    assert run("c")["kernels"] == "c"
    assert run("ssse3")["kernels"] in ("c", "ssse3", "neon")
    if default["kernels"] == "avx2":
        # There are no kernels for SSSE3 alone, so far.
        assert run("ssse3")["kernels"] != "avx2"
        assert run("avx2")["kernels"] == "avx2"
        assert run("bmi2")["kernels"] == "avx2"


def test_taken_away(run, default):
    assert run("-avx2")["kernels"] != "avx2"
    assert run("-neon")["kernels"] != "neon"
    assert run("-avx2,-neon")["kernels"] not in ("avx2", "neon")
    assert run("-bmi2")["kernels"] == default["kernels"]
    assert run("-bmi2,-avx2") == run("-avx2,-bmi2")
    if default["kernels"] == "avx2":
        assert run("avx2,-bmi2")["kernels"] == "avx2"
        assert run("avx2,-avx2")["kernels"] != "avx2"


def test_of_other_processors(run, default):
    """A feature that this processor lacks changes nothing: one setting does for machines of all kinds."""
    others = {"avx2": ("neon", "-neon"), "neon": ("ssse3", "avx2", "bmi2", "-ssse3", "-avx2", "-bmi2")}
    for words in others.get(default["kernels"], ()):
        assert run(words) == default


@pytest.mark.parametrize("words", UNKNOWN)
def test_unknown_word(run, words):
    error = run(words)["error"]
    assert "FASTIMG_CPU" in error
    unknown = next(word for word in words.split(",") if word.removeprefix("-") not in KNOWN_CPU)
    assert unknown.removeprefix("-") in error
    assert all(word in error for word in KNOWN_CPU)


# ---- FASTIMG_ENTROPY -----------------------------------------------------------------------------


def test_entropy(run, default):
    assert run(None, "") == default
    assert run(None, "fastimg") == default
    assert run(None, "libjpeg")["entropy"] == "libjpeg"
    # As long as libjpeg-turbo is one that we know.
    assert default["entropy"] in KNOWN_ENTROPY


@pytest.mark.parametrize("word", ["stock", "Fastimg", "libjpeg-turbo", "fastimg,libjpeg", "-libjpeg", "0"])
def test_unknown_entropy(run, word):
    error = run(None, word)["error"]
    assert "FASTIMG_ENTROPY" in error
    assert word in error
    assert all(known in error for known in KNOWN_ENTROPY)
