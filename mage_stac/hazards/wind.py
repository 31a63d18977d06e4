"""Wind: a tornado's swath, or a straight storm, over a scene."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from shapely import Point, Polygon, STRtree

from mage_stac.classes import PARTLY_LOST
from mage_stac.hazards import degrees, limits, raster, roads
from mage_stac.hazards.gusts import Track, Vortex, rating
from mage_stac.hazards.hazard import Truth
from mage_stac.hazards.strewn import COARSE, blocked, litter, stems, strewn
from mage_stac.scene import chance
from mage_stac.scene.fines import THICK
from mage_stac.scene.scene import Building, Car, Damage, Scene, Tree

Floats = NDArray[np.float64]

LIGHT = ("garage", "shed", "mobile_home")
STEEL = ("industrial", "commercial", "school")
SHEETED = 0.5
"""Most of a roof that can be lost and still be covered with a tarpaulin instead of rebuilt."""
PLAIN = 0.12
"""Share of lost cover from which it is plain to see at half a metre a pixel."""
RADII = (25.0, 95.0)
"""Of the strongest wind, m, where none is given."""
SAWING = 1.0
"""Days in which crews free two thirds of the streets from trees: ways are cleared first."""
THROWN = 45.0
"""m/s from which parked cars are shifted. Of 959 cars in the paths of tornadoes 35 % were moved where houses showed EF1
or EF2, 63 % where EF3 or EF4, of these a quarter rolled or lofted (Paulikas, Schmidlin and Marshall 2016, Wea. Climate
Soc. 8, 85-91, doi:10.1175/WCAS-D-15-0051.1)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wind:
    """A tornado whose track crosses the scene's surroundings at random, or one time in six a straight storm.

    Intensity is the strongest 3 s gust of the storm, m/s. Fields left None are drawn.
    """

    name: str = "wind"
    unit: str = "m/s"
    range: tuple[float, float] = (25.0, 120.0)
    straight: bool | None = None
    bearing: float | None = None
    """Where the storm moves to, degrees clockwise from north."""
    offset: float | None = None
    """Metres from the scene's centre to the track, which lies on the left when positive."""
    days: int | None = None
    """Between storm and image: cleared streets and tarpaulins after the first."""
    radius: float | None = None
    """Of a tornado's strongest wind, m."""

    def __post_init__(self) -> None:
        """Raise HazardError for a setting that cannot be."""
        limits.within("bearing of the storm", self.bearing or 0.0, 0.0, 360.0)
        limits.within("days since the storm", self.days or 0, 0, 365)
        limits.within("radius of the strongest wind, m,", self.radius or RADII[0], 1.0, 3_000.0)

    def draw(self, rng: np.random.Generator) -> float:
        """From a strong EF1 to a strong EF5."""
        return round(float(rng.uniform(48.0, 105.0)), 1)

    def apply(self, scene: Scene, intensity: float, rng: np.random.Generator) -> tuple[Scene, Truth]:
        """The scene some days after the storm.

        Raises:
            HazardError: an intensity outside `range`.
        """
        limits.check(self, intensity)
        track = self._track(scene, intensity, rng)
        days = int(rng.integers(0, 12)) if self.days is None else self.days
        centres = np.array([Polygon(one.footprint).centroid.coords[0] for one in scene.buildings]).reshape(-1, 2)
        gusts = track.wind(centres[:, 0], centres[:, 1])
        buildings = tuple(
            replace(one, damage=_struck(one, gust, days, rng))
            for one, gust in zip(scene.buildings, gusts[0].tolist(), strict=True)
        )
        hit = replace(scene, buildings=buildings)
        debris = strewn(hit, gusts, _litter(scene, track, rng), days > 0, rng)
        hit = replace(hit, debris=debris, trees=_trees(scene.trees, track, rng), cars=_cars(hit, track, rng))
        hit = replace(hit, trees=_sawn(hit, days, rng))
        notes = (_note(track, days), *roads.missing(scene))
        calm = debris is None and hit.trees == scene.trees and hit.cars == scene.cars
        if calm and all(one.damage.grade == 1 for one in buildings):
            notes += (limits.untouched(self, intensity, scene, "raise the intensity or move the track nearer"),)
        return hit, Truth(
            grades={one.id: one.damage.grade for one in buildings},
            debris=np.zeros(raster.shape(scene), bool) if debris is None else debris.density >= THICK,
            roads=roads.passable(hit, blocked(hit)),
            visible={one.id: _visible(one.damage) for one in buildings if one.damage.grade > 1},
            notes=notes,
        )

    def _track(self, scene: Scene, intensity: float, rng: np.random.Generator) -> Track:
        """Most tornadoes of the Midwest move north-east; the offset lets swath, edge and calm all come to lie here."""
        straight = rng.random() < 1 / 6 and intensity < 70 if self.straight is None else self.straight
        bearing = float(rng.normal(60, 45) % 360) if self.bearing is None else self.bearing
        radius, decay = rng.uniform(*RADII), rng.uniform(0.65, 1.0)
        radius = radius if self.radius is None else self.radius
        translation = min(rng.uniform(8.0, 18.0), 0.25 * intensity)
        vortex = Vortex(peak=intensity, radius=radius, decay=decay, translation=translation, inflow=rng.uniform(5, 35))
        reach = radius * (intensity / 40.0) ** (1 / decay) + 0.25 * max(scene.size)
        offset = float(rng.uniform(-reach, reach)) if self.offset is None else self.offset
        heading = np.radians(90 - bearing)
        middle = scene.size[0] / 2, scene.size[1] / 2
        return Track(
            vortex=None if straight else vortex,
            peak=intensity,
            bearing=bearing,
            point=(middle[0] - offset * float(np.sin(heading)), middle[1] + offset * float(np.cos(heading))),
            sway=0.0 if straight else 0.15 * radius,
            seed=chance.seed(rng),
            gustiness=0.13 if straight else 0.07,
        )


