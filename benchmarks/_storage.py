# SPDX-License-Identifier: BSD-3-Clause
"""The contestants that make images of files on slow storage: (3, side, side) of uint8, in one array or in batches.

``batches(epoch)`` yields arrays (n, 3, side, side) that hold every image once, in order if nothing is shuffled. fastimg
finds its numbers of threads by itself; those of the peers are part of their names. `crops` is as in `_loaders`.
"""

import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

import fastimg.benchmarking.resizers as resizers
from benchmarks._loaders import SEED, Items, facts_with_torch, whole_batches
from benchmarks._process import processor_seconds
from fastimg.benchmarking.peers import contestant, find, read_file

READERS, DECODERS = 32, 2  # threads of the pools and of SPDL
WORKERS = (2, 8, 32)  # processes of the DataLoader
BATCHES = (64, 8)

STORAGE = []


@contestant(STORAGE, "fastimg.load", "fastimg", ours=True, random=False)
@contestant(
    STORAGE, "fastimg crops, [:]", "fastimg", ours=True, random=True, route="random_resized_crop(side)[:]"
)
def whole(peer, fastimg):
    """load(paths, size=side)"""

    def batches(epoch):
        yield random_crops(fastimg, epoch)[:] if peer.random else fastimg.load(epoch.paths, size=epoch.side)

    peer.batches = batches
    peer.crops = lambda epoch: random_crops(fastimg, epoch).boxes(np.arange(len(epoch.paths)))


def in_batches(peer, fastimg):
    """Batches of the accessors by a data source with its defaults."""
    from fastimg.data_source import ArrayDataSource

    def batches(epoch):
        images = random_crops(fastimg, epoch)
        if not peer.random:
            images = fastimg.ImageFileAccessor(epoch.paths, size=epoch.side)
        shuffle = SEED if epoch.shuffle else None
        for (batch,) in ArrayDataSource([images]).batch_iterator(peer.batch_size, shuffle=shuffle):
            yield batch

    peer.batches = batches
    peer.crops = lambda epoch: random_crops(fastimg, epoch).boxes(np.arange(len(epoch.paths)))


def random_crops(fastimg, epoch):
    return fastimg.ImageFileAccessor(epoch.paths).random_resized_crop(epoch.side, seed=SEED)


for random, images in ((False, "ImageFileAccessor(paths, size=side)"), (True, "random_resized_crop(side)")):
    for batch_size in BATCHES:
        traits = {"ours": True, "random": random, "batch_size": batch_size}
        traits["route"] = f"ArrayDataSource([{images}]).batch_iterator({batch_size}, shuffle=)"
        name = f"fastimg{' crops' if random else ''}, batches of {batch_size}"
        contestant(STORAGE, name, "fastimg", **traits)(in_batches)


SINGLES = []  # what makes one image, within the pools and the workers


@contestant(SINGLES, "fastimg.decode", "fastimg")
def single_fastimg(peer, fastimg):
    """decode(path, out, size=, crop=)"""

    def read_into(source, out, box=None):
        fastimg.decode(source, out, size=out.shape[1:], crop=None if box is None else tuple(box.tolist()))

    peer.read_into = read_into


SINGLES.append(find(resizers.MAIN, "simplejpeg min size + INTER_AREA")._replace(name="simplejpeg"))


def dataloader(peer, torch):
    """PyTorch's DataLoader; the workers make single images."""
    from torch.utils.data import DataLoader

    warnings.filterwarnings("ignore", message="This DataLoader will create")  # more workers than CPUs
    single = peer.single()

    def batches(epoch):
        options = {"batch_size": peer.batch_size, "shuffle": epoch.shuffle, "num_workers": peer.workers}
        yield from DataLoader(Items(torch, single, epoch), **options, multiprocessing_context="fork")

    peer.batches, peer.facts = batches, partial(facts_with_torch, peer, single, torch)


def item_into(single, epoch, i, out, source=None):
    """Make image `i` of an epoch, of its file or of what was read from it."""
    box = None if epoch.boxes is None else epoch.boxes[i]
    single.read_into(epoch.paths[i] if source is None else source, out, box)
    if epoch.flips is not None and epoch.flips[i]:
        out[:] = out[:, :, ::-1].copy()


