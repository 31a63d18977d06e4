"""Strewn: where the pieces of torn buildings come to lie."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from mage_stac.hazards import raster
from mage_stac.scene import mottle, pieces
from mage_stac.scene.scene import Building, Debris, Scene, Tree

Floats = NDArray[np.float64]

PER_AREA = 5.0
"""Loose pieces larger than a hand per square metre of floor of a house that is gone."""
UNEVEN = (0.5, 0.4)
"""Standard deviations of the logarithm of how many pieces are left: of one house among others, of one storm."""
LOOSE = {
    "intact": 0.0, "cover_patches": 0.02, "tarpaulin": 0.03, "decking": 0.12, "open_roof": 0.22, "part_missing": 0.4,
    "rooms": 0.65, "rubble": 0.8, "slab": 1.2, "gone": 1.0,
}  # fmt: skip
"""Share of a building that leaves its footprint, by look."""
COARSE = 3.0
"""Cells on which the pieces are thrown before they clump, m."""
THICKEST = 3.0
"""Pieces per square metre that show at most: more lie under each other."""
NEAR = 4.0
"""Distance at which what falls about a house has thinned to a third, m."""
ABOUT = 0.7
"""Share of a building's pieces that stays about it. This, PER_AREA, NEAR, UNEVEN and the clumps are set beside Joplin's
post image, where pseudo-labels say destroyed: there plots stand out 1.25 times as bright as the ground within 12 m, one
house strews much and the next little, and brightness varies as much over 5 m as over half a metre."""
LITTER = (0.04, 0.8)
"""Pieces per square metre that lie on all ground a strong storm swept, yards of whole houses among it: median, and
standard deviation of the logarithm. They come from far, houses outside of the scene too: tornadoes carry light pieces
for kilometres (Snow et al. 1995, Bull. Amer. Meteor. Soc. 76, 1777-1790). How many is by eye, after lawns in Joplin's
post image."""
SWEPT, BREAKING = (28.0, 50.0), (50.0, 80.0)
"""m/s between which the gust at a place, and the storm's strongest, bring none and all of the litter: from where twigs
break to where roofs do, and from roofs to whole houses (EF scale)."""
TWIGS = 0.12
"""Share of branches among the pieces."""
BLOCKING = 1.2
"""Pieces per square metre that stop vehicles: less than a metre from one to the next."""
STEM = 0.9
"""Of a felled tree's height, the length that bars a way."""
LEAST = 1e-3
"""Pieces per square metre, or of a building, that are none."""
CLEARED = {"road": (0.02, 0.3), "paved": (0.3, 1.0), "water": (0.1, 0.3)}
"""What is left after the first days, by semantic of the surface."""


def strewn(
    scene: Scene,
    gusts: tuple[Floats, Floats],
    swept: Floats,
    clear: bool,
    rng: np.random.Generator,
) -> Debris | None:
    """Density of loose pieces over a damaged scene, on cells of 1 m; None where nothing flew.

    ABOUT of what leaves a building falls about it, the rest is carried downwind: an exponential in the distance,
    longer the stronger the wind, widening as it goes. Upon all that comes what the storm brought (`litter`).

    Args:
        scene: with its buildings' damage.
        gusts: strongest gust (m/s) and bearing it blows to (degrees) at each building, (buildings,) each.
        swept: pieces per square metre that the storm brought from elsewhere, on cells of COARSE, see `litter`.
        clear: whether streets have been cleared since.
        rng: of clumps, of how well it was cleared, and of the pieces' own seed.
    """
    house, storm = (
        sigma * rng.standard_normal(size) for sigma, size in zip(UNEVEN, (len(scene.buildings), 1), strict=True)
    )
    mass = np.exp(house + storm) * np.array([_mass(building) for building in scene.buildings])
    if not mass.size or (float(mass.sum()) < 1 and float(swept.max()) < LEAST):
        return None
    coarse = swept.copy()
    x, y = raster.centres(scene, COARSE)
    for building, weight, gust, bearing in zip(scene.buildings, mass, *gusts, strict=True):
        if weight > 0:
            _throw(coarse, (x, y), building, weight, (gust, bearing))
    density = raster.resample(scene, coarse)
    gx, gy = np.meshgrid(*raster.centres(scene))
    seed = int(rng.integers(2**31))
    clumps = 2.2 * (mottle.field(gx, gy, 11.0, seed) - 0.5) + 2.2 * (mottle.field(gx, gy, 4.0, seed + 1) - 0.5)
    density = THICKEST * (1 - np.exp(-density * np.exp(clumps) / THICKEST))
    if clear:
        _clear(density, scene, rng)
    mass = np.maximum(mass, LEAST)  # where nothing here broke, what lies about comes from houses like these
    east, north = (mass * np.sin(np.radians(gusts[1]))).sum(), (mass * np.cos(np.radians(gusts[1]))).sum()
    return Debris(
        density=density.astype(np.float32),
        mix=_mix(scene.buildings, mass),
        bearing=round(float(np.degrees(np.arctan2(east, north)) % 360), 1),
        seed=int(rng.integers(2**31)),
    )


