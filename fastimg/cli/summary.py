# SPDX-License-Identifier: BSD-3-Clause
"""What ``fastimg load`` says, before the work and after it."""

import argparse
import contextlib
import math
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import fastimg
from fastimg.cli.inputs import Image, Listing, place_of
from fastimg.cli.kinds import describe_kinds, found_kind
from fastimg.cli.words import complain, complain_of, count_endings, reason_of, say, say_json
from fastimg.wording import counted, verb

_CLASSES = 20  # that are named


class Summary:
    """What a run has done.

    Parameters
    ----------
    args : argparse.Namespace
        The arguments of the command.
    outputs : dict of str to str
        The names of the files that it writes, by what they are: array, table, labels, classes.
    listing : Listing
    """

    def __init__(self, args: argparse.Namespace, outputs: Mapping[str, str], listing: Listing) -> None:
        self.args = args
        self.outputs = outputs
        self.listing = listing

    def announce(self, shape: Sequence[int], dtype: np.dtype[Any], free: int | None) -> None:
        """Say how large the array will be and what room there is, before the work begins.

        A pipe that nobody reads, or a full disk, is an error after the work.
        """
        nbytes = counted(math.prod(shape) * dtype.itemsize, "byte")
        room = "" if free is None else f"; {counted(free, 'byte')} {verb(free, 'is', 'are')} free"
        bits = "" if dtype.name == self.args.dtype else f" (the bits of {self.args.dtype})"
        text = f"{self.outputs['array']}: shape {tuple(shape)}, dtype {dtype}{bits}, {nbytes}{room}"
        if self.args.json:
            if not self.args.quiet:
                complain(text)
            return
        with contextlib.suppress(OSError):
            say(text)
            if sys.stdout is not None:
                sys.stdout.flush()

    def report(
        self,
        array: np.memmap[Any, np.dtype[Any]],
        failures: Sequence[Any],
        taken_up: Sequence[int],
        seconds: float,
    ) -> None:
        """Say what was done.

        Parameters
        ----------
        array : numpy.memmap
            As it has been written.
        failures : sequence of Exception
            The errors of the images that failed, with `index`.
        taken_up : sequence of int
            The rows that an earlier run had finished.
        seconds : float
            How long the work took.
        """
        sources = self.listing.sources
        failures = sorted(failures, key=lambda error: error.index)
        complain_of([str(error) for error in failures], f": see {self.outputs['table']}")
        others: list[Any] = [
            error
            for error in failures
            if isinstance(error, fastimg.UnsupportedJpegError | fastimg.FallbackError)
        ]
        kinds = [found_kind(sources[error.index]) for error in others]
        if self.args.json:
            self._report_json(array, failures, len(taken_up), seconds)
            return
        done = set(range(len(sources))).difference(taken_up, (error.index for error in failures))
        nbytes = sum(_file_size(sources[row]) for row in done)
        kind = "images" if self.args.fallback else "JPEG"
        speed = f"{len(done) / seconds:.1f} images/s, {nbytes / seconds / 1e6:.1f} MB/s of {kind}"
        more = f" ({describe_kinds(kinds)})" if describe_kinds(kinds) else ""
        failed = len(failures)
        say(f"{counted(len(done), 'image')} in {seconds:.2f} s: {speed}, {counted(failed, 'failure')}{more}")
        if failed and self.args.drop_failed:
            fate = verb(failed, "is", "are")
            say(f"{counted(failed, 'failed image')} {fate} left out: shape {array.shape}")
        if taken_up:
            fate = verb(len(taken_up), "was", "were")
            say(f"{counted(len(taken_up), 'row')} {fate} finished by an earlier run")
        if classes := self.listing.classes:
            names = ", ".join(f"{i} {name}" for i, name in enumerate(classes[:_CLASSES]))
            names += f" and {len(classes) - _CLASSES:,} more" if len(classes) > _CLASSES else ""
            say(f"{counted(len(classes), 'class')}: {names}")
        if self.listing.left_out:
            say(count_endings(self.listing.left_out))

    def _report_json(
        self, array: np.memmap[Any, np.dtype[Any]], failures: Sequence[Any], taken_up: int, seconds: float
    ) -> None:
        sources = self.listing.sources
        rows = {error.index: None if self.args.drop_failed else error.index for error in failures}
        say_json(
            {
                "outputs": self.outputs,
                "rows": len(array),
                "shape": array.shape,
                "dtype": self.args.dtype,
                "nbytes": array.nbytes,
                "images": len(sources),
                "resumed": taken_up,
                "classes": self.listing.classes if "labels" in self.outputs else None,
                "left_out": dict(self.listing.left_out),
                "seconds": round(seconds, 3),
                "failures": [
                    {
                        "image": error.index,
                        "row": rows[error.index],
                        "path": str(sources[error.index]),
                        "reason": reason_of(error, str(sources[error.index]), error.index),
                    }
                    for error in failures
                ],
            }
        )


def _file_size(source: Image) -> int:
    if not isinstance(source, str):
        return place_of(source)[2]
    try:
        return os.stat(source).st_size
    except OSError:
        return 0
