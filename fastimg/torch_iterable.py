# SPDX-License-Identifier: BSD-3-Clause
"""A data source for PyTorch's DataLoader. Imports PyTorch: `data_source` imports it only when asked to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex

import numpy as np
import torch
from torch.utils.data import IterableDataset

from fastimg.batch_options import parse_to
from fastimg.on_error import BatchOnError, parse_on_error
from fastimg.options import parse_flag, parse_integer
from fastimg.samplers import has_batchup_methods
from fastimg.sampling import Samples
from fastimg.threads import check_num_threads
from fastimg.torch_errors import worker_info
from fastimg.workers import WorkerEpochs

if TYPE_CHECKING:
    from fastimg.data_source import ArrayDataSource


class TorchIterable(IterableDataset):
    """The batches of a data source, for ``DataLoader(..., batch_size=None, num_workers=...)``.

    Workers share the batches of each epoch: together they give every sample once, and the loader gives the same batches
    in the same order with any number of workers.

    Parameters
    ----------
    source : ArrayDataSource
        Its samples, arrays, functions and seed count; its epoch does not.
    batch_size : int
        Samples in a batch; the last one may have fewer.
    shuffle : bool
        Whether each epoch has an order of its own.
    drop_last : bool
        Whether to leave out a last batch that has fewer samples.
    prefetch : int, optional
        How many batches are made ahead in background threads. None: 2 without workers; 0 in a worker, as the loader has
        its workers make batches ahead (``prefetch_factor``).
    num_threads : int, optional
        For decoding, as for `load`; None: the accessor's, else one in a worker.
    sampler : iterable of int, optional
        Draws the order of each epoch in the place of `shuffle`, as for `ArrayDataSource.batch_iterator`; not an
        iterator, which ends with its first epoch. All workers draw from it, and each makes its share of the batches.
        What it draws must therefore depend on its ``set_epoch``, if it has one, or on PyTorch's default generator,
        which for it is seeded by the epoch.
    on_error, include_mask
        As for `ArrayDataSource.batch_iterator`. A callable works without workers only. If "drop" skips a whole batch,
        the later ones of its worker come earlier.
    to : "numpy" or "torch"
        As for `batch_iterator`. A DataLoader makes tensors of arrays itself, but none of bfloat16, and (N, H, W, C) of
        those with ``layout="HWC"``. It also pins memory itself (``pin_memory``).

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range or of the wrong type.

    Notes
    -----
    After `set_epoch` the orders and crops of an epoch depend on the seeds of the source and of its arrays and on the
    epoch's number, and on nothing else. Without it, PyTorch's base seed is the number, so every epoch differs, and
    ``torch.manual_seed`` makes runs with the same kind of loader repeat: a worker takes the seed that the loader drew
    when it started its workers (from the loader's ``generator`` if it has one), and counts on from there if it is
    persistent; without workers one is drawn from PyTorch's default generator for each epoch. The source's own seed is
    then not used.

    Each distributed process takes its part by itself: ``TorchIterable(source.shard(rank, world), ...)``.

    Examples
    --------
    >>> import torch
    >>> paths, labels, classes = fastimg.image_folder("photos")
    >>> train_X = fastimg.ImageFileAccessor(paths, size=64)
    >>> source = fastimg.data_source.ArrayDataSource([train_X, labels])
    >>> dataset = fastimg.data_source.TorchIterable(source, batch_size=64)
    >>> len(dataset)
    2
    >>> loader = torch.utils.data.DataLoader(dataset, batch_size=None, num_workers=2)
    >>> for epoch in range(3):
    ...     dataset.set_epoch(epoch)
    ...     for images, targets in loader:
    ...         mean = images.float().mean()
    """

    def __init__(
        self,
        source: ArrayDataSource,
        batch_size: int,
        shuffle: bool = True,
        *,
        drop_last: bool = False,
        prefetch: int | None = None,
        num_threads: int | None = None,
        sampler: Iterable[SupportsIndex] | None = None,
        on_error: BatchOnError | None = None,
        include_mask: bool = False,
        to: Literal["numpy", "torch"] = "numpy",
    ) -> None:
        super().__init__()
        if not isinstance(getattr(source, "_samples", None), Samples):
            raise TypeError(f"source must be an ArrayDataSource, found {type(source).__name__}")
        check_num_threads(num_threads)
        self._source = source
        self._batch_size = parse_integer("batch_size", batch_size, 1)
        # A random number generator would be the same one in every epoch's new workers.
        self._shuffle = parse_flag("shuffle", shuffle)
        self._drop_last = parse_flag("drop_last", drop_last)
        self._prefetch = None if prefetch is None else parse_integer("prefetch", prefetch, 0)
        self._num_threads = num_threads
        self._samples = source._samples
        if sampler is not None:
            sampler = source._check_sampler(sampler, None)
            self._samples = self._samples._replace(sampler=_check_repeats_itself(sampler))
        self._sampler = sampler
        self._on_error = None if on_error is None else parse_on_error(on_error, drop=True)
        self._include_mask = parse_flag("include_mask", include_mask)
        parse_to(to)
        self._to = to
        self._epochs = WorkerEpochs()

    def set_epoch(self, epoch: int) -> None:
        """Make `epoch` the one of the loops over the loader that begin from now on, in workers, too.

        Call it before each of these loops, as for PyTorch's DistributedSampler: unlike that of an `ArrayDataSource`,
        the number stays until it is set again.

        Parameters
        ----------
        epoch : int
            From 0 to 2**63 - 1.

        Raises
        ------
        ValueError, TypeError
            If `epoch` is out of range or not an integer.

        Examples
        --------
        >>> source = fastimg.data_source.ArrayDataSource([np.arange(10)])
        >>> dataset = fastimg.data_source.TorchIterable(source, batch_size=4)
        >>> dataset.set_epoch(7)
        """
        self._epochs.set(epoch)

    def __len__(self) -> int:
        """The number of batches in an epoch, of all workers; TypeError if it has no end."""
        return self._samples.finite_batches(self._batch_size, self._drop_last)

    def __iter__(self) -> Iterator[Any]:
        """Begin an epoch: this worker's batches, or without workers all of them.

        Raises
        ------
        ValueError, TypeError
            As for `ArrayDataSource.batch_iterator`.
        """
        worker = worker_info()
        number, told = self._epochs.begin(lambda: int(torch.empty((), dtype=torch.int64).random_().item()))
        part = (0, 1) if worker is None else (worker.id, worker.num_workers)
        prefetch = self._prefetch
        if prefetch is None:
            prefetch = 2 if worker is None else 0
        source = self._source._replace(seed=None if told else 0, _part=part)
        sampler = self._sampler
        if sampler is not None and not hasattr(sampler, "set_epoch"):
            seeds = np.random.SeedSequence([source._epochs.upcoming()[0], number])
            sampler = _Seeded(sampler, int(seeds.generate_state(1, np.uint64)[0]))
        return source.batch_iterator(
            self._batch_size,
            self._shuffle if sampler is None else None,
            sampler=sampler,
            epoch=number,
            prefetch=prefetch,
            num_threads=self._num_threads,
            drop_last=self._drop_last,
            on_error=self._on_error,
            include_mask=self._include_mask,
            to=self._to,
        )

    def __repr__(self) -> str:
        return f"<fastimg.data_source.TorchIterable: batches of {self._batch_size} of {self._source!r}>"


class _Seeded:
    """A sampler that finds PyTorch's default generator seeded, and leaves it as it was.

    Parameters
    ----------
    sampler : iterable
    seed : int
        Below 2**64.
    """

    def __init__(self, sampler: Any, seed: int) -> None:
        self._sampler = sampler
        self._seed = seed

    def __len__(self) -> int:
        return len(self._sampler)

    def __iter__(self) -> Iterator[Any]:
        state = torch.Generator().manual_seed(self._seed).get_state()
        entries: Iterator[Any] | None = None
        while True:
            before = torch.get_rng_state()
            torch.set_rng_state(state)
            try:
                entries = iter(self._sampler) if entries is None else entries
                entry = next(entries)
            except StopIteration:
                return
            finally:
                state = torch.get_rng_state()
                torch.set_rng_state(before)
            yield entry


def _check_repeats_itself(sampler: Any) -> Any:
    """Refuses samplers that do not draw the same in every worker, as far as that can be known."""
    if has_batchup_methods(sampler):
        raise TypeError("sampler must be an iterable of indices: give one like BatchUp's to the source")
    if isinstance(sampler, Iterator):
        raise TypeError(
            f"sampler must be an iterable that begins again in every epoch, found an iterator, {type(sampler).__name__}"
        )
    if not hasattr(sampler, "set_epoch") and getattr(sampler, "generator", None) is not None:
        raise ValueError(
            f"{type(sampler).__name__} has a generator of its own, of which every worker would have a copy: leave it "
            "out, and the sampler draws from one that the epoch seeds"
        )
    return sampler
