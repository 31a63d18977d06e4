"""Highways: lines of a map (roads, paths, railways, streams, fences, hedges) as strips of ground and rows of plants."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import LineString, Polygon
from shapely.geometry.base import BaseGeometry
from shapely.ops import substring

from mage_stac.scene import chance, plane
from mage_stac.scene.features import Features, seed_of
from mage_stac.scene.scene import Ring, Surface
from mage_stac.scene.traditions import Tradition


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """What a line of this kind looks like where its source does not say."""

    width: float
    """m; of roads the carriageway."""
    material: str
    semantic: str
    use: str = ""
    rank: int = 0
    """Higher ones are painted over lower ones."""
    lane: float = 0.0
    """Width of a lane, m; 0 where there are none."""
    walks: bool = False
    """Whether there are sidewalks in built-up places."""


LINES: dict[str, Kind] = {
    "stream": Kind(width=2.0, material="water", semantic="water", rank=1),
    "ditch": Kind(width=1.0, material="water", semantic="water", rank=1),
    "canal": Kind(width=8.0, material="water", semantic="water", rank=1),
    "river": Kind(width=12.0, material="water", semantic="water", rank=1),
    "path": Kind(width=1.3, material="dirt", semantic="bare", use="path", rank=2),
    "footway": Kind(width=1.8, material="paving", semantic="paved", use="path", rank=3),
    "steps": Kind(width=2.0, material="paving", semantic="paved", use="path", rank=3),
    "cycleway": Kind(width=2.2, material="asphalt", semantic="paved", use="path", rank=3),
    "track": Kind(width=2.8, material="gravel", semantic="road", use="drive", rank=4),
    "driveway": Kind(width=3.0, material="asphalt_old", semantic="paved", use="drive", rank=4),
    "aisle": Kind(width=5.5, material="asphalt", semantic="road", use="lot", rank=4),
    "alley": Kind(width=3.5, material="asphalt_old", semantic="road", use="street", rank=5),
    "pedestrian": Kind(width=5.0, material="paving", semantic="paved", use="path", rank=5),
    "service": Kind(width=4.0, material="asphalt", semantic="road", use="street", rank=5),
    "living_street": Kind(width=4.8, material="asphalt", semantic="road", use="street", rank=6),
    "residential": Kind(width=5.6, material="asphalt", semantic="road", use="street", rank=7, lane=2.8, walks=True),
    "tertiary": Kind(width=6.2, material="asphalt", semantic="road", use="street", rank=8, lane=3.1, walks=True),
    "secondary": Kind(width=6.8, material="asphalt", semantic="road", use="arterial", rank=9, lane=3.3, walks=True),
    "primary": Kind(width=7.4, material="asphalt", semantic="road", use="arterial", rank=10, lane=3.5, walks=True),
    "trunk": Kind(width=8.5, material="asphalt", semantic="road", use="arterial", rank=11, lane=3.6),
    "motorway": Kind(width=11.5, material="asphalt_old", semantic="road", use="arterial", rank=12, lane=3.7),
    "taxiway": Kind(width=15.0, material="asphalt", semantic="road", rank=9),
    "runway": Kind(width=35.0, material="asphalt_old", semantic="road", rank=10),
    "rail": Kind(width=3.2, material="gravel", semantic="bare", rank=6),
    "fence": Kind(width=0.16, material="fence", semantic="object", use="fence", rank=20),
    "wall": Kind(width=0.35, material="concrete", semantic="object", use="fence", rank=20),
    "city_wall": Kind(width=2.0, material="paving", semantic="object", use="fence", rank=20),
}
"""Widths: carriageways of two lanes after design guides (AASHTO 2018; RASt 06); waterways after OSM's practice."""
PLANTED = ("hedge", "tree_row")
"""Kinds of line that are plants, not ground."""

