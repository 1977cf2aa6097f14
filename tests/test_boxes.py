# SPDX-License-Identifier: BSD-3-Clause
"""Random boxes of the core: NumPy's, of SplitMix64's numbers, which are uniform and independent."""

import math

import numpy as np
import pytest
from support import box_reference
from support.box_reference import streams, uniform

import fastimg._decode as _decode
from fastimg.augment import make_key

COUNT = 1_000_000


def splitmix64(state, count):
    """The generator in plain integers."""
    outputs, mask = [], 2**64 - 1
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = state
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & mask
        outputs.append(z ^ (z >> 31))
    return outputs


def grid(seed, epochs, samples, draws):
    """uniform's numbers as (epochs, draws, samples)."""
    indices = np.arange(samples)
    return np.stack([uniform(streams(make_key(seed, e), indices), 0, draws) for e in range(epochs)])


# One number each of a million samples, a number of a sample in 20,000 epochs by 50 draws, and so on.
SHAPES = [(1, COUNT, 1), (20_000, 50, 1), (1, 1000, 1000), (100, 100, 100), (2, 12_500, 40)]


def test_values_of_splitmix64():
    # The first is what other implementations print for the seed 1234567.
    assert splitmix64(1234567, 1) == [6457827717110365317]
    states = [1234567, 0, 2**64 - 1, 2**63]
    numbers = uniform(np.array(states, np.uint64), 0, 50)
    assert numbers.shape == (50, 4) and numbers.dtype == np.float64
    for column, state in zip(numbers.T, states, strict=True):
        assert column.tolist() == [(word >> 11) / 2**53 for word in splitmix64(state, 50)]


def test_streams_are_numbers_of_the_key():
    key = make_key(5, 6)
    assert 0 <= key < 2**64
    # Sample i begins at output i, and the step before the first is the mixed key itself.
    assert streams(key, np.arange(1, 40)).tolist() == splitmix64(key, 39)


def test_parts_are_parts_of_the_whole():
    rng = np.random.default_rng(0)
    whole = uniform(streams(make_key(1, 2), np.arange(1000)), 0, 41)
    for _ in range(50):
        indices = rng.integers(0, 1000, rng.integers(0, 60))
        first, count = rng.integers(0, 30), rng.integers(1, 12)
        part = uniform(streams(make_key(1, 2), indices), first, count)
        assert (part == whole[first : first + count][:, indices]).all()
    states = streams(make_key(1, 2), np.arange(9))
    before = states.copy()
    uniform(states, 0, 3)
    assert (states == before).all()


def chi_square(counts):
    """How many standard deviations Pearson's statistic is from its mean, for cells of equal probability."""
    expected = counts.sum() / counts.size
    statistic = ((counts - expected) ** 2 / expected).sum()
    freedom = counts.size - 1
    return (statistic - freedom) / math.sqrt(2 * freedom)


@pytest.mark.parametrize(("epochs", "samples", "draws"), SHAPES)
@pytest.mark.parametrize("seed", [0, 1])
def test_uniform(epochs, samples, draws, seed):
    numbers = grid(seed, epochs, samples, draws).ravel()
    assert numbers.size == COUNT and numbers.min() >= 0 and numbers.max() < 1
    assert abs(chi_square(np.bincount((numbers * 1000).astype(int), minlength=1000))) < 4.5
    # The ten lowest of the 53 bits, too.
    lower = (numbers * 2.0**53).astype(int) % 1024
    assert abs(chi_square(np.bincount(lower, minlength=1024))) < 4.5


@pytest.mark.parametrize("axis", [0, 1, 2], ids=["epochs", "draws", "samples"])
@pytest.mark.parametrize("distance", [1, 2, 4, 32])
def test_neighbours_are_independent(axis, distance):
    numbers = np.moveaxis(grid(3, 100, 100, 100), axis, 0)
    one, other = numbers[distance:].ravel(), numbers[:-distance].ravel()
    assert abs(np.corrcoef(one, other)[0, 1]) < 4.5 / math.sqrt(one.size)
    cells = (one * 32).astype(int) * 32 + (other * 32).astype(int)
    assert abs(chi_square(np.bincount(cells, minlength=1024))) < 4.5


def test_neighbouring_seeds_are_independent():
    numbers = np.stack([grid(seed, 1, 1000, 10).ravel() for seed in range(100)])
    assert abs(np.corrcoef(numbers[1:].ravel(), numbers[:-1].ravel())[0, 1]) < 4.5 / math.sqrt(990_000)


def test_keys():
    values = [0, 1, 2, 2**31, 2**32, 2**32 + 1, 2**64, 2**64 + 1, 2**100, 10**1000]
    keys = {make_key(seed, epoch) for seed in values for epoch in values}
    assert len(keys) == len(values) ** 2
    assert make_key(3, 4) == make_key(3, 4) != make_key(4, 3)


# ---- boxes of these numbers -----------------------------------------------------------------------

FORMULAS = [
    ((0.08, 1.0), (3 / 4, 4 / 3), 0.5),
    ((1.0, 1.0), (1.0, 1.0), 0.0),
    ((1e-6, 1.0), (0.01, 100.0), 1.0),
    ((0.5, 2.0), (0.5, 0.5), 0.25),
    ((1e-300, 1e300), (1e-300, 1e300), 0.5),
]


@pytest.mark.parametrize(("scale", "ratio", "flip"), FORMULAS)
def test_boxes_are_those_of_numpy(scale, ratio, flip):
    rng = np.random.default_rng(7)
    sizes = np.exp(rng.uniform(0, math.log(65536), (20_000, 2))).astype(np.int64)
    sizes[:6] = [(1, 1), (65535, 1), (1, 65535), (65535, 65535), (7, 40000), (2**31, 2**31)]
    indices = rng.permutation(10**6)[:20_000]
    for seed, epoch in ((0, 0), (2**200, 2**70)):
        key = make_key(seed, epoch)
        boxes, flips = _decode.draw_boxes(sizes, indices, (scale, ratio, flip, key))
        expected, mirrored = box_reference.draw_boxes(sizes, indices, scale, ratio, flip, key)
        assert boxes.dtype == np.int64 and flips.dtype == np.bool_
        assert (boxes == expected).all() and (flips == mirrored).all()


def test_boxes_of_other_numbers():
    rng = np.random.default_rng(3)
    sizes = rng.integers(1, 700, (5000, 2))
    formula = ((0.08, 1.0), (3 / 4, 4 / 3), 0.0, 0)
    central, fits = _decode.fit_boxes(sizes, None, formula)
    assert fits.all() and (central == box_reference.central(sizes, *formula[1])).all()
    draws = rng.random((5000, 4))
    boxes, fits = _decode.fit_boxes(sizes, draws, formula)
    assert 0 < fits.sum() < 5000
    areas = boxes[fits, 2] * boxes[fits, 3] / sizes[fits].prod(axis=1)
    assert areas.max() <= 1 and (boxes[fits, :2] >= 0).all()
    assert (boxes[fits, :2] + boxes[fits, 2:] <= sizes[fits]).all()


def test_arrays_of_the_wrong_length():
    formula = ((0.08, 1.0), (3 / 4, 4 / 3), 0.5, 1)
    sizes = np.ones((4, 2), np.int64)
    for indices in (np.arange(3), np.arange(5)):
        with pytest.raises(ValueError, match="expected 16 bytes for each of"):
            _decode.draw_boxes(sizes, indices, formula)
    with pytest.raises(ValueError, match="expected 32 bytes for each of"):
        _decode.fit_boxes(sizes, np.ones((3, 4)), formula)
