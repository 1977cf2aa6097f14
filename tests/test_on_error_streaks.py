# SPDX-License-Identifier: BSD-3-Clause
"""on_error is for bad images: where 32 in a row cannot be read, the storage or the reader has failed."""

import errno
import json
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from support.c_programs import TESTS, compile_c, skip_without, skip_without_compiler
from support.processes import child_env, run_probe
from support.reader_objects import WAYS, Broken, no_thread_left

import fastimg
from fastimg.data_source import ArrayDataSource
from fastimg.errors import Failure
from fastimg.on_error import Streak

DEAD = ConnectionResetError
NOTE = "32 images in a row could not be read, so this is raised whatever on_error is"
GOOD = -1


def broken(batch, failing, count=120, error=DEAD):
    """A reader of `count` images, of which those of the indices `failing` cannot be read."""
    return Broken([batch.data[i % 37] for i in range(count)], dict.fromkeys(failing, error))


@pytest.fixture(params=WAYS)
def way(request):
    return WAYS[request.param]


# ---- what is counted ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("batches", "found"),
    [
        ([(range(31), 31)], None),
        ([(range(31), 40), (range(31), 31)], None),
        ([(range(32), 32)], (0, 31)),
        ([(range(5, 40), 100)], (0, 36)),
        ([(range(9, 40), 40), ([], 0), ([0], 5)], (2, 0)),
        ([(range(9, 40), 40), ([1], 5)], None),
        ([([0], 1)] * 40, (31, 0)),
        ([([0], 1)] * 20 + [([], 1)] + [([0], 1)] * 31, None),
        ([([*range(20), *range(21, 40)], 40), (range(20), 25)], (1, 12)),
    ],
)
def test_streak(batches, found):
    streak = Streak()
    ends = [streak.add(positions, count) for positions, count in batches]
    first = next(((i, end) for i, end in enumerate(ends) if end is not None), None)
    assert first == found


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOTCONN, errno.ESTALE, errno.ETIMEDOUT])
def test_which_errors_are_the_storages(code):
    failure = Failure(0, "OS", code, (0, 0, 0, 0), "")
    assert failure.is_unreadable and not failure.is_machine_fault
    assert not Failure(0, "CORRUPT", code, (0, 0, 0, 0), "").is_unreadable
    assert not Failure(0, "OS", errno.ENOENT, (0, 0, 0, 0), "").is_unreadable


# ---- a reader of the caller's --------------------------------------------------------------------


@pytest.mark.parametrize("size", [(24, 31), None])
@pytest.mark.parametrize("num_threads", [1, 4])
@pytest.mark.parametrize("on_error", ["fill", "call"])
def test_too_many_in_a_row(way, batch, on_error, num_threads, size):
    calls = []
    on_error = calls.append if on_error == "call" else on_error
    reader = broken(batch, [3, *range(10, 41), *range(50, 90)])
    with no_thread_left(), warnings.catch_warnings(), pytest.raises(ConnectionResetError) as caught:
        warnings.simplefilter("ignore")
        way(reader, size=size, on_error=on_error, num_threads=num_threads)
    # The row of 31 before is no matter.
    assert (caught.value.index, caught.value.source) == (81, "Broken[81]")
    assert NOTE in caught.value.__notes__
    assert all(error.index < 81 for error in calls)


def test_not_enough_in_a_row(way, batch):
    failing = [i for i in range(120) if i % 32]
    with pytest.warns(UserWarning):
        images = way(broken(batch, failing), size=9, on_error="fill")
    assert [i for i, image in enumerate(images) if image.any()] == [0, 32, 64, 96]


@pytest.mark.parametrize(
    "error",
    [
        fastimg.CorruptJpegError("of the reader's own"),
        FileNotFoundError(errno.ENOENT, "gone", "s3://x/y.jpg"),
    ],
    ids=["bad", "missing"],
)
def test_bad_images_in_a_row(way, batch, error):
    # The reader has read them, or says by itself that the image is at fault.
    reader = broken(batch, range(5, 60), error=error)
    reader.items[60:110] = [b"no picture"] * 50
    with pytest.warns(UserWarning):
        images = way(reader, size=9, on_error="fill")
    assert [i for i, image in enumerate(images) if image.any()] == [*range(5), *range(110, 120)]


