from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from pyproj import Transformer
from test_sources import grid

from mage_stac.errors import PlaceError
from mage_stac.scene import features, reading, relief, site, sources
from mage_stac.scene.relief import Relief
from mage_stac.scene.site import Site

NOTHING = features.join("contour", [])
CRS = site.metric("EPSG:32632")


def plane_raster(path: Path, *, size: int = 60, hole: bool = False) -> Path:
    """2 m pixels from (500000, 5000100) south-east; height = 0.1 east - 0.05 south + 200."""
    rows, columns = np.mgrid[0:size, 0:size]
    values = (200 + 0.1 * 2 * (columns + 0.5) - 0.05 * 2 * (rows + 0.5)).astype(np.float32)
    if hole:
        values[20:26, 20:26] = -9999
    return grid(path, values, nodata=-9999.0)


def at(west: float, south: float, side: float = 40.0) -> Site:
    return Site(crs=CRS, bounds=(west, south, west + side, south + side))


def test_a_plane_stays_a_plane(tmp_path: Path) -> None:
    given = sources.identify([f"terrain={plane_raster(tmp_path / 'a.tif')}"])
    found = relief.terrain(given, at(500030, 5000020), NOTHING)
    assert found is not None
    rows, columns = found.heights.shape
    x = 30 + (np.arange(columns) + 0.5) * found.step[0]
    y = 20 + 40 - (np.arange(rows) + 0.5) * found.step[1]
    assert np.allclose(found.heights, 200 + 0.1 * x - 0.05 * (100 - y)[:, None], atol=0.02)
    points = np.array([[500040.0, 5000030.0], [500055.5, 5000044.25]])
    assert np.allclose(
        found.sample(points), 200 + 0.1 * (points[:, 0] - 5e5) - 0.05 * (5000100 - points[:, 1]), atol=0.02
    )


def test_voids_are_filled_and_told(tmp_path: Path) -> None:
    given = sources.identify([f"terrain={plane_raster(tmp_path / 'a.tif', hole=True)}"])
    found = relief.terrain(given, at(500030, 5000020), NOTHING)
    assert found is not None
    assert np.isfinite(found.heights).all()
    rows, columns = found.heights.shape
    x, y = 30 + (np.arange(columns) + 0.5) * 2, 60 - (np.arange(rows) + 0.5) * 2
    assert np.abs(found.heights - (200 + 0.1 * x - 0.05 * (100 - y)[:, None])).max() < 0.7
    assert "are voids of a.tif, filled from around them" in found.notes[0]


def test_a_model_smaller_than_the_place(tmp_path: Path) -> None:
    given = sources.identify([f"terrain={plane_raster(tmp_path / 'a.tif')}"])
    with pytest.raises(PlaceError, match=r"a\.tif covers 50% of the place: choose a bbox within 9\.0"):
        relief.terrain(given, at(499980, 5000020), NOTHING)


def test_a_model_of_voids(tmp_path: Path) -> None:
    path = grid(tmp_path / "a.tif", np.full((60, 60), -9999, np.float32), nodata=-9999.0)
    with pytest.raises(PlaceError, match="no values for 100% of the place"):
        relief.terrain(sources.identify([f"terrain={path}"]), at(500030, 5000020), NOTHING)


def test_a_model_without_crs(tmp_path: Path) -> None:
    path = grid(tmp_path / "a.tif", np.zeros((60, 60), np.float32), crs=None)
    with pytest.raises(PlaceError, match=r"a\.tif has no CRS"):
        relief.terrain(sources.identify([f"terrain={path}"]), at(500030, 5000020), NOTHING)


def test_an_asc_file_takes_the_crs_of_its_map(tmp_path: Path) -> None:
    head = "ncols 30\nnrows 30\nxllcorner 700000\nyllcorner 6600000\ncellsize 5\nnodata_value -99999\n"
    name = "RGEALTI_FXX_0700_6600_MNT_LAMB93_IGN69.asc"
    (tmp_path / name).write_text(head + ("123.5 " * 30 + "\n") * 30)
    lambert = Site(crs=site.metric("EPSG:2154"), bounds=(700020.0, 6600020.0, 700080.0, 6600080.0))
    found = relief.terrain(sources.identify([tmp_path / name]), lambert, NOTHING)
    assert found is not None
    assert np.allclose(found.heights, 123.5)


def test_contours_make_a_slope() -> None:
    lines = [shapely.LineString([(500000 + 50 * i, 4999900), (500000 + 50 * i, 5000200)]) for i in range(5)]
    table = reading.blank(5)
    table.numbers["elevation"][:] = 10.0 * np.arange(5)
    spots = features.Features(role="contour", geometry=np.array(lines, dtype=object), table=table)
    found = relief.terrain((), at(500060, 5000020), spots)
    assert found is not None
    assert np.allclose(found.sample(np.array([[500080.0, 5000040.0]])), 16.0, atol=0.1)


def test_heights_above_ground_by_footprint() -> None:
    heights = np.zeros((50, 50), np.float32)
    heights[10:20, 10:30] = 7.0
    heights[:, 40:] = np.nan
    above = Relief(heights=heights, at=at(0, 0, 100.0))
    boxes = [
        shapely.box(20, 60, 60, 80),
        shapely.box(5, 5, 15, 15),
        shapely.box(85, 10, 95, 20),
        shapely.box(200, 0, 210, 9),
    ]
    found = relief.medians(above, np.array(boxes, dtype=object))
    assert found[:2].tolist() == [7.0, 0.0]
    assert np.isnan(found[2:]).all()
    assert relief.medians(above, np.array([], dtype=object)).shape == (0,)


def test_alexandria_terrain_against_rasterio(shared: Path) -> None:
    folder = shared / "twins/alexandria"
    where = Site(crs=site.metric("EPSG:26918"), bounds=(321700.0, 4297700.0, 321900.0, 4297900.0))
    given = sources.identify([folder])
    found = relief.terrain(given, where, NOTHING)
    assert found is not None
    points = np.random.default_rng(0).uniform((321710, 4297710), (321890, 4297890), (200, 2))
    with rasterio.open(folder / "dtm.tif") as dataset:
        own = np.array([value[0] for value in dataset.sample(points)])
    known = own > -9999
    assert np.abs(found.sample(points)[known] - own[known]).mean() < 0.1
    above = relief.above_ground(given, where, found)
    assert above is not None
    with rasterio.open(folder / "hag.tif") as dataset:
        truth = np.array([value[0] for value in dataset.sample(points)])
    assert np.nanmedian(np.abs(above.sample(points) - truth)[truth > -9999]) < 0.15


def test_zion_terrain_is_warped_from_degrees(shared: Path) -> None:
    crs = site.metric("EPSG:32612")
    where = Site(crs=crs, bounds=(321000.0, 4117000.0, 322000.0, 4118000.0))
    found = relief.terrain(sources.identify([shared / "twins/zion/srtm.tif"]), where, NOTHING)
    assert found is not None
    points = np.random.default_rng(0).uniform((321100, 4117100), (321900, 4117900), (100, 2))
    lonlat = np.stack(Transformer.from_crs(crs, 4326, always_xy=True).transform(*points.T), axis=1)
    with rasterio.open(shared / "twins/zion/srtm.tif") as dataset:
        own = np.array([value[0] for value in dataset.sample(lonlat)], dtype=float)
    difference = found.sample(points) - own
    # Between pixels 90 m apart on slopes of half a metre a metre, nearest pixel and spline differ by metres.
    assert abs(difference.mean()) < 5
    assert np.abs(difference).max() < 60
