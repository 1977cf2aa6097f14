# SPDX-License-Identifier: BSD-3-Clause
"""The files that the arguments of a command name."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import fastimg.classes as classes
import fastimg.folders as folders
from fastimg.archives import find_members, is_archive_name, is_hidden
from fastimg.archives.readers import MemberReader
from fastimg.cli.lists import STDIN, FileList, Labels, is_list_name, numbers_of, read_list
from fastimg.cli.words import count_endings
from fastimg.file_index import FileIndex
from fastimg.folders import SUFFIXES
from fastimg.sources import FileRange, ReaderItem

#: A file, or a member of an archive, stored or compressed.
Image: TypeAlias = str | FileRange | ReaderItem


class Listing(NamedTuple):
    """The images that arguments name.

    Attributes
    ----------
    sources : list of Image
        In the order of the arguments.
    labels : list of int or float
        For each source, an index into `classes`, or what a list gives if `classes` is None; empty if labels were not
        asked for.
    classes : list of str or None
        Sorted; None if the labels are numbers that a list gives.
    left_out : collections.Counter
        The number of files that are no images, as `fastimg.find_images` counts them.
    """

    sources: list[Image]
    labels: Labels
    classes: list[str] | None
    left_out: Counter[str]


def list_images(
    inputs: Sequence[str],
    *,
    labelled: bool = False,
    label_of: Callable[[str], str] | None = None,
    on_error: folders.OnError = "raise",
    index: bool = False,
    formats: folders.Formats = "jpeg",
) -> Listing:
    """Return the images that the arguments name.

    Parameters
    ----------
    inputs : sequence of str
        Folders, archives, indices that ``fastimg index`` wrote, lists, and files, which count whatever their names are.
        With `labelled`, a file that lies beside class folders is treated as if the folder that holds it were given:
        ``photos/*`` is ``photos``.
    labelled : bool
        Whether each image must have a class, by the rules of `fastimg.image_folder`, or the label that a list gives.
    label_of : callable (path) -> str, optional
        What gives the class of an image instead.
    on_error : "raise" or callable
        What becomes of the OSError of a folder that cannot be listed.
    index : bool
        Whether listings of archives are kept beside them.
    formats : {"jpeg", "all"}
        As for `fastimg.find_images`.

    Returns
    -------
    Listing

    Raises
    ------
    OSError
        A folder or an archive cannot be read.
    ValueError
        An argument does not exist and has not the name of an image, there is no image, or one has no class; or a list
        is none.
    """
    suffixes = folders.suffixes_of(formats)
    for name in inputs:
        _reject_missing(name, suffixes)
    left_out: Counter[str] = Counter()
    lists: dict[str, FileList] = {}
    if inputs.count(STDIN) > 1:
        raise ValueError("-: standard input can be read once")
    labels: Labels = []
    class_names: list[str] | None = []
    if labelled and label_of is None:
        found, names, all_names = _by_class(inputs, on_error, left_out, index, lists, suffixes)
        numbers = numbers_of(lists, inputs)
        class_names, labels = (None, numbers) if numbers else classes.number_classes([*names, *all_names])
        labels = labels[: len(names)]
    else:
        found = [each for name in inputs for each in _images_of(name, on_error, left_out, index, suffixes)]
        if label_of is not None:
            class_names, labels = classes.number_classes([label_of(str(each)) for each in found])
    if not found:
        text = f"no {', '.join(suffixes)} file below {', '.join(inputs)}"
        raise ValueError(f"{text}; {count_endings(left_out)}" if left_out else text)
    return Listing(found, labels, class_names, left_out)


def _by_class(
    inputs: Sequence[str],
    on_error: folders.OnError,
    left_out: Counter[str],
    index: bool,
    lists: dict[str, FileList],
    suffixes: tuple[str, ...],
) -> tuple[list[Image], list[str], list[str]]:
    """Returns the images, the name of the class of each, and the names of all class folders, listed or not.

    Puts into `lists` what the lists among the arguments hold.
    """
    groups = classes.find_classes(list(filter(is_folder, inputs)), left_out, suffixes)
    class_folders = [each for group in groups for each in group]
    images, empty = classes.list_images(class_folders, folders.reporter(on_error), left_out, suffixes)
    if empty:
        raise ValueError(classes.describe_empty(empty, suffixes))
    holders = {_real_parent(each.path) for each in class_folders}
    next_group, next_images = iter(groups), iter(images)
    found: list[Image] = []
    names: list[str] = []
    for name in inputs:
        if is_folder(name):
            for each in next(next_group):
                paths = next(next_images)
                found += paths
                names += [each.name] * len(paths)
        elif _is_index_name(name):
            listed = FileIndex.load(name)
            if listed.labels is None or not listed.classes:
                raise ValueError(f"{name}: the index has no classes: make it of a folder of class folders")
            found += listed.paths
            names += [listed.classes[label] for label in listed.labels.tolist()]
        elif name != STDIN and not is_archive_name(name) and _real_parent(name) in holders:
            if has_image_name(name, suffixes):
                raise ValueError(f"{name}: no class: the file lies beside folders that are classes")
            if _is_list(name):
                raise ValueError(f"{name}: the list lies beside folders that are classes: give it, or them")
            left_out[folders.ending(name)] += 1
        elif is_list_name(name):
            lists[name] = entries = read_list(name, labelled=True)
            found += entries.paths
            names += entries.labels or map(_class_of, entries.paths)
        else:
            members = files_of(name, left_out, index, suffixes)
            found += members
            names += map(_class_of, members)
    return found, names, [each.name for each in class_folders]


def _is_list(name: str) -> bool:
    """Whether a file is a list: not only its name, which may be that of any text beside the images."""
    try:
        return is_list_name(name) and bool(read_list(name).paths)
    except (OSError, ValueError):
        return False


def _class_of(source: Image) -> str:
    if isinstance(source, ReaderItem):
        source = FileRange(source.reader.path, 0, 0, source.reader.member_name(source.index))
    return classes.class_of(source)


def _images_of(
    name: str, on_error: folders.OnError, left_out: Counter[str], index: bool, suffixes: tuple[str, ...]
) -> Sequence[Image]:
    if is_list_name(name):
        return read_list(name).paths
    if not is_folder(name):
        return files_of(name, left_out, index, suffixes)
    try:
        return folders.find_files(name, suffixes, on_error=on_error, left_out=left_out)
    except OSError as error:
        folders.reporter(on_error)(error)
        return []


def _reject_missing(name: str, suffixes: tuple[str, ...]) -> None:
    """Refuse a mistyped name. An image that is gone is not the user's mistake: it is an error among the others."""
    if is_list_name(name):  # which is read soon
        return
    try:
        os.stat(name) if name.endswith(os.sep) else os.lstat(name)
    except OSError as error:
        if name.endswith(os.sep) or not has_image_name(name, suffixes):
            raise ValueError(f"{name}: {error.strerror}") from None


def _real_parent(path: str) -> str:
    return os.path.realpath(os.path.dirname(os.path.abspath(path)))


def is_folder(name: str) -> bool:
    return os.path.isdir(name) or name.endswith(os.sep)


def _is_index_name(name: str) -> bool:
    """Whether a name is that of a file that ``fastimg index`` has written."""
    return name.lower().endswith(".npz") and not is_folder(name)


def has_image_name(name: str, suffixes: tuple[str, ...] = SUFFIXES) -> bool:
    return name.lower().endswith(suffixes)


def files_of(
    name: str,
    left_out: Counter[str] | None = None,
    index: bool = False,
    suffixes: tuple[str, ...] = SUFFIXES,
) -> Sequence[Image]:
    """Return the images of an archive or an index, or the file itself; count an archive's other members.

    With `index`, the listing of an archive is kept beside it.
    """
    if _is_index_name(name):
        return FileIndex.load(name).paths
    if not is_archive_name(name) or is_folder(name):
        return [name]

    def wanted(member: str) -> bool:
        if is_hidden(member) or has_image_name(member, suffixes):
            return not is_hidden(member)
        if left_out is not None:
            left_out[folders.ending(member)] += 1
        return False

    return find_members(name, wanted, index)


def place_of(member: FileRange | ReaderItem) -> tuple[str, int, int]:
    """Return the archive of a member, and offset and size of its data there, or in the stream that is compressed."""
    if isinstance(member, FileRange):
        return os.fsdecode(member.path), member.offset, member.size
    reader: MemberReader = member.reader
    return reader.path, *reader.place(member.index)


def identity_of(source: Image, real: dict[str, str]) -> object:
    """What is the same for two names of one file, or of one member, that differ only in how its folder is named.

    Links to files count as files of their own: a list of files that has both of them reads both.

    Parameters
    ----------
    source : Image
    real : dict of str to str
        The real paths of folders, as far as they are known: finding one takes longer than all else.
    """
    if not isinstance(source, str):
        path, offset, size = place_of(source)
        return identity_of(path, real), offset, size
    folder, name = os.path.split(source.rstrip(os.sep))
    if name in ("", ".", ".."):
        folder, name = source, ""
    if folder not in real:
        real[folder] = os.path.realpath(folder)
    return os.path.join(real[folder], name) if name else real[folder]
