# SPDX-License-Identifier: BSD-3-Clause
"""Segments of JPEG files, and the smallest file, without any package."""

import struct

SOI, EOI, SOS, DHT, DQT, DRI = 0xD8, 0xD9, 0xDA, 0xC4, 0xDB, 0xDD
SOF0, SOF2 = 0xC0, 0xC2


def segment(marker, payload):
    return bytes([0xFF, marker]) + struct.pack(">H", len(payload) + 2) + payload


def one_block(dc, ac, scan=b"\x53"):
    """A grey block: (counts, symbols) of its two tables, and its scan: 0, 1010 (DC 10), 0 (end of block), ones."""
    data = bytes([0xFF, SOI]) + segment(DQT, b"\x00" + b"\x08" * 64)
    data += segment(SOF0, struct.pack(">BHHB", 8, 8, 8, 1) + b"\x01\x11\x00")
    for kind, (counts, symbols) in ((0x00, dc), (0x10, ac)):
        data += segment(DHT, bytes([kind]) + bytes(counts).ljust(16, b"\x00") + bytes(symbols))
    return data + segment(SOS, b"\x01\x01\x00\x00\x3f\x00") + scan + bytes([0xFF, EOI])
