"""Buildings: one grade, with its probabilities, for each footprint or for each outline found in the damage map."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import geopandas as gpd
import numpy as np
import pystac
import rasterio
import rasterio.features
import shapely
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.windows import Window

from mage_stac import vectors
from mage_stac.classes import DAMAGE_CLASSES, NOT_OBSERVED
from mage_stac.cog import writing
from mage_stac.errors import GridError
from mage_stac.grid import of_dataset, pixel_metres
from mage_stac.mosaic import LEVELS
from mage_stac.overlap import moved, place
from mage_stac.products import grading, squaring
from mage_stac.raster import opened, strips

NAMES = {entry.value: entry.name for entry in DAMAGE_CLASSES}
CLASSES = tuple(entry.name for entry in DAMAGE_CLASSES if not entry.nodata)

INSET = 1.0
"""Pixels by which a footprint is eroded before its grade is taken: the rim mixes with the ground, and two dates never
agree on it."""

FEWEST = 4
"""Pixels: where the eroded footprint holds fewer, the whole one is used; and no outline of fewer is a building."""

SMALLEST = 10.0
"""Square metres: an outline found in the map below this is left out, as no house is that small."""

RIM = 3.0
"""Pixels around an outline in which the map's building pixels are that building's."""

SEEN = 0.5
"""A building of which less than this share was observed gets no grade (255)."""

IDS = ("footprint_id", "id", "osm_id", "building_id", "uid", "gml_id", "fid")
"""Columns taken as a footprint's own id, the first that exists."""

FORMATS = {
    "gpkg": ("GPKG", "application/geopackage+sqlite3"),
    "fgb": ("FlatGeobuf", "application/vnd.flatgeobuf"),
    "geojson": ("GeoJSON", "application/geo+json"),
}
"""Suffix -> GDAL's driver and the media type of what buildings may be written as beside GeoParquet."""

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """Sums over the pixels of n polygons."""

    probabilities: NDArray[np.float64]
    """(n, 5) summed over the observed pixels, classes 0-4."""
    damaged: NDArray[np.int64]
    """(n,) observed pixels whose likeliest grade is 2-4."""
    observed: NDArray[np.int64]
    """(n,) observed pixels."""
    pixels: NDArray[np.int64]
    """(n,) pixels on the grid."""


def footprints(path: Path, geobox: GeoBox, layer: str | None = None) -> Any:
    """Footprints that touch a grid, in its CRS: a GeoDataFrame of `footprint_id` (text) and polygons.

    They come from a file, or from `layer` of one that has several.

    Invalid polygons are repaired; the id is the file's (columns IDS) or the feature's number in the file.

    Raises:
        AssetError: the file cannot be read.
        GridError: it holds no polygons, has no CRS, or no footprint touches the grid.
    """
    polygons = vectors.polygons(path, layer=layer)
    ids = vectors.ids(polygons, IDS)
    there = polygons.geometry.make_valid().to_crs(str(geobox.crs))
    touching = there.intersects(geobox.extent.geom)
    if not touching.any():
        raise GridError(
            f"none of the {len(polygons)} footprints of {path} ({place(shapely.box(*there.total_bounds), there.crs)})"
            f" lies on the map ({place(geobox.extent.geom, there.crs)})"
        )
    columns = {"footprint_id": ids[touching].to_numpy()}
    return gpd.GeoDataFrame(columns, geometry=there[touching].to_numpy(), crs=there.crs)


def outlines(damage: Path) -> Any:
    """Outlines of what the damage map shows as buildings, whatever their grades: a GeoDataFrame like `footprints`.

    A building is a group of pixels of classes 1-4 that touch along an edge; its outline is made straight, with right
    angles (`squaring`). Memory grows with the outlines, not with the map.
    """
    with opened(damage) as source:
        grid = of_dataset(source)
    smallest = max(FEWEST, SMALLEST / math.prod(pixel_metres(grid)))
    with rasterio.open(_building_mask(damage, grid)) as mask:
        shapes = rasterio.features.shapes(rasterio.band(mask, 1))
        found = np.array([shapely.geometry.shape(shape) for shape, value in shapes if value], dtype=object)
    pixels = moved(found, ~grid.affine)
    straight = squaring.squared(pixels[shapely.area(pixels) >= smallest])
    columns = {"footprint_id": [None] * len(straight)}
    return gpd.GeoDataFrame(columns, geometry=moved(straight, grid.affine), crs=str(grid.crs))


