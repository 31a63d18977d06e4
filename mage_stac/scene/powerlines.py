"""Power lines: poles along streets, towers across country, and the wires that sag between them.

A wire hangs in a catenary, y = a cosh((x - x0) / a) + c, between its two supports, however high each stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import LineString, STRtree

from mage_stac.scene import chance, fences, mesh, pieces, plane
from mage_stac.scene.features import Features, seed_of
from mage_stac.scene.materials import material, pick
from mage_stac.scene.mesh import Mesh
from mage_stac.scene.scene import UNLABELLED, Building, PowerLine, Scene, Surface

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Make:
    """How the lines of one kind are built, m."""

    height: float
    wires: tuple[tuple[float, float], ...]
    """Of each wire, where it hangs: to the right of the line, and below the top."""
    wire: float
    """Thickness."""
    sag: float
    """Greatest, as a share of the span on level ground."""
    span: float
    """Where supports are not known there is one at least this often."""


MAKES = {
    "pole": Make(
        height=9.5, wires=((-0.9, 0.2), (0.0, -0.1), (0.9, 0.2), (0.15, 2.6)), wire=0.02, sag=0.022, span=60.0
    ),
    "tower": Make(
        height=32.0,
        wires=((-5.5, 4.0), (5.5, 4.0), (-6.5, 9.5), (6.5, 9.5), (0.0, 0.0)),
        wire=0.04,
        sag=0.03,
        span=450.0,
    ),
}
"""By PowerLine.kind, after common European and American lines."""
FINEST_WITHOUT = 0.16
"""With texels coarser than this (pixels of 0.3 m) no wire is made: it would cover a tenth of a pixel at most and darken
it by less than the sensors' noise, while long thin triangles cost the renderer time."""
PIECES = 10
"""Of a wire, from support to support."""
THICK, ARM = 0.28, 0.12
"""Of a pole and its cross-arm, m."""
BASE, TOP, STEEL = 2.8, 0.6, 0.3
"""Half the width of a tower at its foot and top, width of its bars, m."""
CONDUCTOR, ZINC = (0.16, 0.165, 0.17), (0.34, 0.345, 0.35)
"""Reflectance of weathered aluminium and of galvanised steel."""
FRAGILE = 1.2
"""A pole still stands with probability exp(-FRAGILE * pieces of debris a square metre): they break, like fences, where
much flies about. Towers stand."""
MARGIN = 20.0
"""Poles and spans so far outside a scene are made too: their shadows may fall into it, m."""

KINDS = {"power_line": "tower", "power_minor": "pole"}
"""Kinds of line of a map (columns) that are power lines."""
ALONG = ("street", "arterial")
"""Uses of the roads that poles stand along."""
STEP = (30.0, 45.0)
"""From pole to pole along a street, m."""
KERB = 0.9
"""From the carriageway to the poles, m."""
SHORTEST = 50.0
"""Streets that are shorter have none, m."""


def along(surfaces: Sequence[Surface], buildings: Sequence[Building], share: float) -> tuple[PowerLine, ...]:
    """Poles along one side of a share of the streets, 0..1; none on a road or in a house."""
    roads = [surface for surface in surfaces if surface.semantic == "road"]
    blocked = STRtree(
        [shapely.Polygon(road.ring).buffer(0.6) for road in roads]
        + [shapely.Polygon(building.footprint).buffer(0.5) for building in buildings]
    )
    made: list[PowerLine] = []
    for road in roads:
        rng = np.random.default_rng([road.seed, 1])
        if road.use in ALONG and len(road.line) > 1 and rng.random() < share:
            away = (road.width / 2 + KERB) * float(rng.choice([-1.0, 1.0]))
            side = LineString(road.line).offset_curve(away)
            if isinstance(side, LineString) and side.length > SHORTEST:
                made += _poles(side, blocked, rng)
    return tuple(made)


def _poles(side: LineString, blocked: STRtree, rng: np.random.Generator) -> Iterator[PowerLine]:
    step = chance.between(rng, STEP)
    places = np.arange(rng.uniform(0.0, step), side.length, step)
    points = shapely.line_interpolate_point(side, places)
    taken = set(blocked.query(points, predicate="intersects")[0].tolist())
    free = [number for number in range(len(points)) if number not in taken]
    if len(free) > 1:
        yield PowerLine(points=plane.line(shapely.get_coordinates(points[free])), seed=chance.seed(rng))


