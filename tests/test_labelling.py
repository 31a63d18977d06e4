"""Labels against scenes drawn by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.random import SeedSequence
from odc.geo.geobox import GeoBox
from shapely.geometry import shape
from shapely.ops import unary_union

from mage_stac import labelling
from mage_stac.classes import DAMAGE_CLASSES
from mage_stac.hazards import Truth
from mage_stac.imaging import Look
from mage_stac.passes import Labels
from mage_stac.render_spec import MARGIN
from mage_stac.scenario import Scenario, Shot
from mage_stac.scene.scene import SEMANTIC, Building, Damage, Scene, Surface

SIZE = 40
SIDE = float(SIZE + 2 * MARGIN)
ORIGIN = (400_000.0, 4_000_000.0)


def rectangle(west: float, south: float, east: float, north: float) -> tuple[tuple[float, float], ...]:
    return ((west, south), (east, south), (east, north), (west, north))


HOUSES = (
    Building(id="a", footprint=rectangle(12, 12, 20, 18), height=3.0),
    Building(id="b", footprint=rectangle(30, 30, 40, 42), height=6.0, damage=Damage(grade=4, look="rubble")),
    Building(id="outside", footprint=rectangle(1, 1, 5, 5), height=3.0),
)
ROAD = Surface(ring=rectangle(0, 24, SIDE, 28), kind="asphalt", semantic="road", line=((0, 26), (SIDE, 26)), width=4.0)


@pytest.fixture
def scenario() -> Scenario:
    """Two houses in the image and one in its margin, on pixels of a metre; the second house destroyed."""
    scene = Scene(
        id="s", seed=0, crs="EPSG:32615", origin=ORIGIN, size=(SIDE, SIDE), datetime="2020-05-01T17:00:00Z",
        buildings=HOUSES, surfaces=(ROAD,),
    )  # fmt: skip
    shot = Shot(scene=scene, look=Look(), noise=SeedSequence(0))
    affine = Affine(1.0, 0.0, ORIGIN[0] + MARGIN, 0.0, -1.0, ORIGIN[1] + MARGIN + SIZE)
    return Scenario(
        id="wind-0-00000", place="wind-0-00000", hazard="wind", intensity=80.0, unit="m/s", pre=shot, post=shot,
        truth=Truth(grades={"a": 1, "b": 4, "outside": 2}, visible={"b": 0.5}),
        geobox=GeoBox((SIZE, SIZE), affine, "EPSG:32615"),
    )  # fmt: skip


def passes_of(scenario: Scenario) -> Labels:
    """The label pass of the scene from straight above, by comparing pixel centres with footprints."""
    side = int(SIDE)
    y, x = np.mgrid[0:side, 0:side] + 0.5
    y = SIDE - y
    instance, height = np.zeros((side, side), np.uint32), np.zeros((side, side), np.float32)
    for number, house in enumerate(scenario.pre.scene.buildings, start=1):
        (west, south), _, (east, north), _ = house.footprint
        inside = (x > west) & (x < east) & (y > south) & (y < north)
        instance[inside], height[inside] = number, house.height
    up = np.zeros((side, side, 3), np.float32)
    up[..., 2] = 1.0
    return Labels(
        semantic=(instance > 0).astype(np.uint8), instance=instance, height=height, position=up, normal=up, depth=height
    )


def test_grades_lie_on_roofs(scenario: Scenario) -> None:
    seen = passes_of(scenario)
    made = labelling.rasters(seen, seen, scenario)
    assert made.damage.shape == (SIZE, SIZE)
    assert (made.damage == 4).sum() == 10 * 12
    assert (made.damage == 1).sum() == 8 * 6
    assert set(np.unique(made.damage)) == {0, 1, 4}
    assert (made.water == 0).all()
    assert not made.debris.any()
    assert not made.burnt.any()
    assert not made.passable.any()


def test_walls_are_no_roof_but_chimneys_are(scenario: Scenario) -> None:
    seen = passes_of(scenario)
    sideways = np.zeros_like(seen.normal)
    sideways[..., 0] = 1.0
    low = np.where(seen.height > 0, seen.height - 1.0, 0).astype(np.float32)
    walls = replace(seen, normal=sideways, height=low)
    assert labelling.rasters(walls, walls, scenario).damage.max() == 0
    chimneys = replace(seen, normal=sideways, height=np.where(seen.height > 0, seen.height + 2, 0).astype(np.float32))
    assert (labelling.rasters(chimneys, chimneys, scenario).damage == 4).sum() == 120


def test_a_balcony_s_floor_is_no_roof(scenario: Scenario) -> None:
    """A strip of house b's pixels faces up 3 m above the ground: a balcony, if it has some."""
    seen = passes_of(scenario)
    seen.position[..., 2] = seen.height
    floor = (seen.instance == 2) & (np.arange(int(SIDE)) < 32)
    seen.position[floor, 2] = 3.0
    scene = scenario.pre.scene
    hung = replace(scene, buildings=tuple(replace(one, roof="flat", balconies=(3,)) for one in scene.buildings))
    for house, count in ((scene, 120), (hung, 120 - int(floor.sum()))):
        made = labelling.rasters(seen, seen, replace(scenario, pre=replace(scenario.pre, scene=house)))
        assert (made.instance == 2).sum() == count
    assert floor.sum() == 24


