from __future__ import annotations

import numpy as np
import pytest

from mage_stac import value_range
from mage_stac.errors import ModelError

SEEN = np.ones((4, 4), bool)


@pytest.mark.parametrize("value", [-0.05, 0.0, 1.3, 5.9])
def test_light_and_clouds_pass(value: float) -> None:
    value_range.check(np.full((2, 4, 4), value, np.float32), SEEN, (0, 1), "it")


@pytest.mark.parametrize("value", [1500, -15])
def test_another_unit_is_named(value: float) -> None:
    image = np.full((2, 4, 4), value, np.float32)
    with pytest.raises(ModelError, match=f"it holds values about {value}, but the model learnt from 0 to 1"):
        value_range.check(image, SEEN, (0, 1), "it")


def test_what_was_not_observed_is_not_asked() -> None:
    image = np.full((2, 4, 4), 9000, np.float32)
    value_range.check(image, ~SEEN, (0, 1), "it")
    image[:, :2] = 0.2
    half = SEEN.copy()
    half[2:] = False
    value_range.check(image, half, (0, 1), "it")


def test_power_and_amplitude_are_no_decibels() -> None:
    power = np.random.default_rng(0).gamma(4.0, 0.02, (1, 32, 32)).astype(np.float32)
    seen = np.ones((32, 32), bool)
    seen[:4] = False
    value_range.check(10 * np.log10(power), seen, (-35.0, 15.0), "it")
    for image in (power, np.sqrt(power)):
        with pytest.raises(ModelError, match=r"no value below 0.*-35 to 15.*10 log10"):
            value_range.check(np.where(seen, image, np.float32(-9999)), seen, (-35.0, 15.0), "it")
    value_range.check(power, seen, (0.0, 1.0), "it")
