# SPDX-License-Identifier: BSD-3-Clause
"""The contestants, each behind the same few methods, each on the best route that its API offers.

A contestant whose import fails is left out, and ``available`` says why. ``fastimg`` is one of them and
gets no treatment of its own: every call of every contestant passes through exactly one Python method.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import io
import pathlib
import re
import threading
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

TINY = 1 << 16  # bytes; measured: with 32 x 32 the buffer= of simplejpeg costs 7 us and saves nothing


def embedded_turbo(*paths: str | pathlib.Path) -> str:
    """Return the libjpeg-turbo version that a binary carries in its message table, or "unknown"."""
    for path in paths:
        found = re.search(rb"libjpeg-turbo version (\d+\.\d+(?:\.\d+)*)", pathlib.Path(path).read_bytes())
        if found:
            return found[1].decode()
    return "unknown"


class Peer:
    """One contestant.

    Subclasses give ``name``, ``package`` (its distribution), ``route`` (how it reaches (3, H, W), in words),
    ``libjpeg`` and ``hwc``; the rest follows from ``hwc`` and a NumPy transpose unless overridden.
    ``baseline`` is False for fastimg and for routes that take two libraries to build.
    """

    name = package = route = ""
    libjpeg = "unknown"
    baseline = True

    def __init__(self) -> None:
        self._local = threading.local()

    @property
    def version(self) -> str:
        return importlib.metadata.version(self.package)

    def _scratch(self, out: np.ndarray) -> np.ndarray:
        """Return (H, W, 3) uint8 memory of this thread for an `out` of (3, H, W).

        It is reused: a peer that accepts a buffer pays for no page fault, as a careful caller would have it.
        """
        flat = getattr(self._local, "flat", None)
        if flat is None or flat.size < out.size:
            flat = self._local.flat = np.zeros(out.size, np.uint8)
        return flat[: out.size].reshape(out.shape[1], out.shape[2], 3)

    def decode(self, data: bytes) -> np.ndarray:
        """Return a fresh array in the layout that the library itself prefers: the plain call."""
        raise NotImplementedError

    def hwc(self, data: bytes, out: np.ndarray) -> np.ndarray:
        """Return (H, W, 3), in scratch memory if the library accepts one; `out` (3, H, W) gives the shape."""
        return self.decode(data)

    def pixels(self, data: bytes, out: np.ndarray) -> np.ndarray:
        """Return (H, W, 3) by the faster way: a buffer costs more than a fresh array when that is tiny."""
        return self.decode(data) if out.size < TINY else self.hwc(data, out)

    def into_chw(self, data: bytes, out: np.ndarray) -> None:
        np.copyto(out, self.pixels(data, out).transpose(2, 0, 1))

    def into_hwc(self, data: bytes, out: np.ndarray) -> None:
        np.copyto(out, self.decode(data))

    def read_into(self, path: str, out: np.ndarray) -> None:
        """Decode the file at `path` into `out` (3, H, W)."""
        with open(path, "rb") as file:
            self.into_chw(file.read(), out)

    def load(self, paths: Sequence[str], out: np.ndarray, num_threads: int) -> None:
        """Decode all `paths` into `out` (N, 3, H, W): a plain loop, or a pool with one task a thread.

        One task a thread, and not one an image: the cheapest that a ThreadPoolExecutor can be.
        """
        if num_threads == 1:
            self._load_some(paths, out, 0, 1)
            return
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(num_threads) as pool:
            jobs = [pool.submit(self._load_some, paths, out, k, num_threads) for k in range(num_threads)]
            for job in jobs:
                job.result()

    def _load_some(self, paths: Sequence[str], out: np.ndarray, first: int, step: int) -> None:
        for i in range(first, len(paths), step):
            self.read_into(paths[i], out[i])


class Fastimg(Peer):
    name = package = "fastimg"
    route = "decode(out=)"
    baseline = False

    def __init__(self) -> None:
        super().__init__()
        import fastimg

        self._decode, self._load = fastimg.decode, fastimg.load
        self._version = str(fastimg.__version__)  # imported from a source tree, it has no metadata
        self.libjpeg = str(fastimg.build_info()["libjpeg_turbo"])

    @property
    def version(self) -> str:
        return self._version

    def decode(self, data: bytes) -> np.ndarray:
        return self._decode(data)

    def into_chw(self, data: bytes, out: np.ndarray) -> None:
        self._decode(data, out)

    def into_hwc(self, data: bytes, out: np.ndarray) -> None:
        self._decode(data, out, layout="HWC")

    def read_into(self, path: str, out: np.ndarray) -> None:
        self._decode(path, out)

    def load(self, paths: Sequence[str], out: np.ndarray, num_threads: int) -> None:
        self._load(paths, out, num_threads=num_threads)


class SimpleJpeg(Peer):
    name = package = "simplejpeg"
    route = "decode_jpeg(buffer=), NumPy transpose"

    def __init__(self) -> None:
        super().__init__()
        import simplejpeg

        self._decode = simplejpeg.decode_jpeg
        self.libjpeg = embedded_turbo(simplejpeg._jpeg.__file__)

    def decode(self, data: bytes) -> np.ndarray:
        return self._decode(data, colorspace="RGB")

    def hwc(self, data: bytes, out: np.ndarray) -> np.ndarray:
        return self._decode(data, colorspace="RGB", buffer=self._scratch(out))

    def into_hwc(self, data: bytes, out: np.ndarray) -> None:
        self._decode(data, colorspace="RGB", buffer=out)


class PyTurboJPEG(Peer):
    name = package = "PyTurboJPEG"
    route = "decode(dst=), NumPy transpose"

    def __init__(self) -> None:
        super().__init__()
        import turbojpeg

        self._decode = turbojpeg.TurboJPEG().decode  # raises if the system has no libturbojpeg
        self._rgb = turbojpeg.TJPF_RGB
        maps = pathlib.Path("/proc/self/maps")  # which library ctypes found, where the system tells
        if maps.exists():
            loaded = {line.split()[-1] for line in maps.read_text().splitlines() if "libturbojpeg" in line}
            self.libjpeg = embedded_turbo(*sorted(loaded))

    def decode(self, data: bytes) -> np.ndarray:
        return self._decode(data, self._rgb)

    def hwc(self, data: bytes, out: np.ndarray) -> np.ndarray:
        return self._decode(data, self._rgb, dst=self._scratch(out))

    def into_hwc(self, data: bytes, out: np.ndarray) -> None:
        self._decode(data, self._rgb, dst=out)


class OpenCV(Peer):
    name = "OpenCV"
    package = "opencv-python-headless"
    route = "imdecode, NumPy transpose"

    def __init__(self) -> None:
        super().__init__()
        import cv2

        cv2.setNumThreads(1)  # the threads here are ours; its own would only compete with them
        self._cv2 = cv2
        self._rgb = getattr(cv2, "IMREAD_COLOR_RGB", None)  # since 4.10; before, a second pass swaps B and R
        found = re.search(r"^\s*JPEG:.*\(ver ([\d.]+)", cv2.getBuildInformation(), re.MULTILINE)
        self.libjpeg = found[1] if found else "unknown"

    @property
    def version(self) -> str:
        return self._cv2.__version__  # the distribution has four possible names

    def _as_rgb(self, image: np.ndarray) -> np.ndarray:
        return image if self._rgb is not None else self._cv2.cvtColor(image, self._cv2.COLOR_BGR2RGB, image)

    def _flag(self) -> int:
        return self._cv2.IMREAD_COLOR if self._rgb is None else self._rgb

    def decode(self, data: bytes) -> np.ndarray:
        return self._as_rgb(self._cv2.imdecode(np.frombuffer(data, np.uint8), self._flag()))

    def read(self, path: str) -> np.ndarray:
        """Return the file's pixels, fresh, (H, W, 3) RGB."""
        return self._as_rgb(self._cv2.imread(path, self._flag()))

    def read_into(self, path: str, out: np.ndarray) -> None:
        np.copyto(out, self.read(path).transpose(2, 0, 1))


