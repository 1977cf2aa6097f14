# SPDX-License-Identifier: BSD-3-Clause
"""What accessors with random boxes share: their epoch."""

from __future__ import annotations

from typing import Any, Self

from fastimg.options import parse_integer
from fastimg.workers import SharedEpoch


class HasEpochs:
    """An accessor whose random boxes depend on an epoch, which is 0 at first."""

    _random: Any  # a NamedTuple with a field `epoch`
    _shared_epoch: SharedEpoch

    def __copy__(self) -> Self:
        return self.with_epoch(self.epoch)

    @property
    def epoch(self) -> int:
        """Which epoch's boxes these are."""
        told = self._shared_epoch.get()
        return self._random.epoch if told is None else told

    def set_epoch(self, epoch: int) -> None:
        """Change the epoch of this accessor, also in workers of a PyTorch DataLoader that are running.

        For a loader of this accessor, or of a data set that holds it: call it before each loop over the loader. Views
        that `with_epoch` returned stay as they are.

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
        >>> train_X = fastimg.ImageFileAccessor(fastimg.find_images("photos"))
        >>> augmented = train_X.random_resized_crop(64)
        >>> for epoch in range(3):
        ...     augmented.set_epoch(epoch)
        ...     batch = augmented[:32]
        """
        self._shared_epoch.set(epoch)

    def with_epoch(self, epoch: int) -> Self:
        """The same images in another epoch.

        Parameters
        ----------
        epoch : int
            At least 0, of any size.

        Returns
        -------
        the same type
            A view that shares everything with this one, which stays as it is.

        Raises
        ------
        ValueError, TypeError
            If `epoch` is negative or not an integer.

        Examples
        --------
        >>> train_X = fastimg.ImageFileAccessor(fastimg.find_images("photos"))
        >>> augmented = train_X.random_resized_crop(64)
        >>> augmented.with_epoch(3).epoch, augmented.epoch
        (3, 0)
        """
        view = object.__new__(type(self))
        view.__dict__.update(self.__dict__)
        view._random = self._random._replace(epoch=parse_integer("epoch", epoch, 0))
        view._shared_epoch = SharedEpoch()
        return view
