"""Roads: which of them can still be driven when parts of the ground are blocked."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mage_stac.hazards import raster
from mage_stac.scene.scene import Scene, Surface

Mask = NDArray[np.bool_]

CLEAR = 3.0
"""Width that a fire engine needs, m (French decree of 25 June 1980, article CO 2: 3 m for an engine way)."""
STEP = 2.0
"""Spacing of the cross-sections along a road, m."""


def passable(scene: Scene, blocked: Mask) -> dict[str, bool]:
    """`road-<index in Scene.surfaces>` -> whether a vehicle gets from one end to the other.

    A road with a middle line needs a clear width at every cross-section: CLEAR, or its whole width where it is
    narrower. One that is only a plan needs its clear ground to hang together.

    Args:
        scene: gives the roads.
        blocked: (rows, columns) over the scene, True where no vehicle passes.
    """
    found = {index: one for index, one in enumerate(scene.surfaces) if one.semantic == "road"}
    plans = [index for index, one in found.items() if not one.line]
    across = _across(scene, plans, blocked)
    return {f"road-{index}": _along(scene, one, blocked) if one.line else across[index] for index, one in found.items()}


def missing(scene: Scene) -> tuple[str, ...]:
    """A note for the truth of a scene that has no roads."""
    if any(surface.semantic == "road" for surface in scene.surfaces):
        return ()
    return (f"scene {scene.id!r} has no roads: which can be driven is not said",)


def _along(scene: Scene, surface: Surface, blocked: Mask) -> bool:
    points, left = raster.along(surface.line, STEP)
    width = max(surface.width, 1.0)
    spacing = width / max(2, round(width / 0.5))
    offset = np.arange(spacing / 2 - width / 2, width / 2, spacing)
    where = points[:, None] + left[:, None] * offset[:, None]
    on: Mask = np.all((where >= 0) & (where <= np.array(scene.size)), axis=2)
    free = ~raster.sample(scene, blocked, where[..., 0], where[..., 1])
    # Cross-sections off the scene say nothing about the road.
    free = free[np.all(on, axis=1)]
    return bool(np.all(_longest(free) * spacing >= min(CLEAR, 0.95 * width)))


def _longest(free: Mask) -> NDArray[np.intp]:
    """(N,) length of the longest run of True in each row of (N, M)."""
    count = np.zeros(len(free), np.intp)
    best = count.copy()
    for column in free.T:
        count = np.where(column, count + 1, 0)
        best = np.maximum(best, count)
    return best


def _across(scene: Scene, plans: list[int], blocked: Mask) -> dict[int, bool]:
    """Of roads known by their plan only: whether at least half of each is clear and no new gap cuts it."""
    shapes = [
        (raster.polygon(scene.surfaces[index].ring, scene.surfaces[index].holes), number)
        for number, index in enumerate(plans, 1)
    ]
    label = raster.burn(scene, shapes, scene.size[0] / blocked.shape[1])
    windows = ndimage.find_objects(label, len(plans))
    return {
        index: True if window is None else _whole(label[window] == number, blocked[window])
        for number, (index, window) in enumerate(zip(plans, windows, strict=True), 1)
    }


def _whole(plan: Mask, blocked: Mask) -> bool:
    if not (plan & blocked).any():
        return True
    _, before = ndimage.label(plan, np.ones((3, 3)))
    clear, _ = ndimage.label(plan & ~blocked, np.ones((3, 3)))
    sizes = np.bincount(clear.ravel())[1:]
    area = np.count_nonzero(plan)
    return bool(sizes.sum() >= 0.5 * area and np.count_nonzero(sizes > 0.1 * area) <= before)
