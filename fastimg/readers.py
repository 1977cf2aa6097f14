# SPDX-License-Identifier: BSD-3-Clause
"""How far ahead of decoding files are read, and by how many threads."""

from __future__ import annotations

import re
from typing import Any, NamedTuple, TypeAlias

import fastimg._decode as _decode
from fastimg.options import parse_integer
from fastimg.threads import is_daemonic

ReadAhead: TypeAlias = "int | str"

READ_AHEAD = "64 MiB"

#: With the latency of a distant object store, more do not pay; and a data loader has several workers.
MAX_THREADS = 64
MAX_THREADS_OF_WORKER = 8

#: What is asked for beyond these counts for as much.
MOST_THREADS = 4096
_MOST = 2**62

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_UNITS |= {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(|[kmgt]i?)b?", re.IGNORECASE | re.ASCII)


class Reading(NamedTuple):
    """Options of reading, checked.

    Attributes
    ----------
    threads : int or None
        How many threads read; None: as many as decoding waits for.
    nbytes : int
        How much may have been read and not yet been decoded.
    """

    threads: int | None
    nbytes: int

    def start(self, by_caller: bool) -> _decode.Readers:
        """Readers for one call or one iterator; `by_caller`: some sources cannot be read without them."""
        if self.threads is not None:
            return _decode.Readers(self.nbytes, max(self.threads, int(by_caller)), False)
        return _decode.Readers(self.nbytes, MAX_THREADS_OF_WORKER if is_daemonic() else MAX_THREADS, True)


def parse_reading(read_threads: Any, read_ahead: Any) -> Reading:
    """Checks both options.

    Raises
    ------
    ValueError, TypeError
        If `read_threads` is not None or an integer of at least 0, or `read_ahead` not a number of bytes.
    """
    if read_threads is not None:
        read_threads = min(parse_integer("read_threads", read_threads, 0), MOST_THREADS)
    return Reading(read_threads, _parse_nbytes("read_ahead", read_ahead))


def _parse_nbytes(name: str, value: Any) -> int:
    if not isinstance(value, str):
        return min(parse_integer(name, value, 1), _MOST)
    match = _SIZE.fullmatch(value.strip())
    nbytes = float(match[1]) * _UNITS[match[2].lower()] if match else 0
    if nbytes < 1:
        raise ValueError(
            f"{name} must be a number of bytes, at least 1, such as 1000000 or '64 MiB', found {value!r}"
        )
    return int(min(nbytes, _MOST))


DEFAULT = parse_reading(None, READ_AHEAD)
