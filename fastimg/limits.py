# SPDX-License-Identifier: BSD-3-Clause
"""How much an image may cost. See SECURITY.md for what that comes to."""

from __future__ import annotations

from typing import NamedTuple

#: Pillow's limit before it warns of a decompression bomb: a quarter GiB of 24-bit pixels, doubled.
MAX_PIXELS = 178_956_970

#: Encoders write about 20 scans at most; each costs a pass over the whole image.
MAX_SCANS = 500

#: The largest image that may have so many; larger ones may have fewer in proportion, down to FREE_SCANS.
SCANNED_PIXELS = 2**20
FREE_SCANS = 30

#: How many bytes may be allocated for each pixel of the largest image with strict=False, if its file is too short to
#: contain it, however well it is compressed. One with halved chroma takes 3.75, and a little more for whole MCUs.
MAX_MISSING_NBYTES = 4


class CoreLimits(NamedTuple):
    """Limits of the core.

    Attributes
    ----------
    free_scans : int
        So many are fine whatever the size of the image.
    max_scanned : int
        Pixels times scans, if these are more.
    max_missing : int
        Bytes of memory for what a file does not contain.
    """

    free_scans: int
    max_scanned: int
    max_missing: int


def core_limits(max_pixels: int, max_scans: int) -> CoreLimits:
    """Those that follow from options. Higher ones than the defaults raise all limits in proportion."""
    return CoreLimits(
        max(FREE_SCANS, FREE_SCANS * max_scans // MAX_SCANS),
        SCANNED_PIXELS * max(max_scans, MAX_SCANS),
        int(MAX_MISSING_NBYTES * max(max_pixels, MAX_PIXELS)),
    )
