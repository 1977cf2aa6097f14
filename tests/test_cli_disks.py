# SPDX-License-Identifier: BSD-3-Clause
"""`fastimg load`: full disks, interruptions, the bar."""

import errno
import io
import os
import signal
import stat
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.cli_common import PATHS, encoded, left, npy_header_size, run

import fastimg
import fastimg.cli.output as output
import fastimg.npy_files as npy_files
from fastimg.cli import main

# ---- load: disks and interruptions


def test_space_is_reserved_before_anything_is_decoded(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[tuple[Any, ...]] = []
    load = fastimg.load

    def reserve(descriptor: int, start: int, nbytes: int) -> None:
        steps.append(("reserve", start, nbytes))
        os.ftruncate(descriptor, nbytes)

    def spy(sources: Any, *args: Any, **options: Any) -> Any:
        steps.append(("load", len(sources)))
        return load(sources, *args, **options)

    monkeypatch.setattr(os, "posix_fallocate", reserve, raising=False)
    monkeypatch.setattr(fastimg, "load", spy)
    assert main(["load", "photos", "-o", "x.npy"]) == 0
    assert steps == [("load", 0), ("reserve", 0, os.path.getsize("x.npy")), ("load", 3)]


def refuse(code: int) -> Any:
    def fallocate(descriptor: int, start: int, nbytes: int) -> None:
        raise OSError(code, os.strerror(code))

    return fallocate


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO])
def test_a_full_disk_is_an_error(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code: int
) -> None:
    Path("x.npy").write_text("old")
    monkeypatch.setattr(os, "posix_fallocate", refuse(code), raising=False)
    assert main(["load", "photos", "-o", "x.npy"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("fastimg: error: ") and os.strerror(code) in err and "x.npy" in err
    assert "7,659 bytes" in err
    assert left(here) == ["x.npy"]
    assert Path("x.npy").read_text() == "old"


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.EINVAL, None])
def test_where_space_cannot_be_reserved_zeros_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int | None
) -> None:
    if code is None:
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    else:
        monkeypatch.setattr(os, "posix_fallocate", refuse(code), raising=False)
    shape = (2, 3, 700, 501)  # not a whole number of the chunks that are written
    with output.FileSet() as files:
        array = npy_files.begin_array(
            files.create(str(tmp_path / "x.npy")), shape, np.dtype(np.uint8), "x.npy"
        )
        (name,) = os.listdir(tmp_path)
        size = os.path.getsize(tmp_path / name)
        assert size == npy_header_size(tmp_path / name) + array.nbytes
        written = (tmp_path / name).read_bytes()[-array.nbytes :]
        assert written == bytes(array.nbytes)
        array[:] = 7
        files.publish()
    result = np.load(tmp_path / "x.npy")
    assert result.shape == shape
    assert (result == 7).all()


def test_the_zeros_are_really_written(monkeypatch: pytest.MonkeyPatch) -> None:
    class File(io.BytesIO):  # a file that was only made longer would read the same
        def fileno(self) -> int:
            return -1

    monkeypatch.setattr(os, "posix_fallocate", refuse(errno.EOPNOTSUPP), raising=False)
    for nbytes in (3, 4, 1 << 20, (1 << 20) + 3, (1 << 20) + 4, 5_000_000):
        file = File(b"abc")
        file.seek(3)
        npy_files.reserve(file, nbytes)
        assert file.getvalue() == b"abc" + bytes(nbytes - 3)


LIMITED = """
import resource, sys
from fastimg.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
sys.exit(main(["load", "photos", "-o", "x.npy"]))
"""


def test_a_limit_on_the_size_of_files(here: Path) -> None:
    done = run("-c", LIMITED)
    assert done.returncode == 1
    assert done.stderr.startswith("fastimg: error: ") and os.strerror(errno.EFBIG) in done.stderr
    assert done.stderr.count("\n") == 1
    assert left(here) == []


