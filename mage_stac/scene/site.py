"""Site: the square of ground that a scene covers, in a projected CRS in metres, and how to get there from any other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from mage_stac.errors import PlaceError

Bounds = tuple[float, float, float, float]
"""West, south, east, north; in degrees west > east where they cross the antimeridian."""
LONLAT = CRS.from_user_input("OGC:CRS84")


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    crs: CRS
    """Projected, metres."""
    bounds: Bounds
    """In `crs`."""

    @property
    def size(self) -> tuple[float, float]:
        """Width and height, m."""
        return self.bounds[2] - self.bounds[0], self.bounds[3] - self.bounds[1]

    @property
    def origin(self) -> tuple[float, float]:
        """South-west corner."""
        return self.bounds[:2]

    @property
    def centre(self) -> tuple[float, float]:
        """Longitude and latitude of the middle, degrees."""
        west, south, east, north = self.bounds
        to_lonlat = Transformer.from_crs(self.crs, LONLAT, always_xy=True)
        lon, lat = to_lonlat.transform((west + east) / 2, (south + north) / 2)
        return float(lon), float(lat)

    def transform(self, columns: int, rows: int) -> Affine:
        """Pixel (column, row) corners -> the CRS, for a raster over the site with row 0 in the north."""
        west, _, _, north = self.bounds
        return Affine(self.size[0] / columns, 0.0, west, 0.0, -self.size[1] / rows, north)

    def grown(self, margin: float) -> Site:
        """The site with `margin` metres more on every side."""
        west, south, east, north = self.bounds
        return Site(crs=self.crs, bounds=(west - margin, south - margin, east + margin, north + margin))


def name(crs: CRS) -> str:
    """A short text that pyproj turns into `crs` again: its authority's code where it has one."""
    code = crs.to_authority()
    return ":".join(code) if code else str(crs.to_wkt())


def metric(text: str) -> CRS:
    """The CRS called `text`.

    Raises:
        PlaceError: there is no such CRS, or it is not projected in metres.
    """
    try:
        crs = CRS.from_user_input(text)
    except CRSError as error:
        raise PlaceError(f"no CRS {text!r}: give a code such as EPSG:32632") from error
    flat = plain(crs)
    if not flat.is_projected or any(axis.unit_conversion_factor != 1 for axis in flat.axis_info):
        raise PlaceError(f"CRS {text} is not projected in metres, which a scene needs: give one such as EPSG:32632")
    return flat


def plain(crs: CRS) -> CRS:
    """The horizontal part of a compound or three-dimensional CRS: heights are kept as they are."""
    return CRS(crs.sub_crs_list[0]) if crs.is_compound else crs.to_2d()


def around(lon: float, lat: float) -> CRS:
    """The UTM zone of a point; polar stereographic (UPS) beyond 84 north and 80 south."""
    if lat >= 84 or lat < -80:
        return CRS.from_epsg(5041 if lat > 0 else 5042)
    zone = int((lon + 180) % 360 // 6) + 1
    return CRS.from_epsg((32600 if lat >= 0 else 32700) + zone)


def change_bounds(bounds: Bounds, source: CRS, target: CRS) -> Bounds:
    """Bounds in `target` that hold `bounds` of `source`; edges are followed through their bends."""
    transformer = Transformer.from_crs(plain(source), plain(target), always_xy=True)
    west, south, east, north = transformer.transform_bounds(*bounds, densify_pts=21)
    return float(west), float(south), float(east), float(north)


def joined(boxes: Sequence[Bounds]) -> Bounds:
    """The box round boxes in degrees."""
    corners = np.array(boxes, dtype=float)
    crosses = bool((corners[:, 0] > corners[:, 2]).any())
    if crosses:
        corners[:, [0, 2]] %= 360.0
    west, south = corners[:, :2].min(axis=0).tolist()
    east, north = corners[:, 2:].max(axis=0).tolist()
    return (_wrapped(west), south, _wrapped(east), north) if crosses else (west, south, east, north)


def _wrapped(lon: float) -> float:
    return (lon + 180.0) % 360.0 - 180.0


def middle(box: Bounds) -> tuple[float, float]:
    """Longitude, which may be more than 180, and latitude of the middle of a box in degrees."""
    west, south, east, north = box
    return (west + (east + 360.0 if east < west else east)) / 2, (south + north) / 2


def project(geometry: NDArray[np.object_], source: CRS, target: CRS) -> NDArray[np.object_]:
    """Geometries in another CRS; z, where there is one, stays."""
    transformer = Transformer.from_crs(plain(source), plain(target), always_xy=True)

    def move(points: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = transformer.transform(points[:, 0], points[:, 1])
        return np.column_stack([x, y, *points[:, 2:].T])

    moved: NDArray[np.object_] = shapely.transform(geometry, move, include_z=bool(np.any(shapely.has_z(geometry))))
    return moved


def points(coordinates: NDArray[np.float64]) -> NDArray[np.object_]:
    """(N,) point geometries of (N, 2) or (N, 3) coordinates."""
    made: NDArray[np.object_] = np.asarray(shapely.points(coordinates), dtype=object)
    return made.reshape(len(coordinates))
