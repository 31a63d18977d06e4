from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from imagery import box, noise, write_raster
from numpy.typing import NDArray
from rasterio.enums import Resampling
from unmarked import GAP, twice

from mage_stac import raster
from mage_stac.errors import AssetError
from mage_stac.raster import opened


def test_a_truncated_tiff_is_one_line(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", noise(3, 256, 256), box(256, 256), compress="deflate", tiled=True)
    path.write_bytes(path.read_bytes()[:100_000])
    said = r"asset 'image' of Item x \(.*a\.tif\) cannot be read"
    with pytest.raises(AssetError, match=said) as caught, opened(path, "asset 'image' of Item x") as source:
        source.read()
    assert "\n" not in str(caught.value)
    assert "previous exception" not in str(caught.value)


@pytest.mark.parametrize("content", [None, b"", b"not an image", b"II*\x00"])
def test_what_is_no_raster(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.tif"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AssetError, match=r"a\.tif cannot be read"), opened(path):
        pass


def test_a_virtual_file_in_disguise_opens_nothing(tmp_path: Path) -> None:
    secret = write_raster(tmp_path / "secret.tif", noise(1, 8, 8), box(8, 8))
    text = f"""<VRTDataset rasterXSize="8" rasterYSize="8"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>
    <SourceFilename>{secret}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"""
    (tmp_path / "image.tif").write_text(text)
    with pytest.raises(AssetError), opened(tmp_path / "image.tif"):
        pass
    with opened(tmp_path / "image.tif", trusted=True) as source:  # the same file, named by the user
        assert source.count == 1


def test_a_signature_is_not_shown() -> None:
    with pytest.raises(AssetError) as caught, opened("http://127.0.0.1:9/a.tif?sig=SECRET"):
        pass
    assert "SECRET" not in str(caught.value)


def test_marking_moves_only_what_clashes() -> None:
    values = np.zeros((2, 1, 3), "uint8")
    values[1, 0, 1] = 5
    valid = np.array([[True, True, False]])
    assert raster.marked(values, valid, 0)[:, 0].tolist() == [[1, 0, 0], [0, 5, 0]]
    full = np.full((1, 1, 1), 255, "uint8")
    assert raster.marked(full, np.array([[True]]), 255)[0, 0, 0] == 254
    floats = raster.marked(np.ones((1, 1, 2), "float32"), np.array([[True, False]]), float("nan"))
    assert np.isnan(floats[0, 0]).tolist() == [False, True]


def test_what_marks_pixels(tmp_path: Path) -> None:
    plain = write_raster(tmp_path / "plain.tif", noise(3, 8, 8), box(8, 8))
    tagged = write_raster(tmp_path / "tagged.tif", noise(3, 8, 8), box(8, 8), nodata=7)
    alpha = write_raster(tmp_path / "alpha.tif", noise(4, 8, 8), box(8, 8), photometric="RGB", alpha="YES")
    for path, value, bands in ((plain, None, 3), (tagged, 7, 3), (alpha, 0, 3)):
        with opened(path) as source:
            assert raster.marker(source) == value
            assert len(raster.data_bands(source)) == bands


def test_values_that_a_pixel_cannot_have() -> None:
    assert raster.can_hold("uint8", 255)
    assert raster.can_hold("int16", -9999)
    assert raster.can_hold("float32", float("nan"))
    for dtype, value in (("uint8", -9999), ("uint8", 0.5), ("uint8", float("nan")), ("int16", 40_000)):
        assert not raster.can_hold(dtype, value)


def averaged(path: Path, window: tuple[tuple[int, int], ...], shape: tuple[int, int], nodata: float | None) -> NDArray:
    with opened(path) as source, raster.with_nodata(source, nodata) as told:
        values: NDArray = told.read(window=window, out_shape=(told.count, *shape), resampling=Resampling.average)
    return values


@pytest.mark.parametrize("bands", [1, 3])
def test_averages_leave_out_nodata_that_the_file_does_not_state(tmp_path: Path, bands: int) -> None:
    made = twice(tmp_path, bands=bands)
    plain, whole = Path(made.item.assets["image"].href), ((0, 64), (0, 96))
    expected = made.averaged(4)
    found = averaged(plain, whole, (16, 24), GAP)
    assert (found[np.isnan(expected)] == GAP).all()
    np.testing.assert_allclose(found[~np.isnan(expected)], expected[~np.isnan(expected)], atol=0.5)  # whole numbers
    assert averaged(plain, whole, (16, 24), None).min() == GAP  # of the overview, which knows nothing of it


@settings(deadline=None, max_examples=25)
@given(
    rows=st.tuples(st.integers(0, 30), st.integers(31, 64)),
    columns=st.tuples(st.integers(0, 40), st.integers(41, 96)),
    shape=st.tuples(st.integers(1, 40), st.integers(1, 50)),
)
def test_any_window_is_read_as_of_a_file_that_states_it(
    tmp_path_factory: pytest.TempPathFactory, rows: tuple[int, int], columns: tuple[int, int], shape: tuple[int, int]
) -> None:
    made = twice(tmp_path_factory.mktemp("twice"))
    with rasterio.open(made.marked) as source:
        expected = source.read(window=(rows, columns), out_shape=(3, *shape), resampling=Resampling.average)
    found = averaged(Path(made.item.assets["image"].href), (rows, columns), shape, GAP)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")  # one has none
@pytest.mark.parametrize("transform", [box(8, 8).affine @ Affine.rotation(30), Affine.identity()])
def test_pixels_stay_in_their_place(tmp_path: Path, transform: Affine) -> None:
    profile = {"driver": "GTiff", "count": 2, "height": 30, "width": 40, "dtype": "uint8", "transform": transform}
    crs = None if transform.is_identity else "EPSG:32615"
    pixels = noise(2, 30, 40)
    pixels[:, 3:9] = 7
    with rasterio.open(tmp_path / "a.tif", "w", crs=crs, **profile) as target:
        target.write(pixels)
    with opened(tmp_path / "a.tif") as source, raster.with_nodata(source, 7) as told:
        np.testing.assert_array_equal(told.read(), pixels)
        np.testing.assert_array_equal(told.dataset_mask() > 0, (pixels != 7).any(axis=0))


def test_a_file_s_own_word_comes_first(tmp_path: Path) -> None:
    own = write_raster(tmp_path / "a.tif", noise(1, 8, 8), box(8, 8), nodata=9)
    for nodata in (7, None):
        with opened(own) as source, raster.with_nodata(source, nodata) as told:
            assert told is source
    bytes_only = write_raster(tmp_path / "b.tif", noise(1, 8, 8), box(8, 8))
    with opened(bytes_only) as source, raster.with_nodata(source, -9999) as told:
        assert told is source


@pytest.mark.parametrize(
    ("dtype", "classes", "kind"),
    [("uint16", True, "f4"), ("uint32", True, "f8"), ("int32", True, "f8"), ("uint32", False, "f4")],
)
def test_classes_leave_a_reader_unrounded(dtype: str, classes: bool, kind: str) -> None:
    found = raster.float_kind(dtype, classes=classes)
    assert found == np.dtype(kind)
    if classes:
        assert int(found.type(np.iinfo(dtype).max)) == np.iinfo(dtype).max
