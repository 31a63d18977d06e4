from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mage_stac import readings
from mage_stac.readings import Reading

RADAR = Reading(bands=("VV",), range=(-35.0, 15.0))


def test_names_alone_are_of_both_dates_in_their_own_values() -> None:
    both = Reading(bands=("red", "nir"))
    assert readings.of(["red", "nir"]) == (both, both)
    assert readings.of((both, RADAR)) == (both, RADAR)
    assert both.units(1 / 255, 0.25) == (1 / 255, 0.25)


@given(dn=st.integers(0, 255), low=st.floats(-50, 0), width=st.floats(1, 100))
def test_numbers_become_shares_of_the_range(dn: int, low: float, width: float) -> None:
    reading = Reading(bands=("VV",), range=(low, low + width))
    scale, offset = reading.units(0.2, -35.0)
    value = np.float32(dn * 0.2 - 35.0)
    wanted = np.interp(value, [low - 1000, low + 1000], [-1000 / width, 1000 / width])
    assert dn * scale + offset == pytest.approx(wanted, abs=1e-4)  # float32 of the value
    share = readings.unit(np.array([value]), reading.range)
    assert share[0] == pytest.approx(wanted, abs=1e-4)
    assert readings.values(share, reading.range)[0] == pytest.approx(value, abs=1e-3)
