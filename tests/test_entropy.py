# SPDX-License-Identifier: BSD-3-Clause
"""Both entropy stages end alike: the same pixels, or the same error in the same words, with the same row and MCU.

FASTIMG_FUZZ: how many files are made by damaging those of FASTIMG_TEST_DATA, if that is set.
"""

import json
import os
import pickle
import re
import subprocess
from typing import NamedTuple

import numpy as np
import pytest
from support import jpegs
from support.damage_cases import LARGE, SMALL, preview
from support.entropy_files import DAMAGED, SOUND, UNSOUND, bases, mutate, turbo_setting
from support.jpegs import noise
from support.processes import probe_command
from support.progressive_scans import random_file
from support.segments import DHT, EOI, one_block

MUTATIONS = 6000
FUZZ = int(os.environ.get("FASTIMG_FUZZ", "3000"))
MOST_NBYTES = 64 * 1024  # larger photos say nothing that a part of them does not, and take long


class Outcome(NamedTuple):
    end: str  # the pixels' shape and hash, or the error
    notes: list
    warnings: int  # of libjpeg
    fell_back: bool

    @property
    def decoded(self):
        return self.end.startswith("(")


def assert_alike(own, libjpeg, strict):
    """Bytes that are skipped are told of by the core if strict, else by libjpeg alone."""
    assert own.end == libjpeg.end
    if strict:
        assert own.notes == libjpeg.notes
    elif not any("extraneous bytes" in note for note in own.notes + libjpeg.notes):
        assert own == libjpeg._replace(fell_back=own.fell_back)


def assert_consistent(strict, lenient):
    """Our stage's verdict is final in strict mode, and both modes read as far."""
    assert not strict.fell_back  # its verdict is final
    assert not strict.decoded or strict.end == lenient.end


