"""Growth: what grows on the ground of a photograph, by colour and grain: plants that can burn, and crowns above it.

Estimates, for pictures: a hazard that is rendered into a real image must spare what it spares in the world, the crowns
that stand out of a flood and the streets that no fire burns, also where no map tells where these are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Values = NDArray[np.float32]

COARSEST = 1.5
"""GSD in m above which crowns cannot be told from what lies between them."""
GREEN = (0.07, 0.15)
"""Relative excess of green (Woebbecke et al. 1995) from which ground begins to be plants, and wholly is: lower than in
`photos`, since what is not quite grey burns and is crown too. This and all below were chosen by eye on the crowns,
lawns and streets of Joplin (leaf-off) and Kampala of ../shared/data."""
SOIL = (-0.01, 0.03)
"""Excess of green at which dark or yellow ground begins to be litter and dry grass instead of red soil."""
DARK = (1.1, 1.7)
"""Brightness to that of grass up to which ground is shaded or woody plants, and from which it is none."""
STRAW = (0.14, 0.18)
"""Excess of red over blue, over their sum with green, of dry grass; concrete and asphalt have about 0.1."""
ROUGH = (0.10, 0.17)
"""Standard deviation of the logarithm of brightness within a few metres, of mown grass and of crowns."""
TALL = (0.95, 1.25)
"""Brightness to that of grass up to which rough ground is crown, and from which it is not: crowns shade themselves."""
LEAFY = ((0.15, 0.25), (0.16, 0.26))
"""Excess of green and roughness of crowns in full leaf, which the sun may make brighter than grass."""
BLACK, BELIEVED = (0.45, 0.62), 0.8
"""Brightness to that of grass up to which also smooth ground is crown, of conifers, and from which it is not; and how
far that is believed, since deep shade is as dark."""
GRAIN, TUFT, SMALLEST, AROUND = 1.2, 1.5, 2.0, 4.0
"""What counts as even brightness, the surroundings of a point, the smallest crown, and what is around it, m."""
RIM = 1.5
"""So far beyond a crown its roughness is still felt, m: about TUFT."""
SURE = (0.2, 0.5)
"""Smoothed score from which ground begins to be crown, and wholly is."""
GRASS, LUSH, ENOUGH = 0.09, 0.12, 0.02
"""Reflectance of grass in a photograph that shows less than the share ENOUGH of what is surely green: excess over LUSH.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Growth:
    """Rasters (rows, columns): shares 0..1, and the photograph's detail."""

    plants: Values
    """Living or dry."""
    crowns: Values
    """Of trees and tall shrubs."""
    tone: Values
    """Not a share: brightness over that of what lies around, about 1."""


def of(ground: Values, gsd: float) -> Growth:
    """What grows on a photograph's ground.

    Args:
        ground: (rows, columns, 3) reflectance 0..1 in red, green, blue, without buildings.
        gsd: m. Above COARSEST no crowns are found.
    """
    red, green, blue = np.moveaxis(np.asarray(ground, np.float32), -1, 0)
    total = np.maximum(red + green + blue, 1e-3)
    excess, straw = (2 * green - red - blue) / total, (red - blue) / total
    level = _grass(total / 3, excess)
    tone = np.log(np.maximum(total / 3, 0.004) / level)
    soft = _ramp(excess, SOIL)
    green_share = _ramp(excess, GREEN)
    even = _mean(tone, GRAIN, gsd)
    shaded = (1 - _ramp(np.exp(even), DARK)) * soft
    dry = _ramp(straw, STRAW) * soft
    plants = np.maximum.reduce([green_share, shaded, dry])
    detail = np.exp(tone - _mean(tone, AROUND, gsd))
    if gsd > COARSEST:
        return Growth(plants=plants, crowns=np.zeros_like(plants), tone=detail)
    rough = np.sqrt(_mean((tone - even) ** 2, TUFT, gsd))
    tall = _ramp(rough, ROUGH) * (1 - _ramp(np.exp(_mean(tone, TUFT, gsd)), TALL))
    black = BELIEVED * (1 - _ramp(np.exp(even), BLACK))
    leafy = _ramp(excess, LEAFY[0]) * _ramp(rough, LEAFY[1])
    found = np.maximum.reduce([tall * np.maximum(green_share, shaded), leafy, black * soft])
    opened = ndimage.grey_opening(_mean(found, 0.4 * SMALLEST, gsd), max(1, round(SMALLEST / gsd)))
    within = ndimage.grey_erosion(opened, 2 * round(RIM / gsd) + 1)
    return Growth(plants=plants, crowns=_ramp(within, SURE), tone=detail)


def _grass(brightness: Values, excess: Values) -> float:
    """Median brightness of what is surely green, if there is enough of it."""
    green = brightness[excess > LUSH]
    return max(float(np.median(green)), 0.01) if len(green) > ENOUGH * brightness.size else GRASS


def _mean(values: Values, metres: float, gsd: float) -> Values:
    result: Values = ndimage.gaussian_filter(values, metres / gsd, mode="nearest")
    return result


def _ramp(values: Values, between: tuple[float, float]) -> Values:
    low, high = between
    return np.asarray(((values - low) / (high - low)).clip(0, 1), np.float32)
