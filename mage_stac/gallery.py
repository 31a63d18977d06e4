"""Gallery: a catalogue's Items on one sheet, to be judged by eye."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pystac
from numpy.typing import NDArray
from rasterio.enums import Resampling

from mage_stac import band_fields, catalogue, grid, picture, quicklook
from mage_stac.classes import DAMAGE_CLASSES, WATER_CLASSES, colour_table
from mage_stac.errors import AssetError, CatalogueError
from mage_stac.pairs import IMAGE, told
from mage_stac.picture import Rgb
from mage_stac.raster import opened, thinned, with_nodata

WET = (1, 2)
"""Of WATER_CLASSES: flood water and permanent water."""

Numbers = tuple[tuple[Any, ...], ...]
"""What an Item says of its image's bands: names, types, scales and offsets."""


def sheet(root: Path, out: Path, *, limit: int = 12, side: int = 320) -> int:
    """Write a contact sheet (PNG) of a catalogue: a row for each rendered pair, or for each other Item.

    A pair's row is before, after and truth, with its flood water where there is some; a prediction's its damage map; an
    image's its `visual`, white where nothing was observed. Both dates of a pair that state the same bands and numbers
    are stretched alike: what is darker on one is darker in the data.

    Args:
        root: catalogue folder, collection or Item.
        out: the file.
        limit: rows at the most, spread evenly over the catalogue.
        side: pixels along each picture's longer side.

    Returns:
        The number of rows.

    Raises:
        CatalogueError: nothing in the catalogue can be shown.
        AssetError: a file is broken.
    """
    groups = [group for group in _groups(catalogue.read_items(root)) if any(map(_shown, group))]
    if not groups:
        raise CatalogueError(f"{root}: no Item has a `visual` or `damage` asset to show; {catalogue.IMAGELESS}")
    chosen = [
        groups[i] for i in np.unique(np.linspace(0, len(groups) - 1, min(limit, len(groups))).round().astype(int))
    ]
    rows = [(_title(group), _pictures([item for item in group if _shown(item)], side)) for group in chosen]
    told = [item for group in chosen for item in group if "damage" in item.assets]
    wet = [entry for entry in WATER_CLASSES if entry.value in WET and any("water" in item.assets for item in told)]
    picture.contact_sheet(out, rows, side=side, legend=(*DAMAGE_CLASSES, *wet) if told else ())
    return len(rows)


def _groups(items: Iterable[pystac.Item]) -> Iterator[Sequence[pystac.Item]]:
    """Items of one pair together, in the order before, after, truth; any other Item alone."""
    pairs: dict[str, list[pystac.Item]] = {}
    for item in items:
        pairs.setdefault(str(told(item, "pair") or f"item {item.id}"), []).append(item)
    order = {"pre": 0, "post": 1}
    for group in pairs.values():
        yield sorted(group, key=lambda item: order.get(str(told(item, "phase")), 2))


def _shown(item: pystac.Item) -> bool:
    return "damage" in item.assets or "visual" in item.assets


def _title(group: Sequence[pystac.Item]) -> str:
    pair = told(group[0], "pair")
    if pair is None:
        return group[0].id
    post = group[-1].properties
    facts = (post.get("synthetic:hazard"), post.get("synthetic:intensity"), post.get("synthetic:intensity_unit"))
    return " ".join([pair, *(_plain(fact) for fact in facts if fact is not None)])


def _plain(fact: object) -> str:
    return f"{fact:.3g}" if isinstance(fact, float) else str(fact)


def _pictures(group: Sequence[pystac.Item], side: int) -> list[Rgb]:
    """A picture of each Item of a row."""
    alike: dict[Numbers, list[pystac.Item]] = {}
    for item in group:
        if IMAGE in item.assets and "visual" in item.assets:
            alike.setdefault(_numbers(item), []).append(item)
    drawn = {
        item.id: image
        for items in alike.values()
        if len(items) > 1
        for item, image in zip(items, _stretched(items, side), strict=True)
    }
    return [drawn[item.id] if item.id in drawn else _picture(item, side) for item in group]


def _numbers(item: pystac.Item) -> Numbers:
    asset = item.assets[IMAGE]
    rows = next((rows for rows in band_fields.listed(asset.extra_fields) if rows), [])
    every = range(1, len(rows) + 1)
    facts = (band_fields.stated(asset, name, every) for name in ("name", "data_type", "raster:scale", "raster:offset"))
    return tuple(map(tuple, facts))


def _stretched(items: Sequence[pystac.Item], side: int) -> Iterator[Rgb]:
    """Images with the same numbers as pictures with one stretch; eight-bit colours as they are."""
    bands, colours = _colours(items[0])
    read = [_thinned(item, IMAGE, side, bands) for item in items]
    levels = None
    if not colours or any(pixels.dtype != np.uint8 for pixels, _ in read):
        pooled = np.concatenate([pixels.reshape(len(bands), 1, -1) for pixels, _ in read], axis=-1)
        levels = quicklook.stretch(pooled, np.concatenate([seen.reshape(1, -1) for _, seen in read], axis=-1))
    for pixels, seen in read:
        shown = quicklook.picture(pixels, seen, levels, None)
        yield np.where(seen[..., None], shown.transpose(1, 2, 0), np.uint8(255))


def _colours(item: pystac.Item) -> tuple[tuple[int, ...], bool]:
    """Positions of red, green and blue in the image, from 1, and True; the first band thrice and False without them."""
    try:
        return band_fields.positions(item, IMAGE, ("red", "green", "blue")), True
    except AssetError:
        return (1, 1, 1), False


def _picture(item: pystac.Item, side: int) -> Rgb:
    key = "damage" if "damage" in item.assets else "visual"
    pixels, seen = _thinned(item, key, side)
    if key == "visual":
        return np.where(seen[..., None], pixels[:3].transpose(1, 2, 0), np.uint8(255))
    drawn = picture.classes(pixels[0])
    if "water" in item.assets:
        water, _ = _thinned(item, "water", side)
        for value, colour in colour_table(WATER_CLASSES).items():
            if value in WET:
                drawn[(pixels[0] == 0) & (water[0] == value)] = colour
    return drawn


def _thinned(
    item: pystac.Item, key: str, side: int, bands: Sequence[int] | None = None
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Pixels of an asset (bands, y, x), `side` along at the most, and where they were observed (y, x); north up.

    Of classes the most frequent; of others the average. All bands unless their positions, from 1, are given.
    """
    path = catalogue.asset_path(item, key)
    nodata = band_fields.nodata(item.assets[key], [1])
    with opened(path, f"asset {key!r} of Item {item.id}") as source, with_nodata(source, nodata) as marked:
        shape = thinned(source.shape, side)
        way = Resampling.average if key in (IMAGE, "visual") else Resampling.mode
        wanted = list(bands or source.indexes)
        pixels = marked.read(wanted, out_shape=(len(wanted), *shape), resampling=way)
        turned = grid.turning(source.transform)
        return pixels[:, *turned], marked.dataset_mask(out_shape=shape)[turned] > 0
