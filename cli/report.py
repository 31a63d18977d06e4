"""The verb `report`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .progress import bar


def report(  # noqa: PLR0913 - a command's options
    *,
    prediction: Annotated[list[Path], typer.Argument(help="Prediction Items, or catalogues of them: a report each.")],
    out: Annotated[Path | None, typer.Option(help="Catalogue to write to; else the prediction's own.")] = None,
    reference: Annotated[
        Path | None, typer.Option(help="What is known of the damage, for a validation: see `score`.")
    ] = None,
    column: Annotated[str | None, typer.Option(help="Column of --reference with the grades; else found.")] = None,
    units: Annotated[Path | None, typer.Option(help="Vector file of areas to count by; else square cells.")] = None,
    grid: Annotated[float | None, typer.Option(help="Cells of so many metres instead.", metavar="METRES")] = None,
    h3: Annotated[int | None, typer.Option("--h3", help="H3 cells of this resolution instead.")] = None,
    title: Annotated[
        str | None, typer.Option(help='Such as "Joplin, tornado of 22 May 2011"; else the Item\'s.')
    ] = None,
    pdf: Annotated[bool, typer.Option(help=r"Write the PDF too (mage-stac\[report]).")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a report instead of paths.")] = False,
) -> None:
    """Tell a damage map to people: one HTML file, and a PDF, that open without a network. Prints the HTML's path.

    Map, swipe before/after, most affected areas, buildings, validation, limits, lineage, licence of the imagery.

    Example: mage-stac report out/predictions/predictions/damage-20110524-1a2b3c --out out/reports
    """
    from mage_stac.products import report as products

    if sum(choice is not None for choice in (units, grid, h3)) > 1:
        raise typer.BadParameter("give only one of --units, --grid and --h3")
    options = products.Options(reference=reference, column=column, areas=units, cell=grid, h3=h3, title=title, pdf=pdf)
    items = products.predictions(prediction)
    with bar("report") as step:
        for done, item in enumerate(items):
            step(done, len(items), item.id)
            folder = products.report(item, out, options)
            files = {kind: str(folder / f"report.{kind}") for kind in (("html", "pdf") if pdf else ("html",))}
            typer.echo(json.dumps({"item": str(folder / f"{folder.name}.json"), **files}) if as_json else files["html"])
