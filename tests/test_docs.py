# SPDX-License-Identifier: BSD-3-Clause
"""What the README and the pages in docs/ show is run: every ``python`` block, and ``sh`` blocks of our command.

A page is one program, run in a process of its own: ``python test_docs.py PAGE REPORT``. A block that needs a package
which is not installed is skipped, and so are those that use what it would have defined.
"""

import doctest
import importlib.util
import json
import multiprocessing
import os
import pathlib
import re
import shlex
import subprocess
import symtable
import sys
import traceback

import pytest
from support.doc_files import furnish
from support.pages import Block, blocks

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
APART = {"coming-from.md", "recipes.md"}  # run by tests of their own: each part needs another large package

# The last one for want of a package that is missing everywhere: `test_what_is_wrong_is_seen`.
OPTIONAL = {
    "batchup",
    "dask",
    "distributed",
    "fsspec",
    "jax",
    "keras",
    "ml_dtypes",
    "pandas",
    "pyarrow",
    "ray",
    "torch",
    "zarr",
    "never_installed",
}

# What pages leave to their reader.
BEFORE = {
    "README.md": ["def train(images):\n    assert len(images) > 0\n"],
    "start.md": [
        "import numpy as np\n"
        "labels = train_y = np.arange(72)\n"
        "batch = np.empty((64, 3, 256, 256), np.uint8)\n"
        "def train(images, labels):\n"
        "    assert len(images) == len(labels) > 0\n",
        "import torch\nfrom torch.utils.data import BatchSampler, DataLoader, RandomSampler\n",
    ],
}


# ---- in the page's process ---------------------------------------------------------------------


class Program:
    """The blocks of a page, run one after the other in one namespace."""

    def __init__(self):
        # Not this file's: processes that a block starts would look for its functions here.
        self.namespace = {"__name__": "page"}
        self.missing = {}  # name: the package for want of which it is not defined

    def run(self, block):
        """What became of a block: "passed", "failed" or "skipped", and why."""
        if block.language == "sh":
            return self._run_command(block.code)
        try:
            code = _code(block)
            names = _used(symtable.symtable(code, "page", "exec")) - _defined(code) - self.namespace.keys()
            for name in sorted(names & self.missing.keys()):
                raise ModuleNotFoundError(name=self.missing[name])
            self._execute(block)
        except ModuleNotFoundError as error:
            package = str(error.name).partition(".")[0]
            if package not in OPTIONAL or importlib.util.find_spec(package):
                return "failed", traceback.format_exc()
            for name in _defined(code):
                self.missing[name] = package
                self.namespace.pop(name, None)  # an older one is not what is meant from here on
            return "skipped", f"{package} is not installed"
        except BaseException:
            return "failed", traceback.format_exc()
        return "passed", ""

    def _execute(self, block):
        if ">>>" not in block.code:
            # The lines of a traceback are those of the page.
            program = compile("\n" * (block.line - 1) + block.code, str(block.page), "exec")
            exec(program, self.namespace)
            return
        test = doctest.DocTestParser().get_doctest(
            block.code, self.namespace, block.page.name, str(block.page), block.line - 1
        )
        said = []
        runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
        runner.run(test, out=said.append, clear_globs=False)
        self.namespace.update(test.globs)
        if runner.failures:
            raise AssertionError("".join(said))

    def _run_command(self, code):
        done = subprocess.run(["sh", "-ec", code], capture_output=True, text=True)
        return ("failed", done.stdout + done.stderr) if done.returncode else ("passed", "")


def _code(block):
    if ">>>" in block.code:
        return "".join(example.source for example in doctest.DocTestParser().get_examples(block.code))
    return block.code


def _defined(code):
    """The names that code leaves behind."""
    table = symtable.symtable(code, "page", "exec")
    return {
        symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported()
    }


def _used(table):
    """The names that code, or a function in it, may find in its page."""
    top = table.get_type() == "module"
    symbols = table.get_symbols()
    names = {s.get_name() for s in symbols if s.is_global() or (top and s.is_referenced())}
    return names.union(*map(_used, table.get_children()))


def main(page, report):
    # A data set that a page defines is no module's: it goes to a worker by fork alone.
    multiprocessing.set_start_method("fork")
    program = Program()
    page = pathlib.Path(page)
    for code in BEFORE.get(page.name, ()):
        outcome, reason = program.run(Block(page, 1, "python", code))
        assert outcome != "failed", reason
    with open(report, "w", encoding="utf-8") as file:
        for block in blocks(page):
            print(json.dumps(program.run(block)), file=file, flush=True)


# ---- in pytest's process -----------------------------------------------------------------------


def command(folder):
    """A folder with a program `fastimg` that is the one under test."""
    program = folder / "fastimg"
    python = shlex.quote(sys.executable)
    program.write_text(
        f'#!/bin/sh\nexec {python} -c "import sys, fastimg.cli as c; sys.exit(c.main())" "$@"\n'
    )
    program.chmod(0o755)
    return str(folder)


