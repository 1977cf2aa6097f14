# SPDX-License-Identifier: BSD-3-Clause
"""Images of a list: their sizes, their pixels, and what happens to those that fail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

import fastimg._decode as _decode
from fastimg.crops import Boxes, Crop
from fastimg.errors import Failure, make_error, picklable_source, source_name
from fastimg.fallback import Fallback
from fastimg.on_error import ErrorLog, fault_error, find_fault, warn_caller
from fastimg.options import Options
from fastimg.other_headers import read_others
from fastimg.readers import DEFAULT, Reading
from fastimg.sources import SourceList
from fastimg.threads import Cancellation, Progress, run_batch
from fastimg.torch_errors import locate
from fastimg.wording import counted, verb


class BatchDecode:
    """The decoding of some images of a list of sources.

    Parameters
    ----------
    sources : SourceList
    indices : ndarray of int64, (n,), or None
        Which images; None: all.
    options : Options
    crop : (top, left, height, width), float64 ndarray of them, (n, 4), or None
        For all, or one per chosen image.
    flip : bool or bool ndarray, (n,)
        For all, or one per chosen image.
    num_threads, progress
        As for `load`. All arguments have been checked.
    on_error : "raise", "fill" or callable
        As `parse_on_error` returns it.
    originals : sequence, optional
        The sources as the caller gave them, for errors to carry.
    cancellation : Cancellation, optional
        How another thread stops it; images decoded after that are unspecified.
    reading : Reading
    readers : Readers, optional
        Those of an iterator, which read the files of its next batches meanwhile.
    boxes : tuple, optional
        As for `_decode.Batch`: random boxes, with a size among the options.
    sizes : int32 ndarray, (N, 2), optional
        Heights and widths that all sources of the list must have; 0: not known.
    return_geometry : bool
        Whether `geometry` shall say where the pixels of each image come from.
    fallback : Fallback, optional
        Decodes what is none for the core.
    kind : type
        The class of the core's batch: `_decode.Batch`, or one derived from it.
    """

    def __init__(
        self,
        sources: SourceList,
        indices: npt.NDArray[np.int64] | None,
        options: Options,
        *,
        crop: Crop | Boxes | None,
        flip: bool | npt.NDArray[np.bool_],
        num_threads: int | None,
        on_error: Any,
        progress: Progress = False,
        originals: Sequence[Any] | None = None,
        cancellation: Cancellation | None = None,
        reading: Reading = DEFAULT,
        readers: _decode.Readers | None = None,
        boxes: tuple[Any, ...] | None = None,
        sizes: npt.NDArray[np.int32] | None = None,
        return_geometry: bool = False,
        fallback: Fallback | None = None,
        kind: type[_decode.Batch] = _decode.Batch,
    ) -> None:
        self.indices = indices
        self.options = options
        self.crop = crop
        self.num_threads = num_threads
        self.on_error = on_error
        self.progress = progress
        self.cancellation = cancellation or Cancellation()
        self.originals: Any = sources if originals is None else originals
        self.reading = reading
        self._readers = readers
        self._sources = sources
        self._fallback = fallback
        self._sizes = sizes
        self._begun_with_headers = False
        count = len(sources) if indices is None else len(indices)
        self.geometry: npt.NDArray[np.float64] | None = (
            np.full((count, 2, 3), np.nan) if return_geometry else None
        )
        self.batch = kind(
            sources,
            indices,
            options,
            crop,
            flip,
            on_error == "raise",
            boxes=boxes,
            sizes=sizes,
            keeps_bytes=True,
            geometry=self.geometry,
            fallback=fallback,
        )

    def read_ahead(self, has_size: bool) -> None:
        """Lets the iterator's readers begin; `has_size`: the size of the result is known without a header."""
        if self._readers is None or not self.batch.reads:
            return
        if has_size or self._needs_no_header():
            self.batch.begin_decoding()
        else:
            self._begun_with_headers = True
        self._readers.add(self.batch)

    def close(self) -> None:
        """Ends what `read_ahead` has begun, if nothing was loaded."""
        self._begun_with_headers = False
        if self._readers is not None and self._readers.has(self.batch):
            self.batch.cancel()
            self._readers.remove(self.batch)
            self._readers = None

    def load(self, out: Any = None, size: tuple[int, int] | None = None) -> Any:
        """Decodes images of one size into one array; `size` is their height and width if already known."""
        size = self.options.size or size or self.common_size(out)
        shape = (len(self.batch), *self.options.shape(*size))
        if out is None:
            out = np.empty(shape, self.options.dtype)
        self._decode_into(out, shape)
        return out

    def load_list(self, outs: list[Any] | None = None) -> list[Any]:
        """Decodes images of any sizes into a list of arrays; where the header cannot be read, an empty one."""
        sizes = self.read_sizes()
        shapes = [self.options.shape(max(h, 0), max(w, 0)) for h, w in sizes.tolist()]
        if outs is None:
            outs = [np.empty(shape, self.options.dtype) for shape in shapes]
        self._decode_into(outs, shapes)
        return outs

    def read_sizes(self) -> npt.NDArray[np.int64]:
        """Heights and widths, (n, 2), from the options or the headers; -1 where the header cannot be read."""
        shape = len(self.batch), 2
        if self.options.size:
            return np.full(shape, self.options.size, np.int64)
        if self.crop is not None and self.on_error == "raise":
            return self._result_sizes(np.broadcast_to(np.asarray(self.crop)[..., 2:], shape))
        if self._needs_no_header():
            return self._result_sizes(self._given_sizes())
        if len(self.batch):
            self._run()
            read_others(
                self.batch, self._sources, self.indices, self._fallback, self.options.values["max_pixels"]
            )
            failures = self.batch.failures()
            self._raise_fault(failures)
            if failures and self.on_error == "raise":
                self._raise_lowest(failures[0])
        return self.batch.sizes()

    def _result_sizes(self, sizes: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        return self.options.result_sizes(np.ascontiguousarray(sizes, np.float64))

    def _given_sizes(self) -> npt.NDArray[np.int32]:
        assert self._sizes is not None
        return self._sizes if self.indices is None else self._sizes[self.indices]

    def _needs_no_header(self) -> bool:
        """Whether the size of every result is known."""
        if self.options.size or (self.crop is not None and self.on_error == "raise"):
            return True
        return self._sizes is not None and self.crop is None and bool(self._given_sizes().all())

    def common_size(self, out: Any) -> tuple[int, int]:
        boxes = self.crop
        sizes = self.read_sizes() if boxes is None else self._result_sizes(np.atleast_2d(boxes)[:, 2:])
        known = np.flatnonzero(sizes[:, 0] >= 0)
        if not len(known):
            if out is None:
                self._raise_first(self.batch.failures())
            return self._size_of(out)
        different = np.flatnonzero((sizes[known] != sizes[known[0]]).any(axis=1))
        if len(different):
            self._raise_size_mismatch(sizes, int(known[0]), int(known[different[0]]))
        height, width = sizes[known[0]].tolist()
        return height, width

    def _size_of(self, out: Any) -> tuple[int, int]:
        """Height and width of the images that `out` would hold, as there is no image to say it."""
        shape: tuple[int, ...] = np.shape(out) if out is not None else ()
        axes = shape[2:4] if self.options.planar else shape[1:3]
        return (axes[0], axes[1]) if len(shape) == 4 else (0, 0)

    def _raise_size_mismatch(self, sizes: npt.NDArray[np.int64], first: int, other: int) -> None:
        (h0, w0), (h1, w1) = sizes[first].tolist(), sizes[other].tolist()
        source, index = picklable_source(self._source(other)), self._index(other)
        first_name = source_name(picklable_source(self._source(first)))
        things, remedy = "images", "size= or a crop, or use NonUniformImageFileAccessor"
        if self.crop is not None:
            things, remedy = "crops", "size="
        error = ValueError(
            f"{things} must have one size to share an array: "
            f"image {self._index(first)}, {first_name}, has height {h0} and width {w0}; "
            f"image {index}, {source_name(source)}, has height {h1} and width {w1}. Give {remedy}"
        )
        raise locate(error, source, index)

    def _decode_into(self, out: Any, shape: Any) -> None:
        batch = self.batch
        if self._begun_with_headers:  # but meanwhile the size is known
            self.close()
        batch.set_output(out, shape)
        if len(batch):
            self._run(self.progress)
        elif callable(self.progress):
            self.progress(0, 0)
        self._handle_failures(batch.failures())

    def _run(self, progress: Progress = False) -> None:
        # An iterator's readers are used once. What then does not fit into memory, images of several sizes, must not
        # wait for batches that are read after this one.
        readers, self._readers, self._begun_with_headers = self._readers, None, False
        shared = readers is not None
        if readers is None:
            readers = self.reading.start(self.batch.by_caller)
        self.cancellation.add(self.batch)
        try:
            run_batch(self.batch, self.num_threads, readers, shared=shared, progress=progress)
        finally:
            self.cancellation.discard(self.batch)

    def _index(self, position: int) -> int:
        return position if self.indices is None else int(self.indices[position])

    def _source(self, position: int) -> Any:
        return self.originals[self._index(position)]

    def _error(self, failure: Failure) -> BaseException:
        return make_error(failure, self._source(failure.position), self._index(failure.position))

    def _raise_lowest(self, failure: Failure) -> None:
        """Raises what a loop over the images would raise first: one before this may be damaged after its header."""
        self.batch.set_output(None, failure.position)
        if failure.position:
            self._run()
        self._raise_first([*self.batch.failures(), failure])

    def _raise_first(self, failures: list[Failure]) -> None:
        if failures:
            raise self._error(failures[0])

    def _raise_fault(self, failures: list[Failure]) -> None:
        """`on_error` is for bad images: the next ones would only fail like this one."""
        fault = find_fault(failures)
        if fault and (fault.is_machine_fault or self.on_error != "raise"):
            raise fault_error(fault, self._source(fault.position), self._index(fault.position))

    def good(self) -> npt.NDArray[np.bool_]:
        """Which images were decoded, (n,)."""
        mask = np.ones(len(self.batch), np.bool_)
        mask[[failure.position for failure in self.batch.failures()]] = False
        return mask

    def result_geometry(self) -> Any:
        """Where the pixels of each image come from, (n, 2, 3), if that was asked for."""
        return self.geometry

    def _handle_failures(self, failures: list[Failure]) -> None:
        on_error = self.on_error
        if not failures:
            return
        if on_error == "raise":
            self._raise_first(failures)
        self._raise_fault(failures)
        if isinstance(on_error, ErrorLog):
            for failure in failures:
                on_error.add(self._error(failure), self._index(failure.position), failure.is_unreadable)
        elif callable(on_error):
            for failure in failures:
                on_error(self._error(failure))
        else:
            fate = verb(len(failures), "is", "are")
            warn_caller(
                f"{len(failures):,} of {counted(len(self.batch), 'image')} failed and {fate} zeros; the first: "
                f"{self._error(failures[0])}"
            )
