"""What is searched for: a frozen Query, read from what a user types, and how an Item on disk answers it."""

from __future__ import annotations

import re
import tomllib
from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import cql2
import pystac
import shapely
from pystac.utils import datetime_to_str
from shapely.geometry import mapping, shape
from shapely.geometry.base import BaseGeometry

from mage_stac import archives, dates
from mage_stac.errors import SearchError

Box = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Api:
    """Where to search."""

    title: str
    url: str
    """Landing page of a STAC API, or a catalogue's folder or file on this disk."""
    sign: str | None = None
    """Who signs the URLs of its assets; None for nobody."""
    local: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """A search. Coordinates are lon/lat in degrees."""

    api: str
    """Name of a known API, its URL, or a catalogue on this disk."""
    collections: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    """Of Items; any without."""
    bbox: Box | None = None
    """West, south, east, north."""
    aoi: BaseGeometry | None = None
    datetime: str | None = None
    """RFC 3339 or 2011, 2011-05, 2011-05-24; or an interval A/B, with ".." for an open end."""
    filter: str | None = None
    """CQL2, as text or JSON."""
    max_items: int | None = None

    def __post_init__(self) -> None:
        """Raise a SearchError for what contradicts itself or cannot be read."""
        if self.bbox is not None and self.aoi is not None:
            raise SearchError("give --bbox or --aoi, not both")
        if self.max_items is not None and self.max_items < 1:
            raise SearchError(f"--max-items {self.max_items} is less than 1")
        interval(self.datetime)
        expression(self.filter)

    @property
    def area(self) -> BaseGeometry | None:
        """The box or area as one geometry."""
        return shapely.box(*self.bbox) if self.bbox is not None else self.aoi

    def as_dict(self) -> dict[str, Any]:
        """The query as JSON, for the record; what was not asked is left out."""
        fields = {
            "api": self.api,
            "collections": list(self.collections) or None,
            "ids": list(self.ids) or None,
            "bbox": list(self.bbox) if self.bbox else None,
            "intersects": mapping(self.aoi) if self.aoi is not None else None,
            "datetime": self.datetime,
            "filter": self.filter,
            "max_items": self.max_items,
        }
        return {key: value for key, value in fields.items() if value is not None}


def known_apis() -> dict[str, Api]:
    """The APIs of catalogs/apis.toml by name."""
    table = tomllib.loads((files("mage_stac.catalogs") / "apis.toml").read_text(encoding="utf-8"))
    return {name: Api(**fields) for name, fields in table.items()}


def resolve(name: str) -> Api:
    """The API of a name or URL, or the catalogue on this disk.

    Raises:
        SearchError: it is none of these; lists the names.
    """
    apis = known_apis()
    if name in apis:
        return apis[name]
    if re.match(r"https?://", name):
        return next(
            (api for api in apis.values() if api.url == name.rstrip("/")), Api(title=name, url=name.rstrip("/"))
        )
    if Path(name).exists():
        return Api(title=str(name), url=str(name), local=True)
    raise SearchError(
        f"no API or catalogue {name!r}: there are {', '.join(apis)}, or give a URL or a catalogue's folder"
    )


def box(text: str) -> Box:
    """A bbox of "W,S,E,N" in degrees.

    Raises:
        SearchError: it is not four numbers, or no box.
    """
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError as error:
        raise SearchError(f"--bbox {text!r} is not W,S,E,N in degrees") from error
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise SearchError(
            f"--bbox {text!r} is not W,S,E,N in degrees with W < E and S < N (across the"
            " antimeridian, search each side)"
        )
    return west, south, east, north


