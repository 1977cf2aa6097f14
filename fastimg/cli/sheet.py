# SPDX-License-Identifier: BSD-3-Clause
"""A contact sheet: small pictures in columns, with captions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

GAP = 8  # pixels between cells, and around them
PAPER = (255, 255, 255)
INK = (40, 40, 40)
LABEL_INK = (0, 84, 160)
ERROR_PAPER = (255, 236, 234)
ERROR_INK = (160, 0, 0)

_FONT_SIZE = 12
_LINE = 15  # pixels per line of text
_ELLIPSIS = "..."  # in every font


class Cell(NamedTuple):
    """A picture and its captions.

    Attributes
    ----------
    pixels : ndarray of uint8, (H, W), (H, W, 3) or (H, W, 4), or None
        None: there is none.
    caption, label : str
        Lines below it.
    error : str
        Why there is no picture, or why it is not the whole one.
    """

    pixels: npt.NDArray[np.uint8] | None
    caption: str
    label: str = ""
    error: str = ""


def import_pillow() -> Any:
    """Return ``PIL``, with the modules that are needed; ValueError if it is not installed."""
    try:
        import PIL.Image
        import PIL.ImageDraw
        import PIL.ImageFont
    except ImportError:
        raise ValueError("a contact sheet needs Pillow: pip install 'fastimg[pillow]'") from None
    return PIL


def write_sheet(file: BinaryIO, cells: Sequence[Cell], columns: int, size: int) -> tuple[int, int]:
    """Draw a contact sheet and write it as a PNG file.

    Parameters
    ----------
    file : binary file
    cells : sequence of Cell
        By rows, from the left; not empty.
    columns : int
    size : int
        The height and width of a picture's place.

    Returns
    -------
    tuple of int
        The height and width of the sheet.

    Raises
    ------
    ValueError
        Pillow is not installed.
    OSError
        The file cannot be written.
    """
    pillow = import_pillow()
    font = pillow.ImageFont.load_default(_FONT_SIZE)
    lines = 1 + any(cell.label for cell in cells)
    pitch = size + GAP + lines * _LINE
    rows = -(-len(cells) // columns)
    width, height = columns * (size + GAP) + GAP, rows * pitch + GAP
    sheet = pillow.Image.new("RGB", (width, height), PAPER)
    draw = pillow.ImageDraw.Draw(sheet)
    for i, cell in enumerate(cells):
        left, top = GAP + i % columns * (size + GAP), GAP + i // columns * pitch
        if cell.pixels is not None:
            sheet.paste(*_fitted(pillow, cell.pixels, (left, top), size))
        if cell.error:
            _draw_error(draw, font, cell, (left, top), size)
        texts = [(cell.caption, ERROR_INK if cell.error else INK), (cell.label, LABEL_INK)]
        for line, (text, ink) in enumerate(texts[:lines]):
            at = (left, top + size + 1 + line * _LINE)
            draw.text(at, shorten(text, size, font.getlength), ink, font)
    sheet.save(file, "PNG")
    return height, width


def _fitted(
    pillow: Any, pixels: npt.NDArray[np.uint8], corner: tuple[int, int], size: int
) -> tuple[Any, ...]:
    """Return a picture that fits into its place, where its corner goes, and its alpha if it has that."""
    image = pillow.Image.fromarray(pixels)
    scale = size / max(image.size)
    shape = [max(1, round(length * scale)) for length in image.size]
    # Few large pixels are looked at one by one.
    by = pillow.Image.Resampling.NEAREST if scale >= 2 else pillow.Image.Resampling.BILINEAR
    image = image.resize(shape, by)
    left, top = (at + (size - length) // 2 for at, length in zip(corner, image.size, strict=True))
    return (image, (left, top), image) if image.mode == "RGBA" else (image, (left, top))


def _draw_error(draw: Any, font: Any, cell: Cell, corner: tuple[int, int], size: int) -> None:
    left, top = corner
    box = (left, top, left + size - 1, top + size - 1)
    if cell.pixels is None:
        draw.rectangle(box, ERROR_PAPER)
    draw.rectangle(box, None, ERROR_INK, 2)
    count = max(1, (size - 10) // _LINE)
    lines = wrap(cell.error, size - 12, font.getlength)
    if len(lines) > count:
        lines[count - 1 :] = [shorten(" ".join(lines[count - 1 :]), size - 12, font.getlength, middle=False)]
    for line, text in enumerate(lines):
        draw.text((left + 6, top + 4 + line * _LINE), text, ERROR_INK, font)


def shorten(text: str, width: float, length: Any, middle: bool = True) -> str:
    """Return a text that is no wider, without its middle, or else its end, if need be: the ends of names tell most."""
    if length(text) <= width:
        return text
    most = len(text)
    while most > 0:
        most -= 1
        head = most // 2 if middle else most
        short = text[:head] + _ELLIPSIS + text[len(text) - (most - head) :]
        if length(short) <= width:
            return short
    return ""


def wrap(text: str, width: float, length: Any) -> list[str]:
    """Return the lines of a text that are no wider; a word that is wider is cut."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        if line and length(f"{line} {word}") <= width:
            line = f"{line} {word}"
            continue
        if line:
            lines.append(line)
        while length(word) > width and len(word) > 1:
            count = next(n for n in range(len(word) - 1, 0, -1) if n == 1 or length(word[:n]) <= width)
            lines.append(word[:count])
            word = word[count:]
        line = word
    return [*lines, line] if line else lines
