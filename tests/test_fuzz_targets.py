# SPDX-License-Identifier: BSD-3-Clause
"""The entropy stage beside a plain decoder of T.81: the fuzz target, on files made here and on the collections.

scripts/fuzz.sh lets libFuzzer make the files.
"""

import shutil
import subprocess
from pathlib import Path

import jpegs
import numpy as np
import pytest
from test_entropy import SOUND, UNSOUND, bases, mutate, noise, one_block, turbo_setting
from test_kernels import COMPILER, CORE, PLAIN_ENV, SANITIZE, compile_c

FOLDER = Path(__file__).parent / "fuzz"
OTHERS = [CORE / "entropy_tables.c", CORE / "entropy_progressive.c", CORE / "cpu.c"]
SOURCES = [FOLDER / "fuzz_entropy.c", CORE / "entropy.c", *OTHERS]
MUTATIONS = 600

# A stage that is wrong: stands between the target and ours, whose functions are called inner_...
WRONG = """
#include "entropy.h"
bool inner_decode(fi_entropy *entropy, unsigned mcus, bool whole, int16_t (*blocks)[64], uint8_t *ends);
const uint8_t *inner_finish(fi_entropy *entropy);

bool fi_entropy_decode(fi_entropy *entropy, unsigned mcus, bool whole, int16_t (*blocks)[64], uint8_t *ends) {
    const bool is_good = inner_decode(entropy, mcus, whole, blocks, ends);
    DECODE
}

const uint8_t *fi_entropy_finish(fi_entropy *entropy) {
    const uint8_t *marker = inner_finish(entropy);
    FINISH
}
"""


def has_sanitizers(folder):
    """Whether programs can be compiled with them, and run."""
    empty = folder / "empty.c"
    empty.write_text("int main(void) { return 0; }\n")
    if compile_c([empty], folder / "empty", *SANITIZE).returncode:
        return False
    return subprocess.run([folder / "empty"], capture_output=True, env=PLAIN_ENV).returncode == 0


def compile_target(sources, target, *flags):
    compiled = compile_c(sources, target, "-DFASTIMG_FUZZ_MAIN", *flags)
    assert compiled.returncode == 0, compiled.stderr
    return target


@pytest.fixture(scope="module")
def flags(tmp_path_factory):
    """The sanitizers', if the compiler has any; there is a compiler."""
    if not shutil.which(COMPILER[0]):
        pytest.skip(f"no C compiler: {COMPILER[0]}")
    if not all(path.exists() for path in SOURCES):
        pytest.skip("no C sources")
    return SANITIZE if has_sanitizers(tmp_path_factory.mktemp("sanitizers")) else []


@pytest.fixture(scope="module")
def target(flags, tmp_path_factory):
    return compile_target(SOURCES, tmp_path_factory.mktemp("target") / "fuzz_entropy", *flags)


def run(target, paths):
    return subprocess.run([target, *paths], capture_output=True, text=True, timeout=300, env=PLAIN_ENV)


def replay(target, paths):
    """(MCUs in the file, decoded by the plain version of the stage, decoded by the processor's own) of each."""
    done = run(target, paths)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout[-200:]
    lines = [line.rpartition(": ") for line in done.stdout.splitlines()]
    assert [name for name, _, _ in lines] == [str(path) for path in paths]
    return [tuple(map(int, numbers.split())) for _, _, numbers in lines]


def write(folder, files):
    paths = [folder / f"{i:04d}.jpg" for i in range(len(files))]
    for path, data in zip(paths, files, strict=True):
        path.write_bytes(data)
    return paths


def of_every_length(data, count=64):
    """The target does something else for each; what stands behind the end of a file is nothing to it."""
    return [data + bytes(i) for i in range(count)]


def good_files():
    for subsampling in jpegs.SUBSAMPLINGS:
        yield jpegs.turbo(jpegs.pixels(24, 50), subsampling, quality=60)
    for interval in ("1B", "3B"):
        with turbo_setting("TJ_RESTART", interval), turbo_setting("TJ_OPTIMIZE", "1"):
            yield jpegs.turbo(jpegs.pixels(40, 50), quality=60)
    yield jpegs.turbo(noise(64, 64), quality=100)
    yield jpegs.turbo(noise(170, 170), "4:4:4", quality=100)  # read in several pieces
    yield jpegs.pillow(jpegs.pixels(90, 90, 4))


def test_good_files(tmp_path, target):
    files = [longer for data in good_files() for longer in of_every_length(data)]
    for mcus, *decoded in replay(target, write(tmp_path, files)):
        assert decoded == [mcus, mcus]
        assert mcus > 0


def test_more_than_there_is(tmp_path, target):
    # Frames that say more than the scan has: the long scans among these are decoded for longer.
    files = [
        longer
        for data in good_files()
        for longer in of_every_length(jpegs.reframed(data, height=2000, width=2000))
    ]
    results = replay(target, write(tmp_path, files))
    assert all(max(decoded) < mcus for mcus, *decoded in results)
    # Where they end among MCUs that are decoded together, the first of these do not count.
    assert sum(max(decoded) > 0 for _, *decoded in results) > len(files) / 2


def test_tables(tmp_path, target):
    files = {name: one_block(**tables) for name, tables in (SOUND | UNSOUND).items()}
    for name, result in zip(files, replay(target, write(tmp_path, list(files.values()))), strict=True):
        assert result == ((1, 1, 1) if name in SOUND else (1, 0, 0)), name


def test_mutations(tmp_path, target):
    rng = np.random.default_rng(3)
    files = list(bases())
    results = replay(target, write(tmp_path, [mutate(rng, files[i % len(files)]) for i in range(MUTATIONS)]))
    whole = sum(mcus > 0 and decoded == [mcus, mcus] for mcus, *decoded in results)
    assert MUTATIONS / 20 < whole < MUTATIONS / 2  # some harmless, most not


@pytest.mark.parametrize("name", ["photos", "awkward"])
def test_collections(target, shared, name):
    paths = [path for path in sorted((shared / name).rglob("*")) if path.is_file()]
    assert sum(plain for _, plain, _ in replay(target, paths)) > 1000


@pytest.mark.parametrize(
    ("decode", "finish", "message"),
    [
        ("blocks[0][63] ^= 1; return is_good;", "return marker;", "coefficient 63"),
        ("blocks[0][0] ^= 1; return is_good;", "return marker;", "coefficient 0"),
        ("return is_good || blocks;", "return marker;", "there is no MCU"),
        ("ends[0] -= ends[0] > 1; return is_good;", "return marker;", "ended at"),
        ("return is_good;", "return marker + 1;", "the scan ends at"),
        ("return is_good;", "return marker ? NULL : marker;", "the scan ends at -1"),
    ],
)
@pytest.mark.usefixtures("flags")
def test_wrong_stage(tmp_path, decode, finish, message):
    wrong = WRONG.replace("DECODE", decode).replace("FINISH", finish)
    (tmp_path / "wrong.c").write_text(wrong)
    (tmp_path / "entropy.c").write_text(
        "".join(f"#define fi_entropy_{name} inner_{name}\n" for name in ("decode", "finish"))
        + (CORE / "entropy.c").read_text()
    )
    sources = [SOURCES[0], tmp_path / "entropy.c", tmp_path / "wrong.c", *OTHERS]
    target = compile_target(sources, tmp_path / "fuzz_entropy")
    done = run(target, write(tmp_path, [jpegs.truncated(jpegs.jpeg()), jpegs.jpeg()]))
    assert done.returncode != 0
    assert message in done.stderr
