from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import synthetic
import unmarked
from rasterio.enums import Resampling
from rasterio.windows import Window

from mage_stac import pairs, publish, reader, stack
from mage_stac.errors import AssetError
from mage_stac.pairs import Layer, Pair
from mage_stac.reader import Reader


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    root = synthetic.write(tmp_path_factory.mktemp("blocks"), scenes=1, size=128)
    return pairs.read([root], bands=("blue", "red"), gsd=0.6)[0]


def raster(path: Path, array: np.ndarray, nodata: float | None = None) -> Layer:
    publish.write_cog(path, array, synthetic.geobox(array.shape[-1]), nodata=nodata)
    return Layer(item_id="x", path=str(path), bands=(1,), scale=0.5, offset=1.0, gsd=0.6)


def test_windows_equal_rasterio_s(pair: Pair) -> None:
    image, valid = Reader().image(pair.pre, Window(10, 20, 30, 40))
    with rasterio.open(pair.pre.path) as source:
        expected = source.read((3, 1))[:, 20:60, 10:40] / 255
    assert image.shape == (2, 40, 30)
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, expected, atol=1e-6)
    assert valid.all()


def test_nodata_and_nan_are_not_observed(tmp_path: Path) -> None:
    array = np.arange(64 * 64, dtype=np.float32).reshape(1, 64, 64)
    array[0, 3, 4] = np.nan
    layer = raster(tmp_path / "a.tif", array, nodata=5.0)
    image, valid = Reader().image(layer, Window(0, 0, 64, 64))
    assert np.argwhere(~valid).tolist() == [[0, 5], [3, 4]]
    assert image[0, 3, 4] == 0
    assert image[0, 0, 7] == 7 * 0.5 + 1


def test_another_shape_resamples(tmp_path: Path) -> None:
    layer = raster(tmp_path / "a.tif", np.full((1, 64, 64), 8.0, np.float32))
    image, valid = Reader().image(layer, Window(0, 0, 64, 64), (16, 20))
    assert image.shape == (1, 16, 20)
    assert (image == 5).all()
    assert valid.shape == (16, 20)
    assert Reader().shape(layer) == (64, 64)


def test_handles_are_few_and_not_shared_between_threads(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "OPEN_FILES", 1)
    one = Reader()

    def read(number: int) -> float:
        layer = pair.pre if number % 2 else pair.post
        return float(one.image(layer, Window(0, 0, 64, 64))[0].sum())

    with ThreadPoolExecutor(4) as pool:
        sums = list(pool.map(read, range(40)))
    assert len(set(sums)) == 2


def test_a_missing_and_a_truncated_file_are_named(pair: Pair, tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"asset 'image' of Item blocks-0-00000-pre \(.*absent\.tif\) cannot be read"):
        Reader().image(replace(pair.pre, path=str(tmp_path / "absent.tif")), Window(0, 0, 8, 8))
    noise = np.random.default_rng(0).integers(1, 255, (1, 512, 512)).astype(np.uint8)
    layer = raster(tmp_path / "cut.tif", noise)
    whole = (tmp_path / "cut.tif").read_bytes()
    (tmp_path / "cut.tif").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(AssetError, match=r"Item x .*cannot be"):
        Reader().image(layer, Window(0, 0, 512, 512))


def test_thinned_planes_leave_out_nodata_of_the_item(tmp_path: Path) -> None:
    made = unmarked.twice(tmp_path)
    plane = Reader().plane(stack.raster(made.item), slice(0, 64), slice(0, 96), (16, 24))
    expected = made.averaged(4)
    assert plane.seen is not None
    np.testing.assert_array_equal(plane.seen, ~np.isnan(expected[0]))
    np.testing.assert_allclose(plane.units()[:, plane.seen], expected[:, plane.seen], atol=0.5)  # whole numbers


@pytest.mark.parametrize("shape", [(64, 96), (48, 72)])
def test_images_leave_out_nodata_of_the_item(tmp_path: Path, shape: tuple[int, int]) -> None:
    made = unmarked.twice(tmp_path)
    layer = pairs.layer(made.item, ["b3", "b1"])
    image, valid = Reader().image(layer, Window(0, 0, 96, 64), shape)
    with rasterio.open(made.marked) as source:
        expected = source.read([3, 1], out_shape=(2, *shape), resampling=Resampling.bilinear)
    np.testing.assert_array_equal(valid, (expected != unmarked.GAP).all(axis=0))
    np.testing.assert_array_equal(image, np.where(valid, expected, 0))
