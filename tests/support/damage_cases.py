# SPDX-License-Identifier: BSD-3-Clause
"""Files by what they do in strict mode: damaged, odd, or fine. Each is made when it is asked for."""

import functools

from support import jpegs
from support.damage import (
    COLOUR,
    END,
    EQUAL,
    GREY,
    JUNK,
    ZEROS,
    Picture,
    after_scan,
    before_restart,
    coefficient,
    entropy,
    restart_offset,
    scans,
    with_restarts,
)
from support.jpegs import insert
from support.segments import SOF0, SOF2, segment

SMALL, LARGE = (24, 32), (144, 160)  # the larger one is reduced by 8 on its way to 8 x 8

# ---- the files of encoders that are bent -----------------------------------------------------------

BASES = {
    "baseline": lambda: jpegs.jpeg(*LARGE),
    "small": lambda: jpegs.jpeg(*SMALL, "4:4:4"),
    "grey": lambda: jpegs.turbo(jpegs.pixels(61, 47, 1)),
    "restarts": lambda: jpegs.restarts(*LARGE, blocks=7),
    "small restarts": lambda: jpegs.restarts(40, 40),
    "separate scans": lambda: Picture(*LARGE, EQUAL).non_interleaved(),
    "progressive": lambda: jpegs.pillow(jpegs.pixels(*LARGE), progressive=True),
    "small progressive": lambda: jpegs.pillow(jpegs.pixels(*SMALL), progressive=True),
    "progressive restarts": lambda: jpegs.pillow(
        jpegs.pixels(*LARGE), progressive=True, restart_marker_blocks=7
    ),
}
WITH_RESTARTS = [name for name in BASES if "restarts" in name]
WITH_SCANS = [name for name in BASES if "progressive" in name or "scans" in name]


@functools.cache
def base(name):
    return BASES[name]()


# ---- coefficients ----------------------------------------------------------------------------------

# (quantiser, fields of the block). What ends a block for libjpeg is not followed by an end of block.
IMPOSSIBLE = {
    "value past 63": (8, {"ac": ((15, 1, 1),) * 4, "end": False}),
    "value far past 63": (8, {"ac": ((15, 1, 1),) * 3 + ((15, 3, 5),), "end": False}),
    "zeros past 63": (8, {"ac": (ZEROS,) * 4, "end": False}),
    "zeros past 63, after values": (8, {"ac": (coefficient(0, 2), *(ZEROS,) * 4), "end": False}),
    "AC of 11 bits": (1, {"ac": (coefficient(0, 1500),)}),
    "AC of 14 bits": (1, {"ac": (coefficient(3, -9000),)}),
    "AC too large": (16, {"ac": (coefficient(1, 1000),)}),
    "AC too small": (16, {"ac": (coefficient(1, -1000),)}),
    "DC too large": (8, {"dc": 130}),
    "DC too small": (8, {"dc": -131}),
    "DC too small for a coarse table": (255, {"dc": -6}),
    "AC that exclude one another": (3, {"ac": (coefficient(0, 330), coefficient(0, -330))}),
    "AC and DC that exclude one another": (3, {"dc": 330, "ac": (coefficient(0, 300),)}),
    "63 equal AC": (8, {"ac": (coefficient(0, -1),) * 63, "end": False}),
    "DC difference of 12 bits": (1, {"dc": 2500}),
    "DC difference of 15 bits": (1, {"dc": -20000}),
}
WHOLE_BLOCKS = (
    "AC that exclude one another",
    "AC and DC that exclude one another",
    "63 equal AC",
)  # not seen a scan at a time
POSSIBLE = {
    "value at 63": (8, {"ac": (*((15, 1, 1),) * 3, (14, 1, 1)), "end": False}),
    "value at 63 after zeros": (8, {"ac": (*(ZEROS,) * 3, coefficient(14, 3)), "end": False}),
    "zeros up to 63": (8, {"ac": (*((15, 1, 1),) * 2, (14, 1, 1), ZEROS), "end": False}),
    "value at 62": (8, {"ac": (*((15, 1, 1),) * 3, (13, 1, 1))}),
    "largest AC": (1, {"dc": 0, "ac": (coefficient(0, 1023),)}),
    "smallest AC": (1, {"dc": 0, "ac": (coefficient(1, -1023),)}),
    "largest AC of a coarse table": (255, {"dc": 0, "ac": (coefficient(0, 4),)}),
    "smallest DC": (1, {"dc": -1024}),
    "largest DC": (1, {"dc": 1016}),
    "DC a step too large": (8, {"dc": 128}),
    "DC a step too small": (8, {"dc": -129}),
    "DC less than a coarse step too small": (255, {"dc": -5, "ac": ()}),
}


