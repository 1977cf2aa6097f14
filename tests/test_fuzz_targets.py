# SPDX-License-Identifier: BSD-3-Clause
"""The entropy stage beside a plain decoder of T.81: its fuzz targets, on files made here and on the collections.

scripts/fuzz.sh lets libFuzzer make the files. tests/test_fuzz_inputs.py has the other targets.
"""

import re
import subprocess
import sys
from multiprocessing.pool import ThreadPool

import numpy as np
import pytest
from support import faulty_scans, jpegs
from support.c_programs import (
    CORE,
    CPUS,
    PLAIN_ENV,
    SANITIZE,
    has_sanitizers,
    skip_without,
    skip_without_compiler,
)
from support.damage import JUNK, Picture, after_scan, coefficient
from support.damage_cases import LARGE
from support.entropy_files import DAMAGED, SOUND, UNSOUND, bases, mutate, turbo_setting
from support.faulty_scans import of_every_length
from support.fuzz_targets import FOLDER, PROGRESSIVE_SOURCES, SOURCES, compile_target, wrong_target
from support.jpegs import noise
from support.progressive_scans import random_file
from support.segments import DQT, one_block, segment

MUTATIONS = 600


@pytest.fixture(scope="module")
def flags():
    """The sanitizers', if the compiler has any; there is a compiler."""
    skip_without_compiler()
    skip_without([*SOURCES, PROGRESSIVE_SOURCES[0]])
    return SANITIZE if has_sanitizers() else []


@pytest.fixture(scope="module")
def target(flags, tmp_path_factory):
    return compile_target(SOURCES, tmp_path_factory.mktemp("target") / "fuzz_entropy", *flags)


@pytest.fixture(scope="module")
def progressive(flags, tmp_path_factory):
    folder = tmp_path_factory.mktemp("target")
    return compile_target(PROGRESSIVE_SOURCES, folder / "fuzz_progressive", *flags)


def run(target, paths, **env):
    return subprocess.run([target, *paths], capture_output=True, text=True, timeout=300, env=PLAIN_ENV | env)


def replay(target, paths):
    """(MCUs in the file, decoded by the plain version of the stage, decoded by the processor's own) of each.

    Progressive ones have another number behind these: of scans.
    """
    paths = list(paths)
    with ThreadPool(CPUS) as pool:  # long lists in as many processes as there are CPUs
        runs = pool.map(lambda part: run(target, part), [part for part in split(paths) if part])
    lines = []
    for done in runs:
        assert (done.returncode, done.stderr) == (0, ""), done.stdout[-200:]
        lines += [line.rpartition(": ") for line in done.stdout.splitlines()]
    assert [name for name, _, _ in lines] == [str(path) for path in paths]
    return [tuple(map(int, numbers.split())) for _, _, numbers in lines]


