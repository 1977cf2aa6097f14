# SPDX-License-Identifier: BSD-3-Clause
"""Shards: images, labels and metadata under one key."""

import json
import os
import re

import numpy as np
import pytest
from support import jpegs
from support.archive_files import make_archive
from support.jpegs import assert_same

import fastimg
from fastimg import read_shard

IMAGES = [jpegs.jpeg(24, 31, seed=i) for i in range(3)]


def sample(key, i, **others):
    """An image and the files that go with it."""
    return {f"{key}.jpg": IMAGES[i], **{f"{key}.{extension}": data for extension, data in others.items()}}


@pytest.fixture(params=["tar", "zip"])
def make(request, tmp_path):
    return lambda files: make_archive(tmp_path / f"shard.{request.param}", files)


def names(shard):
    return [image.name for image in shard.images]


def test_a_shard(make):
    path = make(
        {
            **sample("train/0007", 0, cls=b"3", json=b'{"width": 31, "tags": ["a"]}'),
            **sample("train/0001", 1, cls=b"-1\n", json=b"null"),
            **sample("0007", 2, json=b"[1.5]", cls=b" +12 "),
        }
    )
    for given in (path, os.path.relpath(path)):
        shard = read_shard(given)
        assert isinstance(shard, fastimg.Shard) and isinstance(shard, tuple)
        keys, images, labels, metadata, captions = shard
        assert keys == ["train/0007", "train/0001", "0007"]
        assert images == fastimg.archive_members(given)
        assert_same(labels, np.array([3, -1, 12], np.int64))
        assert metadata == [{"width": 31, "tags": ["a"]}, None, [1.5]]
        assert captions is None
    accessor = fastimg.ImageFileAccessor(shard.images)
    assert_same(accessor[:], np.stack([jpegs.reference(data) for data in IMAGES]))


def test_images_alone(make):
    shard = read_shard(make({"b.jpg": IMAGES[0], "a.jpg": IMAGES[1]}))
    assert shard == (["b", "a"], shard.images, None, None, None)
    assert names(shard) == ["b.jpg", "a.jpg"]


def test_nothing(make):
    assert read_shard(make({})) == ([], [], None, None, None)


def test_metadata_of_some(make):
    shard = read_shard(make({**sample("a", 0), **sample("b", 1, json=b"{}"), **sample("c", 2)}))
    assert shard.metadata == [None, {}, None]


def test_files_of_a_sample_may_lie_apart(make):
    shard = read_shard(
        make(
            {
                "a.cls": b"1",
                "b.jpg": IMAGES[1],
                "c.cls": b"3",
                "a.jpg": IMAGES[0],
                "b.cls": b"2",
                "c.jpg": IMAGES[2],
            }
        )
    )
    assert shard.keys == ["a", "b", "c"]
    assert names(shard) == ["a.jpg", "b.jpg", "c.jpg"]
    assert shard.labels.tolist() == [1, 2, 3]


def test_the_key_ends_at_the_first_dot_after_the_last_slash(make):
    files = {"v1.0/x.y/a.b.txt": b"", "v1.0/x.y/a.JPG": b"", "./a.jpeg": b"", "a.jpe": b"", "a.seg.jpg": b""}
    shard = read_shard(make(files))
    assert shard.keys == ["v1.0/x.y/a", "./a", "a"]
    assert names(shard) == ["v1.0/x.y/a.JPG", "./a.jpeg", "a.jpe"]


def test_files_that_are_no_part_of_a_sample(make):
    files = {
        "README": b"",
        "d.x/Makefile": b"",
        ".hidden.txt": b"",
        "._a.jpg": b"",
        ".d/b.txt": b"",
        "a.jpg": b"",
    }
    assert read_shard(make(files)).keys == ["a"]


def test_extensions_in_any_case(make):
    shard = read_shard(make({"a.JPG": IMAGES[0], "a.CLS": b"5", "a.Json": b"6"}))
    assert (shard.labels.tolist(), shard.metadata) == ([5], [6])


