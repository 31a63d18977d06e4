"""Fire: a wildfire that runs into a town, or a town that burns from house to house.

Ground fire spreads by Rothermel's rate and Anderson's ellipse over the scene's own surfaces and trees; houses catch it
from flames at the wall, from burning neighbours and from embers; every arrival time is the quickest of all ways there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree
from shapely.geometry.base import BaseGeometry

from mage_stac.errors import HazardError
from mage_stac.hazards import fuels, ignition, limits, raster, roads, smoke, spread
from mage_stac.hazards.fuels import Fuel
from mage_stac.hazards.hazard import Truth
from mage_stac.hazards.ignition import Houses
from mage_stac.scene import chance, mottle, photos
from mage_stac.scene.scene import Building, Car, Damage, Film, Scene, Tree

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]

CELL, MOST_CELLS = 2.0, 250_000
"""Side of the cells that fire runs over, m, larger where a scene would have more than so many."""
SURVEY = 1.15
"""Wind at 10 m over that at 6.1 m above vegetation, which fuel models go by: Lawson and Armitage (2008)."""
LAWN = ("lawn", "mown")
"""Surface.use of ground that is watered and short: fire creeps through its litter at most."""
GROUND_FUEL: dict[str, Fuel] = {
    "grass": fuels.GRASS, "meadow": fuels.GRASS, "field": fuels.GRASS, "woodland": fuels.LEAVES,
    "mulch": fuels.LITTER, "vegetable": fuels.LITTER, "wood_deck": fuels.LITTER,
}  # fmt: skip
"""Surface.kind -> what burns there."""
TREE_FUEL = {"broadleaf": fuels.LEAVES, "conifer": fuels.TIMBER, "shrub": fuels.BRUSH, "hedge": fuels.BRUSH}
"""Tree.species -> what burns under its crown on open soil."""
PARTLY = 0.04
"""Share of the houses on fire that are saved in part: 754 damaged to 18,804 destroyed in the Camp fire (CAL FIRE)."""
SCORCHING = 0.35
"""Share of the radiation that ignites a wall from which it blackens and its windows break."""
EMBERS = 15.0
"""Embers that a front at the scene's edge throws into it in a wind of 10 m/s."""
ASH = 1.0
"""Distance over which the ash around a burnt house thins, m: it lies where the house was."""
BARE = 0.35
"""Share of plants on a photograph's ground below which no fire runs over it: streets, drives, bare soil."""
FEW = 10
"""Cells of burnt ground below which a fire went out where it began."""
NEAR_CAR = 5.0
"""Distance of a car from a burning house at which it burns too, m."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fire:
    """A fire; intensity is the wind, m/s at 10 m."""

    bearing: float | None = None
    """Where the wind blows to, degrees clockwise from north; None draws it."""
    moisture: float = 0.06
    """Of fine dead fuel, share of dry weight: 0.03 extreme, 0.06 high, 0.12 low danger."""
    live_moisture: float = 0.9
    """Of live fuel."""
    hours: float = 4.0
    """From the front's arrival at the scene's edge to the image."""
    smoke: bool = False
    """Whether what burns or smoulders then still hides a part of the image; else it is taken when the air is clear."""
    name: str = "fire"
    unit: str = "m/s"
    range: tuple[float, float] = (0.0, 40.0)

    def __post_init__(self) -> None:
        """Raise HazardError for a setting that cannot be."""
        limits.within("bearing of the wind", self.bearing or 0.0, 0.0, 360.0)
        limits.within("moisture of dead fuel", self.moisture, 0.01, 0.4)
        limits.within("moisture of live fuel", self.live_moisture, 0.3, 3.0)
        limits.within("hours of fire", self.hours, 0.05, 48.0)

    def draw(self, rng: np.random.Generator) -> float:
        """Winds of fire weather, 5 to 18 m/s."""
        return chance.between(rng, (5.0, 18.0))

    def apply(self, scene: Scene, intensity: float, rng: np.random.Generator) -> tuple[Scene, Truth]:
        """The scene after the fire, and the truth about it.

        Raises:
            HazardError: intensity out of range, terrain with voids, or nothing that burns.
        """
        limits.check(self, intensity)
        bearing = rng.uniform(0.0, 360.0)
        bearing = bearing if self.bearing is None else self.bearing
        land = _land(self, scene, intensity, bearing)
        houses = ignition.houses(scene.buildings, rng)
        if not land.flames.any() and not len(scene.buildings):
            raise HazardError(
                f"nothing in scene {scene.id!r} burns: give it buildings, trees or grass, or lower the moisture"
            )
        ground, homes = _arrivals(self, scene, land, houses, (intensity, bearing), rng)
        notes = (
            f"wind towards {bearing:.0f}°, fine dead fuel at {100 * self.moisture:.0f} % moisture",
            *roads.missing(scene),
        )
        if not np.isfinite(homes).any() and np.count_nonzero(np.isfinite(ground)) < FEW:
            notes += (limits.untouched(self, intensity, scene, "raise the wind or lower the moisture"),)
        changed, truth = _aftermath(scene, land, houses, np.isfinite(ground), homes, rng)
        if self.smoke:
            now, wind = self.hours * 3600.0, (intensity, bearing)
            changed = replace(changed, smoke=smoke.over(scene, ground, homes, now, wind, chance.seed(rng)))
        return changed, replace(truth, notes=notes)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Land:
    """Ground as fire sees it, on cells of `cell` metres; rasters (rows, columns)."""

    cell: float
    front: spread.Front
    line: Floats
    """Intensity of the front's head, kW/m."""

    @property
    def flames(self) -> Floats:
        """Length of the head's flames, m."""
        return fuels.flame(self.line)


