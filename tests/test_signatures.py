# SPDX-License-Identifier: BSD-3-Clause
"""Files that are not JPEG are named by what they are."""

import io

import pytest
from PIL import Image
from support import jpegs

import fastimg
from fastimg.cli import main

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"


def media(major, *compatible, size=None):
    """The start of an ISO base media file."""
    brands = major + bytes(4) + b"".join(compatible)
    return (len(brands) + 8 if size is None else size).to_bytes(4, "big") + b"ftyp" + brands + bytes(200)


def words_of(data):
    """What the message says beyond the first four bytes; the same from all that reads the file."""
    with pytest.raises(fastimg.UnsupportedJpegError) as caught:
        fastimg.decode(data)
    message = str(caught.value)
    for read in (fastimg.read_header, lambda source: fastimg.decode(source, strict=False)):
        with pytest.raises(fastimg.UnsupportedJpegError) as caught:
            read(data)
        assert str(caught.value) == message
    before, after = message.split("not a JPEG file: expected it to begin with ff d8, found ")
    shown = data[:4].hex(" ")
    assert before == f"<bytes, {len(data)} bytes>: " and after.startswith(shown)
    return after[len(shown) :].removeprefix(", ").partition("; ")[0]  # without what to do about it


@pytest.mark.parametrize("name", ["PNG", "GIF", "WebP", "TIFF", "BMP", "ICO", "PPM", "PDF", "DDS"])
def test_files_of_pillow(name):
    file = io.BytesIO()
    Image.fromarray(jpegs.pixels(32, 32)).save(file, name)
    assert words_of(file.getvalue()) == {"PPM": "PNM"}.get(name, name)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        *((media(brand), "HEIC") for brand in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")),
        *((media(brand, b"mif1", b"miaf"), "AVIF") for brand in (b"avif", b"avis")),
        *((media(brand), "HEIF (HEIC or AVIF?)") for brand in (b"mif1", b"msf1", b"miaf", b"avci")),
        # The major brand is that of any HEIF, or unknown.
        (media(b"mif1", b"mif1", b"heic"), "HEIC"),
        (media(b"msf1", b"iso8", b"mif1", b"hevc"), "HEIC"),
        (media(b"mif1", b"mif1", b"miaf", b"avif"), "AVIF"),
        (media(b"msf1", b"mif1", b"avis"), "AVIF"),
        (media(b"xxxx", b"yyyy", b"heic"), "HEIC"),
        (media(b"xxxx", *[b"yyyy"] * 18, b"heic"), "HEIC"),
        (media(b"avif", b"mif1", b"heic"), "AVIF"),
        # Whatever the size of the box says.
        (media(b"mif1", b"mif1", b"avif", size=0), "AVIF"),
        (media(b"mif1", b"mif1", b"avif", size=1), "AVIF"),
        (media(b"heic", b"mif1", size=2**32 - 1), "HEIC"),
        (media(b"mif1", b"mif1", size=20) [:20] + b"heic", "HEIF (HEIC or AVIF?)"),
        (media(b"heic")[:12], "HEIC"),
        (media(b"heic")[:8], "MP4 or QuickTime"),
        (media(b"isom", b"iso2", b"mp41"), "MP4 or QuickTime"),
        (media(b"qt  "), "MP4 or QuickTime"),
        (media(b"crx ", b"isom"), "camera raw"),
    ],
)  # fmt: skip
def test_brands(data, kind):
    assert words_of(data) == kind


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"RIFF\x24\0\0\0WEBPVP8 ", "WebP"),
        (b"RIFF\x24\0\0\0AVI LIST", "AVI"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "RIFF"),
        (b"RIFF", "RIFF"),
        (b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl ", "JPEG XL"),
        (b"\xff\x0a\xfa\x1f", "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 ", "JPEG 2000"),
        (b"\xff\x4f\xff\x51\0\x2f", "JPEG 2000"),
        (b"II\xbc\x01", "JPEG XR"),
        (b"MM\0+\0\x08", "TIFF"),
        (b"PK\x03\x04\x14\0", "ZIP"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"\0\x05\x16\x07\0\x02\0\0Mac OS X", "AppleDouble (metadata of macOS)"),
        (b"/9j/4AAQSkZJRgABAQ", "base64 of a JPEG file"),
        (b"data:image/jpeg;base64,/9j/4AAQ", "data: URI"),
        (bytes(1), "zero bytes"),
        (bytes(1000), "zero bytes"),
        (bytes(90) + b"x" * 100, ""),
        (b"text", ""),
        (b"\xff", ""),
        (b"\xff\xff\xff", ""),
        (b"\0" + jpegs.jpeg(), ""),
    ],
    ids=lambda value: repr(value[:16]),
)
def test_other_binary_files(head, kind):
    if head == b"\xff":  # which may become a JPEG yet
        with pytest.raises(fastimg.TruncatedJpegError):
            fastimg.decode(head)
    else:
        assert words_of(head) == kind


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("<!DOCTYPE html><html></html>", "HTML"),
        ("<!doctype HTML PUBLIC '-//W3C//DTD HTML 4.01//EN'>", "HTML"),
        ("<HTML>", "HTML"),
        ("<html lang='en'>", "HTML"),
        ("<!-- error --><html>", "HTML"),
        ('<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE html>', "HTML"),
        ("<svg xmlns='http://www.w3.org/2000/svg'>", "SVG"),
        ('<?xml version="1.0" encoding="UTF-8"?>\n<svg>', "SVG"),
        ('<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "XML"),
        ("<head><title>", "HTML or XML"),
        ('{"message": "Not Found"}', "JSON"),
        ('{\n  "error": 404}', "JSON"),
        ("{text}", ""),
        ("not <html>", ""),
        (LFS.decode(), "Git LFS pointer"),
    ],
)
@pytest.mark.parametrize("before", ["", " ", "\r\n\t ", "\ufeff", "\ufeff\n\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_text(text, kind, before, encoding):
    if encoding == "utf-16" and "?>\n<!DOCTYPE" in text:
        kind = "XML"  # what comes next is too far off
    # Python's utf-16 begins with a mark of the byte order.
    text = before.lstrip("\ufeff") + text if encoding == "utf-16" else before + text
    assert words_of(text.encode(encoding)) == kind


def test_text_of_every_length():
    for text in (LFS, b"<!DOCTYPE html><html>", b"\xef\xbb\xbf<html>\xc3\xa9", media(b"mif1", b"heic")):
        for end in range(1, len(text)):
            words_of(text[:end])


def test_a_shared_file(shared):
    with pytest.raises(fastimg.UnsupportedJpegError, match="HEIC"):
        fastimg.decode(shared / "cases" / "jpg_is_heic.jpg")


@pytest.mark.parametrize("command", ["check", "info"])
def test_words_of_the_command(command, tmp_path, capsys):
    (tmp_path / "a.jpg").write_bytes(media(b"mif1", b"heic"))
    (tmp_path / "b.jpg").write_bytes(LFS)
    assert main([command, str(tmp_path / "a.jpg"), str(tmp_path / "b.jpg")]) == 1
    lines = capsys.readouterr().out.splitlines()
    first, second = (line for line in lines if str(tmp_path) in line)
    if command == "check":
        first, second = (
            line.removesuffix(f"\t{tmp_path}/{name}.jpg") for line, name in ((first, "a"), (second, "b"))
        )
    assert "found 00 00 00 14, HEIC; fallback" in first
    assert second.endswith("found 76 65 72 73, Git LFS pointer; git lfs pull fetches the image")
    if command == "check":
        assert first.startswith("not JPEG") and second.startswith("not JPEG")


# ---- height 0 ------------------------------------------------------------------------------------


def without_height(width=31):
    return jpegs.reframed(jpegs.jpeg(24, 31), height=0, width=width)


@pytest.mark.parametrize("options", [{}, {"strict": False}, {"size": 8}, {"orient": False}])
def test_height_0(options):
    # With and without the DNL segment, which comes after the scan.
    dnl = b"\xff\xdc\0\x04\0\x18"
    for data in (without_height(), without_height()[:-2] + dnl + b"\xff\xd9"):
        with pytest.raises(fastimg.UnsupportedJpegError, match=r"height 0.*DNL is not supported"):
            fastimg.decode(data, **options)
        with pytest.raises(fastimg.UnsupportedJpegError, match=r"image 1: .*DNL is not supported"):
            fastimg.load([jpegs.jpeg(24, 31), data], **options)
        header = fastimg.read_header(data)
        assert (header.height, header.width) == (0, 31)


def test_width_0():
    for height in (0, 24):
        data = jpegs.reframed(jpegs.jpeg(24, 31), height=height, width=0)
        with pytest.raises(fastimg.CorruptJpegError, match=f"found height {height} and width 0"):
            fastimg.decode(data)


def test_height_0_of_a_header_that_is_cut():
    data = without_height()
    with pytest.raises(fastimg.UnsupportedJpegError, match="DNL is not supported"):
        fastimg.decode(data[: jpegs.frame(data)[2]])


def test_check_of_height_0(tmp_path, capsys):
    path = tmp_path / "a.jpg"
    path.write_bytes(without_height())
    assert main(["check", str(path)]) == 1
    line = capsys.readouterr().out.splitlines()[0]
    assert line.startswith("unsupported") and line.endswith(f"DNL is not supported\t{path}")


def test_a_shared_file_of_height_0(shared):
    with pytest.raises(fastimg.UnsupportedJpegError, match="DNL is not supported"):
        fastimg.decode(shared / "cases" / "height0_dnl.jpg")
