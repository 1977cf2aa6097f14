# SPDX-License-Identifier: BSD-3-Clause
"""ArrayDataSource reads what it is given by position, whatever else its brackets mean."""

import array
import collections
import datetime
import decimal
import math
import subprocess
import sys

import numpy as np
import pytest
from support.labels import BIG, NUMBERS, WORDS, N, batches_of, check

from fastimg.data_source import ArrayDataSource

# ---- Python's own ------------------------------------------------------------------------------

LISTS = {
    "int": (NUMBERS, "int64"),
    "bool": ([n > 4 for n in NUMBERS], "bool"),
    "float": ([n / 3 for n in NUMBERS], "float64"),
    "nan": ([math.nan if n == 3 else n / 3 for n in NUMBERS], "float64"),
    "None": ([None if n == 3 else n for n in NUMBERS], object),
    "float and None": ([None if n == 3 else n / 3 for n in NUMBERS], object),
    "text": (WORDS, object),
    "text and numbers": (NUMBERS[:5] + WORDS[5:], object),
    "numbers after text": (WORDS[:5] + NUMBERS[5:], object),
    "bytes": ([b"a\0" * n for n in NUMBERS], object),
    "pairs": ([(n, n + 1) for n in NUMBERS], "int64"),
    "ragged": ([[n] * n for n in NUMBERS], object),
    "ragged arrays": ([np.zeros((3, 1 + n)) for n in NUMBERS], object),
    "captions": ([[word, "b"] for word in WORDS], object),
    "arrays": ([np.full((2, 3), n, np.float32) for n in NUMBERS], "float32"),
    "dicts": ([{"box": n} for n in NUMBERS], object),
    "dates": ([datetime.date(2020, 1, 1 + n) for n in NUMBERS], object),
    "decimals": ([decimal.Decimal(n) / 3 for n in NUMBERS], object),
    "large": ([BIG + n for n in NUMBERS], "int64"),
    "large and halves": ([BIG + n if n % 2 else n / 2 for n in NUMBERS], object),
    "beyond int64": ([2**63 + n for n in NUMBERS], "uint64"),
    "around 2**63": ([2**63 + n if n % 2 else -n for n in NUMBERS], object),
    "NumPy's scalars": ([np.int16(n) for n in NUMBERS], "int16"),
}


@pytest.mark.parametrize("kind", [list, tuple])
@pytest.mark.parametrize("name", LISTS)
def test_lists_and_tuples(kind, name):
    values, dtype = LISTS[name]
    check(kind(values), [values[i] for i in range(N)], np.dtype(dtype))


def test_subclasses_of_list_and_tuple():
    class Labels(list):
        pass

    names = [f"n{i}" for i in range(N)]
    check(Labels(NUMBERS), NUMBERS, np.dtype("int64"))
    check(collections.namedtuple("Row", names)(*NUMBERS), NUMBERS, np.dtype("int64"))


def test_a_list_that_is_indexed_by_arrays_is_read_so():
    class Rows(list):
        def __getitem__(self, indices):
            return np.array([list.__getitem__(self, i) + 100 for i in indices])

    check(Rows(NUMBERS), [n + 100 for n in NUMBERS], np.dtype("int64"))


def test_the_elements_stay_the_same_objects():
    values = [[n] * n for n in NUMBERS]
    rows, _ = batches_of(values)
    assert all(row is value for row, value in zip(rows, values, strict=True))


def test_lists_are_taken_once():
    values = list(NUMBERS)
    source = ArrayDataSource([values])
    values.clear()
    assert [n for (batch,) in source.batch_iterator(5) for n in batch.tolist()] == NUMBERS


@pytest.mark.parametrize("make", [lambda: range(5, 79, 2), lambda: array.array("i", range(5, 79, 2))])
def test_other_sequences_of_numbers(make):
    labels = make()
    rows, dtype = batches_of(labels)
    assert rows == list(labels) and dtype.kind == "i"


def test_empty():
    for labels in ([], (), range(0)):
        assert list(ArrayDataSource([labels, np.arange(0)]).batch_iterator(3)) == []


# ---- NumPy -------------------------------------------------------------------------------------


def test_numpy_arrays_are_not_copied(tmp_path):
    mapped = np.memmap(tmp_path / "labels", np.int32, "w+", shape=(N, 2))
    strided = np.arange(4 * N).reshape(2 * N, 2)[::2, ::-1]
    masked = np.ma.array(np.arange(N), mask=np.arange(N) % 2)
    for labels in (np.arange(N), mapped, strided, masked, np.array(WORDS), np.array(WORDS, object)):
        source = ArrayDataSource([labels])
        assert source._arrays[0] is labels and np.shares_memory(source._arrays[0], labels)
    mapped[3] = 7
    source = ArrayDataSource([mapped])
    mapped[4] = 8
    (batch,) = next(source.batch_iterator(5))
    assert batch[3:].tolist() == [[7, 7], [8, 8]] and not np.shares_memory(batch, mapped)


@pytest.mark.parametrize(
    "wrong", [np.array(3), np.float64(3), np.zeros(3, "i4,f8")[0]], ids=lambda x: type(x).__name__
)
def test_no_dimension(wrong):
    with pytest.raises(TypeError, match=r"^arrays\[1\] must be an array-like"):
        ArrayDataSource([np.arange(3), wrong])


