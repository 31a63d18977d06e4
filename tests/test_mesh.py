from __future__ import annotations

import numpy as np
import pytest
import shapely
from plans import ARROW, L_SHAPE
from shapely import Polygon

from mage_stac.scene import mesh
from mage_stac.scene.scene import SEMANTIC


def volume(whole: mesh.Mesh) -> float:
    """Signed volume by the divergence theorem: positive when closed and wound outwards."""
    corners = whole.vertices[whole.triangles].astype(float)
    return float(np.einsum("ij,ij->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6)


def test_a_box_is_closed_and_wound_outwards() -> None:
    box = mesh.box(bottom=True)
    assert volume(box) == pytest.approx(1.0)
    edges = np.sort(np.concatenate([box.vertices[box.triangles[:, [i, (i + 1) % 3]]] for i in range(3)]), axis=1)
    _, counts = np.unique(edges.reshape(len(edges), -1), axis=0, return_counts=True)
    assert (counts == 2).all()


def test_copies_carry_size_place_turn_tint_and_instance() -> None:
    frame = mesh.frames([np.pi / 2, 0.0], [[4.0, 2.0, 3.0], [1.0, 1.0, 1.0]], pitch=[0.0, 0.2])
    whole = mesh.copies(
        mesh.box(bottom=True), [[10, 20, 5], [0, 0, 0]], frame, [[0.2, 0.3, 0.4], [2, 0, 0]], instance=[7, 9]
    )
    first = whole.vertices[:24]
    assert np.ptp(first, axis=0) == pytest.approx([2.0, 4.0, 3.0], abs=1e-5)
    assert first.min(axis=0) == pytest.approx([9.0, 18.0, 5.0], abs=1e-5)
    assert volume(whole) == pytest.approx(25.0, rel=1e-5)
    assert whole.colour[0] == pytest.approx([0.2, 0.3, 0.4])
    assert whole.colour.max() <= 1.0
    assert list(np.unique(whole.instance)) == [7, 9]


@pytest.mark.parametrize(("pitch", "roll"), [(0.0, 0.0), (0.4, 0.0), (0.0, np.pi), (0.3, -0.7)])
def test_frames_turn_without_mirroring(pitch: float, roll: float) -> None:
    frame = mesh.frames([0.3, 2.0, 5.0], np.ones((3, 3)), pitch=pitch, roll=roll)
    assert np.linalg.det(frame) == pytest.approx([1.0] * 3)
    assert frame @ np.swapaxes(frame, 1, 2) == pytest.approx(np.tile(np.eye(3), (3, 1, 1)), abs=1e-12)
    assert frame[:, 2, 0] == pytest.approx([np.sin(pitch)] * 3)


def test_join_shifts_indices_and_skips_nothing() -> None:
    one = mesh.faces([[[0, 0, 0], [1, 0, 0], [0, 1, 0]]], (0.1, 0.2, 0.3), semantic="tree")
    both = mesh.join([one, mesh.join([]), mesh.sheet()])
    assert both.triangles.tolist() == [[0, 1, 2], [3, 4, 5], [3, 5, 6]]
    assert both.semantic.tolist() == [SEMANTIC["tree"], SEMANTIC["object"], SEMANTIC["object"]]
    assert len(mesh.join([]).triangles) == 0


def test_triangulation_keeps_area_holes_and_owner() -> None:
    ring = shapely.box(0, 0, 10, 8).difference(shapely.box(2, 2, 5, 5))
    shapes = np.array([Polygon(L_SHAPE), Polygon(), ring, Polygon(ARROW), shapely.LineString([(0, 0), (1, 1)])])
    corners, index = mesh.triangulate(shapes)
    area = mesh._cross(corners) / 2
    assert (area > 0).all()
    assert np.bincount(index, area, minlength=5) == pytest.approx(shapely.area(shapes), abs=1e-9)
    inside = shapely.covers(shapes[index].tolist(), shapely.polygons(corners).tolist())
    assert np.mean(inside) > 0.9
    assert not shapely.contains_xy(shapely.box(2, 2, 5, 5), *corners[index == 2].mean(axis=1).T).any()
