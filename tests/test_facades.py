from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st
from plans import RECTANGLE, building, footprints

from mage_stac.scene import facades, mesh, roofs, shells
from mage_stac.scene.scene import SEMANTIC, Building, Face, Light, Photo, Ring


def made(one: Building) -> mesh.Mesh:
    return facades.build(one, roofs.sides(roofs.plan(one)), 7)


def outward(whole: mesh.Mesh) -> np.ndarray:
    corners = whole.vertices[whole.triangles].astype(float)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return normal / np.linalg.norm(normal, axis=1, keepdims=True)


@settings(max_examples=15, deadline=None)
@example(((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -2.0)), "commercial", 1)  # walls narrower than a shop window
@given(footprints(), st.sampled_from(sorted(facades.FRONTS)), st.integers(1, 5))
def test_openings_lie_on_the_walls_and_face_outwards(footprint: Ring, kind: str, storeys: int) -> None:
    one = building(footprint, kind=kind, storeys=storeys, height=2.8 * storeys, base=40.0)
    whole = made(one)
    outline = roofs.plan(one)
    points = whole.vertices.astype(float)
    assert shapely.distance(shapely.points(points[:, :2]), outline.boundary) == pytest.approx(
        facades.PROUD, abs=facades.PROUD + 1e-3
    )
    assert (points[:, 2] > 40.0 - 1e-3).all()
    assert (points[:, 2] < 40.0 + one.height).all()
    if len(points):
        normal, middle = outward(whole), whole.centroids
        assert np.abs(normal[:, 2]).max() < 1e-3
        before = shapely.points(middle[:, :2] - 1.5 * facades.PROUD * normal[:, :2])
        assert shapely.covers(outline.buffer(1e-3), before).all()
    assert set(whole.instance) <= {7}
    assert set(whole.semantic) <= {SEMANTIC["building"]}


def test_each_storey_has_windows_and_the_house_one_door() -> None:
    """Bays of 2.9 m: five on each side of 14 m, three on each of 9; few are left out, up to two make way for a door."""
    low, high = (made(building(storeys=count, height=2.8 * count)) for count in (1, 3))
    count = [len(whole.triangles) // 2 for whole in (low, high)]
    assert 9 <= count[0] <= 17
    assert 30 <= count[1] <= 49
    feet = low.vertices.reshape(-1, 4, 3)[:, :, 2].min(axis=1)
    assert (feet == 0).sum() == 1
    boxes = [shapely.MultiPoint(quad).convex_hull for quad in _unrolled(high)]
    assert len(shapely.STRtree(boxes).query(boxes, predicate="overlaps").T) == 0


def _unrolled(whole: mesh.Mesh) -> np.ndarray:
    """(N, 4, 2) openings of a rectangle's walls, laid out side by side."""
    quads = whole.vertices.reshape(-1, 4, 3).astype(float)
    normal = outward(whole)[::2]
    side = np.argmax(normal[:, :2] @ np.array([[1, 0], [0, 1], [-1, 0], [0, -1]]).T, axis=1)
    along = np.where((side % 2 == 0)[:, None], quads[..., 1], quads[..., 0]) + 100.0 * side[:, None]
    return np.stack([along, quads[..., 2]], axis=-1)


def test_openings_of_measured_walls_lie_within_them() -> None:
    """A gable wall of 12 m, 4 m high at its ends and 10 m in the middle, faces south."""
    gable = ((0.0, 0.0, 600.0), (12.0, 0.0, 600.0), (12.0, 0.0, 604.0), (6.0, 0.0, 610.0), (0.0, 0.0, 604.0))
    one = building(((0, 0), (12, 0), (12, 8), (0, 8)), faces=(Face(ring=gable, kind="wall"),), base=600.0, height=6.0,
                   storeys=2, kind="apartment")  # fmt: skip
    whole = made(one)
    wall = shapely.Polygon([(x, z) for x, _, z in gable])
    assert len(whole.triangles) // 2 >= 4
    assert wall.covers(shapely.points(whole.vertices[:, 0].astype(float), whole.vertices[:, 2].astype(float))).all()
    assert whole.vertices[:, 1] == pytest.approx(-facades.PROUD)
    assert whole.vertices[:, 2].max() > 604.0


def test_what_was_in_fallen_walls_is_gone() -> None:
    shell = shells.of([building(storeys=2, height=5.6)])[0]
    west = shapely.box(-1, -1, 7, 10)
    assert shells.walls(shell, without=west).vertices[:, 0].min() > 6.9
    whole = facades.build(shell.building, roofs.sides(shell.outline), 1, without=west)
    assert 0 < len(whole.triangles) < len(facades.build(shell.building, roofs.sides(shell.outline), 1).triangles)


def test_walls_of_photographed_houses_stay_bare() -> None:
    grey = np.full((4, 4, 3), 0.2, np.float32)
    photo = Photo(ground=grey, roofs=grey, light=Light())
    one = building(RECTANGLE, storeys=2, height=6.0)
    bare, drawn = (shells.walls(shells.of([one], picture, (20.0, 20.0))[0]) for picture in (photo, None))
    assert len(bare.triangles) < len(drawn.triangles)
    assert len(np.unique(bare.colour, axis=0)) == 1
