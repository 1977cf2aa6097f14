# SPDX-License-Identifier: BSD-3-Clause
"""A thread for which there is no memory, or no room in the system, is not waited for."""

import _thread
import threading
import zipfile

import pytest

import fastimg
from fastimg import _decode
from fastimg.data_source import ArrayDataSource


def test_no_memory_to_start_a_thread():
    def refuse(function, arguments):
        raise MemoryError

    group = _decode.ThreadGroup()
    with pytest.raises(MemoryError):
        group.try_start(lambda: None, refuse)
    assert group.wait(0)
    group.stop(lambda: None)


def test_a_thread_whose_start_failed_after_it_began_is_waited_for():
    """CPython has started a thread when it makes its number."""

    def spawn(function, arguments):
        _thread.start_new_thread(function, arguments)
        assert began.wait(30)
        raise MemoryError

    def work():
        began.set()
        go_on.wait(30)

    began, go_on = threading.Event(), threading.Event()
    group = _decode.ThreadGroup()
    with pytest.raises(MemoryError):
        group.try_start(work, spawn)
    assert not group.wait(0)
    go_on.set()
    assert group.wait(30)


def test_a_thread_whose_start_failed_before_it_began_does_nothing():
    def spawn(function, arguments):
        given.append((function, arguments))
        raise MemoryError

    given, worked = [], []
    group = _decode.ThreadGroup()
    with pytest.raises(MemoryError):
        group.try_start(lambda: worked.append(True), spawn)
    assert group.wait(0)
    for function, arguments in given:
        function(*arguments)
    assert given and not worked


def test_no_memory_for_the_second_thread_of_an_iterator(batch, monkeypatch, threads):
    def start(self):
        if len(started) == 1:
            raise MemoryError
        started.append(self)
        real_start(self)

    started, real_start = [], threading.Thread.start
    monkeypatch.setattr("threading.Thread.start", start)
    source = ArrayDataSource([fastimg.ImageFileAccessor(batch.paths)])
    with pytest.raises(MemoryError):
        next(source.batch_iterator(5, prefetch=2))
    started[0].join(30)
    assert not started[0].is_alive()


def test_the_threads_are_waited_for_if_cancelling_fails():
    ended = []

    def fail():
        raise MemoryError

    group = _decode.ThreadGroup()
    assert group.try_start(lambda: ended.append(True))
    with pytest.raises(MemoryError):
        group.stop(fail)
    assert ended == [True]


def test_the_threads_are_waited_for_without_memory_for_a_number(monkeypatch):
    """Whether they are this process's is known without an object."""

    def refuse():
        raise MemoryError

    def work():
        go_on.wait(30)
        ended.append(True)

    go_on, ended = threading.Event(), []
    group = _decode.ThreadGroup()
    assert group.try_start(work)
    monkeypatch.setattr("os.getpid", refuse)
    group.stop(go_on.set)
    assert ended == [True]
    assert group.wait(30)


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # zipfile's, of what it has half made
def test_no_lock_for_an_archive_is_no_damage(tmp_path, monkeypatch, batch):
    def refuse(*args, **options):
        raise RuntimeError("can't allocate lock")

    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(batch.paths[0], "0.jpg")
    monkeypatch.setattr("zipfile.threading.RLock", refuse)
    with pytest.raises(MemoryError, match=r"a\.zip"):
        fastimg.archive_members(tmp_path / "a.zip")
