"""A catalogue of pairs: the images before in `pre`, those after in `post`, and in `pairs` an Item for every two."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pystac
import shapely

from mage_stac import catalogue, footprint, retrieve
from mage_stac.event_pairs import Chosen, EventPair
from mage_stac.gather import Wanted
from mage_stac.query import Query
from mage_stac.search import Found

PRE, POST, PAIRS = "pre", "post", "pairs"
"""Collections. The first two are what `predict --pre --post` takes."""
TITLES = {PRE: "Before the event", POST: "After the event", PAIRS: "Pairs: before and after the event"}
OWN = ("datetime", "start_datetime", "end_datetime", "gsd", "platform", "eo:cloud_cover", "proj:", "view:")
"""What an asset of a pair says itself, since the two dates differ in it; prefixes among them."""
DIGITS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class SavedPairs:
    """What `save` left on disk."""

    pairs: tuple[Path, ...]
    """Item files, best first."""
    images: tuple[Path, ...]
    notices: tuple[str, ...]


def save(
    found: Found,
    chosen: Chosen,
    query: Query,
    event: str,
    out: Path,
    *,
    download: bool = False,
    assets: tuple[str, ...] = (),
    image: Wanted | None = None,
) -> SavedPairs:
    """Write both dates of the chosen pairs as `retrieve.save` does, and an Item for each pair.

    A pair's assets are those of its two images, as `pre_KEY` and `post_KEY`; its geometry is the ground that both show;
    `mage:score` and its factors tell why it was chosen, `mage:rank` when (1: first).

    Raises:
        SearchError: a download without an area, or Items that failed.
        CatalogueError: the disk refuses.
    """
    saved: list[Path] = []
    folders: dict[str, set[str]] = {}
    notices: list[str] = []
    for name in (PRE, POST):
        part = _part(found, name, [pair.pre if name == PRE else pair.post for pair in chosen.pairs])
        one = retrieve.save(part, query, out, download=download, assets=assets, image=image)
        saved += one.items
        notices += [notice for notice in one.notices if notice not in notices]
        folders[name] = {path.stem for path in one.items}
    made = []
    for rank, pair in enumerate(chosen.pairs, start=1):
        names = [retrieve.folder_name(item.id) for item in (pair.pre, pair.post)]
        if names[0] in folders[PRE] and names[1] in folders[POST]:
            images = [catalogue.read_item(out / kind / name) for kind, name in zip((PRE, POST), names, strict=True)]
            made.append(_write(pair, images, rank, event, out))
    licence = catalogue.read_json(out / POST / "collection.json").get("license", "other")
    template = {"title": TITLES[PAIRS], "license": licence, retrieve.QUERIES: [retrieve.record(found, query)]}
    catalogue.index(out, **catalogue.identity(out, title=f"Pairs of {event}"), collections={PAIRS: template})
    return SavedPairs(pairs=tuple(made), images=tuple(saved), notices=tuple(notices))


def _part(found: Found, name: str, items: Sequence[pystac.Item]) -> Found:
    """The images of one date as a Collection of their own, under the licence and providers of where they come from."""
    several = {item.id: item for item in items}
    template = next((found.templates[c] for i in items if (c := str(i.collection_id)) in found.templates), {})
    kept = {key: value for key, value in template.items() if key not in ("summaries", "item_assets", "assets")}
    moved = []
    for item in several.values():
        copy = item.clone()
        copy.collection_id = name
        moved.append(copy)
    return replace(found, items=tuple(moved), templates={name: {"license": "other", **kept, "title": TITLES[name]}})


def _write(pair: EventPair, images: Sequence[pystac.Item], rank: int, event: str, out: Path) -> Path:
    name = retrieve.folder_name(f"{images[0].id}_{images[1].id}")
    dates = [
        image.properties.get("datetime") or image.properties[key] for image, key in zip(images, _EDGES, strict=True)
    ]
    item = pystac.Item(
        name,
        json.loads(shapely.to_geojson(pair.ground)),
        footprint.bbox(pair.ground),
        None,
        {
            "datetime": None,
            "start_datetime": dates[0],
            "end_datetime": dates[1],
            "mage:event_date": event,
            "mage:rank": rank,
            **{
                f"mage:{factor}": round(float(getattr(pair, factor)), DIGITS)
                for factor in ("score", "cloud", "angle", "date", "overlap")
            },
        },
        collection=PAIRS,
    )
    for kind, image in zip((PRE, POST), images, strict=True):
        for key, asset in image.assets.items():
            item.add_asset(f"{kind}_{key}", _told(asset, image))
        item.add_link(pystac.Link("related", image, media_type="application/geo+json", title=kind))
    with catalogue.staged(out, PAIRS, name) as folder:
        catalogue.write_item(folder, item)
    return out / PAIRS / name / f"{name}.json"


_EDGES = ("start_datetime", "end_datetime")


def _told(asset: pystac.Asset, image: pystac.Item) -> pystac.Asset:
    copy = asset.clone()
    told: dict[str, Any] = {key: value for key, value in image.properties.items() if key.startswith(OWN) and value}
    copy.extra_fields = {**told, **copy.extra_fields}
    return copy
