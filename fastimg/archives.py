# SPDX-License-Identifier: BSD-3-Clause
"""Archives: the positions of the images in a tar or zip archive."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, BinaryIO

from fastimg.errors import file_kind
from fastimg.folders import SUFFIXES
from fastimg.sources import FileRange

#: Lower-case ends of the names that the command line takes for archives; compressed ones get a helpful error.
ARCHIVE_SUFFIXES = (".tar", ".zip", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst")

_BLOCK = 512  # of a tar archive
_EMPTY_TAR = 1 << 16  # an archive without members is shorter, even if padded to a tape's record
_LONGEST_HEADER = 1 << 20  # of tar, with long names; real ones have a few thousand bytes at most
_LOCAL_HEADER = 30  # bytes of a zip member's own header, before its name
_ENTRY = 46  # bytes of its entry in the directory, before its name
_ENCRYPTED = 0x2041  # zip flags: encrypted, strongly encrypted, headers masked
_UTF8 = 0x800
_BUFFER = 1024  # so that a header is read with little of the data around it

_COMPRESSED = (
    (b"\x1f\x8b", "gzip", "gunzip it"),
    (b"BZh", "bzip2", "bunzip2 it"),
    (b"\xfd7zXZ\0", "xz", "unxz it"),
    (b"\x28\xb5\x2f\xfd", "zstd", "unzstd it"),
    (b"\x04\x22\x4d\x18", "lz4", "unlz4 it"),
    (b"\x1f\x9d", "compress", "uncompress it"),
    (b"7z\xbc\xaf\x27\x1c", "7z", "unpack it"),
    (b"Rar!", "RAR", "unpack it"),
)
_ZIP_METHODS = {8: "deflate", 9: "deflate64", 12: "bzip2", 14: "lzma", 93: "zstd", 95: "xz"}


def archive_members(path: str | os.PathLike[str], extensions: Iterable[str] = SUFFIXES) -> list[FileRange]:
    """List the JPEG files in a tar or zip archive, which can be read without unpacking it.

    Names that end in one of `extensions`, in any case, count; hidden files and folders (names that start with a dot)
    are left out, as by `find_images`, and so are folders, links and devices. The content tells the kind of archive. The
    members' data is not read, and names are not made unique.

    Parameters
    ----------
    path : str or os.PathLike
        A tar archive (ustar, pax, GNU, or older; or several in one file, as ``cat a.tar b.tar`` makes it) or a zip
        archive (also zip64, or after other data).
    extensions : iterable of str
        Ends of names. ``[""]`` lists every regular file.

    Returns
    -------
    list of FileRange
        In the order of the archive, or of a zip archive's directory; `name` is the member's. They are sources for
        `decode`, `load` and the accessors.

    Raises
    ------
    ValueError
        The archive is compressed, damaged, truncated, or of neither kind; the end of a tar archive is followed by
        something other than zeros and another one; a member that counts is compressed, encrypted or sparse, or its data
        is not in the file. The text names the file.
    OSError
        The file cannot be read, or is not a regular file.
    TypeError
        `path` is not a str or a path of str, or `extensions` are not several str.

    Notes
    -----
    A tar archive has no directory: listing takes a seek and a read of about 1 KiB per member, whatever its size, and
    about 60 microseconds of CPU, a minute per million. Keep the list (it pickles) instead of making it twice. The
    directory of a zip archive is read at once, which takes about 700 bytes of memory per member, and then the 30 bytes
    and the name before the data of each member that counts.

    Examples
    --------
    >>> members = fastimg.archive_members("photos.tar")
    >>> data = fastimg.load(members, size=256)
    """
    ends = _parse_extensions(extensions)
    found = find_members(path, lambda name: name.lower().endswith(ends) and not is_hidden(name))
    return [member for _, member in found]


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
    return any(part.startswith(".") and part not in (".", "..") for part in name.split("/"))


# ---- listing


def find_members(path: Any, wanted: Callable[[str], bool]) -> list[tuple[int, FileRange]]:
    """List the regular files of an archive whose names are wanted, with the order and errors of `archive_members`.

    Each comes with the number of its archive, which is not 0 only in tar archives that follow another in one file.
    """
    name = os.fspath(path)
    if not isinstance(name, str):
        raise TypeError(f"path: expected str or a path of str, found {type(path).__name__}")
    with open_regular(name) as file:
        head = file.read(_EMPTY_TAR)
        if _is_tar(head):
            return list(_tar_members(file, name, wanted))
        found = _describe_head(head)
        if found is None and zipfile.is_zipfile(file):
            return [(0, member) for member in _zip_members(file, name, wanted)]
    raise ValueError(f"{name}: expected a tar or zip archive, found {found or _first_bytes(head)}")


@contextlib.contextmanager
def open_regular(path: str) -> Iterator[BinaryIO]:
    """Open a regular file, without blocking on a FIFO; OSErrors in the block get its name."""
    with open(path, "rb", _BUFFER, opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, f"expected a regular file, found {file_kind(mode)}", path)
        try:
            yield file
        except OSError as error:
            if error.filename is None:
                error.filename = path
            raise


def _file_size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


def _describe_head(head: bytes) -> str | None:
    if not head:
        return "an empty file"
    for magic, kind, remedy in _COMPRESSED:
        if head.startswith(magic):
            return f"{kind} data: images are read where they lie, which compression forbids; {remedy} first"
    return None


def _first_bytes(head: bytes) -> str:
    if head.startswith(b"PK\3\4"):
        return "a zip archive without the directory at its end: it is cut short or damaged"
    return f"a file that begins with {head[:4].hex(' ')}"


def _check_place(path: str, offset: int, size: int, name: str, end: int) -> None:
    if offset < 0 or size < 0 or offset + size > end:
        raise ValueError(
            f"{path}: damaged or cut short: member {name} has {size} bytes at offset {offset}, "
            f"expected them to end at byte {end} at the latest"
        )


def _make_range(path: str, offset: int, size: int, name: str) -> FileRange:
    try:  # a name may be what FileRange refuses
        return FileRange(path, offset, size, name)
    except ValueError as error:
        raise ValueError(f"{path}: member {name!r}: {error}") from None


# ---- tar


def _is_tar(head: bytes) -> bool:
    """Whether a file begins like a tar archive, with a header and its checksum, or is only the end of one."""
    if not any(head):
        return 2 * _BLOCK <= len(head) < _EMPTY_TAR
    try:
        tarfile.TarInfo.frombuf(head[:_BLOCK], "utf-8", "surrogateescape")
    except tarfile.TarError:
        return False
    except Exception:  # of any kind, as the fields of another file hold anything
        return False
    return True


class _Headers:
    """A file that tarfile can read only headers from: reads of any length are refused."""

    def __init__(self, file: BinaryIO) -> None:
        self.seek, self.tell, self._file = file.seek, file.tell, file

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _LONGEST_HEADER:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return self._file.read(size)


def _tar_members(file: BinaryIO, path: str, wanted: Callable[[str], bool]) -> Iterator[tuple[int, FileRange]]:
    end = _file_size(file)
    for number, member in _tar_headers(file, path):
        if not member.isreg():
            continue
        counts = wanted(member.name)
        if not member.issparse():
            _check_place(path, member.offset_data, member.size, member.name, end)
            if counts:
                yield number, _make_range(path, member.offset_data, member.size, member.name)
        elif counts:
            raise ValueError(
                f"{path}: member {member.name} is stored as a sparse file, in pieces; pack it without --sparse"
            )


def _tar_headers(file: BinaryIO, path: str) -> Iterator[tuple[int, tarfile.TarInfo]]:
    """The headers of all tar archives in a file, each with the number of its archive."""
    start: int | None = 0
    number = 0
    while start is not None:
        end = yield from _headers_of_one(file, path, start, number)
        start = _find_next_tar(file, path, end)
        number += 1


def _headers_of_one(
    file: BinaryIO, path: str, start: int, number: int
) -> Generator[tuple[int, tarfile.TarInfo], None, int]:
    """The headers of the tar archive at byte `start`; returns the byte at which its end is."""
    headers: Any = _Headers(file)
    tar: Any = None
    last = start
    file.seek(start)
    while True:
        try:
            if tar is None:
                tar = tarfile.TarFile(fileobj=headers, encoding="utf-8", errors="surrogateescape")
                member = tar.next() if tar.firstmember else None  # going on would skip damage
            else:
                member = tar.next()
        except (OSError, MemoryError):
            raise
        except Exception as error:  # tarfile raises many kinds for damage
            raise ValueError(f"{path}: damaged tar archive, after byte {last}: {error}") from error
        if member is None:
            return int(tar.offset)
        if tar.offset <= last:  # a negative size: tarfile would go in circles
            raise ValueError(f"{path}: damaged tar archive: member {member.name} ends before it begins")
        last = tar.offset
        tar.members.clear()  # a million of them would take a gigabyte
        yield number, member


def _find_next_tar(file: BinaryIO, path: str, end: int) -> int | None:
    """Where the archive after the one that ends at byte `end` begins; None if there is none."""
    # tarfile takes damage for the end, which is two blocks of zeros. tar, too, accepts a file that just stops.
    file.seek(end)
    if any(file.read(2 * _BLOCK)):
        raise ValueError(
            f"{path}: damaged tar archive: expected the header of a member, or the end, at byte {end}"
        )
    start = end + 2 * _BLOCK
    while zeros := file.read(_EMPTY_TAR):
        head = zeros.lstrip(b"\0")
        start += (len(zeros) - len(head)) // _BLOCK * _BLOCK
        if head:
            break
    else:
        return None
    file.seek(start)
    head = file.read(_BLOCK)
    if not _is_tar(head):
        raise ValueError(
            f"{path}: expected zeros or another tar archive after the one that ends at byte {end}, "
            f"found other data in the block at byte {start}"
        )
    return start


# ---- zip


def _zip_members(file: BinaryIO, path: str, wanted: Callable[[str], bool]) -> list[FileRange]:
    try:
        with zipfile.ZipFile(file) as archive:
            infos, end = archive.infolist(), archive.start_dir
    except (OSError, MemoryError):
        raise
    except Exception as error:  # as for tar
        raise ValueError(f"{path}: damaged zip archive: {error}") from error
    _check_directory(file, path, infos, end)
    infos = [info for info in infos if _is_regular(info) and wanted(info.filename)]
    members = [_zip_member(file, path, info, end) for info in infos]
    # The data of an image cannot contain the header of another member.
    order = sorted(range(len(infos)), key=lambda i: infos[i].header_offset)
    for i, j in itertools.pairwise(order):
        if infos[j].header_offset < members[i].offset + members[i].size:
            raise ValueError(f"{path}: damaged zip archive: {members[i].name} and {members[j].name} overlap")
    return members


def _is_regular(info: zipfile.ZipInfo) -> bool:
    kind = stat.S_IFMT(info.external_attr >> 16)  # 0 if the archive was not made on Unix
    return not info.filename.endswith("/") and kind in (0, stat.S_IFREG)


def _encoded_name(info: zipfile.ZipInfo) -> bytes:
    return info.orig_filename.encode("utf-8" if info.flag_bits & _UTF8 else "cp437")


def _check_directory(file: BinaryIO, path: str, infos: list[zipfile.ZipInfo], start: int) -> None:
    """Compare the number of entries with the count after them: zipfile may take a damaged entry for the last."""
    lengths = (_ENTRY + len(_encoded_name(info)) + len(info.extra) + len(info.comment) for info in infos)
    file.seek(start + sum(lengths))
    record = file.read(40)
    count = -1
    if record.startswith(b"PK\6\6"):  # zip64
        count = int.from_bytes(record[32:40], "little")
    elif record.startswith(b"PK\5\6"):
        count = int.from_bytes(record[10:12], "little")
    if count not in (len(infos), len(infos) & 0xFFFF):  # old writers count modulo 2**16
        raise ValueError(
            f"{path}: damaged zip archive: expected a directory of {len(infos)} members to be followed by their count"
        )


def _zip_member(file: BinaryIO, path: str, info: zipfile.ZipInfo, end: int) -> FileRange:
    name = f"{path}: member {info.filename}"
    if info.flag_bits & _ENCRYPTED:
        raise ValueError(f"{name} is encrypted; make the archive without a password")
    if info.compress_type != zipfile.ZIP_STORED:
        method = _ZIP_METHODS.get(info.compress_type, f"method {info.compress_type}")
        raise ValueError(
            f"{name} is compressed ({method}); images are read where they lie: make the archive with zip -0"
        )
    if info.compress_size != info.file_size:
        raise ValueError(
            f"{name} is damaged: expected stored data of {info.file_size} bytes, found {info.compress_size}"
        )
    # Only the local header knows the length of the fields before the data.
    encoded = _encoded_name(info)
    local = b""
    if 0 <= info.header_offset < end:
        file.seek(info.header_offset)
        local = file.read(_LOCAL_HEADER + len(encoded))
    if not local.startswith(b"PK\3\4") or local[_LOCAL_HEADER:] != encoded:
        raise ValueError(f"{name} is damaged: expected its header at byte {info.header_offset}")
    lengths = int.from_bytes(local[26:28], "little"), int.from_bytes(local[28:30], "little")
    offset = info.header_offset + _LOCAL_HEADER + sum(lengths)
    _check_place(path, offset, info.compress_size, info.filename, end)
    return _make_range(path, offset, info.compress_size, info.filename)
