"""Hydraulics of floods: how much water comes, how high it stands, how far it reaches, how fast it moves.

SI units throughout. Rasters are (rows, columns), row 0 at the north edge.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, pi, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse.linalg import spsolve

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Some = float | Floats

ROUGHNESS = 0.06
"""Manning's n of a river with its built-up or planted flood plain, s/m^(1/3): Chow (1959), table 5-6, between a clean
winding main channel (0.040) and flood plains with brush or trees (0.07 to 0.1)."""
COARSE = 256
"""Most cells along a side of the grid on which water surfaces are interpolated."""
EIGHT = np.ones((3, 3), bool)
"""Water passes between cells that touch, corners included, as in depressions.fill."""


def growth(years: Some, variation: float) -> Floats:
    """How many times the mean annual flood a flood of the given return period is, by Gumbel's distribution.

    Chow (1951): K = -sqrt(6)/pi * (gamma + ln(ln(T / (T - 1)))), Q_T / Q_mean = 1 + K * variation.

    Args:
        years: return period T, more than 1.
        variation: standard deviation over mean of the annual floods, 0.3 in humid to 1 in dry climates.
    """
    period = np.asarray(years, float)
    factor: Floats = 1 - sqrt(6) / pi * (np.euler_gamma + np.log(np.log(period / (period - 1)))) * variation
    return factor


def velocity(depth: Some, slope: Some, roughness: float = ROUGHNESS) -> Floats:
    """Manning's mean velocity of a wide sheet of water, m/s: depth^(2/3) * sqrt(slope) / n; slope in m per m."""
    result: Floats = np.asarray(depth, float) ** (2 / 3) * np.sqrt(np.asarray(slope, float)) / roughness
    return result


def runoff(rain: Some, curve_number: Some) -> Floats:
    """Water that runs off, mm, by the curve number method (USDA NRCS, National Engineering Handbook 630, chapter 10).

    S = 25400 / CN - 254, runoff = (P - 0.2 S)^2 / (P + 0.8 S) where the rain P exceeds 0.2 S.

    Args:
        rain: mm in the event.
        curve_number: 30 (woods on sand) .. 98 (paved).
    """
    rain, retention = np.asarray(rain, float), 25400.0 / np.asarray(curve_number, float) - 254.0
    left = np.maximum(rain - 0.2 * retention, 0.0)
    result: Floats = left**2 / np.maximum(rain + 0.8 * retention, 1e-9)
    return result


