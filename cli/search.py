"""`mage-stac search`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .progress import bar

SHOWN = 5
"""Pairs told of on the terminal."""

if TYPE_CHECKING:
    from mage_stac.event_pairs import Chosen
    from mage_stac.pair_catalogue import SavedPairs


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
    pairs: Annotated[
        bool, typer.Option("--pairs", help="Choose images before and after an event: clear, upright, near in time.")
    ] = False,
    event_date: Annotated[
        str | None,
        typer.Option(help="When it struck, for --pairs: a day, a moment, or A/B. Its own images are left out."),
    ] = None,
    max_items: Annotated[int | None, typer.Option(help="Take no more than so many; with --pairs, pairs.")] = None,
    download: Annotated[bool, typer.Option("--download", help="Cut the assets to the area and keep them.")] = False,
    asset: Annotated[
        list[str] | None, typer.Option(help="Asset to download; may be repeated. All rasters without.")
    ] = None,
    bands: Annotated[
        str | None,
        typer.Option(help="Bands to download as one `image` on the finest one's pixels: red,green; or ASSET.BAND."),
    ] = None,
    hide: Annotated[
        str | None, typer.Option(help="Mask of the same Items (scl, qa_pixel): its clouds are nodata in that image.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Find imagery in a STAC API or in a catalogue on disk, and keep it as a catalogue in OUT.

    The other verbs read an asset `image`: --bands makes it of Items that have a file a band.

    Example: mage-stac search --api earth-search --collection sentinel-2-l2a --bbox -94.6,37.0,-94.4,37.1
    --datetime 2024-06/2024-07 --filter "eo:cloud_cover < 10" --max-items 4 --out out/found --download
    --bands blue,green,red,nir,swir16,swir22 --hide scl

    With --pairs, OUT gets the collections `pre`, `post` and `pairs`; `predict --pre OUT/pre --post OUT/post` maps them:
    mage-stac search --api Libya-Floods-Sept-2023.geojson --bbox 22.60,32.74,22.68,32.78 --pairs
    --event-date 2023-09-10/2023-09-11 --download --bands red,green,blue --out out/derna
    """
    from mage_stac.errors import SearchError
    from mage_stac.event_pairs import choose
    from mage_stac.gather import Wanted
    from mage_stac.pair_catalogue import save as save_pairs
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
        max_items=None if pairs else max_items,
    )
    if pairs != (event_date is not None):
        raise SearchError("--pairs and --event-date go together")
    if hide is not None and bands is None:
        raise SearchError("--hide goes with --bands: it masks the image that --bands makes")
    names = tuple(name.strip() for name in (bands or "").split(",") if name.strip())
    if bands is not None and not names:
        raise SearchError(f"--bands {bands!r} names no band: give them like red,green,blue")
    image = Wanted(bands=names, hide=hide) if names else None
    with bar("searching") as step:
        found = run(query, progress=step)
    if event_date is not None:
        chosen = choose(found.items, event_date, area=query.area, limit=max_items)
        made = save_pairs(
            found, chosen, query, event_date, out, download=download, assets=tuple(asset or ()), image=image
        )
        _told_pairs(chosen, made, out, as_json=as_json)
        return
    with bar("saving") as step:
        saved = save(found, query, out, download=download, assets=tuple(asset or ()), image=image, progress=step)
    if not saved.items:
        raise SearchError(f"none of the {len(found.items)} Items could be kept: {'; '.join(saved.notices)}")
    for notice in saved.notices:
        typer.echo(notice, err=True)
    counts = {"matched": found.matched, "taken": len(found.items), "saved": len(saved.items), "kept": saved.kept}
    if as_json:
        typer.echo(json.dumps({"catalogue": str(out), "items": [str(path) for path in saved.items], **counts}))
    else:
        matched = "an unknown number of" if found.matched is None else found.matched
        typer.echo(f"{matched} Items match, {len(found.items)} taken, {len(saved.items)} saved", err=True)
        typer.echo(out)


def _told_pairs(chosen: Chosen, saved: SavedPairs, out: Path, *, as_json: bool) -> None:
    """Say which pairs were chosen and why."""
    for notice in saved.notices:
        typer.echo(notice, err=True)
    best = [
        {
            "pre": pair.pre.id, "post": pair.post.id, "score": round(pair.score, 4), "cloud": round(pair.cloud, 4),
            "angle": round(pair.angle, 4), "date": round(pair.date, 4), "overlap": round(pair.overlap, 4),
        }
        for pair in chosen.pairs
    ]  # fmt: skip
    if as_json:
        paths = [str(path) for path in saved.pairs]
        facts = {"covered": chosen.covered, "during": chosen.during, "chosen": best}
        typer.echo(json.dumps({"catalogue": str(out), "pairs": paths, **facts}))
        return
    for pair in best[:SHOWN]:
        typer.echo("{pre} -> {post}: {score} = {cloud} * {angle} * {date} * {overlap}".format(**pair), err=True)
    shown = "" if chosen.covered is None else f", {chosen.covered:.0%} of the area shown before and after"
    during = f"; {chosen.during} Items of the event's own time left out" if chosen.during else ""
    typer.echo(f"{len(saved.pairs)} pairs{shown}{during}", err=True)
    typer.echo(out)
