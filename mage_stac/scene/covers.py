"""Covers: damage to a roof's covering: torn patches, bare decking, and the tarpaulins that come after."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from mage_stac.scene import fixtures, mesh, mottle, pieces, shells, tiling
from mage_stac.scene.materials import material, pick
from mage_stac.scene.mesh import Mesh
from mage_stac.scene.plans import to_rim
from mage_stac.scene.shells import Shell

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

TARPAULINS = {"blue": 0.86, "white": 0.07, "red": 0.03, "green": 0.02, "black": 0.02}
"""Colours and shares; after the Joplin image of 2011, where nearly all are blue."""
COURSE = 0.6
"""Height of the strips in which covering tears off, m: three or four courses of shingles."""
BOARD = 1.2
"""Half the length of a decking board, m (boards are 1.2 by 2.4 m)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """In which order the parts of a roof go: 0 first, 1 last, by share of the roof's area."""

    rank: Array
    """(T,) for each tile."""

    def lost(self, fraction: float) -> Mask:
        """The tiles that are gone when that share of the roof is."""
        gone: Mask = self.rank < fraction
        return gone


def order(shell: Shell, rng: np.random.Generator, *, straight: float = 1.0) -> Order:
    """Wind peels a roof from one side, from edges and ridges, slope by slope, along courses and board joints.

    `straight` 0..1: 1 tears along straight joints, 0 in irregular holes.
    """
    tiles = shell.tiles
    seed = int(rng.integers(2**16))
    direction = rng.uniform(0, 2 * np.pi)
    ahead = tiles.xy @ [np.cos(direction), np.sin(direction)]
    ahead = (ahead - ahead.min(initial=0.0)) / max(float(np.ptp(ahead)) if len(ahead) else 0.0, 1.0)
    along = np.floor(tiles.u / BOARD) * BOARD
    up = np.floor(tiles.v / COURSE) * COURSE
    by_joint = mottle.rough_at(np.column_stack([along, 1.5 * up]), 3.5, seed) + 0.15 * mottle.cells(
        along / BOARD, up / COURSE, seed
    )
    by_place = mottle.rough_at(tiles.xy, 4.0, seed)
    slope = rng.normal(0, 0.22, 1 + int(tiles.face.max(initial=0)))[tiles.face]
    rim = np.minimum(to_rim(shell.outline, tiles.xy), 2.0) / 2.0
    score = straight * by_joint + (1 - straight) * by_place + 0.5 * ahead + slope + 0.12 * rim
    return Order(rank=ranks(score, areas(tiles.corners)))


def areas(corners: Array) -> Array:
    """(T,) plan areas of triangles (T, 3, 2 or 3)."""
    one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    result: Array = np.abs(one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]) / 2
    return result


def ranks(score: Array, area: Array) -> Array:
    """For each tile, share of the total area that has a lower score."""
    sorting = np.argsort(score, kind="stable")
    rank = np.empty(len(score))
    rank[sorting] = (np.cumsum(area[sorting]) - area[sorting] / 2) / max(float(area.sum()), 1e-9)
    return rank


def cover_patches(shell: Shell, rng: np.random.Generator) -> Mesh:
    """Roof whole, covering gone in patches: felt, some of it torn to the decking."""
    lost = order(shell, rng).lost(np.clip(shell.building.damage.fraction, 0.04, 0.6))
    colour = shell.colour.copy()
    felt = np.array(pick(material("shingle_dark" if rng.random() < 0.5 else "shingle_light"), int(rng.integers(2**31))))
    bare = lost & (order(shell, rng).rank < rng.uniform(0, 0.7))
    colour[lost] = felt * rng.uniform(0.9, 1.1, (int(lost.sum()), 1))
    colour[bare] = decking_colours(shell, bare, rng)
    return mesh.join(
        [shells.walls(shell), shells.roof(shell, shell.tiles, colour), fixtures.build(shell), litter(shell, rng, 0.04)]
    )


def decking(shell: Shell, rng: np.random.Generator) -> Mesh:
    """Covering stripped in straight-edged areas down to plain boards; some boards gone, felt left in strips."""
    fraction = float(np.clip(shell.building.damage.fraction, 0.15, 1.0))
    torn = order(shell, rng)
    lost = torn.lost(fraction)
    colour = shell.colour.copy()
    colour[lost] = decking_colours(shell, lost, rng)
    felt = lost & (torn.rank > fraction - rng.uniform(0.0, 0.12))
    colour[felt] = np.array(pick(material("shingle_dark"), int(rng.integers(2**31))))
    holes = lost & (_boards(shell, rng) < rng.uniform(0.0, 0.1))
    colour[holes] = (0.03, 0.028, 0.026)
    return mesh.join(
        [shells.walls(shell), shells.roof(shell, shell.tiles, colour), fixtures.build(shell), litter(shell, rng, 0.12)]
    )


def decking_colours(shell: Shell, chosen: Mask, rng: np.random.Generator) -> NDArray[np.float32]:
    """(N, 3) reflectance of bare boards at the chosen tiles, board by board a little different."""
    base = np.array(pick(material("decking"), int(rng.integers(2**31))))
    tone = 0.16 * (_boards(shell, rng)[chosen] - 0.5) + 0.10 * (mottle.rough_at(shell.tiles.uv, 3.0, 5)[chosen] - 0.5)
    return (base * np.exp(tone)[:, None]).astype(np.float32)


