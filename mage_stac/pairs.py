"""Pairs: which images and labels of a catalogue belong together, on which grid, and what they show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pystac
from odc.geo.geobox import GeoBox

from mage_stac import band_fields, catalogue, dates, grid, raster, readings
from mage_stac.errors import AssetError, CatalogueError, GridError, RecipeError
from mage_stac.overlap import NOTABLE
from mage_stac.readings import Bands, Reading, Readings

IMAGE, LABEL = "image", "damage"
"""Asset keys."""
PHASES = ("pre", "post")
GSD_TOLERANCE = 0.1
"""Relative; beyond it houses have another size in pixels than the model learns."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """An image asset, ready to be read: value = DN * scale + offset."""

    item_id: str
    path: str
    bands: tuple[int, ...]
    """Positions in the file, from 1, in the order asked for."""
    scale: float
    offset: float
    gsd: float
    """Metres."""
    nodata: float | None = None
    """As the Item states it; the file's own value comes first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """One scene before and after, and its label, on one grid."""

    id: str
    place: str
    """Scenes of one place share pixels: they never stand on both sides of a split."""
    pre: Layer
    post: Layer
    label: str
    """Path of the damage raster."""
    geobox: GeoBox
    items: tuple[pystac.Item, pystac.Item, pystac.Item]
    """Pre, post, label."""
    real: bool = False
    """Images are real, and graded by a person: such pairs are never held out."""


def read(roots: Sequence[Path], *, bands: Bands, gsd: float) -> tuple[Pair, ...]:
    """The labelled pairs of some catalogues, sorted by id. Pairs of two catalogues may bear one id.

    Args:
        roots: catalogue folders.
        bands: names (or common names) of the bands wanted, or how each date is read.
        gsd: metres; pairs must have it within GSD_TOLERANCE, real ones within overlap.NOTABLE.

    Raises:
        CatalogueError: no labelled pairs, or one of them is incomplete.
        AssetError: an asset or a band is missing.
        GridError: pre, post and label lie on different grids.
        RecipeError: the pairs have another gsd.
    """
    found = [_pair(name, items, readings.of(bands)) for name, items in _groups(roots) if _labels(items)]
    if not found:
        raise CatalogueError(
            f"{', '.join(map(str, roots))}: no labelled pairs (Items that share synthetic:pair or mage:pair, one"
            f" with an asset {LABEL!r}); make some with `mage-stac render`"
        )
    for pair in found:
        _check_gsd(pair, gsd)
    return tuple(found)


def _groups(roots: Sequence[Path]) -> Iterator[tuple[str, list[pystac.Item]]]:
    """Ids of pairs, sorted, each with its Items; those of another catalogue, or another folder, are another pair's."""
    groups: dict[tuple[str, int], dict[str, pystac.Item]] = {}
    seen = set[str]()
    for number, root in enumerate(roots):
        for item in catalogue.read_items(root):
            where = item.get_self_href() or f"{number}/{item.collection_id}/{item.id}"
            if (name := told(item, "pair")) is not None and where not in seen:  # a root may lie within another
                seen.add(where)
                groups.setdefault((name, number), {})[where] = item
    for (name, _), items in sorted(groups.items(), key=lambda group: group[0]):
        if len(_labels(items.values())) < 2:
            yield name, list(items.values())
            continue
        folders: dict[Path, list[pystac.Item]] = {}
        for where, item in items.items():
            folders.setdefault(Path(where).parents[1], []).append(item)
        yield from ((name, there) for there in folders.values())


def told(item: pystac.Item, what: str) -> str | None:
    """A rendered Item's `synthetic:*`, or a real one's `mage:*`."""
    value = item.properties.get(f"synthetic:{what}", item.properties.get(f"mage:{what}"))
    return None if value is None else str(value)


def _labels(items: Iterable[pystac.Item]) -> list[pystac.Item]:
    return [item for item in items if LABEL in item.assets]


