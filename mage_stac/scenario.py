"""Scenarios: from a seed to a place before and after a hazard, and how each date is seen. No files, no Blender."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pystac
import shapely
from affine import Affine
from numpy.random import SeedSequence
from odc.geo.geobox import GeoBox

from mage_stac import blender, hybrid, imaging, likeness, overlap, radar, sensors, shots
from mage_stac.errors import RenderError
from mage_stac.hazards import HAZARDS, Truth, events
from mage_stac.hazards.hazard import Hazard
from mage_stac.likeness import Likeness
from mage_stac.scene import procedural, site, sun, twin
from mage_stac.scene.scene import Light, Scene
from mage_stac.scene.site import Site
from mage_stac.scene.styles import STYLES
from mage_stac.shots import Shot

ZONES = (32610, 32619)
"""EPSG codes of the UTM zones that invented places lie in: 10 to 19 north, North America."""
METRES_PER_DEGREE = 110_600.0
"""Northing per degree of latitude, near enough to choose places by."""
YEARS = (2012, 2024)
Files = tuple[tuple[str, ...], str | None, str | None]
"""Of a real place: paths, a columns map, the CRS that is wanted."""
DRAWS = 200
"""Parts of an image that are tried, of built-up squares and then anywhere, before it is said to have none observed."""
OBSERVED = 0.995
"""Share of a part of an image that must be observed."""
FINEST, COARSEST = 0.05, 1.25
"""Texels of the ground, metres: for less than a drone sees, or for more than a lane's width, nothing is painted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderSpec:
    """Which pairs to render, and how. The fields before `workers` decide what the pixels are."""

    hazard: str = "wind"
    """A key of hazards.HAZARDS."""
    seed: int = 0
    style: str = "suburb"
    """A key of scene.styles.STYLES."""
    size_px: int = 512
    gsd: float = 0.6
    """Ground sampling distance, metres."""
    sensor: str = "aerial-rgb"
    """A name for sensors.read."""
    post_sensor: str | None = None
    """Of the date after the event; None is the same as before."""
    undamaged_share: float = 0.15
    """Share of the pairs in which nothing happens between the dates, 0..1."""
    off_nadir: float = 8.0
    """The most that a view leans, degrees; each date draws its own lean and direction."""
    max_shift: float = 2.5
    """The most that the post image is displaced along each axis, pixels."""
    oversample: int = 2
    """Rendered pixels per image pixel along each axis."""
    samples: int = 2
    """Light paths per rendered pixel."""
    altitude: float | None = None
    """Metres above ground of a camera whose perspective shows; None is as the sensor has it."""
    clouds: float | None = None
    """Share of the sky under clouds, each date with its own, 0..1; None is a clear sky."""
    intensity: float | None = None
    """In the hazard's unit, the same for every pair; None draws one for each, or takes the event's."""
    event: str | None = None
    """A name of hazards.events: its settings, and its intensity unless that is given."""
    settings: tuple[str, ...] | None = None
    """Of the hazard, such as `source=rain`, over the event's: see hazards.events.settings."""
    off_nadir_from: float | None = None
    """The least that a view leans, degrees; None is straight down."""
    place: tuple[str, ...] | None = None
    """Files of a real place (scene.twin.place), of which every pair shows some part; None invents towns of `style`."""
    columns: str | None = None
    """A columns map for the place's files: see scene.columns.read."""
    like: str | None = None
    """An Item, or a folder of Items that make one image: pairs get its grid, light and, unless `off_nadir_from` asks
    for another, its view; and with a `place` its pixels as ground and roofs."""
    pairs: int = 1
    workers: int = 1
    """Processes in parallel, each with a Blender of its own."""
    scheduler: str | None = None
    """Of a Dask cluster, whose workers render instead; see cluster.each."""
    device: str = "auto"
    """A key of blender.DEVICES."""
    blender: str | None = None
    """See blender.find."""
    keep: str | None = None
    """Folder of passes: what Blender renders is kept there, and not rendered again (kept.Session)."""
    restart_after: int = 50
    """Renders after which a Blender is replaced by a fresh one."""
    timeout: float = 900.0
    """Seconds that one render may take."""

    def __post_init__(self) -> None:
        """Raise RenderError for a field that cannot be, naming it, its value and what can be."""
        _among("hazard", self.hazard, HAZARDS)
        _among("style", self.style, STYLES)
        _among("device", self.device, blender.DEVICES)
        self._check_strength()
        _within("seed", self.seed, 0, 2**63)
        _within("size", self.size_px, 16, 8192)
        _within("gsd", self.gsd, 0.01, 30.0)
        _within("undamaged share", self.undamaged_share, 0.0, 1.0)
        _within("off-nadir", self.off_nadir, 0.0, 45.0)
        _within("least off-nadir", self.off_nadir_from or 0.0, 0.0, self.off_nadir)
        _within("largest shift", self.max_shift, 0.0, float(shots.MARGIN - shots.BLUR))
        _within("oversample", self.oversample, 1, 8)
        _within("samples", self.samples, 1, 4096)
        _within("altitude", self.altitude or 100.0, 10.0, 20_000.0)
        _within("clouds", self.clouds or 0.0, 0.0, 1.0)
        _within("pairs", self.pairs, 0, 100_000)
        _within("workers", self.workers, 1, 1024)
        _within("restart after", self.restart_after, 1, 10_000)
        if not self.timeout > 0:
            raise RenderError(f"timeout {self.timeout} must be more than 0 seconds")
        for phase in ("pre", "post"):
            sensor = self.sensor_of(phase)
            if sensor.radar is None:
                imaging.band_order(sensor)
            else:
                radar.tables(sensor.radar)
        shots.check(self)
        if self.like is not None:
            _framed(self)
        if self.place is not None:
            _squares(_files(self), self.side)

    @property
    def margin(self) -> int:
        """Pixels of a scene beyond each side of its image (shots.margin)."""
        radars = any(self.sensor_of(phase).radar is not None for phase in ("pre", "post"))
        return shots.margin(self, _tallest(_files(self)) if radars and self.place is not None else 0.0)

    @property
    def side(self) -> float:
        """Of a scene, which is larger than its image, metres."""
        return (self.size_px + 2 * self.margin) * self.gsd

    def sensor_of(self, phase: str) -> sensors.Sensor:
        """The sensor of a date, `pre` or `post`."""
        return sensors.read(self.post_sensor if phase == "post" and self.post_sensor is not None else self.sensor)

    @property
    def texel(self) -> float:
        """Of the ground's texture, metres: a rendered pixel, within what the painted detail is made for."""
        return min(max(self.gsd / self.oversample, FINEST), COARSEST)

    def _check_strength(self) -> None:
        if self.event is not None and events.read(self.event).hazard != self.hazard:
            raise RenderError(f"event {self.event!r} is of hazard {events.read(self.event).hazard}, not {self.hazard}")
        happening = self.happening()
        low, high = happening.range
        if self.intensity is not None and not low <= self.intensity <= high:
            unit = happening.unit
            raise RenderError(f"{self.hazard} of intensity {self.intensity} {unit} is outside {low}..{high} {unit}")

    def happening(self) -> Hazard:
        """The hazard with its settings."""
        own = {} if self.event is None else events.read(self.event).settings
        return events.configured(self.hazard, own | events.settings(self.settings or ()))

    def strength(self) -> float | None:
        """The intensity that every damaged pair has; None where each draws its own."""
        return self.intensity if self.intensity is not None or self.event is None else events.read(self.event).intensity

    def pixels(self) -> dict[str, object]:
        """The fields that decide what the pixels are, without those that are not set."""
        names = tuple(self.__dataclass_fields__)
        wanted = {name: getattr(self, name) for name in names[: names.index("pairs")]}
        return {name: value for name, value in wanted.items() if value is not None}

    def pair_id(self, index: int) -> str:
        """Id of the pair number `index`, from 0."""
        return f"{self.hazard}-{self.seed}-{index:05d}"


