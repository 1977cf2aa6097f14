# SPDX-License-Identifier: BSD-3-Clause
"""The contestants that decode and shrink, each on the best route that its API offers to a (3, H, W) array.

What the routes have in common is in ``_peers``. Here ``read_into(path, out)`` fills `out`, one image's rows
of the caller's array, with the whole image at `out`'s height and width, and ``load`` does so for many. Where there
is ``crop_into(path, box, out)`` it fills `out` with the part (top, left, height, width) of the image.
"""

from __future__ import annotations

import importlib
import pathlib
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from benchmarks._peers import Fastimg, OpenCV, Peer, Pillow, SimpleJpeg, Torchvision, embedded_turbo


class Resizing(Peer):
    """A contestant of this benchmark: a route, and which filter it shrinks with.

    ``antialiased`` says whether every pixel of the photo counts. ``resample`` is the filter of Pillow's that
    the route has, or "area" for OpenCV's INTER_AREA.
    """

    antialiased = True
    resample = "bilinear"


def bgr_into(cv2: Any, image: np.ndarray, out: np.ndarray, scratch: np.ndarray, interpolation: int) -> None:
    """Shrink `image` (h, w, 3) BGR into `out` (3, H, W) RGB; split puts B and R in their places for nothing."""
    _, height, width = out.shape
    cv2.resize(image, (width, height), dst=scratch, interpolation=interpolation)
    cv2.split(scratch, [out[2], out[1], out[0]])


class OpenCVArea(Resizing, OpenCV):
    name = "OpenCV INTER_AREA"
    route = "imread, resize(dst=), cv2.split"
    resample = "area"
    flag = "INTER_AREA"

    def __init__(self) -> None:
        super().__init__()
        self._interpolation = getattr(self._cv2, self.flag)

    def bgr(self, path: str, out: np.ndarray) -> np.ndarray:
        return self._cv2.imread(path)

    def read_into(self, path: str, out: np.ndarray) -> None:
        bgr_into(self._cv2, self.bgr(path, out), out, self._scratch(out), self._interpolation)

    def crop_into(self, path: str, box: np.ndarray, out: np.ndarray) -> None:
        top, left, height, width = box
        image = self._cv2.imread(path)[top : top + height, left : left + width]
        bgr_into(self._cv2, image, out, self._scratch(out), self._interpolation)


class OpenCVLinear(OpenCVArea):
    name = "OpenCV INTER_LINEAR"
    antialiased = False
    resample = "bilinear"
    flag = "INTER_LINEAR"


class OpenCVReduced(OpenCVArea):
    """OpenCV cannot tell a file's size, so the caller has to know it: here that costs it nothing."""

    name = "OpenCV IMREAD_REDUCED + INTER_AREA"
    route = "imread(IMREAD_REDUCED_COLOR_n), n from sizes known beforehand, resize(dst=), cv2.split"

    def __init__(self) -> None:
        super().__init__()
        self._flags = {1: self._cv2.IMREAD_COLOR}
        self._flags |= {n: getattr(self._cv2, f"IMREAD_REDUCED_COLOR_{n}") for n in (2, 4, 8)}
        self._sizes: dict[str, tuple[int, int]] = {}  # (width, height); filled when the pixels are verified

    def bgr(self, path: str, out: np.ndarray) -> np.ndarray:
        size = self._sizes.get(path)
        if size is None:
            from PIL import Image

            with Image.open(path) as image:
                size = self._sizes[path] = image.size
        _, height, width = out.shape
        n = max(n for n in self._flags if n == 1 or (size[0] >= n * width and size[1] >= n * height))
        return self._cv2.imread(path, self._flags[n])