def mapped(found: Features, origin: tuple[float, float], seed: int) -> tuple[PowerLine, ...]:
    """The power lines among a map's lines. Mappers put a node where a pole or a tower stands (OSM's rule)."""
    made = []
    for number, shape in enumerate(shapely.force_2d(found.geometry)):
        kind = KINDS.get(str(found.table.words["kind"][number]))
        for part in shapely.get_parts(shape) if kind else ():
            points = shapely.get_coordinates(shapely.segmentize(part, MAKES[str(kind)].span)) - origin
            own = seed_of(str(found.table.ids[number]), seed)
            made.append(PowerLine(points=plane.line(points), kind=str(kind), seed=own))
    return tuple(made)


def build(scene: Scene, ground: NDArray[np.float32], texel: float) -> Mesh:
    """Poles, towers and wires; `ground` (rows, columns) as Geometry.ground_z.

    Wires are UNLABELLED: at pixel centres, where labels are taken, one of 2 cm would come out as a row of dots that
    says nothing of its pixels.
    """
    parts: list[Mesh] = []
    for line in scene.powerlines:
        points = np.array(line.points)
        feet = np.column_stack([points, pieces.heights(ground, scene.size, *points.T)])
        stands = _standing(scene, line, points)
        heading = _headings(points)
        near = ((points > -MARGIN) & (points < np.array(scene.size) + MARGIN)).all(axis=1)
        shape = _towers if line.kind == "tower" else _posts
        parts += shape(line, feet[near], heading[near], stands[near])
        if texel <= FINEST_WITHOUT:
            parts.append(_strung(scene, line, feet, heading, stands))
    return mesh.join(parts)


def catenary(start: Array, end: Array, sag: float, count: int) -> Array:
    """(N, count + 1, 3) points of wires hung between supports (N, 3), evenly spaced in plan.

    `sag` is what a level span hangs through at its middle, as a share of its length: its parabola's parameter
    a = length / (8 sag) is taken for the catenary's.
    """
    length = np.hypot(*(end - start)[:, :2].T)
    a = np.maximum(length, 1e-6) / (8 * sag)
    lowest = length / 2 - a * np.arcsinh((end - start)[:, 2] / (2 * a * np.sinh(length / (2 * a))))
    share = np.linspace(0, 1, count + 1)
    x = share * length[:, None]
    rise = a[:, None] * (np.cosh((x - lowest[:, None]) / a[:, None]) - np.cosh(lowest / a)[:, None])
    points = start[:, None] + share[:, None] * (end - start)[:, None]
    points[..., 2] = start[:, None, 2] + rise
    return points


def _standing(scene: Scene, line: PowerLine, points: Array) -> NDArray[np.bool_]:
    if scene.debris is None or line.kind == "tower":
        return np.ones(len(points), bool)
    odds = np.exp(-FRAGILE * fences.under(scene, scene.debris.density, points))
    found: NDArray[np.bool_] = np.random.default_rng([line.seed, 2]).random(len(points)) < odds
    return found


def _headings(points: Array) -> Array:
    """(N, 2) direction of the line at each support: at a bend, half way between both spans'."""
    steps = np.diff(points, axis=0)
    steps = steps / np.maximum(np.hypot(*steps.T), 1e-9)[:, None]
    heading = np.concatenate([steps[:1], steps]) + np.concatenate([steps, steps[-1:]])
    result: Array = heading / np.maximum(np.hypot(*heading.T), 1e-9)[:, None]
    return result


def _posts(line: PowerLine, feet: Array, heading: Array, stands: NDArray[np.bool_]) -> list[Mesh]:
    """Wooden poles with a cross-arm; those that broke lie beside their stumps, across the line."""
    make = MAKES[line.kind]
    wood = np.array(pick(material("timber_old"), line.seed))
    template, count = mesh.box(semantic="object", grain=0.1), len(feet)
    yaw = np.arctan2(heading[:, 1], heading[:, 0])
    tall = np.where(stands, make.height, 1.2)
    size = np.column_stack([np.full((count, 2), THICK), tall])
    arm = np.tile([ARM, 2.0, ARM], (count, 1))
    lying = np.tile([THICK, make.height - 1.2, THICK], (count, 1))
    top, aside = (
        np.array([0.0, 0.0, make.height - 0.4]),
        np.column_stack([-heading[:, 1], heading[:, 0], np.zeros(count)]),
    )
    return [
        mesh.copies(template, feet, mesh.frames(yaw, size), wood),
        mesh.copies(template, (feet + top)[stands], mesh.frames(yaw, arm)[stands], wood),
        mesh.copies(template, (feet + make.height / 2 * aside)[~stands], mesh.frames(yaw, lying)[~stands], wood),
    ]


