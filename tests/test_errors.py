# SPDX-License-Identifier: BSD-3-Clause
"""What is raised, what it says and carries, and that it survives the way to another process."""

import copy
import copyreg
import errno
import gc
import io
import multiprocessing
import os
import pathlib
import pickle
import re
import socket
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from support import jpegs
from support.jpegs import assert_same

import fastimg

NAMES = [
    "CorruptJpegError",
    "TruncatedJpegError",
    "UnsupportedJpegError",
    "JpegTooLargeError",
    "FileNotFoundError",
    "IsADirectoryError",
]


def kind_of(name):
    return getattr(fastimg, name, None) or getattr(__import__("builtins"), name)


def fail(function, *arguments, **options):
    with pytest.raises((fastimg.JpegError, OSError)) as caught:
        function(*arguments, **options)
    return caught.value


@pytest.fixture(params=NAMES)
def bad(request, bad_files):
    """(error class, path of a file that raises it)"""
    return kind_of(request.param), bad_files[request.param]


def test_the_tree_of_classes():
    assert fastimg.ImageError.__bases__ == (ValueError,)
    for kind in (fastimg.JpegError, fastimg.FallbackError, fastimg.ImageTooLargeError):
        assert kind.__bases__ == (fastimg.ImageError,)
    for name in NAMES[:3]:
        assert kind_of(name).__bases__ == (fastimg.JpegError,)
    assert fastimg.JpegTooLargeError.__bases__ == (fastimg.ImageTooLargeError, fastimg.JpegError)


@pytest.mark.parametrize(
    "name", [*NAMES[:4], "ImageError", "JpegError", "FallbackError", "ImageTooLargeError"]
)
def test_pickling_keeps_all_attributes(name):
    error = kind_of(name)("image 3: a.png: words", "a.png", 3)
    copied = pickle.loads(pickle.dumps(error))
    assert_equal_errors(copied, error)
    assert (copied.source, copied.index, str(copied)) == ("a.png", 3, "image 3: a.png: words")
    # How a DataLoader makes it anew in the parent.
    remade = kind_of(name)('words\nfastimg error: {"index": 3, "source": "a.png"}\nrest')
    assert (remade.source, remade.index, str(remade)) == ("a.png", 3, "words\nrest")


def test_from_decode(bad):
    kind, path = bad
    for source in (path, pathlib.Path(path)):
        error = fail(fastimg.decode, source)
        assert isinstance(error, kind)
        assert error.source == source and type(error.source) is type(source)
        assert error.index is None
        assert path in str(error)


def test_from_load(bad, batch):
    kind, path = bad
    for source in (path, pathlib.Path(path)):
        error = fail(fastimg.load, [*batch.paths[:7], source, *batch.paths], num_threads=2)
        assert isinstance(error, kind)
        assert error.source == source and type(error.source) is type(source)
        assert error.index == 7
        assert path in str(error)
        assert re.search(r"\b7\b", str(error).replace(path, ""))


@pytest.mark.parametrize("accessor", ["ImageFileAccessor", "NonUniformImageFileAccessor"])
def test_from_accessors(bad, batch, accessor):
    kind, path = bad
    images = getattr(fastimg, accessor)([*map(pathlib.Path, batch.paths[:7]), pathlib.Path(path)])
    # The index is the dataset's, not the position in the batch.
    for index in (7, np.int64(7), -1, [3, 7], np.array([7, 1]), slice(6, 8), [False] * 7 + [True]):
        error = fail(images.__getitem__, index)
        assert isinstance(error, kind)
        assert (error.source, error.index) == (path, 7)
        assert path in str(error)


def test_from_read_header(bad):
    kind, path = bad
    if issubclass(kind, OSError) or kind is fastimg.UnsupportedJpegError:
        error = fail(fastimg.read_header, path)
        assert isinstance(error, kind) and error.source == path and error.index is None
    else:
        assert fastimg.read_header(path).components in (1, 3)  # its head is whole


