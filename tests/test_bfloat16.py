# SPDX-License-Identifier: BSD-3-Clause
"""dtype="bfloat16": float32 rounded to nearest even, wherever floats can go."""

import subprocess
import sys

import numpy as np
import pytest
from support import jpegs
from support.cli_common import run
from support.jpegs import assert_same

import fastimg

ml_dtypes = pytest.importorskip("ml_dtypes")

STATISTICS = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
FILES = {
    "colour": jpegs.jpeg(61, 47),
    "grey": jpegs.turbo(jpegs.pixels(33, 40, channels=1)),
    "progressive": jpegs.jpeg(64, 80, progressive=True),
    "turned": jpegs.oriented(jpegs.jpeg(70, 45), 6),
}
OPTIONS = [
    {},
    STATISTICS,
    {"layout": "HWC", **STATISTICS},
    {"mode": "BGR", "flip": True},
    {"mode": "L", "mean": 0.5, "std": 0.25},
    {"size": (30, 20), **STATISTICS},
    {"size": 40, "fit": "contain", "pad_value": (124, 116, 104), **STATISTICS},
    {"size": 40, "fit": "contain", "layout": "HWC", "pad_value": 7},
    {"crop": (3, 5, 20, 24), "std": 1e-3},
]


def rounded(source, **options):
    return fastimg.decode(source, dtype="float32", **options).astype(ml_dtypes.bfloat16)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("dtype", ["bfloat16", ml_dtypes.bfloat16], ids=["name", "type"])
def test_is_float32_rounded(name, options, dtype):
    found = fastimg.decode(FILES[name], dtype=dtype, **options)
    assert found.dtype == ml_dtypes.bfloat16
    assert_same(found.view(np.uint16), rounded(FILES[name], **options).view(np.uint16))


@pytest.mark.parametrize("mean", [0, 0.1, -3e38, 1e-40, 200.25])
@pytest.mark.parametrize("std", [1, 0.3, 1e-38, -2.5, 3e38])
def test_every_pixel_value(mean, std):
    values = np.arange(256, dtype=np.float32) / np.float32(255)
    with np.errstate(over="ignore"):
        expected = ((values - np.float32(mean)) / np.float32(std)).astype(ml_dtypes.bfloat16)
    image = jpegs.jpeg(64, 64)
    pixels = fastimg.decode(image)
    found = fastimg.decode(image, dtype="bfloat16", mean=mean, std=std)
    assert_same(found.view(np.uint16), expected[pixels].view(np.uint16))
    assert len(np.unique(pixels)) > 100


def test_out():
    source, options = FILES["colour"], {"dtype": "bfloat16", **STATISTICS}
    expected = rounded(source, **STATISTICS)
    for dtype in (ml_dtypes.bfloat16, np.uint16):
        out = np.zeros(expected.shape, dtype)
        assert fastimg.decode(source, out, **options) is out
        assert_same(out.view(np.uint16), expected.view(np.uint16))
        strided = np.zeros((3, 2 * expected.shape[1], expected.shape[2]), dtype)[:, ::-2]
        fastimg.decode(source, strided, **options)
        assert_same(strided.view(np.uint16), expected.view(np.uint16))


def test_out_of_another_dtype():
    source = FILES["colour"]
    shape = fastimg.decode(source).shape
    for found in ("float16", "float32", "uint8", "int16"):
        with pytest.raises(TypeError, match=f"out must have dtype bfloat16, found {found}"):
            fastimg.decode(source, np.empty(shape, found), dtype="bfloat16")
    for wanted in ("float16", "float32", "uint8"):
        with pytest.raises(TypeError, match=f"out must have dtype {wanted}, found bfloat16"):
            fastimg.decode(source, np.empty(shape, ml_dtypes.bfloat16), dtype=wanted)
    read_only = np.empty(shape, ml_dtypes.bfloat16)
    read_only.flags.writeable = False
    with pytest.raises(ValueError, match="out must be writable"):
        fastimg.decode(source, read_only, dtype="bfloat16")
    with pytest.raises(ValueError, match="out must have shape"):
        fastimg.decode(source, np.empty((3, 4, 5), ml_dtypes.bfloat16), dtype="bfloat16")


def test_load_and_accessors():
    sources, options = list(FILES.values()), {"size": (24, 32), "dtype": "bfloat16", **STATISTICS}
    expected = np.stack([rounded(source, size=(24, 32), **STATISTICS) for source in sources])
    assert_same(fastimg.load(sources, **options).view(np.uint16), expected.view(np.uint16))
    out = np.empty(expected.shape, np.uint16)
    assert fastimg.load(sources, out, **options) is out
    assert_same(out, expected.view(np.uint16))

    accessor = fastimg.ImageFileAccessor(sources, **options)
    assert accessor.dtype == ml_dtypes.bfloat16
    assert "bfloat16" in repr(accessor)
    assert_same(accessor[[2, 0]].view(np.uint16), expected[[2, 0]].view(np.uint16))
    assert_same(accessor.read_into(slice(None), out), expected.view(np.uint16))
    batches = fastimg.data_source.ArrayDataSource([accessor]).batch_iterator(3, reuse_buffers=True)
    assert_same(np.concatenate([x.copy() for (x,) in batches]).view(np.uint16), expected.view(np.uint16))

    mixed = fastimg.NonUniformImageFileAccessor(sources, dtype="bfloat16")
    assert_same(mixed[1].view(np.uint16), rounded(sources[1]).view(np.uint16))


def test_without_ml_dtypes(child_env):
    program = """
import sys
sys.modules["ml_dtypes"] = None
import numpy as np
import fastimg
source = sys.stdin.buffer.read()
out = np.empty(fastimg.decode(source).shape, np.uint16)
assert fastimg.decode(source, out, dtype="bfloat16") is out
assert fastimg.load([source], out[None], dtype="bfloat16").shape == (1, *out.shape)
accessor = fastimg.ImageFileAccessor([source], dtype="bfloat16")
calls = [
    lambda: fastimg.decode(source, dtype="bfloat16"),
    lambda: fastimg.load([source], dtype="bfloat16"),
    lambda: accessor[0],
    lambda: accessor.dtype,
]
for call in calls:
    try:
        call()
    except ImportError as error:
        assert "ml_dtypes" in str(error) and "uint16" in str(error), error
    else:
        raise AssertionError
sys.stdout.buffer.write(out.tobytes())
"""
    source = FILES["colour"]
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, input=source, capture_output=True, env=child_env, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == rounded(source).tobytes()


def test_command(tmp_path):
    (tmp_path / "a.jpg").write_bytes(FILES["colour"])
    done = run("load", str(tmp_path), "-o", str(tmp_path / "x.npy"), "--dtype", "bfloat16")
    assert done.returncode == 0
    assert "dtype uint16 (the bits of bfloat16)" in done.stdout
    found = np.load(tmp_path / "x.npy")
    assert found.dtype == np.uint16
    assert_same(found[0], rounded(FILES["colour"]).view(np.uint16))
