# SPDX-License-Identifier: BSD-3-Clause
"""fastimg's own Huffman decoding against libjpeg-turbo's ("libjpeg", FASTIMG_ENTROPY=libjpeg), on one thread.

Bytes in memory to contiguous (3, H, W) uint8 in a preallocated buffer, (1, H, W) for grey files, by
fastimg.decode(data, out=). Our Huffman decoding brings our inverse DCT to full size, and colours straight to planes;
without it all of these are libjpeg-turbo's. "ratio" is what they are worth to a whole decode: 1.00 would be nothing.

photos    the photos as they are, to their own size and to (3, 256, 256).
classes   generated files of four sizes, three qualities, 4:4:4, 4:2:0 and grey, with restart markers after every row of
          MCUs and without. They are made of parts of the photos, so that they compress as photos do.
kinds     the photos re-encoded at quality 85; with optimised tables; progressive, also to (3, 256, 256); and damaged:
          where bits are wrong our decoder gives up and libjpeg-turbo's begins again, and where the end is missing ours
          does not begin. The pixels of damaged files are those of strict=False.

Each stage has a process of its own; they take turns block by block, on the same CPU where the system lets us choose it
(Linux), and each times itself: in CPU time, since nothing is waited for and a busy machine disturbs that less.
"quartiles" are those of the blocks' ratios: a quarter lies below the first, a quarter above the second. --null shows
what ratios are where there is nothing to measure. Before anything is timed, both have to get the same pixels from
every file.
"""

import contextlib
import io
import itertools
import os

import numpy as np
from PIL import Image

from benchmarks import _common as common
from benchmarks._pixels import folder, pillow_pixels, read_corpus
from benchmarks._process import Child
from fastimg.benchmarking.peers import DECODERS

SETTINGS = {"fastimg": "", "libjpeg": "libjpeg"}  # what FASTIMG_ENTROPY says for each stage

# (height, width): images, and how many of them are a block, of about 20 ms. There are so many small ones because a
# processor learns the branches of files that come again soon, and decodes them faster than any new one.
SIZES = {"32x32": (32, 32, 2048, 512), "256x256": (256, 256, 64, 16)}
SIZES |= {"500x375": (375, 500, 32, 8), "4000x3000": (3000, 4000, 4, 1)}
QUALITIES = {"q30": 30, "q75": 75, "q95": 95}
COLOURS = ("4:4:4", "4:2:0", "grey")
RESTARTS = {"no-restarts": 0, "restarts": 1}  # rows of MCUs in an interval
AXES = [SIZES, QUALITIES, COLOURS, RESTARTS]

PICTURES = 128  # photos that the generated files are made of
LARGEST = 1024  # pixels per side that are used of a photo
SHRUNK = 0.75  # of the photos' size: what is left of their own blocks of 8 x 8 would compress too well
TILE = 256
MADE = 24  # pictures that stand in for photos


@contextlib.contextmanager
def contestants(stages):
    """Yield {name: a process with that stage}; SystemExit unless each uses the stage that it should."""
    with contextlib.ExitStack() as stack:
        pair = {}
        for name, stage in stages.items():
            child = Child("benchmarks._decoder:Decoder", FASTIMG_ENTROPY=SETTINGS[stage])
            pair[name] = stack.enter_context(child)
            if (found := child.ask("facts")["entropy"]) != stage:
                raise SystemExit(f"expected a process with entropy stage {stage!r}, got {found!r}")
        yield pair


def different(pair, files):
    """Return those of the files that they hold of which two contestants get different pixels."""
    first, second = pair
    # The backgrounds differ, so a pixel that neither writes is a difference, too.
    expected, found = pair[first].ask("sums", 0), pair[second].ask("sums", 255)
    return [file for file, wanted, got in zip(files, expected, found, strict=True) if got != wanted]


def verify(pair, files):
    """Raise SystemExit unless both contestants get the same pixels from each of the files that they hold."""
    first, second = pair
    for file in different(pair, files):
        raise SystemExit(f"{file}: the pixels of {second} differ from those of {first}")


