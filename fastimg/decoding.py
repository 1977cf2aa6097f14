# SPDX-License-Identifier: BSD-3-Clause
"""One image into an array."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

import fastimg._decode as _decode
from fastimg.crops import Crop, parse_crop, parse_flip
from fastimg.fallback import FallbackOption, parse_fallback
from fastimg.limits import MAX_PIXELS, MAX_SCANS
from fastimg.options import PadValue, Size, Statistic, options_of
from fastimg.quick_calls import quick
from fastimg.sources import Source
from fastimg.threads import resolve_num_threads

__all__ = ["decode"]


@quick
def decode(
    source: Source,
    out: Any = None,
    *,
    mode: str = "RGB",
    layout: str = "CHW",
    size: Size | None = None,
    resize_shorter: int | None = None,
    resize_longer: int | None = None,
    center_crop: Size | None = None,
    fit: str = "stretch",
    resample: str = "bilinear",
    reducing_gap: float | None = 2.0,
    pad_value: PadValue = 0,
    crop: Crop | None = None,
    flip: bool = False,
    orient: bool = True,
    dtype: npt.DTypeLike = "uint8",
    mean: Statistic = 0,
    std: Statistic = 1,
    strict: bool = True,
    max_pixels: int = MAX_PIXELS,
    max_scans: int = MAX_SCANS,
    num_threads: int | None = 1,
    fallback: FallbackOption | None = None,
) -> npt.NDArray[Any]:
    """Decode one JPEG.

    Parameters
    ----------
    source : str, os.PathLike, bytes-like or FileRange
        The JPEG: a file, its bytes, or a part of a file. `bytes` is data, never a path.
    out : array, optional
        Any object with a writable buffer of exactly the right shape and dtype. The pixels of a row must be contiguous;
        rows and planes may have any strides.
    mode : {"RGB", "BGR", "L"}
        Channels of the result; "L" (luma) has one.
    layout : {"CHW", "HWC"}
        Planes, or interleaved pixels.
    size : int or (height, width), optional
        Resample to this size, each side from 1 to 2**20; an int is a square.
    resize_shorter, resize_longer : int, optional
        In place of `size`: resample until the shorter or the longer side has that many pixels, and the other one in
        proportion, rounded down as by torchvision's ``Resize``.
    center_crop : int or (height, width), optional
        In place of `size`, last of all: cut this from the centre, with the roundings of torchvision's ``CenterCrop``.
        An image that is smaller is centred, with `pad_value` around it.
    fit : {"stretch", "cover", "contain"}
        What to do if `size` has another aspect ratio: distort; scale to cover it and crop around the centre, like
        Pillow's ``ImageOps.fit``; or scale to fit inside it and pad on both sides, like ``ImageOps.pad``.
    resample : {"bilinear", "box", "hamming", "bicubic", "lanczos"}
        Pillow's antialiased filters: to reduce an image, they widen until they cover all of its pixels.
    reducing_gap : float, optional
        As in Pillow: the inverse DCT may reduce the image 2, 4 or 8 times first, as long as it stays at least this many
        times larger than the result. Larger values are slower and closer to None, which never reduces.
    pad_value : int or sequence of int
        With ``fit="contain"`` and `center_crop`: the value around the image, 0 to 255, for all channels or one per
        channel in their order. `mean` and `std` apply to it as to a pixel.
    crop : (top, left, height, width), optional
        A box in pixels of the upright image, cut before resampling: pixels outside it have no influence. If the result
        is resampled, its sides may be fractions, and a pixel that it cuts counts as a whole.
    flip : bool
        Mirror left-right, after everything else, padding included.
    orient : bool
        Apply the orientation given in the Exif data or else the XMP data.
    dtype : {"uint8", "float32", "float16", "bfloat16"}
        Floats are ``(pixel / 255 - mean) / std``, each step in float32; float16 and bfloat16 are that, rounded to
        nearest even. A bfloat16 array is one of ``ml_dtypes.bfloat16``; `out` may also be uint16, for the bits.
    mean, std : float or sequence of float
        For all channels, or one value per channel.
    strict : bool
        Whether an image that lost data is an error; if not, keep what libjpeg-turbo recovers.
    max_pixels : int
        Larger images are refused before anything is allocated.
    max_scans : int
        Images of more scans are refused: each is a pass over all pixels, and most progressive files have ten. Those of
        more than a megapixel (2**20) may have fewer in proportion, down to 30, or 6 % of `max_scans` if that is more.
    num_threads : int, optional
        How many threads decode a baseline image of two megapixels or more; None: as for `load`. Smaller ones, and other
        kinds, take one, and none takes more than 64. The result does not depend on it.
    fallback : "pillow" or callable, optional
        What decodes an image that is no JPEG, or of a kind that is not supported; its pixels then go the same way.
        "pillow": first frames of animations, transparent pixels over `pad_value`, anything else as Pillow converts it.
        A callable gets the path, or bytes where the source is no whole file, and returns a uint8 array, (H, W) or
        (H, W, 3), with 4 channels for transparency, or a Pillow image.

    Returns
    -------
    ndarray
        (C, height, width) or (height, width, C) of `dtype`, with the height and width of `size` or `center_crop`,
        else `crop`, else the image; `out` itself if given.

    Raises
    ------
    JpegError
        If the data is not a JPEG, damaged, truncated, too large or of an unsupported kind. Like every error about an
        image, it has attributes `source` and `index`.
    FallbackError
        If the image is not a JPEG, or of an unsupported kind, and the fallback fails, too.
    ImageTooLargeError
        If the fallback finds more pixels than `max_pixels`. All errors about images are subclasses of `ImageError`.
    OSError
        If the file cannot be read (FileNotFoundError, IsADirectoryError, ...), with errno and filename.
    ValueError
        If an option or the shape of `out` is wrong, `out` is read-only, or the crop leaves the image.
    TypeError
        If the source, an option or the dtype of `out` has the wrong type.
    ImportError
        If ml_dtypes is not installed and the result is a fresh bfloat16 array, or Pillow is not, for that fallback.

    Notes
    -----
    A bytes-like source must be contiguous; its shape and the type of its items do not matter. The call holds its
    buffer, so a bytearray cannot be resized meanwhile (BufferError). Another thread may write to it: unless it is
    `bytes`, the data is copied first, as far as it is read. A file that is mapped into memory must not be cut short:
    that is a SIGBUS, which ends the process. A path is safe, as files are read.

    Besides the result, several threads need some two megabytes each, for coefficients and a few rows of blocks,
    whatever the height of the image.

    Resampling works on the planes of the JPEG, each from its own resolution, and converts colours at the size of the
    result. Without `reducing_gap`, the result is Pillow's resize of the decoded image, except for rounding and for
    colours that Pillow clips at full size.

    Examples
    --------
    >>> image = fastimg.decode("cat.jpg")
    >>> image.shape, image.dtype
    ((3, 375, 500), dtype('uint8'))
    >>> fastimg.decode("cat.jpg", size=224, fit="cover").shape
    (3, 224, 224)
    """
    # In the order of the table. locals() is slow, and ends the process if CPython 3.13 has no memory for it.
    given = (
        mode, layout, size, resize_shorter, resize_longer, center_crop, fit, resample, reducing_gap, pad_value,
        orient, dtype, mean, std, strict, max_pixels, max_scans,
    )  # fmt: skip
    options = options_of(given)
    return _decode.decode(
        source,
        out,
        options,
        None if crop is None else parse_crop(crop, options),
        flip if flip is True or flip is False else parse_flip(flip),
        False,
        None if fallback is None else parse_fallback(fallback),
        1 if type(num_threads) is int and num_threads == 1 else resolve_num_threads(num_threads),
    )
