# SPDX-License-Identifier: BSD-3-Clause
"""The report runs the benchmarks, records what fails, goes on where it stopped, and is drawn from its file."""

import importlib
import json
import pathlib
import re

import pytest
from support.files import write_photos

import benchmarks
from benchmarks import _common as common
from benchmarks import _plots as plots
from benchmarks import _report_figures as figures
from benchmarks import _report_fill as filling
from benchmarks import _report_finders as finders
from benchmarks import _report_jobs as jobs
from benchmarks import _report_page as page
from benchmarks import report
from benchmarks._process import Child, ChildError
from benchmarks._report_jobs import Job
from benchmarks._storage import STORAGE
from fastimg.benchmarking.peers import DECODERS

PUBLISHED = pathlib.Path(benchmarks.__file__).parents[1] / "docs/figures/report.json"
KEYS = {
    "schema",
    "created",
    "command",
    "settings",
    "machine",
    "fastimg",
    "libraries",
    "benchmarks",
    "figures",
}
FEW = (
    Job("decode", ("--tables", "photos"), takes=("images", "rounds")),
    Job("views", takes=("images", "rounds", "limit", "clock")),
    Job("broken", module="not_there"),
)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("report") / "photos", 2)


@pytest.fixture(scope="module")
def folder(photos, tmp_path_factory):
    """The folder of a report of two benchmarks that run and one that fails."""
    made = tmp_path_factory.mktemp("report") / "figures"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "JOBS", FEW)
        with pytest.raises(SystemExit, match="failed: broken"):
            report.main(["--images", str(photos), "--rounds", "2", "--output", str(made)])
    return made


@pytest.fixture(scope="module")
def made(folder):
    return json.loads((folder / "report.json").read_text())


@pytest.fixture(scope="module")
def published():
    return json.loads(PUBLISHED.read_text())


def test_says_on_what_and_with_what_it_was_measured(made, photos):
    assert made.keys() == KEYS
    assert made["schema"] == report.SCHEMA
    settings = {"images": "photos", "rounds": 2, "limit": None, "clock": "wall", "quick": False}
    assert made["settings"] == settings
    assert made["machine"]["cpu"] and made["machine"]["usable CPUs"] >= 1
    assert made["fastimg"]["version"] and made["fastimg"]["libjpeg_turbo"]
    assert made["libraries"]["numpy"]
    assert made["libraries"].keys() == set(jobs.LIBRARIES)
    assert str(photos.parent) not in json.dumps(made)  # a report is for others


def test_has_the_rows_and_every_round(made, folder):
    decode, views = (made["benchmarks"][name] for name in ("decode", "views"))
    assert decode["reason"] is None and decode["seconds"] > 0
    assert decode["arguments"] == ["--tables", "photos", "--rounds", "2"]
    assert views["arguments"] == ["--rounds", "2", "--clock", "wall"]
    assert decode["corpus"]["images"] == 2
    assert decode["contestants"]["fastimg"]["version"] == made["fastimg"]["version"]
    row = decode["tables"]["photos"]["fastimg"]
    assert row["times"] == 1 and row["quartiles"] == [1, 1] and len(row["rates"]) == 2
    whole = json.loads((folder / "logs/decode.json").read_text())
    assert whole["photos"]["fastimg"]["rate"] == pytest.approx(row["rate"], rel=1e-4)
    log = (folder / "logs/decode.txt").read_text()
    assert "| contestant" in log and "it/s" not in log  # a file has no use for bars


def test_missing_peers_are_named(made):
    decode = made["benchmarks"]["decode"]
    for kind in DECODERS:
        assert (kind.name in decode["contestants"]) != (kind.name in decode["missing"])
    assert all(decode["missing"].values())


def test_a_failure_is_recorded_and_the_rest_goes_on(made, folder):
    broken = made["benchmarks"]["broken"]
    assert "No module named 'benchmarks.not_there'" in broken["reason"]
    assert "tables" not in broken
    text = (folder / "report.md").read_text()
    assert "`broken --rounds 2`: failed: ModuleNotFoundError" in text


