# SPDX-License-Identifier: BSD-3-Clause
"""Labels of every kind, and whether a data source reads them by position."""

import numpy as np

from fastimg.data_source import ArrayDataSource

N = 37
NUMBERS = [(7 * i) % 10 for i in range(N)]
WORDS = ["cat", "doge", "", "a" * 50, "naïve"] * 7 + ["x", "y"]
BIG = 2**53 + 1  # the first integer that float64 does not have


def batches_of(labels, reuse_buffers=False, **options):
    """The rows of a shuffled epoch, sorted by position, and the dtype that all batches, NumPy arrays, must share."""
    source = ArrayDataSource([np.arange(len(labels)), labels], seed=1, **options)
    rows, dtypes = {}, set()
    for indices, batch in source.batch_iterator(5, shuffle=True, reuse_buffers=reuse_buffers):
        assert type(batch) is np.ndarray and len(batch) == len(indices)
        dtypes.add(batch.dtype)
        rows |= dict(zip(indices.tolist(), batch.copy(), strict=True))
    assert len(dtypes) == 1 and sorted(rows) == list(range(len(labels)))
    return [rows[i] for i in range(len(labels))], dtypes.pop()


def is_missing(value):
    return value is None or (not isinstance(value, list | np.ndarray) and value != value)


def check(labels, expected, dtype, **options):
    """Every row of `labels` is the one of `expected`, a list that a loop over positions made; None stands for NaN."""
    for reuse_buffers in (False, True):
        rows, found = batches_of(labels, reuse_buffers, **options)
        assert found == dtype
        for row, value in zip(rows, expected, strict=True):
            if is_missing(value):
                assert is_missing(row) and (row is None) == (found.kind == "O")
            elif isinstance(value, list | tuple | np.ndarray):
                assert np.array_equal(row, value)
            else:
                assert row == value and not isinstance(row, np.ndarray)
