from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from layers import geobox, stacked, waves, written

from mage_stac import chip_table, loader
from mage_stac.chip_cache import ChipCache
from mage_stac.chip_table import ChipTable
from mage_stac.errors import CatalogueError
from mage_stac.loader import Access
from mage_stac.reader import Reader


@pytest.fixture
def table(tmp_path: Path) -> ChipTable:
    """Two dates of different types, half of one not observed, a label, and another grid for the second stack."""
    grid = geobox((700, 560))
    pre, post = waves(grid, bands=2), waves(grid, bands=2, dtype="float32") / np.float32(3)
    pre[:, :, :100] = 0
    label = np.random.default_rng(0).integers(0, 3, (1, *grid.shape)).astype(np.uint8)
    rasters = [written(tmp_path / f"{name}.tif", image, grid, nodata=0) for name, image in (("a", pre), ("b", post))]
    mask = written(tmp_path / "l.tif", label, grid, nodata=255, classes=True)
    moved = geobox((300, 300), x=601_003, y=5_099_001)
    return chip_table.build(
        [stacked(*rasters, mask=mask, name="own"), stacked(*rasters, mask=mask, grid=moved, name="moved")]
    )


def take(stream: Iterator[loader.Batch], number: int) -> list[loader.Batch]:
    with closing(stream):
        return list(itertools.islice(stream, number))


def test_chips_from_the_cache_are_those_from_the_files(table: ChipTable, tmp_path: Path) -> None:
    plain = take(loader.batches(table, edge=64, batch=16, seed=0), 5)
    cached = Access(cache=tmp_path / "cache")
    for _ in range(2):
        for ours, theirs in zip(
            take(loader.batches(table, edge=64, batch=16, seed=0, access=cached), 5), plain, strict=True
        ):
            torch.testing.assert_close(ours["image"], theirs["image"], atol=0.02, rtol=0)  # the window of a resampling
            own = [name == "own" for name in ours["item_ids"]]
            assert torch.equal(ours["image"][own], theirs["image"][own])
            assert torch.equal(ours["mask"][own], theirs["mask"][own])
            assert torch.equal(ours["valid"][own], theirs["valid"][own])
    assert not list((tmp_path / "cache").glob("*.partial"))


def test_the_second_epoch_opens_no_file(table: ChipTable, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    whole = slice(0, 700), slice(0, 560)
    first = ChipCache(folder, Reader()).piece(table.stacks[0], *whole)

    class Shut:
        def plane(self, *_: object) -> None:
            pytest.fail("a file was opened")

    again = ChipCache(folder, Shut()).piece(table.stacks[0], *whole)
    for ours, theirs in zip(again.planes, first.planes, strict=True):
        np.testing.assert_array_equal(ours.units(), theirs.units())
    np.testing.assert_array_equal(again.mask, first.mask)


def test_a_raster_that_changes_is_decoded_anew(tmp_path: Path) -> None:
    grid = geobox((64, 64))
    folder, whole = tmp_path / "cache", (slice(0, 64), slice(0, 64))
    for value in (5, 6):
        stack = stacked(written(tmp_path / "a.tif", np.full((1, 64, 64), value, np.uint8), grid))
        os.utime(tmp_path / "a.tif", ns=(value, value))
        assert (ChipCache(folder, Reader()).piece(stack, *whole).planes[0].values == value).all()


def test_a_disk_that_is_full_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grid = geobox((64, 64))
    stack = stacked(written(tmp_path / "a.tif", waves(grid), grid))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(CatalogueError, match=r"the chip cache .*cache cannot be used: No space left on device"):
        ChipCache(tmp_path / "cache", Reader()).piece(stack, slice(0, 64), slice(0, 64))
    assert not list((tmp_path / "cache").iterdir())
