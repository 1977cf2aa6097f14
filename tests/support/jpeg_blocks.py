# SPDX-License-Identifier: BSD-3-Clause
"""Baseline files written block by block: any sampling factors, and any samples beyond the image's edges.

An encoder fills the blocks that stick out of the image as it likes; a decoder must not care.
"""

import struct
from typing import NamedTuple

import numpy as np

from support import jpegs
from support.segments import DHT, DQT, SOF0, SOS, segment

# Codes of one length: symbol k of the table is the code k. No table may use the code of all ones.
DC_SYMBOLS = bytes(range(12))
AC_SYMBOLS = bytes([0x00, 0xF0, *(run << 4 | size for run in range(16) for size in range(1, 11))])
DC_LENGTH, AC_LENGTH = 4, 8

k, x = np.mgrid[:8, :8]
DCT = np.where(k == 0, np.sqrt(1 / 8), 0.5) * np.cos((2 * x + 1) * k * np.pi / 16)

ZIGZAG = sorted(
    ((u, v) for u in range(8) for v in range(8)),
    key=lambda uv: (uv[0] + uv[1], uv[0] if (uv[0] + uv[1]) % 2 else uv[1]),
)
ZIGZAG = np.array([8 * u + v for u, v in ZIGZAG])


# Quantisation. The second one is another if rows and columns are exchanged.
ONES, UNEVEN = np.ones((8, 8), int), 2 + k + 2 * x


class Crafted(NamedTuple):
    """A file, and what is in it: samples of each component, uint8 (rows, columns), without padding.

    And its coefficients, dequantised (block rows, block columns, 8, 8): those of the padding too.
    """

    data: bytes
    planes: list
    factors: list
    coefficients: list


