# SPDX-License-Identifier: BSD-3-Clause
"""Shards whose images, labels and captions are chosen by field, and what becomes of faulty samples."""

import pathlib
import pickle
import re
import warnings

import numpy as np
import pytest
from support import jpegs
from support.archive_files import make_archive, make_tar
from support.jpegs import assert_same

import fastimg
from fastimg import read_shard

IMAGES = [jpegs.jpeg(24, 31, seed=i) for i in range(4)]
TWO_VIEWS = {
    "d/a.left.jpg": IMAGES[0],
    "d/a.right.jpg": IMAGES[1],
    "b.left.jpg": IMAGES[2],
    "b.right.jpg": IMAGES[3],
}


@pytest.fixture(params=["tar", "zip"])
def make(request, tmp_path):
    return lambda files: make_archive(tmp_path / f"shard.{request.param}", files)


def names(shard):
    return [image.name for image in shard.images]


def labelled(*labels, field="cls"):
    """A sample for each label: a, b, c, ..."""
    files = {}
    for key, label in zip("abcdef", labels, strict=False):
        files[f"{key}.jpg"] = IMAGES[0]
        if label is not None:
            files[f"{key}.{field}"] = label
    return files


def refuse(path, *words, **options):
    with pytest.raises(ValueError) as caught:
        read_shard(path, **options)
    assert type(caught.value) is ValueError
    for word in (path, *words):
        assert word in str(caught.value)


# ---- images ------------------------------------------------------------------------------------


def test_several_images_of_a_sample(make):
    path = make(TWO_VIEWS)
    for side, expected in (("left", IMAGES[0::2]), ("right", IMAGES[1::2])):
        shard = read_shard(path, image=f"{side}.jpg")
        assert shard.keys == ["d/a", "b"]
        assert names(shard) == [f"d/a.{side}.jpg", f"b.{side}.jpg"]
        assert_same(fastimg.load(shard.images), np.stack([jpegs.reference(data) for data in expected]))
    for given in (
        "right.jpg;left.jpg",
        ["right.jpg", "left.jpg"],
        ("RIGHT.jpg",),
        ".right.jpg",
        iter(["right.jpg"]),
    ):
        assert names(read_shard(path, image=given)) == ["d/a.right.jpg", "b.right.jpg"]


def test_the_first_alternative_that_a_sample_has(make):
    path = make({"a.jpeg": b"", "b.png": b"", "b.jpg": b"", "c.jpeg": b"", "c.jpg": b""})
    assert names(read_shard(path, image="jpg;jpeg")) == ["a.jpeg", "b.jpg", "c.jpg"]
    assert names(read_shard(path, image="jpeg;jpg")) == ["a.jpeg", "b.jpg", "c.jpeg"]


def test_images_that_could_be_either(make):
    refuse(
        make(TWO_VIEWS),
        "key 'd/a' has more than one image",
        "d/a.left.jpg and d/a.right.jpg",
        "image='left.jpg'",
    )
    refuse(
        make({"a.jpg": b"", "b.jpg": b"", "b.jpeg": b""}),
        "key 'b' has more",
        "b.jpg and b.jpeg",
        "image='jpg'",
    )


@pytest.mark.parametrize("on_error", ["raise", "drop", lambda error: None])
def test_samples_that_have_lost_one_image_or_the_other(make, on_error):
    path = make({"a.input.jpg": b"", "b.mask.jpg": b"", "c.input.jpg": b""})
    refuse(
        path,
        "key 'a' has the image .input.jpg, and key 'b' has .mask.jpg",
        "image='input.jpg'",
        on_error=on_error,
    )


def test_the_only_image_of_a_longer_name(make):
    assert names(
        read_shard(make({"a.input.jpg": b"", "a.cls": b"1", "b.Input.JPG": b"", "b.cls": b"2"}))
    ) == [
        "a.input.jpg",
        "b.Input.JPG",
    ]


def test_a_plain_name_comes_first(make):
    with pytest.warns(UserWarning, match="key 'b' has no image"):
        shard = read_shard(make({"a.seg.jpg": b"", "a.jpg": b"", "b.seg.jpg": b"", "c.jpeg": b""}))
    assert names(shard) == ["a.jpg", "c.jpeg"]


