# SPDX-License-Identifier: BSD-3-Clause
"""The public names and their docstrings, and the sections of a docstring."""

import inspect
import re

import fastimg
import fastimg.sources

# The methods with two underscores that do what users ask of an image or a batch.
SPECIAL = {"__array__", "__call__", "__getitem__", "__getitems__", "__next__"}


def is_dunder(name):
    return name.startswith("__") and name.endswith("__")


def public_classes():
    found = [each for each in map(vars(fastimg).get, fastimg.__all__) if inspect.isclass(each)]
    found += map(vars(fastimg.data_source).get, fastimg.data_source.__all__)
    return [*found, fastimg.sources.ReaderItem]


def own_bases(cls):
    return [base for base in cls.__mro__ if base.__module__.split(".")[0] == "fastimg"]


def members(cls):
    """(name, function or property) of what a class and its bases of ours define for users."""
    names = {name for base in own_bases(cls) for name in vars(base)}
    for name in sorted(names):
        member = inspect.getattr_static(cls, name)
        if isinstance(member, classmethod | staticmethod):
            member = member.__func__
        is_ours = inspect.isfunction(member) or isinstance(member, property) or hasattr(member, "func")
        if is_ours and (not name.startswith("_") or name in SPECIAL):
            yield name, member


def docstring(cls, name):
    """A member's own, or that of the base of ours which it overrides."""
    docs = (getattr(vars(base)[name], "__doc__", None) for base in own_bases(cls) if name in vars(base))
    return inspect.cleandoc(next(filter(None, docs), ""))


def callables():
    """Functions, classes, methods and properties: {name: (object, docstring)}."""
    found = {}
    for name in fastimg.__all__:
        if inspect.isfunction(getattr(fastimg, name)):
            found[name] = getattr(fastimg, name), inspect.getdoc(getattr(fastimg, name)) or ""
    for cls in public_classes():
        found[cls.__name__] = cls, inspect.cleandoc(cls.__doc__ or "")
        for name, member in members(cls):
            found[f"{cls.__name__}.{name}"] = member, docstring(cls, name)
    return found


def section(doc, title):
    """The lines of a section of a numpydoc docstring."""
    match = re.search(rf"^{title}\n-+\n(.*?)(?=^[^\n]+\n---|\Z)", doc, re.MULTILINE | re.DOTALL)
    return match[1].splitlines() if match else []


def entries(doc, title):
    """The names that a section explains: several may share a line, and an explanation."""
    lines = (line for line in section(doc, title) if line and not line.startswith(" "))
    return [name.strip() for line in lines for name in line.partition(" : ")[0].split(",")]