class Pillow(Peer):
    name = "Pillow"
    package = "pillow"
    route = "Image.open, NumPy transpose"

    def __init__(self) -> None:
        super().__init__()
        from PIL import Image, features

        self._open = Image.open
        self.libjpeg = str(features.version("libjpeg_turbo") or "unknown")

    def _pixels(self, source: Any) -> np.ndarray:
        with self._open(source) as image:
            return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))

    def decode(self, data: bytes) -> np.ndarray:
        return self._pixels(io.BytesIO(data))

    def read_into(self, path: str, out: np.ndarray) -> None:
        np.copyto(out, self._pixels(path).transpose(2, 0, 1))


class Imagecodecs(Peer):
    name = package = "imagecodecs"
    route = "jpeg8_decode(out=), NumPy transpose"

    def __init__(self) -> None:
        super().__init__()
        import imagecodecs

        self._decode = imagecodecs.jpeg8_decode
        self.libjpeg = imagecodecs.jpeg8_version().removeprefix("libjpeg_turbo ").split("/")[0]

    def decode(self, data: bytes) -> np.ndarray:
        image = self._decode(data)  # without outcolorspace=, which costs 2 us
        return image if image.ndim == 3 else self._decode(data, outcolorspace="rgb")

    def hwc(self, data: bytes, out: np.ndarray) -> np.ndarray:
        return self._decode(data, outcolorspace="rgb", out=self._scratch(out))

    def into_hwc(self, data: bytes, out: np.ndarray) -> None:
        self._decode(data, outcolorspace="rgb", out=out)


