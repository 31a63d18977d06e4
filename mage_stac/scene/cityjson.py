"""CityJSON city models through cjio: outlines, attributes and measured faces of their objects."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from pyproj import CRS
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from mage_stac.errors import PlaceError
from mage_stac.scene import faces
from mage_stac.scene.scene import Face

Points = NDArray[np.float64]

LATEST = "2.0"
KINDS = {
    "RoofSurface": "roof",
    "OuterCeilingSurface": "roof",
    "OuterFloorSurface": "roof",
    "WallSurface": "wall",
    "Window": "wall",
    "Door": "wall",
    "GroundSurface": "ground",
}
"""CityJSON's semantic surfaces -> Face.kind; others are told by their slope."""
GROUND = ("LandUse", "Road", "Railway", "WaterBody", "TransportSquare", "TINRelief")
"""Objects that lie on the ground, so that their vertices tell its height. Plant covers may lie over crowns."""
STEP = 0.05
"""Vertices so little above a building's lowest one stand on the ground, m."""
GAP = 0.02
"""Slits between the faces of one outline up to twice this wide are closed, m."""


@dataclass(frozen=True, kw_only=True, slots=True)
class City:
    """A city model as read."""

    crs: CRS | None
    objects: Mapping[str, dict[str, Any]]
    vertices: Points
    """(N, 3) in `crs`."""


@lru_cache(maxsize=2)
def read(path: str, label: str) -> City:
    """Read a city model of any version that cjio knows.

    Raises:
        PlaceError: it is no CityJSON, of an unknown version, or broken.
    """
    library = _library()
    try:
        with Path(path).open(encoding="utf-8") as stream:
            model = library.CityJSON(file=stream)
        if model.get_version() not in library.CITYJSON_VERSIONS_SUPPORTED:
            raise PlaceError(
                f"{label} is CityJSON {model.get_version()}, which cjio does not know: convert it to {LATEST}"
            )
        if model.get_version() < "1.1":
            model.upgrade_version(LATEST, 3)
        transform = model.j.get("transform", {"scale": (1, 1, 1), "translate": (0, 0, 0)})
        vertices = np.array(model.j["vertices"], dtype=np.float64).reshape(-1, 3)
        vertices = vertices * np.array(transform["scale"]) + np.array(transform["translate"])
        code = model.get_epsg()
        crs = CRS.from_epsg(code) if code else None
        return City(crs=crs, objects=model.j["CityObjects"], vertices=vertices)
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise PlaceError(
            f"{label} is no usable CityJSON ({str(error).splitlines()[0][:120]}): it is damaged"
        ) from error


def _library() -> Any:
    """The module of cjio. Importing it makes every later json.dumps of this process slow and rounded: undone here."""
    encoder = vars(json.encoder)
    fast = encoder["c_make_encoder"]
    try:
        library = import_module("cjio.cityjson")
    except ImportError as error:
        raise PlaceError("CityJSON is read by cjio, which is not installed: pip install cjio") from error
    encoder["c_make_encoder"] = fast
    encoder.pop("float", None)
    return library


@dataclass(frozen=True, kw_only=True, slots=True)
class Objects:
    """City objects of one type."""

    attributes: pd.DataFrame
    """One row an object; `id` is one of the columns."""
    outlines: NDArray[np.object_]
    """(N,) polygons in plan, or points."""
    faces: dict[str, tuple[Face, ...]]
    """By id: of buildings with a measured roof, LoD 2 and up."""


def of_type(city: City, kind: str, vertices: Points) -> Objects:
    """All objects of a type with their children; `vertices` (N, 3) are the model's in the CRS that is wanted."""
    rows: list[dict[str, Any]] = []
    outlines: list[BaseGeometry] = []
    measured: dict[str, tuple[Face, ...]] = {}
    for key, thing in city.objects.items():
        if thing["type"] != kind:
            continue
        outline, own = _shape(city, key, vertices)
        if outline is None or outline.is_empty:
            continue
        rows.append({**_attributes(city, key), "id": key})
        outlines.append(outline)
        if own and max(_lod(part) for part in _family(city, key)) >= 2:
            measured[key] = own
    frame = pd.DataFrame(rows, columns=None if rows else ["id"])
    return Objects(attributes=frame, outlines=np.array(outlines, dtype=object), faces=measured)


def _shape(city: City, key: str, vertices: Points) -> tuple[BaseGeometry | None, tuple[Face, ...]]:
    """Outline of an object in plan, and for buildings their faces."""
    surfaces = [surface for part in _family(city, key) for surface in _surfaces(part)]
    if not surfaces:
        return _anchor(city.objects[key], vertices), ()
    if city.objects[key]["type"] == "Building":
        own = tuple(faces.of_points([vertices[ring] for ring in rings], kind) for rings, kind in surfaces)
        return _outline(own), own
    return _closed(_plans([rings for rings, _ in surfaces], vertices[:, :2])), ()


