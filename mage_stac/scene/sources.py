"""Sources: what a file of place data is, told by its bytes, its layers and its name, and which columns map reads it."""

from __future__ import annotations

import mmap
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pyogrio
import rasterio
from pyarrow import ArrowException
from pydantic import TypeAdapter
from pyogrio.errors import DataLayerError, DataSourceError
from rasterio.errors import RasterioIOError

from mage_stac import archives
from mage_stac.errors import PlaceError
from mage_stac.scene import columns
from mage_stac.scene.columns import Columns, Raster

FORMATS = {
    ".gpkg": "SQLite",
    ".geojson": "JSON",
    ".json": "JSON",
    ".parquet": "Parquet",
    ".geoparquet": "Parquet",
    ".shp": "Shapefile",
    ".fgb": "FlatGeobuf",
    ".pbf": "OSM PBF",
    ".osm": "XML",
    ".zip": "zip",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".jp2": "JPEG 2000",
    ".asc": "ASCII grid",
}
"""Ending of a name -> what such a file must begin like. Other endings are not read."""
RASTERS = {"TIFF", "JPEG 2000", "ASCII grid"}
ROLES = ("terrain", "surface", "height", "cover", "picture")


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One file, or one file in an archive."""

    path: str
    """As GDAL opens it; for CityJSON and GeoParquet a plain path."""
    label: str
    """For messages: the name that the user knows."""
    driver: str
    """OSM, CityJSON, Parquet, table or raster."""
    columns: Columns
    layers: Mapping[str, tuple[str, ...]]
    """Columns by layer name; empty for rasters."""
    own: bool = False
    """Read by a map that the user gave."""
    raster: Raster | None = None


def identify(files: Sequence[str | Path], own: Columns | None = None) -> tuple[Source, ...]:
    """Tell what each file is; folders and archives stand for the files in them.

    A raster's role may be given before its name: `terrain=x.tif`, also surface, height, cover, picture.

    Raises:
        PlaceError: a file is missing, is not what its name says, is of no known kind, or its role cannot be told.
    """
    if not files:
        raise PlaceError("no files given: a place needs at least footprints, an OSM extract, or a city model")
    return tuple(source for file in files for source in _told(tuple(_sources(str(file), own)), own))


def _told(together: tuple[Source, ...], own: Columns | None) -> Iterator[Source]:
    """The tables of one folder or archive are read by one map: some layers are known only by their neighbours."""
    tables = [source for source in together if source.driver == "table"]
    layers = {name: fields for source in tables for name, fields in source.layers.items()}
    found = columns.recognise("table", layers, own) if len(tables) > 1 else None
    for source in together:
        known = found is not None and found.recognise != columns.Recognise() and source.driver == "table"
        yield replace(source, columns=found, own=found is own) if found and known else source


def _sources(text: str, own: Columns | None) -> Iterator[Source]:
    role, found, path = text.partition("=")
    if not (found and role in ROLES):
        role, path = "", text
    file = Path(path)
    if file.is_dir():
        inside = sorted(entry for entry in file.rglob("*") if entry.suffix.lower() in FORMATS and entry.is_file())
        if not inside:
            raise PlaceError(f"folder {file} holds no file that is read: {', '.join(FORMATS)}")
        for entry in inside:
            yield from _sources(f"{role}={entry}" if role else str(entry), own)
    elif not file.is_file():
        raise PlaceError(f"no file {file}: give paths of place data that exist")
    elif file.suffix.lower() == ".zip":
        yield from _archive(file, role, own)
    else:
        yield _source(file, file.name, role, own)


def _archive(file: Path, role: str, own: Columns | None) -> Iterator[Source]:
    try:
        with zipfile.ZipFile(file) as archive:
            names = sorted(entry.filename for entry in archive.infolist() if not entry.is_dir())
    except (zipfile.BadZipFile, OSError) as error:
        raise PlaceError(_misnamed(file, "zip")) from error
    archives.checked(file)
    inside = [entry for entry in names if Path(entry).suffix.lower() in FORMATS.keys() - {".zip", ".parquet"}]
    if not inside:
        raise PlaceError(f"archive {file} holds no file that is read: {', '.join(FORMATS)}")
    for entry in inside:
        label = f"{file.name}/{entry}"
        if FORMATS[Path(entry).suffix.lower()] in RASTERS:
            yield _raster(f"/vsizip/{{{file}}}/{entry}", label, role, own)
        else:
            yield _table(f"/vsizip/{{{file}}}/{entry}", label, "table", own)


def _source(file: Path, label: str, role: str, own: Columns | None) -> Source:
    wanted = FORMATS.get(file.suffix.lower())
    if wanted is None:
        raise PlaceError(f"{file} is of no kind that is read: give {', '.join(FORMATS)}, or a folder of such files")
    if begins(file) != wanted:
        raise PlaceError(_misnamed(file, wanted))
    if wanted in RASTERS:
        return _raster(str(file), label, role, own)
    if wanted == "Parquet":
        return _parquet(file, label, own)
    if wanted == "JSON" and _holds(file, b'"CityObjects"'):
        return _city(file, label, own)
    return _table(str(file), label, "OSM" if wanted in {"OSM PBF", "XML"} else "table", own)


def begins(file: Path) -> str:
    """Which of the FORMATS a file begins like, or a few words on what else."""
    with file.open("rb") as stream:
        head = stream.read(512)
    marks = (
        (b"SQLite format 3\x00", "SQLite"),
        (b"PAR1", "Parquet"),
        (b"\x00\x00\x27\x0a", "Shapefile"),
        (b"fgb\x03fgb", "FlatGeobuf"),
        (b"PK\x03\x04", "zip"),
        (b"II*\x00", "TIFF"),
        (b"MM\x00*", "TIFF"),
        (b"II+\x00", "TIFF"),
        (b"MM\x00+", "TIFF"),
        (b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
        (b"\xff\x4f\xff\x51", "JPEG 2000"),
    )
    for mark, kind in marks:
        if head.startswith(mark):
            return kind
    if b"OSMHeader" in head[:64]:
        return "OSM PBF"
    return _text_kind(head.lstrip(b"\xef\xbb\xbf \t\r\n").lower())


def _text_kind(head: bytes) -> str:
    if not head:
        return "nothing: it is empty"
    if head.startswith((b"<!doctype html", b"<html")):
        return "a web page"
    if head.startswith(b"<"):
        return "XML"
    if head.startswith((b"{", b"[")):
        return "JSON"
    if head.startswith((b"ncols", b"nrows")):
        return "ASCII grid"
    return "no known format"


def _misnamed(file: Path, wanted: str) -> str:
    found = begins(file)
    hint = "download it again" if found.startswith(("a web", "nothing")) else "rename it to what it is, or get it again"
    return f"{file} is named {file.suffix} but begins like {found}, not {wanted}: {hint}"


def _holds(file: Path, word: bytes) -> bool:
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(word) >= 0


def _table(path: str, label: str, driver: str, own: Columns | None) -> Source:
    try:
        names = [str(name) for name, kind in pyogrio.list_layers(path) if kind is not None]
        # Asking for OSM's columns would read the file once a layer; which there are is up to the map anyway.
        layers = {name: _fields(path, name) if driver != "OSM" else () for name in names}
    except (DataSourceError, DataLayerError) as error:
        raise PlaceError(f"{label} cannot be read ({_first(error)}): it is damaged or no {driver} file") from error
    found = columns.recognise(driver, layers, own)
    return Source(path=path, label=label, driver=driver, columns=found, layers=layers, own=found is own)


def _fields(path: str, layer: str) -> tuple[str, ...]:
    return tuple(str(name) for name in pyogrio.read_info(path, layer=layer)["fields"])


def _parquet(file: Path, label: str, own: Columns | None) -> Source:
    try:
        fields = tuple(str(name) for name in pq.read_schema(file).names)
    except (ArrowException, OSError) as error:
        raise PlaceError(f"{label} cannot be read ({_first(error)}): it is damaged or no Parquet file") from error
    layers = {file.stem: fields}
    found = columns.recognise("Parquet", layers, own)
    return Source(path=str(file), label=label, driver="Parquet", columns=found, layers=layers, own=found is own)


def _city(file: Path, label: str, own: Columns | None) -> Source:
    found = columns.recognise("CityJSON", {}, own)
    layers: dict[str, tuple[str, ...]] = {layer.name: () for layer in found.layers}
    return Source(path=str(file), label=label, driver="CityJSON", columns=found, layers=layers, own=found is own)


def _raster(path: str, label: str, role: str, own: Columns | None) -> Source:
    name = Path(label).name.lower()
    maps = [*([own] if own else []), *columns.shipped().values()]
    fits = [(rule, holder) for holder in maps for rule in holder.rasters if fnmatchcase(name, rule.name)]
    fits = [(rule, holder) for rule, holder in fits if role in {"", rule.role}]
    codes = _codes(path, label) if role == "cover" or any(rule.classes for rule, _ in fits) else set()
    for rule, holder in fits:
        if rule.role != "cover" or codes <= set(rule.classes):
            return Source(path=path, label=label, driver="raster", columns=holder, layers={}, raster=rule)
    if codes:
        raise PlaceError(
            f"no columns map names all classes of land cover {label} ({', '.join(map(str, sorted(codes)[:20]))}): "
            "give one that does, under [[rasters]] and [rasters.classes]"
        )
    if not role:
        known = ", ".join(ROLES)
        raise PlaceError(f"cannot tell what raster {label} shows: say so before its name, terrain={label} ({known})")
    rule = TypeAdapter(Raster).validate_python({"name": name, "role": role})
    return Source(path=path, label=label, driver="raster", columns=Columns(title=label), layers={}, raster=rule)


def _codes(path: str, label: str) -> set[int]:
    """The values that a raster holds, from an overview of at most 1024 pixels a side."""
    try:
        with rasterio.open(path) as dataset:
            shape = (min(1024, dataset.height), min(1024, dataset.width))
            values = dataset.read(1, out_shape=shape, masked=True)
    except RasterioIOError as error:
        raise PlaceError(f"{label} cannot be read as a raster ({_first(error)})") from error
    return {int(value) for value in np.unique(values.compressed())}


def _first(error: Exception) -> str:
    return str(error).splitlines()[0].split(";")[0] if str(error) else type(error).__name__
