"""Catalogues as a torchgeo dataset: dict samples by place and time, for its samplers and its GeoDataModule.

torchgeo itself is not needed: it asks of a dataset no more than what stands here (`index`, `res`, `bounds`, `crs`,
`__getitem__` of three slices), as `RasterDataset` has it. Where a RasterDataset warps what lies on other grids, and
fills with 0 what nobody observed, this one gives the same pixels with `valid` beside them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pystac
import shapely
import torch
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import CRS
from torch.utils.data import Dataset

from mage_stac import catalogue, chip_pieces, dates, grid, remote, stack
from mage_stac.chip_pieces import Planes
from mage_stac.classes import NOT_OBSERVED
from mage_stac.errors import CatalogueError, GridError
from mage_stac.pairs import IMAGE
from mage_stac.reader import Reader
from mage_stac.remote import RemoteReader
from mage_stac.stack import Raster, Stack

Sample = dict[str, Any]
Query = tuple[slice, slice, slice]
"""x and y in units of the CRS, with the resolution as step; t in pandas Timestamps. Parts may be left open."""

SPLIT = "ml-aoi:split"
"""Property (extension ml-aoi) that tells for what an Item is meant; without it an Item belongs to every split."""
SPLITS = {"val": "validate"}
"""torchgeo's names that are others there."""


