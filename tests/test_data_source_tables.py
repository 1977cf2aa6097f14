# SPDX-License-Identifier: BSD-3-Clause
"""ArrayDataSource reads columns and tables of pandas, Arrow and Polars by position."""

import math

import numpy as np
import pytest
from support.labels import BIG, NUMBERS, WORDS, N, batches_of, check

import fastimg
from fastimg.data_source import ArrayDataSource

# ---- pandas ------------------------------------------------------------------------------------


@pytest.fixture
def pd():
    return pytest.importorskip("pandas")


def series(pd, kind):
    numbers, missing = NUMBERS, [None if n == 3 else n for n in NUMBERS]
    days = [pd.Timestamp(2020, 1, 1 + n) for n in numbers]
    return {
        "int": lambda: pd.Series(numbers),
        "int8": lambda: pd.Series(numbers, dtype="int8"),
        "float": lambda: pd.Series([n / 3 for n in numbers]),
        "nan": lambda: pd.Series([math.nan if n == 3 else n / 3 for n in numbers]),
        "bool": lambda: pd.Series([n > 4 for n in numbers]),
        "object": lambda: pd.Series([[n] * n for n in numbers]),
        "text": lambda: pd.Series(WORDS),
        "text with missing": lambda: pd.Series([None, *WORDS[1:]], dtype="string"),
        "category": lambda: pd.Series(WORDS, dtype="category"),
        "category with missing": lambda: pd.Series([None, *WORDS[1:]], dtype="category"),
        "category of int": lambda: pd.Series([BIG + n for n in numbers], dtype="category"),
        "category of int with missing": lambda: pd.Series(
            [None if n == 3 else BIG + n for n in numbers], dtype=pd.CategoricalDtype([BIG + n for n in range(10)])
        ),
        "category of float with missing": lambda: pd.Series(
            [math.nan if n == 3 else n / 4 for n in numbers], dtype="category"
        ),
        "Int64": lambda: pd.Series(numbers, dtype="Int64"),
        "Int64 with missing": lambda: pd.Series(
            [pd.NA if n == 3 else BIG + n for n in numbers], dtype="Int64"
        ),
        "boolean with missing": lambda: pd.Series([None if n is None else n > 4 for n in missing], dtype="boolean"),
        "Float32 with missing": lambda: pd.Series(missing, dtype="Float32"),
        "datetime": lambda: pd.Series(days),
        "datetime with missing": lambda: pd.Series([pd.NaT, *days[1:]]),
        "time zone": lambda: pd.Series(days).dt.tz_localize("Asia/Kolkata"),
        "timedelta": lambda: pd.Series(days) - days[0],
        "period": lambda: pd.Series(pd.period_range("2020", periods=N, freq="D")),
        "sparse": lambda: pd.Series(numbers, dtype="Sparse[int64]"),
    }[kind]()  # fmt: skip


DTYPES = {
    "int": "int64",
    "int8": "int8",
    "float": "float64",
    "nan": "float64",
    "bool": "bool",
    "category of int": "int64",
    "category of float with missing": "float64",
    "Int64": "int64",
    "Float32 with missing": "float32",
    "sparse": "int64",
}


@pytest.mark.parametrize("order", ["as made", "sample", "filtered", "reversed", "repeated index"])
@pytest.mark.parametrize(
    "kind",
    [
        *DTYPES, "object", "text", "text with missing", "category", "category with missing",
        "category of int with missing", "Int64 with missing", "boolean with missing", "datetime",
        "datetime with missing", "time zone", "timedelta", "period",
    ],
)  # fmt: skip
def test_series(pd, kind, order):
    labels = series(pd, kind)
    if order == "sample":
        labels = labels.sample(frac=1, random_state=3)
        assert labels.index[0] != 0
    elif order == "filtered":
        labels = labels[np.arange(N) % 3 > 0]
    elif order == "reversed":
        labels = labels[::-1]
    elif order == "repeated index":
        labels.index = np.arange(N) // 2
    expected = [labels.iloc[i] for i in range(len(labels))]
    if kind.startswith(("datetime", "timedelta")):
        rows, dtype = batches_of(labels)
        assert dtype.kind in "mM"
        assert [str(pd.Series([row])[0]) for row in rows] == [str(value) for value in expected]
        return
    check(labels, [None if pd.api.types.is_scalar(x) and pd.isna(x) else x for x in expected],
          np.dtype(DTYPES.get(kind, object)))  # fmt: skip


