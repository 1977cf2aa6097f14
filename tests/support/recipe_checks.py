# SPDX-License-Identifier: BSD-3-Clause
"""What each recipe must have done: a function per section of docs/recipes.md, which gets the recipe's names.

The photos are those of `support.recipes`; `paths`, `labels` and `classes` are the page's.
"""

import math

import numpy as np

import fastimg
from fastimg.data_source import ArrayDataSource
from support.jpegs import assert_same

CHECKS = {}


def checks(title):
    def add(function):
        CHECKS[title] = lambda page: function(page, page["paths"], page["labels"])
        return function

    return add


def assert_labelled(batches, count):
    """As many samples as there are, in batches of at most 8 images of uint8; returns all images and labels."""
    images, labels = (
        np.concatenate([np.asarray(part) for part in parts]) for parts in zip(*batches, strict=True)
    )
    assert len(images) == len(labels) == count
    assert all(len(x) == len(y) <= 8 for x, y in batches)
    return images, labels


def assert_cropped(images, view, paths, indices, **options):
    """The images are the crops that the view draws."""
    crops, flips = view.boxes(indices)
    expected = fastimg.load([paths[i] for i in indices], crop=crops, flip=flips, **options)
    assert_same(np.asarray(images), expected)


def as_multiset(images, labels):
    return sorted((int(label), image.tobytes()) for image, label in zip(images, labels, strict=True))


@checks("torchvision ImageFolder")
def _(page, paths, labels):
    import torch
    from torchvision.datasets.folder import default_loader

    dataset = page["dataset"]
    assert dataset.samples == list(zip(paths, labels.tolist(), strict=True))
    for _epoch in range(2):
        batches = list(page["loader"])
        x, y = assert_labelled(batches, len(paths))
        assert x.shape[1:] == (3, 224, 224) and x.dtype == np.float32 and 0.5 < x.max() <= 1
        assert np.bincount(y).tolist() == np.bincount(labels).tolist()
    dataset.transform = None
    plain = torch.utils.data.DataLoader(dataset, batch_size=8, num_workers=2)  # in workers
    x, y = assert_labelled(list(plain), len(paths))
    assert_same(x, fastimg.load(paths, size=256))
    assert_same(y, labels)
    assert_same(fastimg.decode(paths[0], layout="HWC"), np.asarray(default_loader(paths[0])))
    png = page["load_image"]("drawing.png").numpy()
    assert_same(png, fastimg.decode("drawing.png", size=256, fallback="pillow"))


