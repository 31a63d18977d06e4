"""One seamless map from a network that sees windows: probabilities blended, a rolling strip of rows in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from mage_stac import grid
from mage_stac.classes import NOT_OBSERVED
from mage_stac.errors import GridError
from mage_stac.jobs import Answer, Jobs, Known

CLASSES = 5
"""Probabilities per pixel: the damage classes 0-4."""

LEVELS = 250
"""Code of probability 1 in the `probability` asset: a byte holds steps of 0.004, and 255 is left for "not observed"."""

BUILDING = 0.5
"""A pixel is background when the probability of none is above this."""

Scene = tuple[NDArray[np.float32], NDArray[np.bool_]]
"""Image (2, C, rows, columns) 0..1, pre before post, and where it is observed (2, rows, columns)."""

Read = Callable[[slice, slice], Scene]
"""Rows and columns of the grid -> what lies there."""

Progress = Callable[[int, int, str], None]
"""Windows done, windows in all, what is being done."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tiling:
    """How a scene is cut for the network.

    Neighbouring windows overlap by twice the margin. Of each margin the outer half is thrown away (what lies there was
    seen without its surroundings), and over the inner half on either side of the border the windows are blended.
    """

    window: int = 512
    """Pixels a side that the network sees. Window less two margins and margin should be multiples of 32, so that every
    window meets the network's strides at the same phase."""
    margin: int = 64
    """Pixels on each side that belong to the neighbours too; 0 cuts hard."""
    batch: int = 4
    """Windows a call."""

    def __post_init__(self) -> None:
        if self.margin < 0 or self.window <= 2 * self.margin or self.batch < 1:
            raise GridError(
                f"windows of {self.window} px with margins of {self.margin} in batches of {self.batch}: a window must"
                " be larger than its two margins, a margin at least 0 and a batch at least 1"
            )

    @property
    def core(self) -> int:
        """Pixels a side that a window is alone responsible for, its neighbours' blending aside."""
        return self.window - 2 * self.margin

    def fitted(self, geobox: GeoBox) -> Tiling:
        """The same with a smaller window where the scene needs no larger one; its core is a multiple of 32."""
        needed = -(-max(geobox.shape) // 32) * 32 + 2 * self.margin
        return self if needed >= self.window else Tiling(window=needed, margin=self.margin, batch=self.batch)


@dataclass(frozen=True, kw_only=True, slots=True)
class Strip:
    """Finished rows of the map, over its whole width."""

    row: int
    """Of the first."""
    probabilities: NDArray[np.float32]
    """(5, rows, columns), sums to 1 over the classes; 0 where not observed."""
    valid: NDArray[np.bool_]
    """(rows, columns) True where observed on both dates."""


class Kept(Protocol):
    """Where answers outlive a process that is killed; see `resumption`."""

    def answer(self, row: int, column: int) -> NDArray[np.float32] | None:
        """Probabilities of the batch whose first window begins there, if they are known from an earlier run."""

    def keep(self, row: int, column: int, shares: NDArray[np.float32]) -> None:
        """Keep them."""


def strips(
    geobox: GeoBox,
    tiling: Tiling,
    read: Read,
    jobs: Jobs,
    progress: Progress | None = None,
    *,
    begin: int = 0,
    kept: Kept | None = None,
) -> Iterator[Strip]:
    """The map of a scene, from its first row to its last.

    Every pixel of the grid is predicted: beyond the scene's edge the network sees its mirror image. Windows without a
    pixel observed on both dates are passed over. Memory grows with the width of the scene, not with its height.

    Args:
        geobox: grid of the map.
        tiling: how it is cut.
        read: gives the images; called from one other thread, a row of windows ahead.
        jobs: where the network runs.
        progress: told of every batch of windows.
        begin: where a strip began in an earlier run; what lies above is not made again.
        kept: where answers are kept, and looked for.
    """
    rows, columns = geobox.shape
    lines = _lines(geobox, tiling)
    first = (begin + tiling.margin) // tiling.core if begin else 0
    first = max(0, first - -(-2 * tiling.margin // tiling.core))  # windows of these lines reach below `begin`
    pending = _Pending(
        row=max(0, lines[first].top),
        total=np.zeros((CLASSES + 1, 0, columns), np.float32),
        valid=np.zeros((0, columns), bool),
    )
    done, windows = (sum(len(line.lefts) for line in some) for some in (lines[:first], lines))
    weight = taper(tiling)
    for batch in _asked(_batches(lines[first:], tiling, read, jobs, kept), jobs.ahead):
        if batch.valid is not None:
            pending = pending.grown(batch.line.inside, batch.valid)
        if batch.answer is not None:
            for left, shares in zip(batch.lefts, batch.answer.result(), strict=True):
                pending.add(shares, weight, batch.line.top, left)
        done += batch.windows
        if progress:
            progress(done, windows, "windows")
        if batch.last:
            strip, pending = pending.split(rows if batch.line.stop == rows else batch.line.stop - tiling.margin)
            if len(strip.valid) and strip.row >= begin:
                yield strip


@dataclass(frozen=True, kw_only=True, slots=True)
class _Line:
    """Windows side by side, over the whole width of the grid."""

    top: int
    """First row of the windows; may lie outside of the grid."""
    stop: int
    """Row at which their cores end."""
    rows: NDArray[np.int64]
    """Which row of the grid each row of a window shows."""
    columns: int
    """Of the grid."""
    lefts: tuple[int, ...]
    """First column of each window."""

    @property
    def inside(self) -> slice:
        """The rows of the grid that they show."""
        return slice(int(self.rows.min()), int(self.rows.max()) + 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Batch:
    """Windows that were asked for together."""

    line: _Line
    lefts: tuple[int, ...]
    """First column of those that show something."""
    answer: Answer | None
    """None where none does."""
    windows: int
    """How many were looked at."""
    valid: NDArray[np.bool_] | None
    """(rows, columns) of the line observed on both dates, with its first batch."""
    last: bool
    """Of its line."""


@dataclass(frozen=True, slots=True)
class _Keeping:
    """An answer that is kept as soon as it is there."""

    answer: Answer
    keep: Callable[[NDArray[np.float32]], None]

    def result(self) -> NDArray[np.float32]:
        shares = self.answer.result()
        self.keep(shares)
        return shares


def _lines(geobox: GeoBox, tiling: Tiling) -> list[_Line]:
    windows = grid.windows(geobox, tiling.core, tiling.margin)
    return [
        _Line(
            top=core.start - tiling.margin,
            stop=core.stop,
            rows=mirrored(core.start - tiling.margin, tiling.window, geobox.shape[0]),
            columns=geobox.shape[1],
            lefts=tuple(window.outer[1].start for window in across),
        )
        for core, across in groupby(windows, key=lambda window: window.core[0])
    ]


def _asked(batches: Iterator[_Batch], ahead: int) -> Iterator[_Batch]:
    """The batches, each after so many more were asked for."""
    waiting: deque[_Batch] = deque()
    for batch in batches:
        waiting.append(batch)
        if len(waiting) > ahead:
            yield waiting.popleft()
    yield from waiting


def _batches(lines: Sequence[_Line], tiling: Tiling, read: Read, jobs: Jobs, kept: Kept | None) -> Iterator[_Batch]:
    for line, scene in _read_ahead(lines, read):
        image, seen = scene
        both = np.logical_and(*seen)
        starts = range(0, len(line.lefts), tiling.batch)
        for start in starts:
            some = line.lefts[start : start + tiling.batch]
            rows = (line.rows - line.inside.start)[:, None]
            places = {left: (rows, mirrored(left, tiling.window, line.columns)[None, :]) for left in some}
            shown = {left: place for left, place in places.items() if both[place].any()}
            yield _Batch(
                line=line,
                lefts=tuple(shown),
                answer=_answer(line, (image, seen), shown, jobs, kept) if shown else None,
                windows=len(some),
                valid=None if start else both,
                last=start == starts[-1],
            )


def _answer(
    line: _Line,
    scene: Scene,
    shown: dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]],
    jobs: Jobs,
    kept: Kept | None,
) -> Answer:
    """The answer to some windows: first column -> rows and columns of the scene."""
    where = line.top, next(iter(shown))
    known = kept.answer(*where) if kept else None
    if known is not None:
        return Known(known)
    image, seen = scene
    images = np.stack([image[:, :, *place] for place in shown.values()])
    answer = jobs.submit(images, np.stack([seen[:, *place] for place in shown.values()]))
    return _Keeping(answer, partial(kept.keep, *where)) if kept else answer


def _read_ahead(lines: Sequence[_Line], read: Read) -> Iterator[tuple[_Line, Scene]]:
    """Each line with what lies there; the next is read meanwhile."""

    def scene(line: _Line) -> Scene:
        return read(line.inside, slice(0, line.columns))

    pool = ThreadPoolExecutor(1, thread_name_prefix="reader")
    try:
        coming = pool.submit(scene, lines[0])
        for line, after in zip(lines, (*lines[1:], None), strict=True):
            found = coming.result()
            if after is not None:
                coming = pool.submit(scene, after)
            yield line, found
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Pending:
    """Rows of the map that later windows still add to."""

    row: int
    """Of the first on the grid."""
    total: NDArray[np.float32]
    """(6, rows, columns): weighted sums of the probabilities, and of the weights."""
    valid: NDArray[np.bool_]
    """(rows, columns) observed on both dates."""

    def grown(self, inside: slice, valid: NDArray[np.bool_]) -> _Pending:
        """With all rows up to the end of `inside`; `valid` (rows, columns) belongs to those rows."""
        more = inside.stop - self.row - len(self.valid)
        return _Pending(
            row=self.row,
            total=np.concatenate([self.total, np.zeros((len(self.total), more, valid.shape[1]), np.float32)], axis=1),
            valid=np.concatenate([self.valid, valid[len(valid) - more :]]),
        )

    def add(self, shares: NDArray[np.float32], weight: NDArray[np.float32], top: int, left: int) -> None:
        """Add a window (5, S, S) whose first pixel lies at (top, left) on the grid; what lies outside is dropped."""
        rows, first = self._overlap(top - self.row, shares.shape[1], len(self.valid))
        columns, start = self._overlap(left, shares.shape[2], self.valid.shape[1])
        part = np.s_[first : first + rows.stop - rows.start, start : start + columns.stop - columns.start]
        self.total[:-1, rows, columns] += shares[(slice(None), *part)] * weight[part]
        self.total[-1, rows, columns] += weight[part]

    @staticmethod
    def _overlap(start: int, size: int, length: int) -> tuple[slice, int]:
        low = max(0, start)
        return slice(low, max(low, min(length, start + size))), low - start

    def split(self, stop: int) -> tuple[Strip, _Pending]:
        """The rows before `stop`, finished, and the rest."""
        n = max(0, stop - self.row)
        total, valid = self.total[:, :n], self.valid[:n]
        shares = total[:-1] / np.maximum(total[-1], np.finfo(np.float32).tiny)
        shares[:, ~valid] = 0
        rest = _Pending(row=self.row + n, total=self.total[:, n:].copy(), valid=self.valid[n:].copy())
        return Strip(row=self.row, probabilities=shares, valid=valid), rest


def taper(tiling: Tiling) -> NDArray[np.float32]:
    """Weight of each pixel of a window, (S, S), 0..1; all windows' sum to 1 if cores are wider than the margin.

    Along each axis 1 in the core, 0 in the outer half of the margin, and between them a Hann slope centred on the
    border of the core.
    """
    slope = tiling.margin - tiling.margin // 2
    inward = np.minimum(np.arange(tiling.window) + 0.5, tiling.window - np.arange(tiling.window) - 0.5) - tiling.margin
    along = np.sin(np.pi / 4 * (1 + np.clip(inward / max(slope, 0.5), -1, 1))) ** 2
    return np.outer(along, along).astype(np.float32)


def mirrored(start: int, size: int, length: int) -> NDArray[np.int64]:
    """Indices 0..length-1 of `size` places from `start` on; beyond an end they run back without repeating it."""
    period = max(1, 2 * (length - 1))
    place = np.arange(start, start + size) % period
    return np.minimum(place, period - place) if length > 1 else np.zeros(size, np.int64)


def coded(strip: Strip) -> NDArray[np.uint8]:
    """Probabilities as bytes (5, rows, columns): `LEVELS` times the probability, 255 where not observed."""
    return np.where(strip.valid, np.rint(strip.probabilities * LEVELS), NOT_OBSERVED).astype(np.uint8)


def classed(strip: Strip) -> NDArray[np.uint8]:
    """Damage classes (rows, columns): 0 where a building is less likely than not, else the likeliest grade 1-4.

    The plain maximum of the five would turn a building of uncertain grade into no building. 255 where not observed.
    """
    grade = 1 + strip.probabilities[1:].argmax(axis=0)
    classes = np.where(strip.probabilities[0] > BUILDING, 0, grade)
    return np.where(strip.valid, classes, NOT_OBSERVED).astype(np.uint8)


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """A strip as it is written."""

    row: int
    """Of the first."""
    damage: NDArray[np.uint8]
    """(rows, columns): see `classed`."""
    probability: NDArray[np.uint8]
    """(5, rows, columns): see `coded`."""


def finished(strip: Strip) -> Finished:
    """A strip in bytes."""
    return Finished(row=strip.row, damage=classed(strip), probability=coded(strip))
