from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely

from mage_stac.scene import highways, reading, traditions
from mage_stac.scene.features import Features
from mage_stac.scene.highways import LINES, Strip
from mage_stac.scene.materials import GROUND

TRADITION = traditions.of(9.5, 47.1, 0.1)
CLIP = shapely.box(500000, 5000000, 500200, 5000200)
ORIGIN = (500000.0, 5000000.0)


def lines(*shapes: shapely.Geometry, **known: Any) -> Features:
    table = reading.blank(len(shapes))
    table.ids[:] = [f"way/{number}" for number in range(len(shapes))]
    for name, values in known.items():
        (table.numbers if name in table.numbers else table.words)[name][:] = values
    return Features(role="line", geometry=np.array(shapes, dtype=object), table=table)


def strips(found: Features) -> list[Strip]:
    return highways.strips(found, CLIP, ORIGIN, TRADITION, 1)


EAST = shapely.LineString([(499900, 5000050), (500300, 5000050)])


@pytest.mark.parametrize("kind", LINES)
def test_every_kind_is_of_a_known_material(kind: str) -> None:
    assert LINES[kind].material in GROUND
    assert strips(lines(EAST, kind=kind))


def test_width_counts_before_lanes_and_lanes_before_the_kind() -> None:
    (wide,) = strips(lines(EAST, kind="residential", width=9.0, lanes=2))
    (lanes,) = strips(lines(EAST, kind="residential", lanes=3))
    (usual,) = strips(lines(EAST, kind="residential"))
    (one_way,) = strips(lines(EAST, kind="residential", oneway="yes"))
    assert wide.surface.width == 9.0
    assert lanes.surface.width == pytest.approx(3 * LINES["residential"].lane + highways.SHOULDER)
    assert usual.surface.width == LINES["residential"].width
    assert one_way.surface.width < usual.surface.width
    assert (lanes.surface.lanes, one_way.surface.oneway) == (3, True)


def test_a_strip_covers_its_width_within_the_clip() -> None:
    (made,) = strips(lines(EAST, kind="fence"))
    shape = shapely.Polygon(made.surface.ring)
    assert shape.area == pytest.approx(200 * 0.16, rel=0.02)
    assert made.surface.line == ((0.0, 50.0), (200.0, 50.0))


def test_roundabouts_have_no_hole_and_their_middle_stays_free() -> None:
    ring = shapely.Point(500100, 5000100).buffer(20).exterior
    made = strips(lines(shapely.LineString(ring), kind="residential"))
    assert len(made) == 2
    ground = highways.covered((strip.surface.ring, strip.surface.holes) for strip in made)
    assert not ground.contains(shapely.Point(100, 100))
    assert ground.area == pytest.approx(2 * np.pi * 20 * 5.6, rel=0.05)


def test_streets_have_walks_and_lie_over_them_in_order() -> None:
    north = shapely.LineString([(500100, 4999900), (500100, 5000300)])
    made = strips(lines(EAST, north, kind=["primary", "path"]))
    assert [strip.surface.use for strip in made] == ["path", "arterial"]
    assert len(made[1].walks) == 1
    walk, road = shapely.Polygon(made[1].walks[0].ring), shapely.Polygon(made[1].surface.ring)
    assert walk.contains(road.intersection(shapely.box(1, 1, 199, 199)))


def test_corners_are_rounded_where_streets_meet() -> None:
    north = shapely.LineString([(500100, 5000050), (500100, 5000300)])
    made = strips(lines(EAST, north, kind="residential"))
    assert len(highways.corners(made)) == 2
    assert highways.corners([]) == ()


def test_railways_have_rails() -> None:
    made = strips(lines(EAST, kind="rail"))
    assert [strip.surface.kind for strip in made] == ["gravel", "asphalt_new", "asphalt_new"]
    one, two = (shapely.Polygon(strip.surface.ring).centroid for strip in made[1:])
    assert one.distance(two) == pytest.approx(highways.RAIL, abs=0.01)


def test_hedges_are_plants() -> None:
    found = lines(EAST, EAST, kind=["hedge", "motorway"])
    assert [(kind, key) for kind, key, _ in highways.planted(found, CLIP)] == [("hedge", "way/0")]
    assert len(strips(found)) == 1
