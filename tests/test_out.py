# SPDX-License-Identifier: BSD-3-Clause
"""The out= contract, the same for decode, load and the accessors' read_into."""

import ctypes
import itertools
import math

import numpy as np
import pytest
from support import jpegs
from support.jpegs import assert_same

import fastimg

DTYPES = ["uint8", "float32", "float16"]
PAD = 3


class Entry:
    """One way in: `call(out, **options)`, and what it must give."""

    def __init__(self, name):
        self.name = name
        self.data = [jpegs.jpeg(24, 31, kind, seed=i) for i, kind in enumerate(["4:2:0", "4:4:4", "4:0:0"])]

    def call(self, out, **options):
        if self.name == "decode":
            return fastimg.decode(self.data[0], out, **options)
        if self.name == "load":
            return fastimg.load(self.data, out, **options)
        return fastimg.ImageFileAccessor(self.data, **options).read_into([0, 1, 2], out)

    def expected(self, **options):
        images = [jpegs.reference(data, **options) for data in self.data]
        return images[0] if self.name == "decode" else np.stack(images)


@pytest.fixture(scope="module", params=["decode", "load", "read_into"])
def entry(request):
    return Entry(request.param)


@pytest.fixture(params=["CHW", "HWC"])
def layout(request):
    return request.param


def scatter(shape, steps, layout, dtype, fill):
    """An array full of `fill`, a view of `shape` inside it, and a mask of what is outside the view.

    `steps` are the strides, in elements, of the axes that may be strided: all but the last (CHW) or
    but the last two (HWC), whose pixels must be contiguous.
    """
    free = len(shape) - (1 if layout == "CHW" else 2)
    sizes, slices = [], []
    for length, step in zip(shape[:free], itertools.cycle(steps), strict=False):
        span = (length - 1) * abs(step) + 1
        sizes.append(span + 2 * PAD)
        slices.append(slice(PAD, PAD + span, step) if step > 0 else slice(PAD + span - 1, PAD - 1, step))
    if layout == "CHW":
        sizes.append(shape[-1] + 2 * PAD)
        slices.append(slice(PAD, PAD + shape[-1]))
    else:
        sizes += [shape[-2] + 2 * PAD, shape[-1]]
        slices.append(slice(PAD, PAD + shape[-2]))
    base = np.full(sizes, fill, dtype)
    outside = np.ones(sizes, bool)
    outside[tuple(slices)] = False
    view = base[tuple(slices)]
    assert view.shape == shape and np.shares_memory(view, base)
    return base, view, outside


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("steps", [(1,), (2,), (-1,), (-2, 1), (1, -1, 3), (3, 2, -1)], ids=str)
@pytest.mark.parametrize("fill", [0x5A, 0xA5])
def test_only_the_view_is_written(entry, layout, dtype, steps, fill):
    expected = entry.expected(layout=layout, dtype=dtype)
    base, view, outside = scatter(expected.shape, steps, layout, dtype, fill)
    assert entry.call(view, layout=layout, dtype=dtype) is view
    assert_same(view, expected)
    assert (base[outside] == np.dtype(dtype).type(fill)).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("crop", [None, (2, 3, 17, 13)])
def test_only_the_view_is_written_whatever_the_orientation(layout, orientation, crop):
    data = jpegs.oriented(jpegs.jpeg(24, 31), orientation)
    for dtype, flip in itertools.product(DTYPES, (False, True)):
        options = {"layout": layout, "dtype": dtype, "flip": flip, "crop": crop}
        expected = jpegs.reference(data, **options)
        base, view, outside = scatter(expected.shape, (-2, 3), layout, dtype, 0x5A)
        fastimg.decode(data, view, **options)
        assert_same(view, expected)
        assert (base[outside] == np.dtype(dtype).type(0x5A)).all()


@pytest.mark.parametrize("width", range(1, 70))
def test_no_row_is_written_past_its_end(layout, width):
    # A vector kernel's last store must not reach the next row or plane, not even to put it back.
    data = jpegs.jpeg(3, width)
    for dtype in DTYPES:
        expected = jpegs.reference(data, layout=layout, dtype=dtype)
        base, view, outside = scatter(expected.shape, (1,), layout, dtype, 0xA5)
        fastimg.decode(data, view, layout=layout, dtype=dtype)
        assert_same(view, expected)
        assert (base[outside] == np.dtype(dtype).type(0xA5)).all()


