"""Interiors: what shows where a roof is gone: floors room by room, inner walls, stumps of outer walls, furniture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from mage_stac.scene import mesh, pieces, roofs, tiling, wings
from mage_stac.scene.materials import material, pick
from mage_stac.scene.mesh import Mesh
from mage_stac.scene.plans import Plane, lines, polygons, rings
from mage_stac.scene.shells import Shell

Array = NDArray[np.float64]

STOREY = 2.5
"""Inner height of a storey, m."""
FLOOR = 0.15
"""Ground floor above the ground, m."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rooms:
    """Division of a plan: rectangles and the walls between them."""

    rectangles: NDArray[np.object_]
    """(N,) shapely polygons."""
    walls: NDArray[np.object_]
    """(M,) shapely line strings."""


def rooms(shell: Shell, rng: np.random.Generator) -> Rooms:
    """Divide the plan's bounding rectangle by walls along its axes until rooms are 2.5 to 5 m wide; wider in halls."""
    around = wings.box(shell.outline)
    wide = 3.2 if shell.outline.area < 400 else 0.12 * float(np.sqrt(shell.outline.area)) + 3.0
    open_boxes = [(around.u[0], around.v[0], around.u[1], around.v[1])]
    done, walls = [], []
    while open_boxes:
        u0, v0, u1, v1 = open_boxes.pop()
        longer = max(u1 - u0, v1 - v0)
        if longer < wide * rng.uniform(1.1, 1.9):
            done.append([[u0, v0], [u1, v0], [u1, v1], [u0, v1]])
            continue
        cut = rng.uniform(0.35, 0.65)
        if u1 - u0 >= v1 - v0:
            middle = u0 + cut * (u1 - u0)
            open_boxes += [(u0, v0, middle, v1), (middle, v0, u1, v1)]
            walls.append([[middle, v0], [middle, v1]])
        else:
            middle = v0 + cut * (v1 - v0)
            open_boxes += [(u0, v0, u1, middle), (u0, middle, u1, v1)]
            walls.append([[u0, middle], [u1, middle]])
    return Rooms(
        rectangles=rings(np.array(done) @ around.axes),
        walls=lines(np.array(walls).reshape(-1, 2, 2) @ around.axes),
    )


def floors(shell: Shell, plan: Rooms, region: BaseGeometry, level: float, rng: np.random.Generator) -> Mesh:
    """Floor of each room within a region, `level` m above the base, in cells of a little different brightness."""
    parts = [polygons(room) for room in shapely.intersection(plan.rectangles, shell.outline)]
    flat = [Plane(plan=part, slope=(0.0, 0.0, level)) for group in parts for part in group]
    if not flat:
        return mesh.join([])
    tiles = tiling.cut(flat, [max(0.9, tiling.cell_size(shell.outline.area))] * len(flat))
    shapely.prepare(region)
    tiles = tiles.where(shapely.contains_xy(region, tiles.xy[:, 0], tiles.xy[:, 1]))
    colour = pieces.tints("floor", len(parts), rng) * np.exp(rng.normal(0, 0.25, (len(parts), 1)))
    room = np.repeat(np.arange(len(parts)), [len(group) for group in parts])
    shade = rng.normal(0, 0.15, 1 + int(tiles.cell.max(initial=0)))[tiles.cell]
    tint = (colour[room[tiles.face]] * np.exp(shade)[:, None]).clip(0, 0.9)
    corners = tiles.corners + np.array([0.0, 0.0, shell.building.base])
    return mesh.faces(corners, tint, grain=0.1, semantic="building", instance=shell.instance)


def inner_walls(
    shell: Shell, plan: Rooms, region: BaseGeometry, level: float, rng: np.random.Generator, *, standing: float
) -> Mesh:
    """Walls between rooms within a region; `standing` is the share left at full height."""
    lines = shapely.get_parts(shapely.intersection(plan.walls, region)) if len(plan.walls) else plan.walls
    colour = np.array(pick(material("drywall"), int(rng.integers(2**31))))
    return stumps(shell, lines, level, rng, standing=standing, thickness=0.14, colour=colour)


def outer_walls(shell: Shell, region: BaseGeometry, level: float, rng: np.random.Generator, *, standing: float) -> Mesh:
    """Outer walls within a region, as broken as the inner ones."""
    inner = shell.outline.buffer(-0.12)
    ring = shapely.linestrings(np.concatenate([roofs.sides(part) for part in polygons(inner)] or [np.zeros((0, 2, 2))]))
    lines = shapely.get_parts(shapely.intersection(ring, region.buffer(0.3)))
    colour = np.array(pick(material(shell.building.wall_material), shell.building.seed + 1))
    return stumps(shell, lines, level, rng, standing=standing, thickness=0.22, colour=colour)


def stumps(
    shell: Shell,
    lines: Sequence[BaseGeometry] | NDArray[np.object_],
    level: float,
    rng: np.random.Generator,
    *,
    standing: float,
    thickness: float,
    colour: Array,
    height: float = STOREY,
) -> Mesh:
    """Walls along lines in lengths of about a metre; what does not stand is broken off lower or gone."""
    segments = _cut([line for line in lines if line.length > 0.3], 1.1)
    if not len(segments):
        return mesh.join([])
    step = segments[:, 1] - segments[:, 0]
    count = len(segments)
    share = np.where(rng.random(count) < standing, rng.uniform(0.92, 1.0, count), rng.uniform(-0.4, 0.7, count))
    kept = share > 0.05
    size = np.column_stack([np.hypot(*step.T) + 0.02, np.full(count, thickness), height * share])[kept]
    origin = np.column_stack([segments.mean(axis=1), np.full(count, shell.building.base + level)])[kept]
    timber = rng.random(len(size)) < 0.4  # cladding torn off the studs
    tint = np.where(
        timber[:, None], pieces.tints("timber", len(size), rng), colour * rng.uniform(0.8, 1.1, (len(size), 1))
    )
    frame = mesh.frames(np.arctan2(step[kept, 1], step[kept, 0]), size)
    return mesh.copies(
        mesh.box(semantic="building", grain=0.1), origin, frame, tint, instance=np.uint32(shell.instance)
    )


def _cut(lines: Sequence[BaseGeometry], longest: float) -> Array:
    """(N, 2, 2) straight pieces of lines, none longer than `longest`."""
    if not lines:
        return np.zeros((0, 2, 2))
    points, owner = shapely.get_coordinates(shapely.segmentize(np.array(lines, object), longest), return_index=True)
    same = owner[1:] == owner[:-1]
    return np.stack([points[:-1][same], points[1:][same]], axis=1)


def furniture(shell: Shell, region: BaseGeometry, level: float, rng: np.random.Generator) -> Mesh:
    """Beds, cupboards, machines: boxes square to the shell, about one on 9 m2, tossed a little."""
    at = pieces.within(region.buffer(-0.4), 0.11, rng)
    size = np.column_stack(
        [rng.uniform(0.6, 2.0, len(at)), rng.uniform(0.5, 1.3, len(at)), rng.uniform(0.3, 1.1, len(at))]
    )
    turned = rng.integers(0, 4, len(at)) * np.pi / 2 + rng.normal(0, 0.2, len(at))
    origin = np.column_stack([at, np.full(len(at), shell.building.base + level)])
    return mesh.copies(
        mesh.box(semantic="building"),
        origin,
        mesh.frames(wings.box(shell.outline).angle + turned, size),
        pieces.tints("household", len(at), rng),
        instance=np.uint32(shell.instance),
    )
