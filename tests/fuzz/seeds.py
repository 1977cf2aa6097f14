# SPDX-License-Identifier: BSD-3-Clause
"""Seeds for the fuzz targets: python tests/fuzz/seeds.py TARGET_FOLDER [FOLDER_OF_JPEGS ...]

Writes the JPEGs below the folders, whatever their names and however broken, cut to MOST_NBYTES and without the segments
that only carry metadata; and small files of every kind, as far as Pillow is at hand to make them.
"""

import hashlib
import io
import pathlib
import sys

# The parts of `support` that need no package.
sys.path.append(str(pathlib.Path(__file__).parents[1]))

from support.progressive_scans import random_file
from support.segments import one_block

MOST_NBYTES = 4096  # the targets are given less of each: -max_len in scripts/fuzz.sh
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


def main(target, *folders):
    seeds = [*made(), *odd()]
    for folder in folders:
        for path in sorted(pathlib.Path(folder).rglob("*")):
            if path.is_file() and (data := path.read_bytes())[:2] == b"\xff\xd8":
                seeds.append(bare(data)[:MOST_NBYTES])
    for data in seeds:
        pathlib.Path(target, hashlib.sha1(data).hexdigest()).write_bytes(data)
    print(f"{len(seeds)} seeds")


if __name__ == "__main__":
    main(*sys.argv[1:])
