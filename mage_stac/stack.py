"""Stacks: what lies on one grid, date over date, with its label: all that a chip is cut from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pystac
from odc.geo.geobox import GeoBox

from mage_stac import band_fields, grid, hiding, pairs, readings
from mage_stac.catalogue import asset_path
from mage_stac.errors import AssetError, GridError
from mage_stac.hiding import Hiding
from mage_stac.pairs import IMAGE, LABEL, Layer, Pair
from mage_stac.raster import data_bands, opened
from mage_stac.readings import UNIT, Bands, Reading

EVENTS = ("mage:event", "synthetic:hazard")
"""Properties that tell which event an Item belongs to; without one it is its Collection."""
NO_EVENT = "none"
"""Where nothing happened: such Items stand beside those of every event."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Raster:
    """Some bands of one asset, ready to be read: value = DN * scale + offset."""

    item_id: str
    asset: str
    path: str
    bands: tuple[int, ...]
    """Positions in the file, from 1, in the order asked for."""
    geobox: GeoBox
    """Its own grid, as the Item states it; the reader compares it with the file."""
    scale: tuple[float | None, ...]
    """Of each band; None: 1/255 in a file of uint8, else 1."""
    offset: tuple[float, ...]
    nodata: float | None
    """As the Item states it; the file's own value comes first."""
    classes: bool
    """Holds classes: resampled to the nearest only, never scaled."""
    mask: Raster | None = None
    """Of the same Item, with what hides the ground."""
    hiding: Hiding | None = None
    """Which of the mask's values do."""
    beside: tuple[Raster, ...] = ()
    """Further assets of the same Item, whose bands follow: catalogues of satellites have one for each band."""

    @property
    def count(self) -> int:
        """Bands, with those beside."""
        return sum(len(one.bands) for one in (self, *self.beside))

    @property
    def what(self) -> str:
        """How errors name it."""
        return f"asset {self.asset!r} of Item {self.item_id}"


