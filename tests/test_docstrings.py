# SPDX-License-Identifier: BSD-3-Clause
"""Every public docstring has an example, which is run, and the sections that numpydoc expects.

Examples need no more than ``import fastimg`` and ``import numpy as np``, and files: those of `support.doc_files`.
"""

import ast
import doctest
import importlib.util
import inspect
import os
import pathlib
import re
import shutil
import sys

import numpy as np
import pytest
from support.doc_files import furnish_photos
from support.public_names import callables, is_dunder, section

import fastimg

FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS

# What a docstring's examples need besides NumPy.
NEEDS = {
    "arrow_sources": "pyarrow",
    "open_sources": "fsspec",
    "ReaderItem": "fsspec",
    "FallbackError": "PIL",
    "TorchIterable": "torch",
}

# What shows that a method with two underscores is used.
USES = {
    "__array__": r"np\.asarray\(",
    "__getitem__": r"\w\[",
    "__iter__": r"for .* in ",
    "__len__": r"\blen\(",
    "__next__": r"\bnext\(",
}
# Nobody writes the first, PyTorch calls it; the second is an error.
NEED_NO_EXAMPLE = {"__getitems__", "RandomViews.__array__"}

# What numpydoc need not find.
NOT_ASKED = {
    "ES01",  # an extended summary
    "EX01",  # examples: `test_has_an_example`
    "PR04",  # a type, where several parameters share a line: "as for `decode`"
    "PR06",  # "int array" in place of "integer array"
    "RT03",  # what the result is, where its class says all
    "SA01",  # "See Also"
}
TAKES_WHAT_USERS_DO_NOT_GIVE = {"ArrayDataSource.num_samples", "BatchIterator"}
NOT_ASKED_OF_OPERATORS = {"PR01", "RT01"}  # their parameters and results are those of all classes


def examples(doc):
    return doctest.DocTestParser().get_examples(doc)


def torch_docstrings():
    """Those of the class that cannot be imported without PyTorch."""
    path = pathlib.Path(importlib.util.find_spec("fastimg.torch_iterable").origin)
    (cls,) = (
        node
        for node in ast.parse(path.read_text("utf-8")).body
        if getattr(node, "name", "") == "TorchIterable"
    )
    found = {"TorchIterable": ast.get_docstring(cls)}
    for node in cls.body:
        doc = ast.get_docstring(node) if isinstance(node, ast.FunctionDef) else None
        if doc:
            found[f"TorchIterable.{node.name}"] = doc
    return found


ALL = callables()
DOCS = {name: doc for name, (_, doc) in ALL.items()} | torch_docstrings()
# Once each: some are inherited.
TO_RUN = {doc: name for name, doc in reversed(DOCS.items()) if examples(doc)}


def shown(name):
    """The code of a docstring's examples."""
    return "".join(example.source for example in examples("\n".join(section(DOCS[name], "Examples"))))


def kind(name):
    value = ALL[name][0] if name in ALL else None
    if isinstance(value, property):
        return "property"
    return "operator" if is_dunder(name.rpartition(".")[2]) else "other"


def is_shown(name):
    """Whether there is an example; of a property or an operator, that of any class which has it will do."""
    if shown(name):
        return True
    cls, _, member = name.rpartition(".")
    if kind(name) == "other":
        return False
    use = rf"\.{member}\b" if kind(name) == "property" else USES[member]
    classes = [other.rpartition(".")[0] for other, doc in DOCS.items() if doc == DOCS[name]]
    assert cls in classes
    return any(re.search(use, shown(each)) for each in classes if each)


MUST_SHOW = [name for name in DOCS if not {name, name.rpartition(".")[2]} & NEED_NO_EXAMPLE]


@pytest.mark.parametrize("name", MUST_SHOW)
def test_has_an_example(name):
    assert is_shown(name)


