"""Assembly: what the sources tell of a site, put together into a Scene."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import shapely
from numpy.random import SeedSequence
from numpy.typing import NDArray
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from mage_stac.scene import (
    balconies,
    buildings,
    faces,
    features,
    footprints,
    highways,
    landcover,
    plantings,
    powerlines,
    premises,
    procedural,
    relief,
    site,
    traditions,
)
from mage_stac.scene.columns import Role
from mage_stac.scene.features import Features
from mage_stac.scene.footprints import Footprints
from mage_stac.scene.highways import Strip
from mage_stac.scene.landcover import Patch
from mage_stac.scene.relief import Relief
from mage_stac.scene.scene import Building, Car, Scene, Surface, Tree, View
from mage_stac.scene.site import Site
from mage_stac.scene.sources import Source
from mage_stac.scene.traditions import Tradition

MARGIN = 100.0
"""Features so far outside a site are read too: they tell how dense it is, and where its edge's yards end, m."""
MEND = 1e-3
"""Grid on which areas whose edges have come to cross are mended, m: finer than anything that shows."""
RIM = 20.0
"""Ground and plants are made so far beyond the site: their shadows and leaning crowns may fall into it, m."""
SHIFT = 2.0
"""City models that stand farther off the terrain than this, all alike, are of another vertical datum, m."""
YARD = 3
"""Areas of at least this rank (landcover.Kind) are no part of anyone's yard."""

Found = Mapping[Role, Features]


@dataclass(frozen=True, kw_only=True, slots=True)
class Plot:
    """What all steps need to know."""

    at: Site
    seed: int
    style: str | None
    sources: Sequence[Source]
    found: Found

    @property
    def frame(self) -> Polygon:
        """The site and its rim, in its CRS."""
        return shapely.box(*self.at.grown(RIM).bounds)


@dataclass(frozen=True, kw_only=True, slots=True)
class Stock:
    """The buildings of a site and of its margin."""

    buildings: tuple[Building, ...] = ()
    traditions: tuple[Tradition, ...] = ()
    notes: tuple[str, ...] = ()
    inside: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))
    """Which of them touch the site."""


def scene(plot: Plot, *, id: str, datetime: str) -> Scene:  # noqa: A002 - the field's name in STAC and in Scene
    """The site as a Scene on the day of `datetime`.

    Raises:
        PlaceError: rasters do not fit the site.
        RenderError: no daylight then and there.
    """
    ground = relief.terrain(plot.sources, plot.at, plot.found["contour"])
    stock = _stock(plot, ground)
    strips = highways.strips(plot.found["line"], plot.frame, plot.at.origin, _usual(stock, plot), plot.seed)
    patches = landcover.patches(plot.found["area"], plot.frame)
    covers = landcover.of_rasters(plot.sources, plot.at)
    yards = premises.around(
        stock.buildings, stock.traditions, [strip.surface for strip in strips], _taken(plot, strips, patches)
    )
    own = tuple(building for building, inside in zip(stock.buildings, stock.inside, strict=True) if inside)
    trees = _trees(plot, stock, [*covers, *patches], strips, yards)
    made = Scene(
        id=id,
        seed=plot.seed,
        crs=site.name(plot.at.crs),
        origin=plot.at.origin,
        size=plot.at.size,
        datetime=datetime,
        style=_usual(stock, plot).style,
        surfaces=_surfaces(plot, stock, strips, [*covers, *patches], yards),
        buildings=own,
        trees=_raised(trees, ground, plot.at),
        powerlines=powerlines.mapped(plot.found["line"], plot.at.origin, plot.seed),
        terrain=None if ground is None else ground.heights,
        ground_seed=features.seed_of("ground", plot.seed),
        sources=tuple(dict.fromkeys(source.columns.credit or source.label for source in plot.sources)),
        notes=(*stock.notes, *(ground.notes if ground else ("terrain: none given, flat at 0",))),
    )
    day = procedural.revisit(made, SeedSequence([plot.seed, features.seed_of(id, plot.seed)]), datetime)
    return replace(day, view=View(), cars=_lifted(day))


