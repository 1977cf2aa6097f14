# SPDX-License-Identifier: BSD-3-Clause
"""The contestants that feed training: batches (B, 3, side, side) of uint8, made by `num_threads` workers.

``batches(epoch)`` starts work at the first ``next``; a batch is a NumPy array or a CPU tensor, valid until the next.
Those that draw their crops themselves have ``crops(epoch)``: boxes and flips in order, or None if they cannot be known.
"""

import time
import zlib
from collections import namedtuple
from functools import partial

import numpy as np

import fastimg.benchmarking.resizers as resizers
from benchmarks._process import processor_seconds
from fastimg.benchmarking.peers import contestant, find

SEED = 12345

LOADERS = []


# What a loader is made for: the samples, as many as fill whole batches. `boxes` (N, 4), (top, left, height, width), and
# `flips` (N,) are the crops of the table "crop" for those who do not draw their own; None for the table "plain".
Epoch = namedtuple("Epoch", "paths boxes flips batch_size side num_threads shuffle")


@contestant(LOADERS, "fastimg, reuse_buffers", "fastimg", route="the same, reuse_buffers=True", reuse=True)
@contestant(LOADERS, "fastimg", "fastimg", reuse=False)
def fastimg(peer, fastimg):
    """ArrayDataSource.batch_iterator(prefetch=2) over ImageFileAccessor(size=) or its random_resized_crop"""
    from fastimg.data_source import ArrayDataSource

    def images(epoch):
        if epoch.boxes is None:
            return fastimg.ImageFileAccessor(epoch.paths, size=epoch.side)
        return fastimg.ImageFileAccessor(epoch.paths).random_resized_crop(epoch.side, seed=SEED)

    def batches(epoch):
        options = {"shuffle": SEED if epoch.shuffle else None, "num_threads": epoch.num_threads}
        options |= {"prefetch": 2, "drop_last": True, "reuse_buffers": peer.reuse}
        for (batch,) in ArrayDataSource([images(epoch)]).batch_iterator(epoch.batch_size, **options):
            yield batch

    peer.batches = batches
    peer.crops = lambda epoch: images(epoch).boxes(np.arange(len(epoch.paths)))


class Items:
    """A map-style dataset: an index gives a tensor (3, side, side) of uint8."""

    def __init__(self, torch, peer, epoch):
        self._torch, self._peer, self._epoch = torch, peer, epoch

    def __len__(self):
        return len(self._epoch.paths)

    def __getitem__(self, i):
        epoch = self._epoch
        box = None if epoch.boxes is None else epoch.boxes[i]
        if hasattr(self._peer, "shrunk"):  # it makes tensors itself
            image = self._peer.shrunk(epoch.paths[i], (epoch.side, epoch.side), box)
        else:
            image = self._torch.empty((3, epoch.side, epoch.side), dtype=self._torch.uint8)
            self._peer.read_into(epoch.paths[i], image.numpy(), box)
        return image.flip(-1) if epoch.flips is not None and epoch.flips[i] else image


def facts_with_torch(peer, inner, torch):
    """Return the facts of a contestant that PyTorch's DataLoader asks for images."""
    found = inner.facts()
    return found | {"version": f"{found['version']}, torch {torch.__version__}", "route": peer.route}


def torch(peer, torch):
    """PyTorch's DataLoader over a dataset that asks another contestant for every image."""
    from torch.utils.data import DataLoader

    resizer = peer.kind()

    def batches(epoch):
        options = {"batch_size": epoch.batch_size, "shuffle": epoch.shuffle, "num_workers": epoch.num_threads}
        options |= {"drop_last": True, "multiprocessing_context": "fork", "persistent_workers": True}
        yield from DataLoader(Items(torch, resizer, epoch), **options)

    peer.batches, peer.facts = batches, partial(facts_with_torch, peer, resizer, torch)


for kind in resizers.MAIN:
    if kind.traits.get("crops"):
        route = f"worker processes, fork: {kind.traits['route']}"
        own = {"route": route, "kind": kind, "antialiased": kind.traits.get("antialiased", True)}
        contestant(LOADERS, f"DataLoader, {kind.name}", "torch", **own)(torch)


