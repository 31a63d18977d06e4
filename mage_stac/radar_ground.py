"""What a radar tells of the ground that the label pass does not: fields that differ, and what a photograph shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mage_stac.backscatter import COMMON, Backscatter
from mage_stac.passes import Labels
from mage_stac.scene import photos
from mage_stac.scene.cadastre import survey
from mage_stac.scene.lattice import Canvas
from mage_stac.scene.scene import SEMANTIC, Scene

HALF = 0.5
"""Share of a cell that plants or crowns must have to be what it is."""


def photographed(seen: Labels, scene: Scene, canvas: Canvas) -> Labels:
    """A label pass in which bare ground of a photographed scene is what grows there by the photograph's colours.

    Crowns return as trees do, but lie flat: their heights are not known, so they throw no shadow and are not laid over.

    Args:
        seen: the label pass, (rows, columns).
        scene: of the same date.
        canvas: the grid of the pass.
    """
    if scene.photo is None:
        return seen
    grown = photos.growth_over(scene.photo, canvas)
    plain = seen.semantic == SEMANTIC["ground"]
    semantic = np.where(plain & (grown.plants > HALF), np.uint8(SEMANTIC["grass"]), seen.semantic)
    return replace(seen, semantic=np.where(plain & (grown.crowns > HALF), np.uint8(SEMANTIC["tree"]), semantic))


def differences(
    seen: Labels, scene: Scene, canvas: Canvas, tables: Sequence[Backscatter], rng: np.random.Generator
) -> NDArray[np.float32] | None:
    """(polarisations, rows, columns) dB by which fields and other surfaces differ from their table, None for nowhere.

    One draw for each surface of the scene, on each date anew, for crops grow and soils dry; it holds where the surface
    shows. One draw for all water: that day's wind. On the date of a flood ground is soaked by its share.

    Args:
        seen: the label pass, (rows, columns).
        scene: of the same date.
        canvas: the grid of the pass.
        tables: of each polarisation.
        rng: draws; nothing where no table has a spread.
    """
    if not any(table.spread for table in tables):
        return None
    layer = survey(scene.surfaces, canvas)
    codes = np.array([SEMANTIC["ground"], *(SEMANTIC[one.semantic] for one in scene.surfaces)], np.uint8)
    shows = codes[layer.index] == seen.semantic
    wet = seen.semantic == SEMANTIC["water"]
    drawn = rng.standard_normal((1 + len(tables), 1 + len(scene.surfaces)))
    made = []
    for own, table in zip(drawn[1:], tables, strict=True):
        unit = np.sqrt(COMMON) * drawn[0] + np.sqrt(1.0 - COMMON) * own
        spread = [table.spread.get(one.semantic, 0.0) for one in scene.surfaces]
        found = np.where(shows, layer.of((spread * unit[1:]).tolist()), 0.0)
        if scene.flood is not None:
            found = found + np.float32(scene.flood.soaked) * _soaked(table)[seen.semantic]
        made.append(np.where(wet, table.spread.get("water", 0.0) * unit[0], found))
    return np.stack(made).astype(np.float32)


def _soaked(table: Backscatter) -> NDArray[np.float32]:
    """(256,) dB by code of SEMANTIC."""
    more = np.zeros(256, np.float32)
    for name, decibels in table.soaked.items():
        more[SEMANTIC[name]] = decibels
    return more
