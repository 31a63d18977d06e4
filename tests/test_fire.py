"""Fires in a village: what catches fire from what, what it leaves, and what is refused."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import shapely

from mage_stac.errors import HazardError
from mage_stac.hazards import ignition
from mage_stac.hazards.fire import Fire
from mage_stac.scene.scene import LOOKS, Building, Light, Photo, Scene, Surface
from tests.villages import box, village

BLAZE = Fire(bearing=0.0, moisture=0.04, hours=6.0)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def wooden(scene: Scene) -> Scene:
    return replace(scene, buildings=tuple(replace(one, wall_material="siding_white") for one in scene.buildings))


def row(gap: float, count: int = 5) -> tuple[Building, ...]:
    """Houses of 10 m side, `gap` metres apart, from west to east."""
    return tuple(
        Building(id=f"r{i}", footprint=box(5 + i * (10 + gap), 5, 10, 10), height=6.0, wall_material="siding_white")
        for i in range(count)
    )


def test_grades_are_nearly_binary_and_look_burnt() -> None:
    changed, truth = BLAZE.apply(wooden(village(rows=8, columns=10)), 12.0, rng())
    counts = Counter(truth.grades.values())
    assert counts[4] > 20
    assert counts[2] + counts[3] < 0.4 * counts[4]
    assert all(one.damage.look in LOOKS[one.damage.grade] for one in changed.buildings)
    assert {one.damage.look for one in changed.buildings if one.damage.grade == 4} == {"burnt"}


def test_what_burns_leaves_char_ash_black_crowns_and_grey_cars() -> None:
    scene = wooden(village(rows=8, columns=10))
    changed, truth = BLAZE.apply(scene, 12.0, rng())
    assert [film.kind for film in changed.films] == ["burnt_ground", "ash_ground"]
    assert truth.burnt is not None
    states = Counter(tree.state for tree in changed.trees)
    assert states["burnt"] > 10
    lost = [one for one in changed.buildings if one.damage.grade == 4]
    inside = [int(scene.size[1] - lost[0].footprint[0][1] - 5), int(lost[0].footprint[0][0] + 5)]
    assert truth.burnt[inside[0], inside[1]]
    grey = [car for car, before in zip(changed.cars, scene.cars, strict=True) if car.colour != before.colour]
    assert all(max(car.colour) < 0.35 for car in grey)


def test_wind_carries_it_further_and_one_way() -> None:
    scene = wooden(village(rows=10, columns=10))

    def lost(fire: Fire, wind: float) -> list[float]:
        # North of the southern edge, where the front arrives.
        changed, _ = fire.apply(scene, wind, rng(1))
        return [one.footprint[0][1] for one in changed.buildings if one.damage.grade == 4]

    assert len(lost(BLAZE, 20.0)) > len(lost(BLAZE, 3.0))
    assert np.mean(lost(replace(BLAZE, hours=1.0), 10.0)) < scene.size[1] / 2
    assert np.mean(lost(replace(BLAZE, hours=1.0, bearing=180.0), 10.0)) > scene.size[1] / 2


def test_a_watered_lawn_and_a_wide_gap_save_houses() -> None:
    close = ignition.houses(row(3.0), rng())
    apart = ignition.houses(row(20.0), rng())
    start, end, _ = ignition.neighbours(close, 0)
    assert set(zip(start.tolist(), end.tolist(), strict=True)) >= {(i, i + 1) for i in range(4)}
    assert len(ignition.neighbours(apart, 0)[0]) == 0


def test_the_view_of_a_wall_is_the_closed_form() -> None:
    # A wall of 10 m by 10 m seen from 5 m: X = Y = 1, 2/pi * 2 * (1/sqrt 2) * atan(1/sqrt 2).
    expected = 2 / np.pi * 2 * np.sqrt(0.5) * np.arctan(np.sqrt(0.5))
    ten, five = np.array(10.0), np.array(5.0)
    assert ignition.view(ten, ten, five) == pytest.approx(expected)
    assert ignition.view(ten * 1e4, ten * 1e4, five) == pytest.approx(1.0, abs=1e-3)


def test_radiation_falls_off_with_distance() -> None:
    houses = ignition.houses(row(8.0), rng())
    one, two, flux = ignition.radiation(houses)
    distance = shapely.distance(houses.plans[one], houses.plans[two])
    assert np.all(np.diff(flux[np.argsort(distance)]) <= 1e-9)
    assert distance.max() <= ignition.FAR


def test_embers_fly_farther_in_stronger_wind() -> None:
    area = np.array([100.0])
    weak, strong = (ignition.flight(wind, area)[0][0] for wind in (5.0, 20.0))
    # The published mean grows with the two thirds' power of the wind.
    assert strong / weak == pytest.approx(4.0 ** (2 / 3))


def test_of_double_ways_the_quickest_is_kept() -> None:
    way = (np.array([1, 1, 2]), np.array([2, 2, 3]), np.array([9.0, 4.0, 1.0]))
    start, end, time = ignition.joined([way, way], 5)
    assert (start.tolist(), end.tolist(), time.tolist()) == ([1, 2], [2, 3], [4.0, 1.0])


def test_houses_alone_burn_from_one_to_the_next() -> None:
    paved = Surface(ring=box(0, 0, 90, 20), kind="asphalt", semantic="paved")
    scene = replace(village(), size=(90.0, 20.0), surfaces=(paved,), buildings=row(2.0, 6), trees=(), cars=())
    _, truth = Fire(bearing=90.0, hours=8.0).apply(scene, 5.0, rng(2))
    assert Counter(truth.grades.values())[4] >= 4


def test_the_same_seed_gives_the_same_truth_to_the_bit() -> None:
    scene = wooden(village())
    one, two = (Fire().apply(scene, 10.0, rng(4)) for _ in range(2))
    assert one[0].buildings == two[0].buildings
    assert one[0].trees == two[0].trees
    assert one[1].burnt is not None
    assert two[1].burnt is not None
    assert one[1].burnt.tobytes() == two[1].burnt.tobytes()


def test_bad_input_meets_one_clear_line() -> None:
    with pytest.raises(HazardError, match="intensity -1 m/s: give 0 to 40 m/s"):
        Fire().apply(village(), -1.0, rng())
    with pytest.raises(HazardError, match="moisture of dead fuel 2: give"):
        Fire(moisture=2.0)
    bare = Surface(ring=box(0, 0, 100, 110), kind="asphalt", semantic="paved")
    with pytest.raises(HazardError, match="nothing in scene 'village' burns"):
        Fire().apply(replace(village(), surfaces=(bare,), buildings=(), trees=()), 10.0, rng())
    with pytest.raises(HazardError, match="or lower the moisture"):
        Fire(moisture=0.39).apply(replace(village(), buildings=()), 1.0, rng())


def test_a_fire_that_goes_out_is_noted() -> None:
    bare = Surface(ring=box(0, 0, 100, 110), kind="asphalt", semantic="paved")
    patch = Surface(ring=box(40, 40, 4, 4), kind="grass", semantic="grass")
    _, truth = Fire().apply(replace(village(), surfaces=(bare, patch), buildings=(), trees=()), 10.0, rng())
    assert truth.notes[0].startswith("wind towards ")
    assert truth.notes[1] == "scene 'village' has no roads: which can be driven is not said"
    assert "touches nothing in scene 'village': raise the wind or lower the moisture" in truth.notes[2]


def test_fire_does_not_run_over_what_a_photograph_shows_as_street() -> None:
    bare = replace(village(rows=2, columns=4), surfaces=(), trees=(), buildings=())
    lawn, asphalt = (0.06, 0.10, 0.045), (0.19, 0.185, 0.155)
    rows, columns = round(bare.size[1]), round(bare.size[0])
    ground = np.full((rows, columns, 3), lawn, np.float32)
    ground[:, columns // 2 - 4 : columns // 2 + 4] = asphalt  # 8 m wide, from north to south
    photo = Photo(ground=ground, roofs=ground, light=Light(sun_azimuth=180.0, sun_elevation=45.0))
    dry = Fire(bearing=90.0, moisture=0.03, live_moisture=0.3, hours=12.0)
    _, truth = dry.apply(replace(bare, photo=photo), 15.0, rng())
    assert truth.burnt is not None
    middle = truth.burnt.shape[1] // 2
    assert truth.burnt[:, middle - 2 : middle + 2].mean() < 0.05
    assert truth.burnt[:, : middle - 6].mean() > 0.3
