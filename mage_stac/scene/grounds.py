"""Open ground: parks, fields, woods, vacant land, big garden plots, squares."""

from __future__ import annotations

from dataclasses import replace
from math import pi, tau

import numpy as np

from mage_stac.scene import chance, greenery
from mage_stac.scene.lots import parcels
from mage_stac.scene.parts import Parts, total
from mage_stac.scene.plots import Plot, patch, strip, within
from mage_stac.scene.scene import Surface
from mage_stac.scene.styles import Mood
from mage_stac.scene.yards import dwelling


def blob(
    centre: tuple[float, float], radius: tuple[float, float], rough: float, rng: np.random.Generator
) -> np.ndarray:
    """A closed wavy outline (36, 2) about `centre`; `rough` is the relative height of its waves."""
    turn = np.linspace(0, tau, 36, endpoint=False)
    wave = sum(np.cos(k * turn + rng.uniform(0, tau)) * rough / k for k in (2, 3, 4, 5, 7))
    return np.stack(
        [centre[0] + radius[0] * (1 + wave) * np.cos(turn), centre[1] + radius[1] * (1 + wave) * np.sin(turn)], axis=1
    )


def park(plot: Plot, mood: Mood, rng: np.random.Generator) -> Parts:
    """Mown lawns, winding paths, a pond or court, groups of trees."""
    w, d = plot.width, plot.depth
    built: list[Surface] = list(_path(plot, (0.0, d * rng.random()), (w, d * rng.random()), rng))
    built += _path(plot, (w * rng.random(), 0.0), (w * rng.random(), d), rng)
    keep: list[greenery.Box] = []
    if rng.random() < 0.45 and min(w, d) > 45:
        x, y = w * rng.uniform(0.35, 0.65), d * rng.uniform(0.35, 0.65)
        rx, ry = rng.uniform(9, 0.25 * w), rng.uniform(8, 0.25 * d)
        shore = blob((x, y), (rx, ry), 0.25, rng)
        bank = (x, y) + (shore - (x, y)) * (1 + 1.6 / min(rx, ry))
        built += [
            patch(within(plot.frame, bank, (1, 1, w - 1, d - 1)), "meadow", "", rng),
            patch(within(plot.frame, shore, (2, 2, w - 2, d - 2)), "water", "", rng),
        ]
        keep.append((x - 1.3 * rx, y - 1.3 * ry, x + 1.3 * rx, y + 1.3 * ry))
    if rng.random() < 0.2 and min(w, d) > 50:
        x, y = rng.uniform(5, w - 40), rng.uniform(4, 12)
        kinds = ("court_red", "court_green") if rng.random() < 0.6 else ("court_green", "court_green")
        built += [
            patch(plot.frame.box(x, y, x + 34, y + 17), kinds[0], "", rng),
            patch(plot.frame.box(x + 5, y + 3, x + 29, y + 14), kinds[1], "court", rng),
        ]
        keep.append((x, y, x + 34, y + 17))
    canopy = chance.between(rng, (0.04, 0.3))
    trees = greenery.scatter(rng, plot.frame, (1, 1, w - 1, d - 1), canopy, mood.conifers, keep)
    lawn = patch(plot.frame.box(0, 0, w, d), "grass", "mown" if rng.random() < 0.5 else "lawn", rng)
    return Parts(ground=(lawn,), built=tuple(built), trees=trees)


def _path(
    plot: Plot, start: tuple[float, float], stop: tuple[float, float], rng: np.random.Generator
) -> tuple[Surface, ...]:
    t = np.linspace(0, 1, 24)
    along = np.array(stop) - np.array(start)
    length = float(np.hypot(*along))
    across = np.array([-along[1], along[0]]) / max(length, 1e-9)
    sway = 0.07 * length * (np.sin(tau * t * rng.uniform(0.5, 1.2)) + 0.4 * np.sin(tau * t * 2.3 + rng.uniform(0, tau)))
    points = np.array(start) + t[:, None] * along + (sway * np.sin(pi * t))[:, None] * across
    points = np.clip(points, 0, (plot.width, plot.depth))
    kind = chance.choose(rng, {"concrete": 4, "asphalt": 1, "gravel": 2, "dirt": 1})
    return strip(plot.frame.world(points), rng.uniform(1.4, 2.8), kind, "path", rng)


