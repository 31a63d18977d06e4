"""Materials: linear reflectance (red, green, blue; 0..1) of what a town is made of, by name, with variants and seasons.

Values are rounded broad-band means at about 0.65, 0.56 and 0.48 um of typical entries in two public spectral libraries,
between which field spectra scatter by a third or more, hence `variants` and `spread`:

- USGS Spectral Library Version 7 (Kokaly et al. 2017, doi:10.3133/ds1035), chapters A (artificial) and V (vegetation):
  asphalt, concrete, roofing, brick, plastic tarp, lawn grass, dry long grass, pine and oak leaves, fibreglass.
- ECOSTRESS Spectral Library 1.0 (Meerdink et al. 2019, doi:10.1016/j.rse.2019.05.015), classes man-made, soil,
  vegetation and non-photosynthetic vegetation: shingle, tile, paints, metals, wood, gravel, loams, bark.

Where a library gives a leaf, the value here is a crown or a lawn: leaves, soil and small shadows together, which is
40 to 60 per cent of the leaf's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mage_stac.errors import RenderError

Rgb = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Material:
    variants: tuple[Rgb, ...]
    """Equally likely."""
    spread: float = 0.10
    """Standard deviation of ln brightness from one object to the next."""
    grain: float = 0.05
    """Relative amplitude of fine brightness noise within one object, as Geometry.grain."""


def _m(*variants: Rgb, spread: float = 0.10, grain: float = 0.05) -> Material:
    return Material(variants=variants, spread=spread, grain=grain)


ROOFS: dict[str, Material] = {
    "shingle_grey": _m((0.150, 0.148, 0.142), (0.115, 0.115, 0.115), (0.185, 0.180, 0.170), grain=0.10),
    "shingle_light": _m((0.300, 0.295, 0.275), (0.260, 0.255, 0.240), (0.340, 0.330, 0.305), grain=0.08),
    "shingle_dark": _m((0.060, 0.061, 0.065), (0.078, 0.078, 0.080), (0.058, 0.066, 0.075), grain=0.10),
    "shingle_brown": _m((0.125, 0.095, 0.075), (0.105, 0.078, 0.062), (0.150, 0.118, 0.092), grain=0.12),
    "shingle_tan": _m((0.230, 0.190, 0.145), (0.200, 0.170, 0.135), (0.255, 0.215, 0.165), grain=0.10),
    "shingle_red": _m((0.165, 0.085, 0.062), (0.195, 0.110, 0.080), (0.140, 0.080, 0.065), grain=0.10),
    "shingle_green": _m((0.070, 0.095, 0.078), (0.085, 0.105, 0.095), grain=0.10),
    "metal_white": _m((0.640, 0.645, 0.630), (0.560, 0.560, 0.540), (0.700, 0.700, 0.690), grain=0.03),
    "metal_grey": _m((0.330, 0.335, 0.340), (0.400, 0.405, 0.405), (0.270, 0.270, 0.270), grain=0.05),
    "metal_colour": _m((0.070, 0.180, 0.215), (0.060, 0.120, 0.085), (0.230, 0.070, 0.055), (0.300, 0.220, 0.150)),
    "metal_red": _m((0.260, 0.060, 0.062), (0.320, 0.090, 0.062), (0.370, 0.140, 0.095), (0.180, 0.045, 0.045)),
    "metal_rusty": _m((0.290, 0.205, 0.150), (0.230, 0.165, 0.125), (0.330, 0.270, 0.225), spread=0.15, grain=0.15),
    "membrane_white": _m((0.660, 0.655, 0.630), (0.580, 0.570, 0.540), (0.720, 0.715, 0.700), grain=0.04),
    "membrane_grey": _m((0.250, 0.250, 0.248), (0.330, 0.325, 0.310), grain=0.06),
    "bitumen": _m((0.062, 0.062, 0.062), (0.090, 0.088, 0.085), spread=0.2, grain=0.08),
    "gravel_roof": _m((0.290, 0.270, 0.235), (0.230, 0.215, 0.190), (0.350, 0.330, 0.290), grain=0.10),
    "tile_orange": _m((0.330, 0.165, 0.095), (0.280, 0.145, 0.090), (0.380, 0.210, 0.130), grain=0.12),
    "tile_brown": _m((0.190, 0.115, 0.080), (0.230, 0.150, 0.105), (0.165, 0.110, 0.085), grain=0.14),
    "tile_concrete": _m((0.210, 0.205, 0.195), (0.160, 0.150, 0.140), (0.240, 0.200, 0.170), grain=0.10),
    "slate": _m((0.085, 0.092, 0.100), (0.110, 0.115, 0.120), grain=0.08),
    "shake": _m((0.190, 0.155, 0.120), (0.215, 0.200, 0.180), (0.150, 0.115, 0.085), spread=0.15, grain=0.14),
    "roof_concrete": _m((0.300, 0.290, 0.265), (0.240, 0.230, 0.215), (0.350, 0.335, 0.300), spread=0.15, grain=0.08),
    "green_roof": _m((0.085, 0.105, 0.048), (0.110, 0.112, 0.062), (0.125, 0.095, 0.065), spread=0.15, grain=0.2),
    "polycarbonate": _m((0.380, 0.420, 0.400), (0.300, 0.340, 0.350), (0.460, 0.460, 0.430), grain=0.03),
    "fabric": _m((0.640, 0.635, 0.620), (0.520, 0.480, 0.400), (0.230, 0.300, 0.400), spread=0.15, grain=0.03),
    "thatch": _m((0.210, 0.170, 0.120), (0.160, 0.130, 0.095), grain=0.12),
}
"""Names for Building.roof_material; roofnet.py sorts them by RoofNet's classes."""

