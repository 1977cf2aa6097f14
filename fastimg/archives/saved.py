# SPDX-License-Identifier: BSD-3-Clause
"""The listing of an archive in a file beside it, ``ARCHIVE.index``: an ``.npz`` of plain arrays, not compressed.

The entries, with N for the number of regular files in the archive:

- ``fastimg_archive_index``: int64, the version, the number of entries, and of the archive the size in bytes and the
  time of the last change in nanoseconds
- ``names``: uint8, each name in UTF-8, then a null byte
- ``ranges``: uint64, (N, 2), offset and size
- ``archives``: uint32, (N,), which of several tar archives in the file; left out if there is one
- ``packed``: uint64, (N,), the bytes that the data of deflated members takes, 2**64 - 1 for others; left out if all are
  such
- ``crcs``: uint32, (N,), the CRC-32 of the data; left out if nothing is compressed
- ``codec``: uint8, text, how the archive as a whole is compressed, or empty; offsets are then those in the stream
- ``fault_positions``: int64, the files that cannot be read, and ``faults``: uint8, why, in the form of names
"""

from __future__ import annotations

import contextlib
import io
import os
import zipfile
from typing import Any

import numpy as np
import numpy.typing as npt

from fastimg.archives.listing import NOT_PACKED, Listing, pack_names, unpack_names
from fastimg.archives.streams import CODECS
from fastimg.packing import write_npz

_FORMAT = "fastimg_archive_index"
_VERSION = 1

#: The dtype of each entry, and the shape of what is kept per file (None: another number of entries).
_ENTRIES: dict[str, tuple[type[Any], tuple[int, ...] | None]] = {
    "names": (np.uint8, None),
    "ranges": (np.uint64, (2,)),
    "fault_positions": (np.int64, None),
    "faults": (np.uint8, None),
    "archives": (np.uint32, ()),
    "packed": (np.uint64, ()),
    "crcs": (np.uint32, ()),
    "codec": (np.uint8, None),
}
_OPTIONAL = ("archives", "packed", "crcs")

_Entries = dict[str, npt.NDArray[Any]]


def index_name(path: str) -> str:
    """The name of the index of an archive."""
    return f"{path}.index"


def read_index(path: str, archive: os.stat_result) -> Listing | None:
    """Read the index of an archive; returns None if there is none, or none of this version and of the archive as it is.

    Raises
    ------
    ValueError
        The file with its name is damaged, or something else.
    OSError
        It cannot be read.
    """
    name = index_name(path)
    try:
        with open(name, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        return None
    try:
        entries = _read_entries(content, archive)
        return None if entries is None else _make_listing(path, entries, archive.st_size)
    except MemoryError:
        raise
    except Exception as error:  # zipfile and NumPy raise many kinds
        raise ValueError(f"{name}: not an index of an archive, or damaged; remove it: {error}") from error


def write_index(listing: Listing, archive: os.stat_result) -> None:
    """Write the index of an archive, or leave everything as it was if that is not possible."""
    entries: dict[str, Any] = {
        "names": np.frombuffer(listing.names, np.uint8),
        "ranges": listing.ranges,
        "fault_positions": np.array(list(listing.faults), np.int64),
        "codec": np.frombuffer(listing.codec.encode(), np.uint8),
        "faults": np.frombuffer(pack_names(list(listing.faults.values())), np.uint8),
    }
    entries |= {key: getattr(listing, key) for key in _OPTIONAL if getattr(listing, key) is not None}
    entries[_FORMAT] = np.array([_VERSION, len(entries) + 1, archive.st_size, archive.st_mtime_ns])
    # Where the folder cannot be written, or the disk is full, the archive is listed again next time.
    with contextlib.suppress(OSError):
        write_npz(index_name(listing.path), entries)


def _read_entries(content: bytes, stat: os.stat_result) -> _Entries | None:
    with zipfile.ZipFile(io.BytesIO(content)) as infos:
        if any(info.compress_type or info.file_size > len(content) for info in infos.infolist()):
            raise ValueError("it is compressed")  # to any size
    archive = np.load(io.BytesIO(content), allow_pickle=False)
    if not isinstance(archive, np.lib.npyio.NpzFile) or _FORMAT not in archive.files:
        raise ValueError("it holds something else")
    with archive:
        version, count, *stamp = archive[_FORMAT].astype(np.int64, casting="safe").tolist()
        if version != _VERSION or stamp != [stat.st_size, stat.st_mtime_ns]:
            return None
        if len(archive.files) != count:
            raise ValueError(f"expected {count} entries, found {len(archive.files)}")
        return {key: archive[key] for key in archive.files}


def _make_listing(path: str, entries: _Entries, end: int) -> Listing:
    count = len(entries["ranges"])
    for name, (dtype, shape) in _ENTRIES.items():
        if name in _OPTIONAL and name not in entries:
            continue
        entry = entries[name]
        if entry.dtype != dtype or (entry.ndim != 1 if shape is None else entry.shape != (count, *shape)):
            raise ValueError(f"{name} of dtype {entry.dtype} and shape {entry.shape} for {count} files")
    names = entries["names"].tobytes()
    faults = unpack_names(entries["faults"].tobytes())
    positions = entries["fault_positions"].tolist()
    if len(unpack_names(names)) != count or names[-1:] not in (b"", b"\0") or len(faults) != len(positions):
        raise ValueError(f"{names.count(0)} names for {count} files")
    if not all(0 <= position < count for position in positions):
        raise ValueError(f"faults of files {positions}, expected {count} files")
    ranges, packed, crcs = entries["ranges"], entries.get("packed"), entries.get("crcs")
    codec = entries["codec"].tobytes().decode()
    if codec not in ("", *CODECS) or (crcs is None and (codec or packed is not None)):
        raise ValueError(f"codec {codec!r} and {'no ' if crcs is None else ''}CRCs")
    sizes = ranges[:, 1] if packed is None else np.where(packed == NOT_PACKED, ranges[:, 1], packed)
    if count and not codec and max(ranges[:, 0].max(), sizes.max(), (ranges[:, 0] + sizes).max()) > end:
        raise ValueError(f"files that do not end at byte {end} at the latest")
    return Listing(
        path,
        names,
        ranges,
        entries.get("archives"),
        dict(zip(positions, faults, strict=True)),
        packed,
        crcs,
        codec,
    )
