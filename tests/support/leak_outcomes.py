# SPDX-License-Identifier: BSD-3-Clause
"""Calls that end in every way a call can end, for the tests of what they leave: see leak_probe."""

import itertools
import mmap
import os
import threading
import zipfile

import numpy as np

import fastimg
from fastimg.data_source import ArrayDataSource
from support import archive_files, jpegs

#: A float32 array of this side is 12 TiB; the probe limits its address space.
HUGE = 1 << 20

#: Calls that start threads, or make several images, take as long as so many of the others.
COSTS = {
    "load": 4,
    "load, fill": 10,
    "load, error": 4,
    "load, out of the callback": 10,
    "load, cancelled": 10,
    "load, memory": 10,
    "views": 10,
    "reader": 10,
    "reader, raising": 10,
    "reader, of the wrong type": 10,
    "accessor": 2,
    "non-uniform": 3,
    "random resized crop": 2,
    "random views": 12,
    "iterator": 25,
    "iterator, abandoned": 25,
    "iterator, closed": 25,
    "headers": 10,
    "headers, error": 10,
    "fallback, Pillow": 8,
    "fallback, failed": 4,
    "archive": 4,
    "archive, damaged": 4,
    "new file": 8,
    "new file, failed": 4,
    "index": 40,
}


def write_files(folder):
    """The files that the outcomes need."""
    good = jpegs.jpeg(8, 8)
    files = {
        "good.jpg": good,
        "progressive.jpg": jpegs.jpeg(8, 8, progressive=True),
        "cmyk.jpg": jpegs.turbo(jpegs.pixels(8, 8, 4)),
        "truncated.jpg": jpegs.truncated(good),
        "corrupt.jpg": jpegs.bad_codes(8, 8),
        "text.jpg": b"no picture",
        "empty.jpg": b"",
        "large.jpg": jpegs.reframed(good, height=65500, width=65500),
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / "folder.jpg").mkdir()
    jpegs.pillow(jpegs.pixels(8, 8))  # imports Pillow
    from PIL import Image

    Image.fromarray(jpegs.pixels(8, 8)).save(folder / "other.png")
    path = archive_files.make_zip(folder / "bad.zip", {"bad.jpg": good}, zipfile.ZIP_DEFLATED)
    archive = bytearray((folder / "bad.zip").read_bytes())
    at = archive.index(b"bad.jpg") + len("bad.jpg") + 40
    archive[at] ^= 0xFF  # in the deflated data
    (folder / "bad.zip").write_bytes(archive)
    return path


class Reader:
    """Gives the same data for each image, or raises it."""

    def __init__(self, data, count=4):
        self.data, self.count = data, count

    def __len__(self):
        return self.count

    def read(self, i):
        if isinstance(self.data, Exception):
            raise type(self.data)(*self.data.args)
        return self.data


class Stopped(Exception):
    pass


def stop(*args):
    raise Stopped


def interrupt(*args):
    raise KeyboardInterrupt


def one_image(path):
    """Name -> (call, the error that each must raise): decode and read_header."""
    good, missing = path["good"], os.path.join(os.path.dirname(path["good"]), "missing.jpg")
    with open(good, "rb") as file:
        data = file.read()
    out = np.empty((3, 8, 8), np.uint8)
    strided = np.empty((8, 2, 8, 3), np.uint8)[:, 0]
    frozen = np.empty((3, 8, 8), np.uint8)
    frozen.flags.writeable = False
    mapped = mmap.mmap(-1, len(data))
    mapped[:] = data
    array = np.frombuffer(data, np.uint8)
    released = memoryview(data)
    released.release()
    decode = fastimg.decode
    return {
        "good": (lambda: decode(good), None),
        "good, bytes": (lambda: decode(data), None),
        "good, bytearray": (lambda: decode(bytearray(data)), None),
        "good, array": (lambda: decode(array), None),
        "good, mmap": (lambda: decode(mapped), None),
        "good, out": (lambda: decode(good, out), None),
        "good, strided out": (lambda: decode(good, strided, layout="HWC"), None),
        "good, float": (lambda: decode(good, dtype="float32", mean=(1, 2, 3), std=(1, 2, 3)), None),
        "good, resized": (lambda: decode(good, size=(5, 4), fit="cover"), None),
        "progressive": (lambda: decode(path["progressive"]), None),
        "CMYK": (lambda: decode(path["cmyk"]), None),
        "truncated": (lambda: decode(path["truncated"]), fastimg.TruncatedJpegError),
        "truncated, lenient": (lambda: decode(path["truncated"], strict=False), None),
        "corrupt": (lambda: decode(path["corrupt"]), fastimg.CorruptJpegError),
        "not JPEG": (lambda: decode(path["text"]), fastimg.UnsupportedJpegError),
        "empty": (lambda: decode(path["empty"]), fastimg.JpegError),
        "over the limit": (lambda: decode(path["large"]), fastimg.ImageTooLargeError),
        "missing file": (lambda: decode(missing), FileNotFoundError),
        "a folder": (lambda: decode(path["folder"]), IsADirectoryError),
        "no memory": (lambda: decode(good, size=HUGE, dtype="float32"), MemoryError),
        "wrong out shape": (lambda: decode(good, np.empty((3, 8, 9), np.uint8)), ValueError),
        "wrong dtype": (lambda: decode(good, np.empty((3, 8, 8), np.int16)), TypeError),
        "read-only out": (lambda: decode(good, frozen), ValueError),
        "overlapping out": (
            lambda: decode(good, np.broadcast_to(out[:1], (3, 8, 8)).view()),
            ValueError,
        ),
        "bad option": (lambda: decode(good, mode="P"), ValueError),
        "crop outside": (lambda: decode(good, crop=(4, 4, 8, 8)), ValueError),
        "not a source": (lambda: decode(7), TypeError),
        "reversed bytes": (lambda: decode(memoryview(data)[::-1]), ValueError),
        "released view": (lambda: decode(released), ValueError),
        "range outside": (lambda: decode(fastimg.FileRange(good, 9, 10**6)), ValueError),
        "header": (lambda: fastimg.read_header(good), None),
        "header, error": (lambda: fastimg.read_header(path["text"]), fastimg.UnsupportedJpegError),
        "fallback": (lambda: decode(path["text"], fallback=lambda _: np.zeros((4, 4), np.uint8)), None),
        "fallback, Pillow": (lambda: decode(path["other"], fallback="pillow"), None),
        "fallback, failed": (lambda: decode(path["text"], fallback="pillow"), fastimg.FallbackError),
        "fallback, raising": (lambda: decode(path["text"], fallback=stop), fastimg.FallbackError),
    }


