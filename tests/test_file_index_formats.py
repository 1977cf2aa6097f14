# SPDX-License-Identifier: BSD-3-Clause
"""FileIndex(fallback=): folders with images that are not JPEG."""

import os
from collections import Counter

import numpy as np
import pytest
from support import jpegs, mixed_folder
from support.fallbacks import Slow
from support.file_indices import JOURNEYS, headers_read, travel, write_train
from support.opens import Opens

import fastimg
from fastimg import FileIndex


@pytest.fixture
def train(tmp_path):
    """Two classes of JPEG files, a PNG that is turned, and a class without a JPEG."""
    folder = write_train(tmp_path / "train")
    (folder / "cat/3.png").write_bytes(mixed_folder.encoded("PNG orientation", 5, 20, 30))
    (folder / "elk").mkdir()
    (folder / "elk/5.webp").write_bytes(mixed_folder.encoded("WebP", 0, 11, 12))
    (folder / "elk/6.gif").write_bytes(mixed_folder.encoded("GIF", 1, 13, 14))
    (folder / "elk/7.txt").touch()
    return folder


@pytest.fixture(params=JOURNEYS)
def travelled(request, tmp_path):
    return lambda index: travel(index, request.param, tmp_path)


def sizes_of(paths):
    headers = fastimg.read_headers(list(paths), fallback="pillow")
    return [[header.height, header.width] for header in headers]


def test_a_folder(train, travelled):
    left_out = Counter()
    index = travelled(FileIndex.from_folder(train, fallback="pillow", left_out=left_out))
    paths, labels, classes = fastimg.image_folder(train, formats="all")
    assert list(index) == paths and len(paths) == 7
    assert (index.labels.tolist(), index.classes) == (labels.tolist(), classes)
    assert index.sizes.tolist() == sizes_of(paths) and index.sizes[2].tolist() == [30, 20]
    assert left_out == {".txt": 1} and index.changed().tolist() == []
    unlabelled = FileIndex.from_folder(train, labels=False, fallback="pillow")
    assert list(unlabelled) == fastimg.find_images(train, formats="all")


def test_without_a_fallback_they_are_left_out(train):
    left_out = Counter()
    index = FileIndex.from_folder(train, labels=False, left_out=left_out)
    assert list(index) == fastimg.find_images(train)
    assert left_out == {".png": 1, ".webp": 1, ".gif": 1, ".txt": 1}


def test_a_png_beside_the_folders(train):
    (train / "cat/3.png").rename(train / "3.png")
    assert FileIndex.from_folder(train, fallback="pillow").labels is None
    (train / "elk/0.jpg").write_bytes(jpegs.jpeg())
    assert FileIndex.from_folder(train).classes == ["cat", "dog", "elk"]


def test_given_paths(train, travelled):
    paths = [train / "elk/6.gif", train / "cat/1.jpg", train / "elk/6.gif"]
    index = travelled(FileIndex(paths, fallback="pillow"))
    assert index.sizes.tolist() == [[13, 14], [24, 31], [13, 14]]
    with pytest.raises(fastimg.UnsupportedJpegError, match=r'image 0: .*; fallback="pillow"'):
        FileIndex(paths)
    os.unlink(paths[1])
    assert list(index.refresh()) == [str(paths[0])] * 2


def test_without_sizes_nothing_is_opened(train):
    with Opens(train / "elk") as opens:
        index = FileIndex.from_folder(train, fallback="pillow", sizes=False)
        assert not [name for name in opens.take() if name.endswith(("webp", "gif"))]
    assert index.sizes is None and len(index) == 7


# ---- accessors


def test_an_accessor_knows_the_shape(train, travelled):
    index = travelled(FileIndex.from_folder(train, fallback="pillow"))[4:]
    images = fastimg.ImageFileAccessor(index[2:], fallback="pillow")
    with Opens(train / "elk") as opens:
        assert images.shape == (1, 3, 13, 14)
        assert not opens.take()
    expected = np.asarray(mixed_folder.reference(index[2])).transpose(2, 0, 1)
    assert (images[0] == expected).all()
    listed = fastimg.NonUniformImageFileAccessor(index, fallback="pillow")[:]
    assert [image.shape[1:] for image in listed] == [tuple(size) for size in index.sizes.tolist()]


