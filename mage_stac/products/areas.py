"""Affected areas: buildings of each grade per unit, how sure that is, and where it is worst, as a catalogued Item."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pystac
import rasterio.features
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from mage_stac import catalogue, grid, publish, vectors
from mage_stac.classes import DAMAGE_CLASSES, NOT_OBSERVED
from mage_stac.cog import writing
from mage_stac.errors import AssetError
from mage_stac.overlap import moved
from mage_stac.products import buildings, derived, heat, tables, wilson
from mage_stac.products.units import Units, extent
from mage_stac.raster import opened, strips

COLLECTION = "areas"
TEMPLATE = {
    "title": "Affected areas",
    "description": "Buildings of each grade of damage per unit of a damage map; not checked on the ground.",
    "license": "other",
    "keywords": ["damage", "buildings", "areas"],
    "providers": [{"name": "mage-stac", "roles": ["processor"]}],
}

GRADES = {entry.value: entry.name.replace("-", "_") for entry in DAMAGE_CLASSES if entry.value}
"""Grade -> name of its column; 255 is `not_observed`."""

FEW = 10
"""Observed buildings: a share of fewer says little, whatever its interval."""

LEAST = 0.25
"""Share of a unit by which its buildings are divided at least: one house on a seen sliver makes no hot spot."""

ORDERS = ("count", "share")
"""Most affected by: damaged buildings, or the least share of damaged ones that the interval allows."""

COLUMNS = {
    "unit_id": "Id of the unit",
    "name": "Its name",
    "rank": "1 is the most affected; null where no building is seen to be damaged",
    "buildings": "Buildings, not observed ones too; each counts in the unit that holds a point well inside of it",
    **{name: f"Buildings of grade {value}" for value, name in GRADES.items()},
    "damaged": "Buildings of grades 2-4",
    "damaged_share": "damaged / observed buildings, 0..1",
    "damaged_low": "Wilson's 95% interval of damaged_share: lower bound. It tells the doubt of a small number only",
    "damaged_high": "Upper bound",
    "few": f"Fewer than {FEW} observed buildings: do not compare shares",
    "expected": "Damaged buildings by the model's probabilities: their sum over the observed buildings",
    "expected_spread": "Standard deviation of that, if buildings were independent",
    **{f"{name}_m2": f"Footprints of grade {value}, square metres" for value, name in GRADES.items()},
    "area_m2": "The unit, square metres",
    "observed": "Share of the unit's area that was observed on both dates, 0..1",
    "geometry": "The unit",
}
"""Columns of areas.parquet and of areas.csv (which has `lon` and `lat` in place of the geometry)."""


def areas(prediction: Path, units: Units, out: Path | None = None, *, by: str = "count") -> Path:
    """Sum a prediction over units and write that as an Item `<prediction>-areas-<kind>`; returns its folder.

    Args:
        prediction: Item as `predict` writes it.
        units: see `units`.
        out: catalogue to write to; that of the prediction unless given.
        by: one of ORDERS.

    Raises:
        CatalogueError: no such Item, it lies in no catalogue, or `out` cannot be written.
        AssetError: the Item lacks `damage` or `buildings`, or they are broken.
    """
    item = catalogue.read_item(prediction)
    root = out or derived.root_of(item)
    name = f"{item.id}-areas-{units.kind}"
    damage = damage_of(item)
    table, outside = summed(units, graded_of(item), damage)
    ranked = sort(table, by)
    with catalogue.staged(root, COLLECTION, name) as folder:
        _write_tables(folder, ranked)
        geobox = heat.grid_of(units, extent(grid.of_raster(damage), str(units.frame.crs)).bounds)
        heat.write(folder, heat.drawn(units, _density(table), geobox), geobox)
        catalogue.write_item(folder, _item(name, item, units, ranked, (outside, by), geobox))
    derived.index(root, COLLECTION, TEMPLATE)
    return root / COLLECTION / name


def damage_of(item: pystac.Item) -> Path:
    """The damage map of a prediction on this disk."""
    return Path(catalogue.asset_path(item, "damage"))


def graded_of(item: pystac.Item) -> Any:
    """The graded buildings of a prediction: a GeoDataFrame with the columns of `buildings`.

    Raises:
        AssetError: they are missing or lack columns.
    """
    path = Path(catalogue.asset_path(item, "buildings"))
    frame = vectors.read(path)
    missing = sorted({"grade", *(f"probability_{k}" for k in range(5))} - set(frame.columns))
    if missing:
        raise AssetError(f"{path} has no column {missing[0]!r}: give a prediction as `mage-stac predict` writes it")
    return frame


def summed(units: Units, graded: Any, damage: Path) -> tuple[Any, dict[str, int]]:
    """Counts, areas and shares of each unit, in the units' order and without ranks, and the buildings in no unit.

    Args:
        units: n of them.
        graded: buildings as `buildings.graded` makes them.
        damage: class raster; tells what was observed.

    Returns:
        A GeoDataFrame of COLUMNS, and counts by grade of the buildings that lie in no unit.
    """
    size = len(units.frame)
    owner = _owners(units, graded)
    grade = graded["grade"].to_numpy()
    square = buildings.areas(graded.geometry)
    damage_chance = _chance(graded)
    known = (owner >= 0) & (grade != NOT_OBSERVED)

    def total(chosen: NDArray[np.bool_], weight: NDArray[np.float64] | None = None) -> NDArray[Any]:
        return np.bincount(owner[chosen], weights=None if weight is None else weight[chosen], minlength=size)

    counts = {name: total((owner >= 0) & (grade == value)) for value, name in GRADES.items()}
    damaged = counts["minor_damage"] + counts["major_damage"] + counts["destroyed"]
    everything = sum(counts.values(), np.zeros(size, np.int64))
    observed = everything - counts["not_observed"]
    low, high = wilson.interval(damaged, observed)
    unit_area = buildings.areas(units.frame.geometry)
    columns = {
        "unit_id": units.frame["unit_id"].to_numpy(),
        "name": units.frame["name"].to_numpy(),
        "buildings": everything,
        **counts,
        "damaged": damaged,
        "damaged_share": np.divide(damaged, observed, out=np.full(size, np.nan), where=observed > 0).round(4),
        "damaged_low": low.round(4),
        "damaged_high": high.round(4),
        "few": observed < FEW,
        "expected": total(known, damage_chance).round(2),
        "expected_spread": np.sqrt(total(known, damage_chance * (1 - damage_chance))).round(2),
        **{
            f"{name}_m2": total((owner >= 0) & (grade == value), square).astype(float).round(1)
            for value, name in GRADES.items()
        },
        "area_m2": unit_area.round(1),
        "observed": np.clip(_seen(units, damage) / np.maximum(unit_area, 1e-9), 0, 1).round(4),
    }
    outside = {name: int(((owner < 0) & (grade == value)).sum()) for value, name in GRADES.items()}
    return gpd.GeoDataFrame(columns, geometry=units.frame.geometry.to_numpy(), crs=units.frame.crs), outside


def _owners(units: Units, graded: Any) -> NDArray[np.int64]:
    """Number of the unit that holds each building, -1 for none; on a shared border the first."""
    owner = np.full(len(graded), -1)
    points = graded.geometry.representative_point().to_crs(units.frame.crs)
    building, unit = units.frame.sindex.query(points, predicate="intersects", sort=True)
    owner[building[::-1]] = unit[::-1]
    return owner


def _chance(graded: Any) -> NDArray[np.float64]:
    """Probability of grades 2-4, given that there is a building, (n,)."""
    chances = np.nan_to_num(graded[[f"probability_{k}" for k in range(1, 5)]].to_numpy(np.float64))
    chance: NDArray[np.float64] = chances[:, 1:].sum(axis=1) / np.maximum(chances.sum(axis=1), 1e-9)
    return chance


def _seen(units: Units, damage: Path) -> NDArray[np.float64]:
    """Square metres of each unit that the map observed, strip by strip."""
    size = len(units.frame)
    seen = np.zeros(size)
    with opened(damage) as source:
        geobox = grid.of_dataset(source)
        shapes = moved(units.frame.geometry.to_crs(str(geobox.crs)).to_numpy(), ~geobox.affine)
        for strip in strips(source):
            owner = rasterio.features.rasterize(
                zip(shapes, range(size), strict=True), (strip.height, strip.width), fill=-1,
                transform=Affine.translation(0, strip.row_off), dtype="int32",
            )  # fmt: skip
            values = source.read(1, window=strip)
            pixel = math.prod(grid.pixel_metres(grid.crop(geobox, *strip.toslices())))
            seen += pixel * np.bincount(owner[(owner >= 0) & (values != NOT_OBSERVED)], minlength=size)
    return seen


def sort(table: Any, by: str = "count") -> Any:
    """The table with ranks, the most affected unit first. `by` is one of ORDERS; ties go by the other one."""
    keys = ["damaged", "damaged_low", "destroyed"] if by == "count" else ["damaged_low", "damaged", "destroyed"]
    ordered = table.sort_values([*keys, "buildings"], ascending=False, kind="stable").reset_index(drop=True)
    ranks = np.arange(1, len(ordered) + 1).astype(float)
    ranks[ordered["damaged"].to_numpy() == 0] = np.nan
    ordered.insert(2, "rank", ranks)
    return ordered.astype({"rank": "Int32"})


def _density(table: Any) -> NDArray[np.float64]:
    """(2, n): damaged buildings per observed square kilometre, and their share; NaN where nothing was observed."""
    observed = table["observed"].to_numpy()
    ground = np.maximum(observed, LEAST) * table["area_m2"].to_numpy() / 1e6
    density = np.where(observed > 0, table["damaged"] / np.maximum(ground, 1e-12), np.nan)
    return np.stack([density, table["damaged_share"].to_numpy(np.float64)])


def _write_tables(folder: Path, ranked: Any) -> None:
    write_csv(folder / "areas.csv", ranked)
    tables.write(folder / "areas.parquet", ranked)


def write_csv(path: Path, ranked: Any) -> None:
    """Write ranked areas as a table, with `lon` and `lat` of a point inside each.

    Raises:
        CatalogueError: the disk refuses.
    """
    points = ranked.geometry.representative_point().to_crs("EPSG:4326")
    plain = ranked.drop(columns="geometry").assign(lon=points.x.round(6), lat=points.y.round(6))
    with writing(path):
        plain.to_csv(path, index=False)


def totals(table: Any, outside: dict[str, int]) -> dict[str, Any]:
    """Sums over all units: buildings by grade, not observed ones too, and those in no unit."""
    counts = {name: int(table[name].sum()) for name in GRADES.values()}
    damaged = sum(counts[name] for name in ("minor_damage", "major_damage", "destroyed"))
    observed = sum(counts.values()) - counts["not_observed"]
    low, high = (float(bound) for bound in wilson.interval(damaged, observed))
    interval = {"damaged_low": round(low, 4), "damaged_high": round(high, 4)} if observed else {}
    ground = float((table["observed"] * table["area_m2"]).sum() / max(table["area_m2"].sum(), 1e-9))
    return {
        "units": len(table), "buildings": sum(counts.values()), **counts, "damaged": damaged, **interval,
        "observed": round(ground, 4), "outside": sum(outside.values()),
    }  # fmt: skip


def _item(
    name: str, prediction: pystac.Item, units: Units, ranked: Any, how: tuple[dict[str, int], str], geobox: GeoBox
) -> pystac.Item:
    outside, by = how
    order = "number of damaged buildings" if by == "count" else "lower bound of the share of damaged buildings"
    return derived.item(
        name, prediction, COLLECTION,
        words={
            "title": f"Affected areas: {units.title}",
            "description": f"Buildings of {prediction.id} by grade in {units.title}, ranked by {order}.",
            "lineage": f"Buildings of {prediction.id} counted in {units.title}; intervals after Wilson, 95%",
        },
        fields={"mage:totals": totals(ranked, outside), **publish.grid_fields(geobox)},
        assets=_assets(ranked, geobox),
    )  # fmt: skip


def _assets(ranked: Any, geobox: GeoBox) -> dict[str, pystac.Asset]:
    raster = publish.raster_asset
    density = raster(
        "heat.tif", title="Heat map", geobox=geobox, dtype="float32", nodata=float("nan"), bands=heat.BANDS
    )
    density.description = "Damaged buildings (grades 2-4) per observed square kilometre, and as a share of those seen."
    picture = raster(
        "visual.tif", title="Heat map in colours", geobox=geobox, dtype="uint8", bands=("red", "green", "blue"),
        roles=("visual", "overview"),
    )  # fmt: skip
    most = np.nanmax(_density(ranked)[0], initial=0)
    picture.description = (
        f"Dark grey none, yellow to dark red up to {most:,.0f} damaged buildings per km2, white unseen"
    )
    return {
        "areas": tables.asset("areas.parquet", ranked, title="Affected areas", columns=COLUMNS),
        "csv": pystac.Asset("areas.csv", title="Affected areas as a table", media_type="text/csv", roles=["data"]),
        "heat": density,
        "visual": picture,
        "thumbnail": publish.thumbnail("thumbnail.png"),
    }
