# SPDX-License-Identifier: BSD-3-Clause
"""Random boxes never change: an experiment can be repeated with a later version. The tables were made once."""

import hashlib
import itertools
import pathlib

import numpy as np
import pytest
from support import jpegs
from support.jpegs import assert_same

import fastimg
from fastimg.data_source import ArrayDataSource

# (height, width), orientation; only the header counts, so no image has so many pixels.
FRAMES = [
    *(((1, 1), 1), ((65535, 1), 1), ((1, 65535), 1), ((7, 40000), 1), ((375, 500), 1), ((500, 375), 1)),
    *(((224, 224), 1), ((33, 900), 1), ((2, 3), 1), ((8000, 12000), 1), ((16, 120), 6), ((16, 120), 3)),
]
# The file at this place of every round has no header.
BAD = len(FRAMES)
ROUND = len(FRAMES) + 1
COUNT = 10**6 + 1
INDICES = np.concatenate([np.arange(3 * ROUND), np.arange(999, COUNT, 999), [999_983, 10**6]])

DEFAULT = ((0.08, 1.0), (3 / 4, 4 / 3), 0.5)
SEEDS = [0, 12345, 2**63, 2**200]
EPOCHS = [0, 1, 2, 3, 2**70]
SCALES = [(0.08, 1.0), (1e-6, 1), (1, 1), (0.5, 3.0), (30.0, 40.0)]
RATIOS = [(3 / 4, 4 / 3), (1, 1), (0.01, 100), (0.01, 0.02), (50, 60.0)]
FLIPS = [0, 0.1, 0.5, 1 - 2**-53, 1]

CASES = [(seed, epoch, *DEFAULT) for seed in SEEDS for epoch in EPOCHS]
CASES += [
    (2**64 - 1, i % 4, scale, ratio, FLIPS[i % len(FLIPS)])
    for i, (scale, ratio) in enumerate(itertools.product(SCALES, RATIOS))
]


def digest(boxes, flips=None):
    found = hashlib.sha256(boxes.astype("<i8").tobytes())
    if flips is not None:
        found.update(flips.astype(np.uint8).tobytes())
    return found.hexdigest()[:16]


# ---- tables ------------------------------------------------------------------------------------

# Of the boxes and mirrors of CASES at INDICES.
DIGESTS = """
    21d98bbe9ee1c16f 03f367ffadade266 8dc8345141e821b4 19dd08bd69770370 0b405cfa6e81a5c8
    0ebb6eecfe8eb874 232dd54c3af254f8 13e802a44f60b9db d093e7439b09e812 e8d914506123542f
    36a318eb1ccb9a9b ee4e90df83a592ce c70c8522abd82a6d 56d7bfb2bd8fb3a3 b70d806d24b6b196
    6139b78bc6b8b5c7 1f03146da8e77dd6 461c2593867a9d48 f9b64513213dd423 cd38188962cecdb9
    2e53a231e78e51ba db962afe02905c4c 7cb8bdc550e8019e 87b7e9e83acd907e 253decbac72c0735
    c1ebf6eedfe777a5 4ff18217d807db1b 7cf78d854018cafa 1c929a70935b036a 4392619e6e1374a5
    fb8c1469c478ffd4 14001b9e3f2ee148 2297c7abcdaa9c71 ba5e6f509d36be13 138938108f566dea
    c3d7cc425c9d9681 fc73f642cf5205e1 5ecb8b34beb7515d ba5e6f509d36be13 fb0193299ed3e48d
    cd67b56bf616c560 e35ed6a0a4602f20 f203a8ed7a926f38 ba5e6f509d36be13 138938108f566dea
"""

# Of random_crops with each of SCALES and RATIOS.
CROPS = """
    b7efcefc35d31b3b 8d90642e3d17a7db 559b296e06af127d 267fd7ec370cdf20 9cee4e3508db2187
    1212526d716c4c40 42ba4655253b557b 56fafe08950eea0b 65687e9d71c544a1 d3372c868ed87a6e
    b20ab6cd40a1ec6e 1267628d17f6e994 fec4bc6674b5a8fd 267fd7ec370cdf20 c6190656c1631f06
    f49934257cc4c2cb 6c6049fa21c46c75 3de5c6271e98294c 267fd7ec370cdf20 4b40b495dccda8f6
    267245aca88193e5 ea6d46fcd18ec50a b2ef8f39503339c4 267fd7ec370cdf20 c6190656c1631f06
"""

PIXEL_BOXES = "21971064bee01169"

