"""Traditions: how people build in a part of the world, for whatever a source does not tell about a building."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from mage_stac.scene.chance import Range
from mage_stac.scene.styles import STYLES, Style

Weights = Mapping[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Region:
    """A part of the world; bounds are west, south, east, north in degrees."""

    bounds: tuple[float, float, float, float]
    dense: str
    """Style (a key of STYLES) where buildings cover much of the ground."""
    loose: str
    roofs: Weights | None = None
    """Materials of pitched roofs of dwellings; None takes the style's."""
    walls: Weights | None = None
    roads: float = 1.0
    """Widths of streets, times what LINES says."""
    flat_dwellings: float = 0.1
    """Share of flat roofs on blocks of flats."""
    storeys: Weights | None = None
    """Of blocks of flats."""


REGIONS: dict[str, Region] = {
    "north_america": Region(
        bounds=(-170, 24, -50, 72),
        dense="suburb",
        loose="suburb",
        roads=1.3,
        flat_dwellings=0.6,
        storeys={"2": 4, "3": 3},
    ),
    "nordic": Region(
        bounds=(4, 54.5, 32, 72),
        dense="old_town",
        loose="village",
        roofs={"metal_grey": 4, "metal_rusty": 2, "metal_colour": 2, "tile_orange": 2, "tile_brown": 1, "bitumen": 2},
        walls={"stucco": 4, "siding_colour": 2, "siding_tan": 2, "brick_red": 2, "siding_white": 1},
        storeys={"4": 2, "5": 4, "6": 3},
    ),
    "north_sea": Region(
        bounds=(-11, 49.5, 7.3, 61),
        dense="old_town",
        loose="village",
        roofs={"tile_orange": 5, "tile_brown": 4, "slate": 3, "bitumen": 1, "tile_concrete": 3, "thatch": 0.1},
        walls={"brick_red": 6, "brick_tan": 2, "stucco": 2, "siding_white": 1},
        flat_dwellings=0.5,
    ),
    "central_europe": Region(
        bounds=(5, 46, 32, 55),
        dense="old_town",
        loose="village",
        roofs={
            "tile_brown": 6,
            "tile_orange": 4,
            "slate": 1.5,
            "metal_grey": 1,
            "metal_rusty": 0.5,
            "tile_concrete": 1,
            "shake": 0.2,
        },
        walls={"stucco": 7, "siding_white": 2, "siding_tan": 1, "stone": 1},
        flat_dwellings=0.35,
    ),
    "mediterranean": Region(
        bounds=(-10, 30, 37, 46.2),
        dense="old_town",
        loose="village",
        roofs={"tile_orange": 8, "tile_brown": 3, "membrane_grey": 0.5},
        walls={"stucco": 6, "stone": 4, "brick_tan": 1},
        flat_dwellings=0.25,
    ),
    "elsewhere": Region(
        bounds=(-180, -90, 180, 90),
        dense="old_town",
        loose="village",
        roofs={"metal_grey": 4, "metal_rusty": 4, "metal_colour": 2, "tile_orange": 2, "tile_brown": 1},
        walls={"block": 4, "stucco": 4, "brick_red": 2},
        flat_dwellings=0.8,
    ),
}
"""The first that holds a place counts."""

DENSE = 0.22
"""Share of built-up ground under roofs from which on a place counts as dense."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Make:
    """How buildings of one kind are made where the source does not say."""

    storey: float
    """Height of a storey, m."""
    storeys: Weights
    forms: Weights
    pitch: Range
    roofs: Weights
    walls: Weights


@dataclass(frozen=True, kw_only=True, slots=True)
class Tradition:
    region: Region
    style: str
    """A key of STYLES."""

    @property
    def table(self) -> Style:
        """The style's own tables."""
        return STYLES[self.style]

    def make(self, kind: str) -> Make:
        """How a building of this kind is made here."""
        houses = self.table.houses
        roofs, walls = self.region.roofs or houses.roofs, self.region.walls or houses.walls
        if kind == "house":
            return Make(
                storey=2.9, storeys=houses.storeys, forms=houses.forms, pitch=houses.pitch, roofs=roofs, walls=walls
            )
        if kind == "apartment":
            flat = self.region.flat_dwellings
            forms = {"flat": flat, "gabled": 0.6 * (1 - flat), "hipped": 0.4 * (1 - flat)}
            storeys = self.region.storeys or {"3": 5, "4": 4, "2": 1}
            return Make(storey=3.0, storeys=storeys, forms=forms, pitch=houses.pitch, roofs=roofs, walls=walls)
        plain = OTHERS[kind]
        if kind == "church":
            return replace(plain, roofs=roofs, walls=walls)
        if kind in {"garage", "shed"}:
            own = {name: 0.2 * weight for name, weight in roofs.items()}
            return replace(plain, roofs={**own, **plain.roofs}, walls=walls)
        return plain


