# SPDX-License-Identifier: BSD-3-Clause
"""The tables of docs/coming-from.md: ``python -m support.comparisons PAGE TITLE REPORT``.

Runs a section, both sides of each row, and writes a line per row: what the two were found to be to each other.
"""

import functools
import json
import multiprocessing
import pathlib
import re
import sys
import traceback
import warnings

import numpy as np

from support.pages import section_blocks, sections, table_rows

PROMISE = re.compile(r"equal|within (?P<within>1e-\d)|(?P<decibels>\d+) dB")
CODE = re.compile(r"`[^`]+`")


def comparisons(page):
    """By section, the rows that are run: left, right and what is promised."""
    return {
        section.title: [
            (left.strip("`"), right.strip("`"), promise)
            for left, right, promise in (row for row in table_rows(section) if len(row) == 3)
            if CODE.fullmatch(left) and CODE.fullmatch(right) and promise
        ]
        for section in sections(page)
    }


def compare(pairs):
    """How the results of the two sides are to each other, at the worst image; decibels are a mean."""
    pairs = [(_plain(left), _plain(right)) for left, right in pairs]
    if all(type(left) is type(right) and _equal(left, right) for left, right in pairs):
        return {"kind": "equal"}
    if not all(isinstance(left, np.ndarray) and isinstance(right, np.ndarray) for left, right in pairs):
        return {"kind": "different", "why": f"{pairs[0][0]!r:.300} {pairs[0][1]!r:.300}"}
    for left, right in pairs:
        if (left.shape, left.dtype) != (right.shape, right.dtype):
            return {"kind": "different", "why": f"{left.shape} {left.dtype}, {right.shape} {right.dtype}"}
    errors = [left.astype(np.float64) - right for left, right in pairs]
    peak = 255 if pairs[0][0].dtype == np.uint8 else 1
    # Images that are equal have no decibels; they count as 99.
    decibels = [-20 * np.log10(max(np.sqrt(np.mean(e**2)) / peak, 10**-4.95)) for e in errors]
    return {
        "kind": "close",
        "dtype": str(pairs[0][0].dtype),
        "most": max(float(np.abs(e).max()) for e in errors),
        "decibels": float(np.mean(decibels)),
    }


def _plain(value):
    """An array of an image or tensor; anything else as it is."""
    if hasattr(value, "numpy"):  # torch
        return value.numpy()
    return np.asarray(value) if hasattr(value, "__array_interface__") else value


def _equal(left, right):
    if isinstance(left, np.ndarray):
        return left.dtype == right.dtype and np.array_equal(left, right)
    return left == right


def evaluate(left, right, page):
    """Both sides, for each photo if they are about one, else once."""
    if not re.search(r"\b(path|data|jpegs)\b", left + right):
        return [(eval(left, page), eval(right, page))]
    pairs = []
    for i, path in enumerate(page["paths"]):
        names = {"path": path, "data": pathlib.Path(path).read_bytes()}
        result = _dali(left, page)[i] if "jpegs" in left else eval(left, {**page, **names})
        pairs += _images(result, eval(right, {**page, **names}))
    return pairs


def _images(left, right):
    """The pairs of two lists of images, or the two as they are."""
    if all(isinstance(side, list) and hasattr(side[0], "shape") for side in (left, right)):
        return zip(left, right, strict=True)
    return [(left, right)]


@functools.cache
def _dali_pipeline():
    from nvidia.dali import fn, pipeline_def

    @pipeline_def(num_threads=2, device_id=None)  # no GPU
    def make(files, graph):
        jpegs, _ = fn.readers.file(files=files)
        return graph(jpegs)

    return make


_results = {}


def _dali(code, page):
    """What a graph gives for all images."""
    if code not in _results:
        paths = page["paths"]
        pipeline = _dali_pipeline()(
            paths, lambda jpegs: eval(code, {**page, "jpegs": jpegs}), batch_size=len(paths)
        )
        pipeline.build()
        (images,) = pipeline.run()
        _results[code] = [np.array(images[i]) for i in range(len(paths))]
    return _results[code]


def main(page, title, report):
    multiprocessing.set_start_method("fork")
    warnings.filterwarnings("error", module=r"page$|fastimg\b")  # what our own lines bring about
    page = pathlib.Path(page)
    namespace = {"__name__": "page"}
    found = section_blocks(page)
    for block in found[""] + found[title]:
        exec(compile("\n" * (block.line - 1) + block.code, str(page), "exec"), namespace)
    with open(report, "w", encoding="utf-8") as file:
        for left, right, _ in comparisons(page)[title]:
            try:
                result = compare(evaluate(left, right, namespace))
            except Exception:
                result = {"kind": "different", "why": traceback.format_exc()}
            print(json.dumps(result), file=file, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
