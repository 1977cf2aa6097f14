# SPDX-License-Identifier: BSD-3-Clause
"""Descriptors of files, where systems differ: Windows has no ``os.pread``, and lets no open file be renamed."""

from __future__ import annotations

import os
import sys

#: What keeps `os.open` from waiting for the writer of a FIFO. Windows has no FIFOs among its files.
NONBLOCK = getattr(os, "O_NONBLOCK", 0)

#: How a file is opened for reading: its bytes as they are, and not for the programs that this process starts.
READ_ONLY = os.O_RDONLY | NONBLOCK | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def read_at(descriptor: int, size: int, offset: int) -> bytes:
    """Read at a place in a file, as ``os.pread`` does. Without it no other thread may use the descriptor meanwhile.

    Parameters
    ----------
    descriptor : int
        Its own place in the file does not change.
    size, offset : int
        In bytes.

    Returns
    -------
    bytes
        No more than `size`, and fewer at the end of the file.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    if hasattr(os, "pread"):
        data: bytes = os.pread(descriptor, size, offset)
        return data
    before = os.lseek(descriptor, 0, os.SEEK_CUR)
    try:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.read(descriptor, size)
    finally:
        os.lseek(descriptor, before, os.SEEK_SET)


def open_movable(path: str, flags: int) -> int:
    """Open a file as ``os.open`` does, which may be renamed and removed while it is open, on Windows as elsewhere.

    Parameters
    ----------
    path : str
    flags : int
        ``os.O_RDWR``, and perhaps ``os.O_CREAT`` and ``os.O_EXCL``.

    Returns
    -------
    int
        The descriptor.

    Raises
    ------
    OSError
        The file cannot be opened.
    """
    if sys.platform != "win32":
        return os.open(path, flags, 0o666)
    import _winapi
    import msvcrt

    create_new, open_existing, open_always, share_all, normal = 1, 3, 4, 7, 0x80
    created = create_new if flags & os.O_EXCL else open_always
    disposition = created if flags & os.O_CREAT else open_existing
    access = _winapi.GENERIC_READ | _winapi.GENERIC_WRITE
    handle = _winapi.CreateFile(path, access, share_all, 0, disposition, normal, 0)
    return msvcrt.open_osfhandle(handle, os.O_RDWR | os.O_BINARY | os.O_NOINHERIT)
