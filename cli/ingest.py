"""`mage-stac ingest`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .progress import bar


def ingest(  # noqa: PLR0913 - a command's options
    *,
    files: Annotated[list[Path], typer.Argument(help="Rasters, or folders of them.", metavar="FILE...")],
    datetime: Annotated[str, typer.Option(help="When the images were taken: 2011-05-24, an RFC 3339 time, or A/B.")],
    out: Annotated[Path, typer.Option(help="Folder of the catalogue; it is added to.")],
    sensor: Annotated[str | None, typer.Option(help="Name of a sensor (aerial-rgb, naip ...) or a .toml file.")] = None,
    collection: Annotated[str | None, typer.Option(help="Id of the Collection; the sensor's name otherwise.")] = None,
    nodata: Annotated[float | None, typer.Option(help="DN of pixels not observed, where a file marks none.")] = None,
    licence: Annotated[
        str | None, typer.Option("--license", help="Of the images: an SPDX identifier like CC-BY-4.0, or other.")
    ] = None,
    provider: Annotated[str | None, typer.Option(help="Who made them; named wherever they are shown.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Turn local rasters into a STAC catalogue of COGs. Pixels and grids stay. Prints the Collection's folder.

    Example: mage-stac ingest raw/post/*.tif --datetime 2011-05-24 --nodata 0 --collection post --out out/real
    """
    from mage_stac.ingest import Plan
    from mage_stac.ingest import ingest as run
    from mage_stac.sensors import read

    name = collection or (read(sensor).name if sensor else "imagery")
    plan = Plan(
        out=out, datetime=datetime, collection=name, sensor=sensor, nodata=nodata, licence=licence, provider=provider
    )
    with bar("ingesting") as step:
        made = run(files, plan, step)
    for notice in made.notices:
        typer.echo(notice, err=True)
    if as_json:
        items = [str(path) for path in made.items]
        typer.echo(json.dumps({"collection": str(made.collection), "items": items, "kept": made.kept}))
    else:
        typer.echo(made.collection)
