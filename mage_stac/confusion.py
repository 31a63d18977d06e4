"""Figures of a damage map: everything here follows from one confusion matrix of reference against prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mage_stac.classes import DAMAGE_CLASSES, GRADES

Matrix = NDArray[np.int64]
"""(5, 5) counts of pixels or buildings: rows reference, columns prediction, in the order of NAMES."""

NAMES = tuple(entry.name for entry in DAMAGE_CLASSES if not entry.nodata)
"""The damage classes 0..4."""

DAMAGED = (2, 3, 4)
STATES = ((1, 2), (3,), (4,))
"""Standing, major, destroyed: what is told apart from above when minor damage is not."""

EPSILON = 1e-6
"""Keeps the harmonic mean finite, as in xView2's own scoring."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassFigures:
    """One class against all others. None where a figure is 0 / 0."""

    name: str
    support: int
    """Count in the reference."""
    predicted: int
    iou: float | None
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """The figures that stand for the whole. None where nothing defines them."""

    macro_f1: float | None
    """Mean F1 of the grades 1-4 that occur in reference or prediction."""
    localisation_f1: float | None
    """F1 of "a building" (grades 1-4) against none."""
    damage_precision: float | None
    damage_recall: float | None
    damage_f1: float | None
    """Grades 2-4 pooled, against everything else."""
    three_state_macro_f1: float | None
    """Mean F1 of standing (1-2), major (3) and destroyed (4), of those that occur."""
    xview2: float | None
    """0.3 localisation F1 + 0.7 harmonic mean of the grades' F1 within reference buildings."""
    xview2_damage_f1: float | None
    """That harmonic mean alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """Everything about one matrix, with what two maps that know nothing would score beside it."""

    confusion: tuple[tuple[int, ...], ...]
    """Rows reference, columns prediction, classes 0-4."""
    classes: tuple[ClassFigures, ...]
    summary: Summary
    no_damage_anywhere: Summary
    """The same buildings, each of them called undamaged."""
    all_background: Summary
    """No building anywhere."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; undefined figures are null."""
        return asdict(self)


def by_state(chances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums over the grades of each of STATES, (n, 3), of what n buildings have for the grades 1..4, (n, 4)."""
    return np.column_stack([chances[:, [grade - 1 for grade in state]].sum(axis=1) for state in STATES])


def count(reference: NDArray[Any], prediction: NDArray[Any]) -> Matrix:
    """Confusion matrix of two arrays of one shape; where either is above 4 (not observed) it is not counted."""
    known = (reference < len(NAMES)) & (prediction < len(NAMES))
    pairs = reference[known].astype(np.int64) * len(NAMES) + prediction[known].astype(np.int64)
    return np.bincount(pairs, minlength=len(NAMES) ** 2).reshape(len(NAMES), len(NAMES))


def figures(matrix: Matrix) -> Figures:
    """All figures of a confusion matrix."""
    undamaged = matrix.copy()
    undamaged[:, 1] = matrix[:, GRADES].sum(axis=1)
    undamaged[:, DAMAGED] = 0
    nothing = np.zeros_like(matrix)
    nothing[:, 0] = matrix.sum(axis=1)
    return Figures(
        confusion=tuple(tuple(int(n) for n in row) for row in matrix),
        classes=tuple(_one_class(matrix, value) for value in range(len(NAMES))),
        summary=summary(matrix),
        no_damage_anywhere=summary(undamaged),
        all_background=summary(nothing),
    )


def summary(matrix: Matrix) -> Summary:
    """The overall figures of a confusion matrix.

    The xView2 score follows DIUx-xView/xView2_scoring, xview2_metrics.py: damage counts only within reference buildings
    and one of them predicted as none is a miss of its grade. That code has every grade in its test set; here a
    grade that occurs neither in the reference nor in the prediction is left out, where it would make the score 0.
    """
    within = matrix.copy()
    within[0] = 0
    damage = [_f1(within, (grade,)) for grade in GRADES]
    known = [f1 for f1 in damage if f1 is not None]
    harmonic = len(known) / sum(1 / (f1 + EPSILON) for f1 in known) if known else None
    localisation = _f1(matrix, GRADES)
    precision, recall = _precision_recall(matrix, DAMAGED)
    both = None if localisation is None or harmonic is None else 0.3 * localisation + 0.7 * harmonic
    return Summary(
        macro_f1=_mean([_f1(matrix, (grade,)) for grade in GRADES]),
        localisation_f1=localisation,
        damage_precision=precision,
        damage_recall=recall,
        damage_f1=_f1(matrix, DAMAGED),
        three_state_macro_f1=_mean([_f1(matrix, state) for state in STATES]),
        xview2=both,
        xview2_damage_f1=harmonic,
    )


def _one_class(matrix: Matrix, value: int) -> ClassFigures:
    hit, false, missed = _tally(matrix, (value,))
    precision, recall = _precision_recall(matrix, (value,))
    return ClassFigures(
        name=NAMES[value],
        support=hit + missed,
        predicted=hit + false,
        iou=ratio(hit, hit + false + missed),
        precision=precision,
        recall=recall,
        f1=_f1(matrix, (value,)),
    )


def _tally(matrix: Matrix, values: Sequence[int]) -> tuple[int, int, int]:
    """Hits, false alarms and misses of a set of classes pooled into one."""
    hit = int(matrix[np.ix_(values, values)].sum())
    return hit, int(matrix[:, values].sum()) - hit, int(matrix[values, :].sum()) - hit


def _precision_recall(matrix: Matrix, values: Sequence[int]) -> tuple[float | None, float | None]:
    hit, false, missed = _tally(matrix, values)
    return ratio(hit, hit + false), ratio(hit, hit + missed)


def _f1(matrix: Matrix, values: Sequence[int]) -> float | None:
    hit, false, missed = _tally(matrix, values)
    return ratio(2 * hit, 2 * hit + false + missed)


def ratio(part: int, whole: int) -> float | None:
    """A share; None of nothing."""
    return part / whole if whole else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
