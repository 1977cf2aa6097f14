# SPDX-License-Identifier: BSD-3-Clause
"""What an image may cost: pixels, scans, bytes read, and memory for what its file does not contain."""

import os

import numpy as np
import pytest
from support import jpegs
from support.jpegs import assert_same
from support.segments import segment

import fastimg
from benchmarks import _hostile_files as hostile
from fastimg.limits import MAX_PIXELS, MAX_SCANS, core_limits
from fastimg.options import make_options

SIDE = 1000


@pytest.mark.parametrize(("scans", "fine"), [(500, True), (501, False)])
def test_scan_limit(scans, fine):
    data = jpegs.many_scans(scans)
    for strict in (True, False):
        if fine:
            assert_same(fastimg.decode(data, strict=strict, layout="HWC"), jpegs.rgb_pillow(data))
        else:
            with pytest.raises(fastimg.JpegTooLargeError, match="more scans than max_scans = 500"):
                fastimg.decode(data, strict=strict)
            assert_same(
                fastimg.decode(data, strict=strict, layout="HWC", max_scans=501), jpegs.rgb_pillow(data)
            )


@pytest.mark.parametrize(
    ("megapixels", "allowed", "max_scans"),
    [(0.1, 50, 500), (2e-6, 30, 500), (0.1, 100, 1000), (2e-6, 60, 1000)],
)
@pytest.mark.parametrize("strict", [True, False])
def test_large_images_may_have_fewer_scans(megapixels, allowed, max_scans, strict, monkeypatch):
    """In proportion to the largest that may have `max_scans`, but 30 in any case."""
    monkeypatch.setattr("fastimg.limits.SCANNED_PIXELS", int(megapixels * 1e6))
    # Options are kept with the limits they were made with: no others have this max_pixels.
    options = {"strict": strict, "max_scans": max_scans, "size": 8, "max_pixels": 10**7 + allowed}
    fine, data = (hostile.scans("grey", SIDE, count) for count in (allowed, allowed + 1))
    assert fastimg.decode(fine, **options).shape == (3, 8, 8)
    words = f"more than {allowed} scans, the most for 1000 x 1000 pixels with max_scans = {max_scans}"
    for call in (fastimg.decode, lambda data, **how: fastimg.load([data] * 2, **how)):
        with pytest.raises(fastimg.ImageTooLargeError, match=words) as caught:
            call(data, **options)
        assert isinstance(caught.value, fastimg.JpegError)


def test_default_limits_of_scans():
    limits = make_options()
    assert core_limits(limits.values["max_pixels"], limits.values["max_scans"]) == (
        30,
        524_288_000,
        715_827_880,
    )
    # Lower limits do not lower the others: few scans of a large image are fine.
    assert core_limits(1, 1) == core_limits(MAX_PIXELS, MAX_SCANS)


@pytest.mark.parametrize("call", [fastimg.decode, lambda data, **options: fastimg.load([data], **options)[0]])
def test_max_scans(call):
    baseline, data = jpegs.jpeg(), jpegs.many_scans(7)
    assert_same(call(baseline, max_scans=1, layout="HWC"), jpegs.rgb_pillow(baseline))
    assert_same(call(data, max_scans=7, layout="HWC"), jpegs.rgb_pillow(data))
    with pytest.raises(fastimg.ImageTooLargeError, match="more scans than max_scans = 6"):
        call(data, max_scans=6)
    with pytest.raises(fastimg.ImageTooLargeError, match="more scans than max_scans = 6"):
        call(data, max_scans=6, strict=False, size=4)


def test_max_scans_of_an_accessor_and_of_views():
    data = jpegs.many_scans(7)
    accessor = fastimg.ImageFileAccessor([data], max_scans=6)
    with pytest.raises(fastimg.JpegTooLargeError, match="max_scans = 6"):
        accessor[0]
    with pytest.raises(fastimg.JpegTooLargeError, match="max_scans = 6"):
        fastimg.load([data], views=[{"size": 4}, {"size": 8}], max_scans=6)
    with pytest.raises(ValueError, match="max_scans"):
        fastimg.load([data], views=[{"size": 4, "max_scans": 9}])


def hollow(subsampling, *, nbytes=0):
    """A progressive file of SIDE x SIDE pixels that ends after its first scan's header, and `nbytes` of comments."""
    data = jpegs.reframed(jpegs.jpeg(subsampling=subsampling, progressive=True), height=SIDE, width=SIDE)
    data = data[: jpegs.scan_offset(data)]
    return jpegs.insert(data, segment(0xFE, bytes(nbytes))) if nbytes else data


def limit(monkeypatch):
    """The memory that files may ask for in vain: 4 bytes for each of SIDE x SIDE pixels."""
    monkeypatch.setattr("fastimg.limits.MAX_PIXELS", 1)
    return {"max_pixels": SIDE * SIDE}


