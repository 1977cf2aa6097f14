# SPDX-License-Identifier: BSD-3-Clause
"""One image in several threads, in a C program without Python, under the sanitizers of memory and of threads."""

import re
import subprocess

import numpy as np
import pytest
from support import jpegs
from support.c_programs import (
    AT_FIXED_PLACES,
    CORE,
    PLAIN_ENV,
    TESTS,
    THREAD_SANITIZE,
    compile_c,
    compile_program,
    has_thread_sanitizer,
    jpeg_flags,
    skip_without,
    skip_without_compiler,
)
from support.damage import JUNK
from support.entropy_files import bases, mutate, turbo_setting
from support.far_blocks import far_block

PROGRAM = TESTS / "core" / "test_parts.c"


def files():
    for subsampling, interval in (("4:2:0", "0"), ("4:4:4", "0"), ("4:2:2", "3B"), ("4:2:0", "1")):
        with turbo_setting("TJ_RESTART", interval):
            yield jpegs.turbo(jpegs.pixels(120, 150), subsampling)
    yield jpegs.turbo(jpegs.pixels(90, 60, 1))
    yield jpegs.truncated(jpegs.jpeg(80, 90))
    yield jpegs.oriented(jpegs.jpeg(96, 81), 6)
    yield far_block(30, 10, 220)  # a guess cannot judge it
    rng = np.random.default_rng(5)
    kinds = list(bases())
    for i in range(20):
        yield mutate(rng, kinds[i % len(kinds)])


def stray():
    """Bytes in front of restart markers, the first, in the middle and the last, and of the end marker."""
    for interval in ("0", "1", "5B"):
        with turbo_setting("TJ_RESTART", interval):
            data = jpegs.turbo(jpegs.pixels(140, 90), "4:2:0")
        places = [match.start() for match in re.finditer(rb"\xff[\xd0-\xd7]", data)]
        for at in {*places[:1], *places[len(places) // 2 :][:1], *places[-2:], len(data) - 2}:
            yield jpegs.insert(data, JUNK[:4], at)


def run(command, folder):
    paths = sorted(folder.glob("*.jpg"))
    done = subprocess.run([*command, *paths], capture_output=True, text=True, timeout=280, env=PLAIN_ENV)
    assert (done.stderr, done.stdout, done.returncode) == ("", f"{len(paths)} files\n", 0)


@pytest.mark.parametrize("sanitizer", ["address", "thread"])
def test_parts(sanitizer, tmp_path):
    skip_without_compiler()
    sources = [PROGRAM, *sorted(CORE.rglob("*.c"))]
    skip_without(sources[:2])
    sources += jpeg_flags("libs")
    command = [tmp_path / "program"]
    if sanitizer == "address":
        compile_program(sources, command[0], "-O1", *jpeg_flags("cflags"))
    else:
        if not has_thread_sanitizer():
            pytest.skip("no ThreadSanitizer, or it does not run here")
        compiled = compile_c(sources, command[0], *THREAD_SANITIZE, "-O1", *jpeg_flags("cflags"))
        assert compiled.returncode == 0, compiled.stderr
        command = [*AT_FIXED_PLACES, *command]
    for i, data in enumerate([*files(), *stray()]):
        (tmp_path / f"{i}.jpg").write_bytes(data)
    run(command, tmp_path)


def compile_replaced(sources, names, folder):
    """A program in which part_work.c calls other functions than the core's."""
    work = CORE / "jpeg" / "part_work.c"
    skip_without([*sources, work])
    defines = "".join(f"#define {name} {other}\n" for name, other in names.items())
    (folder / work.name).write_text(defines + work.read_text())
    sources = [folder / work.name, *sources, *(path for path in sorted(CORE.rglob("*.c")) if path != work)]
    flags = jpeg_flags("cflags")
    return compile_program([*sources, *jpeg_flags("libs")], folder / "program", "-O1", *flags)


def test_late_threads(tmp_path):
    """Threads that have gone ahead as far as they can leave those to end that they wait for."""
    work = CORE / "jpeg" / "part_work.c"
    skip_without([PROGRAM, work])
    (tmp_path / work.name).write_text(f"#define fi_part_rows_open delayed_rows_open\n{work.read_text()}")
    sources = [PROGRAM, PROGRAM.with_name("delayed_parts.c"), tmp_path / work.name]
    sources += [path for path in sorted(CORE.rglob("*.c")) if path != work]
    program = compile_program(
        [*sources, *jpeg_flags("libs")], tmp_path / "program", "-O1", *jpeg_flags("cflags")
    )
    # Many rows, in parts of a third more of them than there is room for: 3.8 bytes per block.
    for seed in range(2):
        image = 128 + 11 * np.random.default_rng(seed).standard_normal((28000, 32, 1))
        data = jpegs.turbo(image.clip(0, 255).astype(np.uint8), quality=30)
        (tmp_path / f"{seed}.jpg").write_bytes(data)
    run([program], tmp_path)


def test_cancelling(tmp_path):
    """What threads decode after they are asked to stop does not depend on the size of the image."""
    names = {
        "fi_part_rows_open": "counted_rows_open",
        "fi_part_claim_guess": "counted_claim_guess",
        "fi_entropy_decode": "counted_decode",
    }
    program = compile_replaced([PROGRAM.with_name("test_parts_cancel.c")], names, tmp_path)
    paths = [tmp_path / f"{interval}.jpg" for interval in (0, 1)]
    for path in paths:
        with turbo_setting("TJ_RESTART", path.stem):
            path.write_bytes(jpegs.turbo(np.tile(jpegs.pixels(300, 420), (4, 3, 1))))
    done = subprocess.run([program, *paths], capture_output=True, text=True, timeout=280, env=PLAIN_ENV)
    assert (done.stderr, done.returncode) == ("", 0), done.stdout
    ended = [int(line) for line in done.stdout.split()]
    assert len(ended) == 8 and ended[0] == ended[4] == 8  # one thread, in the middle of each
    assert min(ended) > 0