def test_a_disk_that_is_really_full(here: Path, small_disk: Path) -> None:
    fits = run("load", "photos", "-o", str(small_disk / "x.npy"))
    assert (fits.returncode, fits.stderr) == (0, "")
    before = sorted(os.listdir(small_disk))
    full = run("load", "photos", *PATHS, "-o", str(small_disk / "y.npy"), "--dtype", "float32")
    assert full.returncode == 1
    assert full.stderr.startswith("fastimg: error: ") and os.strerror(errno.ENOSPC) in full.stderr
    assert full.stderr.count("\n") == 1
    assert sorted(os.listdir(small_disk)) == before


def test_a_full_disk_and_then_room(here: Path, small_disk: Path) -> None:
    """A run goes on after the disk had no room left for its journal and table."""
    load = ["load", *PATHS * 10, "-o", str(small_disk / "x.npy"), "--size", "4", "--resume"]
    filler = small_disk / "filler"
    stop = (
        "import os, signal, sys, fastimg.cli as cli, fastimg.cli.resume as resume\n"
        "resume.FIRST_ROWS, resume.CHECKPOINT_SECONDS = 1, 0\n"
        "mark = resume.Run._mark\n"
        "def fill(*args):\n"
        "    mark(*args)\n"
        f"    with open({str(filler)!r}, 'ab', 0) as file:\n"
        "        try:\n"
        "            while file.write(bytes(4096)): pass\n"
        "        except OSError: pass\n"
        "resume.Run._mark = fill\n"
        f"sys.exit(cli.main({load} + ['--num-threads', '1']))"
    )
    full = run("-c", stop)
    assert full.returncode == 1
    lines = full.stderr.splitlines()
    assert lines[0].startswith("fastimg: ") and " of 30 rows are finished in " in lines[0]
    assert lines[1].startswith("fastimg: error: ") and os.strerror(errno.ENOSPC) in lines[1]
    assert sorted(os.listdir(small_disk)) == ["filler", "x.npy.journal", "x.npy.partial"]
    filler.unlink()
    done = run(*load)
    assert (done.returncode, done.stderr) == (0, "")
    assert "rows were finished by an earlier run" in done.stdout
    assert sorted(os.listdir(small_disk)) == ["x.files.csv", "x.npy"]
    np.testing.assert_array_equal(np.load(small_disk / "x.npy"), fastimg.load(PATHS * 10, size=4))


@pytest.mark.parametrize("resume", [[], ["--resume"]], ids=["", "resume"])
def test_a_folder_that_cannot_be_written(here: Path, small_disk: Path, resume: list[str]) -> None:
    (small_disk / "x.npy").write_text("old")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    done = run("load", "photos", "-o", str(small_disk / "x.npy"), *resume)
    assert done.returncode == 1
    assert done.stderr.startswith("fastimg: error: ") and os.strerror(errno.EROFS) in done.stderr
    assert done.stderr.count("\n") == 1
    assert os.listdir(small_disk) == ["x.npy"]
    assert (small_disk / "x.npy").read_text() == "old"


INTERRUPT = """
import os, signal, sys
import fastimg, fastimg.cli
load = fastimg.load
def interrupted(sources, *args, **options):
    if sources:
        assert {"x.npy.partial", "x.npy.journal"} <= set(os.listdir())
        options["progress"] = lambda done, total: os.kill(os.getpid(), signal.SIGINT)
    return load(sources, *args, **options)
fastimg.load = interrupted
sys.exit(fastimg.cli.main(["load", "photos", "-o", "x.npy", "--labels"]))
"""


def test_ctrl_c_leaves_nothing_behind(here: Path) -> None:
    Path("x.npy").write_text("old")
    done = run("-c", INTERRUPT)
    assert (done.returncode, done.stderr) == (130, "")
    assert done.stdout.startswith("x.npy: shape (3, ") and done.stdout.count("\n") == 1
    assert left(here) == ["x.npy"]
    assert Path("x.npy").read_text() == "old"


