# SPDX-License-Identifier: BSD-3-Clause
"""Headers of images that are none for the core, as the fallback reads them."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import fastimg._decode as _decode
from fastimg.fallback import Fallback
from fastimg.image_header import Header
from fastimg.indexing import Indices
from fastimg.sources import SourceList
from fastimg.threads import WAKE_SECONDS

#: Files that are opened at once: Pillow's share is short, and storage may be slow.
MAX_THREADS = 16


def read_others(
    batch: _decode.Batch,
    sources: SourceList | Sequence[Any],
    indices: Indices | None,
    fallback: Fallback | None,
    max_pixels: int,
    num_threads: int | None = None,
) -> dict[int, Header]:
    """Reads those headers of a batch that the core could not.

    Parameters
    ----------
    batch : Batch
        It has read headers. Sizes and failures are put into it.
    sources : SourceList or sequence of Source
        The sources as the fallback gets them.
    indices : ndarray of int64, (n,), or None
        Those of the batch.
    fallback : Fallback or None
    max_pixels : int
        0: no limit.
    num_threads : int, optional
        Files that are opened at once, at most; by default `MAX_THREADS`.

    Returns
    -------
    dict of int to Header
        By position in the batch.
    """
    waiting = deque(batch.others() if fallback is not None else ())
    found: dict[int, Header] = {}
    if fallback is None or not waiting:
        return found

    def work() -> None:
        while waiting:
            try:
                position = waiting.popleft()
            except IndexError:
                return
            index = position if indices is None else int(indices[position])
            try:
                header = fallback.measure(sources[index], None, max_pixels)
            except Exception as error:
                batch.set_header(position, error)
                continue
            height, width = header.height, header.width
            if header.orientation >= 5:
                height, width = width, height
            batch.set_header(position, (width, height, header.orientation, header.nbytes))
            found[position] = header

    threads = _decode.ThreadGroup()
    try:
        if len(waiting) > 1:
            threads.start(work, min(len(waiting), num_threads or MAX_THREADS))
        while not threads.wait(WAKE_SECONDS):
            pass
        work()  # what is left if there are no threads
    finally:
        threads.stop(waiting.clear)
    return found
