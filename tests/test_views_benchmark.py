# SPDX-License-Identifier: BSD-3-Clause
"""The benchmark of views runs, and does not time what is wrong."""

import json

import pytest
from support.files import write_photos

from benchmarks import views


@pytest.fixture
def photos(tmp_path):
    return write_photos(tmp_path / "photos", 9, 12, 16)


def test_runs(photos, tmp_path, capsys):
    facts = tmp_path / "facts.json"
    views.main(["--images", str(photos), "--rounds", "2", "--clock", "cpu", "--json", str(facts)])
    rows = json.loads(facts.read_text())["views"]
    assert rows.keys() == views.WAYS.keys()
    assert rows[views.ONE]["takes"] == 1
    assert rows["fastimg, eight views"]["takes"] < rows["fastimg, eight calls"]["takes"]
    assert "views: 224, 224, 96, 96, 96, 96, 96, 96 of each photo" in capsys.readouterr().out


def test_wrong_views_are_not_timed(photos, monkeypatch):
    right = views.eight_calls
    monkeypatch.setattr(views, "eight_calls", lambda paths, own: [view[::-1] for view in right(paths, own)])
    with pytest.raises(SystemExit, match=r"view 0 is .* dB from a call of its own, expected 40"):
        views.main(["--images", str(photos)])


def test_pixels_that_change_are_found(photos, monkeypatch):
    calls, right = [], views.pillow_views

    def changing(paths, own):
        calls.append(None)
        return [view + (len(calls) > 2) for view in right(paths, own)]

    monkeypatch.setitem(views.WAYS, "Pillow, one decode", changing)
    with pytest.raises(SystemExit, match="Pillow, one decode: 64 of 64 images differ"):
        views.main(["--images", str(photos), "--rounds", "2"])
