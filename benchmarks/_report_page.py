# SPDX-License-Identifier: BSD-3-Clause
"""A report in words: the tables as the documentation has them, and a page with all figures and plots."""

from fastimg.benchmarking.tables import RATES, TIMES, lines

LIBRARIES = {
    "opencv": "OpenCV", "simplejpeg": "simplejpeg", "pillow": "Pillow", "torchvision": "torchvision",
    "imagecodecs": "imagecodecs", "kornia-rs": "kornia-rs", "pyturbojpeg": "PyTurboJPEG", "fastimg": "fastimg",
    "spdl": "SPDL", "dali": "DALI",
}  # fmt: skip
WAYS = {  # of resizing: what follows the library and its version
    "fastimg": ", `size=`",
    "torchvision": ", antialiased",
    "simplejpeg min size + INTER_AREA": " min size, `INTER_AREA`",
    "OpenCV IMREAD_REDUCED + INTER_AREA": " reduced, `INTER_AREA`",
    "OpenCV INTER_AREA": ", `INTER_AREA`",
    "OpenCV INTER_LINEAR": ", `INTER_LINEAR` (aliased)",
    "Pillow draft, reducing_gap=2.0": ", draft, `reducing_gap=2.0`",
    "DALI": ", on the CPU",
}
OUTCOMES = {True: "{s:.1f} s, {beyond:.0f} MB", False: "refused, {s:.1f} s"}


def labelled(name, found):
    """Return "library 1.2" of a contestant of that benchmark."""
    word = next((word for key, word in LIBRARIES.items() if name.lower().startswith(key)), name)
    version = found["contestants"].get(name, {}).get("version", "")
    return f"{word} {'.'.join(version.split('+')[0].split('.')[:2])}".strip()


