# SPDX-License-Identifier: BSD-3-Clause
"""Decode many files one after another in one process, and tell how each ended: see test_entropy.

    python -m support.entropy_probe FILES OUTCOMES

FILES is a pickled list of bytes, OUTCOMES becomes JSON: the entropy stage; a list of outcomes for each file; whether
any of these was decoded twice; and the outcomes for its upper half.
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
    """A hash of shape and pixels and the warnings, or the exception in full; and whether it was decoded twice."""
    try:
        pixels = fastimg.decode(data, strict=strict, max_pixels=MAX_PIXELS)
        notes, warnings, gave_up = _decode.verify(data, make_options(strict=strict, max_pixels=MAX_PIXELS))
    except fastimg.JpegError as error:
        return f"{type(error).__name__}: {error}", None
    return f"{pixels.shape} {hashlib.blake2b(pixels, digest_size=16).hexdigest()} {warnings} {notes}", gave_up


def outcome_of_rows(data, strict):
    """The same of the upper half alone: damage below it must not matter, or to both stages alike."""
    try:
        header = fastimg.read_header(data)
        height, width = header.shape[1:] if header.orientation < 5 else header.shape[:0:-1]
        crop = (0, 0, max(1, height // 2), max(1, width))
        pixels = fastimg.decode(data, crop=crop, strict=strict, orient=False, max_pixels=MAX_PIXELS)
    except fastimg.JpegError as error:
        return f"{type(error).__name__}: {error}"
    return hashlib.blake2b(pixels, digest_size=16).hexdigest()


def main():
    with open(sys.argv[1], "rb") as file:
        files = pickle.load(file)
    # Small files' tables are built only when they come again, so both kinds of call come twice.
    outcomes = [[outcome(data, strict) for strict in (True, False, True, False)] for data in files]
    with open(sys.argv[2], "w") as file:
        ends = [[end for end, _ in four] for four in outcomes]
        rows = [[outcome_of_rows(data, strict) for strict in (True, False)] for data in files]
        gave_up = [any(again for _, again in four) for four in outcomes]
        json.dump([fastimg.build_info()["entropy"], ends, gave_up, rows], file)


if __name__ == "__main__":
    main()
