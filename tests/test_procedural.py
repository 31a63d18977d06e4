from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.random import SeedSequence
from shapely import Point, Polygon, STRtree, box

from mage_stac.errors import RenderError
from mage_stac.scene import procedural, traffic
from mage_stac.scene.materials import MATERIALS
from mage_stac.scene.scene import SEMANTIC, Scene, Surface
from mage_stac.scene.styles import STYLES

SPRING = "2011-03-20T18:00:00Z"
SUMMER = "2011-05-24T18:00:00Z"


def _town(style: str, seed: int, size: tuple[float, float] = (170.0, 130.0)) -> Scene:
    return procedural.town(seed=SeedSequence(seed), id="place", size=size, style=style, datetime=SPRING)


@pytest.fixture(scope="module", params=[(style, seed) for style in STYLES for seed in (0, 4)], ids=str)
def scene(request: pytest.FixtureRequest) -> Scene:
    return _town(*request.param)


def test_buildings_are_whole_apart_and_off_the_streets(scene: Scene) -> None:
    shapes = [Polygon(building.footprint) for building in scene.buildings]
    if scene.style == "farmland" and not shapes:
        pytest.skip("fields without a farmhouse")
    assert shapes
    assert all(shape.is_valid and shape.exterior.is_ccw and shape.area >= 4 for shape in shapes)
    one, other = STRtree(shapes).query(shapes, predicate="intersects")
    assert (one == other).all()
    frame = box(0, 0, *scene.size)
    assert all(shape.intersects(frame) for shape in shapes)
    roads = [Polygon(surface.ring).buffer(-0.5) for surface in scene.surfaces if surface.semantic == "road"]
    assert STRtree(roads).query(shapes, predicate="intersects").size == 0
    assert [building.id for building in scene.buildings] == [f"b{number:05d}" for number in range(len(shapes))]


def test_footprints_are_right_angled(scene: Scene) -> None:
    for building in scene.buildings:
        corners = np.array(building.footprint)
        sides = np.roll(corners, -1, axis=0) - corners
        turns = np.sum(sides * np.roll(sides, -1, axis=0), axis=1)
        lengths = np.hypot(*sides.T)
        assert np.abs(turns / (lengths * np.roll(lengths, -1))).max() < 0.03


def test_everything_is_named_in_the_vocabulary(scene: Scene) -> None:
    assert all(surface.semantic in SEMANTIC and surface.kind in MATERIALS for surface in scene.surfaces)
    assert all(one.roof_material in MATERIALS and one.wall_material in MATERIALS for one in scene.buildings)
    assert {tree.species for tree in scene.trees} <= {"broadleaf", "conifer", "shrub", "hedge"}
    assert {building.roof for building in scene.buildings} <= {"flat", "gabled", "hipped", "shed"}
    assert all(building.damage.grade == 1 for building in scene.buildings)


def test_trunks_stand_neither_in_houses_nor_on_streets(scene: Scene) -> None:
    blocked = [Polygon(one.footprint) for one in scene.buildings]
    blocked += [Polygon(one.ring).buffer(-0.1) for one in scene.surfaces if one.semantic == "road"]
    spots = np.array([Point(tree.x, tree.y) for tree in scene.trees], object)  # shapely takes no empty list
    assert STRtree(blocked).query(spots, predicate="within").size == 0


def test_surfaces_cover_the_whole_scene(scene: Scene) -> None:
    base = scene.surfaces[0]
    assert Polygon(base.ring).covers(box(0, 0, *scene.size))
    assert all(Polygon(surface.ring).is_valid for surface in scene.surfaces)


def test_one_seed_one_town_and_other_seeds_others() -> None:
    assert _town("suburb", 7) == _town("suburb", 7)
    counts = {len(_town("suburb", seed).buildings) for seed in range(6)}
    assert len(counts) >= 4


def test_revisit_changes_the_day_and_nothing_else() -> None:
    before = _town("suburb", 0)
    after = procedural.revisit(before, SeedSequence(5), SUMMER)
    assert (before.season, after.season) == ("spring", "summer")
    assert after.light.sun_elevation > before.light.sun_elevation
    assert after.cars != before.cars
    for name in ("surfaces", "buildings", "trees", "ground_seed", "crs", "origin", "size", "style"):
        assert getattr(after, name) == getattr(before, name)
    assert after == procedural.revisit(before, SeedSequence(5), SUMMER)


def test_cars_stand_on_the_terrain() -> None:
    slope = np.broadcast_to(np.linspace(500.0, 530.0, 40, dtype=np.float32), (40, 40))
    hilly = replace(_town("suburb", 0, (160.0, 160.0)), terrain=np.ascontiguousarray(slope))
    cars = procedural.revisit(hilly, SeedSequence(1), SUMMER).cars
    inside = [car for car in cars if 10 < car.x < 150]
    assert len(inside) > 5
    assert all(abs(car.base - (500 + 30 * (car.x - 2) / 156)) < 0.5 for car in inside)


def test_any_size_can_be_made() -> None:
    for size in ((40.0, 300.0), (64.0, 64.0)):
        assert _town("village", 3, size).size == size


def test_bad_wishes_are_refused() -> None:
    with pytest.raises(RenderError, match=r"no style 'moon'.*old_town.*suburb|no style 'moon'.*suburb"):
        _town("moon", 0)
    with pytest.raises(RenderError, match="sides must be"):
        _town("suburb", 0, (5.0, 100.0))
    with pytest.raises(RenderError, match="choose another time"):
        procedural.town(seed=SeedSequence(0), id="x", size=(100.0, 100.0), datetime="2011-05-24T06:00:00Z")


def test_cars_stand_in_stalls_and_keep_right() -> None:
    ring = ((0.0, 0.0), (55.0, 0.0), (55.0, 5.2), (0.0, 5.2))
    lot = Surface(ring=ring, kind="asphalt", semantic="paved", use="stalls", line=((0.0, 0.0), (55.0, 0.0)), width=5.2)
    cars = traffic.park((lot,), (1.0, 1.0), np.random.default_rng(0))
    assert 5 <= len(cars) <= 20
    assert all(-0.5 < car.y < 5.7 and (abs(np.sin(np.radians(car.bearing))) < 0.2) for car in cars)
    ring = ((0.0, -8.0), (900.0, -8.0), (900.0, 8.0), (0.0, 8.0))
    line = ((0.0, 0.0), (900.0, 0.0))
    road = Surface(ring=ring, kind="asphalt", semantic="road", use="arterial", line=line, width=16.0)
    cars = traffic.park((road,), (0.5, 0.5), np.random.default_rng(1))
    assert cars
    assert all(0 < abs(car.y) < 8 for car in cars)


def test_a_plot_without_houses_is_a_town_too() -> None:
    seeds = (seed for seed in range(60) if not _town("village", seed, size=(40.0, 40.0)).buildings)
    assert _town("village", next(seeds), size=(40.0, 40.0)).surfaces
