# SPDX-License-Identifier: BSD-3-Clause
"""JPEG files written symbol by symbol, and taken apart scan by scan, so that each can have one kind of damage alone."""

import dataclasses
import functools
import random
import re
import struct
from typing import NamedTuple

from support import jpegs
from support.segments import DHT, DQT, DRI, EOI, SOF0, SOF2, SOS, segment

END = bytes([0xFF, EOI])
# The least that is left over after damage, in most files, and no marker in it.
JUNK = bytes((37 * i + 11) % 251 for i in range(40))

GREY, COLOUR, EQUAL = ((1, 1),), ((2, 2), (1, 1), (1, 1)), ((1, 1), (1, 1), (1, 1))

# Codes of one length: symbol k of the table is the code k. No table may use the code of all ones.
DC_SYMBOLS, DC_LENGTH = bytes(range(16)), 5
AC_SYMBOLS, AC_LENGTH = bytes([run << 4 | size for run in range(16) for size in range(15)]), 9

END_OF_BLOCK, ZEROS = (0, 0, 0), (15, 0, 0)  # as (run, size, bits)


class Block(NamedTuple):
    """A block's symbols. A block that ends with coefficient 63 has no end of block."""

    component: int
    dc: int  # quantised; the writer makes differences of it
    ac: tuple  # (run, size, bits) of each symbol
    end: bool = True


def amplitude(value):
    """(size, bits) of a difference or a coefficient."""
    size = abs(value).bit_length()
    return size, value if value >= 0 else value + (1 << size) - 1


def coefficient(run, value):
    return run, *amplitude(value)


