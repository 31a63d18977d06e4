"""The verb `water`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .progress import bar


def water(
    *,
    model: Annotated[Path, typer.Option(help="Model Item of a recipe with task = 'water', as `train` writes it.")],
    image: Annotated[Path, typer.Option(help="One image: an Item, or a catalogue whose Items are one mosaic.")],
    out: Annotated[Path, typer.Option(help="Predictions catalogue to write to.")],
    item_id: Annotated[str | None, typer.Option("--id", help="Id of the Item; else made of date and inputs.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a path.")] = False,
) -> None:
    """Map the water in one image as an Item: water or dry, probability, lineage. Prints its folder.

    A map of the same model and image that is there already is kept.

    Example: mage-stac water --model out/models/models/M --image out/real/sentinel-2-l1c --out out/predictions
    """
    from mage_stac import water as mapping

    with bar("water") as step:
        folder = mapping.predict(model, image, out, id=item_id, progress=step)
    typer.echo(json.dumps({"item": str(folder / f"{folder.name}.json")}) if as_json else folder)
