"""Curves: how losses and validation figures went, as one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

TERMS = ("total", "building", "damage", "ordinal")
"""Columns of the losses."""
FIGURES = {"building_iou": "building IoU", "macro_f1": "damage macro-F1", "damage_recall": "damage recall"}
BASELINE = "no_damage_macro_f1"
POINTS = 100
"""Losses are averaged into about so many points."""


def draw(path: Path, losses: Sequence[Sequence[float]], validation: Sequence[Mapping[str, Any]]) -> None:
    """Write a PNG: losses by step on the left, figures on held-out places on the right.

    Args:
        path: of the PNG.
        losses: of each step, in the order of TERMS.
        validation: rows with `step`, the keys of FIGURES and BASELINE; None where a figure is undefined.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    steps, means = _smoothed(np.asarray(losses, dtype=float).reshape(-1, len(TERMS)))
    for term, values in zip(TERMS, means.T, strict=True):
        left.plot(steps, values, label=term)
    left.set(xlabel="step", ylabel="loss", ylim=(0, None))
    at = [row["step"] for row in validation]
    for key, label in FIGURES.items():
        right.plot(at, _numbers(validation, key), marker=".", label=label)
    right.plot(at, _numbers(validation, BASELINE), "--", color="grey", label="macro-F1 of no damage anywhere")
    right.set(xlabel="step", title="held-out rendered places", ylim=(0, 1))
    for axes in (left, right):
        axes.legend(fontsize="small")
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=100)


def _smoothed(losses: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean step and mean losses of each of at most POINTS stretches."""
    parts = np.array_split(np.arange(len(losses)), min(POINTS, max(1, len(losses))))
    parts = [part for part in parts if len(part)]
    means = np.array([losses[part].mean(axis=0) for part in parts]).reshape(-1, losses.shape[1])
    return np.array([part.mean() + 1 for part in parts]), means


def _numbers(rows: Sequence[Mapping[str, Any]], key: str) -> list[float]:
    return [float("nan") if row[key] is None else float(row[key]) for row in rows]
