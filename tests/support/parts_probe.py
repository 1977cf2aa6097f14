# SPDX-License-Identifier: BSD-3-Clause
"""Decode files in one thread and in several, and print where the results differ: see test_parts.

    FASTIMG_PARTS=PIXELS,NBYTES python -m support.parts_probe JOBS THREADS...

JOBS is a pickled list of (name, bytes, options). Prints how often
several threads have decoded an image, and what differs.
"""

import hashlib
import json
import pickle
import sys

import numpy as np

import fastimg
import fastimg._decode as _decode


def outcome(data, options, num_threads):
    """A hash of the pixels, or the exception in full."""
    try:
        pixels = fastimg.decode(data, num_threads=num_threads, **options)
    except (fastimg.ImageError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return f"{pixels.shape} {hashlib.blake2b(np.ascontiguousarray(pixels), digest_size=16).hexdigest()}"


def main():
    with open(sys.argv[1], "rb") as file:
        jobs = pickle.load(file)
    different = []
    for name, data, options in jobs:
        alone = outcome(data, options, 1)
        for threads in map(int, sys.argv[2:]):
            found = outcome(data, options, threads)
            if found != alone:
                different.append(f"{name}, {options}, {threads} threads: expected {alone}, found {found}")
    print(json.dumps([_decode.count_decoded_together(), different]))


if __name__ == "__main__":
    main()
