"""Earthquakes in a village: grades, looks, rubble, slides, and what is refused."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from mage_stac.errors import HazardError
from mage_stac.hazards import landslide, rubble
from mage_stac.hazards.earthquake import Earthquake
from mage_stac.hazards.rubble import Fall
from mage_stac.scene.scene import LOOKS
from tests.villages import slope, village

STRONG = Earthquake(distance=2.0, depth=6.0, stock="masonry", residual=0.0)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_stronger_nearer_and_weaker_mean_more_damage() -> None:
    scene = village(rows=8, columns=12)

    def mean(quake: Earthquake, magnitude: float) -> float:
        return float(np.mean(list(quake.apply(scene, magnitude, rng())[1].grades.values())))

    assert mean(STRONG, 5.5) < mean(STRONG, 6.5) < mean(STRONG, 7.2)
    assert mean(replace(STRONG, distance=40.0), 6.5) < mean(STRONG, 6.5)
    assert mean(STRONG, 6.5) < mean(replace(STRONG, weakness=0.16), 6.5)
    assert mean(replace(STRONG, vs30=1200.0), 6.0) < mean(replace(STRONG, vs30=180.0), 6.0)


def test_looks_fit_grades_and_damage_is_mixed_house_by_house() -> None:
    scene = village(rows=8, columns=12)
    changed, truth = STRONG.apply(scene, 7.2, rng())
    assert all(one.damage.look in LOOKS[one.damage.grade] for one in changed.buildings)
    looks = Counter(one.damage.look for one in changed.buildings)
    assert {"pancake", "rubble", "part_missing", "open_roof", "cover_patches"} <= set(looks)
    grades = np.array([one.damage.grade for one in changed.buildings]).reshape(8, 12)
    # Neighbours are no more alike than others: shares of equal pairs side by side and three apart.
    near, far = (grades[:, :-1] == grades[:, 1:]).mean(), (grades[:, :-3] == grades[:, 3:]).mean()
    assert abs(near - far) < 0.15
    assert truth.grades == {one.id: one.damage.grade for one in changed.buildings}


def test_every_collapse_mode_occurs_and_follows_the_construction() -> None:
    scene = village(rows=10, columns=12)
    modes = {}
    for stock in ("masonry", "concrete"):
        changed, _ = replace(STRONG, stock=stock, weakness=0.3).apply(scene, 7.2, rng())
        modes[stock] = Counter(one.damage.look for one in changed.buildings if one.damage.grade >= 3)
    # Pancake, tilted, in part, roof only, heap.
    assert set(modes["concrete"] + modes["masonry"]) == {"pancake", "tilt", "part_missing", "open_roof", "rubble"}
    assert modes["masonry"]["rubble"] > modes["masonry"]["pancake"]
    assert modes["masonry"]["open_roof"] > modes["masonry"]["tilt"]


def test_hidden_damage_is_said_to_be_hidden() -> None:
    changed, truth = STRONG.apply(village(rows=8, columns=12), 6.8, rng())
    damaged = {one.id: one.damage for one in changed.buildings if one.damage.grade > 1}
    assert set(truth.visible) == set(damaged)
    assert {truth.visible[name] for name, damage in damaged.items() if damage.grade == 2} == {0.05, 0.1, 0.35}
    assert all(truth.visible[name] == 1.0 for name, damage in damaged.items() if damage.grade == 4)


def test_flat_roofs_keep_their_cover_and_crack_unseen() -> None:
    scene = village(rows=8, columns=12)
    flat = replace(scene, buildings=tuple(replace(one, roof="flat") for one in scene.buildings))
    changed, truth = STRONG.apply(flat, 6.8, rng())
    slight = [one for one in changed.buildings if one.damage.grade == 2]
    assert slight
    assert {one.damage.look for one in slight} == {"cracked"}
    assert {truth.visible[one.id] for one in slight} == {0.05}


def test_rubble_reaches_as_far_as_the_published_geometry() -> None:
    # W 10 m, H 7 m, kv 0.5, 45 degrees: sqrt(100 + 70) - 10.
    assert rubble.reach(10.0, 7.0) == pytest.approx(np.sqrt(170.0) - 10.0)
    scene = village(rows=1, columns=3)
    house = replace(scene.buildings[1], height=12.0)
    depth = rubble.depth(scene, [Fall(building=house, whole=True, bearing=90.0)], 0.5)
    far = rubble.reach(10.0, 12.0)
    rows, columns = np.nonzero(depth)
    y, x = scene.size[1] - (rows + 0.5) * 0.5, (columns + 0.5) * 0.5
    (west, south), (east, north) = np.min(house.footprint, axis=0), np.max(house.footprint, axis=0)
    assert (x.max() - east, west - x.min()) == (pytest.approx(far, abs=0.5), pytest.approx(0.5 * far, abs=0.8))
    assert ((x < west) | (x > east) | (y < south) | (y > north)).all(), "none inside the walls"


def test_rubble_closes_a_narrow_street_and_leaves_a_wide_one() -> None:
    scene = village(rows=2, columns=4)
    tall = tuple(replace(one, height=14.0, footprint=_lower(one.footprint)) for one in scene.buildings)
    ruin = replace(STRONG, weakness=0.5)
    _, narrow = ruin.apply(replace(scene, buildings=tall), 7.6, rng())
    assert Counter(narrow.grades.values())[4] >= 6
    assert narrow.roads == {"road-1": False, "road-2": False}
    low = tuple(replace(one, height=3.0) for one in scene.buildings)
    _, wide = ruin.apply(replace(scene, buildings=low), 7.6, rng())
    assert wide.roads == {"road-1": True, "road-2": True}
    assert wide.debris is not None
    assert wide.debris.any()


def _lower(ring: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
    """A house moved to the edge of its road."""
    return tuple((x, y - 5.0) for x, y in ring)


def test_rubble_is_drawn_fine_and_in_pieces() -> None:
    changed, _ = STRONG.apply(village(rows=8, columns=12), 7.2, rng())
    assert [film.kind for film in changed.films] == ["rubble_fine"]
    assert changed.debris is not None
    assert dict(changed.debris.mix)["rubble"] > 0.5
    assert 0.0 <= changed.films[0].cover.min() <= changed.films[0].cover.max() <= 1.0


def test_only_steep_slopes_slide() -> None:
    scene = village(rows=4, columns=4)
    flat, _ = STRONG.apply(replace(scene, terrain=slope(scene.size, 0.1)), 7.0, rng())
    assert all(film.kind != "bare" for film in flat.films)
    steep, truth = STRONG.apply(replace(scene, terrain=slope(scene.size, 0.75)), 7.4, rng())
    assert next(film.kind for film in steep.films) == "bare"
    assert truth.debris is not None
    assert truth.debris.mean() > 0.05


def test_newmark_displacement_is_jibsons() -> None:
    # Ratio 0.5 at magnitude 7: log10 D = -2.710 + log10(0.5^2.335 * 0.5^-1.478) + 0.424 * 7.
    expected = 10 ** (-2.710 + np.log10(0.5**2.335 * 0.5**-1.478) + 0.424 * 7.0)
    assert landslide.displacement(np.array(0.4), np.array(0.2), 7.0) == pytest.approx(expected)
    assert landslide.displacement(np.array(0.1), np.array(0.2), 7.0) == 0.0
    assert landslide.probability(np.array([0.0, 5.0, 1e3])) == pytest.approx(
        [0.0, 0.335 * (1 - np.exp(-0.048 * 5**1.565)), 0.335]
    )


def test_slides_run_down_and_stop_on_the_level() -> None:
    ground = np.zeros((60, 40))
    ground[:30] = (30 - np.arange(30))[:, None] * 0.8
    slid = landslide.slides(ground, 1.0, np.full(ground.shape, 0.9), 7.5, seed=3)
    assert slid[:30].any()
    assert slid[30:36].any(), "soil comes to rest below the slope"
    assert not slid[45:].any()


def test_the_same_seed_gives_the_same_truth_to_the_bit() -> None:
    scene = village(terrain=None)
    one, two = (Earthquake().apply(scene, 7.0, rng(3)) for _ in range(2))
    assert one[0].buildings == two[0].buildings
    assert one[1].grades == two[1].grades
    assert one[1].debris is not None
    assert two[1].debris is not None
    assert one[1].debris.tobytes() == two[1].debris.tobytes()


def test_notes_tell_the_motion() -> None:
    _, truth = STRONG.apply(village(), 6.5, rng())
    assert any("peak ground acceleration" in note and "EMS-98" in note for note in truth.notes)


def test_a_far_earthquake_is_noted() -> None:
    scene = village()
    changed, truth = Earthquake(distance=250.0, residual=0.0).apply(scene, 4.2, rng())
    assert "touches nothing in scene 'village': raise the magnitude or bring it nearer" in truth.notes[-1]
    assert changed.buildings == scene.buildings
    assert truth.debris is not None
    assert not truth.debris.any()


def test_bad_input_meets_one_clear_line() -> None:
    with pytest.raises(HazardError, match=r"intensity 9 Mw: give 4 to 7\.6 Mw"):
        Earthquake().apply(village(), 9.0, rng())
    with pytest.raises(HazardError, match="no style of faulting 'thrust': choose one of normal"):
        Earthquake(faulting="thrust")
    with pytest.raises(HazardError, match="distance of an earthquake, km, -3: give 0 to 300"):
        Earthquake(distance=-3.0)
