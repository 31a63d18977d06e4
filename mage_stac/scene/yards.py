"""Yards: what people put behind and around a house."""

from __future__ import annotations

from collections.abc import Callable
from math import tau

import numpy as np

from mage_stac.scene import chance, greenery
from mage_stac.scene.homes import building, house
from mage_stac.scene.parts import Parts, total
from mage_stac.scene.plane import Plane, Point
from mage_stac.scene.plots import Placed, Plot, front, meet, patch, rows, strip, within
from mage_stac.scene.scene import Tree
from mage_stac.scene.streets import Block
from mage_stac.scene.styles import Mood


def dwellings(block: Block, plane: Plane, mood: Mood, rng: np.random.Generator) -> Parts:
    """A block of houses with their yards."""
    canopy = mood.canopy * float(np.exp(0.45 * rng.standard_normal()))
    plots = tuple(rows(block, plane, mood, rng))
    return total((_backland(block, plane, plots, mood, rng), *(dwelling(plot, mood, canopy, rng) for plot in plots)))


def _backland(block: Block, plane: Plane, plots: tuple[Plot, ...], mood: Mood, rng: np.random.Generator) -> Parts:
    """What no plot reaches between two rows: rough ground under more trees."""
    wide = block.size[0] >= block.size[1]
    length, across = block.size if wide else block.size[::-1]
    depth = plots[0].depth if plots else 0.0
    rows_of_plots = 2 if across >= 2 * depth - 0.1 else 1
    if across - rows_of_plots * depth < 2:
        return Parts()
    frame = front(block, plane, 0 if wide else 3, 0.0)
    area = (0.0, depth if plots else 0.0, length, across - depth * (rows_of_plots - 1))
    kind = chance.choose(rng, {"meadow": 4, "grass": 3, "woodland": 2})
    canopy = 1.1 if kind == "woodland" else min(1.6 * mood.canopy + 0.1, 0.8)
    return Parts(
        ground=(patch(frame.box(*area), kind, "", rng),),
        trees=greenery.scatter(rng, frame, area, canopy, mood.conifers),
    )


def dwelling(plot: Plot, mood: Mood, canopy: float, rng: np.random.Generator) -> Parts:
    """One plot: house, garage, drive, yard and trees; or left empty, by the mood's vacancy."""
    kind = chance.choose(rng, mood.houses.yards)
    whole = plot.frame.box(0, 0, plot.width, plot.depth)
    area = (0.8, 0.5, plot.width - 0.8, plot.depth - 0.5)
    if rng.random() < mood.vacancy:
        trees = greenery.scatter(rng, plot.frame, area, canopy * 1.3, mood.conifers)
        return Parts(ground=(patch(whole, "meadow" if rng.random() < 0.6 else kind, "", rng),), trees=trees)
    home = house(plot, mood, rng)
    yard = _yard(plot, home, mood, rng) if home.buildings else Placed()
    trees = greenery.scatter(rng, plot.frame, area, canopy, mood.conifers, (*home.taken, *yard.taken))
    return Parts(
        ground=(patch(whole, kind, "lawn", rng),),
        built=(*home.surfaces, *yard.surfaces),
        buildings=(*home.buildings, *yard.buildings),
        trees=(*trees, *yard.trees, *_shrubs(plot, home, rng)),
    )


def _yard(plot: Plot, home: Placed, mood: Mood, rng: np.random.Generator) -> Placed:
    """Patio, pool, shed, worn earth and fence; what would meet something already there is left out."""
    style = mood.houses
    steps: tuple[tuple[float, Callable[[], Placed]], ...] = (
        (style.patio, lambda: _patio(plot, home, rng)),
        (style.pool, lambda: _pool(plot, home, rng)),
        (style.shed, lambda: _shed(plot, home, mood, rng)),
        (0.3, lambda: _worn(plot, home, rng)),
        (style.fence, lambda: _fence(plot, home, rng)),
        (0.75, lambda: _clutter(plot, home, rng)),
    )
    kept: list[Placed] = []
    taken = list(home.taken)
    for likely, make in steps:
        item = make() if rng.random() < likely else Placed()
        if not any(meet(one, other) for one in item.taken for other in taken):
            kept.append(item)
            taken.extend(item.taken)
    return Placed(
        surfaces=tuple(surface for item in kept for surface in item.surfaces),
        buildings=tuple(made for item in kept for made in item.buildings),
        trees=tuple(tree for item in kept for tree in item.trees),
        taken=tuple(box for item in kept for box in item.taken),
    )


def _patio(plot: Plot, home: Placed, rng: np.random.Generator) -> Placed:
    x0, _, x1, back = home.taken[0]
    width = min(rng.uniform(3.0, 7.0), x1 - x0)
    start, end = x0 + (x1 - x0 - width) * rng.random(), min(back + rng.uniform(2.5, 4.5), plot.depth)
    kind = chance.choose(rng, {"concrete": 5, "wood_deck": 3, "paving": 1, "brick_paving": 1})
    return Placed(surfaces=(patch(plot.frame.box(start, back - 0.3, start + width, end), kind, "patio", rng),))


