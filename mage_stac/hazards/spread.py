"""Spread: when fire reaches each cell of a landscape, as the fastest of all ways (minimum travel time).

From every burning point fire grows as an ellipse with that point in its rear focus (Anderson 1983, USDA INT-305); the
ellipse follows from the rate of the front's head and from the wind. Arrival times are shortest paths through the cells
(Finney 2002, doi:10.1139/x02-068), along 32 directions.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd, hypot

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

from mage_stac.hazards.fuels import Bed

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]

LONGEST = 8.0
"""Most that an ellipse is longer than wide: beyond it Anderson's relation leaves its data (Finney 2004, FARSITE)."""
STEPS = tuple(
    (i, j) for i in range(-3, 4) for j in range(-3, 4) if gcd(i, j) == 1 and (max(abs(i), abs(j)) < 3 or abs(i * j) > 2)
)
"""(rows, columns) of the ways from one cell to others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Front:
    """How fire runs at each cell; rasters (rows, columns)."""

    head: Floats
    """Rate of the fastest direction, m/s, 0 where nothing burns."""
    east: Floats
    """Unit vector of that direction."""
    north: Floats
    eccentricity: Floats
    """Of the ellipse, 0 where fire runs alike in all directions."""

    def rate(self, east: float, north: float) -> Floats:
        """(rows, columns) m/s in the direction of a unit vector: head (1 - e) / (1 - e cos)."""
        along = self.east * east + self.north * north
        result: Floats = self.head * (1 - self.eccentricity) / (1 - self.eccentricity * along)
        return result


def length_to_width(wind: Floats) -> Floats:
    """Of the ellipse under a wind of m/s at half flame height: Anderson (1983), as Finney (1998) has it begin at 1.

    0.936 exp(0.2566 U) + 0.461 exp(-0.1548 U) - 0.397, at most LONGEST.
    """
    ratio = 0.936 * np.exp(0.2566 * np.minimum(wind, 30.0)) + 0.461 * np.exp(-0.1548 * wind) - 0.397
    result: Floats = np.clip(ratio, 1.0, LONGEST)
    return result


def eccentricity(length_to_width: Floats) -> Floats:
    """Of an ellipse that is so many times as long as wide."""
    result: Floats = np.sqrt(1 - 1 / np.square(length_to_width))
    return result


def front(fuel: Indices, beds: list[tuple[Bed, float]], bearing: float, uphill: tuple[Floats, Floats]) -> Front:
    """Wind and slope added as vectors of Rothermel's factors (Finney 1998, USDA RMRS-RP-4).

    Args:
        fuel: (rows, columns) index into `beds`, -1 where nothing burns.
        beds: each fuel bed and its wind, m/s at half flame height.
        bearing: where the wind blows to, degrees clockwise from north.
        uphill: (rows, columns) rise of the ground per metre towards east and towards north.
    """
    zero = np.zeros(fuel.shape)
    head, east, north, ratio = zero.copy(), zero.copy(), zero + 1.0, zero + 1.0
    steep = np.hypot(*uphill)
    for number, (bed, wind) in enumerate(beds):
        here = fuel == number
        climb = bed.slope * steep[here]
        x = bed.factor(wind) * np.sin(np.radians(bearing)) + climb * uphill[0][here]
        y = bed.factor(wind) * np.cos(np.radians(bearing)) + climb * uphill[1][here]
        total = np.hypot(x, y)
        head[here] = bed.rate * (1 + total)
        east[here] = np.divide(x, total, out=np.zeros_like(x), where=total > 0)
        north[here] = np.divide(y, total, out=np.ones_like(y), where=total > 0)
        ratio[here] = length_to_width(bed.equivalent(total))
    return Front(head=head, east=east, north=north, eccentricity=eccentricity(ratio))


def ways(front: Front, cell: float) -> tuple[Indices, Indices, Floats]:
    """From cell, to cell (flat indices) and time, s, of every way along STEPS that crosses burning ground only."""
    number = np.arange(front.head.size).reshape(front.head.shape)
    starts, ends, times = [], [], []
    for i, j in STEPS:
        length = hypot(i, j)
        rate = front.rate(j / length, -i / length)
        slow = np.divide(1.0, rate, out=np.full_like(rate, np.inf), where=rate > 0)
        time = _crossing(slow, i, j) * length * cell
        rows, columns = _window(number.shape, i, j)
        start, end = number[rows, columns], np.roll(number, (-i, -j), (0, 1))[rows, columns]
        kept = np.isfinite(time)
        starts.append(start[kept])
        ends.append(end[kept])
        times.append(time[kept])
    return np.concatenate(starts), np.concatenate(ends), np.concatenate(times)


def _window(shape: tuple[int, ...], i: int, j: int) -> tuple[slice, slice]:
    """Slices of the cells from which a step (i, j) stays inside."""
    return slice(max(0, -i), shape[0] - max(0, i)), slice(max(0, -j), shape[1] - max(0, j))


def _crossing(slow: Floats, i: int, j: int) -> Floats:
    """Mean slowness, s/m, along a step from each cell of _window: trapezes over the cells on the way."""
    parts = max(abs(i), abs(j))
    rows, columns = _window(slow.shape, i, j)
    total = np.zeros((rows.stop - rows.start, columns.stop - columns.start))
    for part in range(parts + 1):
        down, right = round(part * i / parts), round(part * j / parts)
        weight = 0.5 if part in {0, parts} else 1.0
        total += weight * slow[rows.start + down : rows.stop + down, columns.start + right : columns.stop + right]
    return total / parts


def arrival(count: int, ways: tuple[Indices, Indices, Floats], ignition: Indices, limit: float) -> Floats:
    """(count,) s at which fire reaches each node from the nodes `ignition`, inf where it does not within `limit` s.

    `ways` as from the function of that name; no two of them may join the same two nodes in the same direction.
    """
    start, end, time = ways
    # csgraph takes a time of 0 for no way.
    graph = sparse.coo_array((np.maximum(time, 1e-6), (start, end)), shape=(count, count)).tocsr()
    result: Floats = csgraph.dijkstra(graph, directed=True, indices=ignition, min_only=True, limit=limit)
    return result
