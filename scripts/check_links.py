# SPDX-License-Identifier: BSD-3-Clause
"""python scripts/check_links.py FOLDER: every link within a built site must lead to a file and a name that are there.

Links to other servers are not followed: ``scripts/docs.sh`` does that when it is asked to.
"""

import html.parser
import pathlib
import sys
import urllib.parse


class Page(html.parser.HTMLParser):
    """The names in a page, and what it links to or shows."""

    def __init__(self, path):
        super().__init__()
        self.names, self.links = set(), []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name == "id" or (name == "name" and tag == "a"):
                self.names.add(value)
            elif name in ("href", "src") and value:
                self.links.append((self.getpos()[0], value))


def dead_links(folder):
    """The links of a site that lead nowhere, each as a line of text, and how many links there are."""
    pages = {path: Page(path) for path in sorted(folder.rglob("*.html"))}
    dead, count = [], 0
    for path, page in pages.items():
        for line, link in page.links:
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            count += 1
            target = (path.parent / urllib.parse.unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            name = urllib.parse.unquote(parts.fragment)
            if not target.is_relative_to(folder) or not target.is_file():
                dead.append(f"{path.relative_to(folder)}:{line}: {link}: no such file")
            elif name and target in pages and name not in pages[target].names:
                dead.append(f"{path.relative_to(folder)}:{line}: {link}: no such name")
    return dead, count


def main():
    folder = pathlib.Path(sys.argv[1]).resolve()
    dead, count = dead_links(folder)
    print(*dead, sep="\n", end="\n" if dead else "")
    print(f"{count} links within the site, {len(dead)} dead")
    return 1 if dead or not count else 0


if __name__ == "__main__":
    sys.exit(main())
