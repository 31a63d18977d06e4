"""Ruins: a building in each of the looks of scene.LOOKS that opens it, from a hole in the roof to a swept slab."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from mage_stac.scene import collapse, covers, fixtures, interiors, mesh, mottle, pieces, roofs, shells, tiling
from mage_stac.scene.interiors import FLOOR, STOREY
from mage_stac.scene.materials import material, pick
from mage_stac.scene.mesh import Mesh
from mage_stac.scene.plans import Plane, polygons, to_rim
from mage_stac.scene.scene import LOOKS as BY_GRADE
from mage_stac.scene.shells import Shell

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

SPILL = 3.5
"""Distance over which rubble thins out around a fallen building, m."""


def build(shell: Shell) -> Mesh:
    """The building in the look of its damage; a look without a maker here shows as the first of its grade."""
    damage = shell.building.damage
    rng = np.random.default_rng([damage.seed, shell.building.seed, 4])
    look = LOOKS.get(damage.look) or LOOKS[BY_GRADE[min(max(damage.grade, 1), 4)][0]]
    return look(shell, rng)


def _intact(shell: Shell, _: np.random.Generator) -> Mesh:
    return mesh.join([shells.walls(shell), shells.roof(shell, shell.tiles, shell.colour), fixtures.build(shell)])


def open_roof(shell: Shell, rng: np.random.Generator) -> Mesh:
    """A hole with bare decking around it, rafters over what is left of the ceiling, dark rooms below."""
    fraction = float(np.clip(shell.building.damage.fraction, 0.12, 0.9))
    torn = covers.order(shell, rng, straight=0.1 if shell.parapet else 0.75)
    hole = torn.lost(fraction)
    bare = torn.lost(fraction + rng.uniform(0.04, 0.25)) & ~hole
    colour = shell.colour.copy()
    colour[bare] = covers.decking_colours(shell, bare, rng)
    region = _region(shell, hole)
    level = max(FLOOR, shell.building.height - STOREY)
    return mesh.join(
        [
            shells.walls(shell),
            shells.roof(shell, shell.tiles.where(~hole), colour[~hole]),
            _rafters(shell, hole, rng, kept=0.8),
            _ceiling(shell, region, rng),
            _inside(shell, region, level, rng, standing=0.95, rubble=0.8),
            covers.litter(shell, rng, 0.25),
        ]
    )


def part_missing(shell: Shell, rng: np.random.Generator) -> Mesh:
    """One end fallen or blown off down to broken walls and rubble; the rest whole but for a torn edge."""
    fraction = float(np.clip(shell.building.damage.fraction, 0.15, 0.85))
    rank = _from_one_end(shell, rng)
    hole = rank.lost(fraction)
    bare = rank.lost(fraction + rng.uniform(0.05, 0.2)) & ~hole & (covers.order(shell, rng).rank < 0.7)
    colour = shell.colour.copy()
    colour[bare] = covers.decking_colours(shell, bare, rng)
    region = _region(shell, hole)
    return mesh.join(
        [
            shells.walls(shell, without=region),
            shells.roof(shell, shell.tiles.where(~hole), colour[~hole]),
            _rafters(shell, hole & rank.lost(fraction) & ~rank.lost(fraction - 0.12), rng, kept=0.5),
            *_below(shell, region, rng),
            interiors.outer_walls(shell, region, FLOOR, rng, standing=0.35),
            _wreckage(shell, region, 0.5, rng),
            _pieces(shell, [_spill(shell, region, rng, density=1.6)], rng),
            covers.litter(shell, rng, 0.25),
        ]
    )


def rooms(shell: Shell, rng: np.random.Generator) -> Mesh:
    """No roof left: a light grid of walls around floors with furniture and rubble."""
    around = _around(shell)
    return mesh.join(
        [
            _inside(shell, around, FLOOR, rng, standing=rng.uniform(0.4, 0.85), rubble=rng.uniform(1.0, 3.5)),
            interiors.outer_walls(shell, around, FLOOR, rng, standing=rng.uniform(0.3, 0.8)),
            _drifts(shell, rng),
            _wreckage(shell, shell.outline.buffer(1.0), 0.8, rng),
            _pieces(shell, [_spill(shell, shell.outline, rng, density=3.0)], rng),
        ]
    )


def rubble(shell: Shell, rng: np.random.Generator) -> Mesh:
    """A heap on part of the floor where the house stood, of its own materials, a few walls in it, spilt around."""
    heap = _heaped(shell, rng)
    mound = Mound(region=heap, height=rng.uniform(0.5, 1.3) + 0.15 * (shell.building.storeys - 1), seed=_seed(rng))
    at = pieces.within(heap, _bounded(heap, rng.uniform(4.5, 8.0)), rng)
    z = mound.at(at) + rng.uniform(0, 0.3, len(at))
    return mesh.join(
        [
            _slab_mesh(shell, rng),
            _mound_mesh(shell, mound, rng),
            interiors.inner_walls(shell, interiors.rooms(shell, rng), shell.outline, 0.0, rng, standing=0.12),
            interiors.outer_walls(shell, _around(shell), 0.0, rng, standing=0.08),
            _pieces(shell, [np.column_stack([at, z]), _spill(shell, heap, rng, density=4.0)], rng),
            _drifts(shell, rng),
            _wreckage(shell, heap, 0.5 * mound.height, rng),
        ]
    )


def slab(shell: Shell, rng: np.random.Generator) -> Mesh:
    """Swept to the floor: concrete or boards, floor coverings room by room, traces of walls, a little debris."""
    at = pieces.within(shell.outline, _bounded(shell.outline, rng.uniform(0.05, 0.6)), rng)
    parts = [
        _slab_mesh(shell, rng),
        _pieces(
            shell, [np.column_stack([at, np.full(len(at), FLOOR)]), _spill(shell, shell.outline, rng, density=0.7)], rng
        ),
    ]
    if rng.random() < 0.5:
        parts.append(interiors.outer_walls(shell, _around(shell), FLOOR, rng, standing=0.0))
    return mesh.join(parts)


def gone(shell: Shell, rng: np.random.Generator) -> Mesh:
    """Nothing left but a few pieces near by."""
    return _pieces(shell, [_spill(shell, shell.outline, rng, density=0.4)], rng)


def _heaped(shell: Shell, rng: np.random.Generator) -> BaseGeometry:
    """Where the heap lies: all of a masonry house, half or more of a timber one, whose rest was blown off the floor."""
    whole = shell.outline.buffer(rng.uniform(0.3, 1.5), quad_segs=1)
    if pieces.dust_of(shell.building.wall_material):
        return whole
    radius = np.sqrt(whole.area / np.pi)
    x0, y0, x1, y1 = whole.bounds
    middles = rng.uniform((x0, y0), (x1, y1), (int(rng.integers(2, 5)), 2))
    reach = radius * rng.uniform(0.4, 0.9, len(middles))
    # Sixteen sides: every side costs, and the heap's rim is under rubble.
    blobs = shapely.union_all(shapely.buffer(shapely.points(middles), reach, quad_segs=4))
    return whole.intersection(blobs) if whole.intersection(blobs).area > 0.3 * whole.area else whole


@dataclass(frozen=True, kw_only=True, slots=True)
class Mound:
    """A heap over a plan region: height falls to nothing at its edge and is uneven within."""

    region: BaseGeometry
    height: float
    seed: int

    def at(self, xy: Array) -> Array:
        """Heights above the base at points (N, 2), m."""
        inside = to_rim(self.region, xy)
        uneven = 0.4 + 1.2 * mottle.rough_at(xy, 4.0, self.seed)
        result: Array = FLOOR + 0.05 + self.height * uneven * np.minimum(inside / 2.0, 1.0)
        return result


def _mound_mesh(shell: Shell, mound: Mound, rng: np.random.Generator) -> Mesh:
    """The heap's surface between its larger pieces: cells in the colours of what lies there."""
    flat = [Plane(plan=part, slope=(0.0, 0.0, 0.0)) for part in polygons(mound.region)]
    tiles = tiling.cut(flat, [tiling.cell_size(mound.region.area)] * len(flat))
    corners = tiles.corners.copy()
    corners[..., 2] = mound.at(corners[..., :2].reshape(-1, 2)).reshape(-1, 3)
    mix = _mix(shell)
    names = list(mix)
    shares = np.array(list(mix.values()))
    cells = 1 + int(tiles.cell.max(initial=0))
    drawn = rng.choice(len(names), cells, p=shares / shares.sum())
    tint = np.zeros((cells, 3))
    for number, name in enumerate(names):
        own = drawn == number
        tint[own] = pieces.tints(name, int(own.sum()), rng)
    dust = pieces.dust_of(shell.building.wall_material)
    tint = (1 - dust) * tint + dust * np.array(pieces.DUST)
    shade = 0.4 + 0.45 * dust + 0.5 * mottle.rough_at(tiles.xy, 2.0, mound.seed)
    colour = (tint[tiles.cell] * shade[:, None]).astype(np.float32)
    heap = tiling.Tiles(corners=corners, face=tiles.face, cell=tiles.cell, u=tiles.u, v=tiles.v)
    return shells.roof(shell, heap, colour)


