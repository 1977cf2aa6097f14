# SPDX-License-Identifier: BSD-3-Clause
"""`fastimg load --resume`: kills, and what is taken up after them.

FASTIMG_KILLS: how many processes are killed at random moments.
"""

import os
import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import kills
from support.cli_common import encoded, left, rows
from support.kills import (
    COUNT,
    LOAD,
    OUTPUTS,
    STATE,
    assert_finished,
    assert_whole_or_absent,
    both_runs,
    others,
    remove_outputs,
    spoil,
)

import fastimg
import fastimg.cli.journal as journal
import fastimg.cli.output as output
from fastimg.batch_decode import BatchDecode
from fastimg.cli import main
from fastimg.cli.journal import Journal
from fastimg.options import DEFAULTS

KILLS = int(os.environ.get("FASTIMG_KILLS", "20"))

# ---- kills


STEPS: list[tuple[Any, str]] = [
    *((os, name) for name in ("open", "truncate", "fsync", "replace", "rename", "unlink", "posix_fallocate")),
    (BatchDecode, "load"),
    (np.lib.format, "write_array_header_1_0"),
    (output, "write_table"),
]


def test_killed_at_every_step(many: dict[str, bytes]) -> None:
    killed = 0
    for step in range(0, 1000, 1 if KILLS > 100 else 5):
        old = b"old" if killed % 2 else None
        remove_outputs()
        if old is not None:
            Path("x.npy").write_bytes(old)
        status = kills.finish(kills.start(LOAD, kills.kill_at(step, STEPS)))
        assert_whole_or_absent(many, old)
        if status != -signal.SIGKILL:
            break
        killed += 1
        finish(many)
    assert status == 1
    assert killed > (50 if KILLS > 100 else 10)
    assert_finished(many)


def finish(many: dict[str, bytes]) -> None:
    """Take up what there is, undisturbed."""
    assert kills.finish(kills.start(LOAD)) == 1
    assert_finished(many)


def test_killed_at_every_step_one_run_after_another(many: dict[str, bytes]) -> None:
    """Each run takes up what the one before it left."""
    rng = random.Random(1)
    finished = 0
    for _ in range(2 * KILLS):
        status = kills.finish(kills.start(LOAD, kills.kill_at(rng.randrange(150), STEPS)))
        assert_whole_or_absent(many)
        if status != -signal.SIGKILL:
            assert status == 1
            assert_finished(many)
            remove_outputs()
            finished += 1
    assert finished
    finish(many)


