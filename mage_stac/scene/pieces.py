"""Pieces: planks, sheets, boards and bits of torn buildings, by the thousand; loose on the ground or in heaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from shapely.geometry.base import BaseGeometry

from mage_stac.scene import mesh, mottle
from mage_stac.scene.materials import INSIDE, PIECES, Material
from mage_stac.scene.mesh import Mesh
from mage_stac.scene.scene import SEMANTIC, Debris

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """Sizes of a kind of piece, m: medians, and the standard deviation of their logarithms."""

    length: float
    width: float
    thickness: float = 0.0
    """0: a sheet."""
    spread: float = 0.5
    tilt: float = 0.15
    """Standard deviation of the slope it lies at, radians."""
    dirt: float = 0.15
    """Mean of ln of how much darker soil, water and its own shade make it."""


FORMS: dict[str, Form] = {
    "insulation": Form(length=0.7, width=0.45, tilt=0.3, dirt=0.45),
    "drywall": Form(length=0.7, width=0.45, tilt=0.25, dirt=0.45),
    "sheet": Form(length=1.2, width=0.7, tilt=0.2, dirt=0.25),
    "timber": Form(length=1.5, width=0.14, spread=0.65, tilt=0.12),
    "metal": Form(length=1.5, width=0.5, tilt=0.3, spread=0.6),
    "household": Form(length=0.7, width=0.5, thickness=0.45, tilt=0.3, dirt=0.3),
    "tile": Form(length=0.4, width=0.3, tilt=0.3),
    "rubble": Form(length=0.45, width=0.32, thickness=0.2, tilt=0.3, dirt=0.3),
    "brick": Form(length=0.4, width=0.3, thickness=0.2, tilt=0.3),
    "timber_old": Form(length=1.3, width=0.17, spread=0.65, tilt=0.12),
    "branch": Form(length=1.8, width=0.1, spread=0.6, tilt=0.1),
    "shingle": Form(length=0.7, width=0.45, tilt=0.15, spread=0.6),
    "litter": Form(length=0.4, width=0.22, tilt=0.1, spread=0.6),
}
"""Measures after American light-frame building (38 mm studs, joists up to 0.3 m wide, boards of 1.2 by 2.4 m, torn),
kinds that look alike next to each other; `litter` is splinters, leaves and soil."""

HOUSE_MIX: Mapping[str, float] = {
    "insulation": 0.05, "drywall": 0.09, "sheet": 0.19, "timber": 0.28, "metal": 0.02, "household": 0.03,
    "rubble": 0.03, "brick": 0.07, "timber_old": 0.10, "shingle": 0.06, "litter": 0.08,
}  # fmt: skip
"""What a timber house falls into, by number."""

METAL_MIX: Mapping[str, float] = {
    "insulation": 0.06, "drywall": 0.08, "sheet": 0.12, "timber": 0.15, "metal": 0.19, "household": 0.04,
    "rubble": 0.10, "brick": 0.08, "timber_old": 0.08, "litter": 0.10,
}  # fmt: skip
"""What a steel shed or shop falls into."""

STONE_MIX: Mapping[str, float] = {
    "drywall": 0.08, "tile": 0.12, "rubble": 0.62, "brick": 0.06, "timber_old": 0.07, "litter": 0.05,
}  # fmt: skip
"""What a masonry house falls into."""

MASONRY = ("stone", "stucco", "block")
"""Walls that fall into STONE_MIX and raise dust."""
DUST = (0.405, 0.370, 0.322)
"""Reflectance of mortar, plaster and limestone, which lie on all that fell with masonry."""
DUSTY = 0.55
"""Share of the dust's colour in what a masonry house falls into."""

MOST = 200_000
"""Loose pieces in a scene; more are thinned out evenly."""
CLUSTER = 2.2
"""Pieces of a kind lie together in patches of about this size, m."""
PAINTS: Mapping[str, Material] = {
    **PIECES,
    "floor": INSIDE["floor"],
    "litter": Material(variants=((0.13, 0.10, 0.075), (0.09, 0.072, 0.056), (0.18, 0.14, 0.10)), spread=0.25),
}
"""What `tints` knows; litter has the colours of soil and bark."""


