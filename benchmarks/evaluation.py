# SPDX-License-Identifier: BSD-3-Clause
"""The transform that image classifiers are evaluated with, Resize(256) and CenterCrop(224), from files of mixed sizes.

Every contestant fills the caller's rows of one preallocated, touched (N, 3, 224, 224) uint8 array, on one thread.

evaluation   "fastimg is" says how many times as fast fastimg is as that row's contestant. "PSNR" and "worst" are the
             mean over the photos, and the worst of them, against torchvision's transform of Pillow's images, which
             rounds twice: exact weights, rounded once, have about 58 dB to it.
letterbox    to (3, 640, 640) with grey bars, as for YOLO: fit="contain", pad_value=114. The reference is Pillow's
             ImageOps.pad; where others round size or bars otherwise, their PSNR is that of a shifted picture.

torchvision is large, so it does not come with the other peers: it takes part where it is installed. Before anything is
timed, the pixels of every contestant are compared with the reference; after every timed block, with the verified ones.
"""

from functools import partial

import numpy as np
from PIL import Image, ImageOps
from tqdm import tqdm

from benchmarks import _common as common
from benchmarks import _pixels as pixels
from fastimg.benchmarking import peers
from fastimg.benchmarking.peers import contestant, first_line, load_cv2, read_file

SHORTER, SIDE = 256, 224
BOX, GREY = 640, 114
LEAST = 30  # dB: below this it is not the same picture

EVALUATION, LETTERBOX = [], []
COLUMNS = f"{common.RATES} | {common.TIMES} | PSNR: {{psnr[0]:.1f}} | worst: {{psnr[1]:.1f}}"


def resized_size(height, width):
    """Return (height, width) as torchvision's Resize(SHORTER) has it."""
    longer = int(SHORTER * max(height, width) / min(height, width))
    return (longer, SHORTER) if width <= height else (SHORTER, longer)


def center(image):
    """Return the middle of (H, W, C), as torchvision's CenterCrop(SIDE) does; no photo is smaller after Resize."""
    top, left = (round((length - SIDE) / 2) for length in image.shape[:2])
    return image[top : top + SIDE, left : left + SIDE]


def evaluate(image, draft=False):
    """Return a Pillow image, resized and cut, as (3, SIDE, SIDE)."""
    if draft:
        image.draft("RGB", (2 * SHORTER, 2 * SHORTER))
    image = ImageOps.exif_transpose(image).convert("RGB")
    size = resized_size(image.height, image.width)
    small = np.asarray(image.resize(size[::-1], Image.Resampling.BILINEAR))
    return center(small).transpose(2, 0, 1)


def letterbox(image):
    image = ImageOps.exif_transpose(image).convert("RGB")
    padded = ImageOps.pad(image, (BOX, BOX), Image.Resampling.BILINEAR, (GREY, GREY, GREY))
    return np.asarray(padded).transpose(2, 0, 1)


@contestant(EVALUATION, "fastimg", "fastimg")
def fastimg(peer, fastimg):
    """load(resize_shorter=256, center_crop=224)"""
    options = {"resize_shorter": SHORTER, "center_crop": SIDE}
    peer.load = lambda paths, out, num_threads: fastimg.load(paths, out, num_threads=num_threads, **options)


@contestant(EVALUATION, "fastimg, reducing_gap=None", "fastimg")
def fastimg_exact(peer, fastimg):
    """load(resize_shorter=256, center_crop=224, reducing_gap=None)"""
    options = {"resize_shorter": SHORTER, "center_crop": SIDE, "reducing_gap": None}
    peer.load = lambda paths, out, num_threads: fastimg.load(paths, out, num_threads=num_threads, **options)


@contestant(EVALUATION, "torchvision, Pillow's images", "torchvision")
def torchvision_pillow(peer, _):
    """Image.open, v2.Resize(256), v2.CenterCrop(224), v2.PILToTensor, Tensor.copy_"""
    import torch
    from torchvision.transforms import v2

    transform = v2.Compose([v2.Resize(SHORTER), v2.CenterCrop(SIDE), v2.PILToTensor()])
    torch.set_num_threads(1)

    def read_into(path, out):
        with Image.open(path) as image:
            torch.from_numpy(out).copy_(transform(image.convert("RGB")))

    peer.read_into = read_into


@contestant(EVALUATION, "torchvision, tensors", "torchvision")
def torchvision_tensors(peer, library):
    """decode_jpeg, v2.Resize(256, antialias=True), v2.CenterCrop(224), Tensor.copy_"""
    from torchvision.transforms import v2

    peers.torchvision(peer, library)
    transform = v2.Compose([v2.Resize(SHORTER, antialias=True), v2.CenterCrop(SIDE)])
    peer.torch.set_num_threads(1)
    peer.read_into = lambda path, out: peer.torch.from_numpy(out).copy_(
        transform(peer.tensor(read_file(path)))
    )


