"""Parts: the pieces of a town as they are added up, in the order in which their ground is painted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mage_stac.scene.scene import Building, Surface, Tree


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    ground: tuple[Surface, ...] = ()
    """Lawns, woods, fields: under everything built."""
    built: tuple[Surface, ...] = ()
    """Drives, lots, paths, pools, fences: over the ground, under the streets."""
    buildings: tuple[Building, ...] = ()
    trees: tuple[Tree, ...] = ()


def total(parts: Iterable[Parts]) -> Parts:
    """All of them as one, in order."""
    every = tuple(parts)
    return Parts(
        ground=tuple(surface for part in every for surface in part.ground),
        built=tuple(surface for part in every for surface in part.built),
        buildings=tuple(building for part in every for building in part.buildings),
        trees=tuple(tree for part in every for tree in part.trees),
    )
