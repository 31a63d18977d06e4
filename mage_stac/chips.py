"""Chips: windows of rasters as torch batches, read ahead by threads; the one bridge from rasters to torch.

Axes: B chips, T = 2 dates (pre before post), C bands, H and W pixels.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import Any, NotRequired, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.windows import Window
from torch import Tensor

from mage_stac import grid
from mage_stac.classes import NOT_OBSERVED
from mage_stac.errors import AssetError
from mage_stac.pairs import Layer, Pair
from mage_stac.reader import Reader
from mage_stac.tally import ChipIndex, Place, draw

LOOK_TRIES, LOOK_VALID = 8, 0.5
"""Draws of a real window before one is taken as it is; share of it that should be observed."""
STATISTICS_CHIPS, STATISTICS_EDGE = 256, 64
"""Windows read for mean and standard deviation."""
THREADS = 2
"""Readers; the network has the cores for most of the time."""
AHEAD = 6
"""Batches being read or waiting; more only costs memory."""


class Batch(TypedDict):
    image: Tensor
    """(B, 2, C, H, W) float32, reflectance or DN, 0..1; 0 where not observed."""
    mask: Tensor
    """(B, H, W) int64 damage classes 0..4, 255 not observed."""
    valid: Tensor
    """(B, H, W) bool, True = observed on both dates and in the label."""
    geobox: list[GeoBox]
    """Of each chip; may leave its scene's."""
    item_ids: list[str]
    """Ids of the label Items' pairs."""
    look: NotRequired[Tensor]
    """(B, 2, C, H, W) float32 0..1: unlabelled real windows, to borrow their look."""


def read(part: ChipIndex, places: Sequence[Place], edge: int, reader: Reader) -> Batch:
    """Read windows into one batch; what lies outside of its scene is not valid.

    Raises:
        AssetError: a file cannot be read.
    """
    chips = [_chip(part.pairs[pair], row, column, edge, reader) for pair, row, column in places]
    image, mask, valid = (np.stack(arrays) for arrays in zip(*chips, strict=True))
    boxes = [
        grid.crop(part.pairs[pair].geobox, slice(row, row + edge), slice(column, column + edge))
        for pair, row, column in places
    ]
    return Batch(
        image=torch.from_numpy(image),
        mask=torch.from_numpy(mask),
        valid=torch.from_numpy(valid),
        geobox=boxes,
        item_ids=[part.pairs[pair].id for pair, _, _ in places],
    )


def _chip(pair: Pair, row: int, column: int, edge: int, reader: Reader) -> tuple[NDArray[Any], ...]:
    """Image (2, C, edge, edge), mask and valid (edge, edge) of one window."""
    image = np.zeros((2, len(pair.pre.bands), edge, edge), np.float32)
    mask = np.full((edge, edge), NOT_OBSERVED, np.int64)
    valid = np.zeros((edge, edge), bool)
    height, width = pair.geobox.shape
    top, left = max(row, 0), max(column, 0)
    rows, columns = min(row + edge, height) - top, min(column + edge, width) - left
    window = Window(left, top, columns, rows)
    inside = np.s_[top - row : top - row + rows, left - column : left - column + columns]
    mask[inside] = reader.label(pair, window)
    valid[inside] = mask[inside] != NOT_OBSERVED
    for date, layer in enumerate((pair.pre, pair.post)):
        image[(date, slice(None), *inside)], observed = reader.image(layer, window)
        valid[inside] &= observed
    return image, mask, valid


def batches(
    part: ChipIndex,
    *,
    edge: int,
    batch: int,
    seed: int,
    background: float = 0.1,
    start: int = 0,
    shard: tuple[int, int] = (0, 1),
    looks: Looks | None = None,
) -> Iterator[Batch]:
    """An endless stream of batches, read ahead by threads.

    Batch k depends on `seed` and k alone, so a stream that starts at k continues one that was stopped there.

    Args:
        part: where to draw from.
        edge: of the windows, px.
        batch: B over all processes.
        seed: of the run.
        background: share of windows drawn anywhere, rather than at a building.
        start: number of the first batch.
        shard: rank and number of processes; each reads its own part of every batch.
        looks: real images to add windows of, as `look`.
    """

    def make(number: int) -> Batch:
        rng = np.random.default_rng([seed, number])
        places = draw(part, rng, batch, edge=edge, background=background)[shard[0] :: shard[1]]
        made = read(part, places, edge, reader)
        if looks is not None:
            made["look"] = looks.draw(rng, len(places), edge, reader)
        return made

    reader = Reader()
    return _ahead(make, start)


def _ahead(make: Callable[[int], Batch], start: int) -> Iterator[Batch]:
    """make(start), make(start + 1), ... in order, several of them under way."""
    with ThreadPoolExecutor(THREADS, thread_name_prefix="chips") as pool:
        waiting = deque(pool.submit(make, number) for number in range(start, start + AHEAD))
        try:
            for number in count(start + AHEAD):
                yield waiting.popleft().result()
                waiting.append(pool.submit(make, number))
        finally:
            for future in waiting:
                future.cancel()


@dataclass(frozen=True, kw_only=True)
class Looks:
    """Unlabelled real images of both dates."""

    pre: tuple[Layer, ...]
    post: tuple[Layer, ...]
    gsd: float
    """Metres at which they are looked at."""

    def draw(self, rng: np.random.Generator, number: int, edge: int, reader: Reader) -> Tensor:
        """(number, 2, C, edge, edge) 0..1: windows of independent places, before and after."""
        windows = [[self._window(rng, layers, edge, reader) for layers in (self.pre, self.post)] for _ in range(number)]
        return torch.from_numpy(np.stack([np.stack(both) for both in windows]))

    def _window(
        self, rng: np.random.Generator, layers: Sequence[Layer], edge: int, reader: Reader
    ) -> NDArray[np.float32]:
        for _ in range(LOOK_TRIES):
            layer = layers[int(rng.integers(len(layers)))]
            height, width = reader.shape(layer)
            size = [min(max(2, round(edge * self.gsd / layer.gsd)), limit) for limit in (height, width)]
            row, column = (int(rng.integers(limit - n + 1)) for limit, n in zip((height, width), size, strict=True))
            image, valid = reader.image(layer, Window(column, row, size[1], size[0]), (edge, edge))
            if valid.mean() >= LOOK_VALID:
                break
        return np.where(valid, image, image.mean(axis=(1, 2), keepdims=True, where=valid) if valid.any() else 0.0)


def statistics(part: ChipIndex, seed: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each band over random windows of both dates, 0..1.

    Raises:
        AssetError: a file cannot be read, or no pixel of those read was observed.
    """
    rng = np.random.default_rng(seed)
    places = draw(part, rng, STATISTICS_CHIPS, edge=STATISTICS_EDGE, background=1)
    chips = read(part, places, STATISTICS_EDGE, Reader())
    seen = chips["image"].permute(0, 3, 4, 1, 2)[chips["valid"]].double()  # (pixels, T, C)
    if not len(seen):
        raise AssetError(
            f"no pixel of {len(places)} windows of {len(part.pairs)} pairs is observed on both dates and in the label:"
            " all are NaN, nodata or 255; look at the images"
        )
    mean, std = seen.mean(dim=(0, 1)), seen.std(dim=(0, 1)).clamp(min=1e-3)
    return tuple(mean.tolist()), tuple(std.tolist())
