# SPDX-License-Identifier: BSD-3-Clause
"""What Pillow refuses as a fallback: bad files, more pixels than are allowed. And that it does it quietly."""

import copy
import errno
import os
import pickle
import sys
import threading
import types
import warnings

import numpy as np
import pytest
from PIL import Image, ImageFile
from support import jpegs, mixed_folder
from support.fallbacks import PILLOW, decode, refused
from support.jpegs import assert_same

import fastimg
from fastimg.errors import Failure, make_error
from fastimg.fallback import parse_fallback


@pytest.mark.parametrize("kind", mixed_folder.NOT_JPEG)
@pytest.mark.usefixtures("silent")
def test_cut_short(kind, tmp_path):
    """An error, or all of the pixels: nothing is made up for what is missing."""
    data = mixed_folder.encoded(kind, 4)
    whole = np.asarray(mixed_folder.reference(data))
    path = tmp_path / "file"
    for part in (0.02, 0.3, 0.6, 0.9):
        path.write_bytes(data[: int(len(data) * part)])
        try:
            pixels, _ = decode(str(path))
        except fastimg.FallbackError as error:
            assert error.source == str(path) and str(error).startswith(f"{path}: not a JPEG file, found ")
            assert "; the fallback failed, too: Pillow: " in str(error)
            continue
        assert part == 0.9 or kind.startswith("GIF ")  # the first frame may be there
        assert_same(pixels, whole)


@pytest.mark.parametrize("fill", [b"\0", b"\xff", b"\x55"])
@pytest.mark.parametrize("kind", [kind for kind in mixed_folder.NOT_JPEG if kind.startswith("PNG")])
@pytest.mark.usefixtures("silent")
def test_a_png_with_another_tail(kind, fill):
    """What a download that was given up leaves: the right size, and zeros that Pillow takes for pixels."""
    data = mixed_folder.encoded(kind, 4)
    pixels = data.index(b"IDAT")
    for part in (0.2, 0.7, 0.95):
        cut = pixels + int((len(data) - pixels) * part)
        refused(data[:cut] + fill * (len(data) - cut))


def test_source_and_cause(tmp_path):
    path = tmp_path / "cut.png"
    path.write_bytes(mixed_folder.encoded("PNG RGB", 0)[:3000])
    error = refused(path)
    assert error.source == path and error.index is None
    assert isinstance(error.__cause__, OSError) and "truncated" in str(error)


@pytest.mark.parametrize("data", [b"", b"text\n" * 99, bytes(999), b"<html>", b"PK\x03\x04" + bytes(99)])
@pytest.mark.usefixtures("silent")
def test_no_image(data):
    assert "cannot identify" in str(refused(data))


@pytest.mark.parametrize("data", [b"x", b"text", b"xyz"])
def test_what_is_too_short_is_no_image(data):
    """Plugins that unpack more than there is say so in words of Python."""
    assert "Pillow: cannot identify the image; this is" in str(refused(data))


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "EPS would run Ghostscript"),
        (b"\xd7\xcd\xc6\x9a\x00\x00" + bytes(99), "WMF"),
        (b"GRIB" + bytes(3) + b"\x01" + bytes(99), "GRIB"),
        (b"\x89HDF\r\n\x1a\n" + bytes(99), "HDF5"),
        (b"BUFR" + bytes(99), "BUFR"),
        (b"BLP2" + bytes(199), "BLP"),
    ],
)
def test_formats_that_are_refused(data, words):
    error = refused(data)
    assert words in str(error) and "refused" in str(error)


def test_warnings_of_others_are_kept():
    """While threads decode files that Pillow warns of."""
    data = mixed_folder.encoded("TIFF LZW", 0)[:-9]  # "Corrupt EXIF data"
    stop = threading.Event()

    def work():
        while not stop.is_set():
            refused(data)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for number in range(200):
            warnings.warn(f"mine {number}", stacklevel=1)
        stop.set()
        for thread in threads:
            thread.join()
        refused(data)
        warnings.warn("the last", stacklevel=1)
    texts = [str(each.message) for each in caught]
    assert texts == [*(f"mine {number}" for number in range(200)), "the last"]


