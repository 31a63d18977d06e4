from __future__ import annotations

import numpy as np
import pytest
import shapely
from plans import ARROW, CROSS, L_SHAPE, NAMED, RECTANGLE, T_SHAPE, turned
from shapely import Polygon

from mage_stac.scene import wings


@pytest.mark.parametrize("shape", ["l", "t", "u", "cross", "rectangle"])
@pytest.mark.parametrize("angle", [0.0, 31.0, 90.0, 200.0])
def test_wings_cover_a_plan_with_right_angles_exactly(shape: str, angle: float) -> None:
    plan = Polygon(turned(NAMED[shape], angle, 200.0, -3.0))
    parts = wings.of(plan)
    union = shapely.union_all([wing.rectangle() for wing in parts])
    assert union.symmetric_difference(plan).area < 1e-6
    assert all(wing.u[1] - wing.u[0] >= wing.width - 1e-9 for wing in parts)
    assert [wing.width for wing in parts] == sorted((wing.width for wing in parts), reverse=True)


def test_counts() -> None:
    assert [len(wings.of(Polygon(shape))) for shape in (RECTANGLE, L_SHAPE, T_SHAPE, CROSS)] == [1, 2, 2, 2]


def test_trimming_keeps_the_cover_and_ends_wings_on_the_middle_line() -> None:
    parts = wings.trimmed(wings.of(Polygon(L_SHAPE)))
    union = shapely.union_all([wing.rectangle() for wing in parts])
    assert union.symmetric_difference(Polygon(L_SHAPE)).area < 1e-6
    assert parts[1].free.count(False) == 1
    assert min(abs(end - 4.0) for end in parts[1].u) < 1e-9
    assert all(wing.free == (True, True) for wing in wings.trimmed(wings.of(Polygon(CROSS))))


def test_slanted_sides_have_no_wings() -> None:
    assert wings.of(Polygon(ARROW)) == []
    assert wings.of(Polygon([(0, 0), (10, 0), (10, 5), (5, 9), (0, 5)])) == []


def test_a_little_crookedness_is_tolerated() -> None:
    crooked = Polygon([(0, 0), (14, 0.2), (13.9, 9), (0.1, 8.9)])
    assert len(wings.of(crooked)) == 1


def test_the_main_angle_is_that_of_the_longest_sides() -> None:
    plan = Polygon(turned(RECTANGLE, 23.0))
    assert np.degrees(wings.main_angle(plan)) % 90 == pytest.approx(23.0)


def test_a_courtyard_has_four_wings() -> None:
    ring = shapely.box(0, 0, 30, 24).difference(shapely.box(8, 8, 22, 16))
    union = shapely.union_all([wing.rectangle() for wing in wings.of(ring)])
    assert union.symmetric_difference(ring).area < 1e-6
