# SPDX-License-Identifier: BSD-3-Clause
"""JPEG files made to order, and the independent oracles: Pillow, PyTurboJPEG, NumPy.

Arrays are uint8 (height, width, channels) unless a function says otherwise.
"""

import contextlib
import io
import os
import struct
import warnings

import numpy as np
import turbojpeg
from PIL import Image

import fastimg
from support.segments import DHT, DQT, SOF2, SOS, segment

# The oracles must open what the tests craft; the limit under test is fastimg's own.
Image.MAX_IMAGE_PIXELS = None

SUBSAMPLINGS = {
    "4:4:4": turbojpeg.TJSAMP_444,
    "4:2:2": turbojpeg.TJSAMP_422,
    "4:2:0": turbojpeg.TJSAMP_420,
    "4:4:0": turbojpeg.TJSAMP_440,
    "4:1:1": turbojpeg.TJSAMP_411,
    "4:0:0": turbojpeg.TJSAMP_GRAY,
}

FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}

_turbo = turbojpeg.TurboJPEG()


# ---- making files ------------------------------------------------------------------------------


def noise(height, width, channels=3, seed=0):
    """Noise, at quality 100, has the longest codes."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def pixels(height, width, channels=3, seed=0):
    """Waves plus noise: every Huffman table entry gets its share, and no two rows are alike."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    image = np.empty((height, width, channels), np.float64)
    for channel in range(channels):
        phase, pitch = rng.uniform(0, 6, 2)
        image[:, :, channel] = 128 + 90 * np.sin(phase + x / (2 + pitch) + y / 5)
    return np.clip(image + rng.normal(0, 25, image.shape), 0, 255).astype(np.uint8)


def turbo(image, subsampling="4:2:0", *, quality=90, progressive=False):
    """Encode with PyTurboJPEG; four channels become YCCK."""
    formats = {1: turbojpeg.TJPF_GRAY, 3: turbojpeg.TJPF_RGB, 4: turbojpeg.TJPF_CMYK}
    channels = image.shape[2]
    return _turbo.encode(
        image,
        quality=quality,
        pixel_format=formats[channels],
        jpeg_subsample=SUBSAMPLINGS["4:0:0" if channels == 1 else subsampling],
        flags=turbojpeg.TJFLAG_PROGRESSIVE if progressive else 0,
    )


def arithmetic(image, subsampling="4:2:0"):
    """Encode with arithmetic coding, which TurboJPEG offers through its environment only."""
    os.environ["TJ_ARITHMETIC"] = "1"
    try:
        return turbo(image, subsampling)
    finally:
        del os.environ["TJ_ARITHMETIC"]


def pillow(image, **options):
    """Encode with Pillow: one channel is grey, three are RGB, four are CMYK."""
    picture = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
    if image.shape[2] == 4:
        picture = Image.frombytes("CMYK", (image.shape[1], image.shape[0]), image.tobytes())
    file = io.BytesIO()
    picture.save(file, "JPEG", **options)
    return file.getvalue()


def jpeg(height=24, width=31, subsampling="4:2:0", *, seed=0, **options):
    """An ordinary file, for tests that do not care which."""
    return turbo(pixels(height, width, seed=seed), subsampling, **options)


# ---- taking files apart ------------------------------------------------------------------------


def segments(data):
    """(marker, start, end) of every segment from the one after SOI up to the first SOS.

    Stray and fill bytes between segments are passed over, as every decoder does.
    """
    found, at = [], 2
    while True:
        at = data.index(b"\xff", at)
        while data[at + 1] == 0xFF:  # fill bytes
            at += 1
        marker = data[at + 1]
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        found.append((marker, at, end))
        if marker == SOS:
            return found
        at = end


def frame(data):
    """(marker, start, end) of the frame header."""
    return next(segment for segment in segments(data) if segment[0] in FRAMES)


def size(data):
    """(height, width) as the frame header has them, before any orientation."""
    return struct.unpack_from(">HH", data, frame(data)[1] + 5)


def scan_offset(data):
    """Where the first entropy-coded byte is."""
    return segments(data)[-1][2]


# ---- bending files -----------------------------------------------------------------------------


def insert(data, extra, at=2):
    return data[:at] + extra + data[at:]


def exif(orientation, order="II", *, tags_before=1):
    """An APP1 segment with the orientation tag, after `tags_before` other tags."""
    mark = {"II": "<", "MM": ">"}[order]
    entries = [struct.pack(mark + "HHIHH", 0x0112 - tags_before + i, 3, 1, 7, 0) for i in range(tags_before)]
    entries.append(struct.pack(mark + "HHIHH", 0x0112, 3, 1, orientation, 0))
    tiff = order.encode() + struct.pack(mark + "HI", 42, 8)
    tiff += struct.pack(mark + "H", len(entries)) + b"".join(entries) + struct.pack(mark + "I", 0)
    return segment(0xE1, b"Exif\0\0" + tiff)