def test_bytes_are_named_by_their_length(bad_files):
    data = pathlib.Path(bad_files["TruncatedJpegError"]).read_bytes()
    for source in (data, bytearray(data), memoryview(data), np.frombuffer(data, np.uint8)):
        for error in (fail(fastimg.decode, source), fail(fastimg.load, [source])):
            assert isinstance(error.source, str) and len(error.source) < 80
            assert f"{len(data)} bytes" in error.source
            assert error.source in str(error)
    assert fail(fastimg.decode, data).source == f"<bytes, {len(data)} bytes>"


def test_file_range_is_named(bad_files):
    path = bad_files["CorruptJpegError"]
    source = fastimg.FileRange(path, 1, 300)
    error = fail(fastimg.decode, source)
    assert isinstance(error, fastimg.UnsupportedJpegError)  # it does not begin with SOI
    assert error.source == source and path in str(error)


def test_os_errors_have_errno_and_filename(bad_files):
    for name, number in (("FileNotFoundError", errno.ENOENT), ("IsADirectoryError", errno.EISDIR)):
        path = bad_files[name]
        for source in (path, pathlib.Path(path), fastimg.FileRange(path, 0, 9)):
            for error in (
                fail(fastimg.decode, source), fail(fastimg.load, [source]), fail(fastimg.read_header, source)
            ):  # fmt: skip
                assert error.errno == number
                assert os.fspath(error.filename) == path
                assert os.strerror(number) in str(error)


def assert_equal_errors(copied, error):
    assert type(copied) is type(error)
    assert str(copied) == str(error)
    assert repr(copied) == repr(error)
    assert (copied.source, copied.index) == (error.source, error.index)
    if isinstance(error, OSError):
        assert (copied.errno, copied.strerror) == (error.errno, error.strerror)
        assert copied.filename == error.filename


def test_pickling(bad, batch, monkeypatch):
    _, path = bad
    # dask has tblib pickle all exceptions, from then on, and of what the system's errors are it makes plain OSErrors.
    for kind in [FileNotFoundError, IsADirectoryError]:
        monkeypatch.delitem(copyreg.dispatch_table, kind, raising=False)
    for error in (
        fail(fastimg.decode, path),
        fail(fastimg.decode, pathlib.Path(path)),
        fail(fastimg.load, [batch.paths[0], path]),
        fail(fastimg.decode, fastimg.FileRange(path, 0, 2**20)),
        fail(fastimg.ImageFileAccessor([path]).__getitem__, 0),
    ):
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            assert_equal_errors(pickle.loads(pickle.dumps(error, protocol)), error)
        assert_equal_errors(copy.copy(error), error)
        assert_equal_errors(copy.deepcopy(error), error)


@pytest.mark.parametrize("method", sorted({"fork", "spawn"} & {*multiprocessing.get_all_start_methods()}))
def test_through_a_process_pool(bad_files, batch, method):
    # An exception that does not unpickle hangs the pool for ever: hence the time limit.
    paths = [bad_files[name] for name in NAMES]
    with multiprocessing.get_context(method).Pool(1) as pool:
        for name, path in zip(NAMES, paths, strict=True):
            with pytest.raises(kind_of(name)) as caught:
                pool.apply_async(fastimg.decode, (path,)).get(timeout=100)
            assert_equal_errors(caught.value, fail(fastimg.decode, path))
            with pytest.raises(kind_of(name)) as caught:
                pool.apply_async(fastimg.load, ([*batch.paths, path],)).get(timeout=100)
            assert (caught.value.source, caught.value.index) == (path, 37)


# ---- things that are no files ------------------------------------------------------------------

