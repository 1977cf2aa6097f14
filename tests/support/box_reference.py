# SPDX-License-Identifier: BSD-3-Clause
"""Random boxes in NumPy: what the core's are compared with."""

import math

import numpy as np

ATTEMPTS = 10
STEP = np.uint64(0x9E3779B97F4A7C15)


def mix(words):
    """SplitMix64's output function."""
    words = (words ^ words >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ words >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return words ^ words >> np.uint64(31)


def streams(key, indices):
    """The start of each sample's numbers."""
    return mix(np.uint64(key) + np.asarray(indices).astype(np.uint64) * STEP)


def uniform(states, first, count):
    """Numbers `first` and so on of each stream, from [0, 1), (count, n)."""
    steps = np.arange(first + 1, first + 1 + count, dtype=np.uint64) * STEP
    words = mix(states + steps[:, None]) >> np.uint64(11)
    return words.astype(np.float64) * 2.0**-53


def central(sizes, narrow, wide):
    height, width = sizes.T
    h, w = height.copy(), width.copy()
    tall, flat = width < narrow * height, width > wide * height
    h[tall] = np.clip(np.rint(width[tall] / narrow), 1, height[tall])
    w[flat] = np.clip(np.rint(height[flat] * wide), 1, width[flat])
    return np.stack([(height - h) // 2, (width - w) // 2, h, w], axis=1)


def draw_boxes(sizes, indices, scale, ratio, flip, key):
    """Boxes, (n, 4), and flips, (n,)."""
    (low, high), (narrow, wide) = scale, ratio
    states = streams(key, indices)
    boxes = central(sizes, narrow, wide)
    pending = np.arange(len(sizes))
    for attempt in range(ATTEMPTS):
        draws = uniform(states[pending], 4 * attempt, 4)
        height, width = sizes[pending].T
        with np.errstate(over="ignore", under="ignore"):
            area = height * (width * (low + (high - low) * draws[0]))
            aspect = np.exp(math.log(narrow) + (math.log(wide) - math.log(narrow)) * draws[1])
            h, w = np.rint(np.sqrt(area / aspect)), np.rint(np.sqrt(area * aspect))
        fits = (h >= 1) & (w >= 1) & (h <= height) & (w <= width)
        h, w = h[fits].astype(np.int64), w[fits].astype(np.int64)
        top = (draws[2, fits] * (height[fits] - h + 1)).astype(np.int64)
        left = (draws[3, fits] * (width[fits] - w + 1)).astype(np.int64)
        boxes[pending[fits]] = np.stack([top, left, h, w], axis=1)
        pending = pending[~fits]
    return boxes, uniform(states, 4 * ATTEMPTS, 1)[0] < flip
