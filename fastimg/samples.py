# SPDX-License-Identifier: BSD-3-Clause
"""Samples of a shard: which files share a key, and which of their fields count."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterable
from itertools import repeat
from typing import Any, NamedTuple, TypeAlias

from fastimg.archives import ArchiveMembers, is_hidden
from fastimg.folders import SUFFIXES
from fastimg.sources import FileRange, ReaderItem

FieldNames: TypeAlias = str | Iterable[str] | None

IMAGES = tuple(suffix.removeprefix(".") for suffix in SUFFIXES)
_LABEL, _CAPTION = ("cls",), ("txt",)
_META = re.compile(r"__[^/]*__(/|$)")  # WebDataset's own files and folders


# ---- which files are a sample


class File(NamedTuple):
    """A file of a sample."""

    name: str
    source: FileRange | ReaderItem


@dataclasses.dataclass(slots=True)
class Sample:
    """The files of one key."""

    key: str
    files: dict[str, File]  # by field
    repeated: tuple[File, File] | None = None  # two files of one field

    def find(self, fields: Iterable[str]) -> File | None:
        """The first of the fields that the sample has."""
        return next((self.files[field] for field in fields if field in self.files), None)

    def list_fields(self) -> str:
        return list_fields(self.files)


def list_fields(fields: Iterable[str]) -> str:
    return ", ".join(f".{field}" for field in fields)


def belongs_to_a_sample(name: str) -> bool:
    return "." in os.path.basename(name) and not is_hidden(name) and not _META.match(name)


def group_by_key(members: ArchiveMembers) -> list[Sample]:
    samples: dict[tuple[int, str], Sample] = {}
    archives = repeat(0) if members.archives is None else members.archives.tolist()
    for number, file in zip(archives, map(File, members.names, members), strict=False):
        key, field = split_key(file.name)
        sample = samples.get((number, key))
        if sample is None:
            sample = samples[number, key] = Sample(key, {})
        other = sample.files.setdefault(field, file)
        if other is not file:
            sample.repeated = other, file
    return list(samples.values())


def split_key(name: str) -> tuple[str, str]:
    """Split a name into its key and its field, in lower case."""
    folder, slash, base = name.rpartition("/")
    stem, _, field = base.partition(".")
    return folder + slash + stem, field.lower()


# ---- which fields count


class Fields(NamedTuple):
    """Names of fields: the first one that a sample has counts."""

    image: tuple[str, ...]
    label: tuple[str, ...]
    caption: tuple[str, ...]


def parse_fields(name: str, value: Any) -> tuple[str, ...] | None:
    """Check the fields that an argument names; None if it names none and leaves the choice to `choose_fields`."""
    if value is None:
        return None
    fields = value.split(";") if isinstance(value, str) else value
    if isinstance(fields, bytes | bytearray) or not isinstance(fields, Iterable):
        raise TypeError(f"{name} must be a str or an iterable of str, found {value!r}")
    parsed = []
    for field in fields:
        if not isinstance(field, str):
            raise TypeError(f"{name} must be a str or an iterable of str, found one {type(field).__name__}")
        parsed.append(field.strip().removeprefix(".").lower())
        if not parsed[-1]:
            raise ValueError(f"{name} must name fields, such as 'jpg' or 'jpg;jpeg', found {field!r}")
    return tuple(parsed)


def choose_fields(
    shard: str,
    samples: list[Sample],
    image: tuple[str, ...] | None,
    label: tuple[str, ...] | None,
    caption: tuple[str, ...] | None,
) -> Fields:
    """Choose the fields that are not named from those that there are."""
    if image is None:
        image = _find_image_fields(shard, samples)
    with_image = [sample for sample in samples if sample.find(image)]
    if label is None:
        label = _LABEL if any(sample.find(_LABEL) for sample in with_image) else ()
    if caption is None:
        caption = _CAPTION
    elif caption and with_image and not any(sample.find(caption) for sample in with_image):
        raise ValueError(
            f"{shard}: no key has the caption: expected one of {list_fields(caption)}, "
            f"key {with_image[0].key!r} has {with_image[0].list_fields()}"
        )
    return Fields(image, label, caption)


def _find_image_fields(shard: str, samples: list[Sample]) -> tuple[str, ...]:
    """The fields that are the image if none is named; no sample has two of them."""
    fields = IMAGES
    if not any(sample.find(IMAGES) for sample in samples):
        fields = tuple(dict.fromkeys(f for sample in samples for f in sample.files if f.endswith(SUFFIXES)))
    for sample in samples:
        own = [field for field in fields if field in sample.files]
        if len(own) > 1:
            raise ValueError(
                f"{shard}: key {sample.key!r} has more than one image, "
                f"{' and '.join(sample.files[field].name for field in own)}: say which, as image={own[0]!r}"
            )
    if fields is not IMAGES and len(fields) > 1:  # a sample may have lost one, and the next the other
        one, other = (next(sample for sample in samples if field in sample.files) for field in fields[:2])
        raise ValueError(
            f"{shard}: key {one.key!r} has the image .{fields[0]}, and key {other.key!r} has .{fields[1]}: "
            f"say which, as image={fields[0]!r}, or image={';'.join(fields)!r} for the first that there is"
        )
    return fields
