"""`mage-stac push`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from .progress import bar


def push(
    catalogue: Annotated[Path, typer.Argument(help="Folder or file of a catalogue or Collection.")],
    pgstac: Annotated[
        str | None, typer.Option(help="DSN or URL of a pgstac database; without password by PGPASSWORD or ~/.pgpass.")
    ] = None,
    api: Annotated[str | None, typer.Option(help="URL of a STAC API with the Transaction extension.")] = None,
    base_url: Annotated[
        str | None, typer.Option(help="Where readers find the catalogue's folder, for assets on this disk.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Publish a catalogue on a STAC server. Again, it changes what has changed. Prints the Collections.

    Example: mage-stac push out/found --pgstac postgresql://stac@db.example.org/postgis
    --base-url https://data.example.org/found
    """
    from mage_stac import pgstac as database
    from mage_stac import transactions
    from mage_stac.errors import PushError
    from mage_stac.push import push as run

    if (pgstac is None) == (api is None):
        raise PushError("give --pgstac DSN or --api URL: the server to push to")
    server = transactions.connected(api) if api is not None else database.connected(pgstac or "")
    with server as there, bar("pushing") as step:
        pushed = run(catalogue, there, base_url=base_url, progress=step)
    if as_json:
        typer.echo(json.dumps({"collections": pushed.collections, **asdict(pushed.items)}))
        return
    items = pushed.items
    typer.echo(f"{items.new} Items new, {items.changed} changed, {items.same} there already", err=True)
    for name in pushed.collections:
        typer.echo(name if api is None else f"{api.rstrip('/')}/collections/{name}")
