"""Pavement: wear, repairs, joints and paint on streets, drives and car parks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree
from shapely import Polygon, unary_union

from mage_stac.scene.cadastre import Layer, burn, window
from mage_stac.scene.lattice import Canvas, Raster, smooth, stack
from mage_stac.scene.materials import GROUND
from mage_stac.scene.scene import Line, Surface
from mage_stac.scene.traffic import BAY

ASPHALT = {"asphalt", "asphalt_old", "asphalt_new"}
STRIPE = 0.12
"""Width of a painted line, m (US MUTCD 3A.06: 4 to 6 inches)."""
CLEAR = 8.0
"""Lines end this far from a crossing, m."""
WHITE, YELLOW = GROUND["paint_white"].variants[0], GROUND["paint_yellow"].variants[0]
DUST = (0.245, 0.210, 0.165)


@dataclass(frozen=True, kw_only=True, slots=True)
class Strip:
    """The texels of one surface, with their place along and across its line."""

    surface: Surface
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    s: NDArray[np.float32]
    """m along the line."""
    t: NDArray[np.float32]
    """m to the left of it."""
    length: float
    free: NDArray[np.bool_]
    """True away from crossings."""
    noise: NDArray[np.float32]
    """Of about unit variance, with which edges wander."""


def wear(reflectance: Raster, layer: Layer, canvas: Canvas) -> Raster:
    """Hard ground with the marks of its use. Shapes as in ground.texture."""
    result = reflectance.copy(order="K")
    for strip in canvas.once("strips", layer.surfaces, lambda: _strips(layer, canvas)):
        rng = np.random.default_rng([strip.surface.seed, 3])
        values = result[strip.rows, strip.columns]
        result[strip.rows, strip.columns] = PAINTERS[strip.surface.use](values, strip, canvas.texel, rng)
    return result * canvas.once("stains", layer.surfaces, lambda: _stains(layer, canvas))[..., None]


def _strips(layer: Layer, canvas: Canvas) -> list[Strip]:
    """What of the layer is painted, in its order."""
    crossing = _crossings(layer, canvas)
    rough = stack(canvas, ((3.0, 0.7), (0.8, 0.5)), 111)
    painted = (
        _strip(surface, number, layer, canvas, crossing, rough)
        for number, surface in enumerate(layer.surfaces, 1)
        if surface.use in PAINTERS and len(surface.line) > 1
    )
    return [strip for strip in painted if strip is not None]


def _strip(
    surface: Surface, number: int, layer: Layer, canvas: Canvas, crossing: NDArray[np.bool_], rough: Raster
) -> Strip | None:
    part = window(surface.ring, canvas)
    rows, columns = np.nonzero(layer.index[part] == number)
    if not len(rows):
        return None
    rows, columns = rows + part[0].start, columns + part[1].start
    points = np.stack([canvas.x()[0, columns], canvas.y()[rows, 0]], axis=1).astype(float)
    s, t, length = along(surface.line, points)
    return Strip(
        surface=surface,
        rows=rows,
        columns=columns,
        s=s.astype(np.float32),
        t=t.astype(np.float32),
        length=length,
        free=~crossing[rows, columns],
        noise=rough[rows, columns],
    )


def along(line: Line, points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Place of points (N, 2) along a line and to the left of it, m, and the line's length.

    A line that never turns back is taken as a curve over its chord, which is quick and near enough for streets.
    """
    corners = np.array(line)
    lengths = np.hypot(*np.diff(corners, axis=0).T)
    mile = np.concatenate([[0.0], np.cumsum(lengths)])
    chord = corners[-1] - corners[0]
    chord = chord / max(float(np.hypot(*chord)), 1e-9)
    onward, aside = corners @ chord, corners @ np.array([-chord[1], chord[0]])
    if np.all(np.diff(onward) > 0.5 * lengths):
        ahead = points @ chord
        left = points @ np.array([-chord[1], chord[0]]) - np.interp(ahead, onward, aside)
        beyond = np.minimum(ahead - onward[0], 0) + np.maximum(ahead - onward[-1], 0)
        return np.interp(ahead, onward, mile) + beyond, left, float(mile[-1])
    at = np.linspace(0, mile[-1], max(2, int(mile[-1] / 0.5) + 1))
    samples = np.stack([np.interp(at, mile, corners[:, 0]), np.interp(at, mile, corners[:, 1])], axis=1)
    forward = np.gradient(samples, axis=0)
    forward /= np.maximum(np.hypot(*forward.T), 1e-9)[:, None]
    _, nearest = KDTree(samples).query(points)
    off, heading = points - samples[nearest], forward[nearest]
    left = heading[:, 0] * off[:, 1] - heading[:, 1] * off[:, 0]
    return at[nearest] + np.sum(off * heading, axis=1), left, float(mile[-1])


