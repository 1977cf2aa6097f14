# SPDX-License-Identifier: BSD-3-Clause
"""What users see: the names in the package, and a docstring for each that says what it raises."""

import ast
import builtins
import importlib
import inspect
import textwrap

import pytest
from support.public_names import callables, entries, is_dunder, own_bases, public_classes, section

import fastimg

# The options of decode, load and both accessors, with their defaults, in this order.
OPTIONS = {
    "mode": "RGB",
    "layout": "CHW",
    "size": None,
    "resize_shorter": None,
    "resize_longer": None,
    "center_crop": None,
    "fit": "stretch",
    "resample": "bilinear",
    "reducing_gap": 2.0,
    "pad_value": 0,
    "crop": None,
    "flip": False,
    "orient": True,
    "dtype": "uint8",
    "mean": 0,
    "std": 1,
    "strict": True,
    "max_pixels": 178956970,
    "max_scans": 500,
}
FALLBACK = {"fallback": None}
OF_MANY = {"num_threads": None, "on_error": "raise", "read_threads": None, "read_ahead": "64 MiB"}

CANNOT_RAISE = {
    "ArrayDataSource.num_samples",
    "ArrayDataSource.state_dict",
    "BatchIterator.close",
    "BatchIterator.state_dict",
    "FileIndex.classes",
    "FileIndex.labels",
    "FileIndex.mtimes",
    "FileIndex.nbytes",
    "FileIndex.paths",
    "FileIndex.root",
    "FileIndex.sizes",
    "Header.shape",
    "ImageFileAccessor.dtype",
    "NonUniformImageFileAccessor.dtype",
    "NonUniformImageFileAccessor.shape",
    "RandomResizedCrop.dtype",
    "RandomResizedCrop.epoch",
    "RandomViews.dtype",
    "RandomViews.epoch",
    "RandomViews.shape",
    "build_info",
}
# BatchUp passes keywords of its own to num_samples.
TAKES_ANY_KEYWORD = {"ArrayDataSource.num_samples"}


ALL = callables()


def checks_its_arguments(cls):
    """Whether a class has a constructor of ours, that users call."""
    mine = own_bases(cls)
    return (
        not issubclass(cls, Exception)
        and cls.__name__ != "BatchIterator"
        and any(name in vars(base) for base in mine for name in ("__post_init__", "__init__"))
        and not (hasattr(cls, "__dataclass_fields__") and not hasattr(cls, "__post_init__"))
    )


def can_raise():
    for name, (value, _) in ALL.items():
        if name not in CANNOT_RAISE and (not inspect.isclass(value) or checks_its_arguments(value)):
            yield name


# ---- names ---------------------------------------------------------------------------------------


def test_dir():
    for module in ("_decode", "accessors", "cli", "errors", "options"):
        importlib.import_module(f"fastimg.{module}")
    assert [name for name in dir(fastimg) if not is_dunder(name)] == sorted(fastimg.__all__)
    assert {"__all__", "__doc__", "__version__"} <= set(dir(fastimg))


def test_all():
    assert fastimg.__all__ == sorted(set(fastimg.__all__))
    assert all(hasattr(fastimg, name) and not name.startswith("_") for name in fastimg.__all__)


def test_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'imread'"):
        _ = fastimg.imread


# ---- docstrings ----------------------------------------------------------------------------------


def test_all_are_seen():
    assert {"decode", "FileRange", "ImageFileAccessor", "ImageFileAccessor.__getitem__"} <= ALL.keys()
    assert {"RandomResizedCrop.boxes", "ArrayDataSource.map", "BatchIterator.__next__"} <= ALL.keys()
    assert ALL.keys() > CANNOT_RAISE
    assert len(ALL) > 50


@pytest.mark.parametrize("name", ALL)
def test_docstring(name):
    doc = ALL[name][1]
    summary = doc.split("\n\n")[0]
    assert summary.endswith((".", ":")), f"{name}: {summary!r}"


@pytest.mark.parametrize("name", list(can_raise()))
def test_raises(name):
    doc = ALL[name][1]
    names = entries(doc, "Raises")
    assert names, f"{name} has no section Raises"
    for each in names:
        kind = getattr(builtins, each, None) or getattr(fastimg, each, None)
        assert inspect.isclass(kind) and issubclass(kind, BaseException), f"{name} raises {each!r}"
    # Each, or several of them together, with the condition.
    lines = section(doc, "Raises")
    follows = dict(zip(lines, [*lines[1:], ""], strict=True))
    assert all(follows[line].startswith("    ") for line in lines if line and line[0] != " ")


@pytest.mark.parametrize("name", sorted(CANNOT_RAISE))
def test_cannot_raise(name):
    value = ALL[name][0]
    code = textwrap.dedent(inspect.getsource(value.fget if isinstance(value, property) else value))
    assert not any(isinstance(node, ast.Raise) for node in ast.walk(ast.parse(code)))


def test_fields():
    """A field has no docstring of its own: that of its class speaks of it."""
    for cls in public_classes():
        fields = [*getattr(cls, "__dataclass_fields__", ()), *getattr(cls, "_fields", ())]
        explained = entries(inspect.cleandoc(cls.__doc__), "Attributes")
        explained += entries(inspect.cleandoc(cls.__doc__), "Parameters")
        assert set(fields) <= set(explained), cls.__name__


# ---- signatures ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_signature(name):
    value, doc = ALL[name]
    if isinstance(value, property) or hasattr(value, "func") or name == "BatchIterator":
        return
    parameters = inspect.signature(value).parameters
    if name not in TAKES_ANY_KEYWORD and ".__" not in name:
        assert not {each.kind for each in parameters.values()} & {
            inspect.Parameter.VAR_KEYWORD,
            inspect.Parameter.VAR_POSITIONAL,
        }
        explained = [*entries(doc, "Parameters"), *entries(doc, "Attributes")]
        if "Parameters" in doc:
            assert set(parameters) - {"self", "cls"} <= set(explained)


@pytest.mark.parametrize("name", ["decode", "load", "ImageFileAccessor", "NonUniformImageFileAccessor"])
def test_options(name):
    parameters = inspect.signature(getattr(fastimg, name)).parameters
    keywords = {
        each.name: each.default for each in parameters.values() if each.kind is inspect.Parameter.KEYWORD_ONLY
    }
    expected = OPTIONS | {"num_threads": 1} | FALLBACK if name == "decode" else OPTIONS | OF_MANY | FALLBACK
    if name == "load":
        expected = expected | {
            "progress": False,
            "return_mask": False,
            "return_geometry": False,
            "views": None,
        }
    elif name != "decode":
        expected = expected | {"sizes": None}
    assert keywords == expected
    assert list(keywords)[: len(OPTIONS)] == list(OPTIONS)
    assert {name: type(value) for name, value in keywords.items()} == {
        name: type(value) for name, value in expected.items()
    }
    others = {each.name: each.default for each in parameters.values() if each.name not in expected}
    source = {"source" if name == "decode" else "sources": inspect.Parameter.empty}
    assert others == (source if name.endswith("Accessor") else {**source, "out": None})
