# SPDX-License-Identifier: BSD-3-Clause
"""Sources whose states are saved and loaded; run as a program it loads them: see test_data_source_state.

    python -m support.data_source_states source|iterator < RUNS

RUNS is a list of [case, list of states], as JSON. For each state a new source is made, and it or its iterator loads the
state; what comes then, with a source the epochs that follow too, is printed as JSON.
"""

import itertools
import json
import sys
from typing import NamedTuple

import numpy as np

from fastimg.data_source import ArrayDataSource
from support.data_sources import Draws, Epochs, Parts

N = 11
EPOCHS = 3
# How many batches of an endless epoch are looked at.
ENDLESS = 25


class Case(NamedTuple):
    shuffle: object = None
    source: dict = {}  # noqa: RUF012
    batches: dict = {}  # noqa: RUF012
    batch_size: int = 3
    mapped: bool = False

    @property
    def epochs(self):
        endless = self.source.get("repeats") == -1 or isinstance(self.source.get("sampler"), Draws)
        return 1 if endless else EPOCHS

    def make(self):
        source = ArrayDataSource([Epochs(N), np.arange(N)], **self.source)
        return source.map(doubled) if self.mapped else source

    def rng(self):
        return self.shuffle() if callable(self.shuffle) else self.shuffle

    def iterator(self, source, rng):
        return source.batch_iterator(self.batch_size, rng, **self.batches)


def doubled(values, indices):
    return values * 2, indices


def of(bit_generator):
    return lambda: np.random.Generator(bit_generator(5))


def with_a_normal_number():
    """A RandomState that keeps half of a pair of normal numbers for the next time."""
    rng = np.random.RandomState(3)
    rng.standard_normal()
    return rng


def random_state():
    return np.random.RandomState(12345)


CASES = {
    "in order": Case(),
    "in order, repeats": Case(source={"repeats": 3}),
    "in order, endless": Case(source={"repeats": -1}),
    "in order, drop_last": Case(batches={"drop_last": True}),
    "in order, sampler": Case(source={"sampler": Parts([1, 2], [3], [4, 5, 6])}),
    "True": Case(True, {"seed": 7}),
    "True, no seed": Case(True),
    "True, prefetch 0": Case(True, {"seed": 7}, {"prefetch": 0}),
    "True, prefetch 5": Case(True, {"seed": 7}, {"prefetch": 5}),
    "True, repeats": Case(True, {"seed": 7, "repeats": 3}),
    "True, endless": Case(True, {"seed": 7, "repeats": -1}),
    "True, indices": Case(True, {"seed": 7, "indices": np.array([3, 3, 9, 0])}),
    "True, drop_last": Case(True, {"seed": 7}, {"drop_last": True}, 4),
    "True, reuse_buffers": Case(True, {"seed": 7}, {"reuse_buffers": True}),
    "True, map": Case(True, {"seed": 7}, mapped=True),
    "True, sampler": Case(True, {"seed": 7, "sampler": Draws(N)}),
    "int": Case(5),
    "int, repeats": Case(5, {"repeats": 2}),
    "int, sampler": Case(5, {"sampler": Draws(N)}),
    "RandomState": Case(random_state),
    "RandomState, repeats": Case(random_state, {"repeats": 3}),
    "RandomState, endless": Case(random_state, {"repeats": -1}),
    "RandomState, drop_last": Case(random_state, {}, {"drop_last": True}, 4),
    "RandomState, prefetch 0": Case(random_state, {}, {"prefetch": 0}),
    "RandomState, sampler": Case(random_state, {"sampler": Draws(N)}),
    "RandomState, map": Case(random_state, mapped=True),
    "RandomState of PCG64": Case(lambda: np.random.RandomState(np.random.PCG64(5))),
    "RandomState after a normal number": Case(with_a_normal_number),
    "Generator of PCG64": Case(of(np.random.PCG64)),
    "Generator of PCG64DXSM": Case(of(np.random.PCG64DXSM)),
    "Generator of MT19937": Case(of(np.random.MT19937)),
    "Generator of Philox": Case(of(np.random.Philox)),
    "Generator of SFC64": Case(of(np.random.SFC64)),
    "Generator, repeats": Case(of(np.random.PCG64), {"repeats": 3}),
}


def plain(batches):
    return [[part.tolist() for part in batch] for batch in itertools.islice(batches, ENDLESS)]


def drawn(rng):
    """What an rng gives next, besides permutations."""
    return rng.standard_normal(3).tolist() if hasattr(rng, "standard_normal") else None


def resumed(case, state, by_iterator):
    source = case.make()
    # An rng in another state than the one that was saved: the saved one must take its place.
    rng = case.rng()
    if hasattr(rng, "permutation"):
        rng.permutation(100)
    if by_iterator:
        batches = case.iterator(source, rng)
        batches.load_state_dict(state)
        return [plain(batches)]
    source.load_state_dict(state)
    return [plain(case.iterator(source, rng)) for _ in range(case.epochs)] + [drawn(rng)]


def tried(case, state, by_iterator):
    try:
        return resumed(case, state, by_iterator)
    except Exception as error:  # told to the test that asks for this one
        return f"{type(error).__name__}: {error}"


def main():
    by_iterator = sys.argv[1] == "iterator"
    runs = json.load(sys.stdin)
    results = [[tried(CASES[name], state, by_iterator) for state in states] for name, states in runs]
    print(json.dumps(results))


if __name__ == "__main__":
    main()
