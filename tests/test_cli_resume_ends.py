# SPDX-License-Identifier: BSD-3-Clause
"""`fastimg load --resume`: signals, errors and full disks."""

import errno
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import kills
from support.cli_common import encoded, run
from support.kills import (
    LOAD,
    OUTPUTS,
    STATE,
    assert_finished,
    others,
    remove_outputs,
    spoil,
)

import fastimg.cli.output as output
import fastimg.npy_files as npy_files
from fastimg.batch_decode import BatchDecode
from fastimg.cli import main
from fastimg.cli.journal import Journal, Plan
from fastimg.cli.resume import Run
from fastimg.options import DEFAULTS


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_what_is_finished(many: dict[str, bytes], number: int) -> None:
    assert kills.run_until(LOAD, 4, number) == 128 + number
    assert others() == STATE
    first, *said = Path("said").read_text().splitlines(keepends=True)
    assert first.startswith("x.npy: shape (12, ")
    assert said == [
        "fastimg: 7 of 12 rows are finished in x.npy.partial: the same command with --resume goes on\n"
    ]
    for i in (0, 1, 2, 3, 5, 6, 7):
        spoil(f"many/cat/{i:02d}.jpg")
    assert main(LOAD) == 1
    assert_finished(many)


def test_rows_since_the_last_checkpoint_are_kept_too(
    many: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("fastimg.cli.resume.FIRST_ROWS", 2)  # and two seconds between checkpoints
    load = BatchDecode.load

    def interrupted(batch: BatchDecode, *args: Any) -> Any:
        if batch.indices is not None and batch.indices[0] >= 6:
            raise KeyboardInterrupt
        return load(batch, *args)

    with monkeypatch.context() as patch:
        patch.setattr(BatchDecode, "load", interrupted)
        assert main([*LOAD, "--num-threads", "1"]) == 130
    assert "fastimg: 5 of 12 rows are finished" in capsys.readouterr().err
    assert main(LOAD) == 1
    assert_finished(many)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_nothing_without_resume(many: dict[str, bytes], number: int) -> None:
    def prepare() -> None:
        def send(*args: Any) -> None:
            assert set(STATE) <= set(os.listdir())
            os.kill(os.getpid(), number)

        output.write_table = send

    assert kills.finish(kills.start(LOAD[:-1], prepare)) == 128 + number
    assert others() == []
    assert Path("said").read_text().startswith("x.npy: shape (12, ")
    assert Path("said").read_text().count("\n") == 1


def test_a_run_under_nohup_goes_on_after_a_hangup(many: dict[str, bytes]) -> None:
    def prepare() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        add = Journal.add_finished

        def hang_up(*args: Any) -> None:
            add(*args)
            os.kill(os.getpid(), signal.SIGHUP)

        Journal.add_finished = hang_up  # type: ignore[method-assign]

    assert kills.finish(kills.start(LOAD, prepare)) == 1  # for the broken image
    assert_finished(many)


def test_signals_are_as_before_after_a_run(many: dict[str, bytes]) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)]
    assert main(LOAD) == 1
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)] == before


def test_an_error_of_an_image_leaves_what_is_finished(
    many: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("fastimg.cli.resume.FIRST_ROWS", 2)
    assert main([*LOAD, "--on-error", "raise", "--num-threads", "1"]) == 1
    first, second = capsys.readouterr().err.splitlines()[-2:]
    assert first.startswith("fastimg: 2 of 12 rows are finished in x.npy.partial")
    assert second.startswith("fastimg: error: image 4: many/cat/04.jpg: ")
    assert others() == STATE
    assert main(LOAD) == 1
    assert_finished(many)


@pytest.mark.parametrize("step", range(1, 6))
def test_a_disk_that_fills_up(
    many: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], step: int
) -> None:
    """The journal has room for a part of a line only; a later run goes on with what it says."""
    monkeypatch.setattr("fastimg.cli.resume.CHECKPOINT_SECONDS", 0)
    monkeypatch.setattr("fastimg.cli.resume.FIRST_ROWS", 2)
    append = Journal._append
    calls = 0

    def full(journal: Journal, lines: Any) -> None:
        nonlocal calls
        calls += 1
        if calls < step:
            append(journal, lines)
            return
        journal._file.seek(journal._end)
        journal._file.write(b"".join(lines)[:-3])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), journal.path)

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "_append", full)
        assert main([*LOAD, "--num-threads", "1"]) == 1
    assert os.strerror(errno.ENOSPC) in capsys.readouterr().err
    assert others() == (STATE if step > 2 else [])
    assert main(LOAD) == 1
    assert_finished(many)