def _land(fire: Fire, scene: Scene, wind: float, bearing: float) -> _Land:
    nominal = raster.affordable(scene, CELL, MOST_CELLS)
    cell = raster.step(scene, nominal)
    kinds = list(fuels.FUELS)
    fuel = _fuel(scene, nominal, kinds)
    beds = [(fuels.bed(kind, fire.moisture, fire.live_moisture), wind / SURVEY * kind.shelter) for kind in kinds]
    ground = ndimage.gaussian_filter(raster.terrain(scene, nominal), 1.0, mode="nearest")
    south, east = np.gradient(ground, cell) if min(ground.shape) > 1 else (np.zeros_like(ground),) * 2
    front = spread.front(fuel, beds, bearing, (east, -south))
    line = np.zeros(fuel.shape)
    for number, (bed, _) in enumerate(beds):
        here = fuel == number
        line[here] = bed.line(front.head[here])
    return _Land(cell=cell, front=front, line=line)


def _fuel(scene: Scene, cell: float, kinds: list[Fuel]) -> Indices:
    """(rows, columns) index into `kinds`, -1 where nothing burns."""
    ground = [_ground_fuel(scene, index) for index in range(len(scene.surfaces))]
    plans = (raster.polygon(one.ring, one.holes) for one in scene.surfaces)
    found = raster.burn(scene, zip(plans, range(1, len(ground) + 1), strict=True), cell)
    table = np.array([kinds.index(fuels.LITTER), *(-1 if one is None else kinds.index(one) for one in ground)])
    result: Indices = table[found]
    soft = result >= 0
    crowns = (
        (shapely.Point(tree.x, tree.y).buffer(max(tree.radius, 0.8 * cell)), 1 + kinds.index(TREE_FUEL[tree.species]))
        for tree in scene.trees
    )
    under = raster.burn(scene, crowns, cell)
    result = np.where((under > 0) & soft, under - 1, result)
    result[raster.inside(scene, raster.footprints(scene.buildings), cell)] = -1
    if scene.photo is not None:
        plants = photos.growth_of(scene.photo, scene.size).plants
        result[raster.resample(scene, _blurred(plants, scene, cell), cell) < BARE] = -1
    return result


def _blurred(plants: NDArray[np.float32], scene: Scene, cell: float) -> Floats:
    """Means over about a cell, so that a cell is what most of it is."""
    return np.asarray(ndimage.uniform_filter(plants, max(1, round(cell * plants.shape[1] / scene.size[0]))), float)