def _pair(name: str, items: Sequence[pystac.Item], each: Readings) -> Pair:
    images = {told(item, "phase"): item for item in items if IMAGE in item.assets}
    missing = [phase for phase in PHASES if phase not in images]
    if missing:
        raise CatalogueError(f"pair {name} has a label but no image of phase {' and '.join(missing)}: render it again")
    pre, post, label = images["pre"], images["post"], _labels(items)[0]
    geobox = grid.of_asset(pre, IMAGE)
    for item, key in ((post, IMAGE), (label, LABEL)):
        _check_grid(geobox, grid.of_asset(item, key), f"pair {name}: {key!r} of Item {item.id}")
    return Pair(
        id=name,
        place=told(pre, "place") or name,
        real="mage:pair" in pre.properties,
        pre=read_as(pre, each[0]),
        post=read_as(post, each[1]),
        label=catalogue.asset_path(label, LABEL),
        geobox=geobox,
        items=(pre, post, label),
    )


def _check_grid(ours: GeoBox, theirs: GeoBox, what: str) -> None:
    if grid.contradiction(theirs, ours):
        raise GridError(f"{what} lies on another grid than the pre image: training needs both dates and label on one")


def _check_gsd(pair: Pair, gsd: float) -> None:
    ratio = pair.pre.gsd / gsd
    # Real pairs lie on the pixels on which they would be mapped
    fits = 1 / NOTABLE <= round(ratio, 3) <= NOTABLE if pair.real else abs(ratio - 1) <= GSD_TOLERANCE
    if not fits:
        raise RecipeError(
            f"pair {pair.id} has pixels of {pair.pre.gsd:g} m but the recipe says data.gsd = {gsd:g}:"
            f" render with --gsd {gsd:g}, or set data.gsd"
        )


_NAMED = "give an image that has it, or ingest this one anew with a --sensor that says which it is"


def layer(item: pystac.Item, bands: Sequence[str]) -> Layer:
    """How to read some bands of an Item's `image` asset.

    Raises:
        AssetError: the Item has no such asset, or lacks a band (names those it has).
        GridError: its grid cannot be found.
    """
    path, asset = catalogue.asset_path(item, IMAGE), item.assets[IMAGE]
    try:
        at = band_fields.positions(item, IMAGE, bands)
    except AssetError as error:
        raise AssetError(f"{error}: {_NAMED}") from None
    scale, offset = _units(item, at)
    gsd = item.properties.get("gsd") or asset.extra_fields.get("gsd")
    gsd = gsd or round(grid.ground_resolution(grid.of_asset(item, IMAGE)), 6)  # carried to UTM: not to the last bit
    nodata = band_fields.nodata(asset, at)
    return Layer(item_id=item.id, path=path, bands=at, scale=scale, offset=offset, gsd=float(gsd), nodata=nodata)


def read_as(item: pystac.Item, reading: Reading) -> Layer:
    """How to read the bands of a date's `image` as 0..1; raises as `layer`."""
    found = layer(item, reading.bands)
    scale, offset = reading.units(found.scale, found.offset)
    return replace(found, scale=scale, offset=offset)


def positions(items: Sequence[pystac.Item], names: Sequence[str]) -> tuple[int, ...]:
    """Where some bands lie in the `image` of the Items of one mosaic, from 1.

    Raises:
        AssetError: an Item lacks the image or a band, or they do not agree on the places.
        GridError: an image's grid cannot be found.
    """
    found = [layer(item, names).bands for item in items]
    other = next((number for number, bands in enumerate(found) if bands != found[0]), None)
    if other is not None:
        raise AssetError(
            f"Items {items[0].id} and {items[other].id} have the bands {', '.join(names)} in different places,"
            f" {found[0]} and {found[other]}: they cannot be one mosaic"
        )
    return found[0]


def _units(item: pystac.Item, at: Sequence[int]) -> tuple[float, float]:
    """Scale and offset of some bands of the `image`; 1/255 in a file of uint8 whose Item states no scale."""
    asset = item.assets[IMAGE]
    scales, offsets = (band_fields.stated(asset, name, at) for name in ("raster:scale", "raster:offset"))
    told = {(scale, offset or 0.0) for scale, offset in zip(scales, offsets, strict=True)}
    if len(told) > 1:
        raise AssetError(f"bands of asset {IMAGE!r} of Item {item.id} differ in scale or offset: convert them to one")
    ((scale, offset),) = told
    if scale is None:
        scale = raster.EIGHT_BITS if dtype(item, at[0]) == "uint8" else 1.0
    return float(scale), float(offset)


