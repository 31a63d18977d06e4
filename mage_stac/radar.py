"""Radar images from the label pass seen from straight above: layover, shadow, double bounce and speckle, in numpy.

Ground stays where the map says it is (as in a terrain-corrected product); what stands on it is displaced towards the
sensor by its height over the tangent of the incidence angle, because the radar measures range (Franceschetti & Lanari
1999, "Synthetic Aperture Radar Processing", ch. 1). Every cell's power goes to where its range puts it and adds up
there; a wall that faces the sensor returns its own light over that length, and its corner with the ground, where all
paths are equally long, as one bright line (Franceschetti et al. 2002, doi:10.1109/TGRS.2002.802460).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, cos, radians, sin, tan
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special

from mage_stac import backscatter, imaging
from mage_stac.backscatter import FALLOFF, REFERENCE, Backscatter
from mage_stac.errors import RenderError
from mage_stac.passes import Labels
from mage_stac.scene.scene import SEMANTIC
from mage_stac.sensors import Radar, Sensor

Grid = NDArray[np.float32]
MIRRORS = {"road": 1.0, "paved": 1.0, "water": 1.3, "bare": 0.6, "ground": 0.5, "grass": 0.4, "field": 0.4}
"""How much of what falls on the ground before a wall goes on to it; 0.1 for all others."""
SQUARE = 18.0
"""Degrees by which a wall may turn away until its corner's return has fallen to 1/e."""
STEP = 1.5
"""Least drop of a building towards the sensor that is a wall, m."""
LOW = 1.0
"""Height above ground from which what is displaced makes layover, m."""
LIT = 1e-9


@dataclass(frozen=True, kw_only=True, slots=True)
class Scan:
    """What a radar sees, without speckle, on the grid of the label pass; masks are (rows, columns)."""

    power: Grid
    """(polarisations, rows, columns) mean sigma nought, linear, without the sensor's noise."""
    layover: NDArray[np.bool_]
    """Pixels in which what stands above the ground adds to what lies on it, or to other such things."""
    shadow: NDArray[np.bool_]
    """Places on the map, ground or roof, that no beam reaches."""


def tables(beam: Radar) -> tuple[Backscatter, ...]:
    """Backscatter in each polarisation.

    Raises:
        RenderError: of one there is none in this frequency band.
    """
    return tuple(backscatter.of(beam.frequency_band, one) for one in beam.polarizations)


def scan(
    seen: Labels,
    tables: Sequence[Backscatter],
    *,
    gsd: float,
    incidence: float,
    azimuth: float,
    differences: Grid | None = None,
) -> Scan:
    """Radar view of a scene.

    Args:
        seen: the label pass from straight above, everything in place.
        tables: of each polarisation, in the order of the image's bands.
        gsd: of its pixels, m.
        incidence: degrees from the vertical.
        azimuth: from the ground towards the sensor, degrees clockwise from north.
        differences: (polarisations, rows, columns) dB by which what is seen differs from its table; None is nowhere.
    """
    towards = sin(radians(azimuth)), cos(radians(azimuth))
    top = seen.position[..., 2].astype(np.float32)
    clearance = _clearance(top, gsd, incidence, towards)
    shadow = clearance > 0.05
    height = np.maximum(seen.height, 0.0).astype(np.float32)
    facing = _facing(seen.normal, incidence, towards)
    power = []
    for band, table in enumerate(tables):
        share = np.where(shadow, 0.0, _backscatter(seen.semantic, facing, table))
        if differences is not None:
            share = share * 10 ** (differences[band] / 10)
        # A slope holds more surface than its cell of the map.
        share = np.asarray(share / np.clip(seen.normal[..., 2], 0.3, 1.0), dtype=np.float32)
        total = _placed(share, height, gsd, incidence, towards)
        total += _walls(seen, table, clearance, gsd, incidence, towards)
        power.append(total)
    lit = np.where(shadow, 0.0, 1.0).astype(np.float32)
    low = _placed(np.where(height < LOW, lit, 0.0), height, gsd, incidence, towards)
    high = _placed(np.where(height >= LOW, lit, 0.0), height, gsd, incidence, towards)
    return Scan(power=np.stack(power), layover=(high > 0.25) & (low + high > 1.25), shadow=shadow)


