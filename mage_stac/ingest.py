"""Local rasters to a catalogue: each file becomes an Item with its pixels, unchanged, as a COG."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from odc.geo.geobox import GeoBox
from rasterio.enums import ColorInterp
from scipy import ndimage

from mage_stac import catalogue, cog, grid, presets, publish, raster, sensors
from mage_stac.errors import AssetError, CatalogueError, GridError, reason
from mage_stac.progress import Step
from mage_stac.raster import opened
from mage_stac.sensors import Band, Sensor

LICENCE = re.compile(r"[\w.+\-]+")
"""What STAC takes for one."""

SUFFIXES = (".tif", ".tiff", ".jp2", ".vrt", ".img")
"""What is taken from a folder."""

COLOURS = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)

COMMON = ("coastal", "blue", "green", "yellow", "red", "rededge", "pan", "nir", "nir08", "nir09", "swir16", "swir22")
"""Common names of STAC for bands, of which a file may describe one."""

COLLAR = 5e-4
"""Share of black pixels joined to the edge above which a file without nodata value deserves a word."""

FEATHERED = 0.1
"""Share of half transparent pixels above which an alpha band deserves a word."""

STRIP = 1024
"""Pixels a side of the pieces copied at once."""

THIN = 512
"""Pixels along the longer side of the thinned image in which collars and odd alpha bands are looked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ingested:
    """What `ingest` made."""

    collection: Path
    """Folder of the Collection."""
    items: tuple[Path, ...]
    """Item files, in the order of the input."""
    kept: int
    """How many of them were there already."""
    notices: tuple[str, ...]
    """What the user should know, a line each."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """How files become Items."""

    out: Path
    datetime: str
    collection: str
    sensor: str | None = None
    """Name of a sensor or a TOML file; None to take what the file says."""
    nodata: float | None = None
    """DN of pixels not observed, where the file marks none."""
    licence: str | None = None
    """Of the images: an SPDX identifier, or "other"; what the Collection says already, else "other", if not given."""
    provider: str | None = None
    """Who made them and is to be named."""


def ingest(paths: Sequence[Path], plan: Plan, progress: Step | None = None) -> Ingested:
    """Make an Item of each raster, under `plan.out`; folders stand for the rasters in them. See `ingest_file`.

    Files that fail do not stop the others: what could be made is indexed first. An Item made before from the same file
    in the same way is kept.

    Raises:
        AssetError: a file could not be ingested; names the first and counts the rest.
        CatalogueError: no files, two of one name, a licence that is no identifier, or the disk refuses.
    """
    publish.when(plan.datetime)
    if plan.licence is not None and not LICENCE.fullmatch(plan.licence):
        raise CatalogueError(f"licence {plan.licence!r} is no SPDX identifier, like CC-BY-4.0, nor 'other'")
    files = _files(paths)
    made: list[Path] = []
    failures: list[str] = []
    notices: list[str] = []
    kept = 0
    for done, (item_id, path) in enumerate(files.items()):
        if progress:
            progress(done, len(files), path.name)
        try:
            fresh, notice = ingest_file(item_id, path, plan)
        except (AssetError, GridError) as error:
            failures.append(str(error))
            continue
        made.append(plan.out / plan.collection / item_id / f"{item_id}.json")
        kept += not fresh
        notices += notice
    if made:
        _index(plan)
    if failures:
        rest = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        raise AssetError(f"{len(failures)} of {len(files)} files not ingested: {failures[0]}{rest}")
    return Ingested(collection=plan.out / plan.collection, items=tuple(made), kept=kept, notices=tuple(notices))


def _files(paths: Iterable[Path]) -> dict[str, Path]:
    """Item id -> file, in the order given."""
    files: dict[str, Path] = {}
    for path in paths:
        inside = (
            sorted(entry for entry in path.iterdir() if entry.suffix.lower() in SUFFIXES) if path.is_dir() else [path]
        )
        if not inside:
            raise CatalogueError(f"{path} holds no raster ({', '.join(SUFFIXES)})")
        for file in inside:
            item_id = catalogue.safe_id(file.stem)
            if item_id in files and files[item_id] != file:
                raise CatalogueError(
                    f"{files[item_id]} and {file} would both become Item {item_id}: rename one, or ingest it with"
                    " another --collection"
                )
            files[item_id] = file
    if not files:
        raise CatalogueError("no files to ingest")
    return files


def ingest_file(item_id: str, path: Path, plan: Plan) -> tuple[bool, list[str]]:
    """Make one Item: image.tif with the file's own pixels and grid, visual.tif and thumbnail.png.

    Not observed are the pixels that the file's nodata value, mask or alpha band hides; where it has none, those that
    are `plan.nodata` in every band. An alpha band is dropped, unless the sensor asked for has as many bands with it:
    GDAL calls the fourth of four bands alpha, be it near infrared.

    Returns:
        Whether it was made now, and notices.

    Raises:
        AssetError: the file cannot be read, does not fit the sensor, or says otherwise of its bands, scale or offset.
        GridError: it has no grid.
        CatalogueError: the disk refuses.
    """
    lineage = _lineage(path, plan)
    if _made_before(item_id, lineage, plan):
        return False, []
    with opened(path, trusted=True) as source:
        bands = _bands(source, plan.sensor)
        sensor = _fitting(path, source, bands, plan.sensor)
        geobox = grid.of_dataset(source)
        nodata = _nodata(path, source, bands, sensor, plan.nodata)
        notices = _notices(path, source, bands, nodata, plan)
        with catalogue.staged(plan.out, plan.collection, item_id) as folder:
            _copy(source, bands, folder / "image.tif", geobox, nodata, sensor)
            item = publish.imagery_item(
                id=item_id,
                geobox=geobox,
                datetime=plan.datetime,
                sensor=sensor,
                folder=folder,
                properties={"title": path.name, "processing:lineage": lineage, "processing:software": publish.SOFTWARE},
            )
            item.collection_id = plan.collection
            catalogue.write_item(folder, item)
    return True, notices


def _lineage(path: Path, plan: Plan) -> str:
    """What the Item is made of and how, so that making it again can be told from making another."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise AssetError(f"{path} cannot be read: {reason(error)}") from error
    options = {"datetime": plan.datetime, "sensor": _known(plan.sensor), "nodata": plan.nodata}
    return f"Pixels of {path.name} (sha256 {digest}), ingested with {json.dumps(options)}"


