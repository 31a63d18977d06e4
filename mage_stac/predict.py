"""From a model and two dates to a damage map: one mosaic each, one grid, windows blended, a catalogued Item."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import rasterio
import torch
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from mage_stac import (
    __version__,
    catalogue,
    cube,
    grid,
    jobs,
    models,
    mosaic,
    overlap,
    pairs,
    prediction,
    readings,
    registration,
    resumption,
    value_range,
)  # fmt: skip
from mage_stac.errors import CatalogueError, ModelError
from mage_stac.jobs import Network
from mage_stac.models import LoadedModel
from mage_stac.mosaic import Scene, Tiling
from mage_stac.pairs import IMAGE
from mage_stac.prediction import COLLECTION, Facts, Sources
from mage_stac.products import footprints
from mage_stac.progress import Step
from mage_stac.readings import Bands, Range
from mage_stac.registration import Shift

ALIGN_FROM = 0.5
"""Pixels: a smaller shift is left as it is, for moving the post image blurs it and gains nothing."""

FLIPS = ((), (-1,), (-2,), (-2, -1))
"""Axes turned around in each of the passes that are averaged when flips are asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """How a map is made."""

    tiling: Tiling = field(default_factory=Tiling)
    align: bool = True
    """Move the post image back by the measured shift where that is believed and at least ALIGN_FROM, and footprints
    onto the buildings of the map (`alignment`)."""
    flips: bool = False
    """Average over the four mirror images of each window: four times the work."""
    device: str = "auto"
    """As torch names it; "auto" is a GPU if there is one."""
    scheduler: str | None = None
    """Address of a Dask cluster whose workers run the network, each on its own device."""
    formats: tuple[str, ...] = ()
    """What else than GeoParquet to write the buildings as: see `tables.FORMATS`."""


CACHE = 256 << 20
"""Bytes of blocks that GDAL keeps meanwhile: two rows of tiles of all that is read and written for 20,000 columns. By
itself it takes a twentieth of the machine's memory, which fills as a map grows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Imagery:
    """Two mosaics and the bands to read, in the network's order."""

    pre: tuple[pystac.Item, ...]
    post: tuple[pystac.Item, ...]
    bands: tuple[tuple[int, ...], tuple[int, ...]]
    """Positions in the asset from 1, of pre and of post."""
    ranges: tuple[Range, Range]
    """Values that are 0 and 1 to the network, of pre and of post."""


def predict(  # noqa: PLR0913 - what a map is made from, by name
    model_item: Path,
    pre: Path | Sequence[pystac.Item],
    post: Path | Sequence[pystac.Item] | None,
    out: Path,
    *,
    footprints: Path | None = None,
    layer: str | None = None,
    id: str | None = None,  # noqa: A002 - STAC's word
    options: Options | None = None,
    progress: Step | None = None,
) -> Path:
    """Map the damage between two dates and write it as an Item of the catalogue `out`; returns the Item's folder.

    `pre` and `post` are Items, or folders or files of them; several Items are one mosaic, in any CRS. The map lies on
    the pre mosaic's own pixels where both dates show something (see `overlap.grid_of_both`). A map of the same sources
    and options that is there already is kept; of a run that was stopped, the rows it had finished. With `footprints`
    (a vector file, or `layer` of one that has several) these are graded, else outlines found in the map. A model of
    one date (`network.dates = 1` in its recipe) looks at pre alone, and `post` may be None.

    Raises:
        CatalogueError: an input is no catalogue, the dates are swapped or share an Item, post is missing, or `out`
            cannot be written.
        AssetError: an Item lacks the image or a band of it, or a file is broken.
        GridError: pre and post, or the footprints, do not overlap.
        ModelError: the model is incomplete, an image's values are of another unit, or the cluster is not there.
    """
    chosen = options or Options()
    card, before = catalogue.read_item(model_item), _mosaic(pre)
    after = before if post is None else _mosaic(post)
    sources = Sources(model=card, pre=before, post=after, footprints=footprints, layer=layer)
    if models.recipe_of(card).network.dates == 2:
        if post is None:
            raise CatalogueError(f"model Item {card.id} compares two dates: give the images after the event too")
        _check_dates(sources)
    name = catalogue.checked_id(id or _name(sources))
    digest = _digest(sources, chosen)
    if prediction.is_made(out, name, digest):
        return prediction.completed(out / COLLECTION / name, chosen.formats)
    model = models.load(sources.model, _device("cpu" if chosen.scheduler else chosen.device))
    taught = model.recipe.data.readings, model.gsd
    return publish_map(sources, network_of(model, flips=chosen.flips), taught, out, name, chosen, progress)


