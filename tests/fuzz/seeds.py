# SPDX-License-Identifier: BSD-3-Clause
"""Seeds for a fuzz target in C: python tests/fuzz/seeds.py TARGET TARGET_FOLDER [FOLDER_OF_JPEGS ...]

Writes the JPEGs below the folders, whatever their names and however broken, cut to MOST_NBYTES and without the segments
that only carry metadata; and small files of every kind, as far as Pillow is at hand to make them.

No corpus is stored beside this. What these are made into in a minute would be 100 to 200 KB for each target, in binary
files that nobody can review, and of no use once a target reads its inputs in another way. FASTIMG_CORPUS keeps one.
"""

import hashlib
import io
import pathlib
import random
import struct
import sys

# The parts of `support` that need no package.
sys.path.append(str(pathlib.Path(__file__).parents[1]))

from support.progressive_scans import random_file
from support.segments import one_block

MOST_NBYTES = 4096  # the targets are given less of each: max_len in oss-fuzz/*.options
DECODE_PREFIX_NBYTES = 24  # PREFIX_NBYTES of jobs.h
METADATA = {
    *range(0xE1, 0xEE),
    0xEF,
    0xFE,
}  # all of APPn and COM but JFIF and Adobe, which say what the colours are


def bare(data):
    """The file without its metadata; as it is from where its segments cannot be told apart."""
    kept, at = data[:2], 2
    while data[at : at + 1] == b"\xff" and len(data) >= at + 4 and data[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] not in METADATA:
            kept += data[at:end]
        at = end
    return kept + data[at:]


def odd():
    """Small progressive files of random symbols."""
    return (random_file(seed, 16, 24) for seed in range(50))


def made():
    """Grey, colour and CMYK, baseline and progressive, with and without tables of their own and restart markers."""
    short, full = ([1], [0]), ([1] * 15 + [2], range(17))
    yield one_block(([1], [4]), short)
    yield one_block(([1], [4]), full)  # a code of ones only, which no table may have
    yield one_block(([1, 1], [4, 16]), short)  # more bits than a difference may have
    try:
        from PIL import Image
    except ImportError:
        return
    for mode, subsampling in (("L", 0), ("RGB", 0), ("RGB", 1), ("RGB", 2), ("CMYK", 0)):
        for size in ((8, 8), (40, 24)):
            # Sharp below, smooth above; a picture of noise alone would have no long runs.
            picture = Image.effect_noise(size, 90)
            picture.paste(Image.linear_gradient("L").resize((size[0], size[1] // 2)))
            picture = Image.merge(
                mode, [picture.rotate(90 * i) for i in range(len(picture.convert(mode).getbands()))]
            )
            for extra in (
                {},
                {"optimize": True},
                {"restart_marker_blocks": 2},
                {"quality": 100},
                {"progressive": True},
                {"progressive": True, "restart_marker_blocks": 3},
            ):
                file = io.BytesIO()
                picture.save(file, "JPEG", subsampling=subsampling, **extra)
                yield file.getvalue()
        # Where files are decoded as a whole, ours has no scans of fewer blocks than 64.
        for extra in ({}, {"restart_marker_blocks": 9}):
            file = io.BytesIO()
            picture.resize((72, 80)).save(
                file, "JPEG", subsampling=subsampling, quality=30, progressive=True, **extra
            )
            yield file.getvalue()


def long():
    """Baseline files of many parts, some of more rows than threads go ahead: good ones, and for one thread."""
    try:
        from PIL import Image
    except ImportError:
        return
    for mode, size, subsampling in (
        ("RGB", (120, 100), 2),
        ("RGB", (96, 80), 0),
        ("L", (96, 80), 0),
        ("L", (8, 20000), 0),
        ("RGB", (8, 7000), 0),
        ("RGB", (16, 4000), 2),
    ):
        bands = [Image.effect_noise(size, 60) for _ in range(3)]
        if size[1] > 100:
            bands = [Image.linear_gradient("L").resize(size)] * 3
        picture = Image.merge("RGB", bands)
        for extra in ({}, {"restart_marker_blocks": 3}, {"restart_marker_blocks": 50}):
            file = io.BytesIO()
            picture.convert(mode).save(
                file, "JPEG", quality=15, subsampling=subsampling, optimize=True, **extra
            )
            data = file.getvalue()
            yield from (data, data[:-2] + b"stray" + data[-2:], data[: -len(data) // 4] + data[-2:])


def is_baseline(data):
    return b"\xff\xc2" not in data


def app1():
    """Exif in both byte orders, with a number of each kind, and XMP."""
    for order in "<>":
        for kind, value in enumerate(("B", "", "H", "I", "II", "b", "", "h", "i", "ii", "f", "d"), 1):
            if not value:
                continue
            number = struct.pack(order + value, 6, *[1] * (len(value) - 1))
            where = number.ljust(4, b"\0") if len(number) <= 4 else struct.pack(order + "I", 26)
            mark = b"II*\0" if order == "<" else b"MM\0*"
            entry = struct.pack(order + "IHHHI", 8, 1, 0x0112, kind, 1) + where
            yield b"Exif\0\0" + mark + entry + bytes(4) + number
    for text in (b'<x tiff:Orientation="3"/>', b"<tiff:Orientation>8</tiff:Orientation>"):
        yield b"http://ns.adobe.com/xap/1.0/\0" + text


def with_segment(data, marker, payload):
    return data[:2] + struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload + data[2:]


def with_adobe(data, transform):
    """Without JFIF, if the file begins with that, which would decide the colours."""
    data = data[:2] + data[20:] if data[2:4] == b"\xff\xe0" else data
    return with_segment(data, 0xEE, b"Adobe\0d\0\0\0\0" + bytes([transform]))


def for_target(target, seeds):
    """What the target takes: decode and parts, choices and then a file; header, payloads of APP1, too."""
    if target == "parts":
        seeds = [*filter(is_baseline, seeds), *long()]
    if target in ("decode", "parts"):
        rng = random.Random(1)
        count = 3 if target == "decode" else 8
        return [rng.randbytes(DECODE_PREFIX_NBYTES) + data for data in seeds for _ in range(count)]
    if target == "header":
        payloads = list(app1())
        turned = [with_segment(seeds[0], 0xE1, payload) for payload in payloads]
        colored = [with_adobe(data, transform) for data in seeds[3:73:12] for transform in range(3)]
        return [*seeds, *payloads, *turned, *colored]
    return seeds


def main(target, target_folder, *folders):
    seeds = [*made(), *odd()]
    for folder in folders:
        for path in sorted(pathlib.Path(folder).rglob("*")):
            if path.is_file() and (data := path.read_bytes())[:2] == b"\xff\xd8":
                seeds.append((data if target == "header" else bare(data))[:MOST_NBYTES])
    seeds = for_target(target, seeds)
    for data in seeds:
        pathlib.Path(target_folder, hashlib.sha1(data).hexdigest()).write_bytes(data)
    print(f"{len(seeds)} seeds")


if __name__ == "__main__":
    main(*sys.argv[1:])
