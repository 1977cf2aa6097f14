# SPDX-License-Identifier: BSD-3-Clause
"""Which damaged files are refused, by fastimg and by the other Python libraries that decode JPEG.

baseline     the photos as they are (one that is progressive is re-encoded)
progressive  re-encoded as progressive files, with the photo's own quantisation tables and subsampling
restarts     re-encoded in the same way, with a restart marker after every row of MCUs

Every file is damaged --rounds times in each of the ways that are rows of the table: bytes overwritten, bits flipped,
bytes deleted or inserted, blocks swapped, the end missing. The place is drawn uniformly from the bytes of all scans; no
other segment is touched. Damage depends on nothing but --seed, the file's name, the table, the kind and the round.

"visible" counts the files of which more than 1 % of the pixels are off by more than 16 levels in any channel, or that
cannot be decoded at all; both are judged by fastimg with strict=False. The other columns say how many percent of those
are refused. Whether the rest, where hardly anything shows, is refused is in the --json file. In the row "intact" all
files count: a good decoder has 0 there.

A file is refused if the call named above the tables raises an exception or returns None. Warnings (PyTurboJPEG's) and
lines on stderr (OpenCV's) are no refusal: a program goes on with the pixels.
"""

import contextlib
import io
import itertools
import os
import queue
import warnings
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

import fastimg
from benchmarks import _common as common
from benchmarks._damages import DAMAGES, spoil
from benchmarks._pixels import read_corpus
from benchmarks._process import Child
from fastimg.benchmarking.peers import DECODERS, Kind, available

LEVELS, SHARE = 16, 0.01  # damage is visible if more than this share of the pixels is off by more levels
SIZE = 64
INTACT, ALL = "intact", "all of these"

# How each library is called; `Peer.decode` is that call.
CALLS = {
    "fastimg": "decode(data)",
    "simplejpeg": "decode_jpeg(data), strict=True by default",
    "PyTurboJPEG": "TurboJPEG().decode(data)",
    "OpenCV": "imdecode(data, IMREAD_COLOR_RGB)",
    "Pillow": "Image.open(data), load()",
    "imagecodecs": "jpeg8_decode(data)",
    "kornia-rs": "ImageDecoder().decode(data)",
    "torchvision": "io.decode_jpeg(data, mode=RGB)",
}

# table: what Pillow re-encodes the photos with
FORMATS = {"baseline": None, "progressive": {"progressive": True}, "restarts": {"restart_marker_rows": 1}}


def make_small(peer, _):
    peer.decode = lambda data: fastimg.decode(data, size=SIZE)


def contestants():
    """Return the kinds of `DECODERS` that are one library each, and fastimg's resized route after its whole one."""
    kinds = [kind for kind in DECODERS if kind.name in CALLS]
    kinds = [kind._replace(traits=kind.traits | {"route": CALLS[kind.name]}) for kind in kinds]
    traits = {"name": f"fastimg, {SIZE}", "library": "fastimg", "route": f"decode(data, size={SIZE})"}
    return [kinds[0], Kind(traits["name"], make_small, traits), *kinds[1:]]


def encoded(data, form):
    """Return the photo as a file of that format, with the quantisation tables and the subsampling that it has."""
    with Image.open(io.BytesIO(data)) as image:
        options = FORMATS[form]
        if options is None:
            if not image.info.get("progressive"):
                return data
            options = {}
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality="keep", **options)
        return stream.getvalue()


def is_visible(found, intact):
    """Return whether (3, H, W) pixels differ visibly."""
    off = np.maximum(found, intact) - np.minimum(found, intact) > LEVELS
    return bool(off.any(axis=0).mean() > SHARE)


def is_refused(decode, data):
    try:
        return decode(data) is None
    except Exception:  # whatever a peer raises
        return True


