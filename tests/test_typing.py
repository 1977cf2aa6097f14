# SPDX-License-Identifier: BSD-3-Clause
"""The types that users see: mypy accepts right code, refuses wrong code, and the stub tells the truth."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

import fastimg

pytest.importorskip("mypy")

RIGHT = """\
import collections
import pathlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

import fastimg
from fastimg.sources import FileRange, ReaderItem

paths = ["a.jpg", "b.jpg"]
out = np.empty((2, 3, 8, 8), np.uint8)
failures: list[BaseException] = []


def tell(done: int, total: int) -> None:
    print(done, total)


def use() -> None:
    image = fastimg.decode("a.jpg", mode="L", layout="HWC", crop=(0, 0, 8, 8), flip=True, orient=False)
    fastimg.decode(pathlib.Path("a.jpg"), out=out[0], strict=False, max_pixels=10**6)
    fastimg.decode(b"data", dtype=np.float32, mean=(0.1, 0.2, 0.3), std=[1.0, 1.0, 1.0])
    fastimg.decode(bytearray(b"data"), dtype="float16", mean=np.zeros(3), std=0.5)
    fastimg.decode(memoryview(b"data"))
    fastimg.decode(np.zeros(9, np.uint8))
    fastimg.decode(fastimg.FileRange("a.tar", 512, 100))
    height: int = image.shape[0]

    fastimg.load(paths, out, num_threads=2, progress=True)
    fastimg.load(paths, out=out, on_error="fill", progress=tell)
    fastimg.load([pathlib.Path("a.jpg"), pathlib.Path("b.jpg")], on_error=failures.append)
    images_and_mask: tuple[np.ndarray, np.ndarray] = fastimg.load(paths, on_error="fill", return_mask=True)
    alone: int = fastimg.load(paths, return_mask=False).ndim + images_and_mask[1].size
    fastimg.load((path for path in paths), crop=(0, 0, height + alone, 8))
    two: list[np.ndarray] = fastimg.load(paths, views=[{"size": 8}, {"size": (4, 5), "flip": True}], layout="HWC")
    outs, mask, matrices = fastimg.load(paths, two, views=[{"size": 8}] * 2, return_mask=True, return_geometry=True)
    fastimg.load([b"data", "a.jpg", pathlib.Path("b.jpg"), fastimg.FileRange("a.tar", 0, 1)])

    header: fastimg.Header = fastimg.read_header("a.jpg")
    size: tuple[int, int] = (header.width, header.height)
    text: str = header.color_space + header.subsampling
    print(size, text, header.progressive, len(header.shape))

    images = fastimg.ImageFileAccessor(paths, mode="BGR", num_threads=1, on_error="raise")
    count: int = len(images)
    dimensions: int = images.ndim
    kind: np.dtype[np.generic] = np.dtype(images.dtype)
    print(images[0], images[:2], images[[0, 1]], images[np.array([0])], images[np.int64(0)], images.shape)
    print(count, dimensions, kind, images.read_into([0, 1], out), np.asarray(images), images.__getitems__([0]))
    for each in images:
        print(each.shape)
    augmented: fastimg.RandomResizedCrop = images.random_resized_crop(8, ratio=(1, 1), flip=0, seed=1)
    epoch: int = augmented.with_epoch(3).epoch
    crops, flips = augmented.boxes([0])
    fastimg.load(paths[:1], crop=crops, flip=flips, size=epoch)
    fastimg.load(paths, crop=fastimg.random_crops(paths, 3, fallback="pillow"), size=8, fallback="pillow")
    views: fastimg.RandomViews = images.random_views([{"size": 8, "scale": (0.4, 1)}], seed=1).with_epoch(outs[0].ndim)
    print(views[0][0].shape, views.boxes([0])[0][1], views.read_into([0], two), mask, matrices[0])
    lists = fastimg.NonUniformImageFileAccessor(map(pathlib.Path, paths), layout="HWC")
    print(lists[0], lists[1:], len(lists), lists.shape)

    members: Sequence[FileRange | ReaderItem] = fastimg.archive_members(pathlib.Path("a.tar"), (".jpg", ".jpg_large"))
    shard: fastimg.Shard = fastimg.read_shard("a.tar")
    shard = fastimg.read_shard("a.tar", image="a.jpg;b.jpg", label=["cls"], caption=(), on_error=failures.append)
    print(shard.captions, fastimg.read_shard(pathlib.Path("a.tar"), on_error="drop").captions)
    keys: list[str] = shard.keys
    fastimg.load([*members, *shard.images, fastimg.FileRange("a.tar", 0, 1, name="b.jpg")])
    files, labels, classes = fastimg.image_folder("train")
    folder: fastimg.ImageFolder = fastimg.image_folder(pathlib.Path("train"))
    print(keys, shard.labels, shard.metadata, files[0].upper(), labels.shape, classes, folder.labels.dtype)

    stored = fastimg.create_array(pathlib.Path("a.npy"), [2, 3, 8, 8], np.float32)
    fastimg.load(paths, fastimg.create_array("a.npy", (2, 3, 8, 8), dtype="bfloat16"), dtype="bfloat16")
    stored.flush()

    remote = fastimg.open_sources("s3://a/**/*.jpg", extensions=[".jpg"], storage_options={"anon": True})
    fastimg.load(remote, size=8)
    fastimg.ImageFileAccessor(fastimg.open_sources(["s3://a/b.jpg", "https://a/b.jpg"]), size=8)
    arrow = fastimg.arrow_sources("a.parquet", "image")
    fastimg.read_headers(arrow)
    print(len(remote), remote.name(0).upper(), remote.nbytes(0) + arrow.nbytes(0), bytes(arrow.read(0)))

    errors: list[OSError] = []
    others: collections.Counter[str] = collections.Counter()
    fastimg.image_folder(["a", pathlib.Path("b")], on_error=errors.append, left_out=others)
    found: list[str] = fastimg.find_images(".", on_error="raise", left_out=others)
    found += fastimg.find_images(".", on_error=errors.append)
    index: fastimg.FileIndex = fastimg.FileIndex.from_folder("train", labels=True, on_error=failures.append)
    index = fastimg.FileIndex.from_folder("train", fallback=np.load).refresh(fallback="pillow")
    index = fastimg.FileIndex(map(pathlib.Path, paths), [0, 1], classes, sizes=False, progress=tell)
    index.save(pathlib.Path("train.index.npz"))
    index = fastimg.FileIndex.load("train.index.npz", root=pathlib.Path("train")).refresh(num_threads=2)
    text += index[0] + index.paths[0] + index.root
    part: fastimg.FileIndex = index[index.changed()]
    print(fastimg.load(index, size=8), fastimg.ImageFileAccessor(part, size=8), part.labels, index.nbytes.sum())
    version: str = fastimg.__version__
    print(found, version, fastimg.build_info())


