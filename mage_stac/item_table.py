"""items.parquet: a Collection's Items as one stac-geoparquet table, derived from their JSON and searched in its place.

The JSON is the truth. The table only tells which Items to open, so what it cannot hold exactly (fractions of a
millisecond, an empty field against a missing one) never reaches an answer.
"""

from __future__ import annotations

import os
import posixpath
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
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

_TOP = ("type", "stac_version", "stac_extensions", "id", "geometry", "bbox", "links", "assets", "collection")
"""Fields of an Item beside its properties. Others, and properties of these names, have no column of their own."""


@contextmanager
def beside(folder: Path, documents: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Derive a Collection's table while its collection.json is written: yields the Collection's assets that name it.

    The old table goes before the block and the new one comes after it, so a run that dies in between leaves none: it is
    never read with a collection.json of another time. Yields nothing, and leaves no table, where the Items cannot share
    one (a field that is text in one and a number in another).

    Raises:
        CatalogueError: the disk refuses.
    """
    partial = folder / f".{NAME}.partial"
    try:
        made = _derive(documents, partial)
        (folder / NAME).unlink(missing_ok=True)
        yield {"items": ASSET} if made else {}
        if made:
            os.utime(partial)  # not older than the collection.json just written
            partial.replace(folder / NAME)
    except OSError as error:
        raise CatalogueError(f"{folder / NAME} cannot be written: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)


def _derive(documents: Sequence[Mapping[str, Any]], path: Path) -> bool:
    import rustac

    try:
        rustac.write_sync(str(path), [_row(document) for document in documents], format="geoparquet")
    except (rustac.RustacError, KeyError, TypeError, AttributeError):  # the latter: what is no Item at all
        return False
    if len(documents) > GROUP:
        from pyarrow import parquet

        parts = parquet.ParquetFile(path).metadata.metadata.items()
        kept = {key: value for key, value in parts if key != b"ARROW:schema"}  # "geo" among them; reading drops it
        table = packed(parquet.read_table(path)).replace_schema_metadata(kept)
        parquet.write_table(table, path, row_group_size=GROUP)
    return True


def packed(table: Any) -> Any:
    """A table's rows so ordered that those of a group lie near to each other: slices by longitude, each by latitude.

    (Sort-tile-recursive packing, Leutenegger et al., ICDE 1997.) A search of an area then reads a few groups.
    """
    boxes = table["bbox"].combine_chunks()
    west, south = (boxes.field(side).to_numpy(zero_copy_only=False) for side in ("xmin", "ymin"))
    slices = max(1, round(np.sqrt(len(west) / GROUP)))
    rank = np.empty(len(west), int)
    rank[np.argsort(west, kind="stable")] = np.arange(len(west))
    return table.take(np.lexsort((south, rank * slices // len(west))))


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


def problem(folder: Path, documents: Sequence[Mapping[str, Any]], *, named: bool) -> str | None:
    """What is wrong with a Collection's table, in one line: it is derived again and compared. None if nothing is.

    Args:
        folder: of the Collection.
        documents: its Items, as their JSON has them.
        named: whether collection.json names the table.
    """
    table = folder / NAME
    cure = f"write it anew with `mage-stac check {folder} --rebuild`"
    if not table.is_file():
        return f"collection.json names {NAME}, which is missing: {cure}" if named else None
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch) / NAME
        if not documents or not _derive(documents, fresh):
            return f"{NAME} cannot stand for these {len(documents)} Items: {cure}"
        return None if _same(table, fresh) else f"{NAME} disagrees with the Items' JSON: {cure}"


def _same(one: Path, other: Path) -> bool:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        left, right = (parquet.read_table(path) for path in (one, other))
    except (pa.ArrowException, OSError):
        return False
    names = sorted(right.column_names)
    return sorted(left.column_names) == names and all(left[name].equals(right[name]) for name in names)


def usable(folder: Path) -> bool:
    """Whether a Collection has a table that is not older than its collection.json."""
    table = folder / NAME
    return table.is_file() and table.stat().st_mtime_ns >= (folder / "collection.json").stat().st_mtime_ns


@dataclass(frozen=True, kw_only=True, slots=True)
class Hits:
    """What a table answers."""

    files: tuple[Path, ...]
    """The JSON of the Items that may answer the query, sorted by id; none that does is left out."""
    filtered: bool
    """Whether the query's filter was applied; its JSON must be asked where the table cannot."""


def find(folder: Path, query: Query) -> Hits:
    """The Items of a Collection that answer a query, all of it but `max_items`, read from its table alone.

    Raises:
        CatalogueError: the table cannot be read.
    """
    import duckdb

    try:
        with duckdb.connect() as database:
            database.execute("SET enable_geoparquet_conversion = false")  # well-known binary, without an extension
            columns = set(database.read_parquet(str(folder / NAME)).columns)
            try:
                names = _ids(database, folder / NAME, query, columns)
                filtered = True
            except (duckdb.ProgrammingError, duckdb.DataError, duckdb.NotSupportedError, _NoColumnError):
                names = _ids(database, folder / NAME, replace(query, filter=None), columns)  # no SQL says it
                filtered = False
    except duckdb.Error as error:
        raise CatalogueError(
            f"{folder / NAME} cannot be read ({str(error).splitlines()[0][:120]}): write it anew with"
            f" `mage-stac check {folder} --rebuild`"
        ) from error
    return Hits(files=tuple(folder / name / f"{name}.json" for name in sorted(names)), filtered=filtered)


class _NoColumnError(Exception):
    """A filter asks for a part of a property."""


def _ids(database: Any, table: Path, query: Query, columns: set[str]) -> list[str]:
    where, values = _conditions(query)
    wanted, absent = expression(query.filter), {"start_datetime", "end_datetime", "datetime"} - columns
    if wanted is not None:
        where.append(f"({wanted.to_sql()})")
        absent |= _properties(wanted.to_json()) - columns
    if any("." in name for name in absent):
        raise _NoColumnError
    nulls = "".join(f", NULL::{_type(name)} AS {_quoted(name)}" for name in sorted(absent))
    source = f"(SELECT *{nulls} FROM read_parquet(?))"  # noqa: S608 - values are bound, names quoted
    condition = " AND ".join(where) or "true"
    if query.area is None:
        sql = f"SELECT id FROM {source} WHERE {condition}"  # noqa: S608 - values are bound, names quoted
        return [name for (name,) in database.execute(sql, [str(table), *values]).fetchall()]
    west, _, east, _ = query.area.bounds
    chosen = f"SELECT id, geometry FROM {source} WHERE {condition}"  # noqa: S608 - as above
    # Apart, for an OR would keep DuckDB from passing over groups of rows: boxes, and those across the antimeridian.
    plain = f"{chosen} AND bbox.xmin <= bbox.xmax AND bbox.xmin <= ? AND bbox.xmax >= ?"
    sql = f"{plain} UNION ALL {chosen} AND bbox.xmin > bbox.xmax"
    bound = [str(table), *values, east + ROUNDING, west - ROUNDING, str(table), *values]
    return _meeting(database.execute(sql, bound), query.area)


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


def _meeting(rows: Any, area: BaseGeometry) -> list[str]:
    """Ids of the rows whose geometry meets the area, a part of them in memory at a time."""
    shapely.prepare(area)
    names: list[str] = []
    while some := rows.fetchmany(ROWS):
        meets = shapely.intersects(area, shapely.from_wkb([geometry for _, geometry in some]))
        names += [name for (name, _), hit in zip(some, meets, strict=True) if hit]
    return names
