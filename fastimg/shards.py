# SPDX-License-Identifier: BSD-3-Clause
"""Shards: archives that hold each image with its label, caption and metadata, as WebDataset names them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from typing import Any, BinaryIO, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from fastimg.archives import find_members, open_regular
from fastimg.errors import JpegError
from fastimg.on_error import warn_caller
from fastimg.samples import (
    IMAGES,
    FieldNames,
    Fields,
    File,
    Sample,
    belongs_to_a_sample,
    choose_fields,
    group_by_key,
    list_fields,
    parse_fields,
)
from fastimg.sources import FileRange, ReaderItem
from fastimg.wording import counted, verb

OnError: TypeAlias = Literal["raise", "drop"] | Callable[[ValueError], object]
Labels: TypeAlias = npt.NDArray[np.int64] | npt.NDArray[np.object_]

_METADATA = ("json",)
_INTEGER = re.compile(r"[+-]?[0-9]+")
_LONGEST_INTEGER = 64  # characters; int() takes the square of the length
_MOST_SHOWN = 40  # characters of a label in an error


class Shard(NamedTuple):
    """What a shard holds, sample by sample.

    Attributes
    ----------
    keys : list of str
        Names up to the first dot after the last slash.
    images : list of FileRange
        The image of each key; a `ReaderItem` if it is compressed.
    labels : int64 ndarray or object ndarray, (n,), or None
        The labels, object if they are text (str); None if there are none.
    metadata : list or None
        What the ``.json`` files hold, None for a key without one; None if there are none.
    captions : list or None
        The captions (str), None for a key without one; None if there are none.

    Examples
    --------
    >>> shard = fastimg.read_shard("train-0000.tar")
    >>> shard.keys[0], int(shard.labels[0]), shard.metadata[0], shard.captions
    ('000', 0, {'kind': 'cat'}, None)
    """

    keys: list[str]
    images: list[FileRange | ReaderItem]
    labels: Labels | None
    metadata: list[Any] | None
    captions: list[str | None] | None


def read_shard(
    path: str | os.PathLike[str],
    *,
    image: FieldNames = None,
    label: FieldNames = None,
    caption: FieldNames = None,
    on_error: OnError = "raise",
    index: bool = False,
) -> Shard:
    """List the samples of a shard: an archive where the files of a sample share a key, as in WebDataset.

    The key is the name up to the first dot after the last slash, and what follows that dot is the field, in lower case:
    ``train/0017.jpg``, ``train/0017.seg.jpg`` and ``train/0017.cls`` are the fields ``jpg``, ``seg.jpg`` and ``cls`` of
    one sample, even with others in between. Files that are hidden, have no dot in their names, or are named or lie in a
    top folder named ``__...__`` belong to no sample. Fields that are not asked for are not read.

    `image`, `label` and `caption` name fields, as ``"jpg"``, or as alternatives of which the first that a sample has
    counts: ``"jpg;jpeg"`` or ``["jpg", "jpeg"]``. ``label=()`` and ``caption=()`` read none.

    Parameters
    ----------
    path : str or os.PathLike
        As for `archive_members`. A sample is never made of files of two tar archives, so keys may repeat if the file
        holds several.
    image : str or iterable of str, optional
        The image. By default ``jpg``, ``jpeg``, ``jpe`` or ``jfif``; if no sample has any of them, the field that ends
        in one of them (``input.jpg``), which must be the only one.
    label : str or iterable of str, optional
        The label, which every sample must have: an integer, or else text (a class name). By default ``cls``, if there
        are any.
    caption : str or iterable of str, optional
        The caption, text that is not changed. By default ``txt``. Some sample must have it if it is named.
    on_error : "raise", "drop" or callable
        What to do about a sample that cannot be read: raise its error, or leave it out, with one warning for all
        (``"drop"``) or a call with each error. A key without an image, such as one of ``0017.png`` or ``README.md``, is
        left out with that warning under ``"raise"``, too, unless there are no others.
    index : bool
        Whether to keep the listing of the archive beside it, as for `archive_members`.

    Returns
    -------
    Shard
        Keys in the order in which they first appear, and their images, labels, metadata and captions.

    Raises
    ------
    ValueError
        As for `archive_members`, for any member. With ``on_error="raise"``: a key has two files of one field; a label
        is missing, not UTF-8, empty, an integer of more than 64 bits, or text where most are integers (or the other way
        round); a caption is not UTF-8; a ``.json`` cannot be parsed; no key has an image. In any case: several fields
        may be the image, and `image` does not say which; no key has the field that `caption` names; an argument is
        unknown. The text names the file and the key.
    OSError
        The file cannot be read, or is not a regular file.
    TypeError
        `path` is not a str or a path of str, or another argument is of the wrong type.

    Warns
    -----
    UserWarning
        Samples were left out, and no callable was told.

    Examples
    --------
    >>> shard = fastimg.read_shard("train-0000.tar")
    >>> train_X = fastimg.ImageFileAccessor(shard.images, size=64)
    >>> train_X.shape, shard.labels.shape
    ((72, 3, 64, 64), (72,))
    """
    faults = _Faults(os.fspath(path), on_error)
    named = [parse_fields(*item) for item in (("image", image), ("label", label), ("caption", caption))]
    if named[0] == ():
        raise ValueError("image must name a field, found none")
    samples = group_by_key(find_members(path, belongs_to_a_sample, index))
    fields = choose_fields(faults.shard, samples, *named)
    usable = [sample for sample in samples if _has_image(sample, fields.image, faults)]
    if samples and not usable:
        faults.stop()
    with open_regular(faults.shard) as file:
        rows = _read_rows(_Data(file, usable, fields), usable, fields, faults)
    faults.warn(len(samples))
    return _make_shard(rows)


# ---- what is read


class _Faults:
    """Samples that cannot be used, and what becomes of them."""

    def __init__(self, shard: str, on_error: Any) -> None:
        if not callable(on_error):
            if not isinstance(on_error, str):
                raise TypeError(f"on_error must be 'raise', 'drop' or a callable, found {on_error!r}")
            if on_error not in ("raise", "drop"):
                raise ValueError(f"on_error must be 'raise', 'drop' or a callable, found {on_error!r}")
        self.shard = shard
        self._on_error = on_error
        self._dropped = 0
        self._first: ValueError | None = None

    def add(self, sample: Sample, text: str, forgiven: bool = False) -> None:
        """A sample is faulty: `text` follows its key. One that is forgiven is never raised."""
        error = ValueError(f"{self.shard}: key {sample.key!r}{text}")
        if callable(self._on_error):
            self._on_error(error)
            return
        if self._on_error == "raise" and not forgiven:
            raise error
        self._dropped += 1
        self._first = self._first or error

    def stop(self) -> None:
        """No sample is left: raise the first error, if errors are raised."""
        if self._on_error == "raise" and self._first:
            raise self._first

    def warn(self, total: int) -> None:
        if self._dropped:
            warn_caller(
                f"{self._dropped:,} of {counted(total, 'key')} {verb(self._dropped, 'is', 'are')} left out; "
                f"the first: {self._first}"
            )


class _Row(NamedTuple):
    sample: Sample
    image: FileRange | ReaderItem
    label: Any  # int or str; None if labels are not read
    caption: str | None
    metadata: Any


class _UnreadableError(Exception):
    """Why a file of a sample cannot be read, with its name."""


def _has_image(sample: Sample, fields: tuple[str, ...], faults: _Faults) -> bool:
    if sample.find(fields):
        return True
    expected = list_fields(fields or IMAGES)
    text = f" has no image: expected one of {expected}, found {sample.list_fields()}"
    faults.add(sample, text, forgiven=True)
    return False


def _read_rows(data: _Data, samples: list[Sample], fields: Fields, faults: _Faults) -> list[_Row]:
    rows = []
    labelled = sum(sample.find(fields.label) is not None for sample in samples)
    for sample in samples:
        if sample.repeated:
            one, other = sample.repeated
            faults.add(sample, f" has two files of a kind, {one.name} and {other.name}")
        elif fields.label and not sample.find(fields.label):
            faults.add(
                sample,
                f" has no {list_fields(fields.label)}: expected a label for every key, "
                f"found {labelled} for {len(samples)} keys",
            )
        else:
            try:
                rows.append(_read_row(data, sample, fields))
            except _UnreadableError as error:
                faults.add(sample, f": {error}")
    return _of_one_kind(rows, fields, faults)


def _read_row(data: _Data, sample: Sample, fields: Fields) -> _Row:
    image: Any = sample.find(fields.image)
    label, caption, metadata = map(sample.find, (fields.label, fields.caption, _METADATA))
    return _Row(
        sample,
        image.source,
        _read_label(data, label) if label else None,
        _read_text(data, caption) if caption else None,
        _read_json(data, metadata) if metadata else None,
    )


def _of_one_kind(rows: list[_Row], fields: Fields, faults: _Faults) -> list[_Row]:
    """The rows whose labels are what most are: integers or text."""
    numbers = sum(isinstance(row.label, int) for row in rows)
    kind, words = (int, "an integer") if 2 * numbers >= len(rows) else (str, "text")
    kept = []
    for row in rows:
        if row.label is None or isinstance(row.label, kind):
            kept.append(row)
        else:
            file = row.sample.find(fields.label)
            assert file
            faults.add(
                row.sample, f": {file.name} must be {words}, as most labels are, found {_shorten(row.label)}"
            )
    return kept


def _make_shard(rows: list[_Row]) -> Shard:
    labels: Labels | None = None
    if rows and rows[0].label is not None:
        labels = np.empty(len(rows), np.int64 if isinstance(rows[0].label, int) else object)
        labels[:] = [row.label for row in rows]
    captions, metadata = [row.caption for row in rows], [row.metadata for row in rows]
    return Shard(
        [row.sample.key for row in rows],
        [row.image for row in rows],
        labels,
        metadata if any(row.sample.find(_METADATA) for row in rows) else None,
        captions if any(caption is not None for caption in captions) else None,
    )


# ---- one file


class _Data:
    """The content of the files of samples, but for images.

    Parameters
    ----------
    shard : binary file
    samples : list of Sample
    fields : Fields
        What is asked for. From a stream, all of it is read at once, in its order, as going back takes long.
    """

    def __init__(self, shard: BinaryIO, samples: list[Sample], fields: Fields) -> None:
        self._shard = shard
        self._kept: dict[ReaderItem, bytes | JpegError] = {}
        found = [
            sample.find(each) for sample in samples for each in (fields.label, fields.caption, _METADATA)
        ]
        items = {file.source for file in found if file and isinstance(file.source, ReaderItem)}
        if items and not next(iter(items)).reader.thread_safe:
            for item in sorted(items, key=lambda item: item.index):
                self._kept[item] = _read_item(item)

    def read(self, file: File) -> bytes:
        source = file.source
        if isinstance(source, FileRange):
            self._shard.seek(source.offset)
            return self._shard.read(source.size)
        content = self._kept[source] if source in self._kept else _read_item(source)
        if isinstance(content, JpegError):
            raise _UnreadableError(f"{file.name} cannot be read: {content}")
        return content


def _read_item(item: ReaderItem) -> bytes | JpegError:
    try:
        return bytes(item.read())
    except JpegError as error:
        return error


def _read_label(data: _Data, file: File) -> int | str:
    """An integer, or text without the white space around it."""
    value = _read_value(data, file)
    label = value.strip() if isinstance(value, str) else value
    if isinstance(label, str) and label:
        if not _INTEGER.fullmatch(label):
            return label
        if len(label) <= _LONGEST_INTEGER:
            label = int(label)
    if type(label) is not int or not -(2**63) <= label < 2**63:  # bool is an int, too
        raise _UnreadableError(
            f"{file.name} must be an integer of 64 bits or UTF-8 text, found {_shorten(value)}"
        )
    return label


def _read_text(data: _Data, file: File) -> str:
    value = _read_value(data, file)
    if not isinstance(value, str):
        raise _UnreadableError(f"{file.name} must be UTF-8 text, found {_shorten(value)}")
    return value


def _read_value(data: _Data, file: File) -> Any:
    """What JSON stands for, text as it is, or else bytes."""
    if file.name.lower().endswith(".json"):
        return _read_json(data, file)
    content = data.read(file)
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content


def _read_json(data: _Data, file: File) -> Any:
    content = data.read(file)
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:  # of its bytes, its syntax, its depth
        raise _UnreadableError(f"{file.name} must be JSON: {error}") from None


def _shorten(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= _MOST_SHOWN else shown[:_MOST_SHOWN] + "..."
