"""One date's passes to its image: the numbers, what they do not show, and what its Item says beside."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mage_stac import blender, imaging, passes, radar, radar_ground, veil
from mage_stac.classes import Class, Classes
from mage_stac.render_spec import RenderSpec
from mage_stac.scene.lattice import Canvas
from mage_stac.scene.scene import SEMANTIC
from mage_stac.sensors import Radar, Sensor
from mage_stac.shots import Shot

RADAR_CLASSES: Classes = (
    Class(value=0, name="plain", description="One place, seen", colour="404040"),
    Class(value=1, name="layover", description="What stands up is laid over other things", colour="FDAE61"),
    Class(value=2, name="shadow", description="No beam reaches the ground or roof there", colour="2B83BA"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Exposure:
    """An image on its Item's grid, the scene's margin cut off."""

    sensor: Sensor
    """At the image's ground sampling distance."""
    numbers: NDArray[Any]
    """(bands, rows, columns)."""
    unseen: NDArray[np.bool_]
    """(rows, columns) True where the image does not show what is on the map there: under clouds or smoke, in
    shadows of clouds and of a radar. Layover is no such case: what lies there still returns, with other things."""
    properties: dict[str, Any] = field(default_factory=dict)
    """Fields of the Item that follow from the sensor; None takes a field away."""
    radar: NDArray[np.uint8] | None = None
    """(rows, columns) RADAR_CLASSES, displaced like the image; None for other sensors."""


def job(spec: RenderSpec, shot: Shot, phase: str) -> blender.Job:
    """What Blender renders of one date: the sensor's image, and before the event the labels.

    A radar is given what stands where, seen from above, and water is found by it after a flood: finer than the image
    where there are no labels before the event to share it.
    """
    scene, sensor = shot.scene, spec.sensor_of(phase)
    labels = ("labels", "labels_buildings") if phase == "pre" else ()
    if sensor.radar is None:
        flooded = ("labels",) if phase == "post" and scene.flood is not None else ()
        wanted = ("image", *(("infrared",) if imaging.needs_infrared(sensor) else ()), *labels, *flooded)
    else:
        wanted = labels or ("labels",)
    finer = spec.oversample if not labels and "labels" in wanted else 1
    side = spec.rendered_px * finer
    return blender.Job(
        width=side,
        height=side,
        gsd=spec.gsd / finer,
        oversample=spec.oversample // finer,
        samples=spec.samples,
        denoise=spec.denoise,
        sun_azimuth=scene.light.sun_azimuth,
        sun_elevation=scene.light.sun_elevation,
        overcast=scene.light.overcast,
        off_nadir=0.0 if sensor.radar is not None else scene.view.off_nadir,
        view_azimuth=scene.view.azimuth,
        altitude=scene.view.altitude,
        seed=int(shot.noise.generate_state(1)[0]),
        passes=wanted,
    )


def of(spec: RenderSpec, shot: Shot, phase: str, scratch: Path) -> Exposure:
    """The image of one date from the passes in `scratch`.

    Raises:
        RenderError: a pass cannot be read.
    """
    sensor = replace(spec.sensor_of(phase), gsd=spec.gsd)
    beam = sensor.radar
    return _optical(spec, shot, sensor, scratch) if beam is None else _radar(spec, shot, sensor, scratch, beam)


def water(spec: RenderSpec, scratch: Path) -> NDArray[np.floating]:
    """(rows, columns) 0..1: how much of what the label pass in `scratch` shows of a pixel is water.

    Raises:
        RenderError: the pass cannot be read.
    """
    shown = passes.read_labels(scratch / "labels.exr").semantic == SEMANTIC["water"]
    return _inside(_shares(shown, _finer(spec, shown)), spec)


