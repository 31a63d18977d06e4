"""The contact sheet of a catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imagery
import numpy as np
import pytest
import rasterio
import synthetic
import unmarked
from numpy.typing import NDArray
from PIL import Image

from mage_stac import catalogue, gallery, publish, sensors
from mage_stac.classes import WATER_CLASSES, colour_table
from mage_stac.errors import CatalogueError
from mage_stac.picture import Rgb


def test_a_row_for_each_pair_up_to_the_limit(tmp_path: Path) -> None:
    synthetic.write(tmp_path / "set", scenes=3, size=64)
    out = tmp_path / "sheet.png"
    assert gallery.sheet(tmp_path / "set", out, limit=2, side=64) == 2
    with Image.open(out) as sheet:
        pixels = np.asarray(sheet.convert("RGB"))
    red = (pixels == (215, 25, 28)).all(-1)
    assert red.any()  # the colour of destroyed, from the truth column
    assert red[:, : pixels.shape[1] // 2].sum() < red[:, pixels.shape[1] // 2 :].sum()


def flooded(root: Path) -> None:
    """One pair whose label also has water: two of its quarters, one of them permanent; and which strength it had."""
    (label,) = root.glob("*/*-label/*-label.json")
    document = catalogue.read_json(label)
    water = np.zeros((64, 64), np.uint8)
    water[32:, :32], water[:32, 32:] = 1, 2
    publish.write_cog(label.with_name("water.tif"), water, synthetic.geobox(64), colours=colour_table(WATER_CLASSES))
    document["assets"]["water"] = {"href": "./water.tif", "type": "image/tiff"}
    facts = {"synthetic:hazard": "flood", "synthetic:intensity": 1.2345, "synthetic:intensity_unit": "m"}
    document["properties"] |= facts
    catalogue.write_json(label, document)


def test_the_truth_of_a_flood_shows_its_water(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synthetic.write(tmp_path / "set", scenes=1, size=64)
    flooded(tmp_path / "set")
    (truth,) = (tmp_path / "set").glob("*/*-label/damage.tif")
    with rasterio.open(truth) as source:
        bare = source.read(1) == 0
    drawn: list[Any] = []
    monkeypatch.setattr(gallery.picture, "contact_sheet", lambda *given, **_: drawn.extend(given))
    gallery.sheet(tmp_path / "set", tmp_path / "sheet.png", side=64)
    ((title, (_, _, shown)),) = drawn[1]
    assert title.endswith("flood 1.23 m")
    flood, permanent = (shown == (43, 140, 190)).all(-1), (shown == (8, 48, 107)).all(-1)
    assert (flood[32:, :32] == bare[32:, :32]).all()
    assert (permanent[:32, 32:] == bare[:32, 32:]).all()
    assert flood.sum() + permanent.sum() == bare[32:, :32].sum() + bare[:32, 32:].sum()


def test_the_legend_names_water_where_there_is_some(tmp_path: Path) -> None:
    synthetic.write(tmp_path / "set", scenes=1, size=64)
    gallery.sheet(tmp_path / "set", tmp_path / "dry.png", side=320)
    flooded(tmp_path / "set")
    gallery.sheet(tmp_path / "set", tmp_path / "wet.png", side=320)
    swatch = [
        (np.asarray(Image.open(tmp_path / name))[-26:] == (8, 48, 107)).all(-1).sum() for name in ("dry.png", "wet.png")
    ]
    assert swatch[0] == 0
    assert swatch[1] > 100


def test_what_was_not_observed_is_white(tmp_path: Path) -> None:
    image = np.full((3, 64, 64), 90, np.uint8)
    image[:, :20] = 0
    imagery.write_image(tmp_path, "i", image, imagery.box(64, 64), nodata=0)
    imagery.index(tmp_path)
    gallery.sheet(tmp_path, tmp_path / "sheet.png", side=64)
    pixels = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert (pixels[38:58, 12:76] == 255).all()
    assert (pixels[60:100, 12:76] < 255).all()


def test_a_catalogue_with_nothing_to_show_is_told(tmp_path: Path) -> None:
    synthetic.write(tmp_path, scenes=1, size=64)
    for item in tmp_path.glob("*/*/*.json"):
        item.unlink()
    with pytest.raises(CatalogueError):
        gallery.sheet(tmp_path, tmp_path / "sheet.png")


def test_a_picture_s_nodata_may_be_its_item_s_alone(tmp_path: Path) -> None:
    made = unmarked.twice(tmp_path)
    item = made.item
    item.assets["visual"] = item.assets.pop("image")
    pixels, seen = gallery._thinned(item, "visual", 24)
    expected = made.averaged(4)
    with rasterio.open(made.marked) as source:
        np.testing.assert_array_equal(seen, source.dataset_mask(out_shape=(16, 24)) > 0)
    np.testing.assert_allclose(pixels[:, seen], expected[:, seen], atol=0.5)  # whole numbers


PLEIADES, DATE = sensors.read("pleiades-neo"), "2020-06-01T10:00:00Z"


def drawn(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[Rgb]:
    """The pictures of a catalogue's one row, as they come onto the sheet."""
    rows: list[Any] = []
    synthetic.index(root)
    with monkeypatch.context() as patched:
        patched.setattr(gallery.picture, "contact_sheet", lambda _, given, **__: rows.extend(given))
        gallery.sheet(root, root / "sheet.png", side=64)
    ((_, pictures),) = rows
    return list(pictures)


