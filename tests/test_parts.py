# SPDX-License-Identifier: BSD-3-Clause
"""One image in several threads: the pixels and the errors of one thread."""

import itertools
import json
import multiprocessing
import os
import pickle
import struct
import threading
import time

import numpy as np
import pytest
from PIL import Image, ImageDraw
from support import jpegs
from support.data_sources import tasks
from support.entropy_files import bases, mutate, turbo_setting
from support.far_blocks import far_block
from support.processes import child_env, run_probe
from support.segments import DHT, DQT, SOF0, SOS, segment

import fastimg
import fastimg._decode as _decode
from fastimg.options import make_options
from fastimg.sources import SourceList
from fastimg.threads import MAX_TOGETHER

MUTATIONS = int(os.environ.get("FASTIMG_FUZZ", "3000")) // 8
THREADS = (2, 3, 8)

EXACT = ({}, {"layout": "HWC"}, {"mode": "L"})
RESIZED = ({"size": 20}, {"size": (50, 90)}, {"size": 20, "reducing_gap": None}, {"size": 9, "mode": "L"})
OTHERS = (
    {"mode": "BGR", "dtype": "float32", "mean": 0.5},
    {"crop": (3, 5, 40, 30)},
    {"crop": (3, 5, 40, 30), "size": 16},
    {"crop": (60, 0, 12, 50)},
    {"flip": True},
    {"size": (30, 40), "fit": "contain", "pad_value": 7},
)


@pytest.fixture
def differences(tmp_path):
    """A function that decodes jobs in one and in several threads; returns how often in several, and what differs."""

    def run(jobs, nbytes, threads=THREADS):
        (tmp_path / "jobs").write_bytes(pickle.dumps(list(jobs)))
        env = child_env(FASTIMG_PARTS=f"1,{nbytes}")
        return json.loads(run_probe("parts_probe", tmp_path / "jobs", *threads, env=env))

    return run


def settings(options):
    return [{**each, "strict": strict} for each in options for strict in (True, False)]


def photos():
    """Files of several kinds that are long enough for some parts."""
    for subsampling, interval in itertools.product(jpegs.SUBSAMPLINGS, ("0", "1", "5B")):
        with turbo_setting("TJ_RESTART", interval):
            for height, width in ((150, 133), (97, 240), (16, 700)):
                name = f"{subsampling} {height} x {width}, restarts {interval}"
                yield name, jpegs.turbo(jpegs.pixels(height, width, seed=width), subsampling, quality=85)
    yield "grey", jpegs.turbo(jpegs.pixels(200, 150, 1))
    yield "noise", jpegs.turbo(jpegs.noise(90, 70), quality=98)
    yield "flat", jpegs.turbo(np.full((300, 400, 3), 99, np.uint8))
    yield "progressive", jpegs.pillow(jpegs.pixels(90, 100), progressive=True)
    for orientation in (3, 6, 8):
        yield f"orientation {orientation}", jpegs.oriented(jpegs.jpeg(140, 90), orientation)


@pytest.mark.parametrize("nbytes", [64, 700])
@pytest.mark.parametrize("options", [EXACT, RESIZED, OTHERS], ids=["exact", "resized", "others"])
def test_photos(differences, options, nbytes):
    jobs = [(name, data, each) for name, data in photos() for each in settings(options)]
    count, different = differences(jobs, nbytes)
    assert different == []
    assert count > len(jobs)  # of three each


@pytest.mark.parametrize("nbytes", [40, 400])
def test_damaged(differences, nbytes):
    rng = np.random.default_rng(nbytes)
    kinds = [*bases(), *(data for _, data in photos())]
    jobs = []
    for i in range(MUTATIONS):
        data = mutate(rng, kinds[int(rng.integers(len(kinds)))])
        jobs += [(f"{i}: {data[:3000].hex()}", data, each) for each in settings(({}, {"size": 9}))]
    for job in jobs:
        job[2]["max_pixels"] = 1 << 20
    count, different = differences(jobs, nbytes, (2, 5))
    assert different == []
    assert count > len(jobs) / 10


