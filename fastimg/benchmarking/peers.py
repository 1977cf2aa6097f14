# SPDX-License-Identifier: BSD-3-Clause
"""The contestants, each by the best route that its API offers; here what they share, and those that only decode.

A function decorated with ``contestant`` gives a `Peer` its calls of a library; its docstring begins with the route, as
it is printed. ``available`` leaves out what cannot be imported, and says why. fastimg is a contestant like any other:
every call of every contestant passes through exactly one Python function of ours.
"""

import importlib
import importlib.metadata
import io
import pathlib
import re
import threading
import warnings
from collections import namedtuple
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any

import numpy as np

TINY = 1 << 16  # bytes; measured: at 32 x 32 simplejpeg's buffer= costs 7 us and saves nothing
PACKAGES = {"turbojpeg": "PyTurboJPEG", "spdl.io": "spdl"}  # of libraries that have no __version__
MAPS = "/proc/self/maps"  # says which library ctypes has found

# The version of libjpeg-turbo that a library brings: in which binaries it is found, or a function of the module.
LIBJPEG_TURBO: dict[str, Any] = {
    "fastimg": lambda fastimg: fastimg.build_info()["libjpeg_turbo"],
    "simplejpeg": "simplejpeg/_jpeg*",
    "turbojpeg": lambda _: embedded_turbo(re.findall("/.*libturbojpeg.*", read_file(MAPS).decode())),
    "cv2": lambda cv2: re.findall(r"(?m)^\s*JPEG:.*\(ver ([\d.]+)", cv2.getBuildInformation())[0],
    "PIL.Image": lambda _: importlib.import_module("PIL.features").version("libjpeg_turbo"),
    "imagecodecs": lambda codecs: codecs.jpeg8_version().removeprefix("libjpeg_turbo ").split("/")[0],
    "kornia_rs": "kornia_rs/*.so",
    "torchvision": "torchvision.libs/libjpeg*",
    "spdl.io": lambda _: "none",
    "nvidia.dali": "nvidia/nvimgcodec/extensions/libjpeg_turbo_ext.so*",
}


def embedded_turbo(paths: Any) -> Any:
    """Return the libjpeg-turbo version in the message table of the first binary that has one, or None."""
    found = (re.search(rb"libjpeg-turbo version (\d+(?:\.\d+)+)", read_file(path)) for path in sorted(paths))
    return next((one[1].decode() for one in found if one), None)


class Peer:
    """A contestant with the calls that its maker gave it, and for others what follows from ``decode``."""

    library: str
    route: str
    decode: Any
    baseline = True  # False for fastimg, and for routes that take two libraries
    antialiased = True  # whether every pixel of the photo counts in a smaller image
    resample = "bilinear"  # the filter it shrinks with: one of Pillow's, or "area" for OpenCV's INTER_AREA
    dtype = "uint8"
    options: Any = MappingProxyType({})  # of fastimg
    draft = False  # of Pillow
    boxes = None  # the parts of the files that `load` takes, {path: box}, if not all
    takes_buffer = False  # whether into_hwc decodes right into `out`

    def __init__(self, **traits: Any) -> None:
        vars(self).update(traits)
        self.local = threading.local()

    def facts(self) -> Any:
        """Return the versions of the library and its libjpeg-turbo, and the route."""
        library: Any = importlib.import_module(self.library)
        turbo = LIBJPEG_TURBO[self.library]
        try:
            root = pathlib.Path(library.__file__).parents[self.library.count(".") + 1]
            found = embedded_turbo(root.glob(turbo)) if isinstance(turbo, str) else turbo(library)
        except Exception:  # this library, or this system, does not tell
            found = None
        version = getattr(library, "__version__", None) or importlib.metadata.version(PACKAGES[self.library])
        return {"version": str(version), "libjpeg_turbo": str(found or "unknown"), "route": self.route}

    def into_hwc(self, data: Any, out: Any) -> Any:
        np.copyto(out, self.decode(data))

    def into_chw(self, data: Any, out: Any) -> Any:
        np.copyto(out, self.pixels(data, out).transpose(2, 0, 1))

    def pixels(self, data: Any, out: Any) -> Any:
        """Return (H, W, 3) for an `out` (3, H, W), in scratch memory if the library accepts it and that pays."""
        if not self.takes_buffer or out.size < TINY:
            return self.decode(data)
        scratch = self.scratch(out)
        self.into_hwc(data, scratch)
        return scratch

    def scratch(self, out: Any) -> Any:
        """Return (H, W, 3) uint8 memory of this thread for an `out` (3, H, W): reused, so without page faults."""
        flat = getattr(self.local, "flat", None)
        if flat is None or flat.size < out.size:
            flat = self.local.flat = np.zeros(out.size, np.uint8)
        return flat[: out.size].reshape(out.shape[1], out.shape[2], 3)

    def read_into(self, path: Any, out: Any) -> Any:
        """Fill `out` (3, H, W) from the file at `path`."""
        self.into_chw(read_file(path), out)

    def load(self, paths: Any, out: Any, num_threads: Any) -> Any:
        """Fill `out` (N, 3, H, W) from all `paths`: a plain loop, or a pool with one task per thread, the cheapest."""

        def some(first: Any) -> Any:
            for i in range(first, len(paths), num_threads):
                self.read_into(paths[i], out[i])

        if num_threads == 1:
            some(0)
            return
        with ThreadPoolExecutor(num_threads) as pool:
            list(pool.map(some, range(num_threads)))  # raises what they raised


