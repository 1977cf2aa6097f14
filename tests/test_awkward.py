# SPDX-License-Identifier: BSD-3-Clause
"""The photo collections of FASTIMG_TEST_DATA: every file does what its table says."""

import csv
import hashlib
import io
import os
import pathlib

import numpy as np
import pytest
from PIL import Image
from support import jpegs
from support.jpegs import assert_same

import fastimg

ROOT = pathlib.Path(os.environ.get("FASTIMG_TEST_DATA") or "/nonexistent")

# libjpeg-turbo 2.x smooths the blocks of progressive files whose scans stop early differently from
# 3.x, whose pixels the table has. Their hashes here are those of a plain C program around
# libjpeg-turbo 2.1.5 (jpeg_mem_src, rows zeroed first, scan lines read as JCS_RGB).
SMOOTHED_BY_2 = {
    "peacock.progressive.scan000.jpeg": "c8dff6190a7fd761d2edce23b1a0200d",
    "peacock.progressive.scan006.jpeg": "3716304a4beee2bf2b0455e436147427",
    "peacock.progressive.scan005.jpeg": "77a5ca35eaba85655286ef59df8d6ab1",
    "peacock.progressive.scan001.jpeg": "214d20296e22025c63121dec1406b6ae",
    "id_003841_src_003781_op_int16_pos_163_val_be_+1000.jpg": "3d25eb0d199b79a68cd16bb393515971",
    "id_005220_src_002730_op_arith8_pos_307_val_-4.jpg": "45af5ba694e0053331473e0010e2014e",
    "id_005067_sync_jpeg_turbo_src_003840.jpg": "bbb7b31bc93888169314cb0e8df3ae98",
    "id_005092_sync_jpeg_turbo_src_003848.jpg": "dbc84bc9fd1eed5a76185b113771479b",
    "id_002772_src_002265_op_flip2_pos_163.jpg": "90d71eecd36ad8b84add76b7accfec42",
    "id_005082_sync_jpeg_turbo_src_003800.jpg": "0558ca9a5fd3edae2b18f6501544421f",
    "id_005362_src_002733_op_havoc_rep_1.jpg": "561b1011cd50973ab5b25dd1ce4c9b84",
    "id_003864_src_003803_op_flip1_pos_303.jpg": "f5baa1e6b21045f5e81cfcce73c90c7f",
    "id_003954_sync_jpeg9_src_002607.jpg": "1a8c8784358b4da3053a5c533e9bd389",
    "cde10ca77d168efcedee91bab5c0d9edf9eeb697": "53f8330876d7cad6ed611e51aba1103b",
}


def table(name):
    if not (ROOT / "awkward" / name).exists():
        return []
    with open(ROOT / "awkward" / name, newline="") as file:
        return list(csv.DictReader(file))


def rows(*expects):
    """The rows of these kinds; a collection that is not there shows as one skipped test."""
    found = [row for row in table("expect.csv") if row["expect"] in expects]
    return pytest.mark.parametrize("row", found, ids=lambda row: row["path"])


def read(row):
    return (ROOT / "awkward" / row["path"]).read_bytes()


def digest(image):
    """As the tables have it: of C-order (height, width, 3)."""
    return hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest()[:32]


def hashes(row):
    """The hashes of pixels that are right for this row with the libjpeg-turbo in use."""
    if fastimg.build_info()["libjpeg_turbo"].startswith("2."):
        return SMOOTHED_BY_2.get(row["path"].split("/")[-1], row["rgb_sha"])
    return row["rgb_sha"]


def decode(data, **options):
    return fastimg.decode(data, layout="HWC", orient=False, **options)


def check_pixels_are(image, data, **options):
    """These, from both layouts, and none that was in the caller's array before."""
    assert_same(decode(data, **options), image)
    for fill in (0x00, 0xFF):
        out = np.full((3, *image.shape[:2]), fill, np.uint8)
        fastimg.decode(data, out, orient=False, **options)
        assert_same(out.transpose(1, 2, 0), image)


def check_pixels(row, data, **options):
    """The right hash, however they are asked for."""
    image = decode(data, **options)
    assert image.shape == (int(row["height"]), int(row["width"]), 3)
    assert digest(image) == hashes(row)
    check_pixels_are(image, data, **options)


def check_header(row, data):
    header = fastimg.read_header(data)
    width, height = int(row["width"]), int(row["height"])
    if header.orientation >= 5:
        width, height = height, width
    assert (header.width, header.height, header.components) == (width, height, int(row["ncomp"]))
    assert header.nbytes == len(data)


@rows("accept", "accept_v")
@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.usefixtures("silent")
def test_accept(row, strict):
    data = read(row)
    check_pixels(row, data, strict=strict)
    check_header(row, data)
    assert_same(decode(ROOT / "awkward" / row["path"]), decode(data))


@rows("damaged")
@pytest.mark.usefixtures("silent")
def test_damaged(row):
    data = read(row)
    check_pixels(row, data, strict=False)
    check_header(row, data)
    try:
        image = decode(data)
    except (fastimg.CorruptJpegError, fastimg.TruncatedJpegError):
        return
    assert digest(image) == hashes(row)


@rows("cmyk")
@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.usefixtures("silent")
def test_cmyk(row, strict):
    data = read(row)
    image = decode(data, strict=strict)
    assert image.shape == (int(row["height"]), int(row["width"]), 3)
    assert_same(image, jpegs.rgb_pillow(data))
    planes = fastimg.decode(data, strict=strict, orient=False)
    assert_same(planes, np.ascontiguousarray(image.transpose(2, 0, 1)))
    assert fastimg.read_header(data).color_space in ("CMYK", "YCCK")
    check_header(row, data)


