# SPDX-License-Identifier: BSD-3-Clause
"""Damages bytes at random; and tar archives and .npz, whose checksums would hide that, part by part."""

import io
import random
import re
import zipfile

import numpy as np

NUMBERS = (
    0,
    1,
    2,
    7,
    8,
    127,
    128,
    255,
    256,
    511,
    512,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    2**32 - 1,
    2**63,
)
WORDS = (
    b"path",
    b"size",
    b"GNU.sparse.size",
    b"\0" * 512,
    b"ustar\0",
    b"PK\3\4",
    b"PK\1\2",
    b"PK\5\6",
    b"PK\6\6",
    b"PK\6\7",
)
TAR_BLOCK = 512
DIGIT = re.compile(rb"[0-9]").search


def mutate(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """The bytes after some random changes; none if chance has it."""
    for _ in range(rng.choice((0, 1, 1, 1, 2, 2, 3, 5, 8))):
        data = rng.choice(CHANGES)(rng, data, others)
    return data


def _put(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


def _flip_bit(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    if not data:
        return data
    at = rng.randrange(len(data))
    return _put(data, at, bytes([data[at] ^ 1 << rng.randrange(8)]))


def _set_byte(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    return _put(data, rng.randrange(len(data) + 1), rng.randbytes(1))


def _set_number(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    nbytes = rng.choice((1, 2, 4, 8))
    number = (rng.choice(NUMBERS) + rng.choice((-1, 0, 0, 1))) % 256**nbytes
    return _put(data, rng.randrange(len(data) + 1), number.to_bytes(nbytes, rng.choice(("big", "little"))))


def _set_digit(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    match = DIGIT(data, rng.randrange(len(data) + 1))
    return (
        _put(data, match.start(), rng.choice((b"0", b"1", b"7", b"8", b"9", b"-", b" "))) if match else data
    )


def _insert(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice((rng.choice(WORDS), rng.randbytes(rng.randrange(1, 20)))) + data[at:]


def _delete(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[at + rng.choice((1, 2, 4, rng.randrange(1, len(data) + 2))) :]


def _cut(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _repeat(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    start, at = rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)
    return data[:at] + data[start : start + rng.choice((1, 8, 64, TAR_BLOCK, 2 * TAR_BLOCK))] + data[at:]


def _splice(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    other = rng.choice(others)
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


CHANGES = (_flip_bit, _set_byte, _set_number, _set_digit, _insert, _delete, _cut, _repeat, _splice)


def mutate_tar(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """Changes to single blocks, after most of which the checksums of headers are right again."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = TAR_BLOCK * rng.randrange(len(data) // TAR_BLOCK + 1)
        block = data[at : at + TAR_BLOCK]
        changed = rng.choice(CHANGES[:4])(rng, block, others)[:TAR_BLOCK]
        if rng.random() < 0.3 and len(changed) == TAR_BLOCK:  # what makes the kind of member
            changed = _put(
                changed, 156, rng.choice((b"0", b"5", b"L", b"K", b"S", b"x", b"g", b"X", b"\0", b"1"))
            )
        if rng.random() < 0.9 and len(changed) == TAR_BLOCK and changed[257:262] == b"ustar":
            changed = _put(changed, 148, b" " * 8)
            changed = _put(changed, 148, b"%06o\0 " % sum(changed))
        data = data[:at] + changed + data[at + TAR_BLOCK :]
    return data


def mutate_npz(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """Changes to the arrays, so that the CRC-32 of each is right."""
    try:
        with np.load(io.BytesIO(data)) as file:
            arrays = {name: array for name, array in file.items() if isinstance(array, np.ndarray)}
    except Exception:  # one of those that were mutated byte by byte
        return mutate(rng, data, others)
    for _ in range(rng.choice((1, 1, 2))):
        if not arrays:
            break
        name = rng.choice(list(arrays))
        arrays[name] = _mutate_array(rng, arrays[name])
        if rng.random() < 0.05:
            del arrays[name]
        if rng.random() < 0.05:
            arrays[
                rng.choice(("labels", "sizes", "formats", "packed", "crcs", "archives", "codec", "other"))
            ] = np.zeros(rng.randrange(5), rng.choice((np.uint8, np.int32, np.int64)))
    file = io.BytesIO()
    with zipfile.ZipFile(
        file, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    ) as packed:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.save(member, array)
            content = member.getvalue()
            if rng.random() < 0.1:
                content = mutate(rng, content, [content])
            packed.writestr(name + rng.choice((".npy",) * 9 + ("",)), content)
    return file.getvalue()


def _mutate_array(rng: random.Random, array: np.ndarray) -> np.ndarray:
    way = rng.randrange(6)
    if way == 0:
        return array[: rng.randrange(len(array) + 1)] if array.ndim else array
    if way == 1 and array.dtype.kind in "biu":
        return array.astype(
            rng.choice(("u1", "i4", "i8", "u8", "f8", "U3", "?", ">i8", "V4")), casting="unsafe"
        )
    if way == 2:
        return array.reshape(rng.choice(((-1,), (1, -1), (-1, 1)))) if array.size else array
    if way == 3 and array.ndim:
        return np.concatenate([array, array[: rng.randrange(len(array) + 1)]])
    content = bytearray(mutate(rng, array.tobytes(), [array.tobytes()]))
    content = content[: array.nbytes].ljust(array.nbytes, b"\0")
    return np.frombuffer(bytes(content), array.dtype).reshape(array.shape)