def test_filters_of_warnings_stay_as_few_and_pickle():
    data = mixed_folder.encoded("PNG RGB", 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        decode(data)
        count = len(warnings.filters)
        for _ in range(3):
            warnings.filterwarnings("ignore", message="something")
            decode(data)
        assert len(warnings.filters) == count + 1
        # Libraries send them to processes, and copy them.
        for filters in pickle.loads(pickle.dumps(warnings.filters)), copy.deepcopy(warnings.filters):
            assert filters[0][1] is warnings.filters[0][1]


def test_pillow_is_left_as_it_was():
    before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, Image._decompression_bomb_check
    decode(mixed_folder.encoded("PNG RGB", 0))
    assert (
        Image.MAX_IMAGE_PIXELS,
        ImageFile.LOAD_TRUNCATED_IMAGES,
        Image._decompression_bomb_check,
    ) == before


def test_files_are_closed(tmp_path):
    paths = []
    for i, kind in enumerate(mixed_folder.KINDS):
        paths.append(tmp_path / str(i))
        paths[-1].write_bytes(mixed_folder.encoded(kind, 2))
    paths.append(tmp_path / "bad")
    paths[-1].write_bytes(mixed_folder.encoded("PNG RGB", 2)[:2000])

    def run():
        for path in paths:
            PILLOW.measure(path, None, 0)
            if path.name != "bad":
                decode(path)
        refused(paths[-1])

    run()
    before = len(os.listdir("/dev/fd"))
    run()
    assert len(os.listdir("/dev/fd")) <= before


def test_a_seek_to_before_the_beginning(monkeypatch, tmp_path):
    """In a file that is an OSError with a number, as those of the machine have; but it is the image's fault."""
    path = tmp_path / "a.png"
    path.write_bytes(mixed_folder.encoded("PNG RGB", 0))
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile._open", lambda self: self.fp.seek(-1))
    for source in (path, path.read_bytes()):
        with pytest.raises(fastimg.FallbackError, match="the fallback failed, too: Pillow: "):
            fastimg.read_header(source, fallback="pillow")


def test_machine_faults_pass(monkeypatch):
    data = mixed_folder.encoded("PNG RGB", 0)
    for error in (MemoryError("none left"), OSError(errno.EMFILE, "too many"), KeyboardInterrupt()):

        def fail(*_, error=error):
            raise error

        with monkeypatch.context() as patched:
            patched.setattr("PIL.PngImagePlugin.PngImageFile.load_prepare", fail)
            with pytest.raises(type(error)) as caught:
                decode(data)
            assert caught.value is error
        with pytest.raises(type(error)) as caught:
            decode(data, parse_fallback(fail))
        assert caught.value is error


def test_errors_do_not_keep_files():
    data = mixed_folder.encoded("PNG RGB", 0)[:3000]
    kept = []
    fastimg.load([data] * 3, size=8, fallback="pillow", on_error=kept.append)
    assert len(kept) == 3
    for error in kept:
        while error is not None:
            assert error.__traceback__ is None
            error = error.__cause__ or error.__context__


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        decode(tmp_path / "none.png")


def test_many_threads():
    contents = [(mixed_folder.encoded(kind, 3), kind) for kind in mixed_folder.KINDS]
    expected = [decode(data) for data, _ in contents]
    failures = []

    def work(start):
        for i in range(len(contents)):
            at = (i + start) % len(contents)
            pixels, orientation = decode(contents[at][0])
            if orientation != expected[at][1] or not np.array_equal(pixels, expected[at][0]):
                failures.append(contents[at][1])

    threads = [threading.Thread(target=work, args=(7 * i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


# ---- the error that callers see ----------------------------------------------------------------


def test_both_refusals_are_named(tmp_path):
    """In one call and in another, and where the reason is a kind of JPEG."""
    data = mixed_folder.encoded("PNG RGB", 0)[:3000]
    path = tmp_path / "a.png"
    path.write_bytes(data)
    words = (
        "not a JPEG file, found 89 50 4e 47, PNG; the fallback failed, too: Pillow: OSError: image file is "
    )
    for call in (
        fastimg.decode,
        lambda source, fallback: fastimg.load([source], fallback=fallback),
        lambda source, fallback: fastimg.load([jpegs.jpeg(), source], size=8, fallback=fallback),
    ):
        for source in (str(path), path, data, fastimg.FileRange(path, 0, 3000)):
            with pytest.raises(fastimg.FallbackError) as caught:
                call(source, fallback="pillow")
            assert words in str(caught.value) and isinstance(caught.value.__cause__, OSError)
            where = "" if caught.value.index is None else f"image {caught.value.index}: "
            assert str(caught.value).startswith(
                where + (str(source) if source is not data else "<bytes, 3000 bytes>")
            )
    text = str(refused(jpegs.reframed(jpegs.jpeg(24, 31), marker=0xC5)))
    assert "a JPEG of 8 bits, 3 components and type SOF5; the fallback failed, too: Pillow: " in text


def jpeg_error(status="NOT_JPEG", text="", detail=(0, 0, 0, 0)):
    return str(make_error(Failure(0, status, 0, detail, text), "a", None))


@pytest.mark.parametrize("installed", [True, False])
def test_advice(installed, monkeypatch):
    import fastimg.signatures as signatures

    monkeypatch.setattr(signatures, "find_spec", lambda name: object() if installed else None)
    signatures.advice_for.cache_clear()
    heic = (b"\0\0\0\x18ftypheic" + bytes(12)).hex()
    ends = {
        "": (
            '; fallback="pillow" decodes it',
            "; fallback=\"pillow\" (pip install 'fastimg[pillow]') decodes it",
        ),
        heic: (
            '; fallback="pillow" decodes it',
            "; fallback=\"pillow\" (pip install 'fastimg[pillow]' pillow-heif) decodes it",
        ),
    }
    for text in (b"GIF89a".hex(), b"II*\0".hex(), b"BM".hex(), b"P6\n".hex()):
        assert jpeg_error(text=text).endswith(ends[""][not installed])
    assert jpeg_error(text=heic).endswith(ends[heic][not installed])
    assert jpeg_error("PROCESS", detail=(3, 0, 0, 0)).endswith(ends[""][not installed])
    assert ("imagecodecs" in jpeg_error("PRECISION", detail=(12, 0, 0, 0))) == (not installed)
    for data in (b"<html>", b'{"a": 1}', b"PK\x03\x04", b"%PDF", b"plain"):
        assert "fallback" not in jpeg_error(text=data.hex())
    assert jpeg_error(text=b"version https://git-lfs".hex()).endswith("; git lfs pull fetches the image")
    signatures.advice_for.cache_clear()


# ---- kinds of JPEG -----------------------------------------------------------------------------


def test_twelve_bits(monkeypatch):
    codecs = pytest.importorskip("imagecodecs")
    levels = mixed_folder.picture(3, 40, 57).astype(np.uint16) * 16 + 7
    data = codecs.jpeg_encode(levels, level=98, bitspersample=12)
    expected = np.round(codecs.jpeg_decode(data) * (255 / 4095)).astype(np.uint8)
    pixels, orientation = decode(data)
    assert_same(pixels, expected)
    assert np.abs(pixels.astype(int) - levels // 16).max() < 24 and orientation == 1
    assert decode(jpegs.oriented(data, 6))[1] == 6
    assert "end marker" in str(refused(data[: len(data) // 2]))
    refused(data, kind=fastimg.ImageTooLargeError, max_pixels=99)


#: Every way in, with a size that is given, or that the header says.
WAYS_IN = {
    "decode": fastimg.decode,
    "load": lambda data, **how: fastimg.load([data] * 2, **how)[1],
    "load, size": lambda data, **how: fastimg.load([data] * 2, size=9, **how)[1],
    "accessor": lambda data, **how: fastimg.ImageFileAccessor([data], **how)[:][0],
    "non-uniform": lambda data, **how: fastimg.NonUniformImageFileAccessor([data], **how)[0],
}


@pytest.mark.parametrize("way", WAYS_IN.values(), ids=WAYS_IN)
@pytest.mark.parametrize(("bits", "marker"), [(12, 0xC1), (16, 0xC3)])
def test_more_bits_without_imagecodecs(monkeypatch, way, bits, marker):
    data = jpegs.reframed(jpegs.jpeg(24, 31), precision=bits, marker=marker)
    monkeypatch.setattr("fastimg.jpeg_kinds.find_spec", lambda name: None)
    words = rf"Pillow: {bits} bits a sample; Pillow decodes 8, and imagecodecs \(pip install imagecodecs\) others$"
    with pytest.raises(fastimg.FallbackError, match=words):
        way(data, fallback="pillow")


@pytest.mark.parametrize("way", WAYS_IN.values(), ids=WAYS_IN)
@pytest.mark.parametrize("orientation", [1, 6])
def test_more_bits(monkeypatch, way, orientation):
    """By what stands in for imagecodecs."""
    levels = np.arange(24 * 31 * 3, dtype=np.uint16).reshape(24, 31, 3)
    codecs = types.SimpleNamespace(jpeg_decode=lambda content: levels)
    monkeypatch.setitem(sys.modules, "imagecodecs", codecs)
    monkeypatch.setattr("fastimg.jpeg_kinds.find_spec", lambda name: codecs)
    data = jpegs.reframed(jpegs.jpeg(24, 31), precision=12, marker=0xC1)
    data = jpegs.oriented(data, orientation)
    pixels = jpegs.upright(np.round(levels * (255 / 4095)).astype(np.uint8), orientation)
    image = way(data, fallback="pillow", layout="HWC")
    if image.shape[:2] != (9, 9):
        assert_same(image, pixels)


@pytest.mark.parametrize("way", WAYS_IN.values(), ids=WAYS_IN)
def test_more_bits_of_an_unknown_height(monkeypatch, way):
    monkeypatch.setattr("fastimg.jpeg_kinds.find_spec", lambda name: True)
    data = jpegs.reframed(jpegs.jpeg(24, 31), precision=12, marker=0xC1, height=0)
    with pytest.raises(fastimg.FallbackError, match="12 bits a sample and height 0"):
        way(data, fallback="pillow")


def test_lossless(shared):
    """Whether or not the libjpeg-turbo that is loaded decodes them."""
    paths = sorted(str(path) for path in (shared / "awkward").glob("twelvemonkeys/**/jpeg-lossless/*rgb.jpg"))
    assert paths
    for path in paths:
        expected = np.asarray(mixed_folder.reference(path))
        assert_same(fastimg.decode(path, fallback="pillow", layout="HWC"), expected)
        out = np.empty((1, *expected.shape), np.uint8)
        fastimg.load([path], out, fallback="pillow", layout="HWC")
        assert_same(out[0], expected)
        assert_same(fastimg.load([path, path], fallback="pillow", layout="HWC")[1], expected)


def test_what_libjpeg_refuses_when_it_begins_to_decode():
    data = jpegs.reframed(jpegs.jpeg(24, 31), factors=((3, 1), (2, 1), (1, 1)))
    with pytest.raises(fastimg.UnsupportedJpegError, match="Fractional sampling"):
        fastimg.decode(data)
    pixels = mixed_folder.picture(3, 24, 31)
    assert_same(fastimg.decode(data, fallback=lambda content: pixels, layout="HWC"), pixels)
    assert_same(fastimg.load([data, data], fallback=lambda content: pixels, layout="HWC")[1], pixels)


@pytest.mark.usefixtures("silent")
def test_kinds_that_nobody_decodes():
    for data in (
        jpegs.reframed(jpegs.jpeg(24, 31), marker=0xC5),
        jpegs.reframed(jpegs.jpeg(24, 31), height=0),
        jpegs.without(jpegs.jpeg(24, 31), 0xC0),
    ):
        refused(data)