WALLS: dict[str, Material] = {
    "siding_white": _m((0.620, 0.610, 0.580), (0.540, 0.530, 0.500)),
    "siding_tan": _m((0.420, 0.360, 0.280), (0.470, 0.420, 0.340)),
    "siding_grey": _m((0.300, 0.310, 0.320), (0.240, 0.260, 0.280)),
    "siding_colour": _m((0.190, 0.250, 0.330), (0.260, 0.310, 0.240), (0.450, 0.400, 0.220)),
    "brick_red": _m((0.240, 0.125, 0.090), (0.200, 0.110, 0.085), grain=0.10),
    "brick_tan": _m((0.360, 0.270, 0.190), (0.400, 0.310, 0.230), grain=0.10),
    "block": _m((0.340, 0.330, 0.310), (0.400, 0.390, 0.360)),
    "panel_metal": _m((0.480, 0.470, 0.440), (0.330, 0.340, 0.340), (0.250, 0.300, 0.340)),
    "stucco": _m((0.560, 0.490, 0.390), (0.620, 0.570, 0.480), (0.480, 0.390, 0.290)),
    "stone": _m((0.330, 0.300, 0.255), (0.280, 0.260, 0.230), grain=0.12),
}
"""Names for Building.wall_material."""

INSIDE: dict[str, Material] = {
    "decking": _m((0.480, 0.330, 0.215), (0.530, 0.380, 0.260), (0.400, 0.285, 0.200), spread=0.08, grain=0.06),
    "timber": _m((0.430, 0.315, 0.220), (0.355, 0.250, 0.175), (0.500, 0.385, 0.280), spread=0.15, grain=0.08),
    "timber_old": _m((0.215, 0.168, 0.135), (0.165, 0.125, 0.100), (0.255, 0.208, 0.170), spread=0.2, grain=0.1),
    "drywall": _m((0.640, 0.620, 0.580), (0.560, 0.530, 0.480), (0.500, 0.440, 0.360), grain=0.05),
    "floor": _m(
        (0.300, 0.270, 0.235),
        (0.360, 0.300, 0.235),
        (0.240, 0.220, 0.200),
        (0.270, 0.190, 0.150),
        (0.420, 0.275, 0.165),
        (0.470, 0.330, 0.215),
        spread=0.15,
    ),  # carpets and vinyl; oak boards; the bare subfloor
    "slab": _m((0.330, 0.305, 0.270), (0.285, 0.265, 0.240), (0.380, 0.350, 0.310), grain=0.08),
    "interior": _m((0.075, 0.065, 0.055), (0.110, 0.095, 0.080), spread=0.2, grain=0.15),
    "tarpaulin_blue": _m((0.045, 0.130, 0.480), (0.060, 0.170, 0.540), (0.035, 0.100, 0.400), spread=0.08, grain=0.05),
    "tarpaulin_white": _m((0.680, 0.680, 0.670), (0.600, 0.605, 0.610), grain=0.04),
    "tarpaulin_red": _m((0.420, 0.060, 0.080), (0.400, 0.110, 0.060), grain=0.04),
    "tarpaulin_green": _m((0.070, 0.230, 0.130), (0.100, 0.160, 0.090), grain=0.04),
    "tarpaulin_black": _m((0.040, 0.040, 0.042), grain=0.05),
    "ash": _m((0.400, 0.390, 0.375), (0.280, 0.275, 0.270), spread=0.2, grain=0.2),
    "char": _m((0.035, 0.033, 0.031), spread=0.2, grain=0.2),
}
"""What shows when a building is open, covered or burnt."""