def run_page(page, folder, env):
    """Runs a page; gives the outcome of each of its blocks and what was printed."""
    there, programs, report = folder / "there", folder / "bin", folder / "report"
    there.mkdir()
    programs.mkdir()
    furnish(there)
    env = {**env, "PATH": command(programs) + os.pathsep + env["PATH"]}
    said = folder / "said"
    with open(said, "w") as output:
        process = subprocess.Popen(
            [sys.executable, "-u", __file__, str(page), str(report)],
            cwd=there,
            env=env,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            process.wait(240)
        except subprocess.TimeoutExpired:
            pass  # the blocks that have not been run fail
        finally:
            process.kill()
            process.wait()
    lines = report.read_text("utf-8").splitlines() if report.exists() else []
    return [json.loads(line) for line in lines], said.read_text("utf-8", "replace")


@pytest.fixture(scope="session")
def results():
    """What has been run, by page."""
    return {}


@pytest.mark.parametrize(
    ("page", "position"),
    [
        pytest.param(page, i, id=f"{page.name}:{block.line}")
        for page in PAGES
        if page.name not in APART
        for i, block in enumerate(blocks(page))
    ],
)
def test_block(page, position, results, tmp_path_factory, child_env):
    if page not in results:
        results[page] = run_page(page, tmp_path_factory.mktemp("page"), child_env)
    outcomes, output = results[page]
    if position >= len(outcomes):
        pytest.fail(f"the process ended before this block did\n{output}")
    outcome, reason = outcomes[position]
    if outcome == "skipped":
        pytest.skip(f"{page.name}:{blocks(page)[position].line}: {reason}")
    assert outcome == "passed", f"{reason}\n{output}"


def test_what_is_wrong_is_seen(tmp_path, child_env):
    page = tmp_path / "page.md"
    pieces = [
        ("python", "a = 1\nprint('said')"),
        ("python", "b = a + 1\nassert b == 3"),
        ("python", ">>> a + b\n3"),
        ("python", ">>> a + b\n4"),
        ("python", "import never_installed.part as part\nb = 1"),
        ("python", "def later():\n    return b\n"),
        ("python", "def later():\n    return part\n"),
        ("python", "def other(b):\n    for part in b:\n        return part\n"),
        ("python", "for part in 'ab':\n    print(part)\n"),
        ("python", "import never_instaled"),
        ("python", "raise SystemExit"),
        ("sh", "fastimg info cat.jpg --json\nfastimg check photos/"),
        ("sh", "fastimg info no.jpg\nfastimg check photos/"),
        ("sh", "fastimg nothing"),
        ("text", "no code"),
        ("python", "import os, numpy\ndel a\nos._exit(0)"),
        ("python", "a = 2"),
    ]
    page.write_text("".join(f"Text.\n\n```{language}\n{code}\n```\n" for language, code in pieces))
    outcomes, output = run_page(page, tmp_path, child_env)
    seen = " ".join(outcome for outcome, _ in outcomes)
    assert (
        seen
        == "passed failed passed failed skipped skipped skipped passed passed failed failed passed failed failed"
    )
    assert "said" in output
    assert "page.md" in outcomes[1][1] and "assert b == 3" in outcomes[1][1]
    assert "Expected:\n    4" in outcomes[3][1] and outcomes[5][1] == "never_installed is not installed"
    assert "no.jpg" in outcomes[12][1]


def test_blocks_in_lists(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("- Item:\n\n  ```python\n  if a:\n      b = 1\n  ```\n\n```python\nb = 2\n```\n")
    found = [(block.line, block.code) for block in blocks(page)]
    assert found == [(4, "if a:\n    b = 1\n"), (9, "b = 2\n")]


# ---- links -------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    for link in links:
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.is_relative_to(ROOT / "docs") and not (ROOT / "LICENSE").exists():
            continue  # the tests have been taken elsewhere, without the rest of the checkout
        assert target.exists(), f"{page.name}: {link}"
        if anchor:
            assert anchor in _anchors(target), f"{page.name}: {link}"


def _anchors(page):
    """The names that headings get: small letters, hyphens for spaces, no other punctuation."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_start_leads_to_every_page():
    start = (ROOT / "docs/start.md").read_text("utf-8")
    for page in PAGES[1:]:
        assert page.name == "start.md" or f"]({page.name})" in start, page.name


def test_errors_are_named():
    """Every class of errors about images, and what it is."""
    import fastimg  # not above: pages, which this file runs too, begin with it

    rows = re.findall(
        r"^\| `(\w+Error)` \| (`.*?`) \|", (ROOT / "docs/errors.md").read_text("utf-8"), re.MULTILINE
    )
    stated = {name: re.findall(r"\w+", bases) for name, bases in rows}
    kinds = [value for value in vars(fastimg).values() if isinstance(value, type)]
    errors = [kind for kind in kinds if issubclass(kind, fastimg.ImageError)]
    expected = {kind.__name__: [base.__name__ for base in kind.__bases__] for kind in errors}
    assert expected.pop("ImageError") == ["ValueError"] and stated == expected


if __name__ == "__main__":
    main(*sys.argv[1:])
