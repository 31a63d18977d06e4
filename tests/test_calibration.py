"""Temperatures against those that made the labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from mage_stac import models
from mage_stac.models import calibration
from mage_stac.models.calibration import Temperatures


def drawn(true: float, number: int = 40_000) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (N, 4), and classes drawn from their softmax at a temperature."""
    random = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(number, 4, generator=random)
    truth = torch.multinomial(functional.softmax(logits / true, dim=1), 1, generator=random)[:, 0]
    return logits, truth


@pytest.mark.parametrize("true", [0.5, 1.0, 2.5])
def test_the_temperature_that_made_the_labels_is_found(true: float) -> None:
    assert calibration.temperature(*drawn(true)) == pytest.approx(true, rel=0.05)


def test_the_error_is_the_gap_between_confidence_and_truth() -> None:
    confidence = np.repeat([0.95, 0.55], 100)
    correct = np.concatenate([np.arange(100) < 75, np.arange(100) < 55])
    # Half of the pixels are 0.2 too sure, half are right.
    assert calibration.expected_error(confidence, correct) == pytest.approx(0.1)
    assert calibration.expected_error(np.ones(10), np.ones(10, bool)) == 0.0


def test_both_heads_are_measured_on_what_was_seen() -> None:
    logits, truth = drawn(2.0, 9 * 2 * 60 * 60 // 9)
    damage = logits.reshape(2, 60, 60, 4).movedim(-1, 1)
    mask = truth.reshape(2, 60, 60) + 1
    mask[:, :20] = 0
    mask[:, 55:] = 255
    building = torch.where(mask[:, None] > 0, 4.0, -4.0)
    found = calibration.measure(
        [({"building": building, "damage": damage}, mask, torch.ones_like(mask, dtype=torch.bool))]
    )
    assert found.temperatures.damage == pytest.approx(2.0, rel=0.3)
    assert found.temperatures.building < 0.5  # always right, so as sure as may be
    assert found.after["damage"] < found.before["damage"]


def test_nothing_to_measure_leaves_the_logits() -> None:
    outputs = {"building": torch.zeros(1, 1, 6, 6), "damage": torch.zeros(1, 4, 6, 6)}
    none = torch.zeros(1, 6, 6, dtype=torch.bool)
    found = calibration.measure([(outputs, torch.zeros(1, 6, 6, dtype=torch.long), none)])
    assert found.temperatures == Temperatures()
    assert found.after == {"building": None, "damage": None}


def test_classes_do_not_change() -> None:
    outputs = {"building": torch.randn(2, 1, 9, 9), "damage": torch.randn(2, 4, 9, 9)}
    cooled = Temperatures(building=0.5, damage=3.0).applied(outputs)
    assert torch.equal(models.classes(models.probabilities(outputs)), models.classes(models.probabilities(cooled)))
