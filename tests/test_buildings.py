from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely
from houses import GRID, HOUSES, box, coded, frame, probabilities, written

from mage_stac.cog import write_cog
from mage_stac.products import buildings, footprints, grading


@pytest.fixture
def cube() -> np.ndarray:
    return probabilities()


def test_grades_probabilities_and_shares_of_three_houses(tmp_path: Path, cube: np.ndarray) -> None:
    found = buildings.graded(frame(*HOUSES), written(tmp_path, cube))
    assert list(found.columns) == list(buildings.COLUMNS)
    assert found["grade"].tolist() == [1, 4, 255]
    assert found["damage"].tolist() == ["no-damage", "destroyed", "not-observed"]
    assert found[[f"probability_{k}" for k in range(5)]].iloc[0].tolist() == pytest.approx(
        [0.1, 0.6, 0.2, 0.1, 0], abs=0.002
    )
    assert found["observed"].tolist() == pytest.approx([1, 1, 0.4])
    assert found["fraction"].tolist() == pytest.approx([0, 1, 1])
    assert found["area"].tolist() == pytest.approx([30, 30, 25], rel=2e-3)
    assert found["footprint_id"].tolist() == ["f0", "f1", "f2"]


def test_one_stray_pixel_does_not_decide(tmp_path: Path, cube: np.ndarray) -> None:
    cube[:, 15, 15] = coded(0, 0, 0, 0, 1)
    found = buildings.graded(frame(HOUSES[0]), written(tmp_path, cube))
    assert found["grade"].tolist() == [1]
    assert found["fraction"].tolist() == pytest.approx([1 / 120], abs=1e-4)


def test_the_rim_does_not_decide_either(tmp_path: Path, cube: np.ndarray) -> None:
    cube[:, 30:42, [10, 19]] = cube[:, [30, 41], 10:20] = coded(0, 1, 0, 0, 0).reshape(5, 1, 1)
    found = buildings.graded(frame(HOUSES[1]), written(tmp_path, cube))
    assert found["probability_4"].tolist() == pytest.approx([0.4], abs=0.002)


def test_not_even_of_a_house_smaller_than_a_pixel(tmp_path: Path, cube: np.ndarray) -> None:
    cube[:, 15, 15] = coded(0, 0, 0, 0, 1)
    hut = shapely.Point(GRID.affine @ (15.5, 15.5)).buffer(0.1)
    assert buildings.graded(frame(hut), written(tmp_path, cube))["grade"].tolist() == [1]


@pytest.mark.parametrize(("clouded", "grade"), [(4, 1), (6, 1), (7, 255), (12, 255)])
def test_a_house_half_under_cloud_says_so(tmp_path: Path, cube: np.ndarray, clouded: int, grade: int) -> None:
    cube[:, 5:25, 10 : 10 + clouded] = 255
    found = buildings.graded(frame(HOUSES[0]), written(tmp_path, cube))
    assert found["observed"].tolist() == pytest.approx([1 - clouded / 12], abs=1e-3)
    assert found["grade"].tolist() == [grade]


def test_means_agree_with_numpy_for_any_polygon(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    cube = rng.integers(0, 251, (5, *GRID.shape), dtype=np.uint8)
    cube[:, rng.random(GRID.shape) < 0.2] = 255
    triangle = shapely.Polygon([GRID.affine @ p for p in ((5.3, 4.1), (70.2, 20.7), (30.9, 55.5))])
    found = buildings.graded(frame(triangle), written(tmp_path, cube))
    columns, rows = np.meshgrid(np.arange(80) + 0.5, np.arange(60) + 0.5)
    pixels = shapely.transform(triangle, lambda xy: np.array([~GRID.affine @ tuple(p) for p in xy]))
    inside = shapely.contains_xy(shapely.buffer(pixels, -1), columns, rows) & (cube[0] != 255)
    for k in range(5):
        assert found[f"probability_{k}"][0] == pytest.approx(cube[k][inside].mean() / 250, abs=1e-4)


def test_footprints_over_the_edge_and_smaller_than_a_pixel(tmp_path: Path, cube: np.ndarray) -> None:
    tiny = shapely.Point(GRID.affine @ (15.2, 15.3)).buffer(0.05)
    found = buildings.graded(frame(box(-10, 0, 10, 10), tiny), written(tmp_path, cube))
    assert found["observed"].tolist() == pytest.approx([0.5, 1])
    assert found["grade"].tolist()[1] == 1


def test_a_damage_map_counts_as_certain(tmp_path: Path) -> None:
    damage = np.zeros(GRID.shape, np.uint8)
    damage[10:20, 10:22] = 3
    damage[12, 12] = 255
    write_cog(tmp_path / "damage.tif", damage, GRID, nodata=255)
    found = buildings.graded(frame(HOUSES[0]), tmp_path / "damage.tif")
    assert found["grade"].tolist() == [3]
    assert found["probability_3"].tolist() == [1]
    assert found["observed"].tolist() == pytest.approx([119 / 120], abs=1e-4)


def test_a_map_of_what_is_lost_gives_buildings_one_grade_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grading, "AROUND", 1.0)  # metres: each house speaks for itself
    cube = np.tile(coded(1, 0, 0, 0, 0)[:, None, None], (1, *GRID.shape))
    cube[:, 10:30, 10:30] = coded(0, 1, 0, 0, 0)[:, None, None]
    cube[:, 10:18, 10:30] = coded(0, 0, 0, 0, 1)[:, None, None]  # two fifths of a roof
    cube[:, 10:30, 45:65] = coded(0, 0, 0, 0, 1)[:, None, None]
    cube[:, 40:50, 10:30] = coded(0, 0.8, 0.2, 0, 0)[:, None, None]
    path, damage = tmp_path / "probability.tif", tmp_path / "damage.tif"
    write_cog(path, cube, GRID, nodata=255, descriptions=("none", "whole", "light", "partly", grading.BAND))
    states = np.where(cube[0] > 125, 0, 1 + cube[1:].argmax(axis=0)).astype(np.uint8)
    states[50:, 70:] = 255
    write_cog(damage, states, GRID, nodata=255)
    houses = (box(10, 10, 30, 30), box(45, 10, 65, 30), box(10, 40, 30, 50))
    assert buildings.graded(frame(*houses), path)["grade"].tolist() == [3, 4, 1]
    found = buildings.graded(footprints.traced(damage), path)
    ((row, classes),) = buildings.repainted(damage, found)
    expected = np.zeros(GRID.shape, np.uint8)
    expected[10:30, 10:30], expected[10:30, 45:65], expected[40:50, 10:30] = 3, 4, 1
    expected[50:, 70:] = 255
    assert row == 0
    np.testing.assert_array_equal(classes, expected)
