# SPDX-License-Identifier: BSD-3-Clause
"""Files on storage that is slow to answer: what fastimg does by itself, against peers tuned by hand.

Every run is one whole call in a fresh process that has imported its libraries: --count files, copies of the photos, to
(3, S, S) of uint8; worker processes and threads start within the time, which ends with the last image. Files are slow
because a small library is preloaded (it is compiled at the start; Linux and a C compiler are needed): every open waits
as long as --waits says, and on request reads do, too. Nothing is set for fastimg. Three tables:

plain     every photo stretched to S x S.
crop      a part of every photo, drawn anew for each sample, every second mirrored. The peers are given theirs, which
          costs them nothing; fastimg draws them within the time, and has to know the photos' sizes for that.
cold      plain, without a wait, but before every run the system forgets the pages of the files (posix_fadvise). Left
          out where it does not. How fast the disk is, and what it remembers itself, decides the rest.

0 ms, ...  images/s with a wait of that long: the median of the rounds, and the slowest and fastest.
of 0 ms    the rate with the wait over the same contestant's without one (the first of --waits): the median of the
           rounds' ratios.
of peer    the rate over that of the fastest peer with the same wait that decodes with a library of its own. Those
           that call fastimg.decode in their threads or workers are rows, too; --json has all.
CPU, ms    milliseconds of processor time per image, of all processes together, without a wait.
opens      per image, and `at once` how many were under way, at most, with the longest wait.

Contestants take turns, in an order that rotates. Before anything is timed, their pixels are compared with the bilinear
reference. PyTorch and SPDL take part where they are installed.
"""

import itertools
import pathlib
import shutil
import tempfile
from collections import defaultdict
from functools import partial

import numpy as np
from tqdm import tqdm

from benchmarks import _common as common
from benchmarks import _pixels as pixels
from benchmarks._loaders import SEED, Epoch
from benchmarks._process import Child, ChildError
from benchmarks._slow_files import SlowFiles, SlowFilesError, drop_pages
from benchmarks._storage import STORAGE
from benchmarks.loader import expected_images
from fastimg.benchmarking.peers import DECODERS, read_file

WARM, COLD = "warm", "cold"


def copy_photos(photos, count, folder):
    """Return the paths of `count` files in `folder`, each a copy of one of the photos, in turn."""
    folder.mkdir()
    paths = []
    for i, photo in enumerate(itertools.islice(itertools.cycle(photos), count)):
        paths.append(str(folder / f"{i:06}.jpg"))
        shutil.copyfile(photo.path, paths[-1])
    return paths


def new_epoch(paths, photos, side, cropped):
    boxes = flips = None
    if cropped:
        import fastimg

        rng = np.random.default_rng(SEED)
        sizes = [photos[i % len(photos)].shape[:2] for i in range(len(paths))]
        boxes, flips = fastimg.random_crops(sizes, rng), rng.random(len(paths)) < 0.5
    return Epoch(paths, boxes, flips, None, side, None, True)


def warm_up(paths):
    for path in paths:
        read_file(path)


def ask(what, name, epoch, slow):
    """Return the answer of that function of `_storage` from a fresh process in which files are slow."""
    with Child("benchmarks._storage", **slow.environment()) as child:
        return child.ask(what, name, epoch)


def verify(kind, epoch, originals, slow):
    """Return the contestant's facts: "reason" is why it is left out, or None."""
    slow.start()
    try:
        facts = ask("images", kind.name, epoch, slow)
    except ChildError as error:
        return {"reason": str(error)}
    counts = slow.counts()
    images, crops = facts.pop("images"), facts.pop("crops")
    values = pixels.psnrs(images, expected_images(originals, epoch, crops))
    facts |= {"psnr": pixels.mean_and_worst(values), "reason": pixels.too_far(values, True)}
    if not facts["reason"] and counts["opens"] < len(epoch.paths):
        facts["reason"] = f"{counts['opens']} opens of {len(epoch.paths)} files were seen: it would not wait"
    return facts


def measure(found, epoch, waits, slow, args, desc):
    """Add what was measured to the rows `found`: lists with a figure per wait."""
    names = [name for name in found if not found[name]["reason"]]
    keys = [(name, wait) for name in names for wait in waits]
    rounds = {key: defaultdict(list) for key in keys}
    count = len(epoch.paths)

    def timed(name, wait):
        if wait == COLD:
            drop_pages(epoch.paths)
        else:
            warm_up(epoch.paths)
        shaped = {"read_ms": args.read_wait, "megabytes_per_second": args.bandwidth}
        slow.start(
            **({} if wait in (waits[0], COLD) else shaped), open_ms=0 if wait in (WARM, COLD) else wait
        )
        one, counts = ask("run", name, epoch, slow), slow.counts()
        figures = {"CPU ms": 1e3 * one["processor"] / count, "opens": counts["opens"] / count}
        figures |= {
            "at once": counts["most_opens"],
            "MB": counts["nbytes"] / 1e6,
            "reads": counts["reads"] / count,
        }
        for figure, value in figures.items():
            rounds[name, wait][figure].append(value)
        return one["seconds"]

    jobs = {key: lambda _, key=key: timed(*key) for key in keys}
    seconds = {key: values[:, 0] for key, values in common.interleave(jobs, 1, args.rounds, desc).items()}
    for name in names:
        row, mine = found[name], [seconds[name, wait] for wait in waits]
        row["rates"] = [(count / values).tolist() for values in mine]
        for figure, of in (("rate", np.median), ("min", min), ("max", max)):
            row[figure] = [of(rates) for rates in row["rates"]]
        row["kept"] = [common.ratio(mine[0], values) for values in mine]
        row["rounds"] = {f"{wait}": dict(rounds[name, wait]) for wait in waits}
        for figure in ("CPU ms", "opens", "at once", "reads"):
            row[figure] = [float(np.median(rounds[name, wait][figure])) for wait in waits]
        row["at once"] = row["at once"][-1]
    for wait in waits:
        peers = [name for name in names if found[name]["rival"]]
        best = min(peers, key=lambda name: np.median(seconds[name, wait]), default=None)
        for name in names if best else ():
            found[name].setdefault("of peer", []).append(
                common.ratio(seconds[best, wait], seconds[name, wait])
            )
            found[name].setdefault("peer", []).append(best)
    return found


