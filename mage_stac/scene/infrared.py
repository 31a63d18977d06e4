"""Infrared: reflectance beyond the visible of faces and ground, from their colour and from what they are.

A scene is painted in red, green and blue, mixed from the colours of scene/materials.py. The mixture of colours tells
the mixture of materials well enough for three more broad bands: near infrared (0.85 um) and two short-wave ones (1.61
and 2.20 um). What a thing is (SEMANTIC) settles what its colour leaves open: a green lawn is bright there, a green roof
is not.

Values are rounded broad-band means of typical entries of the libraries that scene/materials.py cites (USGS Spectral
Library Version 7, doi:10.3133/ds1035; ECOSTRESS Spectral Library, doi:10.1016/j.rse.2019.05.015), crowns and lawns as
satellites see them (leaves, soil and small shadows together). Water: Pope & Fry 1997 (doi:10.1364/AO.36.008710) absorb
all but the surface's reflection from 0.8 um on; loaded with soil it keeps 0.1 to 0.15 at 0.85 um (Ritchie et al. 2003,
doi:10.14358/PERS.69.6.695).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mage_stac.scene import cover, materials, plants, turf
from mage_stac.scene.materials import Rgb
from mage_stac.scene.scene import SEMANTIC

BANDS = ("nir", "swir16", "swir22")
"""Of every array here, in this order; STAC's common names."""
Triple = tuple[float, float, float]
Spectrum = Triple | tuple[Triple, ...]
"""Reflectance in BANDS of a material's mean colour, or of each of its variants."""

