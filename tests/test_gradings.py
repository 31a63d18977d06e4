"""Offsets from graded buildings: against a grid search, and buildings whose logits are known to be off."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import softmax

from mage_stac.adapt import gradings
from mage_stac.adapt.gradings import Shown
from mage_stac.models.calibration import Offsets, Temperatures


def drawn(number: int, off: np.ndarray, seed: int = 0, grades: tuple[int, ...] = (1, 2, 3, 4)) -> list[Shown]:
    """Buildings whose logits tell their grade, but with `off` added."""
    rng = np.random.default_rng(seed)
    told = [int(grade) for grade in rng.choice(grades, number)]
    return [Shown(logits=rng.normal(2 * np.eye(4)[grade - 1] + off, 1, (40, 4)), grade=grade) for grade in told]


def test_a_building_is_as_probable_as_its_pixels_on_average() -> None:
    building = Shown(logits=np.random.default_rng(1).normal(size=(9, 4)), grade=3)
    offsets = np.array([0.2, 0.0, -1.0, 0.5])
    expected = softmax(building.logits + offsets, axis=1)[:, 2].mean()
    assert gradings.surprise(building, offsets, range(4)) == pytest.approx(-np.log(expected))
    two = softmax((building.logits + offsets)[:, [0, 2]], axis=1)[:, 1].mean()
    assert gradings.surprise(building, offsets, [0, 2]) == pytest.approx(-np.log(two))


def test_the_fit_is_the_best_of_a_grid() -> None:
    buildings = drawn(12, np.array([0.0, 1.5, 0.0, 0.0]), grades=(1, 2))
    found = gradings.fit(buildings, [0, 1])
    grid = np.linspace(-2, 2, 41)

    def loss(a: float, b: float) -> float:
        offsets = np.array([a, b, 0.0, 0.0])
        return sum(gradings.surprise(one, offsets, [0, 1]) for one in buildings) + (a**2 + b**2) / 2

    best = min((loss(a, b), a, b) for a in grid for b in grid)
    np.testing.assert_allclose(found[:2], best[1:], atol=0.1)
    np.testing.assert_array_equal(found[2:], 0)


def test_what_is_off_is_put_right_and_other_buildings_gain() -> None:
    off = np.array([0.0, 3.0, 0.0, -2.0])
    read = gradings.read(drawn(20, off))
    assert read.offsets[1] < -1 < 0 < read.offsets[3]
    assert read.record["log_loss"]["left out"] < read.record["log_loss"]["before"]
    assert sum(read.record["graded_buildings"].values()) == 20
    others = drawn(300, off, seed=5)

    def right(offsets: np.ndarray) -> float:
        means = [softmax(one.logits + offsets, axis=1).mean(axis=0) for one in others]
        return float(np.mean([1 + mean.argmax() == one.grade for mean, one in zip(means, others, strict=True)]))

    assert right(np.array(read.offsets)) > right(np.zeros(4)) + 0.1


def test_nothing_moves_where_that_does_not_help_buildings_left_out() -> None:
    sure = [Shown(logits=np.tile(6.0 * np.eye(4)[grade - 1], (40, 1)), grade=grade) for grade in (1, 2, 3, 4)]
    at_odds = [Shown(logits=np.zeros((40, 4)), grade=grade) for grade in (1, 2, 3, 4) * 2]
    for buildings in (at_odds, sure[:3], [sure[0]] * 9, []):
        assert gradings.read(buildings).offsets == (0.0, 0.0, 0.0, 0.0)


def test_grades_told_by_something_else_have_no_say() -> None:
    buildings = drawn(20, np.array([0.0, 3.0, 5.0, -5.0]))
    read = gradings.read(buildings, (1, 2))
    assert read.offsets[1] < 0
    assert read.offsets[2:] == (0.0, 0.0)
    assert read.record["graded_buildings"].keys() == {"1", "2", "3", "4"}


def test_shown_are_parts_of_one_grade_that_are_no_slivers() -> None:
    mask = torch.full((1, 20, 20), 255)
    mask[0, :12, :12] = 0
    mask[0, 1:6, 1:6], mask[0, 6:11, 1:6], mask[0, 0, 12:15] = 2, 4, 1
    valid = torch.ones(1, 20, 20, dtype=torch.bool)
    valid[0, 6:8] = False
    logits = torch.arange(4.0)[None, :, None, None].expand(1, 4, 20, 20)
    said = ({"building": logits[:, :1], "damage": logits}, mask, valid)
    found = gradings.shown([said], Temperatures(damage=2.0), Offsets(damage=(1.0, 0.0, 0.0, 0.0)))
    assert [(one.grade, len(one.logits)) for one in found] == [(2, 25), (4, 15)]
    np.testing.assert_allclose(found[0].logits[0], [1.0, 0.5, 1.0, 1.5])
