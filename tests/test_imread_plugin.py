# SPDX-License-Identifier: BSD-3-Clause
"""The decoder for the imread-benchmark framework, where that is installed (its version 0.2, from its repository)."""

import importlib.metadata
import pathlib
import pickle
import sys
import tomllib

import numpy as np
import pytest
from support import jpegs

import benchmarks

decoders = pytest.importorskip("imread_benchmark.decoders")

FOLDER = pathlib.Path(benchmarks.__file__).parent / "imread_plugin"


@pytest.fixture
def decoder(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    from fastimg_imread_benchmark import FastimgDecoder

    yield FastimgDecoder()
    sys.modules.pop("fastimg_imread_benchmark")


def test_is_what_the_framework_loads(decoder):
    points = tomllib.loads((FOLDER / "pyproject.toml").read_text())["project"]["entry-points"]
    point = importlib.metadata.EntryPoint(
        "fastimg", points[decoders.ENTRY_POINT_GROUP]["fastimg"], decoders.ENTRY_POINT_GROUP
    )
    assert point.load() is type(decoder)
    assert issubclass(type(decoder), decoders.BaseDecoder)
    assert (decoder.name, decoder.package_name) == ("fastimg", "fastimg")
    assert type(decoder).runs_single_here() and type(decoder).runs_dataloader_here()


@pytest.mark.parametrize("grey", [False, True])
def test_gives_the_pixels_of_the_reference(decoder, tmp_path, grey):
    from PIL import Image

    data = jpegs.turbo(jpegs.pixels(37, 51))
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    with Image.open(path) as image:
        exif = image.getexif()
        exif[0x0112] = 6  # a reference that turned the image would have another shape
        image.convert("L" if grey else "RGB").save(path, exif=exif, quality=90)
    with Image.open(path) as image:
        expected = np.asarray(image.convert("RGB"))
    for found in (decoder.decode(path.read_bytes()), decoder.decode_path(str(path))):
        assert found.dtype == np.uint8 and found.flags.c_contiguous and found.flags.owndata
        np.testing.assert_array_equal(found, expected)


def test_results_are_not_reused(decoder):
    first = decoder.decode(jpegs.turbo(jpegs.pixels(16, 16, seed=1)))
    before = first.copy()
    decoder.decode(jpegs.turbo(jpegs.pixels(16, 16, seed=2)))
    np.testing.assert_array_equal(first, before)


def test_can_be_sent_to_workers(decoder):
    data = jpegs.turbo(jpegs.pixels(16, 16))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(decoder)).decode(data), decoder.decode(data))
