# SPDX-License-Identifier: BSD-3-Clause
"""Reads files through file systems of fsspec, in any thread of any process."""

from __future__ import annotations

import contextlib
import errno
import inspect
import os
import pickle
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastimg.packing import starts_of
from fastimg.wording import counted

_PASSWORD = re.compile(r"(?<=://)([^/@:]*):[^/@]*@")
_ERRNOS = (
    (FileNotFoundError, errno.ENOENT),
    (PermissionError, errno.EACCES),
    (IsADirectoryError, errno.EISDIR),
    (NotADirectoryError, errno.ENOTDIR),
    (TimeoutError, errno.ETIMEDOUT),
)


class Group(NamedTuple):
    """Files of one file system, whose URLs differ in the path alone."""

    system: FileSystem
    before: str
    after: str


class RemoteSources:
    """Files of file systems of fsspec, as `load` and the accessors read them.

    Paths are packed into one bytes object, without what all begin with.

    Parameters
    ----------
    paths : sequence of str
        As the file system has them.
    groups : list of Group
        Their file systems.
    members : ndarray of uint32, (N,), optional
        The group of each file, if there are several.
    sizes : ndarray of int64, (N,), optional
        The files' sizes in bytes, if they were listed.
    """

    def __init__(
        self,
        paths: Sequence[str],
        groups: list[Group],
        members: npt.NDArray[np.uint32] | None = None,
        sizes: npt.NDArray[np.int64] | None = None,
    ) -> None:
        # By characters, not by parts: it is only left out of memory.
        self._root = os.path.commonprefix([min(paths), max(paths)]) if paths else ""  # noqa: RUF071
        rest = "".join(path[len(self._root) :] + "\0" for path in paths)
        if rest.count("\0") > len(paths):
            raise ValueError("a URL cannot contain a null character")
        self._blob = rest.encode("utf-8", "surrogatepass")
        self._starts = starts_of(self._blob)
        self._groups = groups
        self._members = members
        self._sizes = sizes

    @property
    def thread_safe(self) -> bool:
        """Whether several threads may read. Archives are one open file each."""
        return all(group.system.thread_safe for group in self._groups)

    def __len__(self) -> int:
        return len(self._starts)

    def read(self, index: int) -> bytes:
        """Read one file.

        Parameters
        ----------
        index : int
            Its position.

        Returns
        -------
        bytes

        Raises
        ------
        OSError
            The file cannot be read, or has not the size that was listed; the URL is its `filename`. Errors that only
            the package of the file system knows become one, so that all pickle.
        """
        failed = None
        try:
            data = self._group(index).system.read(self._path(index))
        except MemoryError:
            raise
        except Exception as error:
            failed = portable_error(error, self.name(index))
        if failed is not None:
            raise failed  # alone: what it comes from need not pickle, and some libraries pickle that, too
        expected = self.nbytes(index)
        if expected not in (-1, len(data)):
            words = f"expected {expected} bytes, as listed, found {len(data)}"
            raise OSError(errno.EIO, words, self.name(index))
        return data

    def nbytes(self, index: int) -> int:
        """Return the size of a file in bytes as it was listed, -1 if it was not."""
        return -1 if self._sizes is None else int(self._sizes[index])

    def name(self, index: int) -> str:
        """Return the URL of a file, without a password."""
        group = self._group(index)
        return _PASSWORD.sub(r"\1:***@", group.before + self._path(index) + group.after)

    def _group(self, index: int) -> Group:
        return self._groups[0 if self._members is None else int(self._members[index])]

    def _path(self, index: int) -> str:
        start = int(self._starts[index])
        end = self._blob.index(b"\0", start)
        return self._root + self._blob[start:end].decode("utf-8", "surrogatepass")

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_starts"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._starts = starts_of(self._blob)

    def __repr__(self) -> str:
        first = f": {self.name(0)}" if len(self) else ""
        return f"<{type(self).__name__} of {counted(len(self), 'file')}{first}>"


class FileSystem:
    """A file system of fsspec that any thread of any process may use.

    An asynchronous one runs the requests of all threads on the event loop of fsspec's own thread. Others are not made
    for several threads, so there are as many instances as reads under way. Each process opens its own: another's
    sockets, files and event loop are of no use to it.

    Parameters
    ----------
    fs : fsspec.AbstractFileSystem
    """

    def __init__(self, fs: Any) -> None:
        from fsspec.archive import AbstractArchiveFileSystem

        self.thread_safe = not isinstance(fs, AbstractArchiveFileSystem)
        self._pickled = b""
        self._opened: _Opened | None = _open(fs)

    def read(self, path: str) -> bytes:
        opened = self._opened
        if opened is None or opened.pid != os.getpid():
            opened = self._opened = _open(pickle.loads(self._pickle()))
        if opened.idle is None:
            return bytes(opened.fs.cat_file(path, **opened.options))
        try:
            fs = opened.idle.pop()
        except IndexError:
            first = opened.fs
            fs = type(first)(*first.storage_args, **first.storage_options, skip_instance_cache=True)
        data = bytes(fs.cat_file(path))
        opened.idle.append(fs)  # not after an error: its connection may be lost
        return data

    def _pickle(self) -> bytes:
        return self._pickled if self._opened is None else pickle.dumps(self._opened.fs)

    def __getstate__(self) -> tuple[bytes, bool]:
        return self._pickle(), self.thread_safe

    def __setstate__(self, state: tuple[bytes, bool]) -> None:
        self._pickled, self.thread_safe = state
        self._opened = None  # until the first read


class _Opened(NamedTuple):
    """A file system in the process that opened it."""

    pid: int
    fs: Any
    options: dict[str, int]
    idle: list[Any] | None  # None: threads share `fs`


# A forked child must not collect its parent's clients: closing one there waits for a second for an event loop that has
# no thread, and can stop the parent's. fsspec keeps its instances for as long as a process lasts, too.
_kept: dict[int, Any] = {}


def _open(fs: Any) -> _Opened:
    from fsspec.implementations.cached import CachingFileSystem

    options: dict[str, int] = {}
    cache = isinstance(fs, CachingFileSystem)  # which has the attributes of what it caches
    if not fs.async_impl and not cache:
        return _Opened(os.getpid(), fs, options, [fs])
    _kept[id(fs)] = fs
    if not cache and "max_concurrency" in inspect.signature(fs._cat_file).parameters:
        options["max_concurrency"] = 1  # else s3fs asks for the size before it reads
    return _Opened(os.getpid(), fs, options, None)


def portable_error(error: Exception, url: str) -> OSError:
    """An OSError with the URL for any error: those of HTTP and S3 clients need not pickle, or tell the file."""
    code = next((number for cls, number in _ERRNOS if isinstance(error, cls)), 0)
    if getattr(error, "status", None) in (401, 403):
        code = errno.EACCES
    if isinstance(error, OSError) and error.errno and error.errno > 0:  # those of name servers are negative
        code = error.errno
    words = f"{type(error).__name__}: {error}"
    portable = OSError(code or errno.EIO, os.strerror(code) if code else words, url)
    if code:
        portable.add_note(words)
    return portable


@contextlib.contextmanager
def portable_errors(url: str) -> Iterator[None]:
    """Makes an OSError with the URL of every error."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        raise portable_error(error, url) from error