@pytest.mark.parametrize("strict", [True, False])
def test_a_failure_writes_nothing_outside_either(layout, strict):
    for data in (jpegs.truncated(jpegs.jpeg(24, 31)), jpegs.lost_sync(jpegs.restarts(24, 31))):
        shape = (3, 24, 31) if layout == "CHW" else (24, 31, 3)
        base, view, outside = scatter(shape, (2,), layout, "uint8", 0x5A)
        if strict:
            with pytest.raises(fastimg.JpegError):
                fastimg.decode(data, view, layout=layout)
        else:
            fastimg.decode(data, view, layout=layout, strict=False)
            image = jpegs.rgb_turbo(data)
            assert_same(view, image if layout == "HWC" else image.transpose(2, 0, 1))
        assert (base[outside] == 0x5A).all()


@pytest.mark.parametrize("offset", range(8))
@pytest.mark.parametrize("dtype", DTYPES)
def test_unaligned_memory(entry, layout, dtype, offset):
    expected = entry.expected(layout=layout, dtype=dtype)
    raw = np.full(expected.nbytes + 16, 0x5A, np.uint8)
    view = raw[offset : offset + expected.nbytes].view(dtype).reshape(expected.shape)
    entry.call(view, layout=layout, dtype=dtype)
    assert_same(view, expected)
    assert (raw[:offset] == 0x5A).all() and (raw[offset + expected.nbytes :] == 0x5A).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_memmap(entry, layout, dtype, tmp_path):
    expected = entry.expected(layout=layout, dtype=dtype)
    path = tmp_path / "out.npy"
    out = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=expected.shape)
    assert entry.call(out, layout=layout, dtype=dtype) is out
    out.flush()
    assert_same(np.load(path), expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_other_buffers(entry, layout, dtype):
    expected = entry.expected(layout=layout, dtype=dtype)
    memory = bytearray(expected.nbytes)
    code = np.dtype(dtype).char
    if code != "e":  # memoryview cannot cast to half floats
        out = memoryview(memory).cast(code, expected.shape)
        assert entry.call(out, layout=layout, dtype=dtype) is out
        assert bytes(memory) == expected.tobytes()
        out.release()
    memory.append(0)  # refused while anybody holds a view of it


@pytest.mark.parametrize(("dtype", "element"), [("uint8", ctypes.c_ubyte), ("float32", ctypes.c_float)])
def test_ctypes_array(entry, layout, dtype, element):
    # ctypes spells its formats with a byte order: "<B", "<f".
    expected = entry.expected(layout=layout, dtype=dtype)
    kind = element
    for length in reversed(expected.shape):
        kind = kind * length
    out = kind()
    assert entry.call(out, layout=layout, dtype=dtype) is out
    assert bytes(out) == expected.tobytes()


def test_array_subclass_is_returned_itself(entry):
    class Tagged(np.ndarray):
        pass

    out = np.empty(entry.expected().shape, np.uint8).view(Tagged)
    assert entry.call(out) is out
    assert_same(out.view(np.ndarray), entry.expected())


def test_out_may_be_named(entry):
    data, out = entry.data, np.empty((3, 24, 31), np.uint8)
    assert fastimg.decode(data[0], out=out) is out
    batch = np.empty((3, 3, 24, 31), np.uint8)
    assert fastimg.load(data, out=batch) is batch
    assert_same(batch[0], out)


def test_out_is_released(entry):
    out = bytearray(3 * 24 * 31)
    with pytest.raises((TypeError, ValueError)):
        entry.call(out)
    out.append(0)


# ---- refusals: always before anything is written -----------------------------------------------


def refused(entry, out, error, *texts, **options):
    keep = np.array(out, copy=True)
    with pytest.raises(error) as caught:
        entry.call(out, **options)
    for text in texts:
        assert text in str(caught.value)
    assert not isinstance(caught.value, fastimg.JpegError)
    np.testing.assert_array_equal(np.array(out), keep)


def wrong_shapes(shape):
    yield shape[:-1]
    yield (*shape, 1)
    yield (1, *shape)
    yield (math.prod(shape),)
    yield ()
    for axis in range(len(shape)):
        for change in (-1, 1, -shape[axis]):
            yield (*shape[:axis], shape[axis] + change, *shape[axis + 1 :])
    yield shape[::-1]


def test_wrong_shape(entry, layout):
    shape = entry.expected(layout=layout).shape
    for wrong in wrong_shapes(shape):
        if wrong != shape:
            refused(entry, np.full(wrong, 0x5A, np.uint8), ValueError, str(shape), str(wrong), layout=layout)


def test_other_layout_is_a_wrong_shape(entry):
    shape = entry.expected(layout="HWC").shape
    refused(entry, np.full(shape, 0x5A, np.uint8), ValueError, str(shape))


@pytest.mark.parametrize("wanted", DTYPES)
@pytest.mark.parametrize(
    "given", ["int8", "bool", "uint16", "int16", "int32", "float64", "complex64", *DTYPES]
)
def test_wrong_dtype(entry, wanted, given):
    if wanted != given:
        out = np.zeros(entry.expected().shape, given)
        refused(entry, out, TypeError, wanted, given, dtype=wanted)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_foreign_byte_order(entry, dtype):
    out = np.zeros(entry.expected().shape, np.dtype(dtype).newbyteorder())
    refused(entry, out, TypeError, dtype=dtype)


@pytest.mark.parametrize("given", ["S1", "V1", "u1,u1,u1", [("r", "u1")]], ids=str)
def test_strange_dtype(entry, given):
    refused(entry, np.zeros(entry.expected().shape, given), TypeError)


def test_objects_are_never_overwritten(entry):
    refused(entry, np.full(entry.expected().shape, None, object), TypeError)


def test_read_only(entry, tmp_path):
    shape = entry.expected().shape
    frozen = np.full(shape, 0x5A, np.uint8)
    frozen.flags.writeable = False
    refused(entry, frozen, ValueError, "read-only")
    path = tmp_path / "frozen.npy"
    np.save(path, frozen)
    refused(entry, np.load(path, mmap_mode="r"), ValueError, "read-only")
    refused(entry, memoryview(bytes(math.prod(shape))).cast("B", shape), ValueError, "read-only")


def scattered_rows(shape, layout):
    """Views of the right shape in which the pixels of a row do not lie side by side."""
    lead = shape[:-3]
    channels, rows, columns = shape[-3:] if layout == "CHW" else (shape[-1], *shape[-3:-1])
    yield np.full(shape[::-1], 0x5A, np.uint8).T
    if layout == "CHW":
        yield np.full((*lead, channels, rows, 2 * columns), 0x5A, np.uint8)[..., ::2]
        yield np.full(shape, 0x5A, np.uint8)[..., ::-1]
        # What image.transpose(2, 0, 1) gives.
        yield np.moveaxis(np.full((*lead, rows, columns, channels), 0x5A, np.uint8), -1, -3)
    else:
        yield np.full((*shape[:-1], 4), 0x5A, np.uint8)[..., :3]
        yield np.full(shape, 0x5A, np.uint8)[..., ::-1]
        yield np.full(shape, 0x5A, np.uint8)[..., ::-1, :]
        yield np.full((*lead, rows, 2 * columns, channels), 0x5A, np.uint8)[..., ::2, :]


def test_rows_that_are_not_contiguous(entry, layout):
    shape = entry.expected(layout=layout).shape
    for out in scattered_rows(shape, layout):
        assert out.shape == shape
        refused(entry, out, ValueError, "contiguous", layout=layout)


@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize("step", [0, 0.5, -0.5])
def test_out_that_overlaps_itself(entry, layout, axis, step):
    """What was written last would stand in more than one place."""
    expected = entry.expected(layout=layout)
    free = expected.ndim - (1 if layout == "CHW" else 2)
    axis %= free
    if expected.shape[axis] == 1:
        pytest.skip("one step alone cannot overlap")
    base = np.full(2 * expected.size, 0x5A, np.uint8)
    strides = list(expected.strides)
    strides[axis] = int(step * strides[axis])
    view = np.lib.stride_tricks.as_strided(base[expected.size :], expected.shape, strides)
    with pytest.raises(ValueError, match="out must not overlap itself"):
        entry.call(view, layout=layout)
    assert (base == 0x5A).all()


def test_planes_and_rows_may_lie_in_each_other(layout):
    """Rows of three planes in turns, and images side by side: no item is two."""
    data = [jpegs.jpeg(24, 31, seed=i) for i in range(3)]
    expected = fastimg.load(data, layout=layout)
    order = (2, 1, 0, 3) if layout == "CHW" else (1, 2, 0, 3)
    swapped = np.empty([expected.shape[i] for i in order[:-1]] + [expected.shape[3]], np.uint8)
    if layout == "CHW":
        view = swapped.transpose(np.argsort(order))
        assert_same(fastimg.load(data, view, layout=layout), expected)
    wide = np.empty((24, 3, 31, 3), np.uint8) if layout == "HWC" else np.empty((3, 24, 3, 31), np.uint8)
    view = wide.transpose(1, 0, 2, 3) if layout == "HWC" else wide.transpose(2, 0, 1, 3)
    assert_same(fastimg.load(data, view, layout=layout), expected)


def test_one_array_for_several_images():
    data = [jpegs.jpeg(24, 31, seed=i) for i in range(3)]
    images = fastimg.NonUniformImageFileAccessor(data)
    arrays = [np.empty((3, 24, 31), np.uint8) for _ in data]
    arrays[2] = arrays[0]
    with pytest.raises(ValueError, match="out must be different arrays, found one at 0 and at 2"):
        images.read_into([0, 1, 2], arrays)


@pytest.mark.parametrize(
    "out", [[1, 2, 3], "text", 5, object(), (1,), {}], ids=lambda out: type(out).__name__
)
def test_not_a_buffer(entry, out):
    with pytest.raises(TypeError, match=type(out).__name__):
        entry.call(out)


def test_bad_option_leaves_out_alone(entry):
    for option in ({"mode": "P"}, {"layout": "WHC"}, {"dtype": "float32", "std": 0}, {"crop": (0, 0, 1)}):
        shape = entry.expected().shape
        dtype = option.get("dtype", "uint8")
        refused(entry, np.full(shape, 0x5A, dtype), ValueError, **option)


def test_bad_source_leaves_out_alone():
    out = np.full((2, 3, 24, 31), 0x5A, np.uint8)
    with pytest.raises(TypeError, match="int"):
        fastimg.load([jpegs.jpeg(24, 31), 5], out)
    assert (out == 0x5A).all()


def test_read_into_of_the_non_uniform_accessor():
    data = [jpegs.jpeg(24, 31), jpegs.jpeg(9, 70, seed=1), jpegs.jpeg(50, 5, seed=2)]
    accessor = fastimg.NonUniformImageFileAccessor(data)
    order = [2, 0, 1, 2]
    parts = [scatter(jpegs.reference(data[i]).shape, (-2, 3), "CHW", "uint8", 0x5A) for i in order]
    outs = [view for _, view, _ in parts]
    assert accessor.read_into(order, outs) is outs
    for i, (base, view, outside) in zip(order, parts, strict=True):
        assert_same(view, jpegs.reference(data[i]))
        assert (base[outside] == 0x5A).all()


def test_read_into_of_the_non_uniform_accessor_refuses():
    data = [jpegs.jpeg(24, 31), jpegs.jpeg(9, 70, seed=1)]
    accessor = fastimg.NonUniformImageFileAccessor(data)

    def outs():
        return [np.full(jpegs.reference(d).shape, 0x5A, np.uint8) for d in data]

    for broken, error in (
        (outs()[::-1], ValueError),
        (outs()[:1], ValueError),
        ([*outs(), np.zeros((3, 4, 4), np.uint8)], ValueError),
        ([outs()[0], outs()[1].astype("float32")], TypeError),
        ([outs()[0], outs()[1][..., ::-1]], ValueError),
        ([outs()[0], "text"], TypeError),
    ):
        with pytest.raises(error):
            accessor.read_into([0, 1], broken)
        # All are checked before the first is written.
        arrays = [out for out in broken if isinstance(out, np.ndarray)]
        assert all((out == out.dtype.type(0x5A)).all() or out.shape == (3, 4, 4) for out in arrays)
