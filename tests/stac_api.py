"""A STAC API on loopback for the tests: as well or as badly behaved as they need. Serves files with ranges, too."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

CONFORMS = [
    "https://api.stacspec.org/v1.0.0/core",
    "https://api.stacspec.org/v1.0.0/item-search",
    "https://api.stacspec.org/v1.0.0/ogcapi-features",
]
FILTER = [
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/filter",
    "https://api.stacspec.org/v1.0.0-rc.2/item-search#filter",
]


@dataclass
class Api:
    """What the server answers."""

    items: list[dict[str, Any]] = field(default_factory=list)
    page: int = 100
    matched: int | None = None
    files: Path | None = None
    conforms: list[str] = field(default_factory=lambda: list(CONFORMS))
    fail: list[int] = field(default_factory=list)
    """Statuses of the next answers to a search, before it works."""
    forever: int | None = None
    """A status that every search gets."""
    delay: float = 0.0
    """Seconds before a search is answered."""
    repeat: str = ""
    """`next`: every page names the same next one; `items`: new next links, old Items."""
    empty_first: int = 0
    """Pages without Items, each with a next one, before the others."""
    methods: tuple[str, ...] = ("POST", "GET")
    asked: list[dict[str, Any]] = field(default_factory=list)
    """The bodies of the searches, in order."""
    url: str = ""

    def landing(self) -> dict[str, Any]:
        link = {"type": "application/geo+json", "href": f"{self.url}/search", "rel": "search"}
        return {
            "type": "Catalog", "stac_version": "1.0.0", "id": "api", "description": "test", "conformsTo": self.conforms,
            "links": [
                {"rel": "self", "href": self.url, "type": "application/json"},
                {"rel": "root", "href": self.url, "type": "application/json"},
                {**link, "method": "GET"}, {**link, "method": "POST"},
                {"rel": "data", "href": f"{self.url}/collections", "type": "application/json"},
            ],
        }  # fmt: skip

    def collection(self, name: str) -> dict[str, Any]:
        return {
            "type": "Collection", "stac_version": "1.0.0", "id": name, "title": "Title of the API",
            "license": "CC-BY-4.0", "description": "d", "providers": [{"name": "P", "roles": ["host"]}],
            "extent": {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [[None, None]]}},
            "links": [
                {"rel": "self", "href": f"{self.url}/collections/{name}"},
                {"rel": "license", "href": "https://example.com/license"},
                {"rel": "items", "href": f"{self.url}/collections/{name}/items"},
            ],
        }  # fmt: skip

    def search(self, body: dict[str, Any]) -> dict[str, Any]:
        empty = int(body.get("empty", 0))
        if empty < self.empty_first:
            link = {"rel": "next", "href": f"{self.url}/search", "method": "POST", "body": {**body, "empty": empty + 1}}
            return {"type": "FeatureCollection", "features": [], "links": [link]}
        start = int(body.get("token", 0))
        limit = min(int(body.get("limit", self.page)), self.page)
        shown = 0 if self.repeat == "items" else start
        features = self.items[shown : shown + limit]
        page: dict[str, Any] = {"type": "FeatureCollection", "features": features, "links": []}
        if self.matched is not None:
            page["numberMatched"] = self.matched
        if start + limit < len(self.items) or self.repeat:
            token = limit if self.repeat == "next" else start + limit
            page["links"] = [
                {"rel": "next", "href": f"{self.url}/search", "method": "POST", "body": {**body, "token": token}}
            ]
        return page


class Server(ThreadingHTTPServer):
    daemon_threads = True
    api: Api

    def handle_error(self, *_: object) -> None:
        """A client that lost patience is no news."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, status: int, body: bytes, kind: str = "application/json", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def json(self, document: dict[str, Any], status: int = 200) -> None:
        self.answer(status, json.dumps(document).encode())

    def search(self, body: dict[str, Any]) -> None:
        self.server.api.asked.append(body)
        time.sleep(self.server.api.delay)
        if self.command not in self.server.api.methods:
            self.json({"description": "not allowed"}, 405)
        elif self.server.api.forever or self.server.api.fail:
            self.json({"description": "sorry"}, self.server.api.forever or self.server.api.fail.pop(0))
        else:
            self.json(self.server.api.search(body))

    def do_POST(self) -> None:
        self.search(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if path == "/":
            self.json(self.server.api.landing())
        elif path == "/search":
            self.search(dict(part.split("=", 1) for part in query.split("&") if part))
        elif found := re.fullmatch(r"/collections/([^/]+)", path):
            self.json(self.server.api.collection(found.group(1)))
        else:
            self.file(path)

    do_HEAD = do_GET  # noqa: N815 - named by http.server

    def file(self, path: str) -> None:
        file = None if self.server.api.files is None else self.server.api.files / path.removeprefix("/files/")
        if file is None or not file.is_file():
            self.json({"description": "not found"}, 404)
            return
        data = file.read_bytes()
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if wanted is None:
            self.answer(200, data, "image/tiff", Accept_Ranges="bytes")
            return
        first, last = int(wanted.group(1)), int(wanted.group(2) or len(data) - 1)
        part = data[first : last + 1]
        span = f"bytes {first}-{first + len(part) - 1}/{len(data)}"
        self.answer(206, part, "image/tiff", Accept_Ranges="bytes", Content_Range=span)


@contextmanager
def serving(api: Api) -> Iterator[Api]:
    """The API on a free port of loopback; its `url` is set."""
    server = Server(("127.0.0.1", 0), Handler)
    server.api = api
    api.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def item(name: str, url: str, **assets: str) -> dict[str, Any]:
    """A small Item of collection `c` over Joplin."""
    ring = [[-94.5, 37.06], [-94.48, 37.06], [-94.48, 37.08], [-94.5, 37.08], [-94.5, 37.06]]
    cog = "image/tiff; application=geotiff; profile=cloud-optimized"
    return {
        "type": "Feature", "stac_version": "1.0.0", "stac_extensions": [], "id": name, "collection": "c",
        "geometry": {"type": "Polygon", "coordinates": [ring]}, "bbox": [-94.5, 37.06, -94.48, 37.08],
        "properties": {"datetime": "2011-05-24T00:00:00Z", "eo:cloud_cover": 5},
        "links": [{"rel": "self", "href": f"{url}/collections/c/items/{name}"}],
        "assets": {key: {"href": href, "type": cog, "roles": ["data"]} for key, href in assets.items()},
    }  # fmt: skip