class SimpleJpegArea(Resizing, SimpleJpeg):
    name = "simplejpeg min size + INTER_AREA"
    route = "decode_jpeg(min_height=, min_width=, buffer=), OpenCV's resize(dst=), cv2.split"
    resample = "area"

    def __init__(self) -> None:
        super().__init__()
        import cv2
        import simplejpeg

        cv2.setNumThreads(1)
        self._cv2, self._header = cv2, simplejpeg.decode_jpeg_header

    def read_into(self, path: str, out: np.ndarray) -> None:
        with open(path, "rb") as file:
            data = file.read()
        bgr_into(self._cv2, self._bgr(data, out.shape[1:]), out, self._scratch(out), self._cv2.INTER_AREA)

    def crop_into(self, path: str, box: np.ndarray, out: np.ndarray) -> None:
        with open(path, "rb") as file:
            data = file.read()
        top, left, height, width = box.tolist()
        full_height, full_width, *_ = self._header(data)
        # The whole image as large as it takes for the box to be no smaller than `out`.
        wanted = (-(-full_height * out.shape[1] // height), -(-full_width * out.shape[2] // width))
        small = self._bgr(data, wanted if wanted < (full_height, full_width) else (0, 0))
        y, x = small.shape[0] / full_height, small.shape[1] / full_width
        rows = slice(round(top * y), round((top + height) * y))
        columns = slice(round(left * x), round((left + width) * x))
        bgr_into(self._cv2, small[rows, columns], out, self._scratch(out), self._cv2.INTER_AREA)

    def _bgr(self, data: bytes, least: tuple[int, int]) -> np.ndarray:
        """Return the image at the smallest size that is enough, in memory of this thread that is reused.

        `least` is its least height and width; 0 stands for the full one.
        """
        size = {"min_height": least[0], "min_width": least[1]}
        try:
            return self._decode(data, colorspace="BGR", buffer=self._local.room, **size)
        except (AttributeError, ValueError):  # no room yet, or too little; seldom, so it costs nothing
            height, width, *_ = self._header(data, **size)
            self._local.room = np.zeros(height * width * 3, np.uint8)
            return self._decode(data, colorspace="BGR", buffer=self._local.room, **size)


def corners(box: np.ndarray) -> tuple[float, float, float, float]:
    """Return (top, left, height, width) as Pillow has it: (left, top, right, bottom)."""
    top, left, height, width = box.tolist()
    return left, top, left + width, top + height


class PillowFull(Resizing, Pillow):
    name = "Pillow"
    route = "Image.open, resize, NumPy transpose"

    def __init__(self) -> None:
        super().__init__()
        from PIL import Image

        self._filter = Image.Resampling[self.resample.upper()]

    def read_into(self, path: str, out: np.ndarray) -> None:
        _, height, width = out.shape
        with self._open(path) as image:
            self._store(image.resize((width, height), self._filter), out)

    def crop_into(self, path: str, box: np.ndarray, out: np.ndarray) -> None:
        _, height, width = out.shape
        with self._open(path) as image:
            self._store(image.resize((width, height), self._filter, box=corners(box)), out)

    def _store(self, image: Any, out: np.ndarray) -> None:
        np.copyto(out, np.asarray(image if image.mode == "RGB" else image.convert("RGB")).transpose(2, 0, 1))


class PillowDraft(PillowFull):
    name = "Pillow draft, reducing_gap=2.0"
    route = "Image.open, draft, resize(box=, reducing_gap=2.0), NumPy transpose; as Image.thumbnail does it"

    def read_into(self, path: str, out: np.ndarray) -> None:
        _, height, width = out.shape
        with self._open(path) as image:
            drafted = image.draft(None, (2 * width, 2 * height))
            box = drafted[1] if drafted else None  # fractional, if the scale does not divide the size
            small = image.resize((width, height), self._filter, box=box, reducing_gap=2.0)
            self._store(small, out)

    def crop_into(self, path: str, box: np.ndarray, out: np.ndarray) -> None:
        _, height, width = out.shape
        with self._open(path) as image:
            full = image.size
            # The size of the whole image at which the box has twice the size of `out`.
            image.draft(None, (2 * full[0] * width // int(box[3]), 2 * full[1] * height // int(box[2])))
            x, y = image.width / full[0], image.height / full[1]
            left, top, right, bottom = corners(box)
            part = (left * x, top * y, right * x, bottom * y)
            self._store(image.resize((width, height), self._filter, box=part, reducing_gap=2.0), out)


class TorchvisionResize(Resizing, Torchvision):
    name = "torchvision"
    route = "decode_jpeg, v2.functional.resize(antialias=True), Tensor.copy_"

    def __init__(self) -> None:
        super().__init__()
        functional = importlib.import_module("torchvision.transforms.v2.functional")
        self._resize, self._resized_crop = functional.resize, functional.resized_crop

    def read_into(self, path: str, out: np.ndarray) -> None:
        self._torch.from_numpy(out).copy_(self.shrunk(path, out.shape[1:]))

    def shrunk(self, path: str, size: Sequence[int], box: np.ndarray | None = None) -> Any:
        """Return the image, or its part (top, left, height, width), as a fresh tensor (3, height, width)."""
        with open(path, "rb") as file:
            image = self._tensor(file.read())
        if box is None:
            return self._resize(image, list(size), antialias=True)
        return self._resized_crop(image, *box.tolist(), list(size), antialias=True)


class Spdl(Resizing):
    name = "SPDL"
    package = "spdl"
    route = "io.load_image(scale filter), NumPy transpose; FFmpeg decodes and scales"
    libjpeg = "none"

    def __init__(self) -> None:
        super().__init__()
        self._io = importlib.import_module("spdl.io")
        self._io.decode_config()  # the first use looks for FFmpeg's libraries, and says which are missing

    def read_into(self, path: str, out: np.ndarray) -> None:
        _, height, width = out.shape
        description = self._io.get_video_filter_desc(
            scale_width=width, scale_height=height, scale_mode=None, scale_algo="bilinear", pix_fmt="rgb24"
        )
        image = self._io.to_numpy(self._io.load_image(path, filter_desc=description))
        np.copyto(out, image.transpose(2, 0, 1))


class Dali(Resizing):
    name = "DALI"
    route = "fn.decoders.image, fn.resize(antialias=True), fn.transpose on the CPU, then a copy"
    BATCH = 32

    def __init__(self) -> None:
        super().__init__()
        self._dali = importlib.import_module("nvidia.dali")
        importlib.import_module("nvidia.dali.fn")
        root = pathlib.Path(self._dali.__file__).parent.parent
        self.libjpeg = embedded_turbo(*root.glob("nvimgcodec/extensions/libjpeg_turbo_ext.so*"))
        self._pipelines: dict[tuple[int, int, int], Any] = {}

    @property
    def version(self) -> str:
        return str(self._dali.__version__)  # the distribution is named after the version of CUDA

    def _pipeline(self, height: int, width: int, num_threads: int) -> Any:
        fn, types = self._dali.fn, self._dali.types
        # Nothing runs ahead of the call, so that what is timed is all the work for these files and no other.
        pipeline = self._dali.Pipeline(
            self.BATCH, num_threads, None, exec_pipelined=False, exec_async=False, prefetch_queue_depth=1
        )
        with pipeline:
            files = fn.external_source(name="files", dtype=types.UINT8, ndim=1)
            images = fn.decoders.image(files, device="cpu", output_type=types.RGB)
            images = fn.resize(images, size=[height, width], interp_type=types.INTERP_LINEAR, antialias=True)
            pipeline.set_outputs(fn.transpose(images, perm=[2, 0, 1]))
        pipeline.build()
        return pipeline

    def load(self, paths: Sequence[str], out: np.ndarray, num_threads: int) -> None:
        key = (*out.shape[2:], num_threads)
        pipeline = self._pipelines.get(key) or self._pipelines.setdefault(key, self._pipeline(*key))
        for first in range(0, len(paths), self.BATCH):
            some = paths[first : first + self.BATCH]
            pipeline.feed_input("files", [np.fromfile(path, np.uint8) for path in some])
            (images,) = pipeline.run()
            np.copyto(out[first : first + len(some)], np.asarray(images.as_tensor()))

    def read_into(self, path: str, out: np.ndarray) -> None:
        self.load([path], out[None], 1)


class FastimgResize(Resizing, Fastimg):
    name = "fastimg"
    route = "load(size=) of many, decode(size=) of one"
    options: ClassVar[dict[str, Any]] = {}

    def read_into(self, path: str, out: np.ndarray) -> None:
        self._decode(path, out, size=out.shape[1:], **self.options)

    def load(self, paths: Sequence[str], out: np.ndarray, num_threads: int) -> None:
        self._load(paths, out, size=out.shape[2:], num_threads=num_threads, **self.options)


def with_options(suffix: str, **options: Any) -> type[FastimgResize]:
    """Return fastimg with these options, as a contestant named "fastimg, " and `suffix`."""

    class Variant(FastimgResize):
        name = f"fastimg, {suffix}"
        route = "the same, " + ", ".join(f"{key}={value!r}" for key, value in options.items())
        resample = options.get("resample", "bilinear")

    Variant.options = options
    return Variant


def with_filter(resample_name: str) -> type[PillowFull]:
    class Variant(PillowFull):
        name = f"Pillow, {resample_name}"
        resample = resample_name

    return Variant


MAIN: tuple[type[Resizing], ...] = (
    FastimgResize,
    OpenCVArea,
    OpenCVLinear,
    OpenCVReduced,
    SimpleJpegArea,
    PillowFull,
    PillowDraft,
    TorchvisionResize,
    Spdl,
    Dali,
)
GAPS = tuple(with_options(f"reducing_gap={value}", reducing_gap=value) for value in (None, 1.0))
FILTERS = tuple(
    kind
    for name in ("bicubic", "lanczos")
    for kind in (
        with_options(f"{name}, reducing_gap=None", resample=name, reducing_gap=None),
        with_filter(name),
    )
)
KINDS = (*MAIN, *GAPS, *FILTERS)