def _known(sensor: str | None) -> str | None:
    """A sensor's name; of a file, what is in it too, for it may be corrected."""
    if sensor is None or Path(sensor).suffix != ".toml":
        return sensor
    return f"{sensor} (sha256 {hashlib.sha256(presets.own(Path(sensor), 'sensor file').encode()).hexdigest()})"


def _made_before(item_id: str, lineage: str, plan: Plan) -> bool:
    if not catalogue.has(plan.out, plan.collection, item_id):
        return False
    document = catalogue.read_json(plan.out / plan.collection / item_id / f"{item_id}.json")
    return bool(document.get("properties", {}).get("processing:lineage") == lineage)


def _bands(source: Any, sensor: str | None) -> list[int]:
    """The bands that are copied, from 1."""
    every = list(source.indexes)
    whole = sensor is not None and len(sensors.read(sensor).bands) == len(every)
    return every if whole else raster.data_bands(source)


def _fitting(path: Path, source: Any, bands: list[int], name: str | None) -> Sensor:
    """The sensor asked for, or one made of what the file says; its ground sampling distance is the file's."""
    if name is not None:
        sensor = _in_decibels(path, source, bands, sensors.read(name))
    elif _is_picture(source, bands):
        sensor = sensors.read("aerial-rgb")
    else:
        sensor = _described(path, source, bands)
    if len(sensor.bands) != len(bands) or sensor.dtype != source.dtypes[0]:
        raise AssetError(
            f"{path} has {len(bands)} bands of {source.dtypes[0]}, but sensor {sensor.name} has {len(sensor.bands)} of"
            f" {sensor.dtype}: give another --sensor, or none"
        )
    _check_scale(path, source, bands, sensor)
    _check_order(path, source, bands, sensor)
    return replace(sensor, gsd=round(grid.ground_resolution(grid.of_dataset(source)), 3))


