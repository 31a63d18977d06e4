"""STAC extensions: the versions that mage-stac writes, declared from the fields an object really uses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

SYNTHETIC = "https://mage-stac.github.io/synthetic/v1.0.0/schema.json"
"""Our own: how a synthetic Item was made. The schema is catalogs/schemas/synthetic/v1.0.0/schema.json."""

HOME = "https://stac-extensions.github.io"

URIS: Mapping[str, str] = {
    "proj": f"{HOME}/projection/v1.2.0/schema.json",
    "raster": f"{HOME}/raster/v2.0.0/schema.json",
    "eo": f"{HOME}/eo/v2.0.0/schema.json",
    "file": f"{HOME}/file/v2.1.0/schema.json",
    "view": f"{HOME}/view/v1.1.0/schema.json",
    "processing": f"{HOME}/processing/v1.2.0/schema.json",
    "label": f"{HOME}/label/v1.0.1/schema.json",
    "classification": f"{HOME}/classification/v2.0.0/schema.json",
    "version": f"{HOME}/version/v1.2.0/schema.json",
    "renders": f"{HOME}/render/v2.0.0/schema.json",
    "table": f"{HOME}/table/v1.2.0/schema.json",
    "mlm": f"{HOME}/mlm/v1.5.2/schema.json",
    "sar": f"{HOME}/sar/v1.3.0/schema.json",
    "synthetic": SYNTHETIC,
}
"""Field prefix -> schema of the version written.

Projection is 1.2.0 and not 2.0.0: only 1.2.0 allows `proj:epsg`, which GDAL before 3.10 needs, beside `proj:code`. All
that 2.0.0 allows is allowed by it, and pystac reads it as 2.0.0.
"""

OLDER: Mapping[str, str] = {
    "eo:bands": f"{HOME}/eo/v1.1.0/schema.json",
    "raster:bands": f"{HOME}/raster/v1.1.0/schema.json",
}
"""Fields of strangers that version 2 of their extension forbids -> the last version that has them."""


def declare(document: dict[str, Any]) -> None:
    """Add to `stac_extensions` the schema of every extension whose fields the document uses; keeps those declared.

    An extension declared in another version stays as it is, projection apart: a stranger's Item is not ours to upgrade.
    Links and the bodies of classes are not searched: their fields belong to the extension of the field that holds them.
    """
    stated = document.get("stac_extensions") or []
    declared = list(dict.fromkeys(URIS["proj"] if _same(uri, URIS["proj"]) else uri for uri in stated))
    used = set(_fields(document))
    older = {name.split(":")[0]: uri for name, uri in OLDER.items() if name in used}
    for prefix in sorted({name.split(":")[0] for name in used}):
        uri = older.get(prefix) or URIS.get(prefix)
        if uri and not any(_same(uri, other) for other in declared):
            declared.append(uri)
    document["stac_extensions"] = declared


def _same(uri: str, other: str) -> bool:
    return uri.rsplit("/", 2)[0] == other.rsplit("/", 2)[0]


def _fields(document: Mapping[str, Any]) -> Iterator[str]:
    """Names of the fields that belong to an extension."""
    holders = [document, document.get("properties", {}), document.get("summaries", {})]
    holders += [*document.get("assets", {}).values(), *document.get("item_assets", {}).values()]
    for holder in holders:
        for item in (holder, *holder.get("bands", ())):
            yield from (name for name in item if ":" in name or name == "renders")