def _building_mask(damage: Path, grid: GeoBox) -> str:
    """A GDAL virtual raster of one band: 1 where the damage map says 1-4, else 0."""
    rows, columns = grid.shape
    a, b, c, d, e, f = grid.affine[:6]
    return (
        f'<VRTDataset rasterXSize="{columns}" rasterYSize="{rows}"><GeoTransform>{c},{a},{b},{f},{d},{e}</GeoTransform>'
        f'<VRTRasterBand dataType="Byte" band="1"><ComplexSource>'
        f'<SourceFilename relativeToVRT="0">{escape(str(damage.absolute()))}</SourceFilename><SourceBand>1</SourceBand>'
        f"<LUT>0:0,1:1,4:1,5:0</LUT></ComplexSource></VRTRasterBand></VRTDataset>"
    )


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
        grid = of_dataset(source)
        says_lost = source.descriptions[-1] == grading.BAND
        polygons = moved(frame.geometry.to_numpy(), ~grid.affine)
        whole = tally(source, polygons)
        eroded = shapely.buffer(polygons, -INSET)
        eroded[shapely.area(eroded) < FEWEST] = shapely.Polygon()
        inner = tally(source, eroded)
    usable = inner.observed >= FEWEST
    sums = np.where(usable[:, None], inner.probabilities, whole.probabilities)
    looked = np.where(usable, inner.observed, whole.observed)
    means = sums / np.maximum(looked, 1)[:, None]
    if says_lost:
        middles = shapely.centroid(polygons)
        metres = np.column_stack([shapely.get_x(middles), shapely.get_y(middles)]) * pixel_metres(grid)
        means = grading.graded(means, looked, metres)
    observed = whole.observed / np.maximum(_expected(polygons, whole, grid.shape), 1)
    called = grading.likeliest(means) if says_lost else 1 + means[:, 1:].argmax(axis=1)
    grade = np.where(observed < SEEN, NOT_OBSERVED, called).astype(np.uint8)
    columns = {
        "building_id": np.arange(len(frame)),
        "footprint_id": frame["footprint_id"].to_numpy(),
        "grade": grade,
        "damage": [NAMES[value] for value in grade],
        **{f"probability_{k}": np.where(whole.observed > 0, means[:, k], np.nan).round(4) for k in range(len(CLASSES))},
        "fraction": np.where(whole.observed > 0, whole.damaged / np.maximum(whole.observed, 1), np.nan).round(4),
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
        layers = np.concatenate([shapely.buffer(polygons, RIM), polygons])
        grades = np.tile(frame["grade"].to_numpy(), 2)
        bounds = shapely.bounds(layers).reshape(-1, 4)
        for strip in strips(source):
            classes: NDArray[np.uint8] = source.read(1, window=strip)
            owner = _burnt(layers, _near(bounds, strip), strip)
            grade = np.where(owner >= 0, grades[owner] if len(grades) else 0, NOT_OBSERVED)
            built = (classes > 0) & (classes != NOT_OBSERVED) & (grade != NOT_OBSERVED)
            yield strip.row_off, np.where(built, grade, classes).astype(np.uint8)


def _expected(polygons: NDArray[Any], whole: Tally, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Pixels that each footprint has, those beyond the grid's edge included, which nobody observed."""
    left, top, right, bottom = shapely.bounds(polygons).T.reshape(4, -1)
    leaves = (left < 0) | (top < 0) | (right > shape[1]) | (bottom > shape[0])
    return np.where(leaves, np.maximum(shapely.area(polygons), whole.pixels), whole.pixels)


def tally(source: Any, polygons: NDArray[Any]) -> Tally:
    """Sum the map over each polygon (in pixels: x right, y down), strip by strip.

    A pixel belongs to the polygon that holds its centre, the last of those that overlap; polygons smaller than FEWEST
    pixels look at every pixel within one of theirs, whosever it is.
    """
    small = shapely.area(polygons) < FEWEST
    polygons = np.where(small, shapely.buffer(polygons, INSET), polygons)
    bounds = shapely.bounds(polygons).reshape(-1, 4)
    sums = np.zeros((8, len(polygons)))
    for strip in strips(source):
        near = _near(bounds, strip)
        if len(near):
            block = source.read(window=strip)
            for kind in (small, ~small):
                owner = _burnt(polygons, near[kind[near]], strip)
                sums += _sums(block, owner, len(polygons))
    return Tally(
        probabilities=sums[:5].T, damaged=sums[5].astype(int), observed=sums[6].astype(int), pixels=sums[7].astype(int)
    )


def _near(bounds: NDArray[np.float64], strip: Window) -> NDArray[np.int64]:
    """Numbers of those whose bounds (n, 4) reach into the rows of a strip."""
    return np.flatnonzero((bounds[:, 1] < strip.row_off + strip.height) & (bounds[:, 3] > strip.row_off))


def _burnt(polygons: NDArray[Any], near: NDArray[np.int64], strip: Window) -> NDArray[np.int32]:
    """Number of the polygon of those `near` that owns each pixel of a strip, -1 for none."""
    owner = np.full((strip.height, strip.width), -1, np.int32)
    chosen = [(polygons[i], i) for i in near if not polygons[i].is_empty]
    if chosen:
        rasterio.features.rasterize(chosen, out=owner, transform=Affine.translation(0, strip.row_off))
    return owner


def _sums(block: NDArray[np.uint8], owner: NDArray[np.int32], polygons: int) -> NDArray[np.float64]:
    """(8, n): probabilities of classes 0-4, damaged, observed and all pixels per polygon."""
    owned = owner >= 0
    who, values = owner[owned], block[:, owned]
    seen = values[0] != NOT_OBSERVED
    if len(values) == 1:
        chances = (values[0] == np.arange(len(CLASSES))[:, None]).astype(np.float64)
    else:
        chances = values / LEVELS
    damaged = seen & (chances[1:].argmax(axis=0) > 0)
    weights = [*(chances * seen), damaged, seen, np.ones(len(who))]
    return np.stack([np.bincount(who, weights=weight, minlength=polygons) for weight in weights])


def write(path: Path, frame: Any) -> None:
    """Write GeoParquet 1.1 with the bounding box of each row, so that readers can skip what lies elsewhere.

    Raises:
        CatalogueError: the disk refuses.
    """
    with writing(path):
        frame.to_parquet(path, index=False, schema_version="1.1.0", write_covering_bbox=True)


def write_as(path: Path, frame: Any) -> None:
    """Write what GDAL writes, by the suffix: one of FORMATS.

    Raises:
        CatalogueError: the disk refuses.
    """
    driver, _ = FORMATS[path.suffix[1:]]
    with writing(path), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*has no.*|.*organizePolygons.*")
        frame.to_file(path, driver=driver, layer="buildings", engine="pyogrio")


def other_assets(folder: Path) -> dict[str, pystac.Asset]:
    """Assets of the files that `write_as` left in a folder."""
    return {
        f"buildings-{name}": pystac.Asset(
            f"buildings.{name}", title=f"Buildings ({driver})", media_type=media_type, roles=["data"]
        )
        for name, (driver, media_type) in FORMATS.items()
        if (folder / f"buildings.{name}").is_file()
    }


def asset(path: Path, frame: Any) -> pystac.Asset:
    """The asset of a file written by `write`, with its columns (table extension)."""
    return table_asset(path.name, frame, title="Buildings", columns=COLUMNS)


def table_asset(href: str, frame: Any, *, title: str, columns: Mapping[str, str]) -> pystac.Asset:
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
