"""Plans: which windows to decode for a round of chips, so that pixels which chips share are decoded once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mage_stac.samplers import BLOCK, Places

LARGEST = 4 * BLOCK
"""Edge of the largest window decoded at once: it bounds memory."""

Box = tuple[int, int, int, int]
"""First row and column, and those after the last."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One window to decode and the chips to cut from it."""

    stack: int
    rows: slice
    columns: slice
    chips: NDArray[np.int64]
    """(k, 3) number of each chip in its round, and its row and column on the stack's grid."""


def jobs(places: Places, sizes: NDArray[np.int64], edge: int) -> tuple[Job, ...]:
    """Windows that hold all chips of `edge` px, by stack and place.

    Chips are joined to one window where that decodes no more blocks than the windows alone would.
    """
    made: list[Job] = []
    order = np.lexsort((places[:, 2], places[:, 1] // BLOCK, places[:, 0]))
    for stack in np.unique(places[:, 0]):
        size = sizes[stack]
        boxes: list[tuple[Box, list[int]]] = []
        for number in order[places[order, 0] == stack]:
            _join(boxes, _box(places[number, 1:], edge, size), int(number))
        made += [
            Job(
                stack=int(stack),
                rows=slice(box[0], box[2]),
                columns=slice(box[1], box[3]),
                chips=np.column_stack([numbers, places[numbers, 1:]]),
            )
            for box, numbers in boxes
        ]
    return tuple(made)


def _box(corner: NDArray[np.int64], edge: int, size: NDArray[np.int64]) -> Box:
    (top, left), (rows, columns) = (int(v) for v in corner), (int(v) for v in size)
    return max(0, top), max(0, left), min(rows, top + edge), min(columns, left + edge)


def _join(boxes: list[tuple[Box, list[int]]], box: Box, number: int) -> None:
    """Add a chip to the window that it fits best, or as a window of its own."""
    alone, best, saved = _blocks(box), None, -1
    for at, (other, _) in enumerate(boxes):
        both = min(box[0], other[0]), min(box[1], other[1]), max(box[2], other[2]), max(box[3], other[3])
        if max(both[2] - both[0], both[3] - both[1]) > LARGEST:
            continue
        gain = alone + _blocks(other) - _blocks(both)
        if gain > saved:
            best, saved = (at, both), gain
    if best is None:
        boxes.append((box, [number]))
    else:
        boxes[best[0]][1].append(number)
        boxes[best[0]] = (best[1], boxes[best[0]][1])


def _blocks(box: Box) -> int:
    return ((box[2] - 1) // BLOCK - box[0] // BLOCK + 1) * ((box[3] - 1) // BLOCK - box[1] // BLOCK + 1)
