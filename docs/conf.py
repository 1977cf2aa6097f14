# SPDX-License-Identifier: BSD-3-Clause
"""The site: ``bash scripts/docs.sh``. What is drawn for it is in ``docs/generated``, made anew by each build."""

import importlib.util
import os
import pathlib
import re
import sys
import tomllib

import fastimg

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(HERE)]

with open(ROOT / "pyproject.toml", "rb") as file:
    URLS = tomllib.load(file)["project"].get("urls", {})
REPOSITORY = URLS.get("Repository", "")
if not REPOSITORY or ".example/" in REPOSITORY:
    REPOSITORY = None  # there is no address yet

project = "fastimg"
author = copyright = "The fastimg authors"
version = release = fastimg.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
]
exclude_patterns = ["figures/*.md", "generated"]
nitpicky = True
nitpick_ignore_regex = [
    ("py:class", r"torch\..*"),
    ("py:obj", r"[a-z_]+"),  # arguments and fields, which look like modules
]
# The build asks no server. With FASTIMG_INVENTORIES="python=path-or-address numpy=...", names of others become links.
HOMES = {"python": "https://docs.python.org/3", "numpy": "https://numpy.org/doc/stable"}
intersphinx_mapping = {
    name: (HOMES[name], inventory)
    for name, _, inventory in (
        pair.partition("=") for pair in os.environ.get("FASTIMG_INVENTORIES", "").split()
    )
}

# ---- Markdown: the pages are read on their repository's site, too ------------------------------

myst_heading_anchors = 4
myst_links_external_new_tab = False
suppress_warnings = ["myst.header"]  # an included file may begin below the first level

# ---- docstrings ----------------------------------------------------------------------------------

default_role = "autolink"
smartquotes = False  # what is quoted is mostly code
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
autodoc_typehints = "none"  # numpydoc's lists of parameters say it in words
autodoc_member_order = "bysource"
autosummary_generate = False
if importlib.util.find_spec("torch") is None:
    autodoc_mock_imports = ["torch"]

# ---- the theme -----------------------------------------------------------------------------------

html_theme = "furo"
html_title = f"fastimg {release}"
html_static_path = ["static"]
html_extra_path = ["generated/extra"]
html_css_files = ["site.css"]
html_theme_options = {"navigation_with_keys": True}
if REPOSITORY:
    html_theme_options["source_repository"] = REPOSITORY
    html_theme_options["source_branch"] = "main"
    html_theme_options["source_directory"] = "docs/"
html_show_sourcelink = False
html_copy_source = False
html_last_updated_fmt = None  # builds of one commit are alike


PROJECT = {
    f"project/{name}": f"{name.upper()}.md"
    for name in ("architecture", "changelog", "contributing", "security")
}
PAGES = {file: f"{page}.md" for page, file in PROJECT.items()} | {"README.md": "index.rst"}
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([\w./-]+)(#[\w-]*)?\)")


# What ``python -m benchmarks.report`` draws into figures/, and what each plot shows.
PLOTS = {
    "decode": "Images per second of one thread, from bytes to a contiguous (3, H, W) array",
    "resize": "Speed and quality to 256 x 256",
    "evaluation": "Resize(256) and CenterCrop(224)",
    "loader": "Batches for training",
    "classes": "What fastimg's Huffman decoding is worth, by kind of file",
    "damage": "Visibly damaged files that are refused",
}


def plots(figures, page):
    """A chapter, in Markdown, with those of the plots that are there and that the page does not show itself."""
    wanted = {
        name for name in PLOTS if (figures / f"{name}.svg").exists() and f"(figures/{name}." not in page
    }
    if not wanted:
        return ""
    command = "python -m benchmarks.report --images photos --output figures"
    shown = [f"![{text}](figures/{name}.svg)\n\n{text}." for name, text in PLOTS.items() if name in wanted]
    return "\n\n".join(
        ["\n## Plots", *shown, f"`{command}` draws them, and writes all figures into one file.\n"]
    )


def fill_in(app, docname, content):
    """Pages of the files beside the README are those files, and links from file to file are links between pages.

    A file that has no page is linked to in the repository, or not at all where there is no address yet.
    """
    source = pathlib.Path(PROJECT.get(docname, f"docs/{docname}.md"))
    if docname in PROJECT:
        content[0] = (ROOT / source).read_text("utf-8")
        app.env.note_dependency(str(ROOT / source))

    if docname == "performance":
        content[0] += plots(HERE / "figures", content[0])

    def lead(link):
        text, target, anchor = link[1], os.path.normpath(source.parent / link[2]), link[3] or ""
        page = PAGES.get(target) or (target.startswith("docs/") and target.removeprefix("docs/"))
        if page:
            return f"[{text}]({os.path.relpath(page, os.path.dirname(docname) or '.')}{anchor})"
        return f"[{text}]({REPOSITORY}/blob/main/{target}{anchor})" if REPOSITORY else text

    if os.fspath(app.env.doc2path(docname)).endswith(".md"):
        content[0] = LINK.sub(lead, content[0])


def setup(app):
    import drawings
    import gallery

    drawings.make(HERE / "figures", HERE / "generated")
    gallery.make(HERE / "generated")
    app.connect("source-read", fill_in)
