"""Graded: real images of both dates with a few buildings graded by a person, as labelled pairs to learn from."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pystac
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio import features

from mage_stac import catalogue, cube, dates, grid, overlap, pairs, publish, readings, reference, sensors
from mage_stac.classes import DAMAGE_CLASSES, NOT_OBSERVED, colour_table
from mage_stac.errors import AssetError, CatalogueError
from mage_stac.readings import Bands, Reading
from mage_stac.sensors import Band, Sensor

COLLECTION = "graded-pairs"
NAME = "graded-"
"""How ids of the pairs begin."""
TILE = 256
"""Pixels a side of a pair."""
APRON = 3.0
"""Ground so far around a graded building counts as no building, m, unless it belongs to another graded one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outlines:
    """Outlines of buildings in a file, graded by a person or by a map."""

    path: Path
    """With a column of grades (reference.COLUMNS), in any CRS."""
    layer: str | None = None
    """Of a file with several."""
    sure: float = 0.0
    """Of a map's own buildings (`buildings.parquet`), only those whose state is at least so probable, 0..1."""


def publish_pairs(real: Path, gradings: Outlines, out: Path, *, bands: Bands, gsd: float) -> Path:
    """Write the pairs around all graded buildings, as the collection `graded-pairs` of a catalogue.

    Labels hold the grade over each graded outline, no building (0) on APRON around it, and 255 everywhere else: the
    buildings that nobody graded are neither damaged nor undamaged.

    Args:
        real: catalogue of images of both dates (pairs.by_phase).
        gradings: the buildings.
        out: the catalogue; pairs of an earlier call are replaced.
        bands: names of the bands to take, or how each date is read.
        gsd: metres.

    Returns:
        `out`.

    Raises:
        AssetError: no grades, points instead of outlines, or an Item lacks image or bands.
        CatalogueError: there are no images, they are of one date only, or show none of the graded buildings.
        GridError: the dates do not overlap.
    """
    sides = pairs.by_phase(pairs.images(real))
    if not all(sides):
        raise CatalogueError(f"{real}: images of one date only; graded buildings need both")
    whole = overlap.grid_of_both(*sides, pairs.IMAGE, gsd)
    outlines, grades = _gradings(gradings, str(whole.crs))
    middles = shapely.get_coordinates(shapely.centroid(outlines)) if len(outlines) else np.zeros((0, 2))
    told, made = grades != NOT_OBSERVED, set[str]()
    for number, window in enumerate(grid.windows(whole, TILE)):
        part = grid.crop(whole, *window.outer)
        west, south, east, north = part.boundingbox.bbox
        here = told & (middles >= (west, south)).all(axis=1) & (middles < (east, north)).all(axis=1)
        if here.any():
            near = shapely.intersects(outlines, shapely.box(west, south, east, north))
            made.add(f"{NAME}{number:05d}")
            write_pair(out, f"{NAME}{number:05d}", part, sides, bands, label(part, outlines[near], grades[near]))
    if not made:
        raise CatalogueError(
            f"{gradings.path}: none of its {told.sum()} graded buildings lies where {real} shows both dates"
        )
    for path in catalogue.item_files(out / COLLECTION):
        if path.stem.rsplit("-", 1)[0] not in made:
            shutil.rmtree(path.parent)
    index(out, gradings.path.name)
    return out


def digest(gradings: Outlines) -> str:
    """SHA-256 of the graded outlines and their grades, in hex.

    Raises:
        AssetError: no outlines with grades.
    """
    outlines, grades = _gradings(gradings)
    return hashlib.sha256(b"".join(shapely.to_wkb(outlines)) + grades.tobytes()).hexdigest()


def index(out: Path, source: str) -> None:
    """Write the catalogue of the pairs; `source` says where their labels are from."""
    template = {
        "title": "Graded buildings",
        "description": f"Real images around buildings graded in {source}; 255 where nobody graded.",
        "license": "other",
    }
    catalogue.index(out, id="graded", title="Graded buildings", collections={COLLECTION: template})


def _gradings(gradings: Outlines, crs: str | None = None) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Outlines in a CRS, or the file's own, and their grades 1..4; 255 where nobody graded them or not surely."""
    path = gradings.path
    found = reference.find(path, layer=gradings.layer)
    if found.table is None:
        raise AssetError(f"{path} is a raster: give outlines of buildings with a column of grades")
    table = found.table[~found.table.geometry.is_empty]
    if (table.geom_type[table["grade"] != NOT_OBSERVED] == "Point").any():
        raise AssetError(
            f"{path} holds points: give the outlines of the graded buildings, the label is drawn from them"
        )
    if gradings.sure > 0:
        if "probability" not in table:
            raise AssetError(
                f"{path} does not say how sure its grades are (columns probability_1 to probability_4): leave --sure"
                " out"
            )
        table = table.assign(grade=table["grade"].where(table["probability"] >= gradings.sure, NOT_OBSERVED))
    if crs is not None:
        table = table.to_crs(crs)
    return np.asarray(table.geometry), table["grade"].to_numpy(np.int64)


