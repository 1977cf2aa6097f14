# SPDX-License-Identifier: BSD-3-Clause
"""Fatal errors: after the last row they cost no image, and strict=False gives all rows that libjpeg-turbo delivers.

With a single scan, libjpeg never fails before the last row. With several, it delivers rows only if all can be read.
"""

import json
import random
import re
import struct

import numpy as np
import pytest
from support import jpegs
from support.damage import END, JUNK, scans
from support.damage_cases import BASES, WITH_SCANS, base
from support.jpegs import assert_same
from support.segments import DHT, DQT, DRI, SOF0, SOF2, SOS, segment
from support.verdicts import digest, libjpeg_verdicts, verdict, verdict_finder

import fastimg
from fastimg.cli import main

ROUTES = {
    "whole": {},
    "grey": {"mode": "L"},
    "8 x 8": {"size": 8},
    "floats": {"dtype": "float32", "size": (50, 30)},
}
STAGES = ["fastimg", "libjpeg"]
ONE_SCAN = [name for name in BASES if name not in WITH_SCANS]


def frame(marker, height=999):
    return segment(marker, struct.pack(">BHHB", 8, height, 8, 1) + b"\x01\x11\x00")


# Each makes libjpeg fail wherever it comes.
FATAL = {
    "unknown marker": b"\xff\x52" + JUNK,
    "reserved marker": b"\xff\xf5",
    "table of quantisation that cannot be": segment(DQT, b"\x0f" + bytes(64)),
    "Huffman table with too many codes": segment(DHT, b"\x10" + b"\xff" * 16),
    "Huffman table that cannot be": segment(DHT, b"\x0f" + b"\x01" + bytes(15) + b"\x00"),
    "restart interval of three bytes": segment(DRI, b"\x00\x00\x00"),
    "scan without components": segment(SOS, b"\x00\x00\x3f\x00"),
    "scan of an unknown component": segment(SOS, b"\x01\x63\x00\x00\x3f\x00") + JUNK,
    "second start": b"\xff\xd8",
    "second frame": frame(SOF0),
    "second frame, progressive": frame(SOF2),
    "lossless frame": frame(0xC3),
    "hierarchical frame": frame(0xC5),
}


def random_trailer(seed):
    """What a phone puts after the image. No marker before its first fatal one belongs to a scan."""
    rng = random.Random(seed)
    unknown = rng.randrange(0x02, 0xC0)
    plain = bytes(rng.randrange(255) for _ in range(rng.randrange(200)))
    return plain + bytes([0xFF, unknown]) + rng.randbytes(3000)


# In place of the end marker.
TAILS = {name: data + END for name, data in FATAL.items()}
TAILS |= {f"{name}, no end": data for name, data in FATAL.items()}
TAILS["second image"] = jpegs.jpeg(40, 9)
TAILS["end, then a second image"] = END + jpegs.jpeg(40, 9)
TAILS["panorama"] = JUNK + b"\x00\x00\x01\x0a\x0e\x00\x00\x00Image_UTC_Data" + b"\xff\x59" + JUNK + b"SEFT"
TAILS |= {f"random {seed}": random_trailer(seed) for seed in range(6)}

# Nothing after the end marker is read.
UNSEEN = ["end, then a second image"]


def with_tail(name, tail):
    data = base(name)
    return data[: scans(data)[-1][1]] + TAILS[tail]


@pytest.fixture(scope="module")
def verdict_of(tmp_path_factory):
    """A function: the verdict of an entropy stage on a file with a tail, on a route, strict or not."""
    jobs = {
        (name, tail, route, strict): (with_tail(name, tail), {**ROUTES[route], "strict": strict})
        for name in BASES
        for tail in TAILS
        for route in ROUTES
        for strict in (True, False)
    }
    return verdict_finder(tmp_path_factory.mktemp("lenient"), jobs)


REFUSALS = ("CorruptJpegError", "UnsupportedJpegError")  # the latter if a frame says so


def assert_place(found, height):
    """A row, if the text names one, is one of the image's own."""
    rows = re.findall(r"\brow (\d+) of (\d+)\b", found.text)
    assert all(int(row) <= height == int(of) for row, of in rows), found
    assert rows or found.error != "CorruptJpegError", found
    assert "999" not in found.text.split(": ", 1)[1], found


