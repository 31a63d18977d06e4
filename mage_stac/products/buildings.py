"""Buildings: one grade, with its probabilities, for each footprint; and the damage map with one for each building."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pystac
import shapely
from numpy.typing import NDArray

from mage_stac.classes import DAMAGE_CLASSES, NOT_OBSERVED
from mage_stac.grid import of_dataset, pixel_metres
from mage_stac.overlap import moved
from mage_stac.products import grading, tables, zonal
from mage_stac.products.zonal import CLASSES, FEWEST, Sums
from mage_stac.raster import opened, strips

NAMES = {entry.value: entry.name for entry in DAMAGE_CLASSES}

INSET = 1.0
"""Pixels by which a footprint is eroded before its grade is taken: the rim mixes with the ground, and two dates never
agree on it."""

RIM = 3.0
"""Pixels around an outline in which the map's building pixels are that building's."""

SEEN = 0.5
"""A building of which less than this share was observed gets no grade (255)."""

SHIFTS = ("shift_east", "shift_north")
"""Columns that `alignment.aligned` adds to footprints."""

COLUMNS = {
    "building_id": "Number in this file",
    "footprint_id": "Id in the file of footprints; null where the outline comes from the damage map",
    "grade": "Damage 1-4 as in the damage asset, 255 not observed",
    "damage": "Name of the grade",
    **{f"probability_{k}": f"Probability of {name}, 0..1" for k, name in enumerate(CLASSES)},
    "fraction": "Share of the observed pixels whose likeliest grade is 2-4, 0..1",
    "observed": "Share of the footprint observed on both dates, 0..1",
    "area": "Square metres",
    "shift_east": "Metres east by which the footprint was moved to fit the image",
    "shift_north": "Metres north",
    "geometry": "Footprint",
}
"""Columns of buildings.parquet and what they hold."""


def areas(geometry: Any) -> NDArray[np.float64]:
    """Areas of a GeoSeries in square metres, in its own UTM zone (true to 0.1% within it)."""
    if not len(geometry):
        return np.zeros(0)
    return np.asarray(geometry.to_crs(geometry.estimate_utm_crs()).area, dtype=np.float64)


def graded(frame: Any, probability: Path) -> Any:
    """The footprints with grade, probabilities, damaged fraction, observed fraction and area: see COLUMNS.

    The grade is the likeliest of 1-4 by the mean probabilities over the observed pixels of the eroded footprint, so
    that no single pixel decides; where the map's pixels say what of a roof is lost, by their share (`grading`).
    255 where less than half the footprint was observed. A footprint of fewer than FEWEST pixels is judged with those
    around it.

    Args:
        frame: polygons with `footprint_id`, in the CRS of the map.
        probability: five bands as `predict` writes them, or a damage map, whose classes then count as certain.
    """
    with opened(probability) as source:
        grid, says_lost = of_dataset(source), source.descriptions[-1] == grading.BAND
        polygons = moved(frame.geometry.to_numpy(), ~grid.affine)
        whole, inner = zonal.sums(source, polygons), zonal.sums(source, _eroded(polygons))
    means, pixels = _means(whole, inner)
    if says_lost:
        means = grading.graded(means, pixels, _centres(polygons) * pixel_metres(grid))
    likeliest = grading.likeliest(means) if says_lost else 1 + means[:, 1:].argmax(axis=1)
    observed = whole.observed / np.maximum(_expected(polygons, whole, grid.shape), 1)
    grade = np.where(observed < SEEN, NOT_OBSERVED, likeliest).astype(np.uint8)
    return _table(frame, grade, means, observed, whole)


def _eroded(polygons: NDArray[Any]) -> NDArray[Any]:
    """Polygons (in pixels) without their rim; empty where little is left."""
    inner: NDArray[Any] = shapely.buffer(polygons, -INSET)
    inner[shapely.area(inner) < FEWEST] = shapely.Polygon()
    return inner


def _means(whole: Sums, inner: Sums) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Mean probabilities (n, 5) and of how many pixels (n,): the inner ones, or all where those are too few."""
    usable = inner.observed >= FEWEST
    sums = np.where(usable[:, None], inner.probabilities, whole.probabilities)
    pixels = np.where(usable, inner.observed, whole.observed)
    return sums / np.maximum(pixels, 1)[:, None], pixels


def _centres(polygons: NDArray[Any]) -> NDArray[np.float64]:
    """X and y (n, 2) of the polygons' middles, NaN of empty ones."""
    middles = shapely.centroid(polygons)
    return np.column_stack([shapely.get_x(middles), shapely.get_y(middles)])


def _expected(polygons: NDArray[Any], whole: Sums, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Pixels that each footprint has, those beyond the grid's edge included, which nobody observed."""
    left, top, right, bottom = shapely.bounds(polygons).T.reshape(4, -1)
    leaves = (left < 0) | (top < 0) | (right > shape[1]) | (bottom > shape[0])
    return np.where(leaves, np.maximum(shapely.area(polygons), whole.pixels), whole.pixels)


def _table(
    frame: Any, grade: NDArray[np.uint8], means: NDArray[np.float64], observed: NDArray[np.float64], whole: Sums
) -> Any:
    """The GeoDataFrame of COLUMNS."""
    seen = whole.observed > 0
    columns = {
        "building_id": np.arange(len(frame)),
        "footprint_id": frame["footprint_id"].to_numpy(),
        "grade": grade,
        "damage": [NAMES[value] for value in grade],
        **{f"probability_{k}": np.where(seen, means[:, k], np.nan).round(4) for k in range(len(CLASSES))},
        "fraction": np.where(seen, whole.damaged / np.maximum(whole.observed, 1), np.nan).round(4),
        "observed": observed.round(4),
        "area": areas(frame.geometry).round(2),
        **{name: frame.get(name, np.zeros(len(frame))) for name in SHIFTS},
    }
    return gpd.GeoDataFrame(columns, geometry=frame.geometry.to_numpy(), crs=frame.crs).astype({"footprint_id": "str"})


def repainted(damage: Path, frame: Any) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """The damage map in which each building of a table has one grade: first row and classes (rows, columns) of strips.

    What the map shows as building within RIM of one is its, too: outlines made straight cut corners.

    Args:
        damage: the map.
        frame: buildings found in it, as `graded` makes them, in its CRS.
    """
    with opened(damage) as source:
        polygons = moved(frame.geometry.to_numpy(), ~of_dataset(source).affine)
        layers = np.concatenate([shapely.buffer(polygons, RIM), polygons])  # what a building holds itself comes last
        grades = np.tile(frame["grade"].to_numpy(), 2)
        bounds = shapely.bounds(layers).reshape(-1, 4)
        for strip in strips(source):
            classes: NDArray[np.uint8] = source.read(1, window=strip)
            owner = zonal.owners(layers, zonal.reaching(bounds, strip), strip)
            grade = np.where(owner >= 0, grades[owner] if len(grades) else 0, NOT_OBSERVED)
            built = (classes > 0) & (classes != NOT_OBSERVED) & (grade != NOT_OBSERVED)
            yield strip.row_off, np.where(built, grade, classes).astype(np.uint8)


def asset(path: Path, frame: Any) -> pystac.Asset:
    """The asset of a file of buildings written by `tables.write`, with its columns (table extension)."""
    return tables.asset(path.name, frame, title="Buildings", columns=COLUMNS)