def label(part: GeoBox, outlines: NDArray[Any], grades: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Damage classes (rows, columns) of graded outlines: see `publish_pairs`. Where two meet, the worse grade holds;
    one that is not graded (255) is no ground either.
    """
    told = grades != NOT_OBSERVED
    aprons = [(apron, 0) for apron in _aprons(part, outlines[told])]
    worse_last = np.argsort(grades % NOT_OBSERVED, kind="stable")
    shapes = [*aprons, *((outlines[i], int(grades[i])) for i in worse_last)]
    burnt: NDArray[np.uint8] = features.rasterize(
        shapes, part.shape, fill=NOT_OBSERVED, transform=part.affine, dtype="uint8"
    )
    return burnt


def _aprons(part: GeoBox, outlines: NDArray[Any]) -> NDArray[Any]:
    """The outlines with APRON metres of ground around them, in the CRS of a grid, be that in degrees."""
    own, metric = str(part.crs), overlap.metric(part)
    there = outlines if metric == own else np.asarray(gpd.GeoSeries(outlines, crs=own).to_crs(metric))
    grown = shapely.buffer(there, APRON, quad_segs=16)
    return grown if metric == own else np.asarray(gpd.GeoSeries(grown, crs=metric).to_crs(own))


def write_pair(
    out: Path,
    name: str,
    part: GeoBox,
    sides: Sequence[Sequence[pystac.Item]],
    bands: Bands,
    truth: NDArray[np.uint8],
) -> None:
    """Write the three Items of a pair on the grid `part`: images of two dates, and damage classes on that grid."""
    gsd, images = float(grid.pixel_metres(part)[0]), []
    for phase, items, reading in zip(pairs.PHASES, sides, readings.of(bands), strict=True):
        sensor = _sensor(reading, gsd)
        at = pairs.positions(items, [band.name for band in sensor.bands])
        values, valid = cube.read(items, part, asset=pairs.IMAGE, bands=at)
        steps = np.rint((values - sensor.offset) / sensor.scale)
        numbers = np.where(valid, steps.clip(1, 65535), 0).astype(np.uint16)
        with catalogue.staged(out, COLLECTION, f"{name}-{phase}") as folder:
            publish.write_cog(folder / "image.tif", numbers, part, nodata=0)
            item = publish.imagery_item(
                id=folder.name.removeprefix(".").removesuffix(".partial"),
                geobox=part,
                datetime=dates.stated(items[0]),
                sensor=sensor,
                folder=folder,
                properties={"mage:pair": name, "mage:phase": phase},
            )
            item.collection_id = COLLECTION
            publish.derived_from(item, items)
            catalogue.write_item(folder, item)
        images.append(catalogue.read_item(out / COLLECTION / f"{name}-{phase}"))
    _write_label(out, name, part, truth, images)


def _sensor(reading: Reading, gsd: float) -> Sensor:
    """The reading's range of any image, without loss for 8 bits, in 16."""
    like, (low, high) = sensors.read("aerial-rgb"), reading.range
    names = enumerate(dict.fromkeys(reading.bands), 1)
    listed = tuple(Band(name=band, common_name=band, index=number) for number, band in names)
    return replace(
        like,
        name="real",
        title="Real image",
        gsd=gsd,
        dtype="uint16",
        scale=(high - low) / (255 * 257),
        offset=low,
        nodata=0.0,
        bands=listed,
    )


def _write_label(out: Path, name: str, part: GeoBox, truth: NDArray[np.uint8], images: Sequence[pystac.Item]) -> None:
    with catalogue.staged(out, COLLECTION, f"{name}-label") as folder:
        publish.write_cog(folder / "damage.tif", truth, part, nodata=NOT_OBSERVED, colours=colour_table(DAMAGE_CLASSES))
        item = pystac.Item(
            id=f"{name}-label",
            geometry=images[0].geometry,
            bbox=images[0].bbox,
            datetime=images[1].datetime,
            properties={
                "mage:pair": name,
                "mage:event": "graded",
                "label:type": "raster",
                "label:properties": None,
                "label:classes": [{"name": None, "classes": [entry.name for entry in DAMAGE_CLASSES]}],
                "label:tasks": ["segmentation"],
                "label:methods": ["manual"],
                "label:description": "Grades given by a person, over their outlines",
                **publish.grid_fields(part),
            },
        )
        item.add_asset(
            "damage", publish.class_asset("./damage.tif", title="Damage", classes=DAMAGE_CLASSES, geobox=part)
        )
        for image in images:
            catalogue.link_to(item, image, "source", title=None, **{"label:assets": ["damage"]})
        item.collection_id = COLLECTION
        catalogue.write_item(folder, item)