@pytest.mark.parametrize("size", [None, 8])
def test_memory_for_what_a_file_does_not_contain(size, monkeypatch):
    options = limit(monkeypatch) | {"size": size}
    data = hollow("4:4:4")
    words = (
        "1000 x 1000 pixels take 7,500,000 bytes of memory, more than 4,000,000, and the file is too short"
    )
    for call in (fastimg.decode, lambda data, **how: fastimg.load([data], **how)):
        with pytest.raises(fastimg.JpegTooLargeError, match=words):
            call(data, strict=False, **options)
        with pytest.raises(fastimg.TruncatedJpegError):
            call(data, **options)


@pytest.mark.parametrize(
    "data",
    [hollow("4:2:0"), hollow("4:4:4", nbytes=3 * 125 * 125 // 8)],
    ids=["little memory", "bytes for all blocks"],
)
def test_less_memory_or_a_longer_file_is_fine(data, monkeypatch):
    image = fastimg.decode(data, strict=False, **limit(monkeypatch))
    # libjpeg makes something of the first blocks, whose bits are missing, and smooths it.
    assert image.shape == (3, SIDE, SIDE) and np.unique(image[:, 64:]).size == 1


def test_the_same_for_one_scan_takes_no_memory(monkeypatch):
    data = jpegs.reframed(jpegs.jpeg(subsampling="4:4:4"), height=SIDE, width=SIDE)
    image = fastimg.decode(data[: jpegs.scan_offset(data)], strict=False, **limit(monkeypatch))
    assert image.shape == (3, SIDE, SIDE)


def test_default_limit_of_memory():
    """That of a progressive image of 4:2:0, of the largest size, is allowed; that of 4:4:4 is not."""
    data = jpegs.reframed(jpegs.jpeg(subsampling="4:4:4", progressive=True), height=13377, width=13377)
    data = data[: jpegs.scan_offset(data)]
    with pytest.raises(fastimg.JpegTooLargeError, match="more than 715,827,880"):
        fastimg.decode(data, strict=False, size=8)
    assert (128 + 32) * (2 * 836 * 2 * 836 + 2 * 836 * 836) < 715_827_880


# ---- bytes ------------------------------------------------------------------------------------------


def with_hole(path, data, at):
    """A file with a hole of a terabyte in it, which takes no disk space."""
    with open(path, "wb") as file:
        file.write(data[:at])
        try:
            file.truncate(2**40)
        except OSError as error:
            pytest.skip(f"no such file can be made here: {error}")
        file.seek(0, 2)
        file.write(data[at:])
    return path


def calls(path):
    accessor = fastimg.ImageFileAccessor([path, path], size=8)
    return [
        lambda: fastimg.decode(path, size=8),
        lambda: fastimg.load([path], size=8)[0],
        lambda: fastimg.load([path, path], size=8, read_threads=2)[1],
        lambda: fastimg.load([fastimg.FileRange(path, 0, 2**40)], size=8)[0],
        lambda: accessor[1],
    ]


def test_a_file_is_read_as_far_as_its_image_may_reach(tmp_path):
    data = jpegs.jpeg(300, 200)
    path = with_hole(tmp_path / "a.jpg", data, len(data))
    expected = fastimg.decode(data, size=8)
    for call in calls(path):
        assert_same(call(), expected)


def test_an_image_that_does_not_end_there(tmp_path):
    data = jpegs.jpeg(300, 200)
    path = with_hole(tmp_path / "a.jpg", data, len(data) // 2)
    for call in calls(path):
        with pytest.raises(fastimg.JpegError):
            call()


def test_a_header_that_does_not_end(tmp_path):
    path = with_hole(tmp_path / "a.jpg", jpegs.jpeg(), 2)
    for call in [*calls(path), lambda: fastimg.read_header(path)]:
        with pytest.raises(fastimg.CorruptJpegError, match="no image in its first 67,108,864 bytes"):
            call()


@pytest.mark.parametrize("megabytes", [40, 100])
def test_headers_of_many_megabytes(tmp_path, megabytes):
    """In memory there is no limit: it has been paid for."""
    data = jpegs.jpeg()
    comment = segment(0xFE, bytes(0xFFF0))
    long = jpegs.insert(data, comment * (megabytes * 2**20 // len(comment)))
    path = tmp_path / "a.jpg"
    path.write_bytes(long)
    assert_same(fastimg.decode(long), jpegs.reference(data))
    if megabytes < 64:
        assert_same(fastimg.decode(path), jpegs.reference(data))
    else:
        with pytest.raises(fastimg.CorruptJpegError, match="no image in its first"):
            fastimg.decode(path)


def test_what_is_no_jpeg_is_read_whole(tmp_path):
    """A fallback knows how far its format reaches."""
    path = tmp_path / "a.raw"
    path.write_bytes(b"no JPEG")
    os.truncate(path, 2**27 + 10)
    found = []

    def fallback(source):
        found.append(len(source))
        return np.zeros((8, 8), np.uint8)

    source = fastimg.FileRange(path, 0, 2**27 + 10)
    fastimg.load([source, source], size=8, fallback=fallback, read_threads=1, read_ahead="1 GiB")
    assert found == [2**27 + 10] * 2
