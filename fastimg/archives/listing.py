# SPDX-License-Identifier: BSD-3-Clause
"""What an archive holds, in columns."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

NOT_PACKED = 2**64 - 1
_MOST_UNPACKED = 4096  # names that are kept as str


@dataclasses.dataclass(slots=True)
class Listing:
    """The regular files of an archive, or some of them.

    Attributes
    ----------
    path : str
        The archive.
    names : bytes
        The name of each, in UTF-8 (surrogates too), followed by a null byte.
    ranges : ndarray of uint64, (N, 2)
        Offset and size of the data.
    archives : ndarray of uint32, (N,), or None
        The number of the tar archive that holds it, if several follow one another in a file.
    faults : dict of int to str
        Why a member cannot be read, by position.
    packed : ndarray of uint64, (N,), or None
        The bytes that the data of each deflated member takes; NOT_PACKED for others. None: there are none.
    crcs : ndarray of uint32, (N,), or None
        The CRC-32 of the data of each, if some are compressed.
    codec : str
        How the archive as a whole is compressed, or empty. Offsets are those in the decompressed stream.
    """

    path: str
    names: bytes
    ranges: npt.NDArray[np.uint64]
    archives: npt.NDArray[np.uint32] | None
    faults: dict[int, str]
    packed: npt.NDArray[np.uint64] | None = None
    crcs: npt.NDArray[np.uint32] | None = None
    codec: str = ""

    def __len__(self) -> int:
        return len(self.ranges)

    def select(self, wanted: Callable[[str], bool]) -> Listing:
        """The members with wanted names."""
        names = unpack_names(self.names)
        kept = [i for i, name in enumerate(names) if wanted(name)]
        if len(kept) == len(names):
            return self
        place = {old: new for new, old in enumerate(kept)}
        return Listing(
            self.path,
            pack_names([names[i] for i in kept]),
            self.ranges[kept],
            None if self.archives is None else self.archives[kept],
            {place[i]: text for i, text in self.faults.items() if i in place},
            None if self.packed is None else self.packed[kept],
            None if self.crcs is None else self.crcs[kept],
            self.codec,
        )

    def raise_fault(self) -> None:
        """Raise a ValueError for the first member that cannot be read, if there is one."""
        if self.faults:
            raise ValueError(f"{self.path}: {self.faults[min(self.faults)]}")


class ListingBuilder:
    """Collects members one by one."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._rows: list[tuple[str, int, int]] = []
        self._names: list[bytes] = []
        self._ranges: list[npt.NDArray[np.uint64]] = []
        self._starts: list[int] = []  # of archives
        self._faults: dict[int, str] = {}
        self._done = 0
        self._packed: dict[int, tuple[int, int]] = {}

    def begin_archive(self) -> None:
        """The members to follow are in another tar archive."""
        self._starts.append(self._done + len(self._rows))

    def add(self, name: str, offset: int, size: int) -> None:
        """Add a member."""
        rows = self._rows
        rows.append((name, offset, size))
        if len(rows) == _MOST_UNPACKED:
            self._pack()

    def add_fault(self, text: str) -> None:
        """Say why the last member cannot be read, after its archive's name."""
        self._faults[self._done + len(self._rows) - 1] = text

    def add_packed(self, nbytes: int, crc: int) -> None:
        """The data of the last member is deflated."""
        self._packed[self._done + len(self._rows) - 1] = nbytes, crc

    def _pack(self) -> None:
        self._names.append(pack_names([name for name, _, _ in self._rows]))
        self._ranges.append(np.array([row[1:] for row in self._rows], np.uint64).reshape(-1, 2))
        self._done += len(self._rows)
        self._rows.clear()

    def finish(self) -> Listing:
        self._pack()
        archives = None
        if len(self._starts) > 1:
            archives = np.repeat(
                np.arange(len(self._starts), dtype=np.uint32), np.diff([*self._starts, self._done])
            )
        listing = Listing(
            self._path, b"".join(self._names), np.concatenate(self._ranges), archives, self._faults
        )
        if self._packed:
            where, columns = list(self._packed), list(self._packed.values())
            listing.packed = np.full(len(listing), NOT_PACKED, np.uint64)
            listing.crcs = np.zeros(len(listing), np.uint32)
            listing.packed[where] = [nbytes for nbytes, _ in columns]
            listing.crcs[where] = [crc for _, crc in columns]
        return listing


def pack_names(names: list[str]) -> bytes:
    """The names, each followed by a null byte."""
    return "\0".join([*names, ""]).encode("utf-8", "surrogatepass")


def unpack_names(packed: bytes) -> list[str]:
    return packed.decode("utf-8", "surrogatepass").split("\0")[:-1]