def test_ctrl_c_in_the_middle_of_a_long_run(here: Path) -> None:
    Path("big.jpg").write_bytes(encoded(1, (3000, 2000), progressive=True))
    crop = ("--crop", "1999", "2999", "1", "1")  # all of the work, hardly any space
    source = str(Path(fastimg.__file__).parent.parent)
    command = [sys.executable, "-m", "fastimg", "load", *["big.jpg"] * 3000, "-o", "x.npy", *crop]
    process = subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": source}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        while process.poll() is None and not os.path.exists("x.npy.partial"):
            pass
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, err) == (130, b"")
    assert out == b"" or (out.startswith(b"x.npy: shape (3000, ") and out.count(b"\n") == 1)
    assert left(here) == ["big.jpg"]


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), KeyboardInterrupt()])
@pytest.mark.parametrize("victim", ["x.npy", "x.files.csv", "x.labels.npy", "x.classes.txt"])
def test_all_outputs_appear_or_none(
    here: Path, monkeypatch: pytest.MonkeyPatch, victim: str, error: BaseException
) -> None:
    replace = os.replace

    def failing(source: str, target: str) -> None:
        if target == victim:
            raise error
        replace(source, target)

    monkeypatch.setattr(os, "replace", failing)
    status = 130 if isinstance(error, KeyboardInterrupt) else 1
    assert main(["load", "photos", "-o", "x.npy", "--labels"]) == status
    assert left(here) == []


def test_the_array_gets_its_name_last(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    targets: list[str] = []
    replace = os.replace

    def spy(source: str, target: str) -> None:
        targets.append(target)
        replace(source, target)

    monkeypatch.setattr(os, "replace", spy)
    assert main(["load", "photos", "-o", "x.npy", "--labels"]) == 0
    assert targets == ["x.classes.txt", "x.labels.npy", "x.files.csv", "x.npy"]


def test_everything_is_on_the_disk(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files before they get their names, and then the names."""
    steps: list[str] = []
    fsync, replace = os.fsync, os.replace

    def sync(descriptor: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        steps.append(f"{kind} {os.fstat(descriptor).st_ino}")
        fsync(descriptor)

    def rename(source: str, target: str) -> None:
        steps.append(f"file {os.stat(source).st_ino} is {target}")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", rename)
    assert main(["load", "photos", "-o", "x.npy"]) == 0
    array, table = (f"file {os.stat(name).st_ino}" for name in ("x.npy", "x.files.csv"))
    folder = f"folder {os.stat('.').st_ino}"
    assert steps[-5:] == [array, table, f"{table} is x.files.csv", f"{array} is x.npy", folder]


@pytest.mark.parametrize("step", ["write_table", "np.save", "os.fsync"])
def test_a_write_that_fails_leaves_nothing_behind(
    here: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    owner, name = {
        "write_table": (output, "write_table"),
        "np.save": (np, "save"),
        "os.fsync": (os, "fsync"),
    }[step]
    monkeypatch.setattr(owner, name, fail)
    assert main(["load", "photos", "-o", "x.npy", "--labels"]) == 1
    assert left(here) == []


# ---- load: the bar


@pytest.mark.parametrize("quiet", [False, True])
@pytest.mark.parametrize(
    "command",
    [
        ["load", "photos", "-o", "x.npy"],
        ["load", "photos", "-o", "x.npy", "--resume"],
        ["check", "photos"],
        ["index", "photos", "-o", "x.npz"],
    ],
    ids=["load", "resume", "check", "index"],
)
def test_a_bar_on_a_terminal(here: Path, command: list[str], quiet: bool) -> None:
    try:
        terminal, stderr = os.openpty()
    except OSError:
        pytest.skip("this system has no pseudo-terminals")
    termios.tcsetwinsize(stderr, (24, 80))
    try:
        done = run(*command, *(["--quiet"] if quiet else []), stderr=stderr)
        os.close(stderr)
        try:
            shown = os.read(terminal, 65536)
        except OSError:  # Linux: nothing was written, and nobody can write any more
            shown = b""
    finally:
        os.close(terminal)
    assert done.returncode == 0
    assert (b"3/3" in shown) is not quiet
    assert (shown == b"") is quiet
    assert "3" in done.stdout