def _ground_fuel(scene: Scene, index: int) -> Fuel | None:
    surface = scene.surfaces[index]
    found = GROUND_FUEL.get(surface.kind)
    return fuels.LITTER if found is fuels.GRASS and surface.use in LAWN else found


def _arrivals(
    fire: Fire, scene: Scene, land: _Land, houses: Houses, wind: tuple[float, float], rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """When fire reaches each cell (rows, columns) and each house (N,), s; inf where it does not."""
    flames = land.flames
    first = flames.size
    count = first + len(houses.plans)
    other = [ignition.neighbours(houses, first), ignition.contacts(scene, houses, flames, first)]
    other.append(ignition.embers(scene, houses, flames, wind, rng))
    extra = ignition.joined(other, count)
    ground = spread.ways(land.front, land.cell)
    every = tuple(np.concatenate(pair) for pair in zip(ground, extra, strict=True))
    start = _start(scene, flames, houses, wind, rng)
    times = spread.arrival(count, (every[0], every[1], every[2]), start, fire.hours * 3600.0)
    return times[:first].reshape(flames.shape), times[first:]


def _start(
    scene: Scene, flames: Floats, houses: Houses, wind: tuple[float, float], rng: np.random.Generator
) -> Indices:
    """Nodes that burn first: ground along a stretch of the scene's windward edge, and where the front's embers fall.

    Where no ground burns, the most windward house.
    """
    across = float(np.hypot(*scene.size))
    ahead = np.array([np.sin(np.radians(wind[1])), np.cos(np.radians(wind[1]))])
    shift, number = rng.uniform(-0.25, 0.25) * across, rng.poisson(EMBERS * wind[0] / 10.0)
    places = np.column_stack([rng.exponential(0.12 * across, number), rng.normal(0.0, 0.15 * across, number)])
    rows, columns = np.nonzero(flames > 0)
    if not len(rows):
        middle = shapely.get_coordinates(shapely.centroid(houses.plans))
        return flames.size + np.argsort(middle @ ahead, kind="stable")[:1]
    size = np.array(scene.size)
    xy = np.column_stack([(columns + 0.5) / flames.shape[1], 1.0 - (rows + 0.5) / flames.shape[0]]) * size
    along, aside = (xy - size / 2) @ ahead, (xy - size / 2) @ [ahead[1], -ahead[0]] - shift
    near = np.abs(aside) < 0.25 * across
    near = near if near.any() else np.ones(len(xy), bool)
    first = along[near].min()
    lit = near & (along < first + 0.03 * across)
    spots = KDTree(np.column_stack([along, aside])).query(places + np.array([first, 0.0]), distance_upper_bound=3.0)[1]
    lit[spots[spots < len(xy)]] = True
    burning: Indices = np.flatnonzero(flames.ravel() > 0)[lit]
    return burning


def _aftermath(
    scene: Scene, land: _Land, houses: Houses, ground: Mask, homes: Floats, rng: np.random.Generator
) -> tuple[Scene, Truth]:
    lit = np.isfinite(homes)
    heated = _heated(houses, lit)
    buildings = tuple(
        _burnt(building, bool(on), float(heat / wall), rng)
        for building, on, heat, wall in zip(scene.buildings, lit, heated, houses.wall, strict=True)
    )
    lost = shapely.union_all(houses.plans[[one.damage.grade == 4 for one in buildings]]) if lit.any() else None
    seed = chance.seed(rng)
    films, burnt = _ground(scene, ground, lost, seed)
    trees = _trees(scene, np.where(ground, land.line, 0.0), lost, rng)
    cars = tuple(_car(car, lost, rng) for car in scene.cars)
    changed = replace(scene, buildings=buildings, trees=trees, cars=cars, films=scene.films + films)
    return changed, Truth(
        grades={one.id: one.damage.grade for one in buildings},
        burnt=burnt,
        roads=roads.passable(scene, np.zeros_like(burnt)),
        visible={one.id: 1.0 if one.damage.grade > 2 else 0.5 for one in buildings if one.damage.grade > 1},
    )


def _heated(houses: Houses, lit: Mask) -> Floats:
    """(N,) kW/m2, the most that a burning neighbour throws on each house."""
    if not len(lit):
        return np.zeros(0)
    one, two, flux = ignition.radiation(houses)
    most = np.zeros(len(lit))
    np.maximum.at(most, two, np.where(lit[one], flux, 0.0))
    return most


def _burnt(building: Building, lit: bool, heat: float, rng: np.random.Generator) -> Building:
    """`heat`: radiation over what ignites the wall."""
    luck, size, seed = rng.random(), rng.random(), chance.seed(rng)
    if lit and luck > PARTLY:
        return replace(building, damage=Damage(grade=4, look="burnt", fraction=1.0, seed=seed))
    if lit and luck < PARTLY / 2:
        return replace(building, damage=Damage(grade=3, look="open_roof", fraction=0.2 + 0.4 * size, seed=seed))
    if lit or heat > SCORCHING:
        return replace(building, damage=Damage(grade=2, look="scorched", fraction=0.1 + 0.3 * size, seed=seed))
    return building


def _ground(scene: Scene, ground: Mask, lost: BaseGeometry | None, seed: int) -> tuple[tuple[Film, ...], Mask]:
    """Films of char and ash, and where ground or houses burnt, on cells of a metre."""
    x, y = np.meshgrid(*raster.centres(scene))
    burnt = raster.resample(scene, ground.astype(float)) > 0.5
    patch = mottle.rough(x, y, 7.0, seed)
    char = ndimage.gaussian_filter(burnt.astype(float), 0.8) * np.clip(0.75 + 0.5 * patch, 0.0, 1.0)
    films = [Film(kind="burnt_ground", cover=char.astype(np.float32), seed=seed)]
    if lost is not None and not lost.is_empty:
        homes = raster.inside(scene, [lost])
        far = ndimage.distance_transform_edt(~homes) * raster.step(scene)
        ash = np.where(homes, 0.3 + patch, 0.7 * patch * np.exp(-far / ASH))
        cover = np.where(far < 5.0 * ASH, ash.clip(0.0, 1.0), 0.0)
        films.append(Film(kind="ash_ground", cover=cover.astype(np.float32), seed=seed + 1))
        burnt |= homes
    return tuple(films), burnt


def _trees(scene: Scene, line: Floats, lost: BaseGeometry | None, rng: np.random.Generator) -> tuple[Tree, ...]:
    """Crowns burnt off, scorched brown, or green as before, by the fireline intensity (rows, columns) at their feet."""
    trees = scene.trees
    luck = np.exp(0.3 * rng.standard_normal(len(trees)))
    place = np.array([(tree.x, tree.y, tree.height, tree.radius) for tree in trees], float).reshape(-1, 4)
    bare = np.array([0.1 if tree.species in {"shrub", "hedge", "conifer"} else 0.3 for tree in trees])
    heat = raster.sample(scene, line, place[:, 0], place[:, 1])
    near = np.zeros(len(trees), bool)
    if lost is not None:
        near = shapely.distance(lost, shapely.points(place[:, :2])) < place[:, 3] + 3.0
    burnt = near | (heat > fuels.crowning(place[:, 2] * bare) * luck)
    brown = fuels.scorch(heat) * luck > 0.5 * place[:, 2]
    return tuple(
        replace(tree, state="burnt") if off else replace(tree, state="scorched") if dry else tree
        for tree, off, dry in zip(trees, burnt.tolist(), brown.tolist(), strict=True)
    )


def _car(car: Car, lost: BaseGeometry | None, rng: np.random.Generator) -> Car:
    """A grey shell where a house burns beside it."""
    grey = 0.2 + 0.1 * rng.random()
    if lost is None or not shapely.dwithin(lost, shapely.Point(car.x, car.y), NEAR_CAR):
        return car
    return replace(car, colour=(grey * 1.06, grey, grey * 0.94))
