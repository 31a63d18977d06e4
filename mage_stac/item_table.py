"""items.parquet: a Collection's Items as one stac-geoparquet table, derived from their JSON and searched in its place.

The JSON is the truth. The table only tells which Items to open, so what it cannot hold exactly (fractions of a
millisecond, an empty field against a missing one) never reaches an answer.
"""

from __future__ import annotations

import json
import os
import posixpath
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from heapq import nsmallest
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from mage_stac.errors import CatalogueError
from mage_stac.query import Query, expression, interval

NAME = "items.parquet"

ASSET = {
    "href": f"./{NAME}",
    "title": "The Items as one table",
    "type": "application/vnd.apache.parquet",
    "roles": ["collection-mirror"],  # as the stac-geoparquet specification advises
}

ROUNDING = 1e-6
"""Degrees by which a bbox may be smaller than its geometry: they are written with 7 decimals."""

MILLISECOND = "INTERVAL 1 MILLISECOND"
"""The table cuts times to it."""

ROWS = 65_536
"""Geometries looked at together: memory does not grow with the Collection."""

GROUP = 16_384
"""Rows that lie together and are passed over together; rustac's own groups of a million leave none to pass over."""

_STAC = b"stac-geoparquet"
"""Key of the file's metadata that the stac-geoparquet specification names; `collections` holds them by id."""

_OWN = b"mage-stac"
"""Ours: the row from which on boxes cross the antimeridian."""

_STRUCTURE = {"root", "parent", "self", "item", "child", "items"}

_TOP = ("type", "stac_version", "stac_extensions", "id", "geometry", "bbox", "links", "assets", "collection")
"""Fields of an Item beside its properties. Others, and properties of these names, have no column of their own."""


