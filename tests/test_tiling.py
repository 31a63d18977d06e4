from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from plans import ARROW, L_SHAPE, building, footprints
from shapely import Polygon

from mage_stac.scene import roofs, tiling
from mage_stac.scene.plans import Plane
from mage_stac.scene.scene import Ring


def plan_areas(corners: np.ndarray) -> np.ndarray:
    one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return (one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]) / 2


@settings(max_examples=40, deadline=None)
@given(footprints())
def test_cells_cover_each_plane_once_and_lie_on_it(footprint: Ring) -> None:
    planes = roofs.planes(building(footprint, roof="hipped"))
    tiles = tiling.cut(planes, [0.9] * len(planes))
    areas = plan_areas(tiles.corners)
    assert (areas > 0).all()
    by_face = np.bincount(tiles.face, areas, minlength=len(planes))
    assert by_face == pytest.approx([plane.plan.area for plane in planes], rel=1e-3, abs=2e-3)
    for number, plane in enumerate(planes):
        own = tiles.corners[tiles.face == number].reshape(-1, 3)
        assert own[:, 2] == pytest.approx(plane.height(own[:, :2]), abs=1e-6)


def test_cells_are_no_larger_than_asked_and_numbered_together() -> None:
    plane = Plane(plan=Polygon(L_SHAPE), slope=(0.0, 0.5, 3.0))
    tiles = tiling.cut([plane], [0.8])
    size = np.bincount(tiles.cell, plan_areas(tiles.corners))
    assert size.max() <= 0.8 * 0.8 + 1e-9
    assert size.max() == pytest.approx(0.64)
    assert tiles.v.min() == pytest.approx(0.4)


def test_a_level_direction_does_not_rise() -> None:
    plane = Plane(plan=Polygon(ARROW), slope=(0.3, -0.4, 1.0))
    level, upward = tiling.axes(plane)
    assert np.dot(level, plane.slope[:2]) == pytest.approx(0)
    assert np.dot(upward, plane.slope[:2]) == pytest.approx(0.5)


def test_parts_count_their_own_faces_and_cells() -> None:
    planes = [Plane(plan=shapely.box(x, 0, x + 2, 2), slope=(0.0, 0.0, 1.0)) for x in (0, 5)]
    both = tiling.cut(planes, [1.0, 1.0])
    second = both.part(slice(int(np.searchsorted(both.face, 1)), None), 1)
    alone = tiling.cut(planes[1:], [1.0])
    assert np.array_equal(second.face, alone.face)
    assert np.array_equal(second.cell, alone.cell)
    assert second.corners == pytest.approx(alone.corners)


def test_the_region_under_tiles_is_their_union() -> None:
    planes = roofs.planes(building(L_SHAPE, roof="gabled"))
    tiles = tiling.cut(planes, [0.7] * len(planes))
    chosen = tiles.where(np.isin(tiles.cell, tiles.cell[tiles.u + 0.3 * tiles.v < 6]))
    exact = shapely.union_all(shapely.polygons(chosen.corners[:, :, :2]))
    assert tiling.region(planes, chosen, 0.7).symmetric_difference(exact).area < 0.01 * exact.area


def test_clipping_matches_shapely() -> None:
    rng = np.random.default_rng(1)
    squares = rng.uniform(-1, 4, (60, 1, 2)) + np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    triangle = Polygon([(0, 0), (4, 0.5), (1, 3)])
    corners, cell = tiling.convex_clip(squares, tiling._lines([triangle]), np.zeros(60, int))
    found = np.bincount(cell, plan_areas(corners), minlength=60)
    assert found == pytest.approx(shapely.area(shapely.intersection(shapely.polygons(squares), triangle)), abs=1e-9)
