"""The verb `adapt`."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .progress import bar


class Prior(StrEnum):
    """Ways to estimate how often each grade occurs."""

    NONE = "none"
    BBSE = "bbse"
    EM = "em"


def adapt(  # noqa: PLR0913 - a command's options
    *,
    model: Annotated[Path, typer.Option(help="Model Item: its folder or file, as `train` writes it.")],
    real: Annotated[Path, typer.Option(help="Catalogue of the event's images, before and after.")],
    out: Annotated[Path, typer.Option(help="Models catalogue to write to.")],
    synthetic: Annotated[
        list[Path] | None,
        typer.Option(help="Pairs that the model learnt from; needed by --built, --prior and --thresholds. Repeatable."),
    ] = None,
    real_labels: Annotated[
        Path | None,
        typer.Option(help="Outlines of a few buildings with their grades 1-4: how to read the model's grades."),
    ] = None,
    layer: Annotated[str | None, typer.Option(help="Of --real-labels, if that file has several layers.")] = None,
    batch_norm: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the event's statistics in its batch norms; 1 is AdaBN.")
    ] = 0.0,
    built: Annotated[
        bool, typer.Option("--built", help="Map as much as building as is built over in the pairs of this place.")
    ] = False,
    prior: Annotated[
        Prior, typer.Option(help="Correct to the event's shares of the grades, estimated by this.")
    ] = Prior.NONE,
    strength: Annotated[float, typer.Option(min=0, max=1, help="How far to go with that.")] = 1.0,
    thresholds: Annotated[
        bool, typer.Option("--thresholds", help="Call each grade by a threshold of its own.")
    ] = False,
    chips: Annotated[int, typer.Option(min=1, help="Real windows to look at.")] = 256,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a path.")] = False,
) -> None:
    """Fit a trained model to an event's images, or to a few buildings that you graded; prints the new model's path.

    Nothing is trained. Measure what it brings: `predict` with both models and `score` both maps.

    Example: mage-stac adapt --model out/models/models/M --real out/real --real-labels graded.gpkg --out out/models
    """
    from mage_stac.recipe import Event

    settings = Event(
        batch_norm=batch_norm, built=built, prior=prior.value, strength=strength, thresholds=thresholds, chips=chips
    )
    from mage_stac.adapt import refit
    from mage_stac.graded import Outlines

    if real_labels is None and layer is not None:
        raise typer.BadParameter("--layer tells of --real-labels, which is not given")
    labels = Outlines(path=real_labels, layer=layer) if real_labels else None
    with bar("adapt") as step:
        path = refit.refit(model, real, out, settings, synthetic=tuple(synthetic or ()), labels=labels, progress=step)
    if as_json:
        record = json.loads((path.parent / "training.json").read_text("utf-8"))["event"]
        typer.echo(json.dumps({"item": str(path), **record}))
    else:
        typer.echo(path)
