from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from layers import geobox, stacked, waves, written
from odc.geo.geobox import GeoBox

from mage_stac import chip_pieces, whole
from mage_stac.errors import AssetError
from mage_stac.reader import Reader


def test_a_stack_is_what_its_files_hold(tmp_path: Path) -> None:
    grid = geobox((1100, 300))
    pre, post = waves(grid, bands=3), waves(grid, bands=3) + np.uint16(3)
    post[:, 500:530, 20:60] = 0
    label = np.random.default_rng(0).integers(0, 5, (1, 1100, 300)).astype(np.uint8)
    label[:, :, 290:] = 255
    found = whole.read(
        stacked(
            written(tmp_path / "a.tif", pre, grid, nodata=0),
            written(tmp_path / "b.tif", post, grid, nodata=0),
            mask=written(tmp_path / "l.tif", label, grid, nodata=255, classes=True),
        )
    )
    np.testing.assert_array_equal(found.image, np.stack([pre, post]))
    np.testing.assert_array_equal(found.mask, label[0])
    np.testing.assert_array_equal(found.valid, post[0] != 0)
    bare = whole.read(stacked(written(tmp_path / "c.tif", pre, grid)), threads=1)
    assert bare.mask is None
    assert bare.valid.all()


def test_on_another_grid_as_in_one_piece(tmp_path: Path) -> None:
    one = written(tmp_path / "a.tif", waves(geobox((600, 300))), geobox((600, 300)))
    other = GeoBox((640, 340), geobox((1, 1), x=599_905, y=5_100_105).affine, "EPSG:32631").to_crs("EPSG:32632")
    stack = stacked(one, grid=other)
    piece = chip_pieces.read(stack, slice(0, other.shape[0]), slice(0, other.shape[1]), Reader())
    found = whole.read(stack)
    np.testing.assert_allclose(found.image[0], piece.planes[0].values, atol=0.05)  # of 80: lattices differ by the strip
    assert 0.5 < found.valid.mean() < 1


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    one = written(tmp_path / "a.tif", waves(geobox((64, 64))), geobox((64, 64)))
    (tmp_path / "a.tif").unlink()
    with pytest.raises(AssetError, match="asset 'image' of Item a"):
        whole.read(stacked(one))