def test_missing_files_in_a_row(way, batch):
    paths = [*batch.paths[:3], *[f"{batch.paths[0]}.missing"] * 50, *batch.paths[:3]]
    with pytest.warns(UserWarning):
        images = way(paths, size=9, on_error="fill")
    assert len([image for image in images if image.any()]) == 6


def test_what_a_fallback_raises_is_the_images(way, batch):
    def refuse(data, options):
        raise ValueError("not mine")

    with pytest.warns(UserWarning):
        images = way([b"GIF89a nothing"] * 50, size=9, on_error="fill", fallback=refuse)
    assert not np.any(images)


def test_it_stops_at_once(batch):
    reader = broken(batch, range(3000), 3000)
    with no_thread_left(), pytest.raises(ConnectionResetError):
        fastimg.load(reader, size=9, on_error="fill", num_threads=1)
    assert len(reader.asked) < 300


@pytest.mark.parametrize("num_threads", [1, 3])
def test_it_is_always_the_same_row(batch, num_threads):
    rng = np.random.default_rng(num_threads)
    for _ in range(40):
        good = np.sort(rng.choice(120, 4, replace=False))
        failing = np.setdiff1d(np.arange(120), good).tolist()
        ends = np.append(good, 120)
        starts = np.append(GOOD, good) + 1
        rows = [start for start, end in zip(starts, ends, strict=True) if end - start >= 32]
        reader = broken(batch, failing)
        reader.errors[int(rng.choice(failing))] = (
            fastimg.CorruptJpegError("of the image") if not rows else DEAD
        )
        try:
            fastimg.load(reader, size=9, on_error=lambda _: None, num_threads=num_threads, read_threads=5)
        except ConnectionResetError as error:
            assert error.index == rows[0] + 31
        else:
            assert not rows


# ---- batches -------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefetch", [0, 2])
@pytest.mark.parametrize("on_error", ["fill", "drop", "call"])
def test_through_the_batches_of_an_iterator(batch, on_error, prefetch):
    calls = []
    on_error = calls.append if on_error == "call" else on_error
    reader = broken(batch, [*range(3, 33), *range(40, 120)])
    arrays = [fastimg.ImageFileAccessor(reader, size=9), np.arange(120)]
    batches = ArrayDataSource(arrays, include_indices=True).batch_iterator(
        7, prefetch=prefetch, on_error=on_error
    )
    given = []
    with no_thread_left(), warnings.catch_warnings(), pytest.raises(ConnectionResetError) as caught:
        warnings.simplefilter("ignore")
        for indices, *_ in batches:
            given += indices.tolist()
    assert caught.value.index == 71 and NOTE in caught.value.__notes__
    # All batches before that of index 71 have come; "drop" leaves out what failed.
    assert given == [i for i in range(70) if on_error != "drop" or i not in reader.errors]
    assert [error.index for error in calls] == [i for i in range(70) if i in reader.errors and calls]
    assert list(batches) == []


@pytest.mark.parametrize("on_error", ["fill", "drop"])
def test_one_object_raised_for_several_images(batch, on_error):
    source = ArrayDataSource(
        [fastimg.ImageFileAccessor(broken(batch, [2, 5, 9], error=DEAD("gone")), size=9)]
    )
    with pytest.warns(UserWarning):
        (images, good), *_ = source.batch_iterator(12, on_error=on_error, include_mask=True)
    assert len(images) == (12 if on_error == "fill" else 9)
    assert good.tolist() == images.any(axis=(1, 2, 3)).tolist()


def test_each_array_has_a_row_of_its_own(batch):
    left, right = broken(batch, range(31)), broken(batch, range(31, 62))
    arrays = [fastimg.ImageFileAccessor(reader, size=9) for reader in (left, right)]
    with pytest.warns(UserWarning):
        assert len(list(ArrayDataSource(arrays).batch_iterator(5, on_error="fill"))) == 24


