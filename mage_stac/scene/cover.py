"""Cover: what a hazard leaves on the ground, painted over it: films of mud, ash or rubble, and flood water."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mage_stac.scene import moisture
from mage_stac.scene.growth import Growth
from mage_stac.scene.lattice import Canvas, Raster, smooth, stack, white
from mage_stac.scene.materials import MATERIALS, Material, material, pick
from mage_stac.scene.plants import SCORCHED
from mage_stac.scene.scene import SEMANTIC, Film, Flood
from mage_stac.scene.turf import mix

FILMS: dict[str, Material] = {
    "mud": Material(variants=((0.235, 0.190, 0.140), (0.270, 0.222, 0.168), (0.205, 0.168, 0.128)), grain=0.05),
    "burnt_ground": Material(
        variants=((0.042, 0.038, 0.034), (0.055, 0.048, 0.042), (0.034, 0.032, 0.031)), spread=0.15, grain=0.30
    ),
    "ash_ground": Material(variants=((0.270, 0.262, 0.250), (0.215, 0.208, 0.198)), spread=0.15, grain=0.25),
    "rubble_fine": Material(
        variants=((0.350, 0.315, 0.265), (0.395, 0.362, 0.318), (0.310, 0.283, 0.248)), spread=0.08, grain=0.30
    ),
}
"""Kinds of Film beside those of materials.MATERIALS. Broad-band means, chosen as those there: wet and dry loams for
mud, char with bare soil for burnt ground, plaster and limestone for rubble."""
COVERING = {"rubble_fine": "debris"}
"""Kinds of film that are what the ground is where they cover more than half of it."""
LOADED, CLEAR = (0.245, 0.195, 0.132), (0.016, 0.024, 0.019)
"""Reflectance of deep water: loaded with soil as Ritchie et al. (2003, doi:10.14358/PERS.69.6.695) show it, and clear
over a dark bed."""
FADING = (1.2, 18.0)
"""Diffuse attenuation, 1/m, of clear and of loaded water: the bed is seen through exp(-2 * attenuation * depth)."""
STANDS = 4.0
"""Depth of water that crowns in a photograph are taken to stand out of, m; deeper, fewer and fewer do."""
BROWN_SHARE, DETAIL = 0.4, 0.6
"""Share of a photograph's crowns whose leaves hang on after a fire, scorched; and how much of the image's detail shows
in these and in char, as an exponent."""
STUBBLE = {"grass": 0.10, "field": 0.18, "ground": 0.12, "tree": 0.12}
"""Unevenness of ground that makes a flood's edge ragged, standard deviation in m; 0.02 elsewhere."""
BASINS = ((300.0, 0.12), (110.0, 0.08))
"""Unevenness of a flood's turbidity: features in m and standard deviation. Where water stands still soil settles."""
CROP, CROP_SPREAD, CROP_SIZE, CROP_SHARE = 0.45, 0.35, 70.0, 0.6
"""Height of crops, mean and standard deviation between parcels of about CROP_SIZE, all m, and the share of the ground
that they hide: from salad and stubble to maize and artichokes, which stand out of the water where it is shallower."""
DAMP, DAMP_WIDTH = 0.72, 1.2
"""Brightness of soaked ground beside the water, and the width of that rim, m."""


def films(
    reflectance: Raster,
    semantic: NDArray[np.uint8],
    covers: tuple[Film, ...],
    canvas: Canvas,
    season: str,
    grown: Growth | None = None,
) -> tuple[Raster, NDArray[np.uint8]]:
    """Lay the films over the ground, the first lowest. Arrays as in ground.texture.

    What is `grown`, on a photograph, tells where the ground can burn and which of it are crowns.

    Raises:
        RenderError: a film of an unknown material.
    """
    for number, film in enumerate(covers):
        kind = FILMS.get(film.kind) or material(film.kind, season)
        key = 200 + 10 * number
        ragged = 0.45 * smooth(canvas, 1.1, key) + 0.25 * smooth(canvas, 0.4, key + 1)
        share = canvas.resampled(film.cover)
        # A share of 0 or 1 stays what it is; between them the film breaks up into patches.
        share = np.clip(share + 4 * share * (1 - share) * 0.5 * ragged, 0.0, 1.0)
        tone = np.exp(0.6 * kind.grain * (0.6 * white(canvas, key + 2) + 0.8 * smooth(canvas, 0.7, key + 3)))
        tone *= np.exp(0.12 * smooth(canvas, 6.0, key + 4))
        if film.kind == "burnt_ground" and grown is not None:
            detail = grown.tone ** np.float32(DETAIL)
            tone *= detail
            brown = share * grown.crowns * _browned(canvas, key + 5)
            reflectance = mix(reflectance, np.array(SCORCHED, np.float32) * detail[..., None], brown)
            share = share * grown.plants * (1 - brown)
        reflectance = mix(reflectance, np.array(pick(kind, film.seed), np.float32) * tone[..., None], share)
        if film.kind in COVERING:
            semantic = np.where(share > 0.5, np.uint8(SEMANTIC[COVERING[film.kind]]), semantic)
    return reflectance, semantic


