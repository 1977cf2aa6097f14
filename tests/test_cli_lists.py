# SPDX-License-Identifier: BSD-3-Clause
"""`fastimg load LIST.csv`, lists on standard input, and `--label-from`."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from support.cli_common import PATHS, encoded, left, rows, run, table

from fastimg.cli import main

LOAD = ("load", "-o", "x.npy")


def paths() -> list[str]:
    return [row[1] for row in table(Path("x.files.csv"))[1:]]


def write(name: str, *lines: str, end: str = "\n") -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_bytes(end.join([*lines, ""]).encode("utf-8", "surrogateescape"))


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("list.txt", [PATHS[2], "", PATHS[0], PATHS[2]]),
        ("LIST.TXT", ["\ufeff" + PATHS[2], PATHS[0], PATHS[2], ""]),
        ("list.csv", ["label,path", f'dog,"{PATHS[2]}"', "", f"cat,{PATHS[0]}", f"dog,{PATHS[2]}"]),
        ("list.csv", ["\ufeff Path ", PATHS[2], PATHS[0], PATHS[2]]),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_rows_are_in_the_order_of_the_list(here: Path, name: str, lines: list[str], end: str) -> None:
    write(name, *lines, end=end)
    assert main([*LOAD, name]) == 0
    assert paths() == [PATHS[2], PATHS[0], PATHS[2]]
    np.testing.assert_array_equal(np.load("x.npy"), rows().transpose(0, 3, 1, 2)[[2, 0, 2]])


AWKWARD = 'photos/cat/a, "b"\n\udcff é.jpg'


def test_quoted_and_undecodable_names(here: Path) -> None:
    os.rename(PATHS[0], AWKWARD)
    quoted = AWKWARD.replace('"', '""')
    write("list.csv", "path,label", f'"{quoted}","a, b"', f"{PATHS[1]},c")
    assert main([*LOAD, "list.csv", "--labels"]) == 0
    assert paths() == [AWKWARD, PATHS[1]]
    assert Path("x.classes.txt").read_text() == "a, b\nc\n"


@pytest.mark.parametrize("end", [b"\n", b"\0"], ids=["lines", "null characters"])
def test_standard_input(here: Path, end: bytes) -> None:
    os.rename(PATHS[0], AWKWARD if end == b"\0" else "photos/cat/ a.jpg ")
    listed = sorted(os.fsencode(path) for path in Path("photos").rglob("*.jp*"))
    Path("names").write_bytes(b"".join(name + end for name in listed))
    with open("names", "rb") as file:
        done = run("load", "-", "-o", "x.npy", stdin=file)
    assert (done.returncode, done.stderr) == (0, "")
    assert list(map(os.fsencode, paths())) == listed
    assert len(np.load("x.npy")) == 3


def test_standard_input_is_read_once(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*LOAD, "-", "-"]) == 2
    assert "standard input" in capsys.readouterr().err


def test_empty_standard_input(here: Path) -> None:
    done = run("load", "-", "-o", "x.npy", stdin=-3)  # /dev/null
    assert done.returncode == 2 and "standard input: expected paths, found none" in done.stderr
    assert left(here) == []


def test_relative_to_the_folder_of_the_list(here: Path) -> None:
    # First the folder of the list, then the working directory; an image that is in neither fails below the former.
    write("photos/list.txt", "cat/1.jpg", PATHS[1], "dog/9.jpg", str(here / PATHS[2]))
    write("photos/photos/cat/3.jpg", "")
    assert main([*LOAD, "photos/list.txt"]) == 1
    assert paths() == [PATHS[0], PATHS[1], "photos/dog/9.jpg", str(here / PATHS[2])]
    assert [bool(row[3]) for row in table(here / "x.files.csv")[1:]] == [False, False, True, False]
    Path("photos/photos/cat/1.jpg").write_bytes(encoded(9))
    write("photos/list.txt", PATHS[0])
    assert main([*LOAD, "photos/list.txt"]) == 0
    assert paths() == ["photos/photos/cat/1.jpg"]


def test_the_table_of_one_run_is_a_list_for_the_next(here: Path) -> None:
    assert main([*LOAD, "photos", "--labels"]) == 0
    assert main(["load", "x.files.csv", "-o", "y.npy", "--labels"]) == 0
    assert Path("x.npy").read_bytes() == Path("y.npy").read_bytes()
    assert Path("x.labels.npy").read_bytes() == Path("y.labels.npy").read_bytes()
    assert not Path("y.classes.txt").exists()


# ---- labels


@pytest.mark.parametrize(
    ("given", "labels", "classes"),
    [
        (["dog", "ant", "dog"], [1, 0, 1], "ant\ndog\n"),
        (["7", "-1", "007"], [7, -1, 7], None),
        (["0.5", "1", "-2e3"], [0.5, 1.0, -2000.0], None),
        (["1", "x", "10"], [0, 2, 1], "1\n10\nx\n"),
        (["nan", "1", "1"], [1, 0, 0], "1\nnan\n"),
    ],
)
def test_labels(here: Path, given: list[str], labels: list[float], classes: str | None) -> None:
    write("list.csv", "path,label", *map(",".join, zip(PATHS, given, strict=True)))
    assert main([*LOAD, "list.csv", "--labels"]) == 0
    found = np.load("x.labels.npy")
    assert found.tolist() == labels
    assert found.dtype == (np.float64 if 0.5 in labels else np.int64)
    assert [row[2] for row in table(here / "x.files.csv")[1:]] == [str(label) for label in labels]
    if classes is None:
        assert not Path("x.classes.txt").exists()
    else:
        assert Path("x.classes.txt").read_text() == classes


def test_a_list_without_labels_has_the_classes_of_folders(here: Path) -> None:
    write("list.txt", PATHS[2], PATHS[0])
    assert main([*LOAD, "list.txt", "--labels"]) == 0
    assert np.load("x.labels.npy").tolist() == [1, 0]
    assert Path("x.classes.txt").read_text() == "cat\ndog\n"


def test_labels_of_a_list_and_of_folders(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("extra.jpg").write_bytes(encoded(4))
    write("list.csv", "path,label", "extra.jpg,bee")
    assert main([*LOAD, "photos", "list.csv", "--labels"]) == 0
    assert np.load("x.labels.npy").tolist() == [1, 1, 2, 0]
    write("list.csv", "path,label", "extra.jpg,3")
    assert main([*LOAD, "photos", "list.csv", "--labels"]) == 2
    assert "those of list.csv are numbers, those of photos are not" in capsys.readouterr().err


def test_an_old_classes_file_is_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("x.classes.txt").write_text("old\n")
    write("list.csv", "path,label", f"{PATHS[0]},3")
    assert main([*LOAD, "list.csv", "--labels"]) == 0
    assert "warning: x.classes.txt is from an earlier run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "lines", "words"),
    [
        ("list.csv", ["file,label", "a,b"], "columns path and label in the first line, found file, label"),
        ("list.csv", [], "found none"),
        ("list.csv", ["path,label"], "list.csv: expected paths, found none"),
        ("list.csv", ["label,path", "cat,photos/cat/1.jpg", "dog"], "list.csv: line 3: no path"),
        ("list.csv", ["path,label", f"{PATHS[0]},a", f"{PATHS[1]}, "], "list.csv: line 3: no label"),
        ("list.csv", ["path,label", f"{PATHS[0]},a", PATHS[1]], "list.csv: line 3: no label"),
        ("list.csv", ["path,label", f'"{PATHS[0]}" ,a'], "list.csv: line 2: "),
        ("list.csv", ["path,label", "a\0,b"], "null character"),
        ("list.txt", ["", ""], "list.txt: expected paths, found none"),
        ("list.txt", ["This is", "no list"], "list.txt: none of 2 files exists; the first: This is"),
        ("none.csv", None, "none.csv"),
    ],
)
def test_what_is_no_list(
    here: Path, capsys: pytest.CaptureFixture[str], name: str, lines: list[str] | None, words: str
) -> None:
    if lines is not None:
        write(name, *lines)
    assert main([*LOAD, name, "--labels"]) == (1 if lines is None else 2)
    err = capsys.readouterr().err
    assert words in err and err.count("\n") == 1
    assert left(here) == ([name] if lines is not None else [])


@pytest.mark.parametrize("name", ["list.csv", "list.txt"])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_named(here: Path, capsys: pytest.CaptureFixture[str], name: str, encoding: str) -> None:
    Path(name).write_bytes(f"\ufeffpath\n{PATHS[0]}\n".encode(encoding))
    assert main([*LOAD, name]) == 2
    assert capsys.readouterr().err.endswith(f"{name}: expected UTF-8, or the system's bytes, found UTF-16\n")


@pytest.mark.parametrize("lines", [["path,label", "cat/1.jpg,bird"], ["cat/1.jpg"]])
def test_a_list_beside_class_folders_is_not_passed_over(
    here: Path, capsys: pytest.CaptureFixture[str], lines: list[str]
) -> None:
    name = "photos/list.csv" if len(lines) == 2 else "photos/list.txt"
    write(name, *lines)
    assert main([*LOAD, "photos/cat", "photos/dog", name, "--labels"]) == 2
    assert f"{name}: the list lies beside folders that are classes" in capsys.readouterr().err
    assert main([*LOAD, "photos/cat", "photos/dog", name]) == 0
    assert len(np.load("x.npy")) == 4


def test_a_label_that_is_missing_matters_only_with_labels(here: Path) -> None:
    write("list.csv", "path,label", PATHS[0])
    assert main([*LOAD, "list.csv"]) == 0


def test_a_list_is_no_output(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write("x.files.csv", "path", PATHS[0])
    assert main([*LOAD, "x.files.csv"]) == 2
    assert "x.files.csv is an input" in capsys.readouterr().err
    assert Path("x.files.csv").read_text() == f"path\n{PATHS[0]}\n"


# ---- classes from names

PETS = ("great_dane_12.jpg", "cat.0.jpg", "cat.1.jpg", "dog-3_b.jpg", "Ünst_x.jpg")


def add(*names: str) -> None:
    for name in names:
        Path("pets", name).parent.mkdir(parents=True, exist_ok=True)
        Path("pets", name).write_bytes(encoded(len(name)))


@pytest.mark.parametrize(
    ("pattern", "classes"),
    [
        ("prefix", ["great", "cat", "cat", "dog", "Ünst"]),
        ("(.+)[_.].+[.]", ["great_dane", "cat", "cat", "dog-3", "Ünst"]),
        ("([a-z])", ["g", "c", "c", "d", "n"]),
    ],
)
def test_label_from(here: Path, pattern: str, classes: list[str]) -> None:
    add(*PETS)
    assert main([*LOAD, "pets", "--label-from", pattern]) == 0
    wanted = dict(zip((f"pets/{name}" for name in PETS), classes, strict=True))
    names = Path("x.classes.txt").read_text(encoding="utf-8").splitlines()
    assert names == sorted(set(classes))
    found = [names[label] for label in np.load("x.labels.npy")]
    assert dict(zip(paths(), found, strict=True)) == wanted


def test_many_classes_are_not_all_printed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(*(f"{i:02d}_x.jpg" for i in range(22)))
    assert main([*LOAD, "pets", "--label-from", "prefix"]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith("22 classes: 0 00, 1 01, ") and line.endswith(", 19 19 and 2 more")
    assert len(Path("x.classes.txt").read_text().splitlines()) == 22


def test_label_from_comes_before_folders_and_lists(here: Path) -> None:
    add("1/b_1.jpg", "2/a_1.jpg")
    write("list.csv", "path,label", "pets/2/a_1.jpg,3")
    assert main([*LOAD, "pets", "list.csv", "--labels", "--label-from", "prefix"]) == 0
    assert np.load("x.labels.npy").tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(cat)", "pets/dog.2.jpg: no class: its name does not match --label-from (cat)"),
        ("(x*)", "no class"),
        ("cat", "expected prefix, or a regular expression with one group"),
        ("(a)(b)", "one group"),
        ("(", "'(' is no regular expression"),
        ("", "one group"),
    ],
)
def test_label_from_that_does_not_fit(
    here: Path, capsys: pytest.CaptureFixture[str], pattern: str, words: str
) -> None:
    add("cat.1.jpg", "dog.2.jpg")
    assert main([*LOAD, "pets", "--label-from", pattern]) == 2
    assert words in capsys.readouterr().err
    assert left(here) == ["pets"]


# ---- the summary for programs


def test_json(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path(PATHS[1]).write_bytes(b"\x89PNG")
    Path("photos/dog/notes.txt").write_text("text")
    assert main([*LOAD, "photos", "--labels", "--json", "-q"]) == 1
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found.pop("seconds") >= 0
    reason = found["failures"][0]["reason"]
    assert reason.startswith("not a JPEG file: expected it to begin with ff d8, found 89 50 4e 47, PNG")
    assert found == {
        "outputs": {
            "array": "x.npy",
            "table": "x.files.csv",
            "labels": "x.labels.npy",
            "classes": "x.classes.txt",
        },
        "rows": 3,
        "shape": [3, 3, 23, 37],
        "dtype": "uint8",
        "nbytes": 7659,
        "images": 3,
        "resumed": 0,
        "classes": ["cat", "dog"],
        "left_out": {".txt": 1},
        "failures": [{"image": 1, "row": 1, "path": PATHS[1], "reason": reason}],
    }
    assert err == f"fastimg: image 1: {PATHS[1]}: {reason}\n"


def test_json_says_the_size_beside_standard_output(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*LOAD, "photos", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["classes"] is None and list(json.loads(out)["outputs"]) == ["array", "table"]
    assert err.startswith("fastimg: x.npy: shape (3, 3, 23, 37), dtype uint8, 7,659 bytes; ")


def test_json_of_a_run_that_fails_is_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in PATHS:
        Path(path).write_text("text")
    assert main([*LOAD, "photos", "--json", "--size", "8"]) == 2
    assert capsys.readouterr().out == ""
