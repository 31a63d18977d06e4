from __future__ import annotations

import numpy as np
import pytest

from mage_stac.scene import vehicles
from mage_stac.scene.scene import SEMANTIC, Car


def car(**fields: object) -> Car:
    return Car(**{"x": 30.0, "y": 40.0, "bearing": 90.0, "base": 2.0, "colour": (0.6, 0.1, 0.1), **fields})


@pytest.mark.parametrize("length", [3.9, 4.6, 4.8, 5.6, 9.0])
@pytest.mark.parametrize("bearing", [0.0, 90.0])
def test_a_car_has_its_length_along_its_bearing(length: float, bearing: float) -> None:
    whole = vehicles.build([car(length=length, bearing=bearing)])
    size = np.ptp(whole.vertices, axis=0)
    along, across = (size[0], size[1]) if bearing == 90.0 else (size[1], size[0])
    assert along == pytest.approx(length, rel=0.02)
    assert 1.6 < across < 2.5
    assert whole.vertices[:, 2].min() == pytest.approx(2.0, abs=0.02)
    assert set(whole.semantic) == {SEMANTIC["vehicle"]}


def test_overturned_cars_lie_on_the_ground() -> None:
    for x in (30.0, 30.1):
        whole = vehicles.build([car(x=x, state="overturned")])
        assert whole.vertices[:, 2].min() > 1.9
        assert whole.vertices[:, 2].min() < 2.4
    heights = [np.ptp(vehicles.build([car(x=x, state="overturned")]).vertices[:, 2]) for x in (30.0, 30.1)]
    assert max(heights) == pytest.approx(1.85, abs=0.1)


def test_the_roof_has_the_lacquer_and_the_windows_are_dark() -> None:
    whole = vehicles.build([car()])
    top = whole.centroids[:, 2].argmax()
    assert whole.colour[top] == pytest.approx([0.6, 0.1, 0.1])
    assert (whole.colour[:, 0] < 0.1).sum() >= 8


def test_no_cars() -> None:
    assert len(vehicles.build([]).triangles) == 0
