# SPDX-License-Identifier: BSD-3-Clause
"""Decoding speed on one thread, against the other Python libraries that decode JPEG.

photos    bytes in memory to contiguous (3, H, W) uint8 in a preallocated buffer. "fastimg is" says how many times as
          fast fastimg is as that row's contestant. Two lines below the table compare with the fastest peer (one library
          and, if it only gives (H, W, 3), a NumPy transpose), and with the fastest of all routes, including those that
          need OpenCV as a second dependency for cv2.split.
small     a 32 x 32 JPEG, which is nothing but overhead: the plain call decode(bytes) that gives a fresh array in the
          layout that each library prefers, and the call that fills a (3, 32, 32) buffer.
one       fastimg.load of one image against fastimg.decode of it: 1.00 is a batch of one that costs nothing.

Before anything is timed, every contestant decodes every image, and its pixels are compared with Pillow's. "exact"
means equal; a worst difference of up to 2 levels is shown and timed; anything else is left out, with the reason.
"""

import io

import numpy as np
from PIL import Image

from benchmarks import _common as common
from benchmarks import _plots as plots
from benchmarks._pixels import Photo, pillow_pixels, read_corpus
from fastimg.benchmarking.peers import DECODERS, first_line

TOLERATED = 2  # levels; another inverse DCT is off by 1 or 2, cheap upsampling or wrong colours by dozens
SMALL = 32  # pixels per side: 4 MCUs, so that what is timed is the call
SMALL_CALLS, SMALL_BLOCKS = 1000, 5  # calls in a block: 10 to 200 ms
NEW = (
    "plain call: {new[rate]:.0f} | min: {new[min]:.0f} | max: {new[max]:.0f} | fastimg is: {new[times]:.2f} x"
)
OUT = "to (3, 32, 32): {out[rate]:.0f} | min: {out[min]:.0f} | max: {out[max]:.0f} | fastimg is: {out[times]:.2f} x"
SHAPES = {"CHW": "(3, H, W)", "HWC": "(H, W, 3)"}


def views(photos, layout="CHW"):
    """Return the `out` for each photo: a view of one buffer that is allocated, and touched, once."""
    buffer = np.zeros(max(np.prod(photo.shape) for photo in photos), np.uint8)
    outs = [buffer[: np.prod(photo.shape)].reshape(photo.shape) for photo in photos]
    return outs if layout == "HWC" else [out.reshape(3, *out.shape[:2]) for out in outs]


def check(call, photos, outs):
    """Check a call: a function, and a list of its arguments for each photo.

    Returns "worst", the largest difference from Pillow, and the "reason" to leave the contestant out, or None.
    A plain call is judged by what it returns, in either layout; one that is given an array, by what it leaves there.
    """
    worst = 0
    for photo, out, arguments in zip(photos, outs, call[1], strict=True):
        expected = pillow_pixels(photo.data)
        if out.shape != expected.shape:
            expected = expected.transpose(2, 0, 1)
        np.subtract(255, expected, out=out)  # differs from the right answer everywhere: 255 - x is never x
        try:
            returned = call[0](*arguments)
            got = out if len(arguments) > 1 else returned
            got = got if got.shape == expected.shape else got.transpose(2, 0, 1)
            if got.shape != expected.shape or got.dtype != np.uint8:
                raise ValueError(f"expected {expected.shape} uint8, got {got.shape} {got.dtype}")
        except Exception as error:  # whatever a peer raises, the others go on
            return {"reason": f"{first_line(error)} on {photo.path}"}
        worst = max(worst, int(np.abs(got.astype(np.int16) - expected).max()))
        if worst > TOLERATED:
            return {"reason": f"{photo.path} differs by {worst} levels"}
    return {"worst": worst, "pixels": f"off by {worst}" if worst else "exact", "reason": None}


def measure(calls, photos, outs, args, desc, block=common.PHOTOS, repeat=1, subject="fastimg"):
    """Verify, time everything `repeat` times, and return the figures."""
    clock, parts = common.CLOCKS[args.clock], common.slices(len(photos) * repeat, block)

    def job(call, arguments):
        def run(turn):
            block = arguments[parts[turn]]
            start = clock()
            for some in block:
                call(*some)
            return clock() - start

        return run

    found = {name: check(call, photos, outs) for name, call in calls.items()}
    fit = {name: call for name, call in calls.items() if not found[name]["reason"]}
    jobs = {name: job(call, arguments * repeat) for name, (call, arguments) in fit.items()}
    seconds = common.interleave(jobs, len(parts), args.rounds, desc)
    return common.compare(seconds, len(photos) * repeat, found, subject)


