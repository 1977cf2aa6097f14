# SPDX-License-Identifier: BSD-3-Clause
"""Damage of which libjpeg says nothing is an error in strict mode, and what costs no pixel is none.

Every file has one kind of damage alone; the verdict does not depend on the route or the entropy stage.
"""

import re

import pytest
from support import jpegs
from support.damage import COLOUR, EQUAL, Picture, scans
from support.damage_cases import FINE, IMPOSSIBLE, LARGE, ODD, POSSIBLE, REFUSED, SMALL, preview
from support.jpegs import assert_same
from support.verdicts import digest, verdict, verdict_finder

import fastimg

ROUTES = {"whole": {}, "grey": {"mode": "L"}, "8 x 8": {"size": 8}, "8 x 8, grey": {"size": 8, "mode": "L"}}

each_stage = pytest.mark.parametrize("stage", ["fastimg", "libjpeg"])


@pytest.fixture(scope="module")
def verdict_of(tmp_path_factory):
    """A function: the verdict of an entropy stage on a file, on a route, strict or not."""
    files = {name: make() for name, make in REFUSED.items()}
    files |= {name: make() for name, (make, _) in (ODD | FINE).items()}
    assert len(files) == len(REFUSED) + len(ODD) + len(FINE)
    jobs = {
        (name, route, strict): (data, {**ROUTES[route], "strict": strict})
        for name, data in files.items()
        for route in ROUTES
        for strict in (True, False)
    }
    return verdict_finder(tmp_path_factory.mktemp("damage"), jobs)


# ---- refused ---------------------------------------------------------------------------------------


def needs_no_chroma(name, route):
    """The image that is asked for may be whole then: either verdict is right."""
    return "missing: chroma" in name and "grey" in route


@pytest.mark.parametrize("name", REFUSED)
@each_stage
@pytest.mark.usefixtures("silent")
def test_refused(name, stage, verdict_of):
    for route in ROUTES:
        found = verdict_of(stage, name, route, True)
        if not (needs_no_chroma(name, route) and found.decoded):
            assert found.error == "CorruptJpegError", (route, found)


@pytest.mark.parametrize("name", REFUSED)
@each_stage
def test_errors_say_where_and_why(name, stage, verdict_of):
    height = jpegs.size(REFUSED[name]())[0]
    for route in ROUTES:
        found = verdict_of(stage, name, route, True)
        if needs_no_chroma(name, route) and found.decoded:
            continue
        if "scan missing" in name:
            assert re.search(r"\bscan\b|\bcomponent\b", found.text), found
            continue
        row = re.search(rf"\brow (\d+) of {height}\b", found.text)
        assert row and int(row[1]) <= height, (route, found)
        assert re.search(r"\bMCU \d+\W.*[a-z]{4}.*[a-z]{4}", found.text), (route, found)


@pytest.mark.parametrize("name", REFUSED)
@each_stage
@pytest.mark.usefixtures("silent")
def test_lenient_keeps_the_pixels_of_libjpeg(name, stage, verdict_of):
    data = REFUSED[name]()
    assert verdict_of(stage, name, "whole", False).digest == digest(jpegs.rgb_turbo(data))
    assert verdict_of(stage, name, "grey", False).digest == digest(jpegs.grey_turbo(data))
    for route in ("8 x 8", "8 x 8, grey"):
        assert verdict_of(stage, name, route, False).decoded


@pytest.mark.parametrize("name", IMPOSSIBLE)
@pytest.mark.parametrize("factors", [((1, 1),), COLOUR], ids=["grey", "colour"])
@pytest.mark.parametrize("mcu_row", [0, 3, -1])
def test_the_place_of_damage(name, factors, mcu_row):
    # The row is one of the MCU's, which is counted from 0 or 1 in the scan or in its row.
    quantiser, fields = IMPOSSIBLE[name]
    plain = Picture(*LARGE, factors, quantiser)
    mcu_row %= plain.mcus // plain.mcus_per_row
    mcu = mcu_row * plain.mcus_per_row + 4
    found = verdict(plain.changed(mcu * len(plain.components), **fields).data())
    assert found.error == "CorruptJpegError"
    row, number = (
        int(re.search(pattern, found.text)[1]) for pattern in (r"\brow (\d+) of 144\b", r"\bMCU (\d+)\b")
    )
    height = plain.mcu_size[0]
    assert height * mcu_row <= row <= height * (mcu_row + 1)
    assert number in {4, 5, mcu, mcu + 1}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_damage_below_the_crop_is_not_looked_for(name):
    quantiser, fields = IMPOSSIBLE[name]
    picture = Picture(*LARGE, COLOUR, quantiser)
    damaged = picture.changed(-1, **fields).data()
    crop = (0, 0, 60, 160)
    assert_same(fastimg.decode(damaged, crop=crop), fastimg.decode(picture.data())[:, :60])
    with pytest.raises(fastimg.CorruptJpegError):
        fastimg.decode(damaged, crop=(80, 0, 64, 160))
    # Resampled, and in the lower half of the image.
    crop = (64, 0, 40, 160)
    assert_same(
        fastimg.decode(damaged, crop=crop, size=16), fastimg.decode(picture.data(), crop=crop, size=16)
    )


