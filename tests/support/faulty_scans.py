# SPDX-License-Identifier: BSD-3-Clause
"""Files whose scans have a fault of each kind (fi_fault_kind), for the fuzz targets."""

from support import jpegs
from support.damage import END, JUNK, Picture, after_scan, before_restart, coefficient
from support.damage_cases import LARGE, band_overrun, renumbered
from support.entropy_files import DAMAGED, UNSOUND
from support.segments import DHT, one_block, segment


def of_every_length(data, count=64):
    """The targets do something else for each; what comes after the end of a file is nothing to them."""
    return [data + bytes(i) for i in range(count)]


def good():
    return jpegs.pillow(jpegs.pixels(40, 40), progressive=True)


def restarts():
    return jpegs.pillow(jpegs.pixels(40, 40), progressive=True, restart_marker_blocks=3)


def before_scan(data, extra):
    return jpegs.insert(data, extra, jpegs.segments(data)[-1][1])


LARGE_DC = Picture(*LARGE).changed(5, dc=200)
LARGE_VALUE = Picture(*LARGE, quantiser=1).changed(5, ac=(coefficient(3, -9000),))
UNSOUND_TABLE = segment(DHT, b"\x00\x02" + bytes(15) + b"\x04\x00")

# By the name of the fault. The length of a file says whether values are bounded.
BASELINE = {
    "TABLES": lambda: [one_block(**tables) for tables in UNSOUND.values()],
    "CODE": lambda: [jpegs.bad_codes()],
    "BLOCK_END": lambda: [one_block(**tables) for tables in DAMAGED.values()],
    "RANGE": lambda: of_every_length(LARGE_VALUE.data()),
    "RANGE, DC": lambda: of_every_length(LARGE_DC.data()),
    "END": lambda: [jpegs.truncated(jpegs.jpeg())],
    "MARKER": lambda: [jpegs.truncated(jpegs.jpeg()) + END],
    "LEFT_OVER": lambda: [after_scan(jpegs.jpeg(), JUNK), before_restart(jpegs.restarts(), JUNK)],
    "RESTART": lambda: [renumbered(jpegs.restarts(), 0, 1, 1)],
}
PROGRESSIVE = {
    "TABLES": lambda: [before_scan(good(), UNSOUND_TABLE)],
    "CODE": lambda: [good()[: jpegs.scan_offset(good())] + b"\xff\x00" * 20 + END],
    "BLOCK_END": lambda: [band_overrun()],
    "RANGE": lambda: of_every_length(LARGE_VALUE.progressive()),
    "RANGE, DC": lambda: of_every_length(LARGE_DC.progressive()),
    "END": lambda: [jpegs.truncated(good())],
    "MARKER": lambda: [jpegs.truncated(good()) + END],
    "LEFT_OVER": lambda: [after_scan(good(), JUNK), before_restart(restarts(), JUNK)],
    "RESTART": lambda: [renumbered(restarts(), 0, 1, 1)],
}