BUILT: dict[str, Spectrum] = {
    "shingle_grey": (0.160, 0.170, 0.160), "shingle_light": (0.320, 0.320, 0.290),
    "shingle_dark": (0.075, 0.085, 0.085),
    "shingle_brown": (0.140, 0.165, 0.160), "shingle_tan": (0.250, 0.280, 0.260), "shingle_red": (0.170, 0.190, 0.180),
    "shingle_green": (0.110, 0.120, 0.120), "metal_white": (0.620, 0.500, 0.380), "metal_grey": (0.360, 0.400, 0.420),
    "metal_colour": (0.260, 0.250, 0.220), "metal_red": (0.330, 0.320, 0.260),
    "metal_rusty": (0.340, 0.430, 0.420),
    "membrane_white": (0.670, 0.520, 0.360),
    "membrane_grey": (0.290, 0.270, 0.220), "bitumen": (0.080, 0.095, 0.095), "gravel_roof": (0.330, 0.360, 0.330),
    "tile_orange": (0.400, 0.490, 0.470), "tile_brown": (0.260, 0.330, 0.320), "slate": (0.115, 0.130, 0.125),
    "tile_concrete": (0.240, 0.270, 0.250), "shake": (0.300, 0.310, 0.240), "roof_concrete": (0.310, 0.330, 0.310),
    "polycarbonate": (0.400, 0.330, 0.230), "green_roof": (0.300, 0.230, 0.130), "fabric": (0.560, 0.450, 0.330),
    "thatch": (0.330, 0.330, 0.230), "siding_white": (0.610, 0.490, 0.360), "siding_tan": (0.440, 0.430, 0.340),
    "siding_grey": (0.320, 0.310, 0.260), "siding_colour": (0.360, 0.330, 0.260), "brick_red": (0.290, 0.370, 0.350),
    "brick_tan": (0.410, 0.470, 0.440), "block": (0.370, 0.390, 0.360), "panel_metal": (0.420, 0.400, 0.360),
    "stucco": (0.590, 0.560, 0.480), "stone": (0.360, 0.390, 0.360), "decking": (0.600, 0.430, 0.270),
    "timber": (0.580, 0.420, 0.260), "timber_old": (0.330, 0.310, 0.230), "drywall": (0.600, 0.500, 0.360),
    "floor": (0.360, 0.350, 0.290), "slab": (0.340, 0.360, 0.330), "interior": (0.110, 0.110, 0.090),
    "tarpaulin_blue": (0.450, 0.380, 0.250), "tarpaulin_white": (0.660, 0.520, 0.370),
    "tarpaulin_red": (0.500, 0.420, 0.280), "tarpaulin_green": (0.380, 0.330, 0.230),
    "tarpaulin_black": (0.042, 0.045, 0.045), "ash": (0.380, 0.430, 0.410), "char": (0.045, 0.090, 0.110),
}  # fmt: skip
"""Roofs, walls and what shows of open buildings."""
PLANTS: dict[str, Spectrum] = {
    "leaf_broadleaf": (0.390, 0.200, 0.090), "leaf_conifer": (0.250, 0.100, 0.045), "leaf_hedge": (0.350, 0.180, 0.080),
    "bark": (0.230, 0.240, 0.180), "branch": (0.200, 0.240, 0.180), "wood_broken": (0.540, 0.400, 0.250),
}  # fmt: skip
GROUND: dict[str, Spectrum] = {
    "grass": (0.400, 0.220, 0.115), "meadow": (0.360, 0.250, 0.140),
    "field": ((0.400, 0.220, 0.110), (0.300, 0.280, 0.180), (0.400, 0.230, 0.115)), "woodland": (0.210, 0.180, 0.110),
    "bare": (0.300, 0.390, 0.340), "dirt": (0.320, 0.400, 0.360), "mulch": (0.190, 0.240, 0.180),
    "sand": (0.440, 0.500, 0.480), "gravel": (0.330, 0.360, 0.340), "asphalt": (0.160, 0.185, 0.175),
    "asphalt_new": (0.080, 0.100, 0.100), "asphalt_old": (0.240, 0.270, 0.250), "concrete": (0.360, 0.380, 0.350),
    "paving": (0.300, 0.340, 0.310), "brick_paving": (0.280, 0.370, 0.350), "wood_deck": (0.350, 0.330, 0.240),
    "fence": (0.300, 0.310, 0.230), "court_green": (0.160, 0.170, 0.150), "court_red": (0.240, 0.260, 0.220),
    "track": (0.270, 0.300, 0.260), "crop_soil": (0.230, 0.310, 0.280), "vegetable": (0.320, 0.220, 0.120),
    "paint_white": (0.560, 0.470, 0.370), "paint_yellow": (0.480, 0.440, 0.340),
}  # fmt: skip
WATER: dict[str, Spectrum] = {
    "water": (0.018, 0.006, 0.004), "pool": (0.025, 0.004, 0.003),
    "silty_water": ((0.018, 0.0053, 0.0034), (0.031, 0.0077, 0.0049), (0.053, 0.0113, 0.0070), (0.080, 0.0150, 0.0092)),
}  # fmt: skip
SEASONAL: dict[str, dict[str, Spectrum]] = {
    "winter": {
        "grass": (0.230, 0.300, 0.210), "meadow": (0.280, 0.350, 0.260),
        "field": ((0.290, 0.370, 0.310), (0.320, 0.260, 0.150)), "woodland": (0.200, 0.270, 0.210),
        "vegetable": (0.260, 0.340, 0.280),
    },
    "spring": {
        "grass": (0.320, 0.270, 0.170), "meadow": (0.300, 0.320, 0.220),
        "field": ((0.420, 0.220, 0.110), (0.400, 0.230, 0.120), (0.270, 0.330, 0.280)),
        "woodland": (0.200, 0.240, 0.180),
        "vegetable": (0.240, 0.310, 0.260), "leaf_broadleaf": (0.370, 0.230, 0.120),
    },
    "autumn": {
        "grass": (0.330, 0.260, 0.160), "meadow": (0.290, 0.310, 0.210), "field": (0.280, 0.320, 0.230),
        "woodland": (0.210, 0.240, 0.180),
        "leaf_broadleaf": ((0.320, 0.280, 0.170), (0.340, 0.240, 0.130), (0.310, 0.290, 0.180), (0.340, 0.220, 0.110)),
    },
    "tropical": {
        "grass": (0.420, 0.220, 0.110), "meadow": (0.360, 0.250, 0.140), "bare": (0.390, 0.450, 0.390),
        "dirt": (0.400, 0.460, 0.410), "mulch": (0.230, 0.290, 0.240), "crop_soil": (0.290, 0.360, 0.310),
        "asphalt_old": (0.280, 0.320, 0.300), "woodland": (0.210, 0.200, 0.140), "vegetable": (0.420, 0.210, 0.100),
        "leaf_broadleaf": (0.420, 0.200, 0.090),
    },
}  # fmt: skip
FILMS: dict[str, Spectrum] = {
    "mud": (0.270, 0.250, 0.180), "burnt_ground": (0.055, 0.120, 0.140), "ash_ground": (0.290, 0.350, 0.340),
    "rubble_fine": (0.390, 0.420, 0.380),
}  # fmt: skip
LUSH: dict[str, Triple] = {
    "winter": (0.340, 0.220, 0.120), "spring": (0.420, 0.200, 0.095),
    "summer": (0.430, 0.200, 0.095), "autumn": (0.370, 0.210, 0.105), "tropical": (0.440, 0.200, 0.090),
}  # fmt: skip
STRAW, SCORCHED = (0.310, 0.350, 0.250), (0.210, 0.270, 0.200)
LOADED, CLEAR = (0.120, 0.020, 0.012), (0.008, 0.003, 0.002)
LACQUER = (1.15, 1.0, 0.8)
"""Over a car's or household thing's mean colour."""

REACH = 0.07
"""Colours this much apart, in ln of red / green and of blue / green, are taken for mixtures of their materials."""
SPAN = ((-1.6, 2.4), (-2.4, 2.4))
"""Of ln(red / green) and ln(blue / green) that are told apart."""
STEPS = (161, 193)
FAINT = 1e-4
"""Least reflectance that has a colour."""
Palette = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Colours (N, 3) and their reflectances in BANDS (N, 3)."""


def of(colour: NDArray[np.float32], semantic: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Reflectance in BANDS, 0..0.95, of what has these colours.

    Args:
        colour: (..., 3) linear red, green, blue.
        semantic: (...) codes of SEMANTIC.

    Returns:
        (..., 3): the colour's mean times the ratio that things of that kind and hue have.
    """
    flat = colour.reshape(-1, 3)
    result = np.empty(flat.shape, np.float32)
    kinds = np.array([_kind(code) for code in range(256)])[semantic.ravel()]
    for kind in np.unique(kinds):
        chosen = np.flatnonzero(kinds == kind)
        result[chosen] = _ratio(flat[chosen], str(kind)) * flat[chosen].mean(axis=1, keepdims=True)
    return np.clip(result, 0.0, 0.95).reshape(colour.shape)