@pytest.mark.parametrize("name", IMPOSSIBLE)
@pytest.mark.parametrize("options", [{}, {"size": 8}, {"mode": "L"}], ids=str)
def test_damage_in_the_crop_is_refused(name, options):
    quantiser, fields = IMPOSSIBLE[name]
    damaged = Picture(*LARGE, COLOUR, quantiser).changed(2, **fields).data()
    with pytest.raises(fastimg.CorruptJpegError):
        fastimg.decode(damaged, crop=(0, 0, 60, 160), **options)


@pytest.mark.parametrize("name", IMPOSSIBLE | POSSIBLE)
def test_the_verdict_does_not_depend_on_the_size(name):
    # Only longer scans have coefficients skipped that a size does not need.
    quantiser, fields = (IMPOSSIBLE | POSSIBLE)[name]
    picture = Picture(480, 480, COLOUR, quantiser)
    for at in (100, 104):  # luma, chroma
        data = picture.changed(at, **fields).data()
        verdicts = {
            (size, mode): verdict(data, size=size, mode=mode).error
            for size in (8, 30, 60, 120, 240, 480)
            for mode in ("RGB", "L")
        }
        assert set(verdicts.values()) == {"CorruptJpegError" if name in IMPOSSIBLE else ""}, verdicts


def test_a_batch_names_each_damaged_image():
    plain = Picture(*LARGE, COLOUR).data()
    damaged = [
        Picture(*LARGE, COLOUR, quantiser).changed(201, **fields).data()
        for quantiser, fields in IMPOSSIBLE.values()
    ]
    sources = [data for one in damaged for data in (plain, one)]
    failures = []
    images = fastimg.load(sources, on_error=failures.append)
    assert [error.index for error in failures] == list(range(1, len(sources), 2))
    assert {type(error) for error in failures} == {fastimg.CorruptJpegError}
    assert not images[1::2].any()
    assert_same(images[0], fastimg.decode(plain))


# ---- not refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ODD | FINE)
@each_stage
@pytest.mark.usefixtures("silent")
def test_not_refused(name, stage, verdict_of):
    clean = (ODD | FINE)[name][1]()
    for route, options in ROUTES.items():
        expected = digest(jpegs.rgb_turbo(clean)) if route == "whole" else verdict(clean, **options).digest
        for strict in (True, False):
            found = verdict_of(stage, name, route, strict)
            assert found.decoded, (route, found)
            assert found.digest == expected, (route, found)
            assert found.notes or not strict or name in FINE, (route, found)


@pytest.mark.parametrize("name", ["baseline", "grey", "restarts", "separate scans", "progressive"])
def test_plain_files_have_no_notes(name):
    # Or the notes of the others might be of the files that they are made of.
    clean = FINE[f"fill bytes in the header, {name}"][1]()
    found = verdict(clean)
    assert found.decoded and found.notes == ()


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("count", range(1, 10))
@pytest.mark.parametrize("strict", [True, False], ids=["strict", "lenient"])
def test_a_preview_is_an_image(count, size, strict):
    # An end marker after the first scans of a progressive file: every component has one.
    data = preview(count, size)
    assert len(scans(data)) == count
    for route in ROUTES.values():
        assert verdict(data, strict=strict, **route).decoded
    assert verdict(data, strict=True).digest == verdict(data, strict=False).digest


def test_pictures_are_what_they_should_be():
    # The writer writes what decoders read without a warning, in all of its three ways.
    for size in (SMALL, LARGE):
        picture = Picture(*size, EQUAL)
        expected = jpegs.rgb_pillow(picture.data())
        assert expected.std() > 10
        for data in (picture.data(), picture.non_interleaved(), picture.progressive()):
            assert_same(jpegs.rgb_pillow(data), expected)
            found = verdict(data)
            assert found.digest == digest(expected) and found.notes == ()