class Kind(namedtuple("Kind", "name make traits")):
    """A contestant that is yet to be made; `traits` are attributes of the `Peer`."""

    def __call__(self) -> Any:
        peer = Peer(**self.traits)
        self.make(peer, importlib.import_module(peer.library))
        peer.takes_buffer = "into_hwc" in vars(peer)
        return peer


def contestant(group: Any, name: Any, library: Any, **traits: Any) -> Callable[[Any], Any]:
    """Return a decorator that adds a contestant which the function makes: make(peer, library)."""

    def add(make: Any) -> Any:
        own = {"name": name, "group": group, "library": library, "route": make.__doc__.splitlines()[0]}
        group.append(Kind(name, make, own | traits))
        return make

    return add


def find(kinds: Any, *names: Any) -> Any:
    """Return the kinds of those names, or the only one."""
    found = [kind for kind in kinds if kind.name in names]
    return found if len(names) > 1 else found[0]


def available(kinds: Any) -> Any:
    """Return the contestants that can be imported, and {name: reason} for those that cannot."""
    peers, missing = [], {}
    for kind in kinds:
        try:
            peers.append(kind())
        except Exception as error:  # a broken installation can raise anything; that must not end the run
            missing[kind.name] = first_line(error)
    return peers, missing


def first_line(error: Any) -> Any:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def read_file(path: Any) -> Any:
    with open(path, "rb") as file:
        return file.read()


def load_cv2() -> Any:
    import cv2

    cv2.setNumThreads(1)  # its own threads would only compete with the benchmark's
    return cv2


DECODERS: list[Any] = []


@contestant(DECODERS, "fastimg", "fastimg", baseline=False)
def fastimg(peer: Any, fastimg: Any) -> Any:
    """decode(out=)"""
    peer.decode = lambda data: fastimg.decode(data)
    peer.into_chw = peer.read_into = lambda source, out: fastimg.decode(source, out)
    peer.into_hwc = lambda data, out: fastimg.decode(data, out, layout="HWC")
    peer.load = lambda paths, out, num_threads: fastimg.load(paths, out, num_threads=num_threads)


@contestant(DECODERS, "simplejpeg", "simplejpeg")
def simplejpeg(peer: Any, simplejpeg: Any) -> Any:
    """decode_jpeg(buffer=), NumPy transpose"""
    peer.decode = lambda data: simplejpeg.decode_jpeg(data, colorspace="RGB")
    peer.into_hwc = lambda data, out: simplejpeg.decode_jpeg(data, colorspace="RGB", buffer=out)


@contestant(DECODERS, "PyTurboJPEG", "turbojpeg")
def pyturbojpeg(peer: Any, turbojpeg: Any) -> Any:
    """decode(dst=), NumPy transpose"""
    decode, rgb = turbojpeg.TurboJPEG().decode, turbojpeg.TJPF_RGB  # raises if the system has no libturbojpeg
    peer.decode = lambda data: decode(data, rgb)
    peer.into_hwc = lambda data, out: decode(data, rgb, dst=out)


