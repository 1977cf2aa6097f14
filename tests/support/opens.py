# SPDX-License-Identifier: BSD-3-Clause
"""Counts how often the files of a folder are opened, by this process or any other (Linux)."""

import collections
import ctypes
import os
import struct

IN_OPEN, IN_CLOSE, IN_Q_OVERFLOW = 0x20, 0x18, 0x4000
EVENT = struct.Struct("iIII")


class Opens:
    """Counts from the beginning of a `with` block; `take` gives the counts since then, or since it was last called.

    The kernel drops an event that is equal to the one before it. Closes are watched as well, so that this cannot happen
    unless a file is opened twice at the same moment.
    """

    def __init__(self, folder):
        self.folder = os.fsencode(folder)

    def __enter__(self):
        libc = ctypes.CDLL(None, use_errno=True)
        self._file = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._file < 0 or libc.inotify_add_watch(self._file, self.folder, IN_OPEN | IN_CLOSE) < 0:
            raise OSError(ctypes.get_errno(), "inotify")
        return self

    def __exit__(self, *_):
        os.close(self._file)

    def take(self):
        """A Counter of file names."""
        found = collections.Counter()
        while True:
            try:
                data = os.read(self._file, 1 << 16)
            except BlockingIOError:
                return found
            at = 0
            while at < len(data):
                _, mask, _, length = EVENT.unpack_from(data, at)
                assert not mask & IN_Q_OVERFLOW
                at += EVENT.size
                name = os.fsdecode(data[at : at + length].rstrip(b"\0"))
                at += length
                if mask & IN_OPEN and name:  # else it is the folder
                    found[name] += 1
