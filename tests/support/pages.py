# SPDX-License-Identifier: BSD-3-Clause
"""What is run of a page of the docs: code blocks, also by section, and tables of code."""

import re
import textwrap
from typing import NamedTuple


class Block(NamedTuple):
    page: object  # its path
    line: int  # of its first line, from 1
    language: str
    code: str


class Section(NamedTuple):
    """What follows a heading of the second level."""

    title: str
    line: int  # of the heading, from 1
    lines: list


def is_fence(line):
    """Whether a code block begins or ends here, perhaps in a list."""
    return line.lstrip().startswith("```")


def blocks(page):
    """The blocks of a page that are run."""
    found, fence = [], None
    lines = page.read_text("utf-8").splitlines(keepends=True)
    for number, line in enumerate(lines):
        if not is_fence(line):
            continue
        if fence is None:
            fence = number, line.strip()[3:].strip()
            continue
        start, language = fence
        code = textwrap.dedent("".join(lines[start + 1 : number]))  # a list's item is indented
        if language == "python" or (language == "sh" and code.startswith("fastimg ")):
            found.append(Block(page, start + 2, language, code))
        fence = None
    assert fence is None, f"{page}: the block at line {fence[0] + 1} does not end"
    return found


def sections(page):
    """The sections of a page; what comes before the first has no title."""
    found = [Section("", 1, [])]
    fenced = False
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        fenced ^= is_fence(line)
        if line.startswith("## ") and not fenced:
            found.append(Section(line[3:], number, []))
        else:
            found[-1].lines.append(line)
    return found


def section_blocks(page):
    """The blocks of a page that are run, by the title of their section."""
    found = {section.title: [] for section in sections(page)}
    starts = [(section.line, section.title) for section in sections(page)]
    for block in blocks(page):
        found[[title for line, title in starts if line <= block.line][-1]].append(block)
    return found


def table_rows(section):
    """The cells of each row of a section's tables, without the head and the line below it."""
    rows = []
    for line in section.lines:
        if line.startswith("|"):
            cells = re.split(r"(?<!\\)\|", line.strip()[1:-1])
            rows.append([cell.strip().replace("\\|", "|") for cell in cells])
    heads = {i - 1 for i, row in enumerate(rows) if set("".join(row)) <= {"-", ":"}}
    return [row for i, row in enumerate(rows) if i not in heads and i - 1 not in heads]
