# SPDX-License-Identifier: BSD-3-Clause
"""What `on_error` may be, and telling the caller of images that failed."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar

from fastimg._decode import MAX_UNREADABLE
from fastimg.errors import Failure, make_error
from fastimg.torch_errors import locate, worker_info
from fastimg.wording import counted, verb

OnError: TypeAlias = "Literal['raise', 'fill'] | Callable[[Exception], object]"
BatchOnError: TypeAlias = "Literal['drop'] | OnError"

_Error = TypeVar("_Error", bound=BaseException)

#: Differs in every process: that of a forked one by its pid, that of others by the number.
_NONCE = os.urandom(8)


def _process() -> tuple[bytes, int]:
    return _NONCE, os.getpid()


class ErrorCallback:
    """The caller's function for errors, which works in the process that it was given in.

    Parameters
    ----------
    function : callable (error)
    """

    def __init__(self, function: Callable[[Exception], object]) -> None:
        self.function = function
        self._process = _process()

    def __call__(self, error: Exception) -> None:
        """Calls the function; raises RuntimeError where what it does would be lost."""
        if worker_info() is not None or self._process != _process():
            refused = RuntimeError(
                "on_error is a callable, which works only in the process that was given it, and not in workers of a "
                "DataLoader: what it is told would be lost with the process. Use on_error='fill' and a mask "
                "(include_mask=True in batch_iterator, return_mask=True in load), or on_error='drop' in "
                "batch_iterator, which also work in workers. "
                f"The error: {error}"
            )
            raise locate(refused, getattr(error, "source", None), getattr(error, "index", None)) from error
        self.function(error)


def parse_on_error(on_error: Any, *, drop: bool = False) -> Any:
    """Checks `on_error`, where "drop" is known or not; a function comes back as an ErrorCallback.

    Raises
    ------
    ValueError, TypeError
        If it is something else.
    """
    if callable(on_error):
        return on_error if isinstance(on_error, ErrorCallback) else ErrorCallback(on_error)
    words = "'raise', 'fill', 'drop' or a callable" if drop else "'raise', 'fill' or a callable"
    if not isinstance(on_error, str):
        raise TypeError(f"on_error must be {words}, found {on_error!r}")
    if on_error == "drop" and not drop:
        raise ValueError(
            f"on_error must be {words}, found 'drop': load and accessors always give one image per source. "
            "ArrayDataSource.batch_iterator(on_error='drop') leaves samples out of all arrays of a batch"
        )
    if on_error not in ("raise", "fill", "drop"):
        raise ValueError(f"on_error must be {words}, found {on_error!r}")
    return on_error


class Streak:
    """Counts the images in a row that could not be read, through any number of batches."""

    def __init__(self) -> None:
        self._length = 0

    def add(self, positions: Iterable[int], count: int) -> int | None:
        """Adds a batch of `count` images, of which those at `positions`, in order, could not be read.

        Returns
        -------
        int or None
            The position at which there are too many for bad images.
        """
        last = -1
        for position in positions:
            self._length = self._length + 1 if position == last + 1 else 1
            if self._length >= MAX_UNREADABLE:
                return position
            last = position
        if last != count - 1:
            self._length = 0
        return None


def find_fault(failures: Sequence[Failure]) -> Failure | None:
    """The failure that ends a batch whatever `on_error` is, as that is for bad images."""
    for failure in failures:
        if failure.is_machine_fault:
            return failure
    unreadable = {failure.position: failure for failure in failures if failure.is_unreadable}
    position = Streak().add(unreadable, 0)
    return None if position is None else unreadable[position]


def fault_error(fault: Failure, source: object, index: int | None) -> BaseException:
    """The exception for what `find_fault` has found."""
    error = make_error(fault, source, index)
    return error if fault.is_machine_fault else with_streak_note(error)


def with_streak_note(error: _Error) -> _Error:
    """The same error, which says why that of one image ends a batch."""
    note = f"{MAX_UNREADABLE} images in a row could not be read, so this is raised whatever on_error is"
    if note not in getattr(error, "__notes__", ()):  # a reader may raise one object again and again
        error.add_note(note)
    return error


@dataclass(frozen=True)
class LoggedError:
    """The error of one image, and its index: a reader may raise one object for several images."""

    error: Any
    index: int
    is_unreadable: bool


class ErrorLog:
    """Keeps the errors of a batch until whoever reads it asks for them, in each thread its own.

    An accessor's `on_error` for the time of a batch iterator; `policy` is what the caller asked for.
    """

    def __init__(self, policy: Any) -> None:
        self.policy = policy
        self._local = threading.local()

    def begin(self) -> None:
        """Call it before a batch is read."""
        self._local.errors = []

    def add(self, error: Any, index: int, unreadable: bool) -> None:
        """Keeps the error of an image; `unreadable`: it says that the image could not be read."""
        errors = getattr(self._local, "errors", None)
        if errors is None:
            raise error  # from a thread that reads no batch: nobody would ask for it
        errors.append(LoggedError(error, index, unreadable))

    def take(self) -> list[LoggedError]:
        """What was added since `begin`."""
        errors: list[LoggedError] = self._local.errors
        self._local.errors = None
        return errors


class BatchErrors:
    """What failed in one batch.

    Attributes
    ----------
    samples, bad : int
        How many samples were read, and how many of them failed in one array or more.
    errors : list of (policy, Exception)
        By array, then by position.
    unreadable : dict of int to dict of int to Exception
        The errors of images that could not be read, by array and position.
    empty : bool
        Whether all samples were left out, so that there is no batch.
    """

    def __init__(self, samples: int) -> None:
        self.samples = samples
        self.bad = 0
        self.errors: list[tuple[Any, Exception]] = []
        self.unreadable: dict[int, dict[int, Exception]] = {}
        self.empty = False


class EpochErrors:
    """Tells the caller what failed in an epoch's batches: functions get every error, otherwise there is one warning.

    Parameters
    ----------
    samples : int
        How many there are: if so many are left out in a row, there is none that could be used.
    """

    def __init__(self, samples: int) -> None:
        self._limit = samples
        self._seen = 0
        self._left_out = 0  # in a row, up to the last batch
        self._streaks: dict[int, Streak] = {}  # by array
        self._warned = False
        self._lock = threading.Lock()  # threads may share an iterator

    def tell(self, found: BatchErrors) -> None:
        """Call it in the caller's thread, for every batch that is handed out, or left out as a whole.

        Raises
        ------
        Exception
            The batch's first error, if all samples have been left out; or that of an image that could not be read,
            if there are too many of these in a row.
        RuntimeError
            If a function raises StopIteration, which would end the caller's loop.
        """
        with self._lock:
            self._seen += found.samples
            self._left_out = self._left_out + found.samples if found.empty else 0
            self._reject_streaks(found)
            text = "" if self._warned else self._text(found)
            self._warned |= bool(text)
        for policy, error in found.errors:
            if callable(policy):
                try:
                    policy(error)
                except StopIteration as stop:
                    raise RuntimeError("on_error raised StopIteration") from stop
        if text:
            warn_caller(text)
        if found.empty and self._left_out >= self._limit:
            error = found.errors[0][1]
            error.add_note(
                f"none of {counted(self._left_out, 'sample')} in a row is good, so none is left of the batches"
            )
            raise error

    def _reject_streaks(self, found: BatchErrors) -> None:
        for array in self._streaks.keys() | found.unreadable.keys():
            errors = found.unreadable.get(array, {})
            position = self._streaks.setdefault(array, Streak()).add(errors, found.samples)
            if position is not None:
                raise with_streak_note(errors[position])

    def _text(self, found: BatchErrors) -> str:
        for policy, error in found.errors:
            if not callable(policy):
                fate = verb(found.bad, "is zeros", "are zeros")
                if policy == "drop":
                    fate = verb(found.bad, "was left out", "were left out")
                return (
                    f"{found.bad:,} of {counted(self._seen, 'sample')} so far failed and {fate}; the first: {error}. "
                    "There is one warning per epoch"
                )
        return ""


def warn_caller(message: str) -> None:
    """Issues a UserWarning at the line, outside of this package, that called it."""
    level, frame = 1, sys._getframe(0)
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == "fastimg":
        frame = frame.f_back
        level += 1
    warnings.warn(message, stacklevel=level)
