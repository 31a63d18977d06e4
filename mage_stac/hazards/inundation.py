"""Inundation: what standing water does to houses, cars, roads and the ground.

Grades follow the Joint Damage Scale's words for water (Gupta et al. 2019, arXiv:1911.09296, figure 2): 2 water at the
walls, 3 water in the building, 4 covered by water, swept away or afloat.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage

from mage_stac.hazards import depressions, hydraulics, raster, roads
from mage_stac.hazards.hazard import Truth
from mage_stac.hazards.inflow import CELL, Site, Water
from mage_stac.scene import chance, mottle
from mage_stac.scene.scene import Building, Car, Damage, Debris, Film, Flood, Scene

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

WET = 0.05
"""Least depth that counts as flooded, m: less is a puddle."""
ROAD_DEPTH = 0.3
"""Depth that stops cars, m: Pregnolato et al. (2017), doi:10.1016/j.trd.2017.06.020."""
CAR_DEPTH, CAR_FLOW = 0.3, 0.3
"""Depth, m, and depth times velocity, m2/s, that set a small car adrift: Shand et al. (2011), Australian Rainfall and
Runoff, project 10."""
CAR_DRAUGHT = 0.5
"""Depth that a floating car takes, m: 1,400 kg on 4.6 m by 1.8 m of plan, nose down."""
SWEPT_FLOW, SWEPT_SPEED = 7.0, 2.0
"""Depth times velocity, m2/s, and velocity, m/s, beyond which houses are destroyed: Clausen and Clark (1990)."""
AFLOAT = 0.6
"""Median depth above the floor at which mobile homes and sheds leave their place, m. By Archimedes' law 200 kg/m2 float
in 0.2 m if they let no water in, which they do."""
LIGHT = ("mobile_home", "shed")
BUOYANT = ("siding", "panel")
"""Walls of light buildings that float; stone ones do not."""
FLOOR = {"house": 0.4, "apartment": 0.4, "mobile_home": 0.8, "shed": 0.05}
"""Median height of the ground floor above ground, m, FLOOR_ELSE for other kinds: between the 0.3 m of a slab on grade
and the 0.9 m over a crawl space of FEMA's Hazus flood manual (2.1, table 3.11)."""
FLOOR_ELSE = 0.15
LOSS = ((0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0), (0.0, 0.25, 0.40, 0.50, 0.60, 0.75, 0.85, 0.95, 1.0))
"""Depth above the floor, m, and share of a dwelling's value lost: Huizinga et al. (2017), doi:10.2760/16510, Europe."""
MODERATE = 0.1
"""Least share lost for grade 3: up to 10 per cent is slight damage in FEMA's Hazus."""
WRACK = (("branch", 0.45), ("household", 0.2), ("timber_old", 0.25), ("sheet", 0.1))
"""What floats and strands: kinds of pieces and their shares."""


def aftermath(
    site: Site, water: Water, rng: np.random.Generator, *, turbidity: float, soaked: float, receded: bool
) -> tuple[Scene, Truth]:
    """The scene with water on it, or with what the water left, and the truth about it."""
    scene, seeds = site.scene, [chance.seed(rng) for _ in range(3)]
    speed = hydraulics.velocity(water.depth, water.slope)
    contacts = _contacts(site, water.depth, speed)
    buildings = tuple(_damaged(one, contact, rng) for one, contact in zip(scene.buildings, contacts, strict=True))
    cars = tuple(_moved(car, site, water, speed, rng) for car in scene.cars)
    left = _left(site, water.depth) if receded else water.depth
    left = np.where(left <= WET, 0.0, left)
    standing = np.where(_roofs(site, buildings, contacts), 0.0, left)
    mud = _mud(site, water.depth, left, turbidity, seeds[0]) if receded else ()
    debris = _wrack(site, water.depth, turbidity, seeds[1])
    changed = replace(
        scene,
        buildings=buildings,
        cars=cars,
        films=scene.films + mud,
        debris=scene.debris or debris,
        flood=Flood(depth=left.astype(np.float32), turbidity=turbidity, soaked=soaked, seed=seeds[2]),
    )
    notes = (*site.notes, *water.notes, *roads.missing(scene))
    return changed, _truth(site, changed, standing, contacts, notes)


def _roofs(site: Site, buildings: tuple[Building, ...], contacts: list[Contact]) -> Mask:
    """(rows, columns) True under the buildings that still stand out of the water."""
    dry = [
        one
        for one, contact in zip(buildings, contacts, strict=True)
        if contact.depth < one.height and one.damage.look not in {"gone", "slab"}
    ]
    return raster.inside(site.scene, raster.footprints(dry), CELL)