# In a process of its own: what blocks must be stopped from outside.
OPEN = """
import sys, fastimg
calls = {
    "decode": fastimg.decode,
    "read_header": fastimg.read_header,
    "load": lambda path: fastimg.load([path]),
    "accessor": lambda path: fastimg.ImageFileAccessor([path])[0],
}
for name, call in calls.items():
    try:
        call(sys.argv[1])
    except OSError as error:
        assert error.filename == sys.argv[1], error.filename
        print(name, error.errno)
"""


def errnos(path, env):
    done = subprocess.run(
        [sys.executable, "-c", OPEN, path], env=env, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == ""
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [name for name, _ in lines] == ["decode", "read_header", "load", "accessor"]
    return {int(number) for _, number in lines}


posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other files, and other numbers")


@posix
def test_fifo(tmp_path, child_env):
    os.mkfifo(tmp_path / "fifo")
    assert errnos(str(tmp_path / "fifo"), child_env) == {errno.EINVAL}


@posix
def test_socket(tmp_path, child_env, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's whole path may be too long for its address
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        listener.listen()
        assert errnos(str(tmp_path / "socket"), child_env) == {errno.EINVAL}


@posix
@pytest.mark.parametrize("device", ["/dev/null", "/dev/zero", "/dev/tty"])
def test_device(device, child_env):
    if not os.path.exists(device):
        pytest.skip(f"no {device}")
    allowed = {errno.EINVAL, errno.ENXIO} if device == "/dev/tty" else {errno.EINVAL}
    assert errnos(device, child_env) <= allowed  # without a terminal, /dev/tty cannot be opened


@posix
def test_symbolic_link_loop(tmp_path, child_env):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert errnos(str(tmp_path / "a"), child_env) == {errno.ELOOP}


@posix
def test_component_that_is_no_folder(batch, child_env):
    assert errnos(batch.paths[0] + "/x.jpg", child_env) == {errno.ENOTDIR}


@posix
def test_name_too_long(tmp_path, child_env):
    assert errnos(str(tmp_path / ("x" * 300)), child_env) == {errno.ENAMETOOLONG}


@posix
@pytest.mark.skipif(getattr(os, "geteuid", int)() == 0, reason="root may read everything")
def test_missing_permission(tmp_path):
    path = tmp_path / "secret.jpg"
    path.write_bytes(jpegs.jpeg())
    path.chmod(0)
    error = fail(fastimg.decode, str(path))
    assert isinstance(error, PermissionError)
    assert (error.errno, error.filename) == (errno.EACCES, str(path))


@posix
def test_files_are_closed(bad, batch):
    gc.collect()  # what other tests left
    before = len(os.listdir("/dev/fd"))
    for _ in range(50):
        fail(fastimg.decode, bad[1])
        fail(fastimg.load, [batch.paths[0], bad[1]], num_threads=2)
        fastimg.decode(batch.paths[0])
        fastimg.read_header(batch.paths[0])
    assert len(os.listdir("/dev/fd")) <= before


# ---- things that are no whole JPEG -------------------------------------------------------------


def png():
    file = io.BytesIO()
    Image.fromarray(jpegs.pixels(8, 8)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", fastimg.TruncatedJpegError),
        (b"\xff\xd8", fastimg.TruncatedJpegError),
        (b"\xff\xd8\xff", fastimg.TruncatedJpegError),
        (png(), fastimg.UnsupportedJpegError),
        (b"text\n" * 100, fastimg.UnsupportedJpegError),
        (bytes(1000), fastimg.UnsupportedJpegError),
        (b"\xff" * 1000, fastimg.UnsupportedJpegError),
        (b"\x00" + jpegs.jpeg(), fastimg.UnsupportedJpegError),
        (jpegs.truncated(jpegs.jpeg()), fastimg.TruncatedJpegError),
        (jpegs.truncated(jpegs.jpeg(progressive=True)), fastimg.TruncatedJpegError),
        (jpegs.bad_codes(), fastimg.CorruptJpegError),
        (jpegs.lost_sync(jpegs.restarts()), fastimg.CorruptJpegError),
        (jpegs.without(jpegs.jpeg(), 0xDB), fastimg.CorruptJpegError),
        (jpegs.reframed(jpegs.jpeg(), precision=12, marker=0xC1), fastimg.UnsupportedJpegError),
        (jpegs.reframed(jpegs.jpeg(), marker=0xC5), fastimg.UnsupportedJpegError),  # hierarchical
        (jpegs.reframed(jpegs.jpeg(), height=65500, width=65500), fastimg.JpegTooLargeError),
    ],
    ids=lambda value: getattr(value, "__name__", "data"),
)
@pytest.mark.usefixtures("silent")
def test_class(data, kind, tmp_path):
    path = tmp_path / "file.jpg"
    path.write_bytes(data)
    for source in (data, str(path)):
        assert type(fail(fastimg.decode, source)) is kind
        assert type(fail(fastimg.load, [source, source], num_threads=2)) is kind


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.usefixtures("silent")
def test_cut_at_every_byte(progressive):
    data = jpegs.jpeg(24, 31, progressive=progressive)
    whole, scan = jpegs.rgb_turbo(data), jpegs.scan_offset(data)
    decoded = 0
    for cut in range(len(data)):
        part = data[:cut]
        for strict in (True, False):
            try:
                image = fastimg.decode(part, strict=strict, layout="HWC")
            except fastimg.JpegError as error:
                # In the header the end of the file is all that is wrong with it.
                assert cut < 2 or isinstance(error, fastimg.TruncatedJpegError)
                # A later scan's header, cut, is fatal; a baseline file has none.
                assert strict or progressive or cut < scan
                continue
            decoded += 1
            assert cut >= scan
            # libjpeg-turbo 2.x and 3.x smooth what scans are missing from differently.
            if not progressive or jpegs.smooths_as_turbo():
                assert_same(image, jpegs.rgb_turbo(part))
            # Between two scans of a progressive file nothing tells that more were to come.
            if strict and not progressive:
                assert_same(image, whole)
        try:
            assert fastimg.read_header(part).shape == (3, 24, 31)
        except fastimg.JpegError:
            assert cut < scan
    assert decoded > 100


@pytest.mark.parametrize("kind", ["4:2:0", "progressive", "restarts", "4:0:0"])
@pytest.mark.usefixtures("silent")
def test_flipped_bits(kind):
    data = {
        "4:2:0": jpegs.jpeg(24, 31),
        "progressive": jpegs.jpeg(24, 31, progressive=True),
        "restarts": jpegs.restarts(24, 31),
        "4:0:0": jpegs.turbo(jpegs.pixels(24, 31, 1)),
    }[kind]
    rng = np.random.default_rng(0)
    for at in range(2, len(data)):
        broken = bytearray(data)
        broken[at] ^= 1 << int(rng.integers(8))
        strict = lenient = None
        try:
            lenient = [fastimg.decode(broken, strict=False, max_pixels=2**20) for _ in range(2)]
            assert_same(*lenient)  # no row that nobody wrote
        except fastimg.JpegError:
            pass
        try:
            strict = fastimg.decode(broken, max_pixels=2**20)
        except fastimg.JpegError:
            continue
        # What strict lets pass is what lenient gives: the option changes no pixels.
        assert_same(strict, lenient[0])


def test_unwritten_rows_of_a_lenient_decode_are_zero():
    # The scan ends in a restart interval that the file does not have: the output must not depend on
    # what was in the caller's array.
    for data in (jpegs.truncated(jpegs.jpeg(64, 64), 0.1), jpegs.truncated(jpegs.restarts(), 0.3)):
        results = []
        for fill in (0x00, 0x5A, 0xFF):
            out = np.full((3, *jpegs.size(data)), fill, np.uint8)
            results.append(fastimg.decode(data, out, strict=False).copy())
        assert_same(results[0], results[1])
        assert_same(results[0], results[2])
