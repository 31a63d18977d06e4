from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from imagery import box, noise, write_raster
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from shapely.geometry import shape

from mage_stac import footprint
from mage_stac.errors import AssetError


def test_the_border_of_a_grid_against_pyproj() -> None:
    geobox = box(1000, 2000)
    geometry, bbox = footprint.of_grid(geobox)
    polygon = shape(geometry)
    project = Transformer.from_crs("EPSG:32615", "EPSG:4326", always_xy=True)
    left, bottom, right, top = geobox.boundingbox.bbox
    edge = np.linspace(0, 1, 500)
    x = np.r_[left + edge * (right - left), np.full(500, right), right - edge * (right - left), np.full(500, left)]
    y = np.r_[np.full(500, top), top - edge * (top - bottom), np.full(500, bottom), bottom + edge * (top - bottom)]
    oracle = shapely.Polygon(np.c_[project.transform(x, y)])
    assert shapely.hausdorff_distance(polygon, oracle) < 3e-7
    assert bbox == pytest.approx(oracle.bounds, abs=3e-7)
    assert polygon.exterior.is_ccw
    assert polygon.is_valid


def test_across_the_antimeridian() -> None:
    geobox = GeoBox((100, 100), Affine(100, 0, 815_000, 0, -100, 10_000_000 - 1_900_000), "EPSG:32760")
    geometry, (west, south, east, north) = footprint.of_grid(geobox)
    assert geometry["type"] == "MultiPolygon"
    assert 179 < west < 180
    assert -180 < east < -179
    assert south < north
    assert shape(geometry).area < 0.1


def test_only_what_was_observed(tmp_path: Path) -> None:
    image = noise(3, 300, 400)
    image[:, :, :100] = 0
    path = write_raster(tmp_path / "a.tif", image, box(300, 400), nodata=0)
    with rasterio.open(path) as source:
        geometry, _ = footprint.of_valid(source, box(300, 400))
    whole = shape(footprint.of_grid(box(300, 400))[0])
    assert shape(geometry).area == pytest.approx(0.75 * whole.area, rel=1e-3)
    expected = shape(footprint.of_grid(box(300, 300, x=500_060))[0])
    assert shapely.hausdorff_distance(shape(geometry), expected) < 1e-6


def test_a_large_mask_is_thinned(tmp_path: Path) -> None:
    image = noise(1, 1500, 1200)
    image[:, 1000:] = 0
    path = write_raster(tmp_path / "a.tif", image, box(1500, 1200), nodata=0)
    with rasterio.open(path) as source:
        geometry, _ = footprint.of_valid(source, box(1500, 1200))
    assert shape(geometry).area == pytest.approx(2 / 3 * shape(footprint.of_grid(box(1500, 1200))[0]).area, rel=5e-3)


def test_nothing_observed(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", np.zeros((1, 8, 8), "uint8"), box(8, 8), nodata=0)
    with rasterio.open(path) as source, pytest.raises(AssetError, match="no valid pixel"):
        footprint.of_valid(source, box(8, 8))
