"""Rivers of invented places: a bent channel between grown banks. Lanes end at it, main roads cross it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import log

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage
from shapely import LineString, Polygon

from mage_stac.scene import chance, greenery
from mage_stac.scene.cadastre import burn
from mage_stac.scene.lattice import Canvas
from mage_stac.scene.parts import Parts
from mage_stac.scene.plane import line, ring
from mage_stac.scene.plots import patch
from mage_stac.scene.scene import Line, Surface, Tree

Grid = NDArray[np.float32]
WIDTH = (12.0, 40.0)
"""Of the water, m: rivers of lowlands that are farmed to the banks."""
WAVELENGTH, AMPLITUDE = 11.0, 2.7
"""Of meanders, in widths: Leopold and Wolman (1960, doi:10.1130/0016-7606(1960)71[769:RM]2.0.CO;2), whose exponents
of 1.01 and 1.1 are taken as 1; amplitude is theirs from bend to bend."""
TAMED = (0.1, 1.0)
"""Of that amplitude, what a straightened river has left."""
BANK, BELOW = (4.0, 12.0), (0.2, 0.9)
"""From the water to the fields, and of the water below the land, m: by eye and by choice, so that a common flood of
1.2 m leaves the channel."""
FRINGE, SPACING = (0.2, 1.0), 3.0
"""Share of the banks under trees and reeds, by scene, and metres from one to the next there."""
REEDS, REED = 0.4, (0.9, 2.2)
"""Share of reeds among them, and the radius of their clumps, m."""
STEP, OUTSIDE = 4.0, 80.0
"""Metres between points of the middle line, and how far it begins outside the scene."""
VALLEY = 40.0
"""Over which the land is smoothed where the water's level is taken from it, standard deviation in m."""
BRIDGED = "arterial"
"""Use of the roads that cross."""


@dataclass(frozen=True, kw_only=True, slots=True)
class River:
    """A river through a whole scene."""

    middle: Line
    """From outside one side of the scene to outside another."""
    width: float
    """Of the water on an ordinary day, m."""
    bank: float
    """From the water to the fields, m."""
    below: float
    """Of the water below the land beside, m."""

    @property
    def water(self) -> Polygon:
        """Its surface in the world."""
        return _solid(LineString(self.middle).buffer(self.width / 2, cap_style="flat"))

    @property
    def corridor(self) -> Polygon:
        """Water and banks."""
        return _solid(LineString(self.middle).buffer(self.width / 2 + self.bank, cap_style="flat"))


def draw(size: tuple[float, float], rng: np.random.Generator) -> River:
    """A river through the middle parts of a scene of `size` metres."""
    width = float(np.exp(chance.between(rng, (log(WIDTH[0]), log(WIDTH[1])))))
    through = np.array(size) * rng.uniform(0.25, 0.75, 2)
    heading = rng.uniform(0.0, np.pi)
    along, across = np.array([np.cos(heading), np.sin(heading)]), np.array([-np.sin(heading), np.cos(heading)])
    reach = float(np.hypot(*size)) + OUTSIDE
    at = np.arange(-reach, reach, STEP)
    swing = AMPLITUDE / 2 * width * chance.between(rng, TAMED)
    bends = at / (WAVELENGTH * width) + 0.25 * np.sin(at / (3.7 * WAVELENGTH * width) * 2 * np.pi + rng.uniform(0, 6))
    off = swing * np.sin(2 * np.pi * bends + rng.uniform(0, 2 * np.pi))
    return River(
        middle=line(through + at[:, None] * along + off[:, None] * across),
        width=width,
        bank=chance.between(rng, BANK),
        below=chance.between(rng, BELOW),
    )


def parts(river: River, rng: np.random.Generator) -> Parts:
    """Its banks and its water as surfaces, and what grows on the banks."""
    bank = patch(_ring(river.corridor), "meadow", "bank", rng)
    water = replace(patch(_ring(river.water), "silty_water", "river", rng), line=river.middle, width=river.width)
    return Parts(built=(bank, water), trees=tuple(_fringe(river, rng)))


def _fringe(river: River, rng: np.random.Generator) -> Iterator[Tree]:
    middle, share = LineString(river.middle), chance.between(rng, FRINGE)
    for side in (-1, 1):
        kept = side * (river.width / 2 + river.bank / 2)
        edge = shapely.offset_curve(middle, kept)
        spots = shapely.get_coordinates(shapely.line_interpolate_point(edge, np.arange(0.0, edge.length, SPACING)))
        groves = ndimage.gaussian_filter1d(rng.standard_normal(len(spots)), 5.0, mode="wrap")
        grown = spots[groves <= np.quantile(groves, share)]
        for spot in grown + 0.25 * river.bank * rng.standard_normal(grown.shape):
            yield greenery.shrub(rng, spot, REED) if rng.random() < REEDS else greenery.tree(rng, spot, 0.0)


def crossed(roads: Iterable[Surface], river: River) -> Iterator[Surface]:
    """Roads of use BRIDGED whole, over the river; of the others what is left on either side."""
    corridor = river.corridor
    shapely.prepare(corridor)
    for road in roads:
        shape = Polygon(road.ring)
        if road.use == BRIDGED or not corridor.intersects(shape):
            yield road
        elif road.line:
            yield from _ends(road, shape.difference(corridor), LineString(road.line).difference(corridor))


def _ends(road: Surface, left: shapely.Geometry, middles: shapely.Geometry) -> Iterator[Surface]:
    pieces = [piece for piece in shapely.get_parts(left) if isinstance(piece, Polygon) and piece.area > road.width**2]
    for piece in pieces:
        own = [part for part in shapely.get_parts(middles) if part.intersects(piece)]
        if own:
            longest = max(own, key=lambda part: part.length)
            yield replace(road, ring=_ring(piece), line=line(shapely.get_coordinates(longest)))


def carved(ground: Grid, river: River, size: tuple[float, float]) -> Grid:
    """The ground with the river in it: level across on an ordinary day's water, rising over the banks.

    Args:
        ground: (rows, columns) m over a scene of `size` metres, row 0 north.
        river: what is carved.
        size: of the scene, m.

    Returns:
        The same shape, m; the least is 0.
    """
    canvas = Canvas(size=size, texel=max(size[0] / ground.shape[1], size[1] / ground.shape[0]), seed=0)
    heights = canvas.resampled(ground)
    middle = burn([(LineString(river.middle).buffer(0.75 * max(canvas.step)), 1)], canvas) > 0
    water = burn([(river.water, 1)], canvas) > 0
    if not middle.any() or not water.any():
        return ground
    land = ndimage.gaussian_filter(heights, [VALLEY / step for step in canvas.step], mode="nearest")
    nearest = ndimage.distance_transform_edt(~middle, sampling=canvas.step, return_distances=False, return_indices=True)
    level = land[tuple(nearest)] - river.below
    share = np.clip(ndimage.distance_transform_edt(~water, sampling=canvas.step) / river.bank, 0.0, 1.0)
    shaped = level + (heights - level) * share**2 * (3 - 2 * share)
    return np.asarray(shaped - shaped.min(), np.float32)


def _solid(shape: shapely.Geometry) -> Polygon:
    """The largest part: a bend tighter than the bank may close on itself."""
    return max((part for part in shapely.get_parts(shape) if isinstance(part, Polygon)), key=lambda part: part.area)


def _ring(shape: Polygon) -> Line:
    return ring(np.array(shape.exterior.coords)[:-1])
