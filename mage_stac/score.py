"""How good a damage map is: a prediction Item against a reference, pixel by pixel and building by building."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pystac
import rasterio.features
import shapely
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from mage_stac import catalogue, confusion, grid, overlap, reference
from mage_stac.classes import NOT_OBSERVED
from mage_stac.confusion import Figures, Matrix
from mage_stac.errors import AssetError, GridError
from mage_stac.mosaic import BUILDING
from mage_stac.products import buildings
from mage_stac.products.footprints import SMALLEST
from mage_stac.raster import opened, strips
from mage_stac.reference import Reference

TOLERANCE = 1e-3
"""Pixels by which GDAL may approximate a reprojection; with 0 its virtual rasters fail (3.10, measured)."""

RADIUS = 3.0
"""Metres around a reference point in which the map is looked at: points lie on roofs, but not always in the middle."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """One comparison."""

    unit: str
    """"pixels", "buildings" or "buildings given as such"."""
    figures: Figures
    compared: int
    """Units that both sides know."""
    unseen: int
    """Units with a grade or background in the reference that the prediction did not observe; not in the figures."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scores:
    """What came out."""

    prediction: str
    """Id of the Item."""
    reference: str
    """Path."""
    pixels: Table | None
    """None for a reference of points."""
    buildings: Table | None
    """None for a raster reference."""
    given: Table | None
    """The same buildings, each with the likeliest of grades 1-4, as `buildings.parquet` says of footprints given: what
    a classifier of footprints is scored by. None for a raster reference."""
    notes: tuple[str, ...]
    """What a reader of the figures must know."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "prediction": self.prediction,
            "reference": self.reference,
            **{
                name: None if table is None else {
                    "compared": table.compared, "unseen": table.unseen, **table.figures.as_dict()
                }
                for name, table in (("pixels", self.pixels), ("buildings", self.buildings), ("given", self.given))
            },
            "notes": list(self.notes),
        }  # fmt: skip


def score(prediction: Path, against: Path, *, column: str | None = None, layer: str | None = None) -> Scores:
    """Score a prediction Item's damage map.

    A raster reference has classes 0-4; its nodata value and 255 are not counted. It is put on the map's grid by nearest
    neighbour if it lies on another. Polygons are compared as pixels, everything between them within their bounding box
    being "no building", and one by one; points one by one. A building that the map calls background is class 0.

    Args:
        prediction: folder or file of the Item.
        against: raster, vector file, or Item with an asset `damage` or `buildings`.
        column: of a vector reference, that with the grades.
        layer: of a vector file with several.

    Raises:
        CatalogueError: no such Item.
        AssetError: a file is broken, or the reference has no grades or other classes.
        GridError: the reference does not overlap the map.
    """
    item = catalogue.read_item(prediction)
    found = reference.find(against, column=column, layer=layer)
    path = catalogue.asset_path(item, "damage")
    with opened(path, f"asset 'damage' of Item {item.id}") as damage:
        if found.raster is not None:
            table, notes = of_raster(damage, found.raster)
            return Scores(
                prediction=item.id, reference=found.name, pixels=table, buildings=None, given=None, notes=notes
            )
        features = _on_map(found, grid.of_dataset(damage))
        areal = bool((features.geom_type != "Point").all())
        pixels = of_polygons(damage, features) if areal else None
    per_building, given, notes = of_buildings(item, features, areal=areal)
    return Scores(
        prediction=item.id,
        reference=found.name,
        pixels=pixels,
        buildings=per_building,
        given=given,
        notes=(f"grades from column {found.column!r}", *_elsewhere(found.table, features), *notes),
    )


def of_raster(damage: Any, path: Path) -> tuple[Table, tuple[str, ...]]:
    """Compare an open damage map with a raster of classes; also what was done to the raster.

    Raises:
        AssetError: the raster cannot be read or has other classes than 0-4 and 255.
        GridError: it does not overlap the map.
    """
    with opened(path, trusted=True) as source:
        own, box = grid.of_dataset(source), grid.of_dataset(damage)
        options = {"add_alpha": True} if source.nodata is None else {}
        with WarpedVRT(
            source, crs=str(box.crs), transform=box.affine, height=box.shape[0], width=box.shape[1],
            resampling=Resampling.nearest, tolerance=TOLERANCE, **options,
        ) as there:  # fmt: skip

            def read(window: Window) -> NDArray[np.int64]:
                return _classes(there.read(1, window=window), there.read_masks(1, window=window) > 0, path)

            matrix, unseen, known = _compare(damage, read)
    if not known:
        raise GridError(
            f"{path} ({overlap.place(own.extent.geom, str(own.crs))}) knows nothing of the map"
            f" ({overlap.place(box.extent.geom, str(box.crs))})"
        )
    moved = f"put on the map's grid by nearest neighbour from {own.crs}, {own.shape[0]}x{own.shape[1]} pixels"
    return _table("pixels", matrix, unseen), () if own == box else (moved,)


def _classes(values: NDArray[Any], known: NDArray[np.bool_], path: Path) -> NDArray[np.int64]:
    """Reference values as classes 0-4, 255 where not known."""
    odd = known & ~np.isin(values, (*range(len(confusion.NAMES)), NOT_OBSERVED))
    if odd.any():
        raise AssetError(
            f"{path} has values {', '.join(f'{value:g}' for value in np.unique(values[odd])[:5])}: a reference has the"
            f" damage classes 0-4, and 255 or nodata where it does not know"
        )
    return np.where(known, values, NOT_OBSERVED).astype(np.int64)


def of_polygons(damage: Any, table: Any) -> Table:
    """Compare an open damage map with graded polygons in its CRS; between them, within their box, is no building."""
    box = grid.of_dataset(damage)
    polygons = overlap.moved(table.geometry.to_numpy(), ~box.affine)
    left, top, right, bottom = shapely.total_bounds(polygons)
    shapes = [(shapely.box(left, top, right, bottom), 0), *zip(polygons, table["grade"], strict=True)]

    def read(window: Window) -> NDArray[np.int64]:
        burnt: NDArray[np.int64] = rasterio.features.rasterize(
            shapes, (window.height, window.width), fill=NOT_OBSERVED, dtype="int32",
            transform=Affine.translation(window.col_off, window.row_off),
        ).astype(np.int64)  # fmt: skip
        return burnt

    matrix, unseen, _ = _compare(damage, read)
    return _table("pixels", matrix, unseen)


def _compare(damage: Any, read: Callable[[Window], NDArray[np.int64]]) -> tuple[Matrix, int, int]:
    """Confusion matrix, pixels that only the reference knows, and pixels that it knows at all."""
    matrix = np.zeros((len(confusion.NAMES),) * 2, np.int64)
    unseen = known = 0
    for window in strips(damage):
        said, truth = damage.read(1, window=window), read(window)
        matrix += confusion.count(truth, said)
        known += int((truth != NOT_OBSERVED).sum())
        unseen += int(((truth != NOT_OBSERVED) & (said == NOT_OBSERVED)).sum())
    return matrix, unseen, known


def of_buildings(item: pystac.Item, table: Any, *, areal: bool) -> tuple[Table, Table, tuple[str, ...]]:
    """Compare a prediction Item with graded polygons or points in its map's CRS, each once; and what to know of it.

    A reference building gets the grade of its mean probabilities (`buildings.graded`); in the first table 0 where these
    say that there is none, in the second never. Outlines that the map found itself and that touch no reference polygon
    are false alarms (row 0 of the first); points do not say where there is nothing, so against them there are none.
    Polygons below `footprints.SMALLEST` are slivers, not houses, and left out.

    Raises:
        GridError: no other is left.
    """
    whole = table
    table = table[~(areal & (buildings.areas(table.geometry) < SMALLEST))]
    if table.empty:
        raise GridError(f"no polygon of the reference on the map of {item.id} has {SMALLEST:g} m2 or more")
    key = "probability" if "probability" in item.assets else "damage"
    graded = buildings.graded(_surroundings(table), Path(catalogue.asset_path(item, key)))
    said = np.where(graded["probability_0"] > BUILDING, 0, graded["grade"])
    said = np.where(graded["grade"] == NOT_OBSERVED, NOT_OBSERVED, said)
    truth = table["grade"].to_numpy()
    matrix = confusion.count(truth, said)
    unseen = int(((truth != NOT_OBSERVED) & (said == NOT_OBSERVED)).sum())
    known = np.where(truth > 0, truth, NOT_OBSERVED)
    given = _table("buildings given as such", confusion.count(known, graded["grade"].to_numpy()), unseen)
    if not areal:
        return _table("buildings", matrix, unseen), given, (f"the map is read within {RADIUS:g} m of each point",)
    alarms = _false_alarms(item, whole)
    matrix[0] += np.bincount(alarms, minlength=len(confusion.NAMES))
    return (
        _table("buildings", matrix, unseen),
        given,
        (
            f"{len(alarms)} outlines of the map touch no reference building",
            f"{len(whole) - len(table)} reference polygons below {SMALLEST:g} m2 do not count as buildings",
            "pixels between the reference's polygons, within their bounding box, count as no building",
        ),
    )


def _surroundings(table: Any) -> Any:
    """The polygons themselves, or discs around the points; with the column that `buildings.graded` wants."""
    geometry = table.geometry
    points = geometry.geom_type == "Point"
    if points.any():
        metric = geometry[points].to_crs(geometry.estimate_utm_crs())
        geometry = geometry.where(~points, metric.buffer(RADIUS).to_crs(geometry.crs))
    return gpd.GeoDataFrame({"footprint_id": [None] * len(table)}, geometry=geometry.to_numpy(), crs=table.crs)


def _false_alarms(item: pystac.Item, table: Any) -> NDArray[np.int64]:
    """Grades of outlines found in the map, within the reference's box, that touch none of its polygons."""
    if "buildings" not in item.assets:
        return np.zeros(0, np.int64)
    found = gpd.read_parquet(catalogue.asset_path(item, "buildings")).to_crs(table.crs)
    own = found[found["footprint_id"].isna() & (found["grade"] != NOT_OBSERVED)]
    inside = own[own.intersects(shapely.box(*table.total_bounds))]
    touching = inside.sindex.query(table.geometry, predicate="intersects")[1]
    alone = np.setdiff1d(np.arange(len(inside)), touching)
    return np.asarray(inside["grade"].to_numpy()[alone], dtype=np.int64)


