# SPDX-License-Identifier: BSD-3-Clause
"""What ``fastimg load`` writes, all or nothing: the array's file, and a table."""

import codecs
import contextlib
import csv
import os
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, BinaryIO, Self

import fastimg
from fastimg.cli.inputs import Image
from fastimg.errors import is_machine_fault, is_unreadable
from fastimg.on_error import Streak, with_streak_note
from fastimg.wording import counted
from fastimg.working_files import open_working, working_name


def partial_name(path: str) -> str:
    """Return the name that a file has while it is written."""
    return working_name(path, ".partial")


class FileSet:
    """Files that are written as ``NAME.partial`` in their folder, and renamed when all are complete.

    A context manager: what was not published by the end of the block is removed. Only one set at a time may write files
    of the same names; `fastimg.cli.resume.Run` holds a lock.
    """

    def __init__(self) -> None:
        self._files: list[BinaryIO] = []
        self._names: list[tuple[str, str]] = []  # partial, final

    def create(self, path: str) -> BinaryIO:
        """Open a new file that `publish` will name `path`.

        Parameters
        ----------
        path : str
            The final name. A file of that name stays as it is until then. One that was left over by a process that was
            killed while it wrote `path` is replaced.

        Returns
        -------
        binary file
            Empty, open for reading and writing; the set closes it.

        Raises
        ------
        OSError
            The file cannot be created.
        """
        partial = partial_name(path)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(partial)
        self._names.append((partial, path))  # before the file exists: Ctrl-C may come between the two
        return self._open(partial, os.O_CREAT | os.O_EXCL)

    def take_up(self, path: str) -> BinaryIO:
        """Open the file that an earlier set began to write and kept.

        Parameters
        ----------
        path : str
            The final name.

        Returns
        -------
        binary file
            Open for reading and writing; the set closes it.

        Raises
        ------
        OSError
            The file cannot be opened; FileNotFoundError if there is none.
        """
        partial = partial_name(path)
        file = self._open(partial, 0)
        self._names.append((partial, path))
        return file

    def keep(self, path: str) -> None:
        """Leave the file that would have been named `path` for `take_up`."""
        self._names = [names for names in self._names if names[1] != path]

    def sync(self) -> None:
        """Write everything to the disk.

        Raises
        ------
        OSError
            A write failed.
        """
        for file in self._files:
            file.flush()
            os.fsync(file.fileno())

    def publish(self) -> None:
        """Write everything to the disk and rename the files, the first created last.

        Raises
        ------
        OSError
            A write or a rename failed. No file of this set has its final name.
        """
        self.sync()
        tried = []
        try:
            for partial, path in reversed(self._names):
                tried.append((partial, path))
                os.replace(partial, path)
        except BaseException:
            for partial, path in tried:
                if not os.path.lexists(partial):
                    os.rename(path, partial)
            raise
        for folder in {os.path.dirname(path) or "." for _, path in self._names}:
            _sync_folder(folder)

    def _open(self, partial: str, flags: int) -> BinaryIO:
        file = open(open_working(partial, flags), "r+b")  # noqa: SIM115 - __exit__ closes it
        self._files.append(file)
        return file

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for partial, _ in self._names:
            remove(partial)
        for file in self._files:
            with contextlib.suppress(OSError):  # close tries again what a full disk refused
                file.close()


def row_shape(
    sources: Sequence[Image], options: Mapping[str, Any], on_error: str, fallback: Any = None
) -> tuple[int, ...]:
    """Return the shape of one image in the array, from the size, the crop or the first usable header.

    Parameters
    ----------
    sources : sequence of Image
        The images.
    options : mapping
        The options that `fastimg.load` shares with its accessors.
    on_error : {"raise", "fill"}
        Whether a header that cannot be used is an error, or skipped.
    fallback : str, optional
        As for `fastimg.load`.

    Returns
    -------
    tuple of int
        (C, H, W) or (H, W, C).

    Raises
    ------
    ImageError, OSError
        With "raise", a header cannot be used, or the image is too large. With either, no file can be opened, or too
        many in a row cannot be read.
    ValueError
        With "fill", that is true of all images.
    """
    first: Exception | None = None
    streak = Streak()
    for source in sources:
        try:
            shape = fastimg.ImageFileAccessor([source], fallback=fallback, **options).shape
            return shape[1:]
        except (fastimg.ImageError, OSError) as error:
            if on_error == "raise" or is_machine_fault(error):
                raise
            unreadable = isinstance(error, OSError) and is_unreadable(error)
            if streak.add([0] if unreadable else [], 1) is not None:
                raise with_streak_note(error) from None
            first = first or error
    raise ValueError(f"none of {counted(len(sources), 'image')} can be loaded; the first: {first}")


def write_table(
    file: BinaryIO,
    sources: Sequence[Image],
    labels: Sequence[float],
    errors: Mapping[int, str],
    dropped: bool = False,
) -> None:
    """Write the CSV table that describes each row of the array.

    Parameters
    ----------
    file : binary file
        Open for writing. Paths are written as the system's bytes.
    sources : sequence of Image
        The file of each row, or the member of an archive, written as the archive's path and its name.
    labels : sequence of int or float
        The label of each source; empty if there are none.
    errors : mapping of int to str
        The errors of the sources that failed.
    dropped : bool
        Whether these have no row in the array. Then they come last, without a number.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    # Not a TextIOWrapper, which would try once more to write what found no room, and complain to stderr.
    table = csv.writer(codecs.getwriter("utf-8")(file, "surrogateescape"), lineterminator="\n")
    table.writerow(("row", "path", "label", "error"))
    good = [i for i in range(len(sources)) if i not in errors] if dropped else range(len(sources))
    for row, i in enumerate(good):
        table.writerow((row, str(sources[i]), labels[i] if labels else "", errors.get(i, "")))
    for i in sorted(errors) if dropped else ():
        table.writerow(("", str(sources[i]), labels[i] if labels else "", errors[i]))
    file.flush()


def remove(path: str) -> None:
    """Remove a file, if it is there and that is possible."""
    with contextlib.suppress(OSError):
        os.unlink(path)


def _sync_folder(folder: str) -> None:
    """Write names to the disk, where that is possible."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
