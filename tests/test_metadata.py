# SPDX-License-Identifier: BSD-3-Clause
"""What is installed: what a package index shows of it, and what importing it does to the interpreter."""

import importlib.metadata
import re
import subprocess
import sys
import sysconfig

import pytest
from support.processes import child_env

import fastimg

METADATA = importlib.metadata.metadata("fastimg")


def test_version():
    assert METADATA["Version"] == fastimg.__version__


def test_links_of_the_description_are_complete():
    # An index shows the README far from the files that it leads to.
    links = re.findall(r"\]\(([^)\s]+)\)", METADATA["Description"] or METADATA.get_payload())
    assert len(links) > 10 and all(link.startswith("https://") for link in links)


def test_addresses_are_those_of_one_repository():
    addresses = dict(entry.split(", ") for entry in METADATA.get_all("Project-URL"))
    assert {"Repository", "Documentation", "Changelog", "Issues"} <= addresses.keys()
    assert all(address.startswith(addresses["Repository"]) for address in addresses.values())


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this CPython has a GIL")
def test_the_gil_stays_off():
    # An extension that does not say that it can do without turns it on, with a warning.
    code = "import sys, fastimg; fastimg.decode; sys.exit(sys._is_gil_enabled())"
    command = [sys.executable, "-W", "error", "-c", code]
    assert subprocess.run(command, env=child_env(), timeout=120).returncode == 0
