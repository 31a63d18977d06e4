"""The verb `train`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .progress import bar

if TYPE_CHECKING:
    from mage_stac.recipe import Recipe


def train(  # noqa: PLR0913, PLR0917 - a command's options
    recipe: Annotated[str, typer.Argument(help="A recipe's TOML file, or the name of one that comes with mage-stac.")],
    synthetic: Annotated[
        list[Path], typer.Option(help="Catalogue of labelled pairs, as `render` writes it; may be given several times.")
    ],
    out: Annotated[Path, typer.Option(help="Models catalogue to write to.")],
    real: Annotated[
        Path | None,
        typer.Option(help="Catalogue of unlabelled real images, to adapt to: the pairs may borrow their look."),
    ] = None,
    real_labels: Annotated[
        Path | None,
        typer.Option(
            help="Outlines of a few buildings in --real with their grades (any vector file): learnt from too."
        ),
    ] = None,
    layer: Annotated[str | None, typer.Option(help="Of --real-labels, if that file has several layers.")] = None,
    sure: Annotated[
        float, typer.Option(min=0, max=1, help="Of a map's buildings as --real-labels, only those so probable.")
    ] = 0.0,
    start: Annotated[Path | None, typer.Option(help="Model Item to go on from, of the same network.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's, say 60 with --start.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Instead of the recipe's.")] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Forget an unfinished run of this recipe.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a path.")] = False,
) -> None:
    """Train a damage or water model on rendered pairs; prints the model Item's path.

    A run that was stopped goes on where it was when the same command is given again (one of water, minutes long,
    begins anew). An image or label that cannot be read costs a line and its own chips; the run goes on with all the
    others.

    Once some buildings are graded: mage-stac train joplin --steps 60 --synthetic out/synthetic --real out/real
    --real-labels graded.geojson --start out/models/joplin-0123 --out out/second

    A second round from a map's own sure buildings, where it was given outlines (finds more, grades worse):
    --real-labels out/predictions/damage-0123/buildings.parquet --sure 0.6 instead.

    Example: mage-stac train demo --synthetic out/synthetic --real out/real --out out/models
    """
    from mage_stac import recipe as recipes

    if real_labels is None and (layer is not None or sure):
        raise typer.BadParameter("--layer and --sure tell of --real-labels, which is not given")
    settings = _told(recipes.read(recipe), steps, seed)
    if settings.task == "water":
        if real_labels or start:
            raise typer.BadParameter("a water recipe takes no --real-labels and no --start: leave them out")
        _train_water(settings, synthetic, out, real, as_json=as_json)
        return
    from mage_stac import train as training  # torch takes seconds: a bad recipe is told at once
    from mage_stac.graded import Outlines

    graded = Outlines(path=real_labels, layer=layer, sure=sure) if real_labels else None
    with bar("train") as step:
        path = training.train(
            settings, synthetic, out, real=real, graded=graded, start=start, restart=restart, progress=step
        )
    if as_json:
        record = json.loads((path.parent / "training.json").read_text("utf-8"))
        told = {key: record[key] for key in ("seconds", "waiting_for_chips", "unread") if key in record}
        typer.echo(json.dumps({"item": str(path), "validation": record["validation"][-1], **told}))
    else:
        typer.echo(path)


def _told(recipe: Recipe, steps: int | None, seed: int | None) -> Recipe:
    """The recipe with the steps and the seed asked for."""
    if steps is not None:
        recipe = replace(recipe, optimiser=replace(recipe.optimiser, steps=steps))
    return recipe if seed is None else replace(recipe, seed=seed)


def _train_water(recipe: Recipe, synthetic: list[Path], out: Path, real: Path | None, *, as_json: bool) -> None:
    from mage_stac import water_training

    with bar("train") as step:
        path = water_training.train(recipe, synthetic, out, real=real, progress=step)
    if as_json:
        record = json.loads((path.parent / "training.json").read_text("utf-8"))
        typer.echo(json.dumps({"item": str(path), "held_out": record["held_out"]}))
    else:
        typer.echo(path)