def field(plot: Plot, mood: Mood, rng: np.random.Generator) -> Parts:
    """A field or pasture, mown or tilled in lines, with trees along an edge."""
    w, d = plot.width, plot.depth
    kind = chance.choose(rng, {"field": 5, "meadow": 3, "crop_soil": 1})
    ground = [patch(plot.frame.box(0, 0, w, d), "meadow", "", rng)]
    inset = rng.uniform(1, 4)
    ground.append(patch(plot.frame.box(inset, inset, w - inset, d - inset), kind, "mown", rng))
    sides = (((0.5, 0.5), (0.5, d)), ((0.5, d - 1), (w, d - 1)), ((w - 1, 0.5), (w - 1, d)))
    trees = [
        tree
        for side in sides
        if rng.random() < 0.45
        for tree in greenery.row(rng, plot.frame, side, rng.uniform(4.5, 9), mood.conifers)
    ]
    few = greenery.scatter(rng, plot.frame, (3, 3, w - 3, d - 3), 0.008, mood.conifers)
    return Parts(ground=tuple(ground), trees=(*trees, *few))


def crops(plot: Plot, mood: Mood, rng: np.random.Generator) -> Parts:
    """Parcels side by side, each with a crop of its own or bare, and a few trees between them."""
    ground = []
    for parcel in parcels(plot, (18.0, 75.0), rng):
        kind = chance.choose(rng, {"field": 6, "vegetable": 2, "crop_soil": 4, "meadow": 2, "bare": 1})
        inset = rng.uniform(0.5, 2.0)
        ground.append(patch(parcel.frame.box(0, 0, parcel.width, parcel.depth), "meadow", "", rng))
        outline = parcel.frame.box(inset, inset, parcel.width - inset, parcel.depth - inset)
        ground.append(patch(outline, kind, "mown", rng))
    area = (1.0, 1.0, plot.width - 1, plot.depth - 1)
    return Parts(ground=tuple(ground), trees=greenery.scatter(rng, plot.frame, area, 0.004, mood.conifers))


def orchard(plot: Plot, mood: Mood, rng: np.random.Generator) -> Parts:
    """Fruit trees in rows over bare or grown soil."""
    w, d = plot.width, plot.depth
    ground = patch(plot.frame.box(0, 0, w, d), chance.choose(rng, {"crop_soil": 3, "bare": 1, "meadow": 2}), "", rng)
    rows, spacing = rng.uniform(5.5, 8.0), rng.uniform(4.5, 7.0)
    trees = [
        tree
        for x in np.arange(rows / 2, w, rows).tolist()
        for tree in greenery.row(rng, plot.frame, ((x, 1.0), (x, d - 1.0)), spacing, mood.conifers)
    ]
    low = tuple(replace(one, height=round(1.4 * one.radius, 2), radius=round(0.75 * one.radius, 2)) for one in trees)
    return Parts(ground=(ground,), trees=low)


def pond(plot: Plot, mood: Mood, rng: np.random.Generator) -> Parts:
    """A reservoir for irrigation behind banks of earth, among crops."""
    w, d = plot.width, plot.depth
    around = crops(plot, mood, rng)
    side = min(rng.uniform(30.0, 90.0), w - 12.0, d - 12.0)
    long = min(side * rng.uniform(1.0, 1.8), max(w, d) - 12.0)
    across, along = (long, side) if w >= d else (side, long)
    x, y = rng.uniform(6.0, w - across - 6.0), rng.uniform(6.0, d - along - 6.0)
    bank = patch(plot.frame.box(x - 5, y - 5, x + across + 5, y + along + 5), "dirt", "", rng)
    water = patch(plot.frame.box(x, y, x + across, y + along), "water", "", rng)
    return replace(around, built=(*around.built, bank, water))


