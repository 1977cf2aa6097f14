# SPDX-License-Identifier: BSD-3-Clause
"""Images from an HTTP server and from S3 (moto's), both on the loopback address."""

import gc
import multiprocessing
import os
import pickle
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from support import jpegs, servers

import fastimg
from fastimg.remote import open_urls

pytest.importorskip("fsspec")

N = 1000
# moto takes 10 ms of a CPU for each request.
N_S3 = N if os.environ.get("FASTIMG_EXTENDED") else 100
THREADS = 64


def read_all(sources, threads=THREADS):
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(sources.read, range(len(sources))))


@pytest.fixture(scope="module")
def files():
    """N images, of which 50 differ, in two folders."""
    different = [jpegs.jpeg(64, 64, seed=i, quality=75) for i in range(50)]
    return {f"{('cat', 'dog')[i % 2]}/{i:04d}.jpg": different[i % 50] for i in range(N)}


@pytest.fixture(scope="module")
def http_server(files):
    pytest.importorskip("aiohttp")
    with servers.serve(servers.HttpServer(files)) as server:
        yield server


@pytest.fixture
def http(http_server):
    http_server.gauge.reset()
    return http_server


@pytest.fixture(scope="module")
def s3_server(files):
    for package in ("s3fs", "moto", "flask_cors"):
        pytest.importorskip(package)
    import s3fs

    with pytest.MonkeyPatch.context() as patch, servers.serve_s3() as server:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "any")
        patch.setenv("AWS_ENDPOINT_URL", server.url)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        fs = s3fs.S3FileSystem()
        fs.mkdir("photos")
        fs.pipe({f"photos/{name}": data for name, data in list(files.items())[:N_S3]})
        yield server


@pytest.fixture
def s3(s3_server):
    s3_server.gauge.reset()
    return s3_server


def check(sources, files, gauge):
    """All images are the local ones, with one request each, many at once."""
    expected = sorted(list(files)[: len(sources)], key=lambda name: name.split("/"))
    assert [sources.name(i)[-len(name) :] for i, name in enumerate(expected)] == expected
    gauge.reset()
    gauge.delay = 0.02
    images = fastimg.load(sources, size=64)
    assert len(gauge.requests) == len(set(gauge.requests)) == len(sources)
    assert gauge.most >= 12  # of up to 64: the server's own threads share the CPUs with them
    np.testing.assert_array_equal(images, fastimg.load([files[name] for name in expected], size=64))


# ---- HTTP ----------------------------------------------------------------------------------------


def test_http(http, files):
    check(fastimg.open_sources(f"{http.url}/good/**/*.jpg"), files, http.gauge)


def test_http_folder(http):
    sources = fastimg.open_sources(f"{http.url}/good/cat/")
    assert len(sources) == N // 2 and sources.nbytes(0) == -1
    assert sources.name(1) == f"{http.url}/good/cat/0002.jpg"


def test_http_url_with_a_query(http, files):
    url = f"{http.url}/good/cat/0002.jpg?key=[a]&b=c::d"
    sources = open_urls([url.partition("::")[0]])
    assert sources.read(0) == files["cat/0002.jpg"]
    assert fastimg.open_sources(f"{http.url}/good/cat/0002.jpg?key=a").read(0) == files["cat/0002.jpg"]


@pytest.mark.parametrize(
    ("manner", "cls", "words"),
    [
        ("missing", FileNotFoundError, "No such file"),
        ("denied", PermissionError, "denied"),
        ("broken", OSError, "500"),
        ("cut", OSError, "not completed"),
    ],
)
def test_http_errors(http, manner, cls, words):
    url = f"{http.url}/{manner}/cat/0000.jpg"
    with pytest.raises(cls, match=words) as caught:
        open_urls([url]).read(0)
    assert caught.value.filename == url
    assert type(pickle.loads(pickle.dumps(caught.value))) is type(caught.value)


@pytest.mark.parametrize("manner", ["short", "unsized"])
def test_http_data_that_ends_early(http, manner):
    """The protocol does not tell, but the JPEG does."""
    url = f"{http.url}/{manner}/cat/0000.jpg"
    with pytest.raises(fastimg.TruncatedJpegError) as caught:
        fastimg.load(open_urls([f"{http.url}/good/cat/0000.jpg", url]), size=64)
    assert caught.value.index == 1 and caught.value.source == url and url in str(caught.value)


