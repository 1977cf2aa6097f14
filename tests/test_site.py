# SPDX-License-Identifier: BSD-3-Clause
"""The site: every page can be found, every public name is there, and what is drawn for it is right.

With FASTIMG_EXTENDED all of it is built, in a checkout, if Sphinx and what it needs are installed (the extra `docs`).
"""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import types
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
import test_public_names
from support.public_names import members, public_classes

import fastimg

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
MODULES = ("furo", "myst_parser", "numpydoc", "sphinx", "PIL")


def module(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def pages():
    found = [path.relative_to(DOCS) for kind in ("md", "rst") for path in DOCS.rglob(f"*.{kind}")]
    return {str(path.with_suffix("")) for path in found if path.parts[0] not in ("figures", "generated")}


def directives(name):
    """(file, what it is given, its lines) of each directive of that name in the pages in reStructuredText."""
    for path in sorted(DOCS.rglob("*.rst")):
        pattern = rf"^\.\. {name}::(.*)\n((?:(?:   .*)?\n)*)"
        for argument, body in re.findall(pattern, path.read_text("utf-8"), re.MULTILINE):
            yield path, argument.strip(), body


# ---- pages ---------------------------------------------------------------------------------------


def test_every_page_is_in_a_table_of_contents():
    listed = []
    for path, _, body in directives("toctree"):
        names = [
            line.strip() for line in body.splitlines() if line.strip() and not line.strip().startswith(":")
        ]
        listed += [os.path.relpath(path.parent / name, DOCS) for name in names]
    assert len(listed) == len(set(listed))
    assert {"index", *listed} == pages()


def test_every_public_name_is_in_the_reference():
    documented, listed = [], []
    for path in sorted((DOCS / "api").glob("*.rst")):
        current = ""
        for line in path.read_text("utf-8").splitlines():
            match = re.match(r"\.\. (currentmodule|auto(?:function|class|exception)):: (\S+)", line)
            if match and match[1] == "currentmodule":
                current = match[2]
            elif match:
                documented.append(f"{current}.{match[2]}")
    for _, _, body in directives("autosummary"):
        listed += [f"fastimg.{name.strip()}" for name in body.splitlines() if name.strip()]
    expected = {f"fastimg.{name}" for name in fastimg.__all__} - {"fastimg.data_source"}
    expected |= {f"fastimg.data_source.{name}" for name in (*fastimg.data_source.__all__, "TorchIterable")}
    assert sorted(documented) == sorted(listed) == sorted(expected | {"fastimg.sources.ReaderItem"})


def test_inherited_members_are_in_the_reference():
    options = {name: body for _, name, body in directives("autoclass")}
    classes = [cls for cls in public_classes() if {name for name, _ in members(cls)} - vars(cls).keys()]
    assert fastimg.RandomViews in classes
    for cls in classes:
        assert ":inherited-members:" in options[cls.__name__], cls


@pytest.mark.parametrize(
    ("page", "link", "with_address", "without"),
    [
        ("loading", "options.md#errors", "[x](options.md#errors)", "[x](options.md#errors)"),
        ("support", "../SECURITY.md", "[x](project/security.md)", "[x](project/security.md)"),
        ("loading", "../README.md#a", "[x](index.rst#a)", "[x](index.rst#a)"),
        ("loading", "../fastimg/fi.h", "[x](https://a.b/c/blob/main/fastimg/fi.h)", "x"),
        ("loading", "https://a.b/c.md", "[x](https://a.b/c.md)", "[x](https://a.b/c.md)"),
        ("loading", "#part", "[x](#part)", "[x](#part)"),
    ],
)
def test_links(page, link, with_address, without, monkeypatch):
    conf = module(DOCS / "conf.py")
    app = types.SimpleNamespace(env=types.SimpleNamespace(doc2path=lambda name: f"{name}.md"))
    for address, expected in (("https://a.b/c", with_address), (None, without)):
        monkeypatch.setattr(conf, "REPOSITORY", address)
        content = [f"See [x]({link}), `a[0](b)`."]
        conf.fill_in(app, page, content)
        assert content == [f"See {expected}, `a[0](b)`."]


@pytest.mark.skipif(not (ROOT / "CHANGELOG.md").exists(), reason="not in a checkout")
def test_pages_of_files_beside_the_readme():
    conf = module(DOCS / "conf.py")
    noted = []
    env = types.SimpleNamespace(doc2path=lambda name: f"{name}.md", note_dependency=noted.append)
    for page, file in conf.PROJECT.items():
        content = [(DOCS / f"{page}.md").read_text("utf-8")]
        conf.fill_in(types.SimpleNamespace(env=env), page, content)
        assert content[0].splitlines()[0] == (ROOT / file).read_text("utf-8").splitlines()[0]
    assert noted == [str(ROOT / file) for file in conf.PROJECT.values()]


def test_plots_that_are_there(tmp_path, monkeypatch):
    conf = module(DOCS / "conf.py")
    monkeypatch.setattr(conf, "HERE", tmp_path)
    (tmp_path / "figures").mkdir()
    env = types.SimpleNamespace(doc2path=lambda name: f"{name}.md")
    for name in ("", "resize", "decode"):
        if name:
            (tmp_path / f"figures/{name}.svg").write_text("<svg/>")
        content = ["# Performance\n"]
        conf.fill_in(types.SimpleNamespace(env=env), "performance", content)
        expected = {"": [], "resize": ["resize"], "decode": ["decode", "resize"]}[name]
        assert re.findall(r"!\[[^]]+\]\(figures/(\w+)\.svg\)", content[0]) == expected
        assert ("## Plots" in content[0]) == bool(expected)
    content = ["# Performance\n\n![shown](figures/decode.png)\n"]
    conf.fill_in(types.SimpleNamespace(env=env), "performance", content)
    assert re.findall(r"figures/(\w+)\.\w+\)", content[0]) == ["decode", "resize"]


# ---- links ---------------------------------------------------------------------------------------


def test_dead_links_are_seen(tmp_path):
    (tmp_path / "sub").mkdir()
    good = ["sub/b.html#b", "#a", "https://c.d/e", "sub"]
    (tmp_path / "index.html").write_text(
        '<p id="a"></p>' + "".join(f'<a href="{link}">x</a>' for link in good)
    )
    (tmp_path / "sub/index.html").write_text('<a href="../index.html#a">x</a>')
    page = tmp_path / "sub/b.html"
    page.write_text('<p id="b"></p><img src="../c.png">')
    (tmp_path / "c.png").write_bytes(b"")
    script = ROOT / "scripts/check_links.py"
    check = module(script)
    assert check.dead_links(tmp_path) == ([], 5)
    bad = [
        '<img src="d.png">',
        '<a href="../index.html#b">',
        '<a href="#c">',
        '<a href="/">',
        '<a href="../../e">',
    ]
    page.write_text("\n".join(bad))
    dead, count = check.dead_links(tmp_path)
    assert count == 9 and [line.split(": ")[0] for line in dead] == [
        "index.html:1", *(f"sub/b.html:{i + 1}" for i in range(5))
    ]  # fmt: skip
    done = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True)
    assert done.returncode == 1 and "9 links within the site, 6 dead" in done.stdout


