from __future__ import annotations

import numpy as np
import pytest

from mage_stac.hazards import degrees
from mage_stac.hazards.degrees import BY_KIND, FR12, TH, TS, Indicator
from mage_stac.hazards.gusts import MPH
from mage_stac.scene.scene import Building

EVERY = [*dict.fromkeys(BY_KIND.values()), TH, TS]


@pytest.mark.parametrize("table", EVERY, ids=lambda table: table.name)
def test_more_wind_never_does_less(table: Indicator) -> None:
    severity = table.severity(np.linspace(0, 150, 3001))
    assert (np.diff(severity) >= 0).all()
    assert (severity[0], severity[-1]) == (0.0, len(table.speeds) + 1)
    grades = [table.grade(value) for value in severity]
    assert grades == sorted(grades)
    assert len(table.grades) == len(table.speeds)
    assert all(low < expected < high for low, expected, high in table.speeds)


@pytest.mark.parametrize(
    ("mph", "degree", "grade"),
    [(64, 0, 1), (66, 1, 1), (80, 2, 2), (98, 4, 3), (123, 6, 3), (133, 7, 4), (153, 8, 4), (171, 9, 4), (201, 10, 4)],
)
def test_family_houses_follow_the_scale(mph: float, degree: int, grade: int) -> None:
    severity = float(FR12.severity(np.array([mph * MPH]))[0])
    assert int(severity) == degree
    assert FR12.grade(severity) == grade


def test_the_spread_puts_the_bounds_at_the_outer_twentieths() -> None:
    rng = np.random.default_rng(0)
    resistance = np.exp(FR12.spread * rng.standard_normal(20000))
    for low, expected, high in FR12.speeds[5:9]:
        reached = [(speed / expected > resistance).mean() for speed in (low, expected, high)]
        assert reached[0] == pytest.approx(0.05, abs=0.04)
        assert reached[1] == pytest.approx(0.5, abs=0.02)
        assert reached[2] == pytest.approx(0.95, abs=0.04)


def test_sheds_fail_first_and_flats_last() -> None:
    gust = np.array([110 * MPH])
    grades = {
        kind: degrees.indicator(Building(id="b", footprint=(), height=3.0, kind=kind))
        for kind in ("shed", "house", "apartment")
    }
    found = [table.grade(float(table.severity(gust)[0])) for table in grades.values()]
    assert found == [4, 3, 2]
    assert degrees.indicator(Building(id="b", footprint=(), height=3.0, kind="castle")) is FR12
