"""Geometry arrays to Blender objects: structures, clutter, ground."""

from typing import Any

import bpy
import numpy as np

from renderers import materials
from renderers.job import Job

BUILDING = 1
"""Code of buildings in the semantic arrays (mage_stac.scene.scene.SEMANTIC)."""
UNLABELLED = 255
"""Code of what shows in images and in no label: wires."""
ALL = slice(None)
"""Of a job's triangles."""
SKIRT = 60.0
"""Ground beyond the frame, m, so that light bounces at the edge as it does inside."""


def build(job: Job) -> dict[str, Any]:
    """Make the scene's objects: `structures` (buildings), `clutter` (everything else that stands or lies), `ground`.

    Without labels, nothing is ever rendered without the clutter: it then is one mesh with the structures.
    """
    building, unlabelled = (job.arrays["semantic"] == code for code in (BUILDING, UNLABELLED))
    chosen, left = (building, ~(building | unlabelled)) if job.labelled else (ALL, slice(0))
    mesh_material = materials.faces(labelled=job.labelled)
    objects = {
        "structures": _faces("structures", job, chosen, mesh_material),
        "clutter": _faces("clutter", job, left, mesh_material),
        "ground": _ground(job),
    }
    if job.labelled and unlabelled.any():
        objects["unlabelled"] = _faces("unlabelled", job, unlabelled, mesh_material)
    for thing in objects.values():
        bpy.context.scene.collection.objects.link(thing)
    return objects


def _faces(name: str, job: Job, chosen: Any, material: Any) -> Any:
    """Object of the chosen triangles, with their colour, grain, semantic and instance as face attributes."""
    triangles, vertices = job.arrays["triangles"][chosen], job.arrays["vertices"]
    if chosen is not ALL:
        used = np.zeros(len(vertices), bool)
        used[triangles.ravel()] = True
        triangles, vertices = (np.cumsum(used, dtype=np.int32) - 1)[triangles], vertices[used]
    ground = ground_height(job, vertices[:, 0], vertices[:, 1])
    mesh = _mesh(name, _slide(job, vertices, ground), triangles)
    _attribute(mesh, "colour", "FLOAT_VECTOR", "FACE", job.arrays["colour"][chosen])
    if job.infrared:
        _attribute(mesh, "infrared", "FLOAT_VECTOR", "FACE", job.infrared["faces"][chosen])
    _attribute(mesh, "grain", "FLOAT", "FACE", job.arrays["grain"][chosen])
    if job.labelled:
        for key in ("semantic", "instance"):
            _attribute(mesh, key, "FLOAT", "FACE", job.arrays[key][chosen])
        _attribute(mesh, "height", "FLOAT", "POINT", vertices[:, 2] - ground)
    mesh.materials.append(material)
    return bpy.data.objects.new(name, mesh)


def _ground(job: Job) -> Any:
    """Grid of the terrain with the ground texture over the frame, and a skirt around it."""
    rows, columns = job.arrays["ground_z"].shape
    width, height = job.extent
    x = np.concatenate([[-SKIRT], np.linspace(0, width, columns), [width + SKIRT]])
    y = np.concatenate([[height + SKIRT], np.linspace(height, 0, rows), [-SKIRT]])
    z = np.pad(job.arrays["ground_z"].astype(np.float32), 1, mode="edge")
    xx, yy = np.meshgrid(x, y)
    vertices = np.stack([xx, yy, z], axis=-1).reshape(-1, 3).astype(np.float32)
    uv = np.stack([xx / width, yy / height], axis=-1).reshape(-1, 2).astype(np.float32)
    mesh = _mesh("ground", _slide(job, vertices, vertices[:, 2]), _grid_triangles(rows + 2, columns + 2))
    _attribute(mesh, "uv_ground", "FLOAT2", "POINT", uv)
    semantic = job.arrays["ground_semantic"] if job.labelled else None
    mesh.materials.append(materials.ground(job.arrays["ground_texture"], semantic))
    return bpy.data.objects.new("ground", mesh)


def ground_height(job: Job, x: Any, y: Any) -> Any:
    """Terrain under points, m: bilinear in ground_z, whose corners lie at the scene's corners."""
    grid = job.arrays["ground_z"]
    if np.ptp(grid) == 0:
        return np.full(x.shape, grid.flat[0], np.float32)
    rows, columns = grid.shape
    width, height = job.extent
    column = np.clip(x / width, 0, 1) * (columns - 1)
    row = np.clip(1 - y / height, 0, 1) * (rows - 1)
    left = np.minimum(column.astype(np.int64), columns - 2)
    top = np.minimum(row.astype(np.int64), rows - 2)
    u, v = column - left, row - top
    upper = grid[top, left] * (1 - u) + grid[top, left + 1] * u
    lower = grid[top + 1, left] * (1 - u) + grid[top + 1, left + 1] * u
    return upper * (1 - v) + lower * v


def _slide(job: Job, vertices: Any, ground: Any) -> Any:
    """Move each vertical line along the view by its ground height: the oblique camera then sees the ground in place.

    This is what orthorectification with a terrain model does; on flat ground at 0 nothing moves. Under a perspective
    camera each vertical line moves towards the point below the camera, or away from it, and nothing on `job.level`.
    """
    if not job.altitude and not np.any(ground):
        return vertices
    east, north = job.lean
    moved = np.array(vertices, dtype=np.float32)
    if job.altitude:
        middle = np.array(job.extent, np.float32) / 2
        scale = 1.0 - (np.asarray(ground, np.float32) - np.float32(job.level)) / np.float32(job.altitude)
        moved[:, :2] = middle + (moved[:, :2] - middle) * scale[:, None]
        return moved
    moved[:, 0] += np.float32(east) * ground
    moved[:, 1] += np.float32(north) * ground
    return moved


def _mesh(name: str, vertices: Any, triangles: Any) -> Any:
    mesh = bpy.data.meshes.new(name)
    count = len(triangles)
    mesh.vertices.add(len(vertices))
    mesh.loops.add(3 * count)
    mesh.polygons.add(count)
    # Through the attributes: `vertices.foreach_set("co")` and its like take a hundred times as long.
    _attribute(mesh, "position", "FLOAT_VECTOR", "POINT", vertices)
    _attribute(mesh, ".corner_vert", "INT", "CORNER", triangles)
    mesh.polygons.foreach_set("loop_start", np.arange(0, 3 * count, 3, dtype=np.int32))
    _attribute(mesh, "sharp_face", "BOOLEAN", "FACE", np.ones(count, bool))
    # No `mesh.update()`: it would find every edge, as long as all else here takes, and Cycles asks for none.
    return mesh


def _attribute(mesh: Any, name: str, kind: str, domain: str, values: Any) -> None:
    if not len(values):
        return
    attribute = mesh.attributes.get(name) or mesh.attributes.new(name, kind, domain)
    dtype = {"INT": np.int32, "BOOLEAN": bool}.get(kind, np.float32)
    field = "vector" if kind in ("FLOAT_VECTOR", "FLOAT2") else "value"
    attribute.data.foreach_set(field, np.ascontiguousarray(values, dtype).ravel())


def _grid_triangles(rows: int, columns: int) -> Any:
    """Two triangles a cell, counter-clockwise from above; vertex rows run from north to south."""
    first = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    lower = first + columns
    upper_half = np.stack([first, lower, first + 1], axis=1)
    lower_half = np.stack([first + 1, lower, lower + 1], axis=1)
    return np.concatenate([upper_half, lower_half])