WALK = 1.7
"""Width of a sidewalk, m."""
SHOULDER = 0.6
"""Of a carriageway, both sides together, m."""
FILLET = 5.0
"""Radius of kerbs where streets meet, m."""
RAIL = 1.435
"""Between rails, m."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Strip:
    """One line as ground."""

    kind: Kind
    surface: Surface
    walks: tuple[Surface, ...] = ()


def strips(found: Features, clip: Polygon, origin: tuple[float, float], tradition: Tradition, seed: int) -> list[Strip]:
    """Lines as strips, lowest rank first, cut to `clip` (in the features' CRS) and moved to local metres."""
    table = found.table
    made: list[Strip] = []
    for number, geometry in enumerate(shapely.intersection(shapely.force_2d(found.geometry), clip)):
        kind = LINES.get(str(table.words["kind"][number]))
        if kind is not None:
            key = str(table.ids[number])
            rng = np.random.default_rng(seed_of(key, seed))
            own = _sized(kind, found, number, tradition, rng)
            for part in _lines(geometry):
                made += _strip(part, own, found, number, origin, rng)
    return sorted(made, key=lambda strip: strip.kind.rank)


def _sized(kind: Kind, found: Features, number: int, tradition: Tradition, rng: np.random.Generator) -> Kind:
    """The kind with this line's own width and material: the source's, else by its lanes, else usual there."""
    numbers, words = found.table.numbers, found.table.words
    width, lanes = float(numbers["width"][number]), float(numbers["lanes"][number])
    one_way = words["oneway"][number] == "yes"
    if not 0.3 <= width <= 80:
        if 1 <= lanes <= 12 and kind.lane:
            width = lanes * kind.lane + SHOULDER
        elif one_way and kind.lane and kind.rank < 12:
            width = max(0.62 * kind.width, kind.lane + SHOULDER)
        else:
            width = kind.width
        width *= tradition.region.roads if kind.semantic == "road" and not 1 <= lanes <= 12 else 1.0
    material = str(words["surface"][number]) or kind.material
    if material == "asphalt":
        material = chance.choose(rng, {"asphalt": 6, "asphalt_old": 3, "asphalt_new": 1})
    return replace(kind, width=width, material=material)


def _lines(geometry: BaseGeometry) -> Iterator[LineString]:
    """Open lines of some length; rings are cut in two so that their strips have no hole."""
    merged = shapely.line_merge(geometry) if shapely.get_type_id(geometry) == 5 else geometry
    for part in shapely.get_parts(merged):
        if isinstance(part, LineString) and part.length > 0.5:
            line = shapely.simplify(part, 0.05)
            if line.is_closed:
                halves = (substring(line, 0, 0.5, normalized=True), substring(line, 0.5, 1, normalized=True))
                yield from (half for half in halves if isinstance(half, LineString))
            else:
                yield line


def _strip(
    line: LineString, kind: Kind, found: Features, number: int, origin: tuple[float, float], rng: np.random.Generator
) -> Iterator[Strip]:
    own = chance.seed(rng)
    lanes = found.table.numbers["lanes"][number]
    points = plane.line(shapely.get_coordinates(line) - origin)
    local = LineString(points)
    base = Surface(
        ring=(),
        kind=kind.material,
        semantic=kind.semantic,
        use=kind.use,
        seed=own,
        line=points,
        width=round(kind.width, 2),
        lanes=int(lanes) if 1 <= lanes <= 12 and kind.lane else 0,
        oneway=bool(found.table.words["oneway"][number] == "yes"),
    )
    walks: tuple[Surface, ...] = ()
    if kind.walks:
        around = Surface(ring=(), kind="paving", semantic="paved", use="", seed=own + 1)
        walks = tuple(grounds(local.buffer(kind.width / 2 + WALK, cap_style="round"), around))
    flat = kind.use == "fence"
    shape = local.buffer(kind.width / 2, cap_style="flat" if flat else "round", join_style="mitre" if flat else "round")
    for surface in grounds(shape, base):
        yield Strip(kind=kind, surface=surface, walks=walks)
    if kind is LINES["rail"] or (kind.material == "gravel" and kind.rank == LINES["rail"].rank):
        rail = Surface(ring=(), kind="asphalt_new", semantic="bare", seed=own)
        for side in (-RAIL / 2, RAIL / 2):
            beam = local.offset_curve(side).buffer(0.09, cap_style="flat")
            for surface in grounds(beam, rail):
                yield Strip(kind=replace(kind, rank=kind.rank + 1), surface=surface)


def grounds(shape: BaseGeometry, like: Surface) -> Iterator[Surface]:
    """A Surface such as `like` for each polygon of a local shape that has an area worth painting."""
    for part in shapely.get_parts(shape):
        if isinstance(part, Polygon) and part.area > 0.05:
            ring = plane.ring(shapely.get_coordinates(part.exterior)[:-1])
            holes = tuple(plane.ring(shapely.get_coordinates(hole)[:-1])[::-1] for hole in part.interiors)
            yield replace(like, ring=ring, holes=holes)


def planted(found: Features, clip: Polygon) -> Iterator[tuple[str, str, NDArray[np.float64]]]:
    """Hedges and rows of trees: kind, id and points (N, 2) along each, in the features' CRS."""
    for number, geometry in enumerate(shapely.intersection(shapely.force_2d(found.geometry), clip)):
        kind = str(found.table.words["kind"][number])
        if kind in PLANTED:
            for part in _lines(geometry):
                yield kind, str(found.table.ids[number]), shapely.get_coordinates(part)


def covered(outlines: Iterable[tuple[Ring, tuple[Ring, ...]]]) -> BaseGeometry:
    """The ground inside some rings and outside their holes; rounding may have made rings touch themselves."""
    plans = np.array([Polygon(ring, holes) for ring, holes in outlines], dtype=object)
    return shapely.union_all(shapely.make_valid(plans))


def carriageways(made: Sequence[Strip]) -> BaseGeometry:
    """All ground that wheels or feet keep clear of trees, local."""
    hard = [strip.surface for strip in made if strip.kind.semantic in {"road", "paved", "water"}]
    return covered((surface.ring, surface.holes) for surface in hard)


def corners(made: Sequence[Strip]) -> tuple[Surface, ...]:
    """The rounded corners of the kerbs where streets meet."""
    roads = [strip.surface for strip in made if strip.kind.semantic == "road" and strip.kind.lane]
    joined = covered((surface.ring, surface.holes) for surface in roads)
    filled = joined.buffer(FILLET).buffer(-FILLET).difference(joined.buffer(0.01))
    small = [part.buffer(0.3) for part in shapely.get_parts(filled) if 0.5 < part.area < 60]
    like = Surface(ring=(), kind="asphalt", semantic="road", use="corner")
    return tuple(surface for part in small for surface in grounds(part, like))
