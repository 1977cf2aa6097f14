# SPDX-License-Identifier: BSD-3-Clause
"""FileIndex: what is known of files, and its parts."""

import os
import pathlib
import pickle
from collections import Counter

import numpy as np
import pytest
from support import jpegs
from support.file_indices import JOURNEYS, check, travel, write_train
from support.files import touch

import fastimg
from fastimg import FileIndex, file_scan, packed_paths


@pytest.fixture
def train(tmp_path):
    return write_train(tmp_path / "train")


@pytest.fixture(params=JOURNEYS)
def travelled(request, tmp_path):
    return lambda index: travel(index, request.param, tmp_path)


# ---- folders


def test_classes(train, travelled):
    index = travelled(FileIndex.from_folder(train))
    paths, labels, classes = fastimg.image_folder(train)
    check(index, paths)
    assert index.labels.dtype == np.int64 and index.labels.tolist() == labels.tolist() == [0, 0, 1, 1]
    assert index.classes == classes == ["cat", "dog"]
    assert index.root == str(train)
    assert index.sizes[1].tolist() == [50, 9]  # upright


def test_no_classes(train, travelled):
    index = travelled(FileIndex.from_folder(train, labels=False))
    check(index, fastimg.find_images(train))
    assert (index.labels, index.classes) == (None, [])


def test_classes_only_if_no_image_lies_beside_them(train):
    (train / "5.jpg").write_bytes(jpegs.jpeg())
    index = FileIndex.from_folder(train)
    check(index, fastimg.find_images(train))
    assert index.labels is None
    labelled = FileIndex.from_folder(train, labels=True)
    assert list(labelled) == fastimg.image_folder(train).paths and labelled.classes == ["cat", "dog"]
    (train / "5.jpg").rename(train / "5.txt")
    (train / ".6.jpg").touch()
    left_out = Counter()
    assert FileIndex.from_folder(train, left_out=left_out).classes == ["cat", "dog"]
    assert left_out == {".txt": 1}


def test_an_empty_folder(tmp_path, travelled):
    index = travelled(FileIndex.from_folder(tmp_path))
    assert (len(index), list(index), index.labels, index.changed().tolist()) == (0, [], None, [])
    assert index.sizes.shape == (0, 2) and index.nbytes.shape == index.mtimes.shape == (0,)
    assert len(index.refresh()) == len(index[:]) == len(index[[]]) == 0
    with pytest.raises(FileNotFoundError, match="expected a folder for each class"):
        FileIndex.from_folder(tmp_path, labels=True)
    with pytest.raises(IndexError):
        index[0]


def test_one_file(tmp_path, travelled):
    (tmp_path / "1.jpg").write_bytes(jpegs.jpeg(24, 31))
    check(travelled(FileIndex.from_folder(tmp_path)), [tmp_path / "1.jpg"])


def test_an_empty_class(train):
    (train / "mouse").mkdir()
    with pytest.raises(FileNotFoundError, match="found none in mouse"):
        FileIndex.from_folder(train)
    assert len(FileIndex.from_folder(train, labels=False)) == 4


def test_a_folder_that_is_none(train):
    with pytest.raises(FileNotFoundError):
        FileIndex.from_folder(train / "missing")
    with pytest.raises(NotADirectoryError):
        FileIndex.from_folder(train / "cat/1.jpg")
    with pytest.raises(TypeError, match="root: expected str"):
        FileIndex.from_folder(b"train")


def test_relative_to_the_working_folder(train, monkeypatch):
    monkeypatch.chdir(train.parent)
    index = FileIndex.from_folder("train")
    given = FileIndex(["train/cat/1.jpg"])
    monkeypatch.chdir("/")
    check(index, fastimg.image_folder(train).paths)
    check(given, [train / "cat/1.jpg"])


def test_links(train, tmp_path):
    os.symlink(train / "cat", train / "mouse")
    os.symlink(train / "dog/4.jpe", train / "dog/link.jpg")
    index = FileIndex.from_folder(train)
    check(index, fastimg.image_folder(train).paths)
    assert len(index) == 7 and index.classes == ["cat", "dog", "mouse"]
    os.symlink(train, tmp_path / "way")
    assert FileIndex.from_folder(tmp_path / "way")[0] == str(tmp_path / "way/cat/1.jpg")


NAMES = [
    b"\xff\xfe.jpg",
    "\u00e4\u20ac\U0001f600.jpg".encode(),
    b"new\nline.jpg",
    b" .jpg",
    b"a\\b'\"%s{}.jpg",
]


