"""Map tiles of a served folder's rasters, by titiler: /cog of a file, /stac of an Item with its `renders`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

import attr
import pystac
from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.responses import JSONResponse
from rio_tiler.io import Reader, STACReader
from titiler.core.errors import DEFAULT_STATUS_CODES, add_exception_handlers
from titiler.core.factory import MultiBaseTilerFactory, TilerFactory
from titiler.extensions.render import stacRenderExtension

from mage_stac import band_fields, catalogue, hrefs
from mage_stac.errors import MageStacError
from mage_stac.raster import marker, opened
from mage_stac.served_files import Files

PREFIX = "/tiles"
"""Where it is mounted; titiler needs it for the links that it makes."""


@attr.s
class Raster(Reader):
    """A raster that can pull in no other file."""

    def __attrs_post_init__(self) -> None:
        """Open it as the plain format of its name's ending."""
        if self.dataset is None:
            self.dataset = self._ctx_stack.enter_context(opened(str(self.input)))
        if marker(self.dataset) is not None:
            self.options.pop("nodata", None)  # what the file says goes before what its Item does
        super().__attrs_post_init__()  # type: ignore[no-untyped-call] # rio-tiler's


class ItemReader(STACReader):
    """An Item whose assets lack, where their files mark no pixel, those of the nodata value that the Item states.

    Overviews are read as they are: whoever made them without that value averaged over such pixels.
    """

    def _get_options(self, asset: Any, metadata: pystac.Asset) -> tuple[dict[str, Any], dict[str, Any]]:
        reader_options, method_options = super()._get_options(asset, metadata)
        value = band_fields.nodata(metadata, [1])
        stated = {} if value is None else {"options": {"nodata": value}}
        return {**reader_options, **stated}, method_options


def application(files: Files) -> Any:
    """The ASGI application (FastAPI). Its `url` is a file of the folder: by its path there, or by its address here."""

    def raster(path: str, **options: Any) -> Raster:
        return Raster(_place(files, path), **options)

    def item(path: str, **options: Any) -> ItemReader:
        return ItemReader(None, item=_item(files, path), reader=Raster, **options)

    app = FastAPI(docs_url=None, redoc_url=None)  # their pages load scripts from elsewhere
    named = _naming(files)
    readers: dict[str, Any] = {"cog": raster, "stac": item}  # only ever called, as the classes would be
    cog = TilerFactory(reader=readers["cog"], path_dependency=named, router_prefix=f"{PREFIX}/cog", add_viewer=False)
    stac = MultiBaseTilerFactory(
        reader=readers["stac"], path_dependency=named, router_prefix=f"{PREFIX}/stac", add_viewer=False,
        get_renders=_renders, extensions=[stacRenderExtension()],
    )  # fmt: skip
    app.include_router(cog.router, prefix="/cog")
    app.include_router(stac.router, prefix="/stac")
    add_exception_handlers(app, DEFAULT_STATUS_CODES)
    app.add_exception_handler(MageStacError, _one_line)
    return app


def _naming(files: Files) -> Callable[..., str]:
    def named(request: Request, url: Annotated[str, Query(description="Path or address of a file served here")]) -> str:
        """The path, within the folder, of the file that is asked for."""
        parts = urlsplit(url)
        if parts.scheme and parts.netloc != request.url.netloc:
            raise HTTPException(400, f"{url} is no file of this server")
        path = unquote(parts.path).lstrip("/") if parts.scheme else url
        _place(files, path)
        return path

    return named


def _place(files: Files, path: str) -> str:
    full, found = files.lookup_path(path)
    if found is None:
        raise HTTPException(404, f"{path} is no file of this server")
    return full


def _renders(source: Any) -> dict[str, Any]:
    return dict(source.item.properties.get("renders", {}))


def _item(files: Files, path: str) -> Any:
    """The Item, with those of its assets that are files of the folder too."""
    made = catalogue.read_item(Path(_place(files, path)))
    for key, asset in list(made.assets.items()):
        place = Path(hrefs.portable(asset.get_absolute_href() or asset.href, files.folder))
        if files.lookup_path(str(place))[1] is None:
            del made.assets[key]
    return made


async def _one_line(request: Request, error: Exception) -> JSONResponse:
    del request
    return JSONResponse({"detail": str(error)}, 400)