class StacDataset(Dataset[Sample]):
    """Items of a catalogue as a torchgeo GeoDataset: one CRS and resolution, samples cut where they are asked for.

    A sample holds `image` (C, H, W) float32 in the units of the Items' scale (reflectance, or 0..1; a RasterDataset
    gives DN), 0 where not observed; `valid` (H, W) bool; `mask` (H, W) int64 classes, 255 where not observed, if there
    are labels; `crs` and `bounds` (the query) as torchgeo's own.

    Args:
        paths: a catalogue, collection or Item on disk, or Items (of a search).
        crs: of the samples; that of the first Item without.
        res: of the samples in its units, one number or x and y; that of the first Item without.
        bands: names or common names; all without.
        transforms: Sample -> Sample.
        asset: that holds the image; or several, whose bands follow each other on the grid of the first.
        mask: asset of the same Items that labels it.
        split: `train`, `val` or `test`: leaves out Items that are meant for another (`ml-aoi:split`).

    Raises:
        CatalogueError: there are no such Items.
        AssetError: an Item lacks an asset or a band.
        GridError: a resolution that is not positive.
    """

    def __init__(
        self,
        paths: str | Path | Sequence[pystac.Item],
        crs: Any = None,
        res: float | tuple[float, float] | None = None,
        bands: Sequence[str] | None = None,
        transforms: Callable[[Sample], Sample] | None = None,
        *,
        asset: str | Sequence[str] = IMAGE,
        mask: str | None = None,
        split: str | None = None,
    ) -> None:
        found = catalogue.read_items(paths) if isinstance(paths, (str, Path)) else list(paths)
        items = [
            item for item in found if split is None or item.properties.get(SPLIT) in (None, split, SPLITS.get(split))
        ]
        if not items:
            raise CatalogueError(
                f"{paths if isinstance(paths, (str, Path)) else 'the list'}: no Items for split={split}"
            )
        self.transforms = transforms
        self._stacks = stack.of_items(items, asset=asset, bands=bands, mask=mask)
        first = self._stacks[0].geobox
        own = (abs(first.affine.a), abs(first.affine.e))
        self.res = own if res is None else (res, res) if isinstance(res, (int, float)) else res
        if min(self.res) <= 0:
            raise GridError(f"resolution {res} is not positive")
        self.index = _index(items, self._stacks, CRS.from_user_input(crs or str(first.crs)))
        self._readers: dict[int, Planes] = {}

    @property
    def crs(self) -> CRS:
        """Of the samples."""
        known: CRS = self.index.crs
        return known

    @property
    def bounds(self) -> Query:
        """Of all Items."""
        west, south, east, north = self.index.total_bounds.tolist()
        times: Any = self.index.index
        return (
            slice(west, east, self.res[0]),
            slice(south, north, self.res[1]),
            slice(times.left.min(), times.right.max(), 1),
        )

    def __len__(self) -> int:
        """Number of Items."""
        return len(self.index)

    def __getitem__(self, query: Any) -> Sample:
        """The sample of a place and time: the first Item that observed a pixel gives it.

        Raises:
            IndexError: no Item lies there.
            AssetError: a file cannot be read, or contradicts its Item.
        """
        x, y, time = self._whole(query)
        times: Any = self.index.index
        near = self.index.geometry.intersects(shapely.box(x.start, y.start, x.stop, y.stop)).to_numpy()
        here = np.flatnonzero(near & times.overlaps(pd.Interval(time.start, time.stop, closed="both")))[:: time.step]
        if not len(here):
            raise IndexError(f"query: {query} not found in index with bounds: {self.bounds}")
        sample = {"crs": self.crs, "bounds": query, **self._read([self._stacks[i] for i in here], x, y)}
        return sample if self.transforms is None else self.transforms(sample)

    def _whole(self, query: Any) -> Query:
        """A query with its open parts filled in, as torchgeo has it."""
        parts = list(self.bounds)
        for number, part in enumerate((query,) if isinstance(query, slice) else query):
            known = parts[number]
            start, stop, step = (
                old if new is None else new
                for new, old in zip(
                    (part.start, part.stop, part.step), (known.start, known.stop, known.step), strict=True
                )
            )
            parts[number] = slice(start, stop, step)
        return parts[0], parts[1], parts[2]

    def _read(self, here: Sequence[Stack], x: slice, y: slice) -> Sample:
        size = round((y.stop - y.start) / y.step), round((x.stop - x.start) / x.step)
        if min(size) < 1:
            raise IndexError(f"a query of {size[1]} x {size[0]} pixels has none")
        place = GeoBox(size, Affine(x.step, 0, x.start, 0, -y.step, y.stop), self.crs.to_string())
        whole = Stack(
            id=here[0].id,
            event=here[0].event,
            geobox=place,
            dates=(tuple(one.dates[0][0] for one in here),),
            mask=tuple(one.mask[0] for one in here if one.mask),
        )
        piece = chip_pieces.read(whole, slice(0, size[0]), slice(0, size[1]), self._reader(whole.dates[0]))
        image = np.zeros((1, whole.bands, *size), np.float32)
        mask, valid = np.full(size, NOT_OBSERVED, np.int64), np.zeros(size, bool)
        piece.cut(0, 0, image, mask, valid)
        arrays = {"image": image[0], "valid": valid, **({"mask": mask} if whole.mask else {})}
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def _reader(self, rasters: Sequence[Raster]) -> Planes:
        """One for each process: a file opened before a fork must not be read after it."""
        if os.getpid() not in self._readers:
            afar = any(remote.meant(raster) for raster in rasters) and remote.available()
            self._readers = {os.getpid(): RemoteReader() if afar else Reader()}
        return self._readers[os.getpid()]

    def __getstate__(self) -> dict[str, Any]:
        """Without open files, for the workers of a DataLoader."""
        return {**self.__dict__, "_readers": {}}


def _index(items: Sequence[pystac.Item], stacks: Sequence[Stack], crs: CRS) -> gpd.GeoDataFrame:
    """Where and when the Items are, as torchgeo's index: boxes in one CRS, by closed intervals of time."""
    boxes = []
    for one in stacks:
        unit = GeoBox((1, 1), Affine.identity(), crs.to_string())
        left, top, right, bottom = grid.pixel_box(unit, one.geobox.extent)
        boxes.append(shapely.box(left, top, right, bottom))
    spans = [_span(item) for item in items]
    return gpd.GeoDataFrame(
        {"filepath": [one.dates[0][0].path for one in stacks], "item": [item.id for item in items]},
        geometry=boxes,
        crs=crs,
        index=pd.IntervalIndex.from_tuples(spans, closed="both", name="datetime"),
    )


def _span(item: pystac.Item) -> tuple[pd.Timestamp, pd.Timestamp]:
    """First and last moment of an Item, in UTC but without a zone, as torchgeo has it; all of time without a date."""
    first, last = dates.span(item.properties)
    return (
        pd.Timestamp(first).tz_convert(None) if first else pd.Timestamp.min,
        pd.Timestamp(last).tz_convert(None) if last else pd.Timestamp.max,
    )
