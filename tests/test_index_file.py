# SPDX-License-Identifier: BSD-3-Clause
"""The file of a FileIndex: written whole or not at all, and nothing else passes for one."""

import io
import os
import pathlib
import pickle
import shutil
import stat

import numpy as np
import pytest
from support import jpegs

from fastimg import FileIndex, ImageFileAccessor


@pytest.fixture
def index(tmp_path):
    for i, name in enumerate(("a/1.jpg", "a/2.jpg", "b/3.jpg")):
        path = tmp_path / "train" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpegs.jpeg(20 + i, 30))
    return FileIndex.from_folder(tmp_path / "train")


@pytest.fixture
def saved(index, tmp_path):
    index.save(tmp_path / "train.index.npz")
    return tmp_path / "train.index.npz"


def plain(index):
    """All that an index says, to compare."""
    arrays = index.labels, index.sizes, index.nbytes, index.mtimes
    return (
        list(index), index.classes, index.root, index._content.listed,
        *(None if array is None else (array.dtype, array.tolist()) for array in arrays),
    )  # fmt: skip


def entries(path):
    with np.load(path) as file:
        return dict(file)


@pytest.mark.parametrize("made", ["folder", "no classes", "no sizes", "paths", "part", "empty"])
def test_round_trip(index, tmp_path, made):
    made = {
        "folder": lambda: index,
        "no classes": lambda: FileIndex.from_folder(tmp_path / "train", labels=False),
        "no sizes": lambda: FileIndex.from_folder(tmp_path / "train", sizes=False),
        "paths": lambda: FileIndex([index[2], index[2], "/x\udcff.jpg"], [5, -3, 2**62], on_error=lambda error: None),
        "part": lambda: index[1:],
        "empty": lambda: FileIndex([], [], ["a"]),
    }[made]()  # fmt: skip
    for name in ("1.npz", tmp_path / "2.npz"):
        path = os.path.join(tmp_path, name)
        made.save(path)
        assert plain(FileIndex.load(path)) == plain(FileIndex.load(pathlib.Path(path))) == plain(made)


def test_it_is_a_plain_uncompressed_npz(index, saved):
    found = entries(saved)
    assert found.pop("fastimg_file_index").tolist() == [1, 9]
    assert found.keys() == {"root", "listed", "paths", "classes", "labels", "sizes", "nbytes", "mtimes"}
    assert bytes(found["paths"]) == b"".join(os.fsencode(path) + b"\0" for path in index)
    assert b"".join(os.fsencode(path) + b"\0" for path in index) in saved.read_bytes()


