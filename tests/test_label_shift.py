"""Shares of classes that a drawn world has are found again."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mage_stac.adapt import label_shift

HERE = np.array([0.55, 0.15, 0.2, 0.1])
THERE = np.array([0.2, 0.1, 0.25, 0.45])


def world(shares: NDArray, number: int, seed: int) -> tuple[NDArray, NDArray]:
    """Bayes' own logits (N, 4) for HERE of samples of Gaussian classes, and their truth."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(4, number, p=shares)
    x = rng.normal(0, 0.8, (number, 4)) + np.eye(4)[truth]
    return x / 0.8**2 + np.log(HERE), truth


def test_bbse_solves_a_confusion_exactly() -> None:
    given = np.array(
        [[0.7, 0.2, 0.1, 0.0], [0.2, 0.5, 0.2, 0.1], [0.1, 0.2, 0.6, 0.1], [0.0, 0.1, 0.1, 0.8]]
    )  # said|true
    ratio = label_shift.bbse(given * HERE, given @ THERE)
    np.testing.assert_allclose(ratio * HERE, THERE, atol=1e-12)


def test_bbse_never_gives_negative_shares_and_leaves_what_is_not_held_out() -> None:
    held_out = np.array([[0.5, 0.1, 0.0], [0.1, 0.3, 0.0], [0.0, 0.0, 0.0]])
    ratio = label_shift.bbse(held_out, np.array([1.0, 0.0, 0.0]))
    assert ratio.min() >= 0
    assert ratio[2] == 1
    assert ratio[:2] @ held_out.sum(axis=0)[:2] == pytest.approx(1)


@pytest.mark.parametrize("method", ["bbse", "em"])
def test_shares_of_a_drawn_event_are_found(method: str) -> None:
    logits, truth = world(HERE, 40_000, 1)
    event, _ = world(THERE, 40_000, 2)
    if method == "em":
        ratio = label_shift.em(label_shift.probabilities(event), HERE)
    else:
        called = label_shift.joint(truth, logits.argmax(1), 4)
        ratio = label_shift.bbse(called, label_shift.shares(event.argmax(1), 4))
    np.testing.assert_allclose(ratio * HERE, THERE, atol=0.02)


def test_offsets_turn_bayes_here_into_bayes_there() -> None:
    event, truth = world(THERE, 20_000, 3)
    right = event + label_shift.offsets(THERE / HERE)
    before, after = (float((logits.argmax(1) == truth).mean()) for logits in (event, right))
    assert after > before + 0.05
    assert np.allclose(label_shift.offsets(THERE / HERE, strength=0), 0)
    assert np.abs(label_shift.offsets(np.array([0.0, 1e9]))).max() == pytest.approx(np.log(20))


def test_biases_undo_those_that_were_added() -> None:
    logits, truth = world(HERE, 40_000, 4)
    wrong = np.array([0.5, -1.0, 0.25, 0.25])
    np.testing.assert_allclose(label_shift.biases(logits + wrong, truth), -wrong, atol=0.08)
    fitted = logits + wrong + label_shift.biases(logits + wrong, truth)
    np.testing.assert_allclose(label_shift.probabilities(fitted).mean(axis=0), label_shift.shares(truth, 4), atol=1e-4)


def test_biases_of_classes_that_do_not_occur_are_none() -> None:
    logits, truth = world(HERE, 1000, 5)
    kept = truth < 2
    assert (label_shift.biases(logits[kept], truth[kept])[2:] == 0).all()
    assert (label_shift.biases(logits[truth == 1], truth[truth == 1]) == 0).all()


def test_thresholds_raise_the_mean_f1_and_never_lower_it() -> None:
    logits, truth = world(HERE, 20_000, 6)
    wrong = logits + np.array([3.0, 0, 0, 0])  # calls nearly all of them class 0
    bias = label_shift.thresholds(wrong, truth, np.ones(4))
    before, after = (label_shift._mean_f1(one, truth, np.ones(4)) for one in (wrong, wrong + bias))
    assert after > before + 0.2
    assert after >= label_shift._mean_f1(logits, truth, np.ones(4)) - 0.005
    assert bias.sum() == pytest.approx(0)
