"""Geometry: a Scene turned into triangles and a ground texture, all that Blender is given. Numpy and shapely only."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mage_stac.errors import RenderError
from mage_stac.scene import fences, ground, mesh, pieces, plants, powerlines, ruins, shells, vehicles
from mage_stac.scene.cover import raised
from mage_stac.scene.lattice import Kept
from mage_stac.scene.scene import Building, Scene

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
    ground_soaked: NDArray[np.float32]
    """(rows, columns) share of soaked soil on the texture's grid, 0..1; (1, 1) without a flood."""
    ground_z: NDArray[np.float32]
    """(rows, columns) terrain heights, m, row 0 north, corners at the scene's corners; (2, 2) zeros when flat."""


class Dates:
    """Builds the scenes of one place, date after date: what stands and lies as it did is not made again."""

    def __init__(self, texel: float = 0.3) -> None:
        self._texel = texel
        self._shells: dict[Building, shells.Shell] = {}
        self._meshes: dict[tuple[int, Building], mesh.Mesh] = {}
        self._ground: Kept = {}

    def build(self, scene: Scene) -> Geometry:
        """As `build`: the same bytes, whatever was built before."""
        shaped = shells.of(scene.buildings, scene.photo, scene.size, self._shells)
        keys = [(shell.instance, shell.building) for shell in shaped]
        made = [self._meshes.get(key) or ruins.build(shell) for key, shell in zip(keys, shaped, strict=True)]
        if scene.photo is None:  # a photo's colours are those of its date
            self._meshes = dict(zip(keys, made, strict=True))
        return _whole(scene, made, ground.texture(scene, self._texel, self._ground), self._texel)


def build(scene: Scene, texel: float = 0.3) -> Geometry:
    """Triangles and ground texture of a scene; the same scene gives the same bytes.

    Nothing is sheared for an off-nadir view: the renderer looks along slanted rays instead.

    Args:
        scene: what stands where.
        texel: side of the ground texture's texels, m.

    Raises:
        RenderError: an unknown material or season.
    """
    return Dates(texel).build(scene)


def _whole(scene: Scene, standing: list[mesh.Mesh], seen: ground.Texture, texel: float) -> Geometry:
    """The geometry of a scene whose buildings and ground are made."""
    terrain = ground_heights(scene)
    parts = [*standing]
    parts += [plants.build(scene.trees, scene.season), vehicles.build(scene.cars), fences.build(scene, terrain)]
    parts.append(powerlines.build(scene, terrain, texel))
    if scene.debris is not None:
        parts.append(pieces.scatter(scene.debris, scene.size, terrain))
    whole = mesh.join(parts)
    return Geometry(
        vertices=whole.vertices,
        triangles=whole.triangles,
        colour=whole.colour,
        grain=whole.grain,
        semantic=whole.semantic,
        instance=whole.instance,
        ground_texture=seen.reflectance,
        ground_semantic=seen.semantic,
        ground_soaked=seen.soaked,
        ground_z=terrain.astype(np.float32) if scene.flood is None else raised(terrain, scene.flood),
    )


def ground_heights(scene: Scene) -> NDArray[np.float32]:
    """Terrain as Geometry.ground_z: from Scene.terrain's pixel centres to a grid whose corners are the scene's."""
    if scene.terrain is None:
        return np.zeros((2, 2), np.float32)
    rows, columns = scene.terrain.shape
    # Corner lattice: each node is the mean of the up to four pixels around it.
    padded = np.pad(scene.terrain.astype(np.float32), 1, mode="edge")
    nodes = (padded[:-1, :-1] + padded[1:, :-1] + padded[:-1, 1:] + padded[1:, 1:]) / 4
    corners: NDArray[np.float32] = nodes[: rows + 1, : columns + 1].astype(np.float32)
    return corners


def files(folder: Path) -> list[Path]:
    """Where `save` writes the arrays: a .npy file each, which takes half of the time of an archive of all."""
    return [folder / f"{field.name}.npy" for field in fields(Geometry)]


def save(geometry: Geometry, folder: Path) -> None:
    """Write the arrays into a folder."""
    for path in files(folder):
        np.save(path, getattr(geometry, path.stem), allow_pickle=False)


def load(folder: Path) -> Geometry:
    """Read what `save` wrote.

    Raises:
        RenderError: a file is missing or broken.
    """
    try:
        return Geometry(**{path.stem: np.load(path, allow_pickle=False) for path in files(folder)})
    except (OSError, EOFError, ValueError) as error:
        raise RenderError(f"geometry {folder} cannot be read ({error}): build it again from its scene") from error
