"""Turf: what grows and wears on soft ground: dry and lush patches, mowing lines, bare earth, litter under trees."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from shapely import Polygon

from mage_stac.scene.cadastre import Layer, burn, window
from mage_stac.scene.lattice import Canvas, Raster, smooth, stack
from mage_stac.scene.materials import LEAFLESS, Rgb, material, pick
from mage_stac.scene.scene import Ring, Scene

GREEN = {"grass", "meadow", "field", "vegetable"}
EARTHY = {"grass", "meadow", "woodland", "bare", "dirt", "mulch", "vegetable"}
STRAW: Rgb = (0.215, 0.178, 0.108)
"""Dry lawn (USGS splib07 Grass_Golden_Dry and Lawn_Grass mixed with soil)."""
LUSH: dict[str, Rgb] = {
    "winter": (0.105, 0.115, 0.052),
    "spring": (0.050, 0.072, 0.033),
    "summer": (0.040, 0.070, 0.027),
    "autumn": (0.062, 0.084, 0.034),
    "tropical": (0.036, 0.072, 0.024),
}
DRYING = {"winter": 0.55, "spring": 0.6, "summer": 0.28, "autumn": 0.6, "tropical": 0.24}
"""How far patches go towards STRAW or LUSH."""


def grow(reflectance: Raster, scene: Scene, layer: Layer, canvas: Canvas) -> Raster:
    """Soft ground with its patches; hard ground is left as it is. Shapes as in ground.texture."""
    green, earthy = layer.where(GREEN), layer.where(EARTHY)
    result = _dry(reflectance, green, layer, scene.season, canvas)
    result = _mown(result, layer, canvas)
    result = _bare(result, green, scene.season, canvas)
    result = _under_trees(result, earthy, scene, canvas)
    return _round_walls(result, earthy, scene, canvas)


def mix(reflectance: Raster, colour: Rgb | Raster, share: Raster) -> Raster:
    """`colour` laid over `reflectance` with opacity `share` (rows, columns) 0..1."""
    result: Raster = np.subtract(np.asarray(colour, np.float32), reflectance)
    result *= share[..., None]
    result += reflectance
    return result


def _dry(reflectance: Raster, green: NDArray[np.bool_], layer: Layer, season: str, canvas: Canvas) -> Raster:
    """Towards straw or lush by patches of all sizes; every lawn has its own gardener."""
    share = DRYING[season] * canvas.once("dry", layer.surfaces, lambda: _patches(layer, canvas)) * green
    dried = mix(reflectance, STRAW, np.maximum(share, 0))
    return mix(dried, LUSH[season], np.maximum(-share, 0))


def _patches(layer: Layer, canvas: Canvas) -> Raster:
    """(rows, columns) -1 lush .. 1 dry."""
    lots = [
        float(np.random.default_rng([surface.seed, 1]).normal(0, 0.5)) if surface.use else 0.0
        for surface in layer.surfaces
    ]
    patches = stack(canvas, ((45.0, 0.4), (12.0, 0.4), (4.0, 0.35), (1.3, 0.25), (0.5, 0.15)), 71) + layer.of(lots)
    dry: Raster = np.tanh(0.55 * patches)
    return dry


def _mown(reflectance: Raster, layer: Layer, canvas: Canvas) -> Raster:
    """Stripes of a mower or plough, along each surface's own bearing."""
    x, y = canvas.x(), canvas.y()
    result = reflectance
    for number, surface in enumerate(layer.surfaces, 1):
        if surface.use not in ("mown", "lawn") or surface.kind not in ("grass", "field", "meadow", "crop_soil"):
            continue
        rng = np.random.default_rng([surface.seed, 2])
        if surface.use == "lawn" and rng.random() < 0.7:
            continue
        part = window(surface.ring, canvas)
        inside = layer.index[part] == number
        bearing = _bearing(surface.ring) + (np.pi / 2 if rng.random() < 0.5 else 0.0)
        across = x[:, part[1]] * np.float32(np.cos(bearing)) + y[part[0]] * np.float32(np.sin(bearing))
        wobble = across + 0.6 * np.sin(0.05 * (x[:, part[1]] - y[part[0]]))
        height = rng.uniform(0.02, 0.075)
        stripe = 1 + np.float32(height) * np.sin(wobble * np.float32(2 * np.pi / rng.uniform(1.6, 4.5)))
        result[part] *= np.where(inside, stripe, np.float32(1))[..., None]
    return result