# Boxes of the first round of some cases, and which are mirrored.
PLAIN = {
    0: (
        [
            [0, 0, 1, 1], [32767, 0, 1, 1], [0, 32767, 1, 1], [0, 19995, 7, 9], [67, 174, 193, 256],
            [164, 84, 178, 198], [18, 0, 205, 223], [0, 428, 33, 44], [0, 0, 2, 2], [215, 1807, 5266, 4897],
            [76, 1, 18, 15], [0, 0, 15, 14], [0, 0, 65536, 65536],
        ],
        "0001001101110",
    ),
    3: (
        [
            [0, 0, 1, 1], [32767, 0, 1, 1], [0, 32767, 1, 1], [0, 19995, 7, 9], [35, 175, 166, 176],
            [31, 44, 167, 205], [59, 63, 104, 121], [0, 428, 33, 44], [0, 1, 2, 2], [464, 5890, 5019, 6029],
            [56, 1, 16, 15], [0, 49, 16, 21], [0, 0, 65536, 65536],
        ],
        "1101011000001",
    ),
    9: (
        [
            [0, 0, 1, 1], [32767, 0, 1, 1], [0, 32767, 1, 1], [0, 19995, 7, 9], [34, 138, 322, 352],
            [32, 131, 204, 223], [59, 76, 164, 145], [0, 428, 33, 44], [0, 0, 2, 3], [608, 787, 5077, 4879],
            [20, 0, 16, 15], [1, 21, 14, 16], [0, 0, 65536, 65536],
        ],
        "1110101101101",
    ),
    14: (
        [
            [0, 0, 1, 1], [32767, 0, 1, 1], [0, 32767, 1, 1], [0, 19995, 7, 9], [46, 97, 320, 356],
            [270, 163, 193, 195], [23, 14, 152, 151], [0, 428, 33, 44], [0, 1, 2, 2], [1654, 7509, 4862, 3751],
            [18, 0, 16, 16], [0, 49, 16, 21], [0, 0, 65536, 65536],
        ],
        "0000110001111",
    ),
    20: (
        [
            [0, 0, 1, 1], [32767, 0, 1, 1], [0, 32767, 1, 1], [0, 19995, 7, 9], [63, 77, 199, 156],
            [102, 0, 319, 375], [43, 15, 178, 202], [0, 428, 33, 44], [0, 1, 2, 2], [3605, 471, 2666, 3355],
            [49, 0, 21, 16], [3, 66, 13, 13], [0, 0, 65536, 65536],
        ],
        "0000000000000",
    ),
    22: (
        [
            [0, 0, 1, 1], [32717, 0, 100, 1], [0, 32717, 1, 100], [0, 19650, 7, 700], [28, 195, 319, 212],
            [62, 3, 291, 297], [8, 66, 67, 154], [0, 0, 33, 900], [0, 0, 2, 1], [877, 491, 6704, 9939],
            [52, 8, 41, 6], [5, 1, 8, 48], [0, 0, 65536, 65536],
        ],
        "1110010100101",
    ),
    28: (
        [
            [0, 0, 1, 1], [32717, 0, 100, 1], [0, 32767, 1, 1], [0, 19999, 7, 1], [0, 246, 375, 8],
            [2, 328, 196, 2], [0, 110, 224, 4], [0, 449, 33, 1], [0, 1, 2, 1], [0, 5920, 8000, 160],
            [1, 7, 106, 1], [0, 59, 16, 1], [0, 0, 65536, 65536],
        ],
        "1111111111111",
    ),
    33: (
        [
            [0, 0, 1, 1], [32717, 0, 100, 1], [0, 32767, 1, 1], [0, 19999, 7, 1], [0, 246, 375, 8],
            [0, 182, 500, 10], [0, 110, 224, 4], [0, 449, 33, 1], [0, 1, 2, 1], [0, 5920, 8000, 160],
            [0, 7, 120, 2], [0, 59, 16, 1], [0, 0, 65536, 65536],
        ],
        "1111111111111",
    ),
    44: (
        [
            [0, 0, 1, 1], [32767, 0, 1, 1], [0, 32737, 1, 60], [0, 19790, 7, 420], [182, 0, 10, 500],
            [246, 0, 8, 375], [110, 0, 4, 224], [7, 0, 18, 900], [0, 0, 1, 3], [3880, 0, 240, 12000],
            [59, 0, 1, 16], [7, 0, 2, 120], [0, 0, 65536, 65536],
        ],
        "1111111111111",
    ),
}  # fmt: skip


