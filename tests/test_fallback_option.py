# SPDX-License-Identifier: BSD-3-Clause
"""What may be given as a fallback, and what functions as fallbacks get and return."""

import functools
import io
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from support import mixed_folder
from support.fallbacks import LIMIT, PILLOW, decode, refused
from support.jpegs import assert_same

import fastimg
from fastimg.fallback import parse_fallback


def test_values():
    assert parse_fallback(None) is None
    assert parse_fallback(PILLOW) is PILLOW
    assert repr(PILLOW) == "'pillow'"
    function = parse_fallback(os.path.basename)
    assert parse_fallback(function) is function and repr(function) == "posixpath.basename"
    assert parse_fallback("pillow") == PILLOW and function == parse_fallback(os.path.basename)
    for each in (PILLOW, function):
        copied = pickle.loads(pickle.dumps(each))
        assert copied == each and hash(copied) == hash(each) and repr(copied) == repr(each)


def test_dask_token():
    dask = pytest.importorskip("dask.base")
    tokens = [dask.tokenize(parse_fallback(value)) for value in ("pillow", os.path.basename, os.path.dirname)]
    assert tokens == [dask.tokenize(parse_fallback(v)) for v in ("pillow", os.path.basename, os.path.dirname)]
    assert len(set(tokens)) == 3


@pytest.mark.parametrize("value", ["opencv", "Pillow", ""])
def test_unknown_word(value):
    with pytest.raises(ValueError, match=repr(value)):
        parse_fallback(value)


@pytest.mark.parametrize("value", [1, True, ["pillow"]])
def test_wrong_type(value):
    with pytest.raises(TypeError, match="fallback must be"):
        parse_fallback(value)


def test_without_pillow(monkeypatch):
    monkeypatch.setattr("fastimg.fallback.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'fastimg\[pillow\]'"):
        parse_fallback("pillow")


def test_nothing_is_imported_before_it_is_needed(child_env):
    code = (
        "import sys, fastimg, fastimg.fallback; print('PIL' in sys.modules, 'fastimg.pillow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=child_env, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "False"]


# ---- callables ---------------------------------------------------------------------------------

RGB = mixed_folder.picture(0, 12, 17)


@pytest.mark.parametrize(
    "result",
    [RGB, RGB[:, :, 0], RGB[:, :, :1], RGB[::-1, ::2], np.dstack([RGB, RGB[:, :, 0]]), Image.fromarray(RGB)],
    ids=lambda value: f"{type(value).__name__}{getattr(value, 'shape', '')}",
)
def test_results_of_a_callable(result):
    pixels, orientation = decode(b"any", parse_fallback(lambda source: result))
    array = np.asarray(result)
    if array.ndim == 3 and array.shape[2] == 4:
        image = Image.new("RGB", array.shape[1::-1])
        image.paste(Image.fromarray(array[:, :, :3]), mask=Image.fromarray(array[:, :, 3]))
        array = np.asarray(image)
    assert pixels.flags.c_contiguous and pixels.dtype == np.uint8 and orientation == 1
    assert_same(pixels, array[:, :, 0] if array.shape[2:] == (1,) else array)
    header = parse_fallback(lambda source: result).measure(b"any", None, 0)
    assert (header.height, header.width, header.nbytes) == (*array.shape[:2], 3)


def test_an_opened_image_is_turned(tmp_path):
    data = mixed_folder.encoded("PNG orientation", 5)
    fallback = parse_fallback(lambda content: Image.open(io.BytesIO(content)))
    assert_same(decode(data, fallback)[0], decode(data)[0])
    assert decode(data, fallback)[1] == 6
    assert fallback.measure(data, None, 0) == PILLOW.measure(data, None, 0)
    refused(data, fallback, fastimg.ImageTooLargeError, max_pixels=9)


def test_what_a_callable_gets(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"0123456789")
    seen = []

    def keep(source):
        seen.append(source)
        return RGB

    fallback = parse_fallback(keep)
    for source in (path, str(path), b"bytes", bytearray(b"array"), fastimg.FileRange(path, 2, 5)):
        decode(source, fallback)
    fallback.decode(path, b"0123456789", LIMIT, 0, "RGB")
    fallback.decode(fastimg.FileRange(path, 2, 5), b"23456", LIMIT, 0, "RGB")
    assert seen == [path, str(path), b"bytes", b"array", b"23456", path, b"23456"]
    assert [type(each) for each in seen[2:5]] == [bytes] * 3


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (None, "found NoneType"),
        (RGB.tolist(), "found list"),
        (RGB.astype(np.float32), "found float32"),
        (RGB.astype(np.uint16), "found uint16"),
        (np.zeros((0, 5, 3), np.uint8), r"\(0, 5, 3\)"),
        (np.zeros((4, 5, 2), np.uint8), r"\(4, 5, 2\)"),
        (np.zeros(5, np.uint8), r"\(5,\)"),
        (np.zeros((1, 4, 5, 3), np.uint8), r"\(1, 4, 5, 3\)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_results(result, words):
    fallback = parse_fallback(lambda source: result)
    for call in (decode, lambda source, each: each.measure(source, None, 0)):
        with pytest.raises(fastimg.FallbackError, match=words) as caught:
            call(b"any", fallback)
        assert "test_wrong_results" in str(caught.value)


def test_an_exception_of_a_callable():
    def fail(source):
        raise ZeroDivisionError("words")

    error = refused(b"any", parse_fallback(fail))
    assert "ZeroDivisionError: words" in str(error) and isinstance(error.__cause__, ZeroDivisionError)
    refused(b"any", parse_fallback(lambda source: RGB), fastimg.ImageTooLargeError, max_pixels=5)


@pytest.mark.parametrize("function", [bytes.upper, len, functools.partial(len)], ids=repr)
def test_any_callable_has_a_name(function):
    assert type(refused(b"any", parse_fallback(function))) is fastimg.FallbackError
