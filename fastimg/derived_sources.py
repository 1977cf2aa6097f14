# SPDX-License-Identifier: BSD-3-Clause
"""Data sources made of another one: of some of its samples, or with functions of its batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from fastimg.indexing import Index, resolve_many
from fastimg.options import parse_integer
from fastimg.sampling import Samples


class Derivable:
    """A data source of which others can be made: each begins with its next epoch."""

    _samples: Samples
    _functions: tuple[Callable[..., Any], ...]

    def _replace(self, *, seed: int | None = None, keep_loaded: bool = False, **changes: Any) -> Self:
        raise NotImplementedError

    def map(self, fn: Callable[..., Any]) -> Self:
        """A data source whose batches are ``fn(*batch)``.

        Parameters
        ----------
        fn : callable
            Gets a batch's arrays as arguments, or its tensors with ``to="torch"``; what it returns is the batch, or
            goes to the next function. It is called in the threads that make batches ahead, possibly for several batches
            at once.

        Returns
        -------
        ArrayDataSource

        Raises
        ------
        TypeError
            If `fn` cannot be called.

        Examples
        --------
        >>> source = fastimg.data_source.ArrayDataSource([np.arange(10)])
        >>> halves = source.map(lambda numbers: numbers / 2)
        >>> next(halves.batch_iterator(4)).tolist()
        [0.0, 0.5, 1.0, 1.5]
        """
        if not callable(fn):
            raise TypeError(f"fn must be callable, found {type(fn).__name__}")
        return self._replace(keep_loaded=True, _functions=(*self._functions, fn))  # its samples are the same

    def subset(self, indices: Index) -> Self:
        """A data source of some of the samples.

        Parameters
        ----------
        indices : slice, range, list of int, 1-D integer array or boolean mask
            Positions among the samples of this source.

        Returns
        -------
        ArrayDataSource

        Raises
        ------
        IndexError, TypeError
            If `indices` are out of range or of another kind.
        ValueError
            If they do not have one dimension, or the source has a sampler.

        Examples
        --------
        >>> source = fastimg.data_source.ArrayDataSource([np.arange(10)])
        >>> valid, train = source.subset(slice(0, 2)), source.subset(slice(2, None))
        >>> len(valid), len(train)
        (2, 8)
        """
        samples = self._samples
        if samples.sampler is not None:
            raise ValueError("a data source with a sampler has no subset: its sampler draws from all samples")
        chosen = samples.indices[resolve_many(indices, len(samples.indices))]
        return self._replace(_samples=samples._replace(indices=chosen))

    def shard(self, rank: int, world: int) -> Self:
        """The samples of one of `world` processes: `rank`, `rank` + `world`, and so on. Each belongs to one shard.

        Parameters
        ----------
        rank : int
            From 0 to `world` - 1.
        world : int
            The number of shards.

        Returns
        -------
        ArrayDataSource

        Raises
        ------
        ValueError, TypeError
            If `rank` or `world` is out of range or not an integer, or the source has a sampler.

        Examples
        --------
        >>> source = fastimg.data_source.ArrayDataSource([np.arange(10)])
        >>> [batch.tolist() for (batch,) in source.shard(rank=1, world=3).batch_iterator(2)]
        [[1, 4], [7]]
        """
        rank, world = parse_integer("rank", rank, 0), parse_integer("world", world, 1)
        if rank >= world:
            raise ValueError(f"rank must be less than world, found {rank} and {world}")
        return self.subset(slice(rank, None, world))
