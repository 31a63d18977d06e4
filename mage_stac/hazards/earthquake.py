"""Earthquake: shaking on the site, a damage grade house by house, rubble in the streets, slides on the slopes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mage_stac.hazards import fragility, hazus, landslide, limits, raster, roads, rubble, shaking
from mage_stac.hazards.hazard import Truth
from mage_stac.hazards.rubble import Fall
from mage_stac.scene import chance, mottle
from mage_stac.scene.scene import Building, Car, Damage, Debris, Film, Scene, Tree

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

CELL = 1.0
"""Side of the cells of rubble and slides, m."""
FIRM = 400.0
"""Shear wave velocity where no terrain tells one, m/s: between stiff soil and soft rock."""
BREADTH = 100.0
"""Standard deviation of the smoothing under which the ground's slope stands for its firmness, m: the proxy was made
for cells of 300 to 900 m."""
CURVES = ("macroseismic", "hazus")
BLOCKING = 0.3
"""Depth of rubble that stops vehicles, m: a car's ground clearance and a little."""
BURIED = 0.3
"""Share of a building's plan under a slide that destroys it."""
FALLS: dict[str, dict[str, float]] = {
    "stone": {"rubble": 0.75, "pancake": 0.25},
    "concrete": {"rubble": 0.15, "pancake": 0.85},
    "timber": {"rubble": 0.35, "pancake": 0.65},
}
"""Construction -> looks of a collapse and how often."""
BREAKS: dict[str, dict[str, float]] = {
    "stone": {"part_missing": 0.55, "open_roof": 0.40, "tilt": 0.05},
    "concrete": {"part_missing": 0.45, "open_roof": 0.05, "tilt": 0.50},
    "timber": {"part_missing": 0.35, "open_roof": 0.15, "tilt": 0.50},
}
"""The same for a partial collapse."""
IN_WALLS = 0.05
"""Share of a grade that a zenith view shows where only walls are cracked."""
PIECES = {
    "stone": (("rubble", 0.74), ("tile", 0.16), ("timber_old", 0.08), ("household", 0.02)),
    "concrete": (("rubble", 0.84), ("brick", 0.08), ("metal", 0.04), ("household", 0.04)),
    "timber": (("timber", 0.36), ("brick", 0.2), ("drywall", 0.16), ("shingle", 0.2), ("household", 0.08)),
}
"""What the rubble is made of: kinds of pieces and their shares."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Earthquake:
    """An earthquake; intensity is its moment magnitude."""

    distance: float = 6.0
    """Of the scene from the epicentre, km."""
    depth: float = 10.0
    """Of the hypocentre, km."""
    faulting: str = "unknown"
    """normal, reverse, strike-slip or unknown."""
    stock: str = "auto"
    """How the region builds: timber, masonry or concrete; auto goes by the walls that show."""
    weakness: float = 0.0
    """Added to every vulnerability index: 0.16 is an EMS-98 class weaker, -0.16 one stronger; not for hazus."""
    curves: str = "macroseismic"
    """Fragility by the European macroseismic method, or hazus."""
    code: str = "pre"
    """Seismic design of the stock for Hazus's curves: pre, low, moderate or high."""
    vs30: float = 0.0
    """Shear wave velocity of the ground, m/s; 0 takes it from the slope of the terrain."""
    residual: float | None = None
    """Of the ground motion, in standard deviations; None draws one."""
    name: str = "earthquake"
    unit: str = "Mw"
    range: tuple[float, float] = (4.0, 7.6)

    def __post_init__(self) -> None:
        """Raise HazardError for a setting that cannot be."""
        limits.within("distance of an earthquake, km,", self.distance, 0.0, 300.0)
        limits.within("depth of an earthquake, km,", self.depth, 1.0, 100.0)
        limits.among("style of faulting", self.faulting, shaking.FAULTING)
        limits.among("building stock", self.stock, ("auto", *fragility.STOCKS))
        limits.within("weakness", self.weakness, -0.5, 0.5)
        limits.among("fragility curves", self.curves, CURVES)
        limits.among("seismic design", self.code, hazus.LEVELS)
        limits.within("shear wave velocity, m/s,", self.vs30, 0.0, 2_000.0)

    def draw(self, rng: np.random.Generator) -> float:
        """Magnitudes that damage a part of the town at the default distance, 6.5 to 7.5."""
        return chance.between(rng, (6.5, 7.5))

    def apply(self, scene: Scene, intensity: float, rng: np.random.Generator) -> tuple[Scene, Truth]:
        """The scene after the shaking, and the truth about it.

        Raises:
            HazardError: intensity out of range, or terrain with voids.
        """
        limits.check(self, intensity)
        ground = raster.terrain(scene, CELL)
        firmness = self._firmness(scene, ground)
        drawn = rng.standard_normal(2)
        motion = shaking.acceleration(intensity, self.distance, self.depth, firmness, self.faulting)
        spread = float(np.hypot(shaking.BETWEEN, shaking.WITHIN))
        motion = motion * 10 ** (spread * (drawn[0] if self.residual is None else self.residual))
        felt = shaking.mcs(motion) + (shaking.MCS_SIGMA * drawn[1] if self.residual is None else 0.0)
        way = fragility.stock(scene.buildings) if self.stock == "auto" else self.stock
        seed = chance.seed(rng)
        slid = np.zeros(ground.shape, bool)
        if scene.terrain is not None:
            slid = landslide.slides(ground, raster.step(scene, CELL), motion, intensity, seed)
        grades = self._grades(scene, felt, motion, way, rng)
        buildings, visible = _damaged(scene, grades, way, slid, rng)
        notes = (
            f"peak ground acceleration {np.median(motion):.3f} g, intensity {np.median(felt):.1f} MCS, "
            f"vs30 {np.median(firmness):.0f} m/s; EMS-98 grades 0 to 5: "
            + ", ".join(str(count) for count in np.bincount(grades, minlength=6)),
            *roads.missing(scene),
        )
        if not slid.any() and all(one.damage.grade == 1 for one in buildings):
            notes += (limits.untouched(self, intensity, scene, "raise the magnitude or bring it nearer"),)
        return _aftermath(scene, replace(scene, buildings=buildings), way, slid, visible, notes, rng)

    def _firmness(self, scene: Scene, ground: Floats) -> Floats:
        """(rows, columns) m/s."""
        if self.vs30 > 0 or scene.terrain is None:
            return np.full(ground.shape, self.vs30 or FIRM)
        cell = raster.step(scene, CELL)
        return shaking.vs30(raster.slope(ndimage.gaussian_filter(ground, BREADTH / cell, mode="nearest"), cell))

    def _grades(
        self, scene: Scene, felt: Floats, motion: Floats, way: str, rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """(N,) EMS-98 grade 0..5 of each building; takes the same chance for either kind of curves."""
        count = len(scene.buildings)
        scatter, luck = fragility.SCATTER * rng.standard_normal(count), rng.random(count)
        if not count:
            return np.zeros(0, np.int64)
        middle = np.array([np.mean(building.footprint, axis=0) for building in scene.buildings])
        if self.curves == "hazus":
            return hazus.grades(raster.sample(scene, motion, *middle.T), scene.buildings, way, self.code, luck)
        index = np.array([fragility.index(building, way) for building in scene.buildings]) + self.weakness + scatter
        return fragility.grades(raster.sample(scene, felt, *middle.T), index, luck)


def _family(building: Building, way: str) -> str:
    """Key of FALLS, BREAKS and PIECES."""
    built = fragility.construction(building, way)
    return "timber" if built in {"timber", "steel"} else "concrete" if built.startswith("concrete") else "stone"


def _damaged(
    scene: Scene, grades: NDArray[np.int64], way: str, slid: Mask, rng: np.random.Generator
) -> tuple[tuple[Building, ...], dict[str, float]]:
    """The buildings as they stand or lie, and how much of the damaged ones' grade a zenith view shows."""
    plans = raster.footprints(scene.buildings)
    number = raster.burn(scene, zip(plans, range(1, len(plans) + 1), strict=True), CELL)
    cells = np.maximum(np.bincount(number.ravel(), minlength=len(plans) + 1), 1)
    under = np.bincount(number[slid], minlength=len(plans) + 1) / cells
    changed, visible = [], {}
    for building, ems, buried in zip(scene.buildings, grades.tolist(), under[1:].tolist(), strict=True):
        worst = 5 if buried > BURIED else ems
        damage = _damage(building, worst, _family(building, way), rng)
        changed.append(replace(building, damage=damage) if damage.grade > 1 else building)
        if damage.grade > 1:
            visible[building.id] = IN_WALLS if damage.look == "cracked" else fragility.VISIBLE[worst]
    return tuple(changed), visible


def _damage(building: Building, ems: int, family: str, rng: np.random.Generator) -> Damage:
    """How an EMS-98 grade shows; takes as much chance whatever the grade."""
    size, seed = rng.random(), chance.seed(rng)
    falls, breaks = chance.choose(rng, FALLS[family]), chance.choose(rng, BREAKS[family])
    # Shaking throws tiles off a slope; a flat roof's membrane stays where it is, and half of the slopes keep theirs.
    slides = building.roof != "flat"
    slight = "cover_patches" if slides and size > 0.5 else "cracked"
    look = ("intact", "intact", slight, "cover_patches" if slides else "cracked", breaks, falls)[ems]
    low, high = ((0, 0), (0, 0), (0.02, 0.1), (0.1, 0.35), (0.2, 0.6), (1.0, 1.0))[ems]
    return Damage(grade=fragility.JOINT[ems], look=look, fraction=low + (high - low) * size, seed=seed)


def _aftermath(
    before: Scene,
    scene: Scene,
    way: str,
    slid: Mask,
    visible: dict[str, float],
    notes: tuple[str, ...],
    rng: np.random.Generator,
) -> tuple[Scene, Truth]:
    """Rubble and slides on the ground, and the truth."""
    fallen = [
        Fall(building=one, whole=one.damage.grade == 4, bearing=rng.uniform(0.0, 360.0))
        for one in scene.buildings
        if one.damage.grade >= 3
    ]
    seed = chance.seed(rng)
    heap = rubble.depth(scene, fallen, CELL)
    films, debris = _ground(scene, heap, slid, _mix(fallen, way), seed)
    covered = slid | (heap > 1.0)
    changed = replace(
        scene,
        films=before.films + films,
        debris=debris or before.debris,
        cars=tuple(car for car in scene.cars if not _at(scene, covered, car)),
        trees=tuple(replace(tree, state="felled") if _at(scene, slid, tree) else tree for tree in scene.trees),
    )
    truth = Truth(
        grades={one.id: one.damage.grade for one in scene.buildings},
        debris=(heap > 0.05) | slid,
        roads=roads.passable(scene, (heap > BLOCKING) | slid),
        visible=visible,
        notes=notes,
    )
    return changed, truth


def _at(scene: Scene, mask: Mask, thing: Car | Tree) -> bool:
    return bool(raster.sample(scene, mask, thing.x, thing.y))


def _mix(fallen: Sequence[Fall], way: str) -> tuple[tuple[str, float], ...]:
    """Pieces of the commonest construction among the fallen."""
    families = [_family(fall.building, way) for fall in fallen] or ["stone"]
    return PIECES[max(PIECES, key=families.count)]


def _ground(
    scene: Scene, heap: Floats, slid: Mask, mix: tuple[tuple[str, float], ...], seed: int
) -> tuple[tuple[Film, ...], Debris | None]:
    """Fine light rubble and dust, bare slide scars, and larger pieces."""
    x, y = np.meshgrid(*raster.centres(scene, CELL))
    patch = mottle.rough(x, y, 3.0, seed)
    films: tuple[Film, ...] = ()
    debris = None
    if slid.any():
        soft = ndimage.gaussian_filter(slid.astype(float), 1.0)
        films += (Film(kind="bare", cover=soft.astype(np.float32), seed=seed),)
    if heap.any():
        dust = 0.5 * ndimage.gaussian_filter(np.clip(heap, 0, 1), 4.0) * (0.5 + patch)
        cover = np.clip(np.clip(heap / 0.25, 0, 1) * (0.6 + 0.8 * patch) + dust, 0.0, 1.0)
        films += (Film(kind="rubble_fine", cover=cover.astype(np.float32), seed=seed + 1),)
        density = np.where(heap > 0.02, (0.3 + 2.7 * np.clip(heap / 1.2, 0, 1)) * (0.4 + 1.2 * patch), 0.0)
        debris = Debris(density=density.astype(np.float32), mix=mix, bearing=0.0, seed=seed)
    return films, debris