class Judge:
    """What decodes, in a process whose stderr nobody sees: libraries print there."""

    def __init__(self, kinds, args):
        self.kinds, self.args = kinds, args
        self.peers, _ = available(contestants())
        warnings.simplefilter("ignore")
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)

    def judge(self, form, path, data):
        """Return [(kind, whether it is visible, the names of those who refuse it)] of one photo."""
        data, stem = encoded(data, form), Path(path).stem
        intact = fastimg.decode(data, strict=False)
        found = [(INTACT, True, self.refusals(data))]
        for kind, turn in itertools.product(self.kinds, range(self.args.rounds)):
            seed = [zlib.crc32(word.encode()) for word in (stem, form, kind)]
            damaged = spoil(kind, data, self.args.seed, turn, *seed)
            try:
                visible = is_visible(fastimg.decode(damaged, strict=False), intact)
            except fastimg.JpegError:
                visible = True
            refusals = self.refusals(damaged)
            if self.args.missed and visible and "fastimg" not in refusals:
                (Path(self.args.missed) / f"{stem}.{form}.{kind}.{turn}.jpg").write_bytes(damaged)
            found.append((kind, visible, refusals))
        return found

    def refusals(self, data):
        return [peer.name for peer in self.peers if is_refused(peer.decode, data)]


def judge_all(judges, form, photos):
    """Yield what the judges, as many as there are, say about all photos."""
    idle = queue.SimpleQueue()
    for judge in judges:
        idle.put(judge)

    def one(photo):
        judge = idle.get()
        try:
            return judge.ask("judge", form, photo.path, photo.data)
        finally:
            idle.put(judge)

    with ThreadPoolExecutor(len(judges)) as pool:
        yield from tqdm(pool.map(one, photos), total=len(photos), desc=form)


def count(found, names):
    """Return {kind: figures} of what `judge_all` yields, and of all damage together, as the last row."""
    totals = {}
    for kind, visible, refusals in itertools.chain.from_iterable(found):
        for row in (kind,) if kind == INTACT else (kind, ALL):
            total = totals.setdefault(row, {"files": 0, "visible": 0, True: Counter(), False: Counter()})
            total["files"] += 1
            total["visible"] += visible
            total[visible].update(refusals)
    rows = {}
    for kind in sorted(totals, key=ALL.__eq__):
        total = totals[kind]
        rows[kind] = {
            "label": DAMAGES[kind][0] if kind in DAMAGES else kind,
            "files": total["files"],
            "visible": total["visible"],
            "refused": {name: total[True][name] for name in names},
            "refused, not visible": {name: total[False][name] for name in names},
            "percent": {
                name: 100 * total[True][name] / total["visible"] for name in names if total["visible"]
            },
        }
    return rows


def bench(form):
    def run(judges, names, photos, args):
        rows = count(judge_all(judges, form, photos), names)
        columns = ["visible: {visible}", *(f"{name}: {{percent[{name}]:.1f}}" for name in names)]
        many = f"{len(photos)} photos, {args.rounds} rounds"
        title = f"{form}: percent of the visibly damaged files that are refused, {many}"
        return common.report(title, " | ".join(columns), rows, "damage")

    return run


TABLES = {form: bench(form) for form in FORMATS}


def chosen(patterns):
    """Return the kinds of damage that match one of the patterns; SystemExit if a pattern matches none."""
    for pattern in patterns:
        if not any(fnmatchcase(kind, pattern) for kind in DAMAGES):
            raise SystemExit(f"--kinds: expected some of {', '.join(DAMAGES)}, found {pattern!r}")
    return [kind for kind in DAMAGES if any(fnmatchcase(kind, pattern) for pattern in patterns)]


def main(argv=None):
    about = f"of damage, also as patterns (default: all): {', '.join(DAMAGES)}"
    own = {
        "kinds": {"nargs": "+", "metavar": "KIND", "default": ["*"], "help": about},
        "rounds": {"default": 1, "help": "how often each file is damaged in each way (default: %(default)s)"},
        "seed": {"type": int, "default": 1, "help": "of the damage (default: %(default)s)"},
        "missed": {"metavar": "DIR", "help": "write the visibly damaged files that fastimg accepts there"},
    }
    args = common.parse(argv, __doc__, "damage", "limit", tables=TABLES, **own)
    kinds = chosen(args.kinds)
    if args.missed:
        os.makedirs(args.missed, exist_ok=True)
    peers, payload = common.begin(args, contestants())
    photos, payload["corpus"] = read_corpus(args.images, args.limit)
    with contextlib.ExitStack() as stack:
        children = (Child("benchmarks.damage:Judge", kinds, args) for _ in range(common.usable_cpus()))
        judges = [stack.enter_context(child) for child in children]
        return common.finish(args, payload, TABLES, judges, [peer.name for peer in peers], photos)


if __name__ == "__main__":
    main()
