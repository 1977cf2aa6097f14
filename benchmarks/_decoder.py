# SPDX-License-Identifier: BSD-3-Clause
"""One contestant of those that compare fastimg with fastimg. Nothing of this tree's fastimg is imported here."""

import gc
import importlib
import math
import os
import sys
import time
import zlib

import numpy as np

PAGE = 4096  # bytes


class Decoder:
    """What decodes, in a process of its own: builds, and what is settled when fastimg is imported, differ there.

    `tree` is a folder that holds a built fastimg; "" is ours, or else the interpreter's.
    """

    def __init__(self, tree=""):
        if tree:
            sys.path.insert(0, tree)
        self.fastimg = importlib.import_module("fastimg")
        gc.disable()  # as timeit does
        if hasattr(os, "sched_setaffinity"):
            # Both use the last CPU: two are seldom equally fast while somebody else uses the machine, and with a
            # contestant on each, ratios were anything from half to twice what they are on one.
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

    def facts(self):
        """Return what `build_info` says, and the folder of the package."""
        return self.fastimg.build_info() | {"folder": os.path.dirname(self.fastimg.__file__)}

    def take(self, files, options):
        """Keep the files, and one buffer for all of them: allocated, and touched, once. Return how many pixels."""
        shapes = [self.fastimg.decode(data, **options).shape for data in files.values()]
        buffer = np.ones(max(map(np.prod, shapes)) + PAGE, np.uint8)
        buffer = buffer[-buffer.ctypes.data % PAGE :]  # where it begins must not tell the contestants apart
        outs = [buffer[: np.prod(shape)].reshape(shape) for shape in shapes]
        self.pairs, self.options = list(zip(files.values(), outs, strict=True)), options
        return sum(math.prod(shape) for shape in shapes) // (1 if options.get("mode") == "L" else 3)

    def sums(self, background):
        """Return the CRC-32 of each image, decoded over a background that shows wherever nothing is written."""
        found = []
        for data, out in self.pairs:
            out.fill(background)
            self.fastimg.decode(data, out=out, **self.options)
            found.append(zlib.crc32(out))
        return found

    def seconds(self, part):
        """Return how long these files take, in this process's CPU time: wall time would also count what others do."""
        decode, options, pairs = self.fastimg.decode, self.options, self.pairs[part]
        start = time.process_time()
        for data, out in pairs:
            decode(data, out=out, **options)
        return time.process_time() - start
