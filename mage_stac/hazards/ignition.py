"""Ignition: how houses catch fire, from flames at their walls, from burning neighbours and from embers."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
import shapely
from numpy.typing import NDArray

from mage_stac.scene.scene import Building, Scene

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]
Ways = tuple[Indices, Indices, Floats]
"""From node, to node, s."""

EMISSION = 84.0
"""Radiation of a burning dwelling's openings and walls, kW/m2: BRE report BR 187 (2014), low fire load."""
PILOTED = 12.5
"""Median radiation that ignites wooden walls with a pilot flame, kW/m2: BR 187, NFPA 80A; sigma of ln HARDNESS."""
HARDNESS = 0.35
TOUCHED = 0.7
"""Median length of flames at the wall that set it alight, m. Cohen (2000, doi:10.1093/jof/98.3.15) saw walls ignite by
contact only; how long the contact lasts grows with the flames."""
FAR = 40.0
"""Distance beyond which one house's radiation ignites no other, m: Cohen (2000)."""
FLAMES = 1.5
"""Height of the flames' radiating face over that of the eaves."""
GROWTH, BURNING = 8 * 60.0, 3600.0
"""From ignition to flashover, and how long a house burns on, s."""
SKIRT = 3.0
"""Ground that burns with a house, and walls that are in reach of ground fire, m."""
BRANDS = 5.0
"""Embers of one house in a wind of 10 m/s that would start a fire on dry ground, if it lay everywhere; grows with the
wind. Set so that, as in the Camp fire's towns (Knapp et al. 2021, doi:10.1186/s42408-021-00117-0), most houses within
18 m of a burning one are lost."""
BRAND_MASS = 150.0 * 0.004
"""Density, kg/m3, times thickness, m, of the brands that fly."""
VEERING = 12.0
"""Standard deviation of an ember's direction, degrees."""
SMOULDER = 5 * 60.0
"""From an ember's landing to a flame, s."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Houses:
    """Buildings as fire sees them; (N,) each."""

    plans: NDArray[np.object_]
    height: Floats
    wall: Floats
    """Radiation that ignites it, kW/m2."""
    skin: Floats
    """Length of flames that ignites it, m."""
    roof: Floats
    """Chance that an ember on it starts a fire, 0..1."""


def houses(buildings: tuple[Building, ...], rng: np.random.Generator) -> Houses:
    """Draws each building's resistance: by its walls, its roof, and chance."""
    count = len(buildings)
    wood = np.array([one.wall_material.startswith("siding") for one in buildings], bool)
    firm = np.where(wood, 1.0, 1.6) * np.exp(HARDNESS * rng.standard_normal(count))
    skin = np.where(wood, 1.0, 1.8) * np.exp(0.6 * rng.standard_normal(count))
    tile = np.array([one.roof_material.startswith(("tile", "metal", "slate", "gravel")) for one in buildings], bool)
    plans = np.array([shapely.make_valid(shapely.Polygon(one.footprint)) for one in buildings], object)
    return Houses(
        plans=plans,
        height=np.array([one.height for one in buildings], float),
        wall=PILOTED * firm,
        skin=TOUCHED * skin,
        roof=np.where(tile, 0.15, 0.45) * rng.uniform(0.5, 1.5, count),
    )


def view(width: Floats, height: Floats, distance: Floats) -> Floats:
    """Share of a small surface's view, facing it, that a rectangle `distance` metres off its middle fills, 0..1."""
    x, y = width / (2 * distance), height / (2 * distance)
    a, b = np.sqrt(1 + x**2), np.sqrt(1 + y**2)
    result: Floats = 2 / np.pi * (x / a * np.arctan(y / a) + y / b * np.arctan(x / b))
    return result


def radiation(houses: Houses) -> tuple[Indices, Indices, Floats]:
    """Burning house, exposed house, kW/m2 on the exposed wall; all pairs within FAR."""
    tree = shapely.STRtree(houses.plans)
    one, two = tree.query(houses.plans, predicate="dwithin", distance=FAR)
    one, two = one[one != two], two[one != two]
    distance = np.maximum(shapely.distance(houses.plans[one], houses.plans[two]), 0.5)
    width = np.sqrt(np.maximum(shapely.area(houses.plans[one]), 1.0))
    flux = EMISSION * view(width, FLAMES * houses.height[one], distance)
    return one.astype(np.int64), two.astype(np.int64), flux


def neighbours(houses: Houses, first: int) -> Ways:
    """Ways from house to house by radiation; node of house i is `first` + i."""
    one, two, flux = radiation(houses)
    lit = flux >= houses.wall[two]
    # The hotter the wall, the sooner: ignition times go about with the inverse square of the flux.
    delay = GROWTH + 600.0 * (houses.wall[two][lit] / flux[lit]) ** 2
    return first + one[lit], first + two[lit], delay


