# SPDX-License-Identifier: BSD-3-Clause
"""Images in many formats, made from generated pictures, and what Pillow makes of each."""

import io
import itertools
import pathlib
import struct
import zlib
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, PngImagePlugin

ORIENTATION = 0x112
HAS_AVIF = "AVIF" in Image.registered_extensions().values()


class Mixed(NamedTuple):
    """One file of a mixed folder."""

    path: str
    kind: str
    is_jpeg: bool


def picture(seed, height, width):
    """A smooth picture with some noise, (H, W, 3)."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 6, 3), np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    return np.clip(smooth + rng.integers(-6, 7, smooth.shape), 0, 255).astype(np.uint8)


def saved(image, format, **options):
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def exif(orientation):
    found = Image.Exif()
    found[ORIENTATION] = orientation
    return found.tobytes()


def png(height, width, rows, *, interlace=0, after=b""):
    """A PNG of RGB rows with their filters, and chunks after its pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, interlace))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + after + chunk(b"IEND", b"")


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def interlaced(pixels):
    """An interlaced PNG, which Pillow does not write: the seven passes of Adam7."""
    passes = (
        (0, 8, 0, 8),
        (0, 8, 4, 8),
        (4, 8, 0, 4),
        (0, 4, 2, 4),
        (2, 4, 0, 2),
        (0, 2, 1, 2),
        (1, 2, 0, 1),
    )
    rows = b""
    for top, down, left, right in passes:
        part = pixels[top::down, left::right]
        rows += b"".join(b"\0" + row.tobytes() for row in part if row.size)
    return png(*pixels.shape[:2], rows, interlace=1)


def late_orientation(pixels, orientation):
    """A PNG whose Exif data comes after its pixels."""
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    data = chunk(b"eXIf", exif(orientation).removeprefix(b"Exif\0\0"))
    return png(*pixels.shape[:2], rows, after=data)


def with_xmp(image, orientation):
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", f'<rdf:Description tiff:Orientation="{orientation}"/>')
    return saved(image, "PNG", pnginfo=info)


def with_alpha(image, seed):
    ramp = np.linspace(0, 255, image.width).astype(np.uint8)
    alpha = np.tile(np.roll(ramp, seed), (image.height, 1))
    image = image.copy()
    image.putalpha(Image.fromarray(alpha))
    return image


def palette_alpha(image, seed):
    """A palette with an alpha value for each of its colours."""
    indexed = image.quantize(32)
    return saved(indexed, "PNG", transparency=bytes((seed + 31 * i) % 256 for i in range(32)))


def transparent_color(image):
    return saved(image, "PNG", transparency=image.getpixel((3, 3)))


def sixteen(image):
    """Levels of 16 bits, most of them below 256: higher ones become white."""
    grey = np.asarray(image.convert("L")).astype(np.uint16)
    grey[0, :8] = (0, 1, 255, 256, 257, 1000, 65535, 4)
    return Image.frombytes("I;16", image.size, grey.astype("<u2").tobytes())


def animated(image, **options):
    frames = [image.quantize(64), image.rotate(180).quantize(64)]
    return saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=50, **options)


def jpeg(image, orientation=None, **options):
    if orientation:
        options["exif"] = exif(orientation)
    return saved(image, "JPEG", **options)


