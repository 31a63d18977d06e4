"""Looks of collapse: where the roof ends up, and that every look of the scene has a maker."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mage_stac.scene import ruins, shells
from mage_stac.scene.mesh import Mesh
from mage_stac.scene.scene import LOOKS, SEMANTIC, Building, Damage
from tests.villages import box

HOUSE = Building(
    id="h", footprint=box(10, 10, 12, 9), height=6.5, storeys=2, base=50.0, wall_material="stone",
    roof_material="tile_orange", roof="gabled", seed=7,
)  # fmt: skip


def built(grade: int, look: str, fraction: float = 0.4, seed: int = 1) -> Mesh:
    house = replace(HOUSE, damage=Damage(grade=grade, look=look, fraction=fraction, seed=seed))
    return ruins.build(shells.of([house])[0])


def roof(mesh: Mesh) -> np.ndarray:
    """(N, 3) middles of the building's faces that look up."""
    corners = mesh.vertices[mesh.triangles].astype(float)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    own = (mesh.semantic == SEMANTIC["building"]) & (normal[:, 2] > 0.3 * np.linalg.norm(normal, axis=1))
    return corners[own].mean(axis=1)


@pytest.mark.parametrize(("grade", "look"), [(grade, look) for grade, looks in LOOKS.items() for look in looks])
def test_every_look_is_made_the_same_each_time(grade: int, look: str) -> None:
    one, two = built(grade, look), built(grade, look)
    assert look in ruins.LOOKS
    assert np.isfinite(one.vertices).all()
    assert one.vertices.tobytes() == two.vertices.tobytes()
    assert one.colour.min() >= 0.0
    assert one.colour.max() <= 1.0


def test_a_pancake_lies_low_with_its_roof_still_on_top() -> None:
    intact, flat = roof(built(1, "intact")), roof(built(4, "pancake"))
    assert np.median(intact[:, 2]) > 56.0
    assert 50.3 < np.median(flat[:, 2]) < 53.5
    assert flat[:, 2].max() < 55.5


def test_a_pancake_is_cracked() -> None:
    mesh = built(4, "pancake")
    tiles = shells.of([HOUSE])[0].tiles
    kept = np.count_nonzero(np.abs(mesh.colour - mesh.colour.mean(axis=0)).sum(axis=1) >= 0)
    assert kept > 0.5 * len(tiles.u)
    assert (mesh.semantic == SEMANTIC["debris"]).any(), "rubble lies around it"


def test_a_leaning_house_moves_its_roof_and_keeps_its_foot() -> None:
    intact, leaning = built(1, "intact"), built(3, "tilt")
    moved = roof(leaning)[:, :2].mean(axis=0) - roof(intact)[:, :2].mean(axis=0)
    assert 0.2 < np.hypot(*moved) < 2.5
    house = leaning.vertices[leaning.triangles[leaning.semantic == SEMANTIC["building"]]].reshape(-1, 3)
    foot = house[house[:, 2] < 49.8]
    assert foot[:, 0].min() == pytest.approx(10.0, abs=0.05)
    assert foot[:, 0].max() == pytest.approx(22.0, abs=0.05)


def test_a_scorched_roof_is_black_in_part() -> None:
    before, after = built(1, "intact"), built(2, "scorched", fraction=0.3)
    assert len(before.triangles) == len(after.triangles)
    dark = after.colour.mean(axis=1) < 0.5 * before.colour.mean(axis=1)
    assert 0.08 < dark.mean() < 0.6


def test_flooded_houses_look_intact() -> None:
    assert built(3, "flooded").vertices.tobytes() == built(1, "intact").vertices.tobytes()


def test_ash_is_pale_in_the_middle_and_dark_along_the_walls() -> None:
    seeds = range(6)
    pale, dark = [], []
    for seed in seeds:
        mesh = built(4, "burnt", seed=seed)
        corners = mesh.vertices[mesh.triangles].astype(float)
        middle = corners.mean(axis=1)
        floor = np.isclose(corners[..., 2].max(axis=1), HOUSE.base + 0.15, atol=0.01)
        rim = np.minimum(6.0 - np.abs(middle[:, 0] - 16.0), 4.5 - np.abs(middle[:, 1] - 14.5))
        brightness = mesh.colour.mean(axis=1)
        pale.append(brightness[floor & (rim > 2.5)].mean())
        dark.append(brightness[floor & (rim < 0.5)].mean())
    assert np.mean(pale) > 3 * np.mean(dark)


def test_a_masonry_house_leaves_a_heap_where_a_part_fell() -> None:
    timber = replace(HOUSE, wall_material="siding_white", damage=Damage(grade=3, look="part_missing", fraction=0.5))
    stone = replace(timber, wall_material="stone")
    heights = []
    for house in (timber, stone):
        mesh = ruins.build(shells.of([house])[0])
        corners = mesh.vertices[mesh.triangles].astype(float)
        heights.append(np.sum((corners[..., 2].min(axis=1) > 50.3) & (corners[..., 2].max(axis=1) < 52.0)))
    assert heights[1] > heights[0]
