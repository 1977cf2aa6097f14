# SPDX-License-Identifier: BSD-3-Clause
"""The journal of ``fastimg load``: who writes an array, of which images, and which rows are finished.

One JSON value per line: what the run is, its images, the shape, and from then on ranges of finished rows. A line that a
killed process wrote in part has no end, and does not count.
"""

import io
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

import fastimg
from fastimg.cli.inputs import Image, place_of
from fastimg.cli.output import partial_name
from fastimg.cli.words import complain
from fastimg.options import OPTIONS
from fastimg.working_files import open_locked, remove_own, working_name

_BEGINNING = b'{"fastimg": '


class Plan(NamedTuple):
    """All that decides what an array holds.

    Attributes
    ----------
    sources : sequence of Image
        The image of each row.
    options : dict
        Names and values as `fastimg.decode` has them.
    fallback : str or None
        As for `fastimg.load`.
    """

    sources: Sequence[Image]
    options: dict[str, Any]
    fallback: str | None = None

    def head(self) -> dict[str, Any]:
        """Return the versions and options, as JSON gives them back."""
        info = fastimg.build_info()
        options = {
            option.name: option.parse(option.name, self.options[option.name])
            if option.parse
            else self.options[option.name]
            for option in OPTIONS
        }
        if self.fallback:
            options["fallback"] = f"{self.fallback} {version(self.fallback)}"
        head = {
            "fastimg": info["version"],
            "libjpeg-turbo": info["libjpeg_turbo"],
            "images": len(self.sources),
            "options": options,
        }
        return dict(json.loads(json.dumps(head)))

    def lines(self) -> Iterator[bytes]:
        """Yield a line per image: its name, the file's size and last change in ns, and the range if it is a part."""
        last: str | None = None
        state: tuple[int | None, int | None] = (None, None)
        for source in self.sources:
            path, *where = (source,) if isinstance(source, str) else place_of(source)
            if path != last:  # the members of an archive come one after the other
                last, state = path, _state(path)
            yield _line([str(source), *state, *where])


class Record(NamedTuple):
    """What a journal says of a run.

    Attributes
    ----------
    shape : tuple of int
        The shape of the array.
    finished : ndarray of bool, (N,)
        The rows that hold their pixels.
    identity : list of int
        What `identity_of` gave for the array's file when it was about to be renamed; empty if it was not.
    """

    shape: tuple[int, ...]
    finished: npt.NDArray[np.bool_]
    identity: list[int]


class Journal:
    """The journal beside an array, locked from beginning to end: one process at a time writes the array.

    Parameters
    ----------
    npy : str
        The final name of the array.

    Raises
    ------
    OSError
        Another process has the lock (BlockingIOError), or the file cannot be made.
    ValueError
        The file of that name is no journal.
    """

    def __init__(self, npy: str) -> None:
        self.npy = npy
        self.path = working_name(npy, ".journal")
        descriptor, locked = open_locked(self.path, npy)
        self._file = io.FileIO(descriptor, "r+")
        if not locked:
            complain(f"warning: no locks in this folder: let no other process write {npy} at the same time")
        self._end = 0  # of the whole lines
        beginning = self._file.read(len(_BEGINNING))
        if not _BEGINNING.startswith(beginning):
            self.close()
            raise ValueError(f"{self.path}: not written by fastimg load, which needs this name: move it away")

    def read(self, plan: Plan) -> Record | None:
        """Read what the journal says of an earlier run.

        Parameters
        ----------
        plan : Plan
            What this run is.

        Returns
        -------
        Record or None
            None if no run came so far that a row could be finished.

        Raises
        ------
        ValueError
            The earlier run was another one, and the text says what has changed; or the journal is damaged.
        OSError
            The journal cannot be read.
        """
        self._file.seek(0)
        with open(self._file.fileno(), "rb", closefd=False) as file:
            head = _parse(file.readline())
            if head is None:
                return None
            self._check(_is_head(head))
            images = list(itertools.islice(file, head["images"]))
            begun = _parse(file.readline())
            if not isinstance(begun, dict):
                return None
            change = _changed_head(head, plan.head()) or _changed_image(images, plan.lines())
            if change:
                raise ValueError(
                    f"{partial_name(self.npy)} cannot be taken up: {change}. "
                    "Give what it was begun with, or begin anew without --resume"
                )
            self._check(_are_integers(begun.get("shape")))
            record = Record(tuple(begun["shape"]), np.zeros(head["images"], np.bool_), [])
            self._end = file.tell()
            while isinstance(value := _parse(line := file.readline()), dict):
                self._end += len(line)
                finished, ready = value.get("finished", []), value.get("ready", [])
                self._check(
                    isinstance(finished, list) and all(map(_is_range, finished)) and _are_integers(ready)
                )
                for start, stop in finished:
                    record.finished[start:stop] = True
                record.identity[:] = ready
        return record

    def _check(self, is_as_written: bool) -> None:
        if not is_as_written:
            raise ValueError(f"{self.path}: damaged; begin anew without --resume")

    def clear(self) -> None:
        """Forget the earlier run."""
        os.truncate(self._file.fileno(), 0)
        os.fsync(self._file.fileno())
        self._end = 0

    def is_empty(self) -> bool:
        """Return whether nothing has been written into it."""
        return os.fstat(self._file.fileno()).st_size == 0

    def begin(self, plan: Plan, shape: Sequence[int]) -> None:
        """Write what the run is, after `clear`; from now on rows can be finished.

        Parameters
        ----------
        plan : Plan
        shape : sequence of int
            The shape of the array, whose file has been made.

        Raises
        ------
        OSError
            The journal cannot be written.
        """
        head = (_line(value) for value in (plan.head(), {"shape": shape}))
        self._append(itertools.chain([next(head)], plan.lines(), head))

    def add_finished(self, ranges: Sequence[Sequence[int]]) -> None:
        """Write that rows are finished.

        Parameters
        ----------
        ranges : sequence of (start, stop)
            The rows, whose pixels are on the disk.

        Raises
        ------
        OSError
            The journal cannot be written.
        """
        self._append([_line({"finished": ranges})])

    def add_ready(self, identity: Sequence[int]) -> None:
        """Write that the array is complete, and about to be renamed.

        Parameters
        ----------
        identity : sequence of int
            What `identity_of` gives for its file.

        Raises
        ------
        OSError
            The journal cannot be written.
        """
        self._append([_line({"ready": identity})])

    def _append(self, lines: Iterable[bytes]) -> None:
        descriptor = self._file.fileno()
        os.truncate(descriptor, self._end)  # or the first line would continue one that was cut short
        self._file.seek(self._end)
        with open(descriptor, "wb", closefd=False) as file:
            file.writelines(lines)
        os.fsync(descriptor)
        self._end = self._file.tell()

    def remove(self) -> None:
        """Remove the file and give up the lock, in this order: nobody else may lock a file that is about to go."""
        remove_own(self._file.fileno(), self.path)
        self.close()

    def close(self) -> None:
        """Give up the lock and leave the file."""
        self._file.close()


