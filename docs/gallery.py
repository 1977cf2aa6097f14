# SPDX-License-Identifier: BSD-3-Clause
"""Makes the pictures of the page gallery.rst: what ``fit`` and ``resample`` do, by fastimg, to a picture of ours."""

import html
import io

import numpy as np
from PIL import Image

import fastimg

WIDE, TALL = (360, 540), (540, 360)  # (height, width) of the two pictures
SIDE = 144  # pixels of a result
FITS = {
    "stretch": {"fit": "stretch"},
    "cover": {"fit": "cover"},
    "contain": {"fit": "contain", "pad_value": 114},
}
FILTERS = ("box", "bilinear", "hamming", "bicubic", "lanczos")
REDUCED, ENLARGED = 44, 132  # pixels per side of a result
ZOOM = 3  # of the reduced results, so that their pixels can be seen


def picture(height, width):
    """A JPEG file of what resizing is seen at: a circle, a grid, edges, a zone plate, smooth and saturated colours."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    u, v = x / width, y / height
    image = np.stack([90 + 130 * u, 120 + 70 * v, 200 - 120 * u * v], axis=-1)  # the sky
    ground = v > 0.62 + 0.06 * np.sin(9 * u)
    image[ground] = np.stack([60 + 50 * u, 130 - 60 * v, 50 + 20 * u], axis=-1)[ground]
    radius = 0.2 * min(height, width)
    sun = np.hypot(x - 0.28 * width, y - 0.3 * height) < radius
    image[sun] = (250, 205, 60)
    distance = np.hypot(x - 0.7 * width, y - 0.34 * height)
    plate = distance < 1.3 * radius
    wave = 127.5 + 127.5 * np.cos(distance**2 * 1.9 / radius)  # rings that become finer
    image[plate] = wave[plate, None]
    bars = (v > 0.74) & (v < 0.92) & (u > 0.06) & (u < 0.5)
    image[bars] = np.where((x // (2 + 10 * u)).astype(int)[..., None] % 2, (245, 245, 245), (20, 20, 30))[
        bars
    ]
    squares = (v > 0.74) & (v < 0.92) & (u > 0.58) & (u < 0.94)
    size = max(height, width) // 36
    check = (x // size + y // size).astype(int)[..., None] % 2
    image[squares] = np.where(check, (225, 40, 40), (40, 70, 220))[squares]
    file = io.BytesIO()
    Image.fromarray(image.round().clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=92, subsampling=0)
    return file.getvalue()


def figure(folder, name, pixels, caption, *, zoom=1):
    """Write (3, H, W) pixels as a PNG; give the HTML that shows it."""
    image = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    image.save(folder / f"{name}.png")
    height, width = (zoom * length for length in pixels.shape[1:])
    return (
        f'<figure><img src="gallery/{name}.png" width="{width}" height="{height}" alt="{html.escape(caption)}">'
        f"<figcaption><code>{html.escape(caption).replace(', ', ',<br>')}</code></figcaption></figure>"
    )


def row(figures):
    return '<div class="gallery">\n' + "\n".join(figures) + "\n</div>\n"


def call(options):
    return ", ".join(f"{name}={value!r}" for name, value in options.items())


def make(folder):
    """Write the pictures to ``folder/gallery``, and a file of HTML for each row of the page."""
    pictures = folder / "extra" / "gallery"
    pictures.mkdir(parents=True, exist_ok=True)
    rows = {}
    for kind, shape in (("wide", WIDE), ("tall", TALL)):
        data = picture(*shape)
        shown = fastimg.decode(data, resize_longer=216)
        figures = [figure(pictures, kind, shown, f"data, {shape[1]} x {shape[0]}")]
        for name, options in FITS.items():
            options = {"size": SIDE, **options}
            figures.append(figure(pictures, f"{kind}-{name}", fastimg.decode(data, **options), call(options)))
        rows[f"fit-{kind}"] = figures

    data = picture(*WIDE)
    rings, corner = (60, 290, 180, 180), (323, 191, 16, 16)
    rows["reduced"] = []
    for name in FILTERS:
        options = {"size": REDUCED, "resample": name}
        pixels = fastimg.decode(data, crop=rings, **options)
        rows["reduced"].append(figure(pictures, f"reduced-{name}", pixels, call(options), zoom=ZOOM))
    rows["enlarged"] = []
    for name in FILTERS:
        options = {"size": ENLARGED, "resample": name}
        pixels = fastimg.decode(data, crop=corner, **options)
        rows["enlarged"].append(figure(pictures, f"enlarged-{name}", pixels, call(options)))
    rows["gap"] = []
    for gap in (None, 2.0, 1.0):
        options = {"size": REDUCED, "reducing_gap": gap}
        pixels = fastimg.decode(data, crop=rings, **options)
        rows["gap"].append(figure(pictures, f"gap-{gap}", pixels, call(options), zoom=ZOOM))
    for name, figures in rows.items():
        (folder / f"{name}.html").write_text(row(figures), "utf-8")