@pytest.fixture
def compare(tmp_path, child_env):
    """A function that decodes files, named or not, with both stages; returns our stage's outcomes, strict and lenient.

    `whole`: our stage must decode all of them on its own, lenient or not.
    """

    def run(files, whole=False):
        names = list(files) if isinstance(files, dict) else list(range(len(files)))
        data = list(files.values()) if isinstance(files, dict) else list(files)
        (tmp_path / "files").write_bytes(pickle.dumps(data))
        child_env.pop("FASTIMG_ENTROPY", None)
        children = {}
        for stage, extra in (("fastimg", {}), ("libjpeg", {"FASTIMG_ENTROPY": "libjpeg"})):
            command = probe_command("entropy_probe", tmp_path / "files", tmp_path / stage)
            children[stage] = subprocess.Popen(
                command, env={**child_env, **extra}, stderr=subprocess.PIPE, text=True
            )
        outcomes, routes = {}, {}
        for stage, child in children.items():
            errors = child.communicate(timeout=1800)[1]
            assert (child.returncode, errors) == (0, ""), stage
            found, fours, routes[stage] = json.loads((tmp_path / stage).read_text())
            assert found == stage  # or there is nothing to compare
            outcomes[stage] = [[Outcome(*one) for one in four] for four in fours]
        for i, (name, one) in enumerate(zip(names, data, strict=True)):
            own, libjpeg = outcomes["fastimg"][i], outcomes["libjpeg"][i]
            try:
                for n in range(4):
                    assert_alike(own[n], libjpeg[n], strict=n % 2 == 0)
                    assert_consistent(own[n // 2 * 2], own[n // 2 * 2 + 1])
                    assert not whole or (own[n].decoded and not own[n].fell_back and own[n] == own[0])
                assert own[:2] == own[2:]
                assert routes["fastimg"][i] == routes["libjpeg"][i]
            except AssertionError as error:
                raise AssertionError(f"file {name}, {len(one)} bytes: {one[:4000].hex()}") from error
        return [four[:2] for four in outcomes["fastimg"]]

    return run


def from_core(outcome):
    """Whether it is an error of the core's verdict on a scan, not of libjpeg's."""
    return not outcome.decoded and re.search(r" row \d+ of \d+( in scan \d+)?, MCU \d+", outcome.end)


# ---- whole files -----------------------------------------------------------------------------------


def every_size(subsampling):
    qualities = (5, 25, 50, 75, 90, 95, 100)
    for height in range(1, 71):
        for width in (height, (37 * height) % 70 + 1):
            quality = qualities[height % len(qualities)]
            image = (noise if quality >= 95 else jpegs.pixels)(height, width, seed=height)
            with turbo_setting("TJ_OPTIMIZE", "01"[width % 2]):
                yield f"{subsampling} {height} x {width}", jpegs.turbo(image, subsampling, quality=quality)


def every_interval(subsampling):
    for size in (9, 33, 70):
        for interval in ("1B", "2B", "7B", "1"):
            for quality in (30, 100):
                image = noise(size, 79 - size, seed=size) if quality == 100 else jpegs.pixels(size, 79 - size)
                with turbo_setting("TJ_RESTART", interval):
                    data = jpegs.turbo(image, subsampling, quality=quality)
                yield f"{subsampling} {size} {interval} {quality}", data


@pytest.mark.parametrize("subsampling", jpegs.SUBSAMPLINGS)
def test_every_size(subsampling, compare):
    compare(dict(every_size(subsampling)) | dict(every_interval(subsampling)), whole=True)


def every_kind():
    """Grey, CMYK, YCCK and RGB as it is, each with standard and with optimised tables."""
    for size in (1, 8, 17, 40, 70):
        for seed, options in enumerate(
            ({}, {"optimize": True}, {"restart_marker_blocks": 2}, {"quality": 100})
        ):
            for channels in (1, 3, 4):
                image = noise(size, 71 - size, channels, seed)
                yield f"{channels} {size} {options}", jpegs.pillow(image, **options)
            rgb = jpegs.pixels(size, 71 - size, seed=seed)
            data = jpegs.pillow(rgb, subsampling=0, **options)
            # Components named R, G and B, and no JFIF segment to say that they are not.
            start = jpegs.segments(data)[-1][1]
            data = jpegs.reframed(data, ids=b"RGB")
            data = data[: start + 5] + b"R" + data[start + 6 :]
            data = data[: start + 7] + b"G" + data[start + 8 : start + 9] + b"B" + data[start + 10 :]
            yield f"RGB {size} {options}", jpegs.without(data, 0xE0)
        yield f"YCCK {size}", jpegs.turbo(jpegs.pixels(size, 71 - size, 4))


def test_every_kind(compare):
    compare(dict(every_kind()), whole=True)


def every_progressive():
    for seed, size in enumerate((57, 64, 65, 90, 129, 200)):
        for quality in (10, 75, 95):
            for channels, subsampling in ((1, 0), (3, 0), (3, 1), (3, 2), (4, 0)):
                for options in ({}, {"restart_marker_blocks": 5}, {"restart_marker_rows": 1}):
                    image = (noise if quality == 95 else jpegs.pixels)(size, 264 - size, channels, seed=seed)
                    options = {"quality": quality, "subsampling": subsampling, "progressive": True, **options}
                    yield f"{size} {channels} {options}", jpegs.pillow(image, **options)


def test_every_progressive(compare):
    compare(dict(every_progressive()), whole=True)


def test_previews(compare):
    # The first scans alone, so that any kind of scan is the last one.
    files = {(count, size): preview(count, size) for count in range(1, 10) for size in (SMALL, LARGE)}
    assert all(strict.decoded for strict, _ in compare(files))


def test_random_progressive(compare):
    compare({seed: random_file(seed, 72, 150) for seed in range(60)}, whole=True)


@pytest.mark.parametrize(
    ("kind", "reasons", "least"),
    [
        ({"is_bounded": False}, {"coefficients that no 8-bit image has"}, 60),
        ({"is_sound": False}, {"coefficients past the end of a block"}, 30),
    ],
    ids=["values", "places"],
)
def test_random_progressive_damage(kind, reasons, least, compare):
    # A run of empty blocks may lead past the end of the scan: it costs no pixel.
    outcomes = compare({seed: random_file(seed, 72, 150, **kind) for seed in range(60)})
    refused = [strict for strict, _ in outcomes if not strict.decoded]
    assert len(refused) >= least
    assert all(from_core(strict) for strict in refused)
    assert {strict.end.rpartition(": ")[2] for strict in refused} == reasons
    # What libjpeg says nothing of is decoded all the same.
    assert all(lenient.decoded for _, lenient in outcomes)


def with_own_tables(data, count, seed):
    """A file whose `count` components share two tables, with two for each instead.

    A table gets one more code of 16 bits, for a symbol that the scan does not have: which one tells it from the others.
    """
    found = jpegs.segments(data)
    tables, at = {}, 0
    payload = b"".join(data[start + 4 : end] for marker, start, end in found if marker == DHT)
    while at < len(payload):
        symbols = sum(payload[at + 1 : at + 17])
        tables[payload[at]] = payload[at + 1 : at + 17 + symbols]
        at += 17 + symbols
    segments = b""
    for i in range(count):
        for kind, symbol in ((0x00, 12 + (seed + i) % 4), (0x10, 0xB0 + 16 * (i % 4) + seed % 10 + 1)):
            table = tables[kind]
            counts = table[:15] + bytes([table[15] + 1])
            segments += jpegs.segment(DHT, bytes([kind | i]) + counts + table[16:] + bytes([symbol]))
    bare = jpegs.without(data, DHT)
    start = jpegs.segments(bare)[-1][1]
    selectors = bytearray(bare)
    for i in range(count):
        selectors[start + 6 + 2 * i] = i << 4 | i
    return bytes(selectors[:start]) + segments + bytes(selectors[start:])


def test_many_tables(compare):
    """More tables than are kept, again and again, in files that build theirs at once and in ones that do not."""
    images = [
        jpegs.pillow(jpegs.pixels(size, size, channels, seed=seed), optimize=True, quality=60 + 2 * seed)
        for seed in range(14)
        for size, channels in ((16, 3), (150, 3), (24, 1), (120, 4))
    ]
    # Optimised: standard tables have no room for another code.
    four = [jpegs.pillow(jpegs.pixels(90, 70, 4, seed=seed), quality=60, optimize=True) for seed in range(6)]
    images += [with_own_tables(data, 4, seed) for seed, data in enumerate(four)]
    order = np.random.default_rng(0).permutation(np.tile(np.arange(len(images)), 4))
    compare([images[i] for i in order], whole=True)


# ---- damaged files -----------------------------------------------------------------------------------


def test_every_truncation(compare):
    with turbo_setting("TJ_RESTART", "1B"):
        data = jpegs.turbo(jpegs.pixels(30, 40), quality=40)
    cut = [data[:n] for n in range(len(data))]
    closed = [one + bytes([0xFF, EOI]) for one in cut]
    whole, *found = [strict for strict, _ in compare([data, *cut, *closed])]
    # All but one lose data: what lacks its end marker alone is whole, and so is that with a new one.
    assert found.count(whole) >= 2
    assert sum(not one.decoded for one in found) > len(data)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 2}])
