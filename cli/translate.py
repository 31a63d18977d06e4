"""The verb `translate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .progress import bar


def translate(  # noqa: PLR0913 - a command's options
    *,
    synthetic: Annotated[
        list[Path], typer.Option(help="Catalogue of labelled pairs, as `render` writes it. Repeatable.")
    ],
    real: Annotated[Path, typer.Option(help="Catalogue of the event's images, before and after; no labels.")],
    out: Annotated[Path, typer.Option(help="Catalogue to write the translated pairs to.")],
    recipe: Annotated[
        str, typer.Option(help="Whose bands and resolution: a TOML file, or the name of one.")
    ] = "joplin",
    steps: Annotated[int, typer.Option(min=1, help="Steps of learning the flow.")] = 600,
    batch: Annotated[int, typer.Option(min=2, help="Images of each date that are coupled at a time.")] = 16,
    size: Annotated[int, typer.Option(min=16, help="Edge of what it learns from, px.")] = 64,
    euler: Annotated[int, typer.Option(min=1, help="Steps in which an image is carried.")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
    paired: Annotated[
        bool, typer.Option(help="Couple renders of before with photographs of the same ground, where there are any.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a path.")] = False,
) -> None:
    """Carry rendered pairs to the look of an event's real images by flow matching, to train from; prints the catalogue.

    Example: mage-stac translate --synthetic out/synthetic --real out/real --out out/translated
    """
    from mage_stac import recipe as recipes

    data = recipes.read(recipe).data
    from mage_stac.adapt import translate as work  # torch takes seconds: a bad recipe is told at once

    how = work.Translation(steps=steps, batch=batch, size=size, euler=euler, seed=seed, paired=paired)
    with bar("translate") as step:
        path = work.translate(synthetic, real, out, data=data, how=how, progress=step)
    typer.echo(json.dumps({"catalogue": str(path)}) if as_json else path)