def _stock(plot: Plot, ground: Relief | None) -> Stock:
    """Footprints mended, raised and given roofs."""
    prints = footprints.clean(plot.found["building"])
    if not len(prints.polygons):
        return Stock(notes=prints.notes)
    base = _lowest(prints, ground)
    prints, shifted = _on_datum(prints, base)
    above = relief.above_ground(plot.sources, plot.at, ground)
    count = len(prints.polygons)
    height = relief.medians(above, prints.polygons) if above is not None else np.full(count, np.nan)
    density = footprints.densities(prints.polygons)
    lon, lat = plot.at.centre
    customs = [traditions.of(lon, lat, float(value), plot.style) for value in density]
    setting = buildings.Setting(traditions=customs, densities=density, origin=plot.at.origin, seed=plot.seed)
    made, told = buildings.make(prints, buildings.Measured(height=height, base=base), setting)
    made = balconies.hung(made, [custom.table.balconies for custom in customs])
    inside = np.asarray(shapely.intersects(prints.polygons, shapely.box(*plot.at.bounds)), dtype=bool)
    counts = Counter(np.array(told, dtype=object)[inside].tolist())
    words = ", ".join(f"{number} {source}" for source, number in sorted(counts.items()))
    heights = (f"heights of {int(inside.sum())} buildings: {words}",) if counts else ()
    return Stock(buildings=made, traditions=tuple(customs), notes=(*prints.notes, *shifted, *heights), inside=inside)


def _lowest(prints: Footprints, ground: Relief | None) -> NDArray[np.float64]:
    """(N,) lowest ground under each outline, m above datum; zero where the place is flat."""
    if ground is None:
        return np.zeros(len(prints.polygons))
    rims = shapely.segmentize(shapely.boundary(prints.polygons), max(ground.step))
    points, owner = shapely.get_coordinates(rims, return_index=True)
    lowest = np.full(len(prints.polygons), np.inf)
    np.minimum.at(lowest, owner, ground.sample(points))
    return lowest


def _on_datum(prints: Footprints, base: NDArray[np.float64]) -> tuple[Footprints, tuple[str, ...]]:
    """Measured faces moved up or down by what their feet stand off the terrain, where that is much."""
    own = prints.features.faces
    feet = [
        min(point[2] for face in own[key] for point in face.ring) - float(level)
        for key, level in zip(prints.features.table.ids, base, strict=True)
        if own.get(key)
    ]
    shift = float(np.median(feet)) if feet else 0.0
    if abs(shift) < SHIFT:
        return prints, ()
    moved = {key: tuple(faces.shifted(face, 0.0, 0.0, -shift) for face in group) for key, group in own.items()}
    note = f"city model: moved by {-shift:.1f} m to stand on the terrain, whose vertical datum is another"
    return replace(prints, features=replace(prints.features, faces=moved)), (note,)


def _usual(stock: Stock, plot: Plot) -> Tradition:
    """The tradition of most buildings."""
    if not stock.traditions:
        return traditions.of(*plot.at.centre, 0.0, plot.style)
    styles = Counter(tradition.style for tradition in stock.traditions)
    most = styles.most_common(1)[0][0]
    return next(tradition for tradition in stock.traditions if tradition.style == most)


def _taken(plot: Plot, strips: Sequence[Strip], patches: Sequence[Patch]) -> BaseGeometry:
    """Ground in local metres that is no yard: roads, water and mapped areas of some rank."""
    areas = [patch.shape for patch in patches if patch.kind.rank >= YARD and not patch.kind.settled]
    return shapely.union_all([highways.carriageways(strips), *(_local(area, plot.at) for area in areas)])


