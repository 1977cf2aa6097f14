# SPDX-License-Identifier: BSD-3-Clause
"""A folder of many formats, in one call: every row is Pillow's, and those of JPEGs are what they were."""

import os

import numpy as np
import pytest
from PIL import Image
from support import mixed_folder
from support.jpegs import assert_same

import fastimg

COUNT = 1000 if os.environ.get("FASTIMG_EXTENDED") else 300


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return mixed_folder.make_folder(tmp_path_factory.mktemp("mixed"), COUNT)


@pytest.fixture(scope="module")
def loaded(folder):
    data = fastimg.load([each.path for each in folder], size=224, fallback="pillow", layout="HWC")
    assert data.shape == (COUNT, 224, 224, 3)
    return data


def psnr(first, second):
    error = np.mean((first.astype(float) - second.astype(float)) ** 2)
    return 10 * np.log10(255**2 / error) if error else np.inf


def test_rows_are_those_of_pillow(folder, loaded):
    """A row that another image took the place of would have less than 20 dB."""
    found = {}
    for each, row in zip(folder, loaded, strict=True):
        if not each.is_jpeg:
            reference = mixed_folder.reference(each.path).resize((224, 224), Image.Resampling.BILINEAR)
            found.setdefault(each.kind, []).append(psnr(row, np.asarray(reference)))
    worst = {kind: min(values) for kind, values in found.items()}
    assert min(worst.values()) >= 54, worst
    assert len(worst) == len(mixed_folder.NOT_JPEG) > 20


def test_rows_of_jpegs_are_unchanged(folder, loaded):
    where = [i for i, each in enumerate(folder) if each.is_jpeg]
    expected = fastimg.load([folder[i].path for i in where], size=224, layout="HWC")
    assert_same(loaded[where], expected)


def test_nothing_resized_is_pillows_own(folder):
    for each in folder[: 2 * len(mixed_folder.KINDS)]:
        if not each.is_jpeg:
            expected = np.asarray(mixed_folder.reference(each.path))
            assert_same(fastimg.decode(each.path, fallback="pillow", layout="HWC"), expected)


@pytest.mark.parametrize("num_threads", [1, 5])
def test_any_number_of_threads(folder, loaded, num_threads):
    part = slice(20, 80)
    paths = [each.path for each in folder[part]]
    data = fastimg.load(paths, size=224, fallback="pillow", layout="HWC", num_threads=num_threads)
    assert_same(data, loaded[part])


def test_bad_files_do_not_shift_rows(folder, loaded, tmp_path):
    paths = [each.path for each in folder[:60]]
    bad = {7: b"no image", 30: mixed_folder.encoded("PNG RGB", 0)[:2000], 41: b"\xff\xd8\xff"}
    for i, data in bad.items():
        paths[i] = str(tmp_path / f"{i}.png")
        (tmp_path / f"{i}.png").write_bytes(data)
    errors = []
    data = fastimg.load(paths, size=224, fallback="pillow", layout="HWC", on_error=errors.append)
    assert [(error.index, error.source) for error in errors] == [(i, paths[i]) for i in bad]
    kinds = [fastimg.FallbackError, fastimg.FallbackError, fastimg.TruncatedJpegError]
    assert [type(error) for error in errors] == kinds
    good = [i for i in range(60) if i not in bad]
    assert_same(data[good], loaded[good])
    assert not data[list(bad)].any()


def test_without_a_fallback(folder):
    first = next(i for i, each in enumerate(folder) if not each.is_jpeg)
    with pytest.raises(fastimg.UnsupportedJpegError, match='fallback="pillow" decodes it') as caught:
        fastimg.load([each.path for each in folder], size=224)
    assert caught.value.index == first
