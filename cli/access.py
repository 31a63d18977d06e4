"""The verb `access`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def access(  # noqa: PLR0913 - a command's options
    *,
    roads: Annotated[Path, typer.Option(help="OSM extract (.osm.pbf), or any vector file of roads.")],
    prediction: Annotated[Path, typer.Option(help="Prediction Item: its folder or file, as `predict` writes it.")],
    start: Annotated[list[str], typer.Option("--from", help="Where rescuers start. Repeatable.", metavar="LON,LAT")],
    to: Annotated[list[str] | None, typer.Option(help="Where they must go. Repeatable.", metavar="LON,LAT")] = None,
    flood: Annotated[Path | None, typer.Option(help="Raster of water depths in metres.")] = None,
    minutes: Annotated[str, typer.Option(help="Bounds of the isochrones.")] = "5,10,15,30",
    debris: Annotated[float, typer.Option(min=0, help="Metres that debris reaches beyond a collapsed building.")] = 4.0,
    ford: Annotated[float, typer.Option(min=0.01, help="Metres of water that close a road.")] = 0.3,
    layer: Annotated[str | None, typer.Option(help="Layer of --roads, if it has several.")] = None,
    out: Annotated[Path | None, typer.Option(help="Catalogue to write to; else the prediction's own.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a path.")] = False,
) -> None:
    """Find the ways that remain open: routes, reach, who is cut off, what to clear first. Prints the new Item's folder.

    Example: mage-stac access --roads town.osm.pbf --prediction out/predictions/predictions/P --from 9.52,47.14
    --to 9.53,47.17
    """
    from mage_stac.products import access as products

    options = products.Options(
        minutes=tuple(_numbers(minutes, "--minutes")), spread=debris, ford=ford, layer=layer, water=flood
    )
    origins, targets = ([_point(text) for text in texts] for texts in (start, to or []))
    folder = products.access(prediction, roads, origins, targets, out, options=options)
    if as_json:
        item = folder / f"{folder.name}.json"
        typer.echo(json.dumps({"item": str(item), **json.loads(item.read_text("utf-8"))["properties"]["mage:access"]}))
    else:
        typer.echo(folder)


def _point(text: str) -> tuple[float, float]:
    numbers = _numbers(text, "--from and --to")
    if len(numbers) != 2:
        raise typer.BadParameter(f"{text!r} is no LON,LAT in degrees")
    return numbers[0], numbers[1]


def _numbers(text: str, option: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{option}: {text!r} is no list of numbers such as 9.52,47.14") from None
