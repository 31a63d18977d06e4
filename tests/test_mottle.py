from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mage_stac.scene import mottle


def test_cells_are_uniform_and_depend_on_every_argument() -> None:
    i, j = np.meshgrid(np.arange(-200, 200), np.arange(-200, 200))
    values = mottle.cells(i, j, 3)
    assert stats.kstest(values.ravel(), "uniform").pvalue > 0.001
    assert abs(np.corrcoef(values[:, 1:].ravel(), values[:, :-1].ravel())[0, 1]) < 0.01
    assert abs(np.corrcoef(values.ravel(), mottle.cells(i, j, 4).ravel())[0, 1]) < 0.01


def test_a_field_is_the_cells_at_its_nodes_and_smooth_between() -> None:
    x = np.arange(-5, 5) * 3.0
    assert mottle.field(x, 6.0, 3.0, 1) == pytest.approx(mottle.cells(np.arange(-5, 5), 2, 1))
    line = mottle.field(np.linspace(0, 30, 3001), 0.7, 3.0, 1)
    assert np.abs(np.diff(line)).max() < 1.6 * 0.01 / 3.0
    assert 0 <= line.min() <= line.max() <= 1


def test_rough_at_is_rough() -> None:
    at = np.random.default_rng(0).uniform(-50, 50, (100, 2))
    assert np.array_equal(mottle.rough_at(at, 4.0, 2), mottle.rough(at[:, 0], at[:, 1], 4.0, 2))
