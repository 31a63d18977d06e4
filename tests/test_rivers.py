"""Rivers of invented places: where they run, what they cut, how they lie."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import SeedSequence
from shapely import LineString, Polygon, box

from mage_stac.hazards.flood import Flood
from mage_stac.scene import cover, infrared, procedural, rivers
from mage_stac.scene.materials import MATERIALS
from mage_stac.scene.rivers import River
from mage_stac.scene.scene import Scene, Surface

SIZE = (240.0, 160.0)
STRAIGHT = River(middle=((-80.0, 80.0), (320.0, 80.0)), width=20.0, bank=10.0, below=0.5)


def road(use: str) -> Surface:
    """North to south across the whole scene, 6 m wide."""
    ring = ((97.0, -10.0), (103.0, -10.0), (103.0, 170.0), (97.0, 170.0))
    return Surface(ring=ring, kind="dirt", semantic="road", use=use, line=((100.0, -10.0), (100.0, 170.0)), width=6.0)


def farm(seed: int) -> Scene:
    return procedural.town(
        seed=SeedSequence(seed), id="farm", size=(320.0, 320.0), style="farmland", crs="EPSG:32630",
        origin=(680000.0, 4217000.0), datetime="2019-06-18T11:00:00Z",
    )  # fmt: skip


@pytest.fixture(scope="module")
def scene() -> Scene:
    return next(one for one in map(farm, range(20)) if any(surface.use == "river" for surface in one.surfaces))


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_river_of_its_width_flows_through_the_whole_scene(seed: int) -> None:
    river = rivers.draw(SIZE, np.random.default_rng(seed))
    middle, frame = LineString(river.middle), box(0, 0, *SIZE)
    assert middle.is_simple
    assert middle.crosses(frame)
    assert not frame.contains(shapely.Point(river.middle[0]))
    assert not frame.contains(shapely.Point(river.middle[-1]))
    np.testing.assert_allclose(river.water.area, middle.length * river.width, rtol=0.02)  # less what bends overlap
    assert river.corridor.contains(river.water.buffer(-0.01))
    assert len(shapely.get_parts(frame.difference(river.water))) > 1  # nobody gets over with dry feet


def test_it_lies_below_the_land_and_level_from_bank_to_bank() -> None:
    slope = np.repeat(np.linspace(5.0, 4.0, 240, dtype=np.float32)[None], 160, axis=0)  # falls to the east
    ground = rivers.carved(slope, STRAIGHT, SIZE)
    lifted = slope - slope.min() + (ground[150, 120] - (slope[150, 120] - slope.min()))
    np.testing.assert_allclose(ground[100:], lifted[100:], atol=1e-5)  # beyond the banks as before
    np.testing.assert_allclose(ground[:59], lifted[:59], atol=1e-5)
    channel = ground[71:89]
    assert np.ptp(channel, axis=0).max() < 1e-5
    # The land's mean over VALLEY, which at the scene's ends is not that of the slope.
    np.testing.assert_allclose(lifted[110, 100:140] - channel[5, 100:140], STRAIGHT.below, atol=0.01)
    bank = ground[89:100, 120]
    assert (np.diff(bank) > 0).all()
    assert ground.min() == 0


def test_main_roads_cross_and_lanes_end() -> None:
    arterial, street = road("arterial"), road("street")
    other = Surface(ring=((0.0, 0.0), (50.0, 0.0), (50.0, 5.0), (0.0, 5.0)), kind="dirt", semantic="road", use="street")
    kept = list(rivers.crossed((arterial, street, other), STRAIGHT))
    assert kept[0] is arterial
    assert kept[-1] is other
    halves = kept[1:-1]
    south, north = sorted((Polygon(half.ring) for half in halves), key=lambda shape: shape.centroid.y)
    assert south.equals(box(97, -10, 103, 60))
    assert north.equals(box(97, 100, 103, 170))
    for half in halves:
        assert half.width == street.width
        assert Polygon(half.ring).buffer(1e-6).contains(LineString(half.line))


def test_nothing_stands_in_a_farm_s_river(scene: Scene) -> None:
    river = next(surface for surface in scene.surfaces if surface.use == "river")
    water = Polygon(river.ring)
    assert all(water.disjoint(Polygon(one.footprint)) for one in scene.buildings)
    assert not any(water.contains(shapely.Point(one.x, one.y)) for one in scene.trees)
    lanes = [one for one in scene.surfaces if one.semantic == "road" and one.use != "arterial"]
    assert lanes
    assert all(water.intersection(Polygon(one.ring)).area < 0.1 for one in lanes)  # m2; rings are rounded to a mm
    near = water.buffer(rivers.BANK[1]).difference(water)
    assert any(near.contains(shapely.Point(one.x, one.y)) for one in scene.trees)


def test_it_rises_over_its_banks(scene: Scene) -> None:
    _, truth = Flood(source="river").apply(scene, 1.5, np.random.default_rng(0))
    assert truth.flood_depth is not None
    assert (truth.flood_depth > 0.05).mean() > 0.1


def test_a_river_is_part_of_the_place(scene: Scene) -> None:
    again = next(one for one in map(farm, range(20)) if any(surface.use == "river" for surface in one.surfaces))
    assert again.surfaces == scene.surfaces
    np.testing.assert_array_equal(np.asarray(again.terrain), np.asarray(scene.terrain))


def test_a_river_s_colours_lie_between_clear_and_loaded_water() -> None:
    """Geometric means, as cover.water mixes a flood's: from 0.3 to 0.85 of a flood's load."""
    loads = np.array([0.3, 0.5, 0.7, 0.85])[:, None]
    for kind, clear, loaded in (
        (np.array(MATERIALS["silty_water"].variants), cover.CLEAR, cover.LOADED),
        (np.array(infrared.WATER["silty_water"]), infrared.CLEAR, infrared.LOADED),
    ):
        np.testing.assert_allclose(kind, np.array(loaded) ** loads * np.array(clear) ** (1 - loads), rtol=0.02)
