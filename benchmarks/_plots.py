# SPDX-License-Identifier: BSD-3-Clause
"""Plots: those of single benchmarks, and of a report, as SVG and PNG.

Their ground is white, so that they can be read on a page of any colour. Colours are those of Okabe and Ito, which
people with any kind of colour vision tell apart, and nothing is said by colour alone. The text of an SVG stays text;
without dates and random names in it, the same report gives the same file.
"""

from fastimg.benchmarking.tables import draw

OURS, PEER, INK = "#d55e00", "#8c8c8c", "#222222"  # vermilion, grey
SERIES = ("#0072b2", "#009e73", "#e69f00", "#cc79a7", "#56b4e9")  # blue, green, orange, purple, sky
SAVE = {"svg.fonttype": "none", "svg.hashsalt": "fastimg", "font.family": "sans-serif"}


def machine_line(report, name):
    """Return on what a plot's figures were measured, and by which clock if there is a choice."""
    found, clock = report["machine"], report["settings"]["clock"]
    words = f"{found['cpu']}, {found['usable CPUs']} CPUs"
    return words + "; CPU time" * (clock == "cpu" and name in ("decode", "resize", "evaluation"))


def timed(rows, key="rate"):
    return {name: row for name, row in rows.items() if key in row and not row.get("reason")}


def colours(names):
    return [OURS if name.startswith("fastimg") else PEER for name in names]


def bars_height(rows):
    """Return how many inches so many bars take."""
    return 0.4 * len(rows) + 1.2


def bars(axes, rows, label, key="rate"):
    """Horizontal bars, in order of the ratio to fastimg, which is written, with the span of the rounds."""
    names = sorted(rows, key=lambda name: (-rows[name].get("times", 0), rows[name][key]))
    values = [rows[name][key] for name in names]
    spans = [[rows[name][key] - rows[name]["min"] for name in names]]
    spans.append([rows[name]["max"] - rows[name][key] for name in names])
    axes.barh(names, values, color=colours(names), height=0.7, xerr=spans, ecolor=INK, capsize=2)
    for i, name in enumerate(names):
        times = rows[name].get("times", 1)
        words = f"{values[i]:.0f}" + (f", fastimg is {times:.2f} x" if name != "fastimg" else "")
        axes.text(rows[name]["max"] + max(values) * 0.015, i, words, va="center", fontsize=9, color=INK)
    axes.set_xlim(0, max(row["max"] for row in rows.values()) * 1.3)
    axes.set_xlabel(label)


def decode(axes, tables, words):
    bars(axes, timed(tables["photos"]), f"images per second, one thread, to (3, H, W)\n{words}")


def loader(axes, tables, words):
    bars(
        axes, timed(tables["plain"]), f"images per second, batches of (64, 3, 224, 224), two workers\n{words}"
    )


def evaluation(axes, tables, words):
    rows = timed(tables["evaluation"])
    bars(axes, rows, f"images per second, one thread, Resize(256) and CenterCrop(224)\n{words}")


def resize(axes, tables, words):
    """Quality against speed: filled where antialiased, hollow where not, each with its name."""
    rows = timed(tables["photos"])
    for name, row in rows.items():
        colour = OURS if name == "fastimg" else INK
        face = colour if row["antialiased"] == "yes" else "none"
        axes.plot(row["rate"], row["bilinear"][0], "o", markersize=8, color=colour, markerfacecolor=face)
    points = {name: (row["rate"], row["bilinear"][0]) for name, row in rows.items()}
    most = max(x for x, _ in points.values()) * 1.15
    low, high = min(y for _, y in points.values()) - 2, max(y for _, y in points.values()) + 2
    axes.set(xlim=(0, most), ylim=(low, high))
    place_names(axes, points, most, low, high)
    axes.grid(alpha=0.3)
    axes.set_ylabel("PSNR against a bilinear resize in floats, dB")
    axes.set_xlabel(f"images per second, one thread, files to (3, 256, 256); hollow: aliased\n{words}")


