# SPDX-License-Identifier: BSD-3-Clause
"""Objects of the caller's that read the data of images: from a database, a server, an archive."""

from __future__ import annotations

import contextlib
import operator
import os
import pickle
import threading
import weakref
from typing import Any, Protocol

#: The size of a source that is not known before it has been read.
UNKNOWN = 2**64 - 1


class Reader(Protocol):
    """What may stand in the place of a list of sources; the other methods that are looked for are optional.

    Attributes
    ----------
    thread_safe : bool, optional
        False: `read` is never called by two threads at once, and in order if there is nothing to decide otherwise.
    fork_safe : bool, optional
        True: a forked process uses it as it is. One that holds data in memory would copy it all by a pickle.
    """

    def __len__(self) -> int:
        """The number of images."""

    def read(self, index: int, /) -> Any:
        """The data of an image: a contiguous bytes-like object, which is copied and not kept."""


def is_reader(sources: Any) -> bool:
    """Whether an object reads images by itself, and is not a source: a mmap has both methods, too."""
    if not (callable(getattr(sources, "read", None)) and hasattr(sources, "__len__")):
        return False
    try:
        memoryview(sources)
    except TypeError:
        return True
    return False


_in_use: weakref.WeakValueDictionary[int, SourceReader] = weakref.WeakValueDictionary()  # by the reader's id


class SourceReader:
    """A reader of the caller's, made anew in every process.

    Parameters
    ----------
    reader : Reader
    """

    def __init__(self, reader: Any) -> None:
        self.alone = not getattr(reader, "thread_safe", True)
        # By process, with a lock that is only for calls that come from several lists of images at once.
        self._own: dict[int, tuple[Any, Any]] = {}
        self._adopt(reader)

    def _adopt(self, reader: Any) -> tuple[Any, Any]:
        """This process's reader and its lock; of threads that come here at once, the first one decides."""
        lock = threading.Lock() if self.alone else contextlib.nullcontext()
        pid = os.getpid()
        own = self._own.setdefault(pid, (reader, lock))
        for other in [each for each in list(self._own) if each != pid]:
            self._own.pop(other, None)
        self._reader = own[0]
        _in_use[id(own[0])] = self
        return own

    @classmethod
    def of(cls, reader: Any) -> SourceReader:
        """The one of this reader, if there is one already: lists that share a reader share its lock."""
        known = _in_use.get(id(reader))
        return cls(reader) if known is None or known._reader is not reader else known

    def __getstate__(self) -> Any:
        return self._reader

    def __setstate__(self, reader: Any) -> None:
        self.__init__(reader)  # type: ignore[misc]

    def __len__(self) -> int:
        return len(self._reader)

    def here(self) -> tuple[Any, Any]:
        """The reader of this process, and its lock."""
        own = self._own.get(os.getpid())
        if own is None:  # files, connections and locks are its parent's
            kept = getattr(self._reader, "fork_safe", False)
            own = self._adopt(self._reader if kept else pickle.loads(pickle.dumps(self._reader)))
        return own

    def nbytes(self, index: int) -> int:
        """The size of an image's data if the reader knows it, else UNKNOWN."""
        ask = getattr(self.here()[0], "nbytes", None)
        found = ask(index) if callable(ask) else -1
        try:
            size = operator.index(found)
        except TypeError:
            raise TypeError(f"{self.name(index)}: nbytes must be an integer, found {found!r}") from None
        return size if 0 <= size < UNKNOWN else UNKNOWN

    def name(self, index: int) -> str:
        """What errors call an image."""
        ask = getattr(self._reader, "name", None)
        with contextlib.suppress(Exception):  # what failed for other reasons should say those
            if callable(ask):
                return str(ask(index))
        return f"{type(self._reader).__name__}[{index}]"

    def read(self, index: int) -> Any:
        """The data of an image.

        Raises
        ------
        TypeError, ValueError
            If what the reader returns is not contiguous bytes.
        BaseException
            Whatever the reader raises.
        """
        reader, lock = self.here()
        with lock:
            data = reader.read(index)
        try:
            contiguous = memoryview(data).c_contiguous
        except TypeError:
            found = type(data).__name__
            raise TypeError(f"{self.name(index)}: expected a bytes-like object, found {found}") from None
        if not contiguous:
            raise ValueError(f"{self.name(index)}: expected contiguous bytes")
        return data
