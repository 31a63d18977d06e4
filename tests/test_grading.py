from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mage_stac.products import grading


def means(none: float, whole: float, light: float, lost: float) -> np.ndarray:
    return np.array([[none, whole, light, 0.0, lost]])


@pytest.mark.parametrize(("lost", "grade"), [(0.0, 1), (0.1, 1), (0.3, 3), (0.5, 3), (0.7, 4), (1.0, 4)])
def test_the_grade_is_what_is_lost_of_a_roof(lost: float, grade: int) -> None:
    found = grading.graded(means(0.0, (1 - lost) * 0.9, (1 - lost) * 0.1, lost), np.array([900.0]))[0]
    assert 1 + found[1:].argmax() == grade


def test_below_the_grades_1_and_2_share_as_their_pixels_do() -> None:
    found = grading.graded(means(0.2, 0.16, 0.64, 0.0), np.array([900.0]))[0]
    assert found[0] == pytest.approx(0.2)
    assert found[2] == pytest.approx(4 * found[1])


def test_a_large_roof_is_surer_and_chance_agrees_with_drawn_shares() -> None:
    small, large = (grading.graded(means(0, 0.5, 0, 0.5), np.array([pixels]))[0] for pixels in (36.0, 3600.0))
    assert small[4] > large[4]
    looks = 3600 / grading.ALIKE
    drawn = np.random.default_rng(0).beta(0.5 * looks + 0.5, 0.5 * looks + 0.5, 200_000)
    expected = [(drawn < 0.2).mean(), ((drawn >= 0.2) & (drawn < 0.6)).mean(), (drawn >= 0.6).mean()]
    np.testing.assert_allclose([large[1] + large[2], large[3], large[4]], expected, atol=0.005)


@given(st.lists(st.floats(0, 1), min_size=4, max_size=4), st.floats(0, 1e6))
def test_probabilities_sum_to_one_whatever_the_pixels_say(parts: list[float], pixels: float) -> None:
    total = sum(parts) or 1.0
    none, whole, light, lost = (part / total for part in parts) if sum(parts) else (1.0, 0.0, 0.0, 0.0)
    found = grading.graded(means(none, whole, light, lost), np.array([pixels]))[0]
    assert (found >= 0).all()
    if whole + light > 1e-6:
        assert found.sum() == pytest.approx(1.0)
