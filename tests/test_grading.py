from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mage_stac.products import grading

HERE = np.zeros((1, 2))


def means(none: float, whole: float, light: float, lost: float) -> np.ndarray:
    return np.array([[none, whole, light, 0.0, lost]])


@pytest.mark.parametrize(("lost", "grade"), [(0.0, 1), (0.1, 1), (0.3, 3), (0.5, 3), (0.7, 4), (1.0, 4)])
def test_the_grade_is_what_is_lost_of_a_roof(lost: float, grade: int) -> None:
    found = grading.graded(means(0.0, (1 - lost) * 0.9, (1 - lost) * 0.1, lost), np.array([900.0]), HERE)[0]
    assert 1 + found[1:].argmax() == grade


def test_below_the_grades_1_and_2_share_as_their_pixels_do() -> None:
    found = grading.graded(means(0.2, 0.16, 0.64, 0.0), np.array([900.0]), HERE)[0]
    assert found[0] == pytest.approx(0.2)
    assert found[2] == pytest.approx(4 * found[1])


def test_a_large_roof_is_surer_and_chance_agrees_with_drawn_shares() -> None:
    small, large = (grading.graded(means(0, 0.5, 0, 0.5), np.array([pixels]), HERE)[0] for pixels in (36.0, 3600.0))
    assert small[4] > large[4]
    looks = 3600 / grading.ALIKE
    drawn = np.random.default_rng(0).beta(0.5 * looks + 0.5, 0.5 * looks + 0.5, 200_000)
    expected = [(drawn < 0.2).mean(), ((drawn >= 0.2) & (drawn < 0.6)).mean(), (drawn >= 0.6).mean()]
    np.testing.assert_allclose([large[1] + large[2], large[3], large[4]], expected, atol=0.005)


def test_surroundings_are_the_gaussian_mean_of_all_roofs() -> None:
    rng = np.random.default_rng(3)
    lost, built, centres = rng.random(30), rng.uniform(50, 500, 30), rng.uniform(0, 200, (30, 2))
    squared = ((centres[:, None] - centres[None]) ** 2).sum(axis=2)
    weights = np.exp(-squared / (2 * 50**2)) * built
    np.testing.assert_allclose(
        grading.surroundings(lost, built, centres), (weights * lost).sum(axis=1) / weights.sum(axis=1)
    )


def test_one_far_from_others_goes_by_its_own_roof_and_one_unclear_by_theirs() -> None:
    lost = np.array([0.55, *[0.95] * 8])
    shown = np.column_stack([0 * lost, 1 - lost, 0 * lost, 0 * lost, lost])
    close = np.array([[20.0 * k, 0.0] for k in range(9)])
    far = close + np.array([[1e4, 0.0], *[[0.0, 0.0]] * 8])
    assert [1 + grading.graded(shown, np.full(9, 900.0), at)[0, 1:].argmax() for at in (far, close)] == [3, 4]


@pytest.mark.parametrize(("own", "around", "grade"), [(1.0, 0.0, 4), (0.0, 0.5, 1), (0.0, 0.9, 3)])
def test_neighbours_sway_a_grade_but_do_not_make_it(own: float, around: float, grade: int) -> None:
    lost = np.array([own, *[around] * 40])
    shown = np.column_stack([0 * lost, 1 - lost, 0 * lost, 0 * lost, lost])
    found = grading.graded(shown, np.full(41, 3600.0), np.random.default_rng(0).uniform(0, 60, (41, 2)))
    assert 1 + found[0, 1:].argmax() == grade


def test_two_grades_that_share_a_probability_do_not_lose_by_it() -> None:
    chances = np.array([[0.0, 0.3, 0.28, 0.4, 0.02], [0.0, 0.1, 0.2, 0.4, 0.3], [0.5, 0.1, 0.0, 0.1, 0.3]])
    np.testing.assert_array_equal(grading.likeliest(chances), [1, 3, 4])


def test_no_buildings_have_no_grades() -> None:
    assert grading.graded(np.zeros((0, 5)), np.zeros(0), np.zeros((0, 2))).shape == (0, 5)
    assert grading.likeliest(np.zeros((0, 5))).shape == (0,)


@given(st.lists(st.floats(0, 1), min_size=4, max_size=4), st.floats(0, 1e6))
def test_probabilities_sum_to_one_whatever_the_pixels_say(parts: list[float], pixels: float) -> None:
    total = sum(parts) or 1.0
    none, whole, light, lost = (part / total for part in parts) if sum(parts) else (1.0, 0.0, 0.0, 0.0)
    found = grading.graded(means(none, whole, light, lost), np.array([pixels]), HERE)[0]
    assert (found >= 0).all()
    if whole + light > 1e-6:
        assert found.sum() == pytest.approx(1.0)
