"""What a Collection says of its Items: extents, summaries, assets and bands, read off the Items themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mage_stac import dates

Document = Mapping[str, Any]

_COMPUTED = {"type", "stac_version", "stac_extensions", "id", "links", "extent", "summaries", "item_assets", "bands"}
_LISTED = (
    "platform", "constellation", "instruments", "gsd", "proj:code", "label:type", "label:classes", "processing:level",
    "synthetic:hazard", "synthetic:phase", "synthetic:generator",
)  # fmt: skip
_RANGED = ("eo:cloud_cover", "view:off_nadir", "view:sun_azimuth", "view:sun_elevation", "synthetic:intensity")
_PER_ITEM = {"href", "proj:shape", "proj:transform", "proj:bbox", "proj:geometry", "file:size", "file:checksum"}
"""Fields of an asset that differ from Item to Item, so they say nothing of the Collection."""


def collection_document(
    name: str, template: Document, items: Sequence[Document], *, parent_title: str
) -> dict[str, Any]:
    """A STAC Collection for Items (at least one) that lie in its folder.

    `template` gives the title, description, license and whatever cannot be read off the Items; its links that are not
    structural are kept.
    """
    title = template.get("title", name)
    document = {
        "type": "Collection",
        "stac_version": "1.1.0",
        "id": name,
        "title": title,
        "description": template.get("description", title),
        "license": template.get("license", "other"),
        **{key: value for key, value in template.items() if key not in _COMPUTED | {"title", "description", "license"}},
        "extent": extent(items),
        "summaries": {**_kept(template), **summaries(items)},
        "item_assets": item_assets(items),
        "links": _links(template, items, parent_title),
    }
    bands = _bands(document["item_assets"])
    if bands:
        document["bands"] = bands
    return document


def extent(items: Sequence[Document]) -> dict[str, Any]:
    """Union of boxes (lon/lat; the whole circle if one crosses the antimeridian) and of times of the Items."""
    boxes = [item["bbox"] for item in items if item.get("bbox")]
    if boxes:
        flat = [(box[0], box[1], box[len(box) // 2], box[len(box) // 2 + 1]) for box in boxes]
        wraps = any(box[0] > box[2] for box in flat)
        west, east = (-180.0, 180.0) if wraps else (min(box[0] for box in flat), max(box[2] for box in flat))
        union = [west, min(box[1] for box in flat), east, max(box[3] for box in flat)]
    else:
        union = [-180.0, -90.0, 180.0, 90.0]
    times = sorted((time for item in items for time in _times(item["properties"])), key=dates.parsed)
    return {
        "spatial": {"bbox": [union]},
        "temporal": {"interval": [[times[0], times[-1]] if times else [None, None]]},
    }


def _times(properties: Document) -> Iterator[str]:
    for key in ("datetime", "start_datetime", "end_datetime"):
        if properties.get(key):
            yield properties[key]


def summaries(items: Sequence[Document]) -> dict[str, Any]:
    """Sets of the values of some properties and ranges of others, over the Items that have them."""
    found: dict[str, Any] = {}
    for key in _LISTED:
        values = _distinct(value for item in items for value in _as_list(item["properties"].get(key)))
        if values:
            found[key] = values
    for key in _RANGED:
        numbers = [item["properties"][key] for item in items if isinstance(item["properties"].get(key), (int, float))]
        if numbers:
            found[key] = {"minimum": min(numbers), "maximum": max(numbers)}
    return found


def item_assets(items: Sequence[Document]) -> dict[str, dict[str, Any]]:
    """The assets that the Items have, each with the fields on which they agree."""
    merged: dict[str, dict[str, Any]] = {}
    for item in items:
        for key, asset in item.get("assets", {}).items():
            fields = {name: value for name, value in asset.items() if name not in _PER_ITEM and not _of_model(name)}
            known = merged.setdefault(key, fields)
            merged[key] = {name: value for name, value in known.items() if fields.get(name) == value}
    return merged


def _of_model(name: str) -> bool:
    """Fields that stay on Items: a Collection that has any may hold no list as a summary (MLM 1.5.2)."""
    return name.startswith("mlm:")


def _bands(assets: Mapping[str, Document]) -> list[dict[str, Any]]:
    named: dict[str, dict[str, Any]] = {}
    for asset in assets.values():
        for band in asset.get("bands", ()):
            if band.get("name"):
                named.setdefault(band["name"], dict(band))
    return list(named.values())


def _links(template: Document, items: Sequence[Document], parent_title: str) -> list[dict[str, Any]]:
    structure = {"root", "parent", "self", "item", "child"}
    return [
        {"rel": "root", "href": "../catalog.json", "type": "application/json", "title": parent_title},
        {"rel": "parent", "href": "../catalog.json", "type": "application/json", "title": parent_title},
        *(link for link in template.get("links", ()) if link.get("rel") not in structure),
        *(
            {
                "rel": "item",
                "href": f"./{item['id']}/{item['id']}.json",
                "type": "application/geo+json",
                "title": _title(item),
            }
            for item in items
        ),
    ]


def _title(item: Document) -> str:
    return str(item["properties"].get("title") or item["id"])


def _kept(template: Document) -> dict[str, Any]:
    known = {*_LISTED, *_RANGED}
    return {key: value for key, value in template.get("summaries", {}).items() if key not in known}


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _distinct(values: Iterator[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return sorted(found, key=str)
