"""Scene: what stands where at one moment, as plain frozen data in local metres (x east, y north, z up)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Ring = tuple[tuple[float, float], ...]
"""A polygon's outer ring: local metres, counter-clockwise, first point not repeated."""

SEMANTIC = {
    "ground": 0, "building": 1, "road": 2, "tree": 3, "grass": 4, "water": 5, "vehicle": 6, "debris": 7,
    "paved": 8, "bare": 9, "field": 10, "object": 11,
}
"""Codes of the `semantic` asset; 255 is not observed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Damage:
    """What a hazard did to one building. `grade`: Joint Damage Scale, 1 no damage .. 4 destroyed."""

    grade: int
    look: str = "intact"
    """How the grade shows: intact, cover_patches, tarpaulin, decking, open_roof, part_missing, rooms, rubble, slab, burnt."""
    fraction: float = 0.0
    """Share of the roof that the look covers, 0..1."""
    seed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Building:
    id: str
    footprint: Ring
    height: float
    """Eaves above ground, m."""
    base: float = 0.0
    """Ground at the building, m."""
    roof: str = "gabled"
    """flat, gabled, hipped or shed."""
    pitch: float = 25.0
    """Roof slope, degrees."""
    overhang: float = 0.4
    roof_material: str = "shingle_grey"
    wall_material: str = "siding_white"
    storeys: int = 1
    kind: str = "house"
    """house, garage, shed, commercial, industrial, ..."""
    seed: int = 0
    damage: Damage = field(default_factory=lambda: Damage(grade=1))


@dataclass(frozen=True, kw_only=True, slots=True)
class Tree:
    x: float
    y: float
    base: float = 0.0
    height: float = 8.0
    radius: float = 3.0
    species: str = "broadleaf"
    state: str = "standing"
    """standing, stripped, felled, burnt."""
    bearing: float = 0.0
    """Direction of fall, degrees clockwise from north."""
    seed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Car:
    x: float
    y: float
    bearing: float
    base: float = 0.0
    colour: tuple[float, float, float] = (0.5, 0.5, 0.5)
    """Linear reflectance, red green blue."""
    length: float = 4.6


@dataclass(frozen=True, kw_only=True, slots=True)
class Surface:
    """A patch of ground. Later surfaces lie over earlier ones."""

    ring: Ring
    kind: str
    """A material name of scene/materials.py: grass, asphalt, concrete, bare, water, field, gravel ..."""
    semantic: str
    """A key of SEMANTIC."""
    seed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Debris:
    """Loose pieces on the ground: density on a regular grid over the scene."""

    density: NDArray[np.float32]
    """(rows, columns) pieces per square metre, row 0 at the north edge."""
    mix: tuple[tuple[str, float], ...] = (("timber", 0.5), ("sheet", 0.2), ("insulation", 0.1), ("rubble", 0.2))
    seed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Light:
    """Sun and air on the day of the image. Angles in degrees; azimuth clockwise from north."""

    sun_azimuth: float = 150.0
    sun_elevation: float = 50.0
    haze: float = 0.0
    """0 clear .. 1 thick: share of path radiance added by the sensor model."""


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """Degrees. Off-nadir 0 is straight down; azimuth is the direction from the ground towards the sensor."""

    off_nadir: float = 0.0
    azimuth: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """One place at one moment. The south-west corner is (0, 0); (size, size) is the north-east one."""

    id: str
    seed: int
    crs: str
    """Projected, in metres, e.g. EPSG:32615."""
    origin: tuple[float, float]
    """Easting and northing of the south-west corner, m."""
    size: tuple[float, float]
    """Width and height, m."""
    datetime: str
    """RFC 3339, UTC."""
    season: str = "summer"
    style: str = "suburb"
    light: Light = field(default_factory=Light)
    view: View = field(default_factory=View)
    surfaces: tuple[Surface, ...] = ()
    buildings: tuple[Building, ...] = ()
    trees: tuple[Tree, ...] = ()
    cars: tuple[Car, ...] = ()
    debris: Debris | None = None
    terrain: NDArray[np.float32] | None = None
    """(rows, columns) m above datum over the scene, pixel centres, row 0 north; None is flat at 0."""
    ground_seed: int = 0
    """Drives the texture of the ground; the same before and after."""
