"""Tally: which class occurs where in a set of labelled pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mage_stac import chip_table, pairs, stack
from mage_stac.chip_table import ChipTable
from mage_stac.classes import DAMAGE_CLASSES, GRADES, NOT_OBSERVED
from mage_stac.errors import AssetError, CatalogueError
from mage_stac.pairs import LABEL, Pair
from mage_stac.progress import Step
from mage_stac.readings import Bands
from mage_stac.unread import Problem

CLASSES = tuple(entry.value for entry in DAMAGE_CLASSES if entry.value != NOT_OBSERVED)
"""0..4."""

Place = tuple[int, int, int]
"""Pair, row and column of a window's upper left pixel; row and column may be negative."""


@dataclass(frozen=True, kw_only=True)
class ChipIndex:
    """Where which class was observed."""

    pairs: tuple[Pair, ...]
    table: ChipTable
    """Of a stack for each pair, in the same order."""

    @cached_property
    def by_pair(self) -> NDArray[np.int64]:
        """(P, 5) label pixels of each pair, observed on both dates, by CLASSES."""
        result = np.zeros((len(self.pairs), len(CLASSES)), np.int64)
        for column, value in enumerate(self.table.classes):
            ends = np.concatenate([[0], np.cumsum(self.table.counts[:, column])])
            result[:, value] = np.diff(ends[self.table.starts])
        return result

    def totals(self) -> tuple[int, ...]:
        """Label pixels by CLASSES."""
        return tuple(int(n) for n in self.by_pair.sum(axis=0))


def index(
    roots: Sequence[Path],
    *,
    bands: Bands,
    gsd: float,
    progress: Step | None = None,
    on_problem: Problem | None = None,
) -> ChipIndex:
    """Find the labelled pairs of some catalogues and count their label's classes; as `build` below.

    Raises:
        CatalogueError: no labelled pairs, one of them is incomplete, or nothing in them was observed.
        AssetError: an asset or band is missing or unreadable, or a label holds what is no damage class.
        GridError: a pair's rasters lie on different grids.
        RecipeError: the pairs have another gsd.
    """
    found = pairs.read(roots, bands=bands, gsd=gsd)
    whole = build(found, progress=progress, on_problem=on_problem)
    table = whole.table
    for column, value in enumerate(table.classes):
        if value not in CLASSES:
            pair = whole.pairs[int(table.cells[table.counts[:, column] > 0][0, 0])]
            raise AssetError(
                f"asset {LABEL!r} of Item {pair.items[2].id} holds {value}, which is no damage class: 0 to 4, or 255"
                " where not observed"
            )
    return whole


def build(
    found: Sequence[Pair],
    *,
    progress: Step | None = None,
    on_problem: Problem | None = None,
) -> ChipIndex:
    """The index of the pairs that show anything, whatever the classes of their labels.

    Args:
        found: pairs.
        progress: called after each.
        on_problem: told of each asset that cannot be read; its pair is then left out.

    Raises:
        AssetError: an asset cannot be read, and nobody is told or no pair can be read.
        CatalogueError: nothing was observed.
    """
    table = chip_table.build([stack.of_pair(pair) for pair in found], progress=progress, on_problem=on_problem)
    return _only(ChipIndex(pairs=tuple(found), table=table), np.diff(table.starts) > 0)


def split(whole: ChipIndex, share: float) -> tuple[ChipIndex, ChipIndex]:
    """Training and validation parts; a place is wholly in one of them, real pairs are all for training.

    With a share of 0 both parts are the whole.

    Raises:
        CatalogueError: fewer than two places.
    """
    if share == 0:
        return whole, whole
    buildings = whole.by_pair[:, 1:5].sum(axis=1)
    damaged = whole.by_pair[:, 2:5].sum(axis=1) / np.maximum(buildings, 1)
    places: dict[str, list[float]] = {}
    for pair, fraction in zip(whole.pairs, damaged, strict=True):
        if pair.real:
            continue
        places.setdefault(pair.place, []).append(float(fraction))
    kept = pairs.held_out({place: sum(all_of) / len(all_of) for place, all_of in places.items()}, share)
    held = np.array([not pair.real and pair.place in kept for pair in whole.pairs])
    return _only(whole, ~held), _only(whole, held)


def _only(whole: ChipIndex, keep: NDArray[np.bool_]) -> ChipIndex:
    chosen = tuple(pair for pair, kept in zip(whole.pairs, keep, strict=True) if kept)
    return ChipIndex(pairs=chosen, table=whole.table.only(keep))


def check_classes(part: ChipIndex, *, graded: bool = True) -> None:
    """Refuse a training set from which damage, or without `graded` where buildings are, cannot be learnt.

    Raises:
        CatalogueError: no building, or buildings of one grade only.
    """
    totals = part.totals()
    present = [grade for grade in GRADES if totals[grade]]
    if not present:
        raise CatalogueError(
            f"the damage labels of the {len(part.pairs)} training pairs hold no building pixel: nothing to learn from"
        )
    if graded and len(present) == 1:
        raise CatalogueError(
            f"all buildings of the {len(part.pairs)} training pairs have grade {present[0]}: a damage model needs at"
            f" least two grades; render more pairs, some of them damaged and some not"
        )


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
