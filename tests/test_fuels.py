"""Rothermel's rates against Anderson's (1982) table, and the laws around them against hand calculation."""

from __future__ import annotations

import numpy as np
import pytest

from mage_stac.hazards import fuels

CHAINS_PER_HOUR = 20.1168 / 3600.0
MILES_PER_HOUR = 0.44704


@pytest.mark.parametrize(
    ("fuel", "chains", "feet", "near"),
    [
        # GTR INT-122: rate and flame length at 5 mi/h, dead fuel at 8 %, live at 100 %.
        (fuels.GRASS, 78.0, 4.0, 0.08),
        (fuels.OPEN_WOODLAND, 35.0, 6.0, 0.08),
        (fuels.TALL_GRASS, 104.0, 12.0, 0.08),
        (fuels.CHAPARRAL, 75.0, 19.0, 0.08),
        # Live fuel at the edge of its moisture of extinction: small differences in it count double.
        (fuels.BRUSH, 18.0, 4.0, 0.25),
        (fuels.LITTER, 1.6, 1.0, 0.12),
        (fuels.LEAVES, 7.5, 2.6, 0.08),
        (fuels.TIMBER, 7.9, 4.8, 0.08),
    ],
)
def test_rates_and_flames_are_andersons(fuel: fuels.Fuel, chains: float, feet: float, near: float) -> None:
    bed = fuels.bed(fuel, dead=0.08, live=1.0)
    rate = bed.rate * (1 + bed.factor(5 * MILES_PER_HOUR))
    assert rate / CHAINS_PER_HOUR == pytest.approx(chains, rel=near)
    assert fuels.flame(bed.line(np.array(rate))) / fuels.FEET == pytest.approx(feet, rel=0.1)


def test_moisture_of_extinction_puts_fire_out() -> None:
    assert fuels.bed(fuels.GRASS, dead=0.12, live=1.0).rate == pytest.approx(0.0, abs=1e-12)
    dry, moist = (fuels.bed(fuels.GRASS, dead=dead, live=1.0).rate for dead in (0.03, 0.09))
    assert dry > moist > 0


def test_the_equivalent_wind_undoes_the_factor() -> None:
    bed = fuels.bed(fuels.LEAVES, dead=0.06, live=1.0)
    assert bed.equivalent(np.array(bed.factor(3.0))) == pytest.approx(3.0)
    assert bed.factor(0.0) == 0.0


def test_crowns_scorch_and_torch_by_van_wagner() -> None:
    assert fuels.scorch(np.array(1000.0), air=25.0) == pytest.approx(4.4713 * 100.0 / 35.0)
    # (0.010 * 2 * (460 + 25.9 * 100))^1.5
    assert fuels.crowning(np.array(2.0), moisture=1.0) == pytest.approx((0.02 * 3050.0) ** 1.5)
    assert fuels.flame(np.array(500.0)) == pytest.approx(0.0775 * 500.0**0.46)
