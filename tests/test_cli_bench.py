# SPDX-License-Identifier: BSD-3-Clause
"""`fastimg bench`: a short run with small files."""

import itertools
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.archive_files import make_archive
from support.cli_common import PATHS, encoded, left, run

import fastimg
import fastimg.benchmarking.own_files as own_files
from fastimg.benchmarking.advice import advise
from fastimg.benchmarking.own_files import Bench, Plan, look_at
from fastimg.benchmarking.peers import contestant, find
from fastimg.cli import main

BENCH = ("bench", "photos", "--size", "16", "--seconds", "0.2")


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few contestants of each kind."""
    monkeypatch.setattr(own_files, "SIZES", (8, 16))
    monkeypatch.setattr(own_files, "READERS", (0, None, 2))
    for name in ("MAIN", "DECODERS"):
        kinds = getattr(own_files, name)
        monkeypatch.setattr(own_files, name, find(kinds, "fastimg", "Pillow"))


def lines_of(out: str) -> dict[str, list[str]]:
    """The first cells of each table, by its title."""
    tables: dict[str, list[str]] = {}
    title = ""
    for line in out.splitlines():
        if line.startswith("| "):
            tables.setdefault(title, []).append(line.split("|")[1].strip())
        elif line:
            title = line
    return {title: cells[2:] for title, cells in tables.items()}


def test_tables_and_advice(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*BENCH, "--threads", "1,2"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "\n3 files of 3: " in out and "37 x 23 (3)" in out and "left out: 0 broken of 3" in out
    assert "cache warm: " in out
    tables = lines_of(out)
    assert {title: sorted(cells) for title, cells in tables.items()} == {
        "Threads: to 16 x 16": ["1", "2"],
        "Reading ahead: to 16 x 16": ["2", "default", "none"],
        "Decoders: to 16 x 16, one thread": ["Pillow", "fastimg"],
        "Decoders: as large as the file, one thread": ["Pillow", "fastimg"],
        "Sizes": ["16 x 16", "8 x 8", "full"],
        "How far the DCT reduces: to 16 x 16": ["1.0", "2.0", "3.0", "None"],
    }
    *_, settings, words = out.splitlines()
    assert settings.startswith("Set: fastimg.load(paths, size=16")
    assert all(word in words for word in ("num_threads", "read_threads", "reducing_gap", "size=16 is "))
    assert left(here) == []


def test_json_and_broken_files(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path(PATHS[1]).write_bytes(b"broken")
    assert main([*BENCH, "--json", "--threads", "2,1,2"]) == 1
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert PATHS[1] in err and err.count("\n") == 1
    assert (found["files"]["listed"], found["files"]["tried"], found["files"]["broken"]) == (3, 3, 1)
    assert [row["setting"] for row in found["tables"]["threads"]] == [1, 2]
    for table in found["tables"].values():
        assert all(row["min"] <= row["rate"] <= row["max"] and row["rounds"] >= 1 for row in table)
    assert found["options"] == {"size": 16, "threads": [1, 2], "seconds": 0.2, "cold": False}
    assert found["advice"]["rate"] > 0 and found["advice"]["settings"]["size"] == 16


def test_plot(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    assert main([*BENCH, "--plot", "x.png"]) == 0
    assert capsys.readouterr().out.endswith("wrote x.png\n")
    with Image.open("x.png") as image:
        assert image.format == "PNG" and image.width > 800
        assert len(np.unique(np.asarray(image.convert("L")))) > 10
    assert main([*BENCH, "--plot", "y.png", "--json"]) == 0
    json.loads(capsys.readouterr().out)


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="nothing forgets files here")
def test_cold(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    forgotten: list[str] = []
    forget = own_files.forget

    def spy(sources: Any) -> None:
        forgotten.extend(sources)
        assert len(set(sources)) == len(sources)  # the second time, a file would be in the cache
        forget(sources)

    monkeypatch.setattr(own_files, "forget", spy)
    assert main([*BENCH, "--cold"]) == 0
    assert set(forgotten) == set(PATHS)
    assert "cache cold: " in capsys.readouterr().out


def test_an_archive_has_no_peers(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_archive(here / "a.zip", {path: Path(path).read_bytes() for path in PATHS})
    assert main(["bench", "a.zip", "--size", "16", "--seconds", "0.1"]) == 0
    out = capsys.readouterr().out
    assert "Not compared: others (there is no plain file for them)" in out and "Threads" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["bench", "phots"], "phots: No such file"),
        ([*BENCH, "--plot", "none/x.png"], "the folder 'none' does not exist"),
        ([*BENCH, "--plot", "x.svg"], "ends in .png, found 'x.svg'"),
        (["bench", "bad.jpg"], "none of 1 file can be loaded; the first: image 0: bad.jpg"),
    ],
)
def test_refused(here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    Path("bad.jpg").write_text("bad")
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert words in err and out == ""


@pytest.mark.parametrize("words", ["--threads 0", "--threads 1,x", "--seconds 0", "--seconds x", "--size 0"])
def test_arguments_that_cannot_be(here: Path, words: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*BENCH, *words.split()])
    assert ended.value.code == 2


def test_without_matplotlib(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main([*BENCH, "--plot", "x.png"]) == 2
    assert "pip install 'fastimg[bench]'" in capsys.readouterr().err


def test_ctrl_c(here: Path) -> None:
    program = """
