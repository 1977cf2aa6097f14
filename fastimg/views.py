# SPDX-License-Identifier: BSD-3-Clause
"""Several views of each image, such as the crops of DINO, in one read and one decode."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

import fastimg._decode as _decode
from fastimg.batch_decode import BatchDecode
from fastimg.crops import Boxes, Crop, parse_crops, parse_flips
from fastimg.options import DEFAULTS, OWN_SIZE, Options, parse_options
from fastimg.sources import SourceList

ViewOptions: TypeAlias = Mapping[str, Any]

#: Options that decide what the decoder gives to all views of an image.
SHARED = ("mode", "orient", "strict", "max_pixels", "max_scans")
PER_VIEW = tuple(name for name in DEFAULTS if name not in SHARED)


class View(NamedTuple):
    """What becomes of each image of a list.

    Attributes
    ----------
    options : Options
    size : (int, int)
        Height and width of the result.
    crop : (top, left, height, width), float64 ndarray of them, (n, 4), or None
    flip : bool or bool ndarray, (n,)
    """

    options: Options
    size: tuple[int, int]
    crop: Crop | Boxes | None = None
    flip: bool | npt.NDArray[np.bool_] = False


def parse_view_options(
    view: Any, name: str, shared: Mapping[str, Any], known: Collection[str] = PER_VIEW
) -> dict[str, Any]:
    """The options of one view, over those that it shares with the others; they are not checked.

    Parameters
    ----------
    view : Mapping
    name : str
        What errors call it.
    shared : Mapping
        Values of all options.
    known : collection of str
        What a view may have.
    """
    if not isinstance(view, Mapping):
        raise TypeError(f"{name} must be a dict of options, found {view!r}")
    for key in view:
        if key in SHARED:
            raise ValueError(f"{name} has {key!r}, which is the same for all views: give it outside of them")
        if key not in known:
            raise ValueError(f"{name} has {key!r}, expected some of {', '.join(known)}")
    # A way to a size takes the place of any that all views would share.
    own_size = OWN_SIZE if [key for key in OWN_SIZE if view.get(key) is not None] else {}
    return {**shared, **own_size, **view}


def parse_views(views: Any, options: Options, crop: Any, flip: Any, count: int) -> list[View]:
    """The views of `count` images, with the other arguments where they have no option of their own.

    Raises
    ------
    ValueError, TypeError
        If there is no view, an option is wrong, or a view does not say how large it is.
    """
    parsed = []
    shared = {**options.values, "crop": crop, "flip": flip}
    for name, view in named_views(views):
        values = parse_view_options(view, name, shared)
        try:
            options = parse_options(values)
            crop, flip = parse_crops(values["crop"], count, options), parse_flips(values["flip"], count)
        except (ValueError, TypeError) as error:
            raise type(error)(f"{name}: {error}") from None
        parsed.append(View(options, _size_of(name, options, crop), crop, flip))
    return parsed


def named_views(views: Any) -> list[tuple[str, Any]]:
    """Each view, after what errors call it."""
    if isinstance(views, Mapping | str) or not isinstance(views, Sequence):
        raise TypeError(f"views must be a list of dicts, one per view, found {views!r}")
    if not views:
        raise ValueError("views must hold at least one view, found none")
    return [(f"views[{i}]", view) for i, view in enumerate(views)]


def _size_of(name: str, options: Options, crop: Crop | Boxes | None) -> tuple[int, int]:
    """Height and width of a view of any image."""
    if options.size:
        return options.size
    sizes = np.empty((0, 2), np.int64)
    if crop is not None:
        boxes = np.atleast_2d(np.asarray(crop, np.float64))
        sizes = np.unique(options.result_sizes(np.ascontiguousarray(boxes[:, 2:])), axis=0)
    if (sizes < 0).any():
        raise ValueError(f"{name} has a side of more than 2**20 after resizing: give center_crop")
    if len(sizes) != 1:
        found = "none of them" if crop is None else f"crops that give {len(sizes)} sizes"
        raise ValueError(
            f"{name} must say its size: give size, center_crop or crops of one size, found {found}"
        )
    return int(sizes[0, 0]), int(sizes[0, 1])


class ViewsDecode(BatchDecode):
    """The decoding of some images of a list of sources, each in several views.

    Parameters
    ----------
    sources, indices
        As for `BatchDecode`.
    views : list of View
    boxes : list of tuple, optional
        Random boxes, one per view.
    return_geometry, how
        As for `BatchDecode`, but for crop and flip.
    """

    batch: _decode.ViewBatch

    def __init__(
        self,
        sources: SourceList,
        indices: npt.NDArray[np.int64] | None,
        views: list[View],
        *,
        boxes: list[tuple[Any, ...]] | None = None,
        return_geometry: bool = False,
        **how: Any,
    ) -> None:
        how |= {"crop": None, "flip": False, "kind": _decode.ViewBatch}
        super().__init__(sources, indices, views[0].options, **how)
        self.views = views
        if return_geometry:
            self.geometry = np.full((len(self.batch), len(views), 2, 3), np.nan)
        plain = [(view.options, view.crop, view.flip) for view in views]
        self.batch.set_views(plain, boxes, self.geometry)

    def load(self, out: Any = None, size: tuple[int, int] | None = None) -> Any:
        """Decodes the images into one array per view, and returns these in a list; `size` is not used."""
        shapes = [(len(self.batch), *view.options.shape(*view.size)) for view in self.views]
        if out is None:
            out = [
                np.empty(shape, view.options.dtype) for shape, view in zip(shapes, self.views, strict=True)
            ]
        elif not isinstance(out, list | tuple) or len(out) != len(self.views):
            found = f"{len(out)} of them" if isinstance(out, list | tuple) else type(out).__name__
            raise ValueError(f"out must be a list of {len(self.views)} arrays, one per view, found {found}")
        self._decode_into(out, shapes)
        return out if isinstance(out, list) else list(out)

    def result_geometry(self) -> Any:
        """Where the pixels of each image come from, in a list of arrays, (n, 2, 3), one per view."""
        return None if self.geometry is None else [self.geometry[:, v] for v in range(len(self.views))]