# ---- drawings ------------------------------------------------------------------------------------


def test_shares_are_drawn(tmp_path):
    drawings = module(DOCS / "drawings.py")
    drawings.make(DOCS / "figures", tmp_path)
    measured = json.loads((DOCS / "figures/shares.json").read_text("utf-8"))["shares"]
    routes = ElementTree.fromstring((tmp_path / "routes.html").read_text("utf-8"))
    assert [route.get("aria-label").split(":")[0].lower() for route in routes] == list(measured)
    for route, shares in zip(routes, measured.values(), strict=True):
        assert sum(shares.values()) == pytest.approx(100, abs=0.3)
        shown = [each.text for each in route if re.fullmatch(r"\d+ %", each.text or "")]
        assert set(shown) <= {f"{share:.0f} %" for share in shares.values()} and len(shown) >= 3
        # What is drawn and the rest are all there is.
        assert sum(int(text[:-2]) for text in shown) + shares["the rest"] == pytest.approx(100, abs=3)
        bars = [float(each.get("width")) for each in route if each.get("class") == "share"]
        assert bars[0] == max(bars) and [bar > 0 for bar in bars] == [True] * len(shown)


def test_gallery(tmp_path):
    image = pytest.importorskip("PIL.Image")
    gallery = module(DOCS / "gallery.py")
    gallery.make(tmp_path)
    rows = {path.stem: path.read_text("utf-8") for path in tmp_path.glob("*.html")}
    page = (DOCS / "gallery.rst").read_text("utf-8")
    assert sorted(re.findall(r"generated/([\w-]+)\.html", page)) == sorted(rows)
    pictures = {path.name: np.asarray(image.open(path)) for path in (tmp_path / "extra/gallery").iterdir()}
    shown = re.findall(r'src="gallery/([^"]+)"', "".join(rows.values()))
    assert sorted(shown) == sorted(pictures)
    assert (pictures["wide-contain.png"][0] == 114).all() and (
        pictures["tall-contain.png"][:, 0] == 114
    ).all()
    assert pictures["wide-stretch.png"].shape == (gallery.SIDE, gallery.SIDE, 3)
    for row in rows.values():  # each picture of it is another
        names = re.findall(r'src="gallery/([^"]+)"', row)
        assert len({pictures[name].tobytes() for name in names}) == len(names) >= 3


@pytest.mark.skipif(not os.environ.get("FASTIMG_EXTENDED"), reason="FASTIMG_EXTENDED builds the site")
@pytest.mark.skipif(not (ROOT / "CHANGELOG.md").exists(), reason="not in a checkout")
def test_build(tmp_path):
    for name in MODULES:
        pytest.importorskip(name)
    shutil.copytree(DOCS, tmp_path / "docs", ignore=shutil.ignore_patterns("generated"))
    for path in (*ROOT.glob("*.md"), ROOT / "pyproject.toml"):
        shutil.copy(path, tmp_path)
    options = ["--fail-on-warning", "--keep-going", "--nitpicky", "-q", "-b", "html"]
    build = [sys.executable, "-m", "sphinx", *options]
    done = subprocess.run(
        [*build, tmp_path / "docs", tmp_path / "html"], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    dead, count = module(ROOT / "scripts/check_links.py").dead_links(tmp_path / "html")
    assert dead == [] and count > 1000
    # Methods that classes inherit are in the reference, too.
    reference = "".join(path.read_text("utf-8") for path in (tmp_path / "html/api").glob("*.html"))
    named = set(re.findall(r'<dt [^>]*id="fastimg\.(?:data_source\.)?([^"]*)"', reference))
    assert set(test_public_names.ALL) <= named