# ---- after the last row ----------------------------------------------------------------------------


@pytest.mark.parametrize("tail", FATAL)
def test_libjpeg_cannot_go_on(tail):
    with pytest.raises(OSError):
        jpegs.rgb_turbo(with_tail("grey", tail))


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.usefixtures("silent")
def test_what_comes_after_the_last_row_costs_no_image(stage, name, tail, verdict_of):
    clean = base(name)
    for route, options in ROUTES.items():
        expected = digest(jpegs.rgb_turbo(clean)) if route == "whole" else verdict(clean, **options).digest
        for strict in (True, False):
            found = verdict_of(stage, name, tail, route, strict)
            assert found.digest == expected, (route, strict, found)
            assert bool(found.notes) or not strict or tail in UNSEEN, (route, found)


@pytest.mark.parametrize("name", ONE_SCAN)
@pytest.mark.parametrize("tail", TAILS)
def test_libjpeg_has_delivered_these_rows(name, tail):
    assert_same(jpegs.rgb_turbo_rows(with_tail(name, tail), 99), jpegs.rgb_turbo(base(name)))


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("strict", [True, False])
def test_crops_and_batches(tail, strict):
    files = [with_tail(name, tail) for name in BASES]
    clean = [fastimg.decode(base(name)) for name in BASES]
    for data, image in zip(files, clean, strict=True):
        _, height, width = image.shape
        for top in (0, 8, height - 1):
            crop = (top, 3, height - top, width - 3)
            assert_same(fastimg.decode(data, crop=crop, strict=strict), image[:, top:, 3:])
    images = fastimg.load(files, size=16, strict=strict)
    assert_same(images, fastimg.load([base(name) for name in BASES], size=16))


def test_check_calls_them_odd(tmp_path, capsys):
    for i, tail in enumerate(TAILS):
        (tmp_path / f"{i:03d}.jpg").write_bytes(with_tail("baseline", tail))
    assert main(["check", "--json", str(tmp_path)]) == 0  # load takes them all
    found = json.loads(capsys.readouterr().out)
    assert [(row["kind"], bool(row["reason"])) for row in found] == [("odd", True)] * (
        len(TAILS) - len(UNSEEN)
    )


