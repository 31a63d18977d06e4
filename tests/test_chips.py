from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import rasterio
import synthetic
import torch
from imagery import write_raster

from mage_stac import chips, pairs, tally
from mage_stac.chips import Looks
from mage_stac.errors import AssetError, CatalogueError
from mage_stac.reader import Reader
from mage_stac.tally import ChipIndex

RGB = ("red", "green", "blue")


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic.write(tmp_path_factory.mktemp("blocks"), scenes=2, size=128)


@pytest.fixture(scope="module")
def part(blocks: Path) -> ChipIndex:
    return tally.index([blocks], bands=RGB, gsd=0.6)


def at(part: ChipIndex, *places: tally.Place, edge: int = 64) -> chips.Batch:
    return take(chips.at(part, places, edge, len(places)), 1)[0]


def take(stream: object, number: int) -> list[chips.Batch]:
    batches = list(itertools.islice(stream, number))
    stream.close()
    return batches


def test_a_batch_has_the_shapes_and_types_of_the_design(part: ChipIndex) -> None:
    (batch,) = take(chips.batches(part, edge=64, batch=5, seed=0), 1)
    assert batch["image"].shape == (5, 2, 3, 64, 64)
    assert batch["image"].dtype == torch.float32
    assert 0 <= batch["image"].min() <= batch["image"].max() <= 1
    assert batch["mask"].shape == (5, 64, 64)
    assert batch["mask"].dtype == torch.int64
    assert batch["valid"].dtype == torch.bool
    assert len(batch["geobox"]) == len(batch["item_ids"]) == 5


def test_a_chip_lies_where_its_geobox_says(part: ChipIndex) -> None:
    batch = at(part, (1, 17, 33))
    box = batch["geobox"][0]
    with rasterio.open(part.pairs[1].post.path) as source:
        window = source.window(*box.boundingbox.bbox)
        expected = source.read(window=window) / 255
    np.testing.assert_allclose(batch["image"][0, 1].numpy(), expected, atol=1e-6)
    with rasterio.open(part.pairs[1].label) as source:
        np.testing.assert_array_equal(batch["mask"][0].numpy(), source.read(1, window=window))


def test_beyond_the_scene_nothing_is_valid(part: ChipIndex) -> None:
    batch = at(part, (0, -10, 100))
    valid = batch["valid"][0].numpy()
    assert valid[10:, :28].all()
    assert not valid[:10].any()
    assert not valid[:, 28:].any()
    assert (batch["mask"][0][~batch["valid"][0]] == 255).all()
    assert batch["geobox"][0].shape == (64, 64)


def test_a_stream_can_be_taken_up_anywhere(part: ChipIndex) -> None:
    whole = take(chips.batches(part, edge=64, batch=3, seed=0), 9)
    rest = take(chips.batches(part, edge=64, batch=3, seed=0, start=5), 4)
    other = take(chips.batches(part, edge=64, batch=3, seed=1), 1)
    for ours, theirs in zip(whole[5:], rest, strict=True):
        assert torch.equal(ours["image"], theirs["image"])
        assert torch.equal(ours["mask"], theirs["mask"])
    assert not torch.equal(whole[0]["image"], other[0]["image"])


def test_the_parts_of_several_processes_make_up_the_whole_batch(part: ChipIndex) -> None:
    (whole,) = take(chips.batches(part, edge=64, batch=4, seed=0), 1)
    parts = [take(chips.batches(part, edge=64, batch=4, seed=0, shard=(rank, 2)), 1)[0] for rank in (0, 1)]
    joined = torch.stack([p["image"] for p in parts], dim=1).flatten(0, 1)
    assert torch.equal(joined, whole["image"])


def test_a_broken_file_stops_the_stream_with_its_name(tmp_path: Path) -> None:
    root = synthetic.write(tmp_path, scenes=1, size=64)
    part = tally.index([root], bands=RGB, gsd=0.6)
    Path(part.pairs[0].post.path).unlink()
    stream = chips.batches(part, edge=64, batch=2, seed=0)
    with pytest.raises(AssetError, match="Item blocks-0-00000-post"):
        next(stream)


def test_real_windows_come_along_and_do_not_change_the_chips(part: ChipIndex, blocks: Path) -> None:
    pre, post = pairs.unlabelled(blocks, bands=RGB)
    looks = Looks(pre=pre, post=post, gsd=1.2)
    (bare,) = take(chips.batches(part, edge=64, batch=2, seed=0), 1)
    (both,) = take(chips.lent(chips.batches(part, edge=64, batch=2, seed=0), looks, edge=64, batch=2, seed=0), 1)
    assert torch.equal(bare["image"], both["image"])
    assert "look" not in bare
    assert both["look"].shape == (2, 2, 3, 64, 64)
    assert both["look"].dtype == torch.float32
    assert float(both["look"].std()) > 0.01


def test_looks_with_nodata_have_the_histogram_of_what_was_observed(tmp_path: Path) -> None:
    image = np.zeros((3, 64, 64), np.uint8)
    image[:, :, :40] = np.arange(20, 60, dtype=np.uint8)
    image[2, :, :40:2] = 0  # the value that means nodata in one band only: observed
    path = write_raster(tmp_path / "image.tif", image, synthetic.geobox(64), nodata=0)
    layer = pairs.Layer(item_id="i", path=str(path), bands=(1, 2, 3), scale=1 / 255, offset=0, gsd=0.6)
    looks = Looks(pre=(layer,), post=(layer,), gsd=0.6).draw(np.random.default_rng(0), 1, 64, Reader())[0, 0]
    at = np.linspace(0, 1, 21)
    for found, band in zip(looks.numpy() * 255, image[:, :, :40], strict=True):
        np.testing.assert_allclose(np.quantile(found, at), np.quantile(band, at), atol=2)


def test_statistics_are_those_of_the_observed_pixels(part: ChipIndex) -> None:
    mean, std = chips.statistics(part, seed=0)
    pixels = []
    for pair in part.pairs:
        for path in (pair.pre.path, pair.post.path):
            with rasterio.open(path) as source:
                pixels.append(source.read().reshape(3, -1) / 255)
    exact = np.concatenate(pixels, axis=1)
    np.testing.assert_allclose(mean, exact.mean(axis=1), atol=0.01)
    np.testing.assert_allclose(std, exact.std(axis=1), atol=0.01)


def test_images_without_one_observed_pixel(tmp_path: Path) -> None:
    grid = synthetic.geobox(64)
    grey, unseen = np.full((3, 64, 64), 9, np.uint8), np.full((64, 64), 255, np.uint8)
    synthetic.write_pair(tmp_path, "p", grid, grey, grey, unseen)
    synthetic.index(tmp_path)
    with pytest.raises(CatalogueError, match="nothing was observed in any of 1 stacks"):
        tally.index([tmp_path], bands=RGB, gsd=0.6)
