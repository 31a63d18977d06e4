"""Trees, shrubs and hedges, placed by rules of thumb of suburban and rural planting."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mage_stac.scene import chance
from mage_stac.scene.plane import DIGITS, Frame, Point
from mage_stac.scene.scene import Tree

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in a Frame."""
MEAN_CROWN = 34.0
"""m2: of the radii below."""


def tree(rng: np.random.Generator, at: NDArray[np.float64], conifers: float, scale: float = 1.0) -> Tree:
    """One tree at the world point `at` (2,); crowns of 2 to 7 m radius, lognormal, smaller for conifers."""
    conifer = rng.random() < conifers
    radius = float(np.clip((2.3 if conifer else 3.3) * np.exp(0.38 * rng.standard_normal()), 1.2, 7.0)) * scale
    slenderness = rng.uniform(3.2, 5.0) if conifer else rng.uniform(2.0, 3.4)
    return Tree(
        x=round(float(at[0]), DIGITS),
        y=round(float(at[1]), DIGITS),
        height=round(min(2.5 + radius * slenderness * 0.75, 26.0), 2),
        radius=round(radius, 2),
        species="conifer" if conifer else "broadleaf",
        seed=chance.seed(rng),
    )


def shrub(rng: np.random.Generator, at: NDArray[np.float64], radius: chance.Range = (0.4, 1.1)) -> Tree:
    """A shrub at the world point `at` (2,)."""
    size = chance.between(rng, radius)
    return Tree(
        x=round(float(at[0]), DIGITS),
        y=round(float(at[1]), DIGITS),
        height=round(size * rng.uniform(1.0, 1.8), 2),
        radius=round(size, 2),
        species="shrub",
        seed=chance.seed(rng),
    )


def free(points: NDArray[np.float64], boxes: Sequence[Box], clear: float) -> NDArray[np.bool_]:
    """Which of the local points (N, 2) keep `clear` metres from every box."""
    x, y = points.T
    out = np.ones(len(points), dtype=bool)
    for x0, y0, x1, y1 in boxes:
        out &= (x < x0 - clear) | (x > x1 + clear) | (y < y0 - clear) | (y > y1 + clear)
    return out


def clustered(rng: np.random.Generator, area: Box, count: int, spread: float) -> NDArray[np.float64]:
    """`count` local points (N, 2) in groups of a few, `spread` metres wide, inside `area`."""
    if count <= 0:
        return np.zeros((0, 2))
    x0, y0, x1, y1 = area
    groups = max(1, round(count / rng.uniform(1.5, 5.0)))
    centres = rng.uniform((x0, y0), (x1, y1), (groups, 2))
    points = centres[rng.integers(groups, size=count)] + spread * rng.standard_normal((count, 2))
    return np.asarray(np.clip(points, (x0, y0), (x1, y1)))


def scatter(
    rng: np.random.Generator, frame: Frame, area: Box, canopy: float, conifers: float, keep_off: Sequence[Box] = ()
) -> tuple[Tree, ...]:
    """Trees whose crowns cover about `canopy` of `area` (local), in loose groups, trunks a metre from `keep_off`."""
    extent = max(area[2] - area[0], 0) * max(area[3] - area[1], 0)
    count = int(rng.poisson(canopy * extent / MEAN_CROWN))
    points = clustered(rng, area, count, 6.0)
    kept = frame.world(points[free(points, keep_off, 1.0)])
    return tuple(tree(rng, at, conifers) for at in kept)


def row(
    rng: np.random.Generator, frame: Frame, ends: tuple[Point, Point], spacing: float, conifers: float
) -> tuple[Tree, ...]:
    """Trees along a local line, about `spacing` metres apart, with gaps."""
    start, stop = np.array(ends[0]), np.array(ends[1])
    length = float(np.hypot(*(stop - start)))
    steps = np.arange(spacing / 2, length, spacing) / max(length, 1e-9)
    points = start + steps[:, None] * (stop - start) + 0.12 * spacing * rng.standard_normal((len(steps), 2))
    kept = points[rng.random(len(points)) < 0.8]
    return tuple(tree(rng, at, conifers, 0.9) for at in frame.world(kept))


def hedge(rng: np.random.Generator, frame: Frame, ends: tuple[Point, Point]) -> tuple[Tree, ...]:
    """A hedge along a local line: touching low bushes of one height."""
    start, stop = np.array(ends[0]), np.array(ends[1])
    length = float(np.hypot(*(stop - start)))
    radius, height = rng.uniform(0.5, 0.9), rng.uniform(1.0, 2.2)
    steps = np.arange(radius, length, 1.3 * radius) / max(length, 1e-9)
    return tuple(
        Tree(
            x=round(float(at[0]), DIGITS),
            y=round(float(at[1]), DIGITS),
            height=round(height * rng.uniform(0.9, 1.1), 2),
            radius=round(radius * rng.uniform(0.9, 1.15), 2),
            species="hedge",
            seed=chance.seed(rng),
        )
        for at in frame.world(start + steps[:, None] * (stop - start))
    )
