# SPDX-License-Identifier: BSD-3-Clause
"""Images in Arrow columns: of every layout, sliced, in chunks, with nulls; not copied; pickled; from files."""

import multiprocessing
import pickle
import types

import numpy as np
import pytest

import fastimg

pa = pytest.importorskip("pyarrow")

# Lengths up to and around the 12 bytes that a view holds itself, and some to lie in a buffer.
DATA = [bytes([65 + i]) * size for i, size in enumerate((5, 12, 13, 0, 11, 100, 1, 4000, 14, 30))]
NULLS = [None if i in (0, 4, 9) else data for i, data in enumerate(DATA)]
VIEWS = hasattr(pa, "binary_view")
TYPES = [pa.binary(), pa.large_binary(), *([pa.binary_view()] if VIEWS else [])]


def array_of(values, kind):
    # Not every release of pyarrow makes views from Python objects.
    return pa.array(values, pa.binary()).cast(kind)


def struct_of(values, paths, kind=None):
    return pa.StructArray.from_arrays(
        [array_of(values, kind or pa.binary()), pa.array(paths)], ["bytes", "path"]
    )


def read_all(sources):
    return [bytes(sources.read(i)) for i in range(len(sources))]


def is_null(sources, index):
    with pytest.raises(ValueError, match=rf"^column\[{index}\]: expected the bytes of an image, found null$"):
        sources.read(index)
    return True


def check(sources, expected):
    """Bytes, sizes and nulls are those expected."""
    assert len(sources) == len(expected)
    for i, data in enumerate(expected):
        if data is None:
            assert is_null(sources, i) and sources.nbytes(i) == -1
        else:
            assert bytes(sources.read(i)) == data and sources.nbytes(i) == len(data)
    with pytest.raises(IndexError):
        sources.read(len(expected))


# ---- layouts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [DATA, NULLS], ids=["all", "nulls"])
@pytest.mark.parametrize("kind", TYPES, ids=str)
class TestLayouts:
    def test_array(self, kind, values):
        check(fastimg.arrow_sources(array_of(values, kind)), values)

    def test_every_slice(self, kind, values):
        array = array_of(values, kind)
        for start in range(len(values) + 1):
            for end in range(start, len(values) + 1):
                check(fastimg.arrow_sources(array[start:end]), values[start:end])

    def test_slice_of_a_slice_in_chunks(self, kind, values):
        array = array_of(values, kind)
        column = pa.chunked_array([array[1:4], array[:0], array[4:9][1:], array[9:]])
        expected = [*values[1:4], *values[5:9], *values[9:]]
        check(fastimg.arrow_sources(column), expected)
        check(fastimg.arrow_sources(column[2:7]), expected[2:7])

    def test_struct(self, kind, values):
        column = struct_of(values, [None] * 10, kind)
        check(fastimg.arrow_sources(column), values)
        for start in range(10):
            check(fastimg.arrow_sources(column[start:]), values[start:])

    def test_struct_that_is_null_itself(self, kind, values):
        mask = pa.array([i % 3 == 1 for i in range(10)])
        fields = [array_of(values, kind), pa.array(["x"] * 10)]
        column = pa.StructArray.from_arrays(fields, ["bytes", "unused"], mask=mask)
        expected = [None if i % 3 == 1 else data for i, data in enumerate(values)]
        check(fastimg.arrow_sources(column), expected)
        check(fastimg.arrow_sources(column[2:9]), expected[2:9])
        again = pickle.loads(pickle.dumps(fastimg.arrow_sources(column[2:9])))
        check(again, expected[2:9])


def test_table():
    table = pa.table({"label": range(10), "image": DATA})
    assert read_all(fastimg.arrow_sources(table, "image")) == DATA
    assert read_all(fastimg.arrow_sources(table.to_batches()[0], "image")) == DATA
    assert read_all(fastimg.arrow_sources(table["image"])) == DATA
    assert fastimg.arrow_sources(table, "image").name(3) == "image[3]"
    with pytest.raises(KeyError):
        fastimg.arrow_sources(table, "picture")