def test_what_is_cut_off_is_missing_not_damaged(options, compare):
    # Zeros stand for it, which as bits mean something, and in a block with large values nothing that there can be.
    data = jpegs.pillow(noise(40, 40, 1), quality=98, **options)
    start = jpegs.scan_offset(data)
    outcomes = compare([data[:n] for n in range(start, len(data) - 2)])
    assert {strict.end.partition(":")[0] for strict, _ in outcomes} == {"TruncatedJpegError"}


@pytest.mark.parametrize("tables", UNSOUND.values(), ids=UNSOUND)
def test_unsound_tables(tables, compare):
    # What libjpeg refuses is refused also where the scan does without the offending code.
    (outcomes,) = compare([one_block(**tables)])
    assert all("Bogus Huffman table" in one.end for one in outcomes)


@pytest.mark.parametrize("tables", SOUND.values(), ids=SOUND)
def test_sound_tables(tables, compare):
    compare([one_block(**tables)], whole=True)


@pytest.mark.parametrize("tables", DAMAGED.values(), ids=DAMAGED)
def test_damage_that_takes_odd_tables(tables, compare):
    ((strict, lenient),) = compare([one_block(**tables)])
    assert from_core(strict)
    assert lenient.decoded


def test_bytes_that_are_left_over(compare):
    # After the last MCU of an interval or the scan; the row is that of the MCU which should come next.
    data = jpegs.restarts(40, 40, blocks=4)
    cases = {b"\xff\xd1": (32, 8), b"\xff\xd9": (40, 9)}
    files = [data.replace(marker, bytes(range(20)) + marker) for marker in cases]
    for (strict, _), (row, mcu) in zip(compare(files), cases.values(), strict=True):
        assert f"row {row} of 40, MCU {mcu}: 20 bytes are left over" in strict.end


def test_mutations(compare):
    rng = np.random.default_rng(1)
    files = list(bases())
    outcomes = compare([mutate(rng, files[i % len(files)]) for i in range(MUTATIONS)])
    decoded = sum(strict.decoded for strict, _ in outcomes)
    assert MUTATIONS / 20 < decoded < MUTATIONS / 2  # some harmless, most not
    assert sum(bool(from_core(strict)) for strict, _ in outcomes) > MUTATIONS / 4


# ---- the collections --------------------------------------------------------------------------------


def test_photos(shared, compare):
    folders = [shared / "photos", shared / "awkward"]
    paths = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    files = {str(path): path.read_bytes() for path in paths}
    compare(files)
    rng = np.random.default_rng(2)
    small = [data for data in files.values() if 4 <= len(data) <= MOST_NBYTES and data[:2] == b"\xff\xd8"]
    compare([mutate(rng, small[i % len(small)]) for i in range(FUZZ)])
