"""Depressions of a terrain: which there are, where each spills, what it holds; filling them to the brim.

Every cell runs down its steepest way to a pit (pits wider than a cell count as one). The cells of one pit are its
basin; the lowest pass between two basins is where the fuller one spills. Joining basins over ever higher passes gives
a binary tree of depressions (Barnes, Callaghan and Wickert 2020, doi:10.5194/esurf-8-431-2020), and the pass at which
a tree meets the outside is the level that priority-flood finds (Barnes, Lehman and Mulla 2014,
doi:10.1016/j.cageo.2013.04.024): water at rest, computed without moving any.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse import csgraph

Floats = NDArray[np.float64]
Indices = NDArray[np.int32]
Mask = NDArray[np.bool_]

OUTSIDE = 0
"""Label of the cells that run off, and number of the node that takes all."""

_STEPS = tuple((i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0))
_HALF = ((0, 1), (1, -1), (1, 0), (1, 1))
"""One of each two opposite steps."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tree:
    """Depressions and how they spill. Node 0 is the outside, 1..basins the basins, then the joined ones."""

    basin: Indices
    """(rows, columns) node of the basin that a cell runs to."""
    home: Indices
    """(rows, columns) the smallest depression that can drown the cell, -1 where none can."""
    parent: list[int]
    """What the node becomes part of; 0 where it spills outside for good."""
    other: list[int]
    """The node across its pass: its sibling, or one that already leads outside."""
    door: list[int]
    """The basin on the far side of the pass, where spilt water arrives."""
    spill: Floats
    """(nodes,) m, height of the pass; -inf for the outside."""
    brim: Floats
    """(nodes,) m, level at which water leaves the terrain."""
    capacity: Floats
    """(nodes,) m, summed over the cells: water held when full to `spill`."""
    children: list[tuple[int, int]]
    """Of node i + 1 + basins."""

    @property
    def basins(self) -> int:
        return len(self.spill) - 1 - len(self.children)


def fill(ground: Floats, outlets: Mask | None = None) -> Floats:
    """The terrain with every depression full to the brim.

    Args:
        ground: (rows, columns) m, finite.
        outlets: (rows, columns) True where water leaves; the grid's edge always lets it out.

    Returns:
        (rows, columns) m: the lowest level at which water can leave from each cell.
    """
    found = tree(ground, outlets)
    filled: Floats = np.maximum(ground, found.brim[found.basin])
    return filled


def tree(ground: Floats, outlets: Mask | None = None) -> Tree:
    """Find the depressions of `ground` (rows, columns) m; `outlets` as for fill."""
    basin = _basins(ground, outlets)
    count = int(basin.max())
    links = _passes(ground, basin, count)
    joined = _Joining(count)
    for one, two, height in links:
        joined.join(one, two, height)
    spill = np.array(joined.spill)
    brim = _brims(spill, joined.parent)
    home = _homes(ground, basin, spill, brim, joined.parent)
    return Tree(
        basin=basin,
        home=home,
        parent=joined.parent,
        other=joined.other,
        door=joined.door,
        spill=spill,
        brim=brim,
        capacity=_capacities(ground, home, spill, joined.children, count),
        children=joined.children,
    )


def _basins(ground: Floats, outlets: Mask | None) -> Indices:
    """(rows, columns) number of the pit that each cell runs to, 0 for those that run off."""
    out = np.zeros(ground.shape, bool) if outlets is None else outlets.copy()
    out[[0, -1], :] = out[:, [0, -1]] = True
    down = _steepest(ground)
    down[out.ravel()] = np.flatnonzero(out).astype(np.int32)
    pits = (down == np.arange(ground.size, dtype=np.int32)).reshape(ground.shape) & ~out
    label, _ = ndimage.label(pits, np.ones((3, 3)), output=np.int32)
    flat: Indices = label.ravel()
    while True:
        further = down[down]
        if np.array_equal(further, down):
            return flat[down].reshape(ground.shape)
        down = further


def _steepest(ground: Floats) -> Indices:
    """(cells,) flat index of the neighbour with the steepest way down, the cell itself where none is lower."""
    rows, columns = ground.shape
    best = np.zeros(ground.shape)
    down = np.arange(ground.size, dtype=np.int32).reshape(ground.shape)
    for i, j in _STEPS:
        here, there = _pair(ground.shape, i, j)
        drop = (ground[here] - ground[there]) / np.hypot(i, j)
        steeper = drop > best[here]
        best[here][steeper] = drop[steeper]
        down[here] += np.where(steeper, _index(rows, columns, there) - down[here], 0)
    return down.ravel()


