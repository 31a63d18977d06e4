"""Backscatter: what each kind of surface returns to a radar, by its frequency band and polarisation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from mage_stac.errors import RenderError

REFERENCE = 45.0
"""Degrees between beam and surface at which `Backscatter.level` holds."""
FALLOFF = {"road": 3.0, "paved": 3.0, "water": 5.0, "building": 2.0, "vehicle": 2.0}
"""Power of the cosine of the local incidence that the return follows, from rough (1, all others) to smooth."""
COMMON = 0.8
"""Correlation between polarisations of what surfaces of one kind differ by: roughness, moisture and mass raise both.
It leaves VH over VV as much room (1.8 dB) as crops have over a season, see C_CROSS."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Backscatter:
    """Of one frequency band and polarisation; classes are keys of scene.SEMANTIC."""

    level: Mapping[str, float]
    """Mean sigma nought of what faces the sensor at REFERENCE, dB."""
    wall: float
    """Of a wall that faces the sensor, linear, per area of wall."""
    corner: float
    """Of a wall's corner with smooth ground where it stands square to the beam, over `wall`."""
    spread: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """Standard deviation between one surface of a kind and another, of water between one day's wind and another's, dB;
    0 for classes left out."""
    soaked: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """How much more returns after the rain that comes with a flood, dB; 0 for classes left out."""


X_LIKE = Backscatter(
    level={
        "ground": -11.0, "building": -7.5, "road": -17.0, "tree": -8.0, "grass": -11.0, "water": -25.0, "vehicle": -3.0,
        "debris": -5.0, "paved": -16.0, "bare": -12.0, "field": -11.0, "object": -7.0,
    },
    wall=0.18,
    corner=6.0,
)  # fmt: skip
"""X band, like polarisations: near the means of Ulaby & Dobson 1989, "Handbook of Radar Scattering Statistics for
Terrain" for soils, grasses, shrubs, trees and road surfaces; smooth water a few dB over a good sensor's noise; rubble,
roofs and cars by eye after BRIGHT's X-band images (Chen et al. 2025, doi:10.5194/essd-17-6217-2025)."""
C_LIKE = Backscatter(
    level={
        "ground": -12.0, "building": -8.5, "road": -19.0, "tree": -9.0, "grass": -12.0, "water": -25.0, "vehicle": -4.0,
        "debris": -6.0, "paved": -18.0, "bare": -13.0, "field": -11.5, "object": -8.0,
    },
    wall=0.18,
    corner=6.0,
    spread={"field": 2.3, "bare": 2.3, "grass": 1.5, "road": 1.5, "paved": 1.5, "water": 2.0},
    soaked={"bare": 3.0, "ground": 2.5, "grass": 2.0, "field": 1.5},
)  # fmt: skip
"""C band, like polarisations. Land is inferred: X_LIKE less 1 dB, of roads, which are smoother to a longer wave, less
2 dB, of crops 0.5 dB; it agrees with the mean of Sentinel-1's VV over land and water everywhere, -12.6 dB (SSL4EO-S12,
Wang et al. 2023, doi:10.1109/MGRS.2023.3281651). Water is CMOD5.N's mean over wind directions (Hersbach 2010,
doi:10.1175/2009JTECHO698.1) at 3 m/s: -25.1 dB at 45 degrees, -22.0 at 38; its spread is that of winds from 2 to 5 m/s,
-24.4 to -19.1 dB at 38 degrees. Soaked soil returns half of what lies between dry and wet soil more, some 3 dB of 6
(Bauer-Marschallinger et al. 2019, doi:10.1109/TGRS.2018.2858004, of croplands), less, by eye, the more plants cover it,
and less in C_CROSS. The spread of crops and bare fields is a quarter of the range of Sentinel-1's VV over the
crops of a season, about -16 to -7 dB (after the curves of Veloso et al. 2017, doi:10.1016/j.rse.2017.07.015); of
the others by eye."""
C_CROSS = Backscatter(
    level={
        "ground": -19.5, "building": -16.0, "road": -29.0, "tree": -14.5, "grass": -19.0, "water": -33.0,
        "vehicle": -14.0, "debris": -12.0, "paved": -28.0, "bare": -22.0, "field": -18.0, "object": -16.0,
    },
    wall=0.018,
    corner=1.9,
    spread={"field": 3.0, "bare": 3.0, "grass": 2.0, "road": 1.5, "paved": 1.5, "water": 1.0},
    soaked={"bare": 2.5, "ground": 2.0, "grass": 1.5, "field": 1.0},
)  # fmt: skip
"""C band, cross polarisations, over C_LIKE: volumes depolarise (trees -5.5, crops -6.5, lawns -7 dB), soils less (-9),
smooth surfaces least (-10): inferred from Sentinel-1's VH over VV of crops, which runs from about -11 dB on bare soil
to -4 dB (Veloso et al. 2017, Vreugdenhil et al. 2018, doi:10.3390/rs10091396, by their curves), and from the mean
of its VH everywhere, -20.3 dB (SSL4EO-S12). Water is -30.6 dB at 38 degrees: that of the sea by C-2PO is -34 dB at
3 m/s and rises by 0.58 dB per m/s (Zhang & Perrie 2012, doi:10.1175/BAMS-D-11-00001.1), but where Sentinel-1's VH is
darkest, on one chip looked at without its label, there are -29 dB, noise and neighbours among them: by eye between
both. Walls return a tenth, their corners a thirtieth of VV (by eye): two bounces at right angles keep the
polarisation, and only what stands askew turns it."""
TABLES = {("C", True): C_LIKE, ("C", False): C_CROSS, ("X", True): X_LIKE}
"""By frequency band and whether polarisations are alike. L and S, which have none, take X's."""


def of(frequency_band: str, polarization: str) -> Backscatter:
    """The table of a frequency band (L, S, C, X) and polarisation (VV, VH, HH, HV).

    Raises:
        RenderError: there is none.
    """
    like = polarization[0] == polarization[1]
    found = TABLES.get((frequency_band, like), X_LIKE if like else None)
    if found is None:
        raise RenderError(
            f"no backscatter of {polarization} in {frequency_band} band: cross polarisations are C band's"
        )
    return found
