# SPDX-License-Identifier: BSD-3-Clause
"""The contestants that decode and shrink, each by the best route that its API offers to a (3, H, W) array.

``read_into(path, out)`` fills `out`, one image of the caller's array, with the image at `out`'s height and width; those
with ``crops`` do so with a part of it, too: read_into(path, out, box), where box is (top, left, height, width).
"""

import functools
from typing import Any

import numpy as np

import fastimg.benchmarking.peers as peers
from fastimg.benchmarking.peers import contestant, load_cv2, read_file

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BATCH = 32  # of DALI

MAIN: list[Any] = []
GAPS: list[Any] = []
FILTERS: list[Any] = []


@contestant(MAIN, "fastimg", "fastimg")
def fastimg(peer: Any, fastimg: Any) -> Any:
    """load(size=) of many, decode(size=) of one"""
    options = {} if peer.dtype == "uint8" else {"dtype": peer.dtype, "mean": MEAN, "std": STD}
    options |= peer.options

    def load(paths: Any, out: Any, num_threads: Any) -> Any:
        crop = {"crop": np.array([peer.boxes[path] for path in paths])} if peer.boxes else {}
        fastimg.load(paths, out, size=out.shape[2:], num_threads=num_threads, **options, **crop)

    peer.load = load
    peer.read_into = lambda path, out: fastimg.decode(path, out, size=out.shape[1:], **options)


def to_uint8(peer: Any, images: Any) -> Any:
    """Return a contestant's images on the scale of 0 to 255, unrounded."""
    if peer.dtype == "uint8":
        return images
    mean, std = (np.array(value, np.float32)[:, None, None] for value in (MEAN, STD))
    return 255 * (images.astype(np.float32) * std + mean)


def bgr_into(peer: Any, cv2: Any, image: Any, out: Any, how: Any) -> Any:
    """Shrink `image` (h, w, 3) BGR into `out` (3, H, W) RGB; split swaps B and R for nothing."""
    _, height, width = out.shape
    scratch = peer.scratch(out)
    cv2.resize(image, (width, height), dst=scratch, interpolation=how)
    cv2.split(scratch, [out[2], out[1], out[0]])


@contestant(MAIN, "OpenCV INTER_LINEAR", "cv2", crops=True, antialiased=False)
@contestant(MAIN, "OpenCV INTER_AREA", "cv2", crops=True, resample="area")
def opencv(peer: Any, _: Any) -> Any:
    """imread, resize(dst=), cv2.split"""
    cv2 = load_cv2()
    how = cv2.INTER_AREA if peer.resample == "area" else cv2.INTER_LINEAR

    def read_into(path: Any, out: Any, box: Any = None) -> Any:
        image, box = cv2.imread(path), peer.boxes[path] if peer.boxes else box
        if box is not None:
            top, left, height, width = box
            image = image[top : top + height, left : left + width]
        bgr_into(peer, cv2, image, out, how)

    peer.read_into = read_into


@contestant(MAIN, "OpenCV IMREAD_REDUCED + INTER_AREA", "cv2", resample="area")
def opencv_reduced(peer: Any, _: Any) -> Any:
    """imread(IMREAD_REDUCED_COLOR_n), n from sizes known beforehand, resize(dst=), cv2.split

    OpenCV cannot read a file's size alone, so the caller has to know it: here that costs it nothing.
    """
    from PIL import Image

    cv2 = load_cv2()
    flags = {1: cv2.IMREAD_COLOR} | {n: getattr(cv2, f"IMREAD_REDUCED_COLOR_{n}") for n in (2, 4, 8)}

    @functools.cache
    def size(path: Any) -> Any:  # asked for when the pixels are verified
        with Image.open(path) as image:
            return image.size

    def read_into(path: Any, out: Any) -> Any:
        (_, height, width), (full_width, full_height) = out.shape, size(path)
        n = max(n for n in flags if n == 1 or (full_width >= n * width and full_height >= n * height))
        bgr_into(peer, cv2, cv2.imread(path, flags[n]), out, cv2.INTER_AREA)

    peer.read_into = read_into