def plain_block(rng, component, quantiser):
    """Of 20 coefficients, or fewer if they are coarse: samples of 8 bits may have all of them."""
    most = 1016 // quantiser
    runs = [rng.randrange(3) for _ in range(max(1, min(20, 160 // quantiser)))]
    values = [rng.choice((-1, 1)) * rng.randint(1, max(1, min(most // 4, 7))) for _ in runs]
    return Block(component, rng.randint(-min(most, 60), min(most, 60)), tuple(map(coefficient, runs, values)))


@functools.cache
def plain_blocks(mcus, components, quantiser, seed):
    rng = random.Random(seed)
    return [plain_block(rng, i, quantiser) for _ in range(mcus) for i in components]


@functools.cache  # most blocks come in many files
def ac_bits(symbols, end):
    bits = []
    for run, size, value in (*symbols, *((END_OF_BLOCK,) if end else ())):
        bits.append(f"{15 * run + size:0{AC_LENGTH}b}")
        bits.append(f"{value:0{size}b}" if size else "")
    return "".join(bits)


def entropy(blocks, *, dc=True, ac=True, pad="1"):
    """The bytes of these blocks, which are a whole scan or a whole restart interval."""
    bits, before = [], {}
    for block in blocks:
        if dc:
            size, difference = amplitude(block.dc - before.get(block.component, 0))
            before[block.component] = block.dc
            bits.append(f"{size:0{DC_LENGTH}b}")
            bits.append(f"{difference:0{size}b}" if size else "")
        if ac:
            bits.append(ac_bits(block.ac, block.end))
    bits = "".join(bits)
    bits += pad * (-len(bits) % 8)
    return int("1" + bits, 2).to_bytes(len(bits) // 8 + 1, "big")[1:].replace(b"\xff", b"\xff\x00")


def with_restarts(intervals, first=0):
    """Intervals with their markers in between, the numbers counted from `first`."""
    data = intervals[0]
    for i, interval in enumerate(intervals[1:], first):
        data += bytes([0xFF, 0xD0 + i % 8]) + interval
    return data


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture of plain blocks, of which one or more can be changed."""

    height: int
    width: int
    factors: tuple = GREY
    quantiser: int = 8
    interval: int = 0  # in MCUs
    seed: int = 0
    changes: tuple = ()  # (index, fields) of blocks
    pad: str = "1"

    @property
    def mcu_size(self):
        """(height, width); the first component is the finest."""
        return 8 * self.factors[0][1], 8 * self.factors[0][0]

    @property
    def mcus_per_row(self):
        return -(-self.width // self.mcu_size[1])

    @property
    def mcus(self):
        return -(-self.height // self.mcu_size[0]) * self.mcus_per_row

    @property
    def components(self):
        """The component of each block of an MCU."""
        return tuple(i for i, (h, v) in enumerate(self.factors) for _ in range(h * v))

    def blocks(self, component=None):
        """All in the order of an interleaved scan; those of a component are in its own scan's order in EQUAL files."""
        blocks = plain_blocks(self.mcus, self.components, self.quantiser, self.seed).copy()
        for at, fields in self.changes:
            blocks[at] = blocks[at]._replace(**fields)
        return [block for block in blocks if component in (None, block.component)]

    def changed(self, at, **fields):
        """With another block `at`, which counts from the end if it is negative."""
        return dataclasses.replace(self, changes=(*self.changes, (at, fields)))

    def head(self, frame=SOF0):
        """Everything before the first scan."""
        data = b"\xff\xd8" + segment(DQT, b"\x00" + bytes([self.quantiser]) * 64)
        payload = struct.pack(">BHHB", 8, self.height, self.width, len(self.factors))
        payload += b"".join(bytes([i, h << 4 | v, 0]) for i, (h, v) in enumerate(self.factors, 1))
        data += segment(frame, payload)
        for kind, length, symbols in ((0x00, DC_LENGTH, DC_SYMBOLS), (0x10, AC_LENGTH, AC_SYMBOLS)):
            counts = bytes(len(symbols) if n == length else 0 for n in range(1, 17))
            data += segment(DHT, bytes([kind]) + counts + symbols)
        return data + (segment(DRI, struct.pack(">H", self.interval)) if self.interval else b"")

    def scan_header(self, components=None, band=(0, 63), high_low=0):
        components = range(len(self.factors)) if components is None else components
        selectors = b"".join(bytes([i + 1, 0]) for i in components)
        return segment(SOS, bytes([len(components)]) + selectors + bytes([*band, high_low]))

    def chunks(self):
        """The blocks of each restart interval."""
        blocks, step = self.blocks(), (self.interval or self.mcus) * len(self.components)
        return [blocks[i : i + step] for i in range(0, len(blocks), step)]

    def intervals(self):
        return [entropy(chunk, pad=self.pad) for chunk in self.chunks()]

    def data(self, intervals=None, tail=END):
        """The file, with these intervals in place of its own."""
        intervals = self.intervals() if intervals is None else intervals
        return self.head() + self.scan_header() + with_restarts(intervals) + tail

    def scans(self):
        """A baseline scan for each component, header included; without subsampling and restarts."""
        return [
            self.scan_header([i]) + entropy(self.blocks(i), pad=self.pad) for i in range(len(self.factors))
        ]

    def non_interleaved(self, tail=END):
        return self.head() + b"".join(self.scans()) + tail

    def progressive_scans(self, low=0):
        """DC and AC of each component on its own, shifted by `low` bits which no scan refines."""
        for i in range(len(self.factors)):
            blocks = self.blocks(i)
            yield self.scan_header([i], (0, 0), low) + entropy(blocks, ac=False, pad=self.pad)
            yield self.scan_header([i], (1, 63), low) + entropy(blocks, dc=False, pad=self.pad)

    def progressive(self, tail=END, low=0):
        return self.head(SOF2) + b"".join(self.progressive_scans(low)) + tail


# ---- files of encoders ---------------------------------------------------------------------------

AFTER_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
RESTART = re.compile(rb"\xff[\xd0-\xd7]")


def scans(data):
    """(start, end) of the entropy-coded data of every scan, restart markers included."""
    found, start = [], jpegs.scan_offset(data)
    while True:
        end = AFTER_SCAN.search(data, start).start()
        found.append((start, end))
        at = end
        while data[at + 1] != SOS:
            if data[at + 1] == EOI:
                return found
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        start = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")


def after_scan(data, extra, scan=-1):
    """With more bytes right after a scan."""
    return jpegs.insert(data, extra, scans(data)[scan][1])


def restart_offset(data, scan=0, n=1):
    """Where a restart marker is: the n-th of a scan."""
    start, end = scans(data)[scan]
    return [match.start() for match in RESTART.finditer(data, start, end)][n]


def before_restart(data, extra, scan=0, n=1):
    return jpegs.insert(data, extra, restart_offset(data, scan, n))
