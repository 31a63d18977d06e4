"""The loader: rounds of chips, decoded by threads straight into batches; the one bridge from rasters to torch.

A round is a few batches whose chips are planned together. Its windows are decoded once, and each chip is written to
its place in its batch at once; the next round is under way meanwhile. A round depends on the seed and its number alone.

Axes: B chips, T dates, C bands, H and W pixels.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import count, cycle
from pathlib import Path
from typing import NotRequired, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from torch import Tensor

from mage_stac import chip_pieces, grid, plan, remote, samplers, unread
from mage_stac.chip_cache import ChipCache
from mage_stac.chip_pieces import Piece, Planes
from mage_stac.chip_table import ChipTable
from mage_stac.classes import NOT_OBSERVED
from mage_stac.errors import AssetError, GridError
from mage_stac.plan import Job
from mage_stac.samplers import Places, Sampling
from mage_stac.stack import Stack
from mage_stac.unread import Problem

THREADS = 2
"""Decoders of local files; the network has the cores for most of the time."""
BUFFER = 256
"""Chips of a round: among so many, those that share pixels are shuffled."""
AHEAD = 1
"""Rounds under way beside the one that is being taken."""


class Batch(TypedDict):
    image: Tensor
    """(B, T, C, H, W) float32 in the units of the Items' scale (reflectance, or 0..1); 0 where not observed."""
    mask: Tensor
    """(B, H, W) int64 classes, 255 not observed (everywhere where there is no label)."""
    valid: Tensor
    """(B, H, W) bool, True = observed on all dates, whatever the label says."""
    geobox: list[GeoBox]
    """Of each chip; may leave its stack's."""
    item_ids: list[str]
    """Ids of the stacks."""
    look: NotRequired[Tensor]
    """(B, T, C, H, W) float32: unlabelled real windows, to borrow their look."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """Of a batch's arrays."""

    batch: int
    dates: int
    bands: int
    edge: int


Arrays = tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.bool_]]
"""Image, mask and valid of one batch, as in Batch."""

Rounds = Callable[[int], Places | None]
"""Number of a round -> its chips in the order of the batches; None after the last."""


class Buffers:
    """Memory of batches, used again when nobody holds a tensor of the batch any more.

    Fresh pages cost more than reading does. Pinned where there is a GPU, so that copies to it run beside its work.
    """

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._free: deque[Arrays] = deque()
        self._pinned = torch.cuda.is_available()

    def take(self) -> Arrays:
        """Arrays for one batch."""
        try:
            return self._free.popleft()
        except IndexError:
            return self._made()

    def lend(self, arrays: Arrays, size: int) -> tuple[Tensor, Tensor, Tensor]:
        """The first `size` chips as tensors; the arrays come back when these are gone."""
        views = [array[:size] for array in arrays]
        left = count(len(views) - 1, -1)

        def back() -> None:
            if next(left) == 0:
                self._free.append(arrays)

        for view in views:
            weakref.finalize(view, back)
        image, mask, valid = (torch.from_numpy(view) for view in views)
        return image, mask, valid

    def _made(self) -> Arrays:
        s = self._shape
        pixels = (s.batch, s.edge, s.edge)
        image = torch.empty((s.batch, s.dates, s.bands, s.edge, s.edge), pin_memory=self._pinned)
        mask = torch.full(pixels, NOT_OBSERVED, dtype=torch.int64, pin_memory=self._pinned)
        valid = torch.empty(pixels, dtype=torch.bool, pin_memory=self._pinned)
        return image.numpy(), mask.numpy(), valid.numpy()


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """How files are read."""

    cache: Path | None = None
    """A folder that keeps decoded pixels for the epochs to come (as many bytes as they have)."""
    sign: Callable[[str], str] | None = None
    """URL -> URL with a token, for servers that ask for one."""
    threads: int | None = None
    """That decode; a few for local files, many for remote ones unless given."""
    on_problem: Problem | None = None
    """Told of each file that cannot be read. An epoch then leaves out its chips; a stream that is drawn keeps its
    batches full with other chips of the round. None: the error is raised."""
    source: Planes | None = None
    """Decodes windows instead of ours."""