def measure(pair, files, block, rounds, desc, check=verify, **options):
    """Verify and time; return the sizes, the speeds, and how many times as fast the first is as the second.

    "check" is what that function, which may also return, says of the pair and the files.
    """
    pixels = [child.ask("take", files, options) for child in pair.values()]
    checked = check(pair, files)
    parts = common.slices(len(files), block)
    jobs = {name: lambda turn, child=child: child.ask("seconds", parts[turn]) for name, child in pair.items()}
    seconds = common.interleave(jobs, len(parts), rounds, desc)
    first, second = seconds.values()
    each = {name: values.sum(axis=1) / len(files) for name, values in seconds.items()}  # (rounds,)
    return {
        "images": len(files),
        "check": checked,
        "bytes/pixel": sum(map(len, files.values())) / pixels[0],
        "ms": {name: 1e3 * float(np.median(values)) for name, values in each.items()},
        "rates": {name: 1 / float(np.median(values)) for name, values in each.items()},
        "ratio": common.ratio(second, first),
        "quartiles": np.quantile(second / first, [0.25, 0.75]).tolist(),
        "rounds": {name: values.tolist() for name, values in each.items()},
    }


def report(title, first, pair, rows, rounds):
    """Print a table, in images/s if it is that of the photos, else in milliseconds; return its rows."""
    figure = "{{rates[{}]:.0f}}" if first == "to" else "{{ms[{}]:#.4g}}"
    columns = ["bytes/pixel: {bytes/pixel:.3f}", *(f"{name}: {figure.format(name)}" for name in pair)]
    columns += ["ratio: {ratio:.3f}", "quartiles: {quartiles[0]:.3f} to {quartiles[1]:.3f}"]
    title = f"{title}, one thread, {rounds} rounds"
    return common.report(title, " | ".join(columns[first == "to" :]), rows, first)


def bench_photos(pair, photos, args):
    files = {photo.path: photo.data for photo in photos}
    rows = {}
    for words, options in (("(3, H, W)", {}), ("(3, 256, 256)", {"size": (256, 256)})):
        rows[words] = measure(pair, files, common.PHOTOS, args.rounds, words, **options)
    return report(f"photos: images/s, {len(photos)} files", "to", pair, rows, args.rounds)


def bench_classes(pair, photos, args):
    rows, made, images, pictures = {}, "", [], read_pictures(photos)
    for one in choose(args.classes):
        size, name, mode = one[0], " ".join(one), "L" if "grey" in one else "RGB"
        height, width, count, block = SIZES[size]
        if size != made:  # the pixels of a size are made once
            made, rng = size, np.random.default_rng(width)
            images = [mosaic(pictures, height, width, rng) for _ in range(count)]
        rows[name] = measure(pair, class_files(images, *one), block, args.rounds, name, mode=mode)
    report("classes: milliseconds per image", "class", pair, rows, args.rounds)
    worst = min(rows, key=lambda name: rows[name]["ratio"])
    print(f"the worst of {len(rows)} is {worst}: {rows[worst]['ratio']:.3f}")
    return rows


def bench_kinds(pair, photos, args):
    rows = {}
    for kind, (_, _, options) in KINDS.items():
        files = kind_files(photos, kind)
        rows[kind] = measure(pair, files, common.PHOTOS, args.rounds, kind, strict=False, **options)
    title = f"kinds: milliseconds per image, {len(photos)} photos at quality 85"
    return report(title, "kind", pair, rows, args.rounds)


def choose(words):
    """Return the classes (a word of each of `AXES`) that have one of those words on each axis that has any."""
    return list(itertools.product(*([word for word in axis if word in words] or axis for axis in AXES)))


def fallen_leaves(height, width, rng):
    """Return a picture (H, W, 3) with edges at all scales, shading and a little grain, as photos have them."""
    y, x = np.mgrid[:height, :width].astype(np.float32)

    def colour():
        return rng.uniform(30, 225) + rng.normal(0, 20, 3)  # photos have more light and shade than colours

    image = np.full((height, width, 3), colour(), np.float32)
    # A density of radius^-3, so that the picture looks alike at every scale; the large ones lie below.
    for radius in np.sort(1 / np.sqrt(rng.uniform(1 / 120**2, 1 / 10**2, 1000)))[::-1]:
        top, left = rng.uniform(0, height), rng.uniform(0, width)
        here = tuple(slice(max(0, int(at - radius)), int(at + radius) + 1) for at in (top, left))
        dy, dx = y[here] - top, x[here] - left
        light = (rng.uniform(-0.5, 0.5) * dy + rng.uniform(-0.5, 0.5) * dx)[:, :, None]
        inside = dy**2 + dx**2 < radius**2
        image[here][inside] = (colour() + light)[inside]
    return np.clip(image + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8)