def test_names_of_any_bytes(tmp_path, travelled):
    folder = os.fsencode(tmp_path) + b"/root \xe4\n"
    for name in (b"class\xfc", b"line\nfeed"):
        os.makedirs(folder + b"/" + name)
        for each in NAMES:
            with open(folder + b"/" + name + b"/" + each, "wb") as file:
                file.write(jpegs.jpeg(24, 31))
    index = travelled(FileIndex.from_folder(os.fsdecode(folder)))
    check(index, fastimg.image_folder(os.fsdecode(folder)).paths)
    assert list(map(os.fsencode, index.classes)) == [b"class\xfc", b"line\nfeed"]
    assert {os.path.basename(os.fsencode(path)) for path in index} == set(NAMES)
    assert fastimg.load(index).shape == (10, 3, 24, 31)


# ---- given paths


def test_given_paths(mixed, travelled):
    paths = [*mixed.paths, mixed.paths[3], mixed.paths[3]]
    index = travelled(FileIndex(paths, np.arange(21) % 3, ["a", "b", "c"]))
    check(index, paths)
    assert index.labels.tolist() == [i % 3 for i in range(21)]
    assert index.classes == ["a", "b", "c"]


class BytesPath:
    def __fspath__(self):
        return b"/tmp/\xff.jpg"


def test_what_paths_may_be(mixed):
    for paths in (
        tuple(mixed.paths),
        iter(mixed.paths),
        map(pathlib.Path, mixed.paths),
        FileIndex(mixed.paths),
    ):
        check(FileIndex(paths), mixed.paths)
    assert list(FileIndex([BytesPath()], sizes=False, on_error=print)) == ["/tmp/\udcff.jpg"]
    check(
        FileIndex([os.path.basename(path) for path in mixed.paths], root=os.path.dirname(mixed.paths[0])),
        mixed.paths,
    )
    check(FileIndex(*fastimg.ImageFolder(mixed.paths, np.zeros(19, int), ["x"])), mixed.paths)


@pytest.mark.parametrize(
    "bad", ["a.jpg", b"data", 5, [5], [b"a.jpg"], [None], [fastimg.FileRange("a", 0, 1)]]
)
def test_not_paths(bad):
    with pytest.raises(TypeError):
        FileIndex(bad)


def test_a_null_character():
    with pytest.raises(ValueError, match=r"null byte, found 'b\\x00.jpg'"):
        FileIndex(["a.jpg", "b\0.jpg"])


@pytest.mark.parametrize(
    ("labels", "classes", "error", "words"),
    [
        ([0, 1], None, ValueError, r"one label for each of 3 paths, found labels of shape \(2,\)"),
        ([[0], [1], [2]], None, ValueError, r"shape \(3, 1\)"),
        ([0.0, 1.0, 2.0], None, TypeError, "integers, found dtype float64"),
        (["a", "b", "c"], None, TypeError, "integers"),
        ([True, False, True], None, TypeError, "integers, found dtype bool"),
        ([0, 1, 2], ["a", "b"], ValueError, "from 0 to 1, the indices of 2 classes, found 0 to 2"),
        ([0, -1, 1], ["a", "b"], ValueError, "found -1 to 1"),
        ([0, 1, 1], "ab", TypeError, "classes must be a sequence of str"),
        ([0, 1, 1], ["a", 5], TypeError, "classes must be a sequence of str"),
        ([0, 1, 1], ["a", "b\0"], ValueError, "null character"),
    ],
)
def test_bad_labels(mixed, labels, classes, error, words):
    with pytest.raises(error, match=words):
        FileIndex(mixed.paths[:3], labels, classes)


def test_labels_are_copied(mixed):
    labels = np.zeros(19, np.int64)
    index = FileIndex(mixed.paths, labels)
    labels[:] = 7
    assert not index.labels.any()
    assert FileIndex([], []).labels.dtype == np.int64


@pytest.mark.parametrize(
    "options",
    [{"sizes": 1}, {"num_threads": 1.5}, {"progress": 5}, {"on_error": 5}],
    ids=str,
)
def test_options_of_a_wrong_type(tmp_path, options):
    for make in (lambda: FileIndex([], **options), lambda: FileIndex.from_folder(tmp_path, **options)):
        with pytest.raises(TypeError, match=next(iter(options))):
            make()


@pytest.mark.parametrize("options", [{"num_threads": 0}, {"on_error": "drop"}, {"on_error": "skip"}], ids=str)
def test_options_out_of_range(tmp_path, options):
    for make in (lambda: FileIndex([], **options), lambda: FileIndex.from_folder(tmp_path, **options)):
        with pytest.raises(ValueError, match=next(iter(options))):
            make()
    with pytest.raises(TypeError, match="labels"):
        FileIndex.from_folder(tmp_path, labels="yes")


# ---- without sizes


def test_no_sizes_opens_no_file(train, travelled, monkeypatch):
    (train / "cat/1.jpg").write_bytes(b"no JPEG")
    index = travelled(FileIndex.from_folder(train, sizes=False))
    assert index.sizes is None and index[1:].sizes is None and index.refresh().sizes is None
    assert index.nbytes[0] == 7 and index.labels.tolist() == [0, 0, 1, 1]


