"""The files of a prediction Item, and the Item that describes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pystac
from odc.geo.geobox import GeoBox
from pystac.utils import datetime_to_str

from mage_stac import catalogue, dates, footprint, grid, hrefs, publish, quicklook, vectors
from mage_stac.classes import DAMAGE_CLASSES, NOT_OBSERVED, colour_table
from mage_stac.cog import stream_cog
from mage_stac.errors import GridError
from mage_stac.mosaic import LEVELS, Finished
from mage_stac.products import alignment, buildings, footprints, grading, qgis, tables
from mage_stac.raster import opened
from mage_stac.registration import Shift

COLLECTION = "predictions"
TEMPLATE = {
    "title": "Damage maps",
    "description": "Damage to buildings as a model sees it, before and after; not checked on the ground.",
    "license": "other",
    "keywords": ["damage", "buildings", "prediction"],
    "providers": [{"name": "mage-stac", "roles": ["processor"]}],
}

BANDS = tuple(entry.name for entry in DAMAGE_CLASSES if not entry.nodata)
COLOURS = colour_table(DAMAGE_CLASSES)

RENDERS = {"damage": {"title": "Damage", "assets": ["visual"], "resampling": "nearest"}}
"""How tile servers should draw it (render extension). Not damage.tif: of an Item's raster titiler 2 drops the palette,
and of a `colormap` given here it sends on the keys alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sources:
    """What a map is made from."""

    model: pystac.Item
    pre: tuple[pystac.Item, ...]
    post: tuple[pystac.Item, ...]
    footprints: Path | None = None
    layer: str | None = None
    """Of the footprints' file, if it has several."""

    @property
    def date(self) -> datetime:
        """When the last of the post images was taken."""
        return max(taken(item) for item in self.post)


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What came to light on the way, and is told in the Item's properties."""

    shift: Shift
    """Of the post mosaic against the pre one, in pixels of the map."""
    aligned: bool
    """Whether the post mosaic was moved back by it."""
    inputs: str
    """Digest of sources and options: the same digest, the same map."""
    method: str
    """How the map was made, in words."""


UNKNOWN = datetime.min.replace(tzinfo=UTC)
"""When an image without a date was taken."""


def taken(item: pystac.Item) -> datetime:
    """When an image was taken (the end, for an interval), in UTC."""
    return _known(item.datetime or item.common_metadata.end_datetime)


def begun(item: pystac.Item) -> datetime:
    """When an image was taken (the start, for an interval), in UTC."""
    return _known(item.common_metadata.start_datetime or item.datetime)


def _known(date: datetime | None) -> datetime:
    return UNKNOWN if date is None else dates.utc(date)


def is_made(out: Path, name: str, digest: str) -> bool:
    """Whether a catalogue has a map of that id whose inputs had that digest."""
    if not catalogue.has(out, COLLECTION, name):
        return False
    there = catalogue.read_json(out / COLLECTION / name / f"{name}.json")
    return bool(there.get("properties", {}).get("mage:inputs") == digest)


def stamp(path: str) -> list[Any]:
    """What tells one state of a file from another; the address, where it lies on a server."""
    file = Path(path)
    if not file.is_file():
        return [path]
    state = file.stat()
    return [file.name, state.st_size, state.st_mtime_ns]


def state(item: pystac.Item, key: str) -> list[Any]:
    """What tells one state of an Item's image from another: its id, the file, and what is stated of the pixels.

    Raises:
        AssetError: the Item has no such asset, or it may not be opened.
    """
    return [
        item.id, stamp(catalogue.asset_path(item, key)), item.assets[key].extra_fields, item.properties.get("bands")
    ]  # fmt: skip


def says_lost(model: pystac.Item) -> bool:
    """Whether a model says pixel by pixel what of a roof is lost."""
    return bool(model.properties.get("mlm:hyperparameters", {}).get("network.lost", False))


def bands(model: pystac.Item) -> tuple[str, ...]:
    """Names of the five bands of `probability` of maps by a model: the last differs where it says what is lost."""
    return (*BANDS[:-1], grading.BAND) if says_lost(model) else BANDS


