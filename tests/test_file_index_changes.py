# SPDX-License-Identifier: BSD-3-Clause
"""FileIndex: files that cannot be read, storage that is slow, and files that change."""

import os
import threading
import time

import numpy as np
import pytest
from support import jpegs
from support.file_indices import JOURNEYS, check, headers_read, travel, write_train

import fastimg
from fastimg import FileIndex, file_scan


@pytest.fixture
def train(tmp_path):
    return write_train(tmp_path / "train")


@pytest.fixture(params=JOURNEYS)
def travelled(request, tmp_path):
    return lambda index: travel(index, request.param, tmp_path)


# ---- files that cannot be read


def test_the_first_failure_is_raised(mixed, bad_files):
    paths = list(mixed.paths)
    paths[5], paths[11] = bad_files["UnsupportedJpegError"], bad_files["FileNotFoundError"]
    with pytest.raises(fastimg.UnsupportedJpegError, match=r"image 5: .*not a JPEG") as caught:
        FileIndex(paths)
    assert (caught.value.index, caught.value.source) == (5, paths[5])
    with pytest.raises(FileNotFoundError, match="image 11: No such file") as caught:
        FileIndex(paths, sizes=False)
    assert (caught.value.index, caught.value.source, caught.value.filename) == (11, paths[11], paths[11])


def test_failures_are_filled(mixed, bad_files, travelled):
    paths = [mixed.paths[0], *bad_files.values(), mixed.paths[1]]
    failures = []
    index = travelled(FileIndex(paths, range(8), on_error=failures.append))
    names = list(bad_files)
    # Damage after the header is not looked for, and any size is.
    assert [(error.index, type(error).__name__) for error in failures] == [
        (1 + names.index(name), name)
        for name in ("UnsupportedJpegError", "FileNotFoundError", "IsADirectoryError")
    ]
    lost = [error.index for error in failures]
    assert list(index) == paths and index.labels.tolist() == [*range(8)]
    assert np.flatnonzero((index.sizes == 0).any(axis=1)).tolist() == lost
    assert index.sizes[4].tolist() == [65500, 65500]
    assert np.flatnonzero(index.nbytes < 0).tolist() == [1 + names.index("FileNotFoundError")]
    with pytest.warns(UserWarning, match="3 files or folders cannot be read; the first: image 3: ") as caught:
        FileIndex(paths, on_error="fill")
    assert len(caught) == 1 and caught[0].filename == __file__


def test_a_file_that_vanishes_after_it_was_listed(train, monkeypatch):
    def find_images(*args, **options):
        found = fastimg.find_images(*args, **options)
        os.unlink(found[1])
        return found

    monkeypatch.setattr("fastimg.folders.find_images", find_images)
    failures = []
    index = FileIndex.from_folder(train, labels=False, on_error=failures.append)
    assert [error.index for error in failures] == [1]
    assert (len(index), index.nbytes[1], index.sizes[1].tolist()) == (4, -1, [0, 0])
    assert index.changed().tolist() == [1]
    with pytest.raises(FileNotFoundError):
        FileIndex.from_folder(train, labels=False)


def test_a_dangling_link(train):
    os.symlink("nowhere", train / "cat/link.jpg")
    with pytest.raises(FileNotFoundError, match="image 2: "):
        FileIndex.from_folder(train)
    with pytest.warns(UserWarning, match="1 file or"):
        index = FileIndex.from_folder(train, on_error="fill")
    assert index.nbytes[2] == -1
    os.symlink(train / "cat/1.jpg", train / "nowhere.jpg")
    os.rename(train / "nowhere.jpg", train / "cat/nowhere")
    assert index.changed().tolist() == [2]
    check(index.refresh(), fastimg.image_folder(train).paths)