@contestant(EVALUATION, "Pillow", "PIL.Image")
@contestant(EVALUATION, "Pillow draft", "PIL.Image", draft=True)
def pillow(peer, _):
    """Image.open, resize(BILINEAR), np.asarray, NumPy slices and transpose"""

    def read_into(path, out):
        with Image.open(path) as image:
            np.copyto(out, evaluate(image, peer.draft))

    peer.read_into = read_into


@contestant(EVALUATION, "OpenCV INTER_AREA", "cv2")
def opencv(peer, _):
    """imread, resize(INTER_AREA), NumPy slices, cv2.split"""
    cv2 = load_cv2()

    def read_into(path, out):
        image = cv2.imread(path)
        size = resized_size(*image.shape[:2])
        cv2.split(
            center(cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)), [out[2], out[1], out[0]]
        )

    peer.read_into = read_into


@contestant(LETTERBOX, "fastimg letterbox", "fastimg")
def fastimg_letterbox(peer, fastimg):
    """load(size=640, fit="contain", pad_value=114)"""
    options = {"size": BOX, "fit": "contain", "pad_value": GREY}
    peer.load = lambda paths, out, num_threads: fastimg.load(paths, out, num_threads=num_threads, **options)


@contestant(LETTERBOX, "Pillow letterbox", "PIL.Image")
def pillow_letterbox(peer, _):
    """Image.open, ImageOps.pad(BILINEAR), np.asarray, NumPy transpose"""

    def read_into(path, out):
        with Image.open(path) as image:
            np.copyto(out, letterbox(image))

    peer.read_into = read_into


@contestant(LETTERBOX, "OpenCV INTER_LINEAR letterbox", "cv2", antialiased=False)
def opencv_letterbox(peer, _):
    """imread, resize(INTER_LINEAR), copyMakeBorder, cv2.split: as Ultralytics' LetterBox"""
    cv2 = load_cv2()

    def read_into(path, out):
        image = cv2.imread(path)
        height, width = image.shape[:2]
        scale = min(BOX / height, BOX / width)
        rows, columns = round(height * scale), round(width * scale)
        image = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_LINEAR)
        top, left = round((BOX - rows) / 2), round((BOX - columns) / 2)
        edges = top, BOX - rows - top, left, BOX - columns - left
        image = cv2.copyMakeBorder(image, *edges, cv2.BORDER_CONSTANT, value=(GREY, GREY, GREY))
        cv2.split(image, [out[2], out[1], out[0]])

    peer.read_into = read_into


def inspect(some, paths, side, reference, block):
    """Return {name: figures} with the PSNR of every contestant, its checksums, and the "reason" to leave it out."""
    found = {peer.name: {"psnr": [], "sums": [], "reason": None} for peer in some}
    for part in tqdm(common.slices(len(paths), block), desc=f"pixels, {side} x {side}"):
        wanted = []
        for path in paths[part]:
            with Image.open(path) as image:
                wanted.append(reference(image).astype(np.float32))
        for peer in some:
            facts = found[peer.name]
            out = (255 - np.array(wanted)).astype(np.uint8)  # nothing that was left there passes for a result
            try:
                if not facts["reason"]:
                    peer.load(paths[part], out, 1)
            except Exception as error:  # whatever a peer raises, the others go on
                facts["reason"] = first_line(error)
                continue
            facts["sums"] += pixels.checksums(out)
            facts["psnr"] += pixels.psnrs(out, wanted)
    for facts in found.values():
        facts["psnr"] = pixels.mean_and_worst(facts["psnr"]) if facts["psnr"] else None
        if facts["psnr"] and facts["psnr"][0] < LEAST:
            facts["reason"] = f"{facts['psnr'][0]:.1f} dB: it is another picture"
    return found


def bench(title, group, side, reference, found_peers, paths, args):
    some = [peer for peer in found_peers if peer.group is group]
    found = inspect(some, paths, side, reference, common.PHOTOS)
    clock = common.CLOCKS[args.clock]
    seconds = pixels.time_peers(some, found, paths, (side, side), common.PHOTOS, 1, args.rounds, clock)
    rows = common.compare(seconds, len(paths), found, group[0].name)
    heads = [("the fastest peer", lambda name, row: True)]
    return common.report(f"{title}, one thread, {args.rounds} rounds", COLUMNS, rows, headlines=heads)


TABLES = {
    "evaluation": partial(
        bench, "evaluation: files to (3, 224, 224), shorter side 256", EVALUATION, SIDE, evaluate
    ),
    "letterbox": partial(bench, "letterbox: files to (3, 640, 640)", LETTERBOX, BOX, letterbox),
}


def main(argv=None):
    args = common.parse(argv, __doc__, "evaluation", "rounds", "limit", "clock", tables=TABLES)
    found, payload = common.begin(args, EVALUATION + LETTERBOX)
    photos, payload["corpus"] = pixels.read_corpus(args.images, args.limit)
    return common.finish(args, payload, TABLES, found, [photo.path for photo in photos])


if __name__ == "__main__":
    main()
