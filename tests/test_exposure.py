"""Pairs whose dates are seen by different sensors, through a stand-in for Blender."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from test_radar import block

from mage_stac import blender, catalogue, exposure, synthesis
from mage_stac.errors import RenderError
from mage_stac.imaging import Look
from mage_stac.render_spec import RenderSpec
from mage_stac.rendering import render_pair
from mage_stac.scenario import draw
from mage_stac.scene.scene import View
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
    spec = RenderSpec(size_px=64, gsd=1.0, sensor="sar-x")  # with its margins half as many pixels as the block
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
    assert (after.width, after.height) == (3 * 80, 3 * 80)
    assert after.width * after.oversample == before.width * before.oversample  # the image is no finer
    assert after.width * after.gsd == pytest.approx(before.width * before.gsd)
    dry = replace(scenario.post, scene=replace(scenario.post.scene, flood=None))
    assert ("labels" in exposure.job(spec, dry, "post").passes) == (sensor == "sar-x")


def test_a_sensor_that_cannot_be_is_refused() -> None:
    with pytest.raises(RenderError, match="clouds 2"):
        RenderSpec(clouds=2.0)
