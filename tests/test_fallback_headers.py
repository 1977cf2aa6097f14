# SPDX-License-Identifier: BSD-3-Clause
"""read_header and read_headers of images that are not JPEG, and the folders that hold them."""

import pathlib
import threading
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from support import jpegs, mixed_folder
from support.fallbacks import Slow
from support.files import touch

import fastimg
from fastimg.folders import ALL_SUFFIXES, SUFFIXES
from fastimg.header import read_sizes


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return mixed_folder.make_folder(tmp_path_factory.mktemp("mixed"), 110)


def paths_of(folder):
    return [each.path for each in folder]


def test_sizes_and_formats(folder):
    headers = fastimg.read_headers(paths_of(folder), fallback="pillow")
    assert headers == [fastimg.read_header(path, fallback="pillow") for path in paths_of(folder)]
    for each, header in zip(folder, headers, strict=True):
        assert (header.width, header.height) == mixed_folder.reference(each.path).size, each.kind
        assert (header.format == "JPEG") == each.is_jpeg
        if each.is_jpeg:
            assert header == fastimg.read_header(each.path)
    assert (read_sizes(paths_of(folder), fallback="pillow") == [header.shape[1:] for header in headers]).all()
    data = [pathlib.Path(path).read_bytes() for path in paths_of(folder)]
    assert fastimg.read_headers(data, fallback="pillow") == headers


def test_fields():
    image = Image.fromarray(mixed_folder.picture(0, 20, 30))
    found = {
        mode: fastimg.read_header(mixed_folder.saved(image.convert(mode), "TIFF"), fallback="pillow")
        for mode in ("1", "L", "RGB", "RGBA", "CMYK", "F", "P")
    }
    assert {mode: header.components for mode, header in found.items()} == {
        "1": 1,
        "L": 1,
        "RGB": 3,
        "RGBA": 4,
        "CMYK": 4,
        "F": 1,
        "P": 1,
    }
    assert {mode: header.precision for mode, header in found.items()} == {
        **dict.fromkeys(found, 8),
        "1": 1,
        "F": 32,
    }
    assert [found[mode].color_space for mode in ("L", "P", "CMYK")] == ["grayscale", "RGB", "CMYK"]
    interlaced = fastimg.read_header(mixed_folder.encoded("PNG interlaced", 0), fallback="pillow")
    assert interlaced.progressive and not found["RGB"].progressive


def test_without_a_fallback_nothing_changes(folder):
    first = next(i for i, each in enumerate(folder) if not each.is_jpeg)
    with pytest.raises(fastimg.UnsupportedJpegError) as caught:
        fastimg.read_headers(paths_of(folder))
    assert caught.value.index == first


def test_the_first_error_is_raised(folder, bad_files):
    paths = paths_of(folder)
    paths[60], paths[70] = bad_files["UnsupportedJpegError"], bad_files["FileNotFoundError"]
    with pytest.raises(
        fastimg.FallbackError, match=r"image 60: .*not a JPEG file.*; the fallback failed, too: Pillow: "
    ) as caught:
        fastimg.read_headers(paths, fallback="pillow")
    assert (caught.value.index, caught.value.source) == (60, paths[60])
    with pytest.raises(FileNotFoundError) as caught:
        fastimg.read_headers(paths[61:], fallback="pillow")
    assert caught.value.index == 9
    with pytest.raises(fastimg.FallbackError) as caught:
        fastimg.read_header(paths[60], fallback="pillow")
    assert caught.value.index is None and str(caught.value).startswith(paths[60])
    with pytest.raises(fastimg.TruncatedJpegError):  # a JPEG is never a matter of the fallback
        fastimg.read_headers([paths[0], jpegs.jpeg()[:20]], fallback="pillow")


def test_a_callable_gets_paths_as_they_were_given(folder, tmp_path):
    seen = []

    def decode(source):
        seen.append(source)
        return np.zeros((5, 7, 3), np.uint8)

    (tmp_path / "a.bin").write_bytes(b"no image")
    sources = [tmp_path / "a.bin", str(tmp_path / "a.bin"), b"bytes", jpegs.jpeg(24, 31)]
    headers = fastimg.read_headers(sources, fallback=decode)
    assert Counter((type(each), str(each)) for each in seen) == Counter(
        (type(each), str(each)) for each in sources[:3]
    )
    assert [header.shape for header in headers] == [(3, 5, 7)] * 3 + [(3, 24, 31)]
    assert [header.format for header in headers] == ["unknown"] * 3 + ["JPEG"]


