"""Samplers: which chips a round of batches is made of. They ask the chip index alone, and their seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mage_stac.chip_table import CELL, THINNED, ChipTable
from mage_stac.errors import RecipeError

Places = NDArray[np.int64]
"""(n, 3) stack, row and column of each chip's first pixel; a chip that is larger than its stack starts before it."""

BLOCK = 512
"""Edge of the blocks in which files are assumed to be compressed, px."""
PLACES = 128
"""Places that the chips of a round come from where several are cut near each: of 32, what is learnt suffers
(benchmarks/LOG.md)."""
SEEN = -1
"""Stands for "any class": wherever something was observed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """How chips are drawn."""

    kind: Literal["random", "balanced"] = "random"
    """random: every observed pixel is as likely. balanced: first a class, then an event that shows it, then a stack of
    that event, then a spot; without a label, first an event. Stacks where nothing happened are no event of their own:
    each is as likely as a stack is on average, lest half of what is undamaged be far from any damage."""
    background: float = 0.0
    """balanced: share of chips drawn anywhere instead, 0..1."""
    ignored: tuple[int, ...] = ()
    """balanced: classes that none is drawn for."""
    reuse: int = 1
    """Chips cut near each place drawn, out of the same decoded pixels: so many times fewer blocks are decoded. At most
    twice as many as lie beside each other in the square, since more would show the same again. Rounds, and the memory
    that they take, grow to PLACES times as many."""
    rarity: float = 0.0
    """balanced: temperature of rare-class sampling (Hoyer et al. 2022, arXiv 2111.14887): a class is drawn by
    softmax((1 - frequency) / temperature); 0 draws each equally often."""
    span: int = BLOCK
    """Edge of the square that these chips lie in, px."""

    def __post_init__(self) -> None:
        if self.reuse < 1 or self.span < 1 or not 0 <= self.background <= 1 or self.rarity < 0:
            raise RecipeError(
                f"reuse {self.reuse}, span {self.span}, background {self.background}, rarity {self.rarity}: reuse and"
                " span must be at least 1, background 0 to 1, rarity not negative"
            )


def together(sampling: Sampling, edge: int) -> int:
    """Chips of `edge` px that are cut near each place drawn."""
    return min(sampling.reuse, max(1, 2 * (sampling.span // edge) ** 2))


def round_of(sampling: Sampling, edge: int, chips: int) -> int:
    """Chips to plan together, where `chips` suffice as long as one is cut at each place."""
    reuse = together(sampling, edge)
    return chips if reuse == 1 else max(chips, PLACES * reuse)


def draw(table: ChipTable, sampling: Sampling, rng: np.random.Generator, number: int, edge: int) -> Places:
    """Draw chips of `edge` px in random order. They lie inside their stack if they fit, and each shows something."""
    reuse = together(sampling, edge)
    places = -(-number // reuse)
    chosen = _classes(table, sampling, rng, places)
    cells = _cells(table, sampling, rng, chosen)
    if reuse == 1:
        return _around(table, cells, rng, edge)
    return rng.permutation(_cluster(table, sampling, rng, cells, edge)[:number])


def _classes(table: ChipTable, sampling: Sampling, rng: np.random.Generator, number: int) -> NDArray[np.int64]:
    """Columns of the counts to draw for; SEEN: anywhere."""
    pixels = table.counts.sum(axis=0)  # a class may occur in the whole table and not in this part of it
    held = [k for k, value in enumerate(table.classes) if value not in sampling.ignored and pixels[k]]
    wanted = np.array(held, np.int64)
    if sampling.kind == "random" or not len(wanted):
        return np.full(number, SEEN)
    chosen = rng.choice(wanted, number, p=_rarely(pixels[wanted], sampling.rarity) if sampling.rarity else None)
    return np.where(rng.random(number) < sampling.background, SEEN, chosen)


def _rarely(pixels: NDArray[np.int64], temperature: float) -> NDArray[np.float64]:
    """Probabilities of classes by how many pixels each has."""
    power = (1 - pixels / pixels.sum()) / temperature
    weight = np.exp(power - power.max())
    return np.asarray(weight / weight.sum())


def _cells(
    table: ChipTable, sampling: Sampling, rng: np.random.Generator, chosen: NDArray[np.int64]
) -> NDArray[np.int64]:
    """A cell for each class asked for."""
    low, high = np.zeros(len(chosen)), np.zeros(len(chosen))
    for column in np.unique(chosen):
        here = chosen == column
        ends = table.ends[column]
        if sampling.kind == "random":
            low[here], high[here] = 0, ends[-1]
            continue
        stacks = _stacks(table, ends, rng, int(here.sum()), by_event=column != SEEN or not table.classes)
        low[here], high[here] = ends[table.starts[stacks]], ends[table.starts[stacks + 1]]
    spot = low + rng.random(len(chosen)) * (high - low)
    cells = np.empty(len(chosen), np.int64)
    for column in np.unique(chosen):
        here = chosen == column
        cells[here] = np.searchsorted(table.ends[column], spot[here], side="right") - 1
    return cells


def _stacks(
    table: ChipTable, ends: NDArray[np.float64], rng: np.random.Generator, number: int, *, by_event: bool
) -> NDArray[np.int64]:
    """Stacks that have the class whose running sums are `ends`: each as likely, or first each event."""
    having = np.flatnonzero(np.diff(ends[table.starts]))
    if not by_event:
        return rng.choice(having, number)
    events = table.events[having]
    if (events < 0).all():
        events = np.zeros_like(events)
    quiet = having[events < 0]
    order = np.argsort(events, kind="stable")[len(quiet) :]
    _, first, count = np.unique(events[order], return_index=True, return_counts=True)
    event = rng.integers(len(first), size=number)
    stacks: NDArray[np.int64] = having[order[first[event] + rng.integers(count[event])]]
    if len(quiet):
        stacks = np.where(rng.random(number) < len(quiet) / len(having), rng.choice(quiet, number), stacks)
    return stacks


def _around(table: ChipTable, cells: NDArray[np.int64], rng: np.random.Generator, edge: int) -> Places:
    """Chips whose middle lies in the cells; those of less than 2 cells are moved to hold the cell's observed pixel."""
    stack = table.cells[cells, 0].astype(np.int64)
    middle = table.cells[cells, 1:] + rng.integers(0, CELL, (len(cells), 2))
    spot, room = table.spots[cells], min(edge, THINNED)  # of a pixel looked at thinned, all that it stands for
    corner = np.clip(middle - edge // 2, spot + room - edge, spot)
    return np.column_stack([stack, inside(corner, edge, table.sizes[stack])])


def inside(corner: NDArray[np.int64], edge: int, size: NDArray[np.int64]) -> NDArray[np.int64]:
    """Corners (n, 2) moved so that chips lie inside their stacks (n, 2), or are centred on smaller ones."""
    return np.where(size >= edge, np.clip(corner, 0, np.maximum(size - edge, 0)), (size - edge) // 2)


def _cluster(
    table: ChipTable, sampling: Sampling, rng: np.random.Generator, cells: NDArray[np.int64], edge: int
) -> Places:
    """Chips in a square that holds each cell, the first around the cell itself, the others balanced."""
    span, stacks = sampling.span, table.cells[cells, 0]
    squares = _squares(table.spots[cells], span, rng)
    rows = []
    for cell, stack, corner in zip(cells, stacks, squares, strict=True):
        near = _near(table, int(stack), corner, span)
        chips = _around(table, np.append(cell, _picked(table, sampling, rng, near, edge)), rng, edge)
        size = table.sizes[stack]
        low = np.minimum(corner, size - edge)
        high = np.maximum(np.minimum(corner + span, size) - edge, low)
        chips[:, 1:] = np.where(size >= edge, np.clip(chips[:, 1:], low, high), chips[:, 1:])
        rows.append(chips)
    return np.concatenate(rows)


def _squares(spots: NDArray[np.int32], span: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Corners (n, 2) of squares of `span` px that hold pixels (n, 2) and begin with a block, or divide blocks."""
    step = min(span, BLOCK)
    first, last = -(-(spots + 1 - span) // step), spots // step
    corners: NDArray[np.int64] = rng.integers(np.maximum(first, 0), last + 1) * step
    return corners


def _near(table: ChipTable, stack: int, corner: NDArray[np.int64], span: int) -> NDArray[np.int64]:
    """Cells of a stack whose observed pixel lies in a square: chips moved into the square still hold it."""
    start, stop = table.starts[stack], table.starts[stack + 1]
    rows = np.searchsorted(table.cells[start:stop, 1], (corner[0] - CELL, corner[0] + span))  # they are in order
    first, last = start + rows
    where = table.spots[first:last]
    within = ((where >= corner) & (where < corner + span)).all(axis=1)
    cells: NDArray[np.int64] = first + np.flatnonzero(within)
    return cells


def _picked(
    table: ChipTable, sampling: Sampling, rng: np.random.Generator, near: NDArray[np.int64], edge: int
) -> NDArray[np.int64]:
    """Cells of all chips of a square but the first, by class if balanced."""
    number = together(sampling, edge) - 1
    weights = table.seen[near].astype(np.float64)
    if sampling.kind == "balanced" and table.classes:
        wanted = [k for k, value in enumerate(table.classes) if value not in sampling.ignored]
        counts = table.counts[near][:, wanted]
        sums = counts.sum(axis=0)
        present = sums > 0
        if present.any():
            balanced = (counts[:, present] / sums[present]).mean(axis=1)
            weights = sampling.background * weights / weights.sum() + (1 - sampling.background) * balanced
    ends = np.cumsum(weights)
    cells: NDArray[np.int64] = near[np.searchsorted(ends, rng.random(number) * ends[-1], side="right")]
    return cells


def grid(table: ChipTable, edge: int, *, stride: int | None = None, least: float = 0.0) -> Places:
    """All chips on a lattice of each stack that show more than `least` (share of their pixels, to the cell), in order.

    The last chip of a row or column ends with the stack, so all of it is shown.
    """
    found = []
    for stack in range(len(table.stacks)):
        corners, share = table.share(stack, edge, stride or edge)
        kept = corners[(share > 0) & (share >= least)]
        found.append(np.column_stack([np.full(len(kept), stack), kept]))
    return np.concatenate(found).astype(np.int64)
