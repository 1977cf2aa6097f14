# SPDX-License-Identifier: BSD-3-Clause
"""What this copy of fastimg was built with and uses."""

from __future__ import annotations

from typing import TypedDict

import fastimg._decode as _decode

__version__ = "0.2.0"


class BuildInfo(TypedDict):
    """What `build_info` returns."""

    version: str
    libjpeg_turbo: str
    libjpeg_turbo_built: str
    kernels: str
    entropy: str
    limited_api: bool


def build_info() -> BuildInfo:
    """What this copy of fastimg was built with and uses.

    Returns
    -------
    dict
        `version` of fastimg; `libjpeg_turbo`, the version that is loaded, "unknown" if it does not say (MozJPEG, and
        any shared one on macOS); `libjpeg_turbo_built`, the version of the headers it was built with; `kernels`
        ("avx2", "neon" or "c") and `entropy` ("fastimg", or "libjpeg": Huffman decoding, the full-size inverse DCT
        and colour conversion are libjpeg-turbo's), neither of which changes the pixels; `limited_api`, whether one
        binary serves every CPython from 3.11 on. ``FASTIMG_CPU=c`` and ``FASTIMG_ENTROPY=libjpeg`` in the
        environment, at import, choose the plain versions.

    Examples
    --------
    >>> info = fastimg.build_info()
    >>> info["version"] == fastimg.__version__, info["kernels"] in ("avx2", "neon", "c")
    (True, True)
    """
    kernels, libjpeg_turbo_built, entropy = _decode.core_info
    return {
        "version": __version__,
        "libjpeg_turbo": _decode.libjpeg_version("unknown"),
        "libjpeg_turbo_built": libjpeg_turbo_built,
        "kernels": kernels,
        "entropy": entropy,
        "limited_api": ".abi3." in (_decode.__file__ or ""),
    }