import os, signal, sys
import fastimg
import fastimg.benchmarking.own_files as own_files, fastimg.cli
own_files.Bench.sizes = lambda bench: os.kill(os.getpid(), signal.SIGINT)
sys.exit(fastimg.cli.main(["bench", "photos", "--size", "16", "--seconds", "0.1"]))
"""
    done = run("-c", program)
    assert (done.returncode, done.stderr) == (130, "")


# ---- what is measured


def plan(**changes: Any) -> Plan:
    return Plan(16, [1, 2], 0.2, False, False)._replace(**changes)


def test_files_are_spread_over_all(here: Path) -> None:
    names = []
    for i in range(9):
        Path(f"{i}.jpg").write_bytes(encoded(i))
        names.append(f"{i}.jpg")
    corpus = look_at(names, 3, 16)
    assert corpus.sources == ["0.jpg", "3.jpg", "6.jpg"] and (corpus.listed, corpus.tried) == (9, 3)


def test_time_is_bounded(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(look_at(PATHS, 3, 16), plan(seconds=1.0))
    elapsed = 0.0

    def job(sources: Any, out: Any) -> None:
        nonlocal elapsed
        elapsed += 0.001 * len(sources)

    monkeypatch.setattr(time, "perf_counter", lambda: elapsed)
    found = bench._rates("threads", {1: job, 2: job}, 1)
    assert 0.2 < elapsed < 2
    assert found[1]["rate"] == pytest.approx(1000) and found[1]["rounds"] >= 1
    assert found[2]["ratio"] == pytest.approx(1)


def test_a_peer_with_other_pixels_or_errors_is_left_out(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def make(peer: Any, library: Any) -> None:
        """nothing"""
        if peer.name == "broken":
            raise RuntimeError("first line\nsecond")
        peer.read_into = lambda path, out: None if peer.name == "idle" else 1 / 0

    kinds: list[Any] = [*own_files.MAIN]
    for name in ("idle", "failing", "broken"):
        contestant(kinds, name, "PIL.Image")(make)
    monkeypatch.setattr(own_files, "MAIN", kinds)
    rows = Bench(look_at(PATHS, 3, 16), plan()).decoders()
    reasons = {row["name"]: row["reason"] for row in rows.values() if "reason" in row}
    assert set(reasons) == {"idle", "failing", "broken"}
    assert "pixels are others" in reasons["idle"] and "ZeroDivisionError" in reasons["failing"]
    assert reasons["broken"] == "RuntimeError: first line"
    assert rows["Pillow, to 16 x 16"]["rate"] > 0 and rows["Pillow, to 16 x 16"]["times"] > 0


def test_a_peer_that_fails_late_is_left_out(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What fastimg loads may still be too odd for another library, and in a file that was not tried first.
    calls = itertools.count()

    def make(peer: Any, library: Any) -> None:
        """nothing"""

        def read_into(path: Any, out: Any) -> None:
            if next(calls) >= 9:
                raise OSError("broken data stream")
            fastimg.decode(path, out, size=16)

        peer.read_into = read_into

    kinds: list[Any] = [*own_files.MAIN]
    contestant(kinds, "late", "PIL.Image")(make)
    monkeypatch.setattr(own_files, "MAIN", kinds)
    rows = Bench(look_at(PATHS, 3, 16), plan()).decoders()
    assert rows["late, to 16 x 16"] == {
        "group": "to 16 x 16",
        "name": "late",
        "reason": "OSError: broken data stream",
    }
    assert rows["Pillow, to 16 x 16"]["rate"] > 0


def test_files_that_are_turned_are_not_compared(here: Path) -> None:
    for path in PATHS[:2]:
        Path(path).write_bytes(encoded(1, orientation=6))
    bench = Bench(look_at(PATHS, 3, 16), plan())
    seen: list[Any] = []
    bench._compare_pixels = lambda peer, sources: seen.extend(sources)  # type: ignore[method-assign]
    bench.decoders()
    assert set(seen) == {PATHS[2]}


def test_names_that_are_not_unicode_are_not_compared(here: Path) -> None:
    """OpenCV takes them for a null pointer."""
    shutil.copy(PATHS[0], b"photos/\xff.jpg")
    name = os.fsdecode(b"photos/\xff.jpg")
    bench = Bench(look_at([name, PATHS[2]], 2, 16), plan())
    seen: list[Any] = []
    bench._compare_pixels = lambda peer, sources: seen.extend(sources)  # type: ignore[method-assign]
    bench.decoders()
    assert set(seen) == {PATHS[2]}


def rows_of(rates: dict[Any, float], default: Any, low: float = 2.0) -> dict[Any, dict[str, Any]]:
    return {
        key: {"rate": rate, "ratio": rate / rates[default], "ratio low": min(low, rate / rates[default])}
        for key, rate in rates.items()
    }


@pytest.mark.parametrize(
    ("threads", "readers", "low", "settings"),
    [
        ({1: 100, 2: 199}, {0: 199, None: 200, 16: 210}, 2, {}),
        ({1: 100, 2: 102}, {0: 99, None: 100, 16: 105}, 2, {"num_threads": 1}),
        ({1: 100, 2: 199}, {0: 50, None: 100, 64: 400}, 2, {"read_threads": 64}),
        ({1: 100, 2: 199}, {0: 50, None: 100, 64: 400}, 0.9, {}),
    ],
)
def test_advice(
    monkeypatch: pytest.MonkeyPatch, threads: Any, readers: Any, low: float, settings: dict[str, Any]
) -> None:
    monkeypatch.setattr("fastimg.benchmarking.advice.default_num_threads", lambda: 2)
    found = {
        "threads": rows_of(threads, 1),
        "readers": rows_of(readers, None, low),
        "gaps": rows_of({1.0: 130, 2.0: 100, None: 90}, 2.0),
        "sizes": rows_of({16: 100, 0: 20}, 16),
    }
    advice = advise(found, 16, 100_000)
    assert advice["settings"] == {"size": 16, **settings}
    call = ", ".join(f"{name}={value}" for name, value in advice["settings"].items())
    rate = readers[settings.get("read_threads")]
    assert advice["text"][0].startswith(f"Set: fastimg.load(paths, {call}): {rate} images/s, ")
    assert advice["text"][0].endswith("for all 100,000")
    assert "reducing_gap=1.0 would be 1.30 x as fast and less exact" in advice["text"][1]
    assert "size=16 is 5.0 x as fast as decoding at full size" in advice["text"][1]


@pytest.mark.parametrize(
    ("threads", "words"),
    [
        ({1: 100}, "num_threads=1 is the best of those that were tried;"),
        ({1: 100, 2: 150}, "num_threads=2 is the best of those that were tried;"),
        ({1: 100, 2: 101}, "num_threads=1 is as fast as more, and leaves other CPUs free;"),
        ({8: 100, 16: 101}, "num_threads=8 is as fast as more;"),
    ],
)
def test_advice_is_about_what_was_tried(
    monkeypatch: pytest.MonkeyPatch, threads: dict[int, float], words: str
) -> None:
    monkeypatch.setattr("fastimg.benchmarking.advice.default_num_threads", lambda: 4)
    found = {
        "threads": rows_of(threads, min(threads)),
        "readers": rows_of({None: 100}, None),
        "gaps": rows_of({2.0: 100}, 2.0),
        "sizes": rows_of({16: 100, 0: 20}, 16),
    }
    assert advise(found, 16, 100)["text"][1].startswith(words)


def test_thread_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    for count, expected in ((1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (16, [1, 2, 4, 8, 16])):
        monkeypatch.setattr(own_files, "default_num_threads", lambda count=count: count)
        assert own_files.thread_counts() == expected