def test_a_block_that_its_dc_value_makes_bad(differences):
    """In a guess it is judged when that is known."""
    jobs = [("good", far_block(60, 20, None), {})]
    for i in range(20):
        data = far_block(60, 20, 1200 * (i + 20) // 41, seed=i)
        with pytest.raises(fastimg.CorruptJpegError, match="coefficients that no 8-bit image has"):
            fastimg.decode(data)
        jobs += [(f"{i}", data, each) for each in settings(({}, {"size": 40}))]
    count, different = differences(jobs, 400, [threads for threads in (1, *THREADS) for _ in range(3)])
    assert different == []
    assert count > 0  # of the one without such a block


def test_dc_steps_of_0(differences):
    """All DC values are 0, and their sums need not fit into 16 bits: one thread refuses what does not fit into 30."""
    blocks = 190
    header = struct.pack(">BHHB", 8, 8 * blocks, 8 * blocks, 1) + b"\x01\x11\x00"
    tables = b"".join(
        segment(DHT, bytes([kind, 1] + [0] * 15 + [symbol])) for kind, symbol in ((0x00, 15), (0x10, 0))
    )
    scan = ("0" + "1" * 15 + "0") * blocks**2
    scan += "1" * (-len(scan) % 8)
    data = int(scan, 2).to_bytes(len(scan) // 8, "big").replace(b"\xff", b"\xff\x00")
    start = b"\xff\xd8" + segment(DQT, bytes(2) + b"\x01" * 63) + segment(SOF0, header) + tables
    data = start + segment(SOS, b"\x01\x01\x00\x00\x3f\x00") + data + b"\xff\xd9"
    with pytest.raises(fastimg.CorruptJpegError, match="coefficients that no 8-bit image has"):
        fastimg.decode(data)
    assert differences([("steps", data, each) for each in settings(({},))], 0, THREADS)[1] == []


def test_a_window_of_text():
    """Its suspect blocks are no reason to decode it again in one thread."""
    image = Image.new("L", (1500, 1600), 255)
    draw = ImageDraw.Draw(image)
    rng = np.random.default_rng(0)
    for x, y in rng.integers(1500, size=(900, 2)).tolist():
        draw.text((x, y), "Hamburgefonts 0123", fill=0)
        draw.line((x, y, 1500 - y, x), fill=0, width=2)
    data = jpegs.pillow(np.array(image)[:, :, None].repeat(3, 2), quality=60, subsampling=0)
    for options in ({}, {"size": 200}, {"strict": False}):
        options["crop"] = (0, 0, 1500, 1200)
        expected = fastimg.decode(data, **options)
        before = _decode.count_decoded_together()
        for threads in THREADS:
            jpegs.assert_same(fastimg.decode(data, num_threads=threads, **options), expected)
        assert _decode.count_decoded_together() == before + len(THREADS)


def test_what_follows_the_image(large):
    data = large[0] + b"\0\0\0 ftypmp42" + np.random.default_rng(0).bytes(4 * len(large[0]))
    expected = fastimg.decode(large[0])
    before = _decode.count_decoded_together()
    for threads in (1, *THREADS):
        jpegs.assert_same(fastimg.decode(data, num_threads=threads), expected)
    assert _decode.count_decoded_together() == before + len(THREADS)


@pytest.fixture(scope="module")
def large():
    """More than two megapixels, without restart markers and with."""
    image = np.tile(jpegs.pixels(300, 420), (5, 4, 1))
    files = [jpegs.turbo(image)]
    with turbo_setting("TJ_RESTART", "1"):
        files.append(jpegs.turbo(image))
    return files


@pytest.mark.parametrize("options", [{}, {"size": 224}], ids=str)
def test_large(large, options):
    for data in large:
        before = _decode.count_decoded_together()
        expected = fastimg.decode(data, **options)
        assert _decode.count_decoded_together() == before
        for threads in (None, *THREADS):
            jpegs.assert_same(fastimg.decode(data, num_threads=threads, **options), expected)
        assert _decode.count_decoded_together() >= before + len(THREADS)
    small = jpegs.jpeg()
    before = _decode.count_decoded_together()
    fastimg.decode(small, num_threads=4)
    assert _decode.count_decoded_together() == before


@pytest.mark.parametrize("options", [{}, {"size": 224}], ids=str)
@pytest.mark.parametrize("count", [1, 2, 5])
def test_load(large, options, count):
    data = (large * 3)[:count]
    expected = fastimg.load(data, num_threads=1, **options)
    for threads in THREADS:
        jpegs.assert_same(fastimg.load(data, num_threads=threads, **options), expected)
        jpegs.assert_same(fastimg.load(data, num_threads=threads, on_error="fill", **options), expected)


def test_threads_that_find_no_image_help(large):
    batch = _decode.Batch(SourceList(large), None, make_options(), None, False, True)
    shape = (2, *fastimg.decode(large[0]).shape)
    out = np.zeros(shape, np.uint8)
    batch.set_output(out, shape)
    group = _decode.ThreadGroup()
    team = _decode.Team(3, group, lambda: batch.run(0))
    batch.join(team)
    batch.run(1)
    assert team.started == 3
    group.stop(lambda: None)
    assert batch.finished and team.count == 2
    for image in out:
        jpegs.assert_same(image, out[0])


@pytest.mark.parametrize(("crop", "least", "most"), [(None, 20, 20), ((0, 0, 16, 64), 0, 2)])
def test_few_threads_for_few_rows(large, crop, least, most):
    """A window at the top needs few, though the file has parts enough for all."""
    batch = _decode.Batch(SourceList(large[:1]), None, make_options(), crop, False, True)
    shape = (1, *fastimg.decode(large[0], crop=crop).shape)
    batch.set_output(np.zeros(shape, np.uint8), shape)
    group = _decode.ThreadGroup()
    team = _decode.Team(20, group, lambda: batch.run(0))
    batch.join(team)
    batch.run(1)
    group.stop(lambda: None)
    assert team.count == 1 and least <= team.started <= most


def test_views(large):
    views = [{"size": 224}, {"size": 96, "crop": (10, 20, 1000, 900)}, {"center_crop": 300}]
    expected = fastimg.load(large, views=views, num_threads=1)
    for threads in THREADS:
        for found, wanted in zip(
            fastimg.load(large, views=views, num_threads=threads), expected, strict=True
        ):
            jpegs.assert_same(found, wanted)


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "2"], ids=repr)
def test_bad_numbers(wrong):
    with pytest.raises((TypeError, ValueError), match="num_threads must be"):
        fastimg.decode(jpegs.jpeg(), num_threads=wrong)


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="counts threads as Linux does")
@pytest.mark.parametrize("number", [np.int64(3), 65, 10**6, 2**31, 10**30], ids=str)
def test_large_numbers(large, number, monkeypatch):
    """No more threads than MAX_TOGETHER decode one image, and each takes memory."""
    most = []

    class Team(_decode.Team):
        def __init__(self, *args):
            most.append(self.most + 1)

    monkeypatch.setattr(_decode, "Team", Team)
    idle, highest = tasks(), []
    watching = threading.Event()

    def watch():
        while not watching.wait(0.001):
            highest.append(tasks())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        jpegs.assert_same(fastimg.decode(large[0], num_threads=number), fastimg.decode(large[0]))
        images = fastimg.load(large, num_threads=number)
    finally:
        watching.set()
        watcher.join()
    jpegs.assert_same(images, fastimg.load(large, num_threads=1))
    assert set(most) == {min(number, MAX_TOGETHER)}
    assert max(highest) <= idle + 1 + min(number, MAX_TOGETHER)


def test_one_in_workers(large):
    """Their siblings have the other CPUs."""
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("needs fork")
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        assert pool.apply(count_in_worker, (large[0],)) == 0


def count_in_worker(data):
    fastimg.decode(data, num_threads=None)
    return _decode.count_decoded_together()


def test_no_thread_stays(large):
    before = set(threading.enumerate())
    fastimg.decode(large[0], num_threads=8)
    assert set(threading.enumerate()) == before


def test_cancelling(large):
    """Threads in the middle of an image end with it."""
    data = large * 10
    batch = _decode.Batch(SourceList(data), None, make_options(), None, False, True)
    shape = (len(data), *fastimg.decode(large[0]).shape)
    out = np.broadcast_to(np.zeros(shape[1:], np.uint8), shape).copy()
    batch.set_output(out, shape)
    group = _decode.ThreadGroup()
    team = _decode.Team(3, group, lambda: batch.run(0))
    batch.join(team)
    team.start(4)
    while batch.done < 1:
        time.sleep(0.001)
    batch.cancel()
    began = time.perf_counter()
    group.stop(batch.cancel)
    assert time.perf_counter() - began < 1
    assert batch.finished and batch.done < len(data) and batch.failures() == []
