# SPDX-License-Identifier: BSD-3-Clause
"""Segments of JPEG files, and the smallest file, without any package."""

import struct

SOI, EOI, SOS, DHT, DQT, DRI = 0xD8, 0xD9, 0xDA, 0xC4, 0xDB, 0xDD
SOF0, SOF2 = 0xC0, 0xC2
APP1, COM = 0xE1, 0xFE


def segment(marker, payload):
    return bytes([0xFF, marker]) + struct.pack(">H", len(payload) + 2) + payload


def tiff(*entries, order="II", magic=42, start=8, count=None, extra=b""):
    """A TIFF structure with one IFD at `start`, then `extra`, which begins at start + 6 + 12 * len(entries).

    Entries are (tag, type, count, value): bytes, as they are in the file, or a number to be packed as the type says.
    """
    mark = {"II": "<", "MM": ">"}[order]
    formats = {1: "B", 3: "H", 4: "L", 6: "b", 8: "h", 9: "l", 11: "f", 13: "L"}
    data = (order.encode() + struct.pack(mark + "HL", magic, start)).ljust(start, b"\0")
    data += struct.pack(mark + "H", len(entries) if count is None else count)
    for tag, kind, values, value in entries:
        packed = value if isinstance(value, bytes) else struct.pack(mark + formats[kind], value)
        data += struct.pack(mark + "HHL", tag, kind, values) + packed.ljust(4, b"\0")
    return data + bytes(4) + extra


def exif(payload):
    return segment(APP1, b"Exif\0\0" + payload)


def xmp(packet):
    return segment(APP1, b"http://ns.adobe.com/xap/1.0/\0" + packet)


def one_block(dc, ac, scan=b"\x53"):
    """A grey block: (counts, symbols) of its two tables, and its scan: 0, 1010 (DC 10), 0 (end of block), ones."""
    data = bytes([0xFF, SOI]) + segment(DQT, b"\x00" + b"\x08" * 64)
    data += segment(SOF0, struct.pack(">BHHB", 8, 8, 8, 1) + b"\x01\x11\x00")
    for kind, (counts, symbols) in ((0x00, dc), (0x10, ac)):
        data += segment(DHT, bytes([kind]) + bytes(counts).ljust(16, b"\x00") + bytes(symbols))
    return data + segment(SOS, b"\x01\x01\x00\x00\x3f\x00") + scan + bytes([0xFF, EOI])