def test_empty():
    for column in (
        pa.array([], pa.binary()),
        pa.chunked_array([], pa.binary()),
        array_of(DATA, pa.binary())[:0],
    ):
        check(fastimg.arrow_sources(column), [])


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.int64(), pa.struct([("path", pa.string())]), pa.list_(pa.binary())]
)
def test_other_types(kind):
    with pytest.raises(TypeError, match="expected a column of type binary"):
        fastimg.arrow_sources(pa.array([None, None], kind))


@pytest.mark.parametrize("wrong", [5, b"data", [5], {"image": 5}, None])
def test_not_a_column(wrong):
    with pytest.raises(TypeError, match="found"):
        fastimg.arrow_sources(wrong)


def test_polars():
    polars = pytest.importorskip("polars")
    series = polars.Series("image", NULLS)
    check(fastimg.arrow_sources(series), NULLS)
    check(fastimg.arrow_sources(series[3:]), NULLS[3:])
    structs = polars.Series([{"bytes": data, "path": None} for data in NULLS])
    check(fastimg.arrow_sources(structs), NULLS)
    assert fastimg.arrow_sources(polars.DataFrame({"x": series}), "x").name(2) == "x[2]"


def test_dataset_column():
    """What a Hugging Face dataset has: a table, an order, and columns that know both."""
    table = pa.table({"image": struct_of(DATA, [None] * 10)})
    order = pa.table({"indices": pa.array([7, 2, 2, 0], pa.uint64())})
    for indices, expected in ((None, DATA), (order, [DATA[i] for i in (7, 2, 2, 0)])):
        dataset = types.SimpleNamespace(data=table, _indices=indices)
        column = types.SimpleNamespace(source=dataset, column_name="image")
        for sources in (fastimg.arrow_sources(dataset, "image"), fastimg.arrow_sources(column)):
            check(sources, expected)
            check(pickle.loads(pickle.dumps(sources)), expected)


def test_hugging_face():
    datasets = pytest.importorskip("datasets")
    rows = [{"bytes": data, "path": None} for data in DATA]
    dataset = datasets.Dataset.from_dict({"image": rows}).cast_column("image", datasets.Image())
    assert read_all(fastimg.arrow_sources(dataset["image"])) == DATA
    shuffled = dataset.shuffle(seed=1).select(range(4))
    expected = [DATA[i] for i in shuffled._indices.column(0).to_pylist()]
    assert read_all(fastimg.arrow_sources(shuffled, "image")) == expected


# ---- memory --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_no_copy(kind):
    array = array_of(DATA, kind)
    buffers = [(each.address, each.address + each.size) for each in array.buffers() if each is not None]
    before = pa.total_allocated_bytes()
    sources = fastimg.arrow_sources(array)
    for i, data in enumerate(DATA):
        view = sources.read(i)
        assert isinstance(view, memoryview) and view.format == "B"
        if data:
            start = np.frombuffer(view, np.uint8).__array_interface__["data"][0]
            assert any(low <= start and start + len(data) <= high for low, high in buffers)
    assert pa.total_allocated_bytes() == before


def test_a_view_keeps_the_memory():
    view = fastimg.arrow_sources(pa.array(DATA)).read(7)
    assert bytes(view) == DATA[7]


# ---- paths ---------------------------------------------------------------------------------------


def test_paths(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"from a file")
    column = struct_of([b"here", None, None, None], ["b.jpg", str(path), str(tmp_path / "no.jpg"), None])
    sources = fastimg.arrow_sources(column[0:])
    names = [sources.name(i) for i in range(4)]
    assert names == ["b.jpg", str(path), str(tmp_path / "no.jpg"), "column[3]"]
    assert sources.read(0) == b"here" and sources.read(1) == b"from a file"
    assert [sources.nbytes(i) for i in range(4)] == [4, -1, -1, -1]
    with pytest.raises(FileNotFoundError) as caught:
        sources.read(2)
    assert caught.value.filename == names[2]
    assert is_null(sources, 3)
    assert fastimg.arrow_sources(column[1:]).read(0) == b"from a file"


def test_path_that_is_a_url():
    fsspec = pytest.importorskip("fsspec")
    fsspec.filesystem("memory").pipe("/arrow/a.jpg", b"from a URL")
    sources = fastimg.arrow_sources(struct_of([None], ["memory://arrow/a.jpg"]))
    assert sources.read(0) == b"from a URL" and sources.nbytes(0) == -1