def _scale(path: Path, source: Any, bands: list[int]) -> tuple[float, float]:
    """Scale and offset that the file states for its bands; 1 and 0 where it states none."""
    told = {(float(source.scales[band - 1]), float(source.offsets[band - 1])) for band in bands}
    if len(told) > 1:
        raise AssetError(
            f"bands of {path} differ in scale or offset, {source.scales} and {source.offsets}: convert them to one"
            " first (gdal_translate -unscale -ot Float32)"
        )
    return told.pop()


def _check_scale(path: Path, source: Any, bands: list[int], sensor: Sensor) -> None:
    scale, offset = _scale(path, source, bands)
    if (scale, offset) != (1, 0) and not np.allclose((scale, offset), (sensor.scale, sensor.offset), 1e-6, 1e-9):
        raise AssetError(
            f"{path} states scale {scale:g} and offset {offset:g}, but sensor {sensor.name} has {sensor.scale:g} and"
            f" {sensor.offset:g}: give a --sensor with those of the file, or none, or take a wrong scale out of the"
            " file (gdal_edit.py -unsetscale -unsetoffset)"
        )


def _check_order(path: Path, source: Any, bands: list[int], sensor: Sensor) -> None:
    """Refuse a file that calls a band as the sensor calls another one."""
    known = [{band.name.lower(), band.common_name} for band in _in_order(sensor)]
    for position, (band, own) in enumerate(zip(bands, known, strict=True), start=1):
        told = _told(source, band)
        if told not in own and any(told in other for other in known):
            raise AssetError(
                f"{path} says that its band {position} is {told}, but that of sensor {sensor.name} is"
                f" {_in_order(sensor)[position - 1].name}: give a --sensor (.toml) with the file's order of bands"
            )


def _in_order(sensor: Sensor) -> list[Band]:
    """Its bands as they lie in the file."""
    return sorted(sensor.bands, key=lambda band: band.index)


def _told(source: Any, band: int) -> str:
    """The common name that a file itself has for a band; empty where it tells none.

    That the first three are red, green and blue says nothing: so GDAL calls any three bands of 8 bits.
    """
    described = (source.descriptions[band - 1] or "").strip().lower()
    if described in COMMON:
        return described
    colour = source.colorinterp[band - 1]
    return colour.name if colour in COLOURS and tuple(source.colorinterp[:3]) != COLOURS else ""


def _in_decibels(path: Path, source: Any, bands: list[int], sensor: Sensor) -> Sensor:
    """The sensor, whose numbers are decibels themselves if it is a radar's and the file holds floating point numbers.

    Raises:
        AssetError: those cannot be decibels, as none is negative.
    """
    if sensor.radar is None or source.dtypes[0] != "float32":
        return sensor
    values = source.read(bands, out_shape=(len(bands), *raster.thinned(source.shape, THIN)), masked=True)
    known = np.ma.masked_invalid(values).compressed()
    if known.size and known.min() >= 0:
        raise AssetError(
            f"{path} holds no value below 0, but values of sensor {sensor.name} are decibels: convert power P to"
            " 10 log10(P), amplitude A to 20 log10(A), or leave --sensor out"
        )
    return replace(sensor, dtype="float32", scale=1.0, offset=0.0, nodata=None)


def _is_picture(source: Any, bands: list[int]) -> bool:
    return source.dtypes[0] == "uint8" and tuple(source.colorinterp[band - 1] for band in bands) == COLOURS


def _described(path: Path, source: Any, bands: list[int]) -> Sensor:
    dtype = source.dtypes[0]
    known = ("uint8", "uint16", "int16", "float32")
    if dtype not in known:
        raise AssetError(f"{path} holds {dtype}: convert it to one of {', '.join(known)} first (gdal_translate -ot)")
    plain = 1 / 255 if dtype == "uint8" else 1.0
    scale, offset = _scale(path, source, bands)
    return Sensor(
        name="raster",
        title=path.name,
        gsd=1.0,
        dtype=dtype,
        scale=plain if scale == 1 and offset == 0 else scale,
        offset=offset,
        bands=tuple(
            Band(name=_name(source, band, position), common_name=_told(source, band) or None, index=position)
            for position, band in enumerate(bands, start=1)
        ),
    )