def _crossings(layer: Layer, canvas: Canvas) -> NDArray[np.bool_]:
    """(rows, columns) True within CLEAR of where streets overlap."""
    streets = [surface for surface in layer.surfaces if surface.use in ("street", "arterial")]
    roads = [Polygon(surface.ring, surface.holes) for surface in streets]
    shared = unary_union([one.intersection(other) for one, other in combinations(roads, 2) if one.intersects(other)])
    return burn([(shared.buffer(CLEAR, cap_style="square"), 1)], canvas) > 0


def _street(values: Raster, strip: Strip, texel: float, rng: np.random.Generator) -> Raster:
    half = strip.surface.width / 2
    result = values * _sections(strip, rng)[:, None]
    result *= (1 + 0.035 * np.cos(strip.t * np.float32(2 * np.pi / 1.8)) * (strip.surface.kind in ASPHALT))[:, None]
    dusty = np.clip(1.2 - (half - np.abs(strip.t)) / 0.7 + 0.5 * strip.noise, 0, 1) * rng.uniform(0.05, 0.35)
    result = _over(result, DUST, dusty)
    result = _repaired(result, strip, rng)
    result = _cracked(result, strip, texel, rng)
    lines = _lines(strip, rng)
    fade = np.clip(rng.uniform(0.35, 0.9) + 0.25 * strip.noise, 0.1, 1) * strip.free
    for offset, colour, dash in lines:
        on = np.abs(strip.t - offset) < max(STRIPE, texel) / 2
        if dash:
            on &= np.mod(strip.s, dash * 4) < dash
        result = _over(result, colour, fade * on * min(1.0, STRIPE / texel))
    return result


def _lines(strip: Strip, rng: np.random.Generator) -> list[tuple[float, tuple[float, float, float], float]]:
    """Painted lines: metres left of the middle, colour, length of a dash (0: unbroken)."""
    surface, half = strip.surface, strip.surface.width / 2
    lanes = surface.lanes or (1 if half < 3.6 else 2 if half < 5.5 else 4 if half < 8.4 else 5)
    if surface.use != "arterial" and rng.random() < 0.85:
        return []
    wide = surface.width / lanes
    if surface.oneway:
        return [(-half + wide * number, WHITE, 3.0) for number in range(1, lanes)]
    middle = wide / 2 if lanes % 2 and lanes > 1 else 0.16
    lines = [(-middle, YELLOW, 0.0), (middle, YELLOW, 0.0)]
    side = lanes // 2
    for number in range(1, side):
        offset = half - wide * number
        lines += [(offset, WHITE, 3.0), (-offset, WHITE, 3.0)]
    if rng.random() < 0.6:
        lines += [(half - 0.45, WHITE, 0.0), (0.45 - half, WHITE, 0.0)]
    return lines


def _sections(strip: Strip, rng: np.random.Generator) -> Raster:
    """Brightness of stretches laid at different times."""
    count = max(1, int(strip.length / rng.uniform(50, 160)))
    edges = np.sort(rng.uniform(0, strip.length, count))
    tones = np.exp(0.07 * rng.standard_normal(count + 1))
    return np.asarray(tones[np.searchsorted(edges, strip.s + 0.1 * strip.noise)], np.float32)


def _repaired(result: Raster, strip: Strip, rng: np.random.Generator) -> Raster:
    """Squarish patches, mostly darker."""
    half = strip.surface.width / 2
    for _ in range(int(rng.poisson(strip.length / 70))):
        s0, long, wide = rng.uniform(0, strip.length), rng.uniform(0.8, 9), min(rng.uniform(0.8, 3.2), 2 * half)
        t0 = rng.uniform(-half, half - wide)
        tone = np.exp(rng.normal(-0.12, 0.14))
        inside = (np.abs(strip.s + 0.06 * strip.noise - s0) < long / 2) & (strip.t > t0) & (strip.t < t0 + wide)
        result[inside] *= np.float32(tone)
    return result