def _boards(shell: Shell, rng: np.random.Generator) -> Array:
    """(T,) random number of the board that each tile lies on; every second row of boards is shifted by half."""
    tiles = shell.tiles
    row = np.floor(tiles.v / BOARD)
    column = np.floor(tiles.u / (2 * BOARD) + 0.5 * (row % 2))
    return mottle.cells(column, row + 1000 * tiles.face, int(rng.integers(2**16)))


def tarpaulin(shell: Shell, rng: np.random.Generator) -> Mesh:
    """Sheets over part of the roof or all of it, wrinkled, held by battens."""
    tiles = shell.tiles
    fraction = float(np.clip(shell.building.damage.fraction, 0.08, 1.0))
    total = areas(tiles.corners)
    name = f"tarpaulin_{rng.choice(list(TARPAULINS), p=list(TARPAULINS.values()))}"
    covered = np.zeros(len(tiles.u), bool)
    sheets, battens = [], []
    for number in range(6):
        left = fraction - total[covered].sum() / max(float(total.sum()), 1e-9)
        if left < 0.07:
            break
        own = _sheet(shell, left, rng) & ~covered
        covered |= own
        sheets.append(_wrinkled(shell, own, name, number, rng))
        battens.append(_battens(shell, own, rng))
    parts = [shells.walls(shell), shells.roof(shell, tiles, shell.colour), fixtures.build(shell), *sheets, *battens]
    return mesh.join([*parts, litter(shell, rng, 0.03)])


def _sheet(shell: Shell, share: float, rng: np.random.Generator) -> Mask:
    """Tiles under one rectangular sheet of about that share of the roof: on one slope, or over ridges as well."""
    tiles = shell.tiles
    total = areas(tiles.corners)
    middle = int(rng.integers(len(tiles.u)))
    frame = tiling.axes(shell.planes[tiles.face[middle]])
    slope = tiles.face == tiles.face[middle]
    wanted = share * float(total.sum()) * rng.uniform(0.7, 1.1)
    over_ridge = rng.random() < 0.5 or float(total[slope].sum()) < 0.8 * wanted
    place = tiles.xy @ frame.T
    extent = np.ptp(place[slope], axis=0) + 1e-6
    centre = (place[slope].max(axis=0) + place[slope].min(axis=0)) / 2
    across = extent[1] * (2.0 if over_ridge else 1.0) * rng.choice([1.0, 1.0, 0.7])
    along = max(wanted / across, 1.5)
    if over_ridge:
        centre[1] = place[slope, 1].max()
    if along < 0.7 * extent[0]:
        room = (extent[0] - along) / 2
        centre[0] += rng.uniform(-room, room)
    inside: Mask = (np.abs(place - centre) <= np.array([along, across]) / 2 + 0.05).all(axis=1)
    return inside if over_ridge else inside & slope


def _wrinkled(shell: Shell, own: Mask, name: str, number: int, rng: np.random.Generator) -> Mesh:
    """The sheet itself: the roof's tiles lifted a little, uneven, with folds that catch light."""
    tiles = shell.tiles.where(own)
    seed = int(rng.integers(2**16))
    corners = tiles.corners.copy()
    x, y = corners[..., 0], corners[..., 1]
    corners[..., 2] += 0.08 + 0.01 * number + 0.16 * mottle.field(x, y, 0.9, seed) + 0.1 * mottle.field(x, y, 2.5, seed)
    base = np.array(pick(material(name), seed))
    tone = 0.12 * (mottle.cells(tiles.cell, 0, seed) - 0.5) + 0.25 * (mottle.rough_at(tiles.xy, 3.0, seed) - 0.5)
    sheet = tiles.where(np.ones(len(tiles.u), bool))
    sheet = tiling.Tiles(corners=corners, face=sheet.face, cell=sheet.cell, u=sheet.u, v=sheet.v)
    return shells.roof(shell, sheet, (base * np.exp(tone)[:, None]).clip(0, 0.9).astype(np.float32))


def _battens(shell: Shell, own: Mask, rng: np.random.Generator) -> Mesh:
    """Strips of timber nailed over the sheet, and folds that shine: a few light lines."""
    chosen = np.flatnonzero(own)
    count = min(int(rng.integers(1, 5)), len(chosen))
    chosen = rng.choice(chosen, count, replace=False) if count else chosen[:0]
    size = np.column_stack([rng.uniform(0.1, 0.2, count), rng.uniform(1.0, 3.0, count), np.ones(count)])
    turned = rng.random(count) < 0.4
    size[turned] = size[turned][:, [1, 0, 2]]
    light = rng.choice([0.35, 0.5, 0.65]) * np.array([0.95, 1.0, 1.1])
    return shells.on_slope(shell, chosen, size, light, lift=0.4)


def litter(shell: Shell, rng: np.random.Generator, density: float) -> Mesh:
    """Pieces that lie around a damaged building and on its roof; density a square metre of its surroundings."""
    building = shell.building
    mix = pieces.mix_of(building.wall_material, building.roof_material)
    at = pieces.within(shell.outline.buffer(6.0, quad_segs=2), density * 2, rng)
    outside = ~shapely.contains_xy(shell.outline, at[:, 0], at[:, 1])
    at = at[outside & (rng.random(len(at)) < np.exp(-to_rim(shell.outline, at) / 2.5))]
    above = pieces.within(shell.outline.buffer(-0.5), density * 0.6, rng)
    level = np.concatenate([np.zeros(len(at)), shell.height(above) + 0.1]) + building.base
    return pieces.lay(np.column_stack([np.concatenate([at, above]), level]), mix, rng, scale=0.9)