def oriented(data, orientation, order="II"):
    return insert(data, exif(orientation, order))


def reframed(data, *, marker=None, precision=None, height=None, width=None, ids=None, factors=None):
    """Patch the frame header alone; the scan still holds what it held."""
    old, start, _ = frame(data)
    patched = bytearray(data)
    patched[start + 1] = old if marker is None else marker
    if precision is not None:
        patched[start + 4] = precision
    if height is not None:
        patched[start + 5 : start + 7] = struct.pack(">H", height)
    if width is not None:
        patched[start + 7 : start + 9] = struct.pack(">H", width)
    for i, value in enumerate(ids or ()):
        patched[start + 10 + 3 * i] = value
    for i, (horizontal, vertical) in enumerate(factors or ()):
        patched[start + 11 + 3 * i] = horizontal << 4 | vertical
    return bytes(patched)


def without(data, *markers):
    """Leave out every segment before the scan that has one of these markers."""
    for marker, start, end in reversed(segments(data)):
        if marker in markers:
            data = data[:start] + data[end:]
    return data


def truncated(data, fraction=0.5):
    """Cut inside the entropy-coded data, `fraction` of the way through it."""
    start = scan_offset(data)
    return data[: start + int((len(data) - start) * fraction)]


def without_eoi(data):
    assert data.endswith(b"\xff\xd9")
    return data[:-2]


def junk_between_segments(data, count=5):
    """Stray bytes before the frame header: libjpeg skips to the next marker."""
    return insert(data, b"\x00\x01\x02\x03\x04"[:count], frame(data)[1])


def restarts(height=40, width=40, blocks=1):
    return pillow(pixels(height, width), restart_marker_blocks=blocks, subsampling="4:2:0")


def lost_sync(data):
    """Drop the second restart interval: the numbers of the markers no longer follow one another."""
    start = scan_offset(data)
    first = data.index(b"\xff\xd1", start)
    return data[:first] + data[data.index(b"\xff\xd2", start) :]


