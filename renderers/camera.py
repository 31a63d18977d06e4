"""The camera: rays through the pixels of the map grid, parallel, slanted when off-nadir, or from one point above."""

from typing import Any

import bpy
from mathutils import Matrix

from renderers.job import Job

CLEARANCE = 50.0
"""Camera height above the highest vertex, m."""


def build(job: Job) -> dict[str, Any]:
    """Add the camera and return its description for camera.json."""
    return _perspective(job) if job.altitude else _parallel(job)


def _perspective(job: Job) -> dict[str, Any]:
    """A drone's camera over the middle, looking straight down, whose pixels are the map's on the plane of `job.level`.

    meshes.py slides what stands higher or lower along the rays, so that the ground is in place everywhere: one frame,
    orthorectified with the terrain.
    """
    width, height = job.extent
    lens = bpy.data.cameras.new("camera")
    lens.type = "PERSP"
    lens.sensor_fit = "HORIZONTAL"
    lens.sensor_width = 36.0
    lens.lens = 36.0 * job.altitude / width
    lens.clip_start = 0.1
    lens.clip_end = 2.0 * job.altitude + 10_000.0
    thing = bpy.data.objects.new("camera", lens)
    thing.location = (width / 2, height / 2, job.level + job.altitude)
    bpy.context.scene.collection.objects.link(thing)
    bpy.context.scene.camera = thing
    return {
        "type": "perspective",
        "width": job.width,
        "height": job.height,
        "transform": [job.gsd, 0.0, 0.0, 0.0, -job.gsd, height],
        "centre": [width / 2, height / 2, job.level + job.altitude],
    }


def _parallel(job: Job) -> dict[str, Any]:
    """Parallel rays.

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
