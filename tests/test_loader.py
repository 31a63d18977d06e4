from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from layers import geobox, raster, stacked, waves, written

from mage_stac import chip_table, loader, samplers
from mage_stac.chip_table import ChipTable
from mage_stac.errors import AssetError, CatalogueError, GridError
from mage_stac.loader import Access
from mage_stac.samplers import Sampling


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stacks")


@pytest.fixture(scope="module")
def table(folder: Path) -> ChipTable:
    """Three labelled stacks of two dates; the second is observed on its right half only."""
    stacks = []
    for number in range(3):
        grid = geobox((192, 160), x=600_000 + 10_000 * number)
        pre, post = waves(grid, bands=2), waves(grid, bands=2) + np.uint16(5)
        if number == 1:
            post[:, :, :80] = 0
        label = np.random.default_rng(number).integers(0, 3, (1, *grid.shape)).astype(np.uint8)
        label[:, :20] = 255
        name = f"s{number}"
        stacks.append(
            stacked(
                written(folder / f"{name}-pre.tif", pre, grid, nodata=0),
                written(folder / f"{name}-post.tif", post, grid, nodata=0),
                mask=written(folder / f"{name}-label.tif", label, grid, nodata=255, classes=True),
                name=name,
            )
        )
    return chip_table.build(stacks)


def take(stream: Iterator[loader.Batch], number: int) -> list[loader.Batch]:
    with closing(stream):
        return list(itertools.islice(stream, number))


@pytest.mark.parametrize("reuse", [1, 6])
def test_chips_are_the_file_s_pixels_at_their_geobox(table: ChipTable, folder: Path, reuse: int) -> None:
    sampling = Sampling(kind="balanced", reuse=reuse, span=128)
    for batch in take(loader.batches(table, edge=48, batch=7, seed=0, sampling=sampling), 3):
        assert batch["image"].shape == (7, 2, 2, 48, 48)
        assert batch["image"].dtype == torch.float32
        assert batch["mask"].dtype == torch.int64
        for image, mask, valid, box, name in zip(*batch.values(), strict=True):
            for date, phase in enumerate(("pre", "post")):
                with rasterio.open(folder / f"{name}-{phase}.tif") as source:
                    expected = source.read(window=source.window(*box.boundingbox.bbox))
                np.testing.assert_array_equal(image[date].numpy(), expected)
            with rasterio.open(folder / f"{name}-label.tif") as source:
                label = source.read(1, window=source.window(*box.boundingbox.bbox))
            np.testing.assert_array_equal(mask.numpy(), label)
            assert torch.equal(valid, (image.sum(dim=1) > 0).all(dim=0))
            assert valid.any()


def test_the_index_knows_what_was_observed(table: ChipTable) -> None:
    seen = [table.seen[table.cells[:, 0] == number].sum() for number in range(3)]
    assert seen == [172 * 160, 172 * 80, 172 * 160]
    assert table.classes == (0, 1, 2)
    assert table.counts.sum(axis=1).tolist() == table.seen.tolist()
    assert ((table.spots >= table.cells[:, 1:]) & (table.spots < table.cells[:, 1:] + chip_table.CELL)).all()
    assert (table.spots[:, 0] >= 20).all()
    assert (table.spots[table.cells[:, 0] == 1, 1] >= 80).all()


def test_the_same_seed_gives_the_same_batches_whatever_the_threads(table: ChipTable) -> None:
    first, same = (take(loader.batches(table, edge=48, batch=40, seed=5, access=Access(threads=n)), 8) for n in (1, 4))
    (other,) = take(loader.batches(table, edge=48, batch=40, seed=6), 1)
    for ours, theirs in zip(first, same, strict=True):
        assert torch.equal(ours["image"], theirs["image"])
        assert ours["item_ids"] == theirs["item_ids"]
    assert not torch.equal(first[0]["image"], other["image"])


def test_a_batch_that_is_held_is_not_written_over(table: ChipTable) -> None:
    with closing(loader.batches(table, edge=48, batch=100, seed=0)) as stream:
        held = next(stream)["image"][3]
        copy = held.clone()
        pointers = {next(stream)["image"].data_ptr() for _ in range(30)}
    assert torch.equal(held, copy)
    assert held.data_ptr() not in pointers
    assert len(pointers) < 15


def test_an_epoch_gives_every_chip_once(table: ChipTable) -> None:
    places = samplers.grid(table, 48)
    found = take(loader.epoch(table, places, edge=48, batch=5), 1000)
    assert [len(batch["image"]) for batch in found] == [5] * (len(places) // 5) + [len(places) % 5] * (
        len(places) % 5 > 0
    )
    boxes = [box for batch in found for box in batch["geobox"]]
    assert len({(box.affine.c, box.affine.f) for box in boxes}) == len(places)
    assert all(batch["valid"].flatten(1).any(dim=1).all() for batch in found)