def _kind(code: int) -> str:
    names = {number: name for name, number in SEMANTIC.items()}
    name = names.get(code, "object")
    made = {"building": "built", "vehicle": "built", "object": "built", "debris": "built"}
    return {"water": "water", "tree": "plant", **made}.get(name, "land")


def _ratio(colour: NDArray[np.float32], kind: str) -> NDArray[np.float32]:
    """(N, 3) reflectance in BANDS over the mean of red, green and blue."""
    place = [
        (np.clip(part, low, high) - low) / (high - low) * (steps - 1)
        for part, (low, high), steps in zip(_hue(colour), SPAN, STEPS, strict=True)
    ]
    table = _table(kind)
    bands = [ndimage.map_coordinates(table[..., band], place, order=1, mode="nearest") for band in range(3)]
    ratio: NDArray[np.float32] = np.stack(bands, axis=-1)
    return ratio


def _hue(colour: NDArray[np.floating]) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    logs = np.log(np.maximum(colour, FAINT))
    return logs[..., 0] - logs[..., 1], logs[..., 2] - logs[..., 1]


@cache
def _table(kind: str) -> NDArray[np.float32]:
    """(STEPS, 3) ratios by hue: the geometric mean of the palette's, weighted by how near their hues are."""
    colours, spectra = _palette(kind)
    ratios = np.log(np.maximum(spectra, FAINT) / colours.mean(axis=1, keepdims=True))
    axes = np.meshgrid(*(np.linspace(low, high, steps) for (low, high), steps in zip(SPAN, STEPS, strict=True)))
    red, blue = _hue(colours)
    distance = (axes[0].T[..., None] - red) ** 2 + (axes[1].T[..., None] - blue) ** 2
    weight = np.exp(-(distance - distance.min(axis=-1, keepdims=True)) / (2 * REACH**2))
    table: NDArray[np.float32] = np.exp((weight @ ratios) / weight.sum(axis=-1, keepdims=True)).astype(np.float32)
    return table


def _palette(kind: str) -> Palette:
    if kind == "water":
        return _joined([_named(WATER), _pairs([cover.LOADED, cover.CLEAR], [LOADED, CLEAR])])
    if kind == "plant":
        woods = _named({"char": BUILT["char"], "woodland": GROUND["woodland"]})
        leaves = _pairs([plants.SCORCHED, *turf.LUSH.values()], [SCORCHED, *(LUSH[name] for name in turf.LUSH)])
        return _joined([_named(PLANTS), _seasons(PLANTS), woods, leaves])
    if kind == "built":
        hard = {name: GROUND[name] for name in ("fence", "wood_deck", "concrete", "gravel")}
        wood = {name: PLANTS[name] for name in ("branch", "wood_broken")}
        things = [*materials.CARS.variants, *materials.GROUND["clutter"].variants]
        lacquered = (np.array(things), np.mean(things, axis=1, keepdims=True) * LACQUER)
        return _joined([_named(BUILT), _named(hard), _named(wood), lacquered])
    soils = _pairs([turf.STRAW, *turf.LUSH.values()], [STRAW, *(LUSH[name] for name in turf.LUSH)])
    burnt = [cover.FILMS[name] for name in FILMS]
    films = [_variants(one, FILMS[name]) for one, name in zip(burnt, FILMS, strict=True)]
    return _joined([_named(GROUND), _seasons(GROUND), _named({"ash": BUILT["ash"]}), soils, *films])


def _named(table: Mapping[str, Spectrum]) -> Palette:
    return _joined([_variants(materials.MATERIALS[name], spectrum) for name, spectrum in table.items()])


def _seasons(among: Mapping[str, Spectrum]) -> Palette:
    return _joined(
        [
            _variants(materials.material(name, season), spectrum)
            for season, table in SEASONAL.items()
            for name, spectrum in table.items()
            if name in among
        ]
    )


def _variants(kind: materials.Material, spectrum: Spectrum) -> Palette:
    """Each variant with its own reflectance, or with the material's, brighter or darker as the variant is."""
    colours = np.array(kind.variants)
    values = np.array(spectrum)
    if values.ndim == 1:
        level = colours.mean(axis=1, keepdims=True)
        values = values * level / level.mean()
    return colours, values


def _pairs(colours: Iterable[Rgb], spectra: Iterable[Triple]) -> Palette:
    return np.array(list(colours)), np.array(list(spectra))


def _joined(palettes: list[Palette]) -> Palette:
    return np.concatenate([one for one, _ in palettes]), np.concatenate([other for _, other in palettes])
