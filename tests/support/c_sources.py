# SPDX-License-Identifier: BSD-3-Clause
"""Reads C sources just well enough to see who includes, calls and defines what.

It does not preprocess: both sides of an ``#if`` count, and so do the bodies of macros. Names that a macro pastes
together are not found.
"""

import bisect
import re
from dataclasses import dataclass, field
from pathlib import Path

COMMENT_OR_LITERAL = re.compile(r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.DOTALL)
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\\\n]|\\.)*", re.MULTILINE | re.DOTALL)
INCLUDE = re.compile(r"""^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]""", re.MULTILINE)
IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
USE = re.compile(r"(?<![\w.])(?<!->)(?<!struct )(?<!union )(?<!enum )[A-Za-z_]\w*")
# A macro that makes a function static.
STATIC_MACRO = re.compile(
    r"^[ \t]*#[ \t]*define[ \t]+(\w+)[ \t](?:[^\\\n]|\\.)*?\bstatic\b", re.MULTILINE | re.DOTALL
)
# Words with parentheses that are not part of a declaration.
DECORATION = re.compile(r"\b(?:__attribute__|_Alignas|_Static_assert)\s*(?=\()")


@dataclass
class Function:
    name: str
    line: int
    length: int  # in lines, from the first word of its type to its last brace
    static: bool


@dataclass
class Source:
    """One file. `uses` are identifiers that may refer to other files, with the line of their first use."""

    path: Path
    includes: list[tuple[str, bool, int]] = field(default_factory=list)  # name, whether in <>, line
    functions: list[Function] = field(default_factory=list)
    variables: list[str] = field(default_factory=list)  # defined here and not static
    statics: set[str] = field(default_factory=set)
    uses: dict[str, int] = field(default_factory=dict)


def _blank(match):
    """Spaces in place of the match: positions stay the same."""
    return re.sub(r"[^\n]", " ", match.group())


def _blank_comment(match):
    return _blank(match) if match.group()[0] == "/" else match.group()


def _closing(text, start):
    """The index after the bracket that closes the one at `start`."""
    depth = 0
    for i in range(start, len(text)):
        depth += (text[i] in "([{") - (text[i] in ")]}")
        if depth == 0:
            return i + 1
    raise ValueError(f"no bracket closes {text[start : start + 40]!r}")


def _undecorated(text):
    while match := DECORATION.search(text):
        text = text[: match.start()] + " " + text[_closing(text, match.end()) :]
    return text


def _flat(text):
    """The text without what is in brackets, and where in it its groups of parentheses stood."""
    flat, i = "", 0
    groups = []
    while i < len(text):
        if text[i] in "([{":
            end = _closing(text, i)
            if text[i] == "(":
                groups.append(len(flat))
            flat += " "
            i = end
        else:
            flat += text[i]
            i += 1
    return flat, groups


def _declared_function(text):
    """The name of the declared function, or None if it is none."""
    flat, groups = _flat(text)
    if not groups or "=" in flat or flat.split()[:1] == ["typedef"]:
        return None
    words = IDENTIFIER.findall(flat[: groups[-1]])
    # A single word is a macro's; nothing but words may follow the parameters.
    return words[-1] if len(words) > 1 and not re.search(r"[^\s\w]", flat[groups[-1] :]) else None


def _declared_variables(text):
    flat, _ = _flat(text)
    words = IDENTIFIER.findall(flat.partition("=")[0])
    if not words or words[0] == "typedef":
        return []
    tagged = any(word in ("struct", "union", "enum") for word in words)
    if len(IDENTIFIER.findall(flat.partition("=")[0].partition(",")[0])) < (3 if tagged else 2):
        return []  # a type alone, or a macro
    names = (IDENTIFIER.findall(part.partition("=")[0]) for part in flat.split(","))
    return [found[-1] for found in names if found]


def _items(text):
    """Declarations and definitions at file scope: (start, end, whether it is a function with a body)."""
    start, i = 0, 0
    while i < len(text):
        if text[i] in "([":
            i = _closing(text, i)
        elif text[i] == "{":
            head = _undecorated(text[start:i])
            end = _closing(text, i)
            if _declared_function(head):
                yield start, end, True
                start = end
            i = end
        elif text[i] == ";":
            yield start, i + 1, False
            i += 1
            start = i
        elif text[i] in ")]}":
            raise ValueError(f"nothing opens the bracket before {text[i : i + 40]!r}")
        else:
            i += 1
    if text[start:].strip():
        raise ValueError(f"no declaration: {text[start:].strip()[:40]!r}")


def read(path, static_words=frozenset({"static"})):
    """Read a file. Raises ValueError if its brackets do not match."""
    source = Source(path)
    text = COMMENT_OR_LITERAL.sub(_blank_comment, path.read_text("utf-8"))
    newlines = [i for i, character in enumerate(text) if character == "\n"]

    def line_of(position):
        return bisect.bisect_left(newlines, position) + 1

    for match in INCLUDE.finditer(text):
        source.includes.append((match[2], match[1] == "<", line_of(match.start())))
    text = COMMENT_OR_LITERAL.sub(_blank, INCLUDE.sub(_blank, text))

    parts = [(match.start(), match.group()) for match in DIRECTIVE.finditer(text)]
    text = DIRECTIVE.sub(_blank, text)
    try:
        items = list(_items(text))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    for start, end, is_function in items:
        item = text[start:end]
        start += len(item) - len(item.lstrip())
        declaration = _undecorated(item.partition("{")[0] if is_function else item.rstrip(";"))
        name = _declared_function(declaration)
        words = IDENTIFIER.findall(declaration)
        static = not static_words.isdisjoint(words)
        if is_function:
            length = line_of(end - 1) - line_of(start) + 1
            source.functions.append(Function(name, line_of(start), length, static))
        if name is None and "extern" not in words and not static:
            source.variables += _declared_variables(declaration)
        if static:
            source.statics |= {name} if name else set(_declared_variables(declaration))
        if is_function or not (name or "extern" in words):  # a mere declaration uses nothing
            parts.append((start, text[start:end]))

    for start, part in sorted(parts):
        for match in USE.finditer(part):
            source.uses.setdefault(match.group(), line_of(start + match.start()))
    return source


def read_tree(folder):
    """Read the sources below a folder: {path from there: Source}."""
    paths = sorted(folder.rglob("*.[ch]"))
    static_words = {"static"}.union(*(STATIC_MACRO.findall(path.read_text("utf-8")) for path in paths))
    return {path.relative_to(folder): read(path, static_words) for path in paths}