def _below(shell: Shell, region: BaseGeometry, rng: np.random.Generator) -> list[Mesh]:
    """Where a part of a building fell: rooms of a timber house, a heap of stone and plaster of a masonry one."""
    if not pieces.dust_of(shell.building.wall_material):
        return [_inside(shell, region, FLOOR, rng, standing=0.45, rubble=1.6)]
    heap = region.intersection(shell.outline).buffer(0.4, quad_segs=1)
    if heap.is_empty:
        return []
    mound = Mound(region=heap, height=rng.uniform(0.6, 1.2) + 0.3 * (shell.building.storeys - 1), seed=_seed(rng))
    at = pieces.within(heap, _bounded(heap, 4.0), rng)
    places = np.column_stack([at, mound.at(at) + rng.uniform(0, 0.3, len(at))])
    return [_mound_mesh(shell, mound, rng), _pieces(shell, [places], rng)]


def _slab_mesh(shell: Shell, rng: np.random.Generator) -> Mesh:
    ground = [Plane(plan=shell.outline, slope=(0.0, 0.0, FLOOR))]
    tiles = tiling.cut(ground, [tiling.cell_size(shell.outline.area)])
    base = np.array(pick(material("slab" if rng.random() < 0.5 else "decking"), _seed(rng)))
    stains = 0.5 * (mottle.rough_at(tiles.xy, 4.0, _seed(rng)) - 0.5)
    colour = base * np.exp(stains)[:, None]
    for room in interiors.rooms(shell, rng).rectangles:
        if rng.random() < 0.4:
            inside = shapely.contains_xy(room, *tiles.xy.T)
            cover = np.array(pick(material("floor"), _seed(rng))) * rng.uniform(0.7, 1.2)
            colour[inside] = cover * np.exp(0.6 * stains[inside])[:, None]
    rim = shells.upright(roofs.sides(shell.outline), shell.building.base - shells.FOOTING, FLOOR + shells.FOOTING)
    return mesh.join(
        [
            shells.roof(shell, tiles, colour.clip(0, 0.9).astype(np.float32)),
            mesh.faces(rim, base, semantic="building", instance=shell.instance),
        ]
    )


