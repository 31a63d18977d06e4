"""Chips of labelled pairs, for training: drawn by damage class, with windows of real images that lend their look.

Axes: B chips, T = 2 dates (pre before post), C bands, H and W pixels.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import count

import numpy as np
import torch
from numpy.typing import NDArray
from rasterio.windows import Window
from torch import Tensor

from mage_stac import loader, samplers, unread
from mage_stac.chip_table import ChipTable
from mage_stac.errors import AssetError
from mage_stac.loader import Access, Batch
from mage_stac.pairs import Layer
from mage_stac.reader import Reader
from mage_stac.samplers import Places, Sampling
from mage_stac.tally import ChipIndex, Place
from mage_stac.unread import Problem

__all__ = ["Batch", "Looks", "at", "batches", "lent", "statistics", "unlabelled"]

LOOK_TRIES, LOOK_VALID = 8, 0.5
"""Draws of a real window before one is taken as it is; share of it that should be observed."""
STATISTICS_CHIPS, STATISTICS_EDGE = 256, 64
"""Windows read for mean and standard deviation."""
ROUND = 64
"""Chips planned together: those that lie close to each other are decoded together."""
AHEAD = 6
"""Looks being read or waiting."""


def batches(
    part: ChipIndex,
    *,
    edge: int,
    batch: int,
    seed: int,
    sampling: Sampling | None = None,
    start: int = 0,
    shard: tuple[int, int] = (0, 1),
    access: Access | None = None,
) -> Generator[Batch, None, None]:
    """An endless stream of batches, read ahead by threads.

    Batch k depends on `seed` and k alone, so a stream that starts at k continues one that was stopped there.

    Args:
        part: where to draw from.
        edge: of the windows, px.
        batch: B over all processes.
        seed: of the run.
        sampling: how chips are drawn; balanced over the grades unless given.
        start: number of the first batch.
        shard: rank and number of processes; each reads its own part of every batch.
        access: how files are read.

    Raises:
        AssetError: a file cannot be read.
    """
    settings = sampling or Sampling(kind="balanced", ignored=(0,))
    number = max(1, round(samplers.round_of(settings, edge, ROUND) / batch))
    local = len(range(shard[0], batch, shard[1]))

    def places(turn: int) -> Places:
        rng = np.random.default_rng([seed, turn])
        drawn = samplers.draw(part.table, settings, rng, batch * number, edge)
        return drawn.reshape(number, batch, 3)[:, shard[0] :: shard[1]].reshape(-1, 3)

    settled = loader.loading(part.table, edge, local, access or Access(), full=True)
    with closing(loader.stream(settled, places, start // number)) as stream:
        for _ in range(start % number):
            next(stream)
        yield from stream


def lent(
    stream: Generator[Batch, None, None],
    looks: Looks,
    *,
    edge: int,
    batch: int,
    seed: int,
    start: int = 0,
    shard: tuple[int, int] = (0, 1),
) -> Generator[Batch, None, None]:
    """The batches of a stream, each with windows of real images as `look`; arguments as of `batches`."""
    reader = Reader()

    def look(turn: int) -> Tensor:
        rng = np.random.default_rng([seed, turn, 1])
        return looks.draw(rng, batch, edge, reader)[shard[0] :: shard[1]]  # a chip's look depends on its place alone

    with closing(stream), closing(_ahead(look, start)) as more:
        for made, borrowed in zip(stream, more, strict=False):
            made["look"] = borrowed
            yield made


def unlabelled(
    table: ChipTable,
    *,
    edge: int,
    batch: int,
    seed: int,
    start: int = 0,
    shard: tuple[int, int] = (0, 1),
    access: Access | None = None,
) -> Generator[Batch, None, None]:
    """An endless stream of chips of what has no label, every observed pixel as likely; arguments as of `batches`.

    Raises:
        AssetError: a file cannot be read.
    """
    number = max(1, round(ROUND / batch))
    local = len(range(shard[0], batch, shard[1]))

    def places(turn: int) -> Places:
        drawn = samplers.draw(table, Sampling(), np.random.default_rng([seed, turn, 2]), batch * number, edge)
        return drawn.reshape(number, batch, 3)[:, shard[0] :: shard[1]].reshape(-1, 3)

    settled = loader.loading(table, edge, local, access or Access(), full=True)
    with closing(loader.stream(settled, places, start // number)) as stream:
        for _ in range(start % number):
            next(stream)
        yield from stream


def at(
    part: ChipIndex, places: Sequence[Place], edge: int, batch: int, on_problem: Problem | None = None
) -> Generator[Batch, None, None]:
    """Chips at given places, in their order, once; without those that cannot be read, if somebody is told of them.

    Raises:
        AssetError: a file cannot be read and nobody is told, or none can.
    """
    where, access = np.array(places, np.int64).reshape(-1, 3), Access(on_problem=on_problem)
    return loader.epoch(part.table, where, edge=edge, batch=batch, access=access)


def _ahead(make: Callable[[int], Tensor], start: int) -> Generator[Tensor, None, None]:
    """make(start), make(start + 1), ... in order, several of them under way."""
    with ThreadPoolExecutor(1, thread_name_prefix="looks") as pool:
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
    on_problem: Problem | None = None
    """Told of an image that cannot be read; others are then looked at, if there are any."""

    def draw(self, rng: np.random.Generator, number: int, edge: int, reader: Reader) -> Tensor:
        """(number, 2, C, edge, edge) 0..1: windows of independent places, before and after."""
        windows = [[self._window(rng, layers, edge, reader) for layers in (self.pre, self.post)] for _ in range(number)]
        return torch.from_numpy(np.stack([np.stack(both) for both in windows]))

    def _window(
        self, rng: np.random.Generator, layers: Sequence[Layer], edge: int, reader: Reader
    ) -> NDArray[np.float32]:
        found, problems = list[tuple[NDArray[np.float32], NDArray[np.bool_]]](), list[AssetError]()
        for _ in range(LOOK_TRIES):
            try:
                found.append(_looked(rng, layers[int(rng.integers(len(layers)))], edge, self.gsd, reader))
            except AssetError as error:
                if self.on_problem is None:
                    raise
                self.on_problem(error)
                problems.append(error)
            if found and found[-1][1].mean() >= LOOK_VALID:
                break
        if not found:
            raise unread.nothing(problems[0], LOOK_TRIES, "windows of real images")
        return _filled(*found[-1])


def _filled(image: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """An image (C, H, W) with observed pixels, evenly taken, where nothing was: its histogram is theirs."""
    if valid.all() or not valid.any():
        return image
    known = image[:, valid]
    out = image.copy()
    out[:, ~valid] = known[:, np.linspace(0, known.shape[1] - 1, int((~valid).sum())).round().astype(int)]
    return out


def _looked(
    rng: np.random.Generator, layer: Layer, edge: int, gsd: float, reader: Reader
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A random window of a layer and where it was observed, at `gsd` metres."""
    height, width = reader.shape(layer)
    size = [min(max(2, round(edge * gsd / layer.gsd)), limit) for limit in (height, width)]
    row, column = (int(rng.integers(limit - n + 1)) for limit, n in zip((height, width), size, strict=True))
    return reader.image(layer, Window(column, row, size[1], size[0]), (edge, edge))


def statistics(
    part: ChipIndex, seed: int, on_problem: Problem | None = None, *, by_date: bool = False
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each band over random windows of both dates, 0..1; `by_date` those of before,
    then those of after.

    Raises:
        AssetError: a file cannot be read and nobody is told, or none can.
    """
    places = samplers.draw(part.table, Sampling(), np.random.default_rng(seed), STATISTICS_CHIPS, STATISTICS_EDGE)
    access = Access(on_problem=on_problem)
    with closing(loader.epoch(part.table, places, edge=STATISTICS_EDGE, batch=len(places), access=access)) as stream:
        chips = next(stream)
    seen = chips["image"].permute(0, 3, 4, 1, 2)[chips["valid"]].double()  # (pixels, T, C)
    over = (0,) if by_date else (0, 1)
    mean, std = seen.mean(dim=over), seen.std(dim=over).clamp(min=1e-3)
    return tuple(mean.flatten().tolist()), tuple(std.flatten().tolist())
