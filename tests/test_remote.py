# SPDX-License-Identifier: BSD-3-Clause
"""Images that fsspec opens: what is listed, in which order, under which names; pickles, threads, errors."""

import errno
import multiprocessing
import pickle
import subprocess
import sys
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import numpy as np
import pytest

import fastimg
from fastimg.remote import is_url, open_urls

fsspec = pytest.importorskip("fsspec")

# In the order of find_images: by the parts of a path, so that a folder stays together.
IMAGES = ("a/z.jpg", "a/deep/1.JPEG", "a b.jpg", "b/2.jpg", "c.jfif", "é.jpg")
OTHERS = ("a/.hidden.jpg", ".git/x.jpg", "__MACOSX/a.jpg", "notes.txt", "x.png", "a/y.jpg_large")


def read_all(sources, threads=16):
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(sources.read, range(len(sources))))


def names(sources):
    return [sources.name(i) for i in range(len(sources))]


@pytest.fixture
def folder(tmp_path):
    """A folder of files that hold their own names."""
    for name in (*IMAGES, *OTHERS):
        path = tmp_path / "train" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path / "train"


@pytest.fixture
def memory():
    """The same files in fsspec's file system in memory, which all of this process share."""
    fs = fsspec.filesystem("memory")
    fs.pipe({f"/train/{name}": name.encode() for name in (*IMAGES, *OTHERS)})
    yield fs
    fs.rm("/", recursive=True)


# ---- listing -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("", sorted(IMAGES, key=lambda name: name.split("/"))),
        ("/", sorted(IMAGES, key=lambda name: name.split("/"))),
        ("/**", sorted(IMAGES, key=lambda name: name.split("/"))),
        ("/**/*.jpg", ["a/z.jpg", "a b.jpg", "b/2.jpg", "é.jpg"]),
        ("/*.jpg", ["a b.jpg", "é.jpg"]),
        ("/[bc]*/*", ["b/2.jpg"]),
        ("/a/deep/1.JPEG", ["a/deep/1.JPEG"]),
        ("/a/.hidden.jpg", ["a/.hidden.jpg"]),
    ],
)
def test_listing(memory, pattern, expected):
    sources = fastimg.open_sources(f"memory://train{pattern}")
    assert [name.removeprefix("memory://train/") for name in names(sources)] == expected
    assert read_all(sources) == [name.encode() for name in expected]
    assert [sources.nbytes(i) for i in range(len(sources))] == [len(name.encode()) for name in expected]


def test_listing_is_ordered_as_by_find_images(folder):
    found = fastimg.find_images(folder)
    assert names(fastimg.open_sources(f"file://{folder}")) == [f"file://{path}" for path in found]
    assert names(fastimg.open_sources(folder)) == found