def _inside(
    shell: Shell, region: BaseGeometry, level: float, rng: np.random.Generator, *, standing: float, rubble: float
) -> Mesh:
    """Floors, inner walls, furniture and pieces on a floor `level` m above the base; `rubble` pieces a square metre."""
    inner = region.intersection(shell.outline)
    if inner.is_empty:
        return mesh.join([])
    plan = interiors.rooms(shell, rng)
    at = pieces.within(inner, _bounded(inner, rubble), rng)
    return mesh.join(
        [
            interiors.floors(shell, plan, inner, level, rng),
            interiors.inner_walls(shell, plan, inner, level, rng, standing=standing),
            interiors.furniture(shell, inner, level, rng),
            _pieces(shell, [np.column_stack([at, level + rng.exponential(0.15, len(at))])], rng),
        ]
    )


def _rafters(shell: Shell, hole: Mask, rng: np.random.Generator, *, kept: float) -> Mesh:
    """Timbers up the slope, one for each column of cells; `kept` of them are still there."""
    tiles = shell.tiles
    cells, first = np.unique(tiles.cell[hole], return_index=True)
    chosen = np.flatnonzero(hole)[first]
    if not len(cells):
        return mesh.join([])
    side = tiling.cell_size(float(covers.areas(tiles.corners).sum()))
    seed = _seed(rng)
    column = np.round(tiles.u[chosen] / (0.5 * side))
    there = mottle.cells(column, tiles.face[chosen], seed) < kept
    there &= mottle.field(tiles.u[chosen] / 4, tiles.v[chosen], 1.5, seed) < kept + 0.1
    chosen = chosen[there]
    size = np.column_stack(
        [np.full(len(chosen), 0.1 if side < 1 else 0.2), np.full(len(chosen), side * 1.02), np.full(len(chosen), 0.2)]
    )
    tint = np.array(pick(material("timber" if rng.random() < 0.6 else "timber_old"), seed))
    return shells.on_slope(shell, chosen, size, tint, lift=-0.22, template=mesh.box(semantic="building", grain=0.05))


