# SPDX-License-Identifier: BSD-3-Clause
"""Archives: the images in a tar or zip archive, where they are or what reads them."""

from __future__ import annotations

import contextlib
import os
import zipfile
from collections.abc import Callable, Iterable
from typing import Any, BinaryIO

import numpy as np

from fastimg.archives.files import FileBytes, describe_head, first_bytes, open_regular
from fastimg.archives.listing import Listing, ListingBuilder
from fastimg.archives.members import ArchiveMembers
from fastimg.archives.saved import read_index, write_index
from fastimg.archives.streams import CompressedFile, StreamBytes, find_codec
from fastimg.archives.tar import EMPTY_TAR, is_tar, list_tar
from fastimg.archives.tar_headers import BLOCK
from fastimg.archives.zip import list_zip
from fastimg.folders import SUFFIXES

__all__ = [
    "ArchiveMembers",
    "archive_members",
    "find_members",
    "is_archive_name",
    "is_hidden",
    "open_regular",
]

#: Lower-case ends of the names that the command line takes for archives; those that cannot be read get a helpful error.
ARCHIVE_SUFFIXES = (".tar", ".zip", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst")


def archive_members(
    path: str | os.PathLike[str], extensions: Iterable[str] = SUFFIXES, *, index: bool = False
) -> ArchiveMembers:
    """List the JPEG files in a tar or zip archive, which can be read without unpacking it.

    Names that end in one of `extensions`, in any case, count; hidden files and folders (names that start with a dot)
    are left out, as by `find_images`, and so are folders, links and devices. The content tells the kind of archive. The
    members' data is not read, and names are not made unique.

    Parameters
    ----------
    path : str or os.PathLike
        A tar archive (ustar, pax, GNU, or older; or several in one file, as ``cat a.tar b.tar`` makes it), which may be
        compressed by gzip, bzip2 or xz, or a zip archive (also zip64, or after other data), stored or deflated.
    extensions : iterable of str
        Ends of names. ``[""]`` lists every regular file.
    index : bool
        Whether to keep the listing, of all members, in a file beside the archive, ``PATH.index``, and to take it from
        there while the archive has the size and the time of change that it had. If the file cannot be written, there is
        none. It is an ``.npz`` of plain arrays, which are checked.

    Returns
    -------
    ArchiveMembers
        A sequence of `FileRange` in the order of the archive, or of a zip archive's directory; `name` is the member's.
        A member that is compressed is a `fastimg.sources.ReaderItem` instead; `str` of both has the name. They are
        sources for `decode`, `load` and the accessors. The sequence pickles in a few milliseconds and has ``names``, a
        list of all of them; it cannot be changed, as ``list(members)`` can.

    Raises
    ------
    ValueError
        The archive is damaged, truncated, compressed in another way, or of neither kind; the end of a tar archive is
        followed by something other than zeros and another one; a member that counts is encrypted, sparse or compressed
        in another way, or its data is not in the file; with `index`, ``PATH.index`` is something else, or damaged. The
        text names the file.
    OSError
        The file, or its index, cannot be read, or the file is not a regular file.
    TypeError
        `path` is not a str or a path of str, or `extensions` are not several str.

    Notes
    -----
    A tar archive has no directory: listing takes a read of 2 KiB per member, whatever its size (small ones share
    reads), and about 5 microseconds of CPU, or 12 if each has a pax header. Keep the members (they pickle) instead of
    listing them twice. The directory of a zip archive is read at once, which takes about 700 bytes of memory per
    member, and then the 30 bytes and the name before the data of each member that counts.

    To list a compressed tar archive is to decompress it, once; the CRC-32 of each member is kept and compared when it
    is read. To read members in their order is to decompress it once more. One that comes before the last begins it
    anew, so unpack what is to be shuffled.

    Examples
    --------
    >>> members = fastimg.archive_members("photos.tar")
    >>> len(members), members.names[0]
    (72, 'photos/cat/000.jpg')
    >>> data = fastimg.load(members, size=64)
    """
    ends = _parse_extensions(extensions)

    def wanted(name: str) -> bool:
        return name.lower().endswith(ends) and not is_hidden(name)

    return find_members(path, wanted, index)


def is_archive_name(path: str) -> bool:
    """Whether the command line takes a file of this name for an archive."""
    return path.lower().endswith(ARCHIVE_SUFFIXES)


# ---- names


def _parse_extensions(extensions: Any) -> tuple[str, ...]:
    if isinstance(extensions, str | bytes) or not isinstance(extensions, Iterable):
        raise TypeError(f"extensions must be a sequence of str, found {extensions!r}")
    ends = tuple(extensions)
    for end in ends:
        if not isinstance(end, str):
            raise TypeError(f"extensions must be a sequence of str, found one {type(end).__name__}")
    return tuple(end.lower() for end in ends)


def is_hidden(name: str) -> bool:
    """Whether the name of a member, or of a folder that it lies in, starts with a dot."""
    return ("/." in name or name.startswith(".")) and any(
        part.startswith(".") and part not in (".", "..") for part in name.split("/")
    )


# ---- listing


def find_members(path: Any, wanted: Callable[[str], bool], index: bool = False) -> ArchiveMembers:
    """List the regular files of an archive whose names are wanted, with the order and errors of `archive_members`."""
    name = os.fspath(path)
    if not isinstance(name, str):
        raise TypeError(f"path: expected str or a path of str, found {type(path).__name__}")
    with open_regular(name) as file:
        listing = _list_by_index(file, name).select(wanted) if index else list_archive(file, name, wanted)
    listing.raise_fault()
    return ArchiveMembers.of(listing)


def _list_by_index(file: BinaryIO, path: str) -> Listing:
    stat = os.fstat(file.fileno())
    listing = read_index(path, stat)
    if listing is None:
        listing = list_archive(file, path, lambda name: True)
        after = os.fstat(file.fileno())
        if (after.st_size, after.st_mtime_ns) == (stat.st_size, stat.st_mtime_ns):
            write_index(listing, stat)
    return listing


def list_archive(file: BinaryIO, path: str, wanted: Callable[[str], bool]) -> Listing:
    """List the same, with the faults of members in place of an error."""
    builder = ListingBuilder(path)
    head = file.read(EMPTY_TAR)
    if is_tar(head):
        list_tar(FileBytes(file, path), path, wanted, builder)
        return builder.finish()
    if codec := find_codec(head):
        return _list_stream(path, codec, wanted, builder)
    found = describe_head(head)
    if found is None and zipfile.is_zipfile(file):
        list_zip(file, path, wanted, builder)
        return builder.finish()
    raise ValueError(f"{path}: expected a tar or zip archive, found {found or first_bytes(head)}")


def _list_stream(path: str, codec: str, wanted: Callable[[str], bool], builder: ListingBuilder) -> Listing:
    with contextlib.closing(CompressedFile(path, codec)) as stream:
        source = StreamBytes(stream, path, codec)
        head = source.read_at(0, BLOCK)
        if not any(head):
            head = source.read_at(0, EMPTY_TAR)
        if not is_tar(head):
            raise ValueError(
                f"{path}: expected a tar archive in the {codec} stream, found {first_bytes(head)}"
            )
        list_tar(source, path, wanted, builder)
    listing = builder.finish()
    listing.codec = codec
    listing.crcs = np.array([source.crcs.get(at, 0) for at in listing.ranges[:, 0].tolist()], np.uint32)
    return listing
