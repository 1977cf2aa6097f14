# SPDX-License-Identifier: BSD-3-Clause
"""Progressive files that no encoder writes, but every decoder reads: their scans are symbols drawn at random.

Every length of code; scans that begin again. If they may be damaged, too: coefficients past their band, runs of blocks
longer than the image, and values too large for 8-bit samples, or for 16 bits.
"""

import random
import struct

from support.segments import DHT, DQT, DRI, EOI, SOF2, SOS, segment

FACTORS = ((2, 1), (1, 1), (1, 1))  # of the components
MOST_LOW = 13
LARGEST = 1023  # coefficient and DC sum, where values are bounded; samples of 8 bits give as much


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

    def put_random(self, rng, bits, fits=None):
        """A symbol, the first ones more often than the others; one that fits."""
        numbers = [i for i, symbol in enumerate(self.symbols) if fits is None or fits(symbol)]
        i = numbers[min(rng.randrange(len(numbers)), rng.randrange(len(numbers)))]
        bits.put((1 << (i + 1)) - 2, i + 1)
        return self.symbols[i]

    def segment(self, kind):
        counts = bytes([1] * len(self.symbols)).ljust(16, b"\x00")
        return segment(DHT, bytes([kind]) + counts + bytes(self.symbols))


class Picture:
    """Three components. Of each block it is known which coefficients are not zero: refinements have a bit for these.

    `is_sound`: symbols are where they may be. `is_bounded`: values are no larger than those of 8-bit samples.
    """

    def __init__(self, rng, height, width, is_sound, is_bounded):
        self.rng = rng
        self.height, self.width = height, width
        self.is_sound, self.is_bounded = is_sound, is_bounded
        self.blocks = [
            [[False] * 64 for _ in range(divide_up(divide_up(width * across, 2), 8) * divide_up(height, 8))]
            for across, _ in FACTORS
        ]
        self.end_run = 0
        self.blocks_left = 0  # of the restart interval, this one included
        self.dc = [0] * len(FACTORS)

    def dc_mcu(self, bits, table, components, low):
        for c in components:
            for _ in range(FACTORS[c][0] * FACTORS[c][1] if len(components) > 1 else 1):
                if table:
                    self.dc_difference(bits, table, c, low)
                else:
                    bits.put_random(self.rng, 1)

    def dc_difference(self, bits, table, c, low):
        largest = LARGEST >> low

        def fits(size):
            return not self.is_bounded or size == 0 or any(self.differences(c, size, largest))

        size = table.put_random(self.rng, bits, fits)
        if not self.is_bounded:
            bits.put_random(self.rng, size)
        elif size:
            down, up = self.differences(c, size, largest)
            difference = self.rng.choice([*down, *up])
            self.dc[c] += difference
            bits.put(difference if difference > 0 else difference + (1 << size) - 1, size)

    def differences(self, c, size, largest):
        """The differences of a size, negative and positive, that keep the sum in bounds."""
        least, most = 1 << (size - 1), (1 << size) - 1
        down = range(max(-most, -largest - 1 - self.dc[c]), -least + 1)
        return down, range(least, min(most, largest - self.dc[c]) + 1)

    def run_and_size(self, bits, table, zeros):
        """Those of the next symbol; one that ends blocks sets how many of them. `zeros`: there are as many places."""

        def fits(symbol):
            run, size = symbol >> 4, symbol & 15
            if size == 0 and run < 15:
                return 1 << run <= self.blocks_left
            return run < zeros

        symbol = table.put_random(self.rng, bits, fits if self.is_sound else None)
        run, size = symbol >> 4, symbol & 15
        if size == 0 and run < 15:
            more = self.rng.randrange(1 << run)
            if self.is_sound:
                more = min(more, self.blocks_left - (1 << run))
            bits.put(more, run)
            self.end_run = (1 << run) + more
        return run, size

    def first_ac(self, bits, table, block, band, low):
        k = band[0]
        while k <= band[1] and not self.end_run:
            run, size = self.run_and_size(bits, table, band[1] + 1 - k)
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
            run, size = self.run_and_size(bits, table, block[k : band[1] + 1].count(False))
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

    def table(self, band, high, low):
        """That of a scan; None if it has no codes."""
        rng = self.rng
        if band[0]:
            # The first value has all bits but those to come.
            largest = max(1, (LARGEST >> low).bit_length()) if self.is_bounded else 15
            runs = [run << 4 for run in rng.sample(range(15), 3)]
            values = [
                rng.randrange(16) << 4 | (1 if high else rng.randrange(1, largest + 1)) for _ in range(8)
            ]
            return Table(rng, list({*runs, *values, 0x00, 0x01, 0xF0, 0xF1}))
        if high == 0:
            sizes = rng.sample(range(16), rng.randrange(1, 16))
            return Table(rng, list({*sizes, 0}) if self.is_bounded else sizes)
        return None

    def scan(self, components, band, high, low, interval):
        """Its segments and data."""
        bits, table, kind = Bits(), self.table(band, high, low), 0x10 if band[0] else 0x00
        mcus = len(self.blocks[components[0]])
        if len(components) > 1:
            mcus = divide_up(self.width, 16) * divide_up(self.height, 8)
        self.end_run, self.dc = 0, [0] * len(FACTORS)
        for mcu in range(mcus):
            if interval and mcu and mcu % interval == 0:
                bits.flush()
                bits.data += bytes([0xFF, 0xD0 + (mcu // interval - 1) % 8])
                self.end_run, self.dc = 0, [0] * len(FACTORS)
            self.blocks_left = min(mcus - mcu, interval - mcu % interval if interval else mcus)
            if kind == 0:
                self.dc_mcu(bits, table, components, low)
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


def random_file(seed, height=24, width=40, *, is_sound=True, is_bounded=True):
    """A file of a handful of scans, or dozens; the same for the same arguments. See Picture."""
    rng = random.Random(seed)
    picture = Picture(rng, height, width, is_sound, is_bounded)
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
