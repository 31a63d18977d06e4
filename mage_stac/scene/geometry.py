"""Geometry: a Scene turned into triangles and a ground texture, all that Blender is given. Numpy and shapely only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BANDS = ("red", "green", "blue")
"""Bands of every reflectance array here, in this order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Geometry:
    """Arrays of one scene; local metres, x east, y north, z up; reflectances linear 0..1."""

    vertices: NDArray[np.float32]
    """(V, 3)"""
    triangles: NDArray[np.int32]
    """(T, 3) indices into vertices, counter-clockwise seen from outside."""
    colour: NDArray[np.float32]
    """(T, 3) reflectance in BANDS."""
    grain: NDArray[np.float32]
    """(T,) 0..1: amplitude of fine brightness noise on the face."""
    semantic: NDArray[np.uint8]
    """(T,) codes of scene.SEMANTIC."""
    instance: NDArray[np.uint32]
    """(T,) 0 none, else 1 + index into Scene.buildings; under 2**24."""
    ground_texture: NDArray[np.float32]
    """(rows, columns, 3) reflectance over the whole scene, row 0 north."""
    ground_semantic: NDArray[np.uint8]
    """(rows, columns) codes of scene.SEMANTIC on the texture's grid."""
    ground_z: NDArray[np.float32]
    """(rows, columns) terrain heights, m, row 0 north, corners at the scene's corners; (2, 2) zeros when flat."""
