# SPDX-License-Identifier: BSD-3-Clause
"""Packages that a page's code needs, and what to do without."""

import ast
import importlib.util
import os

import pytest


def missing_packages(code):
    """The packages that code imports and that are not installed."""
    names = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module)
    return sorted({missing for name in names if (missing := _missing(name))})


def _missing(module):
    """The package for want of which a module cannot be imported, or None."""
    package, _, rest = module.partition(".")
    spec = importlib.util.find_spec(package)
    if (
        spec and spec.origin is None and rest
    ):  # a namespace, such as nvidia: what is in it, several packages bring
        package += "." + rest.partition(".")[0]
        spec = importlib.util.find_spec(package)
    return None if spec else package


def require(packages):
    """Skip for want of packages, or fail where all have been installed."""
    if packages and os.environ.get("FASTIMG_RECIPES") == "all":
        pytest.fail(f"not installed: {', '.join(packages)}")
    if packages:
        pytest.skip(f"not installed: {', '.join(packages)}")
