from __future__ import annotations

from pathlib import Path

import pytest

from mage_stac import scenario, sensors
from mage_stac.errors import RecipeError, RenderError
from mage_stac.render_spec import RenderSpec


@pytest.mark.parametrize("name", sensors.names())
def test_every_sensor_is_whole(name: str) -> None:
    sensor = sensors.read(name)
    assert sensor.name == name
    assert sorted(band.index for band in sensor.bands) == list(range(1, len(sensor.bands) + 1))
    shown = [next(band.common_name for band in sensor.bands if band.index == index) for index in sensor.picture()]
    assert shown == (["red", "green", "blue"] if sensor.radar is None else [None] * 3)
    assert 0 < sensor.gsd <= 20


def test_the_sensors_that_others_count_on() -> None:
    assert {"aerial-rgb", "naip", "sentinel-2"} <= set(sensors.names())
    assert sensors.read("aerial-rgb").scale == pytest.approx(1 / 255)


def test_an_unknown_sensor_lists_those_that_exist() -> None:
    with pytest.raises(RecipeError, match="aerial-rgb, bd-ortho, drone, naip, pleiades-neo, sar-x"):
        sensors.read("hubble")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("gsd = -1", "gsd = -1"),
        ("gsd = 1\nfoo = 2", "foo"),
        ("gsd = 1\ndtype = 'int64'", "dtype"),
        ("gsd = ", "TOML"),
        ("", "gsd"),
    ],
)
def test_a_wrong_file_names_field_and_value(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f"name = 'mine'\ntitle = 'Mine'\nbands = [{{ name = 'a' }}]\n{line}\n")
    with pytest.raises(RecipeError, match=said) as caught:
        sensors.read(str(path))
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_file_that_is_no_text_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_bytes('title = "Caméra"'.encode("latin-1"))
    with pytest.raises(RecipeError, match=r"sensor file .*own\.toml is not UTF-8 text"):
        sensors.read(str(path))
    with pytest.raises(RecipeError, match=r"sensor file none\.toml cannot be read: No such file"):
        sensors.read("none.toml")


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("name = 'mine'\ntitle = 'Mine'\ngsd = 1\nbands = [{ name = 'a' }]\n")
    assert sensors.read(str(path)).picture() == (1, 1, 1)
    with pytest.raises(RecipeError, match=r"other\.toml cannot be read"):
        sensors.read(str(tmp_path / "other.toml"))


def test_a_radar_has_a_band_for_each_polarisation(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    beam = "[radar]\nincidence = 38\nlooks = 4\npolarizations = ['VV', 'VH']\n"
    path.write_text(f"name = 'mine'\ntitle = 'Mine'\ngsd = 1\nbands = [{{ name = 'VV' }}]\n{beam}")
    with pytest.raises(RecipeError, match=r"mine\.toml: 2 radar\.polarizations for 1 bands: give one for each$"):
        sensors.read(str(path))


def test_a_radar_of_unknown_backscatter_is_refused_before_anything_is_rendered(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    beam = "[radar]\nincidence = 38\nlooks = 4\nfrequency_band = 'X'\npolarizations = ['VH']\n"
    path.write_text(f"name = 'mine'\ntitle = 'Mine'\ngsd = 1\nbands = [{{ name = 'VH' }}]\n{beam}")
    with pytest.raises(RenderError, match="no backscatter of VH in X band"):
        scenario.check(RenderSpec(sensor=str(path)))
