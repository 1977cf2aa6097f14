# SPDX-License-Identifier: BSD-3-Clause
"""JPEG files straight into the caller's NumPy array.

>>> import fastimg
>>> data = fastimg.load(fastimg.find_images("photos"), size=256)
"""

import fastimg.data_source as data_source
from fastimg.accessors import ImageFileAccessor, RandomResizedCrop
from fastimg.archives import archive_members
from fastimg.arrow import arrow_sources
from fastimg.build import __version__ as __version__
from fastimg.build import build_info
from fastimg.classes import ImageFolder, image_folder
from fastimg.crops import random_crops
from fastimg.decoding import decode
from fastimg.errors import (
    CorruptJpegError,
    FallbackError,
    ImageError,
    ImageTooLargeError,
    JpegError,
    JpegTooLargeError,
    TruncatedJpegError,
    UnsupportedJpegError,
)
from fastimg.file_index import FileIndex
from fastimg.folders import find_images
from fastimg.header import Header, read_header, read_headers
from fastimg.loading import load
from fastimg.non_uniform import NonUniformImageFileAccessor
from fastimg.npy_files import create_array
from fastimg.random_views import RandomViews
from fastimg.remote import open_sources
from fastimg.shards import Shard, read_shard
from fastimg.sources import FileRange

__all__ = [
    "CorruptJpegError",
    "FallbackError",
    "FileIndex",
    "FileRange",
    "Header",
    "ImageError",
    "ImageFileAccessor",
    "ImageFolder",
    "ImageTooLargeError",
    "JpegError",
    "JpegTooLargeError",
    "NonUniformImageFileAccessor",
    "RandomResizedCrop",
    "RandomViews",
    "Shard",
    "TruncatedJpegError",
    "UnsupportedJpegError",
    "archive_members",
    "arrow_sources",
    "build_info",
    "create_array",
    "data_source",
    "decode",
    "find_images",
    "image_folder",
    "load",
    "open_sources",
    "random_crops",
    "read_header",
    "read_headers",
    "read_shard",
]


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]