def test_size(tmp_path):
    names = [f"/photos/{i // 1000:04d}/{i:07d}.jpg" for i in range(20_000)]
    FileIndex(names, np.arange(20_000) // 1000, on_error=lambda error: None).save(tmp_path / "x.npz")
    assert os.path.getsize(tmp_path / "x.npz") - sum(map(len, names)) <= 30 * len(names)


def test_another_writer(index, saved):
    """Compressed, and of the other byte order."""
    swapped = {name: array.astype(array.dtype.newbyteorder()) for name, array in entries(saved).items()}
    np.savez_compressed(saved, **swapped)
    assert plain(FileIndex.load(saved)) == plain(index)


def test_no_other_file_is_looked_at(index, saved, tmp_path):
    shutil.rmtree(tmp_path / "train")
    loaded = FileIndex.load(saved)
    assert plain(loaded) == plain(index)
    assert ImageFileAccessor(loaded, size=8).shape == (3, 3, 8, 8)


# ---- the root


def test_a_folder_that_moved(index, saved, tmp_path):
    new = tmp_path / "other" / "place\udcff\n"
    new.parent.mkdir()
    (tmp_path / "train").rename(new)
    for root in (new, str(new), os.path.relpath(new), f"{new}/"):
        moved = FileIndex.load(saved, root=root)
        assert list(moved) == [path.replace(str(tmp_path / "train"), str(new), 1) for path in index]
        assert moved.root == str(new) and moved.changed().tolist() == []
        assert plain(moved.refresh()) == plain(moved)
    moved.save(saved)
    assert plain(FileIndex.load(saved)) == plain(moved)


@pytest.mark.parametrize(
    ("root", "paths", "new", "expected"),
    [
        (
            "/a",
            ["b", "/a/c", "/a/a/d", "/ab/e", "/x/a/f"],
            "/n",
            ["/n/b", "/n/c", "/n/a/d", "/ab/e", "/x/a/f"],
        ),
        ("/", ["b", "/c//d"], "/n/m", ["/n/m/b", "/n/m/c//d"]),
        ("/a", ["b", "/c"], "/", ["/b", "/c"]),
        ("/a", ["b"], "/a/a", ["/a/a/b"]),
        ("/a/", ["", "b", ""], "/a", ["/a/", "/a/b", "/a/"]),
    ],
)
def test_only_paths_below_the_root_move(tmp_path, root, paths, new, expected):
    made = FileIndex(paths, root=root, on_error=lambda error: None)
    made.save(tmp_path / "x.npz")
    assert list(FileIndex.load(tmp_path / "x.npz", root=new)) == expected
    assert list(FileIndex.load(tmp_path / "x.npz")) == list(made)


def test_a_root_of_the_wrong_type(saved):
    with pytest.raises(TypeError, match="root: expected str"):
        FileIndex.load(saved, root=b"/x")


# ---- other files


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


FOREIGN = {
    "empty": b"",
    "text": b"path,label\na.jpg,1\n" * 20,
    "jpeg": jpegs.jpeg(),
    "array": npy(np.arange(9)),
    "pickle": pickle.dumps({"paths": ["a.jpg"]}),
    "zip": b"PK\5\6" + bytes(18),
    "half a zip": npz(a=np.arange(9))[:90],
    "arrays": npz(paths=np.arange(9)),
    "objects": npz(fastimg_file_index=np.array([{}], object)),
}


@pytest.mark.parametrize("data", FOREIGN.values(), ids=FOREIGN)
def test_foreign_files(tmp_path, data):
    (tmp_path / "x.npz").write_bytes(data)
    before = len(os.listdir("/dev/fd"))
    with pytest.raises(ValueError, match=r"x\.npz: .*file index"):
        FileIndex.load(tmp_path / "x.npz")
    assert len(os.listdir("/dev/fd")) == before


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError):
        FileIndex.load(tmp_path / "missing.npz")
    with pytest.raises(IsADirectoryError):
        FileIndex.load(tmp_path)


WRONG = {
    "a later version": ({"fastimg_file_index": np.array([2, 9])}, "expected version 1, found 2"),
    "no integers": ({"fastimg_file_index": np.ones(2)}, "not a file index"),
    "a single number": ({"fastimg_file_index": np.array(1)}, "not a file index"),
    "no labels though it had": (
        {"labels": None, "fastimg_file_index": np.array([1, 9])},
        "expected 9 entries",
    ),
    "another entry": ({"nbites": np.zeros(3, int)}, "expected 10 entries, found .*nbites"),
    "no paths": ({"paths": None}, "no paths"),
    "no root": ({"root": None}, "no root"),
    "no byte counts": ({"nbytes": None}, "no nbytes"),
    "another dtype": ({"mtimes": np.zeros(3)}, "mtimes of dtype float64"),
    "another path dtype": ({"paths": np.zeros(3, np.uint64)}, "paths of dtype uint64"),
    "too few times": ({"mtimes": np.zeros(2, int)}, r"mtimes of shape \(2,\) for 3 files"),
    "too many labels": ({"labels": np.zeros(4, int)}, r"labels of shape \(4,\)"),
    "sizes of three": ({"sizes": np.zeros((3, 3), int)}, r"sizes of shape \(3, 3\)"),
    "a byte count": ({"nbytes": np.array(3)}, r"nbytes of shape \(\)"),
    "a label of no class": ({"labels": np.array([0, 1, 2])}, "labels must be from 0 to 1"),
    "too few paths": ({"paths": np.frombuffer(b"/a\0/b\0", np.uint8)}, "2 paths for 3 files"),
    "a path without an end": (
        {"paths": np.frombuffer(b"/a\0/b\0/c", np.uint8)},
        "null byte after every path",
    ),
    "other formats": ({"formats": np.frombuffer(b"some", np.uint8)}, "formats must be"),
    "made otherwise": ({"listed": np.frombuffer(b"elsewhere", np.uint8)}, "elsewhere"),
}


