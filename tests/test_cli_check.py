# SPDX-License-Identifier: BSD-3-Clause
"""`fastimg check`."""

import errno
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.archive_files import make_archive
from support.cli_common import PATHS, encoded, process, run, table, with_precision, with_size
from support.files import deep_path

from fastimg.cli import main


def test_check_of_good_files(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "photos"]) == 0
    assert capsys.readouterr().out == "3 files: 3 fine\n"
    assert main(["check", "photos", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


KINDS = {
    "0-empty.jpg": "broken",
    "1-half.jpg": "broken",
    "2-twelve-bit.jpg": "unsupported",
    "3-png.jpg": "not JPEG",
    "4-notes.txt": "not JPEG",
    "5-huge.jpg": "too large",
    "6-gone.jpg": "unreadable",
    "7-no-end.jpg": "odd",
    "8-stray.jpg": "odd",
}


@pytest.fixture
def bad(here: Path) -> Path:
    """Below photos/: one file of each kind, a good one without a JPEG's name, and hidden ones."""
    good = encoded(5)
    folder = here / "photos" / "elk"
    folder.mkdir()
    (folder / "0-empty.jpg").touch()
    (folder / "1-half.jpg").write_bytes(good[: len(good) * 2 // 3])
    (folder / "2-twelve-bit.jpg").write_bytes(with_precision(good, 12))
    Image.new("RGB", (4, 4)).save(folder / "3-png.jpg", "PNG")
    (folder / "4-notes.txt").write_text("notes")
    (folder / "5-huge.jpg").write_bytes(with_size(good, 65_000, 65_000))
    (folder / "6-gone.jpg").symlink_to("nothing")
    (folder / "7-no-end.jpg").write_bytes(good[:-2])
    tables = good.index(b"\xff\xdb")
    (folder / "8-stray.jpg").write_bytes(good[:tables] + b"\x01\x02\x03" + good[tables:])
    (folder / "9-good.data").write_bytes(good)
    (folder / ".hidden.jpg").touch()
    os.mkfifo(folder / "fifo.jpg")
    return here


def test_check_tells_the_kinds_apart(bad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "photos", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert {os.path.basename(row["path"]): row["kind"] for row in found} == KINDS
    assert [row["path"] for row in found] == [f"photos/elk/{name}" for name in KINDS]
    assert all(row.keys() == {"path", "kind", "reason"} for row in found)
    assert all(row["reason"] and "photos/elk" not in row["reason"] for row in found)
    reasons = {os.path.basename(row["path"]): row["reason"] for row in found}
    assert "PNG" in reasons["3-png.jpg"]
    assert reasons["6-gone.jpg"] == os.strerror(errno.ENOENT)


def test_check_prints_a_table_and_a_count(bad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "photos", "--num-threads", "3"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == (
        "13 files: 4 fine, 2 broken, 1 unsupported, 2 not JPEG (1 PNG), 1 too large, 1 unreadable, 2 odd"
    )
    fields = [line.split("\t") for line in lines[:-1]]
    assert [(kind, path) for kind, _, path in fields] == [
        (kind, f"photos/elk/{name}") for name, kind in KINDS.items()
    ]
    assert main(["check", "photos", "--json"]) == 1
    assert [reason for _, reason, _ in fields] == [
        row["reason"] for row in json.loads(capsys.readouterr().out)
    ]


def test_check_agrees_with_load(bad: Path) -> None:
    found = json.loads(run("check", "photos", "--json").stdout)
    failing = {row["path"] for row in found if row["kind"] != "odd" and row["path"].endswith(".jpg")}
    assert main(["load", "photos", "-o", "x.npy"]) == 1
    assert {row[1] for row in table(bad / "x.files.csv")[1:] if row[3]} == failing


def test_check_takes_files_as_given(bad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["photos/elk/.hidden.jpg", "photos/elk/9-good.data", "missing.jpg", "photos/elk/fifo.jpg"]
    assert main(["check", "--json", *names]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [(row["path"], row["kind"]) for row in found] == [
        (names[0], "broken"),
        (names[2], "unreadable"),
        (names[3], "unreadable"),
    ]


def test_check_of_many_files_keeps_their_order(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"many/{i:03}.jpg" for i in range(200)]  # many times the tasks that may wait at once
    Path("many").mkdir()
    for i, name in enumerate(names):
        Path(name).write_bytes(b"" if i % 3 == 0 else encoded(i))
    for threads in ("1", "2", "7"):
        assert main(["check", "many", "--json", "--num-threads", threads]) == 1
        assert [row["path"] for row in json.loads(capsys.readouterr().out)] == names[::3]


def test_check_goes_on_after_a_folder_that_cannot_be_listed(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scandir = os.scandir

    def refuse_cats(path: str) -> Any:
        if path == "photos/cat":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse_cats)
    assert main(["check", "photos"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["unreadable\tPermission denied\tphotos/cat", "1 file: 1 fine, 1 unreadable"]


def test_check_wants_a_thread(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "photos", "--num-threads", "0"]) == 2
    assert capsys.readouterr().err == "fastimg: error: num_threads must be at least 1, found 0\n"


def test_check_of_a_missing_folder(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "photo/"]) == 2
    assert capsys.readouterr().err == "fastimg: error: no file below photo/\n"


def test_lines_can_be_cut_and_sorted(bad: Path) -> None:
    command = ["sh", "-c", '"$0" -m fastimg check photos | cut -sf3 | sort', sys.executable]
    assert process(command).stdout.splitlines() == [f"photos/elk/{name}" for name in KINDS]


def test_a_tab_in_a_name_is_no_field(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("photos/a\tb.jpg").write_text("text")
    assert main(["check", "photos"]) == 1
    assert capsys.readouterr().out.splitlines()[0].split("\t")[2:] == ["photos/a\\tb.jpg"]


# ---- check: each file once


@pytest.mark.parametrize(
    "inputs",
    [
        ["photos", "photos"],
        ["photos", "photos/", "./photos", "photos/../photos/cat"],
        ["photos", *PATHS],
        [*PATHS, "photos", *PATHS],
        ["photos", "link"],
        ["link", "photos", "link/cat/1.jpg"],
    ],
    ids=" ".join,
)
def test_a_file_named_twice_is_one(here: Path, capsys: pytest.CaptureFixture[str], inputs: list[str]) -> None:
    (here / "link").symlink_to("photos")
    assert main(["check", *inputs, os.path.abspath(inputs[0])]) == 0
    assert capsys.readouterr().out == "3 files: 3 fine\n"


def test_bad_files_named_twice_are_one(bad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "photos"]) == 1
    once = capsys.readouterr().out
    assert (
        main(
            ["check", "photos", "./photos/", *sorted(str(path) for path in Path("photos/elk").glob("[0-9]*"))]
        )
        == 1
    )
    assert capsys.readouterr().out == once
    assert main(["check", "gone.jpg", "./gone.jpg", os.path.abspath("gone.jpg"), *PATHS]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "4 files: 3 fine, 1 unreadable"


def test_two_links_to_a_file_are_two(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # A list with both names reads both.
    Path("photos/cat/0.jpg").symlink_to("1.jpg")
    os.link(PATHS[0], "photos/cat/3.jpg")
    Path(PATHS[0]).write_text("no image")
    assert main(["check", "photos"]) == 1
    out = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[2] for line in out[:-1]] == ["photos/cat/0.jpg", PATHS[0], "photos/cat/3.jpg"]
    assert out[-1] == "5 files: 2 fine, 3 not JPEG"


def test_archives_named_twice_are_one(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_archive(here / "a.tar", {"1.jpg": encoded(1), "bad.jpg": b"text"})
    Path("b.tar").write_text("text")
    assert main(["check", "a.tar", "./a.tar", "b.tar", "photos/../b.tar"]) == 1
    out = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[::2] for line in out[:-1]] == [
        ["unreadable", "b.tar"],
        ["not JPEG", "a.tar/bad.jpg"],
    ]
    assert out[-1] == "2 files: 1 fine, 1 unreadable, 1 not JPEG"


def test_a_closed_folder_named_twice_is_one(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scandir = os.scandir

    def refuse_cats(path: str) -> Any:
        if os.path.basename(path) == "cat":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse_cats)
    assert main(["check", "photos", "./photos", "photos/cat"]) == 1
    out = capsys.readouterr().out.splitlines()
    assert out == ["unreadable\tPermission denied\tphotos/cat", "1 file: 1 fine, 1 unreadable"]


# ---- check --jpeg-only


def test_jpeg_only(bad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("photos/elk/README").write_text("text")
    Path("photos/elk/a.PNG").write_text("text")
    assert main(["check", "photos", "photos/elk/4-notes.txt", "--jpeg-only"]) == 1
    lines = capsys.readouterr().out.splitlines()
    expected = {name: kind for name, kind in KINDS.items() if name.endswith(".jpg")}
    assert {
        os.path.basename(path): kind for kind, _, path in (line.split("\t") for line in lines[:-1])
    } == expected
    assert lines[-1] == (
        "11 files: 3 fine, 2 broken, 1 unsupported, 1 not JPEG (1 PNG), 1 too large, 1 unreadable, 2 odd; "
        "left out: 1 without an ending, 1 .data, 1 .png, 1 .txt"
    )
    assert main(["check", "photos", "--jpeg-only", "--json"]) == 1
    assert {os.path.basename(row["path"]) for row in json.loads(capsys.readouterr().out)} == set(expected)


def test_jpeg_only_lists_what_load_would_fail_on(bad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "photos", "--jpeg-only", "--json"]) == 1
    found = {row["path"] for row in json.loads(capsys.readouterr().out) if row["kind"] != "odd"}
    assert main(["load", "photos", "-o", "x.npy"]) == 1
    assert {row[1] for row in table(bad / "x.files.csv")[1:] if row[3]} == found


def test_jpeg_only_keeps_names_that_are_missing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--jpeg-only", "phots", *PATHS]) == 1
    assert capsys.readouterr().out.splitlines()[0].split("\t")[2] == "phots"


# ---- check: the exit status


@pytest.mark.parametrize(
    ("inputs", "status"),
    [
        ("photos", 0),
        ("odd", 0),  # load takes them
        ("photos odd", 0),
        ("photos text", 1),
        ("text --jpeg-only", 2),
        ("photos text --jpeg-only", 0),
        ("photos missing.jpg", 1),
        ("photos phots", 1),
        ("photos phots/", 1),
        ("missing.jpg", 2),
        ("phots", 2),
        ("phots/ missing.tar", 2),
        ("empty", 2),
        ("empty phots", 2),
        ("photos empty", 0),
    ],
)
@pytest.mark.parametrize("json_option", [[], ["--json"]], ids=["", "json"])
def test_status(
    here: Path, capsys: pytest.CaptureFixture[str], inputs: str, status: int, json_option: list[str]
) -> None:
    for name in ("odd", "text", "empty"):
        Path(name).mkdir()
    Path("odd/1.jpg").write_bytes(encoded(1)[:-2])
    Path("text/1.txt").write_text("text")
    assert main(["check", *inputs.split(), *json_option]) == status
    out, err = capsys.readouterr()
    assert err == (
        "fastimg: error: no file below " + inputs.removesuffix(" --jpeg-only").replace(" ", ", ") + "\n"
        if status == 2
        else ""
    )
    if json_option:
        assert (
            bool(json.loads(out)) is any(name in inputs for name in ("odd", "phots", "missing"))
            or status == 1
        )


def test_check_of_a_closed_root(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(path: str) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert main(["check", "photos", *PATHS[1:]]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "unreadable\tPermission denied\tphotos",
        "2 files: 2 fine, 1 unreadable",
    ]
    assert main(["check", "photos"]) == 1


def test_check_of_a_path_that_is_too_long(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = deep_path(Path("photos/cat"))
    assert main(["check", "photos"]) == 1
    out = capsys.readouterr().out.splitlines()
    assert out == [f"unreadable\t{os.strerror(errno.ENAMETOOLONG)}\t{path}", "3 files: 3 fine, 1 unreadable"]


INTERRUPT_CHECK = """
import os, signal, sys
from fastimg import _decode, cli
def interrupted(*args):
    os.kill(os.getpid(), signal.SIGINT)
    return ()
_decode.verify = interrupted
sys.exit(cli.main(["check", "photos"]))
"""


def test_ctrl_c_ends_check(here: Path) -> None:
    done = run("-c", INTERRUPT_CHECK)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


# ---- what else lies in folders of photos

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n"


def test_heic_and_git_lfs_pointers_are_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, data in {"4.jpg": HEIC, "5.HEIC": HEIC, "6.jpg": POINTER, "7.jpg": b"", "8.jpg": b"?"}.items():
        Path("photos/cat", name).write_bytes(data)
    assert main(["check", "photos"]) == 1
    *lines, count = capsys.readouterr().out.splitlines()
    assert count == "8 files: 3 fine, 4 not JPEG (2 HEIC, 1 Git LFS pointer), 1 broken"
    assert "git lfs pull" in next(line for line in lines if "6.jpg" in line)
    Path("photos/cat/9.jpg").write_bytes(POINTER)
    assert main(["check", "photos"]) == 1
    assert "(2 Git LFS pointers, 2 HEIC)" in capsys.readouterr().out.splitlines()[-1]
    assert main(["check", "photos", "--json"]) == 1
    assert len(json.loads(capsys.readouterr().out)) == 6


def test_one_file_is_not_files(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", PATHS[0]]) == 0
    assert capsys.readouterr().out == "1 file: 1 fine\n"