def test_an_error_is_that_images_own(http, files):
    urls = [f"{http.url}/{manner}/cat/0000.jpg" for manner in ("good", "cut", "missing", "good", "short")]
    failures = []
    images, mask = fastimg.load(open_urls(urls), size=64, on_error=failures.append, return_mask=True)
    assert mask.tolist() == [True, False, False, True, False]
    assert [failure.index for failure in failures] == [1, 2, 4]
    assert [failure.source for failure in failures] == [urls[1], urls[2], urls[4]]
    np.testing.assert_array_equal(images[3], fastimg.decode(files["cat/0000.jpg"], size=64))


def test_http_server_that_is_not_there(http):
    port = 1  # which no one but root may serve
    with pytest.raises(ConnectionError):
        open_urls([f"http://127.0.0.1:{port}/a.jpg"]).read(0)


# ---- S3 ------------------------------------------------------------------------------------------


def test_s3(s3, files):
    sources = fastimg.open_sources("s3://photos/**/*.jpg")
    assert len(sources) == N_S3
    assert [r for r in s3.gauge.requests if not r.startswith("GET /photos")] == []  # nothing but listings
    check(sources, files, s3.gauge)
    first = sources.name(0).removeprefix("s3://photos/")
    assert sources.nbytes(0) == len(files[first])


def test_s3_urls_are_read_with_one_request(s3, files):
    urls = [f"s3://photos/{name}" for name in list(files)[:3]]
    sources = open_urls(urls)
    assert s3.gauge.requests == []
    assert [sources.read(i) for i in range(3)] == [files[name] for name in list(files)[:3]]
    assert s3.gauge.requests == [f"GET /photos/{name}" for name in list(files)[:3]]


def test_s3_options(s3, files):
    options = {"key": "a", "secret": "b", "endpoint_url": s3.url, "config_kwargs": {"read_timeout": 7}}
    sources = fastimg.open_sources("s3://photos/cat", storage_options=options)
    again = pickle.loads(pickle.dumps(sources))
    assert sources.read(0) == again.read(0) == files["cat/0000.jpg"]
    assert options["config_kwargs"] == {"read_timeout": 7}


def test_s3_chain(s3, files, tmp_path):
    options = {"cache_storage": str(tmp_path), "s3": {"endpoint_url": s3.url}}
    sources = fastimg.open_sources("simplecache::s3://photos/dog/*1.jpg", storage_options=options)
    for _ in range(2):
        assert read_all(sources, 4) == [files[sources.name(i)[-12:]] for i in range(len(sources))]
    assert sum(request.endswith("0001.jpg") for request in s3.gauge.requests if "GET" in request) == 1


def test_s3_errors(s3):
    for url in ("s3://photos/no.jpg", "s3://nobucket/a.jpg"):
        with pytest.raises(FileNotFoundError) as caught:
            open_urls([url]).read(0)
        assert caught.value.filename == url
        with pytest.raises(FileNotFoundError):
            fastimg.open_sources(url)


def _read_in_child(sources, connection):
    inherited = (
        weakref.ref(sources._groups[0].system._opened.fs) if sources._groups[0].system._opened else None
    )
    data = read_all(sources, 8)
    sources = pickle.loads(pickle.dumps(sources))
    gc.collect()
    # To close a client of the parent's takes a second of waiting for an event loop that has no thread here.
    connection.send((data, sources.read(0), inherited is None or inherited() is not None))


@pytest.mark.parametrize(("server", "method"), [("http", "fork"), ("http", "spawn"), ("s3", "fork")])
def test_other_processes(request, server, method, files):
    url = {"http": f"{request.getfixturevalue(server).url}/good/", "s3": "s3://photos/"}[server]
    names = [name for name in files if name.startswith("cat/")][:4]
    sources = open_urls([url + name for name in names])
    assert sources.read(0) == files[names[0]]
    context = multiprocessing.get_context(method)
    mine, theirs = context.Pipe()
    child = context.Process(target=_read_in_child, args=(sources, theirs))
    child.start()
    theirs.close()
    assert mine.poll(60)
    data, first, kept = mine.recv()
    child.join(60)
    assert data == [files[name] for name in names] and first == data[0] and kept
    assert child.exitcode == 0
    assert sources.read(1) == data[1]  # the child closed nothing of its parent's


def test_accessor(http, files):
    accessor = fastimg.ImageFileAccessor(fastimg.open_sources(f"{http.url}/good/dog/"), size=32)
    http.gauge.reset()
    batch = accessor[[3, 1]]
    assert sorted(http.gauge.requests) == [f"GET /good/dog/000{i}.jpg" for i in (3, 7)]
    expected = fastimg.load([files["dog/0007.jpg"], files["dog/0003.jpg"]], size=32)
    np.testing.assert_array_equal(batch, expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(accessor))[[3, 1]], expected)
