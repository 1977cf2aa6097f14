# SPDX-License-Identifier: BSD-3-Clause
"""Decode many files one after another in one process, and tell how each ended: see test_entropy.

    python -m support.entropy_probe FILES OUTCOMES

FILES is a pickled list of bytes, OUTCOMES becomes JSON: the entropy stage; for each file a list of outcomes, strict and
lenient in turn; and for each file what became of it on other routes.
"""

import hashlib
import json
import pickle
import sys

import fastimg
from fastimg import _decode
from fastimg.options import make_options

MAX_PIXELS = 1 << 20  # what a changed frame header asks for must not take seconds


def outcome(data, strict):
    """A hash of shape and pixels, or the exception in full; notes; libjpeg's warnings; whether it was decoded twice."""
    try:
        pixels = fastimg.decode(data, strict=strict, max_pixels=MAX_PIXELS)
        notes, warnings, fell_back = _decode.verify(data, make_options(strict=strict, max_pixels=MAX_PIXELS))
    except fastimg.JpegError as error:
        return f"{type(error).__name__}: {error}", (), 0, False
    return f"{pixels.shape} {hashlib.blake2b(pixels, digest_size=16).hexdigest()}", notes, warnings, fell_back


def end(data, **options):
    try:
        pixels = fastimg.decode(data, **options, orient=False, max_pixels=MAX_PIXELS)
    except fastimg.JpegError as error:
        return f"{type(error).__name__}: {error}"
    return hashlib.blake2b(pixels, digest_size=16).hexdigest()


def routes(data):
    """The upper half alone: damage below it must not matter, or to both stages alike. And reduced as far as it goes."""
    try:
        header = fastimg.read_header(data)
        height, width = header.shape[1:] if header.orientation < 5 else header.shape[:0:-1]
    except fastimg.JpegError as error:
        return [str(error)]
    half = (0, 0, max(1, height // 2), max(1, width))
    return [
        end(data, strict=strict, **options)
        for options in ({"crop": half}, {"size": 4}, {"size": 4, "mode": "L"})
        for strict in (True, False)
    ]


def main():
    with open(sys.argv[1], "rb") as file:
        files = pickle.load(file)
    # What is kept from the first time must change nothing, so both kinds of call come twice.
    outcomes = [[outcome(data, strict) for strict in (True, False, True, False)] for data in files]
    with open(sys.argv[2], "w") as file:
        json.dump([fastimg.build_info()["entropy"], outcomes, list(map(routes, files))], file)


if __name__ == "__main__":
    main()