def test_killed_at_random_moments(many: dict[str, bytes]) -> None:
    rng = random.Random(2)
    start = time.perf_counter()
    assert kills.finish(kills.start(LOAD)) == 1
    whole = time.perf_counter() - start
    assert_finished(many)
    killed = finished = taken_up = 0
    while killed < KILLS:
        remove_outputs()
        status = -signal.SIGKILL
        while status == -signal.SIGKILL:
            taken_up += os.path.exists(STATE[0]) and b"finished" in Path(STATE[0]).read_bytes()
            # A checkpoint, and any moment soon after it: how far a run comes does not depend on the machine.
            child = kills.start_until(LOAD, rng.randrange(COUNT // 2))
            status = kills.kill_after(child, rng.random() * whole / 4)
            killed += status == -signal.SIGKILL
            assert_whole_or_absent(many)
        assert status == 1
        assert_finished(many)
        finished += 1
    print(f"{killed} kills, {taken_up} runs took rows up, {finished} arrays finished, {whole:.3f} s each")
    assert taken_up > killed // 10


def test_a_run_without_resume_killed_at_every_step(many: dict[str, bytes]) -> None:
    """What it leaves of the array is not what the journal of the run before it spoke of."""
    killed = 0
    for step in range(0, 1000, 1 if KILLS > 100 else 3):
        remove_outputs()
        assert kills.run_until(LOAD, 4) == -signal.SIGKILL
        status = kills.finish(kills.start(LOAD[:-1], kills.kill_at(step, STEPS)))
        assert_whole_or_absent(many)
        if status != -signal.SIGKILL:
            break
        killed += 1
        finish(many)
    assert status == 1
    assert killed > 10
    assert_finished(many)


@pytest.mark.parametrize("kept", [True, False], ids=["the array", "a copy"])
def test_killed_when_only_the_journal_is_left(many: dict[str, bytes], kept: bool) -> None:
    assert kills.finish(kills.start(LOAD, kills.kill_at(0, [(Journal, "remove")]))) == -signal.SIGKILL
    assert others() == sorted([*OUTPUTS, STATE[0]])
    if not kept:
        shutil.copyfile("x.npy", "copy")
        os.replace("copy", "x.npy")
    for i in range(3):
        spoil(f"many/cat/{i:02d}.jpg")
    assert main(LOAD) == 1
    if kept:
        assert_finished(many)
    else:  # anybody may have written it
        assert others() == sorted(OUTPUTS)
        assert not np.load("x.npy")[:3].any()


def test_lines_after_a_damaged_one_do_not_count(many: dict[str, bytes]) -> None:
    plan = journal.Plan(sorted(map(str, Path("many").glob("*/*.jpg"))), dict(DEFAULTS))
    first = Journal("x.npy")
    first.clear()
    first.begin(plan, (COUNT, 3, 16, 16))
    first.add_finished([[0, 2]])
    first.close()
    with open(STATE[0], "ab") as file:
        file.write(b'{"finished": [[2, 4]]]\n{"finished": [[0, 12]]}\n{"finished": [[3, 4]]}')
    for start in (4, 6, 8):  # the new line is as long as the damaged one
        again = Journal("x.npy")
        record = again.read(plan)
        assert record is not None
        assert np.flatnonzero(record.finished).tolist() == [0, 1, *range(4, start)]
        again.add_finished([[start, start + 2]])
        again.close()
        with open(STATE[0], "ab") as file:
            file.write(b'{"finished": [[3, 4]]}')  # no end of line


def test_a_journal_cut_anywhere(many: dict[str, bytes]) -> None:
    """A power cut may leave any part of the last lines; and a kill a part of a line."""
    assert kills.run_until(LOAD, 4) == -signal.SIGKILL
    written, partial = (Path(name).read_bytes() for name in STATE)
    lines = written.splitlines(keepends=True)
    assert len(lines) == COUNT + 6
    cuts = [0, 1, 15, len(lines[0]) - 1, len(lines[0]), sum(map(len, lines[:9])) + 3]
    cuts += range(len(written) - len(lines[-1]) - 2, len(written))
    for cut in cuts:
        for tail in (b"", bytes(5)):
            Path(STATE[0]).write_bytes(written[:cut] + (tail if cut > 15 else b""))
            Path(STATE[1]).write_bytes(partial)
            assert main(LOAD) == 1
            assert_finished(many)


# ---- what is taken up


def test_only_what_is_missing_is_loaded(many: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    assert kills.run_until(LOAD, 4) == -signal.SIGKILL
    assert others() == STATE
    for i in (0, 1, 2, 3, 5, 6, 7):  # the fourth pair is not a pair, as an image failed
        spoil(f"many/cat/{i:02d}.jpg")
    loaded: list[int] = []
    load = BatchDecode.load

    def spy(batch: BatchDecode, *args: Any) -> Any:
        loaded.extend(range(len(batch.batch)) if batch.indices is None else batch.indices.tolist())
        return load(batch, *args)

    monkeypatch.setattr(BatchDecode, "load", spy)
    assert main(LOAD) == 1
    assert loaded == [4, *range(8, COUNT)]
    assert_finished(many)


def test_what_a_resumed_run_says(many: dict[str, bytes], capsys: pytest.CaptureFixture[str]) -> None:
    assert kills.run_until(LOAD, 4) == -signal.SIGKILL
    assert main(LOAD) == 1
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[1].startswith("4 images in ") and lines[1].endswith(" 1 failure")
    assert lines[2] == "7 rows were finished by an earlier run"
    assert err.count("\n") == 1 and "many/cat/04.jpg" in err and "image 4:" in err


def test_a_failed_row_is_tried_again(many: dict[str, bytes]) -> None:
    good = encoded(4, (24, 30))
    Path("many/cat/04.jpg").write_bytes(good)
    spoil("many/cat/04.jpg")
    state = os.stat("many/cat/04.jpg")
    assert kills.run_until(LOAD, 5) == -signal.SIGKILL
    Path("many/cat/04.jpg").write_bytes(good)
    os.utime("many/cat/04.jpg", ns=(state.st_atime_ns, state.st_mtime_ns))
    assert main(LOAD) == 0
    np.testing.assert_array_equal(np.load("x.npy")[4], fastimg.decode(good, size=16))


def test_without_anything_to_take_up_it_is_an_ordinary_run(many: dict[str, bytes]) -> None:
    assert main(LOAD) == 1
    assert_finished(many)
    assert main(LOAD) == 1  # and a finished array is made anew
    assert_finished(many)


def test_a_run_without_resume_begins_anew(many: dict[str, bytes]) -> None:
    assert kills.run_until(LOAD, 4) == -signal.SIGKILL
    array = np.lib.format.open_memmap(STATE[1])
    array[:] = 9
    array.flush()
    assert main(LOAD[:-1]) == 1
    assert_finished(many)


@both_runs
def test_a_killed_run_without_resume_leaves_nothing_to_take_up(
    many: dict[str, bytes], arguments: list[str]
) -> None:
    steps = [(output, "write_table")]
    assert kills.finish(kills.start(LOAD[:-1], kills.kill_at(0, steps))) == -signal.SIGKILL
    assert others() == ["x.files.csv.partial", *STATE]
    for i in range(3):
        spoil(f"many/cat/{i:02d}.jpg")
    assert main(arguments) == 1
    assert others() == sorted(OUTPUTS)
    assert not np.load("x.npy")[:3].any()  # they were read again


def test_what_only_the_killed_run_wrote_is_removed(many: dict[str, bytes]) -> None:
    steps = [(os, "replace")]
    assert kills.finish(kills.start(LOAD, kills.kill_at(0, steps))) == -signal.SIGKILL
    assert "x.labels.npy.partial" in others()
    assert main([argument for argument in LOAD if argument != "--labels"]) == 1
    assert others() == ["x.files.csv", "x.npy"]


def test_bits_of_bfloat16_archives_and_other_layouts(here: Path) -> None:
    shutil.make_archive("photos", "tar", ".", "photos")
    load = ["load", "photos.tar", "photos", "-o", "x.npy", "--dtype", "bfloat16", "--layout", "HWC"]
    assert main(load) == 0
    expected = Path("x.npy").read_bytes(), Path("x.files.csv").read_bytes()
    assert kills.run_until([*load, "--resume"], 2) == -signal.SIGKILL
    assert main([*load, "--resume"]) == 0
    assert (Path("x.npy").read_bytes(), Path("x.files.csv").read_bytes()) == expected


def test_images_at_their_own_size(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load = ["load", "photos", "-o", "x.npy", "--resume"]
    assert kills.run_until(load, 1) == -signal.SIGKILL
    spoil("photos/cat/1.jpg")  # the size is known
    assert main(load) == 0
    np.testing.assert_array_equal(np.load("x.npy"), rows().transpose(0, 3, 1, 2))
    Path("photos/dog/3.jpg").write_bytes(encoded(3, (40, 30)))
    Path("photos/cat/1.jpg").write_bytes(encoded(1))
    os.unlink("x.npy")
    capsys.readouterr()
    assert main(load) == 2
    assert "images must have one size" in capsys.readouterr().err
    assert left(here) == ["said", "x.files.csv"]


def test_a_name_of_full_length(here: Path) -> None:
    name = "x" * (255 - len(".classes.txt"))
    load = ["load", "photos", "-o", name + ".npy", "--labels", "--resume"]
    assert kills.run_until(load, 1) == -signal.SIGKILL
    spoil("photos/cat/1.jpg")
    assert main(load) == 0
    assert left(here) == [
        "said",
        *(name + end for end in (".classes.txt", ".files.csv", ".labels.npy", ".npy")),
    ]
