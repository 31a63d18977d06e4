"""Styles of settlement as tables: a new style is a new entry, not new code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mage_stac.scene import chance, settlements
from mage_stac.scene.chance import Range
from mage_stac.scene.streets import Grid

Weights = Mapping[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Houses:
    """What stands on a dwelling's plot. Ranges in metres unless said otherwise."""

    plot_front: Range
    plot_depth: Range
    """Plots are no deeper; what is left inside a block is backland."""
    setback: Range
    gap: Range
    """From a house's side to its plot's edge."""
    front: Range
    depth: Range
    shapes: Weights
    """rect, l, t, z, u."""
    storeys: Weights
    forms: Weights
    """Building.roof."""
    pitch: Range
    """Degrees."""
    overhang: Range
    roofs: Weights
    """Building.roof_material."""
    walls: Weights
    garages: Weights
    """front (a wing of the house), back (its own building), none."""
    drives: Weights
    """Materials."""
    yards: Weights
    """Materials of the plot."""
    shed: float
    fence: float
    pool: float
    patio: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Style:
    """Ranges from which each scene draws its own Mood."""

    turn: Range
    """Degrees."""
    bend: Range
    short: Range
    long: Range
    regular: Range
    arterial: float
    lane: float
    widths: tuple[Range, Range, Range]
    verge: Range
    sidewalk: float
    """Chance that a scene has them."""
    roads: tuple[Weights, Weights, Weights]
    """Materials of main roads, streets and lanes."""
    uses: Weights
    """Of inner blocks: dwellings, acreage, apartments, commerce, industry, school, church, park, field, crops, orchard,
    pond, woods, vacant, plaza."""
    main_uses: Weights
    """Of blocks along a main road."""
    houses: Houses
    canopy: Range
    """Share of built-up plots under crowns."""
    conifers: Range
    vacancy: Range
    parked: Range
    """Share of drives and stalls with a car."""
    balconies: float = 0.0
    """Share of the storeyed houses that have some."""
    wires: float = 0.0
    """Share of the streets along which poles carry them."""
    rise: Range = (0.0, 0.0)
    """Slope of the ground, metres per metre."""
    basins: bool = False
    """Whether fields lie level behind banks, as irrigated ones do."""
    river: float = 0.0
    """Chance that one flows through a scene."""
    season: str | None = None
    """One of scene.SEASONS all the year; None goes by date and latitude."""
    latitudes: Range = (29.0, 45.0)
    """Degrees north; further on no winter sun stands high enough for a survey."""
    shake: float = 0.6
    """How much a scene's tables differ from the style's: sigma of ln weight."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mood:
    """What one scene is like; drawn once from its Style."""

    houses: Houses
    grid: Grid
    turn: float
    """Radians."""
    bend: float
    uses: Weights
    main_uses: Weights
    roofs: Weights
    walls: Weights
    plot_front: float
    canopy: float
    conifers: float
    vacancy: float
    sidewalks: bool
    roads: tuple[Weights, Weights, Weights]
    parked: Range


def mood(style: Style, rng: np.random.Generator) -> Mood:
    """Draw one scene's character."""
    grid = Grid(
        short=chance.between(rng, style.short),
        long=chance.between(rng, style.long),
        regular=chance.between(rng, style.regular),
        arterial=style.arterial,
        widths=(
            chance.between(rng, style.widths[0]),
            chance.between(rng, style.widths[1]),
            chance.between(rng, style.widths[2]),
        ),
        verge=chance.between(rng, style.verge),
        lane=style.lane,
    )
    return Mood(
        houses=style.houses,
        grid=grid,
        turn=float(np.radians(chance.between(rng, style.turn))),
        bend=chance.between(rng, style.bend),
        uses=chance.shaken(rng, style.uses, style.shake),
        main_uses=chance.shaken(rng, style.main_uses, style.shake),
        roofs=chance.shaken(rng, style.houses.roofs, style.shake),
        walls=chance.shaken(rng, style.houses.walls, style.shake),
        plot_front=chance.between(rng, style.houses.plot_front),
        canopy=chance.between(rng, style.canopy),
        conifers=chance.between(rng, style.conifers),
        vacancy=chance.between(rng, style.vacancy),
        sidewalks=rng.random() < style.sidewalk,
        roads=style.roads,
        parked=style.parked,
    )


