# SPDX-License-Identifier: BSD-3-Clause
"""batch_iterator(to="torch", pin_memory=True): tensors in pinned memory."""

import numpy as np
import pytest
from support.data_sources import Kept, N

import fastimg
from fastimg.data_source import ArrayDataSource

torch = pytest.importorskip("torch")

without_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="has CUDA")


@without_cuda
def test_without_cuda_it_warns_and_goes_on(numbers):
    with pytest.warns(UserWarning, match="pin_memory=True has no effect: PyTorch finds no CUDA") as caught:
        batches = numbers.batch_iterator(4, to="torch", pin_memory=True)
    assert len(caught) == 1 and caught[0].filename == __file__
    assert next(batches)[0].tolist() == [0, 1, 2, 3]


def test_workers_do_not_pin(numbers, monkeypatch):
    monkeypatch.setattr(torch.utils.data, "get_worker_info", lambda: type("info", (), {"id": 1}))
    with pytest.raises(ValueError, match="give pin_memory=True to the DataLoader"):
        numbers.batch_iterator(4, to="torch", pin_memory=True)


@pytest.fixture
def pinned(monkeypatch):
    """Whether a tensor is pinned: truly where there is CUDA, else by a fake that remembers the memory."""
    if torch.cuda.is_available():
        return torch.Tensor.is_pinned
    made, copied = [], []
    batches = pytest.importorskip("fastimg.torch_batches")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)

    def allocate(nbytes):
        made.append(torch.empty(nbytes, dtype=torch.uint8))
        return made[-1]

    def is_pinned(tensor):
        address = tensor.untyped_storage().data_ptr()
        return any(each.untyped_storage().data_ptr() == address for each in made + copied)

    def pin_memory(tensor):
        if is_pinned(tensor):
            return tensor
        copied.append(tensor.clone())
        return copied[-1]

    monkeypatch.setattr(batches, "_allocate_pinned", allocate)
    monkeypatch.setattr(torch.Tensor, "pin_memory", pin_memory)
    is_pinned.made, is_pinned.copied = made, copied
    return is_pinned


@pytest.mark.parametrize("reuse_buffers", [False, True])
@pytest.mark.parametrize("layout", ["CHW", "HWC"])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "bfloat16"])
def test_pinned_batches(batch, pinned, reuse_buffers, layout, dtype):
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    images = fastimg.ImageFileAccessor(batch.paths[:N], layout=layout, dtype=dtype)
    source = ArrayDataSource([images, np.arange(N), np.array(["a"] * N)], include_indices=True)
    options = {"reuse_buffers": reuse_buffers, "pin_memory": True, "to": "torch"}
    addresses = set()
    batches = source.batch_iterator(4, prefetch=1, **options)
    kept = []
    for indices, pixels, labels, text in batches:
        assert all(map(pinned, (indices, pixels, labels))) and type(text) is np.ndarray
        assert pixels.shape[1] == 3 and pixels.dtype == getattr(torch, dtype)
        expected = images[indices.numpy()].astype(np.float32)
        expected = expected if layout == "CHW" else expected.transpose(0, 3, 1, 2)
        assert (pixels.float().numpy() == expected).all()
        assert (labels == indices).all()
        addresses.add(pixels.data_ptr())
        kept.append((pixels, pixels.clone()))
    assert len(addresses) == (3 if reuse_buffers else 6)
    if hasattr(pinned, "made"):  # images and labels were written there; indices alone are copied
        assert len(pinned.made) == 2 * (3 if reuse_buffers else 6)
        assert all(each.dtype == torch.int64 for each in pinned.copied) and len(pinned.copied) == 6
    if not reuse_buffers:
        assert all(torch.equal(one, other) for one, other in kept)


def test_what_is_pinned_by_a_copy(batch, mixed, pinned):
    arrays = [fastimg.NonUniformImageFileAccessor(mixed.paths[:5]), Kept(np.arange(5))]
    source = ArrayDataSource(arrays).map(lambda listed, kept: (listed, kept, np.ones(3)))
    ((listed, kept, ones),) = source.batch_iterator(5, to="torch", pin_memory=True)
    assert all(map(pinned, (*listed, kept, ones)))
