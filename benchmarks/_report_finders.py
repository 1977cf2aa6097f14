# SPDX-License-Identifier: BSD-3-Clause
"""Where the figures of a report are in the tables of its benchmarks.

Each function returns what the sentence of a figure needs: "value", and where there are any the quartiles of the ratios
within rounds, "low" and "high". KeyError says what is missing.
"""


def spread(row):
    low, high = row.get("quartiles", (None, None))
    return {"low": low, "high": high}


def against(row, peer):
    """How many times as fast fastimg is as that row."""
    return {"value": row["times"], "peer": peer, **spread(row)}


def peers(rows):
    """The rows that were timed, but for fastimg's own, fastest first."""
    return {
        name: row
        for name, row in rows.items()
        if "times" in row and not name.startswith(("fastimg", "(zlib"))
    }


def fastest(table, accepts, tables):
    """Compare with the fastest peer that is accepted; KeyError if there is none."""
    among = {name: row for name, row in peers(tables[table]).items() if accepts(name, row)}
    if not among:
        raise KeyError("none of the peers was measured")
    name = min(among, key=lambda name: among[name]["times"])
    return against(among[name], name)


def one_library(name, row):
    return "split" not in name


def antialiased(name, row):
    return row["antialiased"] == "yes"


def anyone(name, row):
    return True


def one(table, name, tables):
    return against(tables[table][name], name)


def small(call, tables):
    rows = {name: row[call] | {"label": name} for name, row in tables["small"].items() if row.get(call)}
    return fastest("small", anyone, {"small": rows})


def load_one(tables):
    row = tables["one"]["photos, files"]["load"]
    return {"value": row["times"], **spread(row)}


def stage(table, name, tables):
    row = tables[table][name]
    return {"value": row["ratio"], **spread(row)}


def classes(tables):
    ratios = {name: row["ratio"] for name, row in tables["classes"].items()}
    worst, best = min(ratios, key=ratios.get), max(ratios, key=ratios.get)
    return {"value": ratios[worst], "best": ratios[best], "worst class": worst, "count": len(ratios)}


def share(route, stage, tables):
    return {"value": tables["shares"][route][stage]}


def large(tables):
    rows = tables["large"]
    name = min(peers(rows), key=lambda name: rows[name]["peak MB"])
    return {"value": rows["fastimg"]["peak MB"], "peer": name, "its": rows[name]["peak MB"]}


def takes(table, name, tables):
    row = tables[table][name]
    return {"value": row.get("takes", row["times"]), **spread(row)}


def float_cost(tables):
    row = tables["options"]["fastimg float32, normalised"]
    return {"value": 100 * (row["times"] - 1)}


def psnr(tables):
    mean, worst = tables["evaluation"]["fastimg"]["psnr"]
    return {"value": mean, "worst": worst}


def scaling(tables):
    rows = {name: row for name, row in tables["scaling"].items() if row["label"] == "fastimg"}
    row = max(rows.values(), key=lambda row: row["threads"])
    mine = tables["scaling"][f"(zlib.compress), {row['threads']}"]
    return {"value": row["scaling"], "threads": row["threads"], "machine": mine["scaling"]}


def one_image(to, tables):
    """The file without restart markers, on two threads."""
    row = tables["parts"][f"12 Mpx, {to}, 2"]
    return {"value": row["ratio"], "threads": row["threads"], "machine": row["machine"], **spread(row)}


def above_array(tables):
    row = tables["ways"]["fastimg.load"]
    return {"value": row["above array"], "of which load": row["of which load"]}


def batches(key, tables):
    """A figure of fastimg's against its fastest antialiased peer."""
    rows = tables["plain"]
    name = fastest("plain", antialiased, tables)["peer"]
    row = rows[name]
    if key == "memory MB":
        return {"value": rows["fastimg"][key], "peer": name, "its": row[key]}
    return {"value": row[key], "peer": name} | (spread(row) if key == "times" else {})


def slow_storage(tables):
    """fastimg.load with the longest wait, against the fastest peer there."""
    rows = tables["plain"]
    row = rows["fastimg.load"]
    return {"value": row["of peer"][-1], "peer": row["peer"][-1], "kept": row["kept"][-1]}


def refused(table, tables):
    """How many percent of the visibly damaged files are refused, and by the best peer."""
    percent = tables[table]["all of these"]["percent"]
    others = {name: value for name, value in percent.items() if not name.startswith("fastimg")}
    best = max(others, key=others.get, default=None)
    found = {"value": percent["fastimg"], "intact": tables[table]["intact"]["percent"]["fastimg"]}
    return found | {"peer": best, "its": others.get(best)}


def worst_bill(tables):
    worst = tables["hostile"]["worst"]
    its = worst.get("Pillow", {})
    return {"value": worst["fastimg"]["s"], "beyond": worst["fastimg"]["beyond"], "its": its.get("s")}


def index_start(tables):
    rows = tables["start"]
    few, many = [name for name in rows if name.startswith("index") and "workers" not in name]
    return {
        "value": rows[many]["median"],
        "few": rows[few]["median"],
        "files": many.removeprefix("index of "),
    }
