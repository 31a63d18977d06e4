"""Of mage_stac/scene/buildings.py; test_buildings.py is of the product of that name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely
from test_footprints import found

from mage_stac.scene import buildings, faces, footprints, traditions
from mage_stac.scene.buildings import Measured, Setting
from mage_stac.scene.materials import ROOFS, WALLS
from mage_stac.scene.scene import Building

HOUSE = shapely.box(500100, 5000100, 500112, 5000108)


def make(
    *shapes: shapely.Geometry, measured: float = np.nan, base: float = 3.0, **known: Any
) -> list[tuple[Building, str]]:
    given = found(*shapes)
    for name, value in known.items():
        (given.table.numbers if name in given.table.numbers else given.table.words)[name][:] = value
    prints = footprints.clean(given)
    count = len(prints.polygons)
    setting = Setting(
        traditions=[traditions.of(9.5, 47.1, 0.1)] * count,
        densities=np.full(count, 0.1),
        origin=(500000.0, 5000000.0),
        seed=7,
    )
    made, told = buildings.make(prints, Measured(height=np.full(count, measured), base=np.full(count, base)), setting)
    return list(zip(made, told, strict=True))


def ridge(building: Building) -> float:
    return building.height + np.tan(np.radians(building.pitch)) * 4.0


def test_local_metres_and_ids() -> None:
    ((made, _),) = make(HOUSE)
    assert made.id == "b0"
    assert shapely.Polygon(made.footprint).equals(shapely.box(100, 100, 112, 108))
    assert made.base == 3.0
    assert made.roof_material in ROOFS
    assert made.wall_material in WALLS


@pytest.mark.parametrize("form", ["flat", "gabled", "hipped"])
def test_a_given_height_is_that_of_the_ridge(form: str) -> None:
    ((made, told),) = make(HOUSE, height=9.0, roof=form, kind="house")
    assert told == "source"
    assert made.roof == form
    assert ridge(made) == pytest.approx(9.0, abs=0.05)


def test_what_counts_first() -> None:
    assert make(HOUSE, height=9.0, storeys=1.0, measured=6.0)[0][1] == "source"
    assert make(HOUSE, storeys=4.0, measured=6.0)[0][1] == "measured"
    ((made, told),) = make(HOUSE, storeys=4.0, kind="apartment", roof="flat")
    assert told == "storeys"
    assert made.storeys == 4
    assert 12.0 <= made.height <= 12.5
    assert make(HOUSE)[0][1] == "drawn"


def test_a_measured_height_is_the_middle_of_the_roof() -> None:
    ((made, _),) = make(HOUSE, measured=7.0, roof="gabled", kind="house")
    assert (made.height + ridge(made)) / 2 == pytest.approx(7.0, abs=0.05)


@pytest.mark.parametrize("height", [0.0, -3.0, 9999.0])
def test_heights_that_cannot_be_are_not_believed(height: float) -> None:
    assert make(HOUSE, height=height)[0][1] == "drawn"


def test_low_buildings_keep_their_height() -> None:
    ((made, _),) = make(HOUSE, height=1.2, roof="gabled")
    assert 0.4 < made.height <= 1.2


def test_what_is_drawn_hangs_on_the_id_alone() -> None:
    more = [shapely.box(500100 + 40 * i, 5000100, 500112 + 40 * i, 5000108) for i in range(6)]
    alone = {building.id: building for building, _ in make(HOUSE)}
    among = {building.id: building for building, _ in make(HOUSE, *more[1:])}
    assert among["b0"] == alone["b0"]
    assert len({building.seed for building in among.values()}) == len(among)


def test_measured_faces_are_kept_where_they_belong() -> None:
    roof = faces.of_points(
        [np.array([[500100.0, 5000100, 8], [500112, 5000100, 8], [500112, 5000108, 8], [500100, 5000108, 8]])]
    )
    floor = faces.of_points([np.array(roof.ring)[::-1] - [0, 0, 5]])
    given = found(HOUSE)
    given = type(given)(role="building", geometry=given.geometry, table=given.table, faces={"b0": (roof, floor)})
    prints = footprints.clean(given)
    setting = Setting(
        traditions=[traditions.of(9.5, 47.1, 0.1)], densities=np.array([0.1]), origin=(500000.0, 5000000.0), seed=7
    )
    (made,), (told,) = buildings.make(prints, Measured(height=np.array([np.nan]), base=np.array([0.0])), setting)
    assert told == "faces"
    assert made.faces[0].ring[0] == (100.0, 100.0, 8.0)
    assert (made.base, made.height, made.roof) == (3.0, 5.0, "flat")
