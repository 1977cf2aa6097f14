# SPDX-License-Identifier: BSD-3-Clause
"""One section of a page, run in a process of its own: ``python -m support.recipes PAGE TITLE CHECKS``.

The page's opening code runs first, then the section's, then the function of the module CHECKS for that title, which
gets the names that the section leaves behind.
"""

import importlib
import multiprocessing
import os
import pathlib
import sys
import tarfile
import warnings

from PIL import Image

from support import jpegs
from support.pages import section_blocks

COUNT = 24


def has_photos():
    root = os.environ.get("FASTIMG_TEST_DATA")
    return bool(root) and os.path.isdir(os.path.join(root, "photos"))


def photo_data():
    """Photos of several sizes, one of them to be turned: those of FASTIMG_TEST_DATA, else generated ones."""
    if has_photos():
        photos = pathlib.Path(os.environ["FASTIMG_TEST_DATA"], "photos")
        found = [path.read_bytes() for path in sorted(photos.iterdir())[:COUNT]]
    else:
        sizes = [(300, 400), (400, 300), (256, 256), (500, 333)]
        found = [jpegs.jpeg(*sizes[i // 2 % 4], seed=i) for i in range(COUNT)]
    return [*found[:-1], jpegs.oriented(found[-1], 6)]


def furnish(folder):
    """What the pages name: ``photos``, with a folder per class, the same as a shard, and a PNG."""
    Image.fromarray(jpegs.pixels(200, 300)).save(folder / "drawing.png")
    with tarfile.open(folder / "train-0000.tar", "w") as shard:
        for i, data in enumerate(photo_data()):
            path = folder / "photos" / ("cat", "dog")[i % 2] / f"{i:03d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            label = folder / f"{i:03d}.cls"
            label.write_text(str(i % 2))
            shard.add(path, path.name)
            shard.add(label, label.name)


def main(page, title, checks):
    # Functions and classes of a page are no module's: they go to a worker by fork alone.
    multiprocessing.set_start_method("fork")
    warnings.filterwarnings("error", module=r"page$|fastimg\b")  # what our own lines bring about
    found = section_blocks(pathlib.Path(page))
    namespace = {"__name__": "page"}
    for block in found[""] + found[title]:
        # The lines of a traceback are those of the page.
        exec(compile("\n" * (block.line - 1) + block.code, page, "exec"), namespace)
    importlib.import_module(checks).CHECKS[title](namespace)


if __name__ == "__main__":
    main(*sys.argv[1:])