def lay(
    at: ArrayLike,
    mix: Mapping[str, float],
    rng: np.random.Generator,
    *,
    owner: ArrayLike = 0,
    scale: float = 1.0,
    bearing: float | None = None,
    dust: float = 0.0,
) -> Mesh:
    """Lay one piece at each of the points (N, 3), of kinds drawn from `mix` (keys of FORMS).

    `owner` () or (N,): instance of the building that a piece is still part of; 0 for debris. Sizes are multiplied by
    `scale`. `bearing`, degrees clockwise from north, is where half of the pieces point to. `dust` 0..1 lies on them.
    """
    at = np.asarray(at, np.float64).reshape(-1, 3)
    names = [name for name in FORMS if mix.get(name, 0.0) > 0]
    if not names or not len(at):
        return mesh.join([])
    kind = _kinds(at, np.array([mix[name] for name in names]), rng)
    length, width, thickness, spread, tilt, dirt = _measures(tuple(names))[:, kind]
    long = length * scale * np.exp(spread * rng.standard_normal(len(at))).clip(0.25, 4.0)
    wide = np.minimum(width * np.exp(spread * rng.standard_normal(len(at))).clip(0.4, 3.0), long)
    pitch = (tilt * rng.standard_normal(len(at)) / np.maximum(long, 1.0)).clip(-0.5, 0.5)
    roll = (tilt * rng.standard_normal(len(at))).clip(-0.9, 0.9)
    frame = mesh.frames(
        _yaw(len(at), bearing, rng), np.column_stack([long, wide, np.maximum(thickness, 1e-3)]), pitch=pitch, roll=roll
    )
    soiled = 0.9 * mottle.field(at[:, 0], at[:, 1], 2 * CLUSTER, int(rng.integers(2**16))) - 0.3
    darker = np.exp(-(1 - dust) * np.abs(dirt + soiled + 0.2 * rng.standard_normal(len(at))))[:, None]
    tint = ((1 - dust) * _tints(names, kind, rng) + dust * np.array(DUST)) * darker
    flat = thickness == 0
    lifted = at.copy()
    # The lower edge of a sheet touches what it lies on.
    lifted[flat, 2] += (0.03 + 0.5 * (long * np.abs(np.sin(pitch)) + wide * np.abs(np.sin(roll))))[flat]
    number = np.broadcast_to(np.asarray(owner, np.uint32), len(at))
    sheets, boxes = (
        mesh.copies(template, lifted[own], frame[own], tint[own], instance=number[own])
        for template, own in ((mesh.sheet(grain=0.1), flat), (mesh.box(grain=0.1), ~flat))
    )
    whole = mesh.join([sheets, boxes])
    codes = np.where(whole.instance > 0, SEMANTIC["building"], SEMANTIC["debris"]).astype(np.uint8)
    return replace(whole, semantic=codes)


@cache
def _measures(names: tuple[str, ...]) -> Array:
    """(6, N) length, width, thickness, spread, tilt and dirt of kinds of pieces."""
    forms = [FORMS[name] for name in names]
    rows = ((one.length, one.width, one.thickness, one.spread, one.tilt, one.dirt) for one in forms)
    return np.array(list(rows)).T


def _kinds(at: Array, shares: Array, rng: np.random.Generator) -> NDArray[np.intp]:
    """(N,) which kind each piece is: shares kept to the piece, alike ones in patches."""
    together = mottle.field(at[:, 0], at[:, 1], CLUSTER, int(rng.integers(2**16)))
    order = np.argsort(np.argsort(together + 0.45 * rng.random(len(at)), kind="stable"), kind="stable")
    bounds = np.cumsum(shares) / shares.sum()
    return np.minimum(np.searchsorted(bounds, (order + 0.5) / len(at)), len(shares) - 1)


def _yaw(count: int, bearing: float | None, rng: np.random.Generator) -> Array:
    yaw = rng.uniform(0, 2 * np.pi, count)
    if bearing is None:
        return yaw
    return np.where(rng.random(count) < 0.5, np.radians(90 - bearing) + 0.35 * rng.standard_normal(count), yaw)


