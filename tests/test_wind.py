from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from numpy.random import SeedSequence
from shapely import Point, Polygon

from mage_stac.errors import HazardError
from mage_stac.hazards import HAZARDS, raster, strewn
from mage_stac.hazards.wind import Wind
from mage_stac.scene import procedural
from mage_stac.scene.fines import THICK
from mage_stac.scene.pieces import FORMS
from mage_stac.scene.scene import LOOKS, Building, Damage, Scene, Surface, Tree

SUMMER = "2011-05-24T18:00:00Z"


@pytest.fixture(scope="module")
def town() -> Scene:
    return procedural.town(seed=SeedSequence(9), id="t", size=(200.0, 200.0), datetime=SUMMER)


def _grid_of_houses(count: int = 20, step: float = 25.0) -> Scene:
    houses = tuple(
        Building(id=f"b{i}-{j}", footprint=((x, y), (x + 12, y), (x + 12, y + 9), (x, y + 9)), height=2.7)
        for i in range(count)
        for j in range(count)
        for x, y in [(i * step + 5, j * step + 5)]
    )
    side = count * step
    return Scene(
        id="grid", seed=0, crs="EPSG:32615", origin=(0.0, 0.0), size=(side, side), datetime=SUMMER, buildings=houses
    )


def test_the_registry_holds_wind_and_none(town: Scene) -> None:
    assert {"wind", "none"} <= set(HAZARDS)
    after, truth = HAZARDS["none"].apply(town, 0.0, np.random.default_rng(0))
    assert after is town
    assert set(truth.grades.values()) == {1}
    assert set(truth.grades) == {building.id for building in town.buildings}


def test_one_seed_one_storm(town: Scene) -> None:
    (one, first), (two, second) = (HAZARDS["wind"].apply(town, 85.0, np.random.default_rng(3)) for _ in range(2))
    assert replace(one, debris=None) == replace(two, debris=None)
    assert np.array_equal(one.debris.density, two.debris.density)
    assert first.grades == second.grades
    other, _ = HAZARDS["wind"].apply(town, 85.0, np.random.default_rng(4))
    assert other.buildings != one.buildings


def test_the_truth_is_that_of_the_scene(town: Scene) -> None:
    after, truth = Wind(straight=False, offset=0.0).apply(town, 90.0, np.random.default_rng(1))
    assert truth.grades == {building.id: building.damage.grade for building in after.buildings}
    assert truth.debris.shape == raster.shape(town)
    assert np.array_equal(truth.debris, after.debris.density >= THICK)
    assert set(truth.visible) == {one.id for one in after.buildings if one.damage.grade > 1}
    assert all(0 < share <= 1 for share in truth.visible.values())
    for building in after.buildings:
        assert building.damage.look in LOOKS[building.damage.grade]
        assert 0.0 <= building.damage.fraction <= 1.0
    for old, new in zip(town.buildings, after.buildings, strict=True):
        assert replace(new, damage=old.damage) == old
    assert after.surfaces == town.surfaces


def test_damage_falls_off_from_the_track() -> None:
    scene = _grid_of_houses()
    after, _ = Wind(straight=False, offset=0.0, bearing=90.0).apply(scene, 95.0, np.random.default_rng(0))
    away = np.array([abs(building.footprint[0][1] + 4.5 - 250.0) for building in after.buildings])
    grades = np.array([building.damage.grade for building in after.buildings])
    near, middle, far = grades[away < 40].mean(), grades[(away > 70) & (away < 130)].mean(), grades[away > 200].mean()
    assert near > 3.5
    assert near > middle > far
    assert set(grades.tolist()) == {1, 2, 3, 4}


def test_stronger_storms_do_more(town: Scene) -> None:
    means = []
    for gust in (30.0, 50.0, 70.0, 100.0):
        storm = Wind(straight=False, offset=0.0, bearing=45.0, days=0)
        grades = storm.apply(town, gust, np.random.default_rng(2))[1].grades
        means.append(np.mean(list(grades.values())))
    assert means == sorted(means)
    assert means[0] == pytest.approx(1.0, abs=0.1)
    assert means[-1] > 2.5


def test_a_straight_storm_strikes_everywhere_alike() -> None:
    scene = _grid_of_houses()
    after, truth = Wind(straight=True, bearing=10.0).apply(scene, 48.0, np.random.default_rng(0))
    grades = np.array([building.damage.grade for building in after.buildings]).reshape(20, 20)
    assert 1.5 < grades.mean() < 3.5
    assert abs(grades[:10].mean() - grades[10:].mean()) < 0.5
    assert truth.notes[0].startswith("straight wind")


