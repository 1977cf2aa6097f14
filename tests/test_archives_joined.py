# SPDX-License-Identifier: BSD-3-Clause
"""Several tar archives in one file: all of them are listed, or none."""

import gzip
import os
import pathlib
import subprocess
import tarfile

import numpy as np
import pytest
from support import jpegs
from support.archive_files import (
    TAR_FORMATS,
    bytes_of,
    make_tar,
    make_zip,
    patch_tar_header,
    refuse,
)
from support.jpegs import assert_same

import fastimg
from fastimg import archive_members

PARTS = [{f"{name}.jpg": jpegs.jpeg(24, 31, seed=ord(name)) for name in names} for names in ("ab", "c", "ad")]
ALL = [item for part in PARTS for item in part.items()]
BLOCK = 512


@pytest.fixture
def parts(tmp_path):
    """The bytes of an archive of each of PARTS."""
    return [
        pathlib.Path(make_tar(tmp_path / f"{kind}.tar", files, kind)).read_bytes()
        for kind, files in zip(TAR_FORMATS, PARTS, strict=True)
    ]


def written(tmp_path, *pieces):
    path = tmp_path / "all.tar"
    path.write_bytes(b"".join(pieces))
    return path


def listed(path):
    return [(member.name, bytes_of(member)) for member in archive_members(path)]


def without_padding(data):
    """The archive with an end of two blocks, as some writers make it."""
    return data.rstrip(b"\0").ljust((len(data.rstrip(b"\0")) + BLOCK - 1) // BLOCK * BLOCK, b"\0") + bytes(
        1024
    )


def test_all_are_listed(tmp_path, parts):
    path = written(tmp_path, *parts)
    assert listed(path) == ALL
    expected = np.stack([jpegs.reference(data) for _, data in ALL])
    assert_same(fastimg.load(archive_members(path)), expected)


def test_ends_of_any_length(tmp_path, parts):
    first = without_padding(parts[0])
    assert len(first) < len(parts[0])
    for zeros in (0, BLOCK, 2 * BLOCK, 2**16 - 1024, 2**16, 2**16 + BLOCK, 10**6 // BLOCK * BLOCK):
        assert listed(written(tmp_path, first, bytes(zeros), *parts[1:], bytes(zeros))) == ALL


def test_an_empty_archive_among_them(tmp_path, parts):
    empty = pathlib.Path(make_tar(tmp_path / "empty.tar", {})).read_bytes()
    assert listed(written(tmp_path, parts[0], empty, parts[1], parts[2], empty)) == ALL


@pytest.mark.skipif("GNU tar" not in os.popen("tar --version 2>&1").read(), reason="needs GNU tar")
def test_as_gnu_tar_lists_them(tmp_path, parts):
    path = written(tmp_path, *parts)
    names = subprocess.run(["tar", "tif", path], check=True, capture_output=True, text=True).stdout.split()
    assert [member.name for member in archive_members(path)] == names == [name for name, _ in ALL]
    for name, data in zip(("a.tar", "b.tar"), parts, strict=False):
        (tmp_path / name).write_bytes(data)
    subprocess.run(["tar", "Af", "a.tar", "b.tar"], cwd=tmp_path, check=True)
    assert listed(tmp_path / "a.tar") == ALL[:3]


def test_global_headers_end_with_their_archive(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w", pax_headers={"path": "global.txt"}) as tar:
        tar.addfile(tarfile.TarInfo("a.jpg"))
    first = (tmp_path / "a.tar").read_bytes()
    second = pathlib.Path(make_tar(tmp_path / "b.tar", PARTS[0])).read_bytes()
    assert listed(written(tmp_path, first, second)) == list(PARTS[0].items())


@pytest.mark.parametrize(
    "kind", ["text", "a late byte", "gzip", "zip", "image", "part of a header", "damage"]
)
def test_anything_else_after_the_end(tmp_path, parts, kind):
    first, second = without_padding(parts[0]), parts[1]
    rest = {
        "text": b"text",
        "a late byte": bytes(10**5) + b"\1",
        "gzip": gzip.compress(second),
        "zip": pathlib.Path(make_zip(tmp_path / "a.zip", PARTS[1])).read_bytes(),
        "image": PARTS[1]["c.jpg"],
        "part of a header": second[:300],
        "damage": b"?" + second[1:],
    }[kind]
    place = len(first) + (len(rest) - 1) // BLOCK * BLOCK if kind == "a late byte" else len(first)
    refuse(
        written(tmp_path, first, rest),
        f"another tar archive after the one that ends at byte {len(first) - 1024}",
        f"block at byte {place}",
    )


@pytest.mark.parametrize("shift", [1, 100, 511])
def test_one_that_begins_within_a_block(tmp_path, parts, shift):
    refuse(written(tmp_path, parts[0], bytes(shift), parts[1]), "another tar archive")


def test_damage_in_a_later_one(tmp_path, parts):
    start = len(parts[0])
    path = written(tmp_path, parts[0], parts[1])
    path.write_bytes(patch_tar_header(path.read_bytes(), start, 124, b"77777777777\0"))
    refuse(path, "cut short", "c.jpg")
    path.write_bytes(patch_tar_header(path.read_bytes(), start, 124, b"\xff" * 12))
    refuse(path, "damaged")


def test_a_later_one_that_is_cut_short(tmp_path, parts):
    first, second = parts[0], without_padding(parts[1])
    size = len(PARTS[1]["c.jpg"])
    whole = BLOCK + (size + BLOCK - 1) // BLOCK * BLOCK
    for cut in range(1, BLOCK + size, 37):
        refuse(written(tmp_path, first, second[:cut]), "byte" if cut < BLOCK else "cut short")
    assert listed(written(tmp_path, first, second[:whole])) == ALL[:3]
