# SPDX-License-Identifier: BSD-3-Clause
"""docs/coming-from.md: the two sides of each row, run against the libraries that are installed and compared.

``bash scripts/recipes.sh`` installs them all.
"""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from support import recipes
from support.comparisons import PROMISE, compare, comparisons
from support.packages import missing_packages, require
from support.pages import section_blocks

PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "coming-from.md"
ROWS = comparisons(PAGE)
NOT_RUN = {"", "FFCV"}


def run(page, title, folder, env):
    """What was found of each row of a section."""
    recipes.furnish(folder)
    report = folder / "report"
    done = subprocess.run(
        [sys.executable, "-P", "-m", "support.comparisons", str(page), title, str(report)],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in report.read_text("utf-8").splitlines()]


def unkept(promise, found):
    """What is wrong with a promise, or None. Decibels are those of real photos."""
    match = PROMISE.fullmatch(promise)
    if found["kind"] == "different":
        return found["why"]
    if found["kind"] == "equal":
        return None if promise == "equal" else "equal"
    if match["within"]:
        return None if found["most"] <= float(match["within"]) else f"within {found['most']}"
    if match["decibels"] and recipes.has_photos():
        return None if abs(found["decibels"] - int(match["decibels"])) <= 1 else f"{found['decibels']:.1f} dB"
    return None if match["decibels"] else f"not equal: {found}"


@pytest.fixture(scope="module")
def results():
    """What has been run, by section."""
    return {}


@pytest.mark.parametrize(
    ("title", "position"),
    [
        pytest.param(title, i, id=f"{title}: {left}")
        for title, rows in ROWS.items()
        for i, (left, _, _) in enumerate(rows)
    ],
)
def test_row(title, position, results, tmp_path_factory, child_env):
    require(missing_packages("".join(block.code for block in section_blocks(PAGE)[title])))
    if title not in results:
        results[title] = run(PAGE, title, tmp_path_factory.mktemp("section"), child_env)
    left, right, promise = ROWS[title][position]
    wrong = unkept(promise, results[title][position])
    assert wrong is None, f"{left}\n{right}\n{promise}, found: {wrong}"


def test_rows_are_run():
    assert {title for title, rows in ROWS.items() if not rows} == NOT_RUN
    assert all(PROMISE.fullmatch(promise) for rows in ROWS.values() for _, _, promise in rows)


@pytest.mark.parametrize(
    ("promise", "left", "right", "wrong"),
    [
        ("equal", np.zeros(3, np.uint8), np.zeros(3, np.uint8), None),
        ("equal", np.zeros(3, np.uint8), np.zeros(3, np.int32), "(3,) uint8, (3,) int32"),
        ("equal", np.zeros(3), np.zeros((1, 3)), "(3,) float64, (1, 3) float64"),
        ("equal", np.zeros(3), np.full(3, 1e-9), "not equal"),
        ("equal", [1, 2], [2, 1], "[1, 2] [2, 1]"),
        ("within 1e-6", np.zeros(3), np.full(3, 1e-7), None),
        ("within 1e-6", np.zeros(3), np.full(3, 1e-5), "within 1e-05"),
        ("48 dB", np.zeros(3, np.uint8), np.ones(3, np.uint8), None),
        ("48 dB", np.zeros(3, np.uint8), np.full(3, 2, np.uint8), "42.1 dB"),
        ("40 dB", np.zeros(3, np.uint8), np.ones(3, np.uint8), "48.1 dB"),
        ("40 dB", np.zeros(3, np.uint8), np.zeros(3, np.uint8), "equal"),
        ("40 dB", np.zeros((3, 2), np.uint8), np.zeros((2, 3), np.uint8), "(3, 2) uint8"),
    ],
)
def test_what_is_wrong_is_seen(promise, left, right, wrong, monkeypatch):
    monkeypatch.setattr(recipes, "has_photos", lambda: True)
    said = unkept(promise, compare([(left, right)]))
    assert said is None if wrong is None else said is not None and wrong in said