PLANTS: dict[str, Material] = {
    "leaf_broadleaf": _m((0.036, 0.062, 0.024), (0.046, 0.074, 0.026), (0.030, 0.052, 0.023), spread=0.15, grain=0.25),
    "leaf_conifer": _m((0.026, 0.042, 0.023), (0.032, 0.050, 0.030), spread=0.15, grain=0.25),
    "leaf_hedge": _m((0.034, 0.056, 0.024), (0.048, 0.066, 0.030), spread=0.2, grain=0.25),
    "bark": _m((0.125, 0.105, 0.085), (0.165, 0.145, 0.122), (0.092, 0.076, 0.062), spread=0.2, grain=0.1),
    "branch": _m((0.150, 0.122, 0.100), (0.190, 0.165, 0.140), (0.110, 0.088, 0.074), spread=0.15, grain=0.15),
    "wood_broken": _m((0.420, 0.320, 0.210), (0.340, 0.250, 0.160), spread=0.15),
}
"""Crowns as seen from above, bare branches, and the flesh of torn trunks."""

GROUND: dict[str, Material] = {
    "grass": _m((0.058, 0.088, 0.034), (0.068, 0.096, 0.037), (0.052, 0.079, 0.033), spread=0.12, grain=0.16),
    "meadow": _m((0.090, 0.105, 0.046), (0.110, 0.115, 0.056), (0.080, 0.098, 0.046), spread=0.12, grain=0.2),
    "field": _m((0.062, 0.096, 0.036), (0.130, 0.122, 0.060), (0.078, 0.106, 0.040), spread=0.15, grain=0.12),
    "woodland": _m((0.062, 0.058, 0.036), (0.075, 0.068, 0.045), spread=0.15, grain=0.28),
    "bare": _m((0.230, 0.175, 0.120), (0.270, 0.210, 0.150), (0.195, 0.150, 0.105), spread=0.12, grain=0.14),
    "dirt": _m((0.250, 0.200, 0.145), (0.210, 0.165, 0.118), spread=0.12, grain=0.12),
    "mulch": _m((0.105, 0.072, 0.050), (0.150, 0.095, 0.062), spread=0.2, grain=0.2),
    "sand": _m((0.380, 0.320, 0.240), spread=0.08, grain=0.06),
    "gravel": _m((0.310, 0.285, 0.240), (0.270, 0.250, 0.215), (0.350, 0.320, 0.270), spread=0.1, grain=0.14),
    "asphalt": _m((0.140, 0.137, 0.130), (0.118, 0.117, 0.114), (0.165, 0.160, 0.149), spread=0.12, grain=0.07),
    "asphalt_new": _m((0.062, 0.063, 0.066), (0.078, 0.078, 0.079), spread=0.1, grain=0.06),
    "asphalt_old": _m((0.215, 0.205, 0.187), (0.190, 0.184, 0.172), spread=0.08, grain=0.09),
    "concrete": _m((0.340, 0.318, 0.275), (0.300, 0.284, 0.250), (0.375, 0.350, 0.300), spread=0.08, grain=0.06),
    "paving": _m((0.270, 0.250, 0.220), (0.230, 0.205, 0.175), (0.300, 0.270, 0.230), spread=0.1, grain=0.12),
    "brick_paving": _m((0.220, 0.140, 0.105), spread=0.12, grain=0.12),
    "wood_deck": _m((0.240, 0.185, 0.135), (0.190, 0.165, 0.140), spread=0.15, grain=0.08),
    "fence": _m((0.190, 0.165, 0.135), (0.150, 0.135, 0.115), (0.120, 0.105, 0.090), spread=0.2, grain=0.08),
    "water": _m((0.040, 0.050, 0.038), (0.052, 0.062, 0.045), (0.034, 0.046, 0.040), spread=0.1, grain=0.04),
    "silty_water": _m(
        (0.036, 0.045, 0.034), (0.063, 0.068, 0.050), (0.108, 0.104, 0.074), (0.163, 0.142, 0.099), grain=0.04
    ),
    "pool": _m((0.140, 0.400, 0.480), (0.180, 0.430, 0.470), (0.090, 0.330, 0.420), spread=0.08, grain=0.03),
    "court_green": _m((0.085, 0.150, 0.110), spread=0.08, grain=0.04),
    "court_red": _m((0.200, 0.095, 0.075), spread=0.08, grain=0.04),
    "track": _m((0.240, 0.095, 0.070), spread=0.05, grain=0.05),
    "crop_soil": _m((0.170, 0.130, 0.092), (0.210, 0.165, 0.120), spread=0.1, grain=0.1),
    "vegetable": _m((0.090, 0.090, 0.048), (0.130, 0.110, 0.065), spread=0.15, grain=0.25),
    "clutter": _m(
        (0.620, 0.620, 0.610),
        (0.045, 0.045, 0.048),
        (0.060, 0.120, 0.320),
        (0.300, 0.060, 0.050),
        (0.240, 0.180, 0.120),
        (0.350, 0.350, 0.340),
        (0.120, 0.200, 0.120),
        spread=0.2,
    ),
    "paint_white": _m((0.560, 0.555, 0.540), spread=0.1),
    "paint_yellow": _m((0.440, 0.310, 0.085), spread=0.1),
}
"""Names for Surface.kind, and the paints on roads."""

