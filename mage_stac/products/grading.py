"""Grading: a building's grade from what of its roof is lost, where a network says that pixel by pixel.

What a ruin looks like differs from event to event and from renders to photographs; how much of a roof is left does not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from mage_stac.classes import PARTLY_LOST

BAND = "roof-lost"
"""Description of the last band of a `probability` asset that says so (`models.states`): a building, its roof lost."""
ALIKE = 36
"""Pixels that say the same and so count once: a network sees its surroundings too. A judgement; it decides how sure a
grade is, not which."""


def graded(means: NDArray[np.float64], pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities of the classes 0-4 of n buildings, (n, 5), from the means of what their pixels show.

    The share lost is P(4) over all that is building. Its probability of lying below, within and above PARTLY_LOST is
    that of a beta distribution: as many looks at the roof as there are groups of ALIKE pixels, after none (Jeffreys'
    prior). Below, grades 1 and 2 share as their pixels do.

    Args:
        means: (n, 5) as `models.states` gives them.
        pixels: (n,) observed.
    """
    built = np.maximum(means[:, 1:].sum(axis=1), 1e-9)
    lost, looks = np.clip(means[:, 4] / built, 0, 1), np.maximum(pixels / ALIKE, 1)
    below = beta.cdf(np.array(PARTLY_LOST)[:, None], lost * looks + 0.5, (1 - lost) * looks + 0.5)
    light = means[:, 1:3] / np.maximum(means[:, 1:3].sum(axis=1, keepdims=True), 1e-9)
    grades = np.column_stack([below[0, :, None] * light, below[1] - below[0], 1 - below[1]])
    return np.column_stack([means[:, 0], (1 - means[:, :1]) * grades])