@rows("unsupported")
@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.usefixtures("silent")
def test_unsupported(row, strict):
    data = read(row)
    check_header(row, data)
    try:
        image = decode(data, strict=strict)
    except fastimg.UnsupportedJpegError:
        return
    except fastimg.TruncatedJpegError:
        # One of them is cut short as well, between two of its scans.
        assert strict and "no-eoi" in row["category"]
        return
    try:
        expected = jpegs.rgb_pillow(data)
    except OSError:
        # No oracle: then the pixels must be all the decoder's own, at least.
        for fill in (0x00, 0xFF):
            assert_same(decode(data, strict=strict, out=np.full_like(image, fill)), image)
    else:
        assert_same(image, expected)


@rows("limit")
@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.usefixtures("silent")
def test_limit(row, strict):
    data = read(row)
    with pytest.raises(fastimg.ImageTooLargeError):
        decode(data, strict=strict)
    with pytest.raises(fastimg.ImageTooLargeError):
        fastimg.load([data], strict=strict)


@rows("reject")
@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.usefixtures("silent")
def test_reject(row, strict):
    data = read(row)
    with pytest.raises(fastimg.JpegError):
        decode(data, strict=strict)
    with pytest.raises(fastimg.JpegError):
        fastimg.load([ROOT / "awkward" / row["path"]], strict=strict)


def rows_of_libjpeg(row, data):
    """libjpeg-turbo's pixels before its fatal error, and whether those are all rows of the image."""
    found = [jpegs.rgb_turbo_rows(data, fill) for fill in (0x00, 0xFF)]
    assert found[0].shape == (int(row["height"]), int(row["width"]), 3)
    return found[0], (found[0] == found[1]).all()


@rows("split")
@pytest.mark.usefixtures("silent")
def test_split(row):
    """Decoders differ on these: either verdict in strict mode, but whatever libjpeg-turbo delivers in lenient mode."""
    data = read(row)
    expected, complete = rows_of_libjpeg(row, data)
    if row["rgb_sha"]:
        assert complete and digest(expected) == hashes(row)
    for strict in (True, False):
        if complete and not strict:
            check_pixels_are(expected, data, strict=False)
            assert decode(data, strict=False, size=(9, 7)).shape == (9, 7, 3)
            continue
        try:
            image = decode(data, strict=strict)
        except fastimg.JpegError as error:
            for fill in (0x00, 0xFF):
                with pytest.raises(type(error)):
                    decode(data, out=np.full_like(expected, fill), strict=strict)
        else:
            check_pixels_are(expected if complete else image, data, strict=strict)


@pytest.mark.parametrize("row", table("orientation.csv"), ids=lambda row: row["path"])
def test_orientation(row):
    data = read(row)
    width, height = map(int, row["pillow_size"].split("x"))
    assert row["pillow_sha"] == row["opencv_sha"]
    image = fastimg.decode(data, layout="HWC")
    assert image.shape == (height, width, 3)
    assert digest(image) == row["pillow_sha"]
    assert_same(fastimg.decode(data), np.ascontiguousarray(image.transpose(2, 0, 1)))
    header = fastimg.read_header(data)
    assert (header.width, header.height, header.orientation) == (width, height, int(row["tag"]))


def test_every_row_of_the_table_is_tested(shared):
    kinds = {row["expect"] for row in table("expect.csv")}
    assert kinds == {
        "accept", "accept_v", "damaged", "cmyk", "unsupported", "limit", "reject", "split"
    }  # fmt: skip


def test_all_at_once(shared):
    # In one batch, on several threads: the same outcome as one by one.
    files = table("expect.csv")
    paths = [shared / "awkward" / row["path"] for row in files]
    options = {"crop": (0, 0, 1, 1), "strict": False, "orient": False}
    expected, failed = np.zeros((len(paths), 3, 1, 1), np.uint8), []
    for i, path in enumerate(paths):
        try:
            expected[i] = fastimg.decode(path, **options)
        except fastimg.JpegError as error:
            failed.append((i, type(error)))
    assert 200 < len(failed) < 300
    for num_threads in (1, 2, 8):
        failures = []
        images = fastimg.load(paths, num_threads=num_threads, on_error=failures.append, **options)
        assert_same(images, expected)
        assert [(error.index, type(error)) for error in failures] == failed


# ---- photos ------------------------------------------------------------------------------------

PHOTOS = sorted((ROOT / "photos").glob("*.JPEG"))


@pytest.mark.parametrize("path", PHOTOS, ids=lambda path: path.stem)
def test_photo(path):
    data = path.read_bytes()
    expected = jpegs.rgb_turbo(data)
    assert_same(np.array(Image.open(io.BytesIO(data)).convert("RGB")), expected)
    for source in (data, path):
        assert_same(fastimg.decode(source, layout="HWC", orient=False), expected)
        assert_same(fastimg.decode(source, orient=False), np.ascontiguousarray(expected.transpose(2, 0, 1)))
    grey = jpegs.grey_turbo(data)
    assert_same(fastimg.decode(data, mode="L", layout="HWC", orient=False), grey)
    assert_same(fastimg.decode(data), jpegs.reference(data))


def test_photos_in_one_batch(shared):
    crop = (5, 7, 60, 70)
    paths = [path for path in PHOTOS if min(fastimg.read_header(path).shape[1:]) >= 80]
    assert len(paths) > 100
    singles = np.stack([fastimg.decode(path, crop=crop) for path in paths])
    for num_threads in (1, 2, 8):
        assert_same(fastimg.load(paths, crop=crop, num_threads=num_threads), singles)
