# SPDX-License-Identifier: BSD-3-Clause
"""The fuzz targets of the entropy stage, compiled as programs that read files, and stages that are wrong."""

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

from support.c_programs import (
    CORE,
    compile_c,
)

FOLDER = Path(__file__).parents[1] / "fuzz"
CORE_SOURCES = [*sorted((CORE / "entropy").glob("*.c")), CORE / "cpu.c"]
SOURCES = [FOLDER / "fuzz_entropy.c", *CORE_SOURCES]
PROGRESSIVE_SOURCES = [FOLDER / "fuzz_progressive.c", *CORE_SOURCES]

# A stage that is wrong: stands between the target and ours, whose functions are called inner_...
WRONG = """
#include "entropy/entropy.h"
#include <stdlib.h>
bool inner_start(fi_entropy *entropy, const fi_scan *scan);
bool inner_start_progressive(fi_entropy *entropy, const fi_scan *scan);
bool inner_decode(fi_entropy *entropy, unsigned mcus, bool whole, int16_t (*blocks)[64], uint8_t *eob);
bool inner_decode_progressive(fi_entropy *entropy, size_t mcus, const fi_block_row *rows);
const uint8_t *inner_finish(fi_entropy *entropy);
const fi_fault *inner_fault(const fi_entropy *entropy);
size_t inner_stray_nbytes(const fi_entropy *entropy, unsigned *marker);
static const uint8_t *data;

bool fi_entropy_start(fi_entropy *entropy, const fi_scan *scan) {
    const bool is_good = inner_start(entropy, scan);
    data = scan->data;
    START
}

bool fi_entropy_start_progressive(fi_entropy *entropy, const fi_scan *scan) {
    const bool is_good = inner_start_progressive(entropy, scan);
    data = scan->data;
    START
}

bool fi_entropy_decode(fi_entropy *entropy, unsigned mcus, bool whole, int16_t (*blocks)[64], uint8_t *eob) {
    const bool is_good = inner_decode(entropy, mcus, whole, blocks, eob);
    DECODE
}

bool fi_entropy_decode_progressive(fi_entropy *entropy, size_t mcus, const fi_block_row *rows) {
    const bool is_good = inner_decode_progressive(entropy, mcus, rows);
    PROGRESSIVE
}

const uint8_t *fi_entropy_finish(fi_entropy *entropy) {
    const uint8_t *marker = inner_finish(entropy);
    FINISH
}

const fi_fault *fi_entropy_fault(const fi_entropy *entropy) {
    static fi_fault fault;
    fault = *inner_fault(entropy);
    FAULT
    return &fault;
}

size_t fi_entropy_stray_nbytes(const fi_entropy *entropy, unsigned *marker) {
    const size_t nbytes = inner_stray_nbytes(entropy, marker);
    STRAY
}
"""
AS_OURS = {
    "START": "return is_good || !data;",
    "DECODE": "return is_good;",
    "PROGRESSIVE": "return is_good;",
    "FINISH": "return marker;",
    "FAULT": "",
    "STRAY": "return nbytes;",
}


def compile_target(sources, target, *flags):
    compiled = compile_c([*sources, FOLDER / "replay.c"], target, "-DFASTIMG_FUZZ_MAIN", *flags)
    assert compiled.returncode == 0, compiled.stderr
    return target


@functools.cache
def renamed_sources():
    """The core's sources, with another name for what a wrong stage stands before."""
    folder = Path(tempfile.mkdtemp(prefix="fastimg-renamed-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    names = ("start", "start_progressive", "decode", "decode_progressive", "finish", "fault", "stray_nbytes")
    renamed = "".join(f"#define fi_entropy_{name} inner_{name}\n" for name in names)
    replaced = ("baseline.c", "progressive.c", "dispatch.c", "bytes.c")  # where these are defined
    for name in replaced:
        (folder / name).write_text(renamed + (CORE / "entropy" / name).read_text())
    kept = [path for path in CORE_SOURCES if path.name not in replaced]
    return [*kept, *sorted(folder.glob("*.c"))]


def wrong_target(folder, source, parts):
    wrong = WRONG
    for part, code in (AS_OURS | parts).items():
        wrong = wrong.replace(part, code)
    (folder / "wrong.c").write_text(wrong)
    return compile_target([source, *renamed_sources(), folder / "wrong.c"], folder / "wrong")