@contestant(LOADERS, "SPDL", "spdl.io")
def spdl(peer, io):
    """Pipeline, one batch per thread: demux, decode, one FFmpeg filter, convert_frames, NumPy transpose"""
    from spdl.pipeline import PipelineBuilder

    io.decode_config()  # the first use looks for FFmpeg's libraries, and says which are missing

    def frame(epoch, i):
        words = [f"scale=w={epoch.side}:h={epoch.side}:flags=bilinear", "format=pix_fmts=rgb24"]
        if epoch.boxes is not None and epoch.flips is not None:
            top, left, height, width = epoch.boxes[i]
            words.insert(0, f"crop=w={width}:h={height}:x={left}:y={top}:exact=1")
            words += ["hflip"] * bool(epoch.flips[i])
        return io.decode_packets(io.demux_image(epoch.paths[i]), filter_desc=",".join(words))

    def batches(epoch):
        order = np.arange(len(epoch.paths))
        if epoch.shuffle:
            np.random.default_rng(SEED).shuffle(order)

        def load(indices):
            images = io.to_numpy(io.convert_frames([frame(epoch, i) for i in indices]))
            return np.ascontiguousarray(images.transpose(0, 3, 1, 2))

        options = {"concurrency": epoch.num_threads, "output_order": "input", "max_failures": 0}
        builder = PipelineBuilder().add_source(order.reshape(-1, epoch.batch_size))
        pipeline = builder.pipe(load, **options).add_sink(2).build(num_threads=epoch.num_threads)
        with pipeline.auto_stop():
            yield from pipeline

    peer.batches = batches


@contestant(LOADERS, "DALI", "nvidia.dali")
def dali(peer, dali):
    """readers.file, decoders.image or image_random_crop, resize(antialias=True), crop_mirror_normalize; on the CPU"""
    from nvidia.dali import fn, types

    def batches(epoch):
        decode, options, mirror = fn.decoders.image, {}, 0
        paths = np.array(epoch.paths)
        if epoch.shuffle:  # here, since its own shuffling would first fill a buffer of 1,024 files
            paths = np.random.default_rng(SEED).permutation(paths)
        pipeline = dali.Pipeline(epoch.batch_size, epoch.num_threads, None, seed=SEED)
        with pipeline:
            files, _ = fn.readers.file(files=paths.tolist())
            if epoch.boxes is not None:
                decode, mirror = fn.decoders.image_random_crop, fn.random.coin_flip(probability=0.5)
                options = {"random_area": [0.08, 1.0], "random_aspect_ratio": [3 / 4, 4 / 3]}
            images = decode(files, device="cpu", output_type=types.RGB, **options)
            size = [epoch.side, epoch.side]
            images = fn.resize(images, size=size, interp_type=types.INTERP_LINEAR, antialias=True)
            images = fn.crop_mirror_normalize(images, dtype=types.UINT8, output_layout="CHW", mirror=mirror)
            pipeline.set_outputs(images)
        pipeline.build()
        for _ in range(len(epoch.paths) // epoch.batch_size):
            (images,) = pipeline.run()
            yield np.asarray(images.as_tensor())

    peer.batches, peer.crops = batches, lambda epoch: None


def whole_batches(epoch, batches, batch_size=None):
    """Yield the batches as arrays; ValueError if their number, shape or dtype is not what was asked for.

    There may be any number of images in each, or that one, and then what is left of all images makes no batch.
    """
    count, wanted = 0, len(epoch.paths) - len(epoch.paths) % (batch_size or 1)
    for batch in batches:
        array = np.asarray(batch)  # copies nothing, of a tensor either
        expected = f"{(batch_size or len(array), 3, epoch.side, epoch.side)} uint8"
        if (found := f"{array.shape} {array.dtype}") != expected:
            raise ValueError(f"expected {expected}, found {found}")
        count += len(array)
        yield array
    if count != wanted:
        raise ValueError(f"expected {wanted} images, found {count}")


def run(name, epoch):
    """Return when the first batch was there, the seconds before and after it, and those of all processors."""
    batches = whole_batches(epoch, find(LOADERS, name)().batches(epoch), epoch.batch_size)
    used, begin = processor_seconds(), time.monotonic()  # one clock for all processes of the system
    next(batches)
    at = time.monotonic()
    for _ in batches:
        pass
    seconds = time.monotonic() - at  # the loader is gone, and its workers with it
    return {"at": at, "first": at - begin, "seconds": seconds, "processor": processor_seconds() - used}


def sums(name, epoch):
    """Return the checksum of every image."""
    batches = whole_batches(epoch, find(LOADERS, name)().batches(epoch), epoch.batch_size)
    return {"sums": [zlib.crc32(image) for batch in batches for image in batch]}


def images(name, epoch):
    """Return all images, (N, 3, side, side) uint8, the crops that they show if known, and the facts."""
    peer, crops = find(LOADERS, name)(), None
    if epoch.boxes is not None:
        crops = peer.crops(epoch) if hasattr(peer, "crops") else (epoch.boxes, epoch.flips)
    batches = whole_batches(epoch, peer.batches(epoch), epoch.batch_size)
    return {"images": np.concatenate([batch.copy() for batch in batches]), "crops": crops, **peer.facts()}
