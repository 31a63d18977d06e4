"""Fences: the fence lines among a scene's surfaces as thin walls that cast shadows; fewer stand where debris lies or
fire passed.
"""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from mage_stac.scene import mesh, mottle, pieces
from mage_stac.scene.materials import material, pick
from mage_stac.scene.mesh import Mesh
from mage_stac.scene.scene import Scene

Array = NDArray[np.float64]

HEIGHT = 1.6
THICKNESS = 0.1
SPAN = 2.4
"""Of a fence and from post to post, m."""
FLAMMABLE = 0.95
"""Share of the spans that burn where the ground has burnt whole."""
FRAGILE = 4.0
"""A span stands with probability exp(-FRAGILE * pieces of debris a square metre)."""


def build(scene: Scene, ground: ArrayLike) -> Mesh:
    """All fences; `ground` (rows, columns) as Geometry.ground_z."""
    lines = [surface for surface in scene.surfaces if surface.kind == "fence" and len(surface.line) > 1]
    if not lines:
        return mesh.join([])
    shapes = shapely.segmentize(np.array([shapely.LineString(line.line) for line in lines], dtype=object), SPAN)
    points, owner = shapely.get_coordinates(shapes, return_index=True)
    same = owner[1:] == owner[:-1]
    start, end, owner = points[:-1][same], points[1:][same], owner[:-1][same]
    middle, step = (start + end) / 2, end - start
    stands = mottle.cells(np.arange(len(owner)), owner, scene.ground_seed) < _odds(scene, middle)
    colours = np.array([pick(material("fence"), line.seed) for line in lines])
    size = np.column_stack([np.hypot(*step.T), np.full(len(step), THICKNESS), np.full(len(step), HEIGHT)])
    origin = np.column_stack([middle, pieces.heights(ground, scene.size, *middle.T)])
    frame = mesh.frames(np.arctan2(step[:, 1], step[:, 0]), size)
    return mesh.copies(mesh.box(semantic="object", grain=0.1), origin[stands], frame[stands], colours[owner[stands]])


def _odds(scene: Scene, at: Array) -> Array:
    """(N,) probability that a span at a point still stands."""
    odds = np.ones(len(at))
    if scene.debris is not None:
        odds *= np.exp(-FRAGILE * under(scene, scene.debris.density, at))
    for film in scene.films:
        if film.kind == "burnt_ground":
            odds *= 1 - FLAMMABLE * under(scene, film.cover, at).clip(0, 1)
    return odds


def under(scene: Scene, values: NDArray[np.float32], at: Array) -> Array:
    """(N,) values of the cells (rows, columns) over the scene that points lie in."""
    rows, columns = values.shape
    row = np.clip(((1 - at[:, 1] / scene.size[1]) * rows).astype(int), 0, rows - 1)
    column = np.clip((at[:, 0] / scene.size[0] * columns).astype(int), 0, columns - 1)
    found: Array = values[row, column].astype(np.float64)
    return found
