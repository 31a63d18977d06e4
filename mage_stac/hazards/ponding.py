"""Ponding: rain gathers in depressions, spills from the full ones, and comes to rest level; none is made or lost.

Fill-spill-merge (Barnes, Callaghan and Wickert 2021, doi:10.5194/esurf-9-105-2021), by a queue of the depressions that
spill, highest pass first, so that each hands its water on once for all that reached it from above.
"""

from __future__ import annotations

from heapq import heappop, heappush

import numpy as np
from numpy.typing import NDArray

from mage_stac.hazards.depressions import OUTSIDE, Tree, tree

Floats = NDArray[np.float64]
Indices = NDArray[np.int32]
Mask = NDArray[np.bool_]


def pond(ground: Floats, runoff: Floats, outlets: Mask | None = None) -> tuple[Floats, float]:
    """Where rain gathers: it runs down, fills depressions, spills over the passes into the next, and leaves at last.

    Args:
        ground: (rows, columns) m, finite.
        runoff: (rows, columns) m of water that leaves each cell along the ground.
        outlets: as for fill.

    Returns:
        Depth (rows, columns) m of water at rest, and the water that left, m summed over cells. Their sum is the runoff.
    """
    found = tree(ground, outlets)
    arriving = np.bincount(found.basin.ravel(), runoff.ravel(), minlength=found.basins + 1)
    filling = _Filling(found)
    filling.run(arriving.tolist())
    pool, volume = filling.pools()
    return _levels(ground, found.home, pool, volume), filling.left


class _Filling:
    """Water that fills depressions and spills from the full ones, highest pass first, until none is left over.

    Two siblings that are both full become one pool, which fills on as a single depression.
    """

    def __init__(self, found: Tree) -> None:
        self.left = 0.0
        self._found = found
        self._spill = found.spill.tolist()
        self._room = self._rooms()
        self._water = [0.0] * len(self._room)
        self._full = [False] * len(self._room)
        self._joined = [False] * len(self._room)
        self._part_of = list(range(len(self._room)))
        self._over = [0.0] * len(self._room)
        self._queue: list[tuple[float, int]] = []

    def _rooms(self) -> list[float]:
        """What each basin holds, and each joined depression beyond what its two parts hold."""
        capacity: list[float] = self._found.capacity.tolist()
        room = capacity.copy()
        for node, (one, two) in enumerate(self._found.children, self._found.basins + 1):
            room[node] = max(capacity[node] - capacity[one] - capacity[two], 0.0)
        return room

    def run(self, arriving: list[float]) -> None:
        """Let `arriving` water (by basin, m summed over cells) come to rest; [0] runs off at once."""
        self.left = arriving[OUTSIDE]
        for basin, amount in enumerate(arriving[1:], 1):
            self._pour(basin, amount)
        door = self._found.door
        while self._queue:
            _, node = heappop(self._queue)
            amount, self._over[node] = self._over[node], 0.0
            if amount <= 0:
                continue
            if door[node] == OUTSIDE:
                self.left += amount
            else:
                self._pour(self._pool(door[node]), amount)

    def _pool(self, node: int) -> int:
        """The pool that a node has become part of, or itself."""
        part_of = self._part_of
        while part_of[node] != node:
            part_of[node] = part_of[part_of[node]]
            node = part_of[node]
        return node

    def _pour(self, node: int, amount: float) -> None:
        """Add water to a basin or pool; what it cannot hold waits to spill."""
        while True:
            if not self._full[node]:
                spare = self._room[node] - self._water[node]
                if amount < spare:
                    self._water[node] += amount
                    return
                amount -= spare
                self._water[node], self._full[node] = self._room[node], True
            parent, other = self._found.parent[node], self._found.other[node]
            if not (parent and self._full[other]):
                break
            self._part_of[node] = self._part_of[other] = parent
            self._joined[parent] = True
            amount += self._over[node] + self._over[other]
            self._over[node] = self._over[other] = 0.0
            node = parent
        if amount > 0:
            if self._over[node] == 0:
                heappush(self._queue, (-self._spill[node], node))
            self._over[node] += amount

    def pools(self) -> tuple[Indices, Floats]:
        """(nodes,) the pool that can cover a node's cells, 0 where none does, and (nodes,) what each pool holds."""
        capacity, basins = self._found.capacity.tolist(), self._found.basins
        pool, volume = [0] * len(self._water), self._water.copy()
        for node, (one, two) in enumerate(self._found.children, basins + 1):
            if self._joined[node]:
                volume[node] += capacity[one] + capacity[two]
        for node in range(1, len(pool)):
            if node <= basins or self._joined[node]:
                whole = self._pool(node)
                pool[node] = whole if volume[whole] > 0 else 0
        return np.array(pool, np.int32), np.array(volume)


def _levels(ground: Floats, home: Indices, pool: Indices, volume: Floats) -> Floats:
    """(rows, columns) m of water; each pool lies level: on its k lowest cells at (volume + sum of heights) / k."""
    cells = np.flatnonzero(home >= 0)
    number = pool[home.ravel()[cells]]
    cells, number = cells[number > 0], number[number > 0]
    depth = np.zeros(ground.size)
    if len(cells):
        level = ground.ravel()[cells]
        order = np.lexsort((level, number))
        cells, number, level = cells[order], number[order], level[order]
        start = np.flatnonzero(np.diff(number, prepend=-1))
        group = np.repeat(np.arange(len(start)), np.diff(np.append(start, len(cells))))
        # Heights above each pool's lowest cell keep the sums exact.
        height = level - level[start][group]
        below = np.cumsum(height)
        below -= (below[start] - height[start])[group]
        count = np.arange(1, len(cells) + 1) - start[group]
        last = np.append(number[1:] != number[:-1], True)
        next_brim = np.where(last, np.inf, count * np.append(height[1:], 0.0) - below)
        holds = np.where(next_brim >= volume[number], np.arange(len(cells)), len(cells))
        chosen = np.minimum.reduceat(holds, start)
        surface = (volume[number[start]] + below[chosen]) / count[chosen]
        depth[cells] = np.maximum(surface[group] - height, 0.0)
    return depth.reshape(ground.shape)