# ---- what cannot be read by position -----------------------------------------------------------

REFUSED = {
    "dict": {i: i for i in range(3)},
    "OrderedDict": collections.OrderedDict({i: i for i in range(3)}),
    "set": {0, 1, 2},
    "frozenset": frozenset(range(3)),
    "dict_values": {0: 1, 1: 2, 2: 3}.values(),
    "generator": (i for i in range(3)),
    "zip": zip(range(3), range(3), strict=True),
    "str": "abc",
    "bytes": b"abc",
    "bytearray": bytearray(b"abc"),
    "int": 3,
    "type": int,
    "deque": collections.deque([1, 2, 3]),
    "UserList": collections.UserList([1, 2, 3]),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refused(kind):
    with pytest.raises(TypeError, match=rf"^arrays\[1\].*, found {kind}\b.*") as caught:
        ArrayDataSource([np.arange(3), REFUSED[kind]])
    assert "position" in str(caught.value)


def test_what_to_do_with_a_sequence():
    with pytest.raises(TypeError, match=r"convert it with list\(\)$"):
        ArrayDataSource([collections.deque([1, 2, 3])])


def test_without_a_length():
    class Endless:
        def __len__(self):
            raise TypeError("as long as you like")

        def __getitem__(self, indices):
            return indices

    with pytest.raises(TypeError, match=r"^arrays\[0\], found Endless, .*: as long as you like$"):
        ArrayDataSource([Endless()])


def test_epochs_of_another_kind():
    class Epochs:
        def __len__(self):
            return N

        def __getitem__(self, indices):
            raise AssertionError("not of an epoch")

        def with_epoch(self, epoch):
            return [n + epoch for n in NUMBERS]

    source = ArrayDataSource([Epochs()])
    for epoch in range(2):
        found = [n for (batch,) in source.batch_iterator(5) for n in batch.tolist()]
        assert found == [n + epoch for n in NUMBERS]


# ---- tensors and others ------------------------------------------------------------------------


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.mark.parametrize("dtype", ["int64", "uint8", "float32", "bool"])
def test_tensors(torch, dtype):
    values = [n % 2 for n in NUMBERS]
    check(torch.tensor(values, dtype=getattr(torch, dtype)), values, np.dtype(dtype))
    rows = torch.tensor([[n, n + 1] for n in NUMBERS], dtype=getattr(torch, dtype))[:, 1:]
    check(rows, rows.numpy().tolist(), np.dtype(dtype))


def test_tensors_are_not_copied(torch):
    labels = torch.arange(N)
    assert np.shares_memory(ArrayDataSource([labels])._arrays[0], labels.numpy())


def test_lists_of_tensors(torch):
    check([torch.tensor(n) for n in NUMBERS], NUMBERS, np.dtype("int64"))


def test_tensors_that_are_refused(torch):
    wrong = {
        "detach": torch.zeros(3, requires_grad=True),
        "meta": torch.zeros(3, device="meta"),
        "BFloat16": torch.zeros(3, dtype=torch.bfloat16),
        "Sparse|sparse": torch.zeros(3, 3).to_sparse(),
        "unsized": torch.tensor(3),
    }
    for text, tensor in wrong.items():
        with pytest.raises(TypeError, match=rf"^arrays\[1\], found Tensor, .*position: .*({text})"):
            ArrayDataSource([np.arange(3), tensor])
    with pytest.raises(TypeError, match=r"^arrays\[0\], found list, "):
        ArrayDataSource([[torch.zeros(2, requires_grad=True)] * 3])


class Exported:
    """An array of another library, on a device."""

    def __init__(self, values, device):
        self.values, self.device = values, device

    def __len__(self):
        return len(self.values)

    def __getitem__(self, index):
        raise AssertionError("not by an array of NumPy's")

    def __dlpack__(self, **options):
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.device, 0


def test_dlpack():
    check(Exported(np.array(NUMBERS), 1), NUMBERS, np.dtype("int64"))
    with pytest.raises(TypeError, match=r"^arrays\[0\], found Exported, .*\(2, 0\), expected the CPU"):
        ArrayDataSource([Exported(np.array(NUMBERS), 2)])


def test_hdf5(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "labels.h5", "w") as file:
        file["labels"] = np.array(NUMBERS)
        file["boxes"] = np.arange(4 * N).reshape(N, 4)
        check(file["labels"], NUMBERS, np.dtype("int64"), repeats=2)
        check(file["boxes"], np.arange(4 * N).reshape(N, 4).tolist(), np.dtype("int64"))
        with pytest.raises(TypeError, match=r"^arrays\[0\] must be an array-like.*File"):
            ArrayDataSource([file])


def test_zarr():
    zarr = pytest.importorskip("zarr")
    stored = zarr.array(np.array(NUMBERS), chunks=5)
    for indices, labels in ArrayDataSource([range(N), stored], seed=1).batch_iterator(5, shuffle=True):
        assert labels.tolist() == [NUMBERS[i] for i in indices]


def test_nothing_is_imported(child_env):
    code = (
        "import sys, fastimg, numpy\n"
        "list(fastimg.data_source.ArrayDataSource([[1, 2], ('a', 'b'), numpy.arange(2)]).batch_iterator(1))\n"
        "print(sorted({'pandas', 'pyarrow', 'polars', 'torch', 'h5py'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=child_env, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