def empty_images(epoch):
    return np.empty((len(epoch.paths), 3, epoch.side, epoch.side), np.uint8)


def pool(peer, _):
    """A pool of threads that read and decode, one task per image."""
    single = peer.single()

    def batches(epoch):
        out = empty_images(epoch)
        with ThreadPoolExecutor(READERS) as threads:
            list(threads.map(lambda i: item_into(single, epoch, i, out[i]), range(len(out))))
        yield out

    peer.batches = batches


for kind in SINGLES:
    by = {"single": kind, "own_decoder": kind.name != "fastimg.decode"}
    sizes = [(workers, BATCHES[0]) for workers in WORKERS] + [(WORKERS[-1], BATCHES[1])]
    for workers, batch_size in sizes:
        traits = by | {"workers": workers, "batch_size": batch_size}
        traits["route"] = f"{kind.traits['route']}, in {workers} processes, batches of {batch_size}"
        name = f"DataLoader, {workers} workers, {kind.name}" + f", batches of {batch_size}" * (
            batch_size != BATCHES[0]
        )
        contestant(STORAGE, name, "torch", **traits)(dataloader)
    route = f"ThreadPoolExecutor({READERS}).map: {kind.traits['route']}, into one array"
    contestant(STORAGE, f"{READERS} threads, {kind.name}", kind.traits["library"], **by, route=route)(pool)


ROUTE = f"Pipeline: {READERS} threads read files, {DECODERS} run "


@contestant(STORAGE, "SPDL, fastimg.decode", "spdl.io", own_decoder=False, route=f"{ROUTE}fastimg.decode")
@contestant(
    STORAGE,
    "SPDL, FFmpeg",
    "spdl.io",
    own_decoder=True,
    route=f"{ROUTE}FFmpeg and one filter, NumPy transpose",
)
def spdl(peer, io):
    """A pipeline whose threads read apart from those that decode."""
    from spdl.pipeline import PipelineBuilder

    io.decode_config()  # the first use looks for FFmpeg's libraries, and says which are missing
    single = None if peer.own_decoder else find(SINGLES, "fastimg.decode")()

    def ffmpeg(data, epoch, i, out):
        words = [f"scale=w={epoch.side}:h={epoch.side}:flags=bilinear", "format=pix_fmts=rgb24"]
        if epoch.boxes is not None:
            top, left, height, width = epoch.boxes[i]
            words.insert(0, f"crop=w={width}:h={height}:x={left}:y={top}:exact=1")
            words += ["hflip"] * bool(epoch.flips[i])
        frames = io.decode_packets(io.demux_image(data), filter_desc=",".join(words))
        np.copyto(out, io.to_numpy(io.convert_frames(frames)).transpose(2, 0, 1))

    def batches(epoch):
        out = empty_images(epoch)

        def make(item):
            i, data = item
            if single:
                item_into(single, epoch, i, out[i], data)
            else:
                ffmpeg(data, epoch, i, out[i])
            return i

        builder = PipelineBuilder().add_source(range(len(out)))
        builder.pipe(lambda i: (i, read_file(epoch.paths[i])), concurrency=READERS, max_failures=0)
        builder.pipe(make, concurrency=DECODERS, max_failures=0).add_sink(2 * DECODERS)
        pipeline = builder.build(num_threads=READERS + DECODERS)
        with pipeline.auto_stop():
            if sum(1 for _ in pipeline) != len(out):
                raise ValueError("images are missing")
        yield out

    peer.batches = batches


def run(name, epoch):
    """Return the seconds of a whole call until the last image was there, and those of all processors."""
    batches = whole_batches(epoch, find(STORAGE, name)().batches(epoch))
    used, begin = processor_seconds(), time.perf_counter()
    end = begin
    for _ in batches:
        end = time.perf_counter()
    return {"seconds": end - begin, "processor": processor_seconds() - used}  # the workers have ended


def images(name, epoch):
    """Return all images, the crops that they show, and the facts."""
    peer, crops = find(STORAGE, name)(), None
    if epoch.boxes is not None:
        crops = peer.crops(epoch) if hasattr(peer, "crops") else (epoch.boxes, epoch.flips)
    found = np.concatenate([batch.copy() for batch in whole_batches(epoch, peer.batches(epoch))])
    return {"images": found, "crops": crops, **peer.facts()}