def test_series_with_images(pd, batch):
    table = pd.DataFrame({"path": batch.paths, "label": np.arange(37)}).sample(frac=1, random_state=1)
    source = ArrayDataSource([fastimg.ImageFileAccessor(table["path"]), table["label"]], seed=1)
    for images, labels in source.batch_iterator(8, shuffle=True):
        for image, label in zip(images, labels.tolist(), strict=True):
            assert np.array_equal(image, batch.images[label])


def test_a_split(pd):
    labels = pd.Series(np.arange(N) * 10)
    order = np.random.default_rng(0).permutation(N)
    train, valid = labels.iloc[order[:30]], labels.iloc[order[30:]]
    for part in (train, valid):
        check(part, [part.iloc[i] for i in range(len(part))], np.dtype("int64"))
    source = ArrayDataSource([labels[order]]).subset(order[:30])
    assert [n for (b,) in source.batch_iterator(4) for n in b.tolist()] == labels[order].iloc[
        order[:30]
    ].tolist()


def test_series_are_not_copied(pd):
    labels = pd.Series(np.arange(N))
    assert np.shares_memory(ArrayDataSource([labels])._arrays[0], labels.to_numpy())


def test_indexes_and_arrays(pd):
    check(pd.Index(NUMBERS), NUMBERS, np.dtype("int64"))
    check(pd.RangeIndex(5, 5 + N), list(range(5, 5 + N)), np.dtype("int64"))
    check(pd.array(NUMBERS, dtype="Int16"), NUMBERS, np.dtype("int16"))
    check(pd.Categorical(WORDS), WORDS, np.dtype(object))
    with pytest.raises(TypeError, match=r"^arrays\[0\], found MultiIndex"):
        ArrayDataSource([pd.MultiIndex.from_tuples([(1, 2), (3, 4)])])


TABLES = {
    "int": ({"a": np.arange(N), "b": np.arange(N) * 2}, "int64"),
    "int and float": ({"a": np.arange(N), "b": np.arange(N) / 3}, "float64"),
    "large int and float": ({"a": np.arange(N) + BIG, "b": np.arange(N) / 3}, object),
    "bool and int": ({"a": np.arange(N) > 5, "b": np.arange(N)}, "int64"),
    "text": ({"a": WORDS, "b": np.arange(N)}, object),
    "one": ({"a": np.arange(N)}, "int64"),
}


@pytest.mark.parametrize("name", TABLES)
def test_data_frames(pd, name):
    columns, dtype = TABLES[name]
    table = pd.DataFrame(columns).sample(frac=1, random_state=2)
    check(table, [np.array(list(row), object) for row in table.itertuples(index=False)], np.dtype(dtype))


def test_data_frames_of_nullable_columns(pd):
    table = pd.DataFrame({"a": NUMBERS, "b": NUMBERS[::-1]}, dtype="Int64").sample(frac=1, random_state=2)
    check(table, [row.to_numpy().tolist() for _, row in table.iterrows()], np.dtype("int64"))
    table = table.mask(table == 3)
    rows, dtype = batches_of(table)
    assert dtype.kind == "O"
    for row, expected in zip(rows, table.itertuples(index=False), strict=True):
        assert row.tolist() == [None if pd.isna(x) else x for x in expected]
    days = pd.DataFrame({"a": pd.to_datetime(["2020-01-02", "2020-01-03"]), "b": [1, 2]}, index=[1, 0])
    rows, _ = batches_of(days)
    assert [row.tolist() for row in rows] == [[pd.Timestamp(2020, 1, 2), 1], [pd.Timestamp(2020, 1, 3), 2]]


def test_labels_without_values():
    class Lazy:
        """A column that is indexed by label, and whose values must be computed first."""

        loc = None

        def __len__(self):
            return 3

        def __getitem__(self, index):
            raise AssertionError("by label")

    with pytest.raises(TypeError, match=r"^arrays\[1\], found Lazy, .*compute\(\)"):
        ArrayDataSource([np.arange(3), Lazy()])


