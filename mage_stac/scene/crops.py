"""Crops: how tall they stand and how much of the ground they hide, parcel by parcel."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mage_stac.scene.cadastre import Layer
from mage_stac.scene.lattice import Canvas, Raster, smooth

TALL = {"field": (0.3, 1.5), "vegetable": (0.3, 0.7), "meadow": (0.1, 0.5)}
"""Heights of full-grown crops by material, m: Allen et al. (1998), FAO Irrigation and Drainage Paper 56, table 12, from
lettuce and broccoli (0.3) by artichokes and peppers (0.7) to cereals and cotton (1 to 1.5); grazed to rank grass."""
GROWN = (0.2, 1.0)
"""How much of that they have reached."""
HIDES = (0.3, 0.95)
"""Share of the ground that leaves hide, from rows just planted to a closed canopy."""
UNEVEN = (12.0, 0.15)
"""Unevenness of a crop's height: features in m and standard deviation, by eye."""


class Crops(NamedTuple):
    """What stands on each texel; both (rows, columns)."""

    height: Raster
    """m; 0 where nothing is grown."""
    hides: Raster
    """Share of the ground that it hides from above, 0..1."""


def standing(layer: Layer, canvas: Canvas) -> Crops:
    """The crops of a scene's surfaces; each surface's own seed draws them, so that both dates have the same."""
    height, hides = [], []
    for surface in layer.surfaces:
        rng = np.random.default_rng([surface.seed, 4])
        height.append(float(rng.uniform(*TALL.get(surface.kind, (0.0, 0.0))) * rng.uniform(*GROWN)))
        hides.append(float(rng.uniform(*HIDES)))
    size, spread = UNEVEN
    uneven = np.exp(np.float32(spread) * smooth(canvas, size, 308))
    return Crops(height=layer.of(height) * uneven, hides=layer.of(hides))


def emergent(crops: Crops, depth: Raster, canvas: Canvas) -> NDArray[np.bool_]:
    """(rows, columns) True on texels in which a crop hides the water that it stands in: fewer the less is above it.

    Args:
        crops: what stands there.
        depth: (rows, columns) m of water.
        canvas: the texture's grid.
    """
    above = np.clip(1 - depth / np.maximum(crops.height, 1e-3), 0.0, 1.0)
    shown = canvas.rng(309).random(canvas.shape, dtype=np.float32) < crops.hides * above
    return np.asarray(shown & (depth > 0))