def expose(
    power: Grid, *, sensor: Sensor, look: imaging.Look, oversample: int, rng: np.random.Generator
) -> NDArray[Any]:
    """The product's digital numbers (bands, rows, columns): sigma nought in dB, with the sensor's noise and speckle.

    Speckle is drawn for each pixel of the product, and for each polarisation by itself: like and cross returns of
    natural ground are uncorrelated (reflection symmetry: Nghiem et al. 1992, Radio Science 27, 693-711).

    Args:
        power: Scan.power, (bands, rows * oversample, columns * oversample).
        sensor: with its radar.
        look: gives the PSF and the shift.
        oversample: cells per pixel along each axis.
        rng: draws the speckle.

    Raises:
        RenderError: the sensor is no radar.
    """
    if sensor.radar is None:
        raise RenderError(f"sensor {sensor.name} is no radar: expose it by imaging.expose")
    beam = sensor.radar
    floor = 10 ** (beam.noise_floor / 10)
    off = tuple(rng.uniform(0.0, 1.0, 2)) if beam.regridded else (0.0, 0.0)
    shift = look.shift[0] + off[0], look.shift[1] + off[1]
    pixels = imaging.resample(np.moveaxis(power, 0, -1), oversample=oversample, fwhm=look.psf_fwhm, shift=shift)
    speckled = [
        (np.maximum(band, 0.0) + floor) * _speckle(band.shape, beam, rng) for band in np.moveaxis(pixels, -1, 0)
    ]
    # Where less than the mean of the noise came in, nothing is left: the least that the product can hold.
    values = np.maximum(np.stack(speckled) - (floor if beam.noise_subtracted else 0.0), 0.0)
    if beam.regridded:
        values = ndimage.shift(values, (0.0, -off[0], -off[1]), order=1, mode="nearest")
    decibels = 10.0 * np.log10(np.maximum(values, LIT)).astype(np.float32)
    return imaging.quantise(decibels, sensor)