def _ceiling(shell: Shell, region: BaseGeometry, rng: np.random.Generator) -> Mesh:
    """What hangs below the rafters: insulation and plasterboard, in patches; none in halls."""
    if shell.parapet or region.is_empty:
        return mesh.join([])
    whole = Plane(plan=shell.outline, slope=(0.0, 0.0, shell.building.height - 0.1))
    tiles = tiling.cut([whole], [tiling.cell_size(shell.outline.area)])
    left = mottle.rough_at(tiles.xy, 3.0, _seed(rng)) < rng.uniform(0.3, 0.75)
    tiles = tiles.where(left & shapely.contains_xy(region, tiles.xy[:, 0], tiles.xy[:, 1]))
    name = "insulation" if rng.random() < 0.6 else "drywall"
    colour = pieces.tints(name, 1, rng) * rng.uniform(0.35, 0.8)
    tone = 0.5 * (mottle.cells(tiles.cell, 3, _seed(rng)) - 0.5)
    return shells.roof(shell, tiles, (colour * np.exp(tone)[:, None]).clip(0, 0.9).astype(np.float32))


def _from_one_end(shell: Shell, rng: np.random.Generator) -> covers.Order:
    """Order of loss along a random axis of the shell, the edge ragged."""
    tiles = shell.tiles
    level = tiling.axes(shell.planes[int(rng.integers(len(shell.planes)))])
    axis = level[int(rng.random() < 0.25)] * rng.choice([-1.0, 1.0])
    ragged = 2.5 * mottle.rough_at(tiles.xy, 2.5, _seed(rng)) + 1.0 * mottle.cells(tiles.cell, tiles.face, 9)
    return covers.Order(rank=covers.ranks(tiles.xy @ axis + ragged, covers.areas(tiles.corners)))


def _region(shell: Shell, hole: Mask) -> BaseGeometry:
    """Plan region under the chosen tiles."""
    size = tiling.cell_size(float(covers.areas(shell.tiles.corners).sum()))
    return tiling.region(shell.planes, shell.tiles.where(hole), size).intersection(shell.outline.buffer(0.5))


def _drifts(shell: Shell, rng: np.random.Generator) -> Mesh:
    """White and pink drifts where insulation and plasterboard came down together."""
    x0, y0, x1, y1 = shell.outline.bounds
    groups = int(rng.integers(1, 5))
    own = np.repeat(np.arange(groups), rng.integers(15, 60, groups))
    middle = rng.uniform((x0, y0), (x1, y1), (groups, 2))
    at = middle[own] + rng.uniform(0.5, 1.6, groups)[own, None] * rng.standard_normal((len(own), 2))
    mix = {"insulation": rng.uniform(0.2, 1.0), "drywall": 1.0, "sheet": 0.3}
    return _pieces(shell, [np.column_stack([at, rng.uniform(0.2, 1.0, len(at))])], rng, mix)