def dtype(item: pystac.Item, position: int = 1) -> str:
    """Type of the numbers of a band of the `image`, as the Item states it or else as the file has it.

    Raises:
        AssetError: the Item has no image, or it cannot be opened.
    """
    path = catalogue.asset_path(item, IMAGE)
    stated = band_fields.stated(item.assets[IMAGE], "data_type", [position])[0]
    if stated is not None:
        return str(stated)
    with raster.opened(path, f"asset {IMAGE!r} of Item {item.id}") as source:
        return str(source.dtypes[position - 1])


def held_out(places: Mapping[str, float], share: float) -> frozenset[str]:
    """The places kept for validation, spread evenly over the range of damage.

    Args:
        places: place -> share of its buildings' pixels that is damaged, 0..1.
        share: of the places to keep; at least one is kept, and one left.

    Raises:
        CatalogueError: fewer than two places.
    """
    if len(places) < 2:
        raise CatalogueError(
            f"training needs pairs of at least two places, so that one can be held out whole; there is {len(places)}:"
            " render more pairs (of a smaller --size, if they are of one small image), or set data.holdout = 0"
        )
    order = sorted(places, key=lambda place: (places[place], place))
    kept = min(max(1, round(share * len(order))), len(order) - 1)
    step = len(order) / kept
    return frozenset(order[int((i + 0.5) * step)] for i in range(kept))


def unlabelled(root: Path, *, bands: Bands) -> tuple[tuple[Layer, ...], tuple[Layer, ...]]:
    """Images of a real catalogue before and after its event; labels, if any, are not looked at.

    Where all images lie on one side (see `by_phase`), every image serves on both, if both are read alike.

    Raises:
        CatalogueError: no Item has an `image` asset, or one has no date.
        AssetError: an Item lacks a band.
    """
    sides, each = by_phase(images(root)), readings.of(bands)
    if each[0] != each[1] and not all(sides):
        raise CatalogueError(
            f"{root}: all images lie on one side of the event, but its two dates are read from different sensors: add"
            " the images of the other date"
        )
    pre, post = (tuple(read_as(item, one) for item in side) for side, one in zip(sides, each, strict=True))
    return pre or post, post or pre


def images(root: Path) -> list[pystac.Item]:
    """The Items of a real catalogue that have an `image`.

    Raises:
        CatalogueError: none has.
    """
    items = [item for item in catalogue.read_items(root) if IMAGE in item.assets]
    if not items:
        raise CatalogueError(f"{root}: no Item with an asset {IMAGE!r}, so no real side: {catalogue.IMAGELESS}")
    return items


def by_phase(items: Sequence[pystac.Item]) -> tuple[tuple[pystac.Item, ...], tuple[pystac.Item, ...]]:
    """The Items of before and those of after an event.

    What an Item's `synthetic:phase` or `mage:phase` says, else its Collection, if that is called `pre` or `post` (as by
    `search --pairs`). Any other is before if its date lies before the middle of the dates; with one date for all, all
    are before.

    Raises:
        CatalogueError: an Item has no date.
    """
    if not items:
        return (), ()
    moments = [_date(item) for item in items]  # not by id: Items of two Collections may share one
    middle = min(moments) + (max(moments) - min(moments)) / 2
    phases = [
        told(item, "phase")
        or (item.collection_id if item.collection_id in PHASES else "pre" if moment <= middle else "post")
        for item, moment in zip(items, moments, strict=True)
    ]
    pre, post = (tuple(item for item, phase in zip(items, phases, strict=True) if phase == one) for one in PHASES)
    return pre, post


def _date(item: pystac.Item) -> datetime:
    date = item.datetime or item.common_metadata.start_datetime
    if date is None:
        raise CatalogueError(f"Item {item.id} has no datetime: which side of the event it shows cannot be known")
    return dates.utc(date)
