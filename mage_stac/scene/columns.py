"""Columns: which column of a source means what, read from small TOML files; and frames of features in our own terms."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass as plain_dataclass
from dataclasses import field
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from mage_stac import presets
from mage_stac.errors import PlaceError, RecipeError

_STRICT = ConfigDict(extra="forbid")

Role = Literal["building", "line", "area", "tree", "contour"]
NUMBERS = ("height", "eaves", "roof_height", "storeys", "width", "lanes", "level", "radius", "elevation", "pitch")
"""Fields of ours that hold a number: metres above ground; metres; counts; `level` as OSM's layer; degrees."""
WORDS = ("kind", "roof", "roof_material", "wall_material", "oneway", "surface", "species", "skip")
"""Fields of ours that hold a word of our vocabularies; a feature whose `skip` is anything but empty is left out."""

_NUMBER = re.compile(r"^\s*([-+]?\d+(?:[.,]\d+)?)\s*(m|mètres?|meters?|metres?|ft|feet|')?\s*$", re.IGNORECASE)
_FEET = 0.3048


@dataclass(frozen=True, kw_only=True, slots=True, config=_STRICT)
class Recognise:
    """How to tell a source of this kind; all that is given must hold."""

    driver: tuple[str, ...] = ()
    """Formats: OSM, CityJSON, ..."""
    layers: tuple[str, ...] = ()
    """One layer's name fits one of these patterns."""
    fields: tuple[str, ...] = ()
    """One layer has all of these columns."""


@dataclass(frozen=True, kw_only=True, slots=True, config=_STRICT)
class Layer:
    """How the features of one layer are read."""

    role: Role
    name: str = "*"
    """Pattern of the layer's name, or several between |."""
    rest: tuple[str, ...] = ()
    """Of a rule for whatever is left: it reads layers whose name fits one of these patterns; where a source has none
    such, every layer that is no area by another rule."""
    ids: Mapping[str, str] = field(default_factory=dict)
    """Column -> prefix; the first column with a value gives the feature's id."""
    numbers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Field of ours -> columns, of which the first with a number counts."""
    scale: Mapping[str, float] = field(default_factory=dict)
    """Field of ours -> factor to metres."""
    words: Mapping[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)
    """Field of ours -> column -> pattern of its value -> our word; the first that fits counts, "" leaves out. A key
    such as `usage_1|USAGE1` stands for whichever of these columns there is."""
    defaults: Mapping[str, str | float] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column of the source that is asked for."""
        asked = [*self.ids, *(c for names in self.numbers.values() for c in names)]
        asked += [column for table in self.words.values() for key in table for column in key.split("|")]
        return tuple(dict.fromkeys(asked))


@dataclass(frozen=True, kw_only=True, slots=True, config=_STRICT)
class Raster:
    """What a raster file is, told by its name."""

    name: str
    """Pattern of the file's name, lower case."""
    role: Literal["terrain", "surface", "height", "cover", "picture"]
    classes: Mapping[int, str] = field(default_factory=dict)
    """For a cover: pixel value -> kind of area."""


@dataclass(frozen=True, kw_only=True, slots=True, config=_STRICT)
class Columns:
    """One kind of source."""

    title: str
    credit: str = ""
    """Line to print wherever the data is used, with its licence."""
    crs: str = ""
    """For files of this kind that do not say."""
    style: str = ""
    """Key of styles.STYLES by which places are drawn where the sources are silent; empty to tell it by the place."""
    order: int = Field(default=50, ge=0, le=100)
    """Maps of lower order are tried first."""
    recognise: Recognise = field(default_factory=Recognise)
    layers: tuple[Layer, ...] = ()
    rasters: tuple[Raster, ...] = ()

    def layer(self, name: str, beside: Collection[str] = ()) -> tuple[Layer, ...]:
        """The ways in which the layer called `name` is read, `beside` the others of its source."""
        fitting = tuple(layer for layer in self.layers if _named(name, layer.name.split("|")))
        return tuple(layer for layer in fitting if not layer.rest or _left(name, layer.rest, fitting, beside))