LETTER, LINE = 0.0098, 0.042  # width and height of text, as shares of the axes of that plot
OFFSETS = [(side, LINE * rows) for rows in (0, 1, -1, 2, -2, 3, -3, 4, -4) for side in (0.015, -0.015)]


def place_names(axes, points, most, low, high):
    """Write each name beside its point, where it covers no other; a line leads to one that is not level with it."""
    places = {name: (x / most, (y - low) / (high - low)) for name, (x, y) in points.items()}
    taken = [(x - 0.012, y - 0.02, x + 0.012, y + 0.02) for x, y in places.values()]
    for name, (x, y) in sorted(places.items(), key=lambda item: -item[1][1]):
        for aside, above in OFFSETS:
            start = x + aside if aside > 0 else x + aside - LETTER * len(name)
            box = (start, y + above - LINE / 2, start + LETTER * len(name), y + above + LINE / 2)
            if is_inside(box) and not any(overlap(box, other) for other in taken):
                break
        taken.append(box)
        style = {"fontsize": 8.5, "va": "center", "ha": "left" if aside > 0 else "right", "color": INK}
        style |= {"xycoords": "axes fraction", "fontweight": "bold" if name == "fastimg" else "normal"}
        line = (
            {"arrowprops": {"arrowstyle": "-", "color": PEER, "linewidth": 0.8, "relpos": (aside < 0, 0.5)}}
            if above
            else {}
        )
        axes.annotate(name, (x, y), (x + aside, y + above), **style, **line)


def is_inside(box):
    return min(box[:2]) >= 0 and box[2] <= 1


def overlap(one, other):
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


WAYS = {  # of loading into one array: what they do, and how their lines look
    "np.vstack": ("list of cv2.imread, then np.vstack", SERIES[0], "--"),
    "preallocated": ("preallocated array, cv2.imread, transpose", SERIES[2], "-."),
    "fastimg.load": ("preallocated array, fastimg.load", OURS, "-"),
}


def memory(axes, tables, words):
    """A line for each way of loading, and the array's size as a dotted line."""
    rows = tables["ways"]
    for name, row in rows.items():
        what, colour, style = WAYS[name]
        times, sizes = zip(*row["samples"], strict=True)
        sizes = [size / 2**30 for size in sizes]
        axes.plot(times, sizes, style, color=colour, linewidth=2, label=f"{what}: {row['seconds']:.1f} s")
    any_row = next(iter(rows.values()))
    array = (any_row["peak"] - any_row["above array"]) * 1e6 / 2**30
    axes.axhline(array, color=INK, linestyle=":", linewidth=1, label=f"the array itself: {array:.2f} GiB")
    top = max(row["peak"] for row in rows.values()) * 1e6 / 2**30
    axes.set(xlim=(0, None), ylim=(0, top * 1.4), ylabel="memory of the process, GiB")
    axes.set_xlabel(f"seconds since loading began\n{words}")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper right", fontsize=9, framealpha=0.9)


HATCHES = ("", "//", "\\\\", "x", "")


def shares(axes, tables, words):
    """Stacked bars: the percentage of each stage, for each route."""
    rows = tables["shares"]
    names, left = list(rows)[::-1], dict.fromkeys(rows, 0.0)
    stages = list(dict.fromkeys(stage for row in rows.values() for stage in row))
    for stage, hatch, colour in zip(stages, HATCHES, SERIES, strict=False):
        widths = [rows[name].get(stage, 0) for name in names]
        starts = [left[name] for name in names]
        style = {"color": colour, "edgecolor": "white", "hatch": hatch, "label": stage, "height": 0.65}
        axes.barh(names, widths, left=starts, **style)
        for name, width, start in zip(names, widths, starts, strict=True):
            left[name] += width
            if width >= 5:  # else there is no room
                box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.5}
                at = {"ha": "center", "va": "center", "fontsize": 9, "bbox": box}
                axes.text(start + width / 2, name, f"{width:.0f} %", **at)
    axes.set(xlim=(0, 100), ylim=(-0.6, len(names) + 0.1))
    axes.legend(loc="upper center", ncols=len(stages), fontsize=8.5, frameon=False)
    axes.set_xlabel(f"percent of the time of a decode, one thread\n{words}")