def handle(array: npt.NDArray[np.uint8]) -> None:
    source = fastimg.data_source.ArrayDataSource([fastimg.ImageFileAccessor(["a.jpg"]), [0]])
    source.batch_iterator(8, on_error="drop", include_mask=True)
    source.batch_iterator(8, on_error=failures.append)
    sampler = fastimg.data_source.ClassBalancedSampler([0], num_samples=8, seed=1)
    source.batch_iterator(8, sampler=sampler, epoch=len(sampler), to="torch", pin_memory=True)
    source.batch_iterator(8, sampler=np.arange(1))
    try:
        fastimg.decode("a.jpg", array)
    except fastimg.JpegTooLargeError as error:
        base: fastimg.JpegError = error
        value: ValueError = base
        print(value, error.index, error.source)
"""

WRONG = """\
import fastimg

fastimg.decode(5)
fastimg.decode("a.jpg", mode=3)
fastimg.decode("a.jpg", flip="yes")
fastimg.decode("a.jpg", crop=5)
fastimg.decode("a.jpg", colour="RGB")
fastimg.decode("a.jpg", None, "RGB")
fastimg.load(5)
fastimg.load(["a.jpg"], num_threads="2")
fastimg.load(["a.jpg"], progress=5)
fastimg.load([5])
fastimg.read_header("a.jpg").width = 5
fastimg.read_header("a.jpg").size
fastimg.ImageFileAccessor(["a.jpg"], on_error=5)
fastimg.ImageFileAccessor(["a.jpg"], on_error="drop")
fastimg.load(["a.jpg"], on_error="drop")
fastimg.load(["a.jpg"], return_mask=True).ndim
fastimg.data_source.ArrayDataSource([[1]]).batch_iterator(1, on_error="skip")
fastimg.data_source.ArrayDataSource([[1]]).batch_iterator(1, include_mask=None)
fastimg.data_source.ArrayDataSource([[1]]).batch_iterator(1, to="jax")
fastimg.data_source.ArrayDataSource([[1]]).batch_iterator(1, sampler=[0.5])
fastimg.ImageFileAccessor(["a.jpg"])["a"]
fastimg.NonUniformImageFileAccessor(5)
fastimg.ImageFileAccessor(["a.jpg"]).random_resized_crop()
fastimg.ImageFileAccessor(["a.jpg"]).random_resized_crop(8).with_epoch("1")
fastimg.NonUniformImageFileAccessor(["a.jpg"]).random_resized_crop(8)
fastimg.FileRange("a.tar", "0", 5)
fastimg.FileRange("a.tar", 0, 5, 5)
fastimg.archive_members(5)
fastimg.archive_members("a.tar", 5)
fastimg.read_shard(5)
fastimg.read_shard("a.tar", image=5)
fastimg.read_shard("a.tar", on_error="fill")
fastimg.read_shard("a.tar", "jpg")
fastimg.read_shard("a.tar").images.keys
fastimg.image_folder(5)
fastimg.find_images(5)
fastimg.find_images(".", on_error="fill")
fastimg.image_folder([5])
fastimg.FileIndex(5)
fastimg.FileIndex([5])
fastimg.FileIndex(["a.jpg"], sizes=None)
fastimg.FileIndex(["a.jpg"], fallback="opencv")
fastimg.FileIndex.from_folder("a", on_error="drop")
fastimg.FileIndex.load(5)
fastimg.open_sources(5)
fastimg.open_sources("s3://a", storage_options=5)
fastimg.open_sources("s3://a", "*.jpg")
fastimg.open_sources("s3://a").read("a")
fastimg.arrow_sources("a.parquet", 5)
fastimg.create_array(5, 5)
fastimg.create_array("a.npy")
fastimg.create_array("a.npy", 2.5)
fastimg.create_array("a.npy", 5, "uint8", "w+")
fastimg.resize("a.jpg")
number: int = fastimg.decode("a.jpg")
text: str = fastimg.load(["a.jpg"])
word: int = fastimg.__version__
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run a module of mypy in an empty folder; one cache for all, as NumPy's stubs take long."""
    folder = tmp_path_factory.mktemp("mypy")
    root = str(pathlib.Path(fastimg.__file__).parent.parent)
    env = {**os.environ, "PYTHONPATH": root, "MYPY_CACHE_DIR": str(folder / "cache")}
    # From a source tree mypy must be told where the package is; among installed ones it must not.
    if "site-packages" not in root:
        env["MYPYPATH"] = root

    def run(module, *arguments, **files):
        for name, text in files.items():
            (folder / f"{name}.py").write_text(text)
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=folder, env=env, capture_output=True, text=True, timeout=250,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    return run