def reflectances(seed: int) -> NDArray[np.uint16]:
    return np.random.default_rng(seed).integers(200, 3000, (4, 64, 64)).astype(np.uint16)


def test_both_dates_of_a_pair_share_a_stretch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = reflectances(0), reflectances(1) // 2  # darker, as under water or ash
    synthetic.write_image(tmp_path, "p", "pre", before, synthetic.geobox(64), DATE, PLEIADES)
    synthetic.write_image(tmp_path, "p", "post", after, synthetic.geobox(64), DATE, PLEIADES)
    shown = drawn(tmp_path, monkeypatch)
    at = [band - 1 for band in PLEIADES.picture()]
    low, high = np.percentile(np.stack([before, after])[:, at], (2, 98), axis=(0, 2, 3))[..., None, None]
    for picture, pixels in zip(shown, (before, after), strict=True):
        expected = ((pixels[at] - low) / (high - low)).clip(0, 1) * 255
        np.testing.assert_allclose(picture.transpose(2, 0, 1), expected, atol=0.51)  # rounded to bytes
    assert shown[1].mean() < 0.7 * shown[0].mean()


def test_each_of_two_sensors_has_its_own_stretch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    echoes = np.random.default_rng(2).integers(60, 90, (1, 64, 64)).astype(np.uint8)
    synthetic.write_image(tmp_path, "p", "pre", reflectances(0), synthetic.geobox(64), DATE, PLEIADES)
    synthetic.write_image(tmp_path, "p", "post", echoes, synthetic.geobox(64), DATE, sensors.read("sar-x"))
    for phase, picture in zip(("pre", "post"), drawn(tmp_path, monkeypatch), strict=True):
        with rasterio.open(tmp_path / synthetic.COLLECTION / f"p-{phase}" / "visual.tif") as source:
            np.testing.assert_array_equal(picture.transpose(2, 0, 1), source.read())


def test_pictures_of_bytes_are_not_stretched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = [imagery.noise(3, 64, 64, seed=seed) // (1 + seed) for seed in range(2)]
    for phase, image in zip(("pre", "post"), images, strict=True):
        synthetic.write_image(tmp_path, "p", phase, image, synthetic.geobox(64), DATE, sensors.read("aerial-rgb"))
    for picture, image in zip(drawn(tmp_path, monkeypatch), images, strict=True):
        np.testing.assert_array_equal(picture.transpose(2, 0, 1), image)