@contestant(MAIN, "simplejpeg min size + INTER_AREA", "simplejpeg", crops=True, resample="area")
def simplejpeg(peer: Any, simplejpeg: Any) -> Any:
    """decode_jpeg(min_height=, min_width=, buffer=), OpenCV's resize(dst=), cv2.split"""
    cv2 = load_cv2()

    def bgr(data: Any, height: Any, width: Any) -> Any:
        """Return the image, in reused memory of this thread, no smaller than that; 0 is its full size."""
        size = {"min_height": height, "min_width": width}
        try:
            return simplejpeg.decode_jpeg(data, colorspace="BGR", buffer=peer.local.room, **size)
        except (AttributeError, ValueError):  # no room yet, or too little: rare, so it costs nothing
            rows, columns, *_ = simplejpeg.decode_jpeg_header(data, **size)
            peer.local.room = np.zeros(rows * columns * 3, np.uint8)
            return simplejpeg.decode_jpeg(data, colorspace="BGR", buffer=peer.local.room, **size)

    def read_into(path: Any, out: Any, box: Any = None) -> Any:
        data, (_, out_height, out_width) = read_file(path), out.shape
        if box is None:
            image = bgr(data, out_height, out_width)
        else:
            top, left, height, width = box.tolist()
            full_height, full_width, *_ = simplejpeg.decode_jpeg_header(data)
            # The smallest size of the whole image at which the box is no smaller than `out`.
            wanted = (-(-full_height * out_height // height), -(-full_width * out_width // width))
            small = bgr(data, *(wanted if wanted < (full_height, full_width) else (0, 0)))
            y, x = small.shape[0] / full_height, small.shape[1] / full_width
            rows = slice(round(top * y), round((top + height) * y))
            image = small[rows, round(left * x) : round((left + width) * x)]
        bgr_into(peer, cv2, image, out, cv2.INTER_AREA)

    peer.read_into = read_into


DRAFT = "Image.open, draft, resize(box=, reducing_gap=2.0), NumPy transpose; as Image.thumbnail does it"


@contestant(MAIN, "Pillow draft, reducing_gap=2.0", "PIL.Image", route=DRAFT, crops=True, draft=True)
@contestant(MAIN, "Pillow", "PIL.Image", crops=True)
def pillow(peer: Any, Image: Any) -> Any:
    """Image.open, resize, NumPy transpose"""

    def read_into(path: Any, out: Any, box: Any = None) -> Any:
        options: dict[str, Any] = {}
        (_, out_height, out_width), drafted = out.shape, None
        with Image.open(path) as image:
            full_width, full_height = image.size
            top, left, height, width = (0, 0, full_height, full_width) if box is None else box.tolist()
            if peer.draft:
                # The size of the whole image at which the box is twice as large as `out`.
                wanted = (2 * full_width * out_width // width, 2 * full_height * out_height // height)
                drafted, options = image.draft(None, wanted), {"reducing_gap": 2.0}
            # The box of a draft is fractional if the scale does not divide the size.
            x, y = (drafted[1][2] / full_width, drafted[1][3] / full_height) if drafted else (1, 1)
            options["box"] = (left * x, top * y, (left + width) * x, (top + height) * y)
            options["resample"] = Image.Resampling[peer.resample.upper()]
            small = image.resize((out_width, out_height), **options)
        np.copyto(out, np.asarray(small if small.mode == "RGB" else small.convert("RGB")).transpose(2, 0, 1))

    peer.read_into = read_into


@contestant(MAIN, "torchvision", "torchvision", crops=True)
def torchvision(peer: Any, library: Any) -> Any:
    """decode_jpeg, v2.functional.resize(antialias=True), Tensor.copy_"""
    from torchvision.transforms.v2 import functional

    peers.torchvision(peer, library)

    def shrunk(path: Any, size: Any, box: Any = None) -> Any:
        """Return the image, or its part, as a fresh tensor (3, height, width)."""
        image = peer.tensor(read_file(path))
        if box is None:
            return functional.resize(image, list(size), antialias=True)
        return functional.resized_crop(image, *box.tolist(), list(size), antialias=True)

    peer.shrunk = shrunk
    peer.read_into = lambda path, out: peer.torch.from_numpy(out).copy_(shrunk(path, out.shape[1:]))


@contestant(MAIN, "SPDL", "spdl.io")
def spdl(peer: Any, io: Any) -> Any:
    """io.load_image(scale filter), NumPy transpose; FFmpeg decodes and scales"""
    io.decode_config()  # the first use looks for FFmpeg's libraries, and says which are missing

    def read_into(path: Any, out: Any) -> Any:
        options = {"scale_height": out.shape[1], "scale_width": out.shape[2], "scale_mode": None}
        description = io.get_video_filter_desc(scale_algo="bilinear", pix_fmt="rgb24", **options)
        np.copyto(out, io.to_numpy(io.load_image(path, filter_desc=description)).transpose(2, 0, 1))

    peer.read_into = read_into


@contestant(MAIN, "DALI", "nvidia.dali")
def dali(peer: Any, dali: Any) -> Any:
    """fn.decoders.image, fn.resize(antialias=True), fn.transpose on the CPU, then a copy"""
    from nvidia.dali import fn, types

    # Nothing runs ahead of the call, so that what is timed is all the work for these files and no other.
    now = {"exec_pipelined": False, "exec_async": False, "prefetch_queue_depth": 1}

    @functools.cache
    def pipeline(height: Any, width: Any, num_threads: Any) -> Any:
        made = dali.Pipeline(BATCH, num_threads, None, **now)
        with made:
            files = fn.external_source(name="files", dtype=types.UINT8, ndim=1)
            images = fn.decoders.image(files, device="cpu", output_type=types.RGB)
            images = fn.resize(images, size=[height, width], interp_type=types.INTERP_LINEAR, antialias=True)
            made.set_outputs(fn.transpose(images, perm=[2, 0, 1]))
        made.build()
        return made

    def load(paths: Any, out: Any, num_threads: Any) -> Any:
        one = pipeline(*out.shape[2:], num_threads)
        for first in range(0, len(paths), BATCH):
            some = paths[first : first + BATCH]
            one.feed_input("files", [np.fromfile(path, np.uint8) for path in some])
            (images,) = one.run()
            np.copyto(out[first : first + len(some)], np.asarray(images.as_tensor()))

    peer.load = load
    peer.read_into = lambda path, out: load([path], out[None], 1)


def add_fastimg(group: Any, words: Any, **options: Any) -> Any:
    route = "the same, " + ", ".join(f"{key}={value!r}" for key, value in options.items())
    own = {"route": route, "options": options, "resample": options.get("resample", "bilinear")}
    contestant(group, f"fastimg, {words}", "fastimg", **own)(fastimg)


for gap in (None, 1.0):
    add_fastimg(GAPS, f"reducing_gap={gap}", reducing_gap=gap)
for name in ("bicubic", "lanczos"):
    add_fastimg(FILTERS, f"{name}, reducing_gap=None", resample=name, reducing_gap=None)
    contestant(FILTERS, f"Pillow, {name}", "PIL.Image", resample=name)(pillow)
RESIZERS = [*MAIN, *GAPS, *FILTERS]


def option_kinds(boxes: Any) -> Any:
    """Return fastimg with float results and with crops, and OpenCV with the same crops."""
    kinds: list[Any] = []
    words = "a crop for each image"
    contestant(kinds, "fastimg uint8", "fastimg")(fastimg)
    for dtype in ("float32", "float16"):
        contestant(kinds, f"fastimg {dtype}, normalised", "fastimg", dtype=dtype)(fastimg)
    contestant(kinds, f"fastimg uint8, {words}", "fastimg", boxes=boxes)(fastimg)
    floats = f"fastimg float32, normalised, {words}"
    contestant(kinds, floats, "fastimg", boxes=boxes, dtype="float32")(fastimg)
    contestant(kinds, f"OpenCV INTER_AREA, {words}", "cv2", boxes=boxes, resample="area")(opencv)
    return kinds