def _bearing(ring: Ring) -> float:
    """Direction of the longest side, radians."""
    corners = np.array(ring)
    sides = np.roll(corners, -1, axis=0) - corners
    longest = sides[int(np.argmax(np.hypot(*sides.T)))]
    return float(np.arctan2(longest[1], longest[0]))


def _bare(reflectance: Raster, green: NDArray[np.bool_], season: str, canvas: Canvas) -> Raster:
    """Worn spots: where two scales of noise agree; some scenes have many, some none."""
    rng = canvas.rng(81)
    octaves = ((30.0, 0.6), (7.0, 0.6), (2.0, 0.45), (0.6, 0.25))
    field = canvas.once("bare", (), lambda: stack(canvas, octaves, 82))
    share = np.clip((field - np.float32(rng.uniform(1.25, 2.3))) * 1.4, 0, 0.75) * green
    return mix(reflectance, pick(material("bare", season), int(rng.integers(2**31))), share)


def _under_trees(reflectance: Raster, earthy: NDArray[np.bool_], scene: Scene, canvas: Canvas) -> Raster:
    """Leaf litter and thin grass under crowns."""
    trees = tuple((tree.x, tree.y, tree.radius) for tree in scene.trees if tree.species not in ("hedge", "shrub"))
    crowns = canvas.once("crowns", trees, lambda: _crowns(trees, canvas))
    ragged = canvas.once(
        "litter", (), lambda: np.clip(0.7 + 0.35 * smooth(canvas, 1.2, 91) + 0.3 * smooth(canvas, 4.0, 92), 0, 1)
    )
    strength = 0.75 if scene.season in LEAFLESS else 0.45
    floor = pick(material("woodland", scene.season), scene.ground_seed)
    return mix(reflectance, floor, strength * crowns * ragged * earthy)


def _crowns(trees: tuple[tuple[float, float, float], ...], canvas: Canvas) -> Raster:
    """(rows, columns) 0..1: how far in under a crown the ground lies; trees as x, y, radius, m."""
    crowns = np.zeros(canvas.shape, np.float32)
    x, y = canvas.x()[0], canvas.y()[:, 0]
    for east, north, radius in trees:
        reach = 1.15 * radius
        part = window(((east - reach, north - reach), (east + reach, north + reach)), canvas)
        away = ((x[part[1]] - east) ** 2)[None, :] + ((y[part[0]] - north) ** 2)[:, None]
        dose = np.clip(1 - away / np.float32(reach**2), 0, 1)
        crowns[part] = np.maximum(crowns[part], dose)
    return crowns


def _round_walls(reflectance: Raster, earthy: NDArray[np.bool_], scene: Scene, canvas: Canvas) -> Raster:
    """Beds and bare strips along walls, and the dead ground under a building, seen once it is gone."""
    plans = tuple((one.footprint, one.holes) for one in scene.buildings)
    beds, under = canvas.once("walls", plans, lambda: _beds(plans, canvas))
    result = mix(reflectance, pick(material("mulch", scene.season), 3), beds * earthy)
    return mix(result, pick(material("bare", scene.season), 5), under)


def _beds(plans: tuple[tuple[Ring, tuple[Ring, ...]], ...], canvas: Canvas) -> tuple[Raster, Raster]:
    """(rows, columns) 0..1: how much of a bed lies along walls, and of dead ground under buildings."""
    shapes = [Polygon(*plan) for plan in plans]
    beds = burn(((shape.buffer(0.8), 1) for shape in shapes), canvas) > 0
    under = burn(((shape, 1) for shape in shapes), canvas) > 0
    ragged = np.clip(0.45 + 0.5 * smooth(canvas, 1.5, 95), 0, 0.8)
    return ragged * beds, 0.9 * under.astype(np.float32)