def test_an_image_that_no_sample_has(make):
    refuse(
        make(TWO_VIEWS),
        "key 'd/a' has no image: expected one of .l.jpg, found .left.jpg, .right.jpg",
        image="l.jpg",
    )


# ---- labels and captions -----------------------------------------------------------------------


@pytest.mark.parametrize("field", ["cls", "class.txt", "json"])
def test_labels_of_text(make, field):
    quote = '"' if field == "json" else ""
    texts = ["cat", "Größe 7", "dog", "1.5"]
    data = [f" {quote}{text}{quote}\n".encode() for text in texts]
    shard = read_shard(make(labelled(*data, field=field)), label=field)
    assert shard.labels.dtype == object and shard.labels.tolist() == texts
    assert [type(label) for label in shard.labels] == [str] * 4
    classes, numbers = np.unique(shard.labels, return_inverse=True)
    assert (classes.tolist(), numbers.tolist()) == (["1.5", "Größe 7", "cat", "dog"], [2, 1, 3, 0])


@pytest.mark.parametrize("field", ["cls", "index", "y.json"])
def test_labels_of_numbers(make, field):
    shard = read_shard(make(labelled(b"7", b"-1\n", field=field)), label=f"none;{field}")
    assert_same(shard.labels, np.array([7, -1], np.int64))


@pytest.mark.parametrize(
    "data", [b"true", b"1.0", b"null", b"[1]", b"{}", b'""', b"9223372036854775808", b'"\\ud800']
)
def test_json_that_is_no_label(make, data):
    refuse(make(labelled(b"1", data, field="json")), "key 'b': b.json must be", label="json")


@pytest.mark.parametrize("data", [b"", b" \n", b"\xff", b"9" * 30, b"9" * 99])
def test_what_is_neither_a_number_nor_text(make, data):
    refuse(make(labelled(b"cat", data)), "key 'b': b.cls must be an integer of 64 bits or UTF-8 text, found")


def test_labels_of_two_kinds(make):
    refuse(
        make(labelled(b"1", b"cat", b"3")),
        "key 'b': b.cls must be an integer, as most labels are, found 'cat'",
    )
    refuse(make(labelled(b"7", b"cat", b"dog")), "key 'a': a.cls must be text, as most labels are, found 7")


def test_labels_of_some_samples_only(make):
    refuse(make(labelled(b"1", None, field="y")), "key 'b' has no .y", "found 1 for 2 keys", label="y")
    assert read_shard(make(labelled(b"1", None, field="y"))).labels is None


def test_labels_that_are_not_read(make):
    shard = read_shard(make({**labelled(b"1", None), "a.txt": b"\xff"}), label=(), caption=[])
    assert shard.labels is shard.captions is None


def test_captions(make):
    files = {**labelled(b"1", b"2", b"3"), "a.txt": " a cät\n".encode(), "c.txt": b"", "a.alt.txt": b"other"}
    shard = read_shard(make(files))
    assert shard.captions == [" a cät\n", None, ""]
    assert_same(shard.labels, np.array([1, 2, 3], np.int64))
    assert read_shard(make(files), caption="alt.txt").captions == ["other", None, None]
    assert read_shard(make(files), caption="alt.txt;txt").captions == ["other", None, ""]
    assert read_shard(make({**labelled(b"1"), "a.json": b'"text"'}), caption="json").captions == ["text"]


def test_captions_that_are_no_text(make):
    refuse(make({"a.jpg": b"", "a.txt": b"\xff"}), "key 'a': a.txt must be UTF-8 text, found b'\\xff'")
    refuse(
        make({"a.jpg": b"", "a.json": b'{"x": 1}'}),
        "a.json must be UTF-8 text, found {'x': 1}",
        caption="json",
    )


def test_a_caption_that_no_sample_has(make):
    path = make({"a.jpg": b"", "a.txt": b"", "b.alt.txt": b"", "b.png": b""})
    refuse(
        path, "no key has the caption: expected one of .alt.txt", "key 'a' has .jpg, .txt", caption="alt.txt"
    )


# ---- faulty samples ----------------------------------------------------------------------------

