from __future__ import annotations

import numpy as np
import shapely
from test_highways import lines

from mage_stac.scene import greenery, plantings
from mage_stac.scene.landcover import AREAS, Patch

AREA = shapely.box(500000, 5000000, 500150, 5000150)


def grown(name: str, area: shapely.Geometry = AREA, origin: tuple[float, float] = (0.0, 0.0)) -> set[tuple[float, ...]]:
    patches = [Patch(key="a", name=name, shape=area)]
    trees = plantings.grown(patches, area, origin, 3)
    return {(round(t.x + origin[0], 2), round(t.y + origin[1], 2), t.height, t.radius, t.seed) for t in trees}


def test_a_wood_is_closed_and_a_park_is_open() -> None:
    crowns = {name: len(grown(name)) * greenery.MEAN_CROWN / AREA.area for name in ("forest", "park")}
    assert 0.8 < crowns["forest"] < 1.3
    assert abs(crowns["park"] - AREAS["park"].canopy) < 0.12


def test_trees_are_the_same_in_every_tile() -> None:
    west, east = shapely.box(*AREA.bounds[:2], 500080, 5000150), shapely.box(500080, 5000000, 500150, 5000150)
    whole = grown("forest")
    assert grown("forest", west, (500000.0, 5000000.0)) | grown("forest", east, (500080.0, 5000000.0)) == whole
    assert len(whole) > 100


def test_nothing_grows_under_what_lies_above() -> None:
    pond = shapely.box(500040, 5000040, 500100, 5000100)
    patches = [Patch(key="a", name="forest", shape=AREA), Patch(key="b", name="water", shape=pond)]
    assert not [t for t in plantings.grown(patches, AREA, (0.0, 0.0), 3) if pond.contains(shapely.Point(t.x, t.y))]


def test_a_vineyard_stands_in_rows() -> None:
    field = shapely.box(500000, 5000000, 500060, 5000020)
    rows = {round(y - 5000000, 0) for _, y, *_ in grown("vineyard", field)}
    assert 6 <= len(rows) <= 22
    assert len(grown("vineyard", field)) > 200


def test_mapped_trees_keep_their_measures() -> None:
    found = lines(
        shapely.Point(10, 20),
        shapely.Point(30, 20),
        kind="tree",
        height=[18.0, np.nan],
        radius=[4.5, np.nan],
        species=["conifer", ""],
    )
    one, two = plantings.mapped(found, (0.0, 0.0), 1)
    assert (one.x, one.y, one.height, one.radius, one.species) == (10.0, 20.0, 18.0, 4.5, "conifer")
    assert two.height > 1


def test_hedges_follow_their_line() -> None:
    made = list(plantings.along([("hedge", "way/1", np.array([[0.0, 0.0], [20.0, 0.0]]))], (0.0, 0.0), 1))
    assert {tree.species for tree in made} == {"hedge"}
    assert len(made) > 12
    assert all(tree.y == 0.0 for tree in made)
