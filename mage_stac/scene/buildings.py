"""Buildings: footprints raised to what the sources say of them, and to what is usual there where they say nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from mage_stac.scene import chance, faces, footprints, plane
from mage_stac.scene.features import seed_of
from mage_stac.scene.footprints import Footprints
from mage_stac.scene.materials import ROOFS, WALLS
from mage_stac.scene.scene import Building, Face
from mage_stac.scene.traditions import FLAT, Make, Tradition, guess

LOWEST = 2.0
"""Eaves are not drawn lower, m."""
HIGHEST = 500.0
"""Heights above this are taken for wrong, m."""
QUARTER = 70.0
"""Side of the squares in which roofs tend to be of one material, m."""
KINDS = ("house", "garage", "shed", "mobile_home", "apartment", "commercial", "industrial", "school", "church")
FORMS = ("flat", "gabled", "hipped", "shed")


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What rasters tell of each footprint; NaN where they do not."""

    height: NDArray[np.float64]
    """(N,) median height above ground, m."""
    base: NDArray[np.float64]
    """(N,) lowest ground, m above datum."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Body:
    """The solid of one building."""

    height: float
    """Eaves above ground, m."""
    roof: str
    pitch: float
    storeys: int
    told: str
    """Where the height comes from: source, measured, storeys, drawn or faces."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """Where the buildings of a scene stand."""

    traditions: Sequence[Tradition]
    """One a footprint."""
    densities: NDArray[np.float64]
    """(N,) share of the ground around each footprint under roofs."""
    origin: tuple[float, float]
    """South-west corner of the scene, in the footprints' CRS."""
    seed: int


def make(prints: Footprints, measured: Measured, setting: Setting) -> tuple[tuple[Building, ...], tuple[str, ...]]:
    """All buildings, in local metres, and for each where its height comes from (Body.told).

    What is drawn by lot hangs on the seed and the building's own id: it is the same whatever else is in the scene.
    """
    pairs = [_building(prints, number, polygon, measured, setting) for number, polygon in enumerate(prints.polygons)]
    return tuple(building for building, _ in pairs), tuple(told for _, told in pairs)


def _building(
    prints: Footprints, number: int, polygon: Polygon, measured: Measured, setting: Setting
) -> tuple[Building, str]:
    table = prints.features.table
    key = str(table.ids[number])
    own = seed_of(key, setting.seed)
    rng = np.random.default_rng(own)
    words = {name: str(values[number]) for name, values in table.words.items()}
    numbers = {name: float(values[number]) for name, values in table.numbers.items()}
    numbers["measured"] = float(measured.height[number])
    density, tradition = float(setting.densities[number]), setting.traditions[number]
    kind = words["kind"] if words["kind"] in KINDS else chance.choose(rng, guess(polygon.area, density))
    style = tradition.make(kind)
    form = words["roof"] if words["roof"] in FORMS else _form(polygon, kind, style, rng)
    base = float(measured.base[number])
    west, south = setting.origin
    shell = _near(prints.features.faces.get(key, ()), polygon)
    if shell:
        base = min(point[2] for face in shell for point in face.ring)
    body = _of_faces(shell, base, style) if shell else _body(polygon, numbers, form, style, rng)
    roof_material, wall_material = _materials(body, words, style, polygon, setting.seed, rng)
    rings = [shapely.get_coordinates(ring)[:-1] - setting.origin for ring in (polygon.exterior, *polygon.interiors)]
    building = Building(
        id=key,
        footprint=plane.ring(rings[0]),
        holes=tuple(plane.ring(ring)[::-1] for ring in rings[1:]),
        height=round(body.height, 2),
        base=round(base if np.isfinite(base) else 0.0, 2),
        roof=body.roof,
        pitch=round(body.pitch, 1),
        overhang=0.0 if body.roof == "flat" else round(chance.between(rng, tradition.table.houses.overhang), 2),
        roof_material=roof_material,
        wall_material=wall_material,
        storeys=body.storeys,
        kind=kind,
        seed=own,
        faces=tuple(faces.shifted(face, -west, -south) for face in shell),
    )
    return building, body.told


