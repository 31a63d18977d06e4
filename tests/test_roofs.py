from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import ARROW, CROSS, L_SHAPE, NAMED, RECTANGLE, T_SHAPE, TRIANGLE, building, footprints, turned
from shapely import Polygon

from mage_stac.scene import roofs
from mage_stac.scene.plans import Plane
from mage_stac.scene.scene import Ring

KINDS = ("flat", "shed", "gabled", "hipped")


def covered(planes: list[Plane]) -> float:
    return sum(plane.plan.area for plane in planes)


def heights(planes: list[Plane], at: np.ndarray) -> np.ndarray:
    """The roof's height at points (N, 2); NaN off the roof."""
    z = np.full(len(at), np.nan)
    for plane in planes:
        inside = shapely.intersects_xy(plane.plan, at[:, 0], at[:, 1])
        z[inside] = plane.height(at[inside])
    return z


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", sorted(NAMED))
def test_planes_cover_the_grown_footprint_once(kind: str, shape: str) -> None:
    house = building(turned(NAMED[shape], 17.0, 100.0, 40.0), roof=kind, overhang=0.5)
    planes = roofs.planes(house)
    margin = 0.0 if kind == "flat" else 0.5
    expected = Polygon(house.footprint).buffer(margin, join_style="mitre", mitre_limit=2.0)
    union = shapely.union_all([plane.plan for plane in planes])
    assert covered(planes) == pytest.approx(expected.area, abs=0.02)
    assert union.symmetric_difference(expected).area < 0.02


@pytest.mark.parametrize("kind", ["shed", "gabled", "hipped"])
@pytest.mark.parametrize("shape", sorted(set(NAMED) - {"arrow"}))
def test_every_plane_has_the_pitch(kind: str, shape: str) -> None:
    planes = roofs.planes(building(NAMED[shape], roof=kind, pitch=33.0))
    slopes = [np.degrees(np.arctan(np.hypot(*plane.slope[:2]))) for plane in planes]
    assert slopes == pytest.approx([33.0] * len(slopes), abs=1e-6)


def test_a_gable_rises_to_half_the_width_over_the_longer_side() -> None:
    planes = roofs.planes(building(RECTANGLE, roof="gabled", pitch=45.0, height=3.0))
    assert len(planes) == 2
    along_ridge = heights(planes, np.array([[0.5, 4.5], [7.0, 4.5], [13.5, 4.5]]))
    assert along_ridge == pytest.approx([7.5, 7.5, 7.5])
    assert heights(planes, np.array([[3.0, 1e-6], [3.0, 9 - 1e-6]])) == pytest.approx([3.0, 3.0], abs=1e-4)


@pytest.mark.parametrize("shape", [RECTANGLE, TRIANGLE])
def test_a_hip_over_a_convex_plan_rises_with_the_distance_to_its_nearest_wall(shape: Ring) -> None:
    house = building(shape, roof="hipped", pitch=30.0)
    outline = Polygon(shape)
    rng = np.random.default_rng(0)
    at = rng.uniform(0, 14, (400, 2))
    at = at[shapely.contains_xy(outline, at[:, 0], at[:, 1])]
    expected = 3.0 + np.tan(np.radians(30.0)) * shapely.distance(outline.exterior, shapely.points(at))
    assert heights(roofs.planes(house), at) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("shape", [L_SHAPE, T_SHAPE, CROSS])
def test_a_hip_over_wings_is_continuous(shape: Ring) -> None:
    planes = roofs.planes(building(shape, roof="hipped"))
    for one in planes:
        for other in planes:
            shared = one.plan.intersection(other.plan)
            at = shapely.get_coordinates(shared)
            if one is not other and len(at):
                assert one.height(at) == pytest.approx(other.height(at), abs=1e-4)


def test_the_gable_of_a_side_wing_ends_in_the_main_roof() -> None:
    planes = roofs.planes(building(L_SHAPE, roof="gabled", pitch=30.0))
    far_side = np.array([[3.5, 0.1]])  # where the wing's ridge would come out, were it not ended
    assert heights(planes, far_side) == pytest.approx([3.0 + 0.1 * np.tan(np.radians(30.0))], abs=1e-4)


def test_a_courtyard_stays_open() -> None:
    house = building(
        ((0, 0), (30, 0), (30, 24), (0, 24)), holes=(((8, 8), (8, 16), (22, 16), (22, 8)),), roof="hipped", overhang=0.0
    )
    planes = roofs.planes(house)
    assert covered(planes) == pytest.approx(30 * 24 - 14 * 8, abs=0.01)
    assert np.isnan(heights(planes, np.array([[15.0, 12.0]])))[0]


def test_a_plan_without_simple_roof_still_gets_planes_near_the_pitch() -> None:
    planes = roofs.planes(building(ARROW, roof="hipped", pitch=25.0, overhang=0.0))
    slopes = np.degrees(np.arctan([np.hypot(*plane.slope[:2]) for plane in planes]))
    steep = sum(plane.plan.area for plane, slope in zip(planes, slopes, strict=True) if abs(slope - 25.0) < 1.0)
    assert steep > 0.8 * covered(planes)
    at = np.array([[6.5, 2.0], [2.5, 3.0], [11.0, 4.0]])
    rise = shapely.distance(Polygon(ARROW).exterior, shapely.points(at)) * np.tan(np.radians(25.0))
    assert heights(planes, at) == pytest.approx(3.0 + rise, abs=0.26)


@pytest.mark.parametrize(
    "broken", [(), ((0, 0), (1, 1)), ((0, 0), (5, 0), (5, 0), (0, 0)), ((0, 0), (6, 6), (6, 0), (0, 6))]
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_broken_footprint_gives_some_roof(broken: tuple, kind: str) -> None:
    assert covered(roofs.planes(building(broken, roof=kind))) > 0.9


@settings(max_examples=60, deadline=None)
@given(footprints(), st.sampled_from(KINDS), st.floats(5, 60), st.floats(0, 1.5))
def test_any_simple_plan_is_covered(footprint: Ring, kind: str, pitch: float, overhang: float) -> None:
    house = building(footprint, roof=kind, pitch=pitch, overhang=overhang)
    planes = roofs.planes(house)
    outline = roofs.eaves(house)
    assert outline.covers(roofs.plan(house).buffer(-0.01))
    assert covered(planes) == pytest.approx(outline.area, rel=1e-3, abs=0.05)
    lowest = 3.0 - 2.0 * overhang * np.tan(np.radians(pitch)) - 1e-3
    z = np.concatenate([plane.height(shapely.get_coordinates(plane.plan)) for plane in planes])
    assert np.isfinite(z).all()
    assert kind == "shed" or z.min() > lowest
