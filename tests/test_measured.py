from __future__ import annotations

import numpy as np
import pytest
from plans import building

from mage_stac.scene import measured
from mage_stac.scene.scene import Face

SQUARE = ((0.0, 0.0, 0.0), (4.0, 0.0, 0.0), (4.0, 0.0, 3.0), (0.0, 0.0, 3.0))


def area(triangles: np.ndarray) -> float:
    return float(
        np.linalg.norm(np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]), axis=1).sum() / 2
    )


def test_a_wall_with_a_window_keeps_its_hole_and_side() -> None:
    window = ((1.0, 0.0, 1.0), (1.0, 0.0, 2.0), (2.0, 0.0, 2.0), (2.0, 0.0, 1.0))
    triangles = measured.triangles(Face(ring=SQUARE, holes=(window,), kind="wall"))
    assert area(triangles) == pytest.approx(11.0)
    normal = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    assert (normal[:, 1] < 0).all()
    assert triangles[..., 1] == pytest.approx(0.0, abs=1e-12)


def test_a_slanted_face_lies_in_its_plane() -> None:
    ring = ((0.0, 0.0, 0.0), (4.0, 0.0, 2.0), (4.0, 5.0, 3.0), (0.0, 5.0, 1.0))
    triangles = measured.triangles(Face(ring=ring))
    assert triangles[..., 2] == pytest.approx(0.5 * triangles[..., 0] + 0.2 * triangles[..., 1])


def test_walls_and_faces_without_area_are_no_roof() -> None:
    flat = Face(ring=((0, 0, 105), (4, 0, 105), (4, 3, 105), (0, 3, 105)))
    line = Face(ring=((0, 0, 1), (1, 0, 1), (2, 0, 1)))
    upright = Face(ring=SQUARE)
    down = Face(ring=flat.ring[::-1])
    found = measured.planes(building(faces=(flat, line, upright, down), base=100.0))
    assert [plane.slope for plane in found] == [(0.0, 0.0, 5.0)]
    assert found[0].plan.area == pytest.approx(12.0)
    assert len(measured.triangles(line)) == 0