def fitting_oversample(gsd: float) -> int:
    """Rendered pixels per image pixel along each axis: two, and more where a pixel would be larger than COARSEST."""
    return min(max(2, math.ceil(gsd / COARSEST)), 8)


def _among(what: str, value: str, known: object) -> None:
    names = sorted(known)  # type: ignore[call-overload]
    if value not in names:
        raise RenderError(f"no {what} {value!r}: there are {', '.join(names)}")


def _within(what: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise RenderError(f"{what} {value} is outside {low}..{high}")


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


def draw(spec: RenderSpec, index: int) -> Scenario:
    """The pair number `index` of a spec. Depends on nothing else: not on the number of pairs, workers or earlier runs.

    Raises:
        RenderError: the scene cannot be made.
    """
    where, when, walls, day, event, *noise = SeedSequence(spec.seed, spawn_key=(index,)).spawn(7)
    rng = np.random.default_rng(when)
    name = spec.pair_id(index)
    crs, origin = _where(np.random.default_rng(where), spec)
    pre_date, post_date = _dates(rng, crs, origin)
    if spec.like is not None:
        pre_date, post_date = _since(_like(spec).datetime, pre_date, post_date)
    place = _town(spec, name, walls, (crs, origin), pre_date)
    later = procedural.revisit(place, day, post_date)
    later = hybrid.revisited(later, np.random.default_rng(day.spawn(1)[0]))
    hazard = "none" if rng.random() < spec.undamaged_share else spec.hazard
    happening = spec.happening() if hazard == spec.hazard else HAZARDS[hazard]
    chance = np.random.default_rng(event)
    drawn, wanted = float(happening.draw(chance)), spec.strength()
    intensity = drawn if wanted is None or hazard != spec.hazard else wanted
    damaged, truth = happening.apply(later, intensity, chance)
    if place.photo is not None:
        place, damaged = hybrid.shown(place), hybrid.shown(later, damaged)
    first = shots.take(spec, place, rng, noise[0], "pre")
    return Scenario(
        id=name,
        hazard=hazard,
        intensity=None if hazard == "none" else intensity,
        unit=happening.unit,
        pre=first,
        post=shots.take(spec, replace(damaged, id=f"{name}-post"), rng, noise[1], "post", first),
        truth=truth,
        geobox=_geobox(spec, crs, origin),
        place=name if place.photo is None else _block(spec, origin),
        sources=() if place.photo is None else _like(spec).items,
    )


def _block(spec: RenderSpec, origin: tuple[float, float]) -> str:
    """Name of the part of an image around a scene: pairs of the same one share most of their ground."""
    column, row = (int(metres // spec.side) for metres in origin)
    return f"{_like(spec).items[0].id}-{column}-{row}"


def _town(spec: RenderSpec, name: str, seed: SeedSequence, at: tuple[str, tuple[float, float]], date: str) -> Scene:
    """What stands there before: invented, real, or real and photographed."""
    crs, origin = at
    size = (spec.side, spec.side)
    if spec.place is None:
        town = procedural.town(
            seed=seed, id=f"{name}-pre", size=size, style=spec.style, crs=crs, origin=origin, datetime=date
        )
        return town if spec.like is None else _alike(town, _like(spec))
    data = _opened(spec)
    if spec.like is None:
        part = Site(crs=data.crs, bounds=(*origin, origin[0] + spec.side, origin[1] + spec.side))
        return twin.around(data, part, id=f"{name}-pre", seed=spec.seed, datetime=date)
    sensor = sensors.read(spec.sensor)
    frame = _geobox(spec, crs, origin).pad(spec.margin)
    return hybrid.before(_like(spec), data, frame, sensor, _light(spec), id=f"{name}-pre", seed=spec.seed)


def _alike(town: Scene, likeness: Likeness) -> Scene:
    """An invented town in the light and from the view of an image."""
    azimuth, elevation = likeness.sun or (town.light.sun_azimuth, town.light.sun_elevation)
    light = replace(town.light, sun_azimuth=azimuth, sun_elevation=elevation)
    return replace(town, light=light, view=likeness.view)


def _where(rng: np.random.Generator, spec: RenderSpec) -> tuple[str, tuple[float, float]]:
    """CRS and south-west corner of a scene."""
    if spec.like is not None:
        return _framed_part(rng, spec)
    return _place(rng, spec) if spec.place is None else _part(rng, spec)


@cache
def _like(spec: RenderSpec) -> Likeness:
    """The image; reading its Items once serves all pairs of a process."""
    return likeness.opened(spec.like or "", spec.gsd)


def _files(spec: RenderSpec) -> Files:
    return spec.place or (), spec.columns, str(_like(spec).geobox.crs) if spec.like is not None else None


def _opened(spec: RenderSpec) -> twin.Place:
    return _read(_files(spec))


@cache
def _read(files: Files) -> twin.Place:
    return twin.opened(files[0], columns=files[1], crs=files[2])


@cache
def _squares(files: Files, side: float) -> tuple[tuple[float, float, int], ...]:
    """The real place's built-up squares (twin.spots)."""
    return twin.spots(_read(files), side)


@cache
def _tallest(files: Files) -> float:
    return twin.tallest(_read(files))


@cache
def _light(spec: RenderSpec) -> Light:
    return hybrid.light(_like(spec), _opened(spec), sensors.read(spec.sensor))


def _part(rng: np.random.Generator, spec: RenderSpec) -> tuple[str, tuple[float, float]]:
    """CRS and south-west corner of a part of the real place, on whole pixels: where more is built, more often.

    A region is mostly meadows with a house or two: there the square of the count makes its towns what is seen. Of a
    photograph, every house should be seen alike.
    """
    squares = _squares(_files(spec), spec.side)
    built = np.array([count for _, _, count in squares], float) ** (2 if spec.like is None else 1)
    x, y, _ = squares[int(rng.choice(len(squares), p=built / built.sum()))]
    stray = rng.uniform(-0.25, 0.25, 2) * spec.side
    west, south = x - spec.side / 2 + float(stray[0]), y - spec.side / 2 + float(stray[1])
    return site.name(_opened(spec).crs), (_whole(west, spec.gsd), _whole(south, spec.gsd))


def _framed(spec: RenderSpec) -> None:
    """Raise RenderError where an image is too small for the pairs asked of it."""
    rows, columns = _like(spec).geobox.shape
    need = spec.size_px + 2 * spec.margin
    if min(rows, columns) < need:
        works = min(rows, columns) - 2 * spec.margin
        hint = f"give a size of at most {works}" if works >= 16 else "give another Item"
        raise RenderError(
            f"{spec.like} is {columns}x{rows} pixels of {spec.gsd:g} m, a pair needs {need}x{need}: {hint}"
        )


def _framed_part(rng: np.random.Generator, spec: RenderSpec) -> tuple[str, tuple[float, float]]:
    """CRS and south-west corner of a part of the image, on its pixels, wholly observed.

    Raises:
        RenderError: after many draws there is none.
    """
    image, need = _like(spec), spec.size_px + 2 * spec.margin
    geobox = image.geobox
    for attempt in range(2 * DRAWS):
        if spec.place is None or attempt >= DRAWS:  # a small image may show no built-up square wholly, but other parts
            row, column = (int(rng.integers(length - need + 1)) for length in geobox.shape)
        else:
            west, south = _part(rng, spec)[1]
            left, top = ~geobox.affine @ (west, south + spec.side)
            row, column = (min(max(round(at), 0), n - need) for at, n in zip((top, left), geobox.shape, strict=True))
        part = likeness.window(image, slice(row, row + need), slice(column, column + need))
        if likeness.observed(image, part) >= OBSERVED and (spec.place is None or _stands(spec, part)):
            box = part.boundingbox
            return str(geobox.crs), (round(box.left, 6), round(box.bottom, 6))
    if spec.place is not None and not _stands(spec, geobox):
        there, here = (overlap.place(one, str(geobox.crs)) for one in (_ground(spec), geobox.extent.geom))
        raise RenderError(
            f"no footprint of {', '.join(spec.place)} ({there}) lies on {spec.like} ({here}): give those of the place"
            " that it shows"
        )
    raise RenderError(
        f"{spec.like}: no part of {need}x{need} pixels that it shows wholly"
        f"{' and where footprints lie' if spec.place else ''}: give a smaller size or another Item"
    )


def _ground(spec: RenderSpec) -> shapely.Geometry:
    """The box of the place's data, in the image's CRS."""
    return shapely.box(*_opened(spec).bounds)


def _stands(spec: RenderSpec, part: GeoBox) -> bool:
    return bool(twin.footprints(_opened(spec), part.boundingbox.bbox))


def _whole(metres: float, gsd: float) -> float:
    return round(round(metres / gsd) * gsd, 6)


def _place(rng: np.random.Generator, spec: RenderSpec) -> tuple[str, tuple[float, float]]:
    """CRS and south-west corner of an invented place, on whole pixels."""
    crs = f"EPSG:{int(rng.integers(ZONES[0], ZONES[1], endpoint=True))}"
    east = rng.uniform(300_000.0, 700_000.0)
    north = rng.uniform(*STYLES[spec.style].latitudes) * METRES_PER_DEGREE
    return crs, (_whole(east, spec.gsd), _whole(north, spec.gsd))


def _dates(rng: np.random.Generator, crs: str, origin: tuple[float, float]) -> tuple[str, str]:
    """Two moments with the sun up, each in any season, the second in one of the two years after the first."""
    year = int(rng.integers(*YEARS))
    months = tuple(range(1, 13))
    before = sun.daytime(rng, crs, origin, year=year, months=months)
    return before, sun.daytime(rng, crs, origin, year=year + int(rng.integers(1, 3)), months=months)


def _since(stated: str, before: str, after: str) -> tuple[str, str]:
    """The date of an image, and the second of two others as many years after it as after the first of them."""
    years = int(stated[:4]) - int(before[:4])
    return stated, f"{int(after[:4]) + years:04d}{after[4:]}"


def _geobox(spec: RenderSpec, crs: str, origin: tuple[float, float]) -> GeoBox:
    west = origin[0] + spec.margin * spec.gsd
    top = origin[1] + (spec.margin + spec.size_px) * spec.gsd
    affine = Affine(spec.gsd, 0.0, round(west, 6), 0.0, -spec.gsd, round(top, 6))
    return GeoBox((spec.size_px, spec.size_px), affine, crs)
