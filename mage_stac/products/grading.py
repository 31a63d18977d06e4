"""Grading: a building's grade from what of its roof is lost, where a network says that pixel by pixel.

What a ruin looks like differs from event to event and from renders to photographs; how much of a roof is left does not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.stats import beta

from mage_stac.classes import PARTLY_LOST
from mage_stac.confusion import by_state

BAND = "roof-lost"
"""Description of the last band of a `probability` asset that says so (`models.states`): a building, its roof lost."""
ALIKE = 36
"""Pixels that say the same and so count once: a network sees its surroundings too. A judgement; it decides how sure a
grade is, not which."""
AROUND, HEEDED = 50.0, 1 / 3
"""Metres (standard deviation of a Gaussian) within which a storm is taken to do alike, and the weight of what is lost
there against a roof's own. Judgements: two plots; and so that a whole roof is called major only where more than 0.6 of
those around is lost, and one that is all gone destroyed wherever it is (2/3 > 0.6)."""
NEIGHBOURS = 48
"""At most so many, the nearest, are looked at: a house in a dense town has its surroundings in fewer than 50 m."""


def graded(
    means: NDArray[np.float64], pixels: NDArray[np.float64], centres: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Probabilities of the classes 0-4 of n buildings, (n, 5), from the means of what their pixels show.

    The share lost is P(4) over all that is building, drawn towards that of the buildings around (`surroundings`), since
    winds hardly change from one house to the next but what a network reads off a roof does. Its probability of lying
    below, within and above PARTLY_LOST is that of a beta distribution: as many looks at the roof as there are groups of
    ALIKE pixels, after none (Jeffreys' prior). Below, grades 1 and 2 share as their pixels do.

    Args:
        means: (n, 5) as `models.states` gives them.
        pixels: (n,) observed.
        centres: (n, 2) of the buildings, metres.
    """
    built = np.maximum(means[:, 1:].sum(axis=1), 1e-9)
    own, looks = np.clip(means[:, 4] / built, 0, 1), np.maximum(pixels / ALIKE, 1)
    lost = (1 - HEEDED) * own + HEEDED * surroundings(own, built * pixels, centres)
    below = beta.cdf(np.array(PARTLY_LOST)[:, None], lost * looks + 0.5, (1 - lost) * looks + 0.5)
    light = means[:, 1:3] / np.maximum(means[:, 1:3].sum(axis=1, keepdims=True), 1e-9)
    grades = np.column_stack([below[0, :, None] * light, below[1] - below[0], 1 - below[1]])
    return np.column_stack([means[:, 0], (1 - means[:, :1]) * grades])


def likeliest(chances: NDArray[np.float64]) -> NDArray[np.int64]:
    """Grades 1..4 of n buildings, (n,): the likeliest of standing, major and destroyed; where it stands, of 1 and 2.

    What is lost tells the three apart, something else the grades 1 and 2, which share a probability that must not lose
    against major because it is shared.

    Args:
        chances: (n, 5) as `graded` gives them.
    """
    states = by_state(chances[:, 1:]).argmax(axis=1)
    found: NDArray[np.int64] = np.where(states > 0, states + 2, 1 + chances[:, 1:3].argmax(axis=1))
    return found


def surroundings(
    lost: NDArray[np.float64], built: NDArray[np.float64], centres: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Share of all roofs lost around each of n buildings, its own among them, (n,): a Gaussian mean over AROUND.

    Args:
        lost: (n,) share lost of each roof, 0..1.
        built: (n,) area of each roof, any unit.
        centres: (n, 2) metres.
    """
    if not len(lost):
        return lost
    away, near = cKDTree(centres).query(centres, k=np.arange(1, min(NEIGHBOURS, len(lost)) + 1))
    weights = np.exp(-0.5 * (away / AROUND) ** 2) * np.maximum(built, 1e-9)[near]
    found: NDArray[np.float64] = (weights * lost[near]).sum(axis=1) / weights.sum(axis=1)
    return found
