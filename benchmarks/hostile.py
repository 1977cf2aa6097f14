# SPDX-License-Identifier: BSD-3-Clause
"""What files of a few bytes can cost: time and memory for images that they do not contain, or hardly.

Every file goes to every decoder, in a process of its own, which may take 4 GB and 120 seconds. "s" is the time of the
processor, "MB beyond" the largest resident size less that before, and less the pixels that come out. A decoder that
refuses the file has no pixels, and its exception is named.

  fastimg            as it is by default
  fastimg, lenient   strict=False
  Pillow             as it is by default: it warns of more than 89 megapixels, and refuses more than 179
  Pillow, lenient    ImageFile.LOAD_TRUNCATED_IMAGES
  OpenCV             cv2.imdecode, which prints its complaints and gives None

"worst" sums up, for each decoder.
"""

import gc
import resource

import numpy as np
from tqdm import tqdm

from benchmarks import _common as common
from benchmarks import _hostile_files as files
from benchmarks._process import Child, ChildError, high_water, processor_seconds
from fastimg.benchmarking.peers import DECODERS, find

SIDE = 13377  # squared, just less than max_pixels
SMALL = 1024  # squared, as many pixels as may have 500 scans
MEMORY, SECONDS = 4 << 30, 120
KINDS = find(DECODERS, "fastimg", "Pillow", "OpenCV")

FILES = {
    "no data, baseline, grey": (SIDE, lambda: files.cut("grey", SIDE, progressive=False)),
    "no data, baseline, CMYK": (SIDE, lambda: files.cut("CMYK", SIDE, progressive=False)),
    "no data, progressive, grey": (SIDE, lambda: files.cut("grey", SIDE, progressive=True)),
    "no data, progressive, 4:2:0": (SIDE, lambda: files.cut("4:2:0", SIDE, progressive=True)),
    "no data, progressive, 4:4:4": (SIDE, lambda: files.cut("4:4:4", SIDE, progressive=True)),
    "no data, progressive, CMYK": (SIDE, lambda: files.cut("CMYK", SIDE, progressive=True)),
    "one colour, 3 scans, 4:4:4": (SIDE, lambda: files.scans("4:4:4", SIDE, 3)),
    "one colour, 30 scans, 4:2:0": (SIDE, lambda: files.scans("4:2:0", SIDE, 30)),
    "one colour, 500 scans, grey": (SIDE, lambda: files.scans("grey", SIDE, 500)),
    "one colour, 500 scans, 1 Mpx": (SMALL, lambda: files.scans("grey", SMALL, 500)),
}


def _fastimg(strict):
    import fastimg

    return lambda data: fastimg.decode(data, layout="HWC", strict=strict)


def _pillow(lenient):
    import io
    import warnings

    from PIL import Image, ImageFile

    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    ImageFile.LOAD_TRUNCATED_IMAGES = lenient

    def decode(data):
        with Image.open(io.BytesIO(data)) as image:
            image.load()
        return np.asarray(image.convert("RGB")) if image.mode == "L" else np.asarray(image)

    return decode


def _opencv():
    import cv2

    def decode(data):
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        if pixels is None:
            raise ValueError("None")
        return pixels

    return decode


# name: (the peer that must be there, what makes the function)
WAYS = {
    "fastimg": ("fastimg", lambda: _fastimg(True)),
    "fastimg, lenient": ("fastimg", lambda: _fastimg(False)),
    "Pillow": ("Pillow", lambda: _pillow(False)),
    "Pillow, lenient": ("Pillow", lambda: _pillow(True)),
    "OpenCV": ("OpenCV", _opencv),
}


class Victim:
    """A decoder in a process of its own."""

    def __init__(self, name):
        self._decode = WAYS[name][1]()
        self._decode(files.scans("grey", 8, 1))  # whatever is loaded at the first call
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))

    def ready(self):
        """Nothing: the library has been imported when this is answered."""

    def decode(self, data):
        """Return seconds, bytes beyond the pixels, and what came of it."""
        gc.collect()
        before, began = high_water(), processor_seconds()
        pixels, found = None, "image"
        try:
            pixels = self._decode(data)
        except Exception as error:
            found = type(error).__name__
        seconds = processor_seconds() - began
        nbytes = 0 if pixels is None else pixels.nbytes
        return seconds, max(0, high_water() - before - nbytes), found


def measure(name, data):
    try:
        with Child("benchmarks.hostile:Victim", name) as child:
            child.ask("ready")
            seconds, beyond, found = child.ask("decode", data)
    except ChildError as error:
        seconds, beyond, found = float("nan"), float("nan"), str(error)
    return {"s": seconds, "beyond": beyond / 1e6, "found": found}


def bench_files(peers, args):
    usable = [peer.name for peer in peers]
    ways = [name for name, (library, _) in WAYS.items() if library in usable]
    rows = {}
    for name in tqdm(args.files, desc="files"):
        side, make = FILES[name]
        data = make()
        for way in ways:
            rows[f"{name}: {way}"] = measure(way, data) | {
                "way": way, "nbytes": len(data), "megapixels": side * side / 1e6,
            }  # fmt: skip
    layout = (
        "bytes: {nbytes:,} | Mpx: {megapixels:.0f} | s: {s:.2f} | MB beyond: {beyond:.0f} | outcome: {found}"
    )
    common.report("what each file costs each decoder", layout, rows, "file and decoder")
    worst = {}
    for way in ways:
        mine = [row for row in rows.values() if row["way"] == way]
        worst[way] = {
            "s": max(row["s"] for row in mine),
            "beyond": max(row["beyond"] for row in mine),
        }
    common.report("worst", "s: {s:.2f} | MB beyond: {beyond:.0f}", worst, "decoder")
    return {"files": rows, "worst": worst}


def main(argv=None):
    choice = {"nargs": "+", "choices": list(FILES), "default": list(FILES), "metavar": "FILE"}
    args = common.parse(argv, __doc__, "hostile", images={"required": False}, files=choice)
    peers, payload = common.begin(args, KINDS)
    return common.finish(args, payload, {"hostile": bench_files}, peers)


if __name__ == "__main__":
    main()
