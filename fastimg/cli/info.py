# SPDX-License-Identifier: BSD-3-Clause
"""``fastimg info``: what the headers of files say."""

import argparse
import dataclasses
from typing import Any

import fastimg
from fastimg.cli.inputs import files_of
from fastimg.cli.options import add_fallback_option, add_index_option, check_fallback, formats_of
from fastimg.cli.words import reason_of, say_json, say_table
from fastimg.folders import suffixes_of


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand and its arguments."""
    parser = commands.add_parser("info", help="print what the headers of files say")
    parser.set_defaults(run=run)
    parser.add_argument("inputs", nargs="+", metavar="FILE", help="images, or .tar or .zip archives of them")
    parser.add_argument("--json", action="store_true", help="print a list of objects")
    add_fallback_option(parser, "read headers of images that are not JPEG with Pillow")
    add_index_option(parser)


def run(args: argparse.Namespace) -> int:
    """Run the subcommand; return the exit status."""
    check_fallback(args)
    suffixes = suffixes_of(formats_of(args))
    records: list[dict[str, Any]] = []
    for name in args.inputs:
        try:
            sources = files_of(name, index=args.index, suffixes=suffixes)
        except (ValueError, OSError) as error:
            records.append({"path": name, "error": reason_of(error, name)})
            continue
        for source in sources:
            path = str(source)
            try:
                header = fastimg.read_header(source, fallback=args.fallback)
                records.append({"path": path, **dataclasses.asdict(header)})
            except (fastimg.ImageError, OSError) as error:
                records.append({"path": path, "error": reason_of(error, path)})
    if args.json:
        say_json(records)
    else:
        titles = ["path", *(field.name for field in dataclasses.fields(fastimg.Header))]
        rows = [titles]
        for record in records:
            if "error" in record:
                rows.append([record["path"], "error: " + record["error"]])
            else:
                rows.append([_cell(record[title]) for title in titles])
        say_table(rows)
    return 1 if any("error" in record for record in records) else 0


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
