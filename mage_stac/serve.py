"""A catalogue over HTTP: its files with byte ranges and CORS, STAC Browser in front of them, titiler's tiles beside."""

from __future__ import annotations

import json
import mimetypes
import os
import socket
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mage_stac import catalogue
from mage_stac.errors import CatalogueError, ServeError

OWN = ("browser", "tiles")
"""First parts of the addresses that are not the catalogue's."""

OPENSTREETMAP = "https://tile.openstreetmap.org/{z}/{x}/{y}.png"
ATTRIBUTION = '&copy; <a href="https://www.openstreetmap.org/copyright" target="_blank">OpenStreetMap</a> contributors'

SEE_THROUGH = """(type, options) => {
  for (const source of options.sources || []) {
    if (source.nodata === undefined) source.nodata = 0;
  }
  return options;
}"""
"""JavaScript: around a COG without nodata the map shows what is behind it; without this, black to its tiles' edges."""

EXPOSED = ("Accept-Ranges", "Content-Length", "Content-Range", "ETag", "Last-Modified")
"""Headers that scripts of other origins may read; a COG cannot be read by ranges without them."""

MEDIA_TYPES = {
    ".tif": "image/tiff; application=geotiff; profile=cloud-optimized",
    ".json": "application/json",
    ".geojson": "application/geo+json",
    ".parquet": "application/vnd.apache.parquet",
    ".gpkg": "application/geopackage+sqlite3",
    ".qml": "application/xml",
    ".js": "text/javascript",
}
"""By a file's ending; for all others the standard library's."""


def media_type(name: str) -> str:
    """Media type of a file by its name."""
    return MEDIA_TYPES.get(Path(name).suffix.lower()) or mimetypes.guess_type(name)[0] or "application/octet-stream"


def application(folder: Path, *, basemap: str | None = None) -> Any:
    """The ASGI application (Starlette) that serves a catalogue, or a folder of catalogues, read-only.

    `/` is STAC Browser; every other address is a file of the folder, but for `/browser/` and `/tiles/`, the latter
    titiler over the folder's own rasters if it is installed. What is hidden (a name that begins with '.'), half-written
    or outside the folder, by '..' or by a symbolic link, is not found. Nothing is fetched from elsewhere, but for the
    `basemap`, an XYZ address or "osm".

    Raises:
        CatalogueError: there is no catalogue in the folder, or one of its parts bears a name that is taken.
        ServeError: starlette is not installed.
    """
    _installed("starlette")
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.cors import CORSMiddleware
    from starlette.routing import Mount, Route

    from mage_stac import served_files

    root = _root_document(folder)
    pages = served_files.Pages(config=config(basemap), root=root)
    routes: list[Any] = [
        Route("/", pages.index),
        Route("/browser/{path:path}", pages.browser),
        *([Route("/catalog.json", pages.catalog)] if root is not None else []),
    ]
    files = served_files.Files(folder)
    if find_spec("titiler") and find_spec("titiler.core") and find_spec("titiler.extensions"):
        from mage_stac import tiler

        routes.append(Mount(tiler.PREFIX, tiler.application(files)))
    cors = Middleware(
        CORSMiddleware, allow_origins=["*"], allow_methods=["GET", "HEAD"], allow_headers=["*"], expose_headers=EXPOSED
    )
    handlers: Mapping[Any, Any] = {404: served_files.not_found, 405: served_files.not_found}
    return Starlette(routes=[*routes, Mount("/", files)], middleware=[cors], exception_handlers=handlers)


def _installed(*modules: str) -> None:
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise ServeError(f"serving needs {' and '.join(missing)}: pip install 'mage-stac[serve]'")


def config(basemap: str | None) -> str:
    """STAC Browser's options, as the script that it loads."""
    background = {"url": OPENSTREETMAP, "attributions": ATTRIBUTION} if basemap == "osm" else {"url": basemap}
    options = {
        "catalogTitle": "mage-stac",
        "allowExternalAccess": False,  # a catalogue cannot make the browser load another server's
        "displayGeoTiffByDefault": True,
        "socialSharing": [],
        "footerLinks": [{"label": "Licences of this browser", "url": "/browser/licences.txt"}],
    }
    return (
        f"window.STAC_BROWSER_CONFIG = {json.dumps(options)};\n"
        'window.STAC_BROWSER_CONFIG.catalogUrl = window.location.origin + "/catalog.json";\n'
        f"window.MAGE_STAC_BASEMAP = {json.dumps(background if basemap else None)};\n"
        f"window.STAC_BROWSER_CONFIG.getMapSourceOptions = {SEE_THROUGH};\n"
    )


def _root_document(folder: Path) -> bytes | None:
    """The catalogue made for a folder whose subfolders are catalogues; None where the folder is one itself."""
    if not folder.is_dir():
        raise CatalogueError(f"{folder} is no folder: give one that holds catalog.json, or catalogues side by side")
    if (folder / "catalog.json").is_file():
        if catalogue.read_json(folder / "catalog.json").get("type") != "Catalog":
            raise CatalogueError(f"{folder / 'catalog.json'} is no STAC Catalog")
        children = []
    else:
        children = sorted(path for path in folder.glob("*/catalog.json") if not path.parent.name.startswith("."))
        if not children:
            raise CatalogueError(f"{folder} holds no catalog.json, nor do its folders: nothing to serve")
    taken = [name for name in OWN if (folder / name).exists()]
    if taken:
        raise CatalogueError(f"{folder / taken[0]} cannot be served: /{taken[0]}/ is an address of the server itself")
    return _made(folder, children) if children else None


def _made(folder: Path, children: list[Path]) -> bytes:
    title = folder.resolve().name
    kind = "application/json"
    links = [{"rel": "root", "href": "./catalog.json", "type": kind, "title": title}]
    for path in children:
        name = path.parent.name
        shown = str(catalogue.read_json(path).get("title", name))
        links.append({"rel": "child", "href": f"./{name}/catalog.json", "type": kind, "title": shown})
    document = {
        "type": "Catalog", "stac_version": catalogue.STAC_VERSION, "id": catalogue.safe_id(title), "title": title,
        "description": f"The catalogues in {title}", "links": links,
    }  # fmt: skip
    return json.dumps(document, indent=2).encode()


def run(
    folder: Path, *, host: str = "127.0.0.1", port: int = 8080, basemap: str | None = None, ready: Callable[[str], None]
) -> None:
    """Serve a catalogue until interrupted. `ready` is told the address of its front page; port 0 takes a free one.

    Raises:
        CatalogueError: see `application`.
        ServeError: the port is taken or forbidden, the host is not this machine's, or uvicorn is not installed.
    """
    _installed("starlette", "uvicorn")
    import uvicorn

    app = application(folder, basemap=basemap)
    with _listening(host, port) as listener:
        shown = f"[{host}]" if ":" in host else host
        ready(f"http://{shown}:{listener.getsockname()[1]}/")
        uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off")).run(sockets=[listener])


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, reuse_port=False)
    except OverflowError as error:
        raise ServeError(f"port {port} is none: ports go from 0 to 65535") from error
    except OSError as error:
        said = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error.strerror or error)
        raise ServeError(
            f"cannot serve on {host}, port {port}: {said}; --port 0 takes a free port, --host 127.0.0.1 this machine"
        ) from error