def _name(source: Any, band: int, position: int) -> str:
    """As the file describes a band, or which colour it says that it is, else its position."""
    colour = source.colorinterp[band - 1]
    named = colour.name if colour in COLOURS else f"b{position}"
    return source.descriptions[band - 1] or named


def _nodata(path: Path, source: Any, bands: list[int], sensor: Sensor, wanted: float | None) -> float | None:
    """The nodata value of the COG: the file's, the one asked for, the sensor's, or one for what a mask hides."""
    if wanted is not None and not raster.can_hold(sensor.dtype, wanted):
        raise AssetError(f"--nodata {wanted:g} cannot stand in {path}, which holds {sensor.dtype}")
    return next((value for value in (raster.marker(source, bands), wanted, sensor.nodata) if value is not None), None)


def _copy(source: Any, bands: list[int], target: Path, geobox: GeoBox, nodata: float | None, sensor: Sensor) -> None:
    names = [band.name for band in _in_order(sensor)]
    with cog.stream_cog(
        target, geobox, dtype=sensor.dtype, count=len(bands), nodata=nodata, descriptions=names
    ) as writer:
        for window in grid.windows(geobox, STRIP):
            rows, columns = window.core
            box = ((rows.start, rows.stop), (columns.start, columns.stop))
            writer.write(raster.read_marked(source, bands, box, nodata), rows.start, columns.start)


def _notices(path: Path, source: Any, bands: list[int], nodata: float | None, plan: Plan) -> list[str]:
    if nodata is None:
        return _collar(source, bands, path)
    if _odd_alpha(source, bands):
        said = f"{path}: band {source.count} is marked as alpha but looks like an image"
        return [f"{said}; if it is near infrared, give a --sensor that has it, such as naip"]
    if plan.nodata is not None and nodata != plan.nodata:
        return [f"{path}: its own nodata value {nodata:g} is kept, --nodata {plan.nodata:g} does not apply"]
    return []


def _odd_alpha(source: Any, bands: list[int]) -> bool:
    """Whether an alpha band that is dropped is neither 0 nor full in a good part of the image."""
    last = source.count
    if last in bands or source.colorinterp[last - 1] != ColorInterp.alpha:
        return False
    values = source.read(last, out_shape=raster.thinned(source.shape, THIN))
    return float(((values > 0) & (values < values.max())).mean()) > FEATHERED


def _collar(source: Any, bands: list[int], path: Path) -> list[str]:
    """A word about black joined to the edge of an image that marks nothing as not observed."""
    black = (source.read(bands, out_shape=(len(bands), *raster.thinned(source.shape, THIN))) == 0).all(axis=0)
    labels, _ = ndimage.label(black)
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    share = float(np.isin(labels, np.unique(edge[edge > 0])).mean())
    if share < COLLAR:
        return []
    return [f"{path}: {share:.1%} is black at the edge and counts as observed; if it is not, add --nodata 0"]


def _index(plan: Plan) -> None:
    identity = catalogue.identity(plan.out, title="Imagery")
    existing = plan.out / plan.collection / "collection.json"
    template = catalogue.read_json(existing) if existing.is_file() else _template(plan)
    if plan.licence is not None:
        template["license"] = plan.licence
    if plan.provider is not None:
        template["providers"] = [{"name": plan.provider, "roles": ["producer"]}]
    catalogue.index(plan.out, **identity, collections={plan.collection: template})


def _template(plan: Plan) -> dict[str, Any]:
    sensor = None if plan.sensor is None else sensors.read(plan.sensor)
    title = f"{sensor.title if sensor else 'Imagery'}, {plan.datetime}"
    return {
        "title": title,
        "description": f"{title}: local rasters, pixels unchanged, as cloud-optimised GeoTIFFs.",
        "license": "other",
        "keywords": ["imagery"],
    }
