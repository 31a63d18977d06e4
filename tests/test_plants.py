from __future__ import annotations

import numpy as np
import pytest

from mage_stac.scene import plants
from mage_stac.scene.mesh import Mesh
from mage_stac.scene.scene import SEASONS, SEMANTIC, Tree

STATES = ("standing", "stripped", "felled", "scorched", "burnt")


def tree(**fields: object) -> Tree:
    return Tree(**{"x": 50.0, "y": 20.0, "base": 7.0, "height": 9.0, "radius": 3.0, "seed": 4, **fields})


def extent(whole: Mesh) -> tuple[np.ndarray, np.ndarray]:
    return whole.vertices.min(axis=0), whole.vertices.max(axis=0)


@pytest.mark.parametrize("season", SEASONS)
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("species", ["broadleaf", "conifer", "shrub", "hedge"])
def test_every_tree_can_be_drawn(species: str, state: str, season: str) -> None:
    whole = plants.build([tree(species=species, state=state, seed=seed) for seed in range(8)], season)
    assert 0 < len(whole.triangles) <= 8 * 1000
    assert np.isfinite(whole.vertices).all()
    assert set(whole.semantic) == {SEMANTIC["tree"]}
    assert set(whole.instance) == {0}


@pytest.mark.parametrize("species", ["broadleaf", "conifer"])
def test_a_standing_crown_fills_its_radius_and_height(species: str) -> None:
    for seed in range(6):
        low, high = extent(plants.build([tree(species=species, seed=seed)], "summer"))
        assert high[:2] - low[:2] == pytest.approx([6.0, 6.0], rel=0.3)
        assert high[2] - 7.0 == pytest.approx(9.0, rel=0.25)
        assert (high[:2] + low[:2]) / 2 == pytest.approx([50.0, 20.0], abs=1.0)


def test_a_felled_tree_lies_along_its_bearing() -> None:
    for bearing, axis, sign in ((90.0, 0, 1), (180.0, 1, -1), (270.0, 0, -1), (0.0, 1, 1)):
        whole = plants.build([tree(state="felled", bearing=bearing, radius=2.0, height=12.0)], "summer")
        middle = whole.centroids.mean(axis=0) - [50.0, 20.0, 7.0]
        assert sign * middle[axis] > 3.0
        assert abs(middle[1 - axis]) < 1.5
        assert extent(whole)[1][2] - 7.0 < 4.0


def test_leaves_fall_in_winter_and_bare_crowns_let_the_ground_show() -> None:
    trees = [tree(seed=seed) for seed in range(8)]
    green, bare = (plants.build(trees, season) for season in ("summer", "winter"))

    def leafy(whole: Mesh) -> float:
        return float(np.mean(whole.colour[:, 1] > 1.2 * whole.colour[:, 0]))

    assert leafy(green) > 0.7
    assert leafy(bare) < 0.05


def test_a_tree_is_the_same_among_others() -> None:
    alone = plants.build([tree()], "summer")
    together = plants.build([tree(), tree(x=5.0, seed=12)], "summer")
    far = np.abs(together.vertices[:, 0] - 50.0) < 10
    assert np.array_equal(np.sort(together.vertices[far], axis=0), np.sort(alone.vertices, axis=0))


def test_crowded_scenes_get_coarser_crowns() -> None:
    few = plants.build([tree(seed=seed) for seed in range(50)], "summer")
    many = plants.build([tree(seed=seed) for seed in range(plants.MANY + 1)], "summer")
    assert len(many.triangles) / (plants.MANY + 1) < 0.65 * len(few.triangles) / 50
