"""Ground: a Scene's surfaces painted as one raster of reflectance and one of meaning, as a survey would see them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mage_stac.scene import cover, fines, pavement, photos, turf
from mage_stac.scene.cadastre import Layer, survey
from mage_stac.scene.lattice import Canvas, Kept, Raster, smooth, stack, white
from mage_stac.scene.materials import material, pick
from mage_stac.scene.scene import SEMANTIC, Scene

OCTAVES = ((22.0, 0.5), (5.0, 0.45), (1.4, 0.4), (0.5, 0.35))
"""Cells (m) and weights of the brightness mottle that every material has, in its own measure."""
MOTTLE = {
    "grass": 0.16, "meadow": 0.24, "field": 0.15, "woodland": 0.3, "bare": 0.2, "dirt": 0.17, "mulch": 0.2,
    "sand": 0.1, "vegetable": 0.3, "crop_soil": 0.13, "gravel": 0.14, "water": 0.1, "silty_water": 0.1, "pool": 0.05,
    "asphalt": 0.075, "asphalt_old": 0.09, "asphalt_new": 0.055, "concrete": 0.075, "paving": 0.14,
    "brick_paving": 0.14, "wood_deck": 0.1, "fence": 0.1,
}  # fmt: skip
"""Standard deviation of ln brightness of the mottle, without the texel's own grain; 0.08 for others. Chosen
by eye beside the Joplin survey of ../shared/data."""


class Texture(NamedTuple):
    """What a survey sees of the ground; row 0 is north."""

    reflectance: Raster
    """(rows, columns, 3) red, green, blue, 0..1."""
    semantic: NDArray[np.uint8]
    """(rows, columns) codes of SEMANTIC."""
    soaked: Raster
    """(rows, columns) share of soaked soil, 0..1; (1, 1) without a flood."""


def texture(scene: Scene, texel: float = 0.3, kept: Kept | None = None) -> Texture:
    """The scene's ground.

    The grid covers the scene with whole texels of about `texel` metres. Depends on the scene only, so that two dates
    of one place share every patch and crack; given the same `kept`, these are made once.

    Raises:
        RenderError: a surface of an unknown material.
    """
    canvas = Canvas(size=scene.size, texel=texel, seed=scene.ground_seed, kept={} if kept is None else kept)
    layer = survey(scene.surfaces, canvas)
    grown = None
    if scene.photo is None:
        reflectance = _base(scene, layer, canvas)
        reflectance = turf.grow(reflectance, scene, layer, canvas)
        reflectance = pavement.wear(reflectance, layer, canvas)
    else:
        reflectance = photos.over(scene.photo, canvas)
        if scene.films or scene.flood is not None:
            grown = photos.growth_over(scene.photo, canvas)
    codes = np.array([SEMANTIC["ground"], *(SEMANTIC[surface.semantic] for surface in scene.surfaces)], np.uint8)
    semantic = codes.take(layer.index)
    reflectance, semantic = cover.films(reflectance, semantic, scene.films, canvas, scene.season, grown)
    if scene.debris is not None:
        reflectance, semantic = fines.strew(reflectance, semantic, scene.debris, canvas)
    soaked = np.zeros((1, 1), np.float32)
    if scene.flood is not None:
        reflectance, semantic, soaked = cover.water(reflectance, semantic, scene.flood, canvas, grown)
    bounded = np.ascontiguousarray(np.clip(reflectance, 0.0, 0.95), np.float32)
    return Texture(bounded, semantic, soaked)


def _base(scene: Scene, layer: Layer, canvas: Canvas) -> Raster:
    """Each surface in its colour, with the mottle and grain of its material."""
    kinds = [material(surface.kind, scene.season) for surface in scene.surfaces]
    colours = [(0.08, 0.08, 0.05), *(pick(kind, one.seed) for kind, one in zip(kinds, scene.surfaces, strict=True))]
    grain = layer.of([kind.grain for kind in kinds])
    mottle = canvas.once("mottle", layer.surfaces, lambda: _mottle(layer, canvas))
    fine = canvas.once("fine", (), lambda: 0.6 * white(canvas, 61) + 0.8 * smooth(canvas, 0.7, 62))
    brightness = np.exp(mottle + 0.6 * grain * fine)
    # Band by band in memory: what is laid over all bands alike then runs along rows, not along an axis of three.
    bands = [band.take(layer.index) * brightness for band in np.array(colours, np.float32).T]
    painted: Raster = np.moveaxis(np.stack(bands), 0, -1)
    return painted


def _mottle(layer: Layer, canvas: Canvas) -> Raster:
    """(rows, columns) ln of how much brighter than its material the ground is, by patches."""
    unit = stack(canvas, OCTAVES, 51) / np.float32(np.sqrt(sum(weight**2 for _, weight in OCTAVES)))
    return layer.of([MOTTLE.get(surface.kind, 0.08) for surface in layer.surfaces]) * unit
