"""Gradings: how a network's grades are to be read, from a few buildings that a person graded.

Offsets of the grades' logits and no weights: four numbers cannot learn twenty houses by heart. They are believed if
they tell buildings that were left out better than no offsets do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp

from mage_stac.classes import GRADES
from mage_stac.models.calibration import Offsets, Temperatures
from mage_stac.models.held_out import Said

PRIOR = 1.0
"""Standard deviation of each offset before anything was seen, log odds: a few buildings move little. A judgement."""
FEWEST = 4
"""Buildings below which nothing is fitted."""
SLIVER = 12
"""Pixels below which a part is a sliver of an outline cut by another, or by the edge of a pair, and no building."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """A graded building, as a network sees it."""

    logits: NDArray[np.float64]
    """(pixels, 4) of the grades 1..4."""
    grade: int
    """1..4"""


@dataclass(frozen=True, kw_only=True)
class Read:
    """What came of it."""

    offsets: tuple[float, ...]
    """(4,) log odds; zeros where they tell nothing better."""
    record: dict[str, Any]
    """Figures for training.json."""


def shown(said: Iterable[Said], temperatures: Temperatures, offsets: Offsets) -> list[Shown]:
    """The graded buildings in windows of real images: pixels of one grade that touch.

    Args:
        said: of windows whose masks hold grades 1..4 over graded buildings alone (`graded.label`).
        temperatures: of the logits.
        offsets: that the model has already.
    """
    found = []
    for outputs, mask, valid in said:
        logits = offsets.applied(temperatures.applied(outputs))["damage"].movedim(1, -1).double().cpu().numpy()
        for one, grades in zip(logits, np.where(valid, mask, 0), strict=True):
            for grade in GRADES:
                parts, number = ndimage.label(grades == grade)
                every = [Shown(logits=one[parts == part], grade=grade) for part in range(1, number + 1)]
                found += [building for building in every if len(building.logits) >= SLIVER]
    return found


def read(buildings: Sequence[Shown], grades: Sequence[int] = (1, 2, 3, 4)) -> Read:
    """Offsets of the grades' logits that fit graded buildings.

    The most probable ones (`fit`), if by leaving each building out they tell it better than nothing does.

    Args:
        buildings: what was graded.
        grades: those that the network tells by its logits; buildings of others have no say.
    """
    used = [one for one in buildings if one.grade in grades]
    free = [grade - 1 for grade in grades]
    offsets, before, left_out = np.zeros(len(GRADES)), None, None
    if len(used) >= FEWEST and len({one.grade for one in used}) > 1:
        before = float(np.mean([surprise(one, offsets, free) for one in used]))
        others = [used[:number] + used[number + 1 :] for number in range(len(used))]
        left_out = float(np.mean([surprise(one, fit(o, free), free) for one, o in zip(used, others, strict=True)]))
        if left_out < before:
            offsets = fit(used, free)
    rounded = tuple(round(float(value), 4) for value in offsets)
    counts = {str(grade): sum(one.grade == grade for one in buildings) for grade in GRADES}
    losses = {"before": before, "left out": left_out}
    told = {name: None if loss is None else round(loss, 4) for name, loss in losses.items()}
    return Read(offsets=rounded, record={"graded_buildings": counts, "log_loss": told, "offsets": list(rounded)})


def fit(buildings: Sequence[Shown], free: Sequence[int]) -> NDArray[np.float64]:
    """Offsets (4,) of the highest posterior: `surprise` of the buildings under a normal prior (PRIOR).

    Args:
        buildings: at least one.
        free: places 0..3 of the grades that are told apart; the others' offsets are 0.
    """

    def loss(values: NDArray[np.float64]) -> float:
        offsets = np.zeros(len(GRADES))
        offsets[free] = values
        return sum(surprise(one, offsets, free) for one in buildings) + float(np.square(values / PRIOR).sum()) / 2

    offsets = np.zeros(len(GRADES))
    offsets[free] = minimize(loss, np.zeros(len(free)), method="BFGS").x
    return offsets


def surprise(building: Shown, offsets: NDArray[np.float64], free: Sequence[int]) -> float:
    """-log of the probability of a building's grade: the mean of its pixels', as `products.buildings` takes it."""
    logits = (building.logits + offsets)[:, free]
    chances = log_softmax(logits, axis=1)[:, list(free).index(building.grade - 1)]
    return float(np.log(len(chances)) - logsumexp(chances))