def test_in_the_order_of_the_batches(batch):
    # Shuffled, as only the order of an epoch counts.
    order = np.random.RandomState(3).permutation(120)
    reader = broken(batch, order[20:51].tolist())
    source = ArrayDataSource([fastimg.ImageFileAccessor(reader, size=9)])
    with pytest.warns(UserWarning):
        assert len(list(source.batch_iterator(7, np.random.RandomState(3), on_error="fill"))) == 18
    reader.errors[int(order[51])] = DEAD
    with warnings.catch_warnings(), pytest.raises(ConnectionResetError) as caught:
        warnings.simplefilter("ignore")
        list(source.batch_iterator(7, np.random.RandomState(3), on_error="fill"))
    assert caught.value.index == order[51]


# ---- an index ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dead", [31, 32])
def test_an_index_of_files_that_cannot_be_asked_for(tmp_path, monkeypatch, batch, dead):
    def stat(path, *args, **options):
        if os.path.basename(os.fspath(path)).startswith("dead"):
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        return real_stat(path, *args, **options)

    real_stat = os.stat
    monkeypatch.setattr("os.stat", stat)
    paths = [*batch.paths[:2], *(f"dead{i}.jpg" for i in range(dead)), *batch.paths[:2]]
    failures = []
    if dead < 32:
        index = fastimg.FileIndex(paths, on_error=failures.append)
        assert len(failures) == 31 and index.sizes.any(axis=1).sum() == 4
    else:
        with pytest.raises(OSError, match="image 33") as caught:
            fastimg.FileIndex(paths, on_error=failures.append)
        assert NOTE in caught.value.__notes__ and not failures


# ---- files ---------------------------------------------------------------------------------------


def compile_dead_storage(folder):
    skip_without_compiler()
    sources = [TESTS / "core" / "dead_storage.c"]
    skip_without(sources)
    library = folder / "dead_storage.so"
    compiled = compile_c([*sources, "-ldl"], library, "-shared", "-fPIC")
    assert compiled.returncode == 0, compiled.stderr
    return library


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="replaces the C library's open")
@pytest.mark.skipif("LD_PRELOAD" in os.environ, reason="a sanitizer has the place of the library")
def test_files(tmp_path, batch):
    library = compile_dead_storage(tmp_path)
    (tmp_path / "dead-storage").mkdir()
    for name in ("good.jpg", *(f"dead-storage/{i:02}.jpg" for i in range(40))):
        (tmp_path / name).write_bytes(batch.data[0])
    found = json.loads(run_probe("dead_storage_probe", tmp_path, env=child_env(LD_PRELOAD=str(library))))
    assert len(found) > 30
    for name, outcome in found.items():
        if "command" in name:
            status, said = outcome
            assert status == 1
            image = {"too many": "image 34", "enough": "image 1:", "size": "dead-storage/31.jpg"}[
                name.split(":")[0]
            ]
            assert image in said and (NOTE in said) == ("enough" not in name)
        elif "too many" in name:
            assert outcome == {"index": 34, "errno": errno.EIO, "notes": [NOTE]}, name
        else:
            assert outcome == 62, name


def test_an_accessor_that_looks_for_a_size(batch):
    # With errors tolerated, the first image that has a header decides; on storage that is gone there is none.
    reader = broken(batch, range(3000), 3000)
    with pytest.raises(ConnectionResetError) as caught:
        _ = fastimg.ImageFileAccessor(reader, on_error="fill").shape
    assert caught.value.index == 31 and len(reader.asked) < 100


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="replaces the C library's open")
@pytest.mark.skipif("LD_PRELOAD" in os.environ, reason="a sanitizer has the place of the library")
def test_a_file_that_opens_as_a_missing_device(tmp_path, batch):
    path = tmp_path / "dead-storage-no-device.jpg"
    path.write_bytes(batch.data[0])
    program = (
        "import sys, fastimg\ntry: fastimg.decode(sys.argv[1])\nexcept OSError as error: print(error.errno)"
    )
    env = child_env(LD_PRELOAD=str(compile_dead_storage(tmp_path)))
    done = subprocess.run([sys.executable, "-c", program, path], env=env, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (f"{errno.ENXIO}\n", "")