# Blocks that overshoot, in a table of threes: one beyond 64 levels more than rounding explains, one up to that.
FAR = {"dc": 330, "ac": (coefficient(0, 257),)}
NEAR = {"dc": 0, "ac": (coefficient(0, 257),)}
# Blocks of an image together: refused if far ones are more than near ones, but not if they are very many.
TOO_MANY = {"a far one": (FAR,), "2 far and 1 near": (FAR, NEAR, FAR), "40 far": (FAR,) * 40}
NOT_TOO_MANY = {
    "near, then far": (NEAR, FAR),
    "far, then near": (FAR, NEAR),
    "40 far, 40 near": (FAR, NEAR) * 40,
    "41 far": (FAR,) * 41,
}


def overshoots(kinds):
    """Each kind in the blocks from the sixth on."""
    for name, blocks in kinds.items():
        for factors, kind in ((GREY, "grey"), (COLOUR, "colour")):
            for interval in (0, 7):
                picture = Picture(*LARGE, factors, 3, interval)
                for at, fields in enumerate(blocks, 5):
                    picture = picture.changed(at, **fields)
                yield f"{name}, {kind}, {interval}", picture.data
        picture = Picture(*LARGE, EQUAL, 3)
        for at, fields in enumerate(blocks, 5):
            picture = picture.changed(3 * at + 1, **fields)
        yield f"{name}, scans", picture.non_interleaved


def coefficients(kinds):
    """Each kind in all sorts of files and places."""
    for name, (quantiser, fields) in kinds.items():

        def picture(at, size, factors=GREY, interval=0, quantiser=quantiser, fields=fields):
            return Picture(*size, factors, quantiser, interval).changed(at, **fields)

        yield f"{name}, small", lambda make=picture: make(5, SMALL).data()
        yield f"{name}, grey", lambda make=picture: make(200, LARGE).data()
        yield f"{name}, last", lambda make=picture: make(-1, LARGE).data()
        yield f"{name}, luma", lambda make=picture: make(201, LARGE, COLOUR).data()
        yield f"{name}, chroma", lambda make=picture: make(-2, LARGE, COLOUR).data()
        yield f"{name}, restarts", lambda make=picture: make(200, LARGE, interval=7).data()
        yield f"{name}, scans", lambda make=picture: make(10, SMALL, EQUAL).non_interleaved()
        if name in WHOLE_BLOCKS:
            continue
        yield f"{name}, progressive", lambda make=picture: make(200, LARGE).progressive()
        yield f"{name}, small progressive", lambda make=picture: make(10, SMALL, EQUAL).progressive()


def band_overrun():
    """A progressive scan of coefficients 1 to 5 with a value at 16."""
    picture = Picture(*LARGE)
    low = [block._replace(ac=(coefficient(i % 4, 1),)) for i, block in enumerate(picture.blocks())]
    low[100] = low[100]._replace(ac=(coefficient(15, 1),), end=False)
    dc = picture.scan_header(band=(0, 0)) + entropy(low, ac=False)
    return picture.head(SOF2) + dc + picture.scan_header(band=(1, 5)) + entropy(low, dc=False) + END


# ---- restart intervals -----------------------------------------------------------------------------


def intervals_changed(change, factors, size, n):
    """`change` takes the blocks of interval n and those of the one after it."""
    picture = Picture(*size, factors, interval=3)
    chunks = picture.chunks()
    chunks[n] = change(chunks[n], chunks[(n + 1) % len(chunks)], len(picture.components))
    return picture.data([entropy(chunk) for chunk in chunks])