def woods(plot: Plot, mood: Mood, rng: np.random.Generator) -> Parts:
    """Closed or broken woodland with clearings."""
    w, d = plot.width, plot.depth
    trees = greenery.scatter(rng, plot.frame, (1, 1, w - 1, d - 1), rng.uniform(0.6, 1.3), mood.conifers)
    floor = patch(plot.frame.box(0, 0, w, d), "woodland", "", rng)
    gaps = []
    for _ in range(int(rng.integers(0, 3))):
        at = (w * rng.uniform(0.2, 0.8), d * rng.uniform(0.2, 0.8))
        outline = blob(at, (rng.uniform(6, 20), rng.uniform(6, 20)), 0.3, rng)
        gaps.append(patch(within(plot.frame, outline, (0, 0, w, d)), "meadow", "", rng))
    return Parts(ground=(floor, *gaps), trees=trees)


def vacant(plot: Plot, mood: Mood, rng: np.random.Generator) -> Parts:
    """Rough grass with bare earth, tracks, and shrubs; sometimes stripped for building."""
    w, d = plot.width, plot.depth
    stripped = rng.random() < 0.3
    ground = [patch(plot.frame.box(0, 0, w, d), "bare" if stripped else "meadow", "", rng)]
    for _ in range(int(rng.integers(1, 6))):
        at = (w * rng.random(), d * rng.random())
        outline = blob(at, (rng.uniform(3, 14), rng.uniform(3, 12)), 0.35, rng)
        kind = chance.choose(rng, {"bare": 3, "gravel": 2, "dirt": 2, "grass": 2})
        ground.append(patch(within(plot.frame, outline, (0, 0, w, d)), kind, "", rng))
    track = _path(plot, (w * rng.random(), 0.0), (w * rng.random(), d * 0.9), rng) if rng.random() < 0.5 else ()
    trees = greenery.scatter(rng, plot.frame, (1, 1, w - 1, d - 1), 0.02 if stripped else 0.12, mood.conifers)
    return Parts(
        ground=tuple(ground), built=tuple(replace(one, kind="dirt", semantic="bare") for one in track), trees=trees
    )


def acreage(plot: Plot, mood: Mood, rng: np.random.Generator) -> Parts:
    """Two to four large plots: houses far from the street, many trees, meadow behind."""
    style = replace(
        mood.houses,
        setback=(10.0, max(10.5, min(40.0, plot.depth * 0.4))),
        front=(12.0, 24.0),
        depth=(9.0, 16.0),
        gap=(4.0, 10.0),
        shed=0.7,
        yards={"grass": 3, "meadow": 2},
    )
    wide = replace(mood, houses=style, vacancy=0.15)
    canopy = chance.between(rng, (0.15, 0.55))
    return total(dwelling(one, wide, canopy, rng) for one in parcels(plot, (32.0, 60.0), rng))


def plaza(plot: Plot, mood: Mood, rng: np.random.Generator) -> Parts:
    """A paved square with rows of trees and a basin."""
    w, d = plot.width, plot.depth
    if w * d > 3500:
        return park(plot, mood, rng)
    kind = chance.choose(rng, {"paving": 6, "brick_paving": 1, "concrete": 1})
    built = [patch(plot.frame.box(0, 0, w, d), kind, "lot", rng)]
    if rng.random() < 0.6:
        at, radius = (w / 2, d / 2), rng.uniform(2, 5)
        built.append(patch(plot.frame.ring(blob(at, (radius, radius), 0.0, rng)), "pool", "", rng))
    built.append(patch(plot.frame.box(2, 2, w * 0.3, d * 0.25), "grass", "lawn", rng))
    trees = [
        tree
        for x in (3.0, w - 3.0)
        for tree in greenery.row(rng, plot.frame, ((x, 2.0), (x, d - 2.0)), rng.uniform(6, 10), mood.conifers)
    ]
    return Parts(built=tuple(built), trees=tuple(trees))
