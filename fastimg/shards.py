# SPDX-License-Identifier: BSD-3-Clause
"""Shards: archives that hold each image with its label and metadata."""

from __future__ import annotations

import json
import os
import re
from typing import Any, BinaryIO, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from fastimg.archives import find_members, is_hidden, open_regular
from fastimg.folders import SUFFIXES
from fastimg.sources import FileRange

Sample: TypeAlias = dict[str, FileRange]  # keys are extensions, or IMAGE

IMAGE, LABEL, METADATA = "image", ".cls", ".json"

_INTEGER = re.compile(rb"\s*[+-]?[0-9]+\s*")
_LONGEST_INTEGER = 64  # bytes of a .cls file, white space included


class Shard(NamedTuple):
    """What a shard holds, sample by sample.

    Attributes
    ----------
    keys : list of str
        Names up to the first dot after the last slash.
    images : list of FileRange
        The image of each key.
    labels : int64 ndarray, (n,), or None
        What the ``.cls`` files say; None if there are none.
    metadata : list or None
        What the ``.json`` files hold, None for a key without one; None if there are none.
    """

    keys: list[str]
    images: list[FileRange]
    labels: npt.NDArray[np.int64] | None
    metadata: list[Any] | None


def read_shard(path: str | os.PathLike[str]) -> Shard:
    """List the samples of a shard: an archive where the files of a sample share a key, as in WebDataset.

    The key is the name up to the first dot after the last slash: ``train/0017.jpg``, ``train/0017.cls`` and
    ``train/0017.json`` are one sample, even with others in between. Files that are hidden or have no dot in their names
    belong to no sample; those with other endings (``0017.txt``) do, but are not read.

    Parameters
    ----------
    path : str or os.PathLike
        As for `archive_members`.

    Returns
    -------
    Shard
        keys, images, labels, metadata; keys in the order in which they first appear.

    Raises
    ------
    ValueError
        As for `archive_members`, for any member. A key has no image (``.jpg``, ``.jpeg``, ``.jpe``, ``.jfif``, in any
        case), or two files of a kind; a ``.cls`` is not an integer of 64 bits, or exists for some keys only; a
        ``.json`` cannot be parsed. The text names the file and the key.
    OSError
        The file cannot be read, or is not a regular file.
    TypeError
        `path` is not a str or a path of str.

    Examples
    --------
    >>> shard = fastimg.read_shard("train-0000.tar")
    >>> train_X, train_y = fastimg.ImageFileAccessor(shard.images, size=256), shard.labels
    """
    found = find_members(path, lambda name: "." in os.path.basename(name) and not is_hidden(name))
    samples = _group_by_key([member for _, member in found])
    for key, sample in samples.items():
        if IMAGE not in sample:
            raise ValueError(
                f"{os.fspath(path)}: key {key!r} has no image: expected one of {', '.join(SUFFIXES)}, "
                f"found {', '.join(sample)}"
            )
    with open_regular(os.fspath(path)) as file:
        labels = _read_labels(file, samples)
        metadata = _read_metadata(file, samples)
    return Shard(list(samples), [sample[IMAGE] for sample in samples.values()], labels, metadata)


def _group_by_key(members: list[FileRange]) -> dict[str, Sample]:
    samples: dict[str, Sample] = {}
    for member in members:
        key, extension = _split_key(member.name)
        kind = IMAGE if extension in SUFFIXES else extension
        other = samples.setdefault(key, {}).setdefault(kind, member)
        if other is not member and kind in (IMAGE, LABEL, METADATA):
            raise ValueError(
                f"{member.path}: key {key!r} has two files of a kind, {other.name} and {member.name}"
            )
    return samples


def _split_key(name: str) -> tuple[str, str]:
    """Split a name into its key and its extension, in lower case and with the dot."""
    folder, slash, base = name.rpartition("/")
    stem, _, extension = base.partition(".")
    return folder + slash + stem, "." + extension.lower()


def _read_labels(file: BinaryIO, samples: dict[str, Sample]) -> npt.NDArray[np.int64] | None:
    missing = [key for key, sample in samples.items() if LABEL not in sample]
    if len(missing) == len(samples):
        return None
    if missing:
        raise ValueError(
            f"{samples[missing[0]][IMAGE].path}: key {missing[0]!r} has no {LABEL}: "
            f"expected one for every key or none, found {len(samples) - len(missing)} for {len(samples)} keys"
        )
    return np.array([_read_label(file, key, sample[LABEL]) for key, sample in samples.items()], np.int64)


def _read_label(file: BinaryIO, key: str, source: FileRange) -> int:
    file.seek(source.offset)
    text = file.read(min(source.size, _LONGEST_INTEGER))
    label = int(text) if _INTEGER.fullmatch(text) and source.size <= _LONGEST_INTEGER else 2**63
    if not -(2**63) <= label < 2**63:
        raise ValueError(
            f"{source.path}: key {key!r}: {source.name} must be an integer of 64 bits, "
            f"found {text.decode('utf-8', 'replace')!r}"
        )
    return label


def _read_metadata(file: BinaryIO, samples: dict[str, Sample]) -> list[Any] | None:
    if not any(METADATA in sample for sample in samples.values()):
        return None
    return [
        _read_json(file, key, sample[METADATA]) if METADATA in sample else None
        for key, sample in samples.items()
    ]


def _read_json(file: BinaryIO, key: str, source: FileRange) -> Any:
    file.seek(source.offset)
    try:
        return json.loads(file.read(source.size))
    except (ValueError, RecursionError) as error:  # of its bytes, its syntax, its depth
        raise ValueError(f"{source.path}: key {key!r}: {source.name} must be JSON: {error}") from None