@contextmanager
def beside(
    folder: Path, collection: Mapping[str, Any], documents: Sequence[Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Derive a Collection's table while its collection.json is written: yields what is to be written.

    That is the Collection with an asset that names the table; without, and no table is left, where the Items cannot
    share one (a field that is text in one and a number in another). The old table goes before the block and the new one
    comes after it, so a run that dies in between leaves none: it is never read with a collection.json of another time.

    Raises:
        CatalogueError: the disk refuses.
    """
    partial = folder / f".{NAME}.partial"
    assets = {key: asset for key, asset in collection.get("assets", {}).items() if asset != ASSET}
    named = {**collection, "assets": {**assets, "items": ASSET}}
    try:
        made = _derive(documents, named, partial)
        (folder / NAME).unlink(missing_ok=True)
        yield named if made else {**named, "assets": assets}
        if made:
            os.utime(partial)  # not older than the collection.json just written
            partial.replace(folder / NAME)
    except OSError as error:
        raise CatalogueError(f"{folder / NAME} cannot be written: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)


def _derive(documents: Sequence[Mapping[str, Any]], collection: Mapping[str, Any], path: Path) -> bool:
    import rustac

    try:
        rustac.write_sync(str(path), [_row(document) for document in documents], format="geoparquet")
    except (rustac.RustacError, KeyError, TypeError, AttributeError):  # the latter: what is no Item at all
        return False
    finish(path, collection)
    return True


def finish(path: Path, collection: Mapping[str, Any]) -> None:
    """Pack a table just written by place, and put its Collection into the file's metadata, where readers look for it.

    The links to the Items stay out of it, so a search reads what the Collection says at once, however many there are.
    """
    from pyarrow import parquet

    parts = parquet.ParquetFile(path).metadata.metadata.items()
    kept = {key: value for key, value in parts if key != b"ARROW:schema"}  # "geo" among them; reading drops it
    table, crossing = packed(parquet.read_table(path))
    version = json.loads(kept.get(_STAC, b"{}"))
    kept[_STAC] = json.dumps({**version, "collections": {str(collection["id"]): described(collection)}}).encode()
    kept[_OWN] = json.dumps({"crossing": crossing}).encode()
    parquet.write_table(table.replace_schema_metadata(kept), path, row_group_size=GROUP)


def described(collection: Mapping[str, Any]) -> dict[str, Any]:
    """A Collection without its links to other parts of the catalogue."""
    links = [link for link in collection.get("links", []) if link.get("rel") not in _STRUCTURE]
    return {**collection, "links": links}


def packed(table: Any) -> tuple[Any, int]:
    """A table's rows so ordered that those of a group lie near to each other: slices by longitude, each by latitude.

    (Sort-tile-recursive packing, Leutenegger et al., ICDE 1997.) A search of an area then reads a few groups. Boxes
    that cross the antimeridian come last, from the row that is given, too: no search need look for them elsewhere.
    """
    boxes = table["bbox"].combine_chunks()
    west, south, east = (boxes.field(side).to_numpy(zero_copy_only=False) for side in ("xmin", "ymin", "xmax"))
    slices = max(1, round(np.sqrt(len(west) / GROUP)))
    rank = np.empty(len(west), int)
    rank[np.argsort(west, kind="stable")] = np.arange(len(west))
    order = np.lexsort((south, rank * slices // len(west), west > east))
    return table.take(order), int(np.count_nonzero(~(west > east)))


def _row(document: Mapping[str, Any]) -> dict[str, Any]:
    """An Item as it stands in the table: hrefs are relative to the Collection's folder, where the table lies."""
    row = {key: document[key] for key in _TOP if key in document}
    row["properties"] = {key: value for key, value in document["properties"].items() if key not in _TOP}
    row["links"] = [_moved(link, document["id"]) for link in document.get("links", [])]
    row["assets"] = {key: _moved(asset, document["id"]) for key, asset in document["assets"].items()}
    return row


def _moved(holder: Mapping[str, Any], folder: str) -> dict[str, Any]:
    href = str(holder.get("href", ""))
    if "://" in href or href.startswith("/"):
        return dict(holder)
    moved = posixpath.normpath(posixpath.join(folder, href))
    return {**holder, "href": moved if moved.startswith("..") else f"./{moved}"}


def problem(folder: Path, collection: Mapping[str, Any], documents: Sequence[Mapping[str, Any]]) -> str | None:
    """What is wrong with a Collection's table, in one line: it is derived again and compared. None if nothing is.

    Args:
        folder: of the Collection.
        collection: its JSON.
        documents: its Items, as their JSON has them.
    """
    table = folder / NAME
    named = collection.get("assets", {}).get("items", {}).get("href") == ASSET["href"]
    cure = f"write it anew with `mage-stac check {folder} --rebuild`"
    if not table.is_file():
        return f"collection.json names {NAME}, which is missing: {cure}" if named else None
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch) / NAME
        if not documents or not _derive(documents, collection, fresh):
            return f"{NAME} cannot stand for these {len(documents)} Items: {cure}"
        return None if _same(table, fresh) else f"{NAME} disagrees with the Items' JSON: {cure}"


def _same(one: Path, other: Path) -> bool:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        left, right = (parquet.read_table(path) for path in (one, other))
        said = [json.loads(parquet.ParquetFile(path).metadata.metadata.get(_STAC, b"{}")) for path in (one, other)]
    except (pa.ArrowException, OSError, ValueError):
        return False
    names = sorted(right.column_names)
    alike = sorted(left.column_names) == names and said[0] == said[1]
    return alike and all(left[name].equals(right[name]) for name in names)


def usable(folder: Path) -> bool:
    """Whether a Collection has a table that is not older than its collection.json."""
    table = folder / NAME
    return table.is_file() and table.stat().st_mtime_ns >= (folder / "collection.json").stat().st_mtime_ns


@dataclass(frozen=True, kw_only=True, slots=True)
class Hits:
    """What a table answers."""

    files: tuple[Path, ...]
    """The JSON of the Items that may answer the query, sorted by id, the first of them; none that does is left out."""
    count: int
    """How many there are in all."""
    filtered: bool
    """Whether the query's filter was applied; its JSON must be asked where the table cannot."""
    collection: Mapping[str, Any] | None
    """What the Collection says of itself, without links to its Items; None where the table does not hold it."""


def find(folder: Path, query: Query, most: int | None = None) -> Hits:
    """The Items of a Collection that answer a query, all of it but `max_items`, read from its table alone.

    With `most`, no more files are named than that, unless the filter must be applied to them yet.

    Raises:
        CatalogueError: the table cannot be read.
    """
    import duckdb

    table = _Table(database=_database().cursor(), path=folder / NAME)
    try:
        stac, own = table.metadata()
        start = int(own.get("crossing", 0))
        try:
            names, number = _first(table.ids(query, start), most)
            filtered = True
        except (duckdb.ProgrammingError, duckdb.DataError, duckdb.NotSupportedError, _NoColumnError):
            names, number = _first(table.ids(replace(query, filter=None), start), None)  # no SQL says it
            filtered = False
    except duckdb.Error as error:
        raise CatalogueError(
            f"{folder / NAME} cannot be read ({str(error).splitlines()[0][:120]}): write it anew with"
            f" `mage-stac check {folder} --rebuild`"
        ) from error
    finally:
        table.database.close()
    collection = next(iter(stac.get("collections", {}).values()), None)
    files = tuple(folder / name / f"{name}.json" for name in names)
    return Hits(files=files, count=number, filtered=filtered, collection=collection)


@cache
def _database() -> Any:
    """DuckDB in memory: it holds no table, and opening it anew takes longer than most queries."""
    import duckdb

    database = duckdb.connect()
    database.execute("SET GLOBAL enable_geoparquet_conversion = false")  # well-known binary, without an extension
    return database


def _first(names: Iterator[str], most: int | None) -> tuple[list[str], int]:
    """The first names in their order, and how many there are: no more are held than wanted."""
    counter = count()
    told = (name for name, _ in zip(names, counter))  # noqa: B905 - the names end first, so all of them are counted
    chosen = sorted(told) if most is None else nsmallest(most, told)
    return chosen, next(counter)


class _NoColumnError(Exception):
    """A filter asks for a part of a property."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Table:
    """A table on disk and the connection that reads it."""

    database: Any
    path: Path

    def metadata(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What the specification puts into the file's metadata, and what we do."""
        sql = "SELECT key, value FROM parquet_kv_metadata(?) WHERE key IN (?, ?)"
        found = {
            bytes(key): value for key, value in self.database.execute(sql, [str(self.path), _STAC, _OWN]).fetchall()
        }
        stac, own = (json.loads(found.get(key, b"{}")) for key in (_STAC, _OWN))
        return stac, own

    def ids(self, query: Query, crossing: int) -> Iterator[str]:
        where, values = _conditions(query)
        wanted = expression(query.filter)
        absent = {"start_datetime", "end_datetime", "datetime"}
        if wanted is not None:
            where.append(f"({wanted.to_sql()})")
            absent |= _properties(wanted.to_json())
        absent -= set(self.database.read_parquet(str(self.path)).columns)
        if any("." in name for name in absent):
            raise _NoColumnError
        nulls = "".join(f", NULL::{_type(name)} AS {_quoted(name)}" for name in sorted(absent))
        source = f"(SELECT *{nulls} FROM read_parquet(?, file_row_number = true))"  # noqa: S608 - values are bound, names quoted
        condition = " AND ".join(where) or "true"
        bound = [str(self.path), *values]
        if query.area is None:
            sql = f"SELECT id FROM {source} WHERE {condition}"  # noqa: S608 - as above
            return (name for (name,) in _rows(self.database.execute(sql, bound)))
        west, _, east, _ = query.area.bounds
        chosen = f"SELECT id, geometry FROM {source} WHERE {condition}"  # noqa: S608 - as above
        # Apart, for an OR would keep DuckDB from passing over groups of rows: boxes, and those across the antimeridian.
        plain = f"{chosen} AND bbox.xmin <= bbox.xmax AND bbox.xmin <= ? AND bbox.xmax >= ?"
        sql = f"{plain} UNION ALL {chosen} AND bbox.xmin > bbox.xmax AND file_row_number >= ?"
        both = [*bound, east + ROUNDING, west - ROUNDING, *bound, crossing]
        return _meeting(self.database.execute(sql, both), query.area)


def _rows(result: Any) -> Iterator[Any]:
    """The rows of an answer, a part of them in memory at a time."""
    while some := result.fetchmany(ROWS):
        yield from some


def _type(name: str) -> str:
    """Of a property that no Item has."""
    return "TIMESTAMPTZ" if name.endswith("datetime") else "VARCHAR"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _properties(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {node["property"]} if isinstance(node.get("property"), str) else set()
        return own.union(*map(_properties, node.values()))
    return set().union(*map(_properties, node)) if isinstance(node, list) else set()


def _conditions(query: Query) -> tuple[list[str], list[Any]]:
    """SQL that every Item that answers passes, the filter aside, and its values."""
    where: list[str] = []
    values: list[Any] = []
    for column, wanted in (("id", query.ids), ("collection", query.collections)):
        if wanted:
            where.append(f"list_contains(?, {column})")
            values.append(list(wanted))
    if query.area is not None:
        _, south, _, north = query.area.bounds
        where.append("bbox.ymin <= ? AND bbox.ymax >= ?")
        values += [north + ROUNDING, south - ROUNDING]
    if query.datetime is not None:
        start, end = interval(query.datetime)
        first, last = (f"COALESCE({name}, datetime)" for name in ("start_datetime", "end_datetime"))
        where.append(f"{first} IS NOT NULL AND {last} IS NOT NULL")
        if end is not None:
            where.append(f"{first} <= ?::TIMESTAMPTZ")
            values.append(end.isoformat())
        if start is not None:
            where.append(f"{last} + {MILLISECOND} >= ?::TIMESTAMPTZ")
            values.append(start.isoformat())
    return where, values


def _meeting(rows: Any, area: BaseGeometry) -> Iterator[str]:
    """Ids of the rows whose geometry meets the area, a part of them in memory at a time."""
    shapely.prepare(area)
    while some := rows.fetchmany(ROWS):
        meets = shapely.intersects(area, shapely.from_wkb([geometry for _, geometry in some]))
        yield from (name for (name, _), hit in zip(some, meets, strict=True) if hit)