def ceil_div(a, b):
    return -(-a // b)


def component_size(height, width, factors, i):
    """(rows, columns) of component i that belong to the image."""
    most_h, most_v = (max(f[axis] for f in factors) for axis in (0, 1))
    return ceil_div(height * factors[i][1], most_v), ceil_div(width * factors[i][0], most_h)


def coded_size(height, width, factors, i):
    """(rows, columns) of component i that are in the file: whole MCUs."""
    if len(factors) == 1:
        return 8 * ceil_div(height, 8), 8 * ceil_div(width, 8)
    most_h, most_v = (max(f[axis] for f in factors) for axis in (0, 1))
    return 8 * factors[i][1] * ceil_div(height, 8 * most_v), 8 * factors[i][0] * ceil_div(width, 8 * most_h)


def to_blocks(plane):
    """(rows, columns) to (block rows, block columns, 8, 8)."""
    rows, columns = plane.shape
    return plane.reshape(rows // 8, 8, columns // 8, 8).transpose(0, 2, 1, 3)


def from_blocks(blocks):
    """The inverse of to_blocks, for blocks of any size."""
    rows, columns, height, width = blocks.shape
    return blocks.transpose(0, 2, 1, 3).reshape(rows * height, columns * width)


def forward(samples, quantisation=1):
    """Coefficients of (..., 8, 8) samples, quantised and rounded."""
    coefficients = DCT @ (samples.astype(np.float64) - 128) @ DCT.T / quantisation
    return np.clip(np.rint(coefficients), -1023, 1023).astype(np.int64)


def inverse(coefficients):
    return np.clip(DCT.T @ coefficients @ DCT + 128, 0, 255)


def _bits(value):
    """Category and bits of a difference or coefficient, as Huffman-coded JPEG has them."""
    size = abs(value).bit_length()
    return size, value if value >= 0 else value + (1 << size) - 1


def _block_tokens(block, before):
    """(value, length) of the bits of one block, (64,) in zigzag order."""
    size, bits = _bits(block[0] - before)
    yield size, DC_LENGTH
    yield bits, size
    run = 0
    last = max((i for i in range(1, 64) if block[i]), default=0)
    for i in range(1, last + 1):
        if not block[i]:
            run += 1
            continue
        for _ in range(run // 16):
            yield 1, AC_LENGTH
        size, bits = _bits(block[i])
        yield 2 + (run % 16) * 10 + size - 1, AC_LENGTH
        yield bits, size
        run = 0
    if last < 63:
        yield 0, AC_LENGTH


def _scan(blocks, factors):
    """Entropy-coded data of the components' blocks, each (block rows, block columns, 64)."""
    value, count, before = 0, 0, [0] * len(blocks)
    grid = [(1, 1)] if len(factors) == 1 else factors
    rows, columns = blocks[0].shape[0] // grid[0][1], blocks[0].shape[1] // grid[0][0]
    lists = [component.tolist() for component in blocks]
    out = []
    for row in range(rows):
        for column in range(columns):
            for i, (h, v) in enumerate(grid):
                for dy in range(v):
                    for dx in range(h):
                        block = lists[i][row * v + dy][column * h + dx]
                        for bits, length in _block_tokens(block, before[i]):
                            value, count = value << length | bits, count + length
                        before[i] = block[0]
            # Byte by byte, what is complete.
            whole = count // 8
            out.append((value >> (count - 8 * whole)).to_bytes(whole, "big"))
            count -= 8 * whole
            value &= (1 << count) - 1
    pad = -count % 8
    out.append((value << pad | (1 << pad) - 1).to_bytes(ceil_div(count, 8), "big"))
    return b"".join(out).replace(b"\xff", b"\xff\x00")


def write(coefficients, height, width, factors, ids=None, extra=b"", quantisation=ONES):
    """A file of these coefficients: for each component (block rows, block columns, 8, 8) integers."""
    ids = ids or range(1, 1 + len(factors))
    table = bytes(quantisation.ravel()[ZIGZAG].tolist())
    data = b"\xff\xd8" + extra + segment(DQT, b"\x00" + table)
    payload = struct.pack(">BHHB", 8, height, width, len(factors))
    for i, (h, v) in zip(ids, factors, strict=True):
        payload += bytes([i, h << 4 | v, 0])
    data += segment(SOF0, payload)
    for kind, length, symbols in ((0x00, DC_LENGTH, DC_SYMBOLS), (0x10, AC_LENGTH, AC_SYMBOLS)):
        counts = bytes(len(symbols) if n == length else 0 for n in range(1, 17))
        data += segment(DHT, bytes([kind]) + counts + symbols)
    header = bytes([len(factors), *(byte for i in ids for byte in (i, 0)), 0, 63, 0])
    blocks = [c.reshape(*c.shape[:2], 64)[:, :, ZIGZAG] for c in coefficients]
    return data + segment(SOS, header) + _scan(blocks, factors) + b"\xff\xd9"


def craft(coded, height, width, factors, quantisation=ONES, **options):
    """A file of these samples, uint8 arrays of `coded_size`; the planes are as libjpeg decodes them."""
    coefficients = [forward(to_blocks(plane), quantisation) for plane in coded]
    data = write(coefficients, height, width, factors, quantisation=quantisation, **options)
    planes = []
    for i, component in enumerate(coefficients):
        rows, columns = coded_size(height, width, factors, i)
        whole = jpegs.grey_turbo(write([component], rows, columns, [(1, 1)], quantisation=quantisation))
        whole = whole[:, :, 0]
        rows, columns = component_size(height, width, factors, i)
        planes.append(whole[:rows, :columns])
    return Crafted(data, planes, list(factors), [c * quantisation for c in coefficients])


def padding(height, width, factors, i):
    """Which of the coded samples of component i are beyond the image: bool of `coded_size`."""
    rows, columns = component_size(height, width, factors, i)
    mask = np.ones(coded_size(height, width, factors, i), bool)
    mask[:rows, :columns] = False
    return mask


def with_garbage(planes, height, width, factors, seed, **options):
    """The file of these planes, whose padding holds garbage of which the image's samples know nothing.

    Rounding the coefficients of a block that is partly image, partly garbage, changes the image's samples
    a little. So garbage is drawn again and again until all of them come out as they should.
    """
    rng = np.random.default_rng(seed)
    coefficients = []
    for i, plane in enumerate(planes):
        mask = padding(height, width, factors, i)
        coded = np.zeros(mask.shape, np.uint8)
        coded[: plane.shape[0], : plane.shape[1]] = plane
        coded, mask = to_blocks(coded), to_blocks(mask)
        component = forward(coded)
        for at in zip(*np.nonzero(mask.any((2, 3))), strict=True):
            component[at] = _garbage_block(rng, coded[at], mask[at])
        coefficients.append(component)
    return write(coefficients, height, width, factors, **options)


def _garbage_block(rng, samples, mask):
    for _ in range(400):
        tries = np.where(mask, rng.integers(0, 256, (512, 8, 8)), samples)
        found = forward(tries)
        right = ((np.abs(inverse(found) - samples) < 0.5) | mask).all((1, 2))
        found = found[right][:4]
        if len(found):  # and libjpeg, whose integers are not as exact as these floats, must agree
            row = jpegs.grey_turbo(write([found[None]], 8, 8 * len(found), [(1, 1)]))
            right = ((to_blocks(row[:, :, 0])[0] == samples) | mask).all((1, 2)).nonzero()[0]
            if right.size:
                return found[right[0]]
    raise AssertionError("no garbage found that leaves the image alone")
