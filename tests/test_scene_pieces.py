from __future__ import annotations

import numpy as np
import pytest
import shapely
from scipy.interpolate import RegularGridInterpolator

from mage_stac.scene import pieces
from mage_stac.scene.materials import PIECES
from mage_stac.scene.scene import SEMANTIC, Debris

FLAT = np.zeros((2, 2))


def test_forms_and_mixes_name_kinds_that_have_colours() -> None:
    assert set(pieces.FORMS) <= set(pieces.PAINTS)
    assert set(PIECES) <= set(pieces.FORMS)
    for mix in (pieces.HOUSE_MIX, pieces.METAL_MIX, pieces.STONE_MIX):
        assert sum(mix.values()) == pytest.approx(1.0)
        assert set(mix) <= set(pieces.FORMS)


def test_the_number_of_pieces_follows_the_density() -> None:
    density = np.zeros((10, 20), np.float32)
    density[:5, :10] = 2.0  # the north-west quarter
    whole = pieces.scatter(Debris(density=density, mix=(("drywall", 1.0),), seed=4), (40.0, 20.0), FLAT)
    count = len(whole.triangles) / 2
    assert count == pytest.approx(2.0 * 20 * 10, abs=4 * np.sqrt(400))
    assert (whole.centroids[:, 0] < 20 + 2).all()
    assert (whole.centroids[:, 1] > 10 - 2).all()
    assert (whole.vertices[:, 2] >= -0.05).all()
    assert set(whole.semantic) == {SEMANTIC["debris"]}


def test_more_pieces_than_the_most_are_thinned_out() -> None:
    density = np.full((10, 10), 1e5, np.float32)
    whole = pieces.scatter(Debris(density=density, mix=(("drywall", 1.0),)), (100.0, 100.0), FLAT)
    assert len(whole.triangles) / 2 == pytest.approx(pieces.MOST, rel=0.02)


def test_shares_of_kinds_are_kept_and_alike_ones_lie_together() -> None:
    rng = np.random.default_rng(0)
    at = np.column_stack([rng.uniform(0, 30, (4000, 2)), np.zeros(4000)])
    kind = pieces._kinds(at, np.array([0.5, 0.3, 0.2]), np.random.default_rng(1))
    assert np.bincount(kind) / 4000 == pytest.approx([0.5, 0.3, 0.2], abs=1e-3)
    near = shapely.STRtree(shapely.points(at[:, :2])).query_nearest(shapely.points(at[:, :2]), exclusive=True)
    alike = np.mean(kind[near[0]] == kind[near[1]])
    assert alike > 0.5 > 0.5**2 + 0.3**2 + 0.2**2


def test_pieces_of_a_building_bear_its_instance() -> None:
    at = np.zeros((6, 3))
    whole = pieces.lay(at, pieces.HOUSE_MIX, np.random.default_rng(0), owner=[0, 0, 0, 7, 7, 7])
    own = whole.instance == 7
    assert own.any()
    assert not own.all()
    assert (whole.semantic[own] == SEMANTIC["building"]).all()
    assert (whole.semantic[~own] == SEMANTIC["debris"]).all()


def test_the_wind_aligns_half_of_the_planks() -> None:
    at = np.column_stack([np.arange(2000.0) * 20, np.zeros(2000), np.zeros(2000)])
    whole = pieces.lay(at, {"timber": 1.0}, np.random.default_rng(0), bearing=90.0)
    corner = whole.vertices.reshape(-1, 4, 3)
    along = corner[:, 1] - corner[:, 0]
    angle = np.degrees(np.arctan2(along[:, 1], along[:, 0]) + np.pi) % 180
    eastward = np.minimum(angle, 180 - angle) < 45
    assert 0.65 < eastward.mean() < 0.85


def test_heights_are_bilinear_between_the_corners() -> None:
    rng = np.random.default_rng(2)
    ground = rng.uniform(0, 30, (5, 9))
    x, y = rng.uniform(0, 80, 200), rng.uniform(0, 40, 200)
    exact = RegularGridInterpolator((np.linspace(40, 0, 5)[::-1], np.linspace(0, 80, 9)), ground[::-1])
    assert pieces.heights(ground, (80.0, 40.0), x, y) == pytest.approx(exact(np.column_stack([y, x])))


def test_points_within_a_region_lie_in_it() -> None:
    region = shapely.Point(10, 10).buffer(5)
    at = pieces.within(region, 4.0, np.random.default_rng(3))
    assert len(at) == pytest.approx(4.0 * region.area, abs=4 * np.sqrt(4 * region.area))
    assert shapely.contains_xy(region, at[:, 0], at[:, 1]).all()
    assert pieces.within(shapely.Polygon(), 4.0, np.random.default_rng(3)).shape == (0, 2)


def test_a_steel_shed_falls_into_metal_and_a_house_into_timber() -> None:
    shed, house = pieces.mix_of("panel_metal", "metal_grey"), pieces.mix_of("siding_white", "shingle_grey")
    assert max(shed, key=shed.__getitem__) == "metal"
    assert max(house, key=house.__getitem__) == "timber"
    assert "rubble" in pieces.mix_of("stone", "tile_orange")


def test_masonry_falls_pale_and_alike_and_timber_does_not() -> None:
    at = np.random.default_rng(1).uniform(0, 20, (2000, 3))

    def colours(wall: str) -> np.ndarray:
        dust = pieces.dust_of(wall)
        return pieces.lay(at, pieces.mix_of(wall, "tile_orange"), np.random.default_rng(0), dust=dust).colour

    stone, wood = colours("stone"), colours("siding_white")
    assert stone.mean() > 1.2 * wood.mean()
    assert stone.std() < 0.6 * wood.std()
    whole = pieces.lay(at, pieces.STONE_MIX, np.random.default_rng(0), dust=1.0).colour
    np.testing.assert_allclose(whole, np.broadcast_to(pieces.DUST, whole.shape), atol=1e-6)