def write_maps(folder: Path, geobox: GeoBox, strips: Iterable[Finished], descriptions: tuple[str, ...] = BANDS) -> Any:
    """Write damage.tif and its damage.qml, visual.tif, probability.tif and thumbnail.png from the strips of a map.

    Where `descriptions` (`bands`) say that pixels tell what is lost, damage.tif has the grade of each building instead.

    Returns:
        The graded buildings found in the map, where these were needed to paint it, else None.

    Raises:
        GridError: no pixel was observed on both dates.
        CatalogueError: the disk refuses.
    """
    seen = False
    with ExitStack() as stack:
        files: dict[str, dict[str, Any]] = {
            "damage": {"nodata": NOT_OBSERVED, "colours": COLOURS},
            "visual": {"count": 3},
            "probability": {"count": len(BANDS), "nodata": NOT_OBSERVED, "descriptions": descriptions},
        }
        writers = {
            name: stack.enter_context(stream_cog(folder / f"{name}.tif", geobox, dtype="uint8", **options))
            for name, options in files.items()
        }
        for strip in strips:
            drawn = quicklook.coloured(strip.damage, DAMAGE_CLASSES)
            for name, array in (("damage", strip.damage), ("visual", drawn), ("probability", strip.probability)):
                writers[name].write(array, strip.row, 0)
            seen = seen or bool((strip.damage != NOT_OBSERVED).any())
        if not seen:
            raise GridError("no pixel of the map is observed on both dates: pre or post holds nothing but nodata there")
    found = _repaint(folder, geobox) if descriptions[-1] == grading.BAND else None
    quicklook.class_thumbnail(folder / "damage.tif", DAMAGE_CLASSES, folder / "thumbnail.png")
    qgis.write(folder / "damage.qml")
    return found


def _repaint(folder: Path, geobox: GeoBox) -> Any:
    """damage.tif and visual.tif anew, with one grade for each building that they show; the table of these."""
    path = folder / "damage.tif"
    found = buildings.graded(footprints.traced(path), folder / "probability.tif")
    with (
        stream_cog(folder / "graded.tif", geobox, dtype="uint8", nodata=NOT_OBSERVED, colours=COLOURS) as damage,
        stream_cog(folder / "visual.tif", geobox, dtype="uint8", count=3) as visual,
    ):
        for row, classes in buildings.repainted(path, found):
            damage.write(classes, row, 0)
            visual.write(quicklook.coloured(classes, DAMAGE_CLASSES), row, 0)
    (folder / "graded.tif").replace(path)
    return found


def write_buildings(
    folder: Path, outlines: Any | None, *, found: Any = None, align: bool = False, formats: Sequence[str] = ()
) -> Any:
    """Write buildings.parquet: the footprints given, or outlines found in the map, graded. Returns the table.

    Args:
        folder: where the map lies.
        outlines: footprints, if given.
        found: what `write_maps` returned: graded already.
        align: whether footprints are moved onto the map's buildings first.
        formats: names of `tables.FORMATS`; the same table is written as buildings.<name> too.
    """
    probability = folder / "probability.tif"
    if outlines is None:
        graded = buildings.graded(footprints.traced(folder / "damage.tif"), probability) if found is None else found
    else:
        graded = buildings.graded(alignment.aligned(outlines, probability) if align else outlines, probability)
    tables.write(folder / "buildings.parquet", graded)
    for name in formats:
        tables.write_as(folder / f"buildings.{name}", graded)
    return graded


def completed(folder: Path, formats: Sequence[str]) -> Path:
    """A prediction's folder after writing its buildings in those formats that it lacks.

    Raises:
        CatalogueError: the disk refuses.
    """
    missing = [name for name in formats if not (folder / f"buildings.{name}").is_file()]
    if missing:
        made = catalogue.read_item(folder)
        graded = vectors.read(Path(catalogue.asset_path(made, "buildings")))
        for name in missing:
            tables.write_as(folder / f"buildings.{name}", graded)
        for key, asset in tables.other_assets(folder, "buildings").items():
            made.add_asset(key, asset)
        catalogue.write_item(folder, made)
        index(folder.parents[1])
    return folder


def index(root: Path) -> None:
    """Write the Collection of predictions of a catalogue anew, and the catalogue."""
    catalogue.index(root, id="predictions", title="Predictions", collections={COLLECTION: TEMPLATE})