def _cracked(result: Raster, strip: Strip, texel: float, rng: np.random.Generator) -> Raster:
    """Joints of concrete slabs, or cracks sealed with bitumen."""
    if strip.surface.kind == "concrete":
        pitch = rng.uniform(4.3, 6.1)
        joint = np.abs(np.mod(strip.s + pitch / 2, pitch) - pitch / 2) < texel / 2
        for offset in (0.0, -strip.surface.width / 4, strip.surface.width / 4):
            joint |= np.abs(strip.t - offset) < texel / 2
        slab = np.floor(strip.s / pitch).astype(np.int64) + 7 * np.floor(strip.t / 3.6).astype(np.int64)
        tone = np.exp(0.03 * np.random.default_rng(3).standard_normal(4096))[slab % 4096]
        return _over(result * tone[:, None].astype(np.float32), (0.1, 0.1, 0.1), 0.22 * joint)
    if strip.surface.kind == "asphalt_new":
        return result
    seal = np.zeros(len(strip.s), bool)
    for _ in range(int(rng.poisson(strip.length / 16))):
        slant = 0.15 * rng.standard_normal()
        seal |= np.abs(strip.s + 0.35 * strip.noise + slant * strip.t - rng.uniform(0, strip.length)) < texel / 2
    if rng.random() < 0.6:
        seal |= np.abs(strip.t + 0.12 * strip.noise - rng.normal(0, 0.3)) < texel / 2
    return _over(result, (0.05, 0.05, 0.05), seal * rng.uniform(0.1, 0.4) * min(1.0, 0.12 / texel))


def _stalls(values: Raster, strip: Strip, texel: float, rng: np.random.Generator) -> Raster:
    """Lines between stalls and a stain where engines drip."""
    across = np.abs(np.mod(strip.s + BAY / 2, BAY) - BAY / 2)
    line = (across < texel / 2) & (strip.t > 0.3)
    fade = np.clip(rng.uniform(0.4, 1.0) + 0.2 * strip.noise, 0.1, 1) * min(1.0, STRIPE / texel)
    drip = np.exp(-((np.mod(strip.s, BAY) - BAY / 2) ** 2) / 0.35 - (strip.t - 3.6) ** 2 / 0.8)
    stained = values * (1 - rng.uniform(0.05, 0.3) * drip * np.clip(0.6 + 0.6 * strip.noise, 0, 1))[:, None]
    return _over(stained, WHITE, fade * line)


def _drive(values: Raster, strip: Strip, texel: float, rng: np.random.Generator) -> Raster:
    """Joints in concrete, two wheel tracks with weeds between them in gravel and earth."""
    if strip.surface.kind in ("gravel", "dirt"):
        tracks = np.exp(-((np.abs(strip.t) - 0.75) ** 2) / 0.12)
        weeds = np.clip(0.4 * (1 - tracks) + 0.25 * strip.noise, 0, 0.7) * rng.uniform(0.2, 1.0)
        lit = (1 + 0.12 * tracks)[:, None].astype(np.float32)
        return _over(values * lit, (0.085, 0.095, 0.045), weeds)
    if strip.surface.kind == "concrete":
        pitch = rng.uniform(2.8, 4.5)
        joint = np.abs(np.mod(strip.s, pitch) - pitch / 2) < texel / 2
        slab = np.floor((strip.s + pitch / 2) / pitch).astype(np.int64) + 5 * (strip.t > 0)
        tone = np.exp(0.05 * rng.standard_normal(64))[slab % 64].astype(np.float32)
        values = _over(values * tone[:, None], (0.12, 0.12, 0.11), 0.15 * joint)
    stain = np.exp(-((strip.s - strip.length + 3.5) ** 2) / 4 - strip.t**2 / 0.6)
    return values * (1 - rng.uniform(0, 0.25) * stain)[:, None].astype(np.float32)


def _path(values: Raster, strip: Strip, texel: float, rng: np.random.Generator) -> Raster:
    """Slabs of slightly different tone."""
    pitch = 1.5 if strip.surface.width < 2 else 3.0
    slab = np.floor(strip.s / pitch).astype(np.int64)
    tone = np.exp(0.05 * rng.standard_normal(512))[slab % 512].astype(np.float32)
    joint = np.abs(np.mod(strip.s, pitch) - pitch / 2) < texel / 2
    return _over(values * tone[:, None], (0.12, 0.12, 0.11), 0.08 * joint)


def _over(values: Raster, colour: tuple[float, float, float], share: Raster | NDArray[np.float64]) -> Raster:
    opacity = np.asarray(share, np.float32)[:, None]
    return values + opacity * (np.asarray(colour, np.float32) - values)


def _stains(layer: Layer, canvas: Canvas) -> Raster:
    """Large soft stains, oil and wet spots on lots: a factor (rows, columns)."""
    lots = layer.of([float(surface.use in ("lot", "stalls") and surface.kind != "grass") for surface in layer.surfaces])
    field = stack(canvas, ((9.0, 0.6), (2.2, 0.6)), 121)
    faded: Raster = np.exp(-0.22 * lots * np.clip(field - 0.7, 0, 1.5) - 0.05 * lots * smooth(canvas, 18.0, 125))
    return faded


PAINTERS = {"street": _street, "arterial": _street, "stalls": _stalls, "drive": _drive, "path": _path}
"""By Surface.use."""
