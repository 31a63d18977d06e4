"""The verb `demo`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from .progress import bar


def demo(
    *,
    out: Annotated[Path, typer.Option(help="Folder for the catalogues and the picture; an earlier run is continued.")],
    real: Annotated[
        Path | None,
        typer.Option(help="Catalogue of real images before and after an event, as `search` or `ingest` writes it."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Blender processes at a time.")] = min(os.cpu_count() or 1, 2),
    blender: Annotated[str | None, typer.Option(help="A Blender, or a Python with bpy.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of the picture's path.")
    ] = False,
) -> None:
    """Run the whole loop: render, train, predict, score, and draw pre | post | truth | prediction.

    Without --real nothing is fetched: another rendered town, of another style, season and sensor, stands in for the
    real place.

    Example: mage-stac demo --out out/demo
    """
    from mage_stac import demo as loop

    with ExitStack() as stack:

        def progress(step: str) -> Callable[[int, int, str], None]:
            stack.close()  # one bar at a time
            return stack.enter_context(bar(step))

        outcome = loop.run(out, plan=loop.Plan(workers=workers, blender=blender), real=real, progress=progress)
    summary = {
        "picture": str(outcome.picture),
        "prediction": str(outcome.prediction),
        "real_is_rendered": outcome.real_is_rendered,
        "scores": outcome.scores.as_dict() if outcome.scores else None,
        "seconds": outcome.seconds,
    }
    if as_json:
        typer.echo(json.dumps(summary))
        return
    steps = ", ".join(f"{step} {value:.0f} s" for step, value in outcome.seconds.items())
    typer.echo(f"{steps}", err=True)
    if outcome.real_is_rendered:
        typer.echo(
            "The place mapped is a rendered town (other style, season, sensor): nothing here was photographed.",
            err=True,
        )
    if outcome.scores and outcome.scores.pixels:
        figures = outcome.scores.pixels.figures.summary
        typer.echo(f"macro-F1 over the grades {figures.macro_f1:.3f} against the rendered truth", err=True)
    typer.echo(outcome.picture)
