"""Fixtures: chimneys, vents, skylights, machines and solar panels on a whole roof."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from mage_stac.scene import mesh, shells
from mage_stac.scene.materials import material, pick
from mage_stac.scene.mesh import Mesh
from mage_stac.scene.shells import Shell

Array = NDArray[np.float64]

GREYS = ((0.5, 0.5, 0.48), (0.36, 0.37, 0.37), (0.62, 0.62, 0.6))
VENTS = ((0.07, 0.07, 0.07), (0.45, 0.45, 0.44), (0.6, 0.6, 0.58))
GLASS = (0.35, 0.42, 0.48)
SOLAR = (0.03, 0.035, 0.06)
"""Reflectances of machines, vent pipes, skylights and photovoltaic panels, by eye."""
HOMES = {"house", "apartment", "school", "church"}


def build(shell: Shell) -> Mesh:
    """What stands on the roof, few of each, by the kind of roof and the building's seed."""
    if not len(shell.tiles.u) or shell.photographed:
        return mesh.join([])
    rng = np.random.default_rng([shell.building.seed, 2])
    if shell.building.roof == "flat":
        area = min(shell.outline.area, 4000.0)
        units = _boxes(shell, rng, int(rng.poisson(area / 180)), (1.0, 2.6), (0.8, 1.5), GREYS)
        return mesh.join([units, _boxes(shell, rng, int(rng.poisson(area / 120)), (0.3, 0.6), (0.3, 0.6), GREYS)])
    parts = [_boxes(shell, rng, int(rng.integers(0, 5)), (0.25, 0.45), (0.3, 0.5), VENTS)]
    if shell.building.kind in HOMES:
        chimney, skylight, solar = rng.random(3)
        if chimney < 0.3:
            brick = pick(material("brick_red"), shell.building.seed)
            parts.append(_boxes(shell, rng, 1, (0.7, 1.1), (1.2, 2.0), (brick,)))
        if skylight < 0.08:
            parts.append(_skylights(shell, rng))
        if solar < 0.05:
            parts.append(_solar(shell, rng))
    return mesh.join(parts)


def _boxes(
    shell: Shell,
    rng: np.random.Generator,
    count: int,
    side: tuple[float, float],
    height: tuple[float, float],
    colours: Sequence[tuple[float, float, float]],
) -> Mesh:
    """Upright boxes on random roof cells, square to the building."""
    at = _spots(shell, rng, count, side[1])
    sunk = 0.3  # into the slope, so that no gap shows on its lower side
    size = np.column_stack([rng.uniform(*side, (len(at), 2)), rng.uniform(*height, len(at)) + sunk])
    tint = np.array(colours)[rng.integers(len(colours), size=len(at))].reshape(-1, 3)
    yaw = float(np.arctan2(shell.axes[0, 1], shell.axes[0, 0]))
    origin = at + np.array([0.0, 0.0, shell.building.base - sunk])
    template = mesh.box(semantic="building")
    return mesh.copies(template, origin, mesh.frames(yaw, size), tint, instance=np.uint32(shell.instance))


def _spots(shell: Shell, rng: np.random.Generator, count: int, clear: float) -> Array:
    """(N, 3) points on the roof, at most `count`, half of `clear` m inside the walls; z above the base."""
    tiles = shell.tiles
    inner = shell.outline.buffer(-0.5 * clear)
    inside = np.flatnonzero(shapely.contains_xy(inner, tiles.xy[:, 0], tiles.xy[:, 1]))
    chosen = rng.choice(inside, count) if len(inside) and count else inside[:0]
    points: Array = tiles.corners[chosen].mean(axis=1)
    return points


def _skylights(shell: Shell, rng: np.random.Generator) -> Mesh:
    chosen = rng.integers(len(shell.tiles.u), size=1 + int(rng.integers(2)))
    return shells.on_slope(shell, chosen, np.tile([0.9, 1.3, 1.0], (len(chosen), 1)), np.array(GLASS))


def _solar(shell: Shell, rng: np.random.Generator) -> Mesh:
    """A block of panels on the slope that faces south the most."""
    tiles = shell.tiles
    own = np.flatnonzero(tiles.face == int(np.argmax([plane.slope[1] for plane in shell.planes])))
    if not len(own):
        return mesh.join([])
    u, v = np.median(tiles.u[own]), np.median(tiles.v[own])
    reach = rng.uniform(1.5, 3.5), rng.uniform(0.9, 1.8)
    inside = own[(np.abs(tiles.u[own] - u) < reach[0]) & (np.abs(tiles.v[own] - v) < reach[1])]
    corners = tiles.corners[inside] + np.array([0.0, 0.0, shell.building.base + 0.12])
    return mesh.faces(corners, SOLAR, semantic="building", instance=shell.instance)
