# SPDX-License-Identifier: BSD-3-Clause
"""The members of zip archives, from the directory at the end and each member's own header."""

from __future__ import annotations

import itertools
import stat
import zipfile
from collections.abc import Callable
from typing import BinaryIO

from fastimg.archives.files import check_place
from fastimg.archives.listing import ListingBuilder

_LOCAL_HEADER = 30  # bytes of a member's own header, before its name
_ENTRY = 46  # bytes of its entry in the directory, before its name
_ENCRYPTED = 0x2041  # flags: encrypted, strongly encrypted, headers masked
_UTF8 = 0x800
_BEST_RATIO = 1032  # of deflate: 258 bytes of two bits
_METHODS = {9: "deflate64", 12: "bzip2", 14: "lzma", 93: "zstd", 95: "xz"}


def list_zip(file: BinaryIO, path: str, wanted: Callable[[str], bool], listing: ListingBuilder) -> None:
    """Add the wanted members of a zip archive to a listing, in the order of its directory.

    Raises
    ------
    ValueError
        As `archive_members` says, but for a fault of a member, which the listing gets.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            infos, end = archive.infolist(), archive.start_dir
    except (OSError, MemoryError):
        raise
    except Exception as error:  # zipfile raises many kinds for damage
        if str(error) == "can't allocate lock":  # a RuntimeError of the interpreter's
            raise MemoryError(f"{path}: no memory left") from error
        raise ValueError(f"{path}: damaged zip archive: {error}") from error
    _check_directory(file, path, infos, end)
    places = []
    for info in infos:
        if not (_is_regular(info) and wanted(info.filename)):
            continue
        fault = _find_fault(info)
        offset = 0 if fault else _find_data(file, path, info, end)
        listing.add(info.filename, offset, 0 if fault else info.file_size)
        if fault:
            listing.add_fault(f"member {info.filename} {fault}")
        else:
            if info.compress_type == zipfile.ZIP_DEFLATED:
                listing.add_packed(info.compress_size, info.CRC)
            places.append((info.header_offset, offset + info.compress_size, info.filename))
    # The data of an image cannot contain the header of another member.
    for (_, data_end, one), (header, _, other) in itertools.pairwise(sorted(places)):
        if header < data_end:
            raise ValueError(f"{path}: damaged zip archive: {one} and {other} overlap")


def _is_regular(info: zipfile.ZipInfo) -> bool:
    kind = stat.S_IFMT(info.external_attr >> 16)  # 0 if the archive was not made on Unix
    return not info.filename.endswith("/") and kind in (0, stat.S_IFREG)


def _encoded_name(info: zipfile.ZipInfo) -> bytes:
    return info.orig_filename.encode("utf-8" if info.flag_bits & _UTF8 else "cp437")


def _check_directory(file: BinaryIO, path: str, infos: list[zipfile.ZipInfo], start: int) -> None:
    """Compare the number of entries with the count after them: zipfile may take a damaged entry for the last."""
    lengths = (_ENTRY + len(_encoded_name(info)) + len(info.extra) + len(info.comment) for info in infos)
    file.seek(start + sum(lengths))
    record = file.read(40)
    count = -1
    if record.startswith(b"PK\6\6"):  # zip64
        count = int.from_bytes(record[32:40], "little")
    elif record.startswith(b"PK\5\6"):
        count = int.from_bytes(record[10:12], "little")
    if count not in (len(infos), len(infos) & 0xFFFF):  # old writers count modulo 2**16
        raise ValueError(
            f"{path}: damaged zip archive: expected a directory of {len(infos)} members to be followed by their count"
        )


def _find_fault(info: zipfile.ZipInfo) -> str:
    """Why a member cannot be read, empty if it can."""
    if info.flag_bits & _ENCRYPTED:
        return "is encrypted; make the archive without a password"
    if info.compress_type == zipfile.ZIP_DEFLATED:
        if info.file_size > _BEST_RATIO * info.compress_size:
            return f"is damaged: {info.compress_size} bytes cannot be {info.file_size} when they are inflated"
        return ""
    if info.compress_type != zipfile.ZIP_STORED:
        method = _METHODS.get(info.compress_type, f"method {info.compress_type}")
        return f"is compressed ({method}), which is not supported: make the archive with zip -0"
    if info.compress_size != info.file_size:
        return f"is damaged: expected stored data of {info.file_size} bytes, found {info.compress_size}"
    return ""


def _find_data(file: BinaryIO, path: str, info: zipfile.ZipInfo, end: int) -> int:
    """Where the data of a member begins. Only its own header knows the length of the fields before it."""
    encoded = _encoded_name(info)
    local = b""
    if 0 <= info.header_offset < end:
        file.seek(info.header_offset)
        local = file.read(_LOCAL_HEADER + len(encoded))
    if not local.startswith(b"PK\3\4") or local[_LOCAL_HEADER:] != encoded:
        raise ValueError(
            f"{path}: member {info.filename} is damaged: expected its header at byte {info.header_offset}"
        )
    lengths = int.from_bytes(local[26:28], "little"), int.from_bytes(local[28:30], "little")
    offset = info.header_offset + _LOCAL_HEADER + sum(lengths)
    check_place(path, offset, info.compress_size, info.filename, end)
    return offset
