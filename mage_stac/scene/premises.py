"""Premises: the ground that goes with each building where no map tells it: lawns, drives, patios, fences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import shapely
from shapely import LineString, Polygon, STRtree, affinity
from shapely.geometry.base import BaseGeometry
from shapely.ops import nearest_points

from mage_stac.scene import chance, plane
from mage_stac.scene.highways import grounds
from mage_stac.scene.plots import SEMANTICS
from mage_stac.scene.scene import Building, Surface
from mage_stac.scene.styles import Houses
from mage_stac.scene.traditions import Tradition

REACH = 16.0
"""A yard ends at most this far from its building's rectangle, m."""
NEAREST = 0.4
"""And at least at this share of that, on the side of open country; by eye."""
LONGEST = 35.0
"""Longer drives are not guessed, m."""
DWELLINGS = ("house", "mobile_home")
HARD = ("commercial", "industrial", "school", "apartment", "church")


@dataclass(frozen=True, kw_only=True, slots=True)
class Premises:
    """Ground in the order in which it is painted: lawns under everything, the rest over mapped areas."""

    lawns: tuple[Surface, ...]
    built: tuple[Surface, ...]
    gardens: BaseGeometry
    """Where garden trees may stand, local."""


def around(
    buildings: Sequence[Building], traditions: Sequence[Tradition], roads: Sequence[Surface], taken: BaseGeometry
) -> Premises:
    """Yards of all buildings, each made as its tradition has it, in local metres.

    Nothing is put on `taken` ground (roads, water, mapped areas). What a yard is like hangs on its building's seed.
    """
    plans = [_plan(building) for building in buildings]
    if not plans:
        return Premises(lawns=(), built=(), gardens=Polygon())
    frame = shapely.box(*shapely.total_bounds(plans)).buffer(3 * REACH)
    lawns: list[Surface] = []
    built: list[Surface] = []
    gardens: list[BaseGeometry] = []
    streets = [road for road in roads if road.use in {"street", "arterial"} and len(road.line) > 1]
    kerbs = STRtree([LineString(road.line) for road in streets])
    houses_tree = STRtree(plans)
    for building, tradition, plan, cell in zip(buildings, traditions, plans, _cells(plans, frame), strict=True):
        houses = tradition.table.houses
        rng = np.random.default_rng([building.seed, 41])
        plot = _plot(plan, np.random.default_rng([building.seed, 42]))
        yard = shapely.simplify(cell.intersection(plot), 0.3).difference(taken)
        if building.kind in HARD:
            lawns += _apron(building, yard, rng)
            continue
        if building.kind not in DWELLINGS:
            continue
        material = chance.choose(rng, houses.yards)
        lawns += _patch(yard, material, "lawn", rng)
        gardens.append(yard if material in {"grass", "meadow"} else Polygon())
        built += _fenced(yard, plan, plot, houses, rng)
        drive = _drive(plan, streets, kerbs, houses_tree, houses, rng)
        built += [*_patio(plan, yard, houses, rng), *([drive] if drive else [])]
    return Premises(lawns=tuple(lawns), built=tuple(built), gardens=shapely.union_all(gardens))


def _plan(building: Building) -> Polygon:
    plan = Polygon(building.footprint)
    return plan if plan.is_valid else plan.convex_hull if isinstance(plan.convex_hull, Polygon) else plan.buffer(0.5)


def _cells(plans: Sequence[Polygon], frame: Polygon) -> list[BaseGeometry]:
    """The ground nearest to each building: Voronoi cells of the buildings' corners, joined."""
    points = [shapely.get_coordinates(shapely.segmentize(plan.exterior, 6.0))[:-1] for plan in plans]
    owner = np.repeat(np.arange(len(plans)), [len(part) for part in points])
    seeds = np.unique(np.round(np.concatenate(points), 2), axis=0, return_index=True)
    corners, owner = seeds[0], owner[seeds[1]]
    if len(corners) < 4:
        return [frame for _ in plans]
    cells = shapely.get_parts(shapely.voronoi_polygons(shapely.multipoints(corners), extend_to=frame, ordered=True))
    order = np.argsort(owner, kind="stable")
    bounds = np.searchsorted(owner[order], np.arange(len(plans) + 1))
    return [shapely.union_all(shapely.make_valid(cells[order[a:b]]), grid_size=1e-3) for a, b in pairwise(bounds)]


def _plot(plan: Polygon, rng: np.random.Generator) -> Polygon:
    """The land of a building that has no neighbours: square corners, along its walls, not as wide on all sides."""
    corners = shapely.get_coordinates(shapely.minimum_rotated_rectangle(plan))
    sides = np.diff(corners, axis=0)
    out = rng.uniform(NEAREST * REACH, REACH, (4, 1)) * sides / np.linalg.norm(sides, axis=1, keepdims=True)
    return Polygon(corners[:4] + np.roll(out, 1, axis=0) + np.roll(out, 2, axis=0))