def litter(gusts: Floats, peak: float, rng: np.random.Generator) -> Floats:
    """Pieces per square metre that a storm brought from elsewhere, in the shape of `gusts`.

    Args:
        gusts: the strongest of each place, m/s.
        peak: the strongest of the storm, m/s.
        rng: of how much it brought.
    """
    here = np.clip((gusts - SWEPT[0]) / (SWEPT[1] - SWEPT[0]), 0, 1)
    much = float(np.clip((peak - BREAKING[0]) / (BREAKING[1] - BREAKING[0]), 0, 1))
    brought: Floats = LITTER[0] * float(np.exp(LITTER[1] * rng.standard_normal())) * much * here
    return brought


def stems(trees: Sequence[Tree]) -> NDArray[np.object_]:
    """The plans of felled trees' stems and thick branches, 2 m wide."""
    foot = np.array([(tree.x, tree.y) for tree in trees]).reshape(-1, 2)
    way = np.radians([tree.bearing for tree in trees])
    length = STEM * np.array([tree.height for tree in trees])
    top = foot + np.stack([length * np.sin(way), length * np.cos(way)], axis=-1)
    return np.asarray(shapely.buffer(shapely.linestrings(np.stack([foot, top], axis=1)), 1.0), object)


def blocked(scene: Scene) -> NDArray[np.bool_]:
    """(rows, columns) of 1 m cells, row 0 north: True where debris or a felled tree stops vehicles."""
    felled = [tree for tree in scene.trees if tree.state == "felled" and tree.species in {"broadleaf", "conifer"}]
    barred = raster.inside(scene, stems(felled)) if felled else np.zeros(raster.shape(scene), bool)
    return barred if scene.debris is None else barred | (scene.debris.density >= BLOCKING)


def _mass(building: Building) -> float:
    """Pieces that leave the building."""
    area = Polygon(building.footprint, building.holes).area
    loose = LOOSE.get(building.damage.look, 0.0)
    part = building.damage.fraction if building.damage.grade == 3 else 1.0
    return float(PER_AREA * area * building.storeys**0.7 * loose * part)


def _throw(
    density: Floats, grid: tuple[Floats, Floats], building: Building, weight: float, gust: tuple[float, float]
) -> None:
    """Add one building's pieces to `density`."""
    centre = np.mean(building.footprint, axis=0)
    half = 0.5 * float(np.sqrt(Polygon(building.footprint).area))
    carry = float(np.clip(1.1 * (gust[0] - 25.0), 8.0, 90.0))
    to = np.radians(gust[1])
    columns, rows = _window(grid, centre, half + 4 * NEAR, 3.0 * carry * np.array([np.sin(to), np.cos(to)]))
    dx, dy = grid[0][columns][None, :] - centre[0], grid[1][rows][:, None] - centre[1]
    along, across = dx * np.sin(to) + dy * np.cos(to), dx * np.cos(to) - dy * np.sin(to)
    ring = np.maximum(np.hypot(dx, dy) - half, 0.0)
    about = np.exp(-ring / NEAR) / (np.pi * (half**2 + 2 * half * NEAR + 2 * NEAR**2))
    width = 0.6 * half + 3.0 + 0.3 * np.maximum(along, 0)
    tail = np.exp(-np.maximum(along, 0) / carry) / carry * (along > 0)
    far = tail * np.exp(-0.5 * (across / width) ** 2) / (np.sqrt(2 * np.pi) * width)
    density[rows, columns] += weight * (ABOUT * about + (1 - ABOUT) * far)


def _window(grid: tuple[Floats, Floats], centre: Floats, about: float, tail: Floats) -> tuple[slice, slice]:
    """Columns and rows within `about` of the centre and of the way `tail` (2,) from it, widened by a third of it, m."""
    wide = about + 0.3 * float(np.hypot(*tail))
    low, high = centre + np.minimum(tail, 0) - wide, centre + np.maximum(tail, 0) + wide
    columns, rows = np.searchsorted(grid[0], (low[0], high[0])), np.searchsorted(-grid[1], (-high[1], -low[1]))
    return slice(*columns.tolist()), slice(*rows.tolist())


def _clear(density: Floats, scene: Scene, rng: np.random.Generator) -> None:
    for semantic, left in CLEARED.items():
        shapes = raster.surfaces(scene, semantic)
        if shapes:
            density[raster.inside(scene, shapes.values())] *= rng.uniform(*left)


def _mix(buildings: Sequence[Building], mass: Floats) -> tuple[tuple[str, float], ...]:
    """Kinds of pieces by number, of all that flew, and twigs."""
    total: dict[str, float] = {}
    for building, weight in zip(buildings, mass.tolist(), strict=True):
        for kind, share in pieces.mix_of(building.wall_material, building.roof_material).items():
            total[kind] = total.get(kind, 0.0) + share * weight
    whole = sum(total.values())
    shares = {kind: round((1 - TWIGS) * share / whole, 4) for kind, share in total.items()}
    return (*sorted(shares.items()), ("branch", TWIGS))
