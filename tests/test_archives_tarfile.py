# SPDX-License-Identifier: BSD-3-Clause
"""Tar archives of every kind, whole and damaged: what is listed is what tarfile lists, or it is refused."""

import io
import os
import random
import re
import tarfile
from pathlib import Path

import numpy as np
import pytest
from support.archive_files import TAR_FORMATS, patch_tar_header
from support.tar_reference import Place, list_with_tarfile

from fastimg.archives import list_archive, open_regular
from fastimg.archives.listing import unpack_names

ROUNDS = int(os.environ.get("FASTIMG_FUZZ", 400))
BLOCK = 512
KINDS = [
    *(tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE) * 3, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE,
    tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, b"D", b"V", b"Z",
]  # fmt: skip
PAX_HEADERS = [
    {"comment": "x" * 600}, {"mtime": "1.5"}, {"path": "renamed.jpg"}, {"path": "in/a/folder/"}, {"size": "600"},
    {"uid": "text"}, {"path": "é\0.jpg"}, {"linkpath": "b.jpg"}, {"SCHILY.dev": "1"}, {"GNU.sparse.size": "9"},
    {"GNU.sparse.map": "0,1", "GNU.sparse.size": "9"}, {"GNU.sparse.map": ""},
    {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9", "GNU.sparse.name": "s.jpg"},
    {"GNU.sparse.major": "1"}, {"GNU.sparse.realsize": "7"}, {"hdrcharset": "BINARY", "path": "a.jpg"},
]  # fmt: skip
# What is refused although tarfile takes it: the text of a pax header that only later versions of tarfile look at, ...
STRICTER = re.compile(
    "pax header (that is not well-formed|with the (number|character set))|more than 100 headers"
    # ... and the map of a sparse file, which it reads past the end of the member.
    "|map of a sparse member|before it begins|size of all members"
)


def listed(path: Path) -> list[Place]:
    with open_regular(str(path)) as file:
        members = list_archive(file, str(path), lambda name: True)
    archives = np.zeros(len(members), int) if members.archives is None else members.archives
    places = zip(archives.tolist(), unpack_names(members.names), members.ranges.tolist(), strict=True)
    return [
        (number, name, *((None, None) if i in members.faults else place))
        for i, (number, name, place) in enumerate(places)
    ]


def random_name(rng: random.Random) -> str:
    return rng.choice(
        (
            "a.jpg",
            "é.jpg",
            "d/" * 60 + "x.jpg",
            "y" * 140 + ".jpg",
            "b/",
            ".c/d.jpg",
            os.fsdecode(b"\xff.jpg"),
        )
    )


def random_tar(rng: random.Random) -> bytes:
    """An archive of a few members, with headers of as many kinds as there are."""
    buffer = io.BytesIO()
    kind = rng.choice(list(TAR_FORMATS.values()))
    extra = (
        {"pax_headers": rng.choice(PAX_HEADERS)} if rng.random() < 0.1 and kind == tarfile.PAX_FORMAT else {}
    )
    with tarfile.open(fileobj=buffer, mode="w", format=kind, errors="surrogateescape", **extra) as tar:
        for _ in range(rng.randrange(5)):
            info = tarfile.TarInfo(random_name(rng))
            info.type = rng.choice(KINDS)
            data = rng.randbytes(rng.choice((0, 1, 511, 512, 513, 600, 3000)))
            without = info.type in (*tarfile.SUPPORTED_TYPES[2:6], *tarfile.SUPPORTED_TYPES[7:9])
            if (without or info.name.endswith("/")) and rng.random() < 0.95:
                data = b""  # tarfile takes it for headers
            elif rng.random() < 0.1:
                data = (b"1\n0\n4\n" + data).ljust(1024, b"\0")  # a map of pieces
            info.size = len(data)
            info.mtime = rng.choice((0, 1.5, 10**9))
            info.uname = rng.choice(("", "é", "root"))
            if info.type == tarfile.SYMTYPE or rng.random() < 0.1:
                info.linkname = random_name(rng) * rng.choice((1, 3))
            if rng.random() < 0.2:
                info.pax_headers = dict(rng.choice(PAX_HEADERS))
            try:
                tar.addfile(info, io.BytesIO(data))
            except ValueError:  # a name too long for ustar
                continue
    return buffer.getvalue()


def headers_of(data: bytes) -> list[int]:
    """Where blocks with the right checksum are."""
    found = []
    for at in range(0, len(data) - BLOCK + 1, BLOCK):
        try:
            tarfile.TarInfo.frombuf(data[at : at + BLOCK], "utf-8", "surrogateescape")
        except tarfile.TarError:
            continue
        found.append(at)
    return found


def patch_a_header(data: bytes, rng: random.Random) -> bytes:
    """Change a field, and make the checksum right."""
    at = rng.choice(headers_of(data) or [0])
    if len(data) < at + BLOCK:
        return data
    number = rng.choice(
        (
            b"",
            b"\0",
            b" ",
            b"7",
            b"0000001\0",
            b"-1",
            b"8",
            b"\xff" * 12,
            b"+5 ",
            b"1_0",
            b"\x80" + bytes(10) + b"\5",
            b"00000001000",
            b"\x80" * 12,
            b"0x1",
        )
    )
    field, value = rng.choice((
        (156, rng.choice((*KINDS, b"L", b"K", b"x", b"g", b"X", b"S", b"\xff"))),
        (124, number), (136, number), (100, number[:8]), (329, number[:8]),
        (345, rng.choice((b"prefix\0", bytes(155), b"/"))),
        (0, rng.choice((b"\0", b"x.jpg\0", b"dir/\0", b"\xff" * 100))),
        (482, rng.choice((b"\0", b"\1"))), (483, number), (386, number), (257, b"ustar  \0"),
        (rng.randrange(BLOCK), rng.randbytes(rng.choice((1, 4, 40)))),
    ))  # fmt: skip
    return patch_tar_header(data, at, field, value[: BLOCK - field])[: len(data)]


def sign_a_checksum(data: bytes, rng: random.Random) -> bytes:
    """The checksum of a header as if bytes had a sign, which is another if the name is not ASCII."""
    at = rng.choice(headers_of(data) or [0])
    if len(data) < at + BLOCK:
        return data
    block = bytearray(data[at : at + BLOCK])
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % max(0, sum(block) - 256 * sum(byte > 127 for byte in block))
    return data[:at] + bytes(block) + data[at + BLOCK :]


def damage(data: bytes, rng: random.Random) -> bytes:
    for _ in range(rng.choice((1, 1, 2, 5))):
        what = rng.randrange(8)
        at = rng.randrange(max(1, len(data)))
        block = at // BLOCK * BLOCK
        if what <= 2:
            data = patch_a_header(data, rng)
        elif what == 3:
            data = data[:at] + rng.randbytes(rng.choice((1, 8))) + data[at + 8 :]
        elif what == 4:
            data = data[: rng.choice((at, block))]
        elif what == 5:  # a block less, or twice
            data = data[:block] + data[block + BLOCK * rng.choice((0, 1, 2)) :]
        elif what == 6:
            data = data[: block + BLOCK] + data[block:]
        else:
            data = sign_a_checksum(data, rng)
    return data


def compare(path: Path, data: bytes) -> str:
    """Both list the same, or it is refused; returns which."""
    path.write_bytes(data)
    try:
        expected = list_with_tarfile(path)
    except ValueError as error:
        with pytest.raises(ValueError, match=re.escape(str(path))) as caught:
            listed(path)
        assert type(caught.value) is ValueError, error
        return "refused"
    try:
        assert listed(path) == expected
    except ValueError as error:
        assert STRICTER.search(str(error)), error
        return "stricter"
    return "listed"


def test_whole_archives(tmp_path: Path) -> None:
    rng = random.Random(1)
    counts = {"listed": 0, "refused": 0, "stricter": 0}
    for _ in range(ROUNDS):
        data = b"".join(random_tar(rng) for _ in range(rng.choice((1, 1, 2, 3))))
        counts[compare(tmp_path / "a.tar", data)] += 1
    assert counts["listed"] > ROUNDS / 2
    assert counts["stricter"] == 0


def test_damaged_archives(tmp_path: Path) -> None:
    rng = random.Random(2)
    counts = {"listed": 0, "refused": 0, "stricter": 0}
    for _ in range(4 * ROUNDS):
        data = b"".join(random_tar(rng) for _ in range(rng.choice((1, 1, 2))))
        counts[compare(tmp_path / "a.tar", damage(data, rng))] += 1
    assert min(counts["listed"], counts["refused"]) > ROUNDS / 4
    assert counts["stricter"] < ROUNDS / 20