# ---- Arrow and Polars --------------------------------------------------------------------------


@pytest.fixture
def pa():
    return pytest.importorskip("pyarrow")


MISSING = [None if n == 3 else n for n in NUMBERS]
ARROW = {
    "int": (NUMBERS, None, "int64"),
    "int with missing": ([None if n is None else n + BIG for n in MISSING], None, object),
    "uint8 with missing": (MISSING, "uint8", object),
    "float with missing": (MISSING, "float32", "float32"),
    "bool": ([n > 4 for n in NUMBERS], None, "bool"),
    "bool with missing": ([None if n is None else n > 4 for n in MISSING], None, object),
    "text": (WORDS, None, object),
    "text with missing": ([None, *WORDS[1:]], None, object),
    "ragged": ([[n] * n for n in NUMBERS], None, object),
    "structs": ([{"box": n} for n in NUMBERS], None, object),
    "nulls": ([None] * N, None, object),
}


@pytest.mark.parametrize("chunks", [0, 3])
@pytest.mark.parametrize("name", ARROW)
def test_arrow(pa, name, chunks):
    values, kind, dtype = ARROW[name]
    kind = kind and pa.type_for_alias(kind)
    labels = pa.array(values, kind)
    if chunks:
        labels = pa.chunked_array([values[:5], values[5:20], values[20:]], labels.type)
    assert labels.to_pylist() == values
    check(labels, values, np.dtype(dtype))
    check(labels[4:30], values[4:30], np.dtype(dtype))


@pytest.mark.parametrize("chunks", [0, 3])
def test_arrow_dictionaries(pa, chunks):
    # pyarrow's to_numpy takes a missing entry of a ChunkedArray for the last word of the dictionary.
    values = [None if i % 4 == 1 else word for i, word in enumerate(WORDS)]
    labels = pa.chunked_array([values[:5], values[5:]]) if chunks else pa.array(values)
    check(labels.dictionary_encode(), values, np.dtype(object))
    check(labels.dictionary_encode().take(list(range(N))[::-1]), values[::-1], np.dtype(object))


def test_arrow_fixed_size_lists(pa):
    values = [[n, n + 1] for n in NUMBERS]
    check(pa.array(values, pa.list_(pa.int32(), 2)), values, np.dtype("int32"))


def test_arrow_tables(pa):
    table = pa.table({"label": NUMBERS})
    for wrong in (table, table.to_batches()[0]):
        with pytest.raises(TypeError, match=r"^arrays\[1\], found (Table|RecordBatch), .* has columns"):
            ArrayDataSource([np.arange(N), wrong])
    check(table["label"], NUMBERS, np.dtype("int64"))


@pytest.mark.parametrize("name", ARROW)
def test_arrow_in_pandas(pd, pa, name):
    values, kind, dtype = ARROW[name]
    kind = kind and pa.type_for_alias(kind)
    labels = pd.Series(pd.arrays.ArrowExtensionArray(pa.chunked_array([pa.array(values, kind)])))
    order = np.random.default_rng(1).permutation(N)
    check(labels.iloc[order], [values[i] for i in order], np.dtype(dtype))


@pytest.mark.parametrize("name", ARROW)
def test_polars(name):
    pl = pytest.importorskip("polars")
    values, kind, dtype = ARROW[name]
    kinds = {"uint8": pl.UInt8, "float32": pl.Float32}
    check(pl.Series(values, dtype=kinds.get(kind)), values, np.dtype(dtype))


def test_polars_tables():
    pl = pytest.importorskip("polars")
    table = pl.DataFrame({"a": [BIG, 2, 3], "b": [None, 5, 6]})
    rows, dtype = batches_of(table)
    assert [row.tolist() for row in rows] == [list(row) for row in table.rows()] and dtype.kind == "O"
    check(table[1:], [[2, 5], [3, 6]], np.dtype("int64"))
    with pytest.raises(TypeError, match=r"^arrays\[0\] .*, found LazyFrame"):
        ArrayDataSource([table.lazy()])
