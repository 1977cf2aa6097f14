# SPDX-License-Identifier: BSD-3-Clause
"""The contestants that feed training: each gives batches (B, 3, side, side) of uint8, made by `num_threads` workers.

A contestant imports what it needs when it is made, and ``batches`` begins to work at the first ``next``. A batch is a
NumPy array or a CPU tensor, and valid until the next one is asked for.
"""

from __future__ import annotations

import importlib
import pathlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks._peers import Peer, embedded_turbo
from benchmarks._resize_peers import (
    OpenCVArea,
    OpenCVLinear,
    PillowDraft,
    PillowFull,
    Resizing,
    SimpleJpegArea,
    Spdl,
    TorchvisionResize,
)

SEED = 12345


@dataclass(frozen=True)
class Epoch:
    """What a loader is made for: the samples, as many as fill whole batches.

    `boxes` (N, 4), (top, left, height, width), and `flips` (N,) are the crops of the table "crop", for those who do not
    draw their own; None is the table "plain".
    """

    paths: Sequence[str]
    boxes: np.ndarray | None
    flips: np.ndarray | None
    batch_size: int
    side: int
    num_threads: int
    shuffle: bool


class Loading:
    """A contestant; ``own_crops`` says that it draws its crops itself, ``tells_crops`` that it can tell them."""

    name = package = route = ""
    antialiased = True
    own_crops = tells_crops = False
    version = libjpeg = "unknown"

    def batches(self, epoch: Epoch) -> Iterator[Any]:
        raise NotImplementedError

    def crops(self, epoch: Epoch) -> tuple[np.ndarray, np.ndarray]:
        """Return boxes and flips of an epoch in order, from those who draw and tell them."""
        raise NotImplementedError


class FastimgLoading(Loading):
    name = package = "fastimg"
    route = (
        "ArrayDataSource.batch_iterator(prefetch=2) over ImageFileAccessor(size=) or its random_resized_crop"
    )
    own_crops = tells_crops = True
    reuse = False

    def __init__(self) -> None:
        import fastimg
        from fastimg.data_source import ArrayDataSource

        self._accessor, self._source = fastimg.ImageFileAccessor, ArrayDataSource
        self.version, self.libjpeg = str(fastimg.__version__), str(fastimg.build_info()["libjpeg_turbo"])

    def _images(self, epoch: Epoch) -> Any:
        if epoch.boxes is None:
            return self._accessor(epoch.paths, size=epoch.side)
        return self._accessor(epoch.paths).random_resized_crop(epoch.side, seed=SEED)

    def batches(self, epoch: Epoch) -> Iterator[np.ndarray]:
        iterator = self._source([self._images(epoch)]).batch_iterator(
            epoch.batch_size,
            shuffle=SEED if epoch.shuffle else None,
            prefetch=2,
            num_threads=epoch.num_threads,
            drop_last=True,
            reuse_buffers=self.reuse,
        )
        for (images,) in iterator:
            yield images

    def crops(self, epoch: Epoch) -> tuple[np.ndarray, np.ndarray]:
        return self._images(epoch).boxes(np.arange(len(epoch.paths)))


class FastimgReusing(FastimgLoading):
    name = "fastimg, reuse_buffers"
    route = "the same, reuse_buffers=True"
    reuse = True


class Items:
    """A map-style dataset: an index gives a tensor (3, side, side) of uint8."""

    def __init__(self, torch: Any, peer: Any, epoch: Epoch) -> None:
        self._torch, self._peer, self._epoch = torch, peer, epoch

    def __len__(self) -> int:
        return len(self._epoch.paths)

    def __getitem__(self, i: int) -> Any:
        epoch = self._epoch
        if epoch.boxes is None or epoch.flips is None:
            return self._image(epoch.paths[i], None)
        image = self._image(epoch.paths[i], epoch.boxes[i])
        return image.flip(-1) if epoch.flips[i] else image

    def _image(self, path: str, box: np.ndarray | None) -> Any:
        image = self._torch.empty((3, self._epoch.side, self._epoch.side), dtype=self._torch.uint8)
        if box is None:
            self._peer.read_into(path, image.numpy())
        else:
            self._peer.crop_into(path, box, image.numpy())
        return image


class TensorItems(Items):
    """Those of a peer that makes tensors itself."""

    def _image(self, path: str, box: np.ndarray | None) -> Any:
        return self._peer.shrunk(path, (self._epoch.side, self._epoch.side), box)


class TorchLoading(Loading):
    """PyTorch's DataLoader over a dataset that asks `kind` for every image."""

    kind: type[Resizing]
    items = Items

    def __init__(self) -> None:
        self._torch = importlib.import_module("torch")
        self._loader = importlib.import_module("torch.utils.data").DataLoader
        self._peer: Peer = self.kind()
        self.version, self.libjpeg = (
            f"{self._peer.version}, torch {self._torch.__version__}",
            self._peer.libjpeg,
        )

    def batches(self, epoch: Epoch) -> Iterator[Any]:
        yield from self._loader(
            self.items(self._torch, self._peer, epoch),
            batch_size=epoch.batch_size,
            shuffle=epoch.shuffle,
            num_workers=epoch.num_threads,
            drop_last=True,
            multiprocessing_context="fork",
            persistent_workers=True,
        )


