"""The camera: parallel rays, one per pixel of the map grid, slanted when the view is off-nadir."""

from typing import Any

import bpy
from mathutils import Matrix

from renderers.job import Job

CLEARANCE = 50.0
"""Camera height above the highest vertex, m."""


def build(job: Job) -> dict[str, Any]:
    """Add the camera and return its description for camera.json.

    An orthographic camera whose axes are not at right angles: the image plane stays level, so level ground keeps its
    map scale, while rays come in along the view; what stands leans, as in an orthorectified image, and light falls on
    the true shapes. Blender objects cannot hold such a matrix themselves, but the inverse-parent matrix of a child
    can, and Cycles only normalises the columns.
    """
    width, height = job.extent
    east, north = job.lean
    top = float(max(job.arrays["vertices"][:, 2].max(initial=0.0), job.arrays["ground_z"].max())) + CLEARANCE
    lens = bpy.data.cameras.new("camera")
    lens.type = "ORTHO"
    lens.sensor_fit = "HORIZONTAL"
    lens.ortho_scale = width
    lens.clip_start = 1.0
    lens.clip_end = 4.0 * (top - float(job.arrays["ground_z"].min())) + 1000.0
    scene = bpy.context.scene
    holder = bpy.data.objects.new("holder", None)
    thing = bpy.data.objects.new("camera", lens)
    scene.collection.objects.link(holder)
    scene.collection.objects.link(thing)
    thing.parent = holder
    thing.matrix_parent_inverse = Matrix(
        ((1, 0, east, width / 2 + east * top), (0, 1, north, height / 2 + north * top), (0, 0, 1, top), (0, 0, 0, 1))
    )
    scene.camera = thing
    return {
        "type": "orthographic",
        "width": job.width,
        "height": job.height,
        "transform": [job.gsd, 0.0, 0.0, 0.0, -job.gsd, height],
        "towards_sensor": [east, north, 1.0],
    }
