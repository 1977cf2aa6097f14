# SPDX-License-Identifier: BSD-3-Clause
"""Archives made to order, for the tests of what reads them."""

import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

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
            with archive.open(zipfile.ZipInfo(name), "w", **options) as member:
                member.write(data)
    return str(path)


def make_archive(path: Path, files: dict[str, bytes]) -> str:
    return (make_zip if path.suffix == ".zip" else make_tar)(path, files)


def patch_tar_header(data: bytes, at: int, field: int, value: bytes) -> bytes:
    """Overwrite bytes of the header that begins at byte `at`, and make its checksum right again."""
    header = bytearray(data[at : at + 512])
    header[field : field + len(value)] = value
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return data[:at] + bytes(header) + data[at + 512 :]


def patch(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]