def _browned(canvas: Canvas, key: int) -> Raster:
    """1 where crowns keep scorched leaves, 0 where fire took them, tree by tree."""
    limit = np.float32(NormalDist().inv_cdf(1 - BROWN_SHARE))
    return np.asarray(smooth(canvas, 7.0, key) > limit, np.float32)


def water(
    reflectance: Raster,
    semantic: NDArray[np.uint8],
    flood: Flood,
    canvas: Canvas,
    grown: Growth | None = None,
) -> tuple[Raster, NDArray[np.uint8], Raster]:
    """Let flood water stand on the ground: by its depth the bed shows through less, and the soil around is damp.

    Crowns `grown` on a photograph stand out of it.

    Returns:
        The ground's reflectance and codes of SEMANTIC, as given, and the share (rows, columns) of soaked soil, 0..1.
    """
    names = {code: name for name, code in SEMANTIC.items()}
    uneven = np.array([STUBBLE.get(names.get(code, ""), 0.02) for code in range(256)], np.float32)[semantic]
    smoothed = canvas.resampled(flood.depth)
    depth = np.where(smoothed > 0, smoothed + uneven * smooth(canvas, 0.6, 301), 0.0)
    standing = np.zeros_like(depth) if grown is None else grown.crowns * np.clip(2 - depth / STANDS, 0.0, 1.0)
    wet = (depth > 0) & ~_emergent(depth, semantic, canvas)
    rim = np.exp(-np.square(ndimage.distance_transform_edt(~wet, sampling=canvas.step) / DAMP_WIDTH)).astype(np.float32)
    damp = reflectance * (1 - (1 - DAMP) * rim * (0.8 + 0.2 * smooth(canvas, 1.5, 302)))[..., None]
    soaked = moisture.soaked(reflectance, semantic, wet, flood.soaked, canvas)
    loaded, clear = np.array(LOADED, np.float32), np.array(CLEAR, np.float32)
    room = 4 * flood.turbidity * (1 - flood.turbidity)  # all clear and all loaded stay what they are
    turbidity = np.clip(flood.turbidity + np.float32(room) * stack(canvas, BASINS, 306), 0.0, 1.0)
    colour = loaded ** turbidity[..., None] * clear ** (1 - turbidity[..., None])
    streaks = np.exp(0.05 * smooth(canvas, 30.0, 303) + 0.03 * smooth(canvas, 7.0, 304) + 0.01 * white(canvas, 305))
    fading = FADING[0] * (FADING[1] / FADING[0]) ** turbidity
    through = np.exp(-2 * fading * np.maximum(depth, 0.0)).astype(np.float32)
    under = mix(colour * streaks[..., None].astype(np.float32), damp * np.float32(DAMP), through)
    dry = damp * moisture.darkened(soaked)[..., None]
    result = np.where(wet[..., None], mix(under, reflectance, standing), dry)
    codes = np.where(wet & (standing < 0.5), np.uint8(SEMANTIC["water"]), semantic)
    return result.astype(np.float32), codes, soaked


def _emergent(depth: Raster, semantic: NDArray[np.uint8], canvas: Canvas) -> NDArray[np.bool_]:
    """Texels in which a crop hides the water that it stands in: fewer the less of it is above."""
    tall = np.maximum(CROP + CROP_SPREAD * smooth(canvas, CROP_SIZE, 308), 0.0)
    above = np.clip(1 - depth / np.maximum(tall, 0.01), 0.0, 1.0)
    shown = canvas.rng(309).random(canvas.shape, dtype=np.float32) < CROP_SHARE * above
    hidden: NDArray[np.bool_] = (semantic == SEMANTIC["field"]) & (depth > 0) & shown
    return hidden


def raised(heights: NDArray[np.float32], flood: Flood) -> NDArray[np.float32]:
    """Terrain on corner nodes (Geometry.ground_z) lifted to the water's surface, on the flood's finer grid."""
    rows, columns = flood.depth.shape
    where = np.meshgrid(
        np.linspace(0, heights.shape[0] - 1, rows + 1), np.linspace(0, heights.shape[1] - 1, columns + 1), indexing="ij"
    )
    ground = ndimage.map_coordinates(heights.astype(np.float64), where, order=1, mode="nearest")
    # A node takes the deepest of its cells' mean and nothing where one of them is dry: the sheet ends on the ground.
    padded = np.pad(flood.depth.astype(np.float64), 1, mode="edge")
    corners = np.stack([padded[:-1, :-1], padded[1:, :-1], padded[:-1, 1:], padded[1:, 1:]])
    depth = np.where(corners.min(axis=0) > 0, corners.mean(axis=0), 0.0)
    lifted: NDArray[np.float32] = (ground + depth).astype(np.float32)
    return lifted


def known(kind: str) -> bool:
    """Whether a Film may be of this kind."""
    return kind in FILMS or kind in MATERIALS