def mcu_short(chunk, after, step):
    return chunk[:-step]


def mcu_long(chunk, after, step):
    return chunk + after[:step]


def renumbered(data, scan, n, by):
    """A restart marker with another number."""
    at = restart_offset(data, scan, n)
    number = 0xD0 + (data[at + 1] - 0xD0 + by) % 8
    return data[: at + 1] + bytes([number]) + data[at + 2 :]


def restart_missing(data, scan, n):
    at = restart_offset(data, scan, n)
    return data[:at] + data[at + 2 :]


def interval_missing(data, scan, n):
    """From one marker up to the next one."""
    return data[: restart_offset(data, scan, n)] + data[restart_offset(data, scan, n + 1) :]


def restart_damage():
    for factors, kind in ((GREY, "grey"), (COLOUR, "colour")):
        for size, length in ((SMALL, "small"), (LARGE, "large")):
            for change in (mcu_short, mcu_long):
                for n in (0, -1) if size == SMALL else (4, -1):
                    make = functools.partial(intervals_changed, change, factors, size, n)
                    yield f"{change.__name__} {n}, {kind} {length}", make
    for name in WITH_RESTARTS:
        for scan in (0, -1) if "progressive" in name else (0,):
            where = f"{name}, scan {scan}"
            for by in (1, 2, 7):
                yield (
                    f"number off by {by}, {where}",
                    lambda a=(name, scan, 1, by): renumbered(base(a[0]), *a[1:]),
                )
            yield f"marker missing, {where}", lambda a=(name, scan, 1): restart_missing(base(a[0]), *a[1:])
            yield f"interval missing, {where}", lambda a=(name, scan, 1): interval_missing(base(a[0]), *a[1:])
            yield (
                f"left over before a restart, {where}",
                lambda a=(name, scan): before_restart(base(a[0]), JUNK, a[1]),
            )


def more_intervals(factors, size, first=0, count=3):
    """A scanner's: rows of MCUs after the last one. `first` says how far off the first of their numbers is."""
    picture = Picture(*size, factors)
    picture = Picture(*size, factors, interval=picture.mcus_per_row)
    own = picture.intervals()
    more = with_restarts([b"", *own[:count]], len(own) - 1 + first)
    return picture.data(tail=more + END)


# ---- what is left over, and what is missing -----------------------------------------------------------


def trailers():
    """What no decoder needs after the last scan."""
    picture = jpegs.jpeg(40, 8)
    return {
        "unknown marker": JUNK + b"\xff\x52" + JUNK + END,
        "second image": JUNK + picture,
        "APP1": JUNK + segment(0xE1, b"maker's notes") + END,
        "comment": JUNK + segment(0xFE, b"comment") + END,
        "nothing": JUNK,
        "long, then nothing": JUNK * 60,
        "unknown marker, no end": JUNK + b"\xff\x13" + JUNK,
        "second frame": JUNK + segment(SOF0, bytes([8, 0, 40, 0, 8, 1, 1, 0x11, 0])) + END,
    }


