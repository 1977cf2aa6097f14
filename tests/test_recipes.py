# SPDX-License-Identifier: BSD-3-Clause
"""The recipes of docs/recipes.md, run as they stand there against the packages that are installed.

``bash scripts/recipes.sh`` installs them all. With FASTIMG_RECIPES=all a missing package is a failure.
"""

import pathlib
import subprocess
import sys

import pytest
from support import recipe_checks, recipes
from support.packages import missing_packages, require
from support.pages import section_blocks

PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "recipes.md"
RECIPES = section_blocks(PAGE)
BACKENDS = ("torch", "jax")


def cases():
    for title in RECIPES:
        if title == "Keras 3":
            yield from ((title, {"KERAS_BACKEND": backend}) for backend in BACKENDS)
        elif title:
            yield title, {}


def run(page, title, folder, env):
    """Run a recipe and its check; the process and what it printed."""
    recipes.furnish(folder)
    quiet = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hf"), "RAY_USAGE_STATS_ENABLED": "0"}
    command = [sys.executable, "-P", "-m", "support.recipes", str(page), title, recipe_checks.__name__]
    return subprocess.run(
        command, cwd=folder, env={**env, **quiet}, capture_output=True, text=True, timeout=280
    )


@pytest.mark.parametrize(
    ("title", "settings"),
    [pytest.param(*case, id=" ".join([case[0], *case[1].values()])) for case in cases()],
)
def test_recipe(title, settings, tmp_path, child_env):
    code = "".join(block.code for block in RECIPES[title])
    require(missing_packages(code + "".join(f"\nimport {name}" for name in settings.values())))
    done = run(PAGE, title, tmp_path, {**child_env, **settings})
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("size=224)", "size=224, flip=True)", "AssertionError"),  # other pixels
        (
            "pixels.flush()",
            "import warnings; warnings.warn('old', DeprecationWarning)",
            "DeprecationWarning: old",
        ),
    ],
)
def test_what_is_wrong_is_seen(old, new, error, tmp_path, child_env):
    page = tmp_path / "page.md"
    text = PAGE.read_text("utf-8")
    assert old in text
    page.write_text(text.replace(old, new), "utf-8")
    done = run(page, "NumPy memmap", tmp_path, child_env)
    assert done.returncode == 1 and error in done.stderr


def test_every_recipe_is_checked():
    assert {title for title in RECIPES if title} == recipe_checks.CHECKS.keys()


@pytest.mark.parametrize("title", [title for title in RECIPES if title])
def test_recipe_is_short(title):
    lines = [line for block in RECIPES[title] for line in block.code.splitlines()]
    assert len([line for line in lines if line.strip()]) < 15


def test_missing_packages(tmp_path, monkeypatch):
    (tmp_path / "shared_space" / "here").mkdir(parents=True)
    (tmp_path / "shared_space" / "here" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    code = "import json.tool, nothing.at.all\nfrom shared_space.here import a\nfrom shared_space.not_here.b import c\n"
    assert missing_packages(code) == ["nothing", "shared_space.not_here"]
