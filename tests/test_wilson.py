from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from mage_stac.products import wilson


@given(st.integers(1, 500), st.data())
def test_agrees_with_scipy_and_stays_a_share(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    low, high = wilson.interval(k, n)
    wanted = binomtest(k, n).proportion_ci(0.95, method="wilson")
    assert (float(low), float(high)) == pytest.approx((wanted.low, wanted.high), abs=1e-9)
    assert 0 <= low <= k / n <= high <= 1


def test_two_of_two_hundred_is_no_negative_number_of_buildings() -> None:
    low, _ = wilson.interval(2, 200)
    assert low > 0


def test_nothing_tried_is_nothing_known() -> None:
    low, high = wilson.interval([0, 3], [0, 3])
    assert np.isnan([low[0], high[0]]).all()
    assert high[1] == 1