def columns(waits):
    labels = [wait if isinstance(wait, str) else f"{wait:g} ms" for wait in waits]
    parts = [
        f"{label}: {{rate[{i}]:.0f}} ({{min[{i}]:.0f}}-{{max[{i}]:.0f}})" for i, label in enumerate(labels)
    ]
    for i, label in enumerate(labels[1:], 1):
        parts.append(f"{label} of {labels[0]}: {{kept[{i}]:.2f}} x")
    parts += [f"{label} of peer: {{of peer[{i}]:.2f}} x" for i, label in enumerate(labels)]
    parts += [
        "CPU, ms: {CPU ms[0]:.2f}",
        "opens: {opens[0]:.2f}",
        "at once: {at once:.0f}",
        "PSNR: {psnr[0]:.1f}",
    ]
    return " | ".join(parts)


def bench(table, photos, paths, slow, args):
    waits = [WARM, COLD] if table == COLD else sorted(args.waits)
    if table == COLD and (kept := drop_pages(paths)) > 0.01:
        print(f"cold is left out: {100 * kept:.0f} % of the pages stay in memory after posix_fadvise")
        return {}
    random = table == "crop"
    kinds = [kind for kind in STORAGE if kind.traits.get("random", random) == random]
    kinds = [kind for kind in kinds if not args.only or kind.name.startswith(tuple(args.only))]
    epoch = new_epoch(paths, photos, args.size, random)
    few = slice(min(len(paths), len(photos)))
    boxes, flips = (None if one is None else one[few] for one in (epoch.boxes, epoch.flips))
    some = epoch._replace(paths=paths[few], boxes=boxes, flips=flips, shuffle=False)
    originals = {
        path: pixels.pillow_pixels(photo.data) for path, photo in zip(some.paths, photos, strict=False)
    }
    found = {kind.name: verify(kind, some, originals, slow) for kind in tqdm(kinds, desc=f"pixels, {table}")}
    for kind in kinds:
        traits = kind.traits
        found[kind.name]["rival"] = not traits.get("ours") and traits.get("own_decoder", True)
    common.print_contestants({name: facts for name, facts in found.items() if not facts["reason"]})
    rows = measure(found, epoch, waits, slow, args, table)
    title = f"{table}: {len(paths)} files to (3, {args.size}, {args.size}), {args.rounds} rounds, images/s"
    common.report(title, columns(waits), rows)
    for i, wait in enumerate(waits):
        if peers := {row["peer"][i] for row in rows.values() if "peer" in row}:
            print(
                f"the fastest peer at {wait if wait in (WARM, COLD) else f'{wait:g} ms'}: {', '.join(peers)}"
            )
    return rows


TABLES = {name: partial(bench, name) for name in ("plain", "crop", COLD)}


def main(argv=None):
    own = {
        "count": {"type": common.positive_int, "default": 1152, "help": "files (default: %(default)s)"},
        "size": {"type": common.positive_int, "default": 224, "metavar": "S", "help": "default: %(default)s"},
        "waits": {
            "type": float,
            "nargs": "+",
            "default": [0, 5, 20],
            "metavar": "MS",
            "help": "default: 0 5 20",
        },
        "read_wait": {
            "type": float,
            "default": 0,
            "metavar": "MS",
            "help": "and per read (not with the first wait)",
        },
        "bandwidth": {
            "type": float,
            "default": 0,
            "metavar": "MB/S",
            "help": "of all reads together (not with the first wait)",
        },
        "only": {"nargs": "+", "metavar": "NAME", "help": "contestants whose names begin so"},
        "work": {"metavar": "DIR", "help": "make the files within (default: the system's temporary folder)"},
    }
    args = common.parse(argv, __doc__, "storage", "rounds", tables=TABLES, **own)
    _, payload = common.begin(args, DECODERS[:1])
    photos, payload["corpus"] = pixels.read_corpus(args.images, None)
    with tempfile.TemporaryDirectory(prefix="fastimg-bench-", dir=args.work) as work:
        try:
            slow = SlowFiles(pathlib.Path(work, "files"), work)
        except SlowFilesError as error:
            raise SystemExit(str(error)) from None
        paths = copy_photos(photos, args.count, pathlib.Path(work, "files"))
        return common.finish(args, payload, TABLES, photos, paths, slow)


if __name__ == "__main__":
    main()
