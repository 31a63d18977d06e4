"""Features: what stands at a place, told in our own terms whatever file it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from mage_stac.scene.columns import NUMBERS, WORDS, Role, Table
from mage_stac.scene.scene import Face

Geometries = NDArray[np.object_]


@dataclass(frozen=True, kw_only=True, slots=True)
class Features:
    """Features of one role; every array has one entry a feature."""

    role: Role
    geometry: Geometries
    """In the site's CRS; with z where the source has one."""
    table: Table
    faces: Mapping[str, tuple[Face, ...]] = field(default_factory=dict)
    """Measured faces by feature id, in the site's CRS, not yet local."""

    def __len__(self) -> int:
        return len(self.geometry)

    def pick(self, chosen: NDArray[Any]) -> Features:
        """The features that a mask or an index chooses."""
        ids = self.table.ids[chosen]
        table = Table(
            ids=ids,
            numbers={name: values[chosen] for name, values in self.table.numbers.items()},
            words={name: values[chosen] for name, values in self.table.words.items()},
            kept=self.table.kept[chosen],
        )
        wanted = set(ids.tolist()) if self.faces else set()
        faces = {key: value for key, value in self.faces.items() if key in wanted}
        return replace(self, geometry=self.geometry[chosen], table=table, faces=faces)


def join(role: Role, parts: Sequence[Features]) -> Features:
    """All features of several lots as one."""
    nothing = np.empty(0, dtype=object)
    table = Table(
        ids=np.concatenate([nothing, *(part.table.ids for part in parts)]),
        numbers={name: np.concatenate([np.empty(0), *(p.table.numbers[name] for p in parts)]) for name in NUMBERS},
        words={name: np.concatenate([nothing, *(p.table.words[name] for p in parts)]) for name in WORDS},
        kept=np.concatenate([np.empty(0, dtype=bool), *(part.table.kept for part in parts)]),
    )
    geometry = np.concatenate([nothing, *(part.geometry for part in parts)])
    faces = {key: value for part in parts for key, value in part.faces.items()}
    return Features(role=role, geometry=geometry, table=table, faces=faces)


def of_shape(geometry: BaseGeometry) -> str:
    """An id made of a shape's own coordinates: the same wherever, and with whatever else, it is read."""
    return "shape-" + blake2b(shapely.to_wkb(shapely.force_2d(geometry)), digest_size=8).hexdigest()


def seed_of(text: str, seed: int) -> int:
    """A seed for what bears the id `text`: the same in every scene made with `seed`."""
    digest = blake2b(text.encode(), digest_size=8, key=str(seed).encode()).digest()
    return int.from_bytes(digest, "big") >> 33
