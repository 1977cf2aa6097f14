# SPDX-License-Identifier: BSD-3-Clause
"""Load files that cannot be read, on storage that is gone: see test_on_error_streaks.

    python -m support.dead_storage_probe FOLDER

tests/core/dead_storage.c must be preloaded as a shared library. FOLDER holds good.jpg, and dead-storage/ as many files
as the calls want; the command's output goes there, too. Prints what becomes of each call: the index of the error that
it raises, or the number of images that are zeros.
"""

import contextlib
import io
import itertools
import json
import os
import sys
import warnings

import numpy as np

import fastimg
from fastimg.cli import main as command
from fastimg.data_source import ArrayDataSource


def outcome(call):
    """What becomes of a call."""
    try:
        return int((~call().any(axis=(1, 2, 3))).sum())
    except OSError as error:
        assert error.source.endswith(".jpg"), error
        return {"index": error.index, "errno": error.errno, "notes": error.__notes__}


def epoch(accessor, **options):
    """All batches of one epoch as one array."""
    return np.concatenate([images for (images,) in ArrayDataSource([accessor]).batch_iterator(5, **options)])


def calls(paths):
    """Name -> a call that gives N images."""
    found = {}
    for num_threads, read_threads in ((1, 0), (4, 3)):
        options = {"on_error": "fill", "num_threads": num_threads, "read_threads": read_threads}
        name = f"{num_threads} threads, {read_threads} readers"
        for size in (None, 9):
            sized = {**options, "size": size}
            found[f"load, {name}, {size}"] = lambda sized=sized: fastimg.load(paths, **sized)
        accessor = fastimg.ImageFileAccessor(paths, size=9, **options)
        mixed = fastimg.NonUniformImageFileAccessor(paths, size=9, **options)
        crops = fastimg.ImageFileAccessor(paths, **options).random_resized_crop(9)
        views = fastimg.ImageFileAccessor(paths, **options).random_views([{"size": 9, "scale": (0.5, 1)}])
        found[f"accessor, {name}"] = lambda accessor=accessor: accessor[:]
        found[f"mixed, {name}"] = lambda mixed=mixed: np.stack(mixed[:])
        found[f"crops, {name}"] = lambda crops=crops: crops[:]
        found[f"views, {name}"] = lambda views=views: views[:][0]
        for prefetch in (0, 2):
            how = {"prefetch": prefetch, "on_error": "fill"}
            found[f"iterator, {name}, {prefetch}"] = lambda accessor=accessor, how=how: epoch(accessor, **how)
    return found


def run_command(folder, paths, *options):
    """The exit status of `fastimg load`, and what it says on standard error."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        status = command(["load", *paths, "-o", f"{folder}/out.npy", "-q", "--on-error", "fill", *options])
    return status, said.getvalue()


def main():
    warnings.simplefilter("ignore")
    folder = sys.argv[1]
    good = os.path.join(folder, "good.jpg")
    dead = sorted(entry.path for entry in os.scandir(os.path.join(folder, "dead-storage")))
    lists = {
        "too many": [good] * 3 + dead[:40] + [good] * 20,
        "enough": [good, *dead[:31], good, *dead[:31], good],
    }
    found = {
        f"{name}: {call}": outcome(function)
        for name, paths in lists.items()
        for call, function in calls(paths).items()
    }
    for name, resume in itertools.product(lists, ([], ["--resume"])):
        found[f"{name}: command {resume}"] = run_command(
            folder, lists[name], "--size", "9", "--num-threads", "1", *resume
        )
    found["size: command"] = run_command(folder, dead)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
