"""Flood: water from a river, the sea, the sky or from beyond the scene, at rest, and what it does.

The water's surface is hydrostatic (level from a stage, or from a discharge by Manning's equation; rain by filling and
spilling), which is what a flood shows at its peak; no wave is followed in time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import exp, log

import numpy as np

from mage_stac.errors import HazardError
from mage_stac.hazards import hydraulics, inflow, inundation, limits
from mage_stac.hazards.hazard import Truth
from mage_stac.hazards.inflow import Site, Water
from mage_stac.scene import chance
from mage_stac.scene.scene import Scene

SOURCES = ("any", "river", "sea", "rain")
MEASURES = ("stage", "discharge", "return_period")
UNITS = {
    "stage": ("m", (0.05, 20.0)),
    "discharge": ("m3/s", (0.1, 100_000.0)),
    "return_period": ("years", (1.1, 10_000.0)),
    "rain": ("mm", (5.0, 2_000.0)),
}
"""Measure of the intensity -> its unit and range."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Flood:
    """A flood; intensity is a stage above the ordinary level, a discharge, a return period, or a depth of rain."""

    source: str = "any"
    """river, the scene's permanent water rises; sea, of that only what lies at the scene's edge, and level; rain; any,
    as river, or where there is no water, rising from the lowest point of the scene's edge."""
    by: str = "stage"
    """What the intensity of a river's flood is: stage, discharge or return_period."""
    mean_annual: float = 0.0
    """Mean of the annual floods, m3/s above an ordinary day's flow; needed for return_period."""
    variation: float = 0.5
    """Standard deviation over mean of the annual floods."""
    turbidity: float | None = None
    """0 clear .. 1 loaded with soil; None draws it for each scene, any as likely as another."""
    soaked: float | None = None
    """Share of the soil around that rain and flood have soaked, 0..1; None draws it likewise."""
    receded: bool = False
    """The image is taken when water is left in hollows only, with mud where it stood."""
    name: str = "flood"

    def __post_init__(self) -> None:
        """Raise HazardError for a setting that cannot be."""
        limits.among("flood source", self.source, SOURCES)
        limits.among("measure of a flood", self.by, MEASURES)
        limits.within("turbidity", 0.5 if self.turbidity is None else self.turbidity, 0.0, 1.0)
        limits.within("soaked", 0.5 if self.soaked is None else self.soaked, 0.0, 1.0)
        limits.within("variation of the annual floods", self.variation, 0.01, 3.0)
        if self.by != "stage" and self.source in {"sea", "rain"}:
            raise HazardError(f"a flood by {self.by} comes from a river, not by source {self.source}")
        if self.by == "return_period" and not self.mean_annual > 0:
            raise HazardError("a flood by return period needs the mean annual flood, m3/s: give mean_annual")

    @property
    def unit(self) -> str:
        return UNITS["rain" if self.source == "rain" else self.by][0]

    @property
    def range(self) -> tuple[float, float]:
        return UNITS["rain" if self.source == "rain" else self.by][1]

    def draw(self, rng: np.random.Generator) -> float:
        """Stage about 1.2 m, rain about 120 mm, return period 10 to 500 years, discharge 2 to 6 times the mean."""
        if self.source == "rain":
            return float(np.clip(120 * np.exp(0.4 * rng.standard_normal()), 50, 400))
        if self.by == "return_period":
            return exp(chance.between(rng, (log(10), log(500))))
        if self.by == "discharge":
            return chance.between(rng, (2, 6)) * max(self.mean_annual, 10.0)
        return float(np.clip(1.2 * np.exp(0.45 * rng.standard_normal()), 0.4, 4.0))

    def apply(self, scene: Scene, intensity: float, rng: np.random.Generator) -> tuple[Scene, Truth]:
        """The scene under water, and the truth about it.

        Raises:
            HazardError: intensity out of range, terrain with voids, or no water to rise.
        """
        limits.check(self, intensity)
        site = inflow.site(scene)
        water = self._water(site, intensity)
        if not np.any((water.depth > inundation.WET) & ~site.permanent):
            note = limits.untouched(self, intensity, scene, "raise the intensity or choose another source")
            water = replace(water, notes=(*water.notes, note))
        (other,) = rng.spawn(1)  # so that what is drawn from `rng` does not hang on these settings
        drawn = float(other.random()), float(other.random())
        turbidity, soaked = (
            by_chance if given is None else given
            for by_chance, given in zip(drawn, (self.turbidity, self.soaked), strict=True)
        )
        return inundation.aftermath(site, water, rng, turbidity=turbidity, soaked=soaked, receded=self.receded)

    def _water(self, site: Site, intensity: float) -> Water:
        if self.source == "rain":
            return inflow.rain(site, intensity)
        if self.source == "sea":
            return inflow.sea(site, intensity)
        if self.by != "stage":
            period = hydraulics.growth(intensity, self.variation) if self.by == "return_period" else 1.0
            flow = float(period) * self.mean_annual if self.by == "return_period" else intensity
            rise = inflow.stage(site, flow)
            return inflow.river(site, rise, f"{flow:.0f} m3/s more than on an ordinary day stand {rise:.2f} m higher")
        if self.source == "any" and not site.source.any():
            return inflow.edge(site, intensity)
        return inflow.river(site, intensity)
