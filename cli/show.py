"""The verb `show`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def show(
    catalogue: Annotated[Path, typer.Argument(help="A catalogue, collection or Item.")],
    out: Annotated[Path, typer.Option(help="PNG to write.")] = Path("contact-sheet.png"),
    limit: Annotated[int, typer.Option(min=1, help="Rows at the most, spread evenly over the catalogue.")] = 12,
    side: Annotated[int, typer.Option(min=32, help="Pixels along each picture's longer side.")] = 320,
) -> None:
    """Draw a catalogue's pairs, images and damage maps on one contact sheet; prints its path.

    Example: mage-stac show out/synthetic --out sheet.png
    """
    from mage_stac.gallery import sheet

    sheet(catalogue, out, limit=limit, side=side)
    typer.echo(out)