@pytest.mark.parametrize("tail", FATAL)
@pytest.mark.parametrize("name", BASES)
def test_damage_counts_whatever_comes_after_it(name, tail):
    # Half of the last scan is missing; a tail is no excuse for that.
    data = base(name)
    start, end = scans(data)[-1]
    cut = data[: (start + end) // 2].removesuffix(b"\xff") + TAILS[tail]
    for options in ROUTES.values():
        found = verdict(cut, **options)
        assert found.error in ("CorruptJpegError", "TruncatedJpegError"), (options, found)


# ---- in the middle -----------------------------------------------------------------------------------


def in_the_middle(name, tail, scan):
    """Something fatal after three fifths of a scan, whose rest follows."""
    data = base(name)
    start, end = scans(data)[scan]
    at = start + (end - start) * 3 // 5
    while data[at - 1] == 0xFF or 0xD0 <= data[at] <= 0xD7:
        at += 1
    return jpegs.insert(data, FATAL[tail], at)


@pytest.mark.parametrize("tail", FATAL)
@pytest.mark.parametrize("name", ONE_SCAN)
@pytest.mark.usefixtures("silent")
def test_in_the_middle_of_the_only_scan(name, tail):
    # libjpeg ends the scan at the marker and fills in the rest, so that every row is delivered.
    data = in_the_middle(name, tail, 0)
    expected = jpegs.rgb_turbo_rows(data)
    assert_same(jpegs.rgb_turbo_rows(data, 0xFF), expected)
    for options in ROUTES.values():
        found = verdict(data, **options)
        assert found.error == "CorruptJpegError", (options, found)
        assert_place(found, len(expected))
        assert verdict(data, strict=False, **options).decoded
    assert verdict(data, strict=False).digest == digest(expected)


@pytest.mark.parametrize("tail", FATAL)
@pytest.mark.parametrize("name", ONE_SCAN)
def test_in_the_middle_with_libjpeg_entropy(name, tail, in_the_middle_of_libjpeg):
    expected = jpegs.rgb_turbo_rows(in_the_middle(name, tail, 0))
    assert in_the_middle_of_libjpeg[name, tail, True].error == "CorruptJpegError"
    assert in_the_middle_of_libjpeg[name, tail, False].digest == digest(expected)


@pytest.fixture(scope="module")
def in_the_middle_of_libjpeg(tmp_path_factory):
    jobs = {
        (name, tail, strict): (in_the_middle(name, tail, 0), {"strict": strict})
        for name in ONE_SCAN
        for tail in FATAL
        for strict in (True, False)
    }
    return libjpeg_verdicts(tmp_path_factory.mktemp("middle"), jobs)


def between_scans(name, tail):
    data = base(name)
    return jpegs.insert(data, FATAL[tail], scans(data)[0][1])


def check_some_scans(data):
    """If libjpeg delivers no row, that is an error or an image of the scans before; unwritten memory never."""
    delivered = [jpegs.rgb_turbo_rows(data, fill) for fill in (0x00, 0xFF)]
    complete = (delivered[0] == delivered[1]).all()
    for options in ROUTES.values():
        found = verdict(data, strict=True, **options)
        assert found.error in REFUSALS, found
        assert_place(found, jpegs.size(data)[0])
        # Compares what is written over zeros and over ones.
        found = verdict(data, strict=False, **options)
        assert found.decoded or (found.error in REFUSALS and not complete), found
        assert not complete or options or found.digest == digest(delivered[0])
    good = jpegs.jpeg(33, 47)
    assert_same(fastimg.decode(good, layout="HWC"), jpegs.rgb_turbo(good))


@pytest.mark.parametrize("tail", FATAL)
@pytest.mark.parametrize("name", WITH_SCANS)
@pytest.mark.usefixtures("silent")
def test_between_scans(name, tail):
    check_some_scans(between_scans(name, tail))
    for scan in (0, 1):
        check_some_scans(in_the_middle(name, tail, scan))


def test_a_dc_sum_that_int_cannot_hold():
    # libjpeg gives up in the middle of a progressive scan: 65,539 differences of 32,767 each.
    height, width = 1040, 4096
    data = b"\xff\xd8" + segment(DQT, b"\x00" + b"\x01" * 64)
    data += segment(SOF2, struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\x00")
    data += segment(DHT, b"\x00\x01" + bytes(15) + b"\x0f")
    data += segment(SOS, b"\x01\x01\x00\x00\x00\x00")
    data += (b"\x7f\xff\x00") * (height // 8 * width // 8) + END
    with pytest.raises(fastimg.CorruptJpegError):
        fastimg.decode(data)
    delivered = [jpegs.rgb_turbo_rows(data, fill) for fill in (0x00, 0xFF)]
    try:
        image = fastimg.decode(data, strict=False, layout="HWC")
    except fastimg.CorruptJpegError:
        assert not (delivered[0] == delivered[1]).all()
    else:
        for fill in (0x00, 0xFF):
            out = np.full_like(image, fill)
            assert_same(fastimg.decode(data, out, strict=False, layout="HWC"), image)


@pytest.mark.parametrize("tail", FATAL)
@pytest.mark.parametrize("strict", [True, False])
def test_no_row_at_all(tail, strict):
    # Before the only scan there is nothing to give.
    data = jpegs.jpeg(40, 50)
    with pytest.raises(fastimg.JpegError):
        fastimg.decode(jpegs.insert(data, FATAL[tail], jpegs.segments(data)[-1][1]), strict=strict)


# ---- messages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("marker", [SOF0, SOF2, 0xC3, 0xC9])
@pytest.mark.parametrize("end", [END, b""], ids=["end", "no end"])
def test_rows_are_those_of_the_image_not_of_a_stray_frame(name, marker, end):
    data = base(name)
    height = jpegs.size(data)[0]
    start, stop = scans(data)[0]
    cut = data[: (start + stop) // 2].removesuffix(b"\xff")
    for stray in (frame(marker), frame(marker) * 2, jpegs.jpeg(999, 16)):
        for options in ({}, {"size": 8}):
            found = verdict(cut + stray + end, **options)
            assert found.error in ("CorruptJpegError", "TruncatedJpegError"), found
            assert_place(found, height)
    assert fastimg.read_header(cut + frame(marker)).shape[1:] == jpegs.size(data)
