"""Visible: how much of each building's grade the image after the event can show."""

from __future__ import annotations

import numpy as np
import shapely

from mage_stac.hazards import raster
from mage_stac.hazards.hazard import Truth
from mage_stac.scene.materials import LEAFLESS
from mage_stac.scene.scene import Scene, Tree

OPAQUE, TWIGGY = 0.9, 0.3
"""Share of what lies under a crown that it hides, in leaf and bare."""


def shares(scene: Scene, truth: Truth) -> dict[str, float]:
    """Building.id -> 0..1: what a view from the zenith shows of the grade, times the roof's share free of crowns.

    Args:
        scene: after the event.
        truth: gives the first factor where a hazard knows it; an undamaged building is as plain as its roof.
    """
    plans = raster.footprints(scene.buildings)
    hidden = np.zeros(len(plans))
    crowns = [(tree, _opacity(tree, scene.season)) for tree in scene.trees]
    crowns = [(tree, opacity) for tree, opacity in crowns if opacity > 0]
    if crowns and plans:
        circles = shapely.buffer(
            shapely.points([(tree.x, tree.y) for tree, _ in crowns]), [tree.radius for tree, _ in crowns], quad_segs=4
        )
        tops = np.array([tree.height for tree, _ in crowns])
        under, over = shapely.STRtree(circles).query(plans, predicate="intersects")
        eaves = np.array([one.height for one in scene.buildings])
        for number in np.unique(under):
            above = over[(under == number) & (tops[over] > eaves[number])]
            for opacity in (OPAQUE, TWIGGY):
                those = [one for one in above if crowns[one][1] == opacity]
                shade = shapely.intersection(plans[number], shapely.union_all(circles[those]))
                hidden[number] += opacity * shapely.area(shade) / max(shapely.area(plans[number]), 1e-9)
    return {
        one.id: float(truth.visible.get(one.id, 1.0) * (1.0 - min(part, 1.0)))
        for one, part in zip(scene.buildings, hidden.tolist(), strict=True)
    }


def _opacity(tree: Tree, season: str) -> float:
    if tree.state not in {"standing", "scorched"} or tree.species in {"shrub", "hedge"}:
        return 0.0
    return TWIGGY if season in LEAFLESS and tree.species == "broadleaf" else OPAQUE