def surface(ground: Floats, water: Mask) -> Floats:
    """Level of the water `water` carried on sideways over the land, m: what a river's slope means away from it.

    The smoothest surface that has the water's own level on it (Laplace's equation, no flow through the edge), solved
    on at most COARSE cells along a side and bilinear between them.
    """
    block = max(1, -(-max(ground.shape) // COARSE))
    rows, columns = (-(-size // block) for size in ground.shape)
    place = (np.arange(ground.shape[0]) // block)[:, None] * columns + np.arange(ground.shape[1]) // block
    count = np.bincount(place[water], minlength=rows * columns)
    total = np.bincount(place[water], ground[water], minlength=rows * columns)
    known = count > 0
    level = _harmonic(np.where(known, total / np.maximum(count, 1), 0.0), known, (rows, columns))
    where = np.meshgrid(*((np.arange(size) + 0.5) / block - 0.5 for size in ground.shape), indexing="ij")
    result: Floats = ndimage.map_coordinates(level.reshape(rows, columns), where, order=1, mode="nearest")
    return result


def _harmonic(level: Floats, known: Mask, shape: tuple[int, int]) -> Floats:
    """(cells,) `level` kept where `known`, the mean of its neighbours elsewhere."""
    number = np.arange(level.size).reshape(shape)
    one = np.concatenate([number[:, :-1].ravel(), number[:-1].ravel()])
    two = np.concatenate([number[:, 1:].ravel(), number[1:].ravel()])
    links = sparse.coo_array((np.ones(len(one)), (one, two)), shape=(level.size, level.size))
    links = (links + links.T).tocsr()
    flow = sparse.diags_array(np.asarray(links.sum(axis=1))) - links
    free = np.flatnonzero(~known)
    if not len(free):
        return level
    flow = flow.tocsr()[free]
    result = level.copy()
    result[free] = spsolve(flow[:, free].tocsc(), -(flow @ level))
    return result


def connected(wet: Mask, source: Mask) -> Mask:
    """Cells of `wet` that hang together with a cell of both `wet` and `source`, corners included."""
    label, _ = ndimage.label(wet, EIGHT, output=np.int32)
    reached = np.unique(label[source])
    result: Mask = np.isin(label, reached[reached > 0])
    return result


def inundate(ground: Floats, level: Some, source: Mask) -> Floats:
    """Depth of water, m, that stands at `level` (m, anywhere) wherever it gets to from `source` over wet cells only."""
    depth: Floats = np.maximum(level - ground, 0.0)
    return np.where(connected((depth > 0) | source, source), depth, 0.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reach:
    """A length of river with its flood plain."""

    ground: Floats
    """(rows, columns) m."""
    river: Mask
    """(rows, columns) True on the river as it is on an ordinary day."""
    cell: float
    """Side of a cell, m."""

    @property
    def length(self) -> float:
        """Of the river, m: the longest way through its cells, at least one cell."""
        return max(_extent(self.river) * self.cell, self.cell)

    @property
    def slope(self) -> float:
        """Fall of the water surface along the river, m per m; at least 1 in 10,000, below which DEMs say nothing."""
        level = self.ground[self.river]
        return max(float(np.percentile(level, 98) - np.percentile(level, 2)) / self.length, 1e-4)


def _extent(mask: Mask) -> float:
    """Length in cells of the diagonal of the smallest upright box of a mask."""
    rows, columns = np.nonzero(mask)
    return float(np.hypot(np.ptp(rows), np.ptp(columns)) + 1)


def discharge(reach: Reach, stages: Floats, roughness: float = ROUGHNESS) -> Floats:
    """(N,) m3/s that flow, above an ordinary day's, when the river stands `stages` (N,) m above its ordinary level.

    The synthetic rating curve of Zheng et al. (2018, doi:10.1111/1752-1688.12661): wet volume and wet bed over the
    reach's length are its mean cross-section A and wetted perimeter P, and Q = A (A/P)^(2/3) sqrt(slope) / n.
    """
    usual = surface(reach.ground, reach.river)
    south, east = np.gradient(reach.ground, reach.cell) if min(reach.ground.shape) > 1 else (0.0, 0.0)
    bed = np.sqrt(1 + np.square(south) + np.square(east)) * reach.cell**2 / reach.length
    flows = []
    for stage in stages.tolist():
        depth = inundate(reach.ground, usual + stage, reach.river)
        wet = depth > 0
        area = depth[wet].sum() * reach.cell**2 / reach.length
        perimeter = np.broadcast_to(bed, depth.shape)[wet].sum()
        radius = area / perimeter if perimeter > 0 else 0.0
        flows.append(area * radius ** (2 / 3) * sqrt(reach.slope) / roughness)
    return np.array(flows)


def stage(reach: Reach, flow: float, roughness: float = ROUGHNESS, highest: float = 20.0) -> float:
    """Metres above its ordinary level at which the river carries `flow` m3/s more than on an ordinary day.

    The rating curve is bracketed between 0 and `highest` and cut by regula falsi in logarithms to a centimetre; a flow
    that even `highest` cannot carry gives `highest`.
    """
    low, high = 0.01, highest
    flows = np.maximum(discharge(reach, np.array([low, high]), roughness), 1e-9)
    if flow >= flows[1] or flow <= flows[0]:
        return high if flow >= flows[1] else low
    while high - low > 0.01:
        share = log(flow / flows[0]) / log(flows[1] / flows[0])
        # Bisection keeps regula falsi from creeping along a curve that bends at the bank.
        middle = 0.5 * (low * (high / low) ** share + 0.5 * (low + high))
        between = float(discharge(reach, np.array([middle]), roughness)[0])
        if between < flow:
            low, flows = middle, np.array([between, flows[1]])
        else:
            high, flows = middle, np.array([flows[0], between])
    return 0.5 * (low + high)
