"""Plumes against the Gaussian one's closed form, and fires that still smoke."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mage_stac.hazards import smoke
from mage_stac.hazards.fire import Fire
from mage_stac.scene import scene as scenes
from tests.villages import village


def test_the_plumes_width_is_briggs() -> None:
    assert smoke.spread(np.array([100.0, 1000.0])) == pytest.approx([8.0 / np.sqrt(1.01), 80.0 / np.sqrt(1.1)])


@pytest.mark.parametrize(("bearing", "axis"), [(90.0, 0), (180.0, 1)])
def test_as_much_smoke_passes_every_line_as_is_made(bearing: float, axis: int) -> None:
    source = np.zeros((201, 201))
    place = (100, 20) if axis == 0 else (20, 100)
    source[place] = 3.0
    depth = smoke.depth(source, 4.0, 8.0, bearing)
    flow = depth.sum(axis=axis) * 4.0 * 8.0
    assert flow[30:190] == pytest.approx(np.full(160, 3.0 * 4.0**2), rel=2e-3)
    assert flow[:19].max() == pytest.approx(0.0, abs=1e-6)


def test_the_middle_of_the_plume_is_the_closed_form() -> None:
    source = np.zeros((101, 301))
    source[50, 10] = 2.0
    depth = smoke.depth(source, 4.0, 10.0, 90.0)
    far = 250 * 4.0
    sigma = np.hypot(0.08 * far / np.sqrt(1 + 1e-4 * far), 2.0)
    assert depth[50, 260] == pytest.approx(2.0 * 16.0 / (10.0 * np.sqrt(2 * np.pi) * sigma), rel=1e-6)


def test_what_burns_smokes_what_is_burnt_smoulders_and_what_is_to_burn_does_not() -> None:
    age = np.array([-5.0, 10.0, 4000.0, -np.inf, np.nan])
    assert smoke.emission(age, 2.0, 3600.0) == pytest.approx([0.0, 2.0, 2.0 * smoke.SMOULDER, 0.0, 0.0])


def test_a_fire_that_still_burns_hides_ground_downwind_and_damages_no_more(tmp_path: Path) -> None:
    scene = village(rows=8, columns=10)
    scene = replace(scene, buildings=tuple(replace(one, wall_material="siding_white") for one in scene.buildings))
    clear = Fire(bearing=0.0, moisture=0.04, hours=1.0)
    (without, truth), (thick, same) = (
        fire.apply(scene, 6.0, np.random.default_rng(0)) for fire in (clear, replace(clear, smoke=True))
    )
    assert without.smoke is None
    assert thick.smoke is not None
    assert thick.smoke.depth.max() > 1.0
    rows = len(thick.smoke.depth)
    assert thick.smoke.depth[: rows // 4].mean() > thick.smoke.depth[-rows // 8 :].mean()
    assert same.grades == truth.grades
    assert thick.buildings == without.buildings
    loaded = scenes.load(scenes.save(thick, tmp_path))
    assert loaded.smoke is not None
    np.testing.assert_array_equal(loaded.smoke.depth, thick.smoke.depth)


def test_a_day_later_only_smouldering_is_left() -> None:
    scene = village(rows=6, columns=6)
    now, day = (Fire(bearing=0.0, moisture=0.04, hours=hours, smoke=True) for hours in (1.0, 24.0))
    fresh, old = (fire.apply(scene, 6.0, np.random.default_rng(0))[0].smoke for fire in (now, day))
    assert fresh is not None
    assert old is not None
    assert old.depth.max() < 0.3 * fresh.depth.max()