# ---- files and processes -------------------------------------------------------------------------


@pytest.fixture(params=["parquet", "arrow", "stream"])
def files(request, tmp_path):
    """Two files of one column, and what is in it."""
    pytest.importorskip("pyarrow.parquet")
    paths = []
    for i, values in enumerate((DATA[:6], NULLS[6:])):
        table = pa.table({"label": range(len(values)), "image": struct_of(values, [None] * len(values))})
        paths.append(tmp_path / f"{i}.data")
        if request.param == "parquet":
            pa.parquet.write_table(table, paths[-1], row_group_size=2)
            continue
        new = {"arrow": pa.ipc.new_file, "stream": pa.ipc.new_stream}[request.param]
        with new(paths[-1], table.schema) as writer:
            writer.write_table(table, max_chunksize=4)
    return paths


EXPECTED = DATA[:6] + NULLS[6:]


def test_files(files):
    sources = fastimg.arrow_sources(files, "image")
    assert [sources.nbytes(i) for i in range(10)] == [-1 if data is None else len(data) for data in EXPECTED]
    assert (
        read_all(sources)[:9] if EXPECTED[9] else [bytes(sources.read(i)) for i in range(9)] == EXPECTED[:9]
    )
    assert len(fastimg.arrow_sources(str(files[0]), "image")) == 6
    pickled = pickle.dumps(sources)
    assert len(pickled) < 500 and DATA[5] not in pickled
    again = pickle.loads(pickled)
    assert [bytes(again.read(i)) for i in range(9)] == EXPECTED[:9]
    with pytest.raises(ValueError, match=r"image\[9\]: .*null"):
        again.read(9)


def test_file_errors(files, tmp_path):
    with pytest.raises(ValueError, match="column"):
        fastimg.arrow_sources(files)
    with pytest.raises(KeyError):
        fastimg.arrow_sources(files, "picture")
    with pytest.raises(FileNotFoundError):
        fastimg.arrow_sources(tmp_path / "no.parquet", "image")
    for data in (b"", b"PAR1 is not all", b"ARROW1 is not all", b"neither"):
        (tmp_path / "bad").write_bytes(data)
        with pytest.raises((ValueError, OSError)):
            fastimg.arrow_sources(tmp_path / "bad", "image")


def _read_in_child(sources, connection):
    connection.send(read_all(sources))


def _load_in_child(accessor, connection):
    def refuse(self):
        raise AssertionError("the data was pickled")

    type(accessor._sources.readers[0]._reader).__reduce__ = refuse
    connection.send(accessor[[2, 0]])


def test_a_fork_shares_the_memory(batch):
    accessor = fastimg.ImageFileAccessor(fastimg.arrow_sources(pa.array(batch.data)))
    expected = accessor[[2, 0]]
    mine, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=_load_in_child, args=(accessor, theirs))
    child.start()
    theirs.close()
    assert mine.poll(60)
    np.testing.assert_array_equal(mine.recv(), expected)
    child.join(60)
    assert child.exitcode == 0


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes(method):
    context = multiprocessing.get_context(method)
    mine, theirs = context.Pipe()
    sources = fastimg.arrow_sources(pa.chunked_array([DATA, DATA[3:]]))
    child = context.Process(target=_read_in_child, args=(sources, theirs))
    child.start()
    theirs.close()
    assert mine.poll(60)
    assert mine.recv() == DATA + DATA[3:]
    child.join(60)
    assert child.exitcode == 0


def test_pixels(batch):
    column = pa.chunked_array([batch.data[:20], [*batch.data[20:], None, b"not a JPEG"]])
    failures = []
    images = fastimg.load(fastimg.arrow_sources(column), on_error=failures.append, size=(24, 31))
    np.testing.assert_array_equal(images[: len(batch.data)], fastimg.load(batch.paths, size=(24, 31)))
    assert [(type(error), error.index, error.source) for error in failures] == [
        (ValueError, 37, "column[37]"),
        (fastimg.UnsupportedJpegError, 38, "column[38]"),
    ]
    accessor = fastimg.ImageFileAccessor(fastimg.arrow_sources(column[:37]))
    np.testing.assert_array_equal(accessor[[3, 30]], fastimg.load([batch.paths[3], batch.paths[30]]))
