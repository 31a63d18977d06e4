from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.random import SeedSequence
from shapely import Polygon, contains_xy, unary_union

from mage_stac.scene import ground, pavement, procedural
from mage_stac.scene.fines import THICK
from mage_stac.scene.scene import SEMANTIC, Debris, Scene, Surface

SIZE = (90.0, 60.0)
EMPTY = Scene(
    id="x", seed=0, crs="EPSG:32615", origin=(0.0, 0.0), size=SIZE, datetime="2011-05-24T18:00:00Z", ground_seed=4
)


def _box(x0: float, y0: float, x1: float, y1: float, kind: str, semantic: str, **more: object) -> Surface:
    return Surface(ring=((x0, y0), (x1, y0), (x1, y1), (x0, y1)), kind=kind, semantic=semantic, **more)


BASE = _box(-10, -10, 100, 70, "grass", "grass")


@pytest.fixture(scope="module")
def scene() -> Scene:
    return procedural.town(seed=SeedSequence(5), id="t", size=SIZE, datetime="2011-05-24T18:00:00Z")


@pytest.fixture(scope="module")
def painted(scene: Scene) -> ground.Texture:
    return ground.texture(scene, 0.5)


def test_shapes_and_ranges(painted: ground.Texture) -> None:
    reflectance, semantic, _ = painted
    assert reflectance.shape == (120, 180, 3)
    assert reflectance.dtype == np.float32
    assert (semantic.shape, semantic.dtype) == ((120, 180), np.uint8)
    assert reflectance.min() >= 0.0
    assert reflectance.max() <= 0.95
    assert set(np.unique(semantic)) <= set(SEMANTIC.values())


def test_the_same_scene_paints_the_same_bits(scene: Scene, painted: ground.Texture) -> None:
    again = ground.texture(scene, 0.5)
    assert all(np.array_equal(one, other) for one, other in zip(painted, again, strict=True))


def test_meaning_follows_the_surfaces_within_half_a_metre(scene: Scene, painted: ground.Texture) -> None:
    roads = unary_union([Polygon(surface.ring) for surface in scene.surfaces if surface.semantic == "road"])
    x, y = np.meshgrid((np.arange(180) + 0.5) * 0.5, 60 - (np.arange(120) + 0.5) * 0.5)
    found = painted[1] == SEMANTIC["road"]
    assert roads.area > 100
    assert found[contains_xy(roads.buffer(-0.6), x, y)].all()
    assert not found[~contains_xy(roads.buffer(0.6), x, y)].any()


def test_later_surfaces_lie_over_earlier_ones_and_holes_stay_open() -> None:
    hole = ((40.0, 20.0), (40.0, 40.0), (60.0, 40.0), (60.0, 20.0))
    lot = Surface(
        ring=((20.0, 10.0), (80.0, 10.0), (80.0, 50.0), (20.0, 50.0)), kind="concrete", semantic="paved", holes=(hole,)
    )
    pond = _box(24, 14, 36, 46, "water", "water")
    _, semantic, _ = ground.texture(replace(EMPTY, surfaces=(BASE, lot, pond)), 0.5)
    assert semantic[60, 100] == SEMANTIC["grass"]
    assert semantic[60, 60] == SEMANTIC["water"]
    assert semantic[60, 140] == SEMANTIC["paved"]


def test_materials_keep_their_colour_under_their_texture() -> None:
    lot = _box(0, 0, 45, 60, "concrete", "paved")
    reflectance, _, _ = ground.texture(replace(EMPTY, surfaces=(BASE, lot)), 0.5)
    grass, concrete = reflectance[5:-5, 100:].mean(axis=(0, 1)), reflectance[5:-5, 5:80].mean(axis=(0, 1))
    assert grass[1] > grass[0] > grass[2]
    assert 0.2 < concrete.mean() < 0.45
    assert concrete.min() > 2 * grass.max()
    assert 0.03 < reflectance[5:-5, 100:, 1].std() / grass[1] < 0.5


def test_seasons_turn_lawns_from_green_to_straw() -> None:
    means = {
        season: ground.texture(replace(EMPTY, surfaces=(BASE,), season=season), 1.0)[0].mean(axis=(0, 1))
        for season in ("summer", "spring", "winter")
    }
    redness = {season: mean[0] / mean[1] for season, mean in means.items()}
    assert redness["summer"] < redness["spring"] < redness["winter"]
    assert means["summer"].mean() < means["winter"].mean()


def test_texel_size_changes_detail_not_place_or_brightness(scene: Scene) -> None:
    fine, coarse = ground.texture(scene, 0.5)[0], ground.texture(scene, 1.0)[0]
    averaged = fine.reshape(60, 2, 90, 2, 3).mean(axis=(1, 3))
    assert averaged.mean() == pytest.approx(coarse.mean(), rel=0.05)
    assert np.corrcoef(averaged.ravel(), coarse.ravel())[0, 1] > 0.8


def test_main_roads_carry_yellow_and_white_lines() -> None:
    line = ((0.0, 30.0), (90.0, 30.0))
    road = _box(0, 22, 90, 38, "asphalt_new", "road", use="arterial", line=line, width=16.0)
    reflectance, _, _ = ground.texture(replace(EMPTY, surfaces=(BASE, road)), 0.25)
    ratio = (reflectance[..., 0] / reflectance[..., 2]).mean(axis=1)
    rows = 60 - (np.arange(240) + 0.5) * 0.25
    on_road = np.abs(rows - 30) < 7
    assert np.abs(rows[on_road][np.argmax(ratio[on_road])] - 30) < 2.5
    assert ratio[on_road].max() > np.median(ratio[on_road]) * 1.1


def test_thick_debris_is_what_the_ground_is() -> None:
    density = np.zeros((60, 90), np.float32)
    density[:, 45:] = 2.0
    scene = replace(EMPTY, surfaces=(BASE,), debris=Debris(density=density))
    reflectance, semantic, _ = ground.texture(scene, 1.0)
    assert (semantic[:, 47:] == SEMANTIC["debris"]).all()
    assert (semantic[:, :43] == SEMANTIC["grass"]).all()
    assert reflectance[:, 47:].std() > 1.5 * reflectance[:, :43].std()
    assert THICK < 2.0


def test_places_along_a_line_agree_for_streets_and_for_lines_that_turn_back() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform((0, -5), (50, 5), (200, 2))
    s, t, length = pavement.along(((0.0, 0.0), (25.0, 0.0), (50.0, 0.0)), points)
    assert length == 50
    assert np.allclose(s, points[:, 0])
    assert np.allclose(t, points[:, 1])
    hairpin = ((0.0, 0.0), (50.0, 0.0), (50.0, 30.0), (0.0, 30.0))
    s, t, length = pavement.along(hairpin, points[points[:, 0] < 40])
    assert length == pytest.approx(130)
    assert np.allclose(s, points[points[:, 0] < 40, 0], atol=0.3)
    assert np.allclose(t, points[points[:, 0] < 40, 1], atol=0.3)
