"""Alignment: footprints moved onto the buildings that a map shows, by shifts that differ from place to place."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio.features
import scipy.fft
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.windows import Window
from scipy.spatial import cKDTree

from mage_stac.classes import NOT_OBSERVED
from mage_stac.grid import of_dataset, pixel_metres
from mage_stac.mosaic import LEVELS
from mage_stac.overlap import moved
from mage_stac.raster import opened

SIDE = 256
"""Pixels a side of a neighbourhood: some ten houses at 0.6 m, so that a row of equal ones is not mistaken."""

STEP = 128
"""Pixels from one neighbourhood to the next."""

FARTHEST = 10.0
"""Metres by which footprints are looked for at most: farther, a street of equal houses matches the next plot."""

REACH = (3, 40)
"""Pixels that this is at least and at most."""

MATCH = 0.35
"""Correlation from which a neighbourhood counts, as in google-research/skai's alignment."""

NEAR = 0.1
"""What a match at the farthest shift must correlate better by than one at none."""

AGREE = 3.0
"""Pixels by which a neighbourhood may differ from the median of those around it."""

AROUND = 12
"""Neighbourhoods, the nearest to a footprint, that decide its shift."""

LONE = 3.0
"""Steps to the nearest neighbourhood that counts beyond which a footprint stays where it is."""

