"""Resampling of decoded windows onto another grid: exact coordinates on a lattice, one `grid_sample` for all bands."""

from __future__ import annotations

import math
import threading
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer
from torch.nn.functional import grid_sample, interpolate

STEP = 32
"""Pixels between the nodes of the lattice to begin with."""
TOLERANCE = 0.02
"""Source pixels by which a point between the nodes may be off; the step is halved until it holds."""
OUTSIDE = -1e6
"""Pixel coordinate that stands for "nowhere in the file"."""
FAR = 1e4
"""Half-widths of a window beyond which it does not matter how far a point lies outside."""
TURN = 360.0
"""Degrees."""

_local = threading.local()


def _transformer(source: str, target: str) -> Transformer:
    """One for each pair of CRS and thread: they must not be shared."""
    known: dict[tuple[str, str], Transformer] = _local.__dict__.setdefault("transformers", {})
    if (source, target) not in known:
        known[source, target] = Transformer.from_crs(source, target, always_xy=True)
    return known[source, target]


@lru_cache(maxsize=64)
def _in_degrees(crs: str) -> bool:
    return bool(CRS.from_user_input(crs).is_geographic)


def located(target: GeoBox, source: GeoBox, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where points of one grid lie on another: pixel coordinates (2, ...) x then y, 0.5 at the first pixel's centre.

    Longitudes are taken on the side of the antimeridian where the source lies. Points that it cannot show are OUTSIDE.
    """
    easting, northing = _moved(target.affine, x, y)
    if target.crs != source.crs:
        names = str(target.crs), str(source.crs)
        easting, northing = _transformer(*names).transform(easting, northing)
        if _in_degrees(names[1]):
            middle = source.affine @ (source.shape[1] / 2, source.shape[0] / 2)
            easting = middle[0] + (easting - middle[0] + TURN / 2) % TURN - TURN / 2
    found = np.stack(_moved(~source.affine, np.asarray(easting), np.asarray(northing)))
    return np.where(np.isfinite(found), found, OUTSIDE)


def _moved(affine: Affine, x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    return affine.a * x + affine.b * y + affine.c, affine.d * x + affine.e * y + affine.f


def lattice(target: GeoBox, source: GeoBox) -> NDArray[np.float64]:
    """Source pixel coordinates (2, n, m) of evenly spaced pixel centres of the target, its corners' among them.

    Between the nodes, linear interpolation is right to TOLERANCE.
    """
    rows, columns = target.shape
    nodes = [max(2, math.ceil(size / STEP) + 1) for size in (rows, columns)]
    while True:
        fine = [min(2 * n - 1, max(2, size)) for n, size in zip(nodes, (rows, columns), strict=True)]
        exact = located(target, source, *_centres(target, fine))
        if fine != [2 * n - 1 for n in nodes]:
            return exact  # every pixel is a node, or nearly
        if _bend(exact) <= TOLERANCE:
            return exact[:, ::2, ::2]
        nodes = fine


def _centres(target: GeoBox, nodes: list[int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    y, x = (np.linspace(0.5, size - 0.5, n) for size, n in zip(target.shape, nodes, strict=True))
    across, down = np.meshgrid(x, y)
    return across, down


def _bend(points: NDArray[np.float64]) -> float:
    """Largest distance of the points between the nodes from the straight line, where all are inside."""
    off = np.concatenate(
        [
            (points[:, 1:-1:2] - (points[:, :-2:2] + points[:, 2::2]) / 2).ravel(),
            (points[:, :, 1:-1:2] - (points[:, :, :-2:2] + points[:, :, 2::2]) / 2).ravel(),
        ]
    )
    near = np.abs(off) < abs(OUTSIDE) / 4  # a jump to OUTSIDE is no bend
    return float(np.abs(off[near]).max(initial=0))


def resampled(
    values: NDArray[np.floating[Any]],
    seen: NDArray[np.bool_] | None,
    points: NDArray[np.float64],
    shape: tuple[int, int],
    *,
    nearest: bool,
) -> tuple[NDArray[np.floating[Any]], NDArray[np.bool_] | None]:
    """Values (C, h, w) at a lattice of their own pixel coordinates (2, n, m), spread over `shape` (H, W).

    Pixels not `seen` (h, w; None: all are, and the points lie inside) have no weight; a pixel of the result is seen
    where the pixel of the source under its centre is, as GDAL has it.

    Returns:
        values (C, H, W) of the same type, 0 where not seen; seen (H, W), None if all are.
    """
    height, width = values.shape[1:]
    size = torch.tensor([width, height], dtype=torch.float64)[:, None, None]
    where = (2 * torch.from_numpy(points) / size - 1).clamp(-FAR, FAR).float()[None]
    source = torch.from_numpy(values)[None]
    grid = interpolate(where, shape, mode="bilinear", align_corners=True).permute(0, 2, 3, 1).to(source.dtype)
    mode = "nearest" if nearest else "bilinear"
    if seen is None:
        found = grid_sample(source, grid, mode=mode, padding_mode="border", align_corners=False)
        return found[0].numpy(), None
    mask = torch.from_numpy(seen)[None, None].to(source.dtype)
    under = grid_sample(mask, grid, mode="nearest", align_corners=False)[0, 0] > 0.5
    found = grid_sample(torch.where(mask > 0, source, 0), grid, mode=mode, align_corners=False)[0]
    if not nearest:
        found = found / grid_sample(mask, grid, mode=mode, align_corners=False)[0].clamp(min=1e-3)
    return torch.where(under, found, 0).numpy(), under.numpy()
