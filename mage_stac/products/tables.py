"""Tables of features on disk: GeoParquet, and what else GDAL writes, with their assets."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pystac

from mage_stac.cog import writing

FORMATS = {
    "gpkg": ("GPKG", "application/geopackage+sqlite3"),
    "fgb": ("FlatGeobuf", "application/vnd.flatgeobuf"),
    "geojson": ("GeoJSON", "application/geo+json"),
}
"""Suffix -> GDAL's driver and the media type of what a table may be written as beside GeoParquet."""


def write(path: Path, frame: Any) -> None:
    """Write GeoParquet 1.1 with the bounding box of each row, so that readers can skip what lies elsewhere.

    Raises:
        CatalogueError: the disk refuses.
    """
    with writing(path):
        frame.to_parquet(path, index=False, schema_version="1.1.0", write_covering_bbox=True)


def write_as(path: Path, frame: Any) -> None:
    """Write what GDAL writes, by the suffix: one of FORMATS. The file's name without it names its layer.

    Raises:
        CatalogueError: the disk refuses.
    """
    driver, _ = FORMATS[path.suffix[1:]]
    with writing(path), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*has no.*|.*organizePolygons.*")
        frame.to_file(path, driver=driver, layer=path.stem, engine="pyogrio")


def other_assets(folder: Path, name: str) -> dict[str, pystac.Asset]:
    """Assets of the files that `write_as` left of a table in a folder, by <name>-<suffix>."""
    return {
        f"{name}-{suffix}": pystac.Asset(
            f"{name}.{suffix}", title=f"{name.capitalize()} ({driver})", media_type=media_type, roles=["data"]
        )
        for suffix, (driver, media_type) in FORMATS.items()
        if (folder / f"{name}.{suffix}").is_file()
    }


def asset(href: str, frame: Any, *, title: str, columns: Mapping[str, str]) -> pystac.Asset:
    """A GeoParquet asset; `columns` tells what those of the frame hold."""
    kinds = {name: str(kind) for name, kind in frame.dtypes.items()}
    return pystac.Asset(
        href,
        title=title,
        media_type="application/vnd.apache.parquet",
        roles=["data"],
        extra_fields={
            "table:row_count": len(frame),
            "table:primary_geometry": "geometry",
            "table:columns": [
                {"name": name, "type": kinds[name], "description": columns[name]} for name in columns if name in kinds
            ],
        },
    )
