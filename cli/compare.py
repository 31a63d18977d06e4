"""The verb `compare`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from mage_stac.realism import Comparison


def compare(  # noqa: PLR0913 - a command's options
    synthetic: Annotated[Path, typer.Argument(help="Rendered catalogue, collection or Item.")],
    real: Annotated[Path, typer.Argument(help="Real catalogue, collection or Item.")],
    *,
    labels: Annotated[
        Path | None,
        typer.Option(help="Raster over the real side: 0 no building, 255 or nodata unknown, else building."),
    ] = None,
    phase: Annotated[
        Literal["pre", "post", "both"], typer.Option(help="Which rendered dates; pre are the undamaged ones.")
    ] = "pre",
    tile: Annotated[int, typer.Option(min=32, help="Pixels along a tile, at the coarser side's resolution.")] = 128,
    tiles: Annotated[int, typer.Option(min=2, help="Tiles of each side at the most.")] = 192,
    seed: Annotated[int, typer.Option(min=0, help="Of the tiles and pixels drawn.")] = 0,
    out: Annotated[Path | None, typer.Option(help="PNG to draw.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Measure how far rendered images are from real ones: colours, spectra, edges, texture, features of a network.

    Floor is the same distance between two halves of the real side. Classes are compared where both sides have labels.

    Example: mage-stac compare out/synthetic out/real --out realism.png
    """
    from mage_stac.realism import compare as run

    found = run(
        synthetic, real, labels=labels, phase=None if phase == "both" else phase, side=tile, most=tiles, seed=seed
    )
    if out is not None:
        from mage_stac.realism_plot import draw

        draw(out, found)
    if as_json:
        typer.echo(json.dumps(found.as_dict() | {"plot": str(out) if out else None}))
    else:
        _print(found)
        if out is not None:
            typer.echo(out)


def _print(found: Comparison) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    console.print(f"{found.tiles[0]} synthetic and {found.tiles[1]} real tiles at {found.gsd:.3g} m", soft_wrap=True)
    for note in found.notes:
        console.print(f"  {note}", soft_wrap=True)
    drawn = Table("class", "measure", "band")
    for column in ("synthetic", "real", "distance", "floor"):
        drawn.add_column(column, justify="right", no_wrap=True)
    for row in found.rows:
        numbers = (row.synthetic, row.real, row.distance, row.floor)
        drawn.add_row(row.kind, row.measure, row.band, *("-" if n is None else f"{n:.4f}" for n in numbers))
    console.print(drawn)
