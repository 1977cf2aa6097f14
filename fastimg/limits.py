# SPDX-License-Identifier: BSD-3-Clause
"""How much an image may cost. See SECURITY.md for what that comes to."""

from __future__ import annotations

from typing import NamedTuple

#: Pillow's limit before it warns of a decompression bomb: a quarter GiB of 24-bit pixels, doubled.
MAX_PIXELS = 178_956_970

#: Encoders write about 20 scans at most; each costs a pass over the whole image.
MAX_SCANS = 500

#: How many scans the largest image may have. A smaller one may have as many more, which takes no longer.
MAX_SCANS_OF_LARGEST = 30

#: How many bytes may be allocated for each pixel of the largest image with strict=False, if its file is too short to
#: contain it, however well it is compressed. One with halved chroma takes 3, and a little more for whole MCUs.
MAX_MISSING_NBYTES = 3.2


class CoreLimits(NamedTuple):
    """Limits of the core.

    Attributes
    ----------
    scanned : int
        Pixels times scans.
    missing : int
        Bytes of memory for what a file does not contain.
    """

    scanned: int
    missing: int


def core_limits(max_pixels: int) -> CoreLimits:
    """Those that follow from the largest image: of `max_pixels` pixels, or of MAX_PIXELS if that is more."""
    largest = max(MAX_PIXELS, max_pixels)
    return CoreLimits(MAX_SCANS_OF_LARGEST * largest, int(MAX_MISSING_NBYTES * largest))