def _litter(scene: Scene, track: Track, rng: np.random.Generator) -> Floats:
    """What the storm brought from elsewhere, on cells of strewn.COARSE."""
    x, y = np.meshgrid(*raster.centres(scene, COARSE))
    return litter(track.wind(x, y)[0].reshape(x.shape), track.peak, rng)


def _visible(damage: Damage) -> float:
    """How much of its grade a building shows from above: a few missing shingles are easily missed."""
    return min(1.0, damage.fraction / PLAIN) if damage.look == "cover_patches" else 1.0


def _note(track: Track, days: int) -> str:
    storm = "straight wind" if track.vortex is None else "tornado"
    return (
        f"{storm}, gusts to {track.peak:g} m/s ({rating(track.peak)}), towards {track.bearing:.0f}°, {days} days before"
    )


def _struck(building: Building, gust: float, days: int, rng: np.random.Generator) -> Damage:
    """The building's damage under a gust: its own resistance, then the degree, the grade, and how it shows."""
    table = degrees.indicator(building)
    resistance = float(np.exp(table.spread * rng.standard_normal()))
    severity = float(table.severity(np.array([gust / resistance]))[0])
    grade = table.grade(severity)
    roll, seed = rng.random(4), chance.seed(rng)
    if grade == 1:
        return Damage(grade=1)
    if grade == 4:
        worst = severity - (table.grades.index(4) + 1)
        reach = worst / (len(table.grades) - table.grades.index(4))
        return Damage(grade=4, look=_fallen(building, reach, roll[0]), fraction=1.0, seed=seed)
    lost = _lost(severity, table, roll[1])
    sheeted = building.kind not in LIGHT and roll[2] < 0.6 * (1 - np.exp(-days / 2.5))
    if sheeted and (grade == 2 or (lost < SHEETED and roll[3] < 0.6)):
        return Damage(grade=2, look="tarpaulin", fraction=round(min(1.0, lost + 0.2 + 0.8 * roll[0]), 3), seed=seed)
    if grade == 2:
        return Damage(grade=2, look="cover_patches", fraction=round(lost, 3), seed=seed)
    if lost > PARTLY_LOST[1]:  # what shows from above then is rooms, no roof
        return Damage(grade=4, look="rubble" if building.kind in LIGHT else "rooms", fraction=1.0, seed=seed)
    return Damage(grade=3, look=_opened(building, lost, roll[0]), fraction=round(lost, 3), seed=seed)


def _lost(severity: float, table: degrees.Indicator, roll: float) -> float:
    """Share of the roof lost: up to a fifth of the cover in degrees of grade 2, up to nine tenths in grade 3."""
    grade = table.grade(severity)
    first, beyond = table.grades.index(grade) + 1, table.grades.index(grade + 1) + 1
    way = (severity - first) / (beyond - first)
    span = (0.03, PARTLY_LOST[0]) if grade == 2 else (PARTLY_LOST[0], 0.9)
    return float(np.clip(span[0] + (span[1] - span[0]) * (0.75 * way + 0.25 * roll), *span))


def _opened(building: Building, lost: float, roll: float) -> str:
    """Looks of grade 3; the more is lost the less it is mere cover."""
    if building.kind in STEEL:
        weights: Mapping[str, float] = {"open_roof": 0.65, "part_missing": 0.25, "decking": 0.1}
    else:
        weights = {"decking": 1.1 - lost, "open_roof": 0.35 + 0.3 * lost, "part_missing": 0.2 + 0.7 * lost}
    return _of(weights, roll)