def split(paths):
    length = max(100, -(-len(paths) // CPUS))
    return [paths[start : start + length] for start in range(0, len(paths), length)]


def write(folder, files):
    paths = [folder / f"{i:04d}.jpg" for i in range(len(files))]
    for path, data in zip(paths, files, strict=True):
        path.write_bytes(data)
    return paths


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
    files = {name: one_block(**tables) for name, tables in (SOUND | UNSOUND | DAMAGED).items()}
    for name, result in zip(files, replay(target, write(tmp_path, list(files.values()))), strict=True):
        assert result == ((1, 1, 1) if name in SOUND else (1, 0, 0)), name


def test_values_without_a_step(tmp_path, target):
    """A giant value that counts for nothing leaves the rest of the block as it is: too far off, and not looked at."""
    values = [127] * 5 + [63] * 14 + [1500]
    file = Picture(*LARGE, quantiser=5).changed(5, ac=tuple(coefficient(0, value) for value in values)).data()
    step = (
        file.index(segment(DQT, b"\x00" + b"\x05" * 64)) + 5 + len(values)
    )  # in zigzag order, after that of DC
    files = of_every_length(file[:step] + b"\x00" + file[step + 1 :])
    assert all(decoded == [mcus, mcus] for mcus, *decoded in replay(target, write(tmp_path, files)))


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


# ---- progressive files ------------------------------------------------------------------------------


def good_progressive_files():
    for subsampling in jpegs.SUBSAMPLINGS:
        yield jpegs.turbo(jpegs.pixels(24, 50), subsampling, quality=60, progressive=True)
    for channels in (1, 3, 4):
        for blocks in (0, 1, 5):
            image = jpegs.pixels(45, 61, channels)
            yield jpegs.pillow(image, quality=60, progressive=True, restart_marker_blocks=blocks)
    flat = np.full((600, 800, 3), 90, np.uint8)  # its blocks end in runs of thousands
    flat[::100, ::100] = 0
    yield jpegs.turbo(flat, progressive=True)
    # Read in several pieces.
    yield jpegs.turbo(noise(170, 170), "4:4:4", quality=100, progressive=True)


def test_good_progressive_files(tmp_path, progressive):
    files = [longer for data in good_progressive_files() for longer in of_every_length(data, 16)]
    for mcus, *decoded, scans in replay(progressive, write(tmp_path, files)):
        assert decoded == [mcus, mcus]
        assert 6 <= scans <= 18


@pytest.mark.parametrize("is_bounded", [True, False])
def test_random_progressive_files(tmp_path, progressive, is_bounded):
    files = [random_file(seed, is_bounded=is_bounded) for seed in range(100)]
    if not is_bounded:  # without steps, values may be any
        files = [jpegs.without(data, DQT) for data in files]
    results = replay(progressive, write(tmp_path, files))
    for data, (mcus, *decoded, scans) in zip(files, results, strict=True):
        assert decoded == [mcus, mcus]
        assert scans == data.count(b"\xff\xda")


def test_scans_out_of_order(tmp_path, progressive):
    # What libjpeg refuses, or warns of: the target stops there.
    whole = jpegs.pillow(jpegs.pixels(24, 24, 1), progressive=True)
    at = whole.rindex(b"\xff\xda") + 7  # the last scan's, behind its component: Ss, Se, Ah and Al
    bands = (
        b"\x00\x3f\x10",
        b"\x05\x04\x10",
        b"\x01\x40\x10",
        b"\x01\x3f\x20",
        b"\x01\x3f\x21",
        b"\x01\x3f\x00",
    )
    files = [whole, *(whole[:at] + band + whole[at + 3 :] for band in bands)]
    every, *others = [scans for *_, scans in replay(progressive, write(tmp_path, files))]
    assert others == [every - 1] * len(bands)


def test_progressive_mutations(tmp_path, progressive):
    rng = np.random.default_rng(4)
    files = [*good_progressive_files()][:12] + [random_file(seed) for seed in range(12)]
    paths = write(tmp_path, [mutate(rng, files[i % len(files)]) for i in range(MUTATIONS)])
    results = replay(progressive, paths)
    whole = sum(mcus > 0 and decoded == [mcus, mcus] for mcus, *decoded, _ in results)
    assert MUTATIONS / 20 < whole < MUTATIONS / 2


def test_progressive_collection(progressive, shared):
    paths = [path for path in sorted((shared / "awkward").rglob("*")) if path.is_file()]
    assert sum(plain for _, plain, _, _ in replay(progressive, paths)) > 1000


def test_seeds(tmp_path, target, progressive):
    # What libFuzzer starts from has to get through.
    command = [sys.executable, FOLDER / "seeds.py", "entropy", tmp_path]
    subprocess.run(command, capture_output=True, check=True, timeout=120)
    paths = sorted(tmp_path.iterdir())
    baseline = [mcus for mcus, *decoded in replay(target, paths) if mcus and decoded == [mcus, mcus]]
    scans = [
        scans for mcus, *decoded, scans in replay(progressive, paths) if mcus and decoded == [mcus, mcus]
    ]
    assert len(baseline) > 30
    assert len(scans) > 70
    assert len(baseline) + len(scans) >= len(paths) - 3


# ---- faults -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def deaf(flags, tmp_path_factory):
    """The targets with a stage that passes over faults of one kind: its number is in the environment."""
    hidden = '(inner_fault(entropy)->kind == (fi_fault_kind)atoi(getenv("HIDDEN")))'
    parts = {
        "START": f"return is_good || {hidden};",
        "DECODE": f"return is_good || {hidden};",
        "PROGRESSIVE": f"return is_good || {hidden};",
        "FINISH": f"return marker ? marker : {hidden} ? data : NULL;",
    }
    return [
        wrong_target(tmp_path_factory.mktemp("deaf"), source, parts)
        for source in (SOURCES[0], PROGRESSIVE_SOURCES[0])
    ]


@pytest.mark.parametrize("kind", faulty_scans.BASELINE)
def test_faults(tmp_path, target, deaf, kind):
    check_fault(tmp_path, target, deaf[0], kind.partition(",")[0], faulty_scans.BASELINE[kind]())


@pytest.mark.parametrize("kind", faulty_scans.PROGRESSIVE)
def test_progressive_faults(tmp_path, progressive, deaf, kind):
    check_fault(tmp_path, progressive, deaf[1], kind.partition(",")[0], faulty_scans.PROGRESSIVE[kind]())


def check_fault(folder, target, deaf, kind, files):
    paths = write(folder, files)
    replay(target, paths)
    assert run(deaf, paths, HIDDEN="-1").returncode == 0  # as ours
    kinds = re.findall(r"^ +FI_FAULT_(\w+),", (CORE / "entropy" / "entropy.h").read_text(), re.MULTILINE)
    done = run(deaf, paths, HIDDEN=str(kinds.index(kind)))
    assert done.returncode != 0
    assert (
        "tables are unsound; taken" if kind == "TABLES" else f"finds none; the judge finds {kind}"
    ) in done.stderr


# ---- stages that are wrong --------------------------------------------------------------------------


def check_wrong(folder, source, files, message, **parts):
    """The target aborts with the message; what is not given does as our stage does."""
    target = wrong_target(folder, source, {name.upper(): code for name, code in parts.items()})
    done = run(target, write(folder, files))
    assert done.returncode != 0
    assert message in done.stderr


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"decode": "blocks[0][63] ^= 1; return is_good;"}, "coefficient 63"),
        ({"decode": "blocks[0][0] ^= 1; return is_good;"}, "coefficient 0"),
        ({"decode": "eob[0] -= eob[0] > 1; return is_good;"}, "ended at"),
        ({"decode": "return is_good && blocks[0][0] == 0;"}, "the judge finds none"),
        ({"start": "return is_good && !data;"}, "tables are sound; refused"),
        ({"finish": "return marker ? marker + 1 : NULL;"}, "the scan ends at"),
        ({"finish": "return marker ? NULL : marker;"}, "which is no MCU of these"),
        ({"fault": "fault.mcu++;"}, "the judge finds END in MCU"),
        ({"fault": "fault.mcu += 1000;"}, "finds none; the judge finds END"),
        ({"fault": "fault.mcu -= fault.mcu > 0;"}, "the judge finds none"),
        ({"fault": "fault.marker ^= 1;"}, "the judge finds LEFT_OVER"),
        ({"fault": "fault.nbytes++;"}, "the judge finds LEFT_OVER"),
        ({"stray": "return nbytes - (nbytes > 0);"}, "3 stray bytes before marker d9, not 4"),
        ({"stray": "*marker ^= 1; return nbytes;"}, "4 stray bytes before marker d8, not 4"),
    ],
)
@pytest.mark.usefixtures("flags")
def test_wrong_stage(tmp_path, parts, message):
    files = [
        jpegs.truncated(jpegs.jpeg()),
        jpegs.jpeg(),
        after_scan(jpegs.jpeg(), JUNK),
        after_scan(jpegs.jpeg(), JUNK[:4]),
    ]
    check_wrong(tmp_path, SOURCES[0], files, message, **parts)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"progressive": "rows->blocks[0][63] ^= 1; return is_good;"}, "coefficient 63"),
        ({"progressive": "rows->states[0].dc ^= 1; return is_good;"}, "coefficient 0"),
        # In the third call the plain version is past the first MCUs.
        (
            {"progressive": "static int calls; if (++calls == 3) rows->states[-1].dc ^= 1; return is_good;"},
            "blocks that are not its own",
        ),
        ({"progressive": "return is_good && rows->states[0].dc == 0;"}, "the judge finds none"),
        ({"start": "return is_good && !data;"}, "tables are sound; refused"),
        ({"finish": "return marker ? marker + 1 : NULL;"}, "the scan ends at"),
        ({"finish": "return marker ? NULL : marker;"}, "which is no MCU of these"),
        ({"fault": "fault.mcu++;"}, "the judge finds END in MCU"),
    ],
)
@pytest.mark.usefixtures("flags")
def test_wrong_progressive_stage(tmp_path, parts, message):
    good = jpegs.jpeg(progressive=True)
    check_wrong(tmp_path, PROGRESSIVE_SOURCES[0], [jpegs.truncated(good), good], message, **parts)