class Kornia(Peer):
    name = "kornia-rs"
    package = "kornia_rs"
    route = "io.ImageDecoder (reused), NumPy transpose"

    def __init__(self) -> None:
        super().__init__()
        module = importlib.import_module("kornia_rs")
        # Not decode_image_jpeg: that one is written in Rust, slower, and off by some levels.
        where = module.io if hasattr(module, "io") else module  # the submodule is new in 0.2
        self._decode = where.ImageDecoder().decode
        folder = pathlib.Path(module.__file__).parent
        self.libjpeg = embedded_turbo(*folder.glob("*.so"))

    def decode(self, data: bytes) -> np.ndarray:
        return np.asarray(self._decode(data))


class Torchvision(Peer):
    name = package = "torchvision"
    route = "io.decode_jpeg, Tensor.copy_"

    def __init__(self) -> None:
        super().__init__()
        import torch
        from torchvision.io import ImageReadMode, decode_jpeg

        torch.set_num_threads(1)  # Tensor.copy_ would otherwise share a large image among threads
        warnings.filterwarnings("ignore", message="The given buffer is not writable")
        self._torch = torch
        self._rgb = ImageReadMode.RGB
        self._decode = decode_jpeg
        root = pathlib.Path(importlib.import_module("torchvision").__file__).parent.parent
        self.libjpeg = embedded_turbo(*root.glob("torchvision.libs/libjpeg*"))

    def _tensor(self, data: bytes) -> Any:
        return self._decode(self._torch.frombuffer(data, dtype=self._torch.uint8), mode=self._rgb)

    def decode(self, data: bytes) -> np.ndarray:
        return self._tensor(data).numpy()

    def into_chw(self, data: bytes, out: np.ndarray) -> None:
        self._torch.from_numpy(out).copy_(self._tensor(data))

    def into_hwc(self, data: bytes, out: np.ndarray) -> None:
        self._torch.from_numpy(out).copy_(self._tensor(data).permute(1, 2, 0))


def _with_split(base: type[Peer]) -> type[Peer]:
    """Return `base` with OpenCV's vectorised split in place of the NumPy transpose.

    It halves the cost of that pass, for a second dependency: a baseline that few write and all could.
    """

    class Split(base):  # type: ignore[misc, valid-type]
        name = f"{base.name} + cv2.split"
        route = base.route.replace("NumPy transpose", "cv2.split")
        baseline = False

        def __init__(self) -> None:
            super().__init__()
            import cv2

            cv2.setNumThreads(1)
            self._split = cv2.split

        def into_chw(self, data: bytes, out: np.ndarray) -> None:
            self._split(self.pixels(data, out), list(out))

    return Split


BASELINES = (SimpleJpeg, PyTurboJPEG, OpenCV, Pillow, Imagecodecs, Kornia, Torchvision)
ALL: tuple[type[Peer], ...] = (Fastimg, *BASELINES, _with_split(SimpleJpeg), _with_split(OpenCV))


def available(kinds: Sequence[type[Peer]] = ALL) -> tuple[list[Peer], dict[str, str]]:
    """Return the contestants that can be imported, and {name: reason} for those that cannot."""
    peers, missing = [], {}
    for kind in kinds:
        try:
            peers.append(kind())
        except Exception as error:  # a broken installation raises anything at all; it must not end the run
            missing[kind.name] = f"{type(error).__name__}: {error}".splitlines()[0]
    return peers, missing