def contacts(scene: Scene, houses: Houses, flames: Floats, first: int) -> Ways:
    """Ways between houses and the ground around them: flames at the walls, and gardens that burn with the house.

    `flames` (rows, columns): length of flames where the ground burns, m, 0 where it does not; cells are the nodes below
    `first`.
    """
    rows, columns = flames.shape
    x, y = (np.arange(columns) + 0.5) * scene.size[0] / columns, (rows - np.arange(rows) - 0.5) * scene.size[1] / rows
    starts, ends = [], []
    for index, plan in enumerate(houses.plans):
        west, south, east, north = shapely.bounds(plan)
        j = np.flatnonzero((x > west - SKIRT) & (x < east + SKIRT))
        i = np.flatnonzero((y > south - SKIRT) & (y < north + SKIRT))
        if not (len(i) and len(j)):
            continue
        cells = (i[:, None] * columns + j).ravel()
        cells = cells[flames.ravel()[cells] > 0]
        near = shapely.dwithin(plan, shapely.points(x[cells % columns], y[cells // columns]), SKIRT)
        starts.append(cells[near])
        ends.append(np.full(int(near.sum()), index))
    cell, house = (np.concatenate(part) if part else np.zeros(0, np.int64) for part in (starts, ends))
    lit = flames.ravel()[cell] >= houses.skin[house]
    return (
        np.concatenate([cell[lit], first + house]),
        np.concatenate([first + house[lit], cell]),
        np.concatenate([np.full(int(lit.sum()), 120.0), np.full(len(cell), GROWTH)]),
    )


def flight(wind: float, area: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation, m, of how far embers of a burning plan of `area` m2 fly in `wind` m/s.

    Himoto and Tanaka (2005, doi:10.3801/IAFSS.FSS.8-433): D * 0.47 B^(2/3) and D * 0.88 B^(1/3), with the plan's side
    D, and B of the wind, the brands' weight and the heat released, here 500 kW/m2.
    """
    side = np.sqrt(np.maximum(area, 1.0))
    heat = 500e3 * side**2 / (1.2 * 1000.0 * 300.0 * sqrt(9.81) * side**2.5)
    number = wind / np.sqrt(9.81 * side) * (BRAND_MASS / (1.2 * side)) ** -0.75 * np.sqrt(heat)
    return side * 0.47 * number ** (2 / 3), side * 0.88 * number ** (1 / 3)


def embers(scene: Scene, houses: Houses, flames: Floats, wind: tuple[float, float], rng: np.random.Generator) -> Ways:
    """Ways by embers from each house, if it burns, to where they start a fire; nodes as in contacts.

    `wind`: m/s, and the bearing that it blows to, degrees.
    """
    first = flames.size
    mean, spread = flight(max(wind[0], 0.1), shapely.area(houses.plans))
    sigma = np.sqrt(np.log1p((spread / mean) ** 2))
    number = rng.poisson(BRANDS * wind[0] / 10.0, len(houses.plans))
    source = np.repeat(np.arange(len(number)), number)
    count = len(source)
    far = np.exp(np.log(mean[source]) - sigma[source] ** 2 / 2 + sigma[source] * rng.standard_normal(count))
    angle = np.radians(wind[1] + VEERING * rng.standard_normal(count))
    luck = rng.random(count)
    middle = shapely.get_coordinates(shapely.centroid(houses.plans))
    x, y = middle[source, 0] + far * np.sin(angle), middle[source, 1] + far * np.cos(angle)
    inside = (x > 0) & (y > 0) & (x < scene.size[0]) & (y < scene.size[1])
    source, far, luck, x, y = source[inside], far[inside], luck[inside], x[inside], y[inside]
    delay = GROWTH + far / max(wind[0], 1.0) + SMOULDER
    rows = np.floor((scene.size[1] - y) / scene.size[1] * flames.shape[0]).astype(np.int64)
    columns = np.floor(x / scene.size[0] * flames.shape[1]).astype(np.int64)
    point, house = shapely.STRtree(houses.plans).query(shapely.points(x, y), predicate="intersects")
    lit = (luck[point] < houses.roof[house]) & (source[point] != house)
    ground = flames[rows, columns] > 0
    return (
        first + np.concatenate([source[point][lit], source[ground]]),
        np.concatenate([first + house[lit], (rows * flames.shape[1] + columns)[ground]]),
        np.concatenate([delay[point][lit], delay[ground]]),
    )


def joined(parts: list[Ways], count: int) -> Ways:
    """All ways between `count` nodes, of double ones the quickest."""
    start, end, time = (np.concatenate([part[axis] for part in parts]) for axis in range(3))
    order = np.lexsort((time, start * count + end))
    key = (start * count + end)[order]
    first = order[np.flatnonzero(np.diff(key, prepend=-1))]
    return start[first], end[first], time[first]
