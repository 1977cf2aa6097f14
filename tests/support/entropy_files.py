# SPDX-License-Identifier: BSD-3-Clause
"""Files that try the entropy stage: with odd tables, and damaged ones."""

import contextlib
import os
import struct

from support import jpegs
from support.jpegs import FRAMES, noise
from support.segments import DHT, DRI, EOI, SOS, segment


@contextlib.contextmanager
def turbo_setting(name, value):
    """TurboJPEG takes what its interface lacks from the environment."""
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]


# Arguments of one_block().
GOOD = {"dc": ([1], [4]), "ac": ([1], [0])}
UNSOUND = {
    "no code left unused, DC": {**GOOD, "dc": ([2], [4, 0])},
    "no code left unused, AC": {**GOOD, "ac": ([2], [0, 1])},
    "no code left unused, longest": {**GOOD, "ac": ([1] * 15 + [2], range(17))},
    "too many codes": {**GOOD, "ac": ([1, 3], [0, 1, 2, 3])},
    "DC symbol of 16": {**GOOD, "dc": ([1, 1], [4, 16])},
    "DC symbol of 255": {**GOOD, "dc": ([1, 1], [4, 255])},
}


SOUND = {
    "one code": GOOD,
    "as full as may be": {**GOOD, "ac": ([1] * 16, range(16))},
    "no codes for DC but one of 16 bits": {
        "dc": ([0] * 15 + [1], [0]),
        "ac": ([1], [0]),
        "scan": b"\x00\x00\x7f",
    },
    "DC symbol of 15": {**GOOD, "dc": ([1, 1], [4, 15])},
    "AC symbol of 15 more bits": {**GOOD, "ac": ([1, 1], [0, 15])},
}

DAMAGED = {
    "run past the last coefficient": {**GOOD, "ac": ([1, 1], [0, 0xF1]), "scan": b"\x55\xb6\xbf"},
}


def swap(data, at, new, length=None):
    return data[:at] + new + data[at + (len(new) if length is None else length) :]


def change_scan(rng, data, start):
    """Bits flipped; bytes changed, put in or left out; a cut; junk or stuffing where it means something."""
    at = int(rng.integers(start, max(start + 1, len(data))))
    some = rng.bytes(int(rng.integers(1, 5)))
    return [
        lambda: swap(data, at, bytes([data[at] ^ 1 << int(rng.integers(8))])),
        lambda: swap(data, at, some),
        lambda: swap(data, at, some, 0),
        lambda: swap(data, at, b"", len(some)),
        lambda: data[:at],
        lambda: data[:at] + bytes([0xFF, EOI]),
        lambda: swap(data, at, b"\xff\x00" * len(some), 0),
        lambda: swap(data, at, bytes([0xFF, 0xD0 + int(rng.integers(8))]), 0),
        lambda: data[:-2] + some + data[-2:],
        lambda: data + some,
    ][int(rng.integers(10))]()


def change_header(rng, data, found):
    """A byte of one table or header, a whole segment left out, or a restart interval that the scan has not."""
    wanted = [one for one in found if one[0] in (DHT, DRI, SOS) or one[0] in FRAMES]
    marker, start, end = wanted[int(rng.integers(len(wanted)))]
    kind = int(rng.integers(8))
    if kind == 0 and marker in (DHT, DRI):
        return data[:start] + data[end:]
    if kind == 1:
        return jpegs.insert(data, segment(DRI, struct.pack(">H", int(rng.integers(12)))), found[-1][1])
    if kind == 2:
        return jpegs.without(data, DHT)
    if kind in (3, 4):  # a table's number, most of them out of range
        start = found[-1][1]
        component = int(rng.integers(data[start + 4]))
        return swap(data, start + 6 + 2 * component, rng.bytes(1))
    return swap(data, int(rng.integers(start + 2, end)), rng.bytes(1))


def mutate(rng, data):
    try:
        found = jpegs.segments(data)
        start = found[-1][2]
        for _ in range(int(rng.integers(1, 3))):
            data = change_header(rng, data, found) if rng.random() < 0.4 else change_scan(rng, data, start)
    except (IndexError, ValueError):  # its segments cannot be told apart any more
        return change_scan(rng, data, 0) if data else data
    return data


def bases():
    for subsampling in jpegs.SUBSAMPLINGS:
        for interval in ("0", "1B", "3B"):
            for optimize in "01":
                with turbo_setting("TJ_RESTART", interval), turbo_setting("TJ_OPTIMIZE", optimize):
                    yield jpegs.turbo(jpegs.pixels(24, 50), subsampling, quality=60)
    yield jpegs.turbo(noise(60, 60), quality=100)
    yield jpegs.turbo(jpegs.pixels(20, 30, 4))
    yield jpegs.pillow(jpegs.pixels(90, 90, 4))
    yield jpegs.pillow(jpegs.pixels(30, 40), progressive=True)
    # Large enough for our stage.
    yield jpegs.pillow(jpegs.pixels(90, 100), progressive=True)
    yield jpegs.pillow(jpegs.pixels(80, 70), progressive=True, subsampling=0, restart_marker_blocks=7)
    yield jpegs.pillow(noise(66, 70, 1), progressive=True, quality=98)
