# SPDX-License-Identifier: BSD-3-Clause
"""What the files are that are no JPEG: HEIC, Git LFS pointers and others."""

import contextlib
import os
from collections import Counter
from collections.abc import Iterable

import fastimg
from fastimg.archives import open_regular
from fastimg.cli.inputs import Image
from fastimg.signatures import kind_of
from fastimg.sources import FileRange, ReaderItem
from fastimg.wording import counted

_HEAD = 128  # bytes, which tell all kinds

_PLURALS = {"Git LFS pointer": "Git LFS pointers"}  # the others are names of formats


def found_kind(source: Image) -> str:
    """Return "JPEG", the name of another kind, "empty", or "unknown" for data of no known kind or none at all."""
    head = _head(source)
    if head is None:
        return "unknown"
    return "JPEG" if head.startswith(b"\xff\xd8") else kind_of(head) or ("unknown" if head else "empty")


def _head(source: Image) -> bytes | None:
    with contextlib.suppress(OSError, fastimg.ImageError):
        if isinstance(source, ReaderItem):
            return bytes(source.read()[:_HEAD])
        path, offset, nbytes = source, 0, _HEAD
        if isinstance(source, FileRange):
            path, offset, nbytes = os.fsdecode(source.path), source.offset, min(_HEAD, source.size)
        assert isinstance(path, str)
        with open_regular(path) as file:
            file.seek(offset)
            return file.read(nbytes)
    return None


def describe_kinds(kinds: Iterable[str]) -> str:
    """Say how many files are of each kind: "3 HEIC, 1 Git LFS pointer"; empty if no kind is known."""
    counts = Counter(kind for kind in kinds if kind not in ("JPEG", "unknown"))
    order = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(counted(count, kind, _PLURALS.get(kind, kind)) for kind, count in order)