def test_random_boxes_need_no_header(train):
    index = FileIndex.from_folder(train, fallback="pillow")
    crops = fastimg.ImageFileAccessor(index, fallback="pillow").random_resized_crop(8, seed=3)
    with Opens(train / "elk") as opens:
        boxes, flips = crops.boxes(slice(None))
        assert not opens.take()
    paths = list(index)
    plain = fastimg.ImageFileAccessor(paths, fallback="pillow").random_resized_crop(8, seed=3)
    assert (boxes == plain.boxes(slice(None))[0]).all()
    loaded = fastimg.load(paths, crop=boxes, flip=flips, size=8, fallback="pillow")
    assert (crops[:] == loaded).all()


# ---- refresh


def test_refresh(train, travelled, monkeypatch):
    index = travelled(FileIndex.from_folder(train, fallback="pillow"))
    (train / "elk/8.bmp").write_bytes(mixed_folder.encoded("BMP", 2, 15, 16))
    os.unlink(train / "cat/3.png")
    read = headers_read(monkeypatch)
    again = index.refresh(fallback="pillow")
    assert read == [str(train / "elk/8.bmp")]
    assert list(again) == fastimg.image_folder(train, formats="all").paths
    assert again.sizes.tolist() == sizes_of(again)


def test_refresh_without_the_fallback(train, travelled):
    """What is known stays; of what is new, the error says what is missing."""
    index = travelled(FileIndex.from_folder(train, fallback="pillow"))
    assert list(index.refresh()) == list(index) and index.refresh().sizes.tolist() == index.sizes.tolist()
    (train / "elk/8.bmp").write_bytes(mixed_folder.encoded("BMP", 2, 15, 16))
    with pytest.raises(fastimg.UnsupportedJpegError, match=r'image 7: .*BMP; fallback="pillow"'):
        index.refresh()
    failures = []
    again = index.refresh(on_error=failures.append)
    assert again.sizes.tolist() == [*index.sizes.tolist(), [0, 0]] and len(failures) == 1
    assert again.refresh(fallback="pillow").sizes[7].tolist() == [15, 16]


def test_refresh_with_a_fallback_adds_other_formats(train, travelled):
    index = travelled(FileIndex.from_folder(train, labels=False))
    again = index.refresh(fallback="pillow")
    assert len(index) == 4 and list(again) == fastimg.find_images(train, formats="all")
    assert list(again.refresh()) == list(again)


# ---- errors


def test_errors(train, travelled):
    path = train / "elk/5.webp"
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(fastimg.FallbackError, match=r"image 5: .*5\.webp: ") as caught:
        FileIndex.from_folder(train, fallback="pillow")
    assert (caught.value.index, caught.value.source) == (5, str(path))
    failures = []
    index = travelled(FileIndex.from_folder(train, fallback="pillow", on_error=failures.append))
    assert [error.index for error in failures] == [5] and index.sizes[5].tolist() == [0, 0]
    for kind, value in ((ValueError, "opencv"), (TypeError, 5)):
        for call in (FileIndex.from_folder, FileIndex, lambda _, fallback: index.refresh(fallback=fallback)):
            with pytest.raises(kind, match="fallback must be"):
                call(train, fallback=value)


def test_machine_faults_pass(train):
    def fail(_):
        raise MemoryError("none")

    with pytest.raises(MemoryError):
        FileIndex.from_folder(train, fallback=fail, on_error=lambda error: None)


@pytest.mark.parametrize("count", [1, 3])
def test_it_is_called_by_no_more_threads(tmp_path, count):
    paths = [tmp_path / f"{i}.bin" for i in range(20)]
    for path in paths:
        path.write_bytes(b"no image")
    measure = Slow(0.02)
    index = FileIndex(paths, fallback=measure, num_threads=count)
    assert (index.sizes == (5, 7)).all() and measure.most == count