def _pair(shape: tuple[int, ...], i: int, j: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Slices of the cells that have a neighbour (i, j) away, and of those neighbours."""
    rows, columns = shape
    here = slice(max(0, -i), rows - max(0, i)), slice(max(0, -j), columns - max(0, j))
    there = slice(max(0, i), rows - max(0, -i)), slice(max(0, j), columns - max(0, -j))
    return here, there


def _index(rows: int, columns: int, window: tuple[slice, slice]) -> Indices:
    """Flat indices of the cells in a window."""
    i = np.arange(*window[0].indices(rows), dtype=np.int32)
    j = np.arange(*window[1].indices(columns), dtype=np.int32)
    return i[:, None] * np.int32(columns) + j


def _passes(ground: Floats, basin: Indices, count: int) -> list[tuple[int, int, float]]:
    """The passes (basin, basin, m) that matter, lowest first: a minimum spanning tree of the basins."""
    keys, heights = [], []
    for i, j in _HALF:
        here, there = _pair(ground.shape, i, j)
        one, two = basin[here], basin[there]
        border = one != two
        low, high = np.minimum(one, two)[border], np.maximum(one, two)[border]
        keys.append(low.astype(np.int64) * (count + 1) + high)
        heights.append(np.maximum(ground[here][border], ground[there][border]))
    key, height = np.concatenate(keys), np.concatenate(heights)
    if not len(key):
        return []
    order = np.argsort(key, kind="stable")
    first = np.flatnonzero(np.diff(key[order], prepend=-1))
    key, lowest = key[order[first]], np.minimum.reduceat(height[order], first)
    # csgraph takes a weight of 0 for no edge, so the ranks count from 1.
    ascending = np.argsort(lowest, kind="stable")
    rank = np.empty(len(lowest))
    rank[ascending] = np.arange(1.0, len(lowest) + 1.0)
    graph = sparse.coo_array((rank, (key // (count + 1), key % (count + 1))), shape=(count + 1, count + 1))
    kept = np.sort(csgraph.minimum_spanning_tree(graph.tocsr()).data.astype(np.intp)) - 1
    chosen = key[ascending[kept]]
    return list(
        zip(
            (chosen // (count + 1)).tolist(),
            (chosen % (count + 1)).tolist(),
            lowest[ascending[kept]].tolist(),
            strict=True,
        )
    )


class _Joining:
    """Kruskal's joining of basins over passes given lowest first, noting who joins whom."""

    def __init__(self, basins: int) -> None:
        self.parent = [0] * (basins + 1)
        self.other = [0] * (basins + 1)
        self.door = [0] * (basins + 1)
        self.spill = [-np.inf] + [np.inf] * basins
        self.children: list[tuple[int, int]] = []
        self._leader = list(range(basins + 1))
        self._top = list(range(basins + 1))

    def join(self, one: int, two: int, height: float) -> None:
        """Let the depressions that hold the basins `one` and `two` meet over a pass of `height` metres."""
        first, second = self._find(one), self._find(two)
        top = self._top[first], self._top[second]
        for mine, theirs, door in ((top[0], top[1], two), (top[1], top[0], one)):
            if mine != OUTSIDE:
                self.spill[mine], self.other[mine], self.door[mine] = height, theirs, door
        self._leader[max(first, second)] = min(first, second)
        if OUTSIDE in top:
            self._top[min(first, second)] = OUTSIDE
            return
        node = len(self.parent)
        self.parent.append(0)
        self.other.append(0)
        self.door.append(0)
        self.spill.append(np.inf)
        self.children.append(top)
        self.parent[top[0]] = self.parent[top[1]] = node
        self._top[min(first, second)] = node

    def _find(self, basin: int) -> int:
        leader = self._leader
        while leader[basin] != basin:
            leader[basin] = leader[leader[basin]]
            basin = leader[basin]
        return basin


def _brims(spill: Floats, parent: list[int]) -> Floats:
    """(nodes,) m: the spill of the outermost depression that each is part of."""
    brim = spill.tolist()
    for node in range(len(parent) - 1, 0, -1):
        if parent[node]:
            brim[node] = brim[parent[node]]
    return np.array(brim)


def _homes(ground: Floats, basin: Indices, spill: Floats, brim: Floats, parent: list[int]) -> Indices:
    """(rows, columns) the smallest depression with a pass above the cell, -1 where none has."""
    home = np.where(ground < brim[basin], basin, np.int32(-1))
    cells = np.flatnonzero(home >= 0)
    level, node, above = ground.ravel()[cells], home.ravel()[cells], np.array(parent, np.int32)
    high = np.flatnonzero(level >= spill[node])
    while len(high):
        node[high] = above[node[high]]
        high = high[level[high] >= spill[node[high]]]
    home.ravel()[cells] = node
    return home


def _capacities(ground: Floats, home: Indices, spill: Floats, children: list[tuple[int, int]], basins: int) -> Floats:
    """(nodes,) m summed over cells: what each depression holds when full."""
    wet = home >= 0
    cells = np.bincount(home[wet], minlength=len(spill)).tolist()
    floor = np.bincount(home[wet], ground[wet], minlength=len(spill)).tolist()
    for node, (one, two) in enumerate(children, basins + 1):
        cells[node] += cells[one] + cells[two]
        floor[node] += floor[one] + floor[two]
    capacity = np.zeros(len(spill))
    capacity[1:] = np.maximum(spill[1:] * np.array(cells[1:]) - np.array(floor[1:]), 0.0)
    return capacity
