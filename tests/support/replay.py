# SPDX-License-Identifier: BSD-3-Clause
"""Decode every file of some folders through every route, and print each result that is not what another route gives.

    python -m support.replay [--now FILE] FOLDER...

FILE is kept up to date with what is being decoded, for when that ends the process. The exit status is 1 if a result was
wrong.
"""

import argparse
import os
import pathlib
import sys
import warnings

import ml_dtypes
import numpy as np

import fastimg
from support import jpegs

GUARD = 0xA5
LARGE = 1 << 19  # pixels; larger images are not turned and written in as many ways
STATISTICS = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
DTYPES = ("float32", "float16", "bfloat16")

FORMS = {
    "CHW": {},
    "HWC": {"layout": "HWC"},
    "L": {"mode": "L"},
    "BGR": {"mode": "BGR"},
    "flip": {"flip": True},
    "stored": {"orient": False},
    "lenient": {"strict": False},
    "lenient HWC": {"strict": False, "layout": "HWC"},
    **{dtype: {"dtype": dtype, **STATISTICS} for dtype in DTYPES},
}
RESIZED = {
    **{f"{name} 64": {**options, "size": 64} for name, options in FORMS.items()},
    "lanczos 64": {"size": 64, "resample": "lanczos", "reducing_gap": None},
    "contain 64": {"size": 64, "fit": "contain", "pad_value": 7},
    "cover 64": {"size": 64, "fit": "cover", "resample": "box"},
    **{f"{name} 500": {**FORMS[name], "size": 500} for name in ("CHW", "L", "lenient", "float16")},
    "shorter": {"resize_shorter": 96, "center_crop": 80},
}


def crops(height, width):
    """Boxes of an image by name: whole numbers, and for resizing others, too."""
    half = (height // 3, width // 3, (height + 1) // 2, (width + 1) // 2)
    last = (height - 1, 0, 1, width)
    fraction = (height * 0.21, width * 0.13, height * 0.55, width * 0.62)
    return {"half": half, "last row": last}, {"half": half, "fraction": fraction}


def options_of(height, width):
    """Name -> options, for an image of this upright size."""
    found = FORMS | RESIZED
    whole, any_box = crops(height, width)
    for strict, prefix in ((True, ""), (False, "lenient ")):
        for name, box in whole.items():
            found[f"{prefix}crop {name}"] = {"crop": box, "strict": strict}
        for name, box in any_box.items():
            found[f"{prefix}crop {name} 64"] = {"crop": box, "size": 64, "strict": strict}
    return found


class Replay:
    """Decodes files, counts what it does, and keeps what was wrong."""

    def __init__(self, announce=lambda text: None):
        self.announce = announce
        self.path, self.data = None, b""
        self.decodes = 0
        self.wrong = []

    def outcome(self, call, *args, **options):
        """The result, or class and words of the error, without the name of the source."""
        self.decodes += 1
        try:
            return call(*args, **options)
        except (fastimg.ImageError, ValueError) as error:
            text = str(error).removeprefix("image 0: ")
            for name in (str(self.path), f"<bytes, {len(self.data)} bytes>"):
                text = text.removeprefix(f"{name}: ")
            return type(error), text

    def expect(self, route, found, expected):
        if type(found) is not type(expected) or not _same(found, expected):
            self.wrong.append(f"{self.path}: {route}: found {_words(found)}, expected {_words(expected)}")

    def file(self, path):
        """Replay one file."""
        self.path, self.data = path, path.read_bytes()
        self.announce(f"{path}: header")
        header = self.outcome(fastimg.read_header, self.data)
        self.expect("header of the file", self.outcome(fastimg.read_header, path), header)
        batch = self.outcome(fastimg.read_headers, [self.data, path])
        self.expect("headers", batch, header if isinstance(header, tuple) else [header] * 2)
        measured = not isinstance(header, tuple)
        large = measured and header.height * header.width > LARGE
        # Without a size there are no crops, and errors hardly depend on options.
        options = options_of(*header.shape[1:]) if measured else FORMS
        found = {name: self.routes(name, each, large) for name, each in options.items()}
        self.relations(found, header)
        if measured and isinstance(found["CHW"], np.ndarray):
            if not large:
                self.orientations(found)
            self.views(header)
        elif not isinstance(found["CHW"], np.ndarray) and found["CHW"][0] is fastimg.UnsupportedJpegError:
            for name, options in {"CHW": {}, "HWC 64": {"layout": "HWC", "size": 64}}.items():
                self.routes(f"fallback {name}", {**options, "fallback": "pillow"})

    def routes(self, name, options, large=False):
        """What all ways to decode with these options give: the result of the first."""
        self.announce(f"{self.path}: {name}")
        expected = self.outcome(fastimg.decode, self.data, **options)
        sources = [self.path] if large else [self.path, self.data]
        batch = self.outcome(fastimg.load, sources, num_threads=2, **options)
        if not isinstance(expected, np.ndarray):
            self.expect(f"{name} of the file", self.outcome(fastimg.decode, self.path, **options), expected)
            self.expect(f"{name} in a batch", batch, expected)
            return expected
        self.expect(f"{name} in a batch", batch, np.stack([expected] * len(sources)))
        out = np.empty_like(expected)
        out.view(np.uint8).fill(0xFF)
        self.expect(f"{name} of the file", self.outcome(fastimg.decode, self.path, out, **options), expected)
        if not large:
            self.strided(name, options, expected)
        return expected

    def strided(self, name, options, expected):
        """Zeros before, and bytes between rows and planes that stay as they are."""
        planar = options.get("layout") != "HWC"
        inside = (slice(None), slice(1, -2), slice(3, -1)) if planar else (slice(1, -2), slice(3, -1))
        shape = np.add(expected.shape, (0, 3, 4) if planar else (3, 4, 0))
        room = np.empty(shape, expected.dtype)
        room.view(np.uint8).fill(GUARD)
        around = room.copy()
        around[inside] = expected
        room[inside] = 0
        self.outcome(fastimg.decode, self.data, room[inside], **options)
        self.expect(f"{name} into a part of an array", room, around)

    def relations(self, found, header):
        """Results of different options that follow from one another."""
        for size in ("", " 64") if "CHW 64" in found else ("",):
            plain = found[f"CHW{size}"]
            self.expect(f"HWC{size}", _changed(found[f"HWC{size}"], lambda x: x.transpose(2, 0, 1)), plain)
            self.expect(f"BGR{size}", _changed(found[f"BGR{size}"], lambda x: x[::-1]), plain)
            lenient = found[f"lenient{size}"]
            planes = _changed(found[f"lenient HWC{size}"], lambda x: x.transpose(2, 0, 1))
            self.expect(f"lenient HWC{size}", planes, lenient)
            if isinstance(plain, np.ndarray):
                self.expect(f"lenient{size}", lenient, plain)
        plain = found["CHW"]
        self.expect("flip", _changed(found["flip"], lambda x: x[:, :, ::-1]), plain)
        for dtype in DTYPES:
            expected = _changed(plain, lambda x, dtype=dtype: normalised(x, dtype))
            self.expect(dtype, found[dtype], expected)
        if isinstance(header, tuple):
            return
        if isinstance(found["lenient"], np.ndarray):
            self.expect("shape", np.array(found["lenient"].shape[1:]), np.array(header.shape[1:]))
        for prefix, whole in (("", plain), ("lenient ", found["lenient"])):
            for name, (top, left, height, width) in crops(*header.shape[1:])[0].items():
                if isinstance(whole, np.ndarray):
                    part = whole[:, top : top + height, left : left + width]
                    self.expect(f"{prefix}crop {name}", found[f"{prefix}crop {name}"], part)

    def orientations(self, found):
        """The same pixels, turned as a new first segment says."""
        stored = found["stored"].transpose(1, 2, 0)
        original = self.data
        for orientation in range(1, 9):
            self.data = jpegs.oriented(original, orientation)
            expected = jpegs.upright(stored, orientation).transpose(2, 0, 1)
            for strict in (True, False):
                self.announce(f"{self.path}: orientation {orientation}")
                turned = self.outcome(fastimg.decode, self.data, strict=strict)
                self.expect(f"orientation {orientation}", turned, expected)
            resized = self.outcome(fastimg.decode, self.data, size=(48, 64))
            batch = self.outcome(fastimg.load, [self.data], size=(48, 64))
            self.expect(f"orientation {orientation} in a batch", batch, resized[None])
        self.data = original

    def views(self, header):
        """Several results of one pass: each as it is alone."""
        self.announce(f"{self.path}: views")
        box = crops(*header.shape[1:])[1]["fraction"]
        views = [{"size": 64}, {"size": (33, 47), "crop": box, "flip": True}, {"size": 500}]
        alone = [self.outcome(fastimg.decode, self.data, reducing_gap=None, **view) for view in views]
        together = self.outcome(fastimg.load, [self.path], views=views, reducing_gap=None)
        for i in range(len(views)):
            self.expect(f"view {i}", together[i][0], alone[i])


def normalised(image, dtype):
    planes = [
        jpegs.normalise(image[c], np.float32, STATISTICS["mean"][c], STATISTICS["std"][c]) for c in range(3)
    ]
    return np.stack(planes).astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)


