"""Ground motion against the table by which OpenQuake verifies its own implementation, and the published proxies."""

from __future__ import annotations

import numpy as np
import pytest

from mage_stac.hazards import shaking

HYPOCENTRAL, JOYNER_BOORE = shaking.HYPOCENTRAL, shaking.JOYNER_BOORE


@pytest.mark.parametrize(
    ("model", "magnitude", "faulting", "distance", "vs30", "expected"),
    [
        # gem/oq-engine, hazardlib/tests/gsim/data/BINDI2014/B14_{Rhypo,Rjb}_Vs30_MEAN.csv, PGA in g.
        (HYPOCENTRAL, 4.5, "strike-slip", 0.0, 850.0, 1.67285427e-01),
        (HYPOCENTRAL, 4.5, "strike-slip", 100.0, 150.0, 1.63887959e-03),
        (HYPOCENTRAL, 4.5, "reverse", 50.0, 150.0, 7.92864421e-03),
        (HYPOCENTRAL, 5.5, "normal", 20.0, 570.0, 6.69459040e-02),
        (HYPOCENTRAL, 6.5, "strike-slip", 20.0, 300.0, 2.25183109e-01),
        (JOYNER_BOORE, 4.5, "normal", 50.0, 300.0, 4.09010086e-03),
        (JOYNER_BOORE, 5.5, "normal", 20.0, 570.0, 4.45852918e-02),
        (JOYNER_BOORE, 5.5, "reverse", 100.0, 850.0, 5.89587428e-03),
        (JOYNER_BOORE, 6.5, "strike-slip", 0.0, 850.0, 3.66347283e-01),
    ],
)
def test_motion_is_that_of_the_published_models(
    model: shaking.Model, magnitude: float, faulting: str, distance: float, vs30: float, expected: float
) -> None:
    # The table's hypocentral c3 has fewer digits than the paper's supplement: 1e-4 at 100 km.
    assert shaking.motion(model, magnitude, distance, vs30, faulting) == pytest.approx(expected, rel=1.5e-4)


def test_the_motion_near_a_large_rupture_is_that_above_it() -> None:
    above = shaking.motion(JOYNER_BOORE, 7.2, 0.0, 400.0, "unknown")
    assert shaking.acceleration(7.2, 2.0, 6.0, 400.0) == above < 0.7
    assert shaking.acceleration(7.2, 60.0, 6.0, 400.0) < above


def test_depth_and_distance_make_the_hypocentral_distance() -> None:
    assert shaking.acceleration(6.0, 30.0, 40.0, 500.0) == shaking.acceleration(6.0, 50.0, 0.0, 500.0)


def test_steep_ground_is_firm() -> None:
    # Corners of Allen and Wald (2009), active regions.
    assert shaking.vs30(np.array([0.0, 3.5e-3, 0.018, 0.10, 1.0])) == pytest.approx([180, 240, 360, 620, 760])


def test_intensity_follows_faenza_and_michelini() -> None:
    # 100 cm/s2 is 1.68 + 2.58 * 2.
    assert shaking.mcs(100.0 / shaking.GRAVITY) == pytest.approx(6.84)
    assert shaking.mcs(0.0) == 1.0
