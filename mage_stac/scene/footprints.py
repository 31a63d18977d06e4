"""Footprints: outlines of buildings as they come, mended, split into single ones, and freed of doubles."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from mage_stac.scene.features import Features

SMALLEST = 1.0
"""Smaller footprints are left out, m2."""
DOUBLE = 0.5
"""Of two footprints that share more than this part of the smaller one, only the larger stays."""
STRAIGHT = 0.05
"""Corners that stray less than this from a straight wall are dropped, m."""
STEPS = 0.4
"""Share of an outline's walls that are a single pixel long from which it was traced from a raster."""
ALIKE = 0.85
"""Intersection over union with what was given, below which an outline keeps its steps."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Footprints:
    """Single valid polygons, each with its own id."""

    polygons: NDArray[np.object_]
    """(N,) in the CRS of the features."""
    features: Features
    """(N,) what the source says of each."""
    notes: tuple[str, ...]


def clean(found: Features) -> Footprints:
    """Mend, split and thin out building features.

    Rings that cross themselves are mended; outlines without area are left out; several outlines of one feature become
    buildings of their own, `#2`, `#3` after its id, and so do different features that bear one id. Outlines traced from
    a raster lose its steps.
    """
    plans = shapely.force_2d(found.geometry)
    broken = ~shapely.is_valid(plans)
    empty = shapely.area(shapely.convex_hull(plans)) < 1e-6
    mended = np.where(broken & ~empty, shapely.make_valid(plans), plans)
    parts, owner = shapely.get_parts(areas(mended), return_index=True)
    large = (shapely.get_type_id(parts) == 3) & (shapely.area(parts) >= SMALLEST)
    parts, owner = shapely.simplify(straightened(parts[large]), STRAIGHT), owner[large]
    order = np.lexsort((-shapely.area(parts), owner))
    parts, owner = shapely.orient_polygons(parts[order]), owner[order]
    kept = _singles(parts)
    small = len(np.setdiff1d(np.arange(len(plans))[~empty], owner))
    notes = _notes(
        {
            "cross themselves: mended": int((broken & ~empty).sum()),
            "have no area: left out": int(empty.sum()),
            f"are smaller than {SMALLEST:g} m2: left out": small,
            "lie on others: left out": len(parts) - len(kept),
        }
    )
    picked = found.pick(owner[kept])
    ids = _unique(picked.table.ids)
    faces = {key: found.faces[old] for key, old in zip(ids, picked.table.ids, strict=True) if old in found.faces}
    features = replace(picked, table=replace(picked.table, ids=ids), faces=faces)
    return Footprints(polygons=parts[kept], features=features, notes=notes)


def straightened(shapes: NDArray[np.object_]) -> NDArray[np.object_]:
    """Shapes (N,), those that were traced from a raster with straight walls in place of its pixels' steps.

    Such a polygon has right angles only, and all its walls are whole numbers of pixels long. A straight wall across a
    raster is stepped by no more than a pixel, so corners that stray less are dropped (Douglas and Peucker).
    """
    pixels = np.array([_pixel(one) if isinstance(one, Polygon) and one.is_valid else 0.0 for one in shapes])
    result = shapes.copy()
    for number in np.flatnonzero(pixels):
        straight = _without_steps(shapes[number], 1.01 * pixels[number])  # lengths come out of a projection
        if not straight.is_valid:
            continue
        shared = straight.intersection(shapes[number]).area
        if shared >= ALIKE * (straight.area + shapes[number].area - shared):
            result[number] = straight
    return result


def _without_steps(polygon: Polygon, stray: float) -> Polygon:
    """A polygon, perhaps crossing itself, without the corners that stray less (m) from the walls that stay.

    GEOS simplifies polygons so that they stay valid and then may drop a corner that strays farther; of a line it
    keeps the bound, and the ends. So each ring is a line that begins at the corner farthest out, which is a corner
    of the house and not of a step.
    """
    out = []
    for ring in (polygon.exterior, *polygon.interiors):
        corners = shapely.get_coordinates(ring)[:-1]
        first = np.argmax(np.hypot(*(corners - corners.mean(axis=0)).T))
        line = np.roll(corners, -first, axis=0)
        out.append(shapely.simplify(shapely.LineString([*line, line[0]]), stray, preserve_topology=False))
    if len(out[0].coords) < 4:
        return polygon
    return Polygon(out[0].coords, [one.coords for one in out[1:] if len(one.coords) > 3])


def _pixel(polygon: Polygon) -> float:
    """The longer side of a pixel of the raster that an outline was traced from; 0 where it was not."""
    walls = np.diff(shapely.get_coordinates(polygon.exterior), axis=0)
    lengths = np.hypot(*walls.T)
    if len(walls) < 8 or lengths.min() <= 0:  # with fewer walls there are hardly any steps
        return 0.0
    along = np.abs(walls @ walls[0]) / (lengths * lengths[0])
    sides = [lengths[along > 0.99], lengths[along < 0.1]]
    if sum(map(len, sides)) < len(walls) or not len(sides[1]):
        return 0.0
    pixels = [float(side.min()) for side in sides]
    count = np.concatenate([side / pixel for side, pixel in zip(sides, pixels, strict=True)])
    whole = np.abs(count - np.rint(count)) < 0.05 * np.sqrt(count)  # neither a projection nor rounding moves them more
    return max(pixels) if whole.all() and (count < 1.5).mean() >= STEPS else 0.0


def areas(shapes: NDArray[np.object_]) -> NDArray[np.object_]:
    """Shapes; of collections, which make_valid gives where a ring folds onto itself, and clipping, their polygons."""
    mixed = shapely.get_type_id(shapes) == 7
    if not mixed.any():
        return shapes
    parts, owner = shapely.get_parts(shapes, return_index=True)
    solid = np.isin(shapely.get_type_id(parts), (3, 6))
    result = shapes.copy()
    for number in np.flatnonzero(mixed):
        result[number] = shapely.union_all(parts[solid & (owner == number)])
    return result


def _singles(parts: NDArray[np.object_]) -> NDArray[np.intp]:
    """Indices of the parts that do not mostly lie on a larger one; of equal ones the first."""
    tree = shapely.STRtree(parts)
    one, two = tree.query(parts, predicate="intersects")
    area = shapely.area(parts)
    smaller = (area[one] < area[two]) | ((area[one] == area[two]) & (one > two))
    one, two = one[smaller], two[smaller]
    shared = shapely.area(shapely.intersection(parts[one], parts[two]))
    doubles = np.unique(one[shared > DOUBLE * area[one]])
    return np.setdiff1d(np.arange(len(parts)), doubles)


def _unique(ids: NDArray[np.object_]) -> NDArray[np.object_]:
    """Ids made different by #2, #3 ... in order."""
    seen: dict[str, int] = {}
    made = []
    for key in ids:
        seen[key] = seen.get(key, 0) + 1
        made.append(key if seen[key] == 1 else f"{key}#{seen[key]}")
    return np.array(made, dtype=object)


def _notes(counts: dict[str, int]) -> tuple[str, ...]:
    return tuple(f"footprints: {count} {what}" for what, count in counts.items() if count)


def half_width(polygon: Polygon) -> float:
    """About half the distance between eaves that face each other, m: what a pitched roof rises over."""
    x, y = shapely.get_coordinates(shapely.oriented_envelope(polygon))[:3].T
    sides = np.hypot(np.diff(x), np.diff(y))
    return float(min(sides.min() / 2, 2.3 * polygon.area / polygon.exterior.length))


def densities(polygons: NDArray[np.object_], radius: float = 60.0) -> NDArray[np.float64]:
    """(N,) share of the circle of `radius` metres around each footprint's middle that footprints cover."""
    middles = shapely.centroid(polygons)
    one, two = shapely.STRtree(middles).query(middles, predicate="dwithin", distance=radius)
    covered = np.bincount(one, shapely.area(polygons)[two], minlength=len(polygons))
    return np.asarray(np.minimum(covered / (np.pi * radius**2), 1.0))
