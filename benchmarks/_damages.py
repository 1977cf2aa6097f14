# SPDX-License-Identifier: BSD-3-Clause
"""What disks, networks and programs do to the scan data of a JPEG file; no other segment is ever touched.

Each function of `DAMAGES` returns a damaged copy of a file. The place is drawn uniformly from the bytes of all scans,
restart markers included, and damage never crosses the end of a scan.
"""

import re
from functools import partial

import numpy as np

SOS, EOI = 0xDA, 0xD9
MARKER = re.compile(
    rb"\xff+[^\x00\xd0-\xd7\xff]", re.DOTALL
)  # that ends scan data: neither stuffing nor RSTn
SIZES = (1, 4, 16, 64, 512)  # bytes

TEXT = (
    b"HTTP/1.1 503 Service Unavailable\r\nDate: Thu, 09 Apr 2026 11:42:07 GMT\r\nContent-Type: text/html\r\n\r\n"
    b"<html><head><title>Service Unavailable</title></head><body><h1>503</h1><p>The server is busy. Please try "
    b"again in a few minutes.</p></body></html>\n"
) * 5


def scans(data):
    """Return (start, end) of the entropy-coded bytes of every scan."""
    found, at = [], 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != EOI:
        if data[at + 1] == 0xFF:  # a fill byte
            at += 1
            continue
        start = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] == SOS:
            marker = MARKER.search(data, start)
            found.append((start, marker.start() if marker else len(data)))
        at = found[-1][1] if data[at + 1] == SOS else start
    if not found:
        raise ValueError("expected a JPEG file with a scan, found none")
    return found


def locate(spans, n):
    """Return where byte `n` of the spans, counted through all of them, is in the file."""
    for start, end in spans:
        if n < end - start:
            return start + n
        n -= end - start
    raise IndexError(f"expected a number below that of the bytes in {spans}")


def place(data, size, rng):
    """Return the start of `size` bytes of one scan; of fewer if every scan is shorter."""
    spans = scans(data)
    size = min(size, max(end - start for start, end in spans))
    rooms = [(start, max(start, end - size + 1)) for start, end in spans]
    return locate(rooms, rng.integers(sum(end - start for start, end in rooms))), size


def overwrite(size, fill, data, rng):
    """Write `size` bytes over the scan: those of fill(size, rng)."""
    at, size = place(data, size, rng)
    return data[:at] + fill(size, rng) + data[at + size :]


def random_bytes(size, rng):
    return rng.bytes(size)


def zeros(size, rng):
    return bytes(size)


def text(size, rng):
    start = rng.integers(len(TEXT) - size)
    return TEXT[start : start + size]


def flip(count, data, rng):
    """Flip `count` bits, each anywhere."""
    spans, changed = scans(data), bytearray(data)
    for bit in rng.choice(8 * sum(end - start for start, end in spans), count, replace=False):
        changed[locate(spans, bit // 8)] ^= 1 << bit % 8
    return bytes(changed)


def delete(size, data, rng):
    at, size = place(data, size, rng)
    return data[:at] + data[at + size :]


def insert(size, data, rng):
    at, _ = place(data, 1, rng)
    return data[:at] + rng.bytes(size) + data[at:]


def swap(size, data, rng):
    """Exchange two of the blocks of `size` bytes that the scans consist of; a scan's last, shorter one stays."""
    blocks = [at for start, end in scans(data) for at in range(start, end - size + 1, size)]
    if len(blocks) < 2:
        return data
    first, second = sorted(rng.choice(blocks, 2, replace=False))
    parts = data[:first], data[second : second + size], data[first + size : second]
    return b"".join([*parts, data[first : first + size], data[second + size :]])


def cut(percent, data, rng):
    """Keep that part of what is between the start of the first scan and the end of the last one."""
    spans = scans(data)
    start, end = spans[0][0], spans[-1][1]
    return data[: start + (end - start) * percent // 100]


# name: (how tables call it, a function of the file and a random generator)
DAMAGES = {}
for fill, name, words in (
    (random_bytes, "random", ("random byte", "random bytes")),
    (zeros, "zeros", ("zero", "zeros")),
    (text, "text", ("byte of text", "bytes of text")),
):
    DAMAGES |= {f"{name}-{n}": (f"{n} {words[n > 1]}", partial(overwrite, n, fill)) for n in SIZES}
DAMAGES |= {
    "flip-1": ("1 flipped bit", partial(flip, 1)),
    "flip-3": ("3 flipped bits", partial(flip, 3)),
    "delete-16": ("16 bytes deleted", partial(delete, 16)),
    "insert-16": ("16 bytes inserted", partial(insert, 16)),
    "swap-64": ("2 x 64 bytes swapped", partial(swap, 64)),
    "cut-50": ("cut at 50 %", partial(cut, 50)),
    "cut-95": ("cut at 95 %", partial(cut, 95)),
}


def spoil(kind, data, *seed):
    """Return the file with damage of that kind, the same for the same `seed` (integers)."""
    return DAMAGES[kind][1](data, np.random.default_rng(seed))