def test_a_house_that_lost_most_of_its_roof_is_destroyed() -> None:
    # 55 m/s is the expected gust of degree 6 for a house, most of whose outer walls still stand.
    after, _ = Wind(straight=True, bearing=10.0, days=0).apply(_grid_of_houses(), 55.0, np.random.default_rng(0))
    damage = [building.damage for building in after.buildings]
    lost = [one.fraction for one in damage if one.grade == 3]
    assert 0.5 < max(lost) <= 0.6
    assert {one.look for one in damage if one.grade == 4} >= {"rooms"}


def test_tarpaulins_come_with_the_days() -> None:
    scene = _grid_of_houses(12)
    looks = [
        Counter(
            one.damage.look
            for one in Wind(straight=True, days=days).apply(scene, 44.0, np.random.default_rng(0))[0].buildings
        )
        for days in (0, 8)
    ]
    assert looks[0]["tarpaulin"] == 0
    assert looks[1]["tarpaulin"] > 10
    assert looks[1]["cover_patches"] > 10


def test_a_set_of_scenes_holds_every_grade() -> None:
    tally: Counter[int] = Counter()
    scene, storm = _grid_of_houses(6), HAZARDS["wind"]
    for seed in range(40):
        rng = np.random.default_rng(seed)
        tally.update(storm.apply(scene, storm.draw(rng), rng)[1].grades.values())
    share = {grade: count / sum(tally.values()) for grade, count in tally.items()}
    assert 0.2 < share[1] < 0.6
    assert share[2] > 0.08
    assert share[3] > 0.08
    assert share[4] > 0.15


def test_trees_fall_with_the_wind(town: Scene) -> None:
    after, _ = Wind(straight=True, bearing=40.0).apply(town, 55.0, np.random.default_rng(5))
    felled = [tree for tree in after.trees if tree.state == "felled"]
    assert len(felled) > 5
    turn = (np.array([tree.bearing for tree in felled]) - 40.0 + 180) % 360 - 180
    assert np.abs(turn).max() <= 32
    houses = tuple(one for one in town.buildings if one.kind != "shed")  # the weakest shed loses a sheet at 25 m/s
    calm, _ = Wind(straight=True).apply(replace(town, buildings=houses), 25.0, np.random.default_rng(5))
    assert calm.trees == town.trees
    assert calm.cars == town.cars
    assert calm.debris is None


def test_pieces_thrown_are_neither_lost_nor_made() -> None:
    scene = replace(_grid_of_houses(1, 700.0), size=(700.0, 700.0))
    house = replace(
        scene.buildings[0],
        footprint=((344.0, 346.0), (356.0, 346.0), (356.0, 354.0), (344.0, 354.0)),
        damage=Damage(grade=4, look="slab", fraction=1.0),
    )
    density = np.zeros(raster.shape(scene, 1.0))
    x, y = raster.centres(scene, 1.0)
    strewn._throw(density, (x, y), house, 1000.0, (60.0, 90.0))
    assert density.sum() == pytest.approx(1000.0, rel=0.08)
    east, west = density[:, 380:].sum(), density[:, :320].sum()
    assert east > 5 * west
    assert density[300:400].sum() > 0.9 * density.sum()


def test_litter_lies_where_a_strong_storm_swept_and_nowhere_else() -> None:
    gusts, draws = np.array([[20.0, 28.0, 39.0, 50.0, 90.0]]), range(4000)
    brought = [strewn.litter(gusts, 90.0, np.random.default_rng(seed)) for seed in draws]
    assert np.allclose(np.median(brought, axis=0), [[0, 0, 0.02, 0.04, 0.04]], rtol=0.06)  # 4000 draws: 2 % a sigma
    assert np.log([one[0, 4] for one in brought]).std() == pytest.approx(0.8, rel=0.05)
    half = strewn.litter(gusts, 65.0, np.random.default_rng(0))
    assert np.allclose(half, 0.5 * strewn.litter(gusts, 90.0, np.random.default_rng(0)))
    assert not strewn.litter(gusts, 50.0, np.random.default_rng(0)).any()


def test_yards_of_whole_houses_are_littered_beside_a_tornados_path() -> None:
    scene = _grid_of_houses(8)
    after, _ = Wind(straight=False, bearing=0.0, offset=-160.0, radius=60.0, days=0).apply(
        scene, 100.0, np.random.default_rng(3)
    )
    whole = [Polygon(one.footprint).centroid for one in after.buildings if one.damage.grade == 1]
    yards = raster.sample(after, after.debris.density, [one.x for one in whole], [one.y for one in whole])
    east = np.array([one.x for one in whole])
    assert 0.003 < np.median(yards[east > np.median(east)]) < 0.3  # the track lies in the east
    assert not yards[east < 20].any()