def _truth(site: Site, changed: Scene, standing: Floats, contacts: list[Contact], notes: tuple[str, ...]) -> Truth:
    code = np.where(site.permanent, 2, np.where(standing > 0, 1, 0)).astype(np.uint8)
    debris = changed.debris
    return Truth(
        grades={one.id: one.damage.grade for one in changed.buildings},
        debris=None if debris is None else raster.resample(changed, debris.density, CELL) > 0.1,
        water=code,
        flood_depth=standing.astype(np.float32),
        roads=roads.passable(changed, standing > ROAD_DEPTH),
        visible={
            one.id: contact.share
            for one, contact in zip(changed.buildings, contacts, strict=True)
            if one.damage.grade > 1 and one.damage.look == "flooded"
        },
        notes=notes,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Contact:
    """Water at a building's walls."""

    depth: float
    """Ninth decile along the walls, m."""
    speed: float
    """m/s, likewise."""
    share: float
    """Of the walls that stand in water, 0..1."""


def _contacts(site: Site, depth: Floats, speed: Floats) -> list[Contact]:
    """Of each building, from points a metre off its walls and a metre apart."""
    if not site.scene.buildings:
        return []
    plans = np.array([shapely.Polygon(one.footprint) for one in site.scene.buildings], object)
    rings = shapely.get_exterior_ring(shapely.get_geometry(shapely.buffer(plans, 1.0, join_style="mitre"), 0))
    points, owner = shapely.get_coordinates(shapely.segmentize(rings, 1.0), return_index=True)
    deep = raster.sample(site.scene, depth, *points.T)
    fast = raster.sample(site.scene, speed, *points.T)
    found = []
    for d, v in zip(_split(deep, owner, len(plans)), _split(fast, owner, len(plans)), strict=True):
        wet = d > WET
        high, quick = (float(np.quantile(values, 0.9)) for values in (d, v))
        found.append(Contact(depth=high if wet.any() else 0.0, speed=quick, share=float(wet.mean())))
    return found


def _split(values: Floats, owner: NDArray[np.intp], count: int) -> list[Floats]:
    return np.split(values, np.searchsorted(owner, np.arange(1, count)))


def loss(depth: float | Floats) -> Floats:
    """Share of a dwelling's value lost to `depth` metres of water above its floor, 0..1."""
    share: Floats = np.interp(np.asarray(depth), *LOSS)
    return share


def _damaged(building: Building, contact: Contact, rng: np.random.Generator) -> Building:
    """Drawn for every building, wet or not, so that one's luck does not hang on another's."""
    floor = FLOOR.get(building.kind, FLOOR_ELSE) * float(np.exp(0.3 * rng.standard_normal()))
    hold = AFLOAT * float(np.exp(0.3 * rng.standard_normal()))
    seed = chance.seed(rng)
    if contact.depth <= WET:
        return building
    flow = contact.depth * contact.speed
    if contact.speed > SWEPT_SPEED and flow > SWEPT_FLOW:
        return replace(building, damage=Damage(grade=4, look="slab", fraction=1.0, seed=seed))
    light = building.kind in LIGHT and building.wall_material.startswith(BUOYANT)
    if light and contact.depth > floor + hold:
        return replace(building, damage=Damage(grade=4, look="gone", fraction=1.0, seed=seed))
    grade = 4 if contact.depth >= building.height else 3 if loss(contact.depth - floor) >= MODERATE else 2
    return replace(building, damage=Damage(grade=grade, look="flooded", fraction=contact.share, seed=seed))


def _moved(car: Car, site: Site, water: Water, speed: Floats, rng: np.random.Generator) -> Car:
    """The car where the water put it; drawn for every car, wet or not."""
    away, turn, drift = rng.exponential(5.0), rng.normal(0.0, 50.0), rng.uniform(0.0, 2 * np.pi)
    depth = float(raster.sample(site.scene, water.depth, car.x, car.y))
    flow = depth * float(raster.sample(site.scene, speed, car.x, car.y))
    if depth < CAR_DEPTH and flow < CAR_FLOW:
        return car
    here = replace(car, base=car.base + max(0.0, depth - CAR_DRAUGHT))
    x = float(np.clip(car.x + away * np.sin(drift), 0.0, site.scene.size[0]))
    y = float(np.clip(car.y + away * np.cos(drift), 0.0, site.scene.size[1]))
    there = float(raster.sample(site.scene, water.depth, x, y))
    if there < CAR_DEPTH or bool(raster.sample(site.scene, site.walls, x, y)):
        return here
    ground = 0.0
    if site.scene.terrain is not None:
        ground = float(
            raster.sample(site.scene, site.ground, x, y) - raster.sample(site.scene, site.ground, car.x, car.y)
        )
    base = car.base + ground + max(0.0, there - CAR_DRAUGHT)
    return replace(car, x=round(x, 3), y=round(y, 3), base=base, bearing=round((car.bearing + turn) % 360, 3))


def _left(site: Site, depth: Floats) -> Floats:
    """Water that stays in hollows when the flood has drained off, m."""
    hollow = depressions.fill(site.ground, site.permanent) - site.ground
    return np.minimum(depth, hollow)


def _mud(site: Site, depth: Floats, left: Floats, turbidity: float, seed: int) -> tuple[Film, ...]:
    """Silt where water stood and went: thicker where it was deep and in patches."""
    x, y = np.meshgrid(*raster.centres(site.scene, CELL))
    patch = mottle.rough(x, y, 12.0, seed)
    cover = np.where(left > WET, 0.0, (0.35 + 0.65 * turbidity) * np.clip(depth / 0.6, 0, 1) * np.clip(2 * patch, 0, 1))
    return (Film(kind="mud", cover=cover.astype(np.float32), seed=seed),)


def _wrack(site: Site, depth: Floats, turbidity: float, seed: int) -> Debris:
    """Floating and stranded pieces: lines of them along the water's edge, caught in patches."""
    wet = depth > WET
    shore = wet & (ndimage.distance_transform_edt(wet) * site.cell < 2.5) & ~site.permanent & ~site.walls
    x, y = np.meshgrid(*raster.centres(site.scene, CELL))
    caught = np.clip(mottle.rough(x, y, 9.0, seed) * 3.0 - 1.5, 0.0, 1.0)
    density = np.where(shore, (0.1 + 0.5 * turbidity) * caught, 0.0)
    return Debris(density=density.astype(np.float32), mix=WRACK, seed=seed)