def test_relative_path(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert names(fastimg.open_sources("train/*/*.jpg")) == [
        f"{folder}/{name}" for name in ("a/z.jpg", "b/2.jpg")
    ]


def test_hidden_folder_that_is_asked_for(memory):
    assert len(fastimg.open_sources("memory://train/.git")) == 1


def test_extensions(memory):
    assert len(fastimg.open_sources("memory://train", extensions=[".jpg_LARGE"])) == 1
    assert len(fastimg.open_sources("memory://train/**", extensions=[""])) == len(IMAGES) + 3
    for wrong in (".jpg", (), [5]):
        with pytest.raises(TypeError, match="extensions must be several str"):
            fastimg.open_sources("memory://train", extensions=wrong)


def test_listing_is_not_an_old_one(memory):
    fastimg.open_sources("memory://train")
    memory.pipe("/train/new.jpg", b"new")
    assert "memory://train/new.jpg" in names(fastimg.open_sources("memory://train"))


@pytest.mark.parametrize("url", ["memory://train/*.webp", "memory://train/a/*.jpg_large", "memory://nothing"])
def test_nothing_found(memory, url):
    with pytest.raises(FileNotFoundError) as caught:
        fastimg.open_sources(url)
    assert caught.value.filename == url


def test_wrong_arguments(memory):
    with pytest.raises(TypeError, match="found bytes"):
        fastimg.open_sources([b"memory://train/c.jfif"])
    with pytest.raises(ValueError, match="nosuch"):
        fastimg.open_sources("nosuch://a/*.jpg")
    with pytest.raises(ValueError, match="null character"):
        fastimg.open_sources(["memory://a\0b.jpg", "memory://a"])


def test_url_list(memory, folder):
    urls = [
        "memory://train/c.jfif",
        f"file://{folder}/b/2.jpg",
        str(folder / "a/z.jpg"),
        "memory://train/no.jpg",
    ]
    sources = fastimg.open_sources(iter(urls))
    assert names(sources) == urls
    assert [sources.read(i) for i in range(3)] == [b"c.jfif", b"b/2.jpg", b"a/z.jpg"]
    assert [sources.nbytes(i) for i in range(4)] == [-1] * 4
    with pytest.raises(FileNotFoundError) as caught:
        sources.read(3)
    assert caught.value.filename == urls[3]
    assert len(fastimg.open_sources([])) == 0


# ---- chains --------------------------------------------------------------------------------------


@pytest.fixture
def archive(folder):
    path = folder.parent / "train.zip"
    with zipfile.ZipFile(path, "w") as file:
        for name in (*IMAGES, *OTHERS):
            file.write(folder / name, f"in/{name}")
    return path


def test_archive(archive):
    sources = fastimg.open_sources(f"zip://in/**/*.jpg::file://{archive}")
    expected = ["a/z.jpg", "a b.jpg", "b/2.jpg", "é.jpg"]
    assert names(sources) == [f"zip://in/{name}::file://{archive}" for name in expected]
    assert sources.thread_safe is False
    assert [sources.read(i) for i in range(4)] == [name.encode() for name in expected]
    again = pickle.loads(pickle.dumps(sources))
    assert again.thread_safe is False and again.read(2) == b"b/2.jpg"
    assert [open_urls([name]).read(0) for name in names(sources)] == [name.encode() for name in expected]


def test_cache(memory, tmp_path):
    options = {"cache_storage": str(tmp_path)}
    sources = fastimg.open_sources("simplecache::memory://train/*.jpg", storage_options=options)
    assert names(sources) == ["simplecache::memory://train/a b.jpg", "simplecache::memory://train/é.jpg"]
    assert read_all(sources) == [b"a b.jpg", "é.jpg".encode()]
    memory.rm("/train", recursive=True)
    assert read_all(sources) == [b"a b.jpg", "é.jpg".encode()]
    with pytest.raises(FileNotFoundError):
        memory.cat_file("/train/a b.jpg")


# ---- threads and processes -----------------------------------------------------------------------


class Crowd(fsspec.AbstractFileSystem):
    """A file system that is not made for threads: it says so if two use one instance."""

    protocol = "crowd"
    made: ClassVar[list] = []

    def __init__(self, **options):
        super().__init__(**options)
        self.busy = threading.Lock()
        Crowd.made.append(self)

    @classmethod
    def _strip_protocol(cls, path):
        return "/" + path.removeprefix("crowd://").partition("/")[2]

    def cat_file(self, path, **kwargs):
        assert self.busy.acquire(blocking=False), "two threads in one file system"
        time.sleep(0.01)
        self.busy.release()
        if "lost" in path:
            raise ConnectionResetError(errno.ECONNRESET, "gone")
        return path.encode()


@pytest.fixture
def crowd(monkeypatch):
    fsspec.register_implementation("crowd", Crowd, clobber=True)
    monkeypatch.setattr(Crowd, "made", [])
    Crowd.clear_instance_cache()


@pytest.mark.usefixtures("crowd")
def test_each_thread_has_a_file_system_of_its_own():
    sources = open_urls([f"crowd://host/{i}.jpg" for i in range(100)])
    assert sources.thread_safe
    for _ in range(2):
        assert read_all(sources, 8) == [f"/{i}.jpg".encode() for i in range(100)]
    assert 2 <= len(Crowd.made) <= 8


@pytest.mark.usefixtures("crowd")
def test_password_is_not_in_the_name():
    pytest.importorskip("aiohttp")
    sources = open_urls(["crowd://me:secret@host/a.jpg", "crowd://host/b.jpg", "http://me:secret@host/c.jpg"])
    shown = ["crowd://me:***@host/a.jpg", "crowd://host/b.jpg", "http://me:***@host/c.jpg"]
    assert names(sources) == shown
    assert sources.read(0) == b"/a.jpg"
    with pytest.raises(ConnectionResetError) as caught:
        open_urls(["crowd://me:secret@host/lost.jpg"]).read(0)
    assert "secret" not in str(caught.value)


@pytest.mark.usefixtures("crowd")
def test_a_lost_connection_is_not_used_again():
    sources = open_urls(["crowd://host/lost.jpg", "crowd://host/1.jpg"])
    with pytest.raises(ConnectionResetError):
        sources.read(0)
    before = len(Crowd.made)
    assert sources.read(1) == b"/1.jpg"
    assert len(Crowd.made) == before + 1


def _read_in_child(listed, connection):
    connection.send([[sources.read(i) for i in range(len(sources))] for sources in listed])


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes(folder, archive, method):
    context = multiprocessing.get_context(method)
    urls = f"file://{folder}/*.jpg", f"zip://in/*.jpg::file://{archive}"
    listed = [fastimg.open_sources(url) for url in urls]
    assert all(sources.read(0) == b"a b.jpg" for sources in listed)
    mine, theirs = context.Pipe()
    child = context.Process(target=_read_in_child, args=(listed, theirs))
    child.start()
    theirs.close()
    assert mine.poll(60)
    assert mine.recv() == [[b"a b.jpg", "é.jpg".encode()]] * 2
    child.join(60)
    assert child.exitcode == 0


def test_pickle_is_small(memory):
    sources = open_urls([f"memory://train/class-{i % 10}/image-{i:06d}.jpg" for i in range(10_000)])
    pickled = pickle.dumps(sources)
    assert len(pickled) < 10_000 * len("0/image-000000.jpg ") + 1000
    again = pickle.loads(pickled)
    assert names(again) == names(sources)


# ---- errors --------------------------------------------------------------------------------------


def test_a_file_that_is_not_what_was_listed(memory):
    sources = fastimg.open_sources("memory://train/*.jpg")
    for data in (b"", b"short", b"longer than its own name is"):
        memory.pipe("/train/a b.jpg", data)
        with pytest.raises(OSError, match=f"expected 7 bytes, as listed, found {len(data)}") as caught:
            sources.read(0)
        assert caught.value.filename == "memory://train/a b.jpg"
    memory.rm("/train/a b.jpg")
    with pytest.raises(FileNotFoundError):
        sources.read(0)


class OddError(Exception):
    """An error that cannot be pickled, as those of HTTP clients."""

    def __reduce__(self):
        raise TypeError("not to be pickled")


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize(
    ("error", "number", "words"),
    [
        (OddError("odd"), errno.EIO, "OddError: odd"),
        (FileNotFoundError("train/x"), errno.ENOENT, "No such file"),
        (TimeoutError(), errno.ETIMEDOUT, "timed out"),
        (PermissionError("no"), errno.EACCES, "denied"),
        (OSError(errno.EMFILE, "too many"), errno.EMFILE, "Too many open files"),
        (OSError(-2, "no such host"), errno.EIO, "no such host"),
        (KeyError("x"), errno.EIO, "KeyError"),
    ],
)
def test_errors_pickle_and_name_the_url(monkeypatch, error, number, words):
    sources = fastimg.open_sources("memory://train/*.jpg")
    again = pickle.loads(pickle.dumps(sources))

    def fail(self, path, **kwargs):
        raise error

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "cat_file", fail)
    for each in (sources, again):
        with pytest.raises(OSError, match=words) as caught:
            each.read(1)
        assert caught.value.errno == number and caught.value.filename == "memory://train/é.jpg"
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
        # Some libraries pickle what an error comes from, too.
        assert caught.value.__cause__ is caught.value.__context__ is None


