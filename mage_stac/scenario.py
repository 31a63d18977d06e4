"""Scenarios: from a spec and a pair's number to a place before and after a hazard, and how each date is seen."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pystac
from numpy.random import SeedSequence
from odc.geo.geobox import GeoBox

from mage_stac import hybrid, imaging, locations, radar, real_place, sensors, shots
from mage_stac.hazards import HAZARDS, Truth
from mage_stac.likeness import Likeness
from mage_stac.locations import Location
from mage_stac.render_spec import PHASES, RenderSpec
from mage_stac.scene import procedural, sun, twin
from mage_stac.scene.scene import Scene
from mage_stac.scene.site import Site
from mage_stac.shots import Shot

YEARS = (2012, 2024)
"""From which the first date of an invented pair is drawn, the last left out."""
MONTHS = tuple(range(1, 13))


@dataclass(frozen=True, kw_only=True, slots=True)
class Scenario:
    """A place before and after. Both scenes are RenderSpec.margin pixels larger on each side than `geobox`."""

    id: str
    hazard: str
    """`none` where the lot fell on an undamaged pair."""
    intensity: float | None
    """In the hazard's unit; None for `none`."""
    unit: str
    pre: Shot
    post: Shot
    truth: Truth
    geobox: GeoBox
    """Grid of the images and labels."""
    place: str
    """The same for pairs of one place under several outcomes."""
    sources: tuple[pystac.Item, ...] = ()
    """Items whose pixels are in the images."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Strike:
    """What a hazard did to a place."""

    hazard: str
    intensity: float
    unit: str
    scene: Scene
    truth: Truth


def check(spec: RenderSpec) -> None:
    """Refuse a spec whose files cannot serve, before anything is rendered.

    Raises:
        RecipeError: a sensor is unknown, or its file is wrong.
        RenderError: no camera takes the view that is asked for, or the image is too small.
        MageStacError: the image or the place's data cannot be read; see `likeness.opened` and `twin.opened`.
    """
    for sensor in map(spec.sensor_of, PHASES):
        if sensor.radar is None:
            imaging.band_order(sensor)
        else:
            radar.tables(sensor.radar)
    shots.check(spec)
    if spec.like is not None:
        locations.check_size(spec)
    if spec.place is not None:
        real_place.squares(spec)


def draw(spec: RenderSpec, index: int) -> Scenario:
    """The pair number `index` of a spec. Depends on nothing else: not on the number of pairs, workers or earlier runs.

    Raises:
        RenderError: the scene cannot be made.
    """
    where, when, walls, day, event, *noise = SeedSequence(spec.seed, spawn_key=(index,)).spawn(7)
    rng = np.random.default_rng(when)
    name = spec.pair_id(index)
    location = locations.draw(np.random.default_rng(where), spec)
    before, after = _dates(rng, spec, location)
    place = _town(spec, name, walls, location, before)
    later = procedural.revisit(place, day, after)
    later = hybrid.revisited(later, np.random.default_rng(day.spawn(1)[0]))
    calm = rng.random() < spec.undamaged_share
    strike = _strike(spec, later, np.random.default_rng(event), calm=calm)
    standing, damaged = place, strike.scene
    if place.photo is not None:
        standing, damaged = hybrid.shown(place), hybrid.shown(later, damaged)
    first = shots.take(spec, standing, rng, noise[0], "pre")
    return Scenario(
        id=name,
        hazard=strike.hazard,
        intensity=None if strike.hazard == "none" else strike.intensity,
        unit=strike.unit,
        pre=first,
        post=shots.take(spec, replace(damaged, id=f"{name}-post"), rng, noise[1], "post", first),
        truth=strike.truth,
        geobox=location.geobox(spec),
        place=name if place.photo is None else _block(spec, location),
        sources=() if place.photo is None else real_place.image(spec).items,
    )


def _strike(spec: RenderSpec, place: Scene, chance: np.random.Generator, *, calm: bool) -> Strike:
    """The spec's hazard, with an intensity of its own or drawn, or none on a calm day."""
    hazard = "none" if calm else spec.hazard
    happening = spec.happening() if hazard == spec.hazard else HAZARDS[hazard]
    drawn, wanted = float(happening.draw(chance)), spec.strength()  # drawn in any case: what follows is then the same
    intensity = drawn if wanted is None or hazard != spec.hazard else wanted
    scene, truth = happening.apply(place, intensity, chance)
    return Strike(hazard=hazard, intensity=intensity, unit=happening.unit, scene=scene, truth=truth)


def _block(spec: RenderSpec, location: Location) -> str:
    """Name of the part of an image around a scene: pairs of the same one share most of their ground."""
    column, row = (int(metres // spec.side) for metres in location.origin)
    return f"{real_place.image(spec).items[0].id}-{column}-{row}"


def _town(spec: RenderSpec, name: str, seed: SeedSequence, location: Location, date: str) -> Scene:
    """What stands there before: invented, real, or real and photographed."""
    if spec.place is None:
        return _invented(spec, name, seed, location, date)
    data, id_ = real_place.data(spec), f"{name}-pre"
    if spec.like is None:
        west, south = location.origin
        part = Site(crs=data.crs, bounds=(west, south, west + spec.side, south + spec.side))
        return twin.around(data, part, id=id_, seed=spec.seed, datetime=date)
    image, light, sensor = real_place.image(spec), real_place.light(spec), sensors.read(spec.sensor)
    return hybrid.before(image, data, location.geobox(spec).pad(spec.margin), sensor, light, id=id_, seed=spec.seed)


def _invented(spec: RenderSpec, name: str, seed: SeedSequence, location: Location, date: str) -> Scene:
    town = procedural.town(
        seed=seed, id=f"{name}-pre", size=(spec.side, spec.side), style=spec.style, crs=location.crs,
        origin=location.origin, datetime=date,
    )  # fmt: skip
    return town if spec.like is None else _alike(town, real_place.image(spec))


def _alike(town: Scene, likeness: Likeness) -> Scene:
    """An invented town in the light and from the view of an image."""
    azimuth, elevation = likeness.sun or (town.light.sun_azimuth, town.light.sun_elevation)
    light = replace(town.light, sun_azimuth=azimuth, sun_elevation=elevation)
    return replace(town, light=light, view=likeness.view)


def _dates(rng: np.random.Generator, spec: RenderSpec, location: Location) -> tuple[str, str]:
    """Two moments with the sun up, each in any season, the second in one of the two years after the first.

    The first is that of the image where there is one, and the second as many years after it.
    """
    year = int(rng.integers(*YEARS))
    before = sun.daytime(rng, location.crs, location.origin, year=year, months=MONTHS)
    after = sun.daytime(rng, location.crs, location.origin, year=year + int(rng.integers(1, 3)), months=MONTHS)
    return (before, after) if spec.like is None else _since(real_place.image(spec).datetime, before, after)


def _since(stated: str, before: str, after: str) -> tuple[str, str]:
    """The date of an image, and the second of two others as many years after it as after the first of them."""
    years = int(stated[:4]) - int(before[:4])
    return stated, f"{int(after[:4]) + years:04d}{after[4:]}"