def damage(axes, tables, words):
    """Groups of bars: how much of the visible damage each library refuses, for each form of file."""
    forms = [form for form in ("baseline", "progressive", "restarts") if form in tables]
    names = list(tables[forms[0]]["all of these"]["percent"])[::-1]
    height = 0.8 / len(forms)
    for i, (form, colour) in enumerate(zip(forms, SERIES, strict=False)):
        percent = tables[form]["all of these"]["percent"]
        places = [k + (len(forms) - 1 - i - (len(forms) - 1) / 2) * height for k in range(len(names))]
        values = [percent.get(name, 0) for name in names]
        axes.barh(
            places,
            values,
            height=height,
            color=colour,
            hatch=("", "//", "\\\\")[i],
            edgecolor="white",
            label=form,
        )
        for place, value in zip(places, values, strict=True):
            axes.text(value + 1, place, f"{value:.0f}", va="center", fontsize=7.5, color=INK)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlim(0, 118)
    axes.legend(loc="lower right", fontsize=9)
    axes.set_xlabel(f"percent of the visibly damaged files that are refused\n{words}")


def classes(axes, tables, words):
    """How much the Huffman decoding is worth to each class: a dot per class, grouped by size."""
    sizes = list(dict.fromkeys(name.split()[0] for name in tables["classes"]))
    marks = {"grey": "s", "4:2:0": "o", "4:4:4": "^"}
    for name, row in tables["classes"].items():
        size, quality, colour, _ = name.split()
        place = sizes.index(size) + 0.25 * (["q30", "q75", "q95"].index(quality) - 1)
        shade = dict(zip(marks, SERIES, strict=False))[colour]
        axes.plot(row["ratio"], place, marks[colour], color=shade, markersize=6, alpha=0.8)
    for colour, mark in marks.items():
        axes.plot([], [], mark, color=dict(zip(marks, SERIES, strict=False))[colour], label=colour)
    axes.axvline(1, color=INK, linewidth=1, linestyle=":")
    axes.set_yticks(range(len(sizes)), sizes)
    axes.set_xlim(0.8, None)
    axes.legend(fontsize=9)
    axes.set_xlabel(f"times as fast as with libjpeg-turbo's; each size from q30 below to q95 above\n{words}")


# name: (benchmark, function, width and height in inches for so many rows)
PLOTS = {
    "decode": (decode, lambda tables: (8, bars_height(timed(tables["photos"])))),
    "resize": (resize, lambda tables: (8, 5)),
    "evaluation": (evaluation, lambda tables: (8, bars_height(timed(tables["evaluation"])))),
    "memory": (memory, lambda tables: (8, 4.2)),
    "shares": (shares, lambda tables: (8, 2.4)),
    "classes": (classes, lambda tables: (8, 3.6)),
    "loader": (loader, lambda tables: (8, bars_height(timed(tables["plain"])))),
    "damage": (damage, lambda tables: (8, 5.5)),
}


def draw_all(report, folder):
    """Draw what the report has figures for; return the names, and of those that failed print the reason."""
    try:
        import matplotlib
    except ImportError as error:
        print(f"no plots: {error}")
        return []
    drawn = []
    with matplotlib.rc_context(SAVE):
        for name, (function, size) in PLOTS.items():
            found = report["benchmarks"].get(name, {"reason": "it has not been run"})
            if found["reason"]:
                continue
            tables, words = found["tables"], machine_line(report, name)
            try:
                figure = draw(None, *size(tables), lambda axes, f=function, t=tables, w=words: f(axes, t, w))
            except (KeyError, ValueError, IndexError) as error:  # a table or all contestants are missing
                print(f"{name} is not drawn: there is no {error}")
                continue
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
            figure.savefig(folder / f"{name}.png")
            drawn.append(name)
    return drawn