def test_right_code_is_accepted(run):
    code, text = run("mypy", "--strict", "right.py", right=RIGHT)
    assert code == 0, text


def test_wrong_code_is_refused(run):
    code, text = run("mypy", "--strict", "wrong.py", wrong=WRONG)
    assert code == 1, text
    refused = {int(line) for line in re.findall(r"^wrong\.py:(\d+): error", text, re.MULTILINE)}
    # Every line but the import and the empty one after it.
    assert refused == set(range(3, len(WRONG.splitlines()) + 1)), text


def test_the_package_without_pillow(run, tmp_path):
    """Where Pillow is not installed its types are unknown, and the code that uses it must be right as well."""
    project = pathlib.Path(__file__).parents[1] / "pyproject.toml"
    if not project.exists():
        pytest.skip("no pyproject.toml")
    settings = project.read_text("utf-8")
    known = 'module = ["PIL", "PIL.*"]\n'
    assert known in settings
    settings = settings.replace(known, f'{known}follow_imports = "skip"\n').replace(
        'files = ["fastimg"]\n', ""
    )
    (tmp_path / "pyproject.toml").write_text(settings)
    modules = ("fastimg.pillow", "fastimg.cli.sheet", "fastimg.benchmarking.resizers")
    options = [word for module in modules for word in ("-m", module)]
    code, text = run("mypy", "--config-file", str(tmp_path / "pyproject.toml"), *options)
    assert code == 0, text


def test_stub_is_the_module(run):
    code, text = run("mypy.stubtest", "fastimg._decode")
    assert code == 0, text


def test_the_package_says_that_it_is_typed():
    folder = pathlib.Path(fastimg.__file__).parent
    assert (folder / "py.typed").exists() and (folder / "_decode.pyi").exists()