def _on_map(found: Reference, box: GeoBox) -> Any:
    """The graded features of a reference that touch a map, in its CRS.

    Raises:
        AssetError: they are neither points nor polygons, or none has a grade.
        GridError: none touches the map.
    """
    table = found.table
    kinds = set(table.geom_type)
    if not kinds <= {"Point", "Polygon", "MultiPolygon"}:
        raise AssetError(
            f"{found.name} has {', '.join(sorted(kinds))}: a reference has points or polygons with a grade"
        )
    there = table.set_geometry(table.geometry.make_valid()).to_crs(str(box.crs))
    near = there[there.intersects(box.extent.geom)]
    if near.empty:
        where = overlap.place(shapely.box(*there.total_bounds), str(box.crs))
        raise GridError(
            f"none of the {len(table)} features of {found.name} ({where}) lies on the map"
            f" ({overlap.place(box.extent.geom, str(box.crs))})"
        )
    if (near["grade"] == NOT_OBSERVED).all():
        raise AssetError(f"{found.name}: no feature on the map has a grade in column {found.column!r}")
    return near.reset_index(drop=True)


def _elsewhere(given: Any, there: Any) -> tuple[str, ...]:
    lost = len(given) - len(there)
    return (f"{lost} of the reference's {len(given)} features lie off the map and do not count",) if lost else ()


def _table(unit: str, matrix: Matrix, unseen: int) -> Table:
    return Table(unit=unit, figures=confusion.figures(matrix), compared=int(matrix.sum()), unseen=unseen)
