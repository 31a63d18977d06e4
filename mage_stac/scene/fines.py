"""Fines: what of debris is too small to be a piece: specks, splinters and smeared earth on the ground."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mage_stac.scene.lattice import Canvas, Raster, smooth
from mage_stac.scene.materials import PIECES
from mage_stac.scene.scene import SEMANTIC, Debris
from mage_stac.scene.turf import mix

THICK = 0.35
"""Pieces per square metre from which debris is what the ground is."""
REACH = 8.0
"""Fines lie further out than pieces, m."""
SMEAR = (0.178, 0.126, 0.100)
"""Earth, plaster dust and torn leaves."""


def strew(
    reflectance: Raster, semantic: NDArray[np.uint8], debris: Debris, canvas: Canvas
) -> tuple[Raster, NDArray[np.uint8]]:
    """Specks of a texel or two in the colours of the debris' pieces, thicker where pieces lie thicker.

    Arrays as in ground.texture. The semantic turns to debris where it lies at least THICK.
    """
    density = canvas.resampled(debris.density)
    spread = ndimage.uniform_filter(density, int(2 * REACH / canvas.texel) + 1, mode="nearest")
    soft = np.isin(semantic, [SEMANTIC[name] for name in ("grass", "bare", "field", "ground")])
    thick = np.where(soft, 0.6 * density + 0.4 * spread, density)
    clumped = thick * np.exp(0.6 * smooth(canvas, 2.5, 101) + 0.4 * smooth(canvas, 0.8, 102))
    smeared = mix(reflectance, SMEAR, np.where(soft, 0.6, 0.3) * (1 - np.exp(-1.0 * clumped)))
    rng = canvas.rng(103)
    specks = rng.random(canvas.shape, dtype=np.float32) < 1 - np.exp(-0.22 * clumped)
    names = [kind for kind, _ in debris.mix if kind in PIECES]
    shares = np.array([share for kind, share in debris.mix if kind in PIECES])
    palette = np.array([colour for name in names for colour in PIECES[name].variants], np.float32)
    variants = np.array([len(PIECES[name].variants) for name in names])
    odds = np.repeat(shares / variants, variants)
    count = int(specks.sum())
    result = smeared
    if len(palette):
        drawn = palette[rng.choice(len(palette), count, p=odds / odds.sum())]
        cover = rng.uniform(0.3, 0.95, (count, 1)).astype(np.float32)
        result[specks] += cover * (drawn - result[specks])
    return result, np.where(density >= THICK, np.uint8(SEMANTIC["debris"]), semantic)
