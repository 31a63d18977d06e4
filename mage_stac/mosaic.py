"""One seamless map from a network that sees windows: probabilities blended, a rolling strip of rows in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from mage_stac import grid
from mage_stac.classes import NOT_OBSERVED
from mage_stac.errors import GridError
from mage_stac.grid import Window

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

Network = Callable[[NDArray[np.float32], NDArray[np.bool_]], NDArray[np.float32]]
"""Images (B, 2, C, S, S) 0..1 and where they are observed (B, 2, S, S) -> probabilities (B, 5, S, S)."""

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


def strips(
    geobox: GeoBox, tiling: Tiling, read: Read, network: Network, progress: Progress | None = None
) -> Iterator[Strip]:
    """The map of a scene, from its first row to its last.

    Every pixel of the grid is predicted: beyond the scene's edge the network sees its mirror image. Windows without a
    pixel observed on both dates are passed over. Memory grows with the width of the scene, not with its height.
    """
    windows = list(grid.windows(geobox, tiling.core, tiling.margin))
    rows, columns = geobox.shape
    pending = _Pending(row=0, total=np.zeros((CLASSES + 1, 0, columns), np.float32), valid=np.zeros((0, columns), bool))
    done = 0
    for core, across in groupby(windows, key=lambda window: window.core[0]):
        top = core.start - tiling.margin
        lines = mirrored(top, tiling.window, rows)
        inside = slice(int(lines.min()), int(lines.max()) + 1)
        scene = read(inside, slice(0, columns))
        pending = pending.grown(inside, np.logical_and(*scene[1]))
        for some in _batches(across, tiling.batch):
            lefts = [window.outer[1].start for window in some]
            _add(pending, tiling=tiling, network=network, scene=scene, lines=lines - inside.start, top=top, lefts=lefts)
            done += len(some)
            if progress:
                progress(done, len(windows), "windows")
        strip, pending = pending.split(rows if core.stop == rows else core.stop - tiling.margin)
        if len(strip.valid):
            yield strip


def _batches(windows: Iterable[Window], size: int) -> Iterator[list[Window]]:
    left = iter(windows)
    while some := list(islice(left, size)):
        yield some


def _add(
    pending: _Pending,
    *,
    tiling: Tiling,
    network: Network,
    scene: Scene,
    lines: NDArray[np.int64],
    top: int,
    lefts: list[int],
) -> None:
    """Predict windows that lie side by side and add them to the pending sums, in place.

    Args:
        pending: what they are added to.
        tiling: size and margin of the windows.
        network: what predicts them.
        scene: rows of the scene around the windows, over its whole width.
        lines: which of those rows each row of a window shows.
        top: first row of the windows on the grid; may lie outside.
        lefts: first column of each.
    """
    image, seen = scene
    places = [(lines[:, None], mirrored(left, tiling.window, image.shape[-1])[None, :]) for left in lefts]
    kept = [(left, place) for left, place in zip(lefts, places, strict=True) if seen[:, *place].all(axis=0).any()]
    if not kept:
        return
    shares = network(
        np.stack([image[:, :, *place] for _, place in kept]), np.stack([seen[:, *place] for _, place in kept])
    )
    weight = taper(tiling)
    for (left, _), window in zip(kept, shares, strict=True):
        pending.add(np.concatenate([window * weight, weight[None]]), top, left)


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

    def add(self, weighted: NDArray[np.float32], top: int, left: int) -> None:
        """Add a window whose first pixel lies at (top, left) on the grid; what lies outside is dropped."""
        rows, first = self._overlap(top - self.row, weighted.shape[1], len(self.valid))
        columns, start = self._overlap(left, weighted.shape[2], self.valid.shape[1])
        height, width = rows.stop - rows.start, columns.stop - columns.start
        self.total[:, rows, columns] += weighted[:, first : first + height, start : start + width]

    @staticmethod
    def _overlap(start: int, size: int, length: int) -> tuple[slice, int]:
        low = max(0, start)
        return slice(low, min(length, start + size)), low - start

    def split(self, stop: int) -> tuple[Strip, _Pending]:
        """The rows before `stop`, finished, and the rest."""
        n = max(0, stop - self.row)
        total, valid = self.total[:, :n], self.valid[:n]
        shares = np.where(valid, total[:-1] / np.maximum(total[-1], np.finfo(np.float32).tiny), np.float32(0))
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