def bench_photos(peers, photos, args):
    outs = views(photos, args.layout)
    arguments = [(photo.data, out) for photo, out in zip(photos, outs, strict=True)]
    if args.layout == "HWC":
        peers = [peer for peer in peers if "split" not in peer.name]  # nothing is left to split
    calls = {peer.name: (getattr(peer, f"into_{args.layout.lower()}"), arguments) for peer in peers}
    rows = measure(calls, photos, outs, args, "photos")
    words = f"to contiguous {SHAPES[args.layout]}"
    title = f"photos: bytes {words} in a preallocated buffer, one thread, {args.rounds} rounds"
    common.report(title, f"{common.RATES} | {common.TIMES} | pixels: {{pixels}}", rows)
    exact = {peer.name: peer for peer in peers if rows[peer.name].get("worst") == 0}
    single = [name for name in exact if exact[name].baseline]
    common.print_headline(rows, "the fastest peer", lambda name, _: name in single)
    common.print_headline(rows, "the fastest of all other routes", lambda name, _: name in exact)
    if args.plot:
        timed = plots.timed(rows)
        label = f"images per second, one thread, JPEG bytes {words}\n{common.cpu_model()}"
        common.draw(args.plot, 8, plots.bars_height(timed), lambda axes: plots.bars(axes, timed, label))
    return rows


def small_photo(photo):
    """Return `photo` shrunk to 32 x 32 and encoded with Pillow's defaults."""
    stream = io.BytesIO()
    Image.open(io.BytesIO(photo.data)).convert("RGB").resize((SMALL, SMALL)).save(stream, "JPEG")
    return Photo("<32 x 32>", stream.getvalue(), (SMALL, SMALL, 3))


def bench_small(peers, photos, args):
    small = small_photo(photos[0])
    outs = views([small])
    calls = {peer.name: (peer.decode, [(small.data,)]) for peer in peers if "split" not in peer.name}
    plain = measure(calls, [small], outs, args, "plain call", SMALL_CALLS, SMALL_CALLS * SMALL_BLOCKS)
    calls = {peer.name: (peer.into_chw, [(small.data, outs[0])]) for peer in peers}
    fill = measure(calls, [small], outs, args, "buffer", SMALL_CALLS, SMALL_CALLS * SMALL_BLOCKS)
    rows = {name: {"new": plain.get(name, {}), "out": fill[name]} for name in [*plain, *fill]}
    for row in rows.values():
        row["reason"] = row["new"].get("reason") or row["out"]["reason"]
    title = f"small: a 32 x 32 JPEG of {len(small.data)} bytes, calls/s, one thread, {args.rounds} rounds"
    common.report(title, f"{NEW} | {OUT}", rows)
    common.print_headline(plain, "the fastest peer's plain call")
    common.print_headline(fill, "the fastest other route to (3, 32, 32)")
    return rows


def bench_one(peers, photos, args):
    import fastimg

    rows = {}
    for title, some, key, repeat in (
        ("photos, bytes", photos, "data", 1),
        ("photos, files", photos, "path", 1),
        ("32 x 32, bytes", [small_photo(photos[0])], "data", SMALL_CALLS),
    ):
        outs = views(some)
        pairs = [(getattr(photo, key), out) for photo, out in zip(some, outs, strict=True)]
        lists = [([source], out[None]) for source, out in pairs]
        calls = {"decode": (fastimg.decode, pairs), "load": (fastimg.load, lists)}
        # A block is one image, so the two calls of a pair are a few milliseconds apart.
        rows[title] = measure(calls, some, outs, args, title, 1, repeat, "decode")
        for name, row in rows[title].items():
            if row["reason"]:
                raise SystemExit(f"fastimg.{name}: {row['reason']}")
            row["us"] = 1e6 / row["rate"]
    title = f"one: fastimg.load of one image against fastimg.decode of it, {args.rounds} rounds"
    columns = "decode, us: {decode[us]:.1f} | load, us: {load[us]:.1f} | load takes: {load[times]:.2f} x"
    return common.report(title, columns, rows, "source")


TABLES = {"photos": bench_photos, "small": bench_small, "one": bench_one}


def main(argv=None):
    layout = {"choices": list(SHAPES), "default": "CHW", "help": "of photos (default: CHW)"}
    shared = ("rounds", "limit", "clock", "plot")
    args = common.parse(argv, __doc__, "decode", *shared, tables=TABLES, layout=layout)
    peers, payload = common.begin(args, DECODERS)
    photos, payload["corpus"] = read_corpus(args.images, args.limit)
    return common.finish(args, payload, TABLES, peers, photos)


if __name__ == "__main__":
    main()