def test_a_file_that_breaks_in_mid_epoch_costs_its_own_chips_only(tmp_path: Path) -> None:
    grids = [geobox((128, 128), x=600_000 + 10_000 * n) for n in range(3)]
    noise = np.random.default_rng(0).integers(1, 9000, (1, 128, 128)).astype(np.uint16)
    table = chip_table.build([
        stacked(written(tmp_path / f"s{n}.tif", noise, grid), name=f"s{n}") for n, grid in enumerate(grids)
    ])  # fmt: skip
    (tmp_path / "s1.tif").write_bytes((tmp_path / "s1.tif").read_bytes()[:9000])
    places = np.random.default_rng(0).permutation(samplers.grid(table, 64))
    with pytest.raises(AssetError, match=r"asset 'image' of Item s1 \(.*s1.tif\) cannot be"):
        take(loader.epoch(table, places, edge=64, batch=4), 100)
    told: list[AssetError] = []
    found = take(loader.epoch(table, places, edge=64, batch=4, access=Access(on_problem=told.append)), 100)
    assert sorted(name for batch in found for name in batch["item_ids"]) == ["s0"] * 4 + ["s2"] * 4
    assert all((batch["image"] > 0).all() for batch in found)
    assert len(told) == 1


def test_without_a_label_the_mask_says_not_observed(tmp_path: Path) -> None:
    grid = geobox((96, 96))
    bare = chip_table.build([stacked(written(tmp_path / "a.tif", waves(grid), grid))])
    (batch,) = take(loader.batches(bare, edge=32, batch=4, seed=0), 1)
    assert bare.classes == ()
    assert (batch["mask"] == 255).all()
    assert batch["valid"].all()


def test_stacks_that_fit_in_no_batch(tmp_path: Path) -> None:
    grid = geobox((64, 64))
    one, two = (written(tmp_path / f"{n}.tif", waves(grid, bands=n), grid) for n in (1, 2))
    mixed = chip_table.build([stacked(one, name="a"), stacked(two, name="b")])
    with pytest.raises(GridError, match=r"differ in their dates or bands.*a has 1 of 1 bands, b has 1 of 2 bands"):
        take(loader.batches(mixed, edge=32, batch=4, seed=0), 1)


def test_the_table_is_kept_until_a_raster_changes(tmp_path: Path) -> None:
    grid = geobox((64, 64))
    stack = stacked(written(tmp_path / "a.tif", waves(grid), grid))
    kept = tmp_path / "index" / "chips.npz"
    first = chip_table.build([stack], saved=kept)
    assert (
        chip_table.build([stack], reader=None, saved=kept, progress=pytest.fail).cells.tolist() == first.cells.tolist()
    )
    half = waves(grid)
    half[:, :32] = 0
    written(tmp_path / "a.tif", half, grid, nodata=0)
    assert chip_table.build([stack], saved=kept).seen.sum() == 32 * 64
    kept.write_bytes(b"no table")
    assert chip_table.build([stack], saved=kept).seen.sum() == 32 * 64


def test_large_scenes_are_looked_at_thinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grid = geobox((256, 256))
    image, label = waves(grid), np.zeros((1, 256, 256), np.uint8)
    image[:, :128], label[:, :, 128:] = 0, 4
    mask = written(tmp_path / "l.tif", label, grid, nodata=255, classes=True)
    stack = stacked(written(tmp_path / "a.tif", image, grid, nodata=0), mask=mask)
    exact = chip_table.build([stack])
    monkeypatch.setattr(chip_table, "WHOLE", 1000)
    thinned = chip_table.build([stack])
    assert thinned.cells.tolist() == exact.cells.tolist()
    assert thinned.counts.tolist() == exact.counts.tolist()
    assert (thinned.spots // chip_table.CELL == exact.spots // chip_table.CELL).all()


def test_nothing_observed_is_an_error(tmp_path: Path) -> None:
    grid = geobox((64, 64))
    empty = stacked(written(tmp_path / "a.tif", np.zeros((1, 64, 64), np.uint8), grid, nodata=0))
    with pytest.raises(CatalogueError, match=r"nothing was observed in any of 1 stacks \(s\)"):
        chip_table.build([empty])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"asset 'image' of Item none \(.*none.tif\) cannot be read"):
        chip_table.build([stacked(raster(tmp_path / "none.tif", geobox((64, 64))))])
