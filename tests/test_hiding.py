"""Clouds, as masks tell of them: what they hide was not observed, in arrays, lazy cubes and chips alike."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
from imagery import box, noise, write_raster
from odc.geo.geobox import GeoBox

from mage_stac import catalogue, chip_pieces, chip_table, cube, footprint, hiding, loader, publish, samplers, stack
from mage_stac.cube import Engine
from mage_stac.errors import AssetError
from mage_stac.reader import Reader

pytestmark = pytest.mark.filterwarnings(
    "ignore:Dataset has no geotransform:rasterio.errors.NotGeoreferencedWarning"  # rasterio's own copies in memory
)
CLEAR, SHADOW, CLOUD = 4, 3, 9


def observed(
    folder: Path, name: str, scl: np.ndarray, geobox: GeoBox, *, seed: int = 0
) -> tuple[pystac.Item, np.ndarray]:
    """An Item as Sentinel-2's: a band, and a scene classification of twice its pixel size."""
    rows, columns = geobox.shape
    coarse = box(rows // 2, columns // 2, x=geobox.affine.c, y=geobox.affine.f, step=geobox.affine.a * 2)
    image = noise(1, rows, columns, seed=seed).astype("uint16") * 10
    geometry, bounds = footprint.of_grid(geobox)
    item = pystac.Item(name, geometry, bounds, pystac.utils.str_to_datetime("2020-01-01"), {}, collection="c")
    for key, array, grid, dtype in (("red", image, geobox, "uint16"), ("scl", scl[None], coarse, "uint8")):
        path = write_raster(folder / f"{name}-{key}.tif", array, grid, nodata=0)
        item.add_asset(key, publish.raster_asset(str(path), title=key, geobox=grid, dtype=dtype, nodata=0))
    return item, image


@pytest.fixture
def two(tmp_path: Path) -> tuple[list[pystac.Item], np.ndarray, np.ndarray]:
    """Two Items of a place, the first cloudy in the west, the second in the south; what is seen, and where."""
    west, south = np.full((30, 40), CLEAR, np.uint8), np.full((30, 40), CLEAR, np.uint8)
    west[:, :10], west[:, 10:14] = CLOUD, SHADOW
    south[20:] = CLOUD
    first, a = observed(tmp_path, "first", west, box(60, 80))
    second, b = observed(tmp_path, "second", south, box(60, 80), seed=1)
    expected = a[0].astype(float)
    expected[:40, :28] = b[0, :40, :28]
    seen = np.ones((60, 80), bool)
    seen[40:, :28] = False
    return [first, second], expected, seen


def test_what_clouds_hide_is_seen_by_the_next_image_or_not_at_all(
    two: tuple[list[pystac.Item], np.ndarray, np.ndarray],
) -> None:
    items, expected, seen = two
    values, valid = cube.read(items, box(60, 80), asset="red", hide="scl")
    np.testing.assert_array_equal(valid, seen)
    np.testing.assert_allclose(values[0], np.where(seen, expected, 0))


@pytest.mark.parametrize("engine", ["odc", "stackstac"])
def test_lazily_the_same(two: tuple[list[pystac.Item], np.ndarray, np.ndarray], engine: Engine) -> None:
    if engine == "stackstac":
        pytest.importorskip("stackstac", reason="needs mage-stac[stackstac]")
    items, expected, seen = two
    found = cube.load(items, box(60, 80), ["red"], hide="scl", engine=engine)
    assert list(found.data_vars) == ["red"]
    assert found.red.dims == ("time", "y", "x")
    assert found.red.chunks is not None
    np.testing.assert_allclose(found.red.values[0], np.where(seen, expected, np.nan))


def test_chips_the_same(two: tuple[list[pystac.Item], np.ndarray, np.ndarray]) -> None:
    items, expected, seen = two
    table = chip_table.build([stack.on_grid([items], box(60, 80), asset="red", hide="scl")])
    assert table.seen.sum() == seen.sum()
    with closing(loader.epoch(table, samplers.grid(table, 20), edge=20, batch=4)) as stream:
        chips = [chip for batch in stream for chip in zip(*batch.values(), strict=True)]
    for image, _, valid, place, _ in chips:
        row, column = round((4_100_000 - place.affine.f) / 0.6), round((place.affine.c - 500_000) / 0.6)
        part = (slice(row, row + 20), slice(column, column + 20))
        np.testing.assert_array_equal(valid.numpy(), seen[part])
        np.testing.assert_allclose(image[0, 0].numpy(), np.where(seen, expected, 0)[part])
    (alone,) = stack.of_items(items[:1], asset="red", hide="scl")
    assert chip_table.build([alone]).seen.sum() == 60 * (80 - 28)


def test_a_mask_that_changes_makes_another_index(two: tuple[list[pystac.Item], np.ndarray, np.ndarray]) -> None:
    (one,) = stack.of_items(two[0][:1], asset="red", hide="scl")
    before = chip_table.digest([one])
    scl = Path(catalogue.asset_path(two[0][0], "scl"))
    scl.write_bytes(scl.read_bytes() + b"\0")
    assert chip_table.digest([one]) != before


FLAG, FILL = 1 << 25, 1
"""Bits of a mask: together they are no float32, which would lose FILL."""

GRIDS = {
    "its own": box(60, 80),
    "shifted by whole pixels": box(40, 50, x=500_006, y=4_099_994),
    "shifted by a part of one": box(40, 50, x=500_006.2, y=4_099_994.2),
    "of larger pixels": box(30, 40, step=1.2),
}


@pytest.fixture
def flagged(tmp_path: Path) -> pystac.Item:
    """An Item with a mask of uint32 that has FLAG everywhere and FILL in the west."""
    bits = np.full((1, 60, 80), FLAG, np.uint32)
    bits[:, :, :32] |= FILL
    made, _ = observed(tmp_path, "flagged", np.full((30, 40), CLEAR, np.uint8), box(60, 80))
    path = write_raster(tmp_path / "bits.tif", bits, box(60, 80))
    asset = publish.raster_asset(str(path), title="Bits", geobox=box(60, 80), dtype="uint32")
    asset.extra_fields["classification:bitfields"] = [{"name": "fill", "offset": 0}, {"name": "odd", "offset": 25}]
    made.add_asset("bits", asset)
    return made


def filled(geobox: GeoBox) -> np.ndarray:
    """Where FILL is, by the x of the pixels' centres."""
    x = geobox.affine.c + geobox.affine.a * (np.arange(geobox.shape[1]) + 0.5)
    return np.broadcast_to(x < 500_000 + 32 * 0.6, tuple(geobox.shape))


@pytest.mark.parametrize("geobox", GRIDS.values(), ids=GRIDS.keys())
def test_bits_beyond_24_are_kept(flagged: pystac.Item, geobox: GeoBox) -> None:
    hidden = filled(geobox)
    codes, known = cube.read([flagged], geobox, asset="bits")
    assert known.all()
    np.testing.assert_array_equal(codes[0], np.where(hidden, FLAG + FILL, FLAG))
    np.testing.assert_array_equal(cube.read([flagged], geobox, asset="red", hide="bits")[1], ~hidden)
    whole = stack.on_grid([[flagged]], geobox, asset="red", hide="bits")
    (plane,) = chip_pieces.read(whole, slice(0, geobox.shape[0]), slice(0, geobox.shape[1]), Reader()).planes
    np.testing.assert_array_equal(plane.seen, ~hidden)


@pytest.mark.parametrize("engine", ["odc", "stackstac"])
def test_lazily_bits_beyond_24_are_kept(flagged: pystac.Item, engine: Engine) -> None:
    if engine == "stackstac":
        pytest.importorskip("stackstac", reason="needs mage-stac[stackstac]")
    hidden = filled(box(60, 80))
    found = cube.load([flagged], box(60, 80), ["red", "bits"], engine=engine)
    assert list(found.data_vars) == ["red", "bits"]
    assert (found.red.dtype, found.bits.dtype) == (np.float32, np.float64)
    np.testing.assert_array_equal(found.bits.values[0], np.where(hidden, FLAG + FILL, FLAG))
    clear = cube.load([flagged], box(60, 80), ["red"], hide="bits", engine=engine)
    np.testing.assert_array_equal(np.isnan(clear.red.values[0]), hidden)


def item(key: str, **fields: Any) -> pystac.Item:
    made = pystac.Item("i", None, None, pystac.utils.str_to_datetime("2020-01-01"), {})
    made.add_asset(key, pystac.Asset("x.tif", extra_fields=fields))
    return made


def test_stated_classes_come_before_what_a_key_is_known_for() -> None:
    classes = [
        {"value": v, "name": n} for v, n in enumerate(("no_data", "clear_sky", "not_cloud", "thin cirrus", "water"))
    ]
    assert hiding.rule(item("scl", **{"classification:classes": classes}), "scl").values == (0, 3)
    rule = hiding.rule(item("mine", bands=[{"classification:classes": classes}]), "mine")
    np.testing.assert_array_equal(rule.hidden(np.arange(5.0)), [True, False, False, True, False])


def test_bits_of_landsat_by_its_items_and_by_its_key(shared: Path) -> None:
    landsat = catalogue.read_item(shared / "stac" / "items" / "LC08_L2SP_028030_20200114_20200824_02_T1_SR.json")
    told = ((0, 1, "fill"), (3, 1, "cloud"), (4, 1, "cloud_shadow"), (5, 1, "snow"), (8, 2, "cloud_confidence"))
    fields = []
    for offset, length, name in told:
        named = [{"value": 0, "name": f"not_{name}"}, {"value": 1, "name": name}]
        fields.append({"offset": offset, "length": length, "name": name, "classes": named})
    assert hiding.rule(item("qa", **{"classification:bitfields": fields}), "qa").bits == 0b11001
    assert hiding.rule(item("QA_PIXEL"), "QA_PIXEL").bits == 0b11111
    clear, cloudy = 21824, 22280  # as the Product Guide of Landsat Collection 2 lists them
    np.testing.assert_array_equal(hiding.KNOWN["qa_pixel"].hidden(np.array([clear, cloudy, 1])), [False, True, True])
    with pytest.raises(AssetError, match=r"Item LC08.* has no asset 'scl'"):
        hiding.rule(landsat, "scl")
    with pytest.raises(AssetError, match="states no class or bit that is a cloud, and is none of scl"):
        hiding.rule(item("red"), "red")
