from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

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


def test_nothing() -> None:
    made = footprints.clean(found())
    assert len(made.polygons) == 0
    assert made.notes == ()


@given(st.lists(st.tuples(st.floats(0, 30), st.floats(0, 30)), min_size=3, max_size=9))
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