def plain(rows):
    """Return the lines of a table as they are written by hand: no padding, and nothing where there is no figure."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in rows]
    cells[1] = ["---", *["---:"] * (len(cells[0]) - 1)]
    return ["| " + "".join(f"{cell} | " if cell != "-" else "| " for cell in row).rstrip() for row in cells]


def decode_table(found):
    rows = {}
    for name, row in found["tables"]["photos"].items():
        route = found["contestants"].get(name, {}).get("route", "")
        ways = (
            ", `cv2.split`" if "cv2.split" in route else ", NumPy transpose" if "transpose" in route else ""
        )
        own = {"label": labelled(name, found) + ways}
        rows[name] = row | own if name != "fastimg" else {"rate": row.get("rate")} | own
    return lines("images/s: {rate:.0f} | fastimg is: {times:.2f} x", timed(rows), "decoder")


def resize_table(found):
    photos, threads = found["tables"]["photos"], timed(found["tables"].get("threads", {}))
    rows = {}
    for name, row in timed(photos).items():
        small = threads.get(name, {})
        both = {"psnr": row["bilinear"][0], "rate": row["rate"], "small": small.get("rate")}
        if name != "fastimg":
            both |= {"times": row["times"], "small times": small.get("times")}
        rows[name] = both | {"label": labelled(name, found) + WAYS.get(name, "")}
    columns = "to 256 x 256, images/s: {rate:.0f} | fastimg is: {times:.2f} x | PSNR, dB: {psnr:.1f}"
    if threads:  # they are not measured by CPU time
        columns += " | to 64 x 64, images/s: {small:.0f} | fastimg is: {small times:.2f} x"
    return lines(columns, rows, "decoder and resizing")


def evaluation_table(found):
    columns = f"{RATES} | {TIMES} | PSNR: {{psnr[0]:.1f}}"
    return lines(columns, timed(found["tables"]["evaluation"] | found["tables"]["letterbox"]))


def loader_table(found):
    columns = f"{RATES} | {TIMES} | first batch, ms: {{first ms:.0f}} | memory, MB: {{memory MB:.0f}}"
    return lines(columns, timed(found["tables"]["plain"]))


def damage_table(form, found):
    rows = found["tables"][form]
    names = list(next(iter(rows.values()))["percent"])
    columns = ["visible: {visible}", *(f"{name}: {{percent[{name}]:.1f}}" for name in names)]
    return lines(" | ".join(columns), rows, "damage")


def hostile_table(found):
    rows, ways = {}, {}
    for key, row in found["tables"]["hostile"]["files"].items():
        name = key.removesuffix(f": {row['way']}")
        ways[row["way"]] = None
        cell = None if row["s"] is None else OUTCOMES[row["found"] == "image"].format_map(row)
        rows.setdefault(name, {"nbytes": row["nbytes"]})[row["way"]] = cell or row["found"]
    columns = " | ".join(["bytes: {nbytes:,}", *(f"{way}: {{{way}}}" for way in ways)])
    return lines(columns, rows, "file")


def timed(rows):
    return {name: row for name, row in rows.items() if row.get("rate") and not row.get("reason")}


# (where it is, benchmark, function)
TABLES = [
    ("docs/performance.md: decoding", "decode", decode_table),
    ("docs/performance.md: resizing", "resize", resize_table),
    ("docs/performance.md: evaluation and letterboxes", "evaluation", evaluation_table),
    ("docs/training.md: batches", "loader", loader_table),
    *(
        (
            f"docs/damage.md: {form}, percent refused",
            "damage",
            lambda found, form=form: damage_table(form, found),
        )
        for form in ("baseline", "progressive", "restarts")
    ),
    ("SECURITY.md: what a file may cost", "hostile", hostile_table),
]


def left_out(found):
    """Return why contestants are not in the tables of a benchmark."""
    reasons = dict(found.get("missing") or {})
    for rows in found.get("tables", {}).values():
        reasons |= {name: row["reason"] for name, row in rows.items() if row and row.get("reason")}
    return [f"{name} is left out: {reason}" for name, reason in reasons.items()]


def tables(report):
    """Return the tables as the documentation has them, and every figure as a sentence."""
    parts = []
    for where, benchmark, function in TABLES:
        found = report["benchmarks"].get(benchmark, {"reason": "it has not been run"})
        text = [f"{benchmark}: {found['reason']}"]
        if not found["reason"]:
            try:
                text = [*plain(function(found)), *[f"\n{line}" for line in left_out(found)]]
            except (KeyError, StopIteration) as error:  # not a table of a --quick or a partial run
                text = [f"{benchmark}: there is no {error}"]
        parts.append("\n".join([f"## {where}", "", *text]))
    parts.append("\n".join(["## Figures", "", *sentences(report)]))
    return "\n\n".join(parts) + "\n"


def sentences(report):
    """Return a line for each figure, with the quartiles of the ratios where there are some."""
    found = []
    for figure in report["figures"]:
        if figure["reason"]:
            found.append(f"- {figure['name']}: no figure, {figure['reason']}")
            continue
        quartiles = ""
        if figure.get("low") is not None:
            quartiles = f" (quartiles {figure['low']:.2f} to {figure['high']:.2f})"
        found.append(f"- {figure['sentence']}{quartiles}")
    return found


def page(report, plots):
    """Return the page of a report: what it was measured on and with, its plots, and its tables."""
    machine, build = report["machine"], report["fastimg"]
    loads = [found["load"] for found in report["benchmarks"].values() if found.get("load") is not None]
    libraries = [f"{name} {version}" for name, version in report["libraries"].items() if version]
    absent = [name for name, version in report["libraries"].items() if not version]
    head = [
        "# Figures",
        "",
        f"{machine['cpu']}, {machine['usable CPUs']} usable CPUs, {machine['system']}, Python {machine['python']}.",
        f"Begun {report['created']}. Load average before each benchmark: "
        + (f"{min(loads)} to {max(loads)}." if loads else "unknown."),
        "",
        "fastimg " + ", ".join(f"{key} {value}" for key, value in build.items()) + ".",
        f"With {', '.join(libraries)}.",
        f"Not installed: {', '.join(absent) or 'none'}.",
        "",
        f"    {' '.join(report['command'])}",
        "",
    ]
    for name, found in report["benchmarks"].items():
        words = "failed: " + found["reason"] if found["reason"] else f"{found['seconds']:.0f} s"
        head.append(f"- `{' '.join([name, *found['arguments']])}`: {words}")
    drawn = [f"![{name}]({name}.svg)\n" for name in plots]
    return "\n".join([*head, "", *drawn, tables(report)])
