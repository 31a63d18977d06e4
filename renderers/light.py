"""Sun and sky, scaled so that white level ground renders as 1.0 in every band."""

import math
from typing import Any

import bpy

from renderers.job import Job

SKY_TINT = (0.72, 1.0, 1.38)
"""Clear skylight relative to its mean in red, green, blue: about 12000 K against a 5500 K white."""
INFRARED_TINT = (0.40, 0.14, 0.09)
"""The same at 0.85, 1.61 and 2.20 um: half molecules (to the power of -4), half a rural aerosol (-1.3)."""
SUN_DISK = math.radians(0.53)


def build(job: Job) -> None:
    """Add the sun lamp and the uniform sky to the scene."""
    bpy.context.scene.world = _sky()
    bpy.context.scene.collection.objects.link(_sun(job))
    shine(job, SKY_TINT)


def shine(job: Job, tint: tuple[float, float, float]) -> None:
    """Light three bands, in which clear skylight has this `tint`."""
    sky = sky_shares(job.sun_elevation, job.overcast, tint)
    sine = math.sin(math.radians(job.sun_elevation))
    # A diffuse white surface under a uniform sky of radiance L reflects L.
    bpy.data.worlds["sky"].node_tree.nodes["Background"].inputs["Color"].default_value = (*sky, 1.0)
    # Irradiance in W/m2 on a surface facing the sun; diffuse white then reflects it over pi.
    irradiance = [math.pi * (1.0 - share) / sine for share in sky]
    lamp = bpy.data.lights["sun"]
    lamp.energy = max(*irradiance, 1e-6)
    lamp.color = [value / lamp.energy for value in irradiance]


def sky_shares(elevation: float, overcast: float, tint: tuple[float, float, float] = SKY_TINT) -> list[float]:
    """Share of skylight in the light on open level ground, per band, for a sun elevation in degrees.

    The diffuse share of clear days, 0.16 with the sun overhead, 0.23 at 30 degrees, 0.47 at 10 degrees, is a fit by eye
    to the tables of Bird & Hulstrom 1981 (SERI/TR-642-761) for visible light and rural aerosol. Cloud is white, and
    mixes in linearly.
    """
    sine = math.sin(math.radians(elevation))
    clear = min(0.16 + 0.065 * (1.0 / sine - 1.0), 0.7)
    return [overcast + (1.0 - overcast) * clear * colour for colour in tint]


def _sky() -> Any:
    world = bpy.data.worlds.new("sky")
    if bpy.app.version < (5, 0, 0):
        world.use_nodes = True
    background = world.node_tree.nodes.get("Background")
    background.inputs["Strength"].default_value = 1.0
    world.cycles.sampling_method = "NONE"  # uniform: nothing to steer samples by
    return world


def _sun(job: Job) -> Any:
    lamp = bpy.data.lights.new("sun", "SUN")
    lamp.angle = SUN_DISK
    thing = bpy.data.objects.new("sun", lamp)
    # A lamp shines down its -Z: tip it from the zenith by 90 - elevation, towards the azimuth.
    thing.rotation_mode = "XYZ"
    thing.rotation_euler = (math.radians(job.sun_elevation - 90.0), 0.0, math.radians(-job.sun_azimuth))
    return thing
