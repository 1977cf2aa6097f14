# SPDX-License-Identifier: BSD-3-Clause
"""Servers on the loopback address: HTTP, and S3 as moto has it. Both count the requests that they have at once."""

import contextlib
import http.server
import threading
import time


class Gauge:
    """Counts requests, and how many are under way at once."""

    def __init__(self):
        self._lock = threading.Lock()
        self.reset()

    def reset(self):
        self.requests, self._now, self.most, self.delay = [], 0, 0, 0.0

    @contextlib.contextmanager
    def request(self, words):
        with self._lock:
            self.requests.append(words)
            self._now += 1
            self.most = max(self.most, self._now)
        try:
            time.sleep(self.delay)
            yield
        finally:
            with self._lock:
                self._now -= 1


class HttpServer(http.server.ThreadingHTTPServer):
    """A server of `files` (bytes, by path). The first part of a path says how they are served:

    /good: as they are, and a folder as a page of links; /cut: the connection closes half-way;
    /short: half of the data, with a Content-Length to match; /unsized: half of the data and no Content-Length;
    /denied: 403; /broken: 500; any other: 404.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = files
        self.gauge = Gauge()
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        with self.server.gauge.request(f"{self.command} {self.path}"):
            self._answer()

    do_HEAD = do_GET

    def _answer(self):
        manner, _, name = self.path.removeprefix("/").partition("?")[0].partition("/")
        data = self.server.files.get(name)
        if manner == "good" and (name.endswith("/") or not name):
            return self._send(200, self._index(name), kind="text/html")
        if manner == "good" and any(each.startswith(f"{name}/") for each in self.server.files):
            return self._send(301, b"", location=f"{self.path}/")
        if manner in ("denied", "broken"):
            return self._send({"denied": 403, "broken": 500}[manner], b"no")
        if data is None or manner not in ("good", "cut", "short", "unsized"):
            return self._send(404, b"not here")
        size = {"good": len(data), "cut": len(data), "short": len(data) // 2, "unsized": None}[manner]
        sent = data if manner == "good" else data[: len(data) // 2]
        return self._send(200, sent, size, kind="image/jpeg")

    def _index(self, folder):
        below = {name[len(folder) :].partition("/") for name in self.server.files if name.startswith(folder)}
        return "".join(f'<a href="{head}{slash}">x</a>\n' for head, slash, _ in below).encode()

    def _send(self, status, data, size=-1, kind="text/plain", location=None):
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Type", kind)
        size = len(data) if size == -1 else size
        if size is not None:
            self.send_header("Content-Length", str(size))
        if size != len(data):
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def serve(server):
    """Run a server in a thread of its own until the block ends."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def serve_s3():
    """moto's S3, with a gauge and a url; its credentials are any."""
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    application = DomainDispatcherApplication(create_backend_app)
    gauge = Gauge()

    def measured(environ, start_response):
        with gauge.request(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"):
            return application(environ, start_response)

    class Quiet(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def log(self, *args):
            pass

    with serve(make_server("127.0.0.1", 0, measured, threaded=True, request_handler=Quiet)) as server:
        server.gauge = gauge
        server.url = f"http://127.0.0.1:{server.server_port}"
        yield server