def _surfaces(
    plot: Plot, stock: Stock, strips: Sequence[Strip], patches: Sequence[Patch], yards: premises.Premises
) -> tuple[Surface, ...]:
    """All ground in the order in which it is painted."""
    width, height = plot.at.size
    own = features.seed_of("base", plot.seed)
    base = Surface(
        ring=((0.0, 0.0), (width, 0.0), (width, height), (0.0, height)), kind="meadow", semantic="grass", seed=own
    )
    settled = _settled(plot, stock, patches)
    walks = [
        surface
        for strip in strips
        for surface in strip.walks
        if settled.intersects(shapely.Point(strip.surface.line[len(strip.surface.line) // 2]))
    ]
    painted = landcover.surfaces(patches, plot.at.origin, plot.seed)
    roads = (*highways.corners(strips), *(strip.surface for strip in strips))
    return (base, *painted, *yards.lawns, *walks, *yards.built, *roads)


def _settled(plot: Plot, stock: Stock, patches: Sequence[Patch]) -> BaseGeometry:
    """Built-up ground, local: around buildings, and areas that are mapped as such."""
    around = [Polygon(building.footprint).buffer(25.0, quad_segs=2) for building in stock.buildings]
    areas = [_local(patch.shape, plot.at) for patch in patches if patch.kind.settled]
    joined = shapely.union_all([*around, *areas])
    shapely.prepare(joined)
    return joined


def _trees(
    plot: Plot, stock: Stock, patches: Sequence[Patch], strips: Sequence[Strip], yards: premises.Premises
) -> tuple[Tree, ...]:
    """Mapped trees, rows, woods and gardens; none within walls or on streets."""
    origin, seed = plot.at.origin, plot.seed
    walls = highways.covered((building.footprint, building.holes) for building in stock.buildings)
    kept_clear = shapely.union_all([walls.buffer(plantings.CLEAR), highways.carriageways(strips).buffer(0.6)])
    lawns = highways.covered((surface.ring, surface.holes) for surface in yards.lawns)
    free = shapely.box(*plot.at.grown(RIM).bounds).difference(_world(kept_clear.union(lawns), plot.at))
    mapped = tuple(plantings.mapped(plot.found["tree"], origin, seed))
    shapely.prepare(walls)
    standing = [tree for tree in mapped if not walls.contains(shapely.Point(tree.x, tree.y))]
    rows = plantings.along(highways.planted(plot.found["line"], plot.frame), origin, seed)
    table = _usual(stock, plot).table
    canopy = sum(table.canopy) / 2 * (0.5 if len(mapped) > 10 else 1.0)
    garden = landcover.Kind(materials={}, canopy=canopy, conifers=sum(table.conifers) / 2, shrubs=0.015)
    open_ground = _world(yards.gardens.difference(kept_clear), plot.at)
    gardens = plantings.filled(open_ground, garden, origin, seed)
    return (*standing, *rows, *plantings.grown(patches, free, origin, seed), *gardens)


def _raised(trees: Sequence[Tree], ground: Relief | None, at: Site) -> tuple[Tree, ...]:
    """Trees of the site and its rim, on their ground."""
    width, height = at.size
    near = [tree for tree in trees if -RIM < tree.x < width + RIM and -RIM < tree.y < height + RIM]
    if ground is None or not near:
        return tuple(near)
    levels = ground.sample(np.array([(tree.x, tree.y) for tree in near]) + at.origin)
    return tuple(replace(tree, base=round(float(level), 2)) for tree, level in zip(near, levels, strict=True))


def _lifted(made: Scene) -> tuple[Car, ...]:
    """Cars on their ground."""
    levels = relief.ground_at(made, np.array([(car.x, car.y) for car in made.cars]).reshape(-1, 2))
    return tuple(replace(car, base=round(float(level), 2)) for car, level in zip(made.cars, levels, strict=True))


def _local(shape: BaseGeometry, at: Site) -> BaseGeometry:
    return shapely.transform(shape, lambda points: points - at.origin)


def _world(shape: BaseGeometry, at: Site) -> BaseGeometry:
    """A local area in the site's CRS; where rounding large coordinates lets edges cross that lie close, its corners
    first go to a grid of MEND.

    Before they move, as GEOS mends such crossings neither by make_valid nor by set_precision of what is invalid already
    (side location conflict).
    """
    moved = _moved(shape, at)
    return moved if moved.is_valid else _moved(shapely.set_precision(shape, MEND), at)


def _moved(shape: BaseGeometry, at: Site) -> BaseGeometry:
    return shapely.transform(shape, lambda points: points + at.origin)
