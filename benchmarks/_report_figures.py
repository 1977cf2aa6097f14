# SPDX-License-Identifier: BSD-3-Clause
"""The figures of a report: what each is, where it comes from, in which unit, and the sentence that says it."""

from functools import partial
from typing import NamedTuple

from benchmarks import _report_finders as find

FAST = "{value:.2f} times as fast as {peer}"


class Figure(NamedTuple):
    """One figure of the documentation.

    `find` gets the tables of the benchmark and returns what the sentence needs.
    """

    name: str
    benchmark: str
    unit: str
    sentence: str
    find: object


FIGURES = (
    Figure(
        "decode",
        "decode",
        "x",
        f"Photos to (3, H, W): {FAST}, the fastest other library by itself",
        partial(find.fastest, "photos", find.one_library),
    ),
    Figure(
        "decode, any route",
        "decode",
        "x",
        f"Photos to (3, H, W): {FAST}, the fastest other way",
        partial(find.fastest, "photos", find.anyone),
    ),
    Figure(
        "small, buffer",
        "decode",
        "x",
        f"32 x 32 JPEG into a (3, 32, 32) buffer: {FAST}",
        partial(find.small, "out"),
    ),
    Figure(
        "small, plain",
        "decode",
        "x",
        f"32 x 32 JPEG, fresh array in each library's preferred layout: {FAST}",
        partial(find.small, "new"),
    ),
    Figure(
        "load of one",
        "decode",
        "x",
        "`load` of one photo takes {value:.2f} times as long as `decode` of it",
        find.load_one,
    ),
    Figure(
        "entropy",
        "stages",
        "x",
        "`decode` makes {value:.2f} times the images/s that it makes with `FASTIMG_ENTROPY=libjpeg`",
        partial(find.stage, "photos", "(3, H, W)"),
    ),
    Figure(
        "entropy, progressive",
        "stages",
        "x",
        "With progressive files it makes {value:.2f} times as many",
        partial(find.stage, "kinds", "progressive"),
    ),
    Figure(
        "entropy, classes",
        "classes",
        "x",
        "In {count} classes of size, quality and subsampling it makes {value:.2f} to {best:.2f} times as many",
        find.classes,
    ),
    Figure(
        "share of codes",
        "shares",
        "%",
        "{value:.0f} % of a decode to (3, H, W) goes into Huffman decoding",
        partial(find.share, "exact", "Huffman decoding"),
    ),
    Figure(
        "share of the inverse DCT",
        "shares",
        "%",
        "{value:.0f} % goes into the inverse DCT",
        partial(find.share, "exact", "inverse DCT"),
    ),
    Figure(
        "share of filters",
        "shares",
        "%",
        "{value:.0f} % of a decode to (3, 256, 256) goes into resampling",
        partial(find.share, "resized", "filters"),
    ),
    Figure(
        "resize 256",
        "resize",
        "x",
        f"Files to (3, 256, 256), one thread: {FAST}, the fastest antialiased peer",
        partial(find.fastest, "photos", find.antialiased),
    ),
    Figure(
        "resize 64",
        "resize",
        "x",
        f"Files to (3, 64, 64), two threads: {FAST}, the fastest antialiased peer",
        partial(find.fastest, "threads", find.antialiased),
    ),
    Figure(
        "large file",
        "resize",
        "x",
        f"12 megapixels to (3, 224, 224): {FAST}, the fastest antialiased peer",
        partial(find.fastest, "large", find.antialiased),
    ),
    Figure(
        "large file, memory",
        "resize",
        "MB",
        "12 megapixels to (3, 224, 224): {value:.1f} MB of memory, {its:.1f} MB by {peer}, the leanest peer",
        find.large,
    ),
    *(
        Figure(
            f"one image, {to}",
            "parts",
            "x",
            f"12 megapixels to {words}: {{value:.2f}} times as fast on {{threads}} threads as on one "
            "(zlib.compress: {machine:.2f})",
            partial(find.one_image, to),
        )
        for to, words in (("exact", "(3, H, W)"), ("(3, 224, 224)", "(3, 224, 224)"))
    ),
    Figure(
        "floats",
        "resize",
        "%",
        "float32 with mean and deviation takes {value:.0f} % longer than uint8",
        find.float_cost,
    ),
    Figure(
        "evaluation, tensors",
        "evaluation",
        "x",
        f"Resize(256), CenterCrop(224): {FAST}",
        partial(find.one, "evaluation", "torchvision, tensors"),
    ),
    Figure(
        "evaluation, Pillow",
        "evaluation",
        "x",
        f"Resize(256), CenterCrop(224): {FAST}",
        partial(find.one, "evaluation", "torchvision, Pillow's images"),
    ),
    Figure(
        "evaluation, PSNR",
        "evaluation",
        "dB",
        "{value:.1f} dB to the pixels of torchvision on Pillow's images, {worst:.1f} dB the worst",
        find.psnr,
    ),
    Figure(
        "letterbox",
        "evaluation",
        "x",
        f"Letterbox of 640 x 640: {FAST}",
        partial(find.one, "letterbox", "OpenCV INTER_LINEAR letterbox"),
    ),
    Figure(
        "views",
        "views",
        "x",
        "Eight crops of each photo take {value:.1f} times as long as one of 224",
        partial(find.takes, "views", "fastimg, eight views"),
    ),
    Figure(
        "views, calls",
        "views",
        "x",
        "Eight calls for them take {value:.1f} times as long",
        partial(find.takes, "views", "fastimg, eight calls"),
    ),
    Figure(
        "memory",
        "memory",
        "MB",
        "Peak memory above the array that is loaded: {value:.1f} MB, of which `load` {of which load:.1f} MB",
        find.above_array,
    ),
    Figure(
        "scaling",
        "load",
        "x",
        "`load` with {threads} threads against one: {value:.2f} times (zlib.compress: {machine:.2f})",
        find.scaling,
    ),
    Figure(
        "loader",
        "loader",
        "x",
        "Batches of (64, 3, 224, 224), two threads against two workers: {value:.1f} times the images/s of {peer}",
        partial(find.batches, "times"),
    ),
    Figure(
        "loader, first",
        "loader",
        "x",
        "The first batch comes {value:.1f} times sooner than that of {peer}",
        partial(find.batches, "first ms / ours"),
    ),
    Figure(
        "loader, memory",
        "loader",
        "MB",
        "Memory for batches: {value:.0f} MB, {its:.0f} MB by {peer}",
        partial(find.batches, "memory MB"),
    ),
    Figure(
        "storage",
        "storage",
        "x",
        "Files that are slow to open: {value:.2f} times the images/s of {peer}, {kept:.2f} of its own without a wait",
        find.slow_storage,
    ),
    *(
        Figure(
            f"damage, {form}",
            "damage",
            "%",
            f"Of visibly damaged {kind} {{value:.1f}} % are refused, {{its:.1f}} % by {{peer}}",
            partial(find.refused, form),
        )
        for form, kind in (
            ("baseline", "baseline files"),
            ("progressive", "progressive files"),
            ("restarts", "files with restart markers"),
        )
    ),
    Figure(
        "hostile",
        "hostile",
        "s",
        "The file of a few bytes that costs most takes {value:.1f} s and {beyond:.0f} MB beyond its pixels",
        find.worst_bill,
    ),
    Figure(
        "index",
        "index",
        "s",
        "From the start of a process to the first batch of {files}: {value:.2f} s; of 128: {few:.2f} s",
        find.index_start,
    ),
)


def figure_of(figure, benchmarks):
    """Return a figure as the report has it; "reason" says why there is no value."""
    row = {"name": figure.name, "benchmark": figure.benchmark, "unit": figure.unit}
    done = benchmarks.get(figure.benchmark, {"reason": "it has not been run"})
    if done["reason"]:
        return row | {"value": None, "reason": f"{figure.benchmark}: {done['reason']}"}
    try:
        found = figure.find(done["tables"])
        sentence = figure.sentence.format_map(found)
    except (KeyError, TypeError, ValueError) as error:  # a table, a contestant or a value is missing
        return row | {"value": None, "reason": f"{figure.benchmark}: there is no {error}"}
    rounded = {key: round(value, 3) if isinstance(value, float) else value for key, value in found.items()}
    return row | rounded | {"sentence": sentence, "reason": None}


def figures_of(report):
    """Return all figures of a report, those without a value as well."""
    return [figure_of(figure, report["benchmarks"]) for figure in FIGURES]