def _wreckage(shell: Shell, region: BaseGeometry, level: float, rng: np.random.Generator) -> Mesh:
    """A few large parts that held together: stretches of roof in the roof's colour, of wall, of bare boards; joists."""
    count = int(rng.poisson(3.0 + min(region.area, 600.0) / 15))
    at = pieces.within(region, count / max(region.area, 1.0), rng)
    colours = np.array([shell.colour.mean(axis=0), shells.wall_colour(shell), pick(material("decking"), _seed(rng))])
    tint = colours[rng.choice(3, len(at), p=(0.35, 0.15, 0.5))] * rng.uniform(0.6, 1.0, (len(at), 1))
    size = np.column_stack([rng.uniform(1.5, 4.5, len(at)), rng.uniform(0.8, 2.6, len(at)), np.ones(len(at))])
    beams = rng.random(len(at)) < 0.4
    size[beams] = np.column_stack(
        [rng.uniform(3.0, 6.5, beams.sum()), rng.uniform(0.15, 0.35, beams.sum()), np.ones(beams.sum())]
    )
    tint[beams] = pieces.tints("timber", int(beams.sum()), rng)
    roll = rng.normal(0, 0.2, len(at))
    lift = level + 0.1 + 0.5 * size[:, 1] * np.abs(np.sin(roll)) + rng.exponential(0.2, len(at))
    origin = np.column_stack([at, shell.building.base + lift])
    frame = mesh.frames(rng.uniform(0, 2 * np.pi, len(at)), size, roll=roll, pitch=rng.normal(0, 0.06, len(at)))
    template = mesh.sheet(semantic="building", grain=0.1)
    return mesh.copies(template, origin, frame, tint, instance=np.uint32(shell.instance))


def _spill(shell: Shell, region: BaseGeometry, rng: np.random.Generator, *, density: float) -> Array:
    """(N, 3) places around a region, `density` a square metre at the building and fewer further out."""
    if region.is_empty:
        return np.zeros((0, 3))
    at = pieces.within(region.buffer(2.5 * SPILL, quad_segs=2), _bounded(region, density), rng)
    outside = ~shapely.contains_xy(shell.outline, at[:, 0], at[:, 1])
    kept = outside & (rng.random(len(at)) < np.exp(-to_rim(shell.outline, at) / SPILL))
    at = at[kept]
    return np.column_stack([at, rng.exponential(0.1, len(at))])


def _pieces(
    shell: Shell, places: Sequence[Array], rng: np.random.Generator, mix: Mapping[str, float] | None = None
) -> Mesh:
    """Pieces at points (N, 3), z above the base: the building's within its plan, debris outside."""
    at = np.concatenate(places)
    inside = shapely.contains_xy(shell.outline, at[:, 0], at[:, 1])
    lifted = at + np.array([0.0, 0.0, shell.building.base])
    owner = np.where(inside, shell.instance, 0)
    return pieces.lay(lifted, mix or _mix(shell), rng, owner=owner, dust=pieces.dust_of(shell.building.wall_material))


def _mix(shell: Shell) -> dict[str, float]:
    """The house's own mixture, each a little different."""
    mix = pieces.mix_of(shell.building.wall_material, shell.building.roof_material)
    rng = np.random.default_rng([shell.building.seed, 5])
    return {name: share * float(np.exp(rng.normal(0, 0.4))) for name, share in mix.items()}


def _around(shell: Shell) -> BaseGeometry:
    return shapely.box(*shell.outline.bounds).buffer(1.0)


def _bounded(region: BaseGeometry, density: float) -> float:
    """The density, less where it would make more than some thousand pieces."""
    return min(density, 9000.0 / max(region.area, 1.0))


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**16))


LOOKS: dict[str, Callable[[Shell, np.random.Generator], Mesh]] = {
    "intact": _intact,
    "cover_patches": covers.cover_patches,
    "tarpaulin": covers.tarpaulin,
    "decking": covers.decking,
    "open_roof": open_roof,
    "part_missing": part_missing,
    "rooms": rooms,
    "rubble": rubble,
    "slab": slab,
    "burnt": collapse.burnt,
    "gone": gone,
    "flooded": _intact,
    "cracked": _intact,
    "scorched": collapse.scorched,
    "tilt": collapse.tilt,
    "pancake": collapse.pancake,
}
"""The makers of scene.LOOKS."""
