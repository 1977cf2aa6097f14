# SPDX-License-Identifier: BSD-3-Clause
"""Images in columns of Arrow tables, read where they lie. pyarrow is imported when something must be converted."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastimg.remote import is_url, open_urls
from fastimg.wording import counted

_OFFSETS = {"binary": np.int32, "large_binary": np.int64}
_INLINE = 12  # a view of so many bytes or fewer holds them itself


def arrow_sources(data: Any, column: str | None = None) -> ArrowSources:
    """Take images out of an Arrow column, without a copy.

    What it returns stands in the place of a list of sources in `load`, `read_headers` and the accessors.

    Parameters
    ----------
    data : column, table, dataset, str, os.PathLike or list of these two
        A column: an array or chunked array of pyarrow, a series of Polars, a column of a Hugging Face dataset, or
        whatever else pyarrow takes through Arrow's C interface. Its type is binary (also large, or views), or a struct
        of ``bytes`` and ``path``, Hugging Face's layout of images: where the bytes are null, the file or URL at `path`
        is read. Or what has such columns: a table, a data frame, a Hugging Face dataset (its order and selection
        count), or Parquet and Arrow files, one after the other.
    column : str, optional
        The name of the column in the latter.

    Returns
    -------
    ArrowSources
        ``len``, ``read(i)``, a memoryview of Arrow's memory, ``nbytes(i)``, and ``name(i)``, which is the path, or
        else ``column[i]``. It can be used after a fork. Its pickle holds the data, but of files or of a dataset that
        lies in files only their names: they are opened again. A Parquet file is read into memory for that; an Arrow
        file is mapped into it, so processes share it, and it must not be cut short meanwhile.

    Raises
    ------
    TypeError
        `data` is no such thing, or the column is of another type.
    KeyError
        There is no column of this name.
    ValueError
        `column` is missing, or a file is damaged.
    OSError
        A file cannot be read.
    ImportError
        pyarrow is not installed.

    Examples
    --------
    >>> import pyarrow
    >>> table = pyarrow.table({"image": [open("cat.jpg", "rb").read()] * 3})
    >>> images = fastimg.arrow_sources(table, "image")  # or "train.parquet", "image"
    >>> fastimg.load(images, size=64).shape
    (3, 3, 64, 64)
    """
    if isinstance(data, str | os.PathLike | list | tuple):
        return ArrowSources(_Files(_check_paths(data), _check_column(column)))
    if hasattr(data, "source") and hasattr(data, "column_name"):  # a column of a dataset
        data, column = data.source, data.column_name
    if hasattr(data, "_indices") and hasattr(data, "data"):  # a dataset, without its package
        order = data._indices
        rows = None if order is None else order.column(0).to_numpy().astype(np.int64)
        return ArrowSources(_Table(data.data, _check_column(column)), rows)
    if column is not None:
        data = data[column]
    return ArrowSources(_Column(_chunked(data), column or "column"))


class _Column(NamedTuple):
    """A column in memory."""

    data: Any
    name: str

    def chunks(self) -> list[Any]:
        return list(self.data.chunks)


class _Table(NamedTuple):
    """A column of a dataset's table, which pickles as the names of its files if it is mapped from some."""

    table: Any
    name: str

    def chunks(self) -> list[Any]:
        return list(self.table.column(self.name).chunks)


class _Files(NamedTuple):
    """A column of files."""

    paths: tuple[str, ...]
    name: str

    def chunks(self) -> list[Any]:
        return [chunk for path in self.paths for chunk in _read_column(path, self.name).chunks]


class ArrowSources:
    """Images of an Arrow column, as `load` and the accessors read them.

    Parameters
    ----------
    origin : _Column, _Table or _Files
        Where the column comes from.
    rows : ndarray of int64, (N,), optional
        The rows that count, in their order; by default all.
    """

    #: Memory is all that it needs.
    fork_safe = True

    def __init__(self, origin: _Column | _Table | _Files, rows: npt.NDArray[np.int64] | None = None) -> None:
        self._origin = origin
        self._rows = rows
        self._chunks = [_Chunk(chunk) for chunk in origin.chunks() if len(chunk)]
        self._ends = np.cumsum([len(chunk) for chunk in self._chunks], dtype=np.int64)

    def __len__(self) -> int:
        if self._rows is not None:
            return len(self._rows)
        return int(self._ends[-1]) if self._chunks else 0

    def read(self, index: int) -> memoryview | bytes:
        """Return the bytes of one image.

        Parameters
        ----------
        index : int
            Its position.

        Returns
        -------
        memoryview or bytes
            A view of Arrow's memory, which lives as long as the view; bytes, if it is another file's.

        Raises
        ------
        ValueError
            The row is null.
        OSError
            The file of a row without bytes cannot be read.
        """
        chunk, row = self._find(index)
        data = chunk.read(row)
        if data is not None:
            return data
        path = chunk.path(row)
        if path is None:
            raise ValueError(f"{self.name(index)}: expected the bytes of an image, found null")
        if is_url(path):
            return open_urls([path]).read(0)
        with open(path, "rb") as file:
            return file.read()

    def nbytes(self, index: int) -> int:
        """Return the size of an image in bytes, -1 if another file holds it."""
        chunk, row = self._find(index)
        return chunk.nbytes(row)

    def name(self, index: int) -> str:
        """Return the path of an image, or ``column[index]`` if it has none."""
        chunk, row = self._find(index)
        return chunk.path(row) or f"{self._origin.name}[{index}]"

    def _find(self, index: int) -> tuple[_Chunk, int]:
        row = int(index if self._rows is None else self._rows[index])
        at = int(np.searchsorted(self._ends, row, "right"))
        if at == len(self._chunks):
            raise IndexError(f"index {index} is out of range for {len(self)} images")
        chunk = self._chunks[at]
        return chunk, row - int(self._ends[at]) + len(chunk)

    def __reduce__(self) -> tuple[Any, ...]:
        return ArrowSources, (self._origin, self._rows)

    def __repr__(self) -> str:
        return f"<ArrowSources of {counted(len(self), 'image')}: {self._origin.name}>"


