# SPDX-License-Identifier: BSD-3-Clause
"""Members of archives as sources: the same pixels as files, and errors that name them."""

import os
import pickle
import re

import numpy as np
import pytest
from support import jpegs
from support.archive_files import EXPECTED, FIRST, IMAGES, make_archive, make_tar
from support.jpegs import assert_same

import fastimg
from fastimg import archive_members

KINDS = pytest.mark.parametrize("kind", ["tar", "zip"])


def test_members_are_decoded_as_the_files(archive):
    members = archive_members(archive)
    assert_same(np.stack([fastimg.decode(member) for member in members]), EXPECTED)
    assert_same(fastimg.load(members), EXPECTED)
    assert_same(fastimg.load(members, size=9), fastimg.load(list(IMAGES.values()), size=9))
    assert fastimg.read_headers(members) == fastimg.read_headers(list(IMAGES.values()))
    for make in (fastimg.ImageFileAccessor, fastimg.NonUniformImageFileAccessor):
        accessor = make(members)
        for each in (accessor, pickle.loads(pickle.dumps(accessor))):
            assert_same(np.stack(each[:]), EXPECTED)
            assert_same(each[1], EXPECTED[1])


def errors_of(sources, index):
    """The same failure of everything that reads `sources`."""
    accessor = fastimg.ImageFileAccessor(sources)
    told = []
    fastimg.load(sources, on_error=told.append, size=8)
    yield from told
    for call in (
        lambda: fastimg.decode(sources[index]),
        lambda: fastimg.read_header(sources[index]),
        lambda: fastimg.load(sources),
        lambda: fastimg.read_headers(sources),
        lambda: accessor[index],
        lambda: pickle.loads(pickle.dumps(accessor))[index],
        lambda: fastimg.NonUniformImageFileAccessor(sources)[:],
    ):
        with pytest.raises(fastimg.JpegError) as caught:
            call()
        yield caught.value


@KINDS
def test_errors_name_the_member(tmp_path, kind):
    path = make_archive(tmp_path / f"a.{kind}", {**IMAGES, "bad/grün.jpg": b"no image"})
    members = archive_members(path)
    for error in errors_of(members, 3):
        assert f"{path}/bad/grün.jpg: not a JPEG file" in str(error)
        assert error.source == members[3]
        assert pickle.loads(pickle.dumps(error)).source == members[3]


def test_sizes_that_differ_name_the_members(tmp_path):
    path = make_tar(tmp_path / "a.tar", {"a.jpg": IMAGES[FIRST], "b.jpg": jpegs.jpeg(8, 8)})
    for sources in (archive_members(path), fastimg.ImageFileAccessor(archive_members(path))._sources):
        with pytest.raises(ValueError, match=re.escape(f"image 1, {path}/b.jpg, has height 8")):
            fastimg.load([sources[0], sources[1]])


def test_an_archive_that_is_gone(archive):
    members = archive_members(archive)
    os.unlink(archive)
    with pytest.raises(FileNotFoundError) as caught:
        fastimg.load(members)
    assert caught.value.filename == archive
    assert caught.value.source == members[0]
