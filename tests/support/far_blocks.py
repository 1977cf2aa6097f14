# SPDX-License-Identifier: BSD-3-Clause
"""Grey files with a block whose samples are too far from 0 to 255, with its DC value only."""

import struct

import numpy as np

from support import jpegs
from support.segments import DHT, DQT, SOF0, SOS, segment

STEP = 2
DC, LARGE = -500, 520  # quantised: 157 levels below 0


def _tables():
    """The DHT payloads of an ordinary file, and the codes of DC and AC: by symbol, as strings."""
    data = jpegs.turbo(jpegs.pixels(16, 16, 1), "4:4:4")
    payload = b"".join(data[start + 4 : end] for marker, start, end in jpegs.segments(data) if marker == DHT)
    rest, found = payload, {}
    while rest:
        kind, counts = rest[0], rest[1:17]
        symbols, rest = rest[17 : 17 + sum(counts)], rest[17 + sum(counts) :]
        code, codes, left = 0, {}, iter(symbols)
        for length, count in enumerate(counts, 1):
            for _ in range(count):
                codes[next(left)] = f"{code:0{length}b}"
                code += 1
            code <<= 1
        found[kind] = codes
    return payload, found[0x00], found[0x10]


def _value(value):
    size = abs(value).bit_length()
    return size, f"{value if value >= 0 else value + (1 << size) - 1:0{size}b}" if size else ""


def far_block(rows, columns, at, seed=0):
    """A file of so many rows and columns of blocks. One thread refuses block `at`."""
    rng = np.random.default_rng(seed)
    payload, dc_codes, ac_codes = _tables()
    bits, last = [], 0
    for i in range(rows * columns):
        dc = DC + int(rng.integers(-2, 3))
        size, extra = _value(dc - last)
        last = dc
        bits += dc_codes[size], extra
        values = [(0, LARGE)] if i == at else [(int(rng.integers(3)), int(rng.choice([-3, -1, 1, 2, 5])))] * 6
        for run, value in values:
            size, extra = _value(value)
            bits += ac_codes[run << 4 | size], extra
        bits.append(ac_codes[0])
    scan = "".join(bits)
    scan += "1" * (-len(scan) % 8)
    data = int(scan, 2).to_bytes(len(scan) // 8, "big").replace(b"\xff", b"\xff\x00")
    header = struct.pack(">BHHB", 8, 8 * rows, 8 * columns, 1) + b"\x01\x11\x00"
    tables = segment(DQT, b"\x00" + bytes([STEP]) * 64) + segment(SOF0, header) + segment(DHT, payload)
    return b"\xff\xd8" + tables + segment(SOS, b"\x01\x01\x00\x00\x3f\x00") + data + b"\xff\xd9"
