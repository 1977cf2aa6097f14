# SPDX-License-Identifier: BSD-3-Clause
"""batch_iterator(to="torch"): tensors that share memory with the arrays."""

import gc
import subprocess
import sys
import warnings
import weakref

import numpy as np
import pytest
from support.data_sources import Kept, N
from support.processes import child_env

import fastimg
from fastimg.data_source import ArrayDataSource

try:
    import torch
except ImportError:
    torch = None

with_torch = pytest.mark.skipif(torch is None, reason="torch is not installed")


class TwoViews(fastimg.ImageFileAccessor):
    """Batches are tuples of arrays, the second of the upper half of each image."""

    def _fill(self, batch, out):
        images = super()._fill(batch, out)
        height_axis = 1 if self._options.values["layout"] == "HWC" else 2
        return images, np.take(images, range(images.shape[height_axis] // 2), axis=height_axis)


def pointer(array):
    return array.__array_interface__["data"][0]


# ---- without PyTorch ---------------------------------------------------------------------------


@pytest.mark.parametrize("to", ["numpy", "torch"])
def test_without_torch(numbers, monkeypatch, to):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "fastimg.torch_batches", raising=False)
    monkeypatch.delattr(fastimg, "torch_batches", raising=False)
    if to == "numpy":
        assert type(next(numbers.batch_iterator(4, to=to))[0]) is np.ndarray
    else:
        with pytest.raises(ImportError, match=r'to="torch" needs PyTorch \(pip install torch\)'):
            numbers.batch_iterator(4, to=to)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"to": "jax"}, ValueError, "to must be"),
        ({"to": None}, TypeError, "to must be"),
        ({"pin_memory": 1}, TypeError, "pin_memory must be True or False"),
        ({"pin_memory": True}, ValueError, 'pin_memory=True pins tensors: it needs to="torch"'),
    ],
)
def test_what_is_refused(numbers, options, error, text):
    with pytest.raises(error, match=text):
        numbers.batch_iterator(4, **options)