def publish_map(
    sources: Sources,
    network: Network,
    taught: tuple[Bands, float],
    out: Path,
    name: str,
    options: Options,
    progress: Step | None = None,
) -> Path:
    """What `predict` does once the network is at hand: any callable will do.

    Args:
        sources: Items and footprints.
        network: images and validity of windows -> probabilities.
        taught: how the network reads each date, and its ground sampling distance in metres.
        out: catalogue folder.
        name: id of the Item.
        options: how to make it.
        progress: told of every batch of windows.
    """
    (before, after), gsd = readings.of(taught[0]), taught[1]
    imagery = Imagery(
        pre=sources.pre,
        post=sources.post,
        bands=(pairs.positions(sources.pre, before.bands), pairs.positions(sources.post, after.bands)),
        ranges=(before.range, after.range),
    )
    geobox = overlap.grid_of_both(sources.pre, sources.post, IMAGE, gsd)
    outlines = _outlines(sources, geobox)
    shift = registration.measure(_patches(imagery, geobox))
    aligned = options.align and shift.confident and shift.size >= ALIGN_FROM
    read = reader(imagery, geobox, shift if aligned else registration.UNKNOWN)
    tiling = options.tiling.fitted(geobox)
    digest = _digest(sources, options)
    with (
        rasterio.Env(GDAL_CACHEMAX=CACHE),
        resumption.shelf(out.absolute() / COLLECTION / name, digest) as kept,
        catalogue.staged(out, COLLECTION, name) as folder,
    ):
        with _jobs(network, options) as running:
            make = partial(mosaic.strips, geobox, tiling, read, running, progress)
            strips = resumption.resumed(kept, make)
            found = prediction.write_maps(folder, geobox, strips, prediction.bands(sources.model))
        graded = prediction.write_buildings(folder, outlines, found=found, align=options.align, formats=options.formats)
        facts = Facts(shift=shift, aligned=aligned, inputs=digest, method=_method(sources, tiling, options))
        catalogue.write_item(folder, prediction.item(name, folder, geobox, sources, facts, graded))
    prediction.index(out)
    return out / COLLECTION / name


def _outlines(sources: Sources, geobox: GeoBox) -> Any:
    """The footprints given, if any are."""
    return footprints.given(sources.footprints, geobox, sources.layer) if sources.footprints else None


def _mosaic(given: Path | Sequence[pystac.Item]) -> tuple[pystac.Item, ...]:
    items = tuple(catalogue.read_items(given) if isinstance(given, Path) else given)
    if not items:
        where = given if isinstance(given, Path) else "one of the two dates"
        raise CatalogueError(f"{where} holds no Items: give an Item, or a catalogue of those that make up one mosaic")
    return items


def _check_dates(sources: Sources) -> None:
    """Raise CatalogueError where pre and post share an Item, or all of post was taken before any of pre."""
    before = {item.get_self_href() or item.id for item in sources.pre}
    shared = next((item for item in sources.post if (item.get_self_href() or item.id) in before), None)
    if shared is not None:
        raise CatalogueError(f"Item {shared.id} is both in pre and in post: give the images of one date each")
    first, last = min(map(prediction.begun, sources.pre)), sources.date
    if prediction.UNKNOWN < last < first:
        raise CatalogueError(
            f"post was taken on {last:%Y-%m-%d}, before pre on {first:%Y-%m-%d}: swap them, or mend the Items' dates"
        )


def _name(sources: Sources) -> str:
    """Date and six hex digits that stand for the model and the images."""
    ids = [sources.model.id, *(item.id for item in (*sources.pre, *sources.post))]
    return f"damage-{sources.date:%Y%m%d}-{hashlib.sha256(json.dumps(ids).encode()).hexdigest()[:6]}"