def read_pictures(photos):
    """Return the pixels of some of the photos, shrunk."""
    pictures = []
    for photo in photos[:: -(-len(photos) // PICTURES)]:
        image = Image.open(io.BytesIO(photo.data)).convert("RGB")
        image = image.crop((0, 0, min(image.width, LARGEST), min(image.height, LARGEST)))
        size = [max(TILE, round(length * SHRUNK)) for length in image.size]
        pictures.append(np.asarray(image.resize(size, Image.Resampling.LANCZOS)))
    return pictures


def mosaic(pictures, height, width, rng):
    """Return (height, width, 3): tiles side by side, each a random part of a random picture."""
    image = np.empty((height, width, 3), np.uint8)
    for top, left in itertools.product(range(0, height, TILE), range(0, width, TILE)):
        tile = image[top : top + TILE, left : left + TILE]
        picture = pictures[rng.integers(len(pictures))]
        y, x = (rng.integers(picture.shape[i] - tile.shape[i] + 1) for i in (0, 1))
        tile[:] = picture[y : y + tile.shape[0], x : x + tile.shape[1]]
    return image


def encode(pixels, mode="RGB", **options):
    """Return the JPEG file of pixels (H, W, 3), in that mode; the options are those of Pillow."""
    stream = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(stream, "JPEG", **options)
    return stream.getvalue()


def class_files(images, size, quality, colour, restarts):
    """Return the images as files of that class."""
    name, options = f"{size} {quality} {colour} {restarts}", {"quality": QUALITIES[quality]}
    options["restart_marker_rows"] = RESTARTS[restarts]
    options |= {"mode": "L"} if colour == "grey" else {"subsampling": colour}
    return {f"{name}, image {i}": encode(image, **options) for i, image in enumerate(images)}


def scan(data):
    """Return where the entropy-coded bytes of Pillow's only scan begin."""
    at = data.rindex(b"\xff\xda")  # in entropy-coded bytes a zero would follow the 0xff
    return at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")


def flipped(data):
    """Return the file with one bit in the middle of its scan flipped."""
    middle = (scan(data) + len(data)) // 2
    return data[:middle] + bytes([data[middle] ^ 0x10]) + data[middle + 1 :]


def truncated(data):
    """Return the file without the last 30 % of its scan."""
    start = scan(data)
    return data[: start + (len(data) - start) * 7 // 10]


# name: (what Pillow makes it with, what is done to the file then, how it is decoded)
KINDS = {"re-encoded": ({}, bytes, {}), "optimised tables": ({"optimize": True}, bytes, {})}
KINDS |= {"progressive": ({"progressive": True}, bytes, {})}
KINDS |= {"progressive, to (3, 256, 256)": ({"progressive": True}, bytes, {"size": (256, 256)})}
KINDS |= {"one bit flipped": ({}, flipped, {}), "truncated at 70 %": ({}, truncated, {})}


def kind_files(photos, kind):
    """Return the photos, re-encoded at quality 85, as files of that kind."""
    options, change, _ = KINDS[kind]
    files = (encode(pillow_pixels(photo.data), quality=85, **options) for photo in photos)
    return {f"{photo.path}, {kind}": change(data) for photo, data in zip(photos, files, strict=True)}


TABLES = {"photos": bench_photos, "classes": bench_classes, "kinds": bench_kinds}


def main(argv=None):
    words = [word for axis in AXES for word in axis]
    about = f"only the classes with one of these on each axis named: {', '.join(words)}"
    own = {
        "images": {"required": False, "help": "a folder of photos (default: generated pictures)"},
        "rounds": {"default": 7},
        "classes": {"nargs": "+", "choices": words, "metavar": "WORD", "default": [], "help": about},
        "null": {"action": "store_true", "help": "time libjpeg-turbo's stage against itself"},
    }
    args = common.parse(argv, __doc__, "stages", "rounds", "limit", tables=TABLES, **own)
    _, payload = common.begin(args, DECODERS[:1])
    first = {"libjpeg, again": "libjpeg"} if args.null else {"fastimg": "fastimg"}
    payload["stages"] = {**first, "libjpeg": "libjpeg"}
    with contestants(payload["stages"]) as pair, folder(args.images) as images:
        for i in range(0 if args.images else MADE):
            picture = Image.fromarray(fallen_leaves(375, 500, np.random.default_rng(i)))
            picture.save(os.path.join(images, f"{i:02}.jpg"), quality=90, subsampling="4:2:0")
        photos, payload["corpus"] = read_corpus(images, args.limit)
        return common.finish(args, payload, TABLES, pair, photos)


if __name__ == "__main__":
    main()
