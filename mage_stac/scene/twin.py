"""Twin: scenes of real places out of whatever data there is of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, sqrt
from pathlib import Path

import numpy as np
import shapely
from pyproj import CRS

from mage_stac.errors import PlaceError
from mage_stac.scene import assembly, features, reading, relief, site, sources
from mage_stac.scene import columns as maps
from mage_stac.scene.assembly import MARGIN, Plot
from mage_stac.scene.columns import Columns, Role
from mage_stac.scene.features import Features
from mage_stac.scene.scene import Scene
from mage_stac.scene.site import LONLAT, Bounds, Site
from mage_stac.scene.sources import Source
from mage_stac.scene.store import Store
from mage_stac.scene.styles import STYLES

ROLES: tuple[Role, ...] = ("building", "line", "area", "tree", "contour")
SHORTEST, LONGEST = 20.0, 4000.0
"""Sides of a scene, m."""
MOST_BUILDINGS = 4000
"""In one scene."""
REACH = 1000.0
"""Contours so far outside a site still tell its relief, m."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """The data of a place, opened."""

    sources: tuple[Source, ...]
    crs: CRS
    bounds: Bounds
    """Of what is asked for, in `crs`."""
    boxed: bool
    """Whether `bounds` were asked for, rather than those of the data."""
    style: str | None

    @property
    def named(self) -> str:
        """For messages."""
        return ", ".join(dict.fromkeys(source.label.split("/")[0] for source in self.sources))


def place(
    files: Sequence[str | Path],
    *,
    id: str,  # noqa: A002 - the field's name in STAC and in Scene
    seed: int,
    datetime: str,
    bbox: Bounds | None = None,
    size: float | None = None,
    columns: str | Path | None = None,
    crs: str | None = None,
) -> Scene:
    """The scene of a real place, undamaged, seen from straight above at `datetime`.

    Args:
        files: any mix of footprints, city models, OSM extracts, terrain and land cover (sources.FORMATS), folders and
            zip archives of them; a raster's role may stand before its name (`terrain=x.tif`).
        id: of the scene.
        seed: all that the data do not tell is drawn from it, for every building by its own id.
        datetime: RFC 3339; makes season and sun.
        bbox: west, south, east, north in degrees; None takes all that the footprints cover.
        size: side of a square scene, m, in the middle of `bbox`, or without one where buildings stand the densest.
        columns: a columns map (columns.read) for sources of other columns than those known.
        crs: of the scene; None takes the place's UTM zone.

    Raises:
        PlaceError: a file is missing or is not what its name says; data have no CRS, lack columns, lie elsewhere or
            do not cover the place; the place is too large for one scene (says which size works).
        RenderError: no daylight then and there.
    """
    data = opened(files, bbox=bbox, columns=columns, crs=crs)
    return around(data, _site(data, size), id=id, seed=seed, datetime=datetime)


def tiles(
    data: Place,
    *,
    id: str,  # noqa: A002 - as above
    seed: int,
    datetime: str,
    size: float,
    least: int = 1,
) -> Iterator[Scene]:
    """Scenes of `size` metres that cover a place of any extent, where at least `least` buildings have their middle.

    Memory does not grow with the place: files are read once, lot by lot, into a store on disk. Scenes lie on a grid
    of whole multiples of `size`; a scene's id is `<id>-<column>-<row>` of that grid, counted from the CRS's origin.
    A building looks the same in every scene that it touches.

    Raises:
        PlaceError: as `place`.
    """
    _check_side(size)
    with Store(data.crs) as store:
        counts: Counter[tuple[int, int]] = Counter()
        for lot in _lots(data, Site(crs=data.crs, bounds=data.bounds)):
            store.add(lot)
            if lot.role == "building":
                counts.update(_cells(lot, size))
        if not counts:
            raise PlaceError(f"{data.named}: no buildings in the place: choose another bbox")
        for row, column in sorted((row, column) for (column, row), count in counts.items() if count >= least):
            bounds = (column * size, row * size, (column + 1) * size, (row + 1) * size)
            at = Site(crs=data.crs, bounds=bounds)
            plot = Plot(at=at, seed=seed, style=data.style, sources=data.sources, found=store.around(at))
            yield assembly.scene(plot, id=f"{id}-{column}-{row}", datetime=datetime)


def spots(data: Place, size: float) -> tuple[tuple[float, float, int], ...]:
    """Squares of `size` metres in which buildings have their middle, in order: x and y of its middle, their number.

    Raises:
        PlaceError: no building in the place, or a size that no scene has.
    """
    _check_side(size)
    counts = _counts(data, size)
    west, south, east, north = data.bounds
    squares = (((column + 0.5) * size, (row + 0.5) * size, count) for (column, row), count in sorted(counts.items()))
    found = tuple(one for one in squares if west - size < one[0] < east + size and south - size < one[1] < north + size)
    if not found:
        raise PlaceError(f"{data.named}: no buildings in the place: choose another bbox")
    return found


def footprints(data: Place, bounds: Bounds) -> list[shapely.Geometry]:
    """Outlines of the buildings that touch `bounds`, in the place's CRS, as the sources give them."""
    at = Site(crs=data.crs, bounds=bounds)
    vectors = (source for source in data.sources if source.driver != "raster")
    return [shape for source in vectors for lot in reading.stream(source, at, ("building",)) for shape in lot.geometry]


