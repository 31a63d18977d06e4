"""Calibration: temperatures that make probabilities mean what they say, and how far off they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn import functional

from mage_stac.classes import NOT_OBSERVED

BINS = 15
"""Of the expected calibration error (Guo et al. 2017)."""
COOLEST, HOTTEST = 0.2, 5.0
"""Temperatures looked at."""
STRIDE = 3
"""Every so many pixels along each axis are looked at: neighbours say the same."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Temperatures:
    """What logits are divided by (temperature scaling: Guo et al. 2017, On Calibration of Modern Neural Networks)."""

    building: float = 1.0
    damage: float = 1.0

    def applied(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Calibrated logits of both heads; which class is the likeliest does not change."""
        scaled = {"building": outputs["building"] / self.building, "damage": outputs["damage"] / self.damage}
        return {**outputs, **scaled}


@dataclass(frozen=True, kw_only=True, slots=True)
class Offsets:
    """What is added to calibrated logits so that they fit an event: its shares of the grades, thresholds (adapt.event).

    Natural logarithms of odds.
    """

    building: float = 0.0
    damage: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)
    """Of grades 1..4."""

    def applied(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Logits of both heads, (B, 1, H, W) and (B, 4, H, W)."""
        if self == Offsets():
            return dict(outputs)
        damage = outputs["damage"]
        shift = torch.tensor(self.damage, dtype=damage.dtype, device=damage.device)
        moved = {"building": outputs["building"] + self.building, "damage": damage + shift[:, None, None]}
        return {**outputs, **moved}


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """Temperatures, and the expected calibration error of each head, 0..1, before and after; None without pixels."""

    temperatures: Temperatures
    before: Mapping[str, float | None]
    after: Mapping[str, float | None]


def measure(batches: Iterable[tuple[Mapping[str, Tensor], Tensor, Tensor]]) -> Calibration:
    """Fit the temperatures to held-out pixels.

    Args:
        batches: logits of both heads, (B, 1, H, W) and (B, 4, H, W); mask (B, H, W) of classes 0..4 and 255; valid
            (B, H, W) bool.
    """
    building, damage = [], []
    for outputs, mask, valid in batches:
        seen = (valid & (mask != NOT_OBSERVED))[:, ::STRIDE, ::STRIDE]
        truth = mask[:, ::STRIDE, ::STRIDE]
        logit = outputs["building"].float().cpu()[:, 0, ::STRIDE, ::STRIDE]
        grades = outputs["damage"].float().cpu()[:, :, ::STRIDE, ::STRIDE].movedim(1, -1)
        building.append((torch.stack([torch.zeros_like(logit), logit], dim=-1)[seen], (truth > 0).long()[seen]))
        damage.append((grades[seen & (truth > 0)], truth[seen & (truth > 0)] - 1))
    heads = {"building": building, "damage": damage}
    joined = {
        name: (torch.cat([a for a, _ in parts]), torch.cat([b for _, b in parts]))
        for name, parts in heads.items()
        if parts
    }
    fitted = {name: temperature(*pair) for name, pair in joined.items()}
    return Calibration(
        temperatures=Temperatures(**fitted),
        before={name: _error(*pair, 1.0) for name, pair in joined.items()},
        after={name: _error(*pair, fitted[name]) for name, pair in joined.items()},
    )


def temperature(logits: Tensor, truth: Tensor) -> float:
    """The temperature of least cross-entropy for logits (N, K) and classes (N,); 1 without pixels."""
    if not len(truth):
        return 1.0

    def loss(log_t: float) -> float:
        return float(functional.cross_entropy(logits / float(np.exp(log_t)), truth))

    found = minimize_scalar(loss, bounds=(np.log(COOLEST), np.log(HOTTEST)), method="bounded")
    return round(float(np.exp(found.x)), 4)


def _error(logits: Tensor, truth: Tensor, at: float) -> float | None:
    if not len(truth):
        return None
    shares = functional.softmax(logits / at, dim=1)
    confidence, chosen = shares.max(dim=1)
    return expected_error(confidence.numpy(), (chosen == truth).numpy())


def expected_error(confidence: NDArray[np.floating], correct: NDArray[np.bool_], bins: int = BINS) -> float:
    """Expected calibration error, 0..1: |share right - mean confidence| of equal bins of confidence, mean by size."""
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    gap = np.bincount(which, correct.astype(float) - confidence, minlength=bins)
    return float(np.abs(gap).sum() / len(confidence))
