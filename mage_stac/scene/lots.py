"""Lots: shops, halls, flats, schools and churches with their car parks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mage_stac.scene import chance, greenery
from mage_stac.scene.homes import footprint
from mage_stac.scene.parts import Parts, total
from mage_stac.scene.plane import Point, line
from mage_stac.scene.plots import Plot, patch
from mage_stac.scene.scene import Building, Surface
from mage_stac.scene.styles import Mood

STALL = 5.2
"""Depth of a row of parked cars, m."""
AISLE = 6.4
FLAT_ROOFS = {
    "membrane_white": 5,
    "gravel_roof": 3,
    "membrane_grey": 2.5,
    "bitumen": 1,
    "metal_white": 2,
    "roof_concrete": 1,
}
SHED_ROOFS = {"metal_white": 5, "metal_grey": 4, "metal_rusty": 1.5, "metal_colour": 1}
PAVED = {"asphalt": 5, "asphalt_new": 2, "asphalt_old": 3, "concrete": 2}


def hall(
    plot: Plot,
    outline: list[Point],
    kind: str,
    look: tuple[str, float, float],
    materials: tuple[Mapping[str, float], Mapping[str, float]],
    rng: np.random.Generator,
) -> Building:
    """A larger building; `look`: roof form, pitch in degrees, eaves in metres; `materials`: of roof and walls."""
    form, pitch, eaves = look
    return Building(
        id="",
        footprint=plot.ring(outline),
        height=round(eaves, 2),
        roof=form,
        pitch=round(pitch, 1),
        overhang=0.0 if form == "flat" else 0.5,
        roof_material=chance.choose(rng, materials[0]),
        wall_material=chance.choose(rng, materials[1]),
        storeys=max(1, round(eaves / 3.3)),
        kind=kind,
        seed=chance.seed(rng),
    )


def stalls(plot: Plot, x0: float, x1: float, y: float, kind: str, seed: int) -> Surface:
    """A row of parking stalls from y to y + STALL, paved like the lot it lies on."""
    return Surface(
        ring=plot.frame.box(x0, y, x1, y + STALL),
        kind=kind,
        semantic="paved",
        use="stalls",
        seed=seed,
        line=line(plot.frame.world([(x0, y), (x1, y)])),
        width=STALL,
    )


def car_park(
    plot: Plot, area: tuple[float, float, float, float], kind: str, rng: np.random.Generator
) -> tuple[Surface, ...]:
    """A paved lot over the local `area` with as many rows of stalls as fit, and now and then a green island."""
    x0, y0, x1, y1 = area
    seed = chance.seed(rng)
    lot = Surface(ring=plot.frame.box(*area), kind=kind, semantic="paved", use="lot", seed=seed)
    put = [lot]
    y, number = y0 + 0.8, 0
    while y + STALL < y1 - (AISLE if number % 2 == 0 else 0.3) and x1 - x0 > 12:
        put.append(stalls(plot, x0 + 2.5, x1 - 2.5, y, kind, seed))
        y, number = y + STALL + (AISLE if number % 2 == 0 else 0.0), number + 1
    if rng.random() < 0.5 and x1 - x0 > 25:
        put += [patch(plot.frame.box(x - 1.1, y0 + 1, x + 1.1, y0 + 5.6), "grass", "", rng) for x in (x0 + 4, x1 - 4)]
    return tuple(put)


def entrance(plot: Plot, x: float, kind: str, rng: np.random.Generator, width: float = 7.0) -> Surface:
    """The mouth of a lot at the kerb."""
    return patch(plot.frame.box(x - width / 2, -plot.verge - 1.0, x + width / 2, 1.5), kind, "lot", rng)


def parcels(plot: Plot, wanted: chance.Range, rng: np.random.Generator) -> list[Plot]:
    """The plot cut along its front."""
    count = max(1, int(plot.width / chance.between(rng, wanted)))
    cut = plot.width / count
    origins = plot.frame.world([(number * cut, 0.0) for number in range(count)])
    made: list[Plot] = []
    for x, y in origins.tolist():
        frame = type(plot.frame)(origin=(x, y), x=plot.frame.x)
        made.append(Plot(frame=frame, width=cut, depth=plot.depth, verge=plot.verge, flip=bool(rng.random() < 0.5)))
    return made


def commerce(plot: Plot, mood: Mood, rng: np.random.Generator) -> Parts:
    """Shops and small offices behind their car parks."""
    return total(_shop(parcel, mood, rng) for parcel in parcels(plot, (32.0, 80.0), rng))


def _shop(plot: Plot, mood: Mood, rng: np.random.Generator) -> Parts:
    kind = chance.choose(rng, PAVED)
    front = plot.width * rng.uniform(0.45, 0.82)
    deep = float(np.clip(plot.depth * rng.uniform(0.2, 0.45), 10, 48))
    park = float(np.clip(rng.uniform(12, 40), 8, plot.depth - deep - 3))
    if plot.depth < 24 or front < 8 or park < 8:
        return Parts(ground=(patch(plot.frame.box(0, 0, plot.width, plot.depth), "gravel", "", rng),))
    left = (plot.width - front) * rng.uniform(0.2, 0.8)
    outline = [(x + left, y + park + 1.5) for x, y in footprint(_plan(rng), front, deep, rng)]
    low = rng.random() < 0.3 and deep < 22
    look = ("gabled" if rng.random() < 0.6 else "hipped", rng.uniform(12, 25), 3.4) if low else ("flat", 0.0, 5.0)
    roofs = mood.roofs if low else FLAT_ROOFS
    walls = {"block": 3, "brick_tan": 3, "brick_red": 2, "panel_metal": 2, "stucco": 2}
    shop = hall(plot, outline, "commercial", (look[0], look[1], look[2] + rng.uniform(0, 2)), (roofs, walls), rng)
    side = 3.0 if rng.random() < 0.5 else plot.width * 0.02
    lot = (side, 2.0, plot.width - side, park)
    end = min(park + deep + rng.uniform(3, 14), plot.depth)
    back = patch(plot.frame.box(side, park - 0.5, plot.width - side, end), kind, "lot", rng)
    trees = greenery.scatter(rng, plot.frame, (0, end, plot.width, plot.depth), mood.canopy, mood.conifers)
    yard = patch(plot.frame.box(0, 0, plot.width, plot.depth), "grass" if rng.random() < 0.8 else "gravel", "", rng)
    mouths = [entrance(plot, x, kind, rng) for x in (plot.width * 0.2, plot.width * 0.8)[: 1 + int(plot.width > 40)]]
    return Parts(ground=(yard,), built=(back, *car_park(plot, lot, kind, rng), *mouths), buildings=(shop,), trees=trees)


def _plan(rng: np.random.Generator) -> str:
    return chance.choose(rng, {"rect": 6, "l": 3, "z": 1})


def industry(plot: Plot, mood: Mood, rng: np.random.Generator) -> Parts:
    """Metal sheds on gravel or concrete."""
    return total(_works(parcel, mood, rng) for parcel in parcels(plot, (40.0, 90.0), rng))


def _works(plot: Plot, mood: Mood, rng: np.random.Generator) -> Parts:
    kind = chance.choose(rng, {"gravel": 4, "asphalt_old": 3, "concrete": 2, "dirt": 1})
    yard = patch(plot.frame.box(2, 1, plot.width - 2, plot.depth * rng.uniform(0.8, 1.0)), kind, "lot", rng)
    made: list[Building] = []
    y = rng.uniform(6, 14)
    while y < plot.depth - 14 and len(made) < 4:
        front = plot.width * rng.uniform(0.4, 0.85)
        deep = min(rng.uniform(11, 32), plot.depth - y - 1.5)
        left = 2 + (plot.width - front - 4) * rng.random()
        outline = [(left, y), (left + front, y), (left + front, y + deep), (left, y + deep)]
        walls = {"panel_metal": 5, "block": 2}
        look = ("gabled", rng.uniform(6, 14), rng.uniform(4, 7.5))
        made.append(hall(plot, outline, "industrial", look, (SHED_ROOFS, walls), rng))
        y += deep + rng.uniform(7, 18)
    whole = patch(plot.frame.box(0, 0, plot.width, plot.depth), "meadow", "", rng)
    area = (0.0, plot.depth * 0.85, plot.width, plot.depth)
    trees = greenery.scatter(rng, plot.frame, area, mood.canopy, mood.conifers)
    mouth = entrance(plot, plot.width / 2, kind, rng, 9)
    return Parts(ground=(whole,), built=(yard, mouth), buildings=tuple(made), trees=trees)


def apartments(plot: Plot, mood: Mood, rng: np.random.Generator) -> Parts:
    """Equal blocks of flats in rows, a drive with stalls between each two rows."""
    roof, wall = chance.choose(rng, mood.roofs), chance.choose(rng, mood.walls)
    form = chance.choose(rng, {"gabled": 3, "hipped": 3, "flat": 1})
    front, deep, eaves = rng.uniform(16, 34), rng.uniform(9, 12.5), float(rng.choice([3.2, 5.8, 5.8, 8.6]))
    kind = chance.choose(rng, PAVED)
    look = (form, rng.uniform(16, 26), eaves)
    made: list[Building] = []
    built: list[Surface] = []
    y, lane = rng.uniform(5, 9), False
    while y + deep < plot.depth - 3:
        count = int((plot.width - 6) / (front + 5))
        step = (plot.width - 6) / max(count, 1)
        for number in range(count):
            x = 3 + number * step + (step - front) / 2
            outline = [(x, y), (x + front, y), (x + front, y + deep), (x, y + deep)]
            made.append(hall(plot, outline, "apartment", look, ({roof: 1}, {wall: 1}), rng))
        y += deep + 3.0
        if not lane and y + AISLE + 2 * STALL + deep < plot.depth:
            built += _lane(plot, y, kind, rng)
            y += AISLE + 2 * STALL + 3.0
        else:
            y += rng.uniform(6, 14)
        lane = not lane
    lawn = patch(plot.frame.box(0, 0, plot.width, plot.depth), "grass", "lawn", rng)
    drives = (patch(plot.frame.box(0.0, -plot.verge - 1, 5.5, plot.depth - 4), kind, "lot", rng), *built)
    keep_off = _boxes(plot, made)
    trees = greenery.scatter(
        rng, plot.frame, (6, 1, plot.width, plot.depth), mood.canopy * 0.5, mood.conifers, keep_off
    )
    kept = tuple(tree for tree in trees if not any(_inside(plot, tree.x, tree.y, one) for one in built))
    return Parts(ground=(lawn,), built=drives, buildings=tuple(made), trees=kept)


def _lane(plot: Plot, y: float, kind: str, rng: np.random.Generator) -> list[Surface]:
    seed = chance.seed(rng)
    box = plot.frame.box(0.0, y, plot.width - 2, y + AISLE + 2 * STALL)
    lot = Surface(ring=box, kind=kind, semantic="paved", use="lot", seed=seed)
    rows = [stalls(plot, 8, plot.width - 5, at, kind, seed) for at in (y, y + STALL + AISLE)]
    return [lot, *rows]


def _local(plot: Plot, points: np.ndarray) -> np.ndarray:
    axes = np.array([plot.frame.x, (-plot.frame.x[1], plot.frame.x[0])])
    return np.asarray((points - np.array(plot.frame.origin)) @ axes.T)


def _boxes(plot: Plot, buildings: list[Building]) -> list[greenery.Box]:
    boxes = []
    for made in buildings:
        local = _local(plot, np.array(made.footprint))
        (x0, y0), (x1, y1) = local.min(axis=0).tolist(), local.max(axis=0).tolist()
        boxes.append((x0, y0, x1, y1))
    return boxes


def _inside(plot: Plot, x: float, y: float, surface: Surface) -> bool:
    corners = _local(plot, np.array(surface.ring))
    at = _local(plot, np.array([[x, y]]))[0]
    return bool((at > corners.min(axis=0) - 0.5).all() and (at < corners.max(axis=0) + 0.5).all())


def school(plot: Plot, mood: Mood, rng: np.random.Generator) -> Parts:
    """A large flat or low building with wings, car park, playing field and courts."""
    front, deep = min(plot.width * 0.6, rng.uniform(45, 80)), min(plot.depth * 0.4, rng.uniform(25, 50))
    left, start = rng.uniform(3, max(plot.width - front - 3, 3.1)), rng.uniform(20, 28)
    plan = chance.choose(rng, {"l": 3, "t": 2, "u": 3, "z": 2})
    outline = [(x + left, y + start) for x, y in footprint(plan, front, deep, rng)]
    made = hall(plot, outline, "school", ("flat", 0.0, 4.6), (FLAT_ROOFS, {"brick_red": 3, "brick_tan": 3}), rng)
    kind = chance.choose(rng, PAVED)
    lot = car_park(plot, (4, 1.5, plot.width - 4, min(start - 2, 21)), kind, rng)
    back = start + deep + 3
    built: list[Surface] = [*lot, entrance(plot, plot.width * 0.3, kind, rng)]
    if plot.depth - back > 20:
        built.append(patch(plot.frame.box(4, back, plot.width * 0.7, plot.depth - 3), "grass", "mown", rng))
        x = plot.width * 0.75
        built.append(patch(plot.frame.box(x, back + 2, x + 15, back + 17), "court_green", "court", rng))
    lawn = patch(plot.frame.box(0, 0, plot.width, plot.depth), "grass", "lawn", rng)
    keep = [*_boxes(plot, [made]), (4, 0, plot.width - 4, 22)]
    trees = greenery.scatter(rng, plot.frame, (1, 1, plot.width - 1, plot.depth), 0.04, mood.conifers, keep)
    return Parts(ground=(lawn,), built=tuple(built), buildings=(made,), trees=trees)


def church(plot: Plot, mood: Mood, rng: np.random.Generator) -> Parts:
    """A steep long roof beside a car park on a lawn."""
    front, deep = rng.uniform(11, 17), min(rng.uniform(22, 36), plot.depth - 14)
    if deep < 14 or plot.width < 40:
        return commerce(plot, mood, rng)
    start = rng.uniform(7, 11)
    outline: list[Point] = [(6, start), (6 + front, start), (6 + front, start + deep), (6, start + deep)]
    if rng.random() < 0.5:
        wing, y = rng.uniform(5, 9), start + deep * rng.uniform(0.4, 0.6)
        outline[2:3] = [(6 + front, y), (6 + front + wing, y), (6 + front + wing, start + deep)]
    walls = {"brick_red": 3, "siding_white": 2, "stone": 2, "stucco": 2}
    look = ("gabled", rng.uniform(28, 42), rng.uniform(4.5, 7))
    made = hall(plot, outline, "church", look, (mood.roofs, walls), rng)
    kind = chance.choose(rng, PAVED)
    x0 = 6 + front + 12
    mirrored = plot.box(x0, 2, plot.width - 3, min(plot.depth - 3, rng.uniform(25, 45)))
    lot = car_park(plot, mirrored, kind, rng)
    mouth = entrance(plot, (mirrored[0] + mirrored[2]) / 2, kind, rng)
    lawn = patch(plot.frame.box(0, 0, plot.width, plot.depth), "grass", "lawn", rng)
    keep = [*_boxes(plot, [made]), mirrored]
    trees = greenery.scatter(rng, plot.frame, (1, 1, plot.width - 1, plot.depth), 0.08, mood.conifers, keep)
    return Parts(ground=(lawn,), built=(*lot, mouth), buildings=(made,), trees=trees)
