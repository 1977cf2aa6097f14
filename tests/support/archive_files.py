# SPDX-License-Identifier: BSD-3-Clause
"""Archives made to order, for the tests of what reads them."""

import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastimg import FileRange, archive_members
from support import jpegs

IMAGES = {f"train/{kind}/{i}.jpg": jpegs.jpeg(24, 31, seed=i) for i, kind in enumerate(("cat", "dog", "cat"))}
EXPECTED = np.stack([jpegs.reference(data) for data in IMAGES.values()])
FIRST = next(iter(IMAGES))

TAR_FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def make_tar(path: Path, files: dict[str, bytes], kind: str = "pax", mode: str = "w") -> str:
    with tarfile.open(path, mode, format=TAR_FORMATS[kind]) as tar:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return str(path)


def make_zip(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_STORED, **options: Any) -> str:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            with archive.open(info, "w", **options) as member:
                member.write(data)
    return str(path)


def make_archive(path: Path, files: dict[str, bytes]) -> str:
    """Make an archive of the kind that its name says."""
    if path.suffix == ".zip":
        return make_zip(path, files, zipfile.ZIP_DEFLATED if "deflated" in path.name else zipfile.ZIP_STORED)
    codec = {".gz": ":gz", ".tgz": ":gz", ".bz2": ":bz2", ".xz": ":xz"}.get(path.suffix, "")
    return make_tar(path, files, mode=f"w{codec}")


def patch_tar_header(data: bytes, at: int, field: int, value: bytes) -> bytes:
    """Overwrite bytes of the header that begins at byte `at`, and make its checksum right again."""
    header = bytearray(data[at : at + 512])
    header[field : field + len(value)] = value
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return data[:at] + bytes(header) + data[at + 512 :]


def patch(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


def bytes_of(member: FileRange) -> bytes:
    with open(member.path, "rb") as file:
        file.seek(member.offset)
        return file.read(member.size)


def contents(members: list[FileRange]) -> dict[str | None, bytes]:
    return {member.name: bytes_of(member) for member in members}


def refuse(path: Path | str, *words: str, extensions: Any = None) -> None:
    """The archive is a ValueError that names it, and says all of `words`."""
    with pytest.raises(ValueError) as caught:
        archive_members(path, *([] if extensions is None else [extensions]))
    assert type(caught.value) is ValueError
    for word in (str(path), *words):
        assert word in str(caught.value)
