"""`mage-stac serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def serve(
    folder: Annotated[Path, typer.Argument(help="A catalogue, or a folder of catalogues such as demo's --out.")],
    *,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 lets every machine that reaches this one read it.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8080,
    basemap: Annotated[
        str | None,
        typer.Option(help="Map behind the data, from the network: osm, or an address with {z}, {x} and {y}."),
    ] = None,
) -> None:
    r"""Serve FOLDER to browsers, QGIS, GDAL and scripts until Ctrl-C: STAC Browser at /, the files below it.

    With titiler installed (mage-stac\[tiles]) map tiles are at /tiles/cog and /tiles/stac.

    Example: mage-stac serve out/demo
    """
    from mage_stac import serve as server

    server.run(folder, host=host, port=port, basemap=basemap, ready=typer.echo)