def test_debris_comes_from_what_stood_there() -> None:
    scene = _grid_of_houses(4)
    stone = replace(scene, buildings=tuple(replace(one, wall_material="stone") for one in scene.buildings))
    mixes = [
        dict(Wind(straight=True).apply(place, 110.0, np.random.default_rng(0))[0].debris.mix)
        for place in (scene, stone)
    ]
    assert all(set(mix) <= set(FORMS) for mix in mixes)
    assert all(sum(mix.values()) == pytest.approx(1.0, abs=0.01) for mix in mixes)
    assert mixes[0]["timber"] > 0.1
    assert mixes[1]["rubble"] > 2 * mixes[0]["rubble"]


def test_streets_are_cleared_after_the_first_day(town: Scene) -> None:
    roads = raster.inside(town, raster.surfaces(town, "road").values())
    on_road = []
    for days in (0, 5):
        storm = Wind(straight=False, offset=0.0, days=days)
        density = storm.apply(town, 100.0, np.random.default_rng(7))[0].debris.density
        on_road.append(density[roads].mean() / density[~roads].mean())
    assert on_road[1] < 0.5 * on_road[0]


def test_a_scene_without_anything_meets_a_storm() -> None:
    empty = replace(_grid_of_houses(1), buildings=())
    after, truth = HAZARDS["wind"].apply(empty, 80.0, np.random.default_rng(0))
    assert after.debris is None
    assert truth.grades == {}
    assert not truth.debris.any()


@pytest.mark.parametrize("gust", [5.0, 200.0, float("nan")])
def test_impossible_gusts_are_refused(town: Scene, gust: float) -> None:
    with pytest.raises(HazardError, match=r"wind of intensity .* m/s: give 25 to 120 m/s"):
        HAZARDS["wind"].apply(town, gust, np.random.default_rng(0))


@pytest.mark.parametrize("settings", [{"bearing": 400.0}, {"days": -1}, {"radius": 1e5}])
def test_impossible_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(HazardError, match=f"{next(iter(settings.values())):g}: give"):
        Wind(**settings)  # type: ignore[arg-type]


def test_a_breeze_is_noted() -> None:
    scene = _grid_of_houses(2)
    after, truth = Wind(straight=True).apply(scene, 25.0, np.random.default_rng(0))
    assert after == scene
    assert truth.notes[-2] == "scene 'grid' has no roads: which can be driven is not said"
    assert "wind of 25 m/s touches nothing in scene 'grid'" in truth.notes[-1]


def test_a_wide_core_leaves_a_wide_swath() -> None:
    scene = _grid_of_houses()
    lost = []
    for radius in (30.0, 120.0):
        storm = Wind(straight=False, offset=0.0, bearing=90.0, radius=radius)
        _, truth = storm.apply(scene, 95.0, np.random.default_rng(0))
        lost.append(sum(grade == 4 for grade in truth.grades.values()))
    assert lost[1] > 2 * lost[0]


def test_trees_and_debris_close_roads_until_they_are_cleared() -> None:
    street = Surface(
        ring=((0, 95), (200, 95), (200, 101), (0, 101)), kind="asphalt", semantic="road", line=((0, 98), (200, 98)),
        width=6.0,
    )  # fmt: skip
    trees = tuple(Tree(x=10.0 * i + 5, y=103.0, height=12.0, seed=i) for i in range(19))
    scene = replace(_grid_of_houses(1, 200.0), surfaces=(street,), trees=trees, buildings=())
    closed = []
    for days in (0, 60):
        storm = Wind(straight=True, bearing=180.0, days=days)
        closed.append(storm.apply(scene, 62.0, np.random.default_rng(0))[1].roads)
    assert closed == [{"road-0": False}, {"road-0": True}]


def test_draws_lie_in_the_range() -> None:
    storm = HAZARDS["wind"]
    drawn = [storm.draw(np.random.default_rng(seed)) for seed in range(200)]
    assert storm.range[0] <= min(drawn) <= max(drawn) <= storm.range[1]


def test_no_car_lands_in_a_standing_house(town: Scene) -> None:
    after, _ = Wind(straight=True, days=0).apply(town, 69.0, np.random.default_rng(0))
    assert after.cars != town.cars
    moved = set(after.cars) - set(town.cars)
    standing = [Polygon(one.footprint) for one in after.buildings if one.damage.grade < 4]

    assert moved
    assert not any(shape.covers(Point(car.x, car.y)) for car in moved for shape in standing)