def test_water_is_flood_only_where_there_was_none_before(scenario: Scenario) -> None:
    seen = passes_of(scenario)
    semantic = seen.semantic.copy()
    semantic[:20] = SEMANTIC["water"]
    flooded = np.zeros((int(SIDE), int(SIDE)), np.uint8)
    flooded[:, 30:] = 1
    flooded[:20, 30:] = 2
    depth = np.where(flooded == 1, 0.5, 0).astype(np.float32)
    wet = replace(scenario, truth=replace(scenario.truth, water=flooded, flood_depth=depth))
    made = labelling.rasters(seen, replace(seen, semantic=semantic), wet)
    top = 20 - MARGIN
    assert (made.water[:top] == 2).all()
    assert (made.water[top:, : 30 - MARGIN] == 0).all()
    assert (made.water[top:, 30 - MARGIN :] == 1).all()
    np.testing.assert_array_equal(made.flood_depth > 0, made.water == 1)


def test_what_hides_water_is_no_water_but_its_depth_is_known(scenario: Scenario) -> None:
    seen = passes_of(scenario)
    side = int(SIDE)
    flooded, depth = np.ones((side, side), np.uint8), np.full((side, side), 0.5, np.float32)
    wet = replace(scenario, truth=replace(scenario.truth, water=flooded, flood_depth=depth))
    crown = np.zeros((SIZE, SIZE), bool)
    crown[10:15, 20:30] = True
    made = labelling.surface(labelling.rasters(seen, seen, wet), 1.0 - crown)
    np.testing.assert_array_equal(made.water, np.where(crown, 0, 1))
    assert (made.flood_depth == 0.5).all()


def test_plants_in_the_middle_of_a_flood_are_told_from_its_shore(scenario: Scenario) -> None:
    """Rows of a pixel each: three quarters water, a half; the flood's first and last columns are its shore."""
    seen = passes_of(scenario)
    flooded = np.zeros((int(SIDE), int(SIDE)), np.uint8)
    flooded[:, 30:40] = 1
    wet = replace(scenario, truth=replace(scenario.truth, water=flooded, flood_depth=flooded.astype(np.float32)))
    shown = np.ones((SIZE, SIZE))
    shown[10], shown[20] = 0.75, 0.5
    made = labelling.surface(labelling.rasters(seen, seen, wet), shown).water
    expected = (flooded[MARGIN:-MARGIN, MARGIN:-MARGIN] == 1).astype(int)
    expected[10, 31 - MARGIN : 39 - MARGIN] = 0
    expected[20] = 0
    np.testing.assert_array_equal(made, expected)


def test_truth_rasters_of_another_cell_size_are_taken_at_pixel_centres(scenario: Scenario) -> None:
    seen = passes_of(scenario)
    coarse = np.arange(14 * 14).reshape(14, 14) % 2 == 1  # cells of 4 m
    made = labelling.rasters(seen, seen, replace(scenario, truth=replace(scenario.truth, debris=coarse)))
    whole = np.kron(coarse, np.ones((4, 4), bool))[MARGIN:-MARGIN, MARGIN:-MARGIN]
    np.testing.assert_array_equal(made.debris.astype(bool), whole)


