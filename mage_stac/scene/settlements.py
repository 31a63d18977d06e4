"""Settlements: further styles, told by how they differ from one that is written out in full."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mage_stac.scene.styles import Style

TROPICS = (0.5, 12.0)
"""Degrees north: high suns all the year, little sky in the light, so that red earth and painted sheets stay red."""


def hillside(town: Style) -> Style:
    """A Mediterranean hillside: white houses apart on a slope, tiles and roof terraces, winding lanes, dry gardens."""
    return replace(
        town,
        bend=(24.0, 55.0),
        short=(44.0, 70.0),
        long=(80.0, 170.0),
        arterial=0.1,
        lane=0.5,
        widths=((7.5, 9.5), (5.0, 6.5), (3.2, 4.4)),
        verge=(0.4, 1.4),
        sidewalk=0.1,
        rise=(0.1, 0.24),
        balconies=0.6,
        uses={"dwellings": 12.0, "apartments": 0.8, "woods": 1.2, "vacant": 0.8, "park": 0.3, "church": 0.2},
        main_uses={"dwellings": 8.0, "apartments": 1.5, "commerce": 0.8, "plaza": 0.5, "church": 0.4, "vacant": 0.8},
        houses=replace(
            town.houses,
            plot_front=(12.0, 22.0),
            plot_depth=(20.0, 32.0),
            setback=(1.5, 6.0),
            gap=(1.0, 3.5),
            front=(8.0, 15.0),
            depth=(7.5, 12.0),
            shapes={"rect": 4, "l": 3, "z": 2, "t": 1},
            storeys={"1": 3, "2": 6, "3": 1},
            forms={"hipped": 4, "gabled": 3, "flat": 3},
            pitch=(13.0, 22.0),
            overhang=(0.1, 0.4),
            roofs={"tile_orange": 7, "tile_brown": 2.5, "membrane_white": 1, "membrane_grey": 1, "gravel_roof": 0.6},
            walls={"stucco": 6, "siding_white": 4, "stone": 2},
            garages={"none": 7, "back": 2},
            drives={"paving": 3, "concrete": 3, "gravel": 2},
            yards={"bare": 3, "meadow": 3, "paving": 2, "gravel": 2, "grass": 1},
            shed=0.15,
            fence=0.8,
            pool=0.22,
            patio=0.6,
        ),
        canopy=(0.08, 0.26),
        conifers=(0.3, 0.7),
        vacancy=(0.05, 0.2),
        parked=(0.2, 0.5),
    )


def informal(town: Style) -> Style:
    """A dense informal settlement: small sheet-metal roofs a hand apart, footpaths of bare earth, few trees."""
    return replace(
        town,
        bend=(8.0, 22.0),
        short=(17.0, 26.0),
        long=(26.0, 52.0),
        regular=(0.0, 0.15),
        arterial=0.12,
        lane=0.85,
        widths=((6.5, 9.0), (3.4, 5.0), (1.4, 2.4)),
        verge=(0.1, 0.5),
        sidewalk=0.0,
        rise=(0.0, 0.05),
        balconies=0.0,
        wires=0.7,
        roads=({"asphalt_old": 2, "dirt": 3}, {"dirt": 6, "gravel": 1}, {"dirt": 5, "bare": 1}),
        uses={"dwellings": 14.0, "vacant": 0.7, "plaza": 0.1},
        main_uses={"dwellings": 9.0, "commerce": 0.4, "vacant": 0.6, "church": 0.2},
        houses=replace(
            town.houses,
            plot_front=(7.4, 11.0),
            plot_depth=(8.5, 12.0),
            setback=(0.1, 0.8),
            gap=(0.1, 0.4),
            front=(6.5, 12.0),
            depth=(6.5, 11.0),
            shapes={"rect": 8, "l": 2},
            storeys={"1": 12, "2": 1},
            forms={"gabled": 5, "shed": 5, "flat": 1, "hipped": 1},
            pitch=(5.0, 16.0),
            overhang=(0.2, 0.6),
            roofs={"metal_rusty": 6, "metal_grey": 5, "metal_white": 1.2, "metal_colour": 0.5, "tile_brown": 0.5},
            walls={"block": 5, "brick_red": 3, "stucco": 2, "panel_metal": 1},
            garages={"none": 1},
            drives={"dirt": 1},
            yards={"dirt": 6, "bare": 4, "meadow": 0.6},
            shed=0.3,
            fence=0.15,
            pool=0.0,
            patio=0.1,
        ),
        canopy=(0.02, 0.12),
        conifers=(0.0, 0.04),
        vacancy=(0.0, 0.08),
        parked=(0.0, 0.15),
        season="tropical",
        latitudes=TROPICS,
    )


def compounds(town: Style) -> Style:
    """A quarter of an African city, after Kampala: walled plots on red earth, sheet metal and tiles, lush gardens."""
    return replace(
        town,
        bend=(8.0, 30.0),
        short=(48.0, 74.0),
        long=(60.0, 150.0),
        regular=(0.0, 0.4),
        arterial=0.3,
        lane=0.35,
        widths=((8.0, 11.0), (5.5, 8.0), (3.0, 4.5)),
        verge=(0.4, 2.2),
        sidewalk=0.0,
        rise=(0.0, 0.06),
        wires=0.6,
        roads=({"asphalt_old": 2, "dirt": 2}, {"dirt": 6, "asphalt_old": 1}, {"dirt": 5, "bare": 1}),
        uses={"dwellings": 12.0, "vacant": 1.5, "school": 0.8, "park": 0.4, "church": 0.4, "woods": 0.4, "plaza": 0.1},
        main_uses={"dwellings": 8.0, "commerce": 0.8, "school": 0.8, "vacant": 0.8, "church": 0.4},
        houses=replace(
            town.houses,
            plot_front=(11.0, 24.0),
            plot_depth=(18.0, 32.0),
            setback=(1.5, 7.0),
            gap=(0.8, 3.0),
            front=(8.0, 19.0),
            depth=(6.5, 12.5),
            shapes={"rect": 5, "l": 3, "t": 1, "z": 1},
            storeys={"1": 7, "2": 2},
            forms={"gabled": 5, "hipped": 4, "shed": 2.5, "flat": 0.4},
            pitch=(8.0, 26.0),
            overhang=(0.3, 0.8),
            roofs={
                "metal_red": 5,
                "metal_rusty": 4,
                "tile_orange": 3.5,
                "metal_grey": 1.6,
                "metal_white": 1,
                "metal_colour": 0.7,
            },
            walls={"stucco": 5, "block": 3, "brick_red": 2},
            garages={"none": 5, "back": 2},
            drives={"dirt": 4, "paving": 2},
            yards={"grass": 2.4, "bare": 3.4, "dirt": 3.2, "meadow": 0.8, "vegetable": 0.6},
            shed=0.7,
            fence=0.85,
            pool=0.005,
            patio=0.35,
        ),
        canopy=(0.07, 0.26),
        conifers=(0.0, 0.03),
        vacancy=(0.02, 0.15),
        parked=(0.1, 0.45),
        season="tropical",
        latitudes=TROPICS,
    )


def industrial(suburb: Style) -> Style:
    """Works and warehouses: long metal sheds, yards of gravel and concrete, wide roads, hardly a house."""
    return replace(
        suburb,
        turn=(-30.0, 30.0),
        bend=(0.0, 8.0),
        short=(90.0, 150.0),
        long=(140.0, 260.0),
        regular=(0.3, 1.0),
        arterial=0.6,
        widths=((14.0, 20.0), (9.0, 12.0), (6.0, 8.0)),
        sidewalk=0.15,
        roads=(
            {"asphalt_old": 3, "concrete": 3, "asphalt": 2},
            {"asphalt_old": 4, "asphalt": 3, "concrete": 2},
            {"gravel": 3, "asphalt_old": 2, "concrete": 1},
        ),
        uses={"industry": 14.0, "commerce": 2.0, "vacant": 1.6, "field": 0.4, "woods": 0.3, "dwellings": 0.3},
        main_uses={"industry": 9.0, "commerce": 4.0, "vacant": 1.2},
        houses=replace(suburb.houses, pool=0.0),
        canopy=(0.0, 0.1),
        vacancy=(0.1, 0.3),
        parked=(0.2, 0.7),
    )


def farmland(village: Style) -> Style:
    """Irrigated lowland: parcels of many crops along tracks of earth, orchards, reservoirs, few farmhouses, a river."""
    return replace(
        village,
        bend=(0.0, 30.0),
        short=(70.0, 130.0),
        long=(150.0, 320.0),
        arterial=0.15,
        lane=0.95,
        roads=(
            {"asphalt": 3, "asphalt_old": 3},
            {"asphalt_old": 3, "gravel": 3, "dirt": 2},
            {"gravel": 2, "dirt": 5, "concrete": 1},
        ),
        uses={"crops": 14.0, "orchard": 2.0, "pond": 0.4, "vacant": 0.8, "acreage": 0.5, "industry": 0.1},
        main_uses={"crops": 9.0, "orchard": 1.0, "acreage": 1.0, "dwellings": 0.5, "industry": 0.4, "vacant": 0.5},
        canopy=(0.02, 0.12),
        conifers=(0.0, 0.1),
        rise=(0.0008, 0.004),
        basins=True,
        river=0.3,
    )