@contestant(DECODERS, "OpenCV", "cv2")
def opencv(peer: Any, _: Any) -> Any:
    """imdecode, NumPy transpose"""
    cv2 = load_cv2()
    rgb: Any
    if hasattr(cv2, "IMREAD_COLOR_RGB"):
        flag, rgb = cv2.IMREAD_COLOR_RGB, lambda image: image
    else:  # before 4.10: a second pass swaps B and R
        flag, rgb = cv2.IMREAD_COLOR, lambda image: cv2.cvtColor(image, cv2.COLOR_BGR2RGB, image)
    peer.decode = lambda data: rgb(cv2.imdecode(np.frombuffer(data, np.uint8), flag))
    peer.read = lambda path: rgb(cv2.imread(path, flag))
    peer.read_into = lambda path, out: np.copyto(out, rgb(cv2.imread(path, flag)).transpose(2, 0, 1))


@contestant(DECODERS, "Pillow", "PIL.Image")
def pillow(peer: Any, Image: Any) -> Any:
    """Image.open, NumPy transpose"""

    def read(source: Any) -> Any:
        with Image.open(source) as image:
            return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))

    peer.decode = lambda data: read(io.BytesIO(data))
    peer.read_into = lambda path, out: np.copyto(out, read(path).transpose(2, 0, 1))


@contestant(DECODERS, "imagecodecs", "imagecodecs")
def imagecodecs(peer: Any, imagecodecs: Any) -> Any:
    """jpeg8_decode(out=), NumPy transpose"""

    def decode(data: Any) -> Any:
        image = imagecodecs.jpeg8_decode(data)  # without outcolorspace=, which costs 2 us
        return image if image.ndim == 3 else imagecodecs.jpeg8_decode(data, outcolorspace="rgb")

    peer.decode = decode
    peer.into_hwc = lambda data, out: imagecodecs.jpeg8_decode(data, outcolorspace="rgb", out=out)


@contestant(DECODERS, "kornia-rs", "kornia_rs")
def kornia(peer: Any, kornia_rs: Any) -> Any:
    """io.ImageDecoder (reused), NumPy transpose"""
    # Not decode_image_jpeg: that one is written in Rust, slower, and off by some levels.
    decode = getattr(kornia_rs, "io", kornia_rs).ImageDecoder().decode  # the submodule is new in 0.2
    peer.decode = lambda data: np.asarray(decode(data))


@contestant(DECODERS, "torchvision", "torchvision")
def torchvision(peer: Any, _: Any) -> Any:
    """io.decode_jpeg, Tensor.copy_"""
    import torch
    from torchvision.io import ImageReadMode, decode_jpeg

    torch.set_num_threads(1)  # Tensor.copy_ would otherwise share a large image among threads
    warnings.filterwarnings("ignore", message="The given buffer is not writable")
    peer.torch, rgb = torch, ImageReadMode.RGB
    tensor: Any
    peer.tensor = tensor = lambda data: decode_jpeg(torch.frombuffer(data, dtype=torch.uint8), mode=rgb)
    peer.decode = lambda data: tensor(data).numpy()
    peer.into_chw = lambda data, out: torch.from_numpy(out).copy_(tensor(data))
    peer.into_hwc = lambda data, out: torch.from_numpy(out).copy_(tensor(data).permute(1, 2, 0))


@contestant(DECODERS, "OpenCV + cv2.split", "cv2", route="imdecode, cv2.split", baseline=False)
@contestant(DECODERS, "simplejpeg + cv2.split", "simplejpeg", baseline=False)
def with_split(peer: Any, library: Any) -> Any:
    """decode_jpeg(buffer=), cv2.split

    OpenCV's vectorised split in place of the NumPy transpose halves the cost of that pass, at the price of a second
    dependency: few write it and all could.
    """
    (opencv if peer.library == "cv2" else simplejpeg)(peer, library)
    cv2 = load_cv2()
    peer.into_chw = lambda data, out: cv2.split(peer.pixels(data, out), list(out))