def test_no_space_for_the_array(
    many: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(npy_files, "reserve", full)
        assert main(LOAD) == 1
    assert "cannot reserve 9,216 bytes: No space left" in capsys.readouterr().err
    assert others() == []
    assert kills.run_until(LOAD, 4) == -signal.SIGKILL
    with monkeypatch.context() as patch:  # a copy of the folder may have lost the room
        patch.setattr(npy_files, "reserve", full)
        assert main(LOAD) == 1
    assert others() == STATE
    assert main(LOAD) == 1
    assert_finished(many)


@pytest.mark.parametrize("row_seconds", [1e-4, 1e-2, 10.0])
def test_checkpoints_come_every_two_seconds(
    many: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, row_seconds: float
) -> None:
    now = [0.0]
    recorded: list[tuple[float, int]] = []  # when, and how many rows

    def load(batch: BatchDecode, *args: Any) -> None:
        assert batch.indices is not None
        now[0] += len(batch.indices) * row_seconds

    def record(journal: Journal, ranges: Any) -> None:
        recorded.append((now[0], sum(stop - start for start, stop in ranges)))

    monkeypatch.setattr(BatchDecode, "load", load)
    monkeypatch.setattr(Journal, "add_finished", record)
    monkeypatch.setattr("fastimg.cli.resume.time.monotonic", lambda: now[0])
    count = 100 if row_seconds > 1 else 100_000
    options = {**DEFAULTS, "size": 1}
    with Run(["y.npy"], Plan(["many/cat/00.jpg"] * count, options), resume=True) as files:
        files.open(lambda: (3, 1, 1))
        files.load(
            {"num_threads": 2, "read_threads": None, "read_ahead": "64 MiB"}, progress=False, on_error="raise"
        )
    assert sum(rows for _, rows in recorded) == count
    times = [0.0, *(when for when, _ in recorded)]
    between = np.diff(times)[1:-1]  # the first piece may be long, as nothing is known yet
    assert len(between) > 2
    assert between.max() <= max(2.6, 4 * row_seconds + 1e-6)  # two images per thread at least


def test_a_real_process_with_the_usual_checkpoints(many: dict[str, bytes]) -> None:
    """It is told to stop once the first rows are decoded."""
    big = encoded(1, (1500, 1000))
    for i in range(100):
        Path(f"many/dog/{20 + i}.jpg").write_bytes(big)
    assert main(LOAD[:-1]) == 1
    written = {name: Path(name).read_bytes() for name in OUTPUTS}
    remove_outputs()
    stop = (
        "import os, signal, sys, fastimg.cli as cli\n"
        "from fastimg.cli.resume import Run\n"
        "mark = Run._mark\n"
        "Run._mark = lambda *args: (mark(*args), os.kill(os.getpid(), signal.SIGTERM))\n"
        f"sys.exit(cli.main({LOAD}))"
    )
    done = run("-c", stop)
    assert done.returncode == 128 + signal.SIGTERM
    assert done.stderr.startswith("fastimg: 63 of 112 rows are finished in x.npy.partial")
    done = run(*LOAD)
    assert done.returncode == 1
    assert "63 rows were finished by an earlier run" in done.stdout
    assert_finished(written)
