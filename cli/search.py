"""`mage-stac search`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .progress import bar


def search(  # noqa: PLR0913 - one parameter an option
    *,
    api: Annotated[
        str,
        typer.Option(
            help="Name of a known API, a URL, a catalogue's folder, or a GeoJSON file of Items or of a Maxar event."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the catalogue; it is added to.")],
    collection: Annotated[list[str] | None, typer.Option(help="Collection to search; may be repeated.")] = None,
    id: Annotated[list[str] | None, typer.Option(help="Id of an Item; may be repeated.")] = None,  # noqa: A002 - the option's name
    bbox: Annotated[str | None, typer.Option(help="W,S,E,N in degrees.")] = None,
    aoi: Annotated[Path | None, typer.Option(help="Vector file whose geometries are the area.")] = None,
    datetime: Annotated[str | None, typer.Option(help="2011-05, 2011-05-24, or A/B; '..' for an open end.")] = None,
    cql2: Annotated[str | None, typer.Option("--filter", help="CQL2, as text or JSON.")] = None,
    max_items: Annotated[int | None, typer.Option(help="Take no more than so many.")] = None,
    download: Annotated[bool, typer.Option("--download", help="Cut the assets to the area and keep them.")] = False,
    asset: Annotated[
        list[str] | None, typer.Option(help="Asset to download; may be repeated. All rasters without.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Find imagery in a STAC API or in a catalogue on disk, and keep it as a catalogue in OUT.

    Example: mage-stac search --api earth-search --collection sentinel-2-l2a --bbox -94.6,37.0,-94.4,37.1
    --datetime 2024-06/2024-07 --filter "eo:cloud_cover < 10" --max-items 4 --out out/found --download --asset red
    """
    from mage_stac.query import Query, area, box
    from mage_stac.retrieve import save
    from mage_stac.search import search as run

    query = Query(
        api=api,
        collections=tuple(collection or ()),
        ids=tuple(id or ()),
        bbox=None if bbox is None else box(bbox),
        aoi=None if aoi is None else area(aoi),
        datetime=datetime,
        filter=cql2,
        max_items=max_items,
    )
    with bar("searching") as step:
        found = run(query, progress=step)
    with bar("saving") as step:
        saved = save(found, query, out, download=download, assets=tuple(asset or ()), progress=step)
    for notice in saved.notices:
        typer.echo(notice, err=True)
    counts = {"matched": found.matched, "taken": len(found.items), "saved": len(saved.items), "kept": saved.kept}
    if as_json:
        typer.echo(json.dumps({"catalogue": str(out), "items": [str(path) for path in saved.items], **counts}))
    else:
        matched = "an unknown number of" if found.matched is None else found.matched
        typer.echo(f"{matched} Items match, {len(found.items)} taken, {len(saved.items)} saved", err=True)
        typer.echo(out)