def item(name: str, folder: Path, geobox: GeoBox, sources: Sources, facts: Facts, graded: Any) -> pystac.Item:
    """The Item of the files in a folder, which must be there already.

    Args:
        name: its id.
        folder: where its files lie.
        geobox: grid of the map.
        sources: what it was made from; linked as `derived_from`.
        facts: what is told of the making.
        graded: the table of buildings.
    """
    with opened(folder / "damage.tif") as source:
        geometry, bbox = footprint.of_valid(source, geobox)
    made = pystac.Item(
        id=name,
        geometry=geometry,
        bbox=bbox,
        datetime=sources.date,
        properties={
            **_about(sources, geobox),
            **_processing(folder, sources, facts),
            **_registration(facts),
            "mage:buildings": counts(graded),
            **_footprints(graded),
            "mage:inputs": facts.inputs,
            "renders": RENDERS,
            **publish.grid_fields(geobox),
        },
        collection=COLLECTION,
    )
    for key, asset in assets(folder, geobox, graded).items():
        made.add_asset(key, asset)
    for phase, images in (("pre", sources.pre), ("post", sources.post)):
        publish.derived_from(made, images, **{"mage:phase": phase})
    publish.derived_from(made, [sources.model])
    return made


def _about(sources: Sources, geobox: GeoBox) -> dict[str, Any]:
    return {
        "title": f"Damage on {sources.date:%Y-%m-%d}",
        "description": f"Damage classes 0-4 by {sources.model.id}; a model's output, not checked on the ground.",
        "created": datetime_to_str(datetime.now(UTC)),
        "gsd": round(grid.ground_resolution(geobox), 4),
    }


def _processing(folder: Path, sources: Sources, facts: Facts) -> dict[str, Any]:
    href = sources.model.get_self_href() or sources.model.id
    return {
        "processing:level": "L4",
        "processing:expression": {"format": "stac-mlm", "expression": hrefs.portable(href, folder)},
        "processing:lineage": facts.method,
        "processing:software": publish.SOFTWARE,
    }


def _registration(facts: Facts) -> dict[str, Any]:
    """`mage:shift_*`: the post mosaic's content lies so many pixels right of and below the pre one's."""
    return {
        "mage:shift_columns": round(facts.shift.columns, 2),
        "mage:shift_rows": round(facts.shift.rows, 2),
        "mage:shift_spread": round(facts.shift.spread, 2),
        "mage:shift_confidence": round(facts.shift.confidence, 2),
        "mage:shift_windows": facts.shift.windows,
        "mage:shift_corrected": facts.aligned,
    }


def _footprints(graded: Any) -> dict[str, Any]:
    """`mage:footprints_*`: how many of the footprints given were moved onto the map's buildings, and how far."""
    given = graded[graded["footprint_id"].notna()]
    if not len(given):
        return {}
    metres = np.hypot(given["shift_east"], given["shift_north"])
    return {
        "mage:footprints_moved": int((metres > 0).sum()),
        "mage:footprints_shift_median": round(float(metres.median()), 2),
        "mage:footprints_shift_max": round(float(metres.max()), 2),
    }


def counts(graded: Any) -> dict[str, int]:
    """How many buildings have each grade, by its name; those not observed too."""
    found = graded["grade"].value_counts()
    return {entry.name: int(found.get(entry.value, 0)) for entry in DAMAGE_CLASSES if entry.value}


def assets(folder: Path, geobox: GeoBox, graded: Any) -> dict[str, pystac.Asset]:
    """Assets of a prediction Item by key; hrefs are bare file names."""
    with opened(folder / "probability.tif") as source:
        described = source.descriptions
    probability = publish.raster_asset(
        "probability.tif", title="Probabilities", geobox=geobox, dtype="uint8", nodata=NOT_OBSERVED, bands=described
    )
    what = "what each pixel shows" if described[-1] == grading.BAND else "each damage class"
    probability.description = f"Probability of {what}: value / {LEVELS}. They sum to 1 but for rounding."
    probability.extra_fields |= {"raster:scale": 1 / LEVELS, "raster:offset": 0.0}
    return {
        "damage": publish.class_asset("damage.tif", title="Damage", classes=DAMAGE_CLASSES, geobox=geobox),
        "visual": publish.raster_asset(
            "visual.tif", title="Damage in colours", geobox=geobox, dtype="uint8", bands=("red", "green", "blue"),
            roles=("visual", "overview"),
        ),
        "probability": probability,
        "buildings": buildings.asset(folder / "buildings.parquet", graded),
        **tables.other_assets(folder, "buildings"),
        "style": qgis.asset("damage.qml"),
        "thumbnail": publish.thumbnail("thumbnail.png"),
    }  # fmt: skip


def names(items: Sequence[pystac.Item]) -> str:
    """Ids of some Items for a sentence; the first few where there are many."""
    ids = [item.id for item in items]
    return ", ".join(ids) if len(ids) <= 6 else f"{', '.join(ids[:5])} and {len(ids) - 5} more"