def around(
    data: Place,
    at: Site,
    *,
    id: str,  # noqa: A002 - as above
    seed: int,
    datetime: str,
    fit: Callable[[Features], Features] | None = None,
) -> Scene:
    """The scene of one site of a place; other arguments and errors as of `place`.

    `fit` corrects the building features before they become buildings.
    """
    found = dict(_collect(data, at))
    if fit is not None:
        found["building"] = fit(found["building"])
    plot = Plot(at=at, seed=seed, style=data.style, sources=data.sources, found=found)
    return assembly.scene(plot, id=id, datetime=datetime)


def opened(
    files: Sequence[str | Path],
    *,
    bbox: Bounds | None = None,
    columns: str | Path | None = None,
    crs: str | None = None,
) -> Place:
    """Tell what the files are and where the place lies; arguments and errors as of `place`."""
    own = maps.read(columns) if columns else None
    given = sources.identify(files, own)
    box = _checked(bbox) if bbox is not None else _extent(given)
    wanted = site.metric(crs) if crs else site.around(*site.middle(box))
    bounds = site.change_bounds(box, LONLAT, wanted)
    return Place(sources=given, crs=wanted, bounds=bounds, boxed=bbox is not None, style=_style(own))


def _style(own: Columns | None) -> str | None:
    if own is None or not own.style:
        return None
    if own.style not in STYLES:
        raise PlaceError(f"columns map: no style {own.style!r}: there are {', '.join(STYLES)}")
    return own.style


def _checked(bbox: Bounds) -> Bounds:
    west, south, east, north = bbox
    if not (-180 <= west < east <= 180 and -90 < south < north < 90):
        text = " ".join(f"{value:g}" for value in bbox)
        raise PlaceError(f"bbox {text} is no west, south, east, north in degrees")
    return bbox


def _extent(given: Sequence[Source]) -> Bounds:
    """Longitudes and latitudes of all buildings; without any, of the first kind of thing that there is."""
    vectors = [source for source in given if source.driver != "raster"]
    for role in ROLES:
        boxes = [box for source in vectors if (box := reading.extent(source, role)) is not None]
        if boxes:
            return site.joined(boxes)
    outlines = [relief.opened(source, LONLAT)[1] for source in given if source.driver == "raster"]
    shared = shapely.intersection_all(outlines) if outlines else shapely.Polygon()
    if shared.is_empty:
        names = ", ".join(source.label for source in given)
        none = "nowhere that all of them cover" if outlines else "no feature that makes a place"
        raise PlaceError(f"{names}: {none}: give footprints, a city model or an OSM extract of one place")
    west, south, east, north = shared.bounds
    return west, south, east, north


