"""Readings: which bands of each date are read, and which of their values are taken as 0 and 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray

Range = tuple[float, float]

UNIT: Range = (0.0, 1.0)
"""Reflectance, or grey levels as shares of the brightest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """How the images of one date are read."""

    bands: tuple[str, ...]
    """Names or common names, in the network's order; one may stand several times."""
    range: Range = UNIT
    """Values, in the unit that the Items state, that are taken as 0 and 1."""

    def units(self, scale: float, offset: float) -> tuple[float, float]:
        """Scale and offset that turn DN into 0..1, from those that turn DN into values."""
        low, high = self.range
        return scale / (high - low), (offset - low) / (high - low)


Readings = tuple[Reading, Reading]
"""Of the image before and of that after."""

Bands = Sequence[str] | Readings
"""Names of the bands of both dates, whose values are 0..1, or how each date is read."""


def of(bands: Bands) -> Readings:
    """How each date is read."""
    if _told(bands):
        return bands
    both = Reading(bands=tuple(str(name) for name in bands))
    return both, both


def unit(values: NDArray[np.float32], limits: Range) -> NDArray[np.float32]:
    """Values of a range as 0..1, others beyond."""
    low, high = limits
    return values if limits == UNIT else (values - np.float32(low)) / np.float32(high - low)


def values(shares: NDArray[np.float32], limits: Range) -> NDArray[np.float32]:
    """The inverse of `unit`."""
    low, high = limits
    return shares if limits == UNIT else shares * np.float32(high - low) + np.float32(low)


def _told(bands: Bands) -> TypeGuard[Readings]:
    return isinstance(bands[0], Reading)
