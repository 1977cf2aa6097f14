# SPDX-License-Identifier: BSD-3-Clause
"""Batches for training, from any mix of accessors and arrays."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import numpy.typing as npt

from fastimg.batch_builder import BatchBuilder
from fastimg.batch_options import parse_batch_options
from fastimg.batches import BatchIterator
from fastimg.derived_sources import Derivable
from fastimg.epochs import Epoch, EpochCounter, check_state
from fastimg.indexing import resolve_many
from fastimg.on_error import BatchOnError, EpochErrors
from fastimg.options import parse_integer
from fastimg.readers import ReadAhead
from fastimg.sample_arrays import by_position, common_length
from fastimg.samplers import ClassBalancedSampler, Sampler, check_batchup_sampler, parse_sampler
from fastimg.sampling import Samples, Shuffle, parse_repeats, parse_seed
from fastimg.workers import warn_untold_worker

if TYPE_CHECKING:
    from fastimg.torch_iterable import TorchIterable as TorchIterable

__all__ = ["ArrayDataSource", "BatchIterator", "ClassBalancedSampler"]  # TorchIterable would import PyTorch


class ArrayDataSource(Derivable):
    """Draws batches of samples from array-likes of one length, in order or shuffled, ahead of the code that uses them.

    Parameters
    ----------
    arrays : list or tuple of array-like
        Accessors, NumPy arrays, memmaps, or whatever has a length and takes a 1-D int64 array in its brackets; they are
        not copied. All are read by position: lists, tuples, tensors in the CPU's memory, and columns and tables of
        pandas, Polars and Arrow are made NumPy arrays at once, of objects if they hold text, rows of several lengths,
        or None.
    indices : (n,) integer array, optional
        Draw only these samples.
    repeats : int
        How often all samples are drawn in an epoch, shuffled again each time; -1: without end. Batches reach across
        the seams.
    sampler : object, optional
        With methods ``in_order_indices_batch_iterator(batch_size)`` and
        ``shuffled_indices_batch_iterator(batch_size, rng)``, as BatchUp's samplers have: draws the indices.
    include_indices : bool
        Whether batches begin with the indices of their samples, int64.
    seed : int, optional
        For ``shuffle=True``. None: a random one.

    Raises
    ------
    ValueError
        If there is no array, lengths differ, or options contradict each other.
    IndexError
        If an index is out of range.
    TypeError
        If an argument has the wrong type, or an array cannot be read by position: a dict, a tensor on another device.

    Notes
    -----
    The interface is that of BatchUp's class of the same name; the same random state gives the same batches in the same
    order. Each call of `batch_iterator` begins the next epoch of the source: 0, 1, and so on, or from the one that
    `set_epoch` names. Arrays that have a method ``with_epoch``, such as `RandomResizedCrop`, are asked for that epoch.

    A copy, by `copy` or `pickle`, continues like a source that has loaded this one's `state_dict`.

    Examples
    --------
    >>> paths, labels, classes = fastimg.image_folder("photos")
    >>> train_X = fastimg.ImageFileAccessor(paths, size=64)
    >>> source = fastimg.data_source.ArrayDataSource([train_X, labels])
    >>> for images, targets in source.batch_iterator(32, shuffle=np.random.RandomState(12345)):
    ...     print(images.shape, targets.shape)
    (32, 3, 64, 64) (32,)
    (32, 3, 64, 64) (32,)
    (8, 3, 64, 64) (8,)
    """

    _part = (0, 1)  # which batches of an epoch: see `Epoch`

    def __init__(
        self,
        arrays: list[Any] | tuple[Any, ...],
        *,
        indices: npt.ArrayLike | None = None,
        repeats: int = 1,
        sampler: Any = None,
        include_indices: bool = False,
        seed: int | None = None,
    ) -> None:
        if not isinstance(arrays, list | tuple):
            raise TypeError(f"arrays must be a list or tuple of array-likes, found {type(arrays).__name__}")
        self._arrays = tuple(by_position(array, f"arrays[{i}]") for i, array in enumerate(arrays))
        length = common_length(self._arrays)
        samples = np.arange(length, dtype=np.int64)
        if indices is not None:
            samples = resolve_many(np.asarray(indices), length)
        self._samples = Samples(samples, parse_repeats(repeats), check_batchup_sampler(sampler))
        if sampler is not None and (indices is not None or repeats != 1):
            raise ValueError("a sampler draws the indices: give neither indices nor repeats with it")
        self._include_indices = bool(include_indices)
        self._functions: tuple[Callable[..., Any], ...] = ()
        self._epochs = EpochCounter(parse_seed(seed))

    def _replace(self, *, seed: int | None = None, keep_loaded: bool = False, **changes: Any) -> Self:
        """A source with `changes` that begins this one's next epoch."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__, _epochs=self._epochs.derive(seed, keep_loaded), **changes)
        return other

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_epochs": self._epochs.copy()}

    def __repr__(self) -> str:
        return (
            f"<fastimg.data_source.ArrayDataSource: {len(self._arrays)} arrays, {self.num_samples()} samples>"
        )

    def __len__(self) -> int:
        """The number of samples in an epoch; TypeError if it has no end, or its sampler does not say."""
        return self._samples.finite_total()

    def num_samples(self, **_: Any) -> int | float:
        """The number of samples in an epoch; infinity if it has no end, or a sampler does not say.

        Keywords are ignored: BatchUp passes some.

        Returns
        -------
        int or float
            An int with `repeats` counted, or ``math.inf``.

        Examples
        --------
        >>> source = fastimg.data_source.ArrayDataSource([np.arange(10)], seed=1)
        >>> source.num_samples(), fastimg.data_source.ArrayDataSource([np.arange(10)], repeats=-1).num_samples()
        (10, inf)
        """
        count = self._samples.total()
        return math.inf if count is None else count

    def batch_iterator(
        self,
        batch_size: int,
        shuffle: Shuffle = None,
        *,
        sampler: Sampler | None = None,
        epoch: int | None = None,
        prefetch: int = 2,
        num_threads: int | None = None,
        drop_last: bool = False,
        reuse_buffers: bool = False,
        on_error: BatchOnError | None = None,
        include_mask: bool = False,
        read_threads: int | None = None,
        read_ahead: ReadAhead | None = None,
        to: Literal["numpy", "torch"] = "numpy",
        pin_memory: bool = False,
    ) -> BatchIterator:
        """Begin an epoch.

        Parameters
        ----------
        batch_size : int
            Samples in a batch; the last one may have fewer.
        shuffle : None, bool, int, numpy.random.RandomState or numpy.random.Generator
            None, False: in order. True: an order that depends only on the source's seed and the epoch's number, the
            same on every machine. An int: as for a RandomState of that seed. Else its ``permutation``, drawn when the
            first batch is asked for.
        sampler : iterable of int, or object, optional
            Draws the order of this epoch: PyTorch's samplers, `ClassBalancedSampler`, an array or any other iterable of
            positions among the source's samples, possibly without end, or a sampler like BatchUp's. Its ``set_epoch``,
            if it has one, is called with the epoch's number. It is drawn from as batches are made, in the threads that
            ask for batches, and no further ahead than `prefetch`.
        epoch : int, optional
            Which epoch, as for `set_epoch`; None: the next one.
        prefetch : int
            How many batches are made ahead, by as many threads; 0: each when it is asked for, in the calling thread. At
            most ``prefetch + 2`` batches exist at once, including the one that the caller has.
        num_threads : int, optional
            For decoding, as for `load`; None: the accessor's.
        drop_last : bool
            Whether to leave out a last batch that has fewer samples.
        reuse_buffers : bool
            Whether arrays are used again: those of a batch are then valid until the next batch has come. Otherwise
            every batch has fresh arrays. A ``non_blocking`` copy to a device must have ended by then, too.
        on_error : "raise", "fill", "drop" or callable, optional
            For all accessors of the source; None: what each was made with. As for `load`, but with one warning per
            epoch, and a callable gets a batch's errors just before the batch is handed out, in the caller's thread.
            "drop" leaves a sample out of all arrays, indices and mask included, if one array fails: the batch is
            smaller, and skipped if nothing is left of it.
        include_mask : bool
            Whether batches end with a mask, (n,) bool: True where a sample is good in all arrays.
        read_threads, read_ahead : optional
            As for `load`, for all accessors and batches together; None: the first accessor's.
        to : "numpy" or "torch"
            What batches consist of. "torch": tensors that share the arrays' memory, indices and masks included.
            Accessors with ``layout="HWC"`` give (N, C, H, W), too, with the strides of ``torch.channels_last``. What
            PyTorch has no dtype for, such as text, stays as it is.
        pin_memory : bool
            With "torch": whether tensors are in page-locked memory, which images are decoded into. Where there is no
            CUDA device, it warns and has no effect.

        Returns
        -------
        BatchIterator
            Yields tuples of arrays or tensors, or what the functions given to `map` return.

        Raises
        ------
        ValueError, TypeError
            If an argument is out of range or of the wrong type, or does not fit the state that was loaded.
        ImportError
            If ``to="torch"`` is given without PyTorch.

        Notes
        -----
        An error in a batch is raised in its place, after all batches before it. Errors about images have `index` and
        `source`.

        Every process draws all samples: only `shard` divides them. In a worker of a PyTorch DataLoader, which starts
        with a copy of the source, a shuffled epoch must therefore be named; if none was, the first worker warns.

        With "drop", `drop_last`, ``len`` and `state_dict` count batches as they were drawn. If as many samples as the
        source has fail in a row, the last batch's first error is raised.

        Examples
        --------
        >>> source = fastimg.data_source.ArrayDataSource([np.arange(10)])
        >>> [batch.tolist() for (batch,) in source.batch_iterator(4)]
        [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
        >>> len(source.batch_iterator(4, shuffle=True, drop_last=True))
        2
        """
        options = parse_batch_options(
            batch_size,
            prefetch=prefetch,
            num_threads=num_threads,
            reuse_buffers=reuse_buffers,
            on_error=on_error,
            include_mask=include_mask,
            read_threads=read_threads,
            read_ahead=read_ahead,
            to=to,
            pin_memory=pin_memory,
        )
        if sampler is not None:
            sampler = self._check_sampler(sampler, shuffle)
        if epoch is not None:
            epoch = parse_integer("epoch", epoch, 0)
        elif not (
            self._epochs.told or ((shuffle is None or shuffle is False) and not hasattr(sampler, "set_epoch"))
        ):
            self._epochs.told = warn_untold_worker()
        begun = self._epochs.begin(
            lambda seed, number: Epoch(
                self._samples,
                options.batch_size,
                shuffle,
                bool(drop_last),
                seed,
                number,
                self._part,
                sampler=sampler,
            ),
            epoch,
        )

        def make() -> BatchBuilder:
            arrays = tuple(
                by_position(array.with_epoch(begun.number), f"arrays[{i}].with_epoch({begun.number})")
                if hasattr(array, "with_epoch")
                else array
                for i, array in enumerate(self._arrays)
            )
            return options.make_builder(arrays, self._include_indices, self._functions)

        return BatchIterator(begun, make, options.prefetch, EpochErrors(len(self._samples.indices)))

    def _check_sampler(self, sampler: Any, shuffle: Shuffle) -> Any:
        """What `parse_sampler` makes of it; ValueError if the source has a sampler, or repeats its samples."""
        if self._samples.sampler is not None:
            raise ValueError("the source has a sampler: give none to batch_iterator")
        if self._samples.repeats != 1:
            raise ValueError(
                f"a sampler draws all of an epoch: expected a source with repeats=1, found {self._samples.repeats}"
            )
        return parse_sampler(sampler, shuffle, len(self._samples.indices))

    def set_epoch(self, epoch: int) -> None:
        """Make `epoch` the next one that `batch_iterator` begins; the ones after it follow.

        Order and crops of an epoch depend on the seeds and its number alone. A state of this very epoch that
        `load_state_dict` has loaded is still continued; of a state of another epoch only the seed is kept.

        Parameters
        ----------
        epoch : int
            At least 0, of any size.

        Raises
        ------
        ValueError, TypeError
            If `epoch` is negative or not an integer.

        Examples
        --------
        >>> source = fastimg.data_source.ArrayDataSource([np.arange(10)], seed=1)
        >>> source.set_epoch(7)
        >>> seventh = [batch.tolist() for (batch,) in source.batch_iterator(5, shuffle=True)]
        >>> seventh == [batch.tolist() for (batch,) in source.batch_iterator(5, shuffle=True, epoch=7)]
        True
        """
        self._epochs.set(parse_integer("epoch", epoch, 0))

    def state_dict(self) -> dict[str, Any]:
        """Where the last epoch stands, in plain types that JSON can hold.

        Returns
        -------
        dict
            For `load_state_dict`. Batches count when the caller has got them, not when they are made.

        Examples
        --------
        >>> source = fastimg.data_source.ArrayDataSource([np.arange(10)], seed=1)
        >>> batch = next(source.batch_iterator(4))
        >>> source.state_dict()["batches"]
        1
        """
        return self._epochs.state(lambda seed, number: Epoch(self._samples, 1, None, False, seed, number))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue an epoch, of this process or another.

        The next call of `batch_iterator` yields the batches that were left; its batch size and kind of shuffle must be
        the same. If it is given a random number generator, that is set to the state the other one had.

        Parameters
        ----------
        state : dict
            What `state_dict` returned, of a source of the same samples.

        Raises
        ------
        ValueError, TypeError
            If `state` is not one.

        Examples
        --------
        >>> source = fastimg.data_source.ArrayDataSource([np.arange(10)], seed=1)
        >>> batch = next(source.batch_iterator(4))
        >>> resumed = fastimg.data_source.ArrayDataSource([np.arange(10)])
        >>> resumed.load_state_dict(source.state_dict())
        >>> [batch.tolist() for (batch,) in resumed.batch_iterator(4)]
        [[4, 5, 6, 7], [8, 9]]
        """
        check_state(state, self._samples.total())
        self._epochs.load(state)


if not TYPE_CHECKING:  # to which every name would be one

    def __getattr__(name: str) -> Any:
        if name == "TorchIterable":
            from fastimg.torch_iterable import TorchIterable

            return TorchIterable
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
