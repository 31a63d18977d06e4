"""Tiles: squares of one size and one ground sampling distance, drawn from the images of a catalogue, with classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pystac
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from mage_stac import catalogue, cube, grid
from mage_stac.classes import NOT_OBSERVED
from mage_stac.errors import CatalogueError
from mage_stac.pairs import IMAGE, LABEL
from mage_stac.raster import opened

Kind = Literal["building", "open"]

SAME = 0.01
"""Relative difference of sampling distances that needs no resampling."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """An image, and where its classes come from."""

    item: pystac.Item
    geobox: GeoBox
    gsd: float
    """Metres on the ground, whatever the CRS."""
    bands: tuple[str, ...]
    label: pystac.Item | None
    raster: Path | None
    """A raster of classes of the user's, used instead of `label`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tile:
    values: NDArray[np.float32]
    """(bands, side, side), 0..1"""
    kinds: Mapping[Kind, NDArray[np.bool_]]
    """(side, side) each; both False where the class is unknown."""


def sources(root: Path, *, phase: str | None, labels: Path | None = None) -> list[Source]:
    """The images of a catalogue, collection or Item that are of a phase or of none.

    Raises:
        CatalogueError: there is no such image.
        AssetError: an image cannot be read.
    """
    items = catalogue.read_items(root)
    named = _labels(items)
    wanted = [
        item
        for item in items
        if IMAGE in item.assets and phase in (None, item.properties.get("synthetic:phase", phase))
    ]
    if not wanted:
        raise CatalogueError(
            f"{root}: no Item{f' of phase {phase}' if phase else ''} has an `{IMAGE}` asset to compare:"
            f" {catalogue.IMAGELESS}"
        )
    return [_source(item, None if labels else named.get(item.id), labels) for item in wanted]


def _labels(items: Sequence[pystac.Item]) -> dict[str, pystac.Item]:
    """Id of an image -> the Item that says it is its source and holds damage classes."""
    named = {}
    for item in items:
        if LABEL in item.assets:
            for link in item.get_links("source"):
                named[Path(link.href).stem] = item
    return named


def _source(item: pystac.Item, label: pystac.Item | None, labels: Path | None) -> Source:
    with opened(catalogue.asset_path(item, IMAGE), f"asset {IMAGE!r} of Item {item.id}") as dataset:
        geobox, count = grid.of_dataset(dataset), dataset.count
    return Source(
        item=item, geobox=geobox, gsd=grid.ground_resolution(geobox), bands=_names(item, count), label=label,
        raster=labels,
    )  # fmt: skip


def _names(item: pystac.Item, count: int) -> tuple[str, ...]:
    fields = item.assets[IMAGE].extra_fields
    stated = fields.get("bands") or fields.get("eo:bands") or []
    entries = [*stated, *({} for _ in range(count))][:count]
    return tuple(
        str(entry.get("eo:common_name") or entry.get("common_name") or entry.get("name") or f"band {number}")
        for number, entry in enumerate(entries, 1)
    )


def tiles(
    given: Sequence[Source], bands: Sequence[str], *, gsd: float, side: int, most: int, rng: np.random.Generator
) -> Iterator[Tile]:
    """At most `most` whole, fully observed tiles of `side` pixels of `gsd` metres, in an order of chance.

    Finer images are averaged over the area of a new pixel; what is as coarse as `gsd` is left as it is.
    """
    places = [
        (number, row, column) for number, source in enumerate(given) for row, column in _places(source, gsd, side)
    ]
    rng.shuffle(places)
    made = 0
    for number, row, column in places:
        if made == most:
            return
        tile = _tile(given[number], bands, _native(given[number], gsd, side), side, (row, column))
        if tile is not None:
            made += 1
            yield tile


def _native(source: Source, gsd: float, side: int) -> int:
    """Pixels of the image along a tile."""
    ratio = gsd / source.gsd
    return side if abs(ratio - 1) < SAME else max(side, round(side * ratio))


def _places(source: Source, gsd: float, side: int) -> Iterator[tuple[int, int]]:
    step = _native(source, gsd, side)
    rows, columns = source.geobox.shape
    for row in range(0, rows - step + 1, step):
        for column in range(0, columns - step + 1, step):
            yield row, column


def _tile(source: Source, bands: Sequence[str], step: int, side: int, at: tuple[int, int]) -> Tile | None:
    box = source.geobox[at[0] : at[0] + step, at[1] : at[1] + step]
    numbers = [source.bands.index(name) + 1 for name in bands]
    values, valid = cube.read([source.item], box, asset=IMAGE, bands=numbers)
    if not valid.all():
        return None
    classes = _classes(source, box)
    known = classes != NOT_OBSERVED
    share = averaged((known & (classes > 0)).astype("float32")[None], side)[0]
    seen = averaged(known.astype("float32")[None], side)[0] > 0.999
    return Tile(
        values=averaged(values, side), kinds={"building": seen & (share > 0.5), "open": seen & (share <= 0.5)}
    )  # fmt: skip


def _classes(source: Source, box: GeoBox) -> NDArray[np.uint8]:
    """Damage classes (y, x) of a window; NOT_OBSERVED where there are none."""
    if source.raster is not None:
        with opened(source.raster, trusted=True) as dataset:
            hidden = NOT_OBSERVED if dataset.nodata is None else dataset.nodata
            with WarpedVRT(
                dataset, crs=str(box.crs), transform=box.affine, height=box.shape[0], width=box.shape[1],
                resampling=Resampling.nearest, src_nodata=hidden, nodata=NOT_OBSERVED,
            ) as warped:  # fmt: skip
                found: NDArray[np.uint8] = warped.read(1).astype("uint8")
        return found
    if source.label is None:
        return np.full(box.shape, NOT_OBSERVED, "uint8")
    values, valid = cube.read([source.label], box, asset=LABEL)
    return np.where(valid, values[0], NOT_OBSERVED).astype("uint8")


def averaged(values: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """A square (bands, n, n) brought to (bands, side, side), each new pixel the mean over its area; side <= n."""
    step = values.shape[-1]
    if step == side:
        return values
    edges = np.linspace(0, step, side + 1)
    starts = np.arange(step)
    overlap = np.minimum(edges[1:, None], starts + 1) - np.maximum(edges[:-1, None], starts)
    weights = (np.maximum(overlap, 0) * side / step).astype("float32")
    found: NDArray[np.float32] = (weights @ values @ weights.T).astype("float32")
    return found
