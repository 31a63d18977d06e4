"""What stands in the way: debris of collapsed buildings and flood water on the edges of a road graph, and how sure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.windows import Window

from mage_stac import grid
from mage_stac.classes import NOT_OBSERVED
from mage_stac.errors import AccessError
from mage_stac.products.roads import Roads
from mage_stac.raster import ROWS, opened

REACH = 4.0
"""Metres that the debris of a collapsed house lies beyond its walls: half the height of two storeys with a roof. A
judgement, to be set for taller towns."""

CLEAR = 3.0
"""Metres of free carriageway that a fire engine needs (DIN 14090, straight approach)."""

FORD = 0.30
"""Metres of water at which cars float or stall (Pregnolato et al. 2017, https://doi.org/10.1016/j.trd.2017.06.020)."""

WALK = 10.0
"""km/h past debris. A judgement."""

SURE = 0.5
"""Probability from which an edge counts as closed."""

DOUBT = 0.1
"""Probability of being closed from which an edge counts as slowed: drive there with open eyes."""

STEP = 5.0
"""Metres between the points of a road at which rasters are looked at."""

STATES = ("open", "slowed", "closed", "not-observed")


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """State of E edges."""

    state: NDArray[Any]
    """(E,) one of STATES: not-observed where less than half was seen and nothing is known to close or slow it."""
    confidence: NDArray[np.float64]
    """(E,) probability that the state is right; NaN where not observed."""
    cause: NDArray[Any]
    """(E,) "debris", "water" or ""."""
    closed: NDArray[np.float64]
    """(E,) probability that no vehicle passes."""
    depth: NDArray[np.float64]
    """(E,) deepest water, m; NaN where none is known."""
    observed: NDArray[np.float64]
    """(E,) share of the edge that the damage map observed."""
    seconds: NDArray[np.float64]
    """(E,) to drive it; inf where closed."""


def assess(
    roads: Roads, graded: Any, damage: Path, water: Path | None = None, *, spread: float = REACH, ford: float = FORD
) -> Condition:
    """Judge each edge by the buildings beside it, by what the map observed, and by the depth of water on it.

    Debris is taken to reach `spread` metres beyond the walls of a collapsed building; it closes an edge where less than
    CLEAR of the carriageway is left, and slows it where it reaches the carriageway at all. Buildings fall independently
    of each other with the map's probability of "destroyed"; partial collapse (major damage) slows only. Tunnels know no
    debris, bridges no water.

    Args:
        roads: the graph.
        graded: buildings as `buildings.graded` makes them.
        damage: class raster.
        water: raster of depths in metres, or None.
        spread: metres.
        ford: metres of water that close a road.

    Raises:
        AssetError: a raster cannot be read.
        GridError: it has no CRS.
        AccessError: the depths do not lie where the roads are, or are classes.
    """
    closed, touched = _debris(roads, graded, spread)
    points, owner = _points(roads)
    classes = sampled(damage, points, roads.crs)
    observed = _share(~np.isnan(classes) & (classes != NOT_OBSERVED), owner, len(roads.tail))
    depth = np.full(len(roads.tail), np.nan)
    if water is not None:
        _check_depths(water)
        depths = sampled(water, points, roads.crs)
        if np.isnan(depths).all():
            raise AccessError(f"{water} shows no depth on any of the roads: does it lie there?")
        depth = _deepest(depths, owner, len(roads.tail))
        depth[roads.bridge] = np.nan
    wet = np.nan_to_num(depth)
    closed = np.where(wet >= ford, 1.0, closed)
    speed = np.minimum(roads.speed, np.where(wet > 0, wading(wet), np.inf))
    rough = (touched >= SURE) | (closed >= DOUBT)
    speed = np.where(rough, np.minimum(speed, WALK), speed)
    shut = closed >= SURE
    slowed = ~shut & (rough | (speed < roads.speed))
    state = np.select([shut, slowed, observed < SURE], ["closed", "slowed", "not-observed"], "open")
    sure = np.select(
        [shut, slowed & (speed <= WALK) & rough, slowed, observed < SURE],
        [closed, np.maximum(touched, closed), np.ones_like(closed), np.full_like(closed, np.nan)],
        observed * (1 - np.maximum(closed, touched)),
    )
    cause = np.select([(wet >= ford) | (slowed & ~rough), shut | slowed], ["water", "debris"], "")
    with np.errstate(divide="ignore"):
        seconds = np.where(shut, np.inf, np.maximum(roads.metres / (speed / 3.6), 1e-3))
    return Condition(
        state=state, confidence=sure.round(3), cause=cause, closed=closed.round(4), depth=depth.round(2),
        observed=observed.round(3), seconds=seconds,
    )  # fmt: skip


def _check_depths(water: Path) -> None:
    """Refuse a map of where water is, whose 1 would be read as a metre."""
    with opened(water, trusted=True) as source:
        if source.colorinterp[0] == ColorInterp.palette or source.dtypes[0] == "uint8":
            raise AccessError(
                f"{water} holds classes ({source.dtypes[0]}), not depths in metres: what stops a car is how deep"
                " the water is; give depths of a flood model, or leave --flood out"
            )


def wading(depth: NDArray[np.float64]) -> NDArray[np.float64]:
    """km/h that are safe in water of a depth in metres: Pregnolato et al. 2017, eq. 1; never below 1."""
    millimetres = np.minimum(depth, 0.3) * 1000
    speed: NDArray[np.float64] = np.maximum(0.0009 * millimetres**2 - 0.5529 * millimetres + 86.9448, 1.0)
    return speed


def _debris(roads: Roads, graded: Any, spread: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(E,) probabilities that debris leaves less than CLEAR, and that debris or partial collapse reaches the road."""
    usable = graded[graded["grade"] != NOT_OBSERVED]
    chances = np.nan_to_num(usable[[f"probability_{k}" for k in range(1, 5)]].to_numpy(np.float64))
    chances /= np.maximum(chances.sum(axis=1, keepdims=True), 1e-9)
    shapes = usable.geometry.to_crs(roads.crs).to_numpy()
    half = roads.width / 2
    far = spread + float(half.max())
    building, edge = shapely.STRtree(roads.lines).query(shapes, predicate="dwithin", distance=far)
    building, edge = building[~roads.tunnel[edge]], edge[~roads.tunnel[edge]]
    apart = shapely.distance(shapes[building], roads.lines[edge])
    left = apart + half[edge] - spread
    blocked = left < np.minimum(CLEAR, roads.width[edge])
    touched = apart - half[edge] < spread
    return (
        _any(edge[blocked], chances[building[blocked], 3], len(half)),
        _any(edge[touched], chances[building[touched], 2:].sum(axis=1), len(half)),
    )


def _any(edge: NDArray[np.int64], chance: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """(E,) probability that at least one of the independent events of each edge happens."""
    none = np.bincount(edge, weights=np.log1p(-np.clip(chance, 0, 1 - 1e-6)), minlength=size)
    return 0.0 - np.expm1(none)  # not -0.0 where nothing happens


def _points(roads: Roads) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Points (n, 2) along all edges and the edge of each: the middles of equal pieces no longer than STEP.

    So each stands for as much of its edge as the others, however close the edge's own vertices lie.
    """
    count = np.maximum(np.ceil(roads.metres / STEP).astype(int), 1)
    owner = np.repeat(np.arange(len(count)), count)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    share = (within + 0.5) / count[owner]
    return shapely.get_coordinates(shapely.line_interpolate_point(roads.lines[owner], share, normalized=True)), owner


def sampled(path: Path, points: NDArray[np.float64], crs: str) -> NDArray[np.float64]:
    """Values of the first band of a raster at points (n, 2); NaN outside of it and for its nodata value.

    Reads ROWS rows at a time, so memory does not grow with the raster.
    """
    values = np.full(len(points), np.nan)
    with opened(path, trusted=True) as source:
        geobox = grid.of_dataset(source)
        shift = pyproj.Transformer.from_crs(crs, str(geobox.crs), always_xy=True)
        a, b, c, d, e, f = (~geobox.affine)[:6]
        x, y = shift.transform(points[:, 0], points[:, 1])
        column, row = a * x + b * y + c, d * x + e * y + f
        rows, columns = geobox.shape
        inside = np.flatnonzero((column >= 0) & (column < columns) & (row >= 0) & (row < rows))
        column, row = column[inside].astype(int), row[inside].astype(int)
        for start in np.unique(row // ROWS) * ROWS:
            chosen = (row >= start) & (row < start + ROWS)
            block = source.read(
                1, window=Window(0, int(start), columns, min(ROWS, rows - int(start))), masked=True
            ).astype(np.float64)
            values[inside[chosen]] = block.filled(np.nan)[row[chosen] - start, column[chosen]]
    return values


def _share(hits: NDArray[np.bool_], owner: NDArray[np.int64], size: int) -> NDArray[np.float64]:
    found = np.bincount(owner, weights=hits, minlength=size)
    share: NDArray[np.float64] = found / np.maximum(np.bincount(owner, minlength=size), 1)
    return share


def _deepest(depths: NDArray[np.float64], owner: NDArray[np.int64], size: int) -> NDArray[np.float64]:
    most = np.full(size, -np.inf)
    known = ~np.isnan(depths)
    np.maximum.at(most, owner[known], depths[known])
    return np.where(np.isfinite(most), most, np.nan)
