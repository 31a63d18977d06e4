"""References to score against: what is said of the damage, as rasters or as points and polygons with a grade."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pystac
from numpy.typing import NDArray

from mage_stac import catalogue, vectors
from mage_stac.classes import NOT_OBSERVED
from mage_stac.confusion import by_state
from mage_stac.errors import AssetError

COLUMNS = (
    "grade", "damage", "dmg", "damage_gra", "damage_grade", "damage_cla", "damage_class", "grading", "subtype",
    "building_damage", "class", "label",
)  # fmt: skip
"""Columns that may hold the grade, looked for in this order, in upper or lower case."""

CHANCES = tuple(f"probability_{grade}" for grade in (1, 2, 3, 4))
"""Columns in which a map's buildings say how probable each grade is."""

WORDS: Mapping[str, int] = {
    # xBD (Gupta et al. 2019)
    "no damage": 1,
    "minor damage": 2,
    "major damage": 3,
    "destroyed": 4,
    "un classified": NOT_OBSERVED,
    # Copernicus EMS rapid mapping, from 2017 on
    "no visible damage": 1,
    "possibly damaged": 2,
    "damaged": 3,
    "not analysed": NOT_OBSERVED,
    # Copernicus EMS before, after EMS-98. Its grade 1 (hair-line cracks) is still damage, if hardly visible from above.
    "not affected": 1,
    "negligible to slight damage": 2,
    "moderately damaged": 2,
    "highly damaged": 3,
    "completely destroyed": 4,
    "not applicable": NOT_OBSERVED,
    # UNOSAT
    "no visible damages": 1,
    "possible damage": 2,
    "moderate damage": 2,
    "severe damage": 3,
    # Ours, and short forms of the above
    "undamaged": 1,
    "intact": 1,
    "minor": 2,
    "major": 3,
    "collapsed": 4,
    "not observed": NOT_OBSERVED,
    "unclassified": NOT_OBSERVED,
    "unknown": NOT_OBSERVED,
}
"""Words of the grades, in lower case with '-' and '_' as spaces, on the Joint Damage Scale 1-4; 255 is not counted."""

NUMBERS = {str(value): value for value in (1, 2, 3, 4, NOT_OBSERVED)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """A reference found: either a raster or a table."""

    name: str
    """Path of the file, for people."""
    raster: Path | None = None
    table: Any = None
    """GeoDataFrame with `grade` (1-4, or 255 for not to be counted), points or polygons, in the CRS of the file; of a
    map's own buildings with `probability` (`certainty`)."""
    column: str | None = None
    """Where the grades of the table came from."""


def find(path: Path, *, column: str | None = None, layer: str | None = None) -> Reference:
    """What a path means as a reference: a raster, a vector file, or an Item with an asset `damage` or `buildings`.

    Args:
        path: the file, or the folder of an Item.
        column: name of a vector's column of grades; else found among COLUMNS.
        layer: of a vector file with several.

    Raises:
        AssetError: nothing there that could be one, no column of grades, or a grade that is not understood.
        CatalogueError: an Item that cannot be read.
        GridError: a vector without a CRS.
    """
    suffix = path.suffix.lower()
    if path.is_dir() and suffix != ".gdb":
        return _of_item(catalogue.read_item(path), column)
    if suffix == ".json" and _is_stac(path):
        return _of_item(catalogue.read_item(path), column)
    if suffix in (*vectors.SUFFIXES, ".json"):
        return _of_table(path, column, layer)
    return Reference(name=str(path), raster=path)


def _is_stac(path: Path) -> bool:
    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise AssetError(f"{path} cannot be read as JSON: {error}") from error
    return isinstance(document, dict) and "stac_version" in document


def _of_item(item: pystac.Item, column: str | None) -> Reference:
    if "damage" in item.assets:
        path = Path(catalogue.asset_path(item, "damage"))
        return Reference(name=str(path), raster=path)
    return _of_table(Path(catalogue.asset_path(item, "buildings")), column, None)


def _of_table(path: Path, column: str | None, layer: str | None) -> Reference:
    frame = vectors.read(path, layer=layer)
    chosen = _column(frame, path, column)
    values = grades(frame[chosen])
    unknown = frame[chosen][values < 0].unique().tolist()
    if len(unknown):
        raise AssetError(
            f"{path}: column {chosen!r} has grades that are not understood: {', '.join(map(repr, unknown[:5]))}; the"
            f" numbers 1-4 (255: not to be counted) and these words are: {', '.join(sorted(WORDS))}"
        )
    columns: dict[str, NDArray[Any]] = {"grade": values}
    if set(CHANCES) <= set(frame.columns):
        columns["probability"] = certainty(frame[list(CHANCES)].to_numpy(np.float64), values)
    table = gpd.GeoDataFrame(columns, geometry=frame.geometry.to_numpy(), crs=frame.crs)
    return Reference(name=str(path), table=table, column=chosen)


def certainty(chances: NDArray[np.float64], values: NDArray[np.int64]) -> NDArray[np.float64]:
    """How probable the states of n buildings are, 0..1: of standing (grades 1 and 2 together), major or destroyed.

    Args:
        chances: (n, 4) of the grades 1..4, any scale; 0 comes of rows that are not numbers.
        values: (n,) grades; 0 comes of those that are none of 1..4.
    """
    states = by_state(np.nan_to_num(chances))
    shares = states / np.maximum(states.sum(axis=1, keepdims=True), 1e-9)
    state = np.clip(values - 2, 0, 2)
    return np.where(np.isin(values, (1, 2, 3, 4)), shares[np.arange(len(values)), state], 0.0)


def _column(frame: Any, path: Path, wanted: str | None) -> str:
    """The column of grades: the one asked for, else the first of COLUMNS whose values are all understood."""
    names = {str(name).lower(): str(name) for name in frame.columns if name != frame.geometry.name}
    if wanted is not None and wanted.lower() in names:
        return names[wanted.lower()]
    listed = ", ".join(names.values()) or "none"
    if wanted is not None:
        raise AssetError(f"{path} has no column {wanted!r}; it has: {listed}")
    there = [names[name] for name in COLUMNS if name in names]
    for name in there:
        values = grades(frame[name])
        if (values >= 0).all() and (values != NOT_OBSERVED).any():
            return name
    if there:
        return there[0]
    raise AssetError(f"{path} has no column of damage grades; name it with --column, it has: {listed}")


def grades(values: pd.Series[Any]) -> NDArray[np.int64]:
    """Grades 1-4 of words or numbers; 255 for those not to be counted, empty ones too; -1 where not understood."""
    return np.array([_grade(value) for value in values], dtype=np.int64)


def _grade(value: Any) -> int:
    if value is None or value != value or value is pd.NA:  # noqa: PLR0124 - NaN is unequal to itself
        return NOT_OBSERVED
    word = " ".join(str(value).lower().replace("-", " ").replace("_", " ").split())
    return {**NUMBERS, **WORDS}.get(word.removesuffix(".0"), -1)
