"""Every kind of raster from the index to the batch: types, bands, nodata, rotated grids, the pole, the antimeridian."""

from __future__ import annotations

import itertools
import math
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from affine import Affine
from layers import geobox, stacked, written
from odc.geo.geobox import GeoBox

from mage_stac import chip_table, loader, samplers
from mage_stac.chip_table import ChipTable

ROWS, COLUMNS, EDGE = 130, 100, 32
SHAPE = (ROWS, COLUMNS)
UTM = geobox(SHAPE)
TURNED = GeoBox(SHAPE, UTM.affine @ Affine.rotation(33), UTM.crs)
POLAR = GeoBox(SHAPE, Affine(500, 0, -20_000, 0, -500, 30_000), "EPSG:3413")
DATELINE = GeoBox(SHAPE, Affine(1e-3, 0, 179.95, 0, -1e-3, -17), "EPSG:4326")
FLIPPED = GeoBox(SHAPE, Affine(10, 0, 600_000, 0, 10, 5_100_000), "EPSG:32731")


@dataclass(frozen=True, kw_only=True)
class Kind:
    dtype: str
    bands: int = 1
    nodata: float | None = None
    grid: GeoBox = UTM


KINDS = {
    "one band of bytes": Kind(dtype="uint8", nodata=0),
    "thirteen bands of bytes": Kind(dtype="uint8", bands=13),
    "signed, negative nodata": Kind(dtype="int16", bands=2, nodata=-9999),
    "thirteen bands, as Sentinel-2": Kind(dtype="uint16", bands=13, nodata=0),
    "floats, NaN": Kind(dtype="float32", bands=2, nodata=math.nan),
    "floats, a number": Kind(dtype="float32", nodata=-9999),
    "rotated": Kind(dtype="uint16", bands=3, nodata=0, grid=TURNED),
    "over the pole": Kind(dtype="int16", nodata=-9999, grid=POLAR),
    "over the antimeridian": Kind(dtype="uint8", bands=3, nodata=0, grid=DATELINE),
    "south up": Kind(dtype="uint8", nodata=0, grid=FLIPPED),
}


def made(folder: Path, kind: Kind) -> tuple[ChipTable, np.ndarray, np.ndarray]:
    """An image with a hole and a label with another: their chip index and pixels."""
    rng = np.random.default_rng(0)
    low = -3000 if np.dtype(kind.dtype).kind in "if" else 1
    image = rng.integers(low, 250, (kind.bands, *SHAPE)).astype(kind.dtype)
    if kind.nodata is not None:
        image[:, 20:90, 30:75] = kind.nodata
        image[0, 5, 5] = 7 if math.isnan(kind.nodata) else kind.nodata
        if kind.bands == 1 and image[0, 5, 5] == kind.nodata:
            image[0, 5, 5] = 7
    label = rng.integers(0, 5, (1, *SHAPE)).astype(np.uint8)
    label[:, :, 90:] = 255
    one = stacked(
        written(folder / "image.tif", image, kind.grid, nodata=kind.nodata),
        mask=written(folder / "label.tif", label, kind.grid, nodata=255, classes=True),
    )
    return chip_table.build([one]), image, label[0]


def seen(image: np.ndarray, nodata: float | None) -> np.ndarray:
    if nodata is None:
        return np.ones(image.shape[1:], bool)
    return ~np.isnan(image).any(axis=0) if math.isnan(nodata) else (image != nodata).any(axis=0)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_from_the_index_to_the_batch(tmp_path: Path, kind: Kind) -> None:
    table, image, label = made(tmp_path, kind)
    observed = seen(image, kind.nodata) & (label != 255)
    assert table.seen.sum() == observed.sum()
    assert table.classes == (0, 1, 2, 3, 4)
    places = samplers.grid(table, EDGE)
    with closing(loader.epoch(table, places, edge=EDGE, batch=7)) as stream:
        chips = [chip for batch in stream for chip in zip(*batch.values(), strict=True)]
    shown = np.zeros(SHAPE, bool)
    for values, mask, valid, box, _ in chips:
        column, row = (round(each) for each in ~kind.grid.affine @ (box.affine.c, box.affine.f))
        part = (slice(row, row + EDGE), slice(column, column + EDGE))
        here = seen(image, kind.nodata)[part]
        np.testing.assert_array_equal(valid.numpy(), here)
        np.testing.assert_array_equal(mask.numpy(), label[part])
        np.testing.assert_array_equal(values[0].numpy(), np.where(here, image[(slice(None), *part)], 0))
        shown[part] = True
    assert shown[observed].all()
    assert values.dtype == torch.float32


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_no_chip_drawn_is_empty(tmp_path: Path, kind: Kind) -> None:
    table, _, _ = made(tmp_path, kind)
    with closing(loader.batches(table, edge=EDGE, batch=32, seed=0)) as stream:
        for batch in itertools.islice(stream, 3):
            assert batch["valid"].flatten(1).any(dim=1).all()


def test_stacks_of_two_zones_in_one_batch(tmp_path: Path) -> None:
    west = written(tmp_path / "w.tif", np.full((1, *SHAPE), 11, np.uint8), UTM)
    zone = GeoBox(SHAPE, Affine(10, 0, 300_000, 0, -10, 5_100_000), "EPSG:32632")
    east = written(tmp_path / "e.tif", np.full((1, *SHAPE), 22, np.uint8), zone)
    table = chip_table.build([stacked(west, name="west"), stacked(east, name="east")])
    with closing(loader.batches(table, edge=EDGE, batch=64, seed=0)) as stream:
        batch = next(stream)
    assert set(batch["item_ids"]) == {"west", "east"}
    for image, box, name in zip(batch["image"], batch["geobox"], batch["item_ids"], strict=True):
        assert (image == (11 if name == "west" else 22)).all()
        assert box.crs.epsg == (32631 if name == "west" else 32632)
