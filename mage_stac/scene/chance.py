"""Draws from tables and ranges, all from one explicit generator."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Range = tuple[float, float]
"""Lower and upper bound of a uniform draw."""


def choose(rng: np.random.Generator, weights: Mapping[str, float]) -> str:
    """A key of `weights`, as likely as its value is large."""
    names = tuple(weights)
    share = np.cumsum(np.array([weights[name] for name in names]))
    return names[int(np.searchsorted(share, rng.random() * share[-1], side="right"))]


def between(rng: np.random.Generator, bounds: Range) -> float:
    """Uniform in `bounds`."""
    return float(bounds[0] + (bounds[1] - bounds[0]) * rng.random())


def seed(rng: np.random.Generator) -> int:
    """A seed for one object's own details."""
    return int(rng.integers(2**31))


def shaken(rng: np.random.Generator, weights: Mapping[str, float], sigma: float) -> dict[str, float]:
    """`weights`, each multiplied by its own lognormal factor: the same table in another mood."""
    return {name: weight * float(np.exp(sigma * rng.standard_normal())) for name, weight in weights.items()}