def test_what_has_none_is_seen(monkeypatch):
    docs = {name: re.sub("^ *>>> .*", "", doc, flags=re.MULTILINE) for name, doc in DOCS.items()}
    monkeypatch.setattr(sys.modules[__name__], "DOCS", docs)
    assert not any(map(is_shown, MUST_SHOW))


# ---- examples are run ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def furnished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docstrings")
    furnish_photos(folder)
    return folder


@pytest.fixture
def here(furnished, tmp_path, monkeypatch):
    """The current folder has the files, and what another example has written is not there."""

    def states():
        return [
            (path, path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(furnished.rglob("*.*"))
        ]

    before = states()
    # Copies would take a third of the time of all examples.
    shutil.copytree(furnished, tmp_path / "here", copy_function=os.link)
    monkeypatch.chdir(tmp_path / "here")
    yield
    assert states() == before, "an example has written into a file instead of replacing it"


class Checker(doctest.OutputChecker):
    def check_output(self, want, got, flags):
        return super().check_output(want, got.replace(r"\\", "/"), flags)  # paths of Windows


def run(name, doc):
    """What failed of a docstring's examples."""
    said = []
    test = doctest.DocTestParser().get_doctest(doc, {"fastimg": fastimg, "np": np}, name, name, 0)
    doctest.DocTestRunner(Checker(), verbose=False, optionflags=FLAGS).run(test, out=said.append)
    return "".join(said)


@pytest.mark.parametrize(
    ("doc", "name"),
    [pytest.param(doc, name, id=name) for doc, name in [*TO_RUN.items(), (fastimg.__doc__, "fastimg")]],
)
@pytest.mark.usefixtures("here")
def test_examples(doc, name):
    package = NEEDS.get(name.partition(".")[0])
    if package:
        pytest.importorskip(package)
    failed = run(name, doc)
    assert not failed, failed


@pytest.mark.parametrize(
    ("code", "wrong"),
    [
        (">>> fastimg.read_header('cat.jpg').width\n500", ""),
        (">>> fastimg.read_header('cat.jpg').width\n501", "Got:\n    500"),
        (">>> fastimg.read_header('no.jpg')", "FileNotFoundError"),
        (">>> torch.zeros(3)", "NameError"),
    ],
)
@pytest.mark.usefixtures("here")
def test_what_is_wrong_is_seen(code, wrong):
    said = run("code", code)
    assert wrong in said and bool(said) == bool(wrong)


# ---- sections ------------------------------------------------------------------------------------


def full_name(name):
    top = name.partition(".")[0]
    homes = (home for home in (fastimg, fastimg.data_source, fastimg.sources) if hasattr(home, top))
    return f"{next(homes).__name__}.{name}"


def complaints(name):
    validate = pytest.importorskip("numpydoc.validate").validate
    ignored = NOT_ASKED | (NOT_ASKED_OF_OPERATORS if kind(name) == "operator" else set())
    value = ALL[name][0]
    is_error = inspect.isclass(value) and issubclass(value, fastimg.ImageError)  # as `ImageError` says
    has_fields = hasattr(value, "__dataclass_fields__") or hasattr(value, "_fields")  # `test_fields`
    if is_error or has_fields or name in TAKES_WHAT_USERS_DO_NOT_GIVE:
        ignored = ignored | {"PR01"}
    return [error for error in validate(full_name(name))["errors"] if error[0] not in ignored]


@pytest.mark.parametrize("name", ALL)
def test_numpydoc(name):
    assert complaints(name) == []


@pytest.mark.filterwarnings("ignore:Unknown section")
def test_numpydoc_complains(monkeypatch):
    assert complaints("decode") == []
    doc = fastimg.decode.__doc__.replace("size : int or", "sizes : int or", 1).replace(
        "Returns\n", "Results\n"
    )
    monkeypatch.setattr(fastimg.decode, "__doc__", doc)
    assert {"PR01", "PR02", "RT01"} <= {code for code, _ in complaints("decode")}
