"""Plots: the rectangles along a street on which things are put."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from shapely import LineString, Polygon, box

from mage_stac.scene import chance
from mage_stac.scene.greenery import Box
from mage_stac.scene.plane import Frame, Plane, Point, line, ring
from mage_stac.scene.scene import Building, Ring, Surface, Tree
from mage_stac.scene.streets import Block
from mage_stac.scene.styles import Mood

SEMANTICS = {
    "grass": "grass", "meadow": "grass", "field": "field", "crop_soil": "field", "woodland": "ground",
    "bare": "bare", "dirt": "bare", "sand": "bare", "mulch": "bare", "vegetable": "bare",
    "water": "water", "silty_water": "water", "pool": "water", "fence": "object", "clutter": "object",
}  # fmt: skip
"""Semantic of a ground material; the others are paved."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plot:
    """A rectangle in its frame: x 0..width along the street, y 0..depth away from it."""

    frame: Frame
    width: float
    depth: float
    verge: float
    """From the plot to the kerb: the drive crosses it."""
    flip: bool = False
    """Mirror left and right."""

    def box(self, x0: float, y0: float, x1: float, y1: float) -> Box:
        """A rectangle of the unmirrored plot, where it comes to lie."""
        return (self.width - x1, y0, self.width - x0, y1) if self.flip else (x0, y0, x1, y1)

    def ring(self, outline: Sequence[Point]) -> Ring:
        """An outline of the unmirrored plot, in the world."""
        return self.frame.ring([(self.width - x, y) for x, y in outline] if self.flip else outline)


@dataclass(frozen=True, kw_only=True, slots=True)
class Placed:
    """What one step put on a plot, and the boxes it takes up in the plot's frame."""

    surfaces: tuple[Surface, ...] = ()
    buildings: tuple[Building, ...] = ()
    trees: tuple[Tree, ...] = ()
    taken: tuple[Box, ...] = ()


def rows(block: Block, plane: Plane, mood: Mood, rng: np.random.Generator) -> Iterator[Plot]:
    """Plots of a block: two rows back to back along its longer side, one where it is shallow; only those wanted."""
    wide = block.size[0] >= block.size[1]
    length, across = block.size if wide else block.size[::-1]
    houses = mood.houses
    deepest = chance.between(rng, houses.plot_depth)
    sides: tuple[int, ...] = (0, 2) if wide else (3, 1)
    if across < 1.35 * houses.plot_depth[0]:
        sides = (sides[int(rng.integers(2))],)
        deepest = min(deepest * 1.3, across)
    depth = min(deepest, across / len(sides))
    depth = across / len(sides) if across / len(sides) - depth < 0.2 * depth else depth
    if depth < 0.6 * houses.plot_depth[0]:
        return
    for side in sides:
        for start, width in _cuts(length, mood.plot_front, rng):
            frame = front(block, plane, side, start)
            if plane.wants(frame, width, depth):
                yield Plot(frame=frame, width=width, depth=depth, verge=mood.grid.verge, flip=bool(rng.random() < 0.5))


def _cuts(length: float, wanted: float, rng: np.random.Generator) -> Iterator[tuple[float, float]]:
    """Starts and widths of plots that fill `length`."""
    count = max(1, round(length / (1.06 * wanted)))
    widths = rng.uniform(0.85, 1.3, count)
    edges = np.concatenate([[0.0], np.cumsum(widths)]) * length / widths.sum()
    yield from zip(edges[:-1].tolist(), np.diff(edges).tolist(), strict=True)


def front(block: Block, plane: Plane, side: int, edge: float) -> Frame:
    """The frame whose origin lies `edge` metres along `side` (0 south, 1 east, 2 north, 3 west), y inwards."""
    (u0, v0), (u1, v1) = block.low, block.high
    corners = ((u0 + edge, v0), (u1, v0 + edge), (u1 - edge, v1), (u0, v1 - edge))
    return plane.frame(*corners[side], side)


def patch(outline: Ring, kind: str, use: str, rng: np.random.Generator) -> Surface:
    """A Surface of material `kind`, with the semantic that goes with it."""
    return Surface(ring=outline, kind=kind, semantic=SEMANTICS.get(kind, "paved"), use=use, seed=chance.seed(rng))


def within(frame: Frame, outline: np.ndarray, area: Box) -> Ring:
    """The largest part of a local `outline` (N, 2) inside `area`, in the world; `area` itself where there is none."""
    inside = Polygon(outline).buffer(0).intersection(box(*area))
    shape = max(getattr(inside, "geoms", [inside]), key=lambda part: part.area)
    if not isinstance(shape, Polygon) or shape.is_empty:
        return frame.box(*area)
    return frame.ring(np.array(shape.exterior.coords)[:-1])


def strip(
    points: Sequence[Point] | np.ndarray, width: float, kind: str, use: str, rng: np.random.Generator
) -> tuple[Surface, ...]:
    """A path or fence of `width` along world `points`; none where the line folds onto itself."""
    shape = LineString(points).buffer(width / 2, cap_style="flat", join_style="round" if width > 0.5 else "mitre")
    if not isinstance(shape, Polygon) or shape.is_empty:
        return ()
    outline = ring(np.array(shape.exterior.coords)[:-1])
    semantic = SEMANTICS.get(kind, "paved")
    return (
        Surface(
            ring=outline, kind=kind, semantic=semantic, use=use, seed=chance.seed(rng), line=line(points), width=width
        ),
    )


def meet(one: Box, other: Box, clear: float = 0.4) -> bool:
    """Whether two boxes come closer than `clear` metres."""
    return (
        one[0] < other[2] + clear
        and other[0] < one[2] + clear
        and one[1] < other[3] + clear
        and other[1] < one[3] + clear
    )
