# SPDX-License-Identifier: BSD-3-Clause
"""The slow reference of resizing: floating point, from the raw samples, one rounding at the end.

Images are float64 (height, width, channels), planes float64 (height, width).
"""

import functools
import math
from typing import NamedTuple

import jpeg_blocks
import jpegs
import numpy as np
from PIL import Image

FACTORS = {
    "4:4:4": [(1, 1)] * 3,
    "4:2:2": [(2, 1), (1, 1), (1, 1)],
    "4:2:0": [(2, 2), (1, 1), (1, 1)],
    "4:4:0": [(1, 2), (1, 1), (1, 1)],
    "4:1:1": [(4, 1), (1, 1), (1, 1)],
    "4:0:0": [(1, 1)],
}

# ---- Pillow's filters --------------------------------------------------------------------------


def _box(x):
    return ((x > -0.5) & (x <= 0.5)).astype(float)


def _bilinear(x):
    return np.maximum(0, 1 - np.abs(x))


def _hamming(x):
    return np.where(np.abs(x) < 1, np.sinc(x) * (0.54 + 0.46 * np.cos(np.pi * x)), 0)


def _bicubic(x):
    x, a = np.abs(x), -0.5
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def _lanczos(x):
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)


FILTERS = {
    "bilinear": (_bilinear, 1.0),
    "box": (_box, 0.5),
    "hamming": (_hamming, 1.0),
    "bicubic": (_bicubic, 2.0),
    "lanczos": (_lanczos, 3.0),
}
PILLOW = {name: Image.Resampling[name.upper()] for name in FILTERS}


@functools.lru_cache(4096)
def weights(source, target, name, start=0.0, end=None):
    """float64 (target, source): how the samples from `start` to `end` of `source` make `target` of them.

    As Pillow's precompute_coeffs: the support widens when shrinking, and is cut at the ends of the source.
    """
    end = source if end is None else end
    function, support = FILTERS[name]
    scale = (end - start) / target
    stretch = max(scale, 1.0)
    support *= stretch
    center = start + (np.arange(target)[:, None] + 0.5) * scale
    first = np.maximum(np.trunc(center - support + 0.5), 0)
    last = np.minimum(np.trunc(center + support + 0.5), source)
    x = np.arange(source)
    matrix = np.where((x >= first) & (x < last), function((x - center + 0.5) * (1 / stretch)), 0)
    return matrix / matrix.sum(1, keepdims=True)


def resample(image, size, name, box=None):
    """(height, width, channels) to `size`; `box` is (top, left, bottom, right), fractions allowed."""
    height, width = image.shape[:2]
    top, left, bottom, right = box or (0, 0, height, width)
    rows = weights(height, size[0], name, top, bottom)
    columns = weights(width, size[1], name, left, right)
    return np.stack([rows @ image[:, :, c] @ columns.T for c in range(image.shape[2])], 2)


# ---- samples to an image -----------------------------------------------------------------------


def _triangle(samples, axis):
    """Twice as many, each 3/4 of the nearest and 1/4 of the next nearest, the ends repeated."""
    samples = np.moveaxis(samples, axis, 0)
    before, after = np.concatenate([samples[:1], samples[:-1]]), np.concatenate([samples[1:], samples[-1:]])
    out = np.empty((2 * len(samples), *samples.shape[1:]))
    out[0::2], out[1::2] = 0.75 * samples + 0.25 * before, 0.75 * samples + 0.25 * after
    return np.moveaxis(out, 0, axis)


def upsample(plane, ratio, height, width):
    """A component to the image's size; `ratio` is (horizontal, vertical). libjpeg-turbo's rules."""
    plane = plane.astype(float)
    across, down = ratio
    if ratio == (1, 2):
        plane = _triangle(plane, 0)
    elif ratio in ((2, 1), (2, 2)) and plane.shape[1] > 2:
        plane = _triangle(plane, 1)
        plane = _triangle(plane, 0) if down == 2 else plane
    else:
        plane = plane.repeat(down, 0).repeat(across, 1)
    return plane[:height, :width]