def _patch(shape: BaseGeometry, material: str, use: str, rng: np.random.Generator) -> Iterator[Surface]:
    semantic = SEMANTICS.get(material, "paved")
    like = Surface(ring=(), kind=material, semantic=semantic, use=use, seed=chance.seed(rng))
    yield from (surface for surface in grounds(shape, like))


def _apron(building: Building, yard: BaseGeometry, rng: np.random.Generator) -> Iterator[Surface]:
    """Paved ground round works and shops; lawn round flats and churches."""
    paved = building.kind in {"commercial", "industrial"} or rng.random() < 0.35
    material = chance.choose(
        rng, {"asphalt": 3, "asphalt_old": 2, "concrete": 2, "paving": 1} if paved else {"grass": 1}
    )
    yield from _patch(yard, material, "lot" if paved else "mown", rng)


def _fenced(
    yard: BaseGeometry, plan: Polygon, plot: Polygon, houses: Houses, rng: np.random.Generator
) -> Iterator[Surface]:
    """A fence along the border with the neighbours; the ends that face streets stay open."""
    if rng.random() > houses.fence or not isinstance(yard, Polygon):
        return
    shared = yard.exterior.intersection(plot.buffer(-0.5))
    for part in shapely.get_parts(shapely.line_merge(shared)):
        if isinstance(part, LineString) and 5 < part.length < 60 and not part.is_closed and part.distance(plan) > 0.8:
            like = Surface(
                ring=(),
                kind="fence",
                semantic="object",
                use="fence",
                seed=chance.seed(rng),
                line=plane.line(shapely.get_coordinates(part)),
                width=0.16,
            )
            yield from grounds(part.buffer(0.08, cap_style="flat", join_style="mitre"), like)


def _drive(
    plan: Polygon,
    streets: Sequence[Surface],
    kerbs: STRtree,
    houses_tree: STRtree,
    houses: Houses,
    rng: np.random.Generator,
) -> Surface | None:
    """A straight way from the nearest street to the house's wall; none where another house stands between."""
    share = 1.0 - houses.garages.get("none", 0.0) / max(sum(houses.garages.values()), 1e-9)
    width, wanted = rng.uniform(2.7, 5.4), rng.random() < 0.25 + 0.75 * share
    if not streets or not wanted:
        return None
    nearest = int(kerbs.nearest(plan))
    road = streets[nearest]
    wall, kerb = nearest_points(plan, LineString(road.line))
    reach = wall.distance(kerb)
    if not 3.0 + road.width / 2 < reach < LONGEST:
        return None
    start, stop = np.array(kerb.coords[0]), np.array(wall.coords[0])
    ahead = (stop - start) / reach
    way = LineString([start + ahead * (road.width / 2 - 0.5), stop + ahead * 0.4])
    shape = way.buffer(width / 2, cap_style="flat")
    if len(houses_tree.query(shape, predicate="intersects")) > 1:
        return None
    kind = chance.choose(rng, houses.drives)
    like = Surface(
        ring=(),
        kind=kind,
        semantic=SEMANTICS.get(kind, "paved"),
        use="drive",
        seed=chance.seed(rng),
        line=plane.line(shapely.get_coordinates(way)),
        width=round(float(width), 2),
    )
    return next(grounds(shape, like), None)


def _patio(plan: Polygon, yard: BaseGeometry, houses: Houses, rng: np.random.Generator) -> Iterator[Surface]:
    """A terrace at one corner of the house, now and then a pool."""
    corners = shapely.get_coordinates(plan.exterior)
    at = corners[int(rng.integers(len(corners)))]
    size = rng.uniform(1.8, 3.2, 2)
    if rng.random() < houses.patio:
        box = shapely.box(*(at - size), *(at + size)).intersection(yard).difference(plan)
        yield from _patch(box, chance.choose(rng, {"concrete": 4, "wood_deck": 2, "paving": 3}), "patio", rng)
    inner = yard.difference(plan.buffer(3.0)).buffer(-3.5)
    if rng.random() < 2 * houses.pool and inner.area > 4:
        middle = inner.representative_point()
        pool = affinity.rotate(affinity.scale(middle.buffer(2.2), rng.uniform(1.0, 1.7), 1.0), rng.uniform(0, 180))
        yield from _patch(pool.buffer(1.0).intersection(yard), "concrete", "patio", rng)
        yield from _patch(pool, "pool", "", rng)
