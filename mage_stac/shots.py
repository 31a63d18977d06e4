"""Shots: from where, in which conditions and with which sensor a date is seen."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import SeedSequence

from mage_stac import clouds, imaging
from mage_stac.errors import RenderError
from mage_stac.imaging import Look
from mage_stac.render_spec import RenderSpec
from mage_stac.scene.scene import Scene, View

SHARP = 0.3
"""Pixels less of PSF for a render in which ground and roofs have been through a sensor's PSF already."""
SIDES = 100.0, 260.0
"""Towards a radar that looks to the right of a sun-synchronous track (inclination 98 degrees), degrees clockwise from
north: it stands in the east going south and in the west going north, a little south of either."""
TRACK = 12.0
"""Degrees by which that differs at most, with latitude and within the swath."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shot:
    """One date: what stands there, how the sensor sees it, and the seed of its noise."""

    scene: Scene
    look: Look
    noise: SeedSequence


def check(spec: RenderSpec) -> None:
    """Refuse a lean or an altitude that none of the spec's cameras takes.

    Raises:
        RenderError: all sensors are radars, or all cameras fly low and look straight down.
    """
    cameras = [one for one in map(spec.sensor_of, ("pre", "post")) if one.radar is None]
    asked = "altitude" if spec.altitude else "least off-nadir" if spec.off_nadir_from else None
    if asked and not cameras:
        raise RenderError(f"{asked}: {spec.sensor} is a radar, whose view is its own (radar.incidence): leave it out")
    if spec.off_nadir_from and all(spec.altitude or one.altitude for one in cameras):
        raise RenderError(
            f"least off-nadir {spec.off_nadir_from}: a camera near the ground looks straight down and shows its"
            " perspective: leave it out, or give no altitude and a sensor that has none"
        )


def take(
    spec: RenderSpec,
    scene: Scene,
    rng: np.random.Generator,
    noise: SeedSequence,
    phase: str,
    before: Shot | None = None,
) -> Shot:
    """A shot of a scene, `phase` pre or post, with what is drawn for each: lean, shift, air, processing, clouds.

    Two dates of one radar are compared from one track: it looks from the side that it had `before`.
    """
    view = _view(spec, scene, rng, phase)
    reach = spec.max_shift if phase == "post" else 0.0
    shift = (round(float(rng.uniform(-reach, reach)), 3), round(float(rng.uniform(-reach, reach)), 3))
    sensor, light = spec.sensor_of(phase), scene.light
    look = imaging.draw_look(sensor, rng, haze=light.haze, shift=shift)
    if sensor.radar is not None:
        earlier = before if spec.sensor_of("pre") == sensor else None
        side = _across(view.azimuth) if earlier is None else earlier.scene.view.azimuth
        view = View(off_nadir=sensor.radar.incidence, azimuth=side)
        look = Look(psf_fwhm=sensor.psf_fwhm, shift=shift)
    elif scene.photo is not None and phase == "pre":
        look = imaging.faithful(sensor)
    elif scene.photo is not None:
        look = replace(look, psf_fwhm=min(look.psf_fwhm, sensor.psf_fwhm) - SHARP)
    if spec.clouds and sensor.radar is None and (phase == "post" or scene.photo is None):
        look = replace(look, clouds=clouds.draw(spec.clouds, light, noise))
    return Shot(scene=replace(scene, view=view), look=look, noise=noise)


def _view(spec: RenderSpec, scene: Scene, rng: np.random.Generator, phase: str) -> View:
    lean = float(rng.uniform(spec.off_nadir_from or 0.0, spec.off_nadir))
    azimuth = float(rng.uniform(0.0, 360.0))
    low = spec.altitude or spec.sensor_of(phase).altitude
    if low is not None:
        return View(altitude=low)
    liked = phase == "pre" and spec.like is not None and spec.off_nadir_from is None  # else a lean is asked for
    return scene.view if liked else View(off_nadir=lean, azimuth=azimuth)


def _across(azimuth: float) -> float:
    """Towards a radar, which looks across its track: one of SIDES, for each half of the circle one."""
    side = SIDES[0] if azimuth < 180.0 else SIDES[1]
    return round(side + (azimuth % 180.0 - 90.0) / 90.0 * TRACK, 3)
