"""Films and flood water on the ground's texture."""

from __future__ import annotations

import numpy as np
import pytest

from mage_stac.errors import RenderError
from mage_stac.scene import cover
from mage_stac.scene.growth import Growth
from mage_stac.scene.lattice import Canvas
from mage_stac.scene.scene import SEMANTIC, Film, Flood

CANVAS = Canvas(size=(60.0, 40.0), texel=0.5, seed=3)
GROUND = np.full((*CANVAS.shape, 3), 0.1, np.float32)
GRASS = np.full(CANVAS.shape, SEMANTIC["grass"], np.uint8)


def half(value: float) -> np.ndarray:
    """(40, 60): `value` in the west, 0 in the east."""
    raster = np.zeros((40, 60), np.float32)
    raster[:, :30] = value
    return raster


def test_a_film_covers_what_it_says_and_no_more() -> None:
    film = Film(kind="burnt_ground", cover=half(1.0))
    painted, semantic = cover.films(GROUND, GRASS, (film,), CANVAS, "summer")
    assert painted[:, :58].mean() < 0.06
    assert np.array_equal(painted[:, 62:], GROUND[:, 62:])
    assert np.array_equal(semantic, GRASS), "char is no other kind of ground"


def test_rubble_is_debris_and_lies_over_what_came_before() -> None:
    ash, rubble = Film(kind="ash_ground", cover=half(1.0)), Film(kind="rubble_fine", cover=half(1.0), seed=2)
    painted, semantic = cover.films(GROUND, GRASS, (ash, rubble), CANVAS, "summer")
    assert (semantic[:, :58] == SEMANTIC["debris"]).all()
    red, _, blue = painted[:, :58].mean(axis=(0, 1))
    assert 0.25 < red < 0.5
    assert blue < red


def test_an_unknown_film_is_refused() -> None:
    with pytest.raises(RenderError, match="no material 'custard'"):
        cover.films(GROUND, GRASS, (Film(kind="custard", cover=half(1.0)),), CANVAS, "summer")
    assert cover.known("mud")
    assert not cover.known("custard")


def test_deep_turbid_water_is_tan_and_clear_water_is_dark() -> None:
    tan, semantic, _ = cover.water(GROUND, GRASS, Flood(depth=half(2.0), turbidity=1.0), CANVAS)
    dark, _, _ = cover.water(GROUND, GRASS, Flood(depth=half(2.0), turbidity=0.0), CANVAS)
    assert tan[:, :56].mean(axis=(0, 1)) == pytest.approx(cover.LOADED, rel=0.1)
    assert dark[:, :56].mean() < 0.03
    assert (semantic[:, :56] == SEMANTIC["water"]).all()
    assert (semantic[:, 64:] == SEMANTIC["grass"]).all()
    assert tan[:, 110:].mean() > 0.09, "dry ground stays"


def test_a_flood_is_not_equally_turbid_everywhere() -> None:
    wide = Canvas(size=(900.0, 900.0), texel=5.0, seed=3)
    ground, grass = np.full((*wide.shape, 3), 0.1, np.float32), np.full(wide.shape, SEMANTIC["grass"], np.uint8)
    water, _, _ = cover.water(ground, grass, Flood(depth=np.full((90, 90), 2.0, np.float32), turbidity=0.5), wide)
    red = water[..., 0]
    assert np.quantile(red, 0.95) > 1.4 * np.quantile(red, 0.05)
    assert red.min() > cover.CLEAR[0]
    assert red.max() < cover.LOADED[0] * 1.2


def test_crops_stand_out_of_shallow_water_and_drown_in_deep() -> None:
    wide = Canvas(size=(600.0, 600.0), texel=2.0, seed=3)
    crop, field = np.full((*wide.shape, 3), 0.1, np.float32), np.full(wide.shape, SEMANTIC["field"], np.uint8)

    def dry(depth: float) -> float:
        flood = Flood(depth=np.full((60, 60), depth, np.float32), turbidity=0.5)
        return float((cover.water(crop, field, flood, wide)[1] == SEMANTIC["field"]).mean())

    assert 0.2 < dry(0.25) < 0.6
    assert dry(0.25) > dry(0.6) > dry(2.5) == 0


