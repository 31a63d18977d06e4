"""A catalogue as torchgeo 0.8 asks for its datasets; checked by hand with torchgeo's own samplers and GeoDataModule."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pystac
import pytest
import rasterio
import torch
from imagery import box, noise, smooth, write_image, write_raster
from torch.utils.data import DataLoader

from mage_stac import catalogue, publish
from mage_stac.errors import AssetError, CatalogueError, GridError
from mage_stac.geo_dataset import Query, Sample, StacDataset


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> list[pystac.Item]:
    """Two neighbours of two dates, each with a label."""
    root = tmp_path_factory.mktemp("tiles")
    items = []
    for name, x, year in (("west", 500_000, 2019), ("east", 500_000 + 0.6 * 80, 2021)):
        image = noise(3, 100, 80, seed=year)
        image[:, :10, :5] = 0
        item = write_image(root, name, image, box(100, 80, x=x), nodata=0)
        grades = np.full((1, 100, 80), year % 5, np.uint8)
        path = write_raster(root / f"{name}-label.tif", grades, box(100, 80, x=x), nodata=255)
        label = publish.raster_asset(str(path), title="l", geobox=box(100, 80, x=x), dtype="uint8", nodata=255)
        item.add_asset("damage", label)
        item.datetime = pystac.utils.str_to_datetime(f"{year}-06-01T00:00:00Z")
        item.properties["datetime"] = f"{year}-06-01T00:00:00Z"
        items.append(item)
    return items


def windows(data: StacDataset, size: int) -> Iterator[Query]:
    """As torchgeo's GridGeoSampler makes them: from `index` and `res` alone."""
    for geometry, time in zip(data.index.geometry, data.index.index, strict=True):
        west, south, east, north = geometry.bounds
        across, down = size * data.res[0], size * data.res[1]
        for y in np.arange(south, north - down + 1e-6, down):
            for x in np.arange(west, east - across + 1e-6, across):
                yield slice(x, x + across), slice(y, y + down), slice(time.left, time.right)


def stacked(samples: Sequence[Sample]) -> Sample:
    """As torchgeo's stack_samples does."""
    joined: Sample = {key: [sample[key] for sample in samples] for key in samples[0]}
    return {key: torch.stack(each) if torch.is_tensor(each[0]) else each for key, each in joined.items()}


def test_samples_are_the_files_pixels_where_torchgeo_asks(tiles: list[pystac.Item]) -> None:
    data = StacDataset(tiles, mask="damage")
    assert data.crs.to_epsg() == 32615
    assert data.res == pytest.approx((0.6, 0.6))
    queries = list(windows(data, 20))
    assert len(queries) == 2 * 5 * 4
    for query in queries:
        sample = data[query]
        x, y, time = query
        (item,) = (one for one in tiles if pd.Timestamp(one.datetime).tz_convert(None) == time.start)
        with rasterio.open(catalogue.asset_path(item, "image")) as source:
            expected = source.read(window=source.window(x.start, y.start, x.stop, y.stop).round())
        np.testing.assert_allclose(sample["image"].numpy() * 255, expected, atol=1e-3)
        np.testing.assert_array_equal(sample["valid"].numpy(), (expected != 0).any(axis=0))
        seen = sample["mask"][sample["valid"]]
        assert (seen == int(time.start.year) % 5).all()
        assert sample["bounds"] == query
        assert sample["crs"] == data.crs
    assert sample["image"].shape == (3, 20, 20)
    assert (sample["image"].dtype, sample["mask"].dtype) == (torch.float32, torch.int64)


