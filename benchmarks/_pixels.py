# SPDX-License-Identifier: BSD-3-Clause
"""The corpora, what their pixels should be, how far a result is from that, and timing that watches over it."""

import contextlib
import io
import os
import pathlib
import tempfile
import zlib
from collections import Counter, namedtuple
from functools import partial

import numpy as np
from tqdm import tqdm

from benchmarks._common import interleave, slices
from fastimg.benchmarking.peers import read_file

SUFFIXES = {".jpg", ".jpeg", ".jpe", ".jfif"}
CELL = (500, 375)  # of a mosaic: width and height, as most photos have

Photo = namedtuple("Photo", "path data shape")  # a file, its bytes, and the shape (H, W, 3) of its pixels

# Mean and worst PSNR, in dB, below which a result is not the photo. An aliased result of a detailed photo has
# 17 dB, and less than 30 on average; another photo, a missing half, or R for B has 5 to 15.
FLOORS = {True: (30.0, 15.0), False: (20.0, 12.0)}  # by whether the contestant is antialiased


def find_photos(root):
    """Return the JPEG files below `root`, sorted; not by fastimg, so that peers run without it."""
    files = filter(pathlib.Path.is_file, pathlib.Path(root).rglob("*"))
    found = sorted(str(path) for path in files if path.suffix.lower() in SUFFIXES)
    if not found:
        raise SystemExit(f"no JPEG files below {root!r}")
    return found


def read_corpus(root, limit):
    """Return the photos that all contestants can be compared on, and facts about them, which are printed.

    Files that not every library reads alike (four components, an EXIF orientation, damage) are counted and left out.
    """
    from PIL import Image

    photos, left_out = [], Counter()
    for path in find_photos(root)[:limit]:
        data = read_file(path)
        try:
            with Image.open(io.BytesIO(data)) as image:
                if image.format != "JPEG" or image.mode not in ("RGB", "L"):
                    left_out[f"{image.format} {image.mode}"] += 1
                elif image.getexif().get(0x0112, 1) != 1:  # EXIF tag Orientation
                    left_out["turned by EXIF"] += 1
                else:
                    image.load()
                    photos.append(Photo(path, data, (image.height, image.width, 3)))
        except OSError:
            left_out["not readable by Pillow"] += 1
    if not photos:
        raise SystemExit(f"no usable photos below {root!r}: {dict(left_out)}")
    count, nbytes = len(photos), sum(len(photo.data) for photo in photos)
    pixels = sum(photo.shape[0] * photo.shape[1] for photo in photos)
    sizes = Counter(f"{photo.shape[1]} x {photo.shape[0]}" for photo in photos).most_common(5)
    print(
        f"Corpus: {count} photos, {nbytes / 1e6:.1f} MB, {nbytes / count / 1e3:.0f} kB and "
        f"{pixels / count / 1e6:.2f} megapixels each, {8 * nbytes / pixels:.2f} bits a pixel; most are "
        + ", ".join(f"{size} ({number})" for size, number in sizes)
    )
    if left_out:
        print(f"Left out: {dict(left_out)}")
    facts = {"images": count, "bytes": nbytes, "pixels": pixels, "sizes": dict(sizes)}
    return photos, facts | {"left_out": dict(left_out)}


def folder(kept=None):
    """Return the folder `kept`, or else a temporary one, to be used in a with statement."""
    return contextlib.nullcontext(kept) if kept else tempfile.TemporaryDirectory(prefix="fastimg-bench-")


