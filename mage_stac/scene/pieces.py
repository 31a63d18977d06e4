"""Pieces: planks, sheets, boards and bits of torn buildings, by the thousand; loose on the ground or in heaps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from shapely.geometry.base import BaseGeometry

from mage_stac.scene import mesh
from mage_stac.scene.materials import PIECES
from mage_stac.scene.mesh import Mesh
from mage_stac.scene.scene import Debris

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """Sizes of a kind of piece, m: medians, and the standard deviation of their logarithms."""

    length: float
    width: float
    thickness: float = 0.0
    """0: a sheet."""
    spread: float = 0.45
    tilt: float = 0.15
    """Standard deviation of the slope it lies at, radians."""


FORMS: dict[str, Form] = {
    "timber": Form(length=2.0, width=0.16, tilt=0.12),
    "timber_old": Form(length=1.7, width=0.2, tilt=0.12),
    "sheet": Form(length=1.5, width=0.8, tilt=0.2),
    "metal": Form(length=1.8, width=0.6, tilt=0.3, spread=0.5),
    "shingle": Form(length=0.9, width=0.5, tilt=0.15, spread=0.5),
    "drywall": Form(length=0.9, width=0.55, tilt=0.25),
    "insulation": Form(length=0.8, width=0.5, tilt=0.3),
    "brick": Form(length=0.4, width=0.3, thickness=0.2, tilt=0.3),
    "rubble": Form(length=0.5, width=0.35, thickness=0.2, tilt=0.3),
    "tile": Form(length=0.4, width=0.3, tilt=0.3),
    "household": Form(length=0.9, width=0.6, thickness=0.5, tilt=0.3),
    "branch": Form(length=2.4, width=0.12, tilt=0.1),
}
"""Measures after American light-frame building: 38 mm studs and joists up to 0.3 m wide, 1.2 by 2.4 m boards."""

HOUSE_MIX: Mapping[str, float] = {
    "timber": 0.30, "timber_old": 0.12, "sheet": 0.14, "drywall": 0.15, "shingle": 0.07, "insulation": 0.06,
    "rubble": 0.06, "brick": 0.04, "household": 0.04, "metal": 0.02,
}  # fmt: skip
"""What a timber house falls into, by number."""

METAL_MIX: Mapping[str, float] = {
    "metal": 0.45, "sheet": 0.1, "rubble": 0.15, "drywall": 0.1, "insulation": 0.1, "household": 0.05, "timber": 0.05,
}  # fmt: skip
"""What a steel shed or shop falls into."""

STONE_MIX: Mapping[str, float] = {
    "rubble": 0.55, "brick": 0.1, "tile": 0.15, "timber_old": 0.1, "drywall": 0.1,
}  # fmt: skip
"""What a masonry house falls into."""

MOST = 200_000
"""Loose pieces in a scene; more are thinned out evenly."""


def lay(
    at: ArrayLike,
    mix: Mapping[str, float],
    rng: np.random.Generator,
    *,
    semantic: str = "debris",
    instance: int = 0,
    scale: float = 1.0,
    bearing: float | None = None,
) -> Mesh:
    """Lay one piece at each of the points (N, 3), of kinds drawn from `mix`.

    Sizes are multiplied by `scale`. `bearing`, degrees clockwise from north, is where half of the pieces point to.
    """
    at = np.asarray(at, np.float64).reshape(-1, 3)
    names = [name for name in mix if name in FORMS]
    shares = np.array([mix[name] for name in names])
    drawn = rng.choice(len(names), len(at), p=shares / shares.sum()) if names else np.zeros(0, int)
    yaw = rng.uniform(0, 2 * np.pi, len(at))
    if bearing is not None:
        aligned = rng.random(len(at)) < 0.5
        yaw = np.where(aligned, np.radians(90 - bearing) + rng.normal(0, 0.35, len(at)), yaw)
    parts = []
    for number, name in enumerate(names):
        chosen = drawn == number
        parts.append(_kind(at[chosen], name, yaw[chosen], rng, scale=scale, semantic=semantic, instance=instance))
    return mesh.join(parts)


def _kind(
    at: Array, name: str, yaw: Array, rng: np.random.Generator, *, scale: float, semantic: str, instance: int
) -> Mesh:
    form, count = FORMS[name], len(at)
    length = form.length * scale * np.exp(rng.normal(0, form.spread, count)).clip(0.3, 3.0)
    width = np.minimum(form.width * np.exp(rng.normal(0, form.spread, count)).clip(0.5, 2.5), length)
    size = np.column_stack([length, width, np.full(count, form.thickness or 1.0)])
    pitch = (rng.normal(0, form.tilt, count) / np.maximum(length, 1.0)).clip(-0.5, 0.5)
    roll = rng.normal(0, form.tilt, count).clip(-0.9, 0.9)
    origin = at.copy()
    if not form.thickness:
        # The lower edge touches what the piece lies on.
        origin[:, 2] += 0.03 + 0.5 * (length * np.abs(np.sin(pitch)) + width * np.abs(np.sin(roll)))
    template = (mesh.box if form.thickness else mesh.sheet)(semantic=semantic, grain=PIECES[name].grain)
    frame = mesh.frames(yaw, size, pitch=pitch, roll=roll)
    return mesh.copies(template, origin, frame, tints(name, count, rng), instance=np.uint32(instance))


def tints(name: str, count: int, rng: np.random.Generator) -> Array:
    """(N, 3) reflectances of single pieces of a kind."""
    kind = PIECES[name]
    variants = np.array(kind.variants)[rng.integers(len(kind.variants), size=count)]
    result: Array = variants * np.exp(kind.spread * rng.standard_normal((count, 1)))
    return result.clip(0.0, 0.9)


def scatter(debris: Debris, size: tuple[float, float], ground: Array) -> Mesh:
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
    if wall in {"stone", "stucco", "block"}:
        return STONE_MIX
    return METAL_MIX if wall == "panel_metal" or roof.startswith("membrane") else HOUSE_MIX


def within(region: BaseGeometry, density: float, rng: np.random.Generator) -> Array:
    """(N, 2) random points in a plan region, `density` a square metre on average."""
    if region.is_empty:
        return np.zeros((0, 2))
    x0, y0, x1, y1 = region.bounds
    count = int(rng.poisson(min(density * (x1 - x0) * (y1 - y0), MOST)))
    points = rng.uniform((x0, y0), (x1, y1), (count, 2))
    inside: Array = points[shapely.contains_xy(region, points[:, 0], points[:, 1])]
    return inside
