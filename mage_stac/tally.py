"""Tally: which class occurs where in a set of pairs, and windows drawn by it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from mage_stac import pairs
from mage_stac.classes import DAMAGE_CLASSES, NOT_OBSERVED
from mage_stac.errors import CatalogueError
from mage_stac.pairs import Pair
from mage_stac.reader import Reader

CELL = 32
"""Edge of the squares in which label pixels are counted, px."""
STRIP = 32 * CELL
"""Rows of a label read at once: memory does not grow with the scene."""
CLASSES = tuple(entry.value for entry in DAMAGE_CLASSES)
"""Columns of the counts: 0..4, then 255."""
GRADES = (1, 2, 3, 4)

Place = tuple[int, int, int]
"""Pair, row and column of a window's upper left pixel; row and column may be negative."""


@dataclass(frozen=True, kw_only=True)
class ChipIndex:
    """Where which class occurs."""

    pairs: tuple[Pair, ...]
    cells: NDArray[np.int32]
    """(N, 3) pair, row, column of each CELL, ordered by pair."""
    counts: NDArray[np.int64]
    """(N, 6) label pixels by CLASSES."""

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """(P + 1,) first cell of each pair."""
        return np.searchsorted(self.cells[:, 0], np.arange(len(self.pairs) + 1))

    @cached_property
    def by_pair(self) -> NDArray[np.int64]:
        """(P, 6) label pixels of each pair by CLASSES."""
        return np.add.reduceat(self.counts, self.starts[:-1], axis=0)

    def totals(self) -> tuple[int, ...]:
        """Label pixels by CLASSES."""
        return tuple(int(n) for n in self.counts.sum(axis=0))


def index(
    roots: Sequence[Path],
    *,
    bands: Sequence[str],
    gsd: float,
    progress: Callable[[int, int, str], None] | None = None,
) -> ChipIndex:
    """Find the labelled pairs of some catalogues and count their label's classes.

    Raises:
        CatalogueError: no labelled pairs, or one of them is incomplete.
        AssetError: an asset or band is missing or unreadable.
        GridError: a pair's rasters lie on different grids.
        RecipeError: the pairs have another gsd.
    """
    found = pairs.read(roots, bands=bands, gsd=gsd)
    reader = Reader()
    cells, counts = [], []
    for number, pair in enumerate(found):
        where, what = _count(reader, pair)
        cells.append(np.column_stack([np.full(len(where), number), where]))
        counts.append(what)
        if progress:
            progress(number + 1, len(found), f"index {pair.id}")
    return ChipIndex(pairs=found, cells=np.concatenate(cells).astype(np.int32), counts=np.concatenate(counts))