def over(peer: type[Resizing], dataset: type[Items] = Items) -> type[TorchLoading]:
    """Return DataLoader over `peer` as a contestant of its name."""

    class Variant(TorchLoading):
        name = f"DataLoader, {peer.name}"
        package = peer.package
        route = f"worker processes, fork: {peer.route}"
        antialiased = peer.antialiased
        kind = peer
        items = dataset

    return Variant


class SpdlLoading(Loading):
    name = "SPDL"
    package = "spdl"
    route = "Pipeline, a batch a thread: demux, decode, one FFmpeg filter, convert_frames, NumPy transpose"
    libjpeg = "none"

    def __init__(self) -> None:
        self.version = Spdl().version  # which also looks for FFmpeg's libraries
        self._io = importlib.import_module("spdl.io")
        self._builder = importlib.import_module("spdl.pipeline").PipelineBuilder

    def _filter(self, epoch: Epoch, i: int) -> str:
        words = [f"scale=w={epoch.side}:h={epoch.side}:flags=bilinear", "format=pix_fmts=rgb24"]
        if epoch.boxes is not None and epoch.flips is not None:
            top, left, height, width = epoch.boxes[i]
            words.insert(0, f"crop=w={width}:h={height}:x={left}:y={top}:exact=1")
            words += ["hflip"] * bool(epoch.flips[i])
        return ",".join(words)

    def batches(self, epoch: Epoch) -> Iterator[np.ndarray]:
        spdl = self._io
        order = np.arange(len(epoch.paths))
        if epoch.shuffle:
            np.random.default_rng(SEED).shuffle(order)

        def load(indices: np.ndarray) -> np.ndarray:
            frames = [
                spdl.decode_packets(spdl.demux_image(epoch.paths[i]), filter_desc=self._filter(epoch, i))
                for i in indices
            ]
            return np.ascontiguousarray(spdl.to_numpy(spdl.convert_frames(frames)).transpose(0, 3, 1, 2))

        pipeline = (
            self._builder()
            .add_source(order.reshape(-1, epoch.batch_size))
            .pipe(load, concurrency=epoch.num_threads, output_order="input", max_failures=0)
            .add_sink(2)
            .build(num_threads=epoch.num_threads)
        )
        with pipeline.auto_stop():
            yield from pipeline


class DaliLoading(Loading):
    name = "DALI"
    route = (
        "readers.file, decoders.image or decoders.image_random_crop, resize(antialias=True), "
        "crop_mirror_normalize to CHW, on the CPU"
    )
    own_crops = True

    def __init__(self) -> None:
        self._dali = importlib.import_module("nvidia.dali")
        importlib.import_module("nvidia.dali.fn")
        self.version = str(self._dali.__version__)
        root = pathlib.Path(self._dali.__file__).parent.parent
        self.libjpeg = embedded_turbo(*root.glob("nvimgcodec/extensions/libjpeg_turbo_ext.so*"))

    def _pipeline(self, epoch: Epoch) -> Any:
        fn, types = self._dali.fn, self._dali.types
        pipeline = self._dali.Pipeline(epoch.batch_size, epoch.num_threads, None, seed=SEED)
        cropped = epoch.boxes is not None
        decode = fn.decoders.image_random_crop if cropped else fn.decoders.image
        options = {"random_area": [0.08, 1.0], "random_aspect_ratio": [3 / 4, 4 / 3]} if cropped else {}
        with pipeline:
            # The list comes shuffled: its own shuffling would first fill a buffer of 1,024 files.
            files, _ = fn.readers.file(files=self._order(epoch))
            images = decode(files, device="cpu", output_type=types.RGB, **options)
            size = [epoch.side, epoch.side]
            images = fn.resize(images, size=size, interp_type=types.INTERP_LINEAR, antialias=True)
            mirror = fn.random.coin_flip(probability=0.5) if cropped else 0
            images = fn.crop_mirror_normalize(images, dtype=types.UINT8, output_layout="CHW", mirror=mirror)
            pipeline.set_outputs(images)
        pipeline.build()
        return pipeline

    def _order(self, epoch: Epoch) -> list[str]:
        paths = np.array(epoch.paths)
        return (np.random.default_rng(SEED).permutation(paths) if epoch.shuffle else paths).tolist()

    def batches(self, epoch: Epoch) -> Iterator[np.ndarray]:
        pipeline = self._pipeline(epoch)
        for _ in range(len(epoch.paths) // epoch.batch_size):
            (images,) = pipeline.run()
            yield np.asarray(images.as_tensor())


KINDS: tuple[type[Loading], ...] = (
    FastimgLoading,
    FastimgReusing,
    over(OpenCVArea),
    over(OpenCVLinear),
    over(SimpleJpegArea),
    over(PillowFull),
    over(PillowDraft),
    over(TorchvisionResize, TensorItems),
    SpdlLoading,
    DaliLoading,
)