CARS = _m(
    *6 * [(0.720, 0.720, 0.710)],
    *5 * [(0.640, 0.640, 0.625)],
    *6 * [(0.380, 0.385, 0.390)],
    *4 * [(0.300, 0.305, 0.310)],
    *5 * [(0.028, 0.028, 0.030)],
    *5 * [(0.040, 0.042, 0.046)],
    *3 * [(0.110, 0.112, 0.118)],
    *3 * [(0.165, 0.165, 0.168)],
    *2 * [(0.230, 0.034, 0.034)],
    *2 * [(0.120, 0.022, 0.026)],
    *2 * [(0.330, 0.290, 0.220)],
    *2 * [(0.180, 0.150, 0.115)],
    *2 * [(0.028, 0.060, 0.150)],
    *2 * [(0.045, 0.070, 0.110)],
    (0.050, 0.090, 0.060),
    spread=0.12,
)
"""Lacquers in fiftieths of the cars built: white 22, silver 20, black 19, grey 12, red 9, natural 8, blue 7, green 2 %
(PPG Industries' survey of 2012, as the Detroit Free Press gave it on 10 October 2012)."""

PIECES: dict[str, Material] = {
    "timber": INSIDE["timber"],
    "timber_old": INSIDE["timber_old"],
    "sheet": _m(
        (0.480, 0.365, 0.270), (0.400, 0.300, 0.220), (0.560, 0.500, 0.420), (0.300, 0.240, 0.190), spread=0.15
    ),
    "metal": _m(
        (0.560, 0.560, 0.550), (0.380, 0.385, 0.390), (0.680, 0.680, 0.670), (0.290, 0.230, 0.190), spread=0.15
    ),
    "shingle": _m(
        (0.120, 0.115, 0.110), (0.150, 0.115, 0.090), (0.075, 0.075, 0.078), (0.230, 0.220, 0.200), spread=0.2
    ),
    "drywall": INSIDE["drywall"],
    "insulation": _m((0.640, 0.400, 0.400), (0.640, 0.560, 0.300), (0.660, 0.650, 0.620), spread=0.1),
    "brick": _m((0.250, 0.130, 0.095), (0.210, 0.120, 0.095), (0.360, 0.270, 0.200), spread=0.15),
    "rubble": _m(
        (0.330, 0.290, 0.240), (0.260, 0.225, 0.190), (0.400, 0.360, 0.310), (0.230, 0.140, 0.105), spread=0.2
    ),
    "tile": ROOFS["tile_orange"],
    "household": _m(
        (0.620, 0.610, 0.590),
        (0.270, 0.060, 0.060),
        (0.090, 0.130, 0.220),
        (0.050, 0.050, 0.052),
        (0.300, 0.280, 0.140),
    ),
    "branch": PLANTS["branch"],
}
"""Kinds of loose pieces, for Debris.mix."""

