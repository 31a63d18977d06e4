"""Pairs whose dates are seen by different sensors, through a stand-in for Blender."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from math import radians, tan
from pathlib import Path

import numpy as np
import pytest
import rasterio
from test_radar import SIZE, block

from mage_stac import blender, catalogue, exposure, synthesis
from mage_stac.errors import RenderError
from mage_stac.imaging import Look
from mage_stac.passes import Labels
from mage_stac.render_spec import BLUR, TOWERS, TREES, RenderSpec
from mage_stac.rendering import render_pair
from mage_stac.scenario import draw
from mage_stac.scene.scene import SEMANTIC, View
from mage_stac.validate import validate

SPEC = RenderSpec(hazard="wind", undamaged_share=0.0, seed=4, size_px=64)


@pytest.fixture
def session() -> Iterator[blender.Session]:
    command = (sys.executable, str(Path(__file__).with_name("fake_blender.py")))
    with blender.Session(command, timeout=120.0) as running:
        yield running


def read(folder: Path, name: str, key: str) -> np.ndarray:
    path = folder / f"wind-4-00000-{name}" / f"{key}.tif"
    with rasterio.open(path) as source:
        return source.read()


def made(tmp_path: Path, session: blender.Session, **change: object) -> Path:
    spec = RenderSpec(**{**SPEC.pixels(), **change})  # type: ignore[arg-type]
    render_pair(spec, 0, tmp_path / "wind-pairs", session)
    return tmp_path / "wind-pairs"


def test_before_by_light_after_by_radar(tmp_path: Path, session: blender.Session, schemas: Path) -> None:
    folder = made(tmp_path, session, post_sensor="sar-x", gsd=0.5, max_shift=0.0)
    assert read(folder, "pre", "image").shape == (3, 64, 64)
    image, classes, damage = (
        read(folder, "post", "image"),
        read(folder, "post", "radar"),
        read(folder, "label", "damage"),
    )
    assert image.shape == (1, 64, 64)
    assert set(np.unique(classes)) <= {0, 1, 2}
    assert (damage[classes == 2] == 255).all()  # the beam never saw it
    assert (damage[classes != 2] != 255).all()
    item = catalogue.read_item(folder / "wind-4-00000-post" / "wind-4-00000-post.json")
    assert item.properties["sar:polarizations"] == ["VV"]
    assert item.properties["view:incidence_angle"] == pytest.approx(38.0)
    assert not [name for name in item.properties if name.startswith("view:sun")]
    synthesis.index(tmp_path)
    assert validate(tmp_path, schemas).problems == ()


def test_layover_and_shadow_lie_where_the_image_shows_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposure.passes, "read_labels", lambda _: block(15.0))
    spec = RenderSpec(size_px=SIZE - 2 * 40, gsd=1.0, sensor="sar-x")
    assert spec.margin == 40  # so that the block's cells are pixels
    shot = draw(spec, 0).post
    scene = replace(shot.scene, view=View(off_nadir=38.0, azimuth=270.0))
    still, moved = (
        exposure.of(spec, replace(shot, scene=scene, look=Look(psf_fwhm=1.2, shift=shift)), "post", Path())
        for shift in ((0.0, 0.0), (3.0, -2.0))
    )
    assert still.radar is not None
    assert moved.radar is not None
    inner = np.s_[8:-8, 8:-8]
    np.testing.assert_array_equal(moved.radar[inner], np.roll(still.radar, (3, -2), (0, 1))[inner])
    np.testing.assert_array_equal(moved.unseen, still.unseen)  # the labels stay on the map
    decibels = moved.numbers[0] * moved.sensor.scale + moved.sensor.offset
    assert np.median(decibels[moved.radar == 2]) < np.median(decibels[moved.radar == 0]) - 6


def test_a_tower_beyond_the_edge_is_laid_over_into_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its height over the tangent of the incidence, less what lies between it and the edge."""
    spec = RenderSpec(size_px=64, gsd=1.0, sensor="sar-x", max_shift=0.0)
    inside, whole = spec.size_px, spec.size_px + 2 * spec.margin
    tall, gap = TREES, 2
    height = np.zeros((whole, whole), np.float32)
    height[20:-20, spec.margin + inside + gap :] = tall  # in the east, seen from the west
    seen = Labels(
        semantic=np.where(height > 0, SEMANTIC["building"], SEMANTIC["grass"]).astype(np.uint8),
        instance=(height > 0).astype(np.uint32),
        height=height,
        position=np.stack([0 * height, 0 * height, height], axis=-1),
        normal=np.broadcast_to(np.array([0, 0, 1], np.float32), (whole, whole, 3)),
        depth=0 * height,
    )
    monkeypatch.setattr(exposure.passes, "read_labels", lambda _: seen)
    shot = draw(spec, 0).post
    scene = replace(shot.scene, view=View(off_nadir=38.0, azimuth=270.0))
    made = exposure.of(spec, replace(shot, scene=scene, look=Look(psf_fwhm=1.2)), "post", Path())
    assert made.radar is not None
    line = made.radar[inside // 2]
    assert (line == 1).sum() == pytest.approx(tall / tan(radians(38.0)) - gap, abs=1.01)
    assert (line[line.argmax() :] == 1).all()  # up to the edge


@pytest.mark.parametrize(("sensor", "gsd", "most"), [("sentinel-1", 10.0, 10), ("sar-x", 0.5, 74), ("naip", 0.5, 8)])
def test_the_margin_holds_what_is_laid_over_and_no_more(sensor: str, gsd: float, most: int) -> None:
    spec = RenderSpec(size_px=64, gsd=gsd, sensor=sensor)
    assert 8 <= spec.margin <= most
    beam = spec.sensor_of("pre").radar
    if beam is not None:
        assert (spec.margin - spec.max_shift) * gsd > TREES / tan(radians(beam.incidence))
    mixed = replace(spec, post_sensor="sar-x")
    assert mixed.margin == RenderSpec(size_px=64, gsd=gsd, sensor="sar-x").margin


def test_a_real_place_has_room_for_towers_beside_a_radar_s_image() -> None:
    spec = RenderSpec(place=("any.gpkg",), size_px=32, gsd=1.0, sensor="sar-x")
    assert 0 <= spec.margin - spec.max_shift - BLUR - TOWERS / tan(radians(38.0)) < 1
    assert replace(spec, sensor="aerial-rgb").margin == 8


def test_both_dates_of_a_radar_look_from_one_side() -> None:
    pairs = [draw(RenderSpec(size_px=32, sensor="sentinel-1", gsd=10.0), index) for index in range(8)]
    sides = [(pair.pre.scene.view.azimuth, pair.post.scene.view.azimuth) for pair in pairs]
    assert all(before == after for before, after in sides)
    assert len({before < 180 for before, _ in sides}) == 2
    mixed = [draw(RenderSpec(size_px=32, sensor="sar-x", post_sensor="sentinel-1", gsd=10.0), i) for i in range(6)]
    assert any(pair.pre.scene.view.azimuth != pair.post.scene.view.azimuth for pair in mixed)  # two satellites


def test_a_radar_of_two_polarisations_has_a_band_for_each(tmp_path: Path, session: blender.Session) -> None:
    folder = made(tmp_path, session, sensor="sentinel-1", gsd=10.0, size_px=32)
    item = catalogue.read_item(folder / "wind-4-00000-post" / "wind-4-00000-post.json")
    assert item.properties["sar:polarizations"] == ["VV", "VH"]
    assert item.properties["sar:instrument_mode"] == "IW"
    assert [band["name"] for band in item.assets["image"].extra_fields["bands"]] == ["VV", "VH"]
    like, cross = (read(folder, "post", "image") * 0.25 - 48.0).astype(float)
    assert 4 < np.median(like) - np.median(cross) < 12  # of any ground in the table


def test_a_radar_looks_to_the_right_of_its_track() -> None:
    """Of a satellite that goes north a little west of north, or south a little west of south, at mid latitudes."""
    towards = [draw(RenderSpec(size_px=32, sensor="sentinel-1", gsd=10.0), i).pre.scene.view.azimuth for i in range(12)]
    assert len({azimuth < 180 for azimuth in towards}) == 2
    for azimuth in towards:
        heading = azimuth + 180.0 - 90.0  # what it sees lies 90 degrees to the right of where it goes
        assert min(abs((heading - way + 180.0) % 360.0 - 180.0) for way in (350.0, 190.0)) <= 12.0


def test_what_clouds_hide_is_not_observed(tmp_path: Path, session: blender.Session) -> None:
    folder = made(tmp_path, session, clouds=0.6)
    damage, water, semantic = (read(folder, "label", key) for key in ("damage", "water", "semantic"))
    hidden = {"pre": 0.0, "post": 0.0}
    for phase in hidden:
        item = catalogue.read_item(folder / f"wind-4-00000-{phase}" / f"wind-4-00000-{phase}.json")
        hidden[phase] = item.properties["eo:cloud_cover"]
    assert 100 * (water == 255).mean() == pytest.approx(hidden["post"], abs=0.05)
    assert 100 * (semantic == 255).mean() == pytest.approx(hidden["pre"], abs=0.05)
    assert ((damage == 255) == ((water == 255) | (semantic == 255))).all()


def test_infrared_sensors_have_their_bands(tmp_path: Path, session: blender.Session) -> None:
    folder = made(tmp_path, session, sensor="naip", post_sensor="sentinel-2-20m")
    assert read(folder, "pre", "image").shape[0] == 4
    post = read(folder, "post", "image")
    assert post.shape[0] == 6
    assert post.dtype == np.uint16


def test_another_sensor_changes_no_label(tmp_path: Path, session: blender.Session) -> None:
    one, other = (made(tmp_path / name, session, sensor=name) for name in ("aerial-rgb", "spot-6"))
    for key in ("damage", "semantic", "instance"):
        np.testing.assert_array_equal(read(one, "label", key), read(other, "label", key))


@pytest.mark.parametrize("sensor", ["aerial-rgb", "sentinel-2-20m", "sar-x"])
def test_after_a_flood_the_labels_say_what_shows_of_it(sensor: str) -> None:
    scenario = draw(RenderSpec(hazard="flood", undamaged_share=0.0, seed=4, size_px=64, sensor=sensor), 0)
    spec = RenderSpec(hazard="flood", size_px=64, sensor=sensor, oversample=3)
    before, after = (exposure.job(spec, getattr(scenario, phase), phase) for phase in ("pre", "post"))
    assert "labels" in after.passes
    whole = 64 + 2 * spec.margin
    assert (after.width, after.height) == (3 * whole, 3 * whole)
    assert after.width * after.oversample == before.width * before.oversample  # the image is no finer
    assert after.width * after.gsd == pytest.approx(before.width * before.gsd)
    dry = replace(scenario.post, scene=replace(scenario.post.scene, flood=None))
    assert ("labels" in exposure.job(spec, dry, "post").passes) == (sensor == "sar-x")


def test_a_sensor_that_cannot_be_is_refused() -> None:
    with pytest.raises(RenderError, match="clouds 2"):
        RenderSpec(clouds=2.0)
