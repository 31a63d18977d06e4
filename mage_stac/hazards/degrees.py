"""Degrees of damage: which gust does what to which kind of building or tree, after the Enhanced Fujita scale."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import log

import numpy as np
from numpy.typing import NDArray

from mage_stac.hazards.gusts import MPH
from mage_stac.scene.scene import Building

QUANTILE = 1.645
"""The scale's lower and upper bounds are read as the 5 and 95 per cent quantiles of a lognormal resistance."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Indicator:
    """A damage indicator of the EF scale.

    Speeds: McDonald and Mehta (2006), A Recommendation for an Enhanced Fujita Scale, rev. 2, Texas Tech University,
    appendix B: lower bound, expected value and upper bound of the 3 s gust in mph for each degree, from 1 up. Grades
    (Joint Damage Scale) are ours: 2 cover or glass lost, 3 part of the roof or decking gone, 4 walls or the whole roof.
    """

    name: str
    speeds: tuple[tuple[float, float, float], ...]
    grades: tuple[int, ...]

    @property
    def spread(self) -> float:
        """Standard deviation of ln resistance."""
        return _spread(self.speeds)

    def severity(self, gust: NDArray[np.float64]) -> NDArray[np.float64]:
        """Degree reached at a gust (N,) in m/s over the resistance, with the way to the next one as its fraction.

        0 to 1 is no visible damage; it ends one above the last degree, reached at 1.25 times its speed.
        """
        speeds = _steps(self.speeds)
        return np.asarray(np.interp(gust, speeds, np.arange(len(speeds), dtype=float)))

    def grade(self, severity: float) -> int:
        """Joint Damage Scale grade of a severity."""
        degree = min(int(severity), len(self.grades))
        return self.grades[degree - 1] if degree else 1


@cache
def _spread(speeds: tuple[tuple[float, float, float], ...]) -> float:
    return float(np.mean([log(high / low) for low, _, high in speeds])) / (2 * QUANTILE)


@cache
def _steps(speeds: tuple[tuple[float, float, float], ...]) -> NDArray[np.float64]:
    """(degrees + 2,) rising m/s from calm: a degree is not expected at less wind than the one before it."""
    rising = np.maximum.accumulate(np.array([expected for _, expected, _ in speeds])) * MPH
    rising = rising + 1e-6 * np.arange(len(rising))
    return np.concatenate([[0.0], rising, [1.25 * rising[-1]]])


FR12 = Indicator(
    name="FR12",
    speeds=(
        (53, 65, 80), (63, 79, 97), (79, 96, 114), (81, 97, 116), (103, 121, 141), (104, 122, 142), (113, 132, 153),
        (127, 152, 178), (142, 170, 198), (165, 200, 220),
    ),
    grades=(1, 2, 2, 3, 3, 3, 4, 4, 4, 4),
)  # fmt: skip
"""One- and two-family residences: 2 cover < 20 %, 4 decking and cover > 20 %, 6 large parts of the roof structure,
7 outer walls, 8 most walls, 9 all walls, 10 swept clean."""
MHSW = Indicator(
    name="MHSW",
    speeds=(
        (51, 61, 76), (61, 74, 92), (72, 87, 103), (73, 89, 112), (84, 98, 114), (87, 105, 123), (96, 109, 128),
        (101, 118, 136), (110, 127, 148),
    ),
    grades=(1, 2, 3, 3, 4, 4, 4, 4, 4),
)  # fmt: skip
"""Single-wide mobile homes."""
ACT = Indicator(
    name="ACT",
    speeds=(
        (63, 76, 95), (82, 99, 121), (107, 124, 146), (120, 138, 158), (138, 158, 184), (155, 180, 205),
        (155, 180, 205),
    ),
    grades=(1, 2, 3, 3, 4, 4, 4),
)  # fmt: skip
"""Apartments, condominiums, townhouses."""
SRB = Indicator(
    name="SRB",
    speeds=(
        (54, 65, 81), (65, 78, 98), (72, 86, 103), (81, 98, 119), (83, 98, 114), (101, 119, 140), (120, 138, 159),
        (143, 167, 193),
    ),
    grades=(1, 2, 2, 3, 3, 3, 4, 4),
)  # fmt: skip
"""Small retail buildings; churches too."""
ES = Indicator(
    name="ES",
    speeds=(
        (46, 65, 80), (66, 79, 99), (71, 87, 106), (85, 99, 118), (82, 101, 121), (92, 108, 148), (108, 125, 148),
        (117, 139, 162), (130, 153, 180), (152, 176, 203),
    ),
    grades=(1, 2, 2, 2, 3, 3, 3, 4, 4, 4),
)  # fmt: skip
"""Elementary schools."""
MBS = Indicator(
    name="MBS",
    speeds=(
        (54, 67, 83), (75, 89, 108), (78, 95, 120), (96, 117, 135), (95, 118, 138), (118, 138, 158), (120, 143, 168),
        (132, 155, 178),
    ),
    grades=(1, 2, 3, 3, 3, 4, 4, 4),
)  # fmt: skip
"""Metal building systems."""
SBO = Indicator(
    name="SBO",
    speeds=(
        (53, 62, 78), (61, 74, 91), (68, 83, 102), (78, 90, 110), (77, 93, 114), (81, 97, 119), (83, 99, 118),
        (94, 112, 131),
    ),
    grades=(1, 2, 2, 3, 3, 4, 4, 4),
)  # fmt: skip
"""Small barns and farm outbuildings: garages and sheds."""
TH = Indicator(
    name="TH",
    speeds=((48, 60, 72), (61, 74, 88), (76, 91, 118), (93, 110, 134), (123, 143, 167)),
    grades=(1, 1, 1, 1, 1),
)
"""Hardwood trees: 2 large branches, 3 uprooted, 4 trunks snapped, 5 debarked stubs."""
TS = Indicator(
    name="TS",
    speeds=((48, 60, 72), (62, 75, 88), (73, 87, 113), (88, 104, 128), (112, 131, 153)),
    grades=(1, 1, 1, 1, 1),
)
"""Softwood trees."""

BY_KIND = {
    "house": FR12, "mobile_home": MHSW, "apartment": ACT, "commercial": SRB, "church": SRB, "school": ES,
    "industrial": MBS, "garage": SBO, "shed": SBO,
}  # fmt: skip
"""By Building.kind."""


def indicator(building: Building) -> Indicator:
    """The damage indicator of a building; unknown kinds count as houses."""
    return BY_KIND.get(building.kind, FR12)