@checks("torchvision transforms v2")
def _(page, paths, labels):
    import torch

    assert page["x"].shape == (8, 3, 224, 224) and page["x"].dtype == torch.float32
    assert page["y"].shape == (8, 2) and torch.allclose(page["y"].sum(1), torch.ones(8))
    images = page["images"]
    for epoch in range(2):
        view = images.with_epoch(epoch)
        x, y = next(page["source"].batch_iterator(8, epoch=epoch, to="torch"))
        assert_cropped(x, view, paths, list(range(8)), size=224)
        assert_same(y.numpy(), labels[:8])
        crops, flips = view.boxes(list(range(8)))
        floats = {"dtype": "float32", "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
        expected = fastimg.load(paths[:8], size=224, crop=crops, flip=flips, **floats)
        np.testing.assert_allclose(page["augment"](x), expected, atol=1e-5)
    assert not np.array_equal(images.with_epoch(0)[:8], images.with_epoch(1)[:8])


@checks("Hugging Face datasets: with_transform")
def _(page, paths, labels):
    import torch

    expected = as_multiset(fastimg.load(paths, size=224), labels)
    for _epoch in range(2):  # in workers
        batches = [(batch["image"], batch["label"]) for batch in page["loader"]]
        assert all(x.dtype == torch.uint8 for x, _ in batches)
        assert as_multiset(*assert_labelled(batches, len(paths))) == expected
    assert_same(page["decoded"][5]["image"].numpy(), fastimg.decode(paths[5], size=224))


@checks("Hugging Face datasets: the Arrow column")
def _(page, paths, labels):
    import datasets
    from torch.utils.data import DataLoader

    from fastimg.data_source import TorchIterable

    rows = page["photos"].cast_column("image", datasets.Image(decode=False))
    order = [paths.index(_relative(row["image"]["path"], paths)) for row in rows]
    assert sorted(order) == list(range(len(paths))) != order
    shuffled = [paths[i] for i in order]
    images, source = page["images"], page["source"]
    assert_cropped(images[:8], images, shuffled, list(range(8)), size=224)
    loader = DataLoader(TorchIterable(source, batch_size=8), batch_size=None, num_workers=2)
    loader.dataset.set_epoch(3)
    x, y = assert_labelled(list(loader), len(paths))
    again = assert_labelled(list(source.batch_iterator(8, shuffle=True, epoch=3)), len(paths))
    assert_same(x, again[0])
    assert_same(y, again[1])
    in_order = [label for _, batch in source.batch_iterator(8, epoch=0) for label in batch]
    assert in_order == [labels[i] for i in order]


def _relative(path, paths):
    """The path of the list that ends this absolute one."""
    return next(own for own in paths if path.endswith(own))


@checks("WebDataset")
def _(page, paths, labels):
    expected = as_multiset(fastimg.load(paths, size=224), labels)
    for _epoch in range(2):  # in a worker
        batches = [(x.numpy(), y.numpy()) for x, y in page["loader"]]
        assert as_multiset(*assert_labelled(batches, len(paths))) == expected


@checks("Keras 3")
def _(page, paths, labels):
    losses = page["history"].history["loss"]
    assert len(losses) == 2 and all(map(math.isfinite, losses))
    batch, numbers = next(iter(page["source"].batch_iterator(8, epoch=0)))
    assert_cropped(batch, page["images"].with_epoch(0), paths, list(range(8)), size=64, layout="HWC")
    assert_same(numbers, labels[:8])
    first, second = page["model"].layers[:2]
    seen = page["keras"].ops.convert_to_numpy(second(first(batch)))
    np.testing.assert_allclose(seen, batch.mean(axis=(1, 2)) / 255, rtol=1e-5)
    # What the page says of an accessor as x.
    plain = fastimg.ImageFileAccessor(paths, size=64, layout="HWC")
    again = page["model"].fit(plain, labels, batch_size=8, verbose=0)
    assert math.isfinite(again.history["loss"][0])


@checks("JAX")
def _(page, paths, labels):
    import jax

    assert isinstance(page["x"], jax.Array) and page["x"].shape == (8, 64, 64, 3)
    assert page["x"].dtype == np.float32
    order = page["source"].batch_iterator(8, shuffle=True, drop_last=True, epoch=1)  # the last one, again
    x, y = list(order)[-1]
    np.testing.assert_allclose(page["x"], (x / 255 - 0.5) / 0.25, atol=1e-6)
    assert_same(np.asarray(page["y"]), y.astype(page["y"].dtype))
    view = page["images"].with_epoch(1)
    batch = next(iter(page["source"].batch_iterator(8, epoch=1)))[0]
    assert_cropped(batch, view, paths, list(range(8)), size=64, layout="HWC")


@checks("Lightning DataModule")
def _(page, paths, labels):
    import lightning
    import torch

    class Mean(lightning.LightningModule):
        """A line through the mean colour; keeps what it is given."""

        def __init__(self):
            super().__init__()
            self.line = torch.nn.Linear(3, 2)
            self.epochs = [[], []]

        def training_step(self, batch, _):
            self.epochs[self.current_epoch].append(batch)
            return torch.nn.functional.cross_entropy(self.line(batch[0].mean(dim=(2, 3))), batch[1])

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    model, photos = Mean(), page["Photos"]()
    trainer = lightning.Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
    )
    trainer.fit(model, datamodule=photos)
    first, second = (assert_labelled(epoch, len(paths)) for epoch in model.epochs)
    for x, y in (first, second):
        assert x.shape[1:] == (3, 64, 64) and x.dtype == np.float32
        assert sorted(y) == sorted(labels)
    assert as_multiset(*first) != as_multiset(*second)

    photos.train.set_epoch(5)
    x, y = assert_labelled(list(photos.train_dataloader()), len(paths))  # in workers
    view = fastimg.ImageFileAccessor(paths, dtype="float32").random_resized_crop(64, seed=1)
    source = ArrayDataSource([view, labels], seed=1)
    expected = assert_labelled(list(source.batch_iterator(8, shuffle=True, epoch=5)), len(paths))
    assert_same(x, expected[0])
    assert_same(y, expected[1])


@checks("Ray Data")
def _(page, paths, labels):
    rows = page["decoded"].take_all()
    page["ray"].shutdown()
    assert [row["path"] for row in rows] == paths
    assert [row["label"] for row in rows] == labels.tolist()
    assert_same(np.stack([row["image"] for row in rows]), fastimg.load(paths, size=224))


@checks("Dask")
def _(page, paths, labels):
    pixels = fastimg.load(paths, size=64)
    np.testing.assert_allclose(page["mean"], pixels.mean(axis=(0, 2, 3)))
    np.testing.assert_allclose(page["std"], pixels.std(axis=(0, 2, 3)))
    assert_same(page["lazy"][3:9].compute(), pixels[3:9])


@checks("NumPy memmap")
def _(page, paths, labels):
    pixels = fastimg.load(paths, size=224)
    assert_same(np.load("pixels.npy"), pixels)
    order = page["source"].batch_iterator(8, shuffle=True, epoch=1)  # the second epoch, again
    x, y = list(order)[-1]
    assert_same(page["x"], x)
    assert_same(page["y"], y)
    everything = assert_labelled(list(page["source"].batch_iterator(8, shuffle=True)), len(paths))
    assert as_multiset(*everything) == as_multiset(pixels, labels)


@checks("pandas")
def _(page, paths, labels):
    table, wide = page["table"], page["wide"]
    assert table["path"].tolist() == paths and len(wide) < len(table)
    sizes = {path: fastimg.decode(path).shape[1:] for path in paths}
    assert [sizes[path] for path in paths] == list(zip(table["height"], table["width"], strict=True))
    chosen = [path for path in paths if sizes[path][1] > sizes[path][0]]
    assert sorted(wide["path"]) == chosen != wide["path"].tolist()
    pixels = fastimg.load(wide["path"].tolist(), size=64)
    assert_same(page["images"][:], pixels)
    number = dict(zip(paths, labels, strict=True))
    y = np.array([number[path] for path in wide["path"]])
    for code, name in enumerate(page["classes"]):
        np.testing.assert_allclose(page["colours"].loc[name], pixels[y == code].mean(axis=(0, 2, 3)))
    for _epoch in range(2):
        batches = list(page["source"].batch_iterator(8, shuffle=True))
        assert as_multiset(*assert_labelled(batches, len(wide))) == as_multiset(pixels, y)
