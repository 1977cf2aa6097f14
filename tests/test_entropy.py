# SPDX-License-Identifier: BSD-3-Clause
"""Both entropy stages end alike: the same pixels, or the same error in the same words.

FASTIMG_FUZZ: how many files are made by damaging those of FASTIMG_TEST_DATA, if that is set.
"""

import json
import os
import pickle
import subprocess

import numpy as np
import pytest
from support import jpegs
from support.entropy_files import SOUND, UNSOUND, bases, mutate, turbo_setting
from support.jpegs import noise
from support.processes import probe_command
from support.progressive_scans import random_file
from support.segments import DHT, EOI, one_block

MUTATIONS = 6000
FUZZ = int(os.environ.get("FASTIMG_FUZZ", "3000"))
MOST_NBYTES = 64 * 1024  # larger photos say nothing that a part of them does not, and take long


@pytest.fixture
def compare(tmp_path, child_env):
    """A function that decodes files, named or not, with both stages; returns their common outcomes.

    `whole`: our stage must not give any of them up.
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
        outcomes, rows = {}, {}
        for stage, child in children.items():
            errors = child.communicate(timeout=1800)[1]
            assert (child.returncode, errors) == (0, ""), stage
            found, outcomes[stage], gave_up, rows[stage] = json.loads((tmp_path / stage).read_text())
            assert found == stage  # or there is nothing to compare
            assert not whole or not any(gave_up), names[gave_up.index(True)]
        for name, one, own, libjpeg in zip(
            names, data, outcomes["fastimg"], outcomes["libjpeg"], strict=True
        ):
            assert own == libjpeg, f"file {name}, {len(one)} bytes: {one[:4000].hex()}"
        for name, one, own, libjpeg in zip(names, data, rows["fastimg"], rows["libjpeg"], strict=True):
            assert own == libjpeg, f"upper half of file {name}, {len(one)} bytes: {one[:4000].hex()}"
        return outcomes["libjpeg"]

    return run


def all_decoded(outcomes):
    return all(one.startswith("(") and len(set(four)) == 1 for four in outcomes for one in four)


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
    assert all_decoded(compare(dict(every_size(subsampling)) | dict(every_interval(subsampling)), whole=True))


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
    assert all_decoded(compare(dict(every_kind()), whole=True))


def every_progressive():
    for seed, size in enumerate((57, 64, 65, 90, 129, 200)):
        for quality in (10, 75, 95):
            for channels, subsampling in ((1, 0), (3, 0), (3, 1), (3, 2), (4, 0)):
                for options in ({}, {"restart_marker_blocks": 5}, {"restart_marker_rows": 1}):
                    image = (noise if quality == 95 else jpegs.pixels)(size, 264 - size, channels, seed=seed)
                    options = {"quality": quality, "subsampling": subsampling, "progressive": True, **options}
                    yield f"{size} {channels} {options}", jpegs.pillow(image, **options)


def test_every_progressive(compare):
    assert all_decoded(compare(dict(every_progressive()), whole=True))


def test_random_progressive(compare):
    files = {seed: random_file(seed, 72, 150) for seed in range(60)}
    assert all_decoded(compare(files, whole=True))


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
    assert all_decoded(compare([images[i] for i in order], whole=True))


# ---- damaged files -----------------------------------------------------------------------------------


def test_every_truncation(compare):
    with turbo_setting("TJ_RESTART", "1B"):
        data = jpegs.turbo(jpegs.pixels(30, 40), quality=40)
    whole, cut, closed = compare([data])[0], [], []
    for n in range(len(data)):
        cut.append(data[:n])
        closed.append(data[:n] + bytes([0xFF, EOI]))
    found = [strict for strict, *_ in compare(cut + closed)]
    # All but one lose data: what lacks its end marker alone is whole, and so is that with a new one.
    assert found.count(whole[0]) >= 2
    assert sum(not one.startswith("(") for one in found) > len(data)


@pytest.mark.parametrize("tables", UNSOUND.values(), ids=UNSOUND)
def test_unsound_tables(tables, compare):
    # What libjpeg refuses is refused also where the scan does without the offending code.
    (outcomes,) = compare([one_block(**tables)])
    assert all("Bogus Huffman table" in one for one in outcomes)


@pytest.mark.parametrize("tables", SOUND.values(), ids=SOUND)
def test_sound_tables(tables, compare):
    assert all_decoded(compare([one_block(**tables)]))


def test_mutations(compare):
    rng = np.random.default_rng(1)
    files = list(bases())
    outcomes = compare([mutate(rng, files[i % len(files)]) for i in range(MUTATIONS)])
    decoded = sum(four[0].startswith("(") for four in outcomes)
    assert MUTATIONS / 20 < decoded < MUTATIONS / 2  # some harmless, most not


# ---- the collections --------------------------------------------------------------------------------


def test_photos(shared, compare):
    folders = [shared / "photos", shared / "awkward"]
    paths = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    files = {str(path): path.read_bytes() for path in paths}
    compare(files)
    rng = np.random.default_rng(2)
    small = [data for data in files.values() if 4 <= len(data) <= MOST_NBYTES and data[:2] == b"\xff\xd8"]
    compare([mutate(rng, small[i % len(small)]) for i in range(FUZZ)])