def _count(reader: Reader, pair: Pair) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Corners (n, 2) of the cells of one pair and their label pixels (n, 6)."""
    height, width = pair.geobox.shape
    corners, counts = [], []
    for top in range(0, height, STRIP):
        rows = min(STRIP, height - top)
        label = reader.label(pair, Window(0, top, width, rows))
        padded = np.pad(label, ((0, -rows % CELL), (0, -width % CELL)), constant_values=NOT_OBSERVED)
        blocks = padded.reshape(padded.shape[0] // CELL, CELL, padded.shape[1] // CELL, CELL)
        counts.append(np.stack([(blocks == value).sum(axis=(1, 3)) for value in CLASSES], axis=-1).reshape(-1, 6))
        grid_rows, grid_columns = np.indices((blocks.shape[0], blocks.shape[2]))
        corners.append(np.column_stack([top + CELL * grid_rows.ravel(), CELL * grid_columns.ravel()]))
    return np.concatenate(corners), np.concatenate(counts)


def split(whole: ChipIndex, share: float) -> tuple[ChipIndex, ChipIndex]:
    """Training and validation parts; a place is wholly in one of them.

    Raises:
        CatalogueError: fewer than two places.
    """
    buildings = whole.by_pair[:, 1:5].sum(axis=1)
    damaged = whole.by_pair[:, 2:5].sum(axis=1) / np.maximum(buildings, 1)
    places: dict[str, list[float]] = {}
    for pair, fraction in zip(whole.pairs, damaged, strict=True):
        places.setdefault(pair.place, []).append(float(fraction))
    kept = pairs.held_out({place: sum(all_of) / len(all_of) for place, all_of in places.items()}, share)
    held = np.array([pair.place in kept for pair in whole.pairs])
    return _only(whole, ~held), _only(whole, held)


def _only(whole: ChipIndex, keep: NDArray[np.bool_]) -> ChipIndex:
    cells = keep[whole.cells[:, 0]]
    renumbered = whole.cells[cells].copy()
    renumbered[:, 0] = (np.cumsum(keep) - 1)[renumbered[:, 0]]
    chosen = tuple(pair for pair, kept in zip(whole.pairs, keep, strict=True) if kept)
    return ChipIndex(pairs=chosen, cells=renumbered, counts=whole.counts[cells])


def check_classes(part: ChipIndex) -> None:
    """Refuse a training set from which damage cannot be learnt.

    Raises:
        CatalogueError: no building, or buildings of one grade only.
    """
    totals = part.totals()
    present = [grade for grade in GRADES if totals[grade]]
    if not present:
        raise CatalogueError(
            f"the damage labels of the {len(part.pairs)} training pairs hold no building pixel: nothing to learn from"
        )
    if len(present) == 1:
        raise CatalogueError(
            f"all buildings of the {len(part.pairs)} training pairs have grade {present[0]}: a damage model needs at"
            f" least two grades; render more pairs, some of them damaged and some not"
        )


def draw(part: ChipIndex, rng: np.random.Generator, number: int, *, edge: int, background: float) -> list[Place]:
    """Draw windows: first a grade, each as often, then a scene that has it, then a spot where it is.

    Args:
        part: where to draw from.
        rng: decides everything.
        number: how many.
        edge: of the windows, px; they lie inside their scene if they fit.
        background: share of windows drawn anywhere instead.
    """
    present = [grade for grade in GRADES if part.by_pair[:, grade].any()]
    return [
        _spot(part, rng, None if not present or rng.random() < background else int(rng.choice(present)), edge)
        for _ in range(number)
    ]


def _spot(part: ChipIndex, rng: np.random.Generator, grade: int | None, edge: int) -> Place:
    having = np.arange(len(part.pairs)) if grade is None else np.flatnonzero(part.by_pair[:, grade])
    pair = int(rng.choice(having))
    start, stop = part.starts[pair], part.starts[pair + 1]
    weight = np.cumsum(part.counts[start:stop, grade] if grade is not None else np.ones(stop - start))
    cell = start + int(np.searchsorted(weight, rng.random() * weight[-1], side="right"))
    middle = part.cells[cell, 1:] + rng.integers(0, CELL, 2)
    row, column = (
        _inside(int(at) - edge // 2, edge, size) for at, size in zip(middle, part.pairs[pair].geobox.shape, strict=True)
    )
    return pair, row, column


def _inside(start: int, edge: int, size: int) -> int:
    """Move a window into the scene, or centre it on a scene smaller than itself."""
    return min(max(start, 0), size - edge) if size >= edge else (size - edge) // 2


def tiles(part: ChipIndex, size: int, limit: int) -> list[Place]:
    """At most `limit` disjoint windows, spread evenly over all scenes."""
    every = [
        (number, row, column)
        for number, pair in enumerate(part.pairs)
        for row in range(0, max(1, pair.geobox.shape[0] - size + 1), size)
        for column in range(0, max(1, pair.geobox.shape[1] - size + 1), size)
    ]
    step = max(1.0, len(every) / limit)
    return [every[int(i * step)] for i in range(min(limit, len(every)))]