@dataclass(frozen=True, kw_only=True)
class Loading:
    """What a stream is made with."""

    stacks: Sequence[Stack]
    sizes: NDArray[np.int64]
    """(S, 2) rows and columns of each."""
    piece: Callable[[Stack, slice, slice], Piece]
    """Decodes a window."""
    edge: int
    """Of the chips, px."""
    batch: int
    """Chips of a batch."""
    threads: int
    on_problem: Problem | None
    full: bool
    """Whether chips that cannot be read become others of their round, rather than missing in their batches."""

    @cached_property
    def labelled(self) -> bool:
        """Whether any stack has a label: masks are then written for every chip."""
        return any(stack.mask for stack in self.stacks)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Round:
    places: Places
    arrays: list[Arrays]
    """Of its batches."""
    futures: list[Future[AssetError | None]]
    jobs: tuple[Job, ...]


def stream(settings: Loading, rounds: Rounds, start: int = 0) -> Generator[Batch, None, None]:
    """Batches of all rounds from number `start` on, read ahead by threads.

    Raises:
        AssetError: a file cannot be read and nobody is told of problems, or nothing can be read any more.
        GridError: the stacks differ in their dates or bands.
    """
    buffers = Buffers(_shape(settings))
    told: list[AssetError] = []
    lost, delivered = 0, False
    with ThreadPoolExecutor(settings.threads, thread_name_prefix="chips") as pool:
        waiting = deque(
            pool.submit(_begun, number, settings, rounds, buffers, pool) for number in (start, start + AHEAD)
        )
        try:
            for number in count(start + AHEAD + 1):
                current = waiting.popleft().result()
                if current is None:
                    break
                missing = _finished(current, settings, told)
                lost, delivered = lost + int(missing.sum()), delivered or not missing.all()
                if settings.full and missing.all():
                    break
                waiting.append(pool.submit(_begun, number, settings, rounds, buffers, pool))
                if settings.full and missing.any():
                    missing = _filled(current, missing, settings.batch)
                yield from _batches(current, missing, settings, buffers)
                del current
            if told and (settings.full or not delivered):
                raise unread.nothing(told[0], lost, "chips")
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _shape(loading: Loading) -> Shape:
    shapes = {(len(stack.dates), stack.bands): stack for stack in loading.stacks}
    if len(shapes) != 1:
        said = ", ".join(f"{stack.id} has {dates} of {bands} bands" for (dates, bands), stack in shapes.items())
        raise GridError(f"the stacks differ in their dates or bands, so their chips fit in no batch: {said}")
    ((dates, bands),) = shapes
    return Shape(batch=loading.batch, dates=dates, bands=bands, edge=loading.edge)


def _begun(number: int, loading: Loading, rounds: Rounds, buffers: Buffers, pool: ThreadPoolExecutor) -> _Round | None:
    """Plan a round and hand its windows to the pool."""
    places = rounds(number)
    if places is None:
        return None
    arrays = [buffers.take() for _ in range(0, len(places), loading.batch)]
    jobs = plan.jobs(places, loading.sizes, loading.edge)
    futures = [pool.submit(_done, job, loading, arrays) for job in jobs]
    return _Round(places=places, arrays=arrays, futures=futures, jobs=jobs)


