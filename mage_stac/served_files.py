"""What a server hands out: the files of a folder, none hidden and none from outside, and STAC Browser's own pages."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Scope

from mage_stac import browser
from mage_stac.serve import media_type

FOREVER = {"Cache-Control": "max-age=31536000, immutable"}
"""For files whose name has their content's hash in it."""
FRESH = {"Cache-Control": "no-cache"}
"""Ask each time whether it has changed: Items are replaced in place."""


class Files(StaticFiles):
    """The files of a folder, by byte ranges where asked."""

    def __init__(self, folder: Path) -> None:
        """Serve the files of a folder, which must exist."""
        super().__init__(directory=folder)
        self.folder = folder.resolve()

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        """Where a file lies; "" where nothing may be served: outside the folder, hidden, or half-written."""
        full, found = super().lookup_path(path)  # resolves links, and finds nothing outside
        if not full or _hidden(Path(path)) or _hidden(Path(full).relative_to(self.folder)):
            return "", None
        return full, found

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """The file's answer, with the media types of geodata."""
        kind = media_type(str(full_path))
        response = FileResponse(full_path, status_code, headers=FRESH, media_type=kind, stat_result=stat_result)
        if self.is_not_modified(response.headers, Request(scope).headers):
            return NotModifiedResponse(response.headers)
        return response


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") or part.endswith(".partial") for part in path.parts)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pages:
    """The pages that are no files of the folder."""

    config: str
    """Script with STAC Browser's options."""
    root: bytes | None
    """The catalogue made for a folder of catalogues."""

    async def index(self, request: Request) -> Response:
        """STAC Browser's page."""
        del request
        return Response(browser.files()["index.html"], media_type="text/html", headers=FRESH)

    async def browser(self, request: Request) -> Response:
        """A file of STAC Browser."""
        name = request.path_params["path"]
        if name == "config.js":
            return Response(self.config, media_type="text/javascript", headers=FRESH)
        content = browser.files().get(name)
        if content is None:
            raise HTTPException(404)
        return Response(content, media_type=media_type(name), headers=FOREVER)

    async def catalog(self, request: Request) -> Response:
        """The made catalogue."""
        del request
        return Response(self.root, media_type="application/json", headers=FRESH)


async def not_found(request: Request, error: Exception) -> Response:
    """One line for an address where nothing is, or a method that is none of ours."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    return PlainTextResponse(f"mage-stac serves nothing at {request.method} {request.url.path}\n", status)
