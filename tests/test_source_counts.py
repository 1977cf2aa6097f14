# SPDX-License-Identifier: BSD-3-Clause
"""What makes sources hard to read, counted: long files, long functions, calls by position, options restated."""

import ast
import re
from pathlib import Path

import pytest
from support import c_sources
from support.c_programs import CORE
from test_imports import PACKAGE

TESTS = Path(__file__).parent

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
MAX_POSITIONAL = 8
MAX_RESTATED = 12

CYTHON_TEXT = re.compile(
    r'""".*?"""|\'\'\'.*?\'\'\'|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|#[^\n]*', re.DOTALL
)
CYTHON_CALL = re.compile(r"([A-Za-z_]\w*)\(")
CYTHON_DEFINITION = re.compile(r"\s*(?:cdef|cpdef|def|class)\b[^=(]*$")


def python_files(folder):
    return sorted(folder.rglob("*.py"))


def cython_files(folder):
    return [path for ending in ("pyx", "pxi", "pxd", "pyi") for path in sorted(folder.glob(f"*.{ending}"))]


# ---- the counts ----------------------------------------------------------------------------------


def long_files(paths):
    for path in paths:
        lines = len(path.read_text("utf-8").splitlines())
        if lines > MAX_FILE_LINES:
            yield f"{path.name} has {lines} lines"


def long_functions(folder):
    for path, source in c_sources.read_tree(folder).items():
        for each in source.functions:
            if each.length > MAX_FUNCTION_LINES:
                yield f"{path}:{each.line} {each.name} has {each.length} lines"


def long_calls(path):
    """Calls with many arguments by position, in Python."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and len(node.args) > MAX_POSITIONAL:
            yield f"{path.name}:{node.lineno} {len(node.args)} arguments by position"


def split_arguments(text, start):
    """What the commas separate between the parenthesis at `start` and its end."""
    depth, parts = 0, [""]
    for character in text[start:]:
        depth += (character in "([{") - (character in ")]}")
        if depth == 0:
            break
        if character == "," and depth == 1:
            parts.append("")
        else:
            parts[-1] += character
    parts[0] = parts[0][1:]
    return [part for part in parts if part.strip()]


def long_cython_calls(path):
    text = CYTHON_TEXT.sub(lambda match: re.sub(r"[^\n]", "_", match.group()), path.read_text("utf-8"))
    for match in CYTHON_CALL.finditer(text):
        line_start = text.rfind("\n", 0, match.start()) + 1
        if CYTHON_DEFINITION.match(text[line_start : match.start()]):
            continue
        arguments = split_arguments(text, match.end() - 1)
        count = sum(not re.match(r"\s*\w+\s*=(?!=)", each) for each in arguments)
        if count > MAX_POSITIONAL:
            line = text.count("\n", 0, match.start()) + 1
            yield f"{path.name}:{line} {match[1]}: {count} arguments by position"


def docstrings(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                yield first.value


def mentions(path, word):
    """The lines of a Python file that name something, docstrings apart: once for each node of the tree."""
    tree = ast.parse(path.read_text("utf-8"))
    apart = set(map(id, docstrings(tree)))
    for node in ast.walk(tree):
        names = [getattr(node, field, None) for field in ("id", "arg", "attr", "name", "asname", "value")]
        if id(node) not in apart and any(isinstance(name, str) and word in name for name in names):
            yield f"{path.name}:{node.lineno}"


# ---- of fastimg ----------------------------------------------------------------------------------


def test_file_lengths():
    ours = [*python_files(PACKAGE), *cython_files(PACKAGE), *cython_files(CORE.parent), *CORE.rglob("*.[ch]")]
    tests = [path for ending in ("py", "c", "h") for path in TESTS.rglob(f"*.{ending}")]
    assert len(ours) > 20 and len(tests) > 50
    assert sorted(set(long_files([*ours, *tests]))) == []


@pytest.mark.parametrize("folder", [CORE, TESTS], ids=lambda folder: folder.name)
def test_function_lengths(folder):
    if not list(folder.rglob("*.c")):
        pytest.skip("no C sources")
    assert list(long_functions(folder)) == []


def test_calls():
    found = [each for path in python_files(PACKAGE) for each in long_calls(path)]
    for path in cython_files(CORE.parent):
        found += long_cython_calls(path)
    assert not found, "\n".join(found)


def test_options_are_not_restated():
    """An option stands in the public signatures, and in one place more. What is measured is a use of it."""
    restating = [path for path in python_files(PACKAGE) if path.parent.name != "benchmarking"]
    found = [each for path in restating for each in mentions(path, "reducing_gap")]
    assert 2 < len(found) <= MAX_RESTATED, found


# ---- that the counts can fail --------------------------------------------------------------------


def test_counts_see(tmp_path):
    python = tmp_path / "a.py"
    python.write_text(
        '"""gap"""\n'
        "def f(gap, *, a=1):\n"
        '    """gap"""\n'
        '    call(1, 2, 3, 4, 5, 6, 7, *gap, "no gap", gap=a.gap)\n'
        "class gap: pass\n"
        "call(1, 2, 3, 4, 5, 6, 7, 8, gap=9)\n"
    )
    assert list(long_calls(python)) == ["a.py:4 9 arguments by position"]
    # Once in the signature, twice in the call and twice as its keyword's name and value, the class, the last keyword.
    assert len(list(mentions(python, "gap"))) == 7

    cython = tmp_path / "a.pyx"
    cython.write_text(
        "cdef int many(int a, int b, int c, int d, int e, int f, int g, int h, int i) except -1:\n"
        '    return other(1, 2, 3, (4, 4), [5, 5], "6, 6", 7,  # 8, 8\n'
        "                 8, 9, a=10)\n"
        "cdef object x = few(1, 2, 3, 4, 5, 6, 7, 8, a=9, b=10)\n"
        "cdef object y = lots(1, 2, 3, 4, 5, 6, 7, 8, a == 9)\n"
    )
    assert list(long_cython_calls(cython)) == [
        "a.pyx:2 other: 9 arguments by position",
        "a.pyx:5 lots: 9 arguments by position",
    ]

    (tmp_path / "a.c").write_text(
        "static int short_one(void) {" + "\n" * 59 + "}\nint long_one(void)\n{" + "\n" * 59 + "}\n"
    )
    assert list(long_functions(tmp_path)) == ["a.c:61 long_one has 61 lines"]

    for lines in (400, 401):
        (tmp_path / f"{lines}.h").write_text("\n" * lines)
    assert list(long_files(sorted(tmp_path.glob("*.h")))) == ["401.h has 401 lines"]