def area(path: Path) -> BaseGeometry:
    """The union of the geometries of a vector file, in lon/lat.

    Raises:
        SearchError: it cannot be read, has no CRS, or holds nothing.
        AssetError: it is a zip bomb.
    """
    import geopandas
    import pyogrio.errors

    archives.checked(path)
    try:
        frame = geopandas.read_file(path)
        if frame.crs is None:
            raise SearchError(f"--aoi {path} has no CRS: use GeoJSON or GeoPackage")
        union: BaseGeometry = frame.to_crs("EPSG:4326").union_all()
    except (OSError, ValueError, pyogrio.errors.DataSourceError) as error:
        raise SearchError(f"--aoi {path} cannot be read as a vector file: {str(error).splitlines()[0]}") from error
    if union.is_empty:
        raise SearchError(f"--aoi {path} holds no geometry")
    return shapely.force_2d(union)


@lru_cache
def interval(text: str | None) -> tuple[datetime | None, datetime | None]:
    """First and last moment of a datetime or interval, None where open; a year, month or day counts wholly.

    Raises:
        SearchError: it cannot be read, or ends before it begins.
    """
    if text is None:
        return None, None
    first, _, last = text.partition("/")
    start = None if first in ("", "..") else _moment(first, text)[0]
    end = None if last == ".." else _moment(last or first, text)[1]
    if start and end and end < start:
        raise SearchError(f"--datetime {text!r} ends before it begins")
    return start, end


def _moment(part: str, text: str) -> tuple[datetime, datetime]:
    whole = re.fullmatch(r"(\d{4})(?:-(\d\d))?(?:-(\d\d))?", part)
    try:
        if whole is None:
            moment = dates.parsed(part)
            return moment, moment
        year, month, day = (int(group) if group else None for group in whole.groups())
        start = datetime(year or 1, month or 1, day or 1, tzinfo=UTC)
        last_month = month or 12
        last_day = day or monthrange(start.year, last_month)[1]
        return start, datetime(start.year, last_month, last_day, 23, 59, 59, tzinfo=UTC)
    except ValueError as error:
        raise SearchError(f"--datetime {text!r} is not like 2011-05-24, 2011-05-24T15:00:00Z or A/B") from error


def interval_text(text: str | None) -> str | None:
    """The interval as STAC APIs want it: "A/B" in RFC 3339, ".." for an open end."""
    if text is None:
        return None
    return "/".join(".." if moment is None else datetime_to_str(moment) for moment in interval(text))


@lru_cache
def expression(text: str | None) -> Any:
    """The CQL2 expression of a filter; None for none.

    Raises:
        SearchError: it is not CQL2.
    """
    if text is None:
        return None
    try:
        return cql2.Expr(text)
    except Exception as error:
        raise SearchError(f"--filter {text!r} is not CQL2: {' '.join(str(error).split())[:120]}") from error


def matches(item: pystac.Item, query: Query) -> bool:
    """Whether an Item at hand answers a query (all of it but `max_items`)."""
    return answers(item.to_dict(include_self_link=False, transform_hrefs=False), query)


def answers(document: Mapping[str, Any], query: Query) -> bool:
    """Whether an Item's JSON answers a query (all of it but `max_items`)."""
    return (
        (not query.collections or document.get("collection") in query.collections)
        and (not query.ids or document.get("id") in query.ids)
        and _in_area(document.get("geometry"), query.area)
        and _in_time(document.get("properties", {}), query.datetime)
        and passes(document, query.filter)
    )


def _in_area(geometry: dict[str, Any] | None, wanted: BaseGeometry | None) -> bool:
    return wanted is None or (geometry is not None and bool(shape(geometry).intersects(wanted)))


def _in_time(properties: Mapping[str, Any], text: str | None) -> bool:
    if text is None:
        return True
    start, end = interval(text)
    first, last = dates.span(properties)
    if first is None or last is None:
        return False
    return (end is None or first <= end) and (start is None or last >= start)


def passes(document: Mapping[str, Any], text: str | None) -> bool:
    """Whether an Item's JSON passes a filter. One that lacks a property asked for does not, as in CQL2's NULL logic."""
    if text is None:
        return True
    try:
        return bool(expression(text).matches(document))
    except SearchError:
        raise
    except Exception:  # noqa: BLE001 - cql2 0.6 raises plain Exception for a missing property
        return False
