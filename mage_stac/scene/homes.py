"""Homes: outlines of houses, garages and drives on a plot."""

from __future__ import annotations

import numpy as np

from mage_stac.scene import chance, plane
from mage_stac.scene.plane import Point
from mage_stac.scene.plots import Placed, Plot, patch
from mage_stac.scene.scene import Building, Surface
from mage_stac.scene.styles import Mood


def house(plot: Plot, mood: Mood, rng: np.random.Generator) -> Placed:
    """The house, its garage and drive; `taken[0]` is the house's bounding box. Nothing where it does not fit."""
    style = mood.houses
    garage = chance.choose(rng, style.garages)
    gap, setback = chance.between(rng, style.gap), chance.between(rng, style.setback)
    lane = 4.2 if garage == "back" and plot.width > 14 else gap
    front = min(chance.between(rng, style.front), plot.width - gap - lane)
    deep = min(chance.between(rng, style.depth), plot.depth - setback - 1.0)
    if front < 5 or deep < 5:
        return Placed()
    left = gap + (plot.width - gap - lane - front) * rng.uniform(0, 0.6)
    outline = footprint(chance.choose(rng, style.shapes), front, deep, rng)
    if garage == "front" and front > 8.5:
        outline = winged(outline, front, min(rng.uniform(0.8, 4.5), setback - 1.5), rng)
    main = building(plot, [(x + left, y + setback) for x, y in outline], "house", mood, rng)
    box = (left, setback + min(y for _, y in outline), left + front, setback + deep)
    extra = _back(plot, box, main, mood, rng) if garage == "back" else Placed()
    if not extra.taken:
        extra = _short(plot, box, garage == "front", mood, rng)
    return Placed(
        surfaces=(*extra.surfaces, *_walk(plot, left + front * 0.35, setback, rng)),
        buildings=(main, *extra.buildings),
        taken=(plot.box(*box), *extra.taken),
    )


def footprint(shape: str, front: float, deep: float, rng: np.random.Generator) -> list[Point]:
    """A right-angled outline within (0, 0)..(front, deep), counter-clockwise; the front is y 0.

    rect; l: one corner cut out; t: both corners of one side; z: two opposite corners; u: a court in the back.
    """
    cut_x, cut_y = front * rng.uniform(0.28, 0.5), deep * rng.uniform(0.22, 0.45)
    corner, turned = int(rng.integers(4)), int(rng.integers(2))
    if shape == "u":
        x0, x1, y = front * rng.uniform(0.25, 0.35), front * rng.uniform(0.65, 0.75), deep - cut_y
        return [(0, 0), (front, 0), (front, deep), (x1, deep), (x1, y), (x0, y), (x0, deep), (0, deep)]
    notched = {"l": (corner,), "t": ((0, 1), (2, 3))[turned], "z": ((0, 2), (1, 3))[turned]}.get(shape, ())
    cut_x *= 0.7 if shape == "t" else 1.0
    outline: list[Point] = []
    for number, (x, y) in enumerate(((0.0, 0.0), (front, 0.0), (front, deep), (0.0, deep))):
        if number not in notched:
            outline.append((x, y))
            continue
        inner = (cut_x if x == 0 else front - cut_x, cut_y if y == 0 else deep - cut_y)
        beside, across = (x, inner[1]), (inner[0], y)
        outline += [beside, inner, across] if number % 2 == 0 else [across, inner, beside]
    return outline


def winged(outline: list[Point], front: float, reach: float, rng: np.random.Generator) -> list[Point]:
    """`outline` with a garage wing `reach` metres in front of its right end, where its front is whole there."""
    if reach < 0.8 or (front, 0.0) not in outline:
        return outline
    after = outline.index((front, 0.0))
    start = outline[after - 1][0]
    width = min(rng.uniform(5.6, 6.8), front * 0.55, front - start - 0.5)
    if width < 3:
        return outline
    wing = [(front - width, 0.0), (front - width, -reach), (front, -reach)]
    return [*outline[:after], *wing, *outline[after + 1 :]]


