from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from mage_stac.scene import lattice
from mage_stac.scene.lattice import Canvas


@pytest.mark.parametrize("cell", [12.0, 2.5, 0.7])
def test_a_field_is_the_cubic_spline_through_its_lattice(cell: float) -> None:
    canvas = Canvas(size=(31.0, 23.0), texel=0.5, seed=9)
    nodes = [int(side / cell) + 4 for side in (23.0, 31.0)]
    values = np.random.default_rng([9, 5]).standard_normal(nodes).astype(np.float32)
    rows, columns = (1 + (np.arange(n) + 0.5) * step / cell for n, step in zip(canvas.shape, canvas.step, strict=True))
    expected = ndimage.map_coordinates(
        values.astype(float), np.meshgrid(rows, columns, indexing="ij"), order=3, prefilter=False
    )
    assert np.allclose(lattice.smooth(canvas, cell, 5) * lattice.SPREAD, expected, atol=1e-5)


def test_fields_have_unit_variance_and_keep_their_pattern_at_any_texel() -> None:
    fine = lattice.smooth(Canvas(size=(400.0, 400.0), texel=0.5, seed=1), 4.0, 2)
    coarse = lattice.smooth(Canvas(size=(400.0, 400.0), texel=1.0, seed=1), 4.0, 2)
    assert fine.std() == pytest.approx(1.0, abs=0.03)
    assert abs(fine.mean()) < 0.05
    averaged = fine.reshape(400, 2, 400, 2).mean(axis=(1, 3))
    assert np.corrcoef(averaged.ravel(), coarse.ravel())[0, 1] > 0.999


def test_keys_and_seeds_are_independent() -> None:
    canvas = Canvas(size=(100.0, 100.0), texel=1.0, seed=1)
    fields = [lattice.smooth(canvas, 3.0, key).ravel() for key in (1, 2)]
    fields.append(lattice.smooth(Canvas(size=(100.0, 100.0), texel=1.0, seed=2), 3.0, 1).ravel())
    assert np.abs(np.corrcoef(fields) - np.eye(3)).max() < 0.15


def test_the_grid_covers_the_scene_with_whole_texels() -> None:
    canvas = Canvas(size=(10.1, 7.0), texel=0.3, seed=0)
    assert canvas.shape == (23, 34)
    assert canvas.x()[0, -1] + canvas.step[1] / 2 == pytest.approx(10.1, abs=1e-4)
    assert canvas.y()[0, 0] + canvas.step[0] / 2 == pytest.approx(7.0, abs=1e-4)


def test_what_dates_have_in_common_is_made_once_and_anew_where_it_differs() -> None:
    kept: lattice.Kept = {}

    def found(seed: int, given: int, value: str) -> str:
        canvas = Canvas(size=(10.0, 10.0), texel=1.0, seed=seed, kept=kept)
        return canvas.once("name", (given,), lambda: value)

    assert found(1, 5, "first") == "first"
    assert found(1, 5, "second") == "first"
    assert found(1, 6, "third") == "third"
    assert found(2, 6, "fourth") == "fourth"
