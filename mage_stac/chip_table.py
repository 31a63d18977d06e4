"""The chip index: which part of which stack was observed and what it shows, as one frozen table.

No sampler opens a file or calls an API: the table answers where a chip can be cut.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from mage_stac import chip_pieces, remote, unread
from mage_stac.chip_pieces import Planes
from mage_stac.classes import NOT_OBSERVED
from mage_stac.errors import AssetError, CatalogueError
from mage_stac.progress import Step
from mage_stac.stack import NO_EVENT, Stack
from mage_stac.unread import Problem

CELL = 32
"""Edge of the squares in which pixels are counted, px."""
STRIP = 32 * CELL
"""Rows read at once: memory does not grow with the scene."""
WHOLE = 1 << 26
"""Pixels of a stack up to which every pixel is looked at; larger ones are looked at thinned, through overviews."""
THINNED = 8
"""Pixels a side for which one is looked at then: 16 a cell."""


@dataclass(frozen=True, kw_only=True)
class ChipTable:
    """Where something was observed on all dates of a stack, and in its label if it has one."""

    stacks: tuple[Stack, ...]
    cells: NDArray[np.int32]
    """(N, 3) stack, row, column of each CELL with a pixel observed, ordered by stack and row."""
    seen: NDArray[np.int64]
    """(N,) pixels observed."""
    spots: NDArray[np.int32]
    """(N, 2) row and column of one pixel of each cell that was observed: chips that hold it are not empty."""
    counts: NDArray[np.int64]
    """(N, K) of them, by class."""
    classes: tuple[int, ...]
    """K values that occur in the labels."""

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """(S + 1,) first cell of each stack."""
        return np.searchsorted(self.cells[:, 0], np.arange(len(self.stacks) + 1))

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """(S, 2) rows and columns of each stack."""
        return np.array([tuple(stack.geobox.shape) for stack in self.stacks], np.int64).reshape(-1, 2)

    @cached_property
    def events(self) -> NDArray[np.int64]:
        """(S,) number of each stack's event; -1 where nothing happened."""
        names = np.array([stack.event for stack in self.stacks], object)
        return np.where(names == NO_EVENT, -1, np.unique(names, return_inverse=True)[1])

    @cached_property
    def ends(self) -> NDArray[np.float64]:
        """(K + 1, N + 1) running sums over the cells: of the pixels of each class, last of those observed."""
        weights = np.concatenate([self.counts, self.seen[:, None]], axis=1).T
        return np.pad(np.cumsum(weights, axis=1), ((0, 0), (1, 0))).astype(np.float64)

    def only(self, keep: NDArray[np.bool_]) -> ChipTable:
        """Of some of the stacks (S,)."""
        kept = keep[self.cells[:, 0]]
        cells = self.cells[kept].copy()
        cells[:, 0] = (np.cumsum(keep) - 1)[cells[:, 0]]
        stacks = tuple(stack for stack, wanted in zip(self.stacks, keep, strict=True) if wanted)
        return replace(
            self, stacks=stacks, cells=cells, seen=self.seen[kept], spots=self.spots[kept], counts=self.counts[kept]
        )

    def share(self, stack: int, edge: int, stride: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Windows of a stack on a lattice: corners (n, 2) and the observed share of each, to the cell."""
        rows, columns = (int(size) for size in self.sizes[stack])
        start, stop = self.starts[stack], self.starts[stack + 1]
        seen = np.zeros((-(-rows // CELL) + 1, -(-columns // CELL) + 1))
        where = self.cells[start:stop, 1:] // CELL + 1
        seen[where[:, 0], where[:, 1]] = self.seen[start:stop]
        total = seen.cumsum(axis=0).cumsum(axis=1)
        top, left = (lattice(size, edge, stride) for size in (rows, columns))
        y0, y1, x0, x1 = (
            np.clip(part, 0, size - 1)
            for part, size in (
                (top // CELL, len(total)), (-(-(top + edge) // CELL), len(total)),
                (left // CELL, total.shape[1]), (-(-(left + edge) // CELL), total.shape[1]),
            )
        )  # fmt: skip
        found = total[y1][:, x1] - total[y0][:, x1] - total[y1][:, x0] + total[y0][:, x0]
        area = np.outer(y1 - y0, x1 - x0) * CELL**2
        corners = np.stack(np.meshgrid(top, left, indexing="ij"), axis=-1).reshape(-1, 2)
        return corners, (found / np.maximum(area, 1)).clip(0, 1).ravel()


def lattice(size: int, edge: int, stride: int) -> NDArray[np.int64]:
    """First pixels of windows that cover an axis: each stride, and one that ends with it; else one, centred."""
    if size <= edge:
        return np.array([(size - edge) // 2])
    starts = np.arange(0, size - edge + 1, stride)
    return starts if starts[-1] == size - edge else np.append(starts, size - edge)


def build(
    stacks: Sequence[Stack],
    *,
    reader: Planes | None = None,
    saved: Path | None = None,
    progress: Step | None = None,
    on_problem: Problem | None = None,
) -> ChipTable:
    """Look once at every stack and write down where it was observed and what its label shows.

    Args:
        stacks: what chips shall be cut from.
        reader: decodes windows; what suits the files unless given.
        saved: a file that keeps the table (.npz); it is taken from there if no raster has changed since.
        progress: called after each stack.
        on_problem: told of each stack's file that cannot be read; no chip is drawn from such a stack.

    Raises:
        CatalogueError: no stack shows anything.
        AssetError: a file cannot be read or contradicts its Item, and nobody is told or there is no other.
    """
    key = digest(stacks)
    known = _load(saved, key, stacks) if saved else None
    if known is not None:
        return known
    source = reader or remote.suited(stacks)
    parts: list[_Strip] = []
    problems: list[AssetError] = []
    for number, stack in enumerate(stacks):
        try:
            parts += _looked_at(number, stack, source)
        except AssetError as problem:
            if on_problem is None:
                raise
            on_problem(problem)
            problems.append(problem)
        if progress:
            progress(number + 1, len(stacks), f"index {stack.id}")
    if problems and len(problems) == len(stacks):
        raise unread.nothing(problems[0], len(stacks), "stacks")
    cells = np.concatenate([part.cells for part in parts]) if parts else np.zeros((0, 3), np.int32)
    if not len(cells):
        names = ", ".join(stack.id for stack in stacks[:3])
        raise CatalogueError(f"nothing was observed in any of {len(stacks)} stacks ({names}): no chip can be cut")
    classes = tuple(sorted({value for part in parts for value in part.counts}))
    table = ChipTable(
        stacks=tuple(stacks),
        cells=cells,
        seen=np.concatenate([part.seen for part in parts]),
        spots=np.concatenate([part.spots for part in parts]),
        counts=np.concatenate([part.columns(classes) for part in parts]),
        classes=classes,
    )
    if saved and not problems:
        _save(saved, key, table)
    return table


@dataclass(frozen=True, kw_only=True, slots=True)
class _Strip:
    """What a few rows of a stack show."""

    cells: NDArray[np.int32]
    """(n, 3) stack, row, column."""
    seen: NDArray[np.int64]
    """(n,) pixels."""
    spots: NDArray[np.int32]
    """(n, 2) row and column of one of them."""
    counts: dict[int, NDArray[np.int64]]
    """(n,) pixels of each class that occurs."""

    def columns(self, classes: tuple[int, ...]) -> NDArray[np.int64]:
        none = np.zeros(len(self.seen), np.int64)
        return (
            np.stack([self.counts.get(value, none) for value in classes], axis=1) if classes else none[:, None][:, :0]
        )


def _looked_at(number: int, stack: Stack, source: Planes) -> list[_Strip]:
    rows, columns = stack.geobox.shape
    step = 1 if rows * columns <= WHOLE else THINNED
    coarse = _thinned(stack, step) if step > 1 else stack
    strips = []
    for top in range(0, coarse.geobox.shape[0], STRIP // step):
        bottom = min(top + STRIP // step, coarse.geobox.shape[0])
        piece = chip_pieces.read(coarse, slice(top, bottom), slice(0, coarse.geobox.shape[1]), source)
        where, counts, spots = _counted(piece, CELL // step)
        total = counts.sum(axis=1)
        kept = np.flatnonzero(total)
        corners = where[kept] * CELL + np.array([top * step, 0])
        present: list[int] = np.flatnonzero(counts.any(axis=0)).tolist() if stack.mask else []
        strips.append(
            _Strip(
                cells=np.column_stack([np.full(len(kept), number), corners]).astype(np.int32),
                seen=total[kept] * step**2,
                spots=((spots[kept] + np.array([top, 0])) * step).astype(np.int32),
                counts={value: counts[kept, value] * step**2 for value in present},
            )
        )
    return strips


def _thinned(stack: Stack, step: int) -> Stack:
    rows, columns = stack.geobox.shape
    affine = stack.geobox.affine @ stack.geobox.affine.scale(step)
    geobox = GeoBox((-(-rows // step), -(-columns // step)), affine, stack.geobox.crs)
    return Stack(id=stack.id, event=stack.event, geobox=geobox, dates=stack.dates, mask=stack.mask)


def _counted(piece: chip_pieces.Piece, cell: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Of all cells of a piece: row and column counted in cells (n, 2), and observed pixels by class (n, 256).

    Last, row and column of one observed pixel of each (n, 2). Where there is no label, all pixels are of class 0.
    """
    height, width = piece.planes[0].values.shape[1:]
    code = np.zeros((height, width), np.int64) if piece.mask is None else piece.mask.astype(np.int64)
    for plane in piece.planes:
        if plane.seen is not None:
            code[~plane.seen] = NOT_OBSERVED
    spots = _middles(code != NOT_OBSERVED, cell)
    shape = -(-height // cell), -(-width // cell)
    row, column = np.arange(height) // cell, np.arange(width) // cell
    code += (row[:, None] * shape[1] + column) * 256
    counts = np.bincount(code.ravel(), minlength=shape[0] * shape[1] * 256).reshape(-1, 256)
    counts[:, NOT_OBSERVED] = 0
    return np.indices(shape).reshape(2, -1).T, counts, spots


def _middles(seen: NDArray[np.bool_], cell: int) -> NDArray[np.int64]:
    """Of each cell, row and column (n, 2) of the middle one of the pixels seen: it lies well inside of most shapes."""
    rows, columns = (-(-size // cell) for size in seen.shape)
    padded = np.zeros((rows * cell, columns * cell), bool)
    padded[: seen.shape[0], : seen.shape[1]] = seen
    cells = padded.reshape(rows, cell, columns, cell).swapaxes(1, 2).reshape(rows * columns, cell**2)
    running = cells.cumsum(axis=1, dtype=np.int16)
    middle = (running > running[:, -1:] // 2).argmax(axis=1)
    corners = np.indices((rows, columns)).reshape(2, -1).T * cell
    found: NDArray[np.int64] = corners + np.column_stack([middle // cell, middle % cell])
    return found


def digest(stacks: Sequence[Stack]) -> str:
    """Changes with the rasters, their grids, sizes and dates."""
    told = hashlib.sha256()
    for stack in stacks:
        told.update(repr((stack.id, stack.event, str(stack.geobox.crs), tuple(stack.geobox.affine))).encode())
        first = [one for mosaic in (*stack.dates, stack.mask) for one in mosaic]
        images = [file for one in first for file in (one, *one.beside)]
        for raster in (*images, *(one.mask for one in images if one.mask)):
            path = Path(raster.path)
            size = (path.stat().st_size, path.stat().st_mtime_ns) if path.exists() else None
            told.update(repr((raster.path, raster.bands, raster.nodata, raster.scale, raster.offset, size)).encode())
    return told.hexdigest()


def _save(path: Path, key: str, table: ChipTable) -> None:
    part = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.savez(
                file, key=np.array(key), cells=table.cells, seen=table.seen, spots=table.spots,
                counts=table.counts, classes=np.array(table.classes, np.int64),
            )  # fmt: skip
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise CatalogueError(f"{path} cannot be written: {error.strerror or error}") from None


def _load(path: Path, key: str, stacks: Sequence[Stack]) -> ChipTable | None:
    """The table of these very rasters, if the file holds it."""
    try:
        with np.load(path, allow_pickle=False) as file:
            if str(file["key"]) != key:
                return None
            arrays = {name: file[name] for name in ("cells", "seen", "spots", "counts", "classes")}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None
    return ChipTable(stacks=tuple(stacks), **{**arrays, "classes": tuple(int(v) for v in arrays["classes"])})
