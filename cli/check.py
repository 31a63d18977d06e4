"""`mage-stac check`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from .progress import bar


def check(
    folder: Annotated[Path, typer.Argument(help="A folder with STAC catalogues, at any depth, or one STAC file.")],
    schemas: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the extensions' schemas, <extension>/<version>/schema.json; ../shared/schemas if there."
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Print a line for every problem, alike or not.")] = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="First write every items.parquet anew from the Items.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Validate every Catalog, Collection and Item below FOLDER: schemas, links, assets.

    Exits 1 if anything is wrong.

    Example: mage-stac check out/demo --schemas ../shared/schemas
    """
    from mage_stac.catalogue import rebuild_tables
    from mage_stac.validate import validate

    if rebuild:
        for path in rebuild_tables(folder):
            typer.echo(path, err=True)
    with bar("checking") as step:
        report = validate(folder, schemas, step)
    if as_json:
        typer.echo(json.dumps(asdict(report)))
    else:
        for uri in report.unchecked:
            typer.echo(f"not checked, for its schema is not at hand: {uri}", err=True)
        for line in report.problems if every else _grouped(report.problems):
            typer.echo(line, err=True)
        typer.echo(f"{folder}: {report.checked} STAC objects, {len(report.problems)} problems")
    if report.problems:
        raise typer.Exit(1)


def _grouped(problems: Sequence[str]) -> Iterator[str]:
    """One line for all problems that differ in their file and in numbers only."""
    alike: dict[str, list[str]] = {}
    for problem in problems:
        alike.setdefault(re.sub(r"\d+", "#", problem.partition(": ")[2]), []).append(problem)
    for first, *others in alike.values():
        yield f"{first} (and {len(others)} more like it: --all lists them)" if others else first
