# SPDX-License-Identifier: BSD-3-Clause
"""What to set, by what was measured of a user's own files."""

from __future__ import annotations

from typing import Any

from fastimg.threads import default_num_threads

_SAME = 0.97  # of the best rate is as good as the best
_GAIN = 1.1  # times the default's speed is worth a setting


def fewest_threads(threads: dict[int, dict[str, Any]]) -> int:
    """Return the least number of threads that is about as fast as any."""
    best = max(row["rate"] for row in threads.values() if "rate" in row)
    return min(n for n, row in threads.items() if row["rate"] >= _SAME * best)


def _clearly_best(rows: dict[Any, dict[str, Any]], default: Any) -> Any:
    """Return the fastest row if it is faster than the default in nearly all turns, else the default."""
    top = max(rows, key=lambda key: rows[key]["ratio"])
    return top if rows[top]["ratio"] >= _GAIN and rows[top]["ratio low"] > 1 else default


def advise(found: dict[str, dict[Any, dict[str, Any]]], size: int, listed: int) -> dict[str, Any]:
    """Say what to set.

    Parameters
    ----------
    found : dict
        As from `own_files.Bench.measure`.
    size : int
        Height and width that the files were loaded to.
    listed : int
        How many files there are.

    Returns
    -------
    dict
        "settings": arguments of `fastimg.load`; "rate": images/s with them; "text": sentences.
    """
    settings: dict[str, Any] = {"size": size}
    threads, readers, gaps = found["threads"], found["readers"], found["gaps"]
    best = fewest_threads(threads)
    words = []
    if best == default_num_threads():
        words.append(f"num_threads may stay at its default, {best}")
    else:
        settings["num_threads"] = best
        more = "as fast as more" if best < max(threads) else "the best of those that were tried"
        free = ", and leaves other CPUs free" if best < min(max(threads), default_num_threads()) else ""
        words.append(f"num_threads={best} is {more}{free}")
    top = _clearly_best(readers, None)
    if top is None:
        words.append("read_threads may stay at its default")
    else:
        settings["read_threads"] = top
        words.append(f"read_threads={top} is {readers[top]['ratio']:.2f} x as fast as the default")
    top = _clearly_best(gaps, 2.0)
    if top == 2.0:
        words.append("reducing_gap may stay at its default")
    else:
        quality = "less" if top == 1.0 else "more"
        words.append(f"reducing_gap={top} would be {gaps[top]['ratio']:.2f} x as fast and {quality} exact")
    whole = found["sizes"][0]["ratio"]
    words.append(f"size={size} is {1 / whole:.1f} x as fast as decoding at full size")
    rate = readers[settings.get("read_threads")]["rate"]
    call = ", ".join(f"{name}={value}" for name, value in settings.items())
    text = f"Set: fastimg.load(paths, {call}): {rate:,.0f} images/s, {_duration(listed / rate)} for all {listed:,}"
    return {"settings": settings, "rate": rate, "text": [text, "; ".join(words)]}


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:,.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"