def test_bounds_and_index_are_as_torchgeo_has_them(tiles: list[pystac.Item]) -> None:
    data = StacDataset(tiles)
    x, y, time = data.bounds
    assert (x.start, x.stop, x.step) == pytest.approx((500_000, 500_096, 0.6))
    assert (y.start, y.stop, y.step) == pytest.approx((4_099_940, 4_100_000, 0.6))
    assert (str(time.start.date()), str(time.stop.date())) == ("2019-06-01", "2021-06-01")
    assert len(data) == len(data.index) == 2
    assert data.index.index.closed == "both"
    assert data.index.crs == data.crs
    assert set(data.index.filepath) == {catalogue.asset_path(one, "image") for one in tiles}


def test_a_date_without_a_zone_is_utc(tiles: list[pystac.Item]) -> None:
    item = tiles[0].clone()
    item.properties["datetime"] = "2019-06-01T00:00:00"
    assert StacDataset([item]).index.index.equals(StacDataset([tiles[0]]).index.index)


def test_open_parts_and_times(tiles: list[pystac.Item]) -> None:
    data = StacDataset(tiles)
    whole = data[slice(None), slice(None), slice(None)]
    assert whole["image"].shape == (3, 100, 160)
    assert "mask" not in whole
    early = data[:, :, : pd.Timestamp("2020-01-01")]
    assert early["valid"][:, :80].float().mean() > 0.9
    assert not early["valid"][:, 80:].any()
    assert data[500_000:500_012]["image"].shape == (3, 100, 20)
    with pytest.raises(IndexError, match="not found in index with bounds"):
        data[0:10, 0:10]
    with pytest.raises(IndexError, match="has none"):
        data[500_000:500_000.1]


def test_another_crs_and_resolution(tiles: list[pystac.Item], tmp_path: Path) -> None:
    item = write_image(tmp_path, "a", smooth(100, 80), box(100, 80))
    data = StacDataset([item], crs="EPSG:32614", res=1.2, bands=["green"])
    x, y, _ = data.bounds
    middle = (x.start + x.stop) / 2, (y.start + y.stop) / 2
    sample = data[middle[0] - 12 : middle[0] + 12, middle[1] - 12 : middle[1] + 12]
    assert sample["image"].shape == (1, 20, 20)
    assert sample["valid"].all()
    assert sample["image"].mean() * 255 == pytest.approx(smooth(100, 80)[1, 30:70, 20:60].mean(), abs=8)
    assert data.crs.to_epsg() == 32614
    assert StacDataset(tiles, res=(1.2, 2.4)).res == (1.2, 2.4)


def test_in_a_data_loader_with_a_process_of_its_own(tiles: list[pystac.Item]) -> None:
    def doubled(sample: Sample) -> Sample:
        return {**sample, "image": sample["image"] * 2}

    data = StacDataset(tiles, transforms=doubled)
    data[slice(None), slice(None), slice(None)]  # files are open before the fork
    queries: Any = list(windows(data, 20))
    loader = DataLoader(data, batch_size=8, sampler=queries, collate_fn=stacked, num_workers=1)
    batches = list(loader)
    assert sum(len(batch["image"]) for batch in batches) == 40
    assert batches[0]["image"].max() > 1
    copy = pickle.loads(pickle.dumps(StacDataset(tiles)))  # noqa: S301 - our own
    assert torch.equal(copy[queries[0]]["image"] * 2, data[queries[0]]["image"])


def test_splits(tiles: list[pystac.Item]) -> None:
    west, east = (item.clone() for item in tiles)
    west.properties["ml-aoi:split"] = "validate"
    assert list(StacDataset([west, east], split="val").index["item"]) == ["west", "east"]
    assert list(StacDataset([west, east], split="train").index["item"]) == ["east"]


def test_bad_input(tiles: list[pystac.Item], tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="no Items for split=None"):
        StacDataset([])
    with pytest.raises(CatalogueError, match="does not exist"):
        StacDataset(tmp_path / "nowhere")
    with pytest.raises(AssetError, match="lacks band nir"):
        StacDataset(tiles, bands=["nir"])
    with pytest.raises(GridError, match="resolution 0 is not positive"):
        StacDataset(tiles, res=0)
