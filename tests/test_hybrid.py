"""Hybrids against the made image that they are of."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from survey import AZIMUTH, ROOF, Survey, publish, survey

from mage_stac import catalogue, cog, hybrid, likeness, synthesis
from mage_stac.cube import read
from mage_stac.errors import MageStacError, RenderError
from mage_stac.grid import of_raster
from mage_stac.scenario import RenderSpec, Scenario, draw
from mage_stac.scene.scene import Tree, load, save
from mage_stac.shots import MARGIN
from mage_stac.validate import validate


@pytest.fixture(scope="module")
def made() -> Survey:
    return survey()


@pytest.fixture(scope="module")
def spec(made: Survey, tmp_path_factory: pytest.TempPathFactory) -> RenderSpec:
    root = tmp_path_factory.mktemp("real")
    item, houses = publish(root, made)
    path = item.get_self_href()
    return RenderSpec(like=path, place=(str(houses),), size_px=96, undamaged_share=0.0, intensity=80.0, seed=5)


@pytest.fixture(scope="module")
def drawn(spec: RenderSpec) -> Scenario:
    return draw(spec, 0)


def test_a_pair_lies_on_the_pixels_of_its_image(made: Survey, drawn: Scenario) -> None:
    column, row = ~made.geobox.affine @ (drawn.geobox.boundingbox.left, drawn.geobox.boundingbox.top)
    assert drawn.geobox.crs == made.geobox.crs
    assert drawn.geobox.resolution == made.geobox.resolution
    assert (column, row) == pytest.approx((round(column), round(row)), abs=1e-6)
    assert min(column, row) >= MARGIN


def test_the_light_is_the_images(drawn: Scenario) -> None:
    light = drawn.pre.scene.light
    assert abs((light.sun_azimuth - AZIMUTH + 180) % 360 - 180) < 20
    assert drawn.pre.scene.view.off_nadir == 0.0
    assert drawn.pre.scene.datetime.startswith("2020-06-01")
    assert drawn.post.scene.datetime > drawn.pre.scene.datetime


def test_damage_is_seen_within_two_years_after_the_image(spec: RenderSpec, drawn: Scenario) -> None:
    taken = int(drawn.pre.scene.datetime[:4])
    years = {int(draw(replace(spec, seed=seed), 0).post.scene.datetime[:4]) - taken for seed in range(12)}
    assert years == {1, 2}


def test_a_lean_and_a_sensor_that_are_asked_for_overrule_the_image_s(spec: RenderSpec, drawn: Scenario) -> None:
    leaning = draw(replace(spec, off_nadir=25.0, off_nadir_from=25.0, sensor="naip"), 0)
    assert leaning.pre.scene.view.off_nadir == leaning.post.scene.view.off_nadir == 25.0
    assert leaning.geobox == drawn.geobox
    assert [one.id for one in leaning.pre.scene.buildings] == [one.id for one in drawn.pre.scene.buildings]
    photo, other = drawn.pre.scene.photo, leaning.pre.scene.photo
    assert photo is not None
    assert other is not None
    assert photo.lean == other.lean == (0.0, 0.0)
    assert not drawn.pre.scene.powerlines


def test_buildings_are_the_footprints(made: Survey, drawn: Scenario) -> None:
    scene = drawn.pre.scene
    houses = shapely.union_all(list(made.houses))
    assert len(scene.buildings) >= 2
    for building in scene.buildings:
        roof = shapely.Polygon(building.footprint).buffer(building.overhang, join_style="mitre")
        there = shapely.affinity.translate(roof, *scene.origin)
        assert there.intersection(houses).area > 0.97 * there.area


def test_ground_has_no_houses_and_no_shadows(made: Survey, drawn: Scenario) -> None:
    photo = drawn.pre.scene.photo
    assert photo is not None
    west, north = drawn.pre.scene.origin[0], drawn.pre.scene.origin[1] + drawn.pre.scene.size[1]
    column, row = (round(value) for value in ~made.geobox.affine @ (west, north))
    part = (slice(row, row + photo.ground.shape[0]), slice(column, column + photo.ground.shape[1]))
    changed = made.roofs[part] | made.shaded[part]
    error = np.abs(photo.ground - made.bare[part]).mean(axis=-1) / made.bare[part].mean(axis=-1)
    assert np.median(error[changed]) < 0.2
    assert np.percentile(error[~changed], 90) < 0.1
    inside = made.roofs[part] & ~np.asarray(changed & ~made.roofs[part])
    np.testing.assert_allclose(np.median(photo.roofs[inside], axis=0), ROOF, rtol=0.08)


def test_scenes_with_photos_survive_the_disk(drawn: Scenario, tmp_path: Path) -> None:
    again = load(save(drawn.post.scene, tmp_path))
    assert again.photo is not None
    assert drawn.post.scene.photo is not None
    np.testing.assert_array_equal(again.photo.ground, drawn.post.scene.photo.ground)
    assert again.photo.light == drawn.post.scene.photo.light
    assert replace(again, photo=None, debris=None, terrain=None) == replace(
        drawn.post.scene, photo=None, debris=None, terrain=None
    )


def test_trees_of_the_image_are_not_drawn_twice(drawn: Scenario) -> None:
    assert drawn.pre.scene.trees == ()
    assert all(tree.state != "standing" for tree in drawn.post.scene.trees)


def test_the_same_spec_gives_the_same_scene(spec: RenderSpec, drawn: Scenario, tmp_path: Path) -> None:
    again = draw(replace(spec, workers=3, pairs=9), 0)
    for phase in ("pre", "post"):
        one, two = (getattr(scenario, phase).scene for scenario in (drawn, again))
        assert save(one, tmp_path / "1").read_bytes() == save(two, tmp_path / "2").read_bytes()
        arrays = [np.load(tmp_path / name / "arrays.npz") for name in "12"]
        for key in arrays[0].files:
            np.testing.assert_array_equal(arrays[0][key], arrays[1][key])


def test_the_render_before_is_the_image_and_damage_is_rendered_after(spec: RenderSpec, tmp_path: Path) -> None:
    report = synthesis.render_pairs(replace(spec, samples=4), tmp_path)
    assert report.failed == {}
    (name,) = report.made
    folder = tmp_path / "wind-pairs"
    item = catalogue.read_item(folder / f"{name}-pre")
    sources = [link for link in item.links if link.rel == "derived_from"]
    assert [Path(str(link.get_absolute_href())).stem for link in sources] == ["before"]
    grid = of_raster(folder / f"{name}-pre" / "image.tif")
    real, _ = read(likeness.opened(spec.like or "").items, grid)
    before, after = (read([catalogue.read_item(folder / f"{name}-{phase}")], grid)[0] for phase in ("pre", "post"))
    apart = 255 * np.abs(before - real).mean(axis=0)
    # Half of the pixels are lawn: three grey levels are what eight paths of light leave of noise.
    assert np.median(apart) < 3
    assert apart.mean() < 9
    grades = read([catalogue.read_item(folder / f"{name}-label")], grid, asset="damage")[0][0]
    assert set(np.unique(grades)) - {0.0}
    assert np.abs(after - before).mean() > 0.02
    assert validate(tmp_path).problems == ()
    assert "photo" in json.loads((folder / f"{name}-pre" / "scene.json").read_text())


def test_without_a_place_only_grid_light_and_view_are_the_images(spec: RenderSpec, made: Survey) -> None:
    scenario = draw(replace(spec, place=None, size_px=64), 1)
    assert scenario.pre.scene.photo is None
    assert scenario.pre.scene.buildings
    assert scenario.sources == ()
    assert scenario.geobox.crs == made.geobox.crs
    assert scenario.pre.scene.datetime.startswith("2020-06-01")


def test_an_image_that_is_too_small_says_which_size_works(spec: RenderSpec) -> None:
    with pytest.raises(
        RenderError, match=r"is 160x160 pixels of 0\.6 m, a pair needs 216x216: give a size of at most 144"
    ):
        replace(spec, size_px=200)


def test_the_only_part_within_a_collar_is_found(made: Survey, tmp_path: Path) -> None:
    item, houses = publish(tmp_path, made)
    path = Path(catalogue.asset_path(item, "image"))
    with rasterio.open(path) as source:
        image = source.read()
    collar = 11
    image[:, :collar] = image[:, -collar:] = image[:, :, :collar] = image[:, :, -collar:] = 0
    cog.write_cog(path, image, made.geobox, nodata=0)
    spec = RenderSpec(like=item.get_self_href(), place=(str(houses),), size_px=120, undamaged_share=0.0, intensity=80.0)
    for index in range(3):
        box = draw(spec, index).geobox.boundingbox
        left, top = ~made.geobox.affine @ (box.left, box.top)
        assert min(left, top) - MARGIN >= collar - 3
        assert max(left, top) + 120 + MARGIN <= 160 - collar + 3  # 0.5 % may be unseen


def test_footprints_elsewhere_are_one_line(spec: RenderSpec, tmp_path: Path) -> None:
    path = tmp_path / "far.geojson"
    path.write_text(
        json.dumps(
            {"type": "Polygon", "coordinates": [[[9, 45], [9.0002, 45], [9.0002, 45.0002], [9, 45.0002], [9, 45]]]}
        )
    )
    said = r"no footprint of .*far\.geojson \(west,south,east,north 8\.99\d*,44\.9.* lies on .* \(west,.* give those"
    with pytest.raises(MageStacError, match=said):
        draw(replace(spec, place=(str(path),)), 0)


def test_a_folder_without_images_is_one_line(tmp_path: Path, spec: RenderSpec) -> None:
    with pytest.raises(MageStacError, match=r"holds no catalog\.json"):
        replace(spec, like=str(tmp_path))


def test_burnt_trees_are_drawn_where_the_image_shows_crowns(drawn: Scenario) -> None:
    scene = drawn.post.scene
    assert scene.photo is not None
    rows, columns = scene.photo.ground.shape[:2]
    ground = np.full((rows, columns, 3), (0.06, 0.10, 0.045), np.float32)
    shade = np.random.default_rng(3).choice([0.03, 0.07], (rows, columns // 2, 1))
    ground[:, : columns // 2] = shade * np.array([0.8, 1.25, 0.75])  # a wood in the west, a lawn in the east
    before = replace(scene, photo=replace(scene.photo, ground=ground), trees=())
    wood, lawn = (Tree(x=share * scene.size[0], y=scene.size[1] / 2) for share in (0.25, 0.75))
    hit = replace(
        before, trees=(replace(wood, state="burnt"), replace(lawn, state="scorched"), replace(lawn, state="felled"))
    )
    assert [tree.state for tree in hybrid.shown(before, hit).trees] == ["burnt", "felled"]