def _towers(_: PowerLine, feet: Array, heading: Array, stands: NDArray[np.bool_]) -> list[Mesh]:
    """Steel lattice: four legs that lean inwards, braces between them, two cross-arms."""
    yaw = np.arctan2(heading[:, 1], heading[:, 0])
    frame = mesh.frames(yaw, np.ones((len(feet), 3)))
    return [mesh.copies(_lattice(), feet[stands], frame[stands], ZINC)]


def _lattice() -> Mesh:
    make = MAKES["tower"]
    corners = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)], float)
    levels = np.linspace(0.0, 0.88, 6)
    half = BASE + (TOP - BASE) * levels
    node = np.concatenate(
        [corners[None] * half[:, None, None], np.tile((levels * make.height)[:, None, None], (1, 4, 1))], axis=2
    )
    tip = np.array([0.0, 0.0, make.height])
    bars = [(node[0, i], node[-1, i], STEEL) for i in range(4)] + [(node[-1, i], tip, STEEL) for i in range(4)]
    bars += [(node[k, i], node[k + 1, (i + 1) % 4], STEEL / 2) for k in range(5) for i in range(4)]
    quads = [quad for start, end, width in bars for quad in _bar(start, end, width)]
    whole = [mesh.faces(quads, (1.0, 1.0, 1.0), semantic="object")]
    arms = sorted({(abs(across), down) for across, down in make.wires if across})
    boxes = [(np.array([[0.0, 0.0, make.height - down]]), np.array([[0.5, 2 * across, 0.5]])) for across, down in arms]
    template = mesh.box(semantic="object", bottom=True)
    return mesh.join(
        whole + [mesh.copies(template, at, mesh.frames([0.0], size), (1.0, 1.0, 1.0)) for at, size in boxes]
    )


def _bar(start: Array, end: Array, width: float) -> Iterator[Array]:
    """Two crossed strips from point to point."""
    along = (end - start) / np.linalg.norm(end - start)
    side = np.cross(along, [0.0, 0.0, 1.0] if abs(along[2]) < 0.99 else [1.0, 0.0, 0.0])
    side *= width / 2 / np.linalg.norm(side)
    for across in (side, np.cross(along, side)):
        yield np.stack([start - across, end - across, end + across, start + across])


def _strung(scene: Scene, line: PowerLine, feet: Array, heading: Array, stands: NDArray[np.bool_]) -> Mesh:
    """Wires between supports that stand, as ribbons that lie level across: the views here come from above."""
    make = MAKES[line.kind]
    frame = shapely.box(-MARGIN, -MARGIN, scene.size[0] + MARGIN, scene.size[1] + MARGIN)
    spans = shapely.linestrings(np.stack([feet[:-1, :2], feet[1:, :2]], axis=1))
    kept = stands[:-1] & stands[1:] & shapely.intersects(spans, frame) & (shapely.length(spans) > 1.0)
    right = np.column_stack([heading[:, 1], -heading[:, 0]])
    offsets = np.array(make.wires)
    hooks = np.concatenate(
        [
            feet[:, None, :2] + offsets[:, :1] * right[:, None],
            np.broadcast_to((feet[:, None, 2] + make.height - offsets[:, 1])[..., None], (len(feet), len(offsets), 1)),
        ],
        axis=2,
    )
    start, end = hooks[:-1][kept].reshape(-1, 3), hooks[1:][kept].reshape(-1, 3)
    if not len(start):
        return mesh.join([])
    points = catenary(start, end, make.sag, PIECES)
    step = end - start
    side = np.column_stack([-step[:, 1], step[:, 0], np.zeros(len(step))])
    side *= make.wire / 2 / np.hypot(*step[:, :2].T)[:, None]
    left, away = points + side[:, None], points - side[:, None]
    quads = np.stack([away[:, :-1], away[:, 1:], left[:, 1:], left[:, :-1]], axis=2).reshape(-1, 4, 3)
    ribbon = mesh.faces(quads, CONDUCTOR)
    return replace(ribbon, semantic=np.full(len(ribbon.triangles), UNLABELLED, np.uint8))
