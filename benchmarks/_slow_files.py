# SPDX-License-Identifier: BSD-3-Clause
"""Files that are slow to open and to read, for processes that preload a small C library; and a cold page cache."""

import ctypes
import mmap
import os
import pathlib
import shlex
import subprocess
import sys

SOURCE = pathlib.Path(__file__).with_name("_slow_files.c")

# The fields of `struct state`, each an int64.
SETTINGS = ("open_ns", "read_ns", "bytes_per_second")
COUNTERS = ("opens", "reads", "nbytes", "opens_now", "most_opens", "reads_now", "most_reads", "busy_until")
SHOWN = ("opens", "reads", "nbytes", "most_opens", "most_reads")


class SlowFilesError(RuntimeError):
    """Why files cannot be slow, or cold, on this machine."""


class SlowFiles:
    """What is below the folder `root` is slow in every process that is started with `environment()`.

    `work` is an existing folder for the library and the state that the processes share with this one. SlowFilesError if
    the library cannot be compiled.
    """

    def __init__(self, root, work):
        self._root, work = os.path.realpath(root), os.path.realpath(work)
        self._library, self._state = (
            os.path.join(work, "slow_files.so"),
            os.path.join(work, "slow_files.state"),
        )
        compile_library(self._library)
        size = 8 * len(SETTINGS + COUNTERS)
        pathlib.Path(self._state).write_bytes(bytes(size))
        with open(self._state, "r+b") as file:
            self._shared = mmap.mmap(file.fileno(), size)
        self._fields = memoryview(self._shared).cast("q")

    def environment(self):
        """Return the variables that a process must be started with."""
        # A sanitizer's library must remain the first.
        preload = " ".join(filter(None, [os.environ.get("LD_PRELOAD"), self._library]))
        return {"LD_PRELOAD": preload, "SLOW_FILES_ROOT": self._root, "SLOW_FILES_STATE": self._state}

    def start(self, open_ms=0.0, read_ms=0.0, megabytes_per_second=0.0):
        """Set the wait per open, the wait per read and the bandwidth of all processes (0: no limit); count from 0."""
        settings = round(1e6 * open_ms), round(1e6 * read_ms), round(1e6 * megabytes_per_second)
        for i, value in enumerate(settings + (0,) * len(COUNTERS)):
            self._fields[i] = value

    def counts(self):
        """Return what all processes have done since `start`: {"opens", "reads", "nbytes", "most_opens", "most_reads"}.

        The latter two are how many were under way at once, at most.
        """
        found = dict(zip(SETTINGS + COUNTERS, self._fields, strict=True))
        return {name: found[name] for name in SHOWN}


def compile_library(path):
    """Compile the library to preload; SlowFilesError if that does not work here."""
    if not sys.platform.startswith("linux"):
        raise SlowFilesError(f"slow files need Linux, found {sys.platform}")
    flags = "-std=c11 -O2 -Wall -Wextra -fPIC -shared"
    command = [*shlex.split(os.environ.get("CC") or "cc"), *flags.split(), str(SOURCE), "-o", path, "-ldl"]
    plain = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=plain)
    except OSError as error:
        raise SlowFilesError(f"no C compiler: {error}") from None
    if done.returncode:
        raise SlowFilesError(f"{command[0]}: {done.stderr.strip()}")


def drop_pages(paths):
    """Ask the system to forget the pages of files; return the share of them that it still has, 0 to 1."""
    kept = total = 0
    for path in paths:
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)  # pages that are yet to be written stay
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            resident = resident_pages(fd)
        finally:
            os.close(fd)
        kept, total = kept + sum(resident), total + len(resident)
    return kept / max(total, 1)


def resident_pages(fd):
    """Return whether each page of an open file is in memory, as a list of bools."""
    size = os.fstat(fd).st_size
    if not size:
        return []
    libc = ctypes.CDLL(None, use_errno=True)
    access = {
        "flags": mmap.MAP_PRIVATE,
        "prot": mmap.PROT_READ | mmap.PROT_WRITE,
    }  # from_buffer wants to write
    with mmap.mmap(fd, size, **access) as mapped:
        pages = (ctypes.c_ubyte * -(-size // mmap.PAGESIZE))()
        first = ctypes.c_char.from_buffer(mapped)
        status = libc.mincore(ctypes.c_void_p(ctypes.addressof(first)), ctypes.c_size_t(size), pages)
        del first  # or the mapping could not be closed
        if status:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return [bool(page & 1) for page in pages]