def test_figures_are_made_of_the_rows(made):
    found = {figure["name"]: figure for figure in made["figures"]}
    assert found.keys() == {figure.name for figure in figures.FIGURES}
    rows = made["benchmarks"]["views"]["tables"]["views"]
    assert found["views"]["value"] == pytest.approx(rows["fastimg, eight views"]["takes"], abs=1e-3)
    assert found["views"]["low"] <= found["views"]["value"] <= found["views"]["high"]
    assert found["views"]["sentence"].startswith("Eight crops of each photo take ")
    assert found["memory"]["value"] is None
    assert found["memory"]["reason"] == "memory: it has not been run"


def test_goes_on_where_it_stopped(folder, photos, made, tmp_path, monkeypatch):
    again = tmp_path / "figures"
    again.mkdir()
    (again / "report.json").write_text((folder / "report.json").read_text())
    arguments = ["--images", str(photos), "--rounds", "2", "--output", str(again)]
    monkeypatch.setattr(report, "JOBS", (*FEW[:2], Job("broken")))
    with pytest.raises(SystemExit, match=r"report\.json exists: go on with it by --resume"):
        report.main(arguments)
    with pytest.raises(SystemExit, match=r"--resume: expected settings .*'rounds': 2.*, found .*'rounds': 3"):
        report.main([*arguments, "--resume", "--rounds", "3"])
    done = {"reason": None, "seconds": 1, "arguments": [], "tables": {}}
    monkeypatch.setattr(report, "run", lambda job, *_: done | {"job": job.name})
    report.main([*arguments, "--resume"])
    now = json.loads((again / "report.json").read_text())["benchmarks"]
    assert now["broken"] == done | {"job": "broken"}
    for name in ("decode", "views"):
        assert now[name] == made["benchmarks"][name]