def test_the_bed_shows_through_shallow_clear_water() -> None:
    bright = np.full_like(GROUND, 0.4)
    shallow, _, _ = cover.water(bright, GRASS, Flood(depth=half(0.3), turbidity=0.0), CANVAS)
    deep, _, _ = cover.water(bright, GRASS, Flood(depth=half(3.0), turbidity=0.0), CANVAS)
    assert shallow[:, :56].mean() > 3 * deep[:, :56].mean()


def test_the_waters_edge_is_ragged_on_grass_and_even_on_asphalt() -> None:
    shelf = np.repeat(np.linspace(0.5, 0.0, 60, dtype=np.float32)[None], 40, axis=0)

    def edge(name: str) -> float:
        ground = np.full(CANVAS.shape, SEMANTIC[name], np.uint8)
        _, semantic, _ = cover.water(GROUND, ground, Flood(depth=shelf), CANVAS)
        return float((semantic == SEMANTIC["water"]).sum(axis=1).std())

    assert edge("grass") > 2 * edge("road")


def test_the_ground_rises_to_the_water() -> None:
    flat = np.zeros((2, 2), np.float32)
    lifted = cover.raised(flat, Flood(depth=half(1.5)))
    assert lifted.shape == (41, 61)
    assert lifted[:, :30] == pytest.approx(np.full((41, 30), 1.5))
    assert lifted[:, 30:].max() == 0.0
    hill = np.repeat(np.array([[5.0], [3.0]], np.float32), 2, axis=1)
    assert cover.raised(hill, Flood(depth=half(0.0))) == pytest.approx(
        np.repeat(np.linspace(5, 3, 41, dtype=np.float32)[:, None], 61, axis=1)
    )


def with_growth(*, plants: float = 1.0, crowns: float = 0.0) -> Growth:
    """Plants in the north half, crowns all over."""
    north = np.zeros(CANVAS.shape, np.float32)
    north[: CANVAS.shape[0] // 2] = plants
    full = np.full(CANVAS.shape, crowns, np.float32)
    return Growth(plants=north, crowns=full, tone=np.ones_like(full))


def test_on_a_photograph_only_plants_burn() -> None:
    film = Film(kind="burnt_ground", cover=half(1.0))
    painted, _ = cover.films(GROUND, GRASS, (film,), CANVAS, "summer", with_growth())
    middle = CANVAS.shape[0] // 2
    assert painted[:middle, :58].mean() < 0.06
    assert np.array_equal(painted[middle:], GROUND[middle:]), "a street keeps its pixels"


def test_of_burnt_crowns_some_keep_brown_leaves() -> None:
    wide = Canvas(size=(300.0, 300.0), texel=1.0, seed=5)
    ones = np.ones(wide.shape, np.float32)
    grown = Growth(plants=ones, crowns=ones, tone=ones)
    film = Film(kind="burnt_ground", cover=np.ones((300, 300), np.float32))
    ground, grass = np.full((*wide.shape, 3), 0.1, np.float32), np.zeros(wide.shape, np.uint8)
    painted, _ = cover.films(ground, grass, (film,), wide, "summer", grown)
    red, _, blue = np.moveaxis(painted, -1, 0)
    assert float((red > 1.8 * blue).mean()) == pytest.approx(cover.BROWN_SHARE, abs=0.08)


def test_crowns_stand_out_of_a_flood_that_is_not_deeper_than_they_are_high() -> None:
    def shown(depth: float) -> tuple[float, float]:
        painted, semantic, _ = cover.water(GROUND, GRASS, Flood(depth=half(depth)), CANVAS, with_growth(crowns=1.0))
        dry, _, _ = cover.water(GROUND, GRASS, Flood(depth=half(depth)), CANVAS)
        same = np.isclose(painted[:, :56], GROUND[:, :56]).all(axis=-1).mean()
        drowned = np.isclose(painted[:, :56], dry[:, :56]).all(axis=-1).mean()
        assert (semantic[:, :56] == SEMANTIC["water"]).all() == (drowned == 1.0)
        return float(same), float(drowned)

    assert shown(2.0) == (1.0, 0.0)
    assert shown(9.0) == (0.0, 1.0)
