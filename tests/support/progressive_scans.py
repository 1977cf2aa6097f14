# SPDX-License-Identifier: BSD-3-Clause
"""Progressive files that no encoder writes, but every decoder reads: their scans are symbols drawn at random.

Coefficients behind their band, or too large for 16 bits; runs of blocks longer than the image; every length of code;
scans that begin again.
"""

import random
import struct

from support.segments import DHT, DQT, DRI, EOI, SOF2, SOS, segment

FACTORS = ((2, 1), (1, 1), (1, 1))  # of the components
MOST_LOW = 13


def divide_up(a, b):
    return -(-a // b)


class Bits:
    """A scan's: whole bytes of it once it is flushed."""

    def __init__(self):
        self.data = b""
        self.bits = ""

    def put(self, value, count):
        if count:
            self.bits += f"{value:0{count}b}"

    def put_random(self, rng, count):
        value = rng.getrandbits(count) if count else 0
        self.put(value, count)
        return value

    def flush(self):
        bits = self.bits + "1" * (-len(self.bits) % 8)
        data = bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))
        self.data += data.replace(b"\xff", b"\xff\x00")
        self.bits = ""


class Table:
    """Codes of one bit and more: 0, 10, 110 and so on."""

    def __init__(self, rng, symbols):
        self.symbols = symbols[:16]
        rng.shuffle(self.symbols)

    def put_random(self, rng, bits):
        """A symbol, the first ones more often than the others."""
        i = min(rng.randrange(len(self.symbols)), rng.randrange(len(self.symbols)))
        bits.put((1 << (i + 1)) - 2, i + 1)
        return self.symbols[i]

    def segment(self, kind):
        counts = bytes([1] * len(self.symbols)).ljust(16, b"\x00")
        return segment(DHT, bytes([kind]) + counts + bytes(self.symbols))


class Picture:
    """Three components. Of each block it is known which coefficients are not zero: refinements have a bit for these."""

    def __init__(self, rng, height, width):
        self.rng = rng
        self.height, self.width = height, width
        self.blocks = [
            [[False] * 64 for _ in range(divide_up(divide_up(width * across, 2), 8) * divide_up(height, 8))]
            for across, _ in FACTORS
        ]
        self.end_run = 0

    def dc_mcu(self, bits, table, blocks):
        for _ in range(blocks):
            if table:
                bits.put_random(self.rng, table.put_random(self.rng, bits))
            else:
                bits.put_random(self.rng, 1)

    def run_and_size(self, bits, table):
        """Those of the next symbol; one that ends blocks sets how many of them."""
        symbol = table.put_random(self.rng, bits)
        run, size = symbol >> 4, symbol & 15
        if size == 0 and run < 15:
            self.end_run = (1 << run) + bits.put_random(self.rng, run)
        return run, size

    def first_ac(self, bits, table, block, band, low):
        k = band[0]
        while k <= band[1] and not self.end_run:
            run, size = self.run_and_size(bits, table)
            if self.end_run:
                break
            k += run
            if size:
                value = bits.put_random(self.rng, size)
                value -= 0 if value >> (size - 1) else (1 << size) - 1
                block[min(k, 63)] = (value << low) & 0xFFFF != 0
            k += 1
        self.end_run = max(0, self.end_run - 1)

    def refine_ac(self, bits, table, block, band):
        k = band[0]
        while k <= band[1] and not self.end_run:
            run, size = self.run_and_size(bits, table)
            if self.end_run:
                break
            bits.put_random(self.rng, size)
            while k <= band[1] and (block[k] or run):
                if block[k]:
                    bits.put_random(self.rng, 1)
                else:
                    run -= 1
                k += 1
            if size:
                block[min(k, 63)] = True
            k += 1
        if self.end_run:
            for _ in filter(None, block[k : band[1] + 1]):
                bits.put_random(self.rng, 1)
            self.end_run -= 1

    def scan(self, components, band, high, low, interval):
        """Its segments and data."""
        rng, bits, table, kind = self.rng, Bits(), None, 0x10 if band[0] else 0x00
        if band[0]:
            runs = [run << 4 for run in rng.sample(range(15), 3)]
            values = [rng.randrange(16) << 4 | (1 if high else rng.randrange(1, 16)) for _ in range(8)]
            table = Table(rng, list({*runs, *values, 0x01, 0xF0, 0xF1}))
        elif high == 0:
            table = Table(rng, rng.sample(range(16), rng.randrange(1, 16)))
        blocks = sum(across * down for across, down in (FACTORS[c] for c in components))
        mcus = len(self.blocks[components[0]])
        if len(components) > 1:
            mcus = divide_up(self.width, 16) * divide_up(self.height, 8)
        self.end_run = 0
        for mcu in range(mcus):
            if interval and mcu and mcu % interval == 0:
                bits.flush()
                bits.data += bytes([0xFF, 0xD0 + (mcu // interval - 1) % 8])
                self.end_run = 0
            if kind == 0:
                self.dc_mcu(bits, table, blocks if len(components) > 1 else 1)
            elif high:
                self.refine_ac(bits, table, self.blocks[components[0]][mcu], band)
            else:
                self.first_ac(bits, table, self.blocks[components[0]][mcu], band, low)
        bits.flush()
        header = bytes([len(components)]) + b"".join(bytes([c, 0]) for c in components)
        header += bytes([*band, high << 4 | low])
        return (table.segment(kind) if table else b"") + segment(SOS, header) + bits.data

    def script(self):
        """(components, band, high, low) of some scans, in an order that libjpeg does not warn of."""
        rng = self.rng
        split = rng.randrange(1, 63)
        bands = rng.choice([[(1, 63)], [(1, split), (split + 1, 63)], [(split, split + 1)]])
        ac = [([c], band) for c in rng.sample(range(3), 2) for band in bands]
        rng.shuffle(ac)
        dc = [([0, 1, 2], (0, 0))] if rng.random() < 0.7 else [([2], (0, 0)), ([0, 1], (0, 0))]
        for components, band in [*dc, *ac]:
            for _ in range(rng.choice((1, 1, 1, 2))):  # once all bits are there, they may come again
                low = rng.choice((0, 1, 1, 2, 2, MOST_LOW))
                yield components, band, 0, low
                for high in range(low, 0, -1):
                    yield components, band, high, high - 1


def random_file(seed, height=24, width=40):
    """A file of a handful of scans, or dozens; the same for the same arguments."""
    rng = random.Random(seed)
    picture = Picture(rng, height, width)
    data = b"\xff\xd8" + segment(DQT, b"\x00" + b"\x01" * 64)
    frame = struct.pack(">BHHB", 8, height, width, len(FACTORS))
    frame += b"".join(bytes([c, across << 4 | down, 0]) for c, (across, down) in enumerate(FACTORS))
    data += segment(SOF2, frame)
    for components, band, high, low in picture.script():
        interval = rng.choice((0, 0, 1, 2, 7))
        data += segment(DRI, struct.pack(">H", interval)) + picture.scan(
            components, band, high, low, interval
        )
    return data + bytes([0xFF, EOI])
