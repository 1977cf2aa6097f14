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
    packages = {name.partition(".")[0] for name in names}
    return sorted(package for package in packages if not importlib.util.find_spec(package))


def require(packages):
    """Skip for want of packages, or fail where all have been installed."""
    if packages and os.environ.get("FASTIMG_RECIPES") == "all":
        pytest.fail(f"not installed: {', '.join(packages)}")
    if packages:
        pytest.skip(f"not installed: {', '.join(packages)}")
