"""Procedural: a town out of a seed, and the same town on another day."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from math import cos, sin

import numpy as np
from numpy.random import SeedSequence
from shapely import Point as ShapelyPoint
from shapely import Polygon, STRtree, box

from mage_stac.errors import RenderError
from mage_stac.scene import (
    balconies,
    basins,
    chance,
    geometry,
    grounds,
    lots,
    pieces,
    plane,
    powerlines,
    rivers,
    slopes,
    streets,
    sun,
    traffic,
)
from mage_stac.scene.parts import Parts, total
from mage_stac.scene.plane import Plane
from mage_stac.scene.plots import Plot, front, strip
from mage_stac.scene.scene import Building, Car, Scene, Surface, Tree, View
from mage_stac.scene.streets import Block, Street
from mage_stac.scene.styles import STYLES, Mood, Style, mood
from mage_stac.scene.yards import dwellings

SMALLEST, LARGEST = 20.0, 4000.0
"""Sides of a scene, m."""
RIM = 12.0
"""Trees this far outside still cast shadows into the scene, m."""

Filler = Callable[[Plot, Mood, np.random.Generator], Parts]
FILLERS: dict[str, Filler] = {
    "acreage": grounds.acreage,
    "apartments": lots.apartments,
    "church": lots.church,
    "commerce": lots.commerce,
    "crops": grounds.crops,
    "field": grounds.field,
    "industry": lots.industry,
    "orchard": grounds.orchard,
    "park": grounds.park,
    "plaza": grounds.plaza,
    "pond": grounds.pond,
    "school": lots.school,
    "vacant": grounds.vacant,
    "woods": grounds.woods,
}
"""Land uses of a block, beside dwellings."""


def town(
    *,
    seed: SeedSequence,
    id: str,  # noqa: A002 - the field's name in STAC and in Scene
    size: tuple[float, float],
    style: str = "suburb",
    crs: str = "EPSG:32615",
    origin: tuple[float, float] = (364000.0, 4103000.0),
    datetime: str,
) -> Scene:
    """An undamaged town of `size` metres; everything random comes from `seed`, season and sun from `datetime`.

    Raises:
        RenderError: unknown style, a size outside SMALLEST..LARGEST, or no daylight then and there.
    """
    if style not in STYLES:
        raise RenderError(f"no style {style!r}: choose one of {', '.join(STYLES)}")
    if not all(SMALLEST <= side <= LARGEST for side in size):
        raise RenderError(f"a scene of {size[0]:g} x {size[1]:g} m: sides must be {SMALLEST:g} to {LARGEST:g} m")
    layout, filling, day, wet = (np.random.default_rng(child) for child in seed.spawn(4))
    character = mood(STYLES[style], layout)
    bent = replace(
        plane.draw(layout, (size[0] / 2, size[1] / 2), turn=character.turn, bend=character.bend),
        extent=(-RIM, -RIM, size[0] + RIM, size[1] + RIM),
    )
    network, blocks = streets.lay(_whole(size, character, layout), character.grid, layout)
    parts = total(_fill(block, bent, character, filling) for block in _within(blocks, bent, size))
    roads = streets.pave(network, bent, character.roads, filling)
    river = rivers.draw(size, wet) if wet.random() < STYLES[style].river else None
    stream = rivers.parts(river, wet) if river else Parts()
    roads = tuple(rivers.crossed(roads, river)) if river else roads
    sides = _sidewalks(network, bent, character, filling)
    surfaces = (*_base(size), *parts.ground, *sides, *parts.built, *stream.built, *roads)
    buildings = _apart(parts.buildings, (*roads, *stream.built), size)
    wires = powerlines.along(roads, buildings, STYLES[style].wires)
    buildings = balconies.hung(buildings, [STYLES[style].balconies] * len(buildings))
    scene = Scene(
        id=id,
        seed=int(seed.generate_state(1)[0]),
        crs=crs,
        origin=origin,
        size=size,
        datetime=datetime,
        style=style,
        surfaces=tuple(_seen(surfaces, size)),
        buildings=buildings,
        trees=_rooted((*parts.trees, *stream.trees), buildings, (*roads, *stream.built[1:]), size),
        powerlines=wires,
        ground_seed=chance.seed(filling),
    )
    ground = slopes.terrain(size, STYLES[style].rise, layout)
    if ground is not None and STYLES[style].basins:
        ground = basins.levelled(scene, ground, layout)
    if ground is not None and river:
        ground = rivers.carved(ground, river, size)
    return _on(slopes.placed(scene, ground), datetime, STYLES[style], day)


def revisit(scene: Scene, seed: SeedSequence, datetime: str) -> Scene:
    """The same place at `datetime`: season, sun, haze, view and cars are other; nothing is damaged.

    Raises:
        RenderError: no daylight then and there.
    """
    return _on(scene, datetime, STYLES.get(scene.style), np.random.default_rng(seed))


def _on(scene: Scene, when: str, style: Style | None, rng: np.random.Generator) -> Scene:
    parked = style.parked if style else (0.2, 0.6)
    always = style.season if style else None
    haze = round(float(rng.beta(1.5, 6.0)), 3)
    overcast = round(float(rng.uniform(0.5, 1.0) if rng.random() < 0.3 else rng.uniform(0.0, 0.1)), 3)
    tilt = round(float(min(abs(4.0 * rng.standard_normal()), 14.0)), 2)
    cars = _grounded(scene, traffic.park(scene.surfaces, parked, rng))
    return replace(
        scene,
        datetime=when,
        season=always or sun.season(when, sun.lonlat(scene.crs, scene.origin)[1]),
        light=replace(sun.light(when, scene.crs, scene.origin), haze=haze, overcast=overcast),
        view=View(off_nadir=tilt, azimuth=round(float(rng.uniform(0, 360)), 2)),
        cars=tuple(car for car in cars if -3 < car.x < scene.size[0] + 3 and -3 < car.y < scene.size[1] + 3),
    )


def _grounded(scene: Scene, cars: tuple[Car, ...]) -> tuple[Car, ...]:
    """Cars on the terrain."""
    if scene.terrain is None or not cars:
        return cars
    x, y = np.array([car.x for car in cars]), np.array([car.y for car in cars])
    heights = pieces.heights(geometry.ground_heights(scene), scene.size, x, y)
    return tuple(replace(car, base=round(float(z), 3)) for car, z in zip(cars, heights, strict=True))


def _whole(size: tuple[float, float], character: Mood, rng: np.random.Generator) -> Block:
    """A rectangle of plan that covers the scene, with a random cut so that no street is tied to its edge."""
    turned = abs(cos(character.turn)), abs(sin(character.turn))
    half = (
        (size[0] * turned[0] + size[1] * turned[1]) / 2 + character.bend + 15,
        (size[0] * turned[1] + size[1] * turned[0]) / 2 + character.bend + 15,
    )
    more = rng.uniform(0, character.grid.long, 4)
    low, high = (-half[0] - more[0], -half[1] - more[1]), (half[0] + more[2], half[1] + more[3])
    return Block(low=(float(low[0]), float(low[1])), high=(float(high[0]), float(high[1])), ranks=(9, 9, 9, 9))


def _within(blocks: Iterable[Block], bent: Plane, size: tuple[float, float]) -> Iterable[Block]:
    frame = box(-RIM, -RIM, size[0] + RIM, size[1] + RIM)
    for block in blocks:
        (u0, v0), (u1, v1) = block.low, block.high
        edge = [(u0, v0), ((u0 + u1) / 2, v0), (u1, v0), (u1, v1), ((u0 + u1) / 2, v1), (u0, v1)]
        if Polygon(bent.world(edge)).buffer(3).intersects(frame):
            yield block


def _fill(block: Block, bent: Plane, character: Mood, rng: np.random.Generator) -> Parts:
    """Give a block its use; a deep block on a main road has shops in front and houses behind."""
    side = _face(block, rng)
    main = block.ranks[side] == 0
    use = chance.choose(rng, character.main_uses if main else character.uses)
    if use == "dwellings":
        return dwellings(block, bent, character, rng)
    width, depth = block.size if side % 2 == 0 else block.size[::-1]
    behind = Parts()
    if use in ("commerce", "church") and depth > 95:
        strip_depth = rng.uniform(45, 70)
        behind = dwellings(_behind(block, side, strip_depth), bent, character, rng)
        depth = strip_depth
    plot = Plot(frame=front(block, bent, side, 0.0), width=width, depth=depth, verge=character.grid.verge)
    return total((FILLERS[use](plot, character, rng), behind))


def _face(block: Block, rng: np.random.Generator) -> int:
    """The side along the widest street; among equals the longer one, then by chance."""
    lengths = (block.size[0], block.size[1], block.size[0], block.size[1])
    keys = [(block.ranks[side], -lengths[side], rng.random(), side) for side in range(4)]
    return min(keys)[3]


def _behind(block: Block, side: int, taken: float) -> Block:
    (u0, v0), (u1, v1) = block.low, block.high
    if side == 0:
        v0 += taken
    elif side == 1:
        u1 -= taken
    elif side == 2:
        v1 -= taken
    else:
        u0 += taken
    return replace(block, low=(u0, v0), high=(u1, v1))


def _base(size: tuple[float, float]) -> tuple[Surface, ...]:
    w, h = size[0] + RIM, size[1] + RIM
    corners = ((-RIM, -RIM), (w, -RIM), (w, h), (-RIM, h))
    return (Surface(ring=corners, kind="grass", semantic="grass", use="verge"),)


def _sidewalks(
    network: tuple[Street, ...], bent: Plane, character: Mood, rng: np.random.Generator
) -> tuple[Surface, ...]:
    if not character.sidewalks:
        return ()
    put: list[Surface] = []
    for street in network:
        (u0, v0), (u1, v1) = street.ends
        offset = street.width / 2 + 0.55 * character.grid.verge
        across = (offset, 0.0) if u0 == u1 else (0.0, offset)
        for side in (-1, 1):
            if street.rank == 2 or rng.random() < 0.25:
                continue
            ends = ((u0 + side * across[0], v0 + side * across[1]), (u1 + side * across[0], v1 + side * across[1]))
            points = streets.middle(replace(street, ends=ends), bent)
            put += strip(points, 1.4, "concrete", "path", rng)
    return tuple(put)


def _seen(surfaces: Iterable[Surface], size: tuple[float, float]) -> Iterable[Surface]:
    for surface in surfaces:
        low, high = np.min(surface.ring, axis=0), np.max(surface.ring, axis=0)
        if (high > -1).all() and low[0] < size[0] + 1 and low[1] < size[1] + 1:
            yield surface


def _apart(buildings: Iterable[Building], roads: Iterable[Surface], size: tuple[float, float]) -> tuple[Building, ...]:
    """Buildings that show in the scene, each whole and clear of streets and of those before it, numbered."""
    frame, made = box(0, 0, *size), tuple(buildings)
    shapes = np.array([Polygon(building.footprint) for building in made], object)  # shapely takes no empty list
    streets_tree = STRtree([Polygon(road.ring).buffer(-0.4) for road in roads])
    on_street = set(streets_tree.query(shapes, predicate="intersects")[0].tolist())
    meets: dict[int, set[int]] = {}
    for one, other in STRtree(shapes).query(shapes, predicate="intersects").T.tolist():
        meets.setdefault(one, set()).add(other)
    kept: list[Building] = []
    taken: set[int] = set()
    for number, (building, shape) in enumerate(zip(made, shapes, strict=True)):
        sound = shape.is_valid and shape.area >= 4 and number not in on_street and shape.intersects(frame)
        if sound and not taken & meets.get(number, set()):
            kept.append(replace(building, id=f"b{len(kept):05d}"))
            taken.add(number)
    return tuple(kept)


def _rooted(
    trees: Iterable[Tree], buildings: Iterable[Building], roads: Iterable[Surface], size: tuple[float, float]
) -> tuple[Tree, ...]:
    """Trees near the scene whose trunks stand neither in a house nor on a street."""
    near = [tree for tree in trees if -RIM < tree.x < size[0] + RIM and -RIM < tree.y < size[1] + RIM]
    walls = STRtree([Polygon(building.footprint).buffer(0.3) for building in buildings])
    kerbs = STRtree([Polygon(road.ring) for road in roads])
    spots = np.array([ShapelyPoint(tree.x, tree.y) for tree in near], dtype=object)
    blocked = {int(i) for index in (walls, kerbs) for i in index.query(spots, predicate="within")[0]} if near else set()
    return tuple(tree for number, tree in enumerate(near) if number not in blocked)
