# SPDX-License-Identifier: BSD-3-Clause
"""How the core reads files: a C program, which `scripts/wine.sh` runs as a program for Windows as well."""

import subprocess

from support.c_programs import CORE, PLAIN_ENV, TESTS, compile_program


def test_files(tmp_path):
    sources = [
        TESTS / "core" / "test_files.c",
        CORE / "source.c",
        CORE / "status.c",
        *(CORE / "os").glob("*.c"),
    ]
    program = compile_program(sources, tmp_path / "program", "-O1")
    (tmp_path / "files").mkdir()
    command = [program, tmp_path / "files"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=PLAIN_ENV)
    assert (done.returncode, done.stdout, done.stderr) == (0, "far: read\nok\n", "")
