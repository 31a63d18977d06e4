from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mage_stac.scene import faces

SQUARE = np.array([[0.0, 0, 5], [4, 0, 5], [4, 3, 5], [0, 3, 5]])


def tilted(degrees: float, bearing: float = 0.0) -> np.ndarray:
    """A square that rises towards `bearing` (0 north)."""
    turn, rise = np.radians(-bearing), np.tan(np.radians(degrees))
    points = np.array([[-1.0, -1], [1, -1], [1, 1], [-1, 1]]) * 5
    z = points[:, 1] * rise + 10
    x, y = points.T
    return np.column_stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn), z])


@given(st.floats(0, 80), st.floats(0, 360))
def test_normal_is_that_of_the_plane(slope: float, bearing: float) -> None:
    up = faces.normal(tilted(slope, bearing))
    assert np.isclose(np.degrees(np.arccos(up[2])), slope, atol=1e-5)


def test_slope_tells_what_a_face_is() -> None:
    assert faces.of_points([SQUARE]).kind == "roof"
    assert faces.of_points([SQUARE[::-1]]).kind == "ground"
    wall = np.array([[0.0, 0, 0], [1, 0, 0], [1, 0, 3], [0, 0, 3]])
    assert faces.of_points([wall]).kind == "wall"
    assert faces.of_points([wall], "roof").kind == "roof"


@pytest.mark.parametrize(("bearings", "form"), [((0,), "shed"), ((0, 180), "gabled"), ((0, 90, 180, 270), "hipped")])
def test_roof_form(bearings: tuple[int, ...], form: str) -> None:
    shell = [faces.of_points([tilted(30, bearing)]) for bearing in bearings]
    found, pitch, eaves = faces.roof_form(shell)
    assert (found, round(pitch, 6)) == (form, 30.0)
    assert np.isclose(eaves, 10 - 5 * np.tan(np.radians(30)))


def test_plan_drops_what_is_upright_and_keeps_holes() -> None:
    hole = np.array([[1.0, 1, 5], [1, 2, 5], [2, 2, 5], [2, 1, 5]])
    assert faces.plan(faces.of_points([SQUARE, hole])).area == 11.0
    assert faces.plan(faces.of_points([np.array([[0.0, 0, 0], [1, 0, 0], [1, 0, 3]])])).area == 0


def test_shifted() -> None:
    moved = faces.shifted(faces.of_points([SQUARE]), 1.0, 2.0, 3.0)
    assert moved.ring[0] == (1.0, 2.0, 8.0)