def test_touched_only(tmp_path):
    """Names alone are enough without sizes."""
    touch(tmp_path, "a/1.jpg", "b/2.jpg")
    index = FileIndex.from_folder(tmp_path, sizes=False)
    assert index.nbytes.tolist() == [0, 0] and index.classes == ["a", "b"]
    with pytest.raises(fastimg.TruncatedJpegError, match=r"image 0: .*empty"):
        FileIndex.from_folder(tmp_path)


# ---- parts


@pytest.mark.parametrize(
    "chosen",
    [
        slice(3, 12),
        slice(None, None, -2),
        [5, 5, 0],
        np.array([18, -1]),
        np.arange(19) % 3 == 0,
        [],
        slice(4, 4),
        slice(7, 8),
    ],
    ids=str,
)
def test_a_part(mixed, travelled, chosen):
    whole = FileIndex(mixed.paths, np.arange(19), [str(i) for i in range(19)])
    positions = (
        np.arange(19)[np.array(chosen, int) if chosen == [] else chosen]
        if isinstance(chosen, list)
        else np.arange(19)[chosen]
    )
    part = travelled(whole[chosen])
    assert type(part) is FileIndex
    check(part, [mixed.paths[i] for i in positions])
    assert part.labels.tolist() == positions.tolist()
    assert part.classes == whole.classes and part.root == whole.root
    assert list(whole.paths[chosen]) == list(part.paths)


@pytest.mark.parametrize(
    ("chosen", "error"),
    [
        (19, IndexError),
        (-20, IndexError),
        ([19], IndexError),
        ("a", TypeError),
        (1.5, TypeError),
        (np.zeros((1, 1), int), ValueError),
    ],
    ids=str,
)
def test_an_index_that_is_wrong(mixed, chosen, error):
    index = FileIndex(mixed.paths)
    for sequence in (index, index.paths):
        with pytest.raises(error):
            sequence[chosen]


def test_ints_give_paths(mixed):
    index = FileIndex(mixed.paths)
    for i in (0, -1, np.int64(7), np.uint8(3)):
        assert index[i] == index.paths[i] == mixed.paths[i]
    assert mixed.paths[2] in index.paths and index.paths.index(mixed.paths[2]) == 2


def test_more_paths_than_are_decoded_at_a_time(monkeypatch, mixed):
    monkeypatch.setattr(packed_paths, "_CHUNK", 7)
    monkeypatch.setattr(file_scan, "_CHUNK", 4)
    monkeypatch.setattr(fastimg.file_index, "_CHUNK", 4)
    index = FileIndex(mixed.paths)
    check(index, mixed.paths)
    assert index.changed().tolist() == []


def test_repr(train):
    index = FileIndex.from_folder(train)
    assert repr(index) == f"<FileIndex: 4 files, 2 classes, root {str(train)!r}>"
    assert repr(index.paths).endswith(", ... 4 in all>") and repr(index[1]) in repr(index.paths)
    assert repr(index[:1].paths) == f"<PackedPaths: {index[0]!r}>"


# ---- as sources


def test_as_a_list_of_sources(train):
    index = FileIndex.from_folder(train)
    expected = fastimg.load(list(index), size=8)
    assert (fastimg.load(index, size=8) == expected).all()
    images = fastimg.ImageFileAccessor(index, size=8)
    assert (images[:] == expected).all()
    assert (pickle.loads(pickle.dumps(images))[[2, 0]] == expected[[2, 0]]).all()
    assert [image.shape[1:] for image in fastimg.NonUniformImageFileAccessor(index)[:]] == [
        tuple(s) for s in index.sizes.tolist()
    ]
    assert (fastimg.load(index.paths[1:3], size=8) == expected[1:3]).all()


def test_as_the_core_takes_it(mixed):
    """The attributes that a list of sources is made of."""
    packed = fastimg.sources.SourceList(mixed.paths)
    for index in (FileIndex(mixed.paths), FileIndex([*mixed.paths[::-1], "/x"], on_error=print)[18::-1]):
        found = index._source_list()
        assert found.blob == packed.blob
        assert found.starts.dtype == np.uint64 and found.starts.tolist() == packed.starts.tolist()


def test_memory():
    """At most 40 bytes for each path besides its own, in memory and in a pickle."""
    names = [f"/photos/{i // 1000:04d}/{i:07d}.jpg" for i in range(20_000)]
    index = FileIndex(
        names, np.arange(20_000) // 1000, [str(i) for i in range(20)], on_error=lambda error: None
    )
    own = sum(map(len, names))
    content = index._content
    arrays = [content.labels, content.sizes, content.nbytes, content.mtimes, index._source_list().starts]
    assert len(index._source_list().blob) + sum(array.nbytes for array in arrays) - own <= 40 * len(names)
    assert len(pickle.dumps(index)) - own <= 32 * len(names)
