"""Keeping what a search found: a catalogue on disk, with the query in it, and the pixels of an area if asked."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pystac
from pystac.utils import datetime_to_str
from shapely.geometry.base import BaseGeometry

from mage_stac import band_fields, catalogue, folders, hrefs, publish
from mage_stac.cut import cut
from mage_stac.errors import AssetError, GridError, SearchError
from mage_stac.gather import Wanted, gather
from mage_stac.progress import Step
from mage_stac.query import Query
from mage_stac.search import Found, signer

QUERIES = "mage:queries"
"""Field of a Collection: the searches that filled it, each with its date, what matched and what was taken."""

_STRUCTURE = {"root", "parent", "collection", "self", "child", "item", "items"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Saved:
    """What `save` left on disk."""

    items: tuple[Path, ...]
    """Item files, in the order of the search."""
    kept: int
    """How many of them were there already."""
    notices: tuple[str, ...]


def save(
    found: Found,
    query: Query,
    out: Path,
    *,
    download: bool = False,
    assets: tuple[str, ...] = (),
    image: Wanted | None = None,
    progress: Step | None = None,
) -> Saved:
    """Write what was found as a catalogue; with `download`, assets cut to the area as COGs, else their URLs.

    With `image`, what is downloaded is an asset `image` of these bands (see `gather`), and `assets` beside it if named.

    Items of an API may name http(s) and s3 assets only: others are left out, and said so. URLs are kept unsigned. Items
    already there in the same form are kept. Of several of one id in one Collection the first is taken, and said so. One
    that fails does not stop the others: what could be saved is indexed.

    Raises:
        SearchError: a download without an area, or Items that failed (names the first and counts the rest).
        CatalogueError: the disk refuses.
    """
    if download and query.area is None:
        raise SearchError("--download cuts the assets to the area: give --bbox or --aoi")
    if image is not None and not download:
        raise SearchError("--bands makes an image of downloaded pixels: add --download")
    written: list[Path] = []
    failures: list[str] = []
    items, notices = _once(found.items, out)
    kept = 0
    with folders.none_empty(*(_place(item, out).parents[1] for item in items)):
        for done, item in enumerate(items):
            if progress:
                progress(done, len(items), item.id)
            ready = _trusted(item, notices) if not found.api.local else item
            try:
                made = (
                    _Made(lineage=_lineage(ready, query, assets, image), assets=assets, image=image)
                    if download
                    else None
                )
                path, fresh, said = _save_item(ready, found, query, out, made)
            except GridError as error:
                notices[str(error)] += 1
            except AssetError as error:
                failures.append(str(error))
            else:
                written.append(path)
                kept += not fresh
                notices.update(said)
    if written:
        _index(found, query, out, written)
    if failures:
        rest = "the others are kept" if written else "so nothing is kept"
        raise SearchError(f"{len(failures)} of {len(items)} Items not downloaded, {rest}: {failures[0]}")
    said = tuple(f"{notice} ({count} times)" if count > 1 else notice for notice, count in notices.items())
    return Saved(items=tuple(written), kept=kept, notices=(*found.notices, *said))


def _once(items: Sequence[pystac.Item], out: Path) -> tuple[list[pystac.Item], Counter[str]]:
    """The first Item of each place in the catalogue, and what to say of the others."""
    first: dict[Path, pystac.Item] = {}
    notices = Counter[str]()
    for item in items:
        if first.setdefault(_place(item, out), item) is not item:
            notices[f"Item {item.id} of Collection {item.collection_id} was found before: the first one is taken"] += 1
    return list(first.values()), notices


def _trusted(item: pystac.Item, notices: Counter[str]) -> pystac.Item:
    """The Item without assets that a stranger may not name."""
    result = item.clone()
    result.assets = {}
    for key, asset in item.assets.items():
        try:
            hrefs.checked(asset.href, what="", stranger=True)
        except AssetError:
            notices[f"asset {key!r} left out: an API may name http(s) and s3 URLs, and no GDAL virtual files"] += 1
        else:
            result.assets[key] = asset
    return result


@dataclass(frozen=True, kw_only=True, slots=True)
class _Made:
    """How a download is made."""

    lineage: str
    assets: tuple[str, ...]
    image: Wanted | None


def _save_item(
    item: pystac.Item, found: Found, query: Query, out: Path, made: _Made | None
) -> tuple[Path, bool, tuple[str, ...]]:
    path = _place(item, out)
    collection, name = path.parts[-3], path.stem
    if _made_before(path, made.lineage if made else None):
        return path, False, ()
    notices: tuple[str, ...] = ()
    with catalogue.staged(out, collection, name) as folder:
        ready = item.clone()
        if made and query.area is not None:
            ready, notices = _downloaded(item, query.area, folder, made, signer(found.api.sign))
            ready.properties["processing:lineage"] = made.lineage
            ready.properties["processing:software"] = publish.SOFTWARE
        ready.id, ready.collection_id = name, collection
        ready.links = [link for link in ready.links if link.rel not in _STRUCTURE]
        _link_origin(ready, item)
        catalogue.write_item(folder, ready)
    return path, True, notices


def _place(item: pystac.Item, out: Path) -> Path:
    """The file that an Item is kept in."""
    name = folder_name(item.id)
    return out / folder_name(item.collection_id or "items") / name / f"{name}.json"


def _downloaded(
    item: pystac.Item, area: BaseGeometry, folder: Path, made: _Made, sign: Callable[[str], str] | None
) -> tuple[pystac.Item, tuple[str, ...]]:
    """The Item with its pixels in a folder, and what the user should know."""
    if made.image is None:
        return cut(item, area, folder, keys=made.assets, sign=sign), ()
    beside = cut(item, area, folder, keys=made.assets, sign=sign).assets if made.assets else {}
    for asset in beside.values():
        asset.extra_fields = band_fields.upgraded(asset.extra_fields)
    gathered = gather(item, made.image, area, folder, sign=sign)
    gathered.item.assets = {**beside, **gathered.item.assets}
    return gathered.item, gathered.notices


def folder_name(name: str) -> str:
    """The id itself, or, where it cannot be a file name, one like it that no other id becomes."""
    safe = catalogue.safe_id(name)
    return safe if safe == name else f"{safe}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _lineage(item: pystac.Item, query: Query, assets: tuple[str, ...], image: Wanted | None) -> str:
    bounds = [] if query.area is None else list(query.area.bounds)
    chosen = f" (assets {', '.join(assets)})" if assets else ""
    if image is not None:
        hidden = f", without what {image.hide} hides" if image.hide else ""
        chosen += f" (bands {', '.join(image.bands)} as one image{hidden})"
    return f"Cut to {json.dumps(bounds)} from Item {item.id}{chosen}"


def _made_before(path: Path, lineage: str | None) -> bool:
    if not path.is_file():
        return False
    properties: dict[str, Any] = catalogue.read_json(path).get("properties", {})
    return lineage is None or properties.get("processing:lineage") == lineage


def _link_origin(item: pystac.Item, source: pystac.Item) -> None:
    href = source.get_self_href()
    if href is not None:
        item.add_link(pystac.Link("via", href, media_type="application/geo+json", title=source.id))


def _index(found: Found, query: Query, out: Path, written: list[Path]) -> None:
    identity = catalogue.identity(out, title=f"Found in {found.api.title}")
    names = {folder_name(name): name for name in (item.collection_id or "items" for item in found.items)}
    templates = {}
    for folder in sorted({path.parent.parent.name for path in written}):
        known = out / folder / "collection.json"
        before = catalogue.read_json(known) if known.is_file() else {}
        template = dict(found.templates.get(names[folder]) or before or {"title": names[folder], "license": "other"})
        template["links"] = list(_lasting_links(template))
        template[QUERIES] = [*before.get(QUERIES, []), record(found, query)]
        templates[folder] = hrefs.unsigned(template)
    catalogue.index(out, **identity, collections=templates)


def _lasting_links(template: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A stranger Collection's links that mean something here: absolute ones; its own place becomes `via`."""
    for link in template.get("links", []):
        if link.get("rel") == "self" and hrefs.is_remote(link["href"]):
            yield {**link, "rel": "via"}
        elif link.get("rel") not in _STRUCTURE and hrefs.is_remote(str(link.get("href"))):
            yield link


def record(found: Found, query: Query) -> dict[str, Any]:
    """A search as QUERIES keeps it."""
    return {
        **query.as_dict(),
        "date": datetime_to_str(datetime.now(UTC).replace(microsecond=0)),
        "matched": found.matched,
        "taken": len(found.items),
    }