SEASONAL: dict[str, dict[str, Material]] = {
    "winter": {
        "grass": _m((0.170, 0.150, 0.088), (0.150, 0.142, 0.078), (0.195, 0.168, 0.104), spread=0.12, grain=0.14),
        "meadow": _m((0.210, 0.175, 0.112), (0.185, 0.155, 0.100), spread=0.12, grain=0.18),
        "field": _m((0.205, 0.165, 0.115), (0.120, 0.130, 0.060), spread=0.2, grain=0.12),
        "woodland": _m((0.150, 0.118, 0.086), (0.130, 0.104, 0.078), spread=0.12, grain=0.25),
        "vegetable": _m((0.185, 0.150, 0.110), spread=0.15, grain=0.2),
    },
    "spring": {
        "grass": _m((0.105, 0.106, 0.054), (0.124, 0.116, 0.063), (0.082, 0.095, 0.046), spread=0.14, grain=0.15),
        "meadow": _m((0.150, 0.138, 0.078), (0.170, 0.146, 0.090), (0.130, 0.130, 0.070), spread=0.12, grain=0.18),
        "field": _m((0.070, 0.106, 0.045), (0.085, 0.112, 0.048), (0.180, 0.152, 0.094), spread=0.15, grain=0.1),
        "woodland": _m((0.128, 0.108, 0.072), (0.112, 0.098, 0.066), spread=0.12, grain=0.25),
        "vegetable": _m((0.170, 0.138, 0.096), spread=0.15, grain=0.2),
        "leaf_broadleaf": _m((0.085, 0.100, 0.045), (0.100, 0.105, 0.050), spread=0.15, grain=0.25),
    },
    "summer": {},
    "autumn": {
        "grass": _m((0.096, 0.106, 0.050), (0.120, 0.118, 0.062), (0.080, 0.098, 0.044), spread=0.12, grain=0.15),
        "meadow": _m((0.165, 0.140, 0.080), (0.140, 0.126, 0.072), spread=0.12, grain=0.18),
        "field": _m((0.200, 0.160, 0.096), (0.150, 0.130, 0.074), (0.170, 0.130, 0.092), spread=0.15, grain=0.12),
        "woodland": _m((0.130, 0.095, 0.058), (0.110, 0.082, 0.054), spread=0.15, grain=0.25),
        "leaf_broadleaf": _m(
            (0.120, 0.092, 0.034),
            (0.080, 0.082, 0.032),
            (0.150, 0.078, 0.034),
            (0.060, 0.076, 0.030),
            spread=0.2,
            grain=0.25,
        ),
    },
    "tropical": {
        "grass": _m((0.052, 0.094, 0.030), (0.066, 0.104, 0.034), (0.048, 0.082, 0.028), spread=0.12, grain=0.18),
        "meadow": _m((0.085, 0.106, 0.040), (0.105, 0.112, 0.048), spread=0.15, grain=0.22),
        "bare": _m((0.330, 0.175, 0.098), (0.370, 0.215, 0.130), (0.285, 0.145, 0.080), spread=0.12, grain=0.14),
        "dirt": _m((0.350, 0.185, 0.098), (0.310, 0.160, 0.082), (0.390, 0.220, 0.125), spread=0.1, grain=0.1),
        "mulch": _m((0.170, 0.095, 0.060), (0.140, 0.085, 0.055), spread=0.2, grain=0.2),
        "crop_soil": _m((0.240, 0.125, 0.075), spread=0.12, grain=0.12),
        "asphalt_old": _m((0.250, 0.195, 0.150), (0.220, 0.180, 0.145), spread=0.1, grain=0.08),
        "woodland": _m((0.085, 0.066, 0.036), spread=0.15, grain=0.28),
        "vegetable": _m((0.060, 0.092, 0.032), (0.075, 0.096, 0.040), spread=0.15, grain=0.3),
        "leaf_broadleaf": _m(
            (0.032, 0.062, 0.021), (0.056, 0.090, 0.026), (0.026, 0.048, 0.020), spread=0.2, grain=0.3
        ),
    },
}
"""What changes with scene.SEASONS; in the tropics it is one season all year, on red earth (ECOSTRESS's Oxisols and
Ultisols, paler where it is trodden dry), and its dust lies on roads. Broadleaf crowns are bare in winter and spring:
then only `branch` is seen."""

LEAFLESS = ("winter", "spring")
"""Seasons in which broadleaf trees stand without leaves."""

MATERIALS: dict[str, Material] = {**ROOFS, **WALLS, **INSIDE, **PLANTS, **GROUND}


def material(name: str, season: str = "summer") -> Material:
    """The material called `name` as it is in `season`.

    Raises:
        RenderError: no such material or season.
    """
    if season not in SEASONAL:
        raise RenderError(f"no season {season!r}: choose one of {', '.join(SEASONAL)}")
    found = SEASONAL[season].get(name) or MATERIALS.get(name)
    if found is None:
        raise RenderError(f"no material {name!r}: choose one of {', '.join(MATERIALS)}")
    return found


@lru_cache(1 << 14)
def pick(kind: Material, seed: int) -> Rgb:
    """One object's colour: a variant of `kind`, brighter or darker by its spread; the same for the same seed."""
    rng = np.random.default_rng(seed)
    variant = np.array(kind.variants[int(rng.integers(len(kind.variants)))])
    red, green, blue = np.clip(variant * np.exp(kind.spread * rng.standard_normal()), 0.0, 0.95).tolist()
    return red, green, blue
