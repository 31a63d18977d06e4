"""What tells the styles apart, on towns of each."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.random import SeedSequence
from shapely import Polygon, box

from mage_stac.scene import ground, procedural
from mage_stac.scene.scene import SEMANTIC, Scene


def _town(style: str) -> Scene:
    return procedural.town(
        seed=SeedSequence(5), id="x", size=(136.0, 136.0), style=style, datetime="2011-06-20T18:00:00Z"
    )


def _median_roof(place: Scene) -> float:
    return float(np.median([Polygon(one.footprint).area for one in place.buildings]))


def test_an_informal_settlement_is_dense_small_and_of_sheet_metal() -> None:
    place = _town("informal")
    assert 20 < _median_roof(place) < 90
    assert len(place.buildings) > 100
    metal = [one for one in place.buildings if one.roof_material.startswith("metal")]
    assert len(metal) > 0.7 * len(place.buildings)
    widths = [one.width for one in place.surfaces if one.use == "street"]
    assert min(widths) < 2.5


def test_compounds_stand_apart_on_red_earth_all_year() -> None:
    place = _town("compounds")
    roofs = sum(Polygon(one.footprint).area for one in place.buildings) / 136.0**2
    assert 0.12 < roofs < 0.4  # Kampala of ../shared/data: 0.24
    metal = [one for one in place.buildings if one.roof_material.startswith(("metal", "tile"))]
    assert len(metal) > 0.9 * len(place.buildings)
    later = procedural.revisit(place, SeedSequence(1), "2012-01-20T18:00:00Z")
    assert {place.season, later.season} == {"tropical"}
    values, semantic, _ = ground.texture(later, 0.5)
    red, _, blue = values[semantic == SEMANTIC["bare"]].mean(axis=0)
    assert red > 2 * blue
    assert values[semantic == SEMANTIC["grass"]].mean(axis=0).argmax() == 1


def test_works_are_large_and_trees_few() -> None:
    place = _town("industrial")
    assert _median_roof(place) > 350
    assert {one.kind for one in place.buildings} & {"industrial", "commercial"}


def test_a_hillside_has_tiles_and_terraces_on_a_slope() -> None:
    place = _town("hillside")
    roofs = {one.roof_material for one in place.buildings}
    assert {"tile_orange", "tile_brown"} & roofs
    assert place.terrain is not None


def test_farmland_is_parcels_and_ponds_on_a_plain() -> None:
    place = procedural.town(
        seed=SeedSequence(1), id="x", size=(900.0, 900.0), style="farmland", datetime="2019-06-20T18:00:00Z"
    )
    area = {"field": 0.0, "grass": 0.0, "bare": 0.0, "water": 0.0}
    for one in place.surfaces:
        if one.semantic in area and one.use != "verge":
            area[one.semantic] += Polygon(one.ring).intersection(box(0, 0, 900, 900)).area
    assert len(place.buildings) < 60
    assert area["field"] > 0.3 * 900**2
    assert 0 < area["water"] < 0.1 * 900**2
    assert place.terrain is not None
    assert np.ptp(place.terrain) < 8, "a plain"


@pytest.mark.parametrize("seed", range(4))
def test_lanes_narrower_than_a_patch_are_worn_too(seed: int) -> None:
    place = procedural.town(
        seed=SeedSequence(seed), id="x", size=(60.0, 60.0), style="informal", datetime="2011-06-20T18:00:00Z"
    )
    values, _, _ = ground.texture(place, 0.5)
    assert np.isfinite(values).all()