Mosaic = tuple[Raster, ...]
"""Rasters of one date: the first that observed a pixel gives it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stack:
    """One grid, the mosaics of each date on it, and the label, if there is one."""

    id: str
    event: str
    """For balanced sampling."""
    geobox: GeoBox
    dates: tuple[Mosaic, ...]
    """T mosaics of the same number of bands, oldest first."""
    mask: Mosaic = ()

    @property
    def bands(self) -> int:
        """C."""
        return self.dates[0][0].count


def raster(
    item: pystac.Item, asset: str | Sequence[str] = IMAGE, bands: Sequence[str] | None = None, hide: str | None = None
) -> Raster:
    """How to read an asset of an Item: bands by name or common name, or as many as the Item lists.

    Of several assets, all bands follow each other, on the grid of the first. `hide` is an asset of the same Item (SCL,
    QA_PIXEL): what its clouds and shadows hide was not observed.

    Raises:
        AssetError: the Item lacks the asset or a band.
        GridError: the asset has no grid.
    """
    if not isinstance(asset, str):
        first, *others = asset
        if bands and others:
            raise AssetError(
                f"assets {', '.join(asset)} of Item {item.id}: give several assets or names of bands, not both"
            )
        return replace(raster(item, first, bands, hide), beside=tuple(raster(item, other) for other in others))
    path = asset_path(item, asset)
    at = band_fields.positions(item, asset, bands) if bands else _all_bands(item, asset, path)
    scale, offset = (band_fields.stated(item.assets[asset], name, at) for name in ("raster:scale", "raster:offset"))
    return Raster(
        item_id=item.id,
        asset=asset,
        path=path,
        bands=at,
        geobox=grid.of_asset(item, asset),
        scale=tuple(scale),
        offset=tuple(float(value or 0) for value in offset),
        nodata=band_fields.nodata(item.assets[asset], at),
        classes=band_fields.holds_classes(asset, item.assets[asset]),
        mask=_label(item, hide) if hide else None,
        hiding=hiding.rule(item, hide) if hide else None,
    )


def _all_bands(item: pystac.Item, asset: str, path: str) -> tuple[int, ...]:
    entries = next((rows for rows in band_fields.listed(item.assets[asset].extra_fields) if rows), None)
    if entries is not None:
        return tuple(range(1, len(entries) + 1))
    with opened(path, f"asset {asset!r} of Item {item.id}") as source:
        return tuple(data_bands(source))


def _label(item: pystac.Item, asset: str) -> Raster:
    """The first band, taken for classes whatever the Item says of it."""
    return replace(raster(item, asset), bands=(1,), scale=(None,), offset=(0.0,), classes=True)


def of_items(
    items: Sequence[pystac.Item],
    *,
    asset: str | Sequence[str] = IMAGE,
    bands: Sequence[str] | None = None,
    mask: str | None = None,
    hide: str | None = None,
) -> tuple[Stack, ...]:
    """Every Item as a stack of one date on its own grid, that of its first asset.

    `mask` is the asset that labels it; `asset` and `hide` as of `raster`.

    Raises:
        AssetError: an Item lacks an asset or band.
        GridError: no Items, or one without a grid.
    """
    if not items:
        raise GridError(f"no Items to cut chips of asset {asset!r} from")
    return tuple(
        Stack(
            id=item.id,
            event=event(item),
            geobox=image.geobox,
            dates=((image,),),
            mask=(_label(item, mask),) if mask else (),
        )
        for item, image in ((item, raster(item, asset, bands, hide)) for item in items)
    )


def on_grid(
    dates: Sequence[Sequence[pystac.Item]],
    geobox: GeoBox,
    *,
    asset: str | Sequence[str] = IMAGE,
    bands: Sequence[str] | None = None,
    hide: str | None = None,
) -> Stack:
    """The Items of each date as mosaics on one given grid, resampled where theirs is another; without a label.

    `hide` as of `raster`.

    Raises:
        AssetError: an Item lacks an asset or band, or the dates differ in their number of bands.
        GridError: a date without Items.
    """
    if not dates or not all(dates):
        raise GridError("a stack needs Items of each date")
    mosaics = tuple(tuple(raster(item, asset, bands, hide) for item in items) for items in dates)
    numbers = {one.count: one for mosaic in mosaics for one in mosaic}
    if len(numbers) > 1:
        said = ", ".join(f"{one.what} has {number}" for number, one in numbers.items())
        raise AssetError(f"the images of a stack differ in their number of bands ({said}): name the bands")
    first = dates[0][0]
    return Stack(id=first.id, event=event(first), geobox=geobox, dates=mosaics)


def of_dates(dates: Sequence[Sequence[pystac.Item]], geobox: GeoBox, bands: Bands) -> Stack:
    """The images of before and of after as mosaics on one given grid, each read in its own way; raises as `on_grid`."""
    before, after = (
        on_grid([items], geobox, bands=one.bands) for items, one in zip(dates, readings.of(bands), strict=True)
    )
    mosaics = tuple(
        tuple(_in_unit(image, item, one) for image, item in zip(found.dates[0], items, strict=True))
        for found, items, one in zip((before, after), dates, readings.of(bands), strict=True)
    )
    return replace(before, dates=mosaics)


def _in_unit(image: Raster, item: pystac.Item, reading: Reading) -> Raster:
    """The raster with values of a range as 0..1; as it is if those are its values."""
    if reading.range == UNIT:
        return image
    layer, count = pairs.read_as(item, reading), len(reading.bands)
    return replace(image, scale=(layer.scale,) * count, offset=(layer.offset,) * count)


def of_pair(pair: Pair) -> Stack:
    """A labelled pair as a stack of two dates."""

    def layer(one: Layer, asset: str, *, classes: bool = False) -> Mosaic:
        n = len(one.bands)
        return (
            Raster(
                item_id=one.item_id,
                asset=asset,
                path=one.path,
                bands=one.bands,
                geobox=pair.geobox,
                scale=(one.scale,) * n,
                offset=(one.offset,) * n,
                nodata=one.nodata,
                classes=classes,
            ),
        )

    label = Layer(item_id=pair.items[2].id, path=pair.label, bands=(1,), scale=1.0, offset=0.0, gsd=pair.pre.gsd)
    return Stack(
        id=pair.id,
        event=event(pair.items[2]),
        geobox=pair.geobox,
        dates=(layer(pair.pre, IMAGE), layer(pair.post, IMAGE)),
        mask=layer(label, LABEL, classes=True),
    )


def event(item: pystac.Item) -> str:
    """The event that an Item belongs to, else its Collection."""
    told = (item.properties.get(name) for name in EVENTS)
    return str(next((value for value in told if value), item.collection_id or ""))
