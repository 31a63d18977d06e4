"""Maxar Open Data: the features of an event's GeoJSON catalogue as STAC Items.

Each feature is one satellite scene cut to one tile of Maxar's grid (UTM zone, quadkey), with the URLs of its files.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pystac.utils import datetime_to_str, str_to_datetime
from shapely.geometry import shape

from mage_stac import footprint, hrefs
from mage_stac.errors import AssetError, CatalogueError

LICENSE = "CC-BY-NC-4.0"  # as Maxar's Open Data Program states

COG = "image/tiff; application=geotiff; profile=cloud-optimized"

ASSETS: Mapping[str, Mapping[str, Any]] = {
    "visual": {"title": "Visual image", "type": COG, "roles": ["visual", "data"]},
    "ms_analytic": {"title": "Multispectral image", "type": COG, "roles": ["data"]},
    "pan_analytic": {"title": "Panchromatic image", "type": COG, "roles": ["data"]},
    "data-mask": {"title": "Data mask", "type": "application/geopackage+sqlite3", "roles": ["data-mask"]},
}
"""Properties that hold URLs -> the asset that each becomes; as in the STAC Items that Maxar publishes too."""

COLOURS = [{"name": colour, "eo:common_name": colour} for colour in ("red", "green", "blue")]

PANCHROMATIC = "WV01"
"""WorldView-1 has no colours, so its visual image is grey."""


def known(feature: Mapping[str, Any]) -> bool:
    """Whether a GeoJSON feature is of Maxar's catalogues, and no STAC Item already."""
    properties = feature.get("properties")
    return (
        "stac_version" not in feature and isinstance(properties, dict) and {"catalog_id", "quadkey"} <= set(properties)
    )


def item(feature: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The STAC Item of a feature, as JSON.

    `view:incidence_angle` is written as STAC means it, from the vertical: Maxar's is the elevation of the satellite.

    Raises:
        CatalogueError: the feature lacks something, or names what is no http(s) URL.
    """
    own = {key: value for key, value in feature["properties"].items() if value is not None}
    try:
        name = f"{int(own['utm_zone']):02}-{own['quadkey']}-{own['catalog_id']}"
        assets = {key: _asset(key, own, f"{path}: asset {key!r} of {name}") for key in ASSETS if own.get(key)}
        return {
            "type": "Feature",
            "stac_version": "1.1.0",
            "stac_extensions": [],
            "id": name,
            "collection": _event(own, path),
            "geometry": feature["geometry"],
            "bbox": footprint.bbox(shape(feature["geometry"])),
            "properties": _properties(own),
            "links": [],
            "assets": assets,
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CatalogueError(
            f"{path}: the feature of catalog_id {own.get('catalog_id')!r} is none of Maxar's: {error!r}"
        ) from error


def collection(event: str) -> dict[str, Any]:
    """What is known of the Collection of an event's Items."""
    return {
        "id": event,
        "title": f"Maxar Open Data: {event.replace('-', ' ')}",
        "description": f"Satellite images before and after the event {event}, released for its relief.",
        "license": LICENSE,
        "keywords": ["disaster", "satellite", "very high resolution"],
        "providers": [
            {"name": "Maxar", "roles": ["licensor", "producer", "host"], "url": "https://www.maxar.com/open-data"}
        ],
    }


def _properties(own: Mapping[str, Any]) -> dict[str, Any]:
    files = {*ASSETS, "proj:epsg", "proj:bbox", "proj:code", "view:incidence_angle", "datetime"}
    properties = {
        "datetime": datetime_to_str(str_to_datetime(own["datetime"])),
        **{key: value for key, value in own.items() if key not in files},
        "proj:code": str(own.get("proj:code") or f"EPSG:{int(own['proj:epsg'])}"),
    }
    if "tile:clouds_percent" in own:
        properties["eo:cloud_cover"] = own["tile:clouds_percent"]
    if "view:incidence_angle" in own:
        properties["view:incidence_angle"] = round(90 - own["view:incidence_angle"], 3)
    if "proj:bbox" in own:
        text = own["proj:bbox"]
        properties["proj:bbox"] = [float(part) for part in (text.split(",") if isinstance(text, str) else text)]
    return properties


def _asset(key: str, own: Mapping[str, Any], what: str) -> dict[str, Any]:
    try:
        href = hrefs.checked(own[key], what=what, stranger=True)
    except AssetError as error:
        raise CatalogueError(str(error)) from error
    asset = {"href": href, **ASSETS[key]}
    if key == "visual" and own.get("platform") != PANCHROMATIC:
        asset["bands"] = COLOURS
    return asset


def _event(own: Mapping[str, Any], path: Path) -> str:
    """The event that the URLs name (.../events/NAME/ard/...), or else the file's name."""
    for key in ASSETS:
        parts = urlsplit(str(own.get(key, ""))).path.split("/")
        if "events" in parts[:-1]:
            return parts[parts.index("events") + 1]
    return path.stem
