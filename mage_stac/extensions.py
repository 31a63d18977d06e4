"""STAC extensions: the versions that mage-stac writes, declared from the fields an object really uses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

SYNTHETIC = "https://mage-stac.github.io/synthetic/v1.0.0/schema.json"
"""Our own: how a synthetic Item was made. The schema is catalogs/schemas/synthetic/v1.0.0/schema.json."""

_HOME = "https://stac-extensions.github.io"

URIS: Mapping[str, str] = {
    "proj": f"{_HOME}/projection/v2.0.0/schema.json",
    "raster": f"{_HOME}/raster/v2.0.0/schema.json",
    "eo": f"{_HOME}/eo/v2.0.0/schema.json",
    "file": f"{_HOME}/file/v2.1.0/schema.json",
    "view": f"{_HOME}/view/v1.1.0/schema.json",
    "processing": f"{_HOME}/processing/v1.2.0/schema.json",
    "label": f"{_HOME}/label/v1.0.1/schema.json",
    "classification": f"{_HOME}/classification/v2.0.0/schema.json",
    "version": f"{_HOME}/version/v1.2.0/schema.json",
    "renders": f"{_HOME}/render/v2.0.0/schema.json",
    "table": f"{_HOME}/table/v1.2.0/schema.json",
    "mlm": f"{_HOME}/mlm/v1.5.2/schema.json",
    "sar": f"{_HOME}/sar/v1.3.0/schema.json",
    "synthetic": SYNTHETIC,
}
"""Field prefix -> schema of the version written."""


def declare(document: dict[str, Any]) -> None:
    """Add to `stac_extensions` the schema of every extension whose fields the document uses; keeps those declared.

    An extension declared in another version stays as it is: a stranger's Item is not ours to upgrade. Links and the
    bodies of classes are not searched: their fields belong to the extension of the field that holds them.
    """
    declared: list[str] = list(document.get("stac_extensions") or [])
    for prefix in sorted(set(_prefixes(document))):
        uri = URIS.get(prefix)
        if uri and not any(_same(uri, other) for other in declared):
            declared.append(uri)
    document["stac_extensions"] = declared


def _same(uri: str, other: str) -> bool:
    return uri.rsplit("/", 2)[0] == other.rsplit("/", 2)[0]


def _prefixes(document: Mapping[str, Any]) -> Iterator[str]:
    holders = [document, document.get("properties", {}), document.get("summaries", {})]
    holders += [*document.get("assets", {}).values(), *document.get("item_assets", {}).values()]
    for holder in holders:
        for item in (holder, *holder.get("bands", ())):
            for name in item:
                yield name.split(":", 1)[0] if ":" in name else (name if name == "renders" else "")