def _speckle(shape: tuple[int, ...], beam: Radar, rng: np.random.Generator) -> NDArray[np.float64]:
    """Gamma distributed with mean 1 and variance 1 / looks (Goodman 1976, doi:10.1364/JOSA.66.001145).

    Neighbours share it by the width of the resolution: filtered Gaussian noise, taken to the gamma distribution by its
    ranks. Power of complex noise seen through a Gaussian response whose power is `speckle_fwhm` wide is correlated like
    white noise filtered by that power.
    """
    if not beam.speckle_fwhm:
        return rng.gamma(beam.looks, 1.0 / beam.looks, shape)
    sigma = beam.speckle_fwhm / imaging.FWHM_PER_SIGMA
    drawn = ndimage.gaussian_filter(rng.standard_normal(shape), sigma, mode="wrap")
    line = np.zeros(2 * ceil(5 * sigma) + 1)
    line[line.size // 2] = 1.0
    drawn /= np.square(ndimage.gaussian_filter1d(line, sigma)).sum()  # the kernel is the product of two such lines
    return np.asarray(special.gammaincinv(beam.looks, special.ndtr(drawn)) / beam.looks)


def _clearance(top: Grid, gsd: float, incidence: float, towards: tuple[float, float]) -> Grid:
    """Metres by which the beam that grazes the highest thing between a place and the sensor passes above the place."""
    slope = tan(radians(incidence))
    reach = ceil(float(np.ptp(top)) * slope / gsd)
    over = np.full(top.shape, -np.inf, np.float32)
    for step in range(1, min(reach, 4 * max(top.shape)) + 1):
        np.maximum(over, _moved(top, step, towards) - np.float32(step * gsd / slope), out=over)
    return np.asarray(over - top, dtype=np.float32)


def _moved(values: Grid, cells: float, towards: tuple[float, float]) -> Grid:
    """What lies `cells` further towards the sensor; row 0 is north."""
    east, north = towards
    moved: Grid = ndimage.shift(values, (cells * north, -cells * east), order=1, mode="nearest", prefilter=False)
    return moved


def _facing(normal: NDArray[np.float32], incidence: float, towards: tuple[float, float]) -> Grid:
    """Cosine of the angle between each surface and the beam, 0 where it faces away."""
    sine, cosine = sin(radians(incidence)), cos(radians(incidence))
    beam = np.array([sine * towards[0], sine * towards[1], cosine], np.float32)
    return np.asarray(np.clip(normal @ beam, 0.0, 1.0), dtype=np.float32)


def _backscatter(semantic: NDArray[np.uint8], facing: Grid, table: Backscatter) -> Grid:
    """Sigma nought, linear, by class and cosine of the local incidence."""
    level, power = np.zeros(256, np.float32), np.ones(256, np.float32)
    for name, code in SEMANTIC.items():
        power[code] = FALLOFF.get(name, 1.0)
        level[code] = 10 ** (table.level[name] / 10) / cos(radians(REFERENCE)) ** power[code]
    return np.asarray(level[semantic] * facing ** power[semantic], dtype=np.float32)


def _placed(values: Grid, height: Grid, gsd: float, incidence: float, towards: tuple[float, float]) -> Grid:
    """Values added up where range puts them: `height / tan(incidence)` metres nearer to the sensor; bilinear shares."""
    rows, columns = values.shape
    cells = np.flatnonzero(values)
    weight, lean = values.ravel()[cells], height.ravel()[cells] / np.float32(tan(radians(incidence)) * gsd)
    row, column = (cells // columns) - lean * np.float32(towards[1]), (cells % columns) + lean * np.float32(towards[0])
    whole_row, whole_column = np.floor(row).astype(np.int64), np.floor(column).astype(np.int64)
    down, right = row - whole_row, column - whole_column
    total = np.zeros(rows * columns)
    for step_row, share_row in ((0, 1 - down), (1, down)):
        for step_column, share_column in ((0, 1 - right), (1, right)):
            y, x = whole_row + step_row, whole_column + step_column
            inside = (y >= 0) & (y < rows) & (x >= 0) & (x < columns)
            share = (weight * share_row * share_column)[inside]
            total += np.bincount((y * columns + x)[inside], share, minlength=rows * columns)
    return total.reshape(rows, columns).astype(np.float32)


def _walls(
    seen: Labels, table: Backscatter, clearance: Grid, gsd: float, incidence: float, towards: tuple[float, float]
) -> Grid:
    """Power of the walls that face the sensor, over their layover, and of their corners with the ground."""
    top = seen.position[..., 2].astype(np.float32)
    before = _moved(top, 1.0, towards)
    building = seen.semantic == SEMANTIC["building"]
    drop = np.where(building & (top - before > STEP), top - before, 0.0).astype(np.float32)
    foot = np.maximum(seen.height - drop, 0.0)
    # The lower part of a wall may stand in the shadow of something before it.
    hidden = np.clip(clearance + drop, 0.0, drop)
    power = np.zeros(top.shape, np.float32)
    width = gsd * tan(radians(incidence))
    layers = ceil(float(drop.max(initial=0.0)) / width)
    for layer in range(layers):
        low = layer * width
        part = np.clip(drop - np.maximum(low, hidden), 0.0, width) * np.float32(
            sin(radians(incidence)) * table.wall / gsd
        )
        power += _placed(part, foot + np.minimum(low + width / 2, drop), gsd, incidence, towards)
    mirror = np.full(256, 0.1, np.float32)
    for name, value in MIRRORS.items():
        mirror[SEMANTIC[name]] = value
    ground = mirror[_nearest(seen.semantic, towards)]
    corner = (drop - hidden) * ground * _square(top, towards) * np.float32(table.corner * table.wall / gsd)
    return np.asarray(power + _placed(corner, foot, gsd, incidence, towards), dtype=np.float32)


def _nearest(codes: NDArray[np.uint8], towards: tuple[float, float]) -> NDArray[np.uint8]:
    """Codes two cells further towards the sensor."""
    moved: NDArray[np.uint8] = ndimage.shift(codes, (2 * towards[1], -2 * towards[0]), order=0, mode="nearest")
    return moved


def _square(top: Grid, towards: tuple[float, float]) -> Grid:
    """1 where a drop falls straight towards the sensor, 0 where it falls across or away."""
    north, east = (
        -ndimage.gaussian_filter1d(top, 1.5, axis=0, order=1),
        ndimage.gaussian_filter1d(top, 1.5, axis=1, order=1),
    )
    away = np.hypot(north, east) + np.float32(1e-6)
    cosine = -(east * towards[0] + north * towards[1]) / away  # the ground falls against the gradient
    angle = np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
    return np.asarray(np.exp(-((angle / SQUARE) ** 2)), dtype=np.float32)