def _form(polygon: Polygon, kind: str, style: Make, rng: np.random.Generator) -> str:
    """A form of roof by lot; wide or ragged blocks are flat more often, as no builder roofs them otherwise."""
    form = chance.choose(rng, style.forms)
    wide = footprints.half_width(polygon)
    if kind in {"house", "apartment"} and form != "flat" and (wide > 11 or polygon.interiors):
        return "flat" if rng.random() < 0.5 + 0.05 * wide else form
    return form


def _body(polygon: Polygon, numbers: dict[str, float], form: str, style: Make, rng: np.random.Generator) -> Body:
    """Eaves, roof and storeys out of the first that is known: height, eaves, measured height, storeys."""
    pitch, half = chance.between(rng, style.pitch), footprints.half_width(polygon)
    drawn = int(chance.choose(rng, style.storeys))
    floors = numbers["storeys"] if numbers["storeys"] >= 1 else float(drawn)
    loose = chance.between(rng, (0.0, 0.5))
    rise = 0.0 if form == "flat" else half * (2 if form == "shed" else 1) * float(np.tan(np.radians(pitch)))
    if numbers["roof_height"] > 0 and form != "flat":
        rise = numbers["roof_height"]
    height = numbers["height"]
    if 0 < height < HIGHEST:
        eaves, told = height - rise, "source"
    elif 0 < numbers["eaves"] < HIGHEST:
        eaves, told = numbers["eaves"], "source"
        height = eaves + rise
    elif LOWEST - 0.5 < numbers["measured"] < HIGHEST:
        eaves, told = numbers["measured"] - rise / 2, "measured"
        height = numbers["measured"] + rise / 2
    else:
        eaves, told = floors * style.storey + loose, "storeys" if numbers["storeys"] >= 1 else "drawn"
        height = eaves + rise
    eaves = max(eaves, min(LOWEST, height), 0.4 * height)
    rise = max(height - eaves, 0.0)
    if form != "flat":
        pitch = float(np.degrees(np.arctan(rise / max(half * (2 if form == "shed" else 1), 0.5))))
        form = "flat" if pitch < 2 else form
    storeys = floors if numbers["storeys"] >= 1 else max(1.0, eaves / style.storey)
    return Body(
        height=max(eaves, 0.5), roof=form, pitch=pitch if form != "flat" else 0.0, storeys=round(storeys), told=told
    )


def _of_faces(shell: tuple[Face, ...], base: float, style: Make) -> Body:
    form, pitch, eaves = faces.roof_form(shell)
    height = max(eaves - base, 0.5)
    storeys = max(1, round(height / style.storey))
    return Body(height=height, roof=form, pitch=pitch, storeys=storeys, told="faces")


def _near(shell: tuple[Face, ...], polygon: Polygon) -> tuple[Face, ...]:
    """Those faces of a feature that belong to this one of its outlines."""
    if not shell:
        return ()
    around = polygon.buffer(1.5)
    middles = np.array([np.mean(face.ring, axis=0)[:2] for face in shell])
    inside = shapely.contains_xy(around, middles[:, 0], middles[:, 1])
    return tuple(face for face, near in zip(shell, inside, strict=True) if near)


def _materials(
    body: Body, words: dict[str, str], style: Make, polygon: Polygon, seed: int, rng: np.random.Generator
) -> tuple[str, str]:
    """Roof and wall; half of the pitched roofs are of the material that is usual in their corner of the place."""
    if body.roof == "flat":
        roof = chance.choose(rng, FLAT)
    else:
        x, y = polygon.centroid.coords[0]
        quarter = np.random.default_rng(seed_of(f"{x // QUARTER:.0f} {y // QUARTER:.0f}", seed))
        usual, own = chance.choose(quarter, style.roofs), chance.choose(rng, style.roofs)
        roof = usual if rng.random() < 0.5 else own
    wall = chance.choose(rng, style.walls)
    roof = words["roof_material"] if words["roof_material"] in ROOFS else roof
    return roof, words["wall_material"] if words["wall_material"] in WALLS else wall