def _pool(plot: Plot, home: Placed, rng: np.random.Generator) -> Placed:
    """Round and free-standing, or oval in a paved rim."""
    back = home.taken[0][3]
    if plot.depth - back < 11 or plot.width < 12:
        return Placed()
    radius, stretch, border = rng.uniform(1.8, 2.8), rng.uniform(1.0, 1.6), rng.uniform(0.8, 2.0)
    x, y = rng.uniform(5.5, plot.width - 5.5), rng.uniform(back + 5, plot.depth - 4)
    turn = np.linspace(0, tau, 20, endpoint=False)
    outline = np.stack([x + radius * stretch * np.cos(turn), y + radius * np.sin(turn)], axis=1)
    reach = (radius * stretch + border, radius + border)
    rim = (x - reach[0], y - reach[1], x + reach[0], y + reach[1])
    paved = (patch(plot.frame.box(*rim), "concrete", "patio", rng),) if stretch > 1.15 else ()
    return Placed(surfaces=(*paved, patch(plot.frame.ring(outline), "pool", "", rng)), taken=(rim,))


def _shed(plot: Plot, home: Placed, mood: Mood, rng: np.random.Generator) -> Placed:
    width, deep, aside = rng.uniform(2.4, 4.2), rng.uniform(2.4, 5.5), rng.uniform(0.8, 3.0)
    y = plot.depth - deep - rng.uniform(0.6, 4.0)
    if y < home.taken[0][3] + 2.5:
        return Placed()
    outline: list[Point] = [(aside, y), (aside + width, y), (aside + width, y + deep), (aside, y + deep)]
    made = building(plot, outline, "shed", mood, rng)
    return Placed(buildings=(made,), taken=(plot.box(aside, y, aside + width, y + deep),))


def _worn(plot: Plot, home: Placed, rng: np.random.Generator) -> Placed:
    """A patch of bare earth with a wavy edge, or a kitchen garden."""
    back = home.taken[0][3]
    if plot.depth - back < 6:
        return Placed()
    x, y = rng.uniform(2, plot.width - 2), rng.uniform(back + 2, plot.depth - 2)
    kind = chance.choose(rng, {"bare": 4, "mulch": 2, "vegetable": 3, "dirt": 2})
    if kind == "vegetable":
        turn = np.array([0.6, 2.5, 3.8, 5.7])
        radius = np.full(4, rng.uniform(1.5, 4.0))
    else:
        turn = np.linspace(0, tau, 14, endpoint=False)
        radius = rng.uniform(0.8, 3.0) * np.exp(0.25 * rng.standard_normal(14))
    outline = np.stack([x + 1.3 * radius * np.cos(turn), y + radius * np.sin(turn)], axis=1)
    area = (0.2, back, plot.width - 0.2, plot.depth - 0.2)
    return Placed(surfaces=(patch(within(plot.frame, outline, area), kind, "", rng),))


def _clutter(plot: Plot, home: Placed, rng: np.random.Generator) -> Placed:
    """Small things that lie about behind a house and along its walls: boats, trampolines, tables, heaps of wood."""
    x0, _, x1, back = home.taken[0]
    put = []
    for _ in range(int(rng.integers(1, 6))):
        reach = min(plot.depth - 0.5, back + rng.exponential(6.0) + 0.8)
        at = (rng.uniform(max(x0 - 2, 0.6), min(x1 + 2, plot.width - 0.6)), reach)
        half = np.clip(np.exp(rng.normal(-0.5, 0.45, 2)), 0.25, 2.2)
        turn = np.linspace(0, tau, 4 if rng.random() < 0.75 else 10, endpoint=False) + rng.uniform(0, tau)
        outline = np.stack([at[0] + half[0] * np.cos(turn), at[1] + half[1] * np.sin(turn)], axis=1)
        put.append(patch(plot.frame.ring(outline), "clutter", "", rng))
    return Placed(surfaces=tuple(put))


def _fence(plot: Plot, home: Placed, rng: np.random.Generator) -> Placed:
    """Round the back yard, one side open now and then; or a hedge along one side."""
    start = home.taken[0][3] - rng.uniform(0, 4)
    corners: list[Point] = [(0.1, start), (0.1, plot.depth - 0.1), (plot.width - 0.1, plot.depth - 0.1)]
    if rng.random() < 0.7:
        corners.append((plot.width - 0.1, start))
    if rng.random() < 0.2:
        return Placed(trees=greenery.hedge(rng, plot.frame, (corners[0], corners[1])))
    return Placed(surfaces=strip(plot.frame.world(corners), 0.16, "fence", "fence", rng))


def _shrubs(plot: Plot, home: Placed, rng: np.random.Generator) -> tuple[Tree, ...]:
    """Planting along the front, and bushes on the borders to the neighbours."""
    if not home.taken:
        return ()
    x0, y0, x1, _ = home.taken[0]
    count, wild = int(rng.integers(0, 7)), int(rng.poisson(3.0))
    along = np.stack([rng.uniform(x0, x1, count), np.full(count, y0 - rng.uniform(0.6, 1.2))], axis=1)
    side = np.where(rng.random(wild) < 0.5, rng.uniform(0.3, 1.2, wild), plot.width - rng.uniform(0.3, 1.2, wild))
    border = np.stack([side, rng.uniform(y0, plot.depth - 0.5, wild)], axis=1)
    points = np.concatenate([along, border])
    kept = points[greenery.free(points, home.taken, 0.3)]
    return tuple(greenery.shrub(rng, at, (0.5, 1.6)) for at in plot.frame.world(kept))
