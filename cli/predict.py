"""The verb `predict`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .progress import bar


def predict(  # noqa: PLR0913 - a command's options
    *,
    model: Annotated[Path, typer.Option(help="Model Item: its folder or file, as `train` writes it.")],
    pre: Annotated[Path, typer.Option(help="Images before: an Item, or a catalogue whose Items are one mosaic.")],
    out: Annotated[Path, typer.Option(help="Predictions catalogue to write to.")],
    post: Annotated[
        Path | None,
        typer.Option(help="Images after, likewise; any CRS and resolution. Not for a model of one date."),
    ] = None,
    footprints: Annotated[
        Path | None, typer.Option(help="Vector file of buildings to grade; else found in the map.")
    ] = None,
    layer: Annotated[str | None, typer.Option(help="Layer of --footprints, if it has several.")] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", help="Write the buildings as gpkg, fgb or geojson too. Repeatable."),
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Send windows to the workers of this Dask cluster.", metavar="ADDRESS")
    ] = None,
    item_id: Annotated[str | None, typer.Option("--id", help="Id of the Item; else made of date and inputs.")] = None,
    align: Annotated[
        bool,
        typer.Option(
            help="Move post back by the measured shift where it is clear and 0.5 px or more, and "
            "footprints onto the buildings that the map shows."
        ),
    ] = True,
    flips: Annotated[
        bool, typer.Option("--flips", help="Average over four mirror images: four times the time.")
    ] = False,
    window: Annotated[int, typer.Option(min=1, help="Pixels a side that the network sees at once.")] = 512,
    margin: Annotated[int, typer.Option(min=0, help="Pixels by which windows overlap on each side.")] = 64,
    batch: Annotated[int, typer.Option(min=1, help="Windows at a time.")] = 4,
    device: Annotated[str, typer.Option(help="As torch names it: cpu, cuda, cuda:1, or auto.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a path.")] = False,
) -> None:
    """Map the damage between two dates as an Item: classes, probabilities, buildings, lineage. Prints its folder.

    A map of the same inputs and options that is there already is kept.

    Example: mage-stac predict --model out/models/models/M --pre out/real/pre --post out/real/post --out out/predictions
    """
    from mage_stac.mosaic import Tiling
    from mage_stac.products.tables import FORMATS

    unknown = next((name for name in formats or () if name not in FORMATS), None)
    if unknown is not None:
        raise typer.BadParameter(f"--format is one of {', '.join(FORMATS)}, not {unknown!r}")
    if footprints is None and layer is not None:
        raise typer.BadParameter("--layer tells of --footprints, which is not given")

    tiling = Tiling(window=window, margin=margin, batch=batch)
    from mage_stac import predict as prediction  # torch takes seconds: impossible windows are told at once

    options = prediction.Options(
        tiling=tiling, align=align, flips=flips, device=device, scheduler=scheduler, formats=tuple(formats or ())
    )
    with bar("predict") as step:
        folder = prediction.predict(
            model, pre, post, out, footprints=footprints, layer=layer, id=item_id, options=options, progress=step
        )
    if as_json:
        typer.echo(json.dumps({"item": str(folder / f"{folder.name}.json"), **_told(folder)}))
    else:
        typer.echo(folder)


def _told(folder: Path) -> dict[str, object]:
    """The `mage:*` properties of the Item: buildings by grade, the shift between the dates."""
    properties = json.loads((folder / f"{folder.name}.json").read_text("utf-8"))["properties"]
    return {key.removeprefix("mage:"): value for key, value in properties.items() if key.startswith("mage:")}