def test_parts_of_several_views(batch, bad_files):
    paths = [*batch.paths[:3], bad_files["TruncatedJpegError"], *batch.paths[3:5]]
    source = ArrayDataSource([TwoViews(paths), np.arange(6)])
    with pytest.warns(UserWarning, match="1 of 6 samples"):
        ((views, labels),) = source.batch_iterator(6, on_error="drop")
    assert type(views) is tuple and labels.tolist() == [0, 1, 2, 4, 5]
    good = fastimg.ImageFileAccessor(batch.paths[:5])[:]
    assert (views[0] == good).all() and (views[1] == good[:, :, : good.shape[2] // 2]).all()


# ---- tensors -----------------------------------------------------------------------------------


@with_torch
@pytest.mark.parametrize("prefetch", [0, 2])
@pytest.mark.parametrize("reuse_buffers", [False, True])
def test_values(batch, mixed, prefetch, reuse_buffers):
    arrays = [
        fastimg.ImageFileAccessor(batch.paths[:19], dtype="float32", mean=0.5, std=0.25),
        fastimg.NonUniformImageFileAccessor(mixed.paths[:19]),
        np.arange(19, dtype=np.int16)[::-1],
        np.arange(19) % 3 == 0,
    ]
    source = ArrayDataSource(arrays, include_indices=True)
    options = {"prefetch": prefetch, "reuse_buffers": reuse_buffers, "include_mask": True}
    expected = list(source.batch_iterator(5, 8, include_mask=True))
    count = 0
    for numpys, tensors in zip(expected, source.batch_iterator(5, 8, to="torch", **options), strict=True):
        assert type(tensors) is tuple and len(tensors) == 6
        for array, tensor in zip(numpys, tensors, strict=True):
            pairs = zip(array, tensor, strict=True) if isinstance(array, list) else [(array, tensor)]
            for one, other in pairs:
                assert type(other) is torch.Tensor and (other.numpy() == one).all()
                assert other.numpy().dtype == one.dtype and other.shape == one.shape
                count += 1
    assert count == 4 * 5 + 19


@with_torch
@pytest.mark.parametrize(
    "dtype",
    ["?", "u1", "i1", "i2", "i4", "i8", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16", ">i4", ">f8"],
)
def test_dtypes(dtype):
    values = (np.arange(2 * N) % 100).reshape(N, 2).astype(dtype)
    kept = Kept(values)
    ((tensor,),) = ArrayDataSource([kept]).batch_iterator(N, to="torch", prefetch=0)
    native = np.dtype(dtype).newbyteorder("=")
    if not hasattr(torch, native.name):  # an older version
        assert type(tensor) is np.ndarray
        return
    assert tensor.dtype == getattr(torch, native.name)
    assert tensor.numpy().dtype == native and (tensor.numpy() == values).all()
    assert (tensor.data_ptr() == pointer(kept.given[0])) == np.dtype(dtype).isnative


@with_torch
@pytest.mark.parametrize("layout", ["CHW", "HWC"])
def test_bfloat16(batch, layout):
    pytest.importorskip("ml_dtypes")
    images = fastimg.ImageFileAccessor(batch.paths[:5], dtype="bfloat16", layout=layout)
    expected = images[:]
    ((tensor,),) = ArrayDataSource([images]).batch_iterator(5, to="torch")
    assert tensor.dtype == torch.bfloat16
    if layout == "HWC":
        expected = expected.transpose(0, 3, 1, 2)
    assert (tensor.float().numpy() == expected.astype(np.float32)).all()


@with_torch
@pytest.mark.parametrize(
    "values",
    [
        np.array([b"a", b"b"], object),
        np.array(["a", "b"]),
        np.array([b"a", b"b"]),
        np.array([1, 2], "M8[s]"),
        np.array([(1, 2.0), (3, 4.0)], "i4,f4"),
        np.array([1, 2], np.longdouble),
        np.ma.masked_array([1, 2], [True, False]),
    ],
    ids=lambda values: str(values.dtype),
)
def test_what_stays_an_array(values):
    ((found,),) = ArrayDataSource([Kept(values)]).batch_iterator(2, to="torch")
    assert type(found) is type(values) and found.dtype == values.dtype


class Strange:
    """An array-like whose batches cannot be shared."""

    def __init__(self, change):
        self.change = change

    def __len__(self):
        return N

    def __getitem__(self, indices):
        return self.change(np.stack([indices, indices + 100], 1))


def read_only(array):
    array.flags.writeable = False
    return array


@with_torch
@pytest.mark.parametrize(
    "change",
    [
        read_only,
        lambda array: array[::-1],
        lambda array: np.broadcast_to(array[:1], array.shape),
        lambda array: array.astype(">i8"),
        lambda array: np.asfortranarray(array),
        lambda array: np.rec.fromarrays([array[:, 0], array[:, 1].astype("i1")]).f0,
    ],
    ids=["read-only", "negative strides", "broadcast", "byte order", "Fortran", "odd strides"],
)
def test_arrays_that_cannot_be_shared(change):
    strange = Strange(change)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ((tensor,),) = ArrayDataSource([strange]).batch_iterator(N, to="torch")
    assert type(tensor) is torch.Tensor
    assert (tensor.numpy() == strange[np.arange(N)]).all()


@with_torch
def test_memory_is_shared_and_kept_alive(batch):
    kept = Kept(np.arange(2.0 * N).reshape(N, 2))
    images = fastimg.ImageFileAccessor(batch.paths[:N])
    batches = ArrayDataSource([images, kept]).batch_iterator(4, to="torch")
    pixels, tensor = next(batches)
    gone = weakref.ref(kept.given[0])
    assert tensor.data_ptr() == pointer(kept.given[0])
    batches.close()
    kept.given.clear()
    del batches
    gc.collect()
    assert gone() is not None
    assert (tensor.numpy() == kept.values[:4]).all() and (pixels.numpy() == images[:4]).all()
    del tensor
    gc.collect()
    assert gone() is None


@with_torch
@pytest.mark.parametrize("prefetch", [0, 3])
def test_buffers_are_used_again(batch, prefetch):
    images = fastimg.ImageFileAccessor(batch.paths)
    source = ArrayDataSource([images, np.arange(len(images))], repeats=3)
    seen = [set(), set()]
    for pixels, labels in source.batch_iterator(3, prefetch=prefetch, reuse_buffers=True, to="torch"):
        assert (pixels.numpy() == images[labels.numpy()]).all()
        seen[0].add(pixels.data_ptr())
        seen[1].add(labels.data_ptr())
    assert [len(each) for each in seen] == [prefetch + 2] * 2


@with_torch
def test_channels_last(batch, mixed):
    options = {"layout": "HWC", "dtype": "float32"}
    images = fastimg.ImageFileAccessor(batch.paths[:5], **options)
    arrays = [
        images,
        fastimg.NonUniformImageFileAccessor(mixed.paths[:5], **options),
        fastimg.ImageFileAccessor(batch.paths[:5], **options).random_resized_crop(8, seed=3),
        np.zeros((5, 2, 2, 3), np.float32),
    ]
    ((pixels, listed, crops, zeros),) = ArrayDataSource(arrays).batch_iterator(5, to="torch")
    channel_first = fastimg.ImageFileAccessor(batch.paths[:5], dtype="float32")[:]
    assert (pixels.numpy() == channel_first).all()
    assert pixels.is_contiguous(memory_format=torch.channels_last) and not pixels.is_contiguous()
    assert crops.shape == (5, 3, 8, 8) and crops.is_contiguous(memory_format=torch.channels_last)
    for tensor, array in zip(listed, arrays[1][:], strict=True):
        assert (tensor.numpy() == array.transpose(2, 0, 1)).all() and tensor.stride()[0] == 1
    assert zeros.shape == (5, 2, 2, 3)  # what is no accessor has no layout


@with_torch
def test_views_and_subclasses(batch):
    class Labelled(fastimg.ImageFileAccessor):
        def __getitem__(self, index):
            return super().__getitem__(index)

    options = {"layout": "HWC"}
    arrays = [TwoViews(batch.paths[:5], **options), Labelled(batch.paths[:5], **options)]
    ((views, pixels),) = ArrayDataSource(arrays).batch_iterator(5, to="torch")
    plain = fastimg.ImageFileAccessor(batch.paths[:5])[:]
    assert type(views) is tuple and (views[0].numpy() == plain).all()
    assert (views[1].numpy() == plain[:, :, : plain.shape[2] // 2]).all()
    assert views[1].stride()[1] == 1
    assert pixels.shape == (5, *plain.shape[2:], 3)  # it may have changed them


@with_torch
def test_functions_get_tensors(batch):
    def change(pixels, labels):
        assert type(pixels) is type(labels) is torch.Tensor
        halves = {"pixels": pixels / 2, "labels": labels, "more": [labels.numpy() + 1, "text", 3]}
        return halves, np.ones(2)

    images = fastimg.ImageFileAccessor(batch.paths[:5], layout="HWC")
    source = ArrayDataSource([images, np.arange(5)]).map(change)
    ((found, ones),) = source.batch_iterator(5, to="torch")
    assert found["pixels"].shape[1] == 3 and found["pixels"].dtype == torch.float32
    assert found["more"][0].tolist() == [1, 2, 3, 4, 5] and found["more"][1:] == ["text", 3]
    assert type(found["more"][0]) is type(ones) is torch.Tensor


@with_torch
def test_dropped_and_masked(batch, bad_files):
    paths = [*batch.paths[:3], bad_files["TruncatedJpegError"], *batch.paths[3:5]]
    source = ArrayDataSource([fastimg.ImageFileAccessor(paths), np.arange(6)], include_indices=True)
    with pytest.warns(UserWarning):
        (dropped,) = source.batch_iterator(6, on_error="drop", include_mask=True, to="torch")
        (filled,) = source.batch_iterator(6, on_error="fill", include_mask=True, to="torch")
    assert [part.tolist() for part in (dropped[0], *dropped[2:])] == [[0, 1, 2, 4, 5]] * 2 + [[True] * 5]
    assert len(dropped[1]) == 5
    assert filled[3].tolist() == [True, True, True, False, True, True] and filled[3].dtype == torch.bool


def test_torch_is_imported_only_then():
    code = (
        "import sys, numpy as np, fastimg.data_source as d\n"
        "list(d.ArrayDataSource([np.arange(3)]).batch_iterator(2))\n"
        "print('torch' in sys.modules)"
    )
    out = subprocess.check_output([sys.executable, "-P", "-c", code], env=child_env(), text=True)
    assert out.split() == ["False"]


# ---- TorchIterable -----------------------------------------------------------------------------


@with_torch
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("workers", [0, 2])
def test_torch_iterable(batch, workers):
    pytest.importorskip("ml_dtypes")
    from fastimg.data_source import TorchIterable

    images = fastimg.ImageFileAccessor(batch.paths[:N], layout="HWC", dtype="bfloat16")
    dataset = TorchIterable(ArrayDataSource([images, np.arange(N)]), 5, shuffle=False, to="torch")
    context = {"multiprocessing_context": "fork"} if workers else {}
    loader = torch.utils.data.DataLoader(dataset, batch_size=None, num_workers=workers, **context)
    expected = torch.from_numpy(images[:].astype(np.float32)).permute(0, 3, 1, 2)
    found = list(loader)
    assert all(pixels.is_contiguous(memory_format=torch.channels_last) for pixels, _ in found)
    assert found[0][0].dtype == torch.bfloat16
    assert torch.equal(torch.cat([pixels for pixels, _ in found]).float(), expected)
    with pytest.raises(ValueError, match="to must be"):
        TorchIterable(ArrayDataSource([images]), 5, to="jax")
