"""One seamless map from a network that sees windows: probabilities blended, a rolling strip of rows in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from mage_stac import grid
from mage_stac.classes import NOT_OBSERVED
from mage_stac.errors import GridError
from mage_stac.jobs import Answer, Jobs
from mage_stac.progress import Step

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Pending:
    """Rows of the map that later windows still add to, over its whole width."""

    row: int
    """Of the first on the grid; those above are finished."""
    total: NDArray[np.float32]
    """(6, rows, columns): weighted sums of the probabilities, and of the weights."""
    valid: NDArray[np.bool_]
    """(rows, columns) observed on both dates."""

    def grown(self, stop: int) -> Pending:
        """With all rows before `stop`, the new ones still empty."""
        old, columns = self.valid.shape
        if stop - self.row <= old:
            return self
        shape = stop - self.row, columns
        more = Pending(row=self.row, total=np.zeros((CLASSES + 1, *shape), np.float32), valid=np.zeros(shape, bool))
        more.total[:, :old], more.valid[:old] = self.total, self.valid
        return more

    def add(self, shares: NDArray[np.float32], weight: NDArray[np.float32], top: int, left: int) -> None:
        """Add a window (5, S, S) whose first pixel lies at (top, left) on the grid; what lies outside is dropped."""
        rows, first = self._overlap(top - self.row, shares.shape[1], len(self.valid))
        columns, start = self._overlap(left, shares.shape[2], self.valid.shape[1])
        part = np.s_[first : first + rows.stop - rows.start, start : start + columns.stop - columns.start]
        for total, share in zip(self.total, shares, strict=False):  # class by class: what fits into the cache is faster
            total[rows, columns] += share[part] * weight[part]
        self.total[-1, rows, columns] += weight[part]

    @staticmethod
    def _overlap(start: int, size: int, length: int) -> tuple[slice, int]:
        low = max(0, start)
        return slice(low, max(low, min(length, start + size))), low - start

    def split(self, stop: int) -> tuple[Strip, Pending]:
        """The rows before `stop`, finished in place of what is pending here, and the rest."""
        n = max(0, stop - self.row)
        rest = Pending(row=self.row + n, total=self.total[:, n:].copy(), valid=self.valid[n:].copy())
        total, valid = self.total[:, :n], self.valid[:n]
        np.maximum(total[-1], np.finfo(np.float32).tiny, out=total[-1])
        for share in total[:-1]:
            np.divide(share, total[-1], out=share)
            np.copyto(share, 0, where=~valid)
        return Strip(row=self.row, probabilities=total[:-1], valid=valid), rest


def strips(
    geobox: GeoBox,
    tiling: Tiling,
    read: Read,
    jobs: Jobs,
    progress: Step | None = None,
    *,
    after: Pending | None = None,
) -> Iterator[tuple[Strip, Pending]]:
    """The map of a scene, from its first row to its last; with each strip what is pending below it.

    Every pixel of the grid is predicted: beyond the scene's edge the network sees its mirror image. Windows without a
    pixel observed on both dates are passed over. Memory grows with the width of the scene, not with its height.

    Args:
        geobox: grid of the map.
        tiling: how it is cut.
        read: gives the images; called from one other thread, a batch of windows ahead.
        jobs: where the network runs.
        progress: told of every batch of windows.
        after: what was pending below a strip of an earlier run; the map goes on there.
    """
    columns = geobox.shape[1]
    lines = _lines(geobox, tiling)
    pending = after or Pending(
        row=0, total=np.zeros((CLASSES + 1, 0, columns), np.float32), valid=np.zeros((0, columns), bool)
    )
    ahead = [line for line in lines if after is None or line.end > after.row]
    windows, done = (sum(len(line.lefts) for line in some) for some in (lines, lines[: len(lines) - len(ahead)]))
    weight = taper(tiling)
    for batch in _asked(_batches(_views(ahead, tiling, geobox.shape), read, jobs), jobs.ahead):
        seen, across = batch.view.inside
        pending = pending.grown(seen.stop)
        pending.valid[: seen.stop - pending.row, across] = batch.valid[pending.row - seen.start :]
        if batch.answer is not None:
            for left, shares in zip(batch.shown, batch.answer.result(), strict=True):
                pending.add(shares, weight, batch.view.line.top, left)
        done += len(batch.view.lefts)
        if progress:
            progress(done, windows, "windows")
        if batch.view.last:
            strip, pending = pending.split(batch.view.line.end)
            if len(strip.valid):
                yield strip, pending
            del strip  # the largest array there is, while the next one grows


@dataclass(frozen=True, kw_only=True, slots=True)
class _Line:
    """Windows side by side, over the whole width of the grid."""

    top: int
    """First row of the windows; may lie outside of the grid."""
    end: int
    """Row of the grid above which no later window adds anything."""
    lefts: tuple[int, ...]
    """First column of each window."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _View:
    """Windows of a line that are read and asked for together."""

    line: _Line
    lefts: tuple[int, ...]
    """First column of each window."""
    rows: NDArray[np.int64]
    """Which row of the grid each row of the windows shows."""
    columns: NDArray[np.int64]
    """Which column each column shows, from that of the first window to the last of the last."""
    last: bool
    """Of its line."""

    @property
    def inside(self) -> tuple[slice, slice]:
        """Rows and columns of the grid that they show."""
        rows, columns = (slice(int(some.min()), int(some.max()) + 1) for some in (self.rows, self.columns))
        return rows, columns

    def window(self, array: NDArray[Any], left: int) -> NDArray[Any]:
        """A window of what lies `inside` (..., rows, columns), mirrored to where it leaves the grid."""
        across = self.columns[left - self.lefts[0] :][: len(self.rows)]
        return _picked(_picked(array, self.rows - self.rows.min(), -2), across - self.columns.min(), -1)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Batch:
    """A view's windows that show something, asked for."""

    view: _View
    shown: tuple[int, ...]
    """First column of those windows."""
    answer: Answer | None
    """None where none does."""
    valid: NDArray[np.bool_]
    """(rows, columns) of what lies inside, observed on both dates."""


