# SPDX-License-Identifier: BSD-3-Clause
"""Files on which a process works until they are complete: their names, and locks that end with the process."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from fastimg.descriptors import open_movable

fcntl: Any
msvcrt: Any
try:
    import fcntl
except ImportError:
    fcntl = None
try:
    import msvcrt
except ImportError:  # not Windows
    msvcrt = None

#: How long a new file waits for another process that makes one of the same name.
WAIT_SECONDS = 10.0

_LONGEST_NAME = 255  # bytes, on nearly all file systems
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP)  # Lustre, unless told
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_LOCKED_BYTE = 2**62  # on Windows, where nobody could read or write it: no file is so long


def working_name(path: str, suffix: str) -> str:
    """Return the name of a file that exists only while another is written.

    Parameters
    ----------
    path : str
        The other file.
    suffix : str
        What is added to its name.

    Returns
    -------
    str
        In the same folder, and always the same. If it would be too long, a hash takes the place of the name.
    """
    folder, name = os.path.split(path)
    if len(os.fsencode(name + suffix)) > _LONGEST_NAME:
        name = ".fastimg-" + hashlib.sha256(os.fsencode(name)).hexdigest()[:32]
    return os.path.join(folder, name + suffix)


def open_working(path: str, flags: int) -> int:
    """Return a descriptor of a regular file, for reading and writing; a symbolic link is none.

    Raises
    ------
    OSError
        The file cannot be opened, or is of another kind.
    """
    descriptor = open_movable(path, os.O_RDWR | _NOFOLLOW | flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", path)
    return descriptor


def open_locked(path: str, name: str) -> tuple[int, bool]:
    """Open a file, made if need be, on which no other process works.

    Parameters
    ----------
    path : str
    name : str
        The file that is written, in errors.

    Returns
    -------
    descriptor : int
        To close it is to give up the lock; so is the end of the process, however it ends.
    locked : bool
        False: the system or the file system has no locks, and another process may have the file open.

    Raises
    ------
    BlockingIOError
        Another process has the lock.
    OSError
        The file cannot be opened.
    """
    while True:
        descriptor = open_working(path, os.O_CREAT)
        try:
            locked = _lock(descriptor, name)
            if os.path.samestat(os.fstat(descriptor), os.lstat(path)):
                return descriptor, locked
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its owner removed it between the two calls


def _lock(descriptor: int, name: str) -> bool:
    if fcntl is None and msvcrt is None:
        return False
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            os.lseek(descriptor, 0, os.SEEK_SET)
    except (BlockingIOError, PermissionError):  # the latter on SMB, and on Windows
        raise BlockingIOError(errno.EAGAIN, "another process is writing this file", name) from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return False
    return True


def remove_own(descriptor: int, path: str) -> None:
    """Remove a file that this process holds open and locked, unless its name is another's by now."""
    with contextlib.suppress(FileNotFoundError):
        if os.path.samestat(os.fstat(descriptor), os.lstat(path)):
            os.unlink(path)


@contextlib.contextmanager
def new_file(path: str, name: str, unmap: Callable[[], object] = int) -> Iterator[BinaryIO]:
    """Open a new file, which becomes `path` at the end of the block, or is removed if that is left by an error.

    Until then it is ``NAME.fastimg.partial`` in the same folder, under a lock. What a killed process left of that name
    is removed first. Without locks nobody could tell: then its name is one that no other process uses.

    Parameters
    ----------
    path : str
    name : str
        The file's name in errors.
    unmap : callable () -> None, optional
        Called before the file is removed. Nothing may map it from then on: Windows removes no file that is mapped.

    Raises
    ------
    BlockingIOError
        Another process makes a file of this name, and did not end in time.
    OSError
        The file cannot be written.
    """
    try:
        descriptor, partial = _open_new(path, name)
        with open(descriptor, "r+b") as file:
            try:
                yield file
                file.flush()
                os.replace(partial, path)  # while it is locked
            except BaseException:
                unmap()
                with contextlib.suppress(OSError):
                    remove_own(descriptor, partial)
                raise
    except OSError as error:  # not with the name that nobody has asked for
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, name) from None


def write_whole(path: str, data: bytes) -> None:
    """Write a file that has its name only when it is complete, and on the disk.

    Parameters
    ----------
    path : str
        A file of that name is replaced.
    data : bytes

    Raises
    ------
    OSError
        The file cannot be written; it names the file.
    """
    with new_file(path, path) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _open_new(path: str, name: str) -> tuple[int, str]:
    """An empty file, and its name."""
    partial = working_name(path, ".fastimg.partial")
    end = time.monotonic() + WAIT_SECONDS
    locked = True
    while locked:
        try:
            descriptor, locked = open_locked(partial, name)
        except BlockingIOError:
            if time.monotonic() > end:
                raise
            time.sleep(0.01)
            continue
        except OSError:  # not to be opened, such as another user's
            break
        empty = os.fstat(descriptor).st_size == 0
        if locked and empty:
            return descriptor, partial
        try:
            if locked or empty:
                remove_own(descriptor, partial)
        except OSError:
            break
        finally:
            os.close(descriptor)
    partial = working_name(path, f".{os.urandom(8).hex()}.fastimg.partial")
    return open_working(partial, os.O_CREAT | os.O_EXCL), partial