def test_files_and_item(scenario: Scenario, tmp_path: Path) -> None:
    seen = passes_of(scenario)
    item = labelling.write(tmp_path, scenario, labelling.rasters(seen, seen, scenario), {"gsd": 1.0})
    always = {
        "damage",
        "water",
        "semantic",
        "instance",
        "footprint",
        "height",
        "flood_depth",
        "debris",
        "burnt",
        "passable",
    }
    always |= {"visual", "thumbnail"}
    assert set(item.assets) == always | {"buildings"}
    truth = replace(scenario.truth, burnt=np.zeros((int(SIDE), int(SIDE)), bool), roads={"road-0": False})
    fire = replace(scenario, truth=truth)
    item = labelling.write(tmp_path, fire, labelling.rasters(seen, seen, fire), {"gsd": 1.0})
    assert set(item.assets) == always | {"buildings", "roads"}
    for key in ("damage", "instance", "height"):
        with rasterio.open(tmp_path / f"{key}.tif") as source:
            assert source.transform == scenario.geobox.affine
            assert source.crs.to_epsg() == 32615
    assert item.properties["label:overviews"][0]["counts"][4] == {"name": "destroyed", "count": 120}
    assert [one["name"] for one in item.assets["damage"].extra_fields["classification:classes"]] == [
        one.name for one in DAMAGE_CLASSES
    ]


def test_buildings_carry_grades_and_lie_in_lonlat(scenario: Scenario) -> None:
    seen = passes_of(scenario)
    features = labelling.buildings(scenario, labelling.rasters(seen, seen, scenario))["features"]
    facts = {one["id"]: one["properties"] for one in features}
    assert set(facts) == {"a", "b"}
    assert facts["b"]["grade"] == 4
    assert facts["b"]["damage"] == "destroyed"
    assert (facts["a"]["visible"], facts["b"]["visible"]) == (1.0, 0.5)
    assert facts["b"]["roof_pixels"] == 120
    assert facts["a"]["instance"] == 1
    extent = scenario.geobox.geographic_extent.geom
    union = unary_union([shape(one["geometry"]) for one in features])
    assert extent.contains(union)
    area = union.area / extent.area
    assert area == pytest.approx((8 * 6 + 10 * 12) / SIZE**2, rel=1e-3)


def test_blocked_roads_show_where_they_cross_open_ones(scenario: Scenario) -> None:
    seen = passes_of(scenario)
    lane = Surface(ring=rectangle(24, 0, 26, SIDE), kind="asphalt", semantic="road")
    scene = replace(scenario.pre.scene, surfaces=(ROAD, lane))
    truth = replace(scenario.truth, roads={"road-0": False, "road-1": True})
    crossed = replace(scenario, pre=replace(scenario.pre, scene=scene), truth=truth)
    made = labelling.rasters(seen, seen, crossed).passable
    assert (made == 2).sum() == 4 * SIZE
    assert (made == 1).sum() == 2 * (SIZE - 4)


def test_roads_say_whether_they_can_be_driven(scenario: Scenario) -> None:
    truth = replace(scenario.truth, roads={"road-0": False})
    (feature,) = labelling.roads(replace(scenario, truth=truth))["features"]
    assert feature["geometry"]["type"] == "LineString"
    assert len(feature["geometry"]["coordinates"]) == 2
    assert feature["properties"] == {"id": "road-0", "passable": False, "width": 4.0, "kind": "asphalt"}


def test_footprints_stay_on_the_ground_where_roofs_lean(scenario: Scenario) -> None:
    """Both are kept: `instance` over the roofs as the image shows them, `footprint` where the buildings stand."""
    plan = passes_of(scenario)
    leaning = replace(
        plan, **{name: np.roll(getattr(plan, name), 3, axis=1) for name in ("instance", "height", "semantic")}
    )
    made = labelling.rasters(leaning, leaning, scenario)
    inside = (slice(MARGIN, -MARGIN),) * 2
    np.testing.assert_array_equal(made.footprint, plan.instance[inside])
    np.testing.assert_array_equal(made.instance, leaning.instance[inside])


def test_what_an_image_hides_is_not_observed(scenario: Scenario) -> None:
    seen = passes_of(scenario)
    made = labelling.rasters(seen, seen, scenario)
    before, after = np.zeros((SIZE, SIZE), bool), np.zeros((SIZE, SIZE), bool)
    before[:5], after[:, :7] = True, True
    told = labelling.hide(made, before, after)
    np.testing.assert_array_equal(told.damage == 255, before | after)
    np.testing.assert_array_equal(told.semantic == 255, before)
    for name in ("water", "debris", "burnt", "passable"):
        np.testing.assert_array_equal(getattr(told, name) == 255, after)
    np.testing.assert_array_equal(told.instance, made.instance)
