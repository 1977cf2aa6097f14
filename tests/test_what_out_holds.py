# SPDX-License-Identifier: BSD-3-Clause
"""What an array holds after an error: the second table of docs/errors.md, line by line."""

import os

import numpy as np
import pytest
from support import jpegs
from support.jpegs import assert_same

import fastimg

SHAPE = (3, 24, 31)
GOOD = jpegs.jpeg(24, 31)


def marked(shape=SHAPE):
    """An array that no image looks like."""
    return np.full(shape, 77, np.uint8)


def check_unchanged(error, source, out=None, **options):
    out = marked() if out is None else out
    before = out.copy()
    with pytest.raises(error):
        fastimg.decode(source, out=out, **options)
    assert_same(out, before)


@pytest.mark.parametrize(
    ("out", "options"),
    [
        (marked((3, 24, 30)), {}),
        (marked().astype(np.uint16), {}),
        (np.lib.stride_tricks.as_strided(marked((3, 31)), SHAPE, (31, 0, 1)), {}),
        (marked(), {"size": 0}),
        (marked(), {"mode": "grey"}),
    ],
    ids=["shape", "dtype", "overlap", "value", "word"],
)
def test_a_wrong_argument(out, options):
    check_unchanged((ValueError, TypeError), GOOD, out, **options)


def test_a_read_only_array():
    out = marked()
    out.flags.writeable = False
    check_unchanged(ValueError, GOOD, out)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GIF89a" + bytes(90),
        GOOD[:40],
        jpegs.reframed(GOOD, precision=12),
        jpegs.reframed(GOOD, height=0),
    ],
    ids=["empty", "GIF", "cut in its header", "12 bits", "no height"],
)
def test_a_header_that_is_refused(data, tmp_path):
    check_unchanged(fastimg.JpegError, data)
    path = tmp_path / "x.jpg"
    path.write_bytes(data)
    check_unchanged(fastimg.JpegError, path)


def test_limits():
    check_unchanged(fastimg.ImageTooLargeError, GOOD, max_pixels=24 * 31 - 1)


def test_files_that_cannot_be_read(tmp_path):
    check_unchanged(FileNotFoundError, tmp_path / "none.jpg")
    check_unchanged(IsADirectoryError, tmp_path)
    os.mkfifo(tmp_path / "fifo")
    check_unchanged(OSError, tmp_path / "fifo")


def test_a_crop_that_leaves_the_image():
    check_unchanged(ValueError, GOOD, marked((3, 4, 4)), crop=(22, 0, 4, 4))


@pytest.mark.parametrize("kind", ["cut", "damaged"])
def test_damage(kind):
    whole = jpegs.jpeg(240, 310)
    data = jpegs.truncated(whole) if kind == "cut" else jpegs.lost_sync(jpegs.restarts(240, 310))
    out = marked((3, 240, 310))
    with pytest.raises((fastimg.TruncatedJpegError, fastimg.CorruptJpegError)):
        fastimg.decode(data, out=out)
    images = [
        fastimg.decode(data, out=np.full((3, 240, 310), fill, np.uint8), strict=False) for fill in (0, 255)
    ]
    assert_same(*images)
    assert ((out == 77) | (out == images[0])).all() and (out[:, -1] == 77).all()


@pytest.mark.parametrize("num_threads", [1, 4])
def test_load_raises_the_lowest_and_holds_all_before(num_threads):
    data = [jpegs.jpeg(24, 31, seed=i) for i in range(60)]
    data[40], data[50] = b"no JPEG", b""
    out = marked((60, 3, 8, 8))
    with pytest.raises(fastimg.UnsupportedJpegError) as caught:
        fastimg.load(data, out=out, size=8, num_threads=num_threads)
    assert caught.value.index == 40
    for i in range(60):
        there = i not in (40, 50) and (out[i] == fastimg.decode(data[i], size=8)).all()
        assert there or (i >= 40 and (out[i] == 77).all())


def test_load_without_size_reads_headers_first():
    out = marked((3, *SHAPE))
    with pytest.raises(fastimg.UnsupportedJpegError):
        fastimg.load([GOOD, b"no JPEG", GOOD], out=out)
    assert (out == 77).all()


def test_load_fills_with_zeros():
    data, found = [GOOD, jpegs.truncated(GOOD), b"", GOOD], []
    for on_error in ("fill", found.append):
        out = marked((4, *SHAPE))
        if on_error == "fill":
            with pytest.warns(UserWarning, match="2 of 4 images failed"):
                fastimg.load(data, out=out, on_error=on_error)
        else:
            fastimg.load(data, out=out, on_error=on_error)
        assert not out[1:3].any()
        assert_same(out[0], jpegs.reference(GOOD))
        assert_same(out[3], jpegs.reference(GOOD))
    assert [error.index for error in found] == [1, 2]


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (LookupError("lost"), fastimg.FallbackError),
        (OSError(5, "lost"), fastimg.FallbackError),
        (fastimg.ImageError("lost"), fastimg.ImageError),
        (fastimg.CorruptJpegError("lost"), fastimg.CorruptJpegError),
        (fastimg.ImageTooLargeError("lost"), fastimg.ImageTooLargeError),
    ],
    ids=["other", "OSError", "ImageError", "damaged", "too large"],
)
def test_what_a_function_for_other_formats_raises(raised, kind):
    def fail(content):
        raise raised

    out = marked()
    with pytest.raises(kind, match="lost") as caught:
        fastimg.decode(b"no JPEG", out=out, fallback=fail)
    assert type(caught.value) is kind
    assert (out == 77).all()
    out = marked((3, 3, 8, 8))
    with pytest.raises(kind, match="lost") as caught:
        fastimg.load([GOOD, b"no JPEG", GOOD], out=out, size=8, fallback=fail)
    assert type(caught.value) is kind and caught.value.index == 1
    assert_same(out[0], fastimg.decode(GOOD, size=8))
    with pytest.warns(UserWarning, match="1 of 3"):
        fastimg.load([GOOD, b"no JPEG", GOOD], out=out, size=8, fallback=fail, on_error="fill")
    assert not out[1].any()


def test_what_a_reader_raises_is_about_its_image():
    class Reader:
        def __len__(self):
            return 3

        def read(self, i):
            if i == 1:
                raise LookupError("lost")
            return GOOD

    out = marked((3, 3, 8, 8))
    with pytest.raises(LookupError, match="lost") as caught:
        fastimg.load(Reader(), out=out, size=8)
    assert caught.value.index == 1
    assert_same(out[0], fastimg.decode(GOOD, size=8))
    with pytest.warns(UserWarning, match="1 of 3"):
        fastimg.load(Reader(), out=out, size=8, on_error="fill")
    assert not out[1].any()
    assert_same(out[2], fastimg.decode(GOOD, size=8))