def _changed(result, change):
    return change(result) if isinstance(result, np.ndarray) else result


def _same(found, expected):
    if not isinstance(found, np.ndarray):
        return found == expected
    return (found.dtype, found.shape) == (expected.dtype, expected.shape) and np.array_equal(
        np.ascontiguousarray(found).view(np.uint8), np.ascontiguousarray(expected).view(np.uint8)
    )


def _words(result):
    if isinstance(result, np.ndarray):
        return f"{result.dtype} {result.shape}"
    if isinstance(result, tuple):
        return f"{result[0].__name__}: {result[1]}"
    return repr(result)


def files_of(folders):
    """All files of the folders, of whatever kind, sorted."""
    return sorted({path for folder in folders for path in pathlib.Path(folder).rglob("*") if path.is_file()})


def main():
    parser = argparse.ArgumentParser(prog="replay", description="Decode files through every route.")
    parser.add_argument("--now", type=argparse.FileType("w"), help="what is being decoded goes there")
    parser.add_argument("folders", nargs="+", metavar="FOLDER")
    given = parser.parse_args()

    def announce(text):
        line = os.fsencode(text)
        os.pwrite(given.now.fileno(), line, 0)
        os.ftruncate(given.now.fileno(), len(line))

    replay = Replay(announce) if given.now else Replay()
    warnings.simplefilter("ignore")  # Pillow's, of broken files
    files, reported = files_of(given.folders), 0
    for path in files:
        replay.file(path)
        for line in replay.wrong[reported:]:
            print(line, flush=True)
        reported = len(replay.wrong)
    print(f"{len(files)} files, {replay.decodes} calls, {reported} wrong results")
    return 1 if reported or not files else 0


if __name__ == "__main__":
    sys.exit(main())
