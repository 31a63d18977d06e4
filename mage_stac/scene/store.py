"""Store: features of a large place on disk, in our terms, found again by where they lie."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely
from pyproj import CRS

from mage_stac.scene import features
from mage_stac.scene.assembly import MARGIN
from mage_stac.scene.columns import NUMBERS, WORDS, Role, Table
from mage_stac.scene.features import Features
from mage_stac.scene.scene import Face
from mage_stac.scene.site import Site

CONTOUR_REACH = 1000.0
"""Contours so far outside a site are found too, m."""


class Store:
    """A temporary GeoPackage, one layer a role: its index finds what lies around a site. Use it in a `with`."""

    def __init__(self, crs: CRS) -> None:
        self._crs = crs
        self._folder = tempfile.TemporaryDirectory(prefix="mage-stac-")
        self._roles: set[Role] = set()
        self._faces: dict[str, tuple[Face, ...]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.cleanup()

    @property
    def _path(self) -> Path:
        return Path(self._folder.name) / "place.gpkg"

    def add(self, lot: Features) -> None:
        """Put features in. Measured faces stay in memory, as the city model that they come from does."""
        columns = {name: lot.table.numbers[name] for name in NUMBERS} | {name: lot.table.words[name] for name in WORDS}
        frame = gpd.GeoDataFrame({"key": lot.table.ids, **columns}, geometry=lot.geometry, crs=self._crs)
        pyogrio.write_dataframe(
            frame,
            self._path,
            layer=lot.role,
            append=lot.role in self._roles,
            geometry_type="Unknown",
            promote_to_multi=False,
        )
        self._roles.add(lot.role)
        self._faces.update(lot.faces)

    def around(self, at: Site) -> Mapping[Role, Features]:
        """What lies on a site and as far around it as scenes need."""
        roles: tuple[Role, ...] = ("building", "line", "area", "tree", "contour")
        return {role: self._near(role, at) for role in roles}

    def _near(self, role: Role, at: Site) -> Features:
        if role not in self._roles:
            return features.join(role, [])
        box = at.grown(CONTOUR_REACH if role == "contour" else MARGIN)
        frame = pyogrio.read_dataframe(self._path, layer=role, bbox=box.bounds)
        frame = frame[shapely.intersects(frame.geometry.to_numpy(), shapely.box(*box.bounds))]
        ids = _words(frame["key"])
        table = Table(
            ids=ids,
            numbers={name: frame[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in NUMBERS},
            words={name: _words(frame[name]) for name in WORDS},
            kept=np.ones(len(frame), dtype=bool),
        )
        faces = {key: self._faces[key] for key in ids if key in self._faces} if role == "building" else {}
        return Features(role=role, geometry=frame.geometry.to_numpy(), table=table, faces=faces)


def _words(column: pd.Series) -> np.ndarray:
    return column.fillna("").astype(str).to_numpy(dtype=object)
