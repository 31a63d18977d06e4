"""Derived: what the Items of all products of a prediction have in common."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pystac
from pystac.utils import datetime_to_str

from mage_stac import catalogue, publish
from mage_stac.errors import CatalogueError


def root_of(item: pystac.Item) -> Path:
    """The catalogue that an Item lies in.

    Raises:
        CatalogueError: it lies in none.
    """
    folder = Path(item.get_self_href() or ".").absolute().parents[2]
    if not (folder / "catalog.json").is_file():
        raise CatalogueError(f"Item {item.id} lies in no catalogue: say with --out where to write")
    return folder


def item(
    name: str,
    prediction: pystac.Item,
    collection: str,
    *,
    words: Mapping[str, str],
    fields: Mapping[str, Any],
    assets: Mapping[str, pystac.Asset],
) -> pystac.Item:
    """The Item of a product: place and time of the prediction, a link to it, when and by what it was made.

    Args:
        name: its id.
        prediction: what it was made from.
        collection: its Collection.
        words: `title`, `description` and `lineage`.
        fields: further properties.
        assets: by key.
    """
    made = pystac.Item(
        id=name,
        geometry=prediction.geometry,
        bbox=prediction.bbox,
        datetime=prediction.datetime,
        properties={
            "title": words["title"],
            "description": words["description"],
            "created": datetime_to_str(datetime.now(UTC)),
            "processing:level": "L4",
            "processing:lineage": words["lineage"],
            "processing:software": publish.SOFTWARE,
            **fields,
        },
        collection=collection,
    )
    for key, asset in assets.items():
        made.add_asset(key, asset)
    publish.derived_from(made, [prediction])
    return made


def index(root: Path, collection: str, template: Mapping[str, Any]) -> None:
    """Put a Collection of products into a catalogue, which keeps its name if it has one."""
    known = catalogue.identity(root, title="Products")
    catalogue.index(root, id=known["id"], title=known["title"], collections={collection: template})