def building(
    plot: Plot, outline: list[Point], kind: str, mood: Mood, rng: np.random.Generator, like: Building | None = None
) -> Building:
    """A house, garage or shed over a local `outline`, of the mood's materials or those of `like`."""
    style = mood.houses
    storeys = int(chance.choose(rng, style.storeys)) if kind == "house" else 1
    material = like.roof_material if like else chance.choose(rng, mood.roofs)
    if kind == "shed":
        material = chance.choose(rng, {material: 4, "metal_white": 2, "metal_grey": 2, "metal_rusty": 1})
    height = (2.1 if kind == "shed" else 2.7) * storeys + rng.uniform(0.0, 0.5)
    overhang = chance.between(rng, style.overhang) * (0.4 if kind == "shed" else 1.0)
    return Building(
        id="",
        footprint=plot.ring(outline),
        height=round(height, 2),
        roof="gabled" if kind == "shed" else chance.choose(rng, style.forms),
        pitch=round(chance.between(rng, style.pitch), 1),
        overhang=round(overhang, 2),
        roof_material=material,
        wall_material=like.wall_material if like else chance.choose(rng, mood.walls),
        storeys=storeys,
        kind=kind,
        seed=chance.seed(rng),
    )


def _back(
    plot: Plot, box: tuple[float, float, float, float], home: Building, mood: Mood, rng: np.random.Generator
) -> Placed:
    """A garage behind the house with a drive past it; nothing where the plot is too small."""
    width, length = rng.uniform(3.6, 6.8), rng.uniform(5.5, 7.5)
    start, x1 = box[3] + rng.uniform(1.5, 6.0), plot.width - rng.uniform(0.6, 1.2)
    lane = max(box[2] + 0.4, x1 - 3.2)
    if start + length > plot.depth - 0.6 or x1 - width < 1 or x1 - lane < 2.0:
        return Placed()
    outline = [(x1 - width, start), (x1, start), (x1, start + length), (x1 - width, start + length)]
    garage = building(plot, outline, "garage", mood, rng, like=home if rng.random() < 0.6 else None)
    drive = _drive(plot, (lane, x1, start + 0.3), chance.choose(rng, mood.houses.drives), rng)
    taken = (plot.box(x1 - width, start, x1, start + length), plot.box(lane, 0, x1, start))
    return Placed(surfaces=(drive,), buildings=(garage,), taken=taken)


def _short(
    plot: Plot, box: tuple[float, float, float, float], wide: bool, mood: Mood, rng: np.random.Generator
) -> Placed:
    """A drive that ends at the house's right end; often none where there is no garage."""
    if box[1] < 3 or (not wide and rng.random() < 0.3):
        return Placed()
    x1 = box[2] - (0.3 if wide else rng.uniform(-2.6, 2.0))
    x0 = x1 - (rng.uniform(3.6, 5.8) if wide else rng.uniform(2.6, 3.6))
    x1 = min(x1, plot.width - 0.3)
    drive = _drive(plot, (min(x0, x1 - 2.4), x1, box[1] + 0.5), chance.choose(rng, mood.houses.drives), rng)
    return Placed(surfaces=(drive,), taken=(plot.box(x0, 0, x1, box[1] - 0.5),))


def _drive(plot: Plot, reach: tuple[float, float, float], kind: str, rng: np.random.Generator) -> Surface:
    """From the kerb, flared, to y = reach[2], between x = reach[0] and reach[1]."""
    x0, x1, end = reach
    flare, kerb = rng.uniform(0.2, 0.8), -plot.verge - 1.0
    outline = [(x0 - flare, kerb), (x1 + flare, kerb), (x1, kerb + 2.5), (x1, end), (x0, end), (x0, kerb + 2.5)]
    left, _, right, _ = plot.box(x0, 0, x1, 0)
    middle = plot.frame.world([((left + right) / 2, kerb + 1.5), ((left + right) / 2, end)])
    return Surface(
        ring=plot.ring(outline),
        kind=kind,
        semantic="paved",
        use="drive",
        seed=chance.seed(rng),
        line=plane.line(middle),
        width=round(x1 - x0, 2),
    )


def _walk(plot: Plot, x: float, end: float, rng: np.random.Generator) -> tuple[Surface, ...]:
    if end < 3 or rng.random() < 0.35:
        return ()
    start = -plot.verge * float(rng.random() < 0.5)
    outline = plot.frame.box(*plot.box(x, start, x + rng.uniform(0.9, 1.3), end))
    return (patch(outline, "concrete", "path", rng),)
