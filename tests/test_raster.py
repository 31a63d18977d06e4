from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from imagery import box, noise, write_raster

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