# kind: (function of an image and a seed, suffix); the kinds that begin with "JPEG" are JPEG files.
KINDS = {
    "PNG RGB": (lambda im, _: saved(im, "PNG"), ".png"),
    "PNG RGBA": (lambda im, seed: saved(with_alpha(im, seed), "PNG"), ".png"),
    "PNG LA": (lambda im, seed: saved(with_alpha(im.convert("L"), seed), "PNG"), ".PNG"),
    "PNG L": (lambda im, _: saved(im.convert("L"), "PNG"), ".png"),
    "PNG P": (lambda im, _: saved(im.quantize(64), "PNG"), ".png"),
    "PNG P alpha": (palette_alpha, ".png"),
    "PNG P transparent": (lambda im, seed: saved(im.quantize(16), "PNG", transparency=seed % 16), ".png"),
    "PNG L transparent": (lambda im, _: saved(im.convert("L"), "PNG", transparency=100), ".png"),
    "PNG RGB transparent": (lambda im, _: transparent_color(im.quantize(8).convert("RGB")), ".png"),
    "PNG 1": (lambda im, _: saved(im.convert("1"), "PNG"), ".png"),
    "PNG I;16": (lambda im, _: saved(sixteen(im), "PNG"), ".png"),
    "PNG interlaced": (lambda im, _: interlaced(np.asarray(im)), ".png"),
    "PNG orientation": (lambda im, seed: saved(im, "PNG", exif=exif(1 + seed % 8)), ".png"),
    "PNG late orientation": (lambda im, seed: late_orientation(np.asarray(im), 1 + seed % 8), ".png"),
    "PNG XMP orientation": (lambda im, seed: with_xmp(im, 1 + seed % 8), ".png"),
    "GIF": (lambda im, _: saved(im.quantize(64), "GIF"), ".gif"),
    "GIF animated": (lambda im, _: animated(im), ".gif"),
    "GIF transparent": (lambda im, seed: animated(im, transparency=seed % 64, disposal=2), ".gif"),
    "WebP": (lambda im, _: saved(im, "WEBP"), ".webp"),
    "WebP lossless": (lambda im, _: saved(im, "WEBP", lossless=True), ".webp"),
    "WebP alpha": (lambda im, seed: saved(with_alpha(im, seed), "WEBP", lossless=True), ".webp"),
    "WebP orientation": (lambda im, seed: saved(im, "WEBP", exif=exif(1 + seed % 8)), ".webp"),
    "BMP": (lambda im, _: saved(im, "BMP"), ".bmp"),
    "BMP P": (lambda im, _: saved(im.quantize(200), "BMP"), ".bmp"),
    "TIFF": (lambda im, _: saved(im, "TIFF"), ".tif"),
    "TIFF I;16": (lambda im, _: saved(sixteen(im), "TIFF"), ".tiff"),
    "TIFF CMYK": (lambda im, _: saved(im.convert("CMYK"), "TIFF"), ".tif"),
    "TIFF LZW": (lambda im, _: saved(im, "TIFF", compression="tiff_lzw"), ".tif"),
    "TIFF float": (lambda im, _: saved(im.convert("F"), "TIFF"), ".tif"),
    "TIFF alpha": (lambda im, seed: saved(with_alpha(im, seed), "TIFF"), ".tif"),
    "TIFF orientation": (
        lambda im, seed: saved(im, "TIFF", tiffinfo={ORIENTATION: 1 + seed % 8}),
        ".tiff",
    ),
    "ICO": (lambda im, _: saved(im.resize((64, 64)), "ICO", sizes=[(64, 64)]), ".ico"),
    "PPM": (lambda im, _: saved(im, "PPM"), ".ppm"),
    "PGM": (lambda im, _: saved(im.convert("L"), "PPM"), ".pgm"),
    "TGA": (lambda im, _: saved(im, "TGA"), ".tga"),
    "TGA alpha": (lambda im, seed: saved(with_alpha(im, seed), "TGA", compression="tga_rle"), ".tga"),
    "JPEG2000": (lambda im, _: saved(im, "JPEG2000"), ".jp2"),
    "PCX": (lambda im, _: saved(im, "PCX"), ".pcx"),
    "SGI": (lambda im, _: saved(im, "SGI"), ".sgi"),
    "PNG named .jpg": (lambda im, _: saved(im, "PNG"), ".jpg"),
    "WebP named .jpeg": (lambda im, _: saved(im, "WEBP"), ".jpeg"),
    "JPEG": (lambda im, _: jpeg(im), ".jpg"),
    "JPEG 4:4:4": (lambda im, _: jpeg(im, subsampling=0, quality=95), ".jpg"),
    "JPEG progressive": (lambda im, _: jpeg(im, progressive=True), ".jpg"),
    "JPEG grey": (lambda im, _: jpeg(im.convert("L")), ".jpg"),
    "JPEG CMYK": (lambda im, _: jpeg(im.convert("CMYK")), ".jpg"),
    "JPEG orientation": (lambda im, seed: jpeg(im, 1 + seed % 8), ".jpg"),
    "JPEG named .png": (lambda im, _: jpeg(im), ".png"),
}  # fmt: skip
if HAS_AVIF:
    KINDS["AVIF"] = (lambda im, _: saved(im, "AVIF", speed=10), ".avif")
    KINDS["AVIF orientation"] = (
        lambda im, seed: saved(im, "AVIF", speed=10, exif=exif(1 + seed % 8)),
        ".avif",
    )

NOT_JPEG = [kind for kind in KINDS if kind == "JPEG2000" or not kind.startswith("JPEG")]


def encoded(kind, seed, height=None, width=None):
    """The content of a file."""
    rng = np.random.default_rng(seed)
    height, width = height or int(rng.integers(40, 200)), width or int(rng.integers(40, 200))
    make, _ = KINDS[kind]
    return make(Image.fromarray(picture(seed, height, width)), seed)


def make_folder(folder, count):
    """Writes `count` files, of all kinds in turn and of many sizes, and returns them in the order of their names."""
    found = []
    for i, kind in zip(range(count), itertools.cycle(KINDS), strict=False):
        path = pathlib.Path(folder) / f"{i:05}{KINDS[kind][1]}"
        path.write_bytes(encoded(kind, i))
        found.append(Mixed(str(path), kind, kind not in NOT_JPEG))
    return found


def reference(source, background=(0, 0, 0)):
    """What Pillow makes of a file, or of bytes: upright, RGB, over a background; as a PIL image."""
    with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
        image = ImageOps.exif_transpose(image)
        if image.has_transparency_data:
            image = image.convert("RGBA")
            below = Image.new("RGB", image.size, background)
            below.paste(image, mask=image.getchannel("A"))
            return below
        return image.convert("RGB")
