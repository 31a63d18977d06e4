"""Sums over polygons against numpy and shapely, pixel centre by pixel centre."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely
from houses import GRID, HOUSES, frame, probabilities, written
from hypothesis import given, settings
from hypothesis import strategies as st

from mage_stac import raster
from mage_stac.mosaic import LEVELS
from mage_stac.products import buildings, zonal
from mage_stac.raster import opened

PLACES = st.tuples(st.floats(-20, 100), st.floats(-20, 80))


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    """Five bands of code, a fifth of the pixels unseen."""
    rng = np.random.default_rng(0)
    cube = rng.integers(0, LEVELS + 1, (5, *GRID.shape), dtype=np.uint8)
    cube[:, rng.random(GRID.shape) < 0.2] = 255
    return cube


@settings(deadline=None, max_examples=30)
@given(corners=st.tuples(PLACES, PLACES, PLACES), rows=st.sampled_from([7, 512]))
def test_a_triangle_sums_the_pixels_whose_centres_it_holds(
    tmp_path_factory: pytest.TempPathFactory, noise: np.ndarray, corners: tuple[tuple[float, float], ...], rows: int
) -> None:
    triangle = shapely.Polygon(corners)
    path = tmp_path_factory.getbasetemp() / "probability.tif"
    if not path.exists():
        written(path.parent, noise)
    with pytest.MonkeyPatch.context() as patched, opened(path) as source:
        patched.setattr(raster, "ROWS", rows)
        found = zonal.sums(source, np.array([triangle], object))
    grown = triangle.buffer(zonal.GROWTH) if triangle.area < zonal.FEWEST else triangle
    x, y = np.meshgrid(np.arange(80) + 0.5, np.arange(60) + 0.5)
    edge = shapely.distance(shapely.points(x, y), grown.boundary) < 1e-3  # GDAL and shapely may differ on the border
    inside = shapely.contains_xy(grown, x, y)
    seen = noise[0] != 255
    least, most = (int((where).sum()) for where in (inside & ~edge, inside | edge))
    assert least <= found.pixels[0] <= most
    if least == most:
        here = inside & seen
        assert found.observed[0] == here.sum()
        np.testing.assert_allclose(found.probabilities[0], (noise[:, here] / LEVELS).sum(axis=1), atol=1e-9)
        assert found.damaged[0] == (noise[1:, here].argmax(axis=0) > 0).sum()


def test_polygons_under_others_look_at_their_own_pixels(tmp_path: Path, noise: np.ndarray) -> None:
    house, tiny = shapely.box(10, 10, 22, 20), shapely.box(40.2, 40.2, 41.4, 41.4)
    over = [
        house,
        house,
        shapely.box(8, 8, 24, 22),
        tiny,
        tiny,
        shapely.box(75, 55, 90, 70),
        shapely.box(70, 50, 95, 75),
    ]
    off = shapely.box(200, 10, 210, 20)
    with opened(written(tmp_path, noise)) as source:
        found = zonal.sums(source, np.array([*over, off, off, shapely.Polygon()], object))
        for number, one in enumerate(over):
            if number in (2, 6):  # what lies over the others keeps all
                continue
            alone = zonal.sums(source, np.array([one], object))
            np.testing.assert_array_equal(found.probabilities[number], alone.probabilities[0])
            assert found.observed[number] == alone.observed[0] > 0
    assert found.pixels[:3].tolist() == [120, 120, 16 * 14]
    assert found.pixels[-3:].tolist() == [0, 0, 0]


def test_rows_are_read_in_strips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, probabilities())
    whole = buildings.graded(frame(*HOUSES), path)
    monkeypatch.setattr(raster, "ROWS", 7)
    assert buildings.graded(frame(*HOUSES), path).equals(whole)