def many_images(path):
    """Name -> (call, the error that each must raise): load, the accessors, iterators, archives and new files."""
    good, text = path["good"], path["text"]
    folder = os.path.dirname(good)
    with open(good, "rb") as file:
        data = file.read()
    four, one_bad = [good] * 4, [good, good, text, good]
    load, options = fastimg.load, {"num_threads": 2}
    accessor = fastimg.ImageFileAccessor(four)
    augmented, views, epochs = (
        accessor.random_resized_crop(4),
        accessor.random_views([{"size": size, "scale": (0.3, 1)} for size in (4, 3)]),
        itertools.count(),
    )
    source = ArrayDataSource([accessor, np.arange(4)])
    member = fastimg.archive_members(os.path.join(folder, "bad.zip"))[0]
    index, new = fastimg.FileIndex(four), os.path.join(folder, "new")
    gone = os.path.join(folder, "gone", "new")

    def abandon():
        next(source.batch_iterator(2))

    def close():
        iterator = source.batch_iterator(2)
        next(iterator)
        iterator.close()

    return {
        "load": (lambda: load(four, **options), None),
        "load, fill": (lambda: load(one_bad, on_error=[].append, size=8, **options), None),
        "load, error": (lambda: load(one_bad, size=8, **options), fastimg.UnsupportedJpegError),
        "load, out of the callback": (lambda: load(one_bad, on_error=stop, size=8, **options), Stopped),
        "load, cancelled": (lambda: load(four, progress=interrupt, **options), KeyboardInterrupt),
        "load, memory": (lambda: load([bytearray(data)] * 4, **options), None),
        "views": (lambda: load(four, views=[{"size": 4}, {"size": 5}], **options), None),
        "reader": (lambda: load(Reader(data), **options), None),
        "reader, raising": (lambda: load(Reader(Stopped("no")), **options), Stopped),
        "reader, of the wrong type": (lambda: load(Reader(3), **options), TypeError),
        "accessor": (lambda: accessor[[3, 1]], None),
        "non-uniform": (lambda: fastimg.NonUniformImageFileAccessor(four)[[3, 1]], None),
        "random resized crop": (lambda: augmented.with_epoch(next(epochs))[[3, 1]], None),
        "random views": (lambda: views.with_epoch(next(epochs))[[3, 1]], None),
        "iterator": (lambda: list(source.batch_iterator(2)), None),
        "iterator, abandoned": (abandon, None),
        "iterator, closed": (close, None),
        "headers": (lambda: fastimg.read_headers(four), None),
        "headers, error": (lambda: fastimg.read_headers(one_bad), fastimg.UnsupportedJpegError),
        "archive": (lambda: fastimg.archive_members(os.path.join(folder, "bad.zip")), None),
        "archive, damaged": (lambda: fastimg.decode(member), Exception),
        "new file": (lambda: fastimg.create_array(new, (3, 8, 8)), None),
        "new file, failed": (lambda: fastimg.create_array(gone, (3, 8, 8)), FileNotFoundError),
        "index": (lambda: index.save(new), None),
    }


def leaks(path):
    """What the measurement must see: an object of 16 bytes per call, and now and then a file and a thread."""
    kept, gate, calls = [], threading.Event(), itertools.count()

    def rarely(function):
        if next(calls) % 50 == 0:
            function()

    return {
        "leak, memory": (lambda: kept.append(object()), None),
        "leak, files": (lambda: rarely(lambda: os.open(path["good"], os.O_RDONLY)), None),
        "leak, threads": (lambda: rarely(threading.Thread(target=gate.wait, daemon=True).start), None),
    }


def paths(folder):
    """The files of a folder of `write_files`, by their names without the ending."""
    return {os.path.splitext(name)[0]: os.path.join(folder, name) for name in os.listdir(folder)}


def outcomes(folder):
    """Name -> (call, the error that each must raise or None); the folder is one of `write_files`."""
    return one_image(paths(folder)) | many_images(paths(folder))
