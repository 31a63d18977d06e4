"""Roads: blocked or not, by their middle line or by their plan."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mage_stac.hazards import roads
from mage_stac.scene.scene import Scene
from tests.villages import village


@pytest.fixture(name="street", params=["line", "plan"])
def _street(request: pytest.FixtureRequest) -> Scene:
    """One road of 6 m across the scene, with or without a middle line."""
    scene = village(rows=1, columns=4)
    road = scene.surfaces[1]
    return replace(scene, surfaces=(road if request.param == "line" else replace(road, line=()),))


def blocked(scene: Scene, south: float, north: float, west: float = 40.0, east: float = 44.0) -> np.ndarray:
    mask = np.zeros((round(scene.size[1]), round(scene.size[0])), bool)
    mask[round(scene.size[1] - north) : round(scene.size[1] - south), round(west) : round(east)] = True
    return mask


def test_a_clear_road_can_be_driven(street: Scene) -> None:
    assert roads.passable(street, blocked(street, 10.0, 20.0)) == {"road-0": True}


def test_a_wall_across_closes_it(street: Scene) -> None:
    assert roads.passable(street, blocked(street, 0.0, 6.0)) == {"road-0": False}


def test_half_of_it_may_be_lost(street: Scene) -> None:
    assert roads.passable(street, blocked(street, 0.0, 2.0)) == {"road-0": True}


def test_a_path_narrower_than_an_engine_needs_its_own_width() -> None:
    scene = village(rows=1, columns=4)
    path = replace(scene.surfaces[1], width=2.0)
    narrow = replace(scene, surfaces=(path,))
    assert roads.passable(narrow, np.zeros((26, 80), bool)) == {"road-0": True}
    assert roads.passable(narrow, blocked(narrow, 3.0, 4.0)) == {"road-0": False}


def test_no_roads_no_entries() -> None:
    scene = replace(village(), surfaces=())
    assert roads.passable(scene, np.ones((104, 100), bool)) == {}
