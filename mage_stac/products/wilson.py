"""Wilson's interval of a share, for counts that may be small or all alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Z95 = 1.959963984540054
"""Standard normal quantile of 0.975."""


def interval(hits: ArrayLike, trials: ArrayLike, z: float = Z95) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper bound of the share behind `hits` of `trials`, within 0..1; NaN where nothing was tried.

    Wilson (1927), https://doi.org/10.1080/01621459.1927.10502953. Unlike Wald's, it never leaves 0..1 and does not
    shrink to a point at 0 or all hits.

    Args:
        hits: counts.
        trials: counts, at least as large; of the same shape.
        z: standard normal quantile of the confidence; 95% unless given.
    """
    k, n = np.asarray(hits, np.float64), np.asarray(trials, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = k / n
        middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
        half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    low, high = np.clip(middle - half, 0, 1), np.clip(middle + half, 0, 1)
    # At none and at all the bound is exactly 0 or 1; rounding would leave it beside.
    return np.where((k == 0) & (n > 0), 0.0, low), np.where((k == n) & (n > 0), 1.0, high)
