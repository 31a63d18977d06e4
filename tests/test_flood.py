"""Floods of a village: where the water gets to, what it does, and what it refuses."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from mage_stac.errors import HazardError
from mage_stac.hazards import HAZARDS, hydraulics, inundation
from mage_stac.hazards.flood import Flood
from mage_stac.scene.scene import LOOKS, Scene, Surface
from tests.villages import box, slope, village


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def valley(rise: float = 0.05) -> Scene:
    scene = village(river=True)
    return replace(scene, terrain=slope(scene.size, rise))


def test_a_stage_wets_what_lies_lower_and_nothing_else() -> None:
    scene = valley(0.05)
    _, truth = Flood().apply(scene, 1.5, rng())
    assert truth.flood_depth is not None
    assert truth.water is not None
    # The river's upper bank lies 9.5 m north; water 1.5 m above it ends 30 m further up the slope of 0.05.
    northing = scene.size[1] - 0.5 - np.nonzero(truth.water == 1)[0]
    assert northing.max() == pytest.approx(38.5, abs=1.1)
    assert truth.flood_depth[-20, 2] == pytest.approx(1.5 - 0.05 * 10.0, abs=0.01)
    assert np.all(truth.water[-9:] == 2)


def test_grades_follow_the_depth_and_dry_houses_stay_as_they_were() -> None:
    scene = valley(0.08)
    changed, truth = Flood().apply(scene, 4.0, rng())
    south = [truth.grades[f"h0-{column}"] for column in range(5)]
    north = [truth.grades[f"h3-{column}"] for column in range(5)]
    assert set(south) == {3}
    assert set(north) == {1}
    assert changed.buildings[-1] == scene.buildings[-1]
    assert all(house.damage.look in LOOKS[house.damage.grade] for house in changed.buildings)
    assert truth.visible["h0-0"] == 1.0


def test_water_over_the_eaves_destroys() -> None:
    _, truth = Flood().apply(valley(0.01), 9.0, rng())
    assert Counter(truth.grades.values()) == {4: 20}
    assert truth.water is not None
    # Covered houses are water from above.
    assert np.all(truth.water > 0)


def test_roofs_stand_out_of_shallow_water() -> None:
    scene = valley(0.0)
    changed, truth = Flood().apply(scene, 1.0, rng())
    assert truth.water is not None
    assert changed.flood is not None
    x, y = np.mean(scene.buildings[0].footprint, axis=0)
    row, column = int(scene.size[1] - y), int(x)
    assert truth.water[row, column] == 0
    assert changed.flood.depth[row, column] == pytest.approx(1.0, abs=1e-3)


def test_roads_close_where_water_is_deep() -> None:
    _, truth = Flood().apply(valley(0.05), 1.6, rng())
    # Roads lie about 23, 49, 75 and 101 m north, the river's level 5 m: 1.6 m reach 37 m.
    assert [truth.roads[f"road-{index}"] for index in (1, 2, 3, 4)] == [False, True, True, True]


def test_cars_float_away_and_the_dry_ones_do_not() -> None:
    scene = valley(0.05)
    changed, _ = Flood().apply(scene, 1.8, rng())
    moved = [one != two for one, two in zip(scene.cars, changed.cars, strict=True)]
    assert any(moved[:5])
    assert not any(moved[5:])


def test_a_receded_flood_leaves_mud_and_puddles() -> None:
    scene = valley(0.05)
    there, _ = Flood().apply(scene, 1.5, rng())
    gone, truth = Flood(receded=True).apply(scene, 1.5, rng())
    assert there.films == ()
    assert [film.kind for film in gone.films] == ["mud"]
    assert truth.flood_depth is not None
    assert truth.flood_depth.max() == 0.0, "an even slope holds no water"
    assert {one.damage.grade for one in gone.buildings} == {one.damage.grade for one in there.buildings}


def test_rain_fills_a_hollow_by_the_volume_that_runs_off() -> None:
    scene = village(rows=3)
    rows, columns = round(scene.size[1]), round(scene.size[0])
    y, x = np.mgrid[:rows, :columns]
    hollow = np.minimum(np.hypot(y - rows / 2, x - columns / 2) / 20.0, 1.0) * 2.0 + 50.0
    bare = replace(scene, terrain=hollow.astype(np.float32), buildings=(), surfaces=scene.surfaces[:1])
    changed, truth = Flood(source="rain").apply(bare, 200.0, rng())
    assert changed.flood is not None
    # The ring of cells on the brim runs in too.
    caught = float(hydraulics.runoff(200.0, 74.0)) / 1000.0 * np.pi * 21.0**2
    assert changed.flood.depth.sum() == pytest.approx(caught, rel=0.05)
    assert truth.water is not None
    assert truth.water.max() == 1


def test_the_sea_is_level_and_lies_at_the_edge() -> None:
    scene = valley(0.05)
    _, truth = Flood(source="sea").apply(scene, 1.5, rng())
    assert truth.flood_depth is not None
    level = truth.flood_depth[-15, :] + 100.0 + 0.05 * 14.5
    assert np.ptp(level) < 1e-4
    inland = replace(scene, surfaces=(*scene.surfaces[:-1], replace(scene.surfaces[-1], ring=box(30, 3, 20, 6))))
    with pytest.raises(HazardError, match="no water at its edge"):
        Flood(source="sea").apply(inland, 1.5, rng())


def test_a_discharge_stands_where_its_rating_curve_says() -> None:
    scene = valley(0.05)
    _, truth = Flood(by="discharge").apply(scene, 30.0, rng())
    assert any("30 m3/s" in note for note in truth.notes)
    _, more = Flood(by="return_period", mean_annual=20.0).apply(scene, 100.0, rng())
    assert more.water is not None
    assert truth.water is not None
    assert np.count_nonzero(more.water == 1) > np.count_nonzero(truth.water == 1)


def test_a_scene_without_terrain_gets_the_same_relief_every_day() -> None:
    scene = village(rows=6, columns=8)
    _, one = Flood().apply(scene, 1.0, rng())
    _, two = Flood().apply(replace(scene, datetime="2021-01-01T12:00:00Z", cars=()), 1.0, rng())
    np.testing.assert_array_equal(one.flood_depth, two.flood_depth)
    assert any("relief" in note for note in one.notes)


def test_the_same_seed_gives_the_same_truth_to_the_bit() -> None:
    scene = valley()
    results = [Flood().apply(scene, 1.5, rng(7)) for _ in range(2)]
    assert results[0][0].buildings == results[1][0].buildings
    assert results[0][0].cars == results[1][0].cars
    for name in ("water", "flood_depth", "debris"):
        assert getattr(results[0][1], name).tobytes() == getattr(results[1][1], name).tobytes()


def test_floods_destroy_light_buildings_first() -> None:
    scene = valley(0.0)
    homes = tuple(
        replace(one, kind="mobile_home", wall_material="siding_white") if number % 2 else one
        for number, one in enumerate(scene.buildings)
    )
    _, truth = Flood().apply(replace(scene, buildings=homes), 2.6, rng())
    grades = [truth.grades[one.id] for one in homes]
    assert set(grades[::2]) == {3}
    assert grades[1::2].count(4) >= 8


def test_the_loss_curve_is_the_jrc_one() -> None:
    assert inundation.loss(np.array([-1.0, 0.0, 1.0, 2.5, 9.0])) == pytest.approx([0, 0, 0.4, 0.675, 1.0])


def test_every_registered_hazard_draws_what_it_takes() -> None:
    for name, hazard in HAZARDS.items():
        low, high = hazard.range
        assert all(low <= hazard.draw(rng(seed)) <= high for seed in range(30)), name


@pytest.mark.parametrize(
    ("flood", "intensity", "message"),
    [
        (Flood(), 99.0, r"flood of intensity 99 m: give 0.05 to 20 m"),
        (Flood(source="rain"), 1.0, "1 mm: give 5 to 2000 mm"),
        (Flood(), float("nan"), "nan m"),
        (Flood(source="river"), 1.0, "no water that could rise"),
        (Flood(by="discharge"), 100.0, "no river to carry 100 m3/s"),
    ],
)
def test_bad_input_meets_one_clear_line(flood: Flood, intensity: float, message: str) -> None:
    with pytest.raises(HazardError, match=message) as raised:
        flood.apply(village(), intensity, rng())
    assert "\n" not in str(raised.value)


def test_voids_are_refused_and_dry_floods_noted() -> None:
    scene = valley(0.3)
    assert scene.terrain is not None
    holed = scene.terrain.copy()
    holed[3, 4] = np.nan
    with pytest.raises(HazardError, match="1 void cells of"):
        Flood().apply(replace(scene, terrain=holed), 1.0, rng())
    steep = replace(scene, surfaces=(Surface(ring=box(0, 0, 100, 10), kind="water", semantic="water"),))
    changed, truth = Flood().apply(replace(steep, terrain=slope(scene.size, 8.0)), 0.1, rng())
    assert truth.notes[-2] == (
        "flood of 0.1 m touches nothing in scene 'village': raise the intensity or choose another source"
    )
    assert truth.water is not None
    assert set(np.unique(truth.water)) == {0, 2}
    assert set(truth.grades.values()) == {1}
    assert changed.buildings == steep.buildings
    assert all(truth.roads.values())


def test_a_scene_without_roads_says_so() -> None:
    scene = valley(0.05)
    bare = replace(scene, surfaces=tuple(one for one in scene.surfaces if one.semantic != "road"))
    _, truth = Flood().apply(bare, 1.5, rng())
    assert truth.roads == {}
    assert "scene 'village' has no roads: which can be driven is not said" in truth.notes


def test_turbidity_is_drawn_unless_given_and_changes_nothing_else() -> None:
    drawn = [Flood().apply(valley(0.05), 1.5, np.random.default_rng(seed)) for seed in range(12)]
    loads = [scene.flood.turbidity for scene, _ in drawn if scene.flood is not None]
    assert len(set(loads)) == 12
    assert 0 <= min(loads) < 0.5 < max(loads) <= 1
    given, truth = Flood(turbidity=0.2).apply(valley(0.05), 1.5, np.random.default_rng(0))
    assert given.flood is not None
    assert given.flood.turbidity == 0.2
    assert truth.grades == drawn[0][1].grades


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"source": "lava"}, "no flood source 'lava': choose one of any, river"),
        ({"by": "depth"}, "no measure of a flood 'depth'"),
        ({"turbidity": 3.0}, "turbidity 3: give 0 to 1"),
        ({"by": "return_period"}, "mean annual flood"),
        ({"by": "discharge", "source": "rain"}, "comes from a river"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(HazardError, match=message):
        Flood(**settings)  # type: ignore[arg-type]
