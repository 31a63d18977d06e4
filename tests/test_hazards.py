"""What holds for every hazard: one seed gives one truth to the bit, here and in another process."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from mage_stac.errors import HazardError
from mage_stac.hazards import HAZARDS, Truth
from mage_stac.hazards.earthquake import Earthquake
from mage_stac.hazards.fire import Fire
from mage_stac.hazards.flood import Flood
from mage_stac.hazards.hazard import Hazard
from mage_stac.hazards.wind import Wind
from mage_stac.scene.scene import Scene
from tests.villages import slope, village

CASES: dict[str, tuple[Hazard, float]] = {
    "none": (HAZARDS["none"], 0.0),
    "flood": (Flood(), 1.2),
    "flood-rain": (Flood(source="rain", receded=True), 150.0),
    "earthquake": (Earthquake(), 7.0),
    "earthquake-hazus": (Earthquake(curves="hazus"), 6.8),
    "fire": (Fire(moisture=0.04, hours=1.0, smoke=True), 12.0),
    "wind": (Wind(), 75.0),
    "wind-straight": (Wind(straight=True, days=3), 60.0),
}


def place() -> Scene:
    """Wooden and stone houses by a river on a steep slope."""
    scene = village(rows=5, columns=6, river=True)
    wooden = (
        replace(one, wall_material="siding_white") if number % 2 else one for number, one in enumerate(scene.buildings)
    )
    return replace(scene, buildings=tuple(wooden), terrain=slope(scene.size, 0.03))


def parts(scene: Scene, truth: Truth) -> Iterator[bytes]:
    """Everything that a scene after a hazard and its truth hold."""
    for values in (truth.debris, truth.water, truth.flood_depth, truth.burnt):
        yield b"none" if values is None else values.tobytes()
    for facts in (truth.grades, truth.roads, truth.visible):
        yield repr(sorted(facts.items())).encode()
    yield repr((truth.notes, scene.buildings, scene.trees, scene.cars)).encode()
    for film in scene.films:
        yield film.kind.encode() + film.cover.tobytes()
    if scene.debris is not None:
        yield scene.debris.density.tobytes() + repr((scene.debris.mix, scene.debris.seed)).encode()
    if scene.flood is not None:
        yield scene.flood.depth.tobytes()
    if scene.smoke is not None:
        yield scene.smoke.depth.tobytes()


def digest(case: str, seed: int) -> str:
    hazard, intensity = CASES[case]
    found = hashlib.sha256()
    for part in parts(*hazard.apply(place(), intensity, np.random.default_rng(seed))):
        found.update(hashlib.sha256(part).digest())
    return found.hexdigest()


def digests() -> list[str]:
    return [digest(case, 7) for case in CASES]


def test_every_hazard_has_a_case() -> None:
    assert {hazard.name for hazard, _ in CASES.values()} == set(HAZARDS)


@pytest.mark.parametrize("case", CASES)
def test_the_same_seed_gives_the_same_truth_to_the_bit(case: str) -> None:
    assert digest(case, 3) == digest(case, 3)


@pytest.mark.parametrize("case", [case for case in CASES if case != "none"])
def test_another_seed_gives_another_outcome(case: str) -> None:
    assert digest(case, 3) != digest(case, 4)


def test_another_process_finds_the_same() -> None:
    code = "from tests.test_hazards import digests; print(*digests())"
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "12345",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == digests()


@pytest.mark.parametrize("case", [case for case in CASES if case != "none"])
@pytest.mark.parametrize("intensity", [-1.0, 1e6, float("nan")])
def test_an_intensity_out_of_range_names_the_range_and_its_unit(case: str, intensity: float) -> None:
    hazard = CASES[case][0]
    low, high = hazard.range
    with pytest.raises(HazardError) as raised:
        hazard.apply(place(), intensity, np.random.default_rng(0))
    assert str(raised.value).endswith(f"give {low:g} to {high:g} {hazard.unit}")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("case", ["flood", "flood-rain", "earthquake", "fire"])
def test_terrain_with_voids_is_one_line(case: str) -> None:
    hazard, intensity = CASES[case]
    scene = place()
    assert scene.terrain is not None
    holed = scene.terrain.copy()
    holed[2:4, 5] = np.nan
    with pytest.raises(HazardError, match=r"the terrain of scene 'village' has 2 void cells of \d+: fill them"):
        hazard.apply(replace(scene, terrain=holed), intensity, np.random.default_rng(0))


@pytest.mark.parametrize("case", [case for case in CASES if case != "none"])
def test_a_scene_without_roads_is_told(case: str) -> None:
    hazard, intensity = CASES[case]
    scene = place()
    bare = replace(scene, surfaces=tuple(one for one in scene.surfaces if one.semantic != "road"))
    _, truth = hazard.apply(bare, intensity, np.random.default_rng(0))
    assert truth.roads == {}
    assert "scene 'village' has no roads: which can be driven is not said" in truth.notes


@pytest.mark.parametrize("case", [case for case in CASES if case != "none"])
def test_every_truth_speaks_of_every_building_and_road_of_the_source(case: str) -> None:
    hazard, intensity = CASES[case]
    scene = place()
    changed, truth = hazard.apply(scene, intensity, np.random.default_rng(0))
    assert list(truth.grades) == [one.id for one in scene.buildings]
    assert [one.id for one in changed.buildings] == [one.id for one in scene.buildings]
    assert set(truth.grades.values()) <= {1, 2, 3, 4}
    assert {f"road-{index}" for index, one in enumerate(scene.surfaces) if one.semantic == "road"} == set(truth.roads)
    assert set(truth.visible) <= set(truth.grades)
    assert all(0 <= share <= 1 for share in truth.visible.values())
