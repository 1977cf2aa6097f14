# SPDX-License-Identifier: BSD-3-Clause
"""An index of image files, kept in a file: a start with it needs no listing and reads no headers."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Self, overload

import numpy as np
import numpy.typing as npt

import fastimg.folders as folders
import fastimg.index_file as index_file
from fastimg.fallback import FallbackOption
from fastimg.file_listing import holds_classes, list_files
from fastimg.file_scan import Facts, Failures, ScanOptions, find_known, scan, stat_files
from fastimg.index_file import Content, Listed, parse_classes, parse_labels, put_together
from fastimg.indexing import Index, resolve
from fastimg.on_error import OnError
from fastimg.packed_paths import PackedPaths
from fastimg.sources import SourceList
from fastimg.threads import Progress, check_num_threads
from fastimg.wording import counted

_CHUNK = 65536  # files whose times `changed` asks for before it compares them


class FileIndex:
    """Paths, labels, image sizes, byte counts and times of change of image files.

    It is a sequence of paths, so it goes wherever a list of paths does: ``fastimg.load(index, size=256)``. An int as
    index gives a path, everything else a part of the index.

    Parameters
    ----------
    paths : iterable of str or os.PathLike
        The files, in this order; they may repeat.
    labels : array-like of int, (N,), optional
        The class of each.
    classes : sequence of str, optional
        The names of the classes: labels are indices into them.
    root : str or os.PathLike, optional
        What relative paths are relative to; by default the working folder. Paths are kept absolute.
    sizes : bool
        Whether to read headers.
    fallback : {"pillow"} or callable, optional
        What measures images that are not JPEG, as for `load`.
    on_error : {"raise", "fill"} or callable
        What to do about a file that cannot be read, as for `load`: "raise" its error; "fill": keep it, with a size of
        (0, 0), and a byte count of -1 if it cannot be found, and warn once; a callable gets every error. Without
        `sizes`, files are not opened.
    num_threads : int, optional
        At most so many threads; by default 32, as they wait for the storage, or FASTIMG_NUM_THREADS.
    progress : bool or callable
        As for `load`; it counts files.

    Raises
    ------
    ImageError, OSError
        With "raise", a file cannot be read. In any case, the machine is short of memory or file descriptors,
        or 32 files in a row cannot be read because of an input or output error.
    ImportError
        Pillow is asked for and not installed.
    ValueError
        A path contains a null character, there are not as many labels as paths, a label is not an index into `classes`,
        or another argument is out of range.
    TypeError
        An argument has the wrong type.

    Examples
    --------
    >>> index = fastimg.FileIndex.from_folder("photos")
    >>> index.paths[0] == index[0], index.root
    (True, '...photos')
    >>> index.classes, index.labels.dtype, index.sizes[0].tolist()
    (['cat', 'dog'], dtype('int64'), [256, 256])
    >>> index.nbytes.shape, index.mtimes.shape
    ((72,), (72,))
    >>> valid, train = index[:8], index[8:]
    >>> train_X, train_y = fastimg.ImageFileAccessor(train, size=64), train.labels
    """

    def __init__(
        self,
        paths: Iterable[str | os.PathLike[str] | os.PathLike[bytes]],
        labels: npt.ArrayLike | None = None,
        classes: Sequence[str] | None = None,
        *,
        root: str | os.PathLike[str] | None = None,
        sizes: bool = True,
        fallback: FallbackOption | None = None,
        on_error: OnError = "raise",
        num_threads: int | None = None,
        progress: Progress = False,
    ) -> None:
        failures = Failures(on_error)
        options = ScanOptions.parse(sizes, fallback, num_threads, progress)
        top = os.path.abspath(folders.check_root(root)) if root is not None else os.getcwd()
        packed = PackedPaths.pack(paths, top)
        names = parse_classes(classes)
        numbers = parse_labels(labels, len(packed), names)
        facts = scan(packed, None, failures, options)
        self._content = put_together(packed, numbers, names, facts, top, Listed.GIVEN, "jpeg")
        failures.warn()

    @classmethod
    def from_folder(
        cls,
        folder: str | os.PathLike[str],
        *,
        labels: bool | None = None,
        sizes: bool = True,
        fallback: FallbackOption | None = None,
        on_error: OnError = "raise",
        left_out: Counter[str] | None = None,
        num_threads: int | None = None,
        progress: Progress = False,
    ) -> Self:
        """Index the JPEG files below a folder, or with `fallback` the images of all formats.

        Parameters
        ----------
        folder : str or os.PathLike
            The folder; it becomes the `root`.
        labels : bool, optional
            True: each folder in it is a class, as in `image_folder`, whose order and rules hold. False: there are no
            labels, and the order is that of `find_images`. None: True if it holds folders and no images beside them.
        sizes : bool
            As for `FileIndex`.
        fallback : {"pillow"} or callable, optional
            As for `FileIndex`. With it, all files count that ``find_images(formats="all")`` lists.
        on_error : {"raise", "fill"} or callable
            As for `FileIndex`; it holds for folders that cannot be listed, too.
        left_out : collections.Counter, optional
            Gets the number of other files, as in `find_images`.
        num_threads, progress
            As for `FileIndex`.

        Returns
        -------
        FileIndex

        Raises
        ------
        FileNotFoundError, NotADirectoryError
            `folder` does not exist, or is a file; with labels, there is no class, or one without an image.
        ImageError, OSError, ImportError, ValueError, TypeError
            As for `FileIndex`.

        Examples
        --------
        >>> index = fastimg.FileIndex.from_folder("photos")
        >>> len(index), index.classes
        (72, ['cat', 'dog'])
        """
        failures = Failures(on_error)
        options = ScanOptions.parse(sizes, fallback, num_threads, progress)
        if labels is not None and not isinstance(labels, bool):
            raise TypeError(f"labels must be None, True or False, found {labels!r}")
        top = os.path.abspath(folders.check_root(folder))
        formats: folders.Formats = "all" if options.fallback else "jpeg"
        if labels is None:
            labels = holds_classes(top, formats)
        packed, numbers, names = list_files(top, labels, failures.add, left_out, formats)
        facts = scan(packed, None, failures, options)
        failures.warn()
        listed = Listed.CLASSES if labels else Listed.IMAGES
        return cls._make(put_together(packed, numbers, names, facts, top, listed, formats))

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, root: str | os.PathLike[str] | None = None) -> Self:
        """Load an index that `save`, or ``fastimg index``, has written. No other file is looked at.

        Parameters
        ----------
        path : str or os.PathLike
            The file.
        root : str or os.PathLike, optional
            Where the folder that was indexed is now: paths below its old place are changed, others stay.

        Returns
        -------
        FileIndex

        Raises
        ------
        OSError
            The file cannot be read.
        ValueError
            It is another kind of file, or damaged; the text names it.
        TypeError
            `root` is not a str or a path of str.

        Examples
        --------
        >>> fastimg.FileIndex.from_folder("photos").save("train.index.npz")
        >>> index = fastimg.FileIndex.load("train.index.npz")
        """
        top = None if root is None else os.path.abspath(folders.check_root(root))
        content = index_file.read(path)
        if top is not None and top != content.root:
            content = content._replace(paths=content.paths.with_root(content.root, top), root=top)
        return cls._make(content)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the index into one file, an uncompressed ``.npz``.

        Parameters
        ----------
        path : str or os.PathLike
            The file's name, such as ``train.index.npz``. A file of that name is replaced when the new one is complete.

        Raises
        ------
        OSError
            The file cannot be written.

        Examples
        --------
        >>> fastimg.FileIndex.from_folder("photos").save("train.index.npz")
        """
        index_file.write(path, self._content)

    @classmethod
    def _make(cls, content: Content) -> Self:
        index = cls.__new__(cls)
        index._content = content
        return index

    @property
    def paths(self) -> PackedPaths:
        """All paths, a sequence of str that is indexed like an array and takes 9 bytes for each besides its own."""
        return self._content.paths

    @property
    def classes(self) -> list[str]:
        """The names of the classes; empty if they are not known."""
        return self._content.classes

    @property
    def root(self) -> str:
        """The folder that `load` can replace."""
        return self._content.root

    @property
    def labels(self) -> npt.NDArray[np.int64] | None:
        """The class of each file, int64 (N,), as given or by the sub-folders; or None."""
        return self._content.labels

    @property
    def sizes(self) -> npt.NDArray[np.int32] | None:
        """Height and width of each upright image, int32 (N, 2), 0 where they are not known; or None."""
        return self._content.sizes

    @property
    def nbytes(self) -> npt.NDArray[np.int64]:
        """Size of each file in bytes, int64 (N,), -1 where it was not found. Every access makes a new array."""
        return self._content.nbytes.astype(np.int64)

    @property
    def mtimes(self) -> npt.NDArray[np.int64]:
        """When each file was last changed, int64 (N,), in nanoseconds since 1970."""
        return self._content.mtimes

    # What `SourceList` is made of.

    def _source_list(self) -> SourceList:
        return self._content.paths._source_list()

    def __len__(self) -> int:
        return len(self._content.paths)

    def __iter__(self) -> Iterator[str]:
        return iter(self._content.paths)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: Index) -> Any: ...

    def __getitem__(self, index: Any) -> Any:
        """A path for an int, else an index of the chosen files, for a split into training and validation, say.

        Raises
        ------
        IndexError, ValueError, TypeError
            As for the accessors.
        """
        chosen = resolve(index, len(self))
        if isinstance(chosen, int):
            return self._content.paths[chosen]
        # It has not all files of the folder, so `refresh` must not add them.
        return self._make(self._content.take(chosen)._replace(listed=Listed.GIVEN))

    def __repr__(self) -> str:
        classes = f", {counted(len(self.classes), 'class')}" if self.classes else ""
        return f"<{type(self).__name__}: {counted(len(self), 'file')}{classes}, root {self.root!r}>"

    def changed(self, num_threads: int | None = None) -> npt.NDArray[np.int64]:
        """Find files that are gone, or have another byte count or time than when they were indexed.

        Parameters
        ----------
        num_threads : int, optional
            As for `FileIndex`.

        Returns
        -------
        int64 ndarray
            Their positions, in ascending order.

        Raises
        ------
        ValueError, TypeError
            `num_threads` is wrong.

        Examples
        --------
        >>> import os
        >>> index = fastimg.FileIndex(["cat.jpg", "broken.jpg"])
        >>> os.replace("photos/cat/000.jpg", "cat.jpg")
        >>> index.changed().tolist()
        [0]
        """
        check_num_threads(num_threads)
        found = [np.zeros(0, np.int64)]
        for first in range(0, len(self), _CHUNK):
            rows = slice(first, first + _CHUNK)
            nbytes, mtimes, _ = stat_files(self.paths[rows], num_threads)
            same = (nbytes >= 0) & (nbytes == self._content.nbytes[rows]) & (mtimes == self.mtimes[rows])
            found.append(first + np.flatnonzero(~same))
        return np.concatenate(found)

    def refresh(
        self,
        *,
        fallback: FallbackOption | None = None,
        on_error: OnError = "raise",
        num_threads: int | None = None,
        progress: Progress = False,
    ) -> Self:
        """Make an index of what is there now. Only headers of files that are new or have changed are read.

        An index made by `from_folder` lists its folder again, with labels by the rules of before; one of given paths,
        or a part of another one, keeps its files but for those that are gone.

        Parameters
        ----------
        fallback : {"pillow"} or callable, optional
            As for `from_folder`. An index that was made with one lists all formats without it, too, but needs it to
            read the sizes of new images.
        on_error, num_threads, progress
            As for `FileIndex`.

        Returns
        -------
        FileIndex
            Another index; this one stays as it is.

        Raises
        ------
        ImageError, OSError, ImportError, ValueError, TypeError
            As for `from_folder`.

        Examples
        --------
        >>> import shutil
        >>> index = fastimg.FileIndex.from_folder("photos")
        >>> new = shutil.copy("cat.jpg", "photos/cat/new.jpg")
        >>> len(index), len(index.refresh())
        (72, 73)
        """
        failures = Failures(on_error)
        options = ScanOptions.parse(self.sizes is not None, fallback, num_threads, progress)
        packed, labels, classes = self.paths, self.labels, self.classes
        known = Facts(self._content.nbytes, self.mtimes, self.sizes)
        listed, formats = self._content.listed, self._content.formats
        given = listed == Listed.GIVEN
        if not given:
            formats = "all" if options.fallback else formats
            packed, labels, classes = list_files(
                self.root, listed == Listed.CLASSES, failures.add, None, formats
            )
            known = find_known(packed, self.paths, known)
        facts = scan(packed, known, failures, options, skip_gone=given)
        content = put_together(packed, labels, classes, facts, self.root, listed, formats)
        if given:
            content = content.take(np.delete(np.arange(len(packed)), facts.gone))
        failures.warn()
        return self._make(content)