FLAT: Weights = {
    "membrane_white": 3, "membrane_grey": 4, "gravel_roof": 3, "bitumen": 3, "roof_concrete": 1.5, "green_roof": 0.3,
}  # fmt: skip
"""Covers of flat roofs, whatever stands below."""

OTHERS: dict[str, Make] = {
    "commercial": Make(
        storey=3.8,
        storeys={"1": 4, "2": 3, "3": 1},
        forms={"flat": 8, "hipped": 1, "gabled": 1},
        pitch=(10.0, 25.0),
        roofs={"metal_grey": 3, "tile_brown": 2, "metal_colour": 1},
        walls={"block": 3, "panel_metal": 3, "brick_tan": 2, "stucco": 3},
    ),
    "industrial": Make(
        storey=6.0,
        storeys={"1": 8, "2": 1},
        forms={"flat": 4, "gabled": 5},
        pitch=(5.0, 14.0),
        roofs={"metal_grey": 5, "metal_white": 3, "metal_rusty": 1.5, "metal_colour": 1},
        walls={"panel_metal": 6, "block": 3},
    ),
    "school": Make(
        storey=3.6,
        storeys={"1": 2, "2": 4, "3": 3},
        forms={"flat": 6, "hipped": 3, "gabled": 2},
        pitch=(15.0, 30.0),
        roofs={"tile_brown": 3, "tile_orange": 2, "metal_grey": 2},
        walls={"stucco": 4, "brick_red": 3, "block": 2},
    ),
    "church": Make(
        storey=9.0, storeys={"1": 1}, forms={"gabled": 8, "hipped": 1}, pitch=(35.0, 52.0), roofs={}, walls={}
    ),
    "garage": Make(
        storey=2.5,
        storeys={"1": 1},
        forms={"flat": 4, "gabled": 4, "shed": 1},
        pitch=(10.0, 25.0),
        roofs={"metal_grey": 1, "metal_rusty": 0.5},
        walls={},
    ),
    "shed": Make(
        storey=2.2,
        storeys={"1": 1},
        forms={"gabled": 4, "shed": 3, "flat": 2},
        pitch=(8.0, 25.0),
        roofs={"metal_grey": 3, "metal_rusty": 2, "shingle_dark": 1},
        walls={},
    ),
    "mobile_home": Make(
        storey=2.6,
        storeys={"1": 1},
        forms={"gabled": 1},
        pitch=(8.0, 15.0),
        roofs={"metal_white": 4, "metal_grey": 2, "shingle_light": 2},
        walls={"siding_white": 3, "siding_tan": 2},
    ),
}
"""Kinds of building that are made much alike everywhere."""


def of(lon: float, lat: float, density: float, style: str | None = None) -> Tradition:
    """The tradition of a place; `density` is the share of its built-up ground under roofs, `style` overrules it."""
    region = next(
        region
        for region in REGIONS.values()
        if region.bounds[0] <= lon <= region.bounds[2] and region.bounds[1] <= lat <= region.bounds[3]
    )
    return Tradition(region=region, style=style or (region.dense if density > DENSE else region.loose))


def guess(area: float, density: float) -> Weights:
    """Kinds that a building of `area` m2 may be when its source does not say, with their weights."""
    if area < 16:
        return {"shed": 1.0}
    if area < 42:
        return {"garage": 5.0, "shed": 3.0, "house": 3.0 if density > DENSE else 0.5}
    if area < (450 if density > DENSE else 320):
        return {"house": 1.0}
    if area < 1100:
        return {"apartment": 5.0, "commercial": 2.0, "industrial": 1.0 if density < DENSE else 0.2, "school": 0.3}
    return {"commercial": 3.0, "industrial": 4.0, "apartment": 3.0 if density > DENSE else 0.3, "school": 0.5}
