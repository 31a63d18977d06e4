"""Locations: where the scene of a pair lies, invented, in a real place or within an image; always on whole pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox

from mage_stac import likeness, overlap, real_place
from mage_stac.errors import RenderError
from mage_stac.render_spec import RenderSpec
from mage_stac.scene import site
from mage_stac.scene.styles import STYLES

ZONES = (32610, 32619)
"""EPSG codes of the UTM zones that invented places lie in: 10 to 19 north, North America."""
EASTINGS = (300_000.0, 700_000.0)
"""Of invented places, metres: 200 km off a zone's meridian at the most, where its scale is 0.9996 to 1.0001."""
METRES_PER_DEGREE = 110_600.0
"""Northing per degree of latitude, near enough to choose places by."""
STRAY = 0.25
"""Share of its side by which a scene is moved off the middle of a built-up square at the most, along each axis."""
DRAWS = 200
"""Parts of an image that are tried, of built-up squares and then anywhere, before it is said to have none observed."""
OBSERVED = 0.995
"""Share of a part of an image that must be observed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Location:
    """The south-west corner of a scene."""

    crs: str
    west: float
    south: float
    """Metres."""

    @property
    def origin(self) -> tuple[float, float]:
        """West and south."""
        return self.west, self.south

    def geobox(self, spec: RenderSpec) -> GeoBox:
        """The grid of the images, the spec's margin inside the scene."""
        west = self.west + spec.margin * spec.gsd
        top = self.south + (spec.margin + spec.size_px) * spec.gsd
        affine = Affine(spec.gsd, 0.0, round(west, 6), 0.0, -spec.gsd, round(top, 6))
        return GeoBox((spec.size_px, spec.size_px), affine, self.crs)


def draw(rng: np.random.Generator, spec: RenderSpec) -> Location:
    """Where a scene lies.

    Raises:
        RenderError: the image is too small, or after many draws none of its parts is wholly observed.
    """
    if spec.like is not None:
        return _in_image(rng, spec)
    return _invented(rng, spec) if spec.place is None else _in_place(rng, spec)


def check_size(spec: RenderSpec) -> None:
    """Raise RenderError where an image is too small for the pairs asked of it."""
    rows, columns = real_place.image(spec).geobox.shape
    need = spec.rendered_px
    if min(rows, columns) < need:
        works = min(rows, columns) - 2 * spec.margin
        hint = f"give a size of at most {works}" if works >= 16 else "give another Item"
        raise RenderError(
            f"{spec.like} is {columns}x{rows} pixels of {spec.gsd:g} m, a pair needs {need}x{need}: {hint}"
        )


def _invented(rng: np.random.Generator, spec: RenderSpec) -> Location:
    crs = f"EPSG:{int(rng.integers(ZONES[0], ZONES[1], endpoint=True))}"
    east = rng.uniform(*EASTINGS)
    north = rng.uniform(*STYLES[spec.style].latitudes) * METRES_PER_DEGREE
    return Location(crs=crs, west=_whole(east, spec.gsd), south=_whole(north, spec.gsd))


def _in_place(rng: np.random.Generator, spec: RenderSpec) -> Location:
    """A part of the real place: where more is built, more often.

    A region is mostly meadows with a house or two: there the square of the count makes its towns what is seen. Of a
    photograph, every house should be seen alike.
    """
    squares = real_place.squares(spec)
    built = np.array([count for _, _, count in squares], float) ** (2 if spec.like is None else 1)
    x, y, _ = squares[int(rng.choice(len(squares), p=built / built.sum()))]
    stray = rng.uniform(-STRAY, STRAY, 2) * spec.side
    west, south = x - spec.side / 2 + float(stray[0]), y - spec.side / 2 + float(stray[1])
    crs = site.name(real_place.data(spec).crs)
    return Location(crs=crs, west=_whole(west, spec.gsd), south=_whole(south, spec.gsd))


def _in_image(rng: np.random.Generator, spec: RenderSpec) -> Location:
    """A part of the image, on its pixels, wholly observed, with footprints if the spec has a place."""
    check_size(spec)
    image, need = real_place.image(spec), spec.rendered_px
    for attempt in range(2 * DRAWS):
        # a small image may show no built-up square wholly, but other parts
        anywhere = spec.place is None or attempt >= DRAWS
        row, column = _anywhere(rng, spec) if anywhere else _built_up(rng, spec)
        part = likeness.window(image, slice(row, row + need), slice(column, column + need))
        if likeness.observed(image, part) >= OBSERVED and (spec.place is None or real_place.stands(spec, part)):
            box = part.boundingbox
            return Location(crs=str(image.geobox.crs), west=round(box.left, 6), south=round(box.bottom, 6))
    raise RenderError(_nowhere(spec))


def _anywhere(rng: np.random.Generator, spec: RenderSpec) -> tuple[int, int]:
    """Row and column of the image where a scene begins."""
    rows, columns = real_place.image(spec).geobox.shape
    row = int(rng.integers(rows - spec.rendered_px + 1))
    return row, int(rng.integers(columns - spec.rendered_px + 1))


def _built_up(rng: np.random.Generator, spec: RenderSpec) -> tuple[int, int]:
    """The same, where a built-up square of the place lies, or as near to it as the image reaches."""
    geobox, corner = real_place.image(spec).geobox, _in_place(rng, spec)
    column, row = ~geobox.affine @ (corner.west, corner.south + spec.side)
    rows, columns = geobox.shape
    last_row, last_column = rows - spec.rendered_px, columns - spec.rendered_px
    return min(max(round(row), 0), last_row), min(max(round(column), 0), last_column)


def _nowhere(spec: RenderSpec) -> str:
    """Why no part of the image will do."""
    geobox, need = real_place.image(spec).geobox, spec.rendered_px
    if spec.place is not None and not real_place.stands(spec, geobox):
        there, here = (overlap.place(one, str(geobox.crs)) for one in (real_place.ground(spec), geobox.extent.geom))
        return (
            f"no footprint of {', '.join(spec.place)} ({there}) lies on {spec.like} ({here}): give those of the place"
            " that it shows"
        )
    return (
        f"{spec.like}: no part of {need}x{need} pixels that it shows wholly"
        f"{' and where footprints lie' if spec.place else ''}: give a smaller size or another Item"
    )


def _whole(metres: float, gsd: float) -> float:
    return round(round(metres / gsd) * gsd, 6)
