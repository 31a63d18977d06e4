"""Render specs: which pairs to render, and how; plain values, checked without opening a file."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, fields

from mage_stac import blender, sensors
from mage_stac.errors import RenderError
from mage_stac.hazards import HAZARDS, events
from mage_stac.hazards.hazard import Hazard
from mage_stac.scene.styles import STYLES

MARGIN = 8
"""Pixels rendered beyond each side of the image, for the PSF, the shift and what throws shadows into the frame."""
FINEST, COARSEST = 0.05, 1.25
"""Texels of the ground, metres: for less than a drone sees, or for more than a lane's width, nothing is painted."""
BLUR = 4
"""Of these, those that the PSF may take beside the shift."""
TREES, TOWERS = 26.0, 60.0
"""Height of the tallest trees of all styles, which are higher than their buildings; and of real places' buildings the
most that is laid over into the frame from outside, twenty storeys: what is higher only from nearby. Both m."""
PHASES = ("pre", "post")

RUN = frozenset({"pairs", "workers", "scheduler", "device", "blender", "keep", "restart_after", "timeout"})
"""Fields of a RenderSpec that say how many pairs are rendered by whom: the pixels of a pair are the same whatever they
are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderSpec:
    """Which pairs to render, and how. All fields but those in RUN decide what the pixels are."""

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
    samples: int = 4
    """Light paths per rendered pixel."""
    denoise: bool = True
    """Whether Cycles cleans the image of the noise of so few paths."""
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
        """Raise RenderError for a value that cannot be, naming it and what can be; see `scenario.check` for files."""
        _among("hazard", self.hazard, HAZARDS)
        _among("style", self.style, STYLES)
        _among("device", self.device, blender.DEVICES)
        _check_strength(self)
        _within("seed", self.seed, 0, 2**63)
        _within("size", self.size_px, 16, 8192)
        _within("gsd", self.gsd, 0.01, 30.0)
        _within("undamaged share", self.undamaged_share, 0.0, 1.0)
        _within("off-nadir", self.off_nadir, 0.0, 45.0)
        _within("least off-nadir", self.off_nadir_from or 0.0, 0.0, self.off_nadir)
        _within("largest shift", self.max_shift, 0.0, float(MARGIN - BLUR))
        _within("oversample", self.oversample, 1, 8)
        _within("samples", self.samples, 1, 4096)
        _within("altitude", self.altitude or 100.0, 10.0, 20_000.0)
        _within("clouds", self.clouds or 0.0, 0.0, 1.0)
        _within("pairs", self.pairs, 0, 100_000)
        _within("workers", self.workers, 1, 1024)
        _within("restart after", self.restart_after, 1, 10_000)
        if not self.timeout > 0:
            raise RenderError(f"timeout {self.timeout} must be more than 0 seconds")

    @property
    def margin(self) -> int:
        """Pixels of a scene beyond each side of its image: MARGIN, and more where a radar lays over into the frame.

        What is high is displaced by its height over the tangent of the incidence and throws a shadow of its height
        times that tangent.
        """
        beams = [one.radar for one in map(self.sensor_of, PHASES) if one.radar is not None]
        if not beams:
            return MARGIN
        slopes = [math.tan(math.radians(beam.incidence)) for beam in beams]
        reach = max(max(slope, 1.0 / slope) for slope in slopes) * (TREES if self.place is None else TOWERS)
        return max(MARGIN, math.ceil(self.max_shift + BLUR + reach / self.gsd))

    @property
    def rendered_px(self) -> int:
        """Pixels along each side of a scene, which is larger than its image."""
        return self.size_px + 2 * self.margin

    @property
    def side(self) -> float:
        """Of a scene, metres."""
        return self.rendered_px * self.gsd

    @property
    def texel(self) -> float:
        """Of the ground's texture, metres: a rendered pixel, within what the painted detail is made for."""
        return min(max(self.gsd / self.oversample, FINEST), COARSEST)

    def sensor_of(self, phase: str) -> sensors.Sensor:
        """The sensor of a date, one of PHASES.

        Raises:
            RecipeError: there is no such sensor, or its file is wrong.
        """
        return sensors.read(self.post_sensor if phase == "post" and self.post_sensor is not None else self.sensor)

    def happening(self) -> Hazard:
        """The hazard with its settings."""
        own = {} if self.event is None else events.read(self.event).settings
        return events.configured(self.hazard, own | events.settings(self.settings or ()))

    def strength(self) -> float | None:
        """The intensity that every damaged pair has; None where each draws its own."""
        return self.intensity if self.intensity is not None or self.event is None else events.read(self.event).intensity

    def pixels(self) -> dict[str, object]:
        """The fields that decide what the pixels are, without those that are not set."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in RUN}
        return {name: value for name, value in values.items() if value is not None}

    def pair_id(self, index: int) -> str:
        """Id of the pair number `index`, from 0."""
        return f"{self.hazard}-{self.seed}-{index:05d}"


def fitting_oversample(gsd: float) -> int:
    """Rendered pixels per image pixel along each axis: two, and more where a pixel would be larger than COARSEST."""
    return min(max(2, math.ceil(gsd / COARSEST)), 8)


def _check_strength(spec: RenderSpec) -> None:
    if spec.event is not None and events.read(spec.event).hazard != spec.hazard:
        raise RenderError(f"event {spec.event!r} is of hazard {events.read(spec.event).hazard}, not {spec.hazard}")
    happening = spec.happening()
    low, high = happening.range
    if spec.intensity is not None and not low <= spec.intensity <= high:
        unit = happening.unit
        raise RenderError(f"{spec.hazard} of intensity {spec.intensity} {unit} is outside {low}..{high} {unit}")


def _among(what: str, value: str, known: Collection[str]) -> None:
    if value not in known:
        raise RenderError(f"no {what} {value!r}: there are {', '.join(sorted(known))}")


def _within(what: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise RenderError(f"{what} {value} is outside {low}..{high}")
