"""Whole stacks as arrays: windows decoded by several threads, each straight to its place."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from mage_stac import chip_pieces
from mage_stac.chip_pieces import Planes
from mage_stac.classes import NOT_OBSERVED
from mage_stac.reader import Reader
from mage_stac.samplers import BLOCK
from mage_stac.stack import Stack

THREADS = 2
"""That decode."""
WINDOW = 2 * BLOCK
"""Pixels a side decoded at once: few enough that they are still in the processor's cache when they are copied."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Whole:
    """All pixels of a stack."""

    image: NDArray[np.float32]
    """(T, C, H, W) in the units of the Items' scale; 0 where not observed."""
    mask: NDArray[np.int64] | None
    """(H, W) classes, 255 where not observed; None without a label."""
    valid: NDArray[np.bool_]
    """(H, W) True where observed on all dates, whatever the label says."""


def read(stack: Stack, *, source: Planes | None = None, threads: int = THREADS) -> Whole:
    """Decode a stack of any size that fits into memory: about 4 bytes a band, date and pixel, and 1 a pixel.

    Raises:
        AssetError: a file cannot be read, or contradicts its Item.
    """
    rows, columns = stack.geobox.shape
    image = np.empty((len(stack.dates), stack.bands, rows, columns), np.float32)
    mask = np.full((rows, columns), NOT_OBSERVED, np.int64) if stack.mask else None
    valid = np.empty((rows, columns), bool)
    planes = source or Reader()

    def window(corner: tuple[int, int]) -> None:
        y, x = (slice(start, min(start + WINDOW, size)) for start, size in zip(corner, (rows, columns), strict=True))
        piece = chip_pieces.read(stack, y, x, planes)
        label = np.empty(valid[y, x].shape, np.int64) if mask is None else mask[y, x]
        piece.cut(*corner, image[:, :, y, x], label, valid[y, x])

    with ThreadPoolExecutor(threads, thread_name_prefix="windows") as pool:
        for _ in pool.map(window, product(range(0, rows, WINDOW), range(0, columns, WINDOW))):
            pass
    return Whole(image=image, mask=mask, valid=valid)