def _plans(surfaces: Sequence[list[list[int]]], vertices: Points) -> list[Polygon]:
    """Surfaces seen from above; those without holes, nearly all, are made at once."""
    plain = [rings[0] for rings in surfaces if len(rings) == 1]
    made: list[Polygon] = []
    if plain:
        owner = np.repeat(np.arange(len(plain)), [len(ring) for ring in plain])
        rings = shapely.linearrings(vertices[np.concatenate(plain)], indices=owner)
        made += np.asarray(shapely.polygons(rings), dtype=object).tolist()
    pierced = [rings for rings in surfaces if len(rings) > 1]
    return made + [Polygon(vertices[rings[0]], [vertices[ring] for ring in rings[1:]]) for rings in pierced]


def spots(city: City, vertices: Points) -> Points:
    """(N, 3) points of the ground: vertices of what lies on it, and the lowest ones of each building."""
    found = [np.zeros((0, 3))]
    for key, thing in city.objects.items():
        if thing["type"] in {*GROUND, "Building"}:
            rings = [ring for part in _family(city, key) for surface, _ in _surfaces(part) for ring in surface]
            points = vertices[np.unique(np.concatenate(rings))] if rings else np.zeros((0, 3))
            low = points[:, 2] < points[:, 2].min(initial=np.inf) + STEP
            found.append(points[low] if thing["type"] == "Building" else points)
    return np.unique(np.round(np.concatenate(found), 2), axis=0)


def _family(city: City, key: str) -> Iterator[dict[str, Any]]:
    thing = city.objects[key]
    yield thing
    for child in thing.get("children", ()):
        if child in city.objects and child != key:
            yield from _family(city, child)


def _attributes(city: City, key: str) -> dict[str, Any]:
    """An object's plain attributes, and those that only its parts have: of numbers the largest."""
    merged = dict(city.objects[key].get("attributes") or {})
    for part in list(_family(city, key))[1:]:
        for name, value in (part.get("attributes") or {}).items():
            if name not in merged or (
                name not in (city.objects[key].get("attributes") or {}) and _larger(value, merged[name])
            ):
                merged[name] = value
    return {name: value for name, value in merged.items() if not isinstance(value, dict | list)}


def _larger(one: Any, other: Any) -> bool:
    return isinstance(one, int | float) and isinstance(other, int | float) and one > other


def _best(thing: Mapping[str, Any]) -> dict[str, Any] | None:
    """The geometry of the highest level of detail."""
    shapes = [shape for shape in thing.get("geometry") or () if shape["type"] != "GeometryInstance"]
    return max(shapes, key=lambda shape: str(shape.get("lod", "0")), default=None)


def _lod(thing: Mapping[str, Any]) -> float:
    return float(str((_best(thing) or {}).get("lod", "0")))


def _surfaces(thing: Mapping[str, Any]) -> list[tuple[list[list[int]], str]]:
    """Rings of vertex numbers of each surface, the outer one first, and its Face.kind; "" where nothing tells it."""
    shape = _best(thing)
    if shape is None or shape["type"] in {"MultiPoint", "MultiLineString"}:
        return []
    depth = {"MultiSurface": 0, "CompositeSurface": 0, "Solid": 1, "MultiSolid": 2, "CompositeSolid": 2}[shape["type"]]
    meaning = shape.get("semantics") or {}
    kinds = [KINDS.get(surface.get("type", ""), "") for surface in meaning.get("surfaces", ())]
    values = _flat(meaning.get("values"), depth) if kinds else []
    found = []
    for number, surface in enumerate(_flat(shape["boundaries"], depth)):
        rings = [ring for ring in surface if len(ring) > 2]
        index = values[number] if number < len(values) else None
        if rings and len(surface[0]) > 2:
            found.append((rings, kinds[index] if index is not None else ""))
    return found


def _flat(nested: list[Any] | None, depth: int) -> list[Any]:
    return list(nested or []) if depth == 0 else [item for inner in nested or [] for item in _flat(inner, depth - 1)]


def _outline(own: Sequence[Face]) -> BaseGeometry:
    """Plan of a building: its ground faces, or, without any, all that is not upright."""
    for kinds in ({"ground"}, {"ground", "roof"}):
        joined = _closed([faces.plan(face) for face in own if face.kind in kinds])
        if not joined.is_empty:
            return joined
    return Polygon()


def _closed(plans: Sequence[Polygon]) -> BaseGeometry:
    """The union of plans, slits between them closed."""
    shapes = shapely.make_valid(np.array(plans, dtype=object))
    joined = shapely.union_all(shapes[shapely.area(shapes) > 1e-3])
    closed = joined.buffer(GAP, join_style="mitre").buffer(-GAP, join_style="mitre")
    return shapely.simplify(closed, GAP)


def _anchor(thing: Mapping[str, Any], vertices: Points) -> BaseGeometry | None:
    """Where an object stands that has only points or a place for a template, as trees often."""
    for shape in thing.get("geometry") or ():
        if shape["type"] in {"GeometryInstance", "MultiPoint"} and shape["boundaries"]:
            return shapely.Point(vertices[shape["boundaries"][0]])
    return None