def missing_scans():
    for size, length in ((SMALL, "small"), (LARGE, "large")):
        picture = Picture(*size, EQUAL)
        for name, lost in (("luma", 0), ("chroma, first", 1), ("chroma, last", 2)):

            def baseline(picture=picture, lost=lost):
                kept = [scan for i, scan in enumerate(picture.scans()) if i != lost]
                return picture.head() + b"".join(kept) + END

            def progressive(picture=picture, lost=lost):
                kept = [scan for i, scan in enumerate(picture.progressive_scans()) if i // 2 != lost]
                return picture.head(SOF2) + b"".join(kept) + END

            yield f"scan missing: {name}, {length}", baseline
            yield f"scan missing: {name}, {length} progressive", progressive


def left_over():
    for name in BASES:
        yield f"left over before the end, {name}", lambda name=name: after_scan(base(name), JUNK)
    for name in WITH_SCANS:
        for scan in (0, 1):
            yield (
                f"left over after scan {scan}, {name}",
                lambda name=name, scan=scan: after_scan(base(name), JUNK, scan),
            )


def preview(count, size):
    data = jpegs.pillow(jpegs.pixels(*size), progressive=True)
    return data[: scans(data)[count - 1][1]] + END


def odd():
    """(name, function that makes the file, one for the clean file): decoded with a note."""
    for name in BASES:
        clean = functools.partial(base, name)
        for kind in trailers():

            def with_trailer(name=name, kind=kind):
                data = base(name)
                return data[: scans(data)[-1][1]] + trailers()[kind]

            yield f"{kind}, {name}", with_trailer, clean
        yield f"2 bytes before the end, {name}", lambda name=name: after_scan(base(name), b"\x12\x34"), clean
        stray = functools.partial(lambda name: jpegs.junk_between_segments(base(name)), name)
        yield f"stray bytes in the header, {name}", stray, clean
    for name in WITH_RESTARTS:
        yield (
            f"2 bytes before a restart, {name}",
            lambda name=name: before_restart(base(name), b"\x12\x34"),
            functools.partial(base, name),
        )
    for factors, kind in ((GREY, "grey"), (COLOUR, "colour")):
        for size, length in ((SMALL, "small"), (LARGE, "large")):
            picture = Picture(*size, factors)
            picture = Picture(*size, factors, interval=picture.mcus_per_row)
            make = functools.partial(more_intervals, factors, size, count=1 + (size == LARGE))
            yield f"more intervals, {kind} {length}", make, picture.data


def fine():
    """(name, function that makes the file, one for the clean file): decoded, with a note or without."""
    fill, comment = b"\xff" * 5, segment(0xFE, b"comment")
    for name in BASES:
        clean = functools.partial(base, name)
        yield f"fill bytes before the end, {name}", lambda name=name: after_scan(base(name), fill), clean
        yield f"fill bytes after a scan, {name}", lambda name=name: after_scan(base(name), fill, 0), clean
        yield f"fill bytes in the header, {name}", lambda name=name: insert(base(name), fill), clean
        yield f"comment after a scan, {name}", lambda name=name: after_scan(base(name), comment, 0), clean
    for name in WITH_RESTARTS:
        yield (
            f"fill bytes before a restart, {name}",
            lambda name=name: before_restart(base(name), fill),
            functools.partial(base, name),
        )
    shifted = functools.partial(Picture(*LARGE, EQUAL).progressive, low=1)
    yield "shifted, never refined, progressive", shifted, shifted
    for name, make in (*coefficients(POSSIBLE), *overshoots(NOT_TOO_MANY)):
        yield name, make, make
    for factors, kind in ((GREY, "grey"), (COLOUR, "colour")):
        for size in (SMALL, LARGE):
            for interval in (0, 3):
                zeros = Picture(*size, factors, interval=interval, pad="0")
                ones = Picture(*size, factors, interval=interval)
                yield f"padded with zeros, {kind} {size} {interval}", zeros.data, ones.data
    zeros, ones = Picture(*LARGE, EQUAL, pad="0"), Picture(*LARGE, EQUAL)
    yield "padded with zeros, separate scans", zeros.non_interleaved, ones.non_interleaved
    yield "padded with zeros, progressive", zeros.progressive, ones.progressive


def refused():
    yield from coefficients(IMPOSSIBLE)
    yield from overshoots(TOO_MANY)
    yield "value past the band, progressive", band_overrun
    for name, fields in (("DC", {"dc": 70}), ("AC", {"ac": (coefficient(0, 500),)})):  # of 8 << 1
        picture = Picture(*LARGE).changed(200, **fields)
        yield f"{name} too large when shifted, progressive", functools.partial(picture.progressive, low=1)
    yield from restart_damage()
    yield from left_over()
    yield from missing_scans()
    for factors, kind in ((GREY, "grey"), (COLOUR, "colour")):
        yield f"more intervals out of order, {kind}", functools.partial(more_intervals, factors, LARGE, 3)


REFUSED = {name: functools.cache(make) for name, make in refused()}
ODD = {name: (functools.cache(make), functools.cache(clean)) for name, make, clean in odd()}
FINE = {name: (functools.cache(make), functools.cache(clean)) for name, make, clean in fine()}