@pytest.mark.parametrize(("changes", "words"), WRONG.values(), ids=WRONG)
def test_wrong_entries(saved, changes, words):
    changed = {name: array for name, array in {**entries(saved), **changes}.items() if array is not None}
    if "fastimg_file_index" not in changes:
        changed["fastimg_file_index"] = np.array([1, len(changed)])
    np.savez(saved, **changed)
    with pytest.raises(ValueError, match=rf"train\.index\.npz: .*{words}"):
        FileIndex.load(saved)


def load_or_refuse(path, index):
    """Whether a file that may be damaged is refused; if not, it must say what it said."""
    try:
        loaded = FileIndex.load(path)
    except ValueError as error:
        assert str(path) in str(error)
        return True
    assert plain(loaded) == plain(index)
    return False


def test_cut_short(index, saved):
    data = saved.read_bytes()
    for length in range(0, len(data), 13):
        saved.write_bytes(data[:length])
        assert load_or_refuse(saved, index)


def test_flipped_bits(index, saved):
    data = saved.read_bytes()
    refused = 0
    for i in range(len(data)):
        if i % 3 == 0:
            saved.write_bytes(data[:i] + bytes([data[i] ^ (1 << i % 8)]) + data[i + 1 :])
            refused += load_or_refuse(saved, index)
    assert refused > len(data) // 6


def test_an_entry_of_absurd_length(saved):
    """The lengths that a damaged header claims are not allocated: they are checked against the file's."""
    data = bytearray(saved.read_bytes())
    at = data.index(b"'shape': (3, 2)")
    data[at : at + 15] = b"'shape': (9**9)"
    saved.write_bytes(data)
    with pytest.raises(ValueError, match=r"train\.index\.npz"):
        FileIndex.load(saved)
    data[at : at + 15] = b"'shape': (3<<60"
    saved.write_bytes(data)
    with pytest.raises(ValueError, match=r"train\.index\.npz"):
        FileIndex.load(saved)


# ---- writing


def test_a_file_of_that_name_is_replaced(index, saved):
    os.chmod(saved, 0o400)
    index[:1].save(saved)
    assert len(FileIndex.load(saved)) == 1
    assert sorted(os.listdir(saved.parent)) == ["train", "train.index.npz"]


def test_permissions_are_those_of_a_new_file(index, tmp_path):
    old = os.umask(0o027)
    try:
        index.save(tmp_path / "x.npz")
    finally:
        os.umask(old)
    assert stat.S_IMODE(os.stat(tmp_path / "x.npz").st_mode) == 0o640


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=str)
def test_nothing_is_left_of_a_failure(index, saved, monkeypatch, error):
    before = saved.read_bytes()

    def savez(file, **arrays):
        file.write(b"PK")
        raise error

    monkeypatch.setattr(np, "savez", savez)
    with pytest.raises(type(error)) as caught:
        index[:1].save(saved)
    assert getattr(caught.value, "filename", str(saved)) == str(saved)
    assert saved.read_bytes() == before
    assert sorted(os.listdir(saved.parent)) == ["train", "train.index.npz"]


def test_where_no_file_can_be_written(index, tmp_path):
    for path, error in ((tmp_path / "missing" / "x.npz", FileNotFoundError), (tmp_path, IsADirectoryError)):
        with pytest.raises(error) as caught:
            index.save(path)
        assert caught.value.filename == str(path)
    assert os.listdir(tmp_path) == ["train"]
    with pytest.raises(OSError, match="too long"):
        index.save(tmp_path / ("x" * 300))


def test_a_long_name(index, tmp_path):
    path = tmp_path / ("x" * 251 + ".npz")
    index.save(path)
    assert plain(FileIndex.load(path)) == plain(index)