def test_only_some(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(
        report, "run", lambda job, *_: {"reason": None, "seconds": 1, "arguments": [], "tables": {}}
    )
    report.main(["--images", str(photos), "--only", "views", "damage", "--output", str(tmp_path)])
    assert list(report.read(tmp_path / "report.json")["benchmarks"]) == ["views", "damage"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [('{"schema": 0}', "expected a report of schema 1, found 0"), ("[]", "found None"), ("{", "Expecting")],
)
def test_other_files_are_no_reports(tmp_path, text, expected):
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(SystemExit, match=expected):
        report.main(["--render", str(path)])
    with pytest.raises(SystemExit, match=expected):
        report.main(["--markdown", str(path)])


def test_is_drawn_again(folder, tmp_path):
    pytest.importorskip("matplotlib")
    for name in ("one", "two"):
        with pytest.raises(SystemExit, match="failed: broken"):
            report.main(["--render", str(folder / "report.json"), "--output", str(tmp_path / name)])
    drawing = (tmp_path / "one/decode.svg").read_bytes()
    assert b"images per second, one thread" in drawing and b"fastimg" in drawing
    assert drawing == (tmp_path / "two/decode.svg").read_bytes()
    assert (tmp_path / "one/decode.png").read_bytes().startswith(b"\x89PNG")
    assert "![decode](decode.svg)" in (tmp_path / "one/report.md").read_text()


def test_tables_as_the_documentation_has_them(folder, capsys):
    report.main(["--markdown", str(folder / "report.json")])
    found = capsys.readouterr().out
    assert (
        "## docs/performance.md: decoding\n\n| decoder | images/s | fastimg is |\n| --- | ---: | ---: |\n| "
        in found
    )
    assert re.search(r"^\| fastimg [\d.]+ \| \d+ \| \|$", found, re.MULTILINE)
    assert "memory: it has not been run" in found


@pytest.mark.parametrize("quick", [False, True], ids=["full", "quick"])
@pytest.mark.parametrize("job", jobs.JOBS, ids=lambda job: job.name)
def test_benchmarks_take_the_arguments(job, quick, photos, monkeypatch):
    class ParsedError(Exception):
        pass

    def begin(args, kinds):
        raise ParsedError

    module = importlib.import_module(f"benchmarks.{job.module or job.name}")
    monkeypatch.setattr(common, "begin", begin)
    words = job.arguments({"quick": quick, "rounds": 3, "limit": 2, "clock": "cpu"})
    with pytest.raises(ParsedError):
        module.main([*words, *(["--images", str(photos)] if "images" in job.takes else [])])


def test_contestants_that_are_chosen_exist():
    for word in jobs.SLOW[3:]:
        assert any(kind.name.startswith(word) for kind in STORAGE), word
    from benchmarks._loaders import LOADERS

    for word in jobs.FEW[1:]:
        assert any(kind.name.startswith(word) for kind in LOADERS), word


def test_figures_without_peers_say_so():
    rows = {"fastimg": {"times": 1.0, "rate": 5.0}, "Pillow": {"reason": "ImportError: no Pillow"}}
    done = {"decode": {"reason": None, "tables": {"photos": rows}}}
    found = figures.figure_of(figures.FIGURES[0], done)
    assert found["value"] is None
    assert found["reason"] == "decode: there is no 'none of the peers was measured'"


def test_peers_are_compared_by_their_ratio():
    rows = {
        "fastimg": {"times": 1.0},
        "slow": {"times": 3.0, "quartiles": [2.5, 3.5]},
        "fast": {"times": 2.0, "quartiles": [1.5, 2.5]},
        "fast + cv2.split": {"times": 1.5, "quartiles": [1.4, 1.6]},
    }
    found = finders.fastest("photos", finders.one_library, {"photos": rows})
    assert found == {"value": 2.0, "peer": "fast", "low": 1.5, "high": 2.5}


def test_what_is_kept_of_figures():
    found = jobs.compact({"a": 1 / 3, "sums": [1], "samples": [[0.5, 2]] * 600, 3: float("nan"), "yes": True})
    assert found == {"a": 0.33333, "samples": [[0.5, 2]] * 150, "3": None, "yes": True}


def test_why_a_benchmark_ended_is_known(tmp_path):
    with (
        Child("benchmarks._report_jobs") as child,
        pytest.raises(ChildError, match="SystemExit: no JPEG files below"),
    ):
        child.ask("measure", "views", "views", [], str(tmp_path), str(tmp_path))


def test_names_do_not_cover_each_other():
    boxes = [(0, 0, 0.5, 0.1), (0.4, 0.05, 0.9, 0.15), (0.5, 0.1, 0.9, 0.2)]
    assert plots.overlap(boxes[0], boxes[1]) and not plots.overlap(boxes[0], boxes[2])
    assert plots.is_inside(boxes[0]) and not plots.is_inside((0.9, 0, 1.1, 0.1))


def test_the_published_report(published):
    assert published.keys() == KEYS and published["schema"] == report.SCHEMA
    assert PUBLISHED.stat().st_size < 100_000
    assert published["figures"] == figures.figures_of(published)
    assert page.page(published, []).count("\n| ") > 50
    for name in plots.PLOTS:
        if not published["benchmarks"].get(name, {"reason": "not run"})["reason"]:
            assert (PUBLISHED.parent / f"{name}.svg").exists(), name


@pytest.mark.parametrize("path", report.FILLED, ids=lambda path: path.name)
def test_pages_have_the_figures_of_the_published_report(path, published):
    text = path.read_text("utf-8")
    parts = {part[2] for part in filling.PART.finditer(text)}
    assert parts == (
        {"first screen"} if path.name == "README.md" else filling.PARTS.keys() - {"first screen"}
    )
    assert filling.fill(text, published) == text


def test_pages_are_filled(tmp_path, published, monkeypatch):
    other = json.loads(json.dumps(published))
    for figure in other["figures"]:
        figure["value"] = figure["value"] and figure["value"] / 2
    (tmp_path / "report.json").write_text(json.dumps(other))
    readme, pages = report.FILLED[0], [tmp_path / path.name for path in report.FILLED]
    for path, page_path in zip(report.FILLED, pages, strict=True):
        page_path.write_text(path.read_text("utf-8"), "utf-8")
    monkeypatch.setattr(report, "FILLED", pages)
    report.main(["--fill", str(tmp_path / "report.json")])
    before, after = (path.read_text("utf-8").splitlines() for path in (readme, pages[0]))
    changed = [line for line in after if line not in before]
    assert len(changed) == 3 and all(line.startswith("- **") for line in changed)


def test_a_figure_of_the_first_screen_must_have_been_measured(published):
    other = json.loads(json.dumps(published))
    next(figure for figure in other["figures"] if figure["name"] == "resize 256")["value"] = None
    with pytest.raises(KeyError, match="resize 256"):
        filling.first_screen(other)
