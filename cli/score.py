"""The verb `score`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table as Drawn

    from mage_stac.confusion import Figures
    from mage_stac.score import Scores, Table
    from mage_stac.water_score import WaterScores

SUMMARY = {
    "macro_f1": "macro-F1 of the grades",
    "localisation_f1": "localisation F1",
    "xview2": "xView2 score",
    "xview2_damage_f1": "xView2 damage F1",
    "damage_precision": "damage precision (2-4)",
    "damage_recall": "damage recall (2-4)",
    "damage_f1": "damage F1 (2-4)",
    "three_state_macro_f1": "three-state macro-F1",
}
"""Fields of confusion.Summary and what people call them."""


def score(
    *,
    prediction: Annotated[Path, typer.Option(help="Prediction Item: its folder or file, as `predict` writes it.")],
    reference: Annotated[
        Path, typer.Option(help="Raster of classes 0-4, points or polygons with a grade, or an Item with such.")
    ],
    column: Annotated[
        str | None, typer.Option(help="Column of a vector reference with the grades; else found.")
    ] = None,
    layer: Annotated[str | None, typer.Option(help="Layer of a vector file that has several.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    """Score a damage or water map against a reference: figures by class, and what knowing nothing would score.

    Example: mage-stac score --prediction out/predictions/predictions/damage-20110524-1a2b3c --reference truth.tif
    """
    from mage_stac import catalogue, water_score
    from mage_stac.score import score as compare

    if water_score.ASSET in catalogue.read_item(prediction).assets:
        _print_water(water_score.score(prediction, reference), as_json=as_json)
        return
    found = compare(prediction, reference, column=column, layer=layer)
    if as_json:
        typer.echo(json.dumps(found.as_dict()))
    else:
        _print(found)


def _print(found: Scores) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    console.print(f"{found.prediction} against {found.reference}", soft_wrap=True)
    for note in found.notes:
        console.print(f"  {note}", soft_wrap=True)
    for table in (found.pixels, found.buildings, found.given):
        if table is not None:
            console.print(_confusion(table), _by_class(table.figures), _overall(table.figures))


def _print_water(found: WaterScores, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found.as_dict()))
        return
    typer.echo(f"{found.prediction} against {found.reference}: {found.compared:,} pixels compared")
    for name in ("iou", "precision", "recall", "f1", "water_everywhere_iou"):
        typer.echo(f"{name.replace('_', ' '):>21} {_number(getattr(found, name))}")


def _confusion(table: Table) -> Drawn:
    unseen = f", {table.unseen:,} more not observed" if table.unseen else ""
    names = [entry.name for entry in table.figures.classes]
    title = f"{table.compared:,} {table.unit} compared{unseen}; rows: reference, columns: map"
    drawn = _drawn(title, "", *map(str, range(len(names))))
    for value, row in enumerate(table.figures.confusion):
        drawn.add_row(f"{value} {names[value]}", *(f"{count:,}" for count in row))
    return drawn


def _by_class(figures: Figures) -> Drawn:
    drawn = _drawn(None, "class", "IoU", "precision", "recall", "F1")
    for entry in figures.classes:
        drawn.add_row(entry.name, *map(_number, (entry.iou, entry.precision, entry.recall, entry.f1)))
    return drawn


def _overall(figures: Figures) -> Drawn:
    drawn = _drawn(None, "", "this map", "no damage anywhere", "all background")
    for field, title in SUMMARY.items():
        sides = (figures.summary, figures.no_damage_anywhere, figures.all_background)
        drawn.add_row(title, *(_number(getattr(side, field)) for side in sides))
    return drawn


def _drawn(title: str | None, *columns: str) -> Drawn:
    """An empty table: names on the left, numbers on the right."""
    from rich.table import Table as Drawing

    drawn = Drawing(title=title, title_justify="left")
    for place, column in enumerate(columns):
        drawn.add_column(column, justify="right" if place else "left", no_wrap=True)
    return drawn


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
