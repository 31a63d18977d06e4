"""Gallery: a catalogue's Items on one sheet, to be judged by eye."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pystac
from numpy.typing import NDArray
from rasterio.enums import Resampling

from mage_stac import band_fields, catalogue, grid, picture
from mage_stac.classes import DAMAGE_CLASSES, WATER_CLASSES, colour_table
from mage_stac.errors import CatalogueError
from mage_stac.picture import Rgb
from mage_stac.raster import opened, thinned, with_nodata

WET = (1, 2)
"""Of WATER_CLASSES: flood water and permanent water."""


def sheet(root: Path, out: Path, *, limit: int = 12, side: int = 320) -> int:
    """Write a contact sheet (PNG) of a catalogue: a row for each rendered pair, or for each other Item.

    A pair's row is before, after and truth, with its flood water where there is some; a prediction's its damage map; an
    image's its `visual`, white where nothing was observed.

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
    rows = [(_title(group), [_picture(item, side) for item in group if _shown(item)]) for group in chosen]
    told = [item for group in chosen for item in group if "damage" in item.assets]
    wet = [entry for entry in WATER_CLASSES if entry.value in WET and any("water" in item.assets for item in told)]
    picture.contact_sheet(out, rows, side=side, legend=(*DAMAGE_CLASSES, *wet) if told else ())
    return len(rows)


def _groups(items: Iterable[pystac.Item]) -> Iterator[Sequence[pystac.Item]]:
    """Items of one pair together, in the order before, after, truth; any other Item alone."""
    pairs: dict[str, list[pystac.Item]] = {}
    for item in items:
        pairs.setdefault(str(item.properties.get("synthetic:pair", f"item {item.id}")), []).append(item)
    order = {"pre": 0, "post": 1}
    for group in pairs.values():
        yield sorted(group, key=lambda item: order.get(str(item.properties.get("synthetic:phase")), 2))


def _shown(item: pystac.Item) -> bool:
    return "damage" in item.assets or "visual" in item.assets


def _title(group: Sequence[pystac.Item]) -> str:
    fields = group[0].properties
    if "synthetic:pair" not in fields:
        return group[0].id
    post = group[-1].properties
    facts = (post.get("synthetic:hazard"), post.get("synthetic:intensity"), post.get("synthetic:intensity_unit"))
    return " ".join([str(fields["synthetic:pair"]), *(_plain(fact) for fact in facts if fact is not None)])


def _plain(fact: object) -> str:
    return f"{fact:.3g}" if isinstance(fact, float) else str(fact)


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


def _thinned(item: pystac.Item, key: str, side: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Pixels of an asset (bands, y, x) along `side` at the most, and where they were observed (y, x); north up."""
    path = catalogue.asset_path(item, key)
    nodata = band_fields.nodata(item.assets[key], [1])
    with opened(path, f"asset {key!r} of Item {item.id}") as source, with_nodata(source, nodata) as marked:
        shape = thinned(source.shape, side)
        way = Resampling.average if key == "visual" else Resampling.mode
        pixels = marked.read(out_shape=(source.count, *shape), resampling=way)
        turned = grid.turning(source.transform)
        return pixels[:, *turned], marked.dataset_mask(out_shape=shape)[turned] > 0
