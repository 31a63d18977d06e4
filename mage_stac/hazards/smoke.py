"""Smoke: how thick it lies between the ground and a sensor above, downwind of what burns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.signal import fftconvolve

from mage_stac.hazards import raster
from mage_stac.scene import mottle
from mage_stac.scene.scene import Scene, Smoke

Floats = NDArray[np.float64]

CELL, MOST_CELLS = 2.5, 160_000
"""Side of the cells that smoke is computed on, m, larger where a scene would have more than so many."""
HOUSE = 7.3
"""Smoke of a burning house, m2 of extinction per second and m2 of plan at 0.55 um: 500 kW/m2 over 18 MJ/kg make 28 g of
fuel a second, of which 3 % become smoke (wood 1.5 %, plastics 6 % and more: Mulholland, SFPE handbook) of 8.7 m2/g
(Mulholland and Croarkin 2000, doi:10.1002/1099-1018(200009/10)24:5<227::AID-FAM742>3.0.CO;2-9)."""
GROUND = 0.1
"""The same of burning vegetation: 0.7 kg/m2 in FLAMING seconds, 10 g/kg as fine particles (Akagi et al. 2011,
doi:10.5194/acp-11-4039-2011) of 4.5 m2/g (Reid et al. 2005, doi:10.5194/acp-5-827-2005)."""
BURNING, FLAMING = 3600.0, 300.0
"""How long a house, and the ground, burn, s."""
SMOULDER = 0.04
"""Share of that smoke that rises afterwards, for hours."""
LEAST_WIND = 1.0
"""m/s that carry smoke even in a calm."""


def spread(distance: Floats) -> Floats:
    """Standard deviation across the wind, m, of a plume `distance` m downwind of its source.

    Briggs's curve for open country in neutral air, 0.08 x / sqrt(1 + 0.0001 x) (Gifford 1976).
    """
    result: Floats = 0.08 * distance / np.sqrt(1.0 + 1e-4 * distance)
    return result


def kernel(rows: int, columns: int, cell: float, wind: float, bearing: float) -> Floats:
    """(2 rows - 1, 2 columns - 1) optical depth, at cells around its middle, of one m2/s of extinction in the middle.

    A Gaussian plume summed over its height: E / (u sqrt(2 pi) s(x)) exp(-y^2 / 2 s(x)^2), x metres downwind and y
    across; what crosses any line across the wind is E. A source is as wide as its cell.
    """
    south, east = np.meshgrid(np.arange(1 - rows, rows) * cell, np.arange(1 - columns, columns) * cell, indexing="ij")
    to = np.radians(bearing)
    along, across = east * np.sin(to) - south * np.cos(to), east * np.cos(to) + south * np.sin(to)
    # A cell that smokes lies half under its own smoke.
    wide = np.hypot(spread(np.maximum(along, 0.0)), 0.5 * cell)
    depth = np.exp(-0.5 * (across / wide) ** 2) / (max(wind, LEAST_WIND) * np.sqrt(2 * np.pi) * wide)
    result: Floats = depth * np.clip(along / cell + 0.5, 0.0, 1.0)
    return result


def depth(emission: Floats, cell: float, wind: float, bearing: float) -> Floats:
    """(rows, columns) optical depth at 0.55 um over cells that emit `emission` m2 of extinction per second and m2.

    Args:
        emission: (rows, columns), row 0 north.
        cell: side of a cell, m.
        wind: m/s.
        bearing: where it blows to, degrees clockwise from north.
    """
    rows, columns = emission.shape
    plume = kernel(rows, columns, cell, wind, bearing)
    # The rounding of the transform leaves values about zero where no smoke is.
    total = fftconvolve(emission * cell**2, plume)[rows - 1 : 2 * rows - 1, columns - 1 : 2 * columns - 1]
    return np.where(total > 1e-9 * max(float(total.max()), 1.0), total, 0.0)


def emission(age: Floats, strength: float, burning: float) -> Floats:
    """m2/s of extinction of what caught fire `age` s ago (negative, inf or nan: not yet), `strength` while it burns."""
    lit = np.isfinite(age) & (age >= 0)
    return np.where(lit, np.where(age < burning, strength, SMOULDER * strength), 0.0)


def over(scene: Scene, ground: Floats, homes: Floats, now: float, wind: tuple[float, float], seed: int) -> Smoke | None:
    """The smoke over a scene `now` seconds after the fire came; None where nothing burns or smoulders.

    Args:
        scene: gives the houses.
        ground: (rows, columns) s at which the ground caught fire, inf where it did not.
        homes: (N,) s at which the houses did.
        now: s.
        wind: m/s, and the bearing that it blows to, degrees.
        seed: of the puffs.
    """
    nominal = raster.affordable(scene, CELL, MOST_CELLS)
    x, y = np.meshgrid(*raster.centres(scene, nominal))
    out = emission(now - raster.sample(scene, ground, x, y), GROUND, FLAMING)
    plans = raster.footprints(scene.buildings)
    house = raster.burn(scene, zip(plans, range(1, len(plans) + 1), strict=True), nominal)
    given = np.concatenate([[0.0], emission(now - homes, HOUSE, BURNING)])
    out = np.maximum(out, given[house])
    if not out.any():
        return None
    cell = raster.step(scene, nominal)
    thick = _billowed(depth(out, cell, *wind), cell, x, y, seed)
    return Smoke(depth=thick.astype(np.float32), seed=seed)


def _billowed(thick: Floats, cell: float, x: Floats, y: Floats, seed: int) -> Floats:
    """The mean plume as it looks at one moment: swaying, ragged, in puffs; as much smoke in all, about."""
    sway = [
        16.0 * (mottle.field(x, y, 70.0, seed + axis) - 0.5) + 9.0 * (mottle.rough(x, y, 18.0, seed + axis) - 0.5)
        for axis in (1, 2)
    ]
    rows, columns = (np.arange(size) for size in thick.shape)
    where = np.array(np.meshgrid(rows, columns, indexing="ij"), float) + np.array(sway) / cell
    puffs = np.exp(4.0 * (mottle.rough(x, y, 22.0, seed) - 0.5))
    # Without smoke beyond the scene, what sways in from there would leave gaps along its edge.
    moved: Floats = ndimage.map_coordinates(thick, where, order=1, mode="nearest")
    return moved * puffs / max(float(puffs.mean()), 1e-9)
