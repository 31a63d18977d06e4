from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from imagery import box, noise, write_raster
from PIL import Image

from mage_stac import quicklook, sensors
from mage_stac.classes import DAMAGE_CLASSES, rgb
from mage_stac.cog import write_cog


def test_a_picture_stays_as_it_is(tmp_path: Path) -> None:
    image = noise(3, 300, 200)
    write_raster(tmp_path / "image.tif", image, box(300, 200))
    assert quicklook.make_pictures(tmp_path / "image.tif", sensors.read("aerial-rgb"), tmp_path) is None
    with rasterio.open(tmp_path / "visual.tif") as source:
        assert (source.read() == image).all()
        assert source.nodata is None
        assert source.transform == box(300, 200).affine
    with Image.open(tmp_path / "thumbnail.png") as thumbnail:
        assert (thumbnail.mode, thumbnail.size) == ("RGB", (200, 300))
        assert (np.moveaxis(np.asarray(thumbnail), -1, 0) == image).all()


def test_what_was_not_observed_is_transparent_and_black_stays_seen(tmp_path: Path) -> None:
    image = noise(3, 60, 50)
    image[:, :10] = 0
    image[:, 20, 20] = (0, 0, 9)
    write_raster(tmp_path / "image.tif", image, box(60, 50), nodata=0)
    assert quicklook.make_pictures(tmp_path / "image.tif", sensors.read("aerial-rgb"), tmp_path) == 0
    with rasterio.open(tmp_path / "visual.tif") as source:
        back = source.read()
        assert (source.dataset_mask()[:10] == 0).all()
        assert (source.dataset_mask()[10:] > 0).all()
    assert (back[:, 10:] == np.maximum(image[:, 10:], 1)).all()
    with Image.open(tmp_path / "thumbnail.png") as thumbnail:
        alpha = np.asarray(thumbnail)[..., 3]
    assert (alpha[:10] == 0).all()
    assert (alpha[10:] == 255).all()


def test_reflectance_is_stretched(tmp_path: Path) -> None:
    ramp = np.linspace(1000, 4000, 64 * 64).reshape(1, 64, 64).repeat(4, axis=0).astype("uint16")
    ramp[0] += 500
    write_raster(tmp_path / "image.tif", ramp, box(64, 64, step=10), nodata=0)
    quicklook.make_pictures(tmp_path / "image.tif", sensors.read("sentinel-2"), tmp_path)
    with rasterio.open(tmp_path / "visual.tif") as source:
        back = source.read().astype(float)
    assert back.shape == (3, 64, 64)
    assert (back.min(), back.max()) == (1, 255)
    low, high = np.percentile(ramp[1], (2, 98))
    expected = np.clip((ramp[1].astype(float) - low) / (high - low), 0, 1) * 255
    assert np.abs(back[1] - expected).max() <= 1


def test_a_large_image_has_a_small_thumbnail(tmp_path: Path) -> None:
    write_raster(tmp_path / "image.tif", noise(3, 1300, 700), box(1300, 700))
    quicklook.make_pictures(tmp_path / "image.tif", sensors.read("aerial-rgb"), tmp_path)
    with Image.open(tmp_path / "thumbnail.png") as thumbnail:
        assert thumbnail.size == (276, 512)


def test_floats_with_holes() -> None:
    values = np.full((3, 4, 4), 0.5, "float32")
    values[:, 0, 0] = np.nan
    valid = ~np.isnan(values[0])
    made = quicklook.picture(values, valid, (np.zeros(3), np.ones(3)), 0)
    assert made[0, 0, 0] == 0
    assert (made[:, 1:] == 128).all()


def test_classes_are_drawn_in_their_colours_and_nowhere_where_unseen(tmp_path: Path) -> None:
    classes = np.array([[0, 1, 2], [3, 4, 255]], np.uint8)
    geobox = box(2, 3)
    write_cog(tmp_path / "damage.tif", classes, geobox, nodata=255)
    quicklook.draw_classes(tmp_path / "damage.tif", DAMAGE_CLASSES, tmp_path)
    with rasterio.open(tmp_path / "visual.tif") as source:
        drawn = source.read()
        assert source.transform == geobox.affine
    small = np.asarray(Image.open(tmp_path / "thumbnail.png"))
    for entry in DAMAGE_CLASSES:
        assert (rgb(entry.colour) == drawn[:, classes == entry.value].T).all()
        assert (small[classes == entry.value] == (*rgb(entry.colour), 0 if entry.nodata else 255)).all()
