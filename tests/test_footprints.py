from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely
import shapely.affinity
from affine import Affine
from hypothesis import example, given
from hypothesis import strategies as st
from rasterio import features

from mage_stac.scene import footprints, reading
from mage_stac.scene.features import Features
from mage_stac.scene.footprints import Footprints


def found(*shapes: shapely.Geometry, ids: tuple[str, ...] = ()) -> Features:
    table = replace(
        reading.blank(len(shapes)), ids=np.array(ids or [f"b{i}" for i in range(len(shapes))], dtype=object)
    )
    return Features(role="building", geometry=np.array(shapes, dtype=object), table=table)


def areas(made: Footprints) -> list[float]:
    return [round(area, 6) for area in shapely.area(made.polygons)]


def test_a_ring_that_crosses_itself_becomes_two_buildings() -> None:
    bowtie = shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
    made = footprints.clean(found(bowtie))
    assert areas(made) == [25.0, 25.0]
    assert made.features.table.ids.tolist() == ["b0", "b0#2"]
    assert made.notes == ("footprints: 1 cross themselves: mended",)


def test_outlines_without_area_are_left_out_and_counted() -> None:
    line = shapely.Polygon([(0, 0), (5, 5), (10, 10), (0, 0)])
    speck = shapely.box(50, 50, 50.5, 50.5)
    made = footprints.clean(found(line, speck, shapely.box(20, 20, 30, 30)))
    assert areas(made) == [100.0]
    assert made.notes == ("footprints: 1 have no area: left out", "footprints: 1 are smaller than 1 m2: left out")


def test_doubles_go_and_neighbours_stay() -> None:
    house, again = shapely.box(0, 0, 10, 10), shapely.box(0.1, 0, 10, 10)
    neighbour, porch = shapely.box(10, 0, 18, 10), shapely.box(2, 2, 4, 4)
    made = footprints.clean(found(again, house, neighbour, porch, house))
    assert made.features.table.ids.tolist() == ["b1", "b2"]
    assert made.notes == ("footprints: 3 lie on others: left out",)


def test_parts_get_ids_by_size_and_courts_are_kept() -> None:
    parts = shapely.MultiPolygon([shapely.box(0, 0, 2, 2), shapely.box(10, 0, 20, 10)])
    court = shapely.Polygon(shapely.box(30, 0, 60, 30).exterior, [shapely.box(40, 10, 50, 20).exterior])
    made = footprints.clean(found(parts, court, ids=("x", "x")))
    assert made.features.table.ids.tolist() == ["x", "x#2", "x#3"]
    assert areas(made) == [100.0, 4.0, 800.0]
    assert len(made.polygons[2].interiors) == 1


def traced(house: shapely.Polygon, pixel: tuple[float, float], turn: float = 0.0) -> shapely.Polygon:
    """The house's outline as GDAL traces it from a raster of rectangular pixels, the raster itself turned."""
    grid = Affine.rotation(turn) @ Affine(pixel[0], 0, -40, 0, -pixel[1], 40)
    mask = features.rasterize([house], (int(80 / pixel[1]), int(80 / pixel[0])), transform=grid, dtype="uint8")
    rings = [shapely.geometry.shape(ring) for ring, value in features.shapes(mask, transform=grid) if value]
    return max(rings, key=lambda ring: ring.area)


@given(
    turn=st.floats(0, 90),
    size=st.tuples(st.floats(8, 20), st.floats(8, 20)),
    pixel=st.tuples(st.floats(0.4, 0.8), st.floats(0.4, 0.8)),
    raster=st.floats(-20, 20),
)
@example(turn=1.0, size=(14.0, 13.375), pixel=(0.5, 0.5), raster=0.0)  # GEOS drops a corner of this polygon
def test_steps_of_a_raster_become_straight_walls(
    turn: float, size: tuple[float, float], pixel: tuple[float, float], raster: float
) -> None:
    house = shapely.affinity.rotate(shapely.box(-size[0] / 2, -size[1] / 2, size[0] / 2, size[1] / 2), turn)
    steps = traced(house, pixel, raster)
    straight = footprints.straightened(np.array([steps], dtype=object))[0]
    assert straight.is_valid
    assert shapely.hausdorff_distance(straight, steps) <= 1.02 * max(pixel)
    assert shapely.hausdorff_distance(straight, house) <= 2.2 * max(pixel)  # of a trace at most 1.5 pixels off
    if 20 < (turn - raster) % 90 < 70:  # nearer to the axes a small house has few steps
        assert len(straight.exterior.coords) < 0.6 * len(steps.exterior.coords)


def test_houses_that_people_drew_keep_their_steps() -> None:
    stairs = [(0, 0), (12, 0), (12, 3), (10.8, 3), (10.8, 4.4), (9.1, 4.4), (9.1, 6.1), (7, 6.1), (7, 9), (0, 9)]
    cross = shapely.union_all([shapely.box(0, 5, 15, 10), shapely.box(5, 0, 10, 15)])
    court = shapely.Polygon(shapely.box(0, 0, 30, 30).exterior, [shapely.box(10, 10, 20, 20).exterior])
    given = np.array([shapely.Polygon(stairs), cross, court, shapely.box(0, 0, 9, 9), shapely.Polygon()], dtype=object)
    kept = footprints.straightened(given)
    assert [one.equals(other) for one, other in zip(kept, given, strict=True)] == [True] * len(given)


def test_nothing() -> None:
    made = footprints.clean(found())
    assert len(made.polygons) == 0
    assert made.notes == ()


MILLIMETRES = st.integers(0, 30_000).map(lambda count: count / 1000)


@given(st.lists(st.tuples(MILLIMETRES, MILLIMETRES), min_size=3, max_size=9))
def test_whatever_comes_in_what_goes_out_is_valid(corners: list[tuple[float, float]]) -> None:
    made = footprints.clean(found(shapely.Polygon(corners)))
    assert shapely.is_valid(made.polygons).all()
    assert (shapely.get_type_id(made.polygons) == 3).all()
    assert len(set(made.features.table.ids)) == len(made.polygons)


def test_density_is_the_share_of_a_circle() -> None:
    boxes = np.array(
        [shapely.box(0, 0, 10, 10), shapely.box(30, 0, 40, 10), shapely.box(900, 0, 910, 10)], dtype=object
    )
    assert np.allclose(footprints.densities(boxes), np.array([200, 200, 100]) / (np.pi * 3600))


@pytest.mark.parametrize(("width", "length"), [(8, 10), (8, 40), (3, 3)])
def test_half_width_of_a_rectangle(width: float, length: float) -> None:
    assert footprints.half_width(shapely.box(0, 0, length, width)) == pytest.approx(width / 2, rel=0.02)