def _done(job: Job, loading: Loading, arrays: list[Arrays]) -> AssetError | None:
    """Decode a window and write its chips to their places; the error if it cannot be read."""
    try:
        piece = loading.piece(loading.stacks[job.stack], job.rows, job.columns)
    except AssetError as error:
        return error
    for number, row, column in job.chips.tolist():
        image, mask, valid = (array[number % loading.batch] for array in arrays[number // loading.batch])
        if piece.mask is None and loading.labelled:
            mask.fill(NOT_OBSERVED)
        piece.cut(row, column, image, mask, valid)
    return None


def _finished(current: _Round, loading: Loading, told: list[AssetError]) -> NDArray[np.bool_]:
    """Wait for a round; the chips that it lacks."""
    missing = np.zeros(len(current.places), bool)
    for job, future in zip(current.jobs, current.futures, strict=True):
        problem = future.result()
        if problem is None:
            continue
        if loading.on_problem is None:
            raise problem
        missing[job.chips[:, 0]] = True
        if problem.asset not in {one.asset for one in told}:
            told.append(problem)
            loading.on_problem(problem)
    return missing


def _filled(current: _Round, missing: NDArray[np.bool_], batch: int) -> NDArray[np.bool_]:
    """Put chips of the same round, in turn, where those are missing that cannot be read; then none is missing."""
    for number, other in zip(np.flatnonzero(missing).tolist(), cycle(np.flatnonzero(~missing).tolist()), strict=False):
        current.places[number] = current.places[other]
        image, mask, valid = current.arrays[number // batch]
        others = current.arrays[other // batch]
        image[number % batch], mask[number % batch], valid[number % batch] = (one[other % batch] for one in others)
    return np.zeros_like(missing)


def _batches(
    current: _Round, missing: NDArray[np.bool_], loading: Loading, buffers: Buffers
) -> Generator[Batch, None, None]:
    """The batches of a finished round, without the chips that it lacks."""
    for number, arrays in enumerate(current.arrays):
        span = slice(number * loading.batch, (number + 1) * loading.batch)
        kept = np.flatnonzero(~missing[span])
        places = current.places[span][kept]
        if len(kept) < len(missing[span]):
            for array in arrays:
                array[: len(kept)] = array[kept]
        if len(kept):
            yield _batch(buffers.lend(arrays, len(kept)), places, loading)


def _batch(tensors: tuple[Tensor, Tensor, Tensor], places: Places, loading: Loading) -> Batch:
    edge = loading.edge
    return Batch(
        image=tensors[0],
        mask=tensors[1],
        valid=tensors[2],
        geobox=[
            grid.crop(loading.stacks[stack].geobox, slice(row, row + edge), slice(column, column + edge))
            for stack, row, column in places.tolist()
        ],
        item_ids=[loading.stacks[stack].id for stack in places[:, 0]],
    )


def batches(
    table: ChipTable,
    *,
    edge: int,
    batch: int,
    seed: int,
    sampling: Sampling | None = None,
    access: Access | None = None,
) -> Generator[Batch, None, None]:
    """An endless stream of chips drawn from a chip index. The same seed gives the same batches.

    Args:
        table: where something was observed.
        edge: of the chips, px.
        batch: B.
        seed: of everything that is drawn.
        sampling: how; every observed pixel as likely unless given.
        access: how files are read.

    Raises:
        AssetError: a file cannot be read and nobody is told of problems.
        GridError: the stacks differ in their dates or bands.
    """
    settings = sampling or Sampling()
    number = batch * max(1, round(samplers.round_of(settings, edge, BUFFER) / batch))

    def places(turn: int) -> Places:
        return samplers.draw(table, settings, np.random.default_rng([seed, turn]), number, edge)

    return stream(loading(table, edge, batch, access or Access(), full=True), places)


def epoch(
    table: ChipTable, places: Places, *, edge: int, batch: int, access: Access | None = None
) -> Generator[Batch, None, None]:
    """Chips at given places, in their order, once; see `samplers.grid`. Arguments and errors as of `batches`."""
    number = batch * max(1, round(BUFFER / batch))

    def some(turn: int) -> Places | None:
        part = places[turn * number : (turn + 1) * number]
        return part if len(part) else None

    return stream(loading(table, edge, batch, access or Access(), full=False), some)


def loading(table: ChipTable, edge: int, batch: int, access: Access, *, full: bool) -> Loading:
    """What a stream of a chip index is made with."""
    source = access.source or remote.suited(table.stacks, access.sign)
    piece = ChipCache(access.cache, source).piece if access.cache else partial(chip_pieces.read, source=source)
    return Loading(
        stacks=table.stacks,
        sizes=table.sizes,
        piece=piece,
        edge=edge,
        batch=batch,
        threads=access.threads or (remote.THREADS if remote.afar(table.stacks) else THREADS),
        on_problem=access.on_problem,
        full=full,
    )