def test_a_closed_folder(train, monkeypatch):
    scandir = os.scandir

    def refuse(path):
        if os.fspath(path).endswith("dog/a"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    for labels in (None, False):
        with pytest.raises(PermissionError):
            FileIndex.from_folder(train, labels=labels)
        failures = []
        index = FileIndex.from_folder(train, labels=labels, on_error=failures.append)
        assert len(index) == 3 and len(failures) == 1 and isinstance(failures[0], PermissionError)
        with pytest.warns(
            UserWarning, match="1 file or folder cannot be read; the first: .*Permission denied"
        ):
            FileIndex.from_folder(train, labels=labels, on_error="fill")


def test_a_machine_fault_is_never_tolerated(mixed, monkeypatch):
    failure = fastimg.errors.Failure(3, "OS", 24, (0, 0, 0, 0), "")
    real, made = file_scan._decode.Batch, []

    class Short:
        """What is left of the batch when it has run."""

        def failures(self):
            return [failure]

        def sizes(self):
            return made[-1].sizes()

    def make(*args):
        made.append(real(*args))
        return Short()

    monkeypatch.setattr(file_scan._decode, "Batch", make)
    monkeypatch.setattr(file_scan, "run_batch", lambda *args, **options: None)
    with pytest.raises(OSError, match="Too many open files"):
        FileIndex(mixed.paths, on_error="fill")


# ---- threads


def test_slow_storage_is_asked_in_threads(mixed, monkeypatch, threads):
    stat, running, most = os.stat, [], []

    def slow(path, **options):
        running.append(path)
        time.sleep(0.01)
        most.append(len(running))
        running.remove(path)
        return stat(path, **options)

    monkeypatch.setattr("fastimg.file_scan.os.stat", slow)
    paths = mixed.paths * 10
    for num_threads, limit in ((None, 32), (3, 3), (1, 1)):
        most.clear()
        index = FileIndex(paths[:60] if num_threads == 1 else paths, sizes=False, num_threads=num_threads)
        assert max(most) <= limit
        assert num_threads == 1 or max(most) > 1
        monkeypatch.undo()
        assert index.changed().tolist() == []
        monkeypatch.setattr("fastimg.file_scan.os.stat", slow)


def test_the_number_of_threads_is_the_users(monkeypatch):
    monkeypatch.setenv("FASTIMG_NUM_THREADS", "3")
    assert file_scan._default_threads() == 3
    monkeypatch.delenv("FASTIMG_NUM_THREADS")
    assert file_scan._default_threads() == 32


def test_progress(mixed, capfd):
    calls = []
    FileIndex(mixed.paths, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (19, 19) and calls == sorted(calls)
    FileIndex(mixed.paths, progress=True)
    assert "19/19" in capfd.readouterr().err


def test_ctrl_c_while_storage_is_asked(mixed, monkeypatch, threads):
    stat = os.stat

    def slow(path, **options):
        time.sleep(0.005)
        return stat(path, **options)

    index = FileIndex(mixed.paths * 100)
    monkeypatch.setattr("fastimg.file_scan.os.stat", slow)
    timer = threading.Timer(0.3, lambda: os.kill(os.getpid(), 2))
    timer.start()
    start = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            index.changed(num_threads=2)
    finally:
        timer.join()
    assert time.monotonic() - start < 2


# ---- changes


def later(path, ns=1):
    status = os.stat(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + ns))


def test_changes(train, travelled):
    index = travelled(FileIndex.from_folder(train))
    assert index.changed().tolist() == []
    later(index[0])  # a nanosecond
    os.unlink(index[1])
    status = os.stat(index[3])
    with open(index[3], "ab") as file:
        file.write(b"x")
    os.utime(index[3], ns=(status.st_atime_ns, status.st_mtime_ns))  # as old as it was, but longer
    changed = index.changed()
    assert changed.dtype == np.int64 and changed.tolist() == [0, 1, 3]
    assert index.changed(num_threads=1).tolist() == [0, 1, 3]
    with pytest.raises(ValueError, match="num_threads"):
        index.changed(0)


@pytest.mark.parametrize("labels", [None, False])
def test_refresh_of_a_folder(train, travelled, monkeypatch, labels):
    index = travelled(FileIndex.from_folder(train, labels=labels))
    before = list(index)
    (train / "ant").mkdir()
    (train / "ant/0.jpg").write_bytes(jpegs.jpeg(5, 6))
    (train / "cat/2.JPEG").write_bytes(jpegs.jpeg(7, 8))
    os.unlink(train / "dog/4.jpe")
    read = headers_read(monkeypatch)
    again = index.refresh()
    assert sorted(read) == sorted(str(train / name) for name in ("ant/0.jpg", "cat/2.JPEG"))
    monkeypatch.undo()
    check(again, fastimg.image_folder(train).paths if labels is None else fastimg.find_images(train))
    if labels is None:
        assert (again.labels.tolist(), again.classes) == ([0, 1, 1, 2], ["ant", "cat", "dog"])
    assert list(index) == before
    assert again.changed().tolist() == []
    assert list(again.refresh()) == list(again)  # it still knows how it was made


def test_refresh_of_given_paths(train, travelled, monkeypatch):
    paths = fastimg.find_images(train)
    paths = [paths[3], paths[0], paths[1], paths[0]]
    index = travelled(FileIndex(paths, [3, 2, 1, 0]))
    (train / "cat/new.jpg").write_bytes(jpegs.jpeg())
    os.unlink(paths[2])
    later(paths[0])
    read = headers_read(monkeypatch)
    again = index.refresh()
    assert read == [paths[0]]
    monkeypatch.undo()
    check(again, [paths[0], paths[1], paths[3]])
    assert again.labels.tolist() == [3, 2, 0]


def test_refresh_of_a_part_adds_nothing(train, travelled):
    part = travelled(FileIndex.from_folder(train)[[0, 2]])
    (train / "cat/0.jpg").write_bytes(jpegs.jpeg())
    again = part.refresh()
    check(again, list(part))
    assert again.labels.tolist() == [0, 1] and again.classes == ["cat", "dog"]


def test_refresh_tries_again_what_failed(train, bad_files, monkeypatch):
    paths = [*fastimg.find_images(train), bad_files["UnsupportedJpegError"]]
    failures = []
    index = FileIndex(paths, on_error=failures.append)
    read = headers_read(monkeypatch)
    again = index.refresh(on_error=failures.append)
    assert read == paths[-1:] and len(failures) == 2 and len(again) == 5
    with pytest.raises(fastimg.UnsupportedJpegError, match="image 4: "):
        index.refresh()


def test_refresh_keeps_what_it_may_not_look_at(train, monkeypatch):
    index = FileIndex(fastimg.find_images(train))
    stat = os.stat

    def refuse(path, **options):
        if path.endswith("1.jpg"):
            raise PermissionError(13, "Permission denied", path)
        return stat(path, **options)

    monkeypatch.setattr("fastimg.file_scan.os.stat", refuse)
    assert index.changed().tolist() == [0]
    with pytest.raises(PermissionError, match="image 0: Permission denied"):
        index.refresh()
    again = index.refresh(on_error=lambda error: None)
    assert list(again) == list(index) and again.nbytes[0] == -1


def test_refresh_of_a_folder_that_is_gone(train):
    index = FileIndex.from_folder(train)
    train.rename(train.with_name("moved"))
    assert index.changed().tolist() == [0, 1, 2, 3]
    with pytest.raises(FileNotFoundError):
        index.refresh()


def test_times_beyond_64_bits(mixed, monkeypatch):
    class Status:
        st_size, st_mtime_ns = 5 * 2**30, 2**70

    monkeypatch.setattr("fastimg.file_scan.os.stat", lambda path: Status)
    index = FileIndex(mixed.paths[:2], sizes=False)
    assert index.mtimes.tolist() == [2**63 - 1] * 2
    assert index.nbytes.tolist() == [5 * 2**30] * 2
    assert index.changed().tolist() == []


def test_headers_are_read_by_no_more_threads(mixed, monkeypatch):
    real, made = file_scan.run_batch, []

    def run(batch, num_threads, readers, **options):
        made.append((num_threads, readers.at_work))
        real(batch, num_threads, readers, **options)
        made.append((num_threads, readers.at_work))

    monkeypatch.setattr(file_scan, "run_batch", run)
    assert (FileIndex(mixed.paths, num_threads=2).sizes > 0).all()
    assert made == [(2, False)] * 2