def test_lack_of_memory_stays_that(memory, monkeypatch):
    sources = fastimg.open_sources("memory://train/*.jpg")
    monkeypatch.setattr(type(memory), "cat_file", lambda self, path: bytes(2**62))
    with pytest.raises(MemoryError):
        sources.read(0)


def test_without_fsspec(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    for call in (fastimg.open_sources, lambda url: open_urls([url])):
        with pytest.raises(ModuleNotFoundError, match=r"pip install 'fastimg\[fsspec\]'"):
            call("memory://train/c.jfif")


# ---- URLs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://bucket/a.jpg", True),
        ("https://host/a.jpg?b=c", True),
        ("memory://a.jpg", True),
        ("abfs+x://a", True),
        ("zip://a.jpg::s3://b/c.zip", True),
        ("simplecache::s3://b/c.jpg", True),
        ("a.jpg", False),
        ("/a/b.jpg", False),
        ("C://a.jpg", False),
        ("./s3://bucket/a.jpg", False),
        ("/a://b.jpg", False),
        ("a::b.jpg", False),
        ("s3:/bucket/a.jpg", False),
        ("", False),
    ],
)
def test_is_url(text, expected):
    assert is_url(text) is expected


def test_import_of_fastimg_does_not_import_fsspec(child_env):
    code = "import sys, fastimg; sys.exit('fsspec' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=child_env, timeout=60).returncode == 0


@pytest.mark.usefixtures("memory")
def test_pixels(batch):
    fsspec.filesystem("memory").pipe({f"/batch/{i:02d}.jpg": data for i, data in enumerate(batch.data)})
    sources = fastimg.open_sources("memory://batch")
    np.testing.assert_array_equal(fastimg.load(sources), fastimg.load(batch.paths))
    assert fastimg.read_headers(sources) == fastimg.read_headers(batch.paths)