SUBURB = Style(
    turn=(-12.0, 12.0),
    bend=(0.0, 16.0),
    short=(70.0, 98.0),
    long=(110.0, 230.0),
    regular=(0.2, 1.0),
    arterial=0.55,
    lane=0.1,
    widths=((13.0, 19.0), (7.4, 9.6), (5.0, 6.5)),
    verge=(2.0, 4.5),
    sidewalk=0.45,
    roads=(
        {"asphalt_old": 3, "concrete": 2, "asphalt": 2},
        {"asphalt": 6, "asphalt_old": 3, "asphalt_new": 1},
        {"asphalt": 3, "gravel": 2, "asphalt_old": 2},
    ),
    uses={
        "dwellings": 15.0,
        "acreage": 1.6,
        "apartments": 0.9,
        "commerce": 0.4,
        "school": 0.25,
        "church": 0.4,
        "park": 0.6,
        "field": 0.6,
        "woods": 0.6,
        "vacant": 0.4,
    },
    main_uses={
        "dwellings": 6.0,
        "commerce": 4.0,
        "apartments": 1.2,
        "industry": 0.8,
        "church": 0.7,
        "school": 0.4,
        "park": 0.6,
        "field": 0.6,
        "woods": 0.4,
        "vacant": 0.6,
    },
    houses=Houses(
        plot_front=(18.0, 27.0),
        plot_depth=(32.0, 44.0),
        setback=(6.0, 11.0),
        gap=(1.2, 3.5),
        front=(11.5, 22.0),
        depth=(8.5, 13.0),
        shapes={"rect": 5, "l": 4, "t": 1.5, "z": 1.5, "u": 0.4},
        storeys={"1": 8, "2": 2},
        forms={"gabled": 6, "hipped": 4, "flat": 0.15},
        pitch=(16.0, 32.0),
        overhang=(0.3, 0.7),
        roofs={
            "shingle_grey": 5,
            "shingle_light": 4,
            "shingle_dark": 3.5,
            "shingle_brown": 5,
            "shingle_tan": 2,
            "shingle_red": 1.6,
            "shingle_green": 0.5,
            "metal_white": 0.4,
            "metal_grey": 0.4,
            "metal_colour": 0.2,
        },
        walls={
            "siding_white": 5,
            "siding_tan": 4,
            "siding_grey": 3,
            "siding_colour": 1,
            "brick_red": 4,
            "brick_tan": 2,
            "block": 1,
        },
        garages={"front": 4, "back": 3, "none": 3},
        drives={"concrete": 6, "asphalt": 1.5, "gravel": 2, "asphalt_old": 1},
        yards={"grass": 1.0},
        shed=0.4,
        fence=0.45,
        pool=0.05,
        patio=0.5,
    ),
    canopy=(0.12, 0.5),
    conifers=(0.03, 0.2),
    vacancy=(0.02, 0.16),
    parked=(0.25, 0.6),
    wires=0.45,
)

