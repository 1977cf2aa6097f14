# SPDX-License-Identifier: BSD-3-Clause
"""The slow reference of resizing: floating point, from the raw samples, one rounding at the end.

Images are float64 (height, width, channels), planes float64 (height, width).
"""

import functools
import math
from typing import NamedTuple

import numpy as np
from PIL import Image

from support import jpeg_blocks, jpegs

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


def resample(image, size, name, box=None, function=np.positive):
    """(height, width, channels) to `size`; `box` is (top, left, bottom, right), fractions allowed.

    The weights are what `function` makes of them: by their magnitudes, errors are resampled.
    """
    height, width = image.shape[:2]
    top, left, bottom, right = box or (0, 0, height, width)
    rows = function(weights(height, size[0], name, top, bottom))
    columns = function(weights(width, size[1], name, left, right))
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


def to_rgb_most(errors):
    """How large errors can become by to_rgb()."""
    if errors.shape[2] == 1:
        return errors.repeat(3, 2)
    y, cb, cr = errors[:, :, 0], errors[:, :, 1], errors[:, :, 2]
    return np.stack([y + 1.402 * cr, y + 0.344137 * cb + 0.714137 * cr, y + 1.772 * cb], 2)


def to_pixels(image):
    """The one rounding."""
    return np.clip(np.floor(image + 0.5), 0, 255).astype(np.uint8)


# ---- fewer samples a block ---------------------------------------------------------------------

# How far an inverse DCT to 4 x 4 may be from its definition. Between its passes numbers are
# rounded to quarters, an eighth away at most; four of them count 1, 1.31, 1 and 0.54 times in 8 times a sample: 0.06.
# The rest is for cosines of 13 bits. Other sizes, and blocks at the edges, are nearer. Then all are rounded to 64ths.
INEXACT = 1 / 16 + 0.5 / 64

# The most between a result and the reference, if no sample is in doubt: half a level by rounding the result, and before
# that resampling rounds to 64ths twice, half of one each time; which colours can make 2.8 times as much of, and a 64th.
AWAY_MOST = 0.5 + (2.8 + 1.2) / 64


class Reduced(NamedTuple):
    """A file at 1 / divisor of its size: samples, not clipped, and by how much each of them may be off."""

    image: np.ndarray
    doubt: np.ndarray
    divisor: int


def low_pass(count):
    """float64 (count, 8): from 8 samples in a row to the `count` that the lowest frequencies alone give."""
    k, x = np.mgrid[:count, :count]
    scale = np.where(k == 0, np.sqrt(1 / count), np.sqrt(2 / count))
    dct = scale * np.cos((2 * x + 1) * k * np.pi / (2 * count))
    return np.sqrt(count / 8) * dct.T @ jpeg_blocks.DCT[:count]


def samples_per_block(factors, i, divisor):
    """Of component i, in each direction: libjpeg keeps more of them where that saves upsampling."""
    count, most = 8 // divisor, np.max(factors, 0)
    while count < 8 and not (most * (8 // divisor) % (np.array(factors[i]) * count * 2)).any():
        count *= 2
    return count


def reduce_plane(plane, coefficients, count):
    """A component in `count` x `count` samples a block, not rounded; the parts of one count, but not of a mean.

    The coefficients say what blocks inside of the image are, neither rounded nor clamped. Of the others, the
    samples in the image are known, and the nearest of them takes the place of each one outside.
    """
    if count == 8:
        return plane.astype(float)
    rows, columns = plane.shape
    whole = (slice(rows // 8), slice(columns // 8))
    blocks = jpeg_blocks.to_blocks(np.pad(plane, ((0, -rows % 8), (0, -columns % 8)), "edge")).astype(float)
    blocks[whole] = jpeg_blocks.DCT.T @ coefficients[whole] @ jpeg_blocks.DCT + 128
    samples = jpeg_blocks.from_blocks(low_pass(count) @ blocks @ low_pass(count).T)
    part = 7 if count > 1 else 0
    samples = samples[: (rows * count + part) // 8, : (columns * count + part) // 8]
    return samples.round(9)  # ties are ties


def reduced(crafted, height, width, divisor):
    """The components of a jpeg_blocks.Crafted side by side."""
    factors = crafted.factors
    part = divisor - 1 if divisor < 8 else 0
    height, width = (height + part) // divisor, (width + part) // divisor
    images, doubts = [], []
    for i, (h, v) in enumerate(factors):
        count = samples_per_block(factors, i, divisor)
        samples = reduce_plane(crafted.planes[i], crafted.coefficients[i], count)
        ratio = tuple((np.max(factors, 0) * 8 // (np.array((h, v)) * count * divisor)).tolist())
        inexact = np.full(samples.shape, INEXACT if 1 < count < 8 else 0.0)
        for values, to in ((samples, images), (inexact, doubts)):
            spread = upsample(values, ratio, height, width)
            to.append(np.pad(spread, ((0, height - spread.shape[0]), (0, width - spread.shape[1])), "edge"))
    return Reduced(np.stack(images, 2), np.stack(doubts, 2), divisor)


def resize_reduced(source, shape, size, *, resample_name="bilinear", fit="stretch", crop=None):
    """(RGB that is not rounded, by how much it may be off), of a file of this shape."""
    top, left, height, width = crop or (0, 0, *shape)
    box = cover_box(height, width, size) if fit == "cover" else (0, 0, height, width)
    d = source.divisor
    low = top // d, left // d
    high = jpeg_blocks.ceil_div(top + height, d), jpeg_blocks.ceil_div(left + width, d)
    seen = slice(low[0], high[0]), slice(low[1], high[1])
    box = [(edge + add) / d - less for edge, add, less in zip(box, (top, left) * 2, low * 2, strict=True)]
    image = to_rgb(resample(source.image[seen], size, resample_name, box))
    return image, to_rgb_most(resample(source.doubt[seen], size, resample_name, box, np.abs))


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


def craft(height, width, factors, seed=0, **options):
    """A jpeg_blocks.Crafted of any sampling factors, whose pattern goes on beyond the edges."""
    sizes = [jpeg_blocks.coded_size(height, width, factors, i) for i in range(len(factors))]
    coded = [jpegs.pixels(*size, 1, seed=seed + 7 * i)[:, :, 0] for i, size in enumerate(sizes)]
    return jpeg_blocks.craft(coded, height, width, factors, **options)


def crafted_sample(height, width, factors, seed=0):
    """A file of any sampling factors."""
    crafted = craft(height, width, factors, seed)
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


def assert_closer(actual, expected, doubt, about=""):
    """No more from a reference that is not rounded than a result has to be, given how far off samples may be."""
    away = np.abs(actual - np.clip(expected, 0, 255)) - doubt
    assert away.max() <= AWAY_MOST, (
        f"{about}: {away.max()} away at {np.unravel_index(away.argmax(), away.shape)}"
    )


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
