"""Whether an image has the unit that a network learnt from: a scale that its Item does not state shows here."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mage_stac.errors import ModelError

FAR = 5.0
"""Widths of the range by which the median may leave it: clouds and glint stay within, another unit does not."""


def check(image: NDArray[np.float32], seen: NDArray[np.bool_], limits: tuple[float, float], what: str) -> None:
    """Refuse an image (C, H, W) whose values, where seen (H, W), are of another unit than `limits`, low and high.

    A range that begins below 0 is of decibels, of which a radar image has negative ones; power and amplitude are never
    negative, and their numbers may lie near those of decibels.

    Raises:
        ModelError: their median lies far beyond, or there are no decibels.
    """
    if not seen.any():
        return
    (low, high), values = limits, image[:, seen]
    middle = float(np.median(values))
    if low < 0 <= values.min():
        raise ModelError(
            f"{what} holds no value below 0, but the model learnt from decibels, {low:g} to {high:g}: convert power P"
            " to 10 log10(P), amplitude A to 20 log10(A), with what the provider adds for calibration"
        )
    if not low - FAR * (high - low) <= middle <= high + FAR * (high - low):
        raise ModelError(
            f"{what} holds values about {middle:.4g}, but the model learnt from {low:g} to {high:g}: its Item must"
            " state raster:scale and raster:offset, as `mage-stac search --download --bands` and `ingest --sensor` do"
        )
