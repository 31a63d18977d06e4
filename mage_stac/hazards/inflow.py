"""Inflow: where flood water comes from in a scene, and how deep it stands once it has come to rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mage_stac.errors import HazardError
from mage_stac.hazards import hydraulics, ponding, raster
from mage_stac.scene import mottle
from mage_stac.scene.scene import Scene

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

CELL = 1.0
"""Side of the cells that water is computed on, m."""
BANK = 20.0
"""Width over which an invented relief falls to the water, m."""
CURVE_NUMBERS = {"building": 98, "road": 98, "paved": 98, "bare": 91, "field": 85, "grass": 74, "tree": 70}
"""Surface -> curve number on soils of group C: USDA NRCS TR-55 (1986), tables 2-2a to 2-2c."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """A scene on cells of about CELL metres; rasters are (rows, columns)."""

    scene: Scene
    cell: float
    ground: Floats
    """m."""
    permanent: Mask
    """Rivers, lakes, ponds and pools."""
    source: Mask
    """Those that can rise."""
    walls: Mask
    """True inside buildings."""
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Water:
    """Flood water at rest."""

    depth: Floats
    """(rows, columns) m above ground; on permanent water, above its ordinary level."""
    slope: Floats
    """(rows, columns) m per m, of the water's surface."""
    notes: tuple[str, ...] = ()


def site(scene: Scene) -> Site:
    """What water needs to know of a scene.

    Raises:
        HazardError: the terrain has voids.
    """
    water = raster.surfaces(scene, "water")
    pools = {index for index in water if scene.surfaces[index].kind == "pool"}
    source = raster.inside(scene, [plan for index, plan in water.items() if index not in pools], CELL)
    notes: tuple[str, ...] = ()
    ground = raster.terrain(scene, CELL)
    if scene.terrain is None:
        ground = relief(scene, source)
        notes = ("the scene has no terrain: water lies on a gentle relief drawn from its ground seed",)
    return Site(
        scene=scene,
        cell=raster.step(scene, CELL),
        ground=ground,
        permanent=raster.inside(scene, water.values(), CELL),
        source=source,
        walls=raster.inside(scene, raster.footprints(scene.buildings), CELL),
        notes=notes,
    )


def relief(scene: Scene, water: Mask) -> Floats:
    """(rows, columns) m: a gentle relief for a scene without terrain, the same at every date of the place.

    Swells of about three metres over 220 m, dips along roads, low mounds under houses, banks down to `water`.
    """
    x, y = np.meshgrid(*raster.centres(scene, CELL))
    swell = 5.0 * mottle.rough(x, y, 220.0, scene.ground_seed) + 0.2 * mottle.rough(x, y, 18.0, scene.ground_seed + 1)
    street = raster.inside(scene, raster.surfaces(scene, "road").values(), CELL)
    house = raster.inside(scene, raster.footprints(scene.buildings), CELL)
    ground: Floats = swell - 0.2 * street + 0.15 * house
    if water.any():
        far = ndimage.distance_transform_edt(~water) * raster.step(scene, CELL)
        share = np.clip(far / BANK, 0.0, 1.0)
        ground = np.where(water, -0.5, -0.3 + (ground + 0.3) * share * share * (3 - 2 * share))
    return ground


def rain(site: Site, amount: float) -> Water:
    """`amount` mm of rain: what the ground does not take runs into hollows, permanent water or off the scene."""
    depth, left = ponding.pond(site.ground, _runoff(site, amount) / 1000.0, site.permanent)
    note = f"{left * site.cell**2:.0f} m3 of the rain left over the scene's edge or by its rivers"
    return Water(depth=depth, slope=np.zeros_like(depth), notes=(note,))


def _runoff(site: Site, amount: float) -> Floats:
    """(rows, columns) mm that leave each cell."""
    known = [one if one.semantic in CURVE_NUMBERS else None for one in site.scene.surfaces]
    plans = [(raster.polygon(one.ring, one.holes), place) for place, one in enumerate(known, 1) if one is not None]
    table = [CURVE_NUMBERS["grass"], *(CURVE_NUMBERS[one.semantic] if one is not None else 0 for one in known)]
    numbers = np.array(table, float)[raster.burn(site.scene, plans, CELL)]
    numbers[site.walls] = CURVE_NUMBERS["building"]
    left: Floats = np.where(site.permanent, amount, hydraulics.runoff(amount, numbers))
    return left


def sea(site: Site, stage: float) -> Water:
    """Permanent water at the scene's edge stands `stage` metres higher, level.

    Raises:
        HazardError: there is none.
    """
    edge = np.zeros_like(site.source)
    edge[[0, -1], :] = edge[:, [0, -1]] = True
    coast = hydraulics.connected(site.source, site.source & edge)
    if not coast.any():
        raise HazardError(
            f"scene {site.scene.id!r} has no water at its edge that could be the sea: flood it by source river or rain"
        )
    return _level(site, float(np.median(site.ground[coast])) + stage, coast)


def edge(site: Site, stage: float) -> Water:
    """Water comes in over the lowest point of the scene's edge and stands `stage` metres above it, level."""
    rim = np.full(site.ground.shape, np.inf)
    rim[[0, -1], :], rim[:, [0, -1]] = site.ground[[0, -1], :], site.ground[:, [0, -1]]
    note = "the scene has no water that could rise: the flood comes in over the lowest point of its edge"
    return _level(site, float(rim.min()) + stage, rim == rim.min(), note)


def _level(site: Site, level: float, source: Mask, *notes: str) -> Water:
    depth = hydraulics.inundate(site.ground, level, source)
    return Water(depth=depth, slope=np.zeros_like(depth), notes=notes)


def river(site: Site, stage: float, *notes: str) -> Water:
    """The scene's permanent water stands `stage` metres above its ordinary level, which is carried on over the land.

    Raises:
        HazardError: there is none.
    """
    if not site.source.any():
        raise HazardError(
            f"scene {site.scene.id!r} has no water that could rise: add a river or lake, or flood it by another source"
        )
    level = hydraulics.surface(site.ground, site.source) + stage
    depth = hydraulics.inundate(site.ground, level, site.source)
    return Water(depth=depth, slope=raster.slope(level, site.cell), notes=notes)


def stage(site: Site, flow: float) -> float:
    """Metres that the scene's river rises when it carries `flow` m3/s more than on an ordinary day.

    Raises:
        HazardError: there is no river.
    """
    if not site.source.any():
        raise HazardError(
            f"scene {site.scene.id!r} has no river to carry {flow:g} m3/s: flood it by stage, or by source rain"
        )
    skip = max(1, -(-max(site.ground.shape) // 1024))
    ground, water = site.ground[::skip, ::skip], site.source[::skip, ::skip]
    return hydraulics.stage(hydraulics.Reach(ground=ground, river=water, cell=site.cell * skip), flow)
