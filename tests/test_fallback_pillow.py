# SPDX-License-Identifier: BSD-3-Clause
"""What fallback="pillow" makes of each format, before anything is resized."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps
from support import mixed_folder
from support.fallbacks import LIMIT, PILLOW, decode
from support.jpegs import assert_same

import fastimg


def upright(pixels, orientation):
    """As the core does it; grey as RGB."""
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, None], 3, axis=2)
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    flips = {2: (1,), 3: (0, 1), 4: (0,), 6: (1,), 7: (0, 1), 8: (0,)}
    return np.flip(pixels, flips.get(orientation, ()))


# The eight orientations, and one of whatever has none.
CASES = [(kind, seed) for kind in mixed_folder.KINDS for seed in range(8 if "orientation" in kind else 1)]


@pytest.mark.parametrize(("kind", "seed"), CASES)
def test_pixels_are_those_of_pillow(kind, seed, tmp_path):
    data = mixed_folder.encoded(kind, seed)
    path = tmp_path / ("file" + mixed_folder.KINDS[kind][1])
    path.write_bytes(data)
    expected = np.asarray(mixed_folder.reference(data))
    for source, ahead in ((str(path), None), (path, data), (data, None), (memoryview(data), None)):
        pixels, orientation = decode(source, data=ahead)
        assert pixels.dtype == np.uint8 and pixels.flags.c_contiguous
        assert_same(upright(pixels, orientation), expected)


@pytest.mark.parametrize(
    "kind", [kind for kind in mixed_folder.KINDS if "alpha" in kind or "transparent" in kind]
)
@pytest.mark.parametrize("color", [(255, 255, 255), (7, 130, 255), (77, 77, 77)])
def test_alpha_is_that_of_paste(kind, color):
    data = mixed_folder.encoded(kind, 11)
    expected = np.asarray(mixed_folder.reference(data, color))
    assert_same(upright(*decode(data, pad_value=color)), expected)
    assert_same(upright(*decode(data, mode="BGR", pad_value=color[::-1])), expected)
    if len(set(color)) == 1:
        assert_same(upright(*decode(data, pad_value=color[0])), expected)


@pytest.mark.parametrize("kind", mixed_folder.KINDS)
@pytest.mark.filterwarnings("ignore:Palette images with Transparency")  # of Pillow's own conversion to grey
def test_grey_is_that_of_pillow(kind):
    data = mixed_folder.encoded(kind, 5)
    with Image.open(io.BytesIO(data)) as image:
        image = ImageOps.exif_transpose(image)
        transparent = image.has_transparency_data
        expected = np.asarray(image.convert("L"))
    pixels, orientation = decode(data, mode="L", pad_value=(40,))
    if transparent:
        expected = np.asarray(mixed_folder.reference(data, (40, 40, 40)).convert("L"))
    found = upright(pixels, orientation)
    assert_same(np.asarray(Image.fromarray(np.ascontiguousarray(found)).convert("L")), expected)
    assert transparent or pixels.ndim == 2


@pytest.mark.parametrize("kind", ["PNG RGBA", "PNG P alpha", "WebP alpha"])
def test_alpha_is_within_one_level_of_alpha_composite(kind):
    data = mixed_folder.encoded(kind, 3)
    image = Image.open(io.BytesIO(data)).convert("RGBA")
    below = Image.new("RGBA", image.size, (10, 200, 99, 255))
    expected = np.asarray(Image.alpha_composite(below, image).convert("RGB")).astype(int)
    pixels, _ = decode(data, pad_value=(10, 200, 99))
    assert np.abs(pixels - expected).max() <= 1


@pytest.mark.parametrize(("kind", "seed"), CASES)
def test_headers_have_the_upright_size(kind, seed, tmp_path):
    data = mixed_folder.encoded(kind, seed)
    path = tmp_path / "file"
    path.write_bytes(data)
    pixels, orientation = decode(data)
    height, width = upright(pixels, orientation).shape[:2]
    for source, ahead in ((str(path), None), (data, None), (str(path), data)):
        header = PILLOW.measure(source, ahead, LIMIT)
        assert (header.height, header.width, header.orientation) == (height, width, orientation)
        assert header.nbytes == len(data)
    words = {"JPEG2000": "JPEG2000", "PGM": "PPM"}
    assert header.format == words.get(kind, kind.split()[0].upper())
    assert header.shape == (3, height, width)


def test_headers_are_read_without_decoding(monkeypatch, tmp_path):
    def load(*_):
        raise AssertionError("decoded")

    # Pillow decodes an icon when it opens it, and finds the late chunks of a PNG only by decoding what is before.
    kinds = [kind for kind in mixed_folder.KINDS if kind not in ("PNG late orientation", "ICO")]
    contents = [mixed_folder.encoded(kind, 6) for kind in kinds]
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    monkeypatch.setattr("PIL.WebPImagePlugin.WebPImageFile.load", load)
    for data in contents:
        PILLOW.measure(data, None, 0)


def test_parts_of_files_and_readers(tmp_path):
    data = mixed_folder.encoded("PNG RGB", 1)
    path = tmp_path / "shard"
    path.write_bytes(b"before" + data + b"after")
    source = fastimg.FileRange(path, 6, len(data))
    expected = np.asarray(mixed_folder.reference(data))
    assert_same(decode(source)[0], expected)
    assert PILLOW.measure(source, None, 0).nbytes == len(data)
    with pytest.raises(fastimg.FallbackError, match="leaves the file") as caught:
        decode(fastimg.FileRange(path, 6, len(data) + 9))
    assert caught.value.source == fastimg.FileRange(path, 6, len(data) + 9)

    class Reader:
        def __len__(self):
            return 2

        def read(self, index):
            return bytearray(data)

    from fastimg.sources import ReaderItem

    assert_same(decode(ReaderItem(Reader(), 1))[0], expected)