def bad_codes(height=16, width=16):
    """A grey file whose scan is ones only: no code of a JPEG Huffman table is all ones.

    A block costs two bad codes of at most 17 bits, so that 5 bytes a block outlast the image: the
    file is corrupt and nothing of it is missing.
    """
    data = turbo(pixels(height, width, 1))
    blocks = -(-height // 8) * -(-width // 8)
    return data[: scan_offset(data)] + b"\xff\x00" * (5 * blocks) + b"\xff\xd9"


def many_scans(count, components=1):
    """A correct progressive file of exactly `count` scans: one 8 x 8 block of the first component, grey by default.

    The scans: one for DC, then one for each AC coefficient and bit position, each only "end of
    band". The only code of the AC table is a single 0 bit, padded with ones. There are none of other components.
    """
    assert 2 <= count <= 1 + 63 * 14
    quantiser = segment(DQT, b"\x00" + b"\x08" * 64)
    frame = b"".join(bytes([i, 0x11, 0]) for i in range(1, components + 1))
    header = segment(SOF2, struct.pack(">BHHB", 8, 8, 8, components) + frame)
    # Lengths 1..16, then the symbols: DC has "four more bits" only, AC has "end of band" only.
    tables = segment(DHT, b"\x00" + b"\x01" + bytes(15) + b"\x04")
    tables += segment(DHT, b"\x10" + b"\x01" + bytes(15) + b"\x00")
    # Code 0, then 1010 for a difference of 10; then ones.
    scans = [segment(SOS, b"\x01\x01\x00\x00\x00\x00") + b"\x57"]
    for low in range(13, -1, -1):
        high = 0 if low == 13 else low + 1
        for k in range(1, 64):
            spectral = bytes([1, 1, 0, k, k, high << 4 | low])
            scans.append(segment(SOS, spectral) + b"\x7f")
    return b"\xff\xd8" + quantiser + header + tables + b"".join(scans[:count]) + b"\xff\xd9"


# ---- oracles -----------------------------------------------------------------------------------


def rgb_pillow(data):
    return np.array(Image.open(io.BytesIO(data)).convert("RGB"))


def grey_pillow(data):
    """Pillow's luminance: of the decoder itself (draft) where it offers that, else of its RGB."""
    picture = Image.open(io.BytesIO(data))
    picture.draft("L", picture.size)
    return np.array(picture.convert("L"))[:, :, None]


def _turbo_decode(data, pixel_format, channels):
    # Zeros, because TurboJPEG leaves rows unwritten when a fatal error comes after a warning.
    out = np.zeros((*size(data), channels), np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _turbo.decode(data, pixel_format, dst=out)


def rgb_turbo(data):
    return _turbo_decode(data, turbojpeg.TJPF_RGB, 3)


def smooths_as_turbo():
    """Whether fastimg's libjpeg-turbo makes of a progressive file that ends early what `rgb_turbo` does."""
    turbo_is_3 = _turbo._TurboJPEG__transform3 is not None  # it has tj3Transform
    return turbo_is_3 is not fastimg.build_info()["libjpeg_turbo"].startswith("2.")


def rgb_turbo_rows(data, fill=0):
    """Like rgb_turbo, but a fatal error ends the image: rows that were not delivered hold `fill`.

    Of files with several scans none are delivered unless all scans can be read.
    """
    out = np.full((*size(data), 3), fill, np.uint8)
    with warnings.catch_warnings(), contextlib.suppress(OSError):
        warnings.simplefilter("ignore")
        _turbo.decode(data, turbojpeg.TJPF_RGB, dst=out)
    return out


def grey_turbo(data):
    return _turbo_decode(data, turbojpeg.TJPF_GRAY, 1)


def turbo_planes(data):
    """The samples of Y, Cb and Cr, each uint8 (rows, columns), with some padding."""
    return _turbo.decode_to_yuv_planes(data)


def rgb_turbo_scaled(data, divisor):
    """DCT-scaled by 1 / divisor; a rest of pixels at the edge counts as a whole one."""
    return _turbo.decode(data, turbojpeg.TJPF_RGB, scaling_factor=(1, divisor))


def orientation_of(data):
    value = Image.open(io.BytesIO(data)).getexif().get(0x0112, 1)
    return value if value in range(1, 9) else 1


def upright(image, orientation):
    """Undo an EXIF orientation; (height, width, channels) in and out."""
    if orientation >= 5:
        image = image.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return image


def normalise(image, dtype, mean=0, std=1):
    """(pixel / 255 - mean) / std, each step in float32; float16 is that, rounded to nearest even."""
    if np.dtype(dtype) == np.uint8:
        return image
    scaled = image.astype(np.float32) / np.float32(255)
    result = (scaled - np.asarray(mean, np.float32)) / np.asarray(std, np.float32)
    assert result.dtype == np.float32
    with np.errstate(over="ignore"):
        return result.astype(dtype)


def reference(
    data,
    *,
    mode="RGB",
    layout="CHW",
    crop=None,
    flip=False,
    orient=True,
    dtype="uint8",
    mean=0,
    std=1,
):
    """What decode(data, ...) must give, from Pillow and NumPy alone; contiguous."""
    image = grey_pillow(data) if mode == "L" else rgb_pillow(data)
    if mode == "BGR":
        image = image[:, :, ::-1]
    if orient:
        image = upright(image, orientation_of(data))
    if crop is not None:
        top, left, height, width = crop
        image = image[top : top + height, left : left + width]
    if flip:
        image = image[:, ::-1]
    image = normalise(image, dtype, mean, std)
    if layout == "CHW":
        image = image.transpose(2, 0, 1)
    return np.ascontiguousarray(image)


def assert_same(actual, expected):
    """Equal in type, shape and every bit (so that -0.0 is not 0.0)."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    if actual.tobytes() != expected.tobytes():
        np.testing.assert_array_equal(actual, expected)
        raise AssertionError("equal in value, not in every bit")


def assert_all_same(actual, expected):
    """Like assert_same, for nested lists and tuples, whose types and lengths must be equal, too."""
    assert type(actual) is type(expected)
    if not isinstance(expected, list | tuple):
        assert_same(actual, expected)
        return
    assert len(actual) == len(expected)
    for each, other in zip(actual, expected, strict=True):
        assert_all_same(each, other)


def of_every_kind():
    """Small files by name: all that is decoded by a way of its own, the last damaged."""
    colour = jpeg(96, 81)
    return {
        "4:2:0": colour,
        "4:4:4": jpeg(96, 81, "4:4:4"),
        "4:1:1": jpeg(80, 133, "4:1:1"),
        "grey": turbo(pixels(64, 64, 1)),
        "turned": oriented(colour, 6),
        "cmyk": turbo(pixels(72, 72, 4)),
        "progressive": jpeg(96, 81, progressive=True),
        "truncated": truncated(colour),
    }