def tints(name: str, count: int, rng: np.random.Generator) -> Array:
    """(N, 3) reflectances of single pieces of a kind."""
    return _tints([name], np.zeros(count, np.intp), rng)


def _tints(names: Sequence[str], kind: NDArray[np.intp], rng: np.random.Generator) -> Array:
    variants, count, spread = _palette(tuple(names))
    which = rng.integers(2**16, size=len(kind)) % count[kind]
    result: Array = variants[kind, which] * np.exp(spread[kind] * rng.standard_normal(len(kind)))[:, None]
    return result.clip(0.0, 0.9)


@cache
def _palette(names: tuple[str, ...]) -> tuple[Array, NDArray[np.intp], Array]:
    """Of N kinds: (N, M, 3) reflectances of their variants, (N,) how many each has, (N,) how far pieces stray."""
    kinds = [PAINTS[name] for name in names]
    most = max(len(one.variants) for one in kinds)
    variants = np.array([[one.variants[i % len(one.variants)] for i in range(most)] for one in kinds])
    return variants, np.array([len(one.variants) for one in kinds]), np.array([one.spread for one in kinds])


def scatter(debris: Debris, size: tuple[float, float], ground: ArrayLike) -> Mesh:
    """Pieces strewn over a scene of `size` (width, height) m after debris.density.

    `ground` (rows, columns): terrain heights as Geometry.ground_z.
    """
    rng = np.random.default_rng([debris.seed, 3])
    rows, columns = debris.density.shape
    cell = size[0] / columns, size[1] / rows
    expected = np.maximum(np.nan_to_num(debris.density.astype(np.float64)), 0.0) * cell[0] * cell[1]
    expected *= min(1.0, MOST / max(float(expected.sum()), 1.0))
    counts = rng.poisson(expected).ravel()
    row, column = np.divmod(np.repeat(np.arange(counts.size), counts), columns)
    x = (column + rng.random(len(column))) * cell[0]
    y = size[1] - (row + rng.random(len(row))) * cell[1]
    z = heights(ground, size, x, y)
    # Where pieces lie thick they lie on each other.
    z += rng.random(len(z)) * np.minimum(0.15 * debris.density[row, column], 0.6)
    return lay(np.column_stack([x, y, z]), dict(debris.mix), rng, bearing=debris.bearing)


def heights(ground: ArrayLike, size: tuple[float, float], x: ArrayLike, y: ArrayLike) -> Array:
    """Terrain under points, m: bilinear in `ground` (rows, columns), its corners at the scene's, row 0 north."""
    ground = np.asarray(ground, np.float64)
    rows, columns = ground.shape
    column = np.clip(np.asarray(x) / size[0], 0, 1) * (columns - 1)
    row = np.clip(1 - np.asarray(y) / size[1], 0, 1) * (rows - 1)
    left, top = np.minimum(column.astype(int), columns - 2), np.minimum(row.astype(int), rows - 2)
    u, v = column - left, row - top
    upper = ground[top, left] * (1 - u) + ground[top, left + 1] * u
    lower = ground[top + 1, left] * (1 - u) + ground[top + 1, left + 1] * u
    result: Array = upper * (1 - v) + lower * v
    return result


def mix_of(wall: str, roof: str) -> Mapping[str, float]:
    """What a building of these materials falls into."""
    if wall in MASONRY:
        return STONE_MIX
    return METAL_MIX if wall == "panel_metal" or roof.startswith("membrane") else HOUSE_MIX


def dust_of(wall: str) -> float:
    """What `lay` takes as dust of a building with these walls."""
    return DUSTY if wall in MASONRY else 0.0


def within(region: BaseGeometry, density: float, rng: np.random.Generator) -> Array:
    """(N, 2) random points in a plan region, `density` a square metre on average."""
    if region.is_empty:
        return np.zeros((0, 2))
    x0, y0, x1, y1 = region.bounds
    count = int(rng.poisson(min(density * (x1 - x0) * (y1 - y0), MOST)))
    points = rng.uniform((x0, y0), (x1, y1), (count, 2))
    inside: Array = points[shapely.contains_xy(region, points[:, 0], points[:, 1])]
    return inside
