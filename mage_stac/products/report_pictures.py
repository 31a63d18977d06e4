"""Pictures of a report: both dates, buildings in the colours of their grades, and the map with areas and scale bar."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pystac
import shapely
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from PIL import Image, ImageDraw, ImageFont
from rasterio.enums import Resampling
from rasterio.features import rasterize
from rasterio.vrt import WarpedVRT

from mage_stac import band_fields, catalogue, grid
from mage_stac.classes import DAMAGE_CLASSES, NOT_OBSERVED, colour_table
from mage_stac.errors import AssetError
from mage_stac.overlap import moved
from mage_stac.picture import HATCH, Rgb
from mage_stac.raster import opened, with_nodata

SIDE = 1280
"""Pixels along the longer side at most."""
LEAST = 640
"""Pixels along the longer side at least, so that words on a small map can be read."""

COLOURS = colour_table(DAMAGE_CLASSES)
PALE = 0.55
"""How far the image below the map is faded to white, so that colours stand out."""

FILL, RIM = 150, 255
"""Opacity of a building and of its outline, 0..255."""

LABELLED = 10
"""Areas whose rank is written on the map."""

INK, PAPER = (32, 32, 32), (255, 255, 255)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pictures:
    """All of one size."""

    before: Image.Image | None
    after: Image.Image | None
    """None where no image could be read."""
    buildings: Image.Image
    """RGBA: see-through but for buildings and what was not observed."""
    map: Image.Image


def small(geobox: GeoBox) -> GeoBox:
    """The grid with pixels of such a size that its longer side has LEAST to SIDE of them; its own if that has."""
    longest = max(geobox.shape)
    factor = longest / SIDE if longest > SIDE else 1 / math.ceil(LEAST / longest)
    rows, columns = (max(1, round(length / factor)) for length in geobox.shape)
    scale = Affine.scale(geobox.shape[1] / columns, geobox.shape[0] / rows)
    return GeoBox((rows, columns), geobox.affine @ scale, geobox.crs)


def drawn(
    damage: str, graded: Any, ranked: Any, before: Sequence[pystac.Item], after: Sequence[pystac.Item]
) -> Pictures:
    """The pictures of a damage map.

    Args:
        damage: path of the class raster.
        graded: buildings with `grade`.
        ranked: areas in the order of their rank.
        before: Items whose `visual` is the mosaic of the first date; those that cannot be read are left out.
        after: likewise of the second.
    """
    with opened(damage) as source:
        full = grid.of_dataset(source)
        geobox = small(full)
        unseen = source.read(1, out_shape=geobox.shape) == NOT_OBSERVED
    first, second = photograph(before, full, geobox), photograph(after, full, geobox)
    buildings = overlay(graded, unseen, geobox)
    ground = second if second is not None else first
    return Pictures(
        before=None if first is None else Image.fromarray(first),
        after=None if second is None else Image.fromarray(second),
        buildings=buildings,
        map=_map(ground, buildings, ranked, geobox),
    )


def photograph(items: Sequence[pystac.Item], full: GeoBox, geobox: GeoBox) -> Rgb | None:
    """The mosaic of the Items' `visual` on a small grid, white where there is nothing; None if there is nothing at all.

    Args:
        items: the first that shows a pixel gives it.
        full: the map's grid, whose overviews GDAL derives from the images' own.
        geobox: the same with fewer pixels.
    """
    shown = np.full((*geobox.shape, 3), 255, np.uint8)
    open_ = np.ones(geobox.shape, bool)
    for item in items:
        try:
            pixels, seen = _read(item, full, geobox)
        except AssetError:
            continue
        fresh = seen & open_
        shown[fresh] = pixels[fresh]
        open_ &= ~fresh
    return None if open_.all() else shown


def _read(item: pystac.Item, full: GeoBox, geobox: GeoBox) -> tuple[Rgb, NDArray[np.bool_]]:
    path, nodata = catalogue.asset_path(item, "visual"), band_fields.nodata(item.assets["visual"], [1])
    with opened(path) as file, with_nodata(file, nodata) as source:
        if source.count < 3 or source.dtypes[0] != "uint8":
            raise AssetError(f"{path} is no picture of three bands of bytes")
        options: dict[str, Any] = {} if source.nodata is not None else {"add_alpha": True}
        with WarpedVRT(
            source, crs=str(full.crs), transform=full.affine, height=full.shape[0], width=full.shape[1],
            resampling=Resampling.bilinear, **options,
        ) as there:  # fmt: skip
            finer = geobox.shape[0] > full.shape[0]
            how = Resampling.bilinear if finer else Resampling.average
            pixels = there.read([1, 2, 3], out_shape=(3, *geobox.shape), resampling=how)
            seen = there.dataset_mask(out_shape=geobox.shape) > 0
    return np.ascontiguousarray(np.moveaxis(pixels, 0, -1)), seen


def overlay(graded: Any, unseen: NDArray[np.bool_], geobox: GeoBox) -> Image.Image:
    """Buildings in the colours of their grades and stripes where nothing was observed, on nothing: RGBA."""
    rows, columns = np.indices(unseen.shape)
    sheet = np.zeros((*unseen.shape, 4), np.uint8)
    sheet[unseen & ((rows + columns) % HATCH == 0)] = (120, 120, 120, 200)
    worst_last = graded.iloc[np.argsort(graded["grade"].to_numpy() % NOT_OBSERVED, kind="stable")]
    shapes, grades = moved(worst_last.geometry.to_numpy(), ~geobox.affine), worst_last["grade"].to_numpy()
    known = [(shape, int(grade)) for shape, grade in zip(shapes, grades, strict=True) if grade != NOT_OBSERVED]
    filled = rasterize(known, unseen.shape, dtype="uint8") if known else np.zeros(unseen.shape, np.uint8)
    for grade in np.unique(filled[filled > 0]):
        sheet[filled == grade] = (*COLOURS[int(grade)], FILL)
    image = Image.fromarray(sheet)
    pen = ImageDraw.Draw(image)
    for shape, grade in zip(shapes, grades, strict=True):
        colour = COLOURS[int(grade)] if grade != NOT_OBSERVED else (90, 90, 90)
        for line in shapely.get_rings(shapely.get_parts(shape)):
            pen.line([(float(x), float(y)) for x, y in shapely.get_coordinates(line)], (*colour, RIM))
    return image


def _map(ground: Rgb | None, buildings: Image.Image, ranked: Any, geobox: GeoBox) -> Image.Image:
    """Buildings over a faded image (or none), borders of the areas, ranks of the worst, scale bar."""
    blank = np.full((*geobox.shape, 3), 255, np.uint8)
    grey = blank if ground is None else np.repeat(ground.mean(axis=-1, keepdims=True), 3, axis=-1)
    pale = np.rint(grey * (1 - PALE) + 255 * PALE).astype(np.uint8)
    sheet = Image.fromarray(pale).convert("RGBA")
    sheet.alpha_composite(buildings)
    pen = ImageDraw.Draw(sheet)
    areas = ranked.to_crs(str(geobox.crs))
    shapes = moved(areas.geometry.to_numpy(), ~geobox.affine)
    for part in shapely.get_parts(shapes):
        pen.line([(float(x), float(y)) for x, y in shapely.get_coordinates(part.exterior)], (90, 90, 90, 255), 1)
    for shape, rank in reversed(list(zip(shapes[:LABELLED], ranked["rank"][:LABELLED], strict=True))):
        if not pd.isna(rank):
            _label(pen, shape.representative_point(), str(int(rank)), geobox.shape)
    _scale_bar(pen, geobox)
    return sheet.convert("RGB")


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _label(pen: ImageDraw.ImageDraw, point: Any, text: str, shape: tuple[int, int]) -> None:
    x, y = (float(np.clip(at, 14, length - 14)) for at, length in ((point.x, shape[1]), (point.y, shape[0])))
    pen.ellipse((x - 12, y - 12, x + 12, y + 12), fill=(*PAPER, 235), outline=INK, width=2)
    pen.text((x, y), text, INK, _font(15), anchor="mm")


def round_length(metres: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is not above a length."""
    power = 10 ** math.floor(math.log10(max(metres, 1e-6)))
    return float(max(step * power for step in (1, 2, 5) if step * power <= metres * (1 + 1e-9)))


def _scale_bar(pen: ImageDraw.ImageDraw, geobox: GeoBox) -> None:
    rows, columns = geobox.shape
    width, _ = grid.pixel_metres(geobox)
    metres = round_length(columns * width / 4)
    length = metres / width
    left, top = 12, rows - 30
    text = f"{metres / 1000:g} km" if metres >= 1000 else f"{metres:g} m"
    pen.rectangle((left - 6, top - 6, left + length + 6, rows - 6), fill=(*PAPER, 225))
    pen.rectangle((left, top + 14, left + length, top + 18), fill=INK)
    pen.text((left, top - 3), text, INK, _font(14))