def assemble(planes, factors, height, width):
    """Components side by side, at the image's size: Y, Cb, Cr, or whatever the file has."""
    most = [max(f[axis] for f in factors) for axis in (0, 1)]
    ratios = [(most[0] // h, most[1] // v) for h, v in factors]
    return np.stack([upsample(p, r, height, width) for p, r in zip(planes, ratios, strict=True)], 2)


def raw_planes(data, subsampling):
    """The samples of an ordinary YCbCr or grey file, by PyTurboJPEG, without its padding."""
    height, width = jpegs.size(data)
    factors = FACTORS[subsampling]
    if subsampling == "4:0:0":
        return [jpegs.grey_turbo(data)[:, :, 0]]
    planes = jpegs.turbo_planes(data)
    sizes = [jpeg_blocks.component_size(height, width, factors, i) for i in range(len(factors))]
    return [plane[:rows, :columns] for plane, (rows, columns) in zip(planes, sizes, strict=True)]


def to_rgb(image):
    """JFIF's conversion; one channel is grey. Neither rounded nor clipped."""
    if image.shape[2] == 1:
        return image.repeat(3, 2)
    y, cb, cr = image[:, :, 0], image[:, :, 1] - 128, image[:, :, 2] - 128
    green = y - (0.114 * 1.772 * cb + 0.299 * 1.402 * cr) / 0.587
    return np.stack([y + 1.402 * cr, green, y + 1.772 * cb], 2)


def to_pixels(image):
    """The one rounding."""
    return np.clip(np.floor(image + 0.5), 0, 255).astype(np.uint8)


# ---- geometry ----------------------------------------------------------------------------------


def cover_box(height, width, target):
    """The largest box of the target's aspect ratio, centred, as ImageOps.fit has it."""
    ratio = target[1] / target[0]
    if width / height == ratio:
        return (0.0, 0.0, float(height), float(width))
    if width / height > ratio:
        wide = ratio * height
        left = (width - wide) * 0.5
        return (0.0, left, float(height), left + wide)
    high = width / ratio
    top = (height - high) * 0.5
    return (top, 0.0, top + high, float(width))


def contain_size(height, width, target):
    """The size that fits, as ImageOps.contain has it."""
    if width / height > target[1] / target[0]:
        return max(1, round(height / width * target[1])), target[1]
    return target[0], max(1, round(width / height * target[0]))


def resize(image, size, *, resample_name="bilinear", fit="stretch", crop=None):
    """The upright image of samples, cropped and resampled; for "contain" without the padding."""
    if crop is not None:
        top, left, height, width = crop
        image = image[top : top + height, left : left + width]
    height, width = image.shape[:2]
    box = None
    if fit == "cover":
        box = cover_box(height, width, size)
    elif fit == "contain":
        size = contain_size(height, width, size)
    return resample(image, size, resample_name, box)


def place(image, size, pad):
    """In the middle of `size`, as ImageOps.pad does it; `pad` is a value or one a channel."""
    height, width = image.shape[:2]
    out = np.empty((*size, image.shape[2]), image.dtype)
    out[:] = pad
    top, left = round((size[0] - height) * 0.5), round((size[1] - width) * 0.5)
    out[top : top + height, left : left + width] = image
    return out


# ---- whole files ---------------------------------------------------------------------------------


class Sample(NamedTuple):
    """A file and its samples as stored: (height, width, channels), of "YCbCr", "RGB" or "grey"."""

    data: bytes
    image: np.ndarray
    color: str


def sample(data, subsampling):
    """A YCbCr or grey file that PyTurboJPEG made."""
    planes = raw_planes(data, subsampling)
    image = assemble(planes, FACTORS[subsampling], *jpegs.size(data))
    return Sample(data, image, "grey" if subsampling == "4:0:0" else "YCbCr")


def rgb_sample(data):
    """RGB as it is, CMYK and YCCK: by Pillow, which rounds at full size."""
    return Sample(data, jpegs.rgb_pillow(data).astype(float), "RGB")


def crafted_sample(height, width, factors, seed=0):
    """A file of any sampling factors."""
    sizes = [jpeg_blocks.coded_size(height, width, factors, i) for i in range(len(factors))]
    coded = [jpegs.pixels(*size, 1, seed=seed + 7 * i)[:, :, 0] for i, size in enumerate(sizes)]
    crafted = jpeg_blocks.craft(coded, height, width, factors)
    image = assemble(crafted.planes, factors, height, width)
    return Sample(crafted.data, image, "YCbCr")


def expected(
    sample,
    size,
    *,
    mode="RGB",
    resample="bilinear",
    fit="stretch",
    pad_value=0,
    crop=None,
    flip=False,
    orient=True,
):
    """What decode(data, size=size, reducing_gap=None, layout="HWC", ...) must be near to, not rounded."""
    image = jpegs.upright(sample.image, jpegs.orientation_of(sample.data)) if orient else sample.image
    image = resize(image, size, resample_name=resample, fit=fit, crop=crop)
    if mode == "L":
        image = image @ [[0.299], [0.587], [0.114]] if sample.color == "RGB" else image[:, :, :1]
    elif sample.color != "RGB":
        image = to_rgb(image)
    if mode == "BGR":
        image = image[:, :, ::-1]
    if fit == "contain":
        image = place(image, size, pad_value)
    return image[:, ::-1] if flip else image


# ---- comparing ---------------------------------------------------------------------------------


def psnr(actual, expected):
    error = np.mean((np.asarray(actual, float) - np.asarray(expected, float)) ** 2)
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def assert_close(actual, expected, about=""):
    """No more than one level from the reference, which is not rounded yet."""
    expected = to_pixels(expected)
    assert actual.dtype == np.uint8 and actual.shape == expected.shape, about
    difference = np.abs(actual.astype(int) - expected)
    if difference.max(initial=0) > 1:
        at = np.unravel_index(difference.argmax(), difference.shape)
        raise AssertionError(
            f"{about}: {np.count_nonzero(difference > 1)} of {difference.size} differ by more than 1, "
            f"the most at {at}: {actual[at]}, not {expected[at]}"
        )