def refuse(path, *words):
    with pytest.raises(ValueError) as caught:
        read_shard(path)
    assert type(caught.value) is ValueError
    for word in (path, *words):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [b"", b"x", b"1.0", b"1 2", b"1_000", b"0x10", "٣".encode(), b"\xff", b"--1", b"1" * 64, b"1" * 10**6,
     b"9223372036854775808", b"-9223372036854775809", b"1" + b" " * 63 + b"x"],
    ids=repr,
)  # fmt: skip
def test_a_label_that_is_no_integer(make, text):
    path = make({**sample("d/a", 0, cls=b"1"), **sample("d/b", 1, cls=text)})
    refuse(path, "key 'd/b'", "d/b.cls must be an integer")


def test_labels_at_the_ends_of_the_range(make):
    ends = [2**63 - 1, -(2**63)]
    files = {**sample("a", 0, cls=str(ends[0]).encode()), **sample("b", 1, cls=str(ends[1]).encode())}
    assert read_shard(make(files)).labels.tolist() == ends


def test_labels_of_some(make):
    path = make({**sample("a", 0, cls=b"1"), **sample("d/b", 1), **sample("c", 2, cls=b"1")})
    refuse(path, "key 'd/b' has no .cls", "found 2 for 3 keys")


@pytest.mark.parametrize(
    "text", [b"", b"{", b"\xff\xff", b"[" * 10**5, b'{"a": 1} x'], ids=lambda t: repr(t[:9])
)
def test_metadata_that_is_no_json(make, text):
    refuse(make(sample("d/a", 0, json=text)), "key 'd/a'", "d/a.json must be JSON")


@pytest.mark.parametrize("other", ["png", "v2.jpg", "cls", "json", "md"])
def test_a_key_without_an_image(make, other):
    path = make({**sample("a", 0), f"d/b.{other}": b"1", **sample("c", 1), "d/e.png": b""})
    text = f"2 of 4 keys are left out; the first: {path}: key 'd/b' has no image: expected one of .jpg"
    with pytest.warns(UserWarning, match=re.escape(text)) as caught:
        shard = read_shard(path)
    [warning] = caught
    assert f"found .{other}" in str(warning.message) and warning.filename == __file__
    assert names(shard) == ["a.jpg", "c.jpg"] and shard.labels is shard.metadata is None


def test_no_key_has_an_image(make):
    path = make({"d/b.png": b"", "README.md": b""})
    refuse(path, "key 'd/b' has no image", "found .png")
    with pytest.warns(UserWarning, match="2 of 2 keys are left out"):
        assert read_shard(path, on_error="drop") == ([], [], None, None, None)


@pytest.mark.parametrize(("one", "two"), [("jpg", "JPG"), ("cls", "CLS"), ("json", "JSON"), ("x", "X")])
def test_two_files_of_a_kind(make, one, two):
    path = make({**sample("a", 0), f"a.{one}": b"1", f"a.{two}": b"1"})
    refuse(path, "key 'a' has two files of a kind", f"a.{one}", f"a.{two}")


def test_damaged_shards(make, tmp_path):
    refuse(str(_written(tmp_path / "x.tar", b"text")), "expected a tar or zip archive")
    path = make(sample("a", 0))
    os.truncate(path, 700)
    refuse(path)


def _written(path, data):
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("bad", [None, 5, b"a.tar"], ids=repr)
def test_not_a_path(bad):
    with pytest.raises(TypeError):
        read_shard(bad)


def test_errors_name_the_member(make):
    shard = read_shard(make({"a.jpg": b"no image", "a.json": json.dumps("text").encode()}))
    with pytest.raises(fastimg.UnsupportedJpegError, match=re.escape(f"{shard.images[0].path}/a.jpg")):
        fastimg.decode(shard.images[0])
