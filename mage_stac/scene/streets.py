"""Streets and blocks: a rectangle of plan cut by streets, again and again, until blocks are left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from shapely import LineString, Polygon, unary_union
from shapely.geometry.base import BaseGeometry

from mage_stac.scene import chance
from mage_stac.scene.plane import Plane, line, ring
from mage_stac.scene.scene import Line, Surface

SAMPLE = 8.0
"""Metres between the points of a street's middle line."""
FILLET = 5.0
"""Radius to which kerbs are rounded where streets meet, m; among lanes narrower than this, their width."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """What a network of streets is like."""

    short: float
    long: float
    """Wanted sides of a block, m."""
    regular: float
    """Share of cuts that make equal strips by parallel streets; the others cut in two, anywhere."""
    arterial: float
    """Chance that each of the first cuts is a main road."""
    widths: tuple[float, float, float]
    """Of main road, street and lane, m, kerb to kerb."""
    verge: float
    """From kerb to the plots, m."""
    lane: float
    """Chance that a later cut is a mere lane."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """A rectangle of plan between streets."""

    low: tuple[float, float]
    high: tuple[float, float]
    ranks: tuple[int, int, int, int]
    """Of the streets along its south, east, north and west: 0 main, 1 street, 2 lane, 9 none."""
    depth: int = 0

    @property
    def size(self) -> tuple[float, float]:
        """Along u and v, m."""
        return self.high[0] - self.low[0], self.high[1] - self.low[1]


@dataclass(frozen=True, kw_only=True, slots=True)
class Street:
    ends: tuple[tuple[float, float], tuple[float, float]]
    """In plan."""
    rank: int
    width: float


def lay(whole: Block, grid: Grid, rng: np.random.Generator) -> tuple[tuple[Street, ...], tuple[Block, ...]]:
    """Cut `whole` until every block is about the wanted size. Returns all streets, lanes first, and all blocks."""
    streets: list[Street] = []
    blocks: list[Block] = []
    waiting = [whole]
    while waiting:
        block = waiting.pop()
        pieces = tuple(_cut(block, grid, rng, streets))
        if pieces:
            waiting.extend(pieces)
        else:
            blocks.append(block)
    return tuple(sorted(streets, key=lambda street: -street.rank)), tuple(blocks)


def _cut(block: Block, grid: Grid, rng: np.random.Generator, streets: list[Street]) -> Iterator[Block]:
    wide = block.size[0] >= block.size[1]
    wanted = (grid.long, grid.short) if wide else (grid.short, grid.long)
    ratio = tuple(side / want for side, want in zip(block.size, wanted, strict=True))
    axis = 0 if ratio[0] >= ratio[1] else 1
    if ratio[axis] < 1.55:
        return
    count = round(ratio[axis])
    equal = count >= 3 and rng.random() < grid.regular
    cuts = np.arange(1, count) / count if equal else np.array([rng.uniform(0.36, 0.64)])
    low, high = block.low[axis], block.high[axis]
    edge, before = low, block.ranks[3 if axis == 0 else 0]
    first = int(rng.integers(len(cuts)))
    for number, cut in enumerate((low + cuts * (high - low)).tolist()):
        rank = _rank(block.depth if number == first else 2, grid, rng)
        gap = grid.widths[rank] / 2 + grid.verge
        streets.append(_street(block, axis, cut, rank, grid))
        yield _piece(block, axis, (edge, cut - gap), (before, rank))
        edge, before = cut + gap, rank
    yield _piece(block, axis, (edge, high), (before, block.ranks[1 if axis == 0 else 2]))


def _rank(depth: int, grid: Grid, rng: np.random.Generator) -> int:
    if depth < 2 and rng.random() < grid.arterial:
        return 0
    return 2 if depth >= 2 and rng.random() < grid.lane else 1


def _street(block: Block, axis: int, cut: float, rank: int, grid: Grid) -> Street:
    across = 1 - axis
    sides = (block.ranks[0], block.ranks[2]) if axis == 0 else (block.ranks[3], block.ranks[1])
    reach = [grid.widths[side] / 2 + grid.verge if side < len(grid.widths) else 40.0 for side in sides]
    start, stop = block.low[across] - reach[0], block.high[across] + reach[1]
    ends = ((cut, start), (cut, stop)) if axis == 0 else ((start, cut), (stop, cut))
    return Street(ends=ends, rank=rank, width=grid.widths[rank])


def _piece(block: Block, axis: int, span: tuple[float, float], ranks: tuple[int, int]) -> Block:
    south, east, north, west = block.ranks
    if axis == 0:
        low, high = (span[0], block.low[1]), (span[1], block.high[1])
        return replace(block, low=low, high=high, ranks=(south, ranks[1], north, ranks[0]), depth=block.depth + 1)
    low, high = (block.low[0], span[0]), (block.high[0], span[1])
    return replace(block, low=low, high=high, ranks=(ranks[0], east, ranks[1], west), depth=block.depth + 1)


def middle(street: Street, plane: Plane) -> NDArray[np.float64]:
    """World points (N, 2) along the street's middle."""
    start, stop = np.array(street.ends[0]), np.array(street.ends[1])
    count = max(2, int(np.hypot(*(stop - start)) / SAMPLE) + 1)
    return plane.world(start + np.linspace(0, 1, count)[:, None] * (stop - start))


def pave(
    streets: tuple[Street, ...], plane: Plane, kinds: Sequence[Mapping[str, float]], rng: np.random.Generator
) -> tuple[Surface, ...]:
    """The streets as Surfaces, and the rounded corners where they meet; `kinds`: per rank, materials and weights."""
    roads = []
    shapes: list[BaseGeometry] = []
    for street in streets:
        points = middle(street, plane)
        shape = LineString(points).buffer(street.width / 2, cap_style="flat")
        if not isinstance(shape, Polygon):
            continue
        shapes.append(shape)
        kind = chance.choose(rng, kinds[street.rank])
        use = "arterial" if street.rank == 0 else "street"
        roads.append(_road(shape, kind, use, line(points), street.width, chance.seed(rng)))
    whole = unary_union(shapes)
    radius = min([FILLET, *(street.width for street in streets)])
    corners = whole.buffer(radius).buffer(-radius).difference(whole.buffer(0.01))
    fillets = [part for part in getattr(corners, "geoms", [corners]) if isinstance(part, Polygon)]
    rounded = [_rounded(part, shapes, roads) for part in fillets if 0.5 < part.area < 60]
    return (*rounded, *roads)


def _rounded(corner: Polygon, shapes: list[BaseGeometry], roads: list[Surface]) -> Surface:
    """A corner in the material of the lesser street that it belongs to."""
    beside = next(road for shape, road in zip(shapes, roads, strict=True) if shape.distance(corner) < 0.1)
    grown = corner.buffer(0.3, join_style="mitre")
    outline = grown if isinstance(grown, Polygon) else corner
    return _road(outline, beside.kind, "corner", (), 0.0, beside.seed)


def _road(shape: Polygon, kind: str, use: str, middle_line: Line, width: float, seed: int) -> Surface:
    return Surface(
        ring=ring(np.array(shape.exterior.coords)[:-1]),
        kind=kind,
        semantic="road",
        use=use,
        seed=seed,
        line=middle_line,
        width=width,
    )
