# SPDX-License-Identifier: BSD-3-Clause
"""Errors that keep their `index` and `source` on the way out of a torch DataLoader's worker.

A DataLoader passes on an exception's class and the text of its traceback, and calls the class with that text. So in a
worker an error gets a note with its attributes, which the traceback ends in, and is of a class that reads the note.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

_MARK = "fastimg error: "


def worker_info() -> Any:
    """What a torch DataLoader tells a worker: its ``id`` of ``num_workers``, its ``seed``; None in other processes."""
    data = sys.modules.get("torch.utils.data")  # a worker has imported it
    return data.get_worker_info() if data else None


def add_note(error: BaseException, source: object, index: int | None) -> None:
    """Writes the attributes into a note, in a worker."""
    if worker_info() is None:
        return
    fields: dict[str, Any] = {"index": index, "source": source}
    if hasattr(source, "path"):
        kept: Any = source
        fields["source"] = [os.fspath(kept.path), kept.offset, kept.size, kept.name]
    elif isinstance(source, os.PathLike):
        fields["source"] = os.fspath(source)
    if isinstance(error, OSError):
        fields |= {"errno": error.errno, "strerror": error.strerror, "filename": error.filename}
    error.add_note(_MARK + json.dumps(fields, default=str))


def read_note(text: str) -> tuple[str, dict[str, Any]]:
    """Splits what a DataLoader makes of an error into the text without the note, and the note's attributes."""
    before, mark, after = text.rpartition("\n" + _MARK)
    line, newline, rest = after.partition("\n")
    try:
        fields = json.loads(line) if mark else {}
    except ValueError:
        return text, {}
    if isinstance(fields.get("source"), list):
        from fastimg.sources import FileRange

        fields["source"] = FileRange(*fields["source"])
    return (before + newline + rest if mark else text), fields


def _class_for_workers(base: type[Exception]) -> type[Exception]:
    """A subclass of `base` that can be made from what a DataLoader passes on."""

    def __init__(self: Any, *args: Any) -> None:
        fields: dict[str, Any] = {}
        if len(args) == 1 and isinstance(args[0], str):
            text, fields = read_note(args[0])
            args = (text,)
        base.__init__(self, *args)
        self.__dict__.update({"source": None, "index": None})
        for name, value in fields.items():
            setattr(self, name, value)

    def __str__(self: Any) -> str:
        # An OSError with a file name would show that instead of the text.
        return str(self.args[0]) if len(self.args) == 1 else base.__str__(self)

    members = {"__init__": __init__, "__str__": __str__, "__module__": __name__, "__doc__": base.__doc__}
    cls = type(base.__name__, (base,), members)
    cls.__qualname__ = f"_{base.__name__}"  # the name that it is pickled by
    globals()[cls.__qualname__] = cls
    return cls


_BASES: tuple[type[Exception], ...] = (
    ValueError,
    MemoryError,
    RuntimeError,
    OSError,
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
    TimeoutError,
)
_CLASSES = {base: _class_for_workers(base) for base in _BASES}


def locate(error: Exception, source: object, index: int | None) -> Exception:
    """Gives a builtin error its `source` and `index`; in a worker, also a class that a DataLoader's parent restores."""
    cls = _CLASSES.get(type(error))
    if cls is not None and worker_info() is not None:
        args = (error.errno, error.strerror, error.filename) if isinstance(error, OSError) else error.args
        error = cls(*args)
    add_note(error, source, index)
    # These classes do not take them as arguments; pickling keeps their __dict__.
    located: Any = error
    located.source = source
    located.index = index
    return error
