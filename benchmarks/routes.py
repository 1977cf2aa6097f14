# SPDX-License-Identifier: BSD-3-Clause
"""How the time of a decode divides: header, Huffman codes, pixels, and to another size the resampling.

A decode cannot be stopped between its stages, so each is the difference of two calls that share all before it:

header    read_header(data): markers and tables.
codes     decode(data) to an eighth of the size, less the header: the Huffman codes of all coefficients, and an inverse
          DCT that is one multiplication.
pixels    decode(data) to the full size, less that to an eighth: inverse DCT, upsampling, colours, and the writing of
          (3, H, W). Codes cost a little more here, since all coefficients are kept, and that counts as pixels.

Two results, to full size and to (3, 256, 256), each by fastimg's Huffman decoding, inverse DCT and colours ("fastimg")
and by those of libjpeg-turbo ("libjpeg", FASTIMG_ENTROPY=libjpeg). In the smaller one "resampling" is what the call
takes beyond header and codes: inverse DCT, resampling and colours, since pixels are never written in full size.

Milliseconds per photo of one thread, in CPU time: the median of the rounds. A share is that of the whole call.
"""

import time

import numpy as np

from benchmarks import _common as common
from benchmarks import stages
from benchmarks._pixels import read_corpus
from fastimg.benchmarking.peers import DECODERS

SIDE = 256
PARTS = ("header", "codes", "pixels", "resampling")
COLUMNS = "ms: {ms:.3f} | " + " | ".join(f"{part}: {{shares[{part}]:.0%}}" for part in PARTS)


class Decoder(stages.Decoder):
    """What decodes, in a process of its own, as far as it is told to."""

    def decode_to(self, what, part):
        """Decode some of the photos as far as that; return the seconds of CPU time."""
        decode, size = self.fastimg.decode, (SIDE, SIDE)
        start = time.process_time()
        for data, eighth, out, small in self.photos[part]:
            if what == "header":
                self.fastimg.read_header(data)
            elif what == "eighth":
                decode(data, size=eighth, reducing_gap=1.0)
            elif what == "full":
                decode(data, out=out)
            else:
                decode(data, out=small, size=size)
        return time.process_time() - start

    def hold(self, photos):
        """Keep the photos (bytes and shape), each with memory for what is made of it."""
        most = max(np.prod(shape) for _, shape in photos)
        buffer, small = np.ones(most, np.uint8), np.ones((3, SIDE, SIDE), np.uint8)
        self.photos = [
            (
                data,
                (max(1, shape[0] // 8), max(1, shape[1] // 8)),
                buffer[: np.prod(shape)].reshape(3, *shape[:2]),
                small,
            )
            for data, shape in photos
        ]


CALLS = ("header", "eighth", "full", "small")


def divide(ms):
    """Return {route: figures} of the milliseconds of the four calls."""
    codes = max(0.0, ms["eighth"] - ms["header"])
    own = {"header": ms["header"], "codes": codes}
    full = own | {"pixels": max(0.0, ms["full"] - ms["eighth"])}
    small = own | {"resampling": max(0.0, ms["small"] - ms["eighth"])}
    rows = {}
    for name, parts, whole in (("(3, H, W)", full, ms["full"]), (f"(3, {SIDE}, {SIDE})", small, ms["small"])):
        rows[name] = {
            "ms": whole,
            "parts": parts,
            "shares": {key: value / whole for key, value in parts.items()},
        }
    return rows


def bench_routes(pair, photos, args):
    files = {photo.path: photo.data for photo in photos}
    for child in pair.values():
        child.ask("take", files, {})
    stages.verify(pair, files)
    for child in pair.values():
        child.ask("hold", [(photo.data, photo.shape) for photo in photos])
    parts = common.slices(len(photos), common.PHOTOS)
    jobs = {
        (name, what): lambda turn, child=child, what=what: child.ask("decode_to", what, parts[turn])
        for name, child in pair.items()
        for what in CALLS
    }
    seconds = common.interleave(jobs, len(parts), args.rounds, "routes")
    rows = {}
    for name in pair:
        each = {what: 1e3 * seconds[name, what].sum(axis=1) / len(photos) for what in CALLS}
        for route, row in divide({what: float(np.median(values)) for what, values in each.items()}).items():
            rows[f"{name}, {route}"] = row | {
                "rounds": {what: values.tolist() for what, values in each.items()}
            }
    title = f"routes: where the time goes, {len(photos)} photos, one thread, {args.rounds} rounds"
    return common.report(title, COLUMNS, rows, "Huffman decoding, result")


TABLES = {"routes": bench_routes}


def main(argv=None):
    args = common.parse(argv, __doc__, "routes", "rounds", "limit")
    _, payload = common.begin(args, DECODERS[:1])
    photos, payload["corpus"] = read_corpus(args.images, args.limit)
    with stages.contestants(
        {"fastimg": "fastimg", "libjpeg": "libjpeg"}, "benchmarks.routes:Decoder"
    ) as pair:
        return common.finish(args, payload, TABLES, pair, photos)


if __name__ == "__main__":
    main()