def _site(data: Place, size: float | None) -> Site:
    """The square or rectangle that the scene covers, on whole metres."""
    west, south, east, north = data.bounds
    if size is not None:
        _check_side(size)
        x, y = ((west + east) / 2, (south + north) / 2) if data.boxed else _densest(data, size)
        west, south = round(x - size / 2), round(y - size / 2)
        return Site(crs=data.crs, bounds=(float(west), float(south), west + size, south + size))
    at = Site(crs=data.crs, bounds=(float(floor(west)), float(floor(south)), float(ceil(east)), float(ceil(north))))
    if min(at.size) < SHORTEST:
        at = at.grown(SHORTEST)
    if max(at.size) > LONGEST:
        raise PlaceError(
            f"the place is {at.size[0] / 1000:.1f} x {at.size[1] / 1000:.1f} km: give a size of at most "
            f"{_size_that_works(data):g} m for its densest part, or a smaller bbox"
        )
    return at


def _check_side(size: float) -> None:
    if not SHORTEST <= size <= LONGEST:
        raise PlaceError(f"size {size:g} m: give {SHORTEST:g} to {LONGEST:g}")


def _cells(lot: Features, size: float) -> list[tuple[int, int]]:
    """Column and row, of a grid of `size` metres, of the middle of each feature."""
    middles = shapely.get_coordinates(shapely.centroid(lot.geometry))
    return [(int(column), int(row)) for column, row in np.floor(middles / size)]


def _counts(data: Place, size: float) -> Counter[tuple[int, int]]:
    whole = Site(crs=data.crs, bounds=data.bounds)
    counts: Counter[tuple[int, int]] = Counter()
    for source in data.sources:
        if source.driver != "raster":
            for lot in reading.stream(source, whole, ("building",)):
                counts.update(_cells(lot, size))
    return counts


def _densest(data: Place, size: float) -> tuple[float, float]:
    """The middle of the square of `size` metres with the most buildings, found in steps of half a square."""
    counts = _counts(data, size / 2)
    if not counts:
        west, south, east, north = data.bounds
        return (west + east) / 2, (south + north) / 2
    squares: Counter[tuple[int, int]] = Counter()
    for (column, row), count in counts.items():
        for across in (0, 1):
            for up in (0, 1):
                squares[column - across, row - up] += count
    column, row = max(squares, key=lambda square: (squares[square], -square[0], -square[1]))
    return (column + 1) * size / 2, (row + 1) * size / 2


def _size_that_works(data: Place) -> float:
    """A side with which even the densest square of half a kilometre, repeated, holds no more than MOST_BUILDINGS."""
    cell = 500.0
    most = max(_counts(data, cell).values(), default=1)
    return float(min(LONGEST, max(SHORTEST, floor(cell * sqrt(MOST_BUILDINGS / most) / 50) * 50)))


def _lots(data: Place, at: Site) -> Iterator[Features]:
    """Everything that the vector sources have around a site."""
    for source in data.sources:
        if source.driver != "raster":
            yield from reading.stream(source, at.grown(MARGIN), ROLES[:-1])
            yield from reading.stream(source, at.grown(REACH), ("contour",))


def _collect(data: Place, at: Site) -> Mapping[Role, Features]:
    lots: dict[Role, list[Features]] = {role: [] for role in ROLES}
    count, box = 0, shapely.box(*at.bounds)
    for lot in _lots(data, at):
        lots[lot.role].append(lot)
        count += int(shapely.intersects(lot.geometry, box).sum()) if lot.role == "building" else 0
        if count > MOST_BUILDINGS:
            size = min(_size_that_works(data), 0.9 * min(at.size))
            raise PlaceError(
                f"{data.named}: more than {MOST_BUILDINGS} buildings in {at.size[0]:.0f} x {at.size[1]:.0f} m: "
                f"give a size of {size:.0f} m or less, or cut the place into tiles"
            )
    if not any(lots.values()) and all(source.driver != "raster" for source in data.sources):
        west, south, east, north = _extent(data.sources)
        raise PlaceError(
            f"{data.named}: nothing in the bbox; the data lie within {west:.4f} {south:.4f} {east:.4f} {north:.4f}"
        )
    return {role: features.join(role, parts) for role, parts in lots.items()}
