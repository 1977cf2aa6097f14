# SPDX-License-Identifier: BSD-3-Clause
"""JPEG files of a few bytes that ask for much: none of their pixels says anything.

All have one quantisation table, and Huffman tables in which the shortest codes say that a block is as the one before,
or that many blocks have nothing to add.
"""

import struct

SOF0, SOF2, DHT, EOI, SOS, DQT = 0xC0, 0xC2, 0xC4, 0xD9, 0xDA, 0xDB
RUN = 0x7FFF  # the most blocks without a coefficient that one code stands for

#: Sampling factors of the components, (horizontal, vertical).
COMPONENTS = {
    "grey": [(1, 1)],
    "4:2:0": [(2, 2), (1, 1), (1, 1)],
    "4:4:4": [(1, 1)] * 3,
    "CMYK": [(1, 1)] * 4,
}


def segment(marker, body):
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def head(frame, height, width, factors):
    """All that comes before the first scan."""
    parts = [struct.pack(">BBB", i + 1, h << 4 | v, 0) for i, (h, v) in enumerate(factors)]
    return b"".join([
        b"\xff\xd8",
        segment(DQT, b"\x00" + b"\x08" * 64),
        segment(frame, struct.pack(">BHHB", 8, height, width, len(factors)) + b"".join(parts)),
        segment(DHT, b"\x00" + b"\x01" + bytes(15) + b"\x00"),  # 0: the same DC value
        segment(DHT, b"\x10" + b"\x01\x01" + bytes(14) + b"\x00\xe0"),  # 0: a block ends; 10: 16384 blocks and more
    ])  # fmt: skip


def scan(components, first=0, last=0, bits=0):
    """The header of a scan of components, counted from 1, for coefficients `first` to `last`."""
    selectors = b"".join(bytes([c, 0]) for c in components)
    return segment(SOS, bytes([len(components)]) + selectors + bytes([first, last, bits]))


def empty_blocks(count):
    """The scan data for so many blocks that have nothing to add."""
    words = []
    while count >= RUN // 2 + 1:
        run = min(count, RUN)
        words.append(f"10{run - (RUN // 2 + 1):014b}")
        count -= run
    text = "".join(words) + "0" * count
    text += "1" * (-len(text) % 8)
    return int("1" + text, 2).to_bytes(len(text) // 8 + 1, "big")[1:].replace(b"\xff", b"\xff\x00")


def cut(kind, side, *, progressive):
    """A file that ends where its first scan would begin."""
    factors = COMPONENTS[kind]
    start = head(SOF2 if progressive else SOF0, side, side, factors)
    return start + scan(range(1, len(factors) + 1), 0, 0 if progressive else 63)


def scans(kind, side, count):
    """A whole progressive file of `count` scans: one for DC of each component, all others for one coefficient each."""
    factors = COMPONENTS[kind]
    across, down = (max(each) for each in zip(*factors, strict=True))
    blocks = [-(-side * h // (8 * across)) * -(-side * v // (8 * down)) for h, v in factors]
    parts = [scan([i + 1]) + bytes(-(-n // 8)) for i, n in enumerate(blocks)]
    more = empty_blocks(blocks[0])
    for low in range(13, -1, -1):
        bits = low if low == 13 else (low + 1) << 4 | low
        parts += [scan([1], k, k, bits) + more for k in range(1, 64)]
    return head(SOF2, side, side, factors) + b"".join(parts[:count]) + bytes([0xFF, EOI])