FAULTY = {
    **labelled(b"1", b"x", b"3", None, b"5", b"6"),
    "c.json": b"{",
    "e.txt": b"\xff",
    "f.txt": b"text",
    "f.json": b"[6]",
    "g.png": b"",
    "LICENSE.md": b"",
    "README": b"",
}
TOLD = [
    ("g", "has no image"),
    ("LICENSE", "has no image"),
    ("c", "c.json must be JSON"),
    ("d", "has no .cls"),
    ("e", "e.txt must be UTF-8 text"),
    ("b", "b.cls must be an integer"),
]


def check_what_is_left(shard):
    assert shard.keys == ["a", "f"] and names(shard) == ["a.jpg", "f.jpg"]
    assert_same(shard.labels, np.array([1, 6], np.int64))
    assert shard.captions == [None, "text"] and shard.metadata == [None, [6]]


def test_faulty_samples_are_told(make):
    path, errors = make(FAULTY), []
    with warnings.catch_warnings(action="error"):
        check_what_is_left(read_shard(path, on_error=errors.append))
    assert len(errors) == len(TOLD)
    for error, (key, words) in zip(errors, TOLD, strict=True):
        assert (
            type(error) is ValueError
            and str(error).startswith(f"{path}: key {key!r}")
            and words in str(error)
        )
        assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_faulty_samples_are_dropped(make):
    path = make(FAULTY)
    with pytest.warns(
        UserWarning, match=re.escape(f"6 of 8 keys are left out; the first: {path}: key 'g'")
    ) as caught:
        shard = read_shard(path, on_error="drop")
    assert [warning.filename for warning in caught] == [__file__]
    check_what_is_left(shard)


def test_faulty_samples_are_raised(make):
    refuse(make(FAULTY), "key 'c': c.json must be JSON")


def test_what_on_error_raises(make):
    def stop(error):
        raise error

    refuse(make(FAULTY), "key 'g' has no image", on_error=stop)


def test_nothing_is_said_of_a_whole_shard(make):
    with warnings.catch_warnings(action="error"):
        for on_error in ("raise", "drop", pytest.fail):
            assert read_shard(make(labelled(b"1", b"2")), on_error=on_error).keys == ["a", "b"]


def test_what_is_wrong_with_the_archive_is_always_raised(tmp_path):
    path = pathlib.Path(make_tar(tmp_path / "a.tar", labelled(b"1", b"2")))
    path.write_bytes(path.read_bytes()[:700])
    for on_error in ("drop", pytest.fail):
        refuse(str(path), "cut short", on_error=on_error)


# ---- several archives in a file ----------------------------------------------------------------


def test_samples_of_joined_archives(tmp_path):
    # Both number their samples from 0; what one has lost is not taken from the other.
    first = {"0.jpg": IMAGES[0], "0.txt": b"first", "1.jpg": IMAGES[1]}
    second = {"1.txt": b"second", "1.jpg": IMAGES[2], "0.jpg": IMAGES[3]}
    parts = [make_tar(tmp_path / name, files) for name, files in (("a.tar", first), ("b.tar", second))]
    path = tmp_path / "all.tar"
    path.write_bytes(b"".join(pathlib.Path(part).read_bytes() for part in parts))
    shard = read_shard(path)
    assert shard.keys == ["0", "1", "1", "0"]
    assert shard.captions == ["first", None, "second", None]
    assert_same(fastimg.load(shard.images), np.stack([jpegs.reference(data) for data in IMAGES]))


# ---- arguments ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["image", "label", "caption"])
def test_bad_fields(make, name):
    path = make(labelled(b"1"))
    for bad in (5, b"jpg", [b"jpg"], ["jpg", None], True):
        with pytest.raises(TypeError, match=f"{name} must be a str or an iterable of str"):
            read_shard(path, **{name: bad})
    for bad in ("", "jpg;", ";jpg", ".", [""]):
        with pytest.raises(ValueError, match=f"{name} must name fields"):
            read_shard(path, **{name: bad})


def test_no_field_for_the_image(make):
    with pytest.raises(ValueError, match="image must name a field"):
        read_shard(make(labelled(b"1")), image=())


def test_bad_on_error(make):
    path = make(labelled(b"1"))
    with pytest.raises(ValueError, match="on_error must be 'raise', 'drop' or a callable, found 'fill'"):
        read_shard(path, on_error="fill")
    for bad in (None, 5, b"drop"):
        with pytest.raises(TypeError, match="on_error must be"):
            read_shard(path, on_error=bad)
    with pytest.raises(TypeError):
        read_shard(path, "jpg")
