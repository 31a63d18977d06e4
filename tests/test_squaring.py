from __future__ import annotations

import numpy as np
import pytest
import shapely
import shapely.affinity
from rasterio import features
from scipy.ndimage import gaussian_filter

from mage_stac.products import squaring

ELL = shapely.Polygon([(0, 0), (30, 0), (30, 12), (14, 12), (14, 26), (0, 26)])


def seen(shape: shapely.Polygon, seed: int = 0) -> shapely.Polygon:
    """The outline that a blurred, noisy map of a shape shows."""
    rng = np.random.default_rng(seed)
    mask = gaussian_filter(features.rasterize([shape], (130, 130)).astype(float), 1)
    mask = mask + rng.normal(0, 0.04, mask.shape) > 0.5
    found = [shapely.geometry.shape(ring) for ring, value in features.shapes(mask.astype(np.uint8), mask=mask) if value]
    return max(found, key=lambda outline: outline.area)


def squared(*shapes: shapely.Polygon) -> np.ndarray:
    made = np.empty(len(shapes), dtype=object)
    made[:] = shapes
    return squaring.squared(made)


def alike(one: shapely.Polygon, other: shapely.Polygon) -> float:
    return one.intersection(other).area / one.union(other).area


def bends(outline: shapely.Polygon) -> np.ndarray:
    """Angle of each corner, degrees from straight on."""
    steps = np.diff(shapely.get_coordinates(outline.exterior), axis=0)
    angle = np.degrees(np.arctan2(steps[:, 1], steps[:, 0]))
    return np.abs((np.diff(np.append(angle, angle[0])) + 180) % 360 - 180)


@pytest.mark.parametrize("degrees", range(0, 90, 9))
@pytest.mark.parametrize(("shape", "corners"), [(shapely.box(0, 0, 24, 14), 4), (ELL, 6)])
def test_houses_get_their_walls_back(shape: shapely.Polygon, corners: int, degrees: float) -> None:
    house = shapely.affinity.translate(shapely.affinity.rotate(shape, degrees, origin=(0, 0)), 60.3, 60.7)
    (found,) = squared(seen(house, degrees))
    assert len(found.exterior.coords) - 1 == corners
    assert bends(found) == pytest.approx(90, abs=1e-6)
    assert alike(found, house) > 0.92


def test_what_is_round_stays_round_and_what_is_odd_stays_like_itself() -> None:
    tank = shapely.Point(60, 60).buffer(15)
    star = shapely.Polygon([(60 + r * np.cos(a), 60 + r * np.sin(a))
                            for a, r in zip(np.arange(10) * np.pi / 5, [40, 8] * 5, strict=True)])  # fmt: skip
    found = squared(seen(tank), seen(star))
    assert len(found[0].exterior.coords) > 8
    assert alike(found[0], tank) > 0.95
    assert alike(found[1], star) > 0.75


def test_a_court_stays_open_and_areas_stay() -> None:
    block = shapely.box(20, 20, 80, 70).difference(shapely.box(40, 35, 60, 55))
    outline = seen(block)
    (found,) = squared(outline)
    assert alike(found, block) > 0.95
    assert len(found.interiors) == 1
    assert found.area == pytest.approx(outline.area, rel=0.02)


def test_nothing_gives_nothing_and_slivers_stay_polygons() -> None:
    assert len(squared()) == 0
    line, pixel = squared(shapely.box(0, 0, 40, 1), shapely.box(0, 0, 1, 1))
    assert (line.area, pixel.area) == pytest.approx((40, 1))