def identity_of(path: str) -> list[int]:
    """Return what tells a file from others, and from itself before a change; renaming does not change it.

    Parameters
    ----------
    path : str

    Returns
    -------
    list of int
        Number, size and time of the last change.

    Raises
    ------
    OSError
        There is no such file.
    """
    state = os.lstat(path)
    return [state.st_ino, state.st_size, state.st_mtime_ns]


def _state(path: str | os.PathLike[str]) -> tuple[int | None, int | None]:
    """Return the size of a file and when it was changed; None for one that is not there."""
    try:
        state = os.stat(path)
    except (OSError, ValueError):
        return None, None
    return state.st_size, state.st_mtime_ns


def _line(value: Any) -> bytes:
    return json.dumps(value).encode("ascii") + b"\n"


def _parse(line: bytes) -> Any:
    """Return the value of a line, or None if it is not whole."""
    if not line.endswith(b"\n"):
        return None
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _is_head(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("options"), dict)
        and _are_integers([value.get("images")])
    )


def _is_range(value: Any) -> bool:
    return _are_integers(value) and len(value) == 2


def _are_integers(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and value >= 0 for value in values)


def _changed_head(then: dict[str, Any], now: dict[str, Any]) -> str:
    """Return the first difference that is not the images'."""
    for name in ("fastimg", "libjpeg-turbo"):
        if then.get(name) != now[name]:
            return f"it was begun with {name} {then.get(name)}, this is {now[name]}"
    for name in {**now["options"], **then["options"]}:
        value = now["options"].get(name)
        before = then["options"].get(name)
        if before != value:
            return f"option {name} was {json.dumps(before)}, is {json.dumps(value)}"
    return ""


def _changed_image(then: Sequence[bytes], now: Iterable[bytes]) -> str:
    """Return the first difference between the images of two runs."""
    for row, (before, after) in enumerate(itertools.zip_longest(then, now)):
        if before == after:
            continue
        if before is None or after is None:
            name, *_ = json.loads(before or after)
            return f"image {row}, {name}, is {'new' if before is None else 'gone from the list'}"
        name, *then_state = json.loads(before)
        new_name, *now_state = json.loads(after)
        if name != new_name:
            return f"image {row} was {name}, is {new_name}"
        for word, was, found in zip(("size", "mtime_ns"), then_state, now_state, strict=False):
            if was != found:
                return f"the {word} of image {row}, {name}, was {was}, is {found}"
        return f"image {row}, {name}, is at another place in its file"
    return ""
