# SPDX-License-Identifier: BSD-3-Clause
"""What a package index shows of the installed package."""

import importlib.metadata
import re

import fastimg

METADATA = importlib.metadata.metadata("fastimg")


def test_version():
    assert METADATA["Version"] == fastimg.__version__


def test_links_of_the_description_are_complete():
    # An index shows the README far from the files that it leads to.
    links = re.findall(r"\]\(([^)\s]+)\)", METADATA.get_payload())
    assert len(links) > 10 and all(link.startswith("https://") for link in links)


def test_addresses_are_those_of_one_repository():
    addresses = dict(entry.split(", ") for entry in METADATA.get_all("Project-URL"))
    assert {"Repository", "Documentation", "Changelog", "Issues"} <= addresses.keys()
    assert all(address.startswith(addresses["Repository"]) for address in addresses.values())
