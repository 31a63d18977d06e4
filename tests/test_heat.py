from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from PIL import Image

from mage_stac.products import heat, units

GRID = GeoBox((200, 300), Affine(1.0, 0, 500_000, 0, -1.0, 4_100_000), "EPSG:32615")


def test_a_grid_is_a_pixel_a_cell(tmp_path: Path) -> None:
    made = units.of_grid(50, GRID)
    geobox = heat.grid_of(made, tuple(made.frame.total_bounds))
    assert geobox.shape == (4, 6)
    drawn = heat.drawn(made, np.stack([np.arange(24.0), np.arange(24.0) / 24]), geobox)
    assert drawn[0].ravel().tolist() == list(range(24))  # cells are listed row by row from the north
    heat.write(tmp_path, drawn, geobox)
    with rasterio.open(tmp_path / "heat.tif") as source:
        assert (source.count, source.res, source.descriptions) == (2, (50, 50), heat.BANDS)
        assert np.array_equal(source.read(), drawn)
    with Image.open(tmp_path / "thumbnail.png") as thumbnail:
        assert thumbnail.size == (512, 341)


def test_other_units_are_drawn_where_they_lie_and_the_rest_is_unseen() -> None:
    triangle = shapely.Polygon([(500_000, 4_099_800), (500_300, 4_099_800), (500_000, 4_100_000)])
    frame = gpd.GeoDataFrame({"unit_id": ["t"], "name": ["t"]}, geometry=[triangle], crs="EPSG:32615")
    made = units.Units(frame=frame, kind="units-t", title="t")
    geobox = heat.grid_of(made, GRID.boundingbox.bbox)
    drawn = heat.drawn(made, np.array([[7.0], [0.5]]), geobox)
    assert max(geobox.shape) == heat.SIDE
    assert abs(np.isfinite(drawn[0]).mean() - 0.5) < 0.01
    assert drawn[0, -1, 0] == 7
    assert np.isnan(drawn[0, 0, -1])


def test_colours_tell_none_from_some_from_unseen() -> None:
    drawn = heat.coloured(np.array([[0, 1, 100, np.nan]], np.float32))
    none, some, most, unseen = drawn[:, 0].T.tolist()
    assert (none, most, unseen) == ([64, 64, 64], [103, 0, 13], [255, 255, 255])
    assert some[0] > 240
    assert (heat.coloured(np.zeros((1, 1), np.float32)).ravel() == 64).all()
