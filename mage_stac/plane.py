"""Planes: decoded pixels of one date, in the file's own numbers until they are written into a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Floats = NDArray[np.floating[Any]]
Column = NDArray[np.float32]
"""A number for each band, (C, 1, 1)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plane:
    """A decoded window of one date: value = values * scale + offset."""

    values: NDArray[Any]
    """(C, h, w) in any type."""
    scale: Column | None = None
    """None: 1."""
    offset: Column | None = None
    """None: 0."""
    seen: NDArray[np.bool_] | None = None
    """(h, w) True where observed; None: everywhere."""

    def write(self, rows: slice, columns: slice, image: Floats, valid: NDArray[np.bool_]) -> None:
        """Write a part of the window into `image` (C, H, W), 0 where not observed, and take that off `valid` (H, W)."""
        part = self.values[:, rows, columns]
        if self.scale is None:
            np.copyto(image, part, casting="unsafe")
        else:
            np.multiply(part, self.scale, out=image, dtype=np.float32, casting="unsafe")
        if self.offset is not None:
            image += self.offset
        if self.seen is not None:
            seen = self.seen[rows, columns]
            if not seen.all():
                np.copyto(image, 0, where=~seen)
                valid &= seen

    def units(self, kind: DTypeLike = np.float32) -> Floats:
        """The whole window (C, h, w) in the units of its scale, as floating point numbers; 0 where not observed."""
        image = np.empty(self.values.shape, kind)
        self.write(slice(None), slice(None), image, np.ones(self.values.shape[1:], bool))
        return image


def column(numbers: tuple[float, ...], neutral: float) -> Column | None:
    """Numbers of the bands as a Column, or None if each is the neutral one."""
    if all(number == neutral for number in numbers):
        return None
    return np.array(numbers, np.float32)[:, None, None]


def observed(values: NDArray[Any], nodata: float | None) -> NDArray[np.bool_] | None:
    """Where a window (C, h, w) was observed: not where all bands hold the nodata value, or one is NaN; None: all."""
    seen: NDArray[np.bool_] | None = None
    if nodata is not None and not np.isnan(nodata):
        marker = values.dtype.type(nodata)
        missed = values[0] == marker
        if missed.any():
            for band in values[1:]:
                missed &= band == marker
            seen = ~missed
    if values.dtype.kind == "f":
        finite = ~np.isnan(values).any(axis=0)
        if not finite.all():
            seen = finite if seen is None else seen & finite
    return None if seen is None or seen.all() else seen
