from __future__ import annotations

import numpy as np
import pytest

from mage_stac.errors import RenderError
from mage_stac.scene import materials
from mage_stac.scene.materials import CARS, MATERIALS, PIECES, SEASONAL
from mage_stac.scene.scene import SEASONS
from mage_stac.scene.styles import STYLES, Style

EVERY = [*MATERIALS.values(), *PIECES.values(), CARS, *(one for table in SEASONAL.values() for one in table.values())]


def test_reflectances_are_physical() -> None:
    for kind in EVERY:
        assert kind.variants
        assert all(0.02 <= band <= 0.75 for colour in kind.variants for band in colour)
        assert 0 <= kind.grain <= 0.35
        assert 0 < kind.spread <= 0.3


def test_seasons_change_what_grows() -> None:
    assert set(SEASONAL) == set(SEASONS)
    assert all(name in MATERIALS for table in SEASONAL.values() for name in table)
    spring, summer = (np.array(materials.material("grass", season).variants) for season in ("spring", "summer"))
    assert spring.mean() > summer.mean()
    assert (summer[:, 1] > 1.2 * summer[:, 0]).all()
    assert materials.material("asphalt", "winter") == materials.material("asphalt", "summer")


def test_a_pick_depends_on_its_seed_alone() -> None:
    kind = materials.material("shingle_grey")
    assert materials.pick(kind, 7) == materials.pick(kind, 7)
    drawn = np.array([materials.pick(kind, seed) for seed in range(300)])
    assert len(np.unique(drawn, axis=0)) == 300
    assert np.allclose(drawn.mean(axis=0), np.mean(kind.variants, axis=0), rtol=0.1)


def test_unknown_names_list_those_that_exist() -> None:
    with pytest.raises(RenderError, match=r"no material 'granite'.*asphalt"):
        materials.material("granite")
    with pytest.raises(RenderError, match=r"no season 'monsoon'.*summer"):
        materials.material("grass", "monsoon")


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_styles_name_materials_that_exist(style: Style) -> None:
    houses = style.houses
    for table in (houses.roofs, houses.walls, houses.drives, houses.yards, *style.roads):
        assert set(table) <= set(MATERIALS)
