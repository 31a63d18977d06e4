"""Routing on a road graph: fastest ways, what is cut off, and which repair reconnects most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components, dijkstra

from mage_stac.products.roads import Roads

NOWHERE = -9999
"""scipy's mark of a node without predecessor."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """Passable directions of edges as a matrix; of parallel edges the fastest counts."""

    matrix: Any
    """csr_array (N, N) of seconds."""
    keys: NDArray[np.int64]
    """tail * N + head of each entry, sorted."""
    edges: NDArray[np.int64]
    """The edge behind each entry."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reach:
    """Fastest ways from the nearest of several nodes to all others."""

    seconds: NDArray[np.float64]
    """(N,), inf where there is no way."""
    previous: NDArray[np.int32]
    """(N,) node before each on its way."""
    origin: NDArray[np.int32]
    """(N,) node that the way starts from; NOWHERE where there is none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Repair:
    """A closed edge that, cleared after those before it in the list, joins others to the origins again."""

    edge: int
    gain: dict[str, float]
    """What is reconnected by it: the sum of each weight."""


def network(roads: Roads, seconds: NDArray[np.float64]) -> Network:
    """The graph with the given seconds an edge; inf closes it."""
    size = len(roads.nodes)
    passable = np.isfinite(seconds)
    ahead, back = (np.flatnonzero(passable & way) for way in (roads.forward, roads.backward))
    edges = np.concatenate([ahead, back])
    tail = np.concatenate([roads.tail[ahead], roads.head[back]])
    head = np.concatenate([roads.head[ahead], roads.tail[back]])
    keys = tail * size + head
    order = np.lexsort((seconds[edges], keys))
    keys, edges = keys[order], edges[order]
    best = np.append(True, np.diff(keys) > 0)[: len(keys)]
    keys, edges = keys[best], edges[best]
    matrix = csr_array(coo_array((seconds[edges], (keys // size, keys % size)), shape=(size, size)))
    return Network(matrix=matrix, keys=keys, edges=edges)


def reach(net: Network, origins: NDArray[np.int64]) -> Reach:
    """Dijkstra from all origins at once."""
    seconds, previous, origin = dijkstra(
        net.matrix, indices=np.unique(origins), return_predecessors=True, min_only=True
    )
    return Reach(seconds=seconds, previous=previous, origin=origin)


def way(net: Network, found: Reach, target: int) -> tuple[list[int], list[int]]:
    """The k edges from the origin to a node that can be reached, and the k + 1 nodes along them."""
    nodes = [target]
    while found.previous[nodes[-1]] != NOWHERE:
        nodes.append(int(found.previous[nodes[-1]]))
    nodes.reverse()
    size = net.matrix.shape[0]
    keys = np.array(nodes[:-1], np.int64) * size + np.array(nodes[1:], np.int64)
    edges = net.edges[np.searchsorted(net.keys, keys)]
    return edges.tolist(), nodes


def components(roads: Roads, passable: NDArray[np.bool_]) -> NDArray[np.int32]:
    """(N,) number of the part of the network that each node lies in, one-way streets counting both ways.

    In an emergency a one-way street can be driven against; only a closed one cuts off.
    """
    size = len(roads.nodes)
    ends = (roads.tail[passable], roads.head[passable])
    links = coo_array((np.ones(len(ends[0])), ends), shape=(size, size))
    _, labels = connected_components(links, directed=False)
    found: NDArray[np.int32] = labels
    return found


def repairs(
    roads: Roads, closed: NDArray[np.bool_], origins: NDArray[np.int64], weights: dict[str, NDArray[np.float64]],
    most: int = 10,
) -> list[Repair]:  # fmt: skip
    """Closed edges in the order in which clearing them, one at a time, reconnects most of the first weight.

    Greedy: after each repair the next best edge at the border of what is reached is taken.

    Args:
        roads: the graph.
        closed: (E,).
        origins: nodes of the rescuers.
        weights: what counts, name -> (N,); the first decides, the others break ties in their order.
        most: repairs at the most.
    """
    label = components(roads, ~closed)
    parts = int(label.max()) + 1
    sums = {name: np.bincount(label, weights=weight, minlength=parts) for name, weight in weights.items()}
    links = np.flatnonzero(closed & (label[roads.tail] != label[roads.head]))
    left, right = label[roads.tail[links]], label[roads.head[links]]
    joined = np.zeros(parts, bool)
    joined[label[origins]] = True
    plan: list[Repair] = []
    while len(plan) < most:
        border = np.flatnonzero(joined[left] != joined[right])
        if not len(border):
            break
        beyond = np.where(joined[left[border]], right[border], left[border])
        order = np.lexsort([-sum_[beyond] for sum_ in reversed(sums.values())])
        best, part = border[order[0]], beyond[order[0]]
        plan.append(Repair(edge=int(links[best]), gain={name: float(sum_[part]) for name, sum_ in sums.items()}))
        joined[part] = True
    return plan