def _optical(spec: RenderSpec, shot: Shot, sensor: Sensor, scratch: Path) -> Exposure:
    radiance = passes.read_radiance(scratch, infrared=imaging.needs_infrared(sensor))
    chance, smoke = np.random.default_rng(shot.noise), shot.scene.smoke
    if smoke is not None:
        fine, sun = spec.gsd / spec.oversample, shot.scene.light.sun_azimuth
        radiance = veil.lay(radiance, smoke.depth, gsd=fine, sun_azimuth=sun)
    numbers = imaging.expose(radiance, sensor=sensor, look=shot.look, oversample=spec.oversample, rng=chance)
    unseen, sky, cover = np.zeros(numbers.shape[1:], bool), shot.look.clouds, {}
    if sky is not None:
        unseen = sky.hidden((numbers.shape[1], numbers.shape[2]), spec.gsd)
        cover = {"eo:cloud_cover": round(100 * float(_inside(unseen, spec).mean()), 1)}
    if smoke is not None:
        unseen = unseen | veil.hidden(unseen.shape, smoke.depth)
    return Exposure(sensor=sensor, numbers=_inside(numbers, spec), unseen=_inside(unseen, spec), properties=cover)


def _radar(spec: RenderSpec, shot: Shot, sensor: Sensor, scratch: Path, beam: Radar) -> Exposure:
    seen = passes.read_labels(scratch / "labels.exr")
    finer = _finer(spec, seen.semantic)
    chance, tables = np.random.default_rng(shot.noise), radar.tables(beam)
    canvas = Canvas(size=shot.scene.size, texel=spec.gsd / finer, seed=shot.scene.ground_seed)
    seen = radar_ground.photographed(seen, shot.scene, canvas)
    found = radar.scan(
        seen,
        tables,
        gsd=spec.gsd / finer,
        incidence=shot.scene.view.off_nadir,
        azimuth=shot.scene.view.azimuth,
        differences=radar_ground.differences(seen, shot.scene, canvas, tables, chance),
    )
    numbers = radar.expose(found.power, sensor=sensor, look=shot.look, oversample=finer, rng=chance)
    unseen = _inside(_shares(found.shadow, finer) > 0.5, spec)
    moved = (_displaced(mask, shot, finer) for mask in (found.shadow, found.layover))
    shadow, layover = (_inside(_shares(mask, finer) > 0.5, spec) for mask in moved)
    classes = np.where(layover, 1, np.where(shadow, 2, 0)).astype(np.uint8)
    return Exposure(
        sensor=sensor, numbers=_inside(numbers, spec), unseen=unseen, properties=_sar(beam, shot), radar=classes
    )


def _displaced(mask: NDArray[np.bool_], shot: Shot, finer: int) -> NDArray[np.bool_]:
    """What lies where on the map, as the displaced image has it; the edge is repeated, as in imaging.resample."""
    cells = [finer * part for part in shot.look.shift]
    return np.asarray(ndimage.shift(mask.astype(np.uint8), cells, order=0, mode="nearest"), dtype=bool)


def _sar(beam: Radar, shot: Shot) -> dict[str, Any]:
    """Fields of the SAR extension, and of the view; the sun has no part in it."""
    view = shot.scene.view
    return {
        "sar:instrument_mode": beam.instrument_mode,
        "sar:frequency_band": beam.frequency_band,
        "sar:polarizations": list(beam.polarizations),
        "sar:product_type": beam.product_type,
        "sar:observation_direction": "right",
        "sar:looks_equivalent_number": beam.looks,
        "view:incidence_angle": view.off_nadir,
        "view:azimuth": view.azimuth,
        "view:off_nadir": None,
        "view:sun_azimuth": None,
        "view:sun_elevation": None,
    }


def _shares(mask: NDArray[np.bool_], finer: int) -> NDArray[np.floating]:
    """How much of each pixel is True."""
    rows, columns = mask.shape
    shares: NDArray[np.floating] = mask.reshape(rows // finer, finer, columns // finer, finer).mean(axis=(1, 3))
    return shares


def _finer(spec: RenderSpec, seen: NDArray[Any]) -> int:
    """Cells of a label pass (rows, columns) per pixel along each axis."""
    return int(seen.shape[0] // spec.rendered_px)


def _inside(numbers: NDArray[Any], spec: RenderSpec) -> NDArray[Any]:
    kept = slice(spec.margin, -spec.margin)
    return np.ascontiguousarray(numbers[..., kept, kept])