def test_slow_storage_is_waited_for_in_threads():
    decode = Slow(0.05)
    before = threading.active_count()
    headers = fastimg.read_headers([b"no image"] * 100, num_threads=1, fallback=decode)
    assert len(headers) == 100 and decode.most > 8
    assert threading.active_count() == before


def test_memory_error_passes():
    def decode(_):
        raise MemoryError("none")

    with pytest.raises(MemoryError):
        fastimg.read_headers([b"no image"], fallback=decode)


def test_random_crops(folder):
    paths = paths_of(folder)
    sizes = read_sizes(paths, fallback="pillow")
    boxes = fastimg.random_crops(paths, 3, fallback="pillow")
    assert (boxes == fastimg.random_crops(sizes, 3)).all()
    first = next(i for i, each in enumerate(folder) if not each.is_jpeg)
    with pytest.raises(fastimg.UnsupportedJpegError, match="fallback") as caught:
        fastimg.random_crops(paths, 3)
    assert caught.value.index == first
    with pytest.raises(fastimg.FallbackError) as caught:
        fastimg.random_crops([paths[0], b"text"], 3, fallback="pillow")
    assert caught.value.index == 1
    assert fastimg.load(paths, crop=boxes, size=8, fallback="pillow").shape == (len(paths), 3, 8, 8)


@pytest.mark.parametrize("value", ["opencv", 5])
def test_wrong_values(value):
    for call in (
        fastimg.read_header,
        lambda source, fallback: fastimg.read_headers([source], fallback=fallback),
        lambda source, fallback: fastimg.random_crops([source], fallback=fallback),
    ):
        with pytest.raises((ValueError, TypeError), match="fallback must be"):
            call(jpegs.jpeg(), fallback=value)


# ---- folders -----------------------------------------------------------------------------------


def test_find_images_of_all_formats(folder, tmp_path):
    root = folder[0].path.rpartition("/")[0]
    assert fastimg.find_images(root, formats="all") == paths_of(folder)
    ends = tuple(each.path for each in folder if each.path.endswith(SUFFIXES))
    assert fastimg.find_images(root) == fastimg.find_images(root, formats="jpeg") == list(ends)
    touch(tmp_path, "a.txt", "b.PNG", "c.WebP", "d.svg", ".e.png", "f.png.gz")
    left_out = Counter()
    found = fastimg.find_images(tmp_path, formats="all", left_out=left_out)
    assert found == [str(tmp_path / "b.PNG"), str(tmp_path / "c.WebP")]
    assert left_out == {".txt": 1, ".svg": 1, ".gz": 1}


def test_suffixes():
    assert ALL_SUFFIXES[: len(SUFFIXES)] == SUFFIXES
    assert len(set(ALL_SUFFIXES)) == len(ALL_SUFFIXES)
    Image.init()
    known = {*Image.registered_extensions(), ".heic", ".heif", ".hif", ".jxl", ".jps", ".avif", ".qoi"}
    assert set(ALL_SUFFIXES) <= known


def test_image_folder_of_all_formats(tmp_path):
    touch(tmp_path, "cat/1.jpg", "cat/2.png", "dog/3.webp", "dog/4.txt")
    with pytest.raises(FileNotFoundError, match=r"\.jfif files in every class, found none in dog"):
        fastimg.image_folder(tmp_path)
    found = fastimg.image_folder(tmp_path, formats="all")
    assert found.paths == [str(tmp_path / name) for name in ("cat/1.jpg", "cat/2.png", "dog/3.webp")]
    assert found.labels.tolist() == [0, 0, 1] and found.classes == ["cat", "dog"]
    assert fastimg.image_folder([tmp_path / "cat", tmp_path / "dog"], formats="all").paths == found.paths
    with pytest.raises(FileNotFoundError, match=r"\.png.* in every class, found none in empty"):
        touch(tmp_path, "empty/a.txt")
        fastimg.image_folder(tmp_path, formats="all")


@pytest.mark.parametrize("value", ["png", "JPEG", None, ("jpeg",)])
def test_wrong_formats(value, tmp_path):
    for call in (fastimg.find_images, fastimg.image_folder):
        with pytest.raises(ValueError, match="formats must be 'jpeg' or 'all'"):
            call(tmp_path, formats=value)