def _digest(sources: Sources, options: Options) -> str:
    """Of all that decides the map: version, options, name, size and age of every file that is read, what Items state of
    their images.
    """
    model = [prediction.state(sources.model, key) for key in sorted(sources.model.assets)]
    images = [[prediction.state(item, IMAGE) for item in items] for items in (sources.pre, sources.post)]
    how = {key: value for key, value in asdict(options).items() if key not in ("device", "formats", "scheduler")}
    given = prediction.stamp(str(sources.footprints)) if sources.footprints else None
    if given and sources.layer is not None:
        given.append(sources.layer)
    text = json.dumps([__version__, how, model, images, given], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _method(sources: Sources, tiling: Tiling, options: Options) -> str:
    ways = "the mean of four mirror images" if options.flips else "one pass"
    graded = (
        " Pixels say whether a roof is lost; a building found in the map has one grade, by the share of it that is and,"
        " to a third, by that of those around it."
        if prediction.says_lost(sources.model)
        else ""
    )
    return (
        f"Probabilities of damage classes by model {sources.model.id} from pre {prediction.names(sources.pre)} and post"
        f" {prediction.names(sources.post)}, in windows of {tiling.window} px blended over margins of {tiling.margin}"
        f" px, {ways}. Class 0 where a building is less likely than not, else the likeliest grade.{graded}"
    )


def reader(imagery: Imagery, geobox: GeoBox, shift: Shift) -> mosaic.Read:
    """A function that reads rows and columns of both mosaics on the map's grid, the post one moved back by a shift."""
    later = GeoBox(geobox.shape, geobox.affine @ Affine.translation(shift.columns, shift.rows), geobox.crs)

    def read(rows: slice, columns: slice) -> Scene:
        both = [
            cube.read(items, grid.crop(pixels, rows, columns), asset=IMAGE, bands=bands)
            for items, pixels, bands in zip((imagery.pre, imagery.post), (geobox, later), imagery.bands, strict=True)
        ]
        images = [readings.unit(image, limits) for (image, _), limits in zip(both, imagery.ranges, strict=True)]
        return np.stack(images), np.stack([seen for _, seen in both])

    return read


def _patches(imagery: Imagery, geobox: GeoBox) -> Iterator[tuple[Any, Any, NDArray[np.bool_]]]:
    """Windows of both dates as grey images, for the measurement of their shift."""
    read = reader(imagery, geobox, registration.UNKNOWN)
    for rows, columns in registration.patches(geobox):
        image, seen = read(rows, columns)
        sides = zip(image, seen, (imagery.pre, imagery.post), imagery.ranges, strict=True)
        for values, known, items, limits in sides:
            given = readings.values(values, limits)
            value_range.check(given, known, limits, f"the image of Item {items[0].id}")
        grey = image.mean(axis=1)
        yield grey[0], grey[1], np.logical_and(*seen)


@dataclass(frozen=True, slots=True)
class Forward:
    """A loaded model as a function of arrays. Pickled, it goes to whatever device the machine has that reads it."""

    model: LoadedModel
    flips: bool
    """Whether to take the mean over the four mirror images."""

    def __call__(self, images: NDArray[np.float32], observed: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Probabilities of a batch of windows: see `jobs.Network`."""
        image, seen = torch.from_numpy(np.array(images)), torch.from_numpy(np.array(observed))
        if self.flips:
            turned = [self.model.probabilities(image.flip(axes), seen.flip(axes)).flip(axes) for axes in FLIPS]
            found = torch.stack(turned).mean(dim=0)
        else:
            found = self.model.probabilities(image, seen)
        shares: NDArray[np.float32] = found.cpu().numpy()
        return shares

    def __reduce__(self) -> tuple[Any, ...]:
        return _placed, (_moved(self.model, torch.device("cpu")), self.flips)


def _placed(model: LoadedModel, flips: bool) -> Forward:
    return Forward(_moved(model, _device("auto")), flips)


def _moved(model: LoadedModel, device: torch.device) -> LoadedModel:
    return replace(model, model=model.model.to(device), mean=model.mean.to(device), std=model.std.to(device))


def network_of(model: LoadedModel, *, flips: bool = False) -> Network:
    """A loaded model as a function of arrays; with `flips` the mean over the four mirror images."""
    return Forward(model, flips)


def _jobs(network: Network, options: Options) -> AbstractContextManager[jobs.Jobs]:
    return jobs.on_cluster(network, options.scheduler) if options.scheduler else jobs.beside(network)


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"device {name!r} cannot be used: {str(error).splitlines()[0]}") from error