def mosaic(paths, columns, rows):
    """Return the photos as cells of 500 x 375 of one Pillow image, again from the first when there are too few."""
    from PIL import Image, ImageOps

    width, height = CELL
    cells = []
    for path in paths[: columns * rows]:
        with Image.open(path) as photo:
            cells.append(ImageOps.fit(photo.convert("RGB"), CELL))
    sheet = Image.new("RGB", (columns * width, rows * height))
    for i in range(columns * rows):
        sheet.paste(cells[i % len(cells)], (i % columns * width, i // columns * height))
    return sheet


@contextlib.contextmanager
def square_files(root, count, side, work):
    """Yield the paths of `count` JPEG files of `side` x `side`, made once in `work`, or else in a temporary folder.

    File i is a crop of a photo below `root` (enlarged if need be) at a place that depends on i alone, at quality 90.
    """
    from PIL import Image

    sources = find_photos(root)[:500]
    with folder(work) as base:
        # The name holds what the content depends on, so that a kept folder is never used for something else.
        key = zlib.crc32("\n".join(map(os.path.basename, sources)).encode())
        squares = pathlib.Path(base, f"squares-{side}-{key:08x}")
        squares.mkdir(parents=True, exist_ok=True)
        paths = [str(squares / f"{i:06}.jpg") for i in range(count)]
        for first, source in enumerate(tqdm(sources, desc="making files")):
            wanted = [i for i in range(first, count, len(sources)) if not os.path.exists(paths[i])]
            if not wanted:
                continue
            image = Image.open(source).convert("RGB")
            if min(image.size) < side:
                image = image.resize([max(side, length) for length in image.size])
            for i in wanted:
                rng = np.random.default_rng(i)
                left, top = (int(rng.integers(length - side + 1)) for length in image.size)
                image.crop((left, top, left + side, top + side)).save(paths[i] + ".part", "JPEG", quality=90)
                os.replace(paths[i] + ".part", paths[i])  # an interrupted run leaves no half file behind
        yield paths


def pillow_pixels(source):
    """Return Pillow's (H, W, 3) uint8 RGB of a file's bytes or path: the oracle of every check."""
    from PIL import Image

    with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
        return np.asarray(image.convert("RGB"))


def area_weights(length, target):
    """Return (target, length) weights: the share of each pixel in each of `target` equal parts."""
    edges = np.linspace(0, length, target + 1)
    pixels = np.arange(length)
    shares = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.clip(shares, 0, None) * (target / length)


def reference(pixels, size, resample="bilinear", box=None):
    """Return `pixels` (h, w, 3), or their part `box`, as (3, height, width) float32 in 0 to 255, unrounded.

    By Pillow's filter of that name on images of mode F, one per channel; by area_weights for "area".
    """
    from PIL import Image

    top, left, height, width = (0, 0, *pixels.shape[:2]) if box is None else box
    planes = pixels[top : top + height, left : left + width].transpose(2, 0, 1).astype(np.float32)
    if resample == "area":
        rows, columns = (area_weights(a, b) for a, b in zip(planes.shape[1:], size, strict=True))
        return (rows @ planes @ columns.T).astype(np.float32)
    by = Image.Resampling[resample.upper()]
    small = [np.asarray(Image.fromarray(plane).resize(size[::-1], by)) for plane in planes]
    return np.clip(small, 0, 255)  # bicubic and lanczos overshoot


def psnrs(images, expected):
    """Return the PSNR of each image in dB; against an unrounded reference, rounding alone leaves about 59."""
    pairs = zip(images, expected, strict=True)
    errors = [np.mean(np.square(got - wanted, dtype=np.float64)) for got, wanted in pairs]
    return [10 * float(np.log10(255**2 / max(error, 1e-9))) for error in errors]


def mean_and_worst(values):
    return [float(np.mean(values)), min(values)]


def too_far(values, antialiased):
    """Return what is wrong with these PSNR against the bilinear reference, or None."""
    (mean, worst), floors = mean_and_worst(values), FLOORS[antialiased]
    if mean >= floors[0] and worst >= floors[1]:
        return None
    return f"PSNR {mean:.1f} dB, worst {worst:.1f}; expected at least {floors[0]:.0f} and {floors[1]:.0f}"


def checksums(images):
    """Return the CRC-32 of each image."""
    return [zlib.crc32(np.ascontiguousarray(image)) for image in images]


def pillow_checksums(paths):
    """Return `checksums` of the files as (3, H, W)."""
    return checksums(pillow_pixels(path).transpose(2, 0, 1) for path in tqdm(paths, desc="reference"))


def check_sums(got, expected, who):
    """Raise SystemExit if checksums differ: what was timed was not the job."""
    wrong = sum(a != b for a, b in zip(got, expected, strict=True))
    if wrong:
        raise SystemExit(f"{who}: {wrong} of {len(expected)} images differ from those expected")


def time_loads(loads, paths, parts, rounds, clock, step=1):
    """Return `interleave`'s seconds for {key: (load, outs, sums)}: a block is load(part of the paths, its out).

    Before a load every `step`-th image is spoiled; SystemExit if it is not as in `sums`, those of all images, after it.
    """

    def job(key, load, outs, sums):
        def run(turn):
            part, out = parts[turn], outs[turn]
            np.subtract(
                255, out[::step], out=out[::step]
            )  # old content cannot pass for new: 255 - x is never x
            start = clock()
            load(paths[part], out)
            took = clock() - start
            check_sums(checksums(out[::step]), sums[part][::step], str(key))
            return took

        return run

    jobs = {key: job(key, *load) for key, load in loads.items()}
    return interleave(jobs, len(parts), rounds, "loads")


def time_peers(peers, found, paths, size, block, num_threads, rounds, clock):
    """Time the peers that have no "reason" to be left out; return the seconds of each.

    Each fills its own array of a block's images, whose pages have been touched. "sums" of `found` are what is expected.
    """
    parts, loads = slices(len(paths), block), {}
    for peer in peers:
        if not found[peer.name]["reason"]:
            out = np.ones((block, 3, *size), peer.dtype)  # ones, not empty: this touches every page
            outs = [out[: part.stop - part.start] for part in parts]
            loads[peer.name] = partial(peer.load, num_threads=num_threads), outs, found[peer.name]["sums"]
    return time_loads(loads, paths, parts, rounds, clock)