def _fallen(building: Building, reach: float, roll: float) -> str:
    """Looks of grade 4; `reach` 0..1 is how far beyond its first degree it is."""
    if building.kind in LIGHT:
        return _of({"gone": 0.35 + reach, "rubble": 0.9 - 0.6 * reach, "slab": 0.1}, roll)
    if building.kind in STEEL:
        return _of({"rubble": 0.6 + reach, "rooms": 0.5 - 0.4 * reach, "slab": 0.3 * reach}, roll)
    rooms, slab = max(0.65 - 0.8 * reach, 0.12), max(1.2 * (reach - 0.25), 0.06)
    return _of({"rooms": rooms, "rubble": 0.5 + 0.4 * reach, "slab": slab}, roll)


def _of(weights: Mapping[str, float], roll: float) -> str:
    """The key at `roll` (0..1) of the cumulated weights."""
    share = np.cumsum(list(weights.values()))
    return list(weights)[int(np.searchsorted(share, roll * share[-1], side="right"))]


def _trees(trees: tuple[Tree, ...], track: Track, rng: np.random.Generator) -> tuple[Tree, ...]:
    """Uprooted, snapped or stripped, by the EF scale's degrees for trees; low plants are stripped or torn away late."""
    if not trees:
        return ()
    gust, to = track.wind(np.array([tree.x for tree in trees]), np.array([tree.y for tree in trees]))
    rolls, weak = rng.random((len(trees), 2)), rng.standard_normal(len(trees))
    kept = []
    for number, tree in enumerate(trees):
        table = degrees.TS if tree.species == "conifer" else degrees.TH
        severity = float(table.severity(np.array([gust[number] / np.exp(table.spread * weak[number])]))[0])
        low = tree.species in ("hedge", "shrub")
        state = _tree_state(severity - (1.0 if low else 0.0), rolls[number, 0])
        if state == "gone" or (low and state == "felled"):
            continue
        bearing = round(float(to[number] + 50 * (rolls[number, 1] - 0.5)) % 360, 1)
        kept.append(tree if state == "standing" else replace(tree, state=state, bearing=bearing))
    return tuple(kept)


def _sawn(scene: Scene, days: int, rng: np.random.Generator) -> tuple[Tree, ...]:
    """The trees without those that lay across roads and were cut up in the days since."""
    gone = 1.0 - np.exp(-days / SAWING)
    lying = [number for number, tree in enumerate(scene.trees) if tree.state == "felled"]
    luck = rng.random(len(lying))
    plans = list(raster.surfaces(scene, "road").values())
    if not lying or not plans:
        return scene.trees
    across = STRtree(stems([scene.trees[number] for number in lying])).query(plans, predicate="intersects")[1]
    sawn = {lying[number] for number in np.unique(across).tolist() if luck[number] < gone}
    return tuple(tree for number, tree in enumerate(scene.trees) if number not in sawn)


def _tree_state(severity: float, roll: float) -> str:
    if severity < 3:
        return "standing"
    if severity < 4:
        return "felled" if roll < 0.35 + 0.4 * (severity - 3) else "standing"
    if severity < 5:
        return _of({"felled": 0.55, "stripped": 0.35, "standing": 0.1 * (5 - severity)}, roll)
    return _of({"stripped": 0.5, "felled": 0.28, "gone": 0.22}, roll)


def _cars(scene: Scene, track: Track, rng: np.random.Generator) -> tuple[Car, ...]:
    """Parked cars are shifted, rolled or carried off; those on streets have come since."""
    if not scene.cars:
        return ()
    x, y = np.array([car.x for car in scene.cars]), np.array([car.y for car in scene.cars])
    gust, to = track.wind(x, y)
    roads = raster.inside(scene, raster.surfaces(scene, "road").values())
    driving = raster.sample(scene, roads, x, y)
    standing = STRtree([Polygon(one.footprint).buffer(1) for one in scene.buildings if one.damage.grade < 4])
    rolls = rng.random((len(x), 5))
    kept = []
    for number, car in enumerate(scene.cars):
        force = float(np.clip((gust[number] - THROWN) / 45.0, 0, 1))
        if driving[number] or rolls[number, 0] > 1.3 * force:
            kept.append(car)
        elif rolls[number, 1] > 0.25 * force:
            moved = _moved(car, force, to[number], rolls[number])
            clear = not standing.query(Point(moved.x, moved.y), predicate="within").size
            kept.append(moved if clear else car)
    return tuple(kept)


def _moved(car: Car, force: float, to: float, roll: NDArray[np.float64]) -> Car:
    way = -np.log(1 - 0.98 * roll[2]) * (1.0 + 14.0 * force)
    towards = np.radians(to + 40 * (roll[3] - 0.5))
    return replace(
        car,
        x=round(float(car.x + way * np.sin(towards)), 3),
        y=round(float(car.y + way * np.cos(towards)), 3),
        bearing=round(float(car.bearing + 360 * force * (roll[4] - 0.5)) % 360, 3),
        state="overturned" if roll[4] < 0.5 * force else "standing",
    )
