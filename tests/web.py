"""A web server on loopback that answers ranges, with the troubles that real ones have."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit


@dataclass
class Site:
    """A folder on the web; its fields may change while it is served."""

    folder: Path
    delay: float = 0.0
    """Seconds before each answer."""
    token: str | None = None
    """What `?sig=` must be; 403 otherwise."""
    failing: int = 0
    """Requests to come that are answered with 503."""
    dead: bool = False
    """Connections are cut without an answer."""
    happens: Callable[[Site], None] | None = None
    """Called at every request, with the lock held: what goes wrong in the midst of an epoch."""
    url: str = ""
    asked: list[str] = field(default_factory=list)
    most: int = 0
    """Requests that were in flight at once."""
    now: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fails(self) -> bool:
        with self.lock:
            self.failing -= self.failing > 0
            return self.failing > 0


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is no news."""


class Handler(BaseHTTPRequestHandler):
    site: Site
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else the last bytes of an answer wait for the client

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        site = self.site
        with site.lock:
            site.now += 1
            site.most = max(site.most, site.now)
            site.asked.append(self.path)
            if site.happens:
                site.happens(site)
        time.sleep(site.delay)
        if site.dead:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        else:
            self.answer()
        with site.lock:
            site.now -= 1

    def answer(self) -> None:
        url = urlsplit(self.path)
        site = self.site
        path = site.folder / url.path.lstrip("/")
        if site.token is not None and parse_qs(url.query).get("sig") != [site.token]:
            return self.say(403)
        if site.fails():
            return self.say(503)
        if not path.is_file():
            return self.say(404)
        size = path.stat().st_size
        wanted = self.headers.get("Range")
        if wanted is None:
            return self.say(200, path, slice(0, size))
        first, last = wanted.removeprefix("bytes=").split("-")
        start, stop = int(first or 0), min(int(last or size) + 1, size)
        if start >= size:
            return self.say(416)
        return self.say(206, path, slice(start, stop), f"bytes {start}-{stop - 1}/{size}")

    def say(self, status: int, path: Path | None = None, part: slice = slice(0, 0), span: str | None = None) -> None:
        """Answer with a part of a file, which the system sends by itself: this server must not be what is measured."""
        self.send_response(status)
        self.send_header("Content-Length", str(part.stop - part.start))
        self.send_header("Accept-Ranges", "bytes")
        if span:
            self.send_header("Content-Range", span)
        self.end_headers()
        if path is not None and part.stop > part.start and self.command != "HEAD":
            with path.open("rb") as file:
                self.connection.sendfile(file, part.start, part.stop - part.start)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextmanager
def served(folder: Path, port: int = 0) -> Iterator[Site]:
    site = Site(folder)

    bound = type("Bound", (Handler,), {"site": site})
    server = Server(("127.0.0.1", port), bound)
    site.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
