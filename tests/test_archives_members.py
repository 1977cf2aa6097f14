# SPDX-License-Identifier: BSD-3-Clause
"""What `archive_members` returns: a sequence like a list, without an object per member."""

import copy
import operator
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
from support.archive_files import EXPECTED, IMAGES, make_archive, make_tar
from support.jpegs import assert_same

import fastimg
from fastimg import FileRange, archive_members
from fastimg.archives import find_members

FILES = {f"d/{i}.jpg": b"x" * i for i in range(5)}


@pytest.fixture(params=["tar", "zip"])
def path(request, tmp_path):
    return make_archive(tmp_path / f"a.{request.param}", FILES)


def test_like_a_list(path):
    members = archive_members(path)
    plain = list(members)
    assert [type(member) for member in plain] == [FileRange] * 5
    assert members == plain and plain == members
    assert (members != plain) is False
    assert members != plain[:4] and members != tuple(plain) and members != plain[::-1]
    for index in (*range(-5, 5), np.int64(2), True):
        assert members[index] == plain[index]
    for index in (slice(None), slice(1, 3), slice(None, None, -2), slice(9, 12), slice(-2, None)):
        assert type(members[index]) is type(members)
        assert members[index] == plain[index] and list(members[index]) == plain[index]
        assert members[index].names == [member.name for member in plain[index]]
    for bad in (5, -6):
        with pytest.raises(IndexError, match=f"index {bad} is out of range for 5 members"):
            members[bad]
    with pytest.raises(TypeError):
        members["a"]
    assert members + plain == plain + members == members + members == plain * 2
    assert list(reversed(members)) == plain[::-1]
    assert members.index(plain[3]) == 3 and plain[3] in members and members.count(plain[0]) == 1
    assert members.names == list(FILES)
    assert repr(members) == f"<5 members of {path}>"
    assert bool(members) and not members[:0]
    with pytest.raises(TypeError, match="unhashable"):
        hash(members)
    with pytest.raises(TypeError):
        operator.add(members, (1,))


def test_of_the_same_and_of_another_archive(path, tmp_path):
    members = archive_members(path)
    assert members == archive_members(Path(path))
    os.rename(path, tmp_path / "other")
    assert members != archive_members(tmp_path / "other")
    assert members != archive_members(tmp_path / "other")[:4]


def test_copies(path):
    members = archive_members(path)
    for other in (pickle.loads(pickle.dumps(members)), copy.copy(members), copy.deepcopy(members)):
        assert other == members and type(other) is type(members)
        assert other[2] == members[2]


def test_pickles_of_many_are_small_and_so_are_those_of_slices(tmp_path):
    path = make_tar(tmp_path / "a.tar", {f"{i:06}.jpg": b"" for i in range(2000)})
    members = archive_members(path)
    assert len(pickle.dumps(members)) < 2000 * (16 + 11) + 1000
    assert len(pickle.dumps(members[:3])) < 1000
    assert sys.getsizeof(members.packed_names) + members.ranges.nbytes < 2000 * 28


def test_numbers_of_archives_that_follow_one_another(tmp_path):
    for name in ("a", "b"):
        make_tar(tmp_path / f"{name}.tar", FILES)
    with open(tmp_path / "a.tar", "ab") as file:
        file.write((tmp_path / "b.tar").read_bytes())
    members = find_members(tmp_path / "a.tar", lambda name: "3" in name or "4" in name)
    assert members.archives.tolist() == [0, 0, 1, 1]
    assert (
        members[1:3].archives.tolist() == pickle.loads(pickle.dumps(members))[1:3].archives.tolist() == [0, 1]
    )
    assert find_members(tmp_path / "b.tar", lambda name: True).archives is None


def test_slices_are_sources(tmp_path):
    members = archive_members(make_tar(tmp_path / "a.tar", IMAGES))
    assert_same(fastimg.load(members[::-1]), EXPECTED[::-1])
    accessor = fastimg.ImageFileAccessor(members[1:])
    for each in (accessor, pickle.loads(pickle.dumps(accessor))):
        assert_same(each[:], EXPECTED[1:])
    assert len(fastimg.ImageFileAccessor(members[:0], size=8)) == 0


def test_the_packed_list_is_what_a_list_gives(path):
    members = archive_members(path)
    packed, expected = members._source_list(), fastimg.sources.SourceList(list(members))
    assert packed.hashable() == expected.hashable()
    assert [packed[i] for i in range(5)] == list(members)
