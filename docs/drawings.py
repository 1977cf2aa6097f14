# SPDX-License-Identifier: BSD-3-Clause
"""Draws the two routes of a decode, with the shares that ``python -m benchmarks.shares`` has measured."""

import html
import json

WIDTH, HEIGHT, GAP = 360, 58, 18  # of a drawing, of a box, between boxes

# route: its title and the lines of each box: (stage that has been measured or None, what is done, more about it)
ROUTES = {
    "exact": (
        "Exact: the image's own size",
        [
            (None, "A file's bytes", "read as far as the image reaches"),
            ("Huffman decoding", "Huffman decoding", "codes to coefficients; damage is found here"),
            ("inverse DCT", "Inverse DCT", "blocks sorted by what they hold, two at a time"),
            ("colour and store", "Colour and store", "Y, Cb, Cr to R, G, B, straight to planes"),
            (None, "Your array", "(3, H, W), equal to Pillow's pixels"),
        ],
    ),
    "resized": (
        "Resized: size=256",
        [
            (None, "A file's bytes", "read as far as the image reaches"),
            ("Huffman decoding", "Huffman decoding", "the same, as far as the last row that is needed"),
            ("inverse DCT", "Inverse DCT", "to 8, 4, 2 or 1 samples a side, as the size asks for"),
            ("filters", "Two filters", "each plane from its own resolution, a few rows at a time"),
            ("colour and store", "Colour and store", "at the size of the result"),
            (None, "Your array", "(3, 256, 256), no full image in between"),
        ],
    ),
}


def svg(title, boxes, shares):
    """One route as an SVG whose colours are those of the page around it (static/site.css)."""
    height = 34 + len(boxes) * (HEIGHT + GAP) - GAP + 2
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{html.escape(title)}">',
        f'<text class="title" x="2" y="18">{html.escape(title)}</text>',
    ]
    for i, (stage, name, about) in enumerate(boxes):
        top = 34 + i * (HEIGHT + GAP)
        kind = "box" if stage else "end"
        parts.append(f'<rect class="{kind}" x="1" y="{top}" width="{WIDTH - 2}" height="{HEIGHT}" rx="6"/>')
        parts.append(f'<text x="14" y="{top + 23}">{html.escape(name)}</text>')
        parts.append(f'<text class="about" x="14" y="{top + 41}">{html.escape(about)}</text>')
        if stage:
            share = shares[stage]
            full = WIDTH - 28
            room, bar = f'x="14" y="{top + 48}" height="4" rx="2"', full * share / 100
            parts.append(f'<text x="{WIDTH - 14}" y="{top + 23}" text-anchor="end">{share:.0f} %</text>')
            parts.append(f'<rect class="room" {room} width="{full}"/>')
            parts.append(f'<rect class="share" {room} width="{bar:.1f}"/>')
        if i:
            middle = WIDTH / 2
            path = f"M{middle} {top - GAP + 2}V{top - 3}m-4 -5l4 5l4 -5"
            parts.append(f'<path class="arrow" d="{path}"/>')
    return "\n".join([*parts, "</svg>"])


def make(figures, folder):
    """Write ``routes.html``, and ``measured.txt``, which says of what the shares are."""
    measured = json.loads((figures / "shares.json").read_text("utf-8"))
    drawings = [svg(*ROUTES[route], shares) for route, shares in measured["shares"].items()]
    folder.mkdir(exist_ok=True)
    (folder / "routes.html").write_text(
        '<div class="routes">\n' + "\n".join(drawings) + "\n</div>\n", "utf-8"
    )
    cpu = measured["environment"]["system"][0].partition(",")[0]
    corpus = measured["corpus"]
    rest = " and ".join(f"{shares['the rest']:.0f} %" for shares in measured["shares"].values())
    (folder / "measured.txt").write_text(
        f"{corpus['images']} ImageNet photos of {corpus['bytes'] / corpus['images'] / 1000:.0f} kB on average, one "
        f"thread of an {cpu}. What is missing, {rest}, is headers, libjpeg-turbo's upsampling, and hand-over.\n",
        "utf-8",
    )
