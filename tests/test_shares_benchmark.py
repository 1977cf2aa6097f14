# SPDX-License-Identifier: BSD-3-Clause
"""benchmarks.shares: which stage a function belongs to."""

import importlib
import re
from pathlib import Path

import pytest

shares = importlib.import_module("benchmarks.shares")

CORE = Path(__file__).resolve().parent.parent / "fastimg" / "_core"

# What `perf report -t ";" --sort dso,symbol` prints.
REPORT = """\
# Overhead;Shared Object;Symbol
 40.00% ;_decode.abi3.so          ;[.] decode_bmi2               ;-      -
 10.00% ;_decode.abi3.so          ;[.] idct_8_avx2               ;-      -
  2.00% ;libc.so.6                ;[.] __memset_avx2_unaligned   ;-      -
  4.00% ;_decode.abi3.so          ;[.] resample_h_shuffle_neon   ;-      -
  1.00% ;_decode.abi3.so          ;[.] ycc_q6_to_rgb_c           ;-      -
  3.00% ;libjpeg.so.62.3.0        ;[.] 0x000000000002c26e        ;-      -
  5.00% ;libc.so.6                ;[.] _int_malloc               ;-      -
 35.00% ;libpython3.11.so.1.0     ;[.] _PyEval_EvalFrameDefault  ;-      -

"""


def test_shares():
    assert shares.shares(REPORT) == {
        "Huffman decoding": 66.7,
        "inverse DCT": 20.0,
        "filters": 6.7,
        "colour and store": 1.7,
        "the rest": 5.0,
    }


def test_without_symbols():
    with pytest.raises(SystemExit, match="symbols"):
        shares.shares(REPORT.replace("decode_bmi2", "0x0000000000012345"))


@pytest.mark.skipif(not CORE.is_dir(), reason="without the sources")
def test_names_are_those_of_the_core():
    """Each name, or beginning of one, that a stage is told by is one of a function of the core, or of the C library."""
    code = "".join(path.read_text("utf-8") for path in sorted(CORE.rglob("*.[ch]")))
    functions = set(re.findall(r"\w+", code))
    for _, names in shares.STAGES:
        for name in re.split(r"\|(?![^(]*\))", names):
            if not name.startswith("__mem"):
                # Definitions may be macros that put the name of a variant after it.
                assert any(re.fullmatch(name.replace(r"_\w+", r"\w*"), each) for each in functions), name
