# SPDX-License-Identifier: BSD-3-Clause
"""A file index of --count files against one of 128: time to the first batch, and what the index takes.

The files are photos, reached by as many names: one folder of hard links, and links to that folder for the classes. The
indices are made before, without reading headers. The first batch has 64 shuffled images of 224 x 224.

save, load   seconds for FileIndex.save and FileIndex.load, the file in the page cache.
pickle       seconds to pickle an index and to read that again, as for a worker that is spawned.
file, memory, pickled  bytes per file besides its path: of the index file, of the arrays in memory, and of the pickle.
changed      seconds for FileIndex.changed: one stat per file.

start        seconds from the start of the interpreter to the first batch, all imports included. "2 workers": a batch
             from each of two processes that are spawned, which are sent the accessor. "list" is an accessor of a list
             of str, made of the index: what the packed paths save.
"""

import itertools
import os
import pathlib
import pickle
import subprocess
import sys
import tempfile
import time
from functools import partial

import numpy as np

import fastimg
from benchmarks import _common as common

PER_FOLDER = 1000
START = "min: {min:.2f} s | median: {median:.2f} s | max: {max:.2f} s"
COSTS = "save: {save:.2f} s | load: {load:.2f} s | pickle: {pickle:.2f} s | changed: {changed:.2f} s"
COSTS += " | file: {file:.1f} B | memory: {memory:.1f} B | pickled: {pickled:.1f} B"

# A program as users write it: what it imports is all that it takes.
PROGRAM = """
import sys
import numpy as np
import fastimg

def read(images, positions, results):
    results.put(images[positions].shape)

if __name__ == "__main__":
    name, how, workers = sys.argv[1], sys.argv[2], int(sys.argv[3])
    index = fastimg.FileIndex.load(name)
    images = fastimg.ImageFileAccessor(list(index) if how == "list" else index, size=224)
    if workers:
        import multiprocessing
        context = multiprocessing.get_context("spawn")
        results = context.SimpleQueue()
        order = np.random.default_rng(0).permutation(len(images))
        started = [
            context.Process(target=read, args=(images, order[64 * i : 64 * i + 64], results))
            for i in range(workers)
        ]
        for process in started:
            process.start()
        shapes = [results.get() for _ in started]
    else:
        source = fastimg.data_source.ArrayDataSource([images, index.labels], seed=0)
        with source.batch_iterator(64, shuffle=True) as batches:
            shapes = [next(batches)[0].shape]
    print(*shapes, flush=True)
    sys.stdin.read()
"""


def make_names(photos, folder, count):
    """Make names for `count` files in folders of classes, and return the folder that holds those."""
    real = folder / "real"
    real.mkdir()
    for i in range(min(count, PER_FOLDER)):
        source, target = photos[i % len(photos)], real / f"{i:04d}_photo.jpg"
        try:
            os.link(source, target)
        except OSError:  # the photos are on another disk
            target.write_bytes(pathlib.Path(source).read_bytes())
    top = folder / "train"
    top.mkdir()
    for i in range(-(-count // PER_FOLDER)):
        (top / f"class{i:04d}").symlink_to(real)
    return top


def seconds_of(work, rounds):
    """Return the shortest time of some calls, and what the last one returned."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        found = work()
        times.append(time.perf_counter() - start)
    return min(times), found


def costs(index, path, rounds):
    """Return the figures of one index."""
    own = len(index._source_list().blob) - len(index)
    save, _ = seconds_of(lambda: index.save(path), 1)
    load, loaded = seconds_of(lambda: fastimg.FileIndex.load(path), rounds)
    if list(loaded[:: max(1, len(index) // 99)]) != list(index[:: max(1, len(index) // 99)]):
        raise SystemExit("the index that was loaded is another one")
    data = pickle.dumps(index)
    pickling, _ = seconds_of(lambda: pickle.loads(pickle.dumps(index)), rounds)
    changed, positions = seconds_of(index.changed, 1)
    if len(positions):
        raise SystemExit(f"{len(positions)} files seem to have changed")
    content = index._content
    arrays = (content.labels, content.nbytes, content.mtimes, content.sizes, index._source_list().starts)
    memory = len(index._source_list().blob) + sum(array.nbytes for array in arrays if array is not None)
    sizes = {"file": path.stat().st_size, "memory": memory, "pickled": len(data)}
    row = {name: (nbytes - own) / len(index) for name, nbytes in sizes.items()}
    return row | {"save": save, "load": load, "pickle": pickling, "changed": changed}


def start_once(program, index, how, workers):
    """Return the seconds from the start of a process to its first batch."""
    root = str(pathlib.Path(__file__).resolve().parents[1])
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}
    begin = time.perf_counter()
    command = [sys.executable, str(program), str(index), how, str(workers)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
    ) as child:
        printed = child.stdout.readline().strip()
        seconds = time.perf_counter() - begin
        child.communicate()
    if printed != " ".join(["(64, 3, 224, 224)"] * max(1, workers)):
        raise SystemExit(f"expected batches of 64 images, got {printed!r}")
    return seconds


def make_index(photos, folder, count):
    """Index `count` names; return the index."""
    start = time.perf_counter()
    index = fastimg.FileIndex.from_folder(make_names(photos, folder, count), sizes=False)[:count]
    print(
        f"{len(index):,} files made, listed and asked for their times in {time.perf_counter() - start:.1f} s"
    )
    # To read the header of every name would take a minute; there are only so many files.
    sizes = fastimg.FileIndex(index[:PER_FOLDER]).sizes
    return fastimg.FileIndex._make(index._content._replace(sizes=sizes[np.arange(count) % len(sizes)]))


def bench_costs(indices, folder, args):
    rows = {name: costs(index, folder / f"{name}.npz", args.rounds) for name, index in indices.items()}
    return common.report("costs: what an index takes", COSTS, rows, "index")


def bench_start(indices, folder, args):
    program = folder / "start.py"
    program.write_text(PROGRAM)
    jobs = {}
    for workers, how, name in itertools.product((0, 2), ("index", "list"), indices):
        label = f"{how} of {name}" + (f", {workers} workers" if workers else "")
        jobs[label] = partial(start_once, program, folder / f"{name}.npz", how, workers)
    seconds = common.interleave(
        {name: lambda _, job=job: job() for name, job in jobs.items()}, 1, args.rounds, "start"
    )
    rows = {}
    for name, times in seconds.items():
        rows[name] = {
            "min": times.min(),
            "median": np.median(times),
            "max": times.max(),
            "rounds": times.ravel().tolist(),
        }
    return common.report("start: from the start of the process to the first batch", START, rows, "accessor")


TABLES = {"costs": bench_costs, "start": bench_start}


def main(argv=None):
    args = common.parse(
        argv, __doc__, "index", "rounds", "count", tables=TABLES, count={"default": 1_000_000}
    )
    photos = fastimg.find_images(args.images)
    if not photos or args.count < 128:
        raise SystemExit("expected photos, and a count of 128 or more")
    _, payload = common.begin(args, [])
    with tempfile.TemporaryDirectory() as work:
        folder = pathlib.Path(work)
        whole = make_index(photos, folder, args.count)
        indices = {f"{len(part):,} files": part for part in (whole[: 2 * 64], whole)}
        for name, index in indices.items():
            index.save(folder / f"{name}.npz")
        return common.finish(args, payload, TABLES, indices, folder)


if __name__ == "__main__":
    main()
