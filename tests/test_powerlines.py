from __future__ import annotations

from dataclasses import replace
from math import cosh, sinh, sqrt

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from mage_stac.scene import powerlines, reading
from mage_stac.scene.features import Features
from mage_stac.scene.scene import SEMANTIC, UNLABELLED, Building, Debris, PowerLine, Scene, Surface

FLAT = np.zeros((2, 2), np.float32)
FINE, COARSE = 0.05, 0.3


def scene(*lines: PowerLine, debris: Debris | None = None) -> Scene:
    return Scene(
        id="s", seed=0, crs="EPSG:32615", origin=(0.0, 0.0), size=(100.0, 80.0), datetime="2020-06-01T17:00:00Z",
        powerlines=lines, debris=debris,
    )  # fmt: skip


STREET = PowerLine(points=((10.0, 40.0), (50.0, 40.0), (90.0, 40.0)), seed=3)


@settings(max_examples=15, deadline=None)
@given(st.floats(5, 300), st.floats(-30, 30), st.floats(0.01, 0.1))
def test_a_wire_is_the_catenary_between_its_supports(length: float, rise: float, sag: float) -> None:
    """Closed forms: length of the curve sqrt(h^2 + (2 a sinh(L / 2a))^2), constant a y'' = sqrt(1 + y'^2)."""
    start, end = np.array([[7.0, 5.0, 40.0]]), np.array([[7.0 + 0.6 * length, 5.0 + 0.8 * length, 40.0 + rise]])
    (points,) = powerlines.catenary(start, end, sag, 2000)
    np.testing.assert_allclose(points[[0, -1]], [start[0], end[0]], atol=1e-9)
    a = length / (8 * sag)
    along = np.linalg.norm(np.diff(points, axis=0), axis=1).sum()
    assert along == pytest.approx(sqrt(rise**2 + (2 * a * sinh(length / (2 * a))) ** 2), rel=1e-5)
    x = np.linspace(0, length, 2001)
    slope = np.gradient(points[:, 2], x)
    bend = np.gradient(slope, x)[10:-10]
    np.testing.assert_allclose(a * bend, np.sqrt(1 + slope[10:-10] ** 2), rtol=1e-3)


def test_a_level_wire_hangs_through_in_its_middle() -> None:
    (points,) = powerlines.catenary(np.array([[0.0, 0.0, 9.0]]), np.array([[40.0, 0.0, 9.0]]), 0.02, 2)
    a = 40 / 0.16
    assert points[1] == pytest.approx([20.0, 0.0, 9.0 - a * (cosh(20 / a) - 1)])
    assert points[1, 2] == pytest.approx(8.2, abs=0.01)


def test_poles_own_pixels_wires_do_not() -> None:
    fine, coarse = (powerlines.build(scene(STREET), FLAT, texel) for texel in (FINE, COARSE))
    assert set(fine.semantic) == {SEMANTIC["object"], UNLABELLED}
    assert set(coarse.semantic) == {SEMANTIC["object"]}
    wires = fine.vertices[np.unique(fine.triangles[fine.semantic == UNLABELLED])]
    assert np.ptp(wires[:, 0]) == pytest.approx(80.0, abs=0.1)
    assert 4.0 < wires[:, 2].min() < wires[:, 2].max() < 10.0
    assert coarse.vertices[:, 2].max() == pytest.approx(9.5)
    feet = coarse.vertices[coarse.vertices[:, 2] == 0]
    assert sorted(set(np.round(feet[:, 0]))) == [10, 50, 90]
    assert not fine.instance.any()
    assert set(fine.semantic) & set(SEMANTIC.values()) == {SEMANTIC["object"]}


def test_towers_stand_on_the_terrain_and_carry_their_wires() -> None:
    slope = np.array([[0.0, 50.0], [0.0, 50.0]], np.float32)  # rises by 1 in 2 to the east
    line = PowerLine(points=((-150.0, 40.0), (50.0, 40.0), (250.0, 40.0)), kind="tower")
    whole = powerlines.build(scene(line), slope, FINE)
    tower = whole.vertices[np.unique(whole.triangles[whole.semantic == SEMANTIC["object"]])]
    assert tower[:, 2].max() == pytest.approx(25.0 + 32.0, abs=0.5)
    assert tower[:, 0].min() == pytest.approx(50 - powerlines.BASE, abs=0.3)
    wires = whole.vertices[np.unique(whole.triangles[whole.semantic == UNLABELLED])]
    assert wires[:, 0].min() < -100
    beyond = scene(replace(line, points=((-150.0, 400.0), (250.0, 400.0))))
    assert len(powerlines.build(beyond, slope, FINE).triangles) == 0


def test_poles_break_where_debris_lies_and_their_wires_are_gone() -> None:
    density = np.zeros((80, 100), np.float32)
    density[:, 60:] = 50.0
    whole = powerlines.build(scene(STREET, debris=Debris(density=density)), FLAT, FINE)
    east = whole.vertices[whole.vertices[:, 0] > 60]
    assert east[:, 2].max() < 1.3
    wires = whole.vertices[np.unique(whole.triangles[whole.semantic == UNLABELLED])]
    assert wires[:, 0].max() < 51


def test_poles_stand_beside_streets_and_not_in_houses() -> None:
    def road(west: float, south: float, east: float, north: float, seed: int) -> Surface:
        line = ((west, (south + north) / 2), (east, (south + north) / 2))
        if north - south > east - west:
            line = (((west + east) / 2, south), ((west + east) / 2, north))
        ring = ((west, south), (east, south), (east, north), (west, north))
        return Surface(ring=ring, kind="asphalt", semantic="road", use="street", line=line, width=6.0, seed=seed)

    house = Building(id="h", footprint=((60, 30), (95, 30), (95, 50), (60, 50)), height=3.0)
    towns = [(road(0, 37, 300, 43, seed), road(147, 0, 153, 80, seed + 100)) for seed in range(20)]
    roads = towns[0]
    made = [line for town in towns for line in powerlines.along(town, [house], 1.0)]
    assert 20 <= len(made) <= 40
    poles = shapely.points([point for line in made for point in line.points])
    ground = shapely.union_all([shapely.Polygon(one.ring) for one in roads])
    assert shapely.distance(poles, ground).min() > 0.5
    assert shapely.distance(poles, shapely.Polygon(house.footprint)).min() > 0.4
    assert shapely.distance(poles, ground).max() == pytest.approx(powerlines.KERB, abs=0.05)
    assert powerlines.along(roads, [house], 0.0) == ()


def test_a_map_s_lines_have_a_support_at_each_node() -> None:
    ways = (((1000, 2000), (1040, 2000), (1080, 2020)), ((1000, 2100), (1900, 2100)), ((0, 0), (9, 9)))
    shapes = np.array([shapely.LineString(way) for way in ways], dtype=object)
    table = reading.blank(3)
    table.words["kind"][:] = ["power_minor", "power_line", "residential"]
    table.ids[:] = ["way/1", "way/2", "way/3"]
    lines = powerlines.mapped(Features(role="line", geometry=shapes, table=table), (1000.0, 2000.0), 1)
    assert [line.kind for line in lines] == ["pole", "tower"]
    assert lines[0].points == ((0.0, 0.0), (40.0, 0.0), (80.0, 20.0))
    assert lines[1].points == ((0.0, 100.0), (450.0, 100.0), (900.0, 100.0))