Points = NDArray[np.float64]
"""(n, 2): x right, y down, in pixels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """Shifts of n neighbourhoods that could be matched."""

    centres: Points
    shifts: Points
    """From a footprint to where the map shows its building."""
    matches: NDArray[np.float64]
    """(n,) correlation there, MATCH..1."""


def aligned(frame: Any, probability: Path) -> Any:
    """Footprints moved onto the map's buildings, with how far: `shift_east` and `shift_north` in metres.

    In windows of SIDE pixels the footprints are correlated with the map's probability that there is a building; what
    the map does not know, and neighbourhoods that disagree with those around them, do not count. Each footprint is
    moved as the nearest ones say; it stays where it is (0) where there are none.

    Args:
        frame: polygons in the CRS of the map.
        probability: five bands as `predict` writes them, or a damage map.
    """
    with opened(probability) as source:
        grid = of_dataset(source)
        width, height = pixel_metres(grid)
        polygons = moved(frame.geometry.to_numpy(), ~grid.affine)
        reach = int(np.clip(round(FARTHEST / math.sqrt(width * height)), *REACH))
        field = agreed(measured(source, polygons, reach))
    shift = at(field, _centres(polygons))
    there = moved(_translated(polygons, shift), grid.affine)
    a, b, _, d, e, _ = grid.affine[:6]
    metres = (width / math.hypot(a, d), height / math.hypot(b, e))
    east, north = (shift @ row * scale for row, scale in zip(((a, b), (d, e)), metres, strict=True))
    made = frame.assign(shift_east=east.round(2) + 0.0, shift_north=north.round(2) + 0.0)
    return made.set_geometry(there, crs=frame.crs)


def _centres(polygons: NDArray[Any]) -> Points:
    return np.asarray(shapely.get_coordinates(shapely.centroid(polygons)), np.float64).reshape(-1, 2)


def _translated(polygons: NDArray[Any], shift: Points) -> NDArray[Any]:
    steps = np.repeat(shift, shapely.get_num_coordinates(polygons), axis=0)
    made: NDArray[Any] = shapely.transform(polygons, lambda points: points + steps)
    return made


def measured(source: Any, polygons: NDArray[Any], reach: int) -> Field:
    """The shift of each neighbourhood with footprints that matches at all.

    Args:
        source: open map.
        polygons: footprints in its pixels.
        reach: pixels to look at most.
    """
    tree = shapely.STRtree(polygons)
    found = []
    for left, top in _starts(source.shape):
        near = tree.query(shapely.box(left, top, left + SIDE, top + SIDE))
        if len(near):
            shapes = [(polygons[i], 1) for i in near]
            mask = rasterio.features.rasterize(shapes, (SIDE, SIDE), transform=Affine.translation(left, top))
            x, y, match = matched(mask.astype(np.float32), _buildings(source, left, top, reach))
            if match >= MATCH:
                centre = _centres(polygons[near]).mean(axis=0)
                found.append((*np.clip(centre, (left, top), (left + SIDE, top + SIDE)), x, y, match))
    table = np.array(found, np.float64).reshape(-1, 5)
    return Field(centres=table[:, :2], shifts=table[:, 2:4], matches=table[:, 4])


def _starts(shape: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """First column and row of each neighbourhood; those at the border lie half outside."""
    rows, columns = shape
    half = SIDE - STEP
    for top in range(-half, rows, STEP):
        for left in range(-half, columns, STEP):
            yield left, top


def _buildings(source: Any, left: int, top: int, reach: int) -> NDArray[np.float32]:
    """Probability of a building, 0..1, in a neighbourhood and `reach` around it; its mean where not known."""
    size = SIDE + 2 * reach
    band = np.full((size, size), NOT_OBSERVED, np.uint8)
    (row, rows), (column, columns) = (
        (max(0, start), min(length, start + size))
        for start, length in zip((top - reach, left - reach), source.shape, strict=True)
    )
    inside = np.s_[row - top + reach : rows - top + reach, column - left + reach : columns - left + reach]
    band[inside] = source.read(1, window=Window(column, row, columns - column, rows - row))
    seen = band != NOT_OBSERVED
    if not seen.any():
        return np.zeros(band.shape, np.float32)
    chance = 1 - band / LEVELS if source.count > 1 else band > 0
    return np.where(seen, chance, chance[seen].mean()).astype(np.float32)


def matched(mask: NDArray[np.float32], buildings: NDArray[np.float32]) -> tuple[float, float, float]:
    """Shift (x, y) of a mask (S, S) in a map (S + 2R, S + 2R) and the correlation coefficient there, 0 for none.

    Normalised cross-correlation by Fourier transform (Lewis, Vision Interface 1995); the peak between pixels is that of
    the parabola through it.
    """
    size, reach = mask.shape[0], (buildings.shape[0] - mask.shape[0]) // 2
    template = mask - mask.mean()
    spread = float((template**2).sum())
    length = scipy.fft.next_fast_len(buildings.shape[0], real=True)
    spectra = [scipy.fft.rfft2(each, (length, length)) for each in (buildings, template)]
    count = 2 * reach + 1
    product = scipy.fft.irfft2(spectra[0] * np.conj(spectra[1]), (length, length))[:count, :count]
    sums, squares = (_boxed(each, size) for each in (buildings.astype(np.float64), buildings.astype(np.float64) ** 2))
    variance = np.maximum(squares - sums**2 / size**2, 0)
    found = np.where(variance > 1e-6 * size**2, product / np.sqrt(np.maximum(variance * spread, 1e-12)), 0)
    apart = np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1]) / reach
    row, column = _top(found, found - NEAR * apart**2)
    y = row + _between(found[:, column], row) - reach
    x = column + _between(found[row], column) - reach
    return x, y, float(found[row, column]) if spread > 0 else 0.0


def _top(surface: NDArray[np.float64], preferred: NDArray[np.float64]) -> tuple[int, int]:
    """The peak of a surface to which the way up leads from the highest place of another."""
    row, column = (int(place) for place in np.unravel_index(int(np.argmax(preferred)), preferred.shape))
    while True:
        rows, columns = slice(max(0, row - 1), row + 2), slice(max(0, column - 1), column + 2)
        down, right = np.unravel_index(int(np.argmax(surface[rows, columns])), surface[rows, columns].shape)
        if surface[rows, columns][down, right] <= surface[row, column]:
            return row, column
        row, column = rows.start + int(down), columns.start + int(right)


def _boxed(values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Sums of every square of so many pixels."""
    total = np.pad(values.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    return np.asarray(total[size:, size:] - total[:-size, size:] - total[size:, :-size] + total[:-size, :-size])


def _between(line: NDArray[np.float64], top: int) -> float:
    """How far the vertex of the parabola through a peak and its two neighbours lies from it, -0.5..0.5."""
    if not 0 < top < len(line) - 1:
        return 0.0
    before, peak, after = (float(value) for value in line[top - 1 : top + 2])
    bend = before - 2 * peak + after
    return float(np.clip((before - after) / (2 * bend), -0.5, 0.5)) if bend < 0 else 0.0


def agreed(field: Field) -> Field:
    """Without the neighbourhoods that differ by more than AGREE from the median of those around them, two steps off."""
    if not len(field.centres):
        return field
    around = cKDTree(field.centres).query_ball_point(field.centres, 2.2 * STEP)
    middle = np.array([np.median(field.shifts[near], axis=0) for near in around])
    kept = np.hypot(*(field.shifts - middle).T) <= AGREE
    return Field(centres=field.centres[kept], shifts=field.shifts[kept], matches=field.matches[kept])


def at(field: Field, points: Points) -> Points:
    """Shifts at some points, (n, 2): a plane through the AROUND nearest neighbourhoods, the nearer the more weight."""
    if not len(field.centres) or not len(points):
        return np.zeros((len(points), 2))
    count = min(AROUND, len(field.centres))
    apart, near = cKDTree(field.centres).query(points, k=range(1, count + 1))
    weight = np.exp(-0.5 * (apart / STEP) ** 2) * field.matches[near] ** 2
    off = (field.centres[near] - points[:, None]) / STEP
    basis = np.concatenate([np.ones((*off.shape[:2], 1)), off], axis=-1)
    normal = np.einsum("nk,nki,nkj->nij", weight, basis, basis)
    normal += np.diag([1e-9, 0.1, 0.1])  # a slope must be told by several, else the plane is level
    wanted = np.einsum("nk,nki,nkj->nij", weight, basis, field.shifts[near])
    found = np.linalg.solve(normal, wanted)[:, 0]
    bounds = field.shifts[near].min(axis=1) - 1, field.shifts[near].max(axis=1) + 1
    return np.where(apart[:, :1] <= LONE * STEP, np.clip(found, *bounds), 0.0)
