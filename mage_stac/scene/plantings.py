"""Plantings: the trees and bushes of a place: mapped ones, rows, woods, and what grows in gardens and parks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import LineString
from shapely.geometry.base import BaseGeometry

from mage_stac.scene import chance, greenery, mottle
from mage_stac.scene.features import Features, seed_of
from mage_stac.scene.landcover import Kind, Patch
from mage_stac.scene.plane import DIGITS
from mage_stac.scene.scene import Tree

Points = NDArray[np.float64]
Origin = tuple[float, float]

CELL = 5.2
"""Side of the squares that hold at most one tree of a wood, m."""
BUSH = 1.8
"""The same for bushes, m."""
CLEAR = 1.2
"""Trunks keep this far from walls and kerbs, m."""


def mapped(found: Features, origin: Origin, seed: int) -> Iterator[Tree]:
    """Trees of a map, of their own size and species where it says so."""
    heights, radii = found.table.numbers["height"], found.table.numbers["radius"]
    for number, (x, y) in enumerate(shapely.get_coordinates(shapely.centroid(found.geometry)) - origin):
        rng = np.random.default_rng(seed_of(str(found.table.ids[number]), seed))
        species = str(found.table.words["species"][number])
        conifers = {"conifer": 1.0, "broadleaf": 0.0}.get(species, 0.12)
        tree = greenery.tree(rng, np.array([x, y]), conifers)
        if 1 < heights[number] < 60:
            scale = float(heights[number]) / tree.height
            tree = replace(tree, height=round(float(heights[number]), 2), radius=round(tree.radius * scale**0.6, 2))
        if 0.3 < radii[number] < 15:
            tree = replace(tree, radius=round(float(radii[number]), 2))
        yield tree


def along(rows: Iterable[tuple[str, str, Points]], origin: Origin, seed: int) -> Iterator[Tree]:
    """Hedges and rows of trees along lines (kind, id, points)."""
    for kind, key, points in rows:
        rng = np.random.default_rng(seed_of(key, seed))
        line = LineString(points - origin)
        radius, height = rng.uniform(0.6, 0.9), rng.uniform(1.2, 2.2)
        step = 1.3 * radius if kind == "hedge" else rng.uniform(7.0, 10.0)
        at = np.arange(step / 2, line.length, step)
        for x, y in shapely.get_coordinates(shapely.line_interpolate_point(line, at)):
            if kind == "hedge":
                yield _bush(x, y, radius * rng.uniform(0.9, 1.15), height * rng.uniform(0.9, 1.1), "hedge", rng)
            else:
                yield greenery.tree(rng, np.array([x, y]), 0.05, 0.9)


def grown(patches: Sequence[Patch], free: BaseGeometry, origin: Origin, seed: int) -> Iterator[Tree]:
    """Trees and bushes of areas, each only where no higher patch lies, and only on `free` ground (both in the CRS).

    A tree's place and size hang on the square of the country that it stands in, not on the scene.
    """
    covered: BaseGeometry = shapely.Polygon()
    for patch in reversed(patches):
        kind = patch.kind
        if (kind.canopy or kind.shrubs or kind.rows) and not patch.shape.is_empty:
            area = patch.shape.difference(covered).intersection(free)
            if kind.rows:
                yield from _rows(area, kind.rows, origin, seed_of(patch.key, seed))
            yield from filled(area, kind, origin, seed)
        covered = covered.union(patch.shape)


def filled(area: BaseGeometry, kind: Kind, origin: Origin, seed: int) -> Iterator[Tree]:
    """Trees and bushes all over an area (in the CRS), as thick as `kind` has them."""
    if kind.canopy:
        for x, y, rng in scattered(area, CELL, kind.canopy * CELL**2 / greenery.MEAN_CROWN, seed):
            yield greenery.tree(rng, np.array([x, y]) - origin, kind.conifers)
    if kind.shrubs:
        for x, y, rng in scattered(area, BUSH, kind.shrubs, seed + 1):
            yield greenery.shrub(rng, np.array([x, y]) - origin, (0.5, 1.3))


def scattered(
    area: BaseGeometry, cell: float, share: float, seed: int
) -> Iterator[tuple[float, float, np.random.Generator]]:
    """Places in `area` (absolute metres), one in each square of `cell` metres with chance `share`, loosely grouped."""
    if area.is_empty:
        return
    west, south, east, north = (value / cell for value in area.bounds)
    squares = np.meshgrid(np.arange(np.floor(west), np.ceil(east)), np.arange(np.floor(south), np.ceil(north)))
    square = np.stack([axis.ravel() for axis in squares], axis=1)
    key = seed % 65521
    shift = np.stack([mottle.cells(square[:, 0], square[:, 1], key + number) for number in (1, 2)], axis=1)
    spots = (square + 0.1 + 0.8 * shift) * cell
    groups = 2 * mottle.field(spots[:, 0], spots[:, 1], 6 * cell, key + 3) if share < 0.8 else np.ones(len(spots))
    wanted = mottle.cells(square[:, 0], square[:, 1], key) < share * groups
    shapely.prepare(area)
    wanted[wanted] = shapely.contains_xy(area, spots[wanted, 0], spots[wanted, 1])
    for (column, row), (x, y) in zip(square[wanted].tolist(), spots[wanted].tolist(), strict=True):
        yield x, y, np.random.default_rng([key, int(column) % 2**32, int(row) % 2**32])


def _rows(area: BaseGeometry, apart: float, origin: Origin, seed: int) -> Iterator[Tree]:
    """An orchard or a vineyard: plants in lines along the longer side of each field."""
    rng = np.random.default_rng(seed)
    bushes = apart < 4
    for part in shapely.get_parts(area):
        if part.area < 4 * apart**2:
            continue
        corners = shapely.get_coordinates(shapely.oriented_envelope(part))
        sides = np.diff(corners[:3], axis=0)
        length = np.hypot(*sides.T)
        ahead = sides[int(np.argmax(length))] / length.max()
        left = np.array([-ahead[1], ahead[0]])
        middle, reach = corners[:4].mean(axis=0), float(length.max())
        s, t = np.meshgrid(np.arange(-reach, reach, 1.3 if bushes else apart), np.arange(-reach, reach, apart))
        points = middle + s.reshape(-1, 1) * ahead + t.reshape(-1, 1) * left
        points += (0.06 if bushes else 0.05 * apart) * rng.standard_normal(points.shape)
        shapely.prepare(part)
        for x, y in points[shapely.contains_xy(part, points[:, 0], points[:, 1])] - origin:
            if rng.random() < 0.93:
                if bushes:
                    yield _bush(x, y, rng.uniform(0.4, 0.6), rng.uniform(1.3, 1.8), "shrub", rng)
                else:
                    yield greenery.tree(rng, np.array([x, y]), 0.0, 0.6)


def _bush(x: float, y: float, radius: float, height: float, species: str, rng: np.random.Generator) -> Tree:
    return Tree(
        x=round(float(x), DIGITS),
        y=round(float(y), DIGITS),
        height=round(float(height), 2),
        radius=round(float(radius), 2),
        species=species,
        seed=chance.seed(rng),
    )
