"""Moisture: soil that rain and flood have soaked, darker in every band and darkest in the short-wave infrared.

A part of the soil is covered by a film of water, the rest is dry (MARMIT, Bablet et al. 2018,
doi:10.1016/j.rse.2018.07.031). Under the film the visible and near infrared fall to about a half (Lobell and Asner
2002, doi:10.2136/sssaj2002.7220), the short waves by what water takes of them besides.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mage_stac.scene.lattice import Canvas, Raster, stack
from mage_stac.scene.scene import SEMANTIC

DARKENED = 0.5
"""Reflectance of saturated over that of dry soil in the visible and the near infrared."""
FILM = 0.3
"""Thickness of the film, mm: with it the short waves fall to 0.33 and 0.19, about as saturated soils of Lobell and
Asner (from memory of their spectra)."""
ABSORPTION = (0.0, 0.67, 1.65)
"""Of water in infrared.BANDS, 1/mm: Kou et al. (1993), doi:10.1364/AO.32.003531, at 0.85, 1.61 and 2.19 um."""
PATCHES = ((220.0, 0.18), (60.0, 0.14), (9.0, 0.08))
"""Unevenness of how much soil is soaked: features in m and standard deviation, from fields that drain well and badly
down to furrows; by eye."""
SEEPAGE = 8.0
"""Metres from standing water over which the share of soaked soil falls to 1/e, by eye."""
LUSH = 0.15
"""(green - red) / (green + red) from which leaves hide the soil: of the lawns and crops of scene/materials.py."""
POROUS = ("ground", "grass", "field", "bare")


def soaked(
    reflectance: Raster, semantic: NDArray[np.uint8], wet: NDArray[np.bool_], share: float, canvas: Canvas
) -> Raster:
    """Share of each texel that is soaked soil, (rows, columns) 0..1; none of it where water stands.

    Args:
        reflectance: (rows, columns, 3) red, green, blue of the dry ground.
        semantic: (rows, columns) codes of SEMANTIC.
        wet: (rows, columns) True where water shows.
        share: mean over the ground, 0..1.
        canvas: the texture's grid.
    """
    patchy = share + 4 * share * (1 - share) * stack(canvas, PATCHES, 321)  # none and all stay what they are
    seeping = np.exp(-ndimage.distance_transform_edt(~wet, sampling=canvas.step) / SEEPAGE) if wet.any() else 0.0
    red, green = reflectance[..., 0], reflectance[..., 1]
    bare = 1 - np.clip((green - red) / np.maximum(green + red, 1e-6) / LUSH, 0.0, 1.0)
    porous = np.isin(semantic, [SEMANTIC[name] for name in POROUS]) & ~wet
    return np.asarray(np.clip(np.maximum(patchy, seeping), 0.0, 1.0) * bare * porous, dtype=np.float32)


def darkened(soaked: Raster) -> Raster:
    """Factor (rows, columns) of the reflectance in the visible and near infrared."""
    return 1 - np.float32(1 - DARKENED) * soaked


def absorbed(soaked: Raster) -> Raster:
    """Factors (rows, columns, 3) of the reflectance in infrared.BANDS beyond those of `darkened`."""
    through = DARKENED * np.exp(-2 * FILM * np.array(ABSORPTION, np.float32))
    return np.asarray((1 - (1 - through) * soaked[..., None]) / darkened(soaked)[..., None], dtype=np.float32)
