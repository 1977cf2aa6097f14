# SPDX-License-Identifier: BSD-3-Clause
"""Imports run down only, and only the command imports through the package itself."""

import ast
import re
from pathlib import Path
from typing import NamedTuple

import pytest
from support.c_programs import CORE
from test_rooms import Arrow, circles, write_tree

import fastimg

PACKAGE = Path(fastimg.__file__).parent
CYTHON_IMPORT = re.compile(r"^\s*(?:from\s+([\w.]+)\s+import\b|import\s+([\w.]+))", re.MULTILINE)


class Import(NamedTuple):
    line: int
    target: str
    typing: bool  # below `if TYPE_CHECKING`


def module_name(package, path):
    parts = [package.name, *path.relative_to(package).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def typing_nodes(tree):
    """The nodes that only a type checker sees."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for statement in node.body:
                yield from ast.walk(statement)


def resolve(name, is_package, node):
    """The module that `from MODULE import` means in the module of this name."""
    if node.level == 0:
        return node.module
    parts = name.split(".")
    base = parts[: len(parts) - node.level + is_package]
    return ".".join([*base, *([node.module] if node.module else [])])


def read_imports(name, path, modules):
    """The package's own modules that a module imports, in functions too."""
    tree = ast.parse(path.read_text("utf-8"))
    typing = set(map(id, typing_nodes(tree)))
    root = name.split(".")[0]
    for node in ast.walk(tree):
        targets = []
        if isinstance(node, ast.Import):
            # `import a.b` gives the name a, `import a.b as b` the module a.b.
            targets = [each.name if each.asname else each.name.split(".")[0] for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = resolve(name, path.stem == "__init__", node)
            inner = [f"{base}.{each.name}" for each in node.names]
            targets = [each for each in inner if each in modules]
            if base != name:  # a package may import its own submodules
                targets.append(base)
        for target in targets:
            if target.split(".")[0] == root:
                yield Import(node.lineno, target, id(node) in typing)


def cython_imports(folder):
    """What the extension imports, if its source is there."""
    for path in sorted(folder.glob("_decode.pyx")) + sorted(folder.glob("*.pxi")):
        text = path.read_text("utf-8")
        for match in CYTHON_IMPORT.finditer(text):
            target = match[1] or match[2]
            if target.split(".")[0] == "fastimg":
                yield Import(text.count("\n", 0, match.start(match.lastindex)) + 1, target, False)


def is_command(name):
    """The command stands above the package: it may use what users use."""
    return name.split(".")[1:2] in (["cli"], ["__main__"])


def find_imports(package, cython=None):
    paths = {module_name(package, path): path for path in sorted(package.rglob("*.py"))}
    modules = {*paths, f"{package.name}._decode"}
    found = {name: list(read_imports(name, path, modules)) for name, path in paths.items()}
    found[f"{package.name}._decode"] = list(cython_imports(cython or package))
    return found


def import_problems(found):
    """Every broken rule in a package, one sentence each."""
    package = min(found, key=len)
    problems, arrows = [], []
    for name, imports in found.items():
        for line, target, typing in imports:
            if target == package and not is_command(name):
                problems.append(f"{name}:{line} imports through {package}, not the module it needs")
            if is_command(target) and not is_command(name):
                problems.append(f"{name}:{line} imports {target}, which belongs to the command")
            if target not in found:
                problems.append(f"{name}:{line} imports {target}, which is not there")
            if not typing:
                arrows.append(Arrow(name, line, target, "imports"))
    return [*problems, *circles(arrows, str)]


def test_package():
    source = CORE.parent
    found = find_imports(PACKAGE, source if (source / "_decode.pyx").exists() else PACKAGE)
    problems = import_problems(found)
    assert not problems, "\n".join(problems)


def test_package_is_seen():
    found = find_imports(PACKAGE)
    pairs = {(name, each.target) for name, imports in found.items() for each in imports}
    assert ("fastimg", "fastimg.loading") in pairs
    assert ("fastimg.loading", "fastimg._decode") in pairs
    assert ("fastimg.__main__", "fastimg.cli") in pairs
    assert len(found) > 20


def test_extension_is_seen():
    if not (CORE.parent / "_decode.pyx").exists():
        pytest.skip("no Cython source")
    targets = {each.target for each in cython_imports(CORE.parent)}
    assert {"fastimg.errors", "fastimg.sources"} <= targets


# ---- that the checks can fail --------------------------------------------------------------------

GOOD = {
    "__init__.py": "from pkg import data\nfrom pkg.loading import load\n",
    "__main__.py": "from pkg.cli import main\n",
    "cli/__init__.py": "import pkg\nfrom pkg.cli.output import write\nfrom pkg import _decode\n",
    "cli/output.py": "from ..options import OPTIONS\n",
    "data.py": "import pkg._decode as _decode\nfrom .options import OPTIONS\nimport json.decoder\n",
    "loading.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pkg.data import Data\n",
    "options.py": "def late():\n    from pkg.errors import Failure\n",
    "errors.py": '"""from pkg import load"""\nimport os\n',
}
BROKEN = {
    "through the package": ({"errors.py": "from pkg import load"}, "pkg.errors:1 imports through pkg"),
    "a module through the package": ({"errors.py": "from pkg import _decode"}, "pkg.errors:1 imports through pkg"),
    "the package itself": ({"errors.py": "\nimport pkg"}, "pkg.errors:2 imports through pkg"),
    "the package by a module": ({"errors.py": "import pkg.options"}, "pkg.errors:1 imports through pkg"),
    "the package by a dot": ({"errors.py": "from . import options"}, "pkg.errors:1 imports through pkg"),
    "the command": ({"errors.py": "from pkg.cli.output import write"}, "pkg.errors:1 imports pkg.cli.output"),
    "a module that is gone": ({"errors.py": "from pkg.find import walk"}, "imports pkg.find, which is not there"),
    "a circle": (
        {"errors.py": "from pkg.data import Data"},
        "pkg.data -> pkg.options -> pkg.errors -> pkg.data",
    ),
    "a circle by a function": (
        {"errors.py": "def late():\n    if 1:\n        from .options import OPTIONS"},
        "pkg.errors -> pkg.options -> pkg.errors",
    ),
    "a circle, and not of types alone": (
        {"data.py": "import pkg.loading as loading", "loading.py": "from pkg.data import Data"},
        "pkg.data -> pkg.loading -> pkg.data",
    ),
    "a circle with the package": ({"errors.py": "import pkg as package"}, "pkg -> pkg.data -> pkg.options"),
}  # fmt: skip


def test_good_package(tmp_path):
    found = find_imports(write_tree(tmp_path / "pkg", GOOD))
    assert import_problems(found) == []
    assert Import(3, "pkg.data", True) in found["pkg.loading"]


@pytest.mark.parametrize(("files", "problem"), BROKEN.values(), ids=BROKEN)
def test_broken_package(tmp_path, files, problem):
    found = import_problems(find_imports(write_tree(tmp_path / "pkg", {**GOOD, **files})))
    assert any(problem in sentence for sentence in found), found


def test_extension_in_a_circle(tmp_path):
    files = {
        "_decode.pyx": "cimport x\n  from fastimg.errors import a\n",
        "errors.py": "import fastimg._decode as d",
    }
    package = write_tree(tmp_path / "fastimg", {**files, "__init__.py": ""})
    assert "fastimg._decode -> fastimg.errors -> fastimg._decode" in import_problems(find_imports(package))[0]
