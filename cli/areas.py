"""The verb `areas`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mage_stac.products.units import Units


def areas(  # noqa: PLR0913 - a command's options
    *,
    prediction: Annotated[Path, typer.Option(help="Prediction Item: its folder or file, as `predict` writes it.")],
    units: Annotated[Path | None, typer.Option(help="Vector file of administrative or other areas.")] = None,
    grid: Annotated[float | None, typer.Option(help="Cells of so many metres instead.", metavar="METRES")] = None,
    h3: Annotated[int | None, typer.Option("--h3", help="H3 cells of this resolution instead: 9 is 0.1 km2.")] = None,
    name: Annotated[str | None, typer.Option(help="Column of --units with their names; else found.")] = None,
    layer: Annotated[str | None, typer.Option(help="Layer of --units, if it has several.")] = None,
    by: Annotated[str, typer.Option(help="Most affected by: count or share (its lower bound).")] = "count",
    out: Annotated[Path | None, typer.Option(help="Catalogue to write to; else the prediction's own.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a path.")] = False,
) -> None:
    """Count buildings by grade per area, with intervals, the most affected first. Prints the folder of the new Item.

    Example: mage-stac areas --prediction out/predictions/predictions/damage-20110524-1a2b3c --grid 100
    """
    from mage_stac.products import areas as products

    if by not in products.ORDERS:
        raise typer.BadParameter(f"--by is one of {', '.join(products.ORDERS)}, not {by!r}")
    if sum(choice is not None for choice in (units, grid, h3)) != 1:
        raise typer.BadParameter("give one of --units, --grid and --h3")
    folder = products.areas(prediction, _units(prediction, units, grid, h3, (name, layer)), out, by=by)
    if as_json:
        item = folder / f"{folder.name}.json"
        totals = json.loads(item.read_text("utf-8"))["properties"]["mage:totals"]
        typer.echo(json.dumps({"item": str(item), **totals}))
    else:
        typer.echo(folder)


def _units(
    prediction: Path, file: Path | None, grid: float | None, h3: int | None, words: tuple[str | None, str | None]
) -> Units:
    from mage_stac import catalogue
    from mage_stac.grid import of_raster
    from mage_stac.products import areas as products
    from mage_stac.products import units

    geobox = of_raster(products.damage_of(catalogue.read_item(prediction)))
    if file is not None:
        name, layer = words
        return units.of_file(file, geobox, name=name, layer=layer)
    return units.of_grid(grid, geobox) if grid is not None else units.of_h3(h3 or 0, geobox)