class _Chunk:
    """The rows of one Arrow array.

    Arrays are views of Arrow's buffers: offsets of int32 or int64, (rows + 1,), or views of int32, (rows, 4).
    """

    def __init__(self, array: Any) -> None:
        array = getattr(array, "storage", array)  # of an extension type
        self._valid = _valid(array)
        self._paths = None
        kind = str(array.type)
        if kind.startswith("struct"):
            names = [field.name for field in array.type]
            if "bytes" in names:
                if "path" in names:
                    self._paths = array.field(names.index("path"))
                array = array.field(names.index("bytes"))
                inner = _valid(array)
                if inner is not None:
                    self._valid = inner if self._valid is None else self._valid & inner
        _, places, *buffers = array.buffers()
        self._length = len(array)
        first = array.offset
        self._buffers = [memoryview(each or b"").cast("B") for each in buffers]
        self._views = memoryview(b"")
        if str(array.type) in _OFFSETS:
            offsets = np.frombuffer(places, _OFFSETS[str(array.type)])
            self._places: npt.NDArray[Any] = offsets[first : first + len(array) + 1]
        elif str(array.type) == "binary_view":
            self._views = memoryview(places).cast("B")[16 * first :]
            self._places = np.frombuffer(places, np.int32).reshape(-1, 4)[first : first + len(array)]
        else:
            raise TypeError(
                f"expected a column of type binary, or of structs with a field bytes, found {kind}"
            )

    def __len__(self) -> int:
        return self._length

    def read(self, row: int) -> memoryview | None:
        if self._valid is not None and not self._valid[row]:
            return None
        if self._places.ndim == 1:
            return self._buffers[0][int(self._places[row]) : int(self._places[row + 1])]
        size, _, buffer, offset = map(int, self._places[row])
        if size <= _INLINE:
            return self._views[16 * row + 4 : 16 * row + 4 + size]
        return self._buffers[buffer][offset : offset + size]

    def nbytes(self, row: int) -> int:
        if self._valid is not None and not self._valid[row]:
            return -1
        if self._places.ndim == 1:
            return int(self._places[row + 1]) - int(self._places[row])
        return int(self._places[row, 0])

    def path(self, row: int) -> str | None:
        return None if self._paths is None else self._paths[row].as_py()


def _valid(array: Any) -> npt.NDArray[np.bool_] | None:
    """Which rows are not null; None if all are."""
    return None if array.null_count == 0 else np.asarray(array.is_valid())


def _chunked(data: Any) -> Any:
    """A chunked array of pyarrow, of whatever has Arrow's interface."""
    if hasattr(data, "chunks") and hasattr(data, "type"):
        return data
    pyarrow = _import_pyarrow()
    if isinstance(data, pyarrow.Array):
        return pyarrow.chunked_array([data])
    if not hasattr(data, "__arrow_c_stream__") and not hasattr(data, "__arrow_c_array__"):
        raise TypeError(
            f"expected an Arrow column, or a table and the name of one, found {type(data).__name__}"
        )
    return pyarrow.chunked_array(data)


def _read_column(path: str, name: str) -> Any:
    """A column of a Parquet file, or of an Arrow file or stream; which it is, its first bytes tell."""
    pyarrow = _import_pyarrow()
    with open(path, "rb") as file:
        head = file.read(6)
    if head[:4] == b"PAR1":
        from pyarrow import parquet

        with parquet.ParquetFile(path) as opened:
            return opened.read([name])[name]
    mapped = pyarrow.memory_map(path)
    reader = pyarrow.ipc.open_file(mapped) if head == b"ARROW1" else pyarrow.ipc.open_stream(mapped)
    return reader.read_all()[name]


def _import_pyarrow() -> Any:
    try:
        import pyarrow
    except ModuleNotFoundError as error:
        if error.name != "pyarrow":
            raise
        raise ModuleNotFoundError("Arrow columns need pyarrow: pip install pyarrow", name="pyarrow") from None
    return pyarrow


def _check_paths(paths: Any) -> tuple[str, ...]:
    found = [paths] if isinstance(paths, str | os.PathLike) else paths
    for path in found:
        if not isinstance(path, str | os.PathLike):
            raise TypeError(f"expected paths of files, found {type(path).__name__}")
    return tuple(map(os.fsdecode, found))


def _check_column(column: str | None) -> str:
    if column is None:
        raise ValueError("column: expected the name of a column, found None")
    return column
