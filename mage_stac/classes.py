"""The classes that rasters and vectors carry (promise 1 of the design): value, name, meaning, colour."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Class:
    """One class of a raster."""

    value: int
    name: str
    description: str
    colour: str
    """RRGGBB."""
    nodata: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The class as `classification:classes` (2.0.0) wants it."""
        return {
            "value": self.value,
            "name": self.name,
            "description": self.description,
            "color_hint": self.colour,
            **({"nodata": True} if self.nodata else {}),
        }


Classes = tuple[Class, ...]

NOT_OBSERVED = 255

UNSEEN = Class(value=NOT_OBSERVED, name="not-observed", description="Not observed", colour="FFFFFF", nodata=True)
_UNSEEN = replace(UNSEEN, description="Not observed on either date")

DAMAGE_CLASSES: Classes = (
    Class(value=0, name="no-building", description="No building", colour="404040"),
    Class(value=1, name="no-damage", description="Undisturbed building", colour="2CA25F"),
    Class(
        value=2, name="minor-damage", description="Partly burnt, missing roof elements, water around", colour="FFE066"
    ),
    Class(value=3, name="major-damage", description="Partial collapse of wall or roof", colour="FD8D3C"),
    Class(value=4, name="destroyed", description="Collapsed, burnt down or washed away", colour="D7191C"),
    _UNSEEN,
)
"""Joint Damage Scale in the numbering of xBD (Gupta et al. 2019, https://arxiv.org/abs/1911.09296)."""

GRADES = (1, 2, 3, 4)
"""Of a building; what lies between is 0."""

PARTLY_LOST = (0.2, 0.6)
"""Share of a roof lost from which a building has major damage, and from which it is destroyed, whatever walls stand:
the scale calls a *partial* collapse of the roof major. Where partial begins and ends is our reading."""

WATER_CLASSES: Classes = (
    Class(value=0, name="dry", description="No water that shows", colour="404040"),
    Class(value=1, name="flood-water", description="Water where there was none before", colour="2B8CBE"),
    Class(value=2, name="permanent-water", description="Water before and after", colour="08306B"),
    _UNSEEN,
)

SURFACE_WATER: Classes = (
    Class(value=0, name="dry", description="No water", colour="404040"),
    Class(value=1, name="water", description="Water, of the flood or permanent", colour="2B8CBE"),
    UNSEEN,
)
"""What one image can tell."""


def colour_table(classes: Classes) -> dict[int, tuple[int, int, int]]:
    """Value -> red, green, blue (0..255) of every class."""
    return {entry.value: rgb(entry.colour) for entry in classes}


def rgb(colour: str) -> tuple[int, int, int]:
    """RRGGBB -> red, green, blue (0..255)."""
    red, green, blue = bytes.fromhex(colour)
    return red, green, blue