def _lines(geobox: GeoBox, tiling: Tiling) -> list[_Line]:
    windows = grid.windows(geobox, tiling.core, tiling.margin)
    rows = geobox.shape[0]
    return [
        _Line(
            top=core.start - tiling.margin,
            end=rows if core.stop == rows else core.stop - tiling.margin,
            lefts=tuple(window.outer[1].start for window in across),
        )
        for core, across in groupby(windows, key=lambda window: window.core[0])
    ]


def _views(lines: Sequence[_Line], tiling: Tiling, shape: tuple[int, int]) -> Iterator[_View]:
    rows, columns = shape
    for line in lines:
        starts = range(0, len(line.lefts), tiling.batch)
        for start in starts:
            lefts = line.lefts[start : start + tiling.batch]
            yield _View(
                line=line,
                lefts=lefts,
                rows=mirrored(line.top, tiling.window, rows),
                columns=mirrored(lefts[0], lefts[-1] - lefts[0] + tiling.window, columns),
                last=start == starts[-1],
            )


def _asked(batches: Iterator[_Batch], ahead: int) -> Iterator[_Batch]:
    """The batches, each after so many more were asked for."""
    waiting: deque[_Batch] = deque()
    for batch in batches:
        waiting.append(batch)
        if len(waiting) > ahead:
            yield waiting.popleft()
    yield from waiting


def _picked(array: NDArray[Any], places: NDArray[np.int64], axis: int) -> NDArray[Any]:
    """What lies at some places along an axis; a view where they follow one another."""
    first, last = int(places[0]), int(places[-1])
    if last - first != len(places) - 1:
        return array.take(places, axis)
    return np.moveaxis(np.moveaxis(array, axis, 0)[first : last + 1], 0, axis)


def _batches(views: Iterator[_View], read: Read, jobs: Jobs) -> Iterator[_Batch]:
    for view, scene in _read_ahead(views, read):
        both = np.logical_and(*scene[1])
        shown = tuple(left for left in view.lefts if view.window(both, left).any())
        answer = None
        if shown:
            answer = jobs.submit(*(np.stack([view.window(array, left) for left in shown]) for array in scene))
        yield _Batch(view=view, shown=shown, answer=answer, valid=both)


def _read_ahead(views: Iterator[_View], read: Read) -> Iterator[tuple[_View, Scene]]:
    """Each view with what lies there; the next is read meanwhile."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="reader")
    coming: deque[tuple[_View, Future[Scene]]] = deque()
    try:
        for view in views:
            coming.append((view, pool.submit(read, *view.inside)))
            if len(coming) > 1:
                first, found = coming.popleft()
                yield first, found.result()
        for first, found in coming:
            yield first, found.result()
    finally:
        pool.shutdown(cancel_futures=True)


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
    codes = np.empty(strip.probabilities.shape, np.uint8)
    for share, code in zip(strip.probabilities, codes, strict=True):
        np.rint(share * LEVELS, out=code, casting="unsafe")
        np.copyto(code, NOT_OBSERVED, where=~strip.valid)
    return codes


def classed(strip: Strip) -> NDArray[np.uint8]:
    """Damage classes (rows, columns): 0 where a building is less likely than not, else the likeliest grade 1-4.

    The plain maximum of the five would turn a building of uncertain grade into no building. 255 where not observed.
    """
    none, likeliest, *others = strip.probabilities
    grade = np.ones(none.shape, np.uint8)
    for k, share in enumerate(others, start=2):  # several times as fast as argmax over the first axis
        np.copyto(grade, k, where=share > likeliest)
        likeliest = np.maximum(likeliest, share)
    np.copyto(grade, 0, where=none > BUILDING)
    np.copyto(grade, NOT_OBSERVED, where=~strip.valid)
    return grade


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