def _named(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns)


def _left(name: str, rest: tuple[str, ...], fitting: Iterable[Layer], beside: Iterable[str]) -> bool:
    if _named(name, rest):
        return True
    return not any(layer.role == "area" for layer in fitting) and not any(_named(other, rest) for other in beside)


@cache
def shipped() -> Mapping[str, Columns]:
    """The maps that come with mage-stac by name, in the order in which they are tried."""
    found = {name: _parse(presets.shipped("columns", name), name) for name in presets.names("columns")}
    return dict(sorted(found.items(), key=lambda item: (item[1].order, item[0])))


def read(path: str | Path) -> Columns:
    """A map from a TOML file of the same form as those in catalogs/columns, or a shipped one by its name.

    Raises:
        PlaceError: there is no such file, it is no TOML, or a field is unknown or wrong (names it).
    """
    if str(path) in (ours := shipped()):
        return ours[str(path)]
    try:
        return _parse(presets.own(Path(path), "columns map"), str(path))
    except RecipeError as error:
        raise PlaceError(f"{error}: give a TOML file or one of {', '.join(ours)}") from error


def _parse(text: str, source: str) -> Columns:
    try:
        columns = TypeAdapter(Columns).validate_python(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise PlaceError(f"columns map {source} is not valid TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise PlaceError(f"columns map {source}: {where} = {first['input']!r}: {first['msg']}") from error
    for layer in columns.layers:
        _check(layer, source)
    return columns


def _check(layer: Layer, source: str) -> None:
    for table, known in ((layer.numbers, NUMBERS), (layer.words, WORDS), (layer.defaults, NUMBERS + WORDS)):
        for name in table:
            if name not in known:
                raise PlaceError(f"columns map {source}: no field {name!r} of ours: there are {', '.join(known)}")


def recognise(driver: str, layers: Mapping[str, Sequence[str]], own: Columns | None = None) -> Columns:
    """The map for a source that `driver` opens, with columns by layer name.

    `own` is the user's: it comes first, and counts for every table (but not for OSM and CityJSON, whose form is
    known) unless it says itself what it is for.
    """
    if own is not None:
        plain = own.recognise == Recognise() and driver not in {"OSM", "CityJSON"}
        if (plain and own.layers) or (own.recognise != Recognise() and _fits(own.recognise, driver, layers)):
            return own
    return next(columns for columns in shipped().values() if _fits(columns.recognise, driver, layers))


def _fits(rule: Recognise, driver: str, layers: Mapping[str, Sequence[str]]) -> bool:
    names = [name.lower() for name in layers]
    has = [{field.lower() for field in fields} for fields in layers.values()]
    return (
        (not rule.driver or driver in rule.driver)
        and (not rule.layers or any(fnmatchcase(n, p.lower()) for n in names for p in rule.layers))
        and (not rule.fields or any({f.lower() for f in rule.fields} <= columns for columns in has))
    )


def present(layer: Layer, fields: Sequence[str]) -> tuple[str, ...]:
    """Those of the source's `fields` that the layer's rule asks for, as the source spells them."""
    asked = {column.lower() for column in layer.columns}
    return tuple(name for name in fields if name.lower() in asked)


def require(layer: Layer, fields: Sequence[str], what: str) -> None:
    """Make sure that a user's map names only columns that exist.

    Raises:
        PlaceError: for one of its fields none of the columns is there; says which there are.
    """
    there = {name.lower() for name in fields}
    words = {name: tuple(c for key in table for c in key.split("|")) for name, table in layer.words.items()}
    asked = {"id": tuple(layer.ids), **layer.numbers, **words}
    for name, columns in asked.items():
        if columns and not there & {column.lower() for column in columns}:
            raise PlaceError(
                f"{what} has no column {' or '.join(map(repr, columns))}, which the columns map wants for {name}: "
                f"it has {', '.join(map(repr, fields)) or 'none'}"
            )


@plain_dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Features in our terms; every column has one entry a feature."""

    ids: NDArray[np.object_]
    """str; empty where the source has none."""
    numbers: Mapping[str, NDArray[np.float64]]
    """NaN where unknown."""
    words: Mapping[str, NDArray[np.object_]]
    """str; empty where unknown."""
    kept: NDArray[np.bool_]
    """False for features that the map leaves out."""


def translate(frame: pd.DataFrame, layer: Layer) -> Table:
    """Read the columns of `frame` (any spelling of case) by the layer's rule."""
    by_name = {str(name).lower(): frame[name] for name in frame.columns}
    numbers = {name: _numbers(by_name, layer, name, len(frame)) for name in NUMBERS}
    words = {name: _words(by_name, layer, name, len(frame)) for name in WORDS}
    ids = np.full(len(frame), "", dtype=object)
    for column, prefix in reversed(list(layer.ids.items())):
        if column.lower() in by_name:
            text = _text(by_name[column.lower()])
            ids = np.where(text != "", prefix + text, ids)
    return Table(ids=ids, numbers=numbers, words=words, kept=(words["kind"] != "") & (words["skip"] == ""))


def _numbers(by_name: Mapping[str, pd.Series], layer: Layer, name: str, count: int) -> NDArray[np.float64]:
    values = np.full(count, np.nan)
    for column in layer.numbers.get(name, ()):
        if column.lower() in by_name:
            found = to_numbers(by_name[column.lower()]) * layer.scale.get(name, 1.0)
            values = np.where(np.isnan(values), found, values)
    default = layer.defaults.get(name)
    return np.where(np.isnan(values), float(default), values) if default is not None else values


def to_numbers(series: pd.Series) -> NDArray[np.float64]:
    """Numbers of a column of any type; text may say `7,5`, `12 m` or `40 ft`; NaN for whatever is no number."""
    if pd.api.types.is_numeric_dtype(series):
        return series.to_numpy(dtype=np.float64, na_value=np.nan)
    codes, unique = pd.factorize(series)
    values = np.array([*(_number(str(value)) for value in unique), np.nan])
    return np.asarray(values[codes])


def _number(text: str) -> float:
    match = _NUMBER.match(text)
    if match is None:
        return float("nan")
    return float(match[1].replace(",", ".")) * (_FEET if (match[2] or "").lower() in {"ft", "feet", "'"} else 1.0)


def _words(by_name: Mapping[str, pd.Series], layer: Layer, name: str, count: int) -> NDArray[np.object_]:
    words = np.full(count, "", dtype=object)
    settled = np.zeros(count, dtype=bool)
    for key, patterns in layer.words.get(name, {}).items():
        column = next((column for column in key.lower().split("|") if column in by_name), None)
        if column is not None:
            codes, unique = pd.factorize(_text(by_name[column]))
            hits = [_match(str(value), patterns) for value in unique]
            hit = np.array([found is not None for found in hits], dtype=bool)[codes] & ~settled
            words[hit] = np.array([found or "" for found in hits], dtype=object)[codes][hit]
            settled |= hit
    default = layer.defaults.get(name)
    return words if default is None else np.where(settled, words, default)


def _match(value: str, patterns: Mapping[str, str]) -> str | None:
    if not value:
        return None
    return next((ours for pattern, ours in patterns.items() if fnmatchcase(value.lower(), pattern.lower())), None)


def _text(series: pd.Series) -> NDArray[np.object_]:
    """As text; whole numbers without a point, nothing for missing values."""
    missing = series.isna().to_numpy()
    if pd.api.types.is_float_dtype(series):
        series = series.map(lambda value: f"{value:.12g}")
    return np.where(missing, "", series.astype(str).str.strip().to_numpy(dtype=object))