# ---- boxes -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """A file of each frame, and the bad one."""
    folder = tmp_path_factory.mktemp("boxes")
    paths = []
    for i, ((height, width), orientation) in enumerate(FRAMES):
        path = folder / f"{i}.jpg"
        data = jpegs.reframed(jpegs.jpeg(8, 8), height=height, width=width)
        path.write_bytes(jpegs.oriented(data, orientation))
        paths.append(str(path))
    bad = folder / "bad.jpg"
    bad.write_bytes(b"no header")
    return [*paths, str(bad)]


@pytest.fixture(scope="module")
def accessor(paths):
    """A million paths of a few files."""
    return fastimg.ImageFileAccessor([paths[i % ROUND] for i in range(COUNT)])


@pytest.mark.parametrize("place", range(len(CASES)))
def test_boxes(accessor, place):
    seed, epoch, scale, ratio, flip = CASES[place]
    view = accessor.random_resized_crop(8, scale, ratio, flip, seed).with_epoch(epoch)
    crops, flips = view.boxes(INDICES)
    assert crops.dtype == np.int64 and flips.dtype == np.bool_
    assert digest(crops, flips) == DIGESTS.split()[place]
    some = [10**6, 5, 0, 5, 999]
    for each in (np.array(some), some):
        again = view.boxes(each)
        places = [len(INDICES) - 1, 5, 0, 5, 3 * ROUND]
        assert again[0].tolist() == crops[places].tolist() and again[1].tolist() == flips[places].tolist()


@pytest.mark.parametrize("place", PLAIN)
def test_plain_boxes(accessor, place):
    # What a wrong digest cannot say.
    seed, epoch, scale, ratio, flip = CASES[place]
    view = accessor.random_resized_crop(8, scale, ratio, flip, seed).with_epoch(epoch)
    crops, flips = view.boxes(slice(0, ROUND))
    assert crops.tolist() == PLAIN[place][0]
    assert "".join(map(str, flips.astype(int))) == PLAIN[place][1]
    assert crops[BAD].tolist() == [0, 0, 65536, 65536]


def test_one_by_one(accessor, paths):
    # An accessor of its own reads each size alone.
    for i in INDICES[:ROUND]:
        alone = fastimg.ImageFileAccessor([paths[i]] * (i + 1)).random_resized_crop(8, seed=12345)
        expected = accessor.random_resized_crop(8, seed=12345).with_epoch(3).boxes([i])
        crops, flips = alone.with_epoch(3).boxes([i])
        assert crops.tolist() == expected[0].tolist() and flips.tolist() == expected[1].tolist()


# ---- random_crops ------------------------------------------------------------------------------


@pytest.mark.parametrize("place", range(len(SCALES) * len(RATIOS)))
def test_random_crops(place):
    scale, ratio = list(itertools.product(SCALES, RATIOS))[place]
    sizes = np.tile([size for size, _ in FRAMES], (50, 1))
    boxes = [fastimg.random_crops(sizes, np.random.RandomState(7), scale, ratio)]
    boxes += [fastimg.random_crops(sizes, seed, scale, ratio) for seed in (0, 2**63, 2**200)]
    assert digest(np.concatenate(boxes)) == CROPS.split()[place]


# ---- pixels ------------------------------------------------------------------------------------


REAL = [(1, 1), (65500, 1), (1, 65500), (7, 40000), (375, 500), (33, 900), (2, 3)]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("real")
    paths = []
    for i, (height, width) in enumerate(REAL):
        path = folder / f"{i}.jpg"
        path.write_bytes(jpegs.oriented(jpegs.jpeg(height, width, seed=i), 1 + i))
        paths.append(str(path))
    return paths


@pytest.mark.parametrize("kind", ["path", "bytes"])
def test_pixels_are_those_of_the_boxes(images, kind):
    sources = images if kind == "path" else [pathlib.Path(path).read_bytes() for path in images]
    view = fastimg.ImageFileAccessor(sources).random_resized_crop(8, seed=2**63)
    source = ArrayDataSource([view, np.arange(len(REAL))])
    for epoch in range(3):
        # A view that has read no header yet, and one that has.
        fresh = fastimg.ImageFileAccessor(sources).random_resized_crop(8, seed=2**63).with_epoch(epoch)
        found = fresh[:]
        crops, flips = view.with_epoch(epoch).boxes(slice(None))
        expected = fastimg.load(sources, size=8, crop=crops, flip=flips)
        assert_same(found, expected)
        assert_same(fresh[:], expected)
        batches = source.batch_iterator(3, shuffle=epoch, epoch=epoch)
        for x, indices in batches:
            assert_same(x, expected[indices])
    assert digest(crops, flips) == PIXEL_BOXES