OLD_TOWN = Style(
    turn=(-45.0, 45.0),
    bend=(14.0, 34.0),
    short=(36.0, 54.0),
    long=(55.0, 110.0),
    regular=(0.0, 0.3),
    arterial=0.25,
    lane=0.4,
    widths=((9.0, 13.0), (4.6, 6.8), (3.0, 4.2)),
    verge=(0.3, 1.6),
    sidewalk=0.35,
    roads=(
        {"asphalt": 3, "asphalt_old": 2},
        {"asphalt": 3, "paving": 2, "asphalt_old": 2},
        {"paving": 3, "asphalt_old": 1, "gravel": 1},
    ),
    uses={"dwellings": 12.0, "plaza": 0.8, "church": 0.5, "park": 0.9, "apartments": 0.4, "vacant": 0.4, "field": 0.3},
    main_uses={"dwellings": 8.0, "commerce": 1.2, "plaza": 1.0, "church": 0.6, "park": 0.8, "school": 0.4},
    houses=Houses(
        plot_front=(7.0, 12.0),
        plot_depth=(17.0, 29.0),
        setback=(0.1, 0.9),
        gap=(0.05, 0.12),
        front=(30.0, 30.0),
        depth=(8.5, 13.5),
        shapes={"rect": 6, "l": 2},
        storeys={"2": 5, "3": 4, "1": 1},
        forms={"gabled": 8, "hipped": 2, "flat": 0.7},
        pitch=(18.0, 38.0),
        overhang=(0.1, 0.4),
        roofs={"tile_orange": 8, "tile_brown": 5, "slate": 0.8, "metal_rusty": 0.5, "membrane_grey": 0.4},
        walls={"stucco": 7, "stone": 4, "brick_tan": 1, "siding_white": 1},
        garages={"none": 9, "back": 1},
        drives={"paving": 2, "gravel": 1, "concrete": 1},
        yards={"paving": 3, "grass": 3, "bare": 1, "gravel": 1},
        shed=0.25,
        fence=0.7,
        pool=0.01,
        patio=0.25,
    ),
    canopy=(0.02, 0.14),
    conifers=(0.05, 0.3),
    vacancy=(0.0, 0.08),
    parked=(0.2, 0.6),
    balconies=0.35,
    shake=0.5,
)

VILLAGE = Style(
    turn=(-45.0, 45.0),
    bend=(10.0, 40.0),
    short=(80.0, 140.0),
    long=(130.0, 280.0),
    regular=(0.0, 0.3),
    arterial=0.2,
    lane=0.6,
    widths=((7.0, 9.0), (5.0, 6.5), (3.0, 4.5)),
    verge=(1.5, 4.0),
    sidewalk=0.05,
    roads=(
        {"asphalt": 3, "asphalt_old": 3},
        {"asphalt_old": 3, "asphalt": 2, "gravel": 1},
        {"gravel": 3, "dirt": 3, "asphalt_old": 1},
    ),
    uses={"dwellings": 5.0, "acreage": 3.0, "field": 4.0, "woods": 1.6, "vacant": 0.8, "church": 0.3, "park": 0.3},
    main_uses={"dwellings": 6.0, "acreage": 2.0, "industry": 1.0, "church": 0.6, "field": 2.0, "commerce": 0.4},
    houses=Houses(
        plot_front=(20.0, 38.0),
        plot_depth=(35.0, 60.0),
        setback=(2.0, 14.0),
        gap=(2.0, 7.0),
        front=(8.0, 17.0),
        depth=(7.0, 11.0),
        shapes={"rect": 6, "l": 3, "t": 1},
        storeys={"1": 6, "2": 4},
        forms={"gabled": 8, "hipped": 2},
        pitch=(22.0, 42.0),
        overhang=(0.2, 0.6),
        roofs={"tile_orange": 3, "tile_brown": 3, "metal_rusty": 2, "metal_grey": 2, "metal_colour": 2, "slate": 1},
        walls={"stucco": 5, "stone": 3, "siding_white": 2, "brick_red": 2},
        garages={"back": 5, "none": 4},
        drives={"gravel": 4, "dirt": 3, "concrete": 1},
        yards={"grass": 6, "meadow": 2, "bare": 0.6},
        shed=0.8,
        fence=0.5,
        pool=0.02,
        patio=0.25,
    ),
    canopy=(0.1, 0.35),
    conifers=(0.05, 0.35),
    vacancy=(0.05, 0.3),
    parked=(0.2, 0.5),
    balconies=0.1,
    wires=0.6,
)

STYLES: dict[str, Style] = {
    "suburb": SUBURB,
    "old_town": OLD_TOWN,
    "village": VILLAGE,
    "hillside": settlements.hillside(OLD_TOWN),
    "informal": settlements.informal(OLD_TOWN),
    "compounds": settlements.compounds(OLD_TOWN),
    "industrial": settlements.industrial(SUBURB),
    "farmland": settlements.farmland(VILLAGE),
}
