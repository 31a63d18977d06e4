"""RoofNet's classes of roof material, and which of ours are of which.

RoofNet (Law & Miura 2025, arXiv:2505.19358) labels 49,662 roofs of 101 countries; the names are its own.
"""

from __future__ import annotations

CLASSES = (
    "Thatch",
    "Green Vegetative",
    "Stone Slates",
    "Clay Tiles",
    "Asphalt Tiles",
    "Concrete Tiles",
    "Wood Tiles",
    "Metal Sheet Materials",
    "Polycarbonate Sheet Materials",
    "Glass Sheet Materials",
    "Amorphous Asphalt",
    "Amorphous Concrete",
    "Amorphous Membrane",
    "Amorphous Fabric",
)
NOT_SHOWN = ("Glass Sheet Materials",)
"""The renderer's materials are matt: a glass roof would neither mirror the sky nor show the plants under it."""
UNKNOWN = "Unknown"
"""Of what none of our names says, as in RoofNet."""

_PARTS = {
    "thatch": "Thatch",
    "green_roof": "Green Vegetative",
    "slate": "Stone Slates",
    "tile_concrete": "Concrete Tiles",
    "tile": "Clay Tiles",
    "shingle": "Asphalt Tiles",
    "shake": "Wood Tiles",
    "metal": "Metal Sheet Materials",
    "polycarbonate": "Polycarbonate Sheet Materials",
    "bitumen": "Amorphous Asphalt",
    "gravel_roof": "Amorphous Asphalt",  # tar and gravel: stones on layers of bitumen
    "roof_concrete": "Amorphous Concrete",
    "membrane": "Amorphous Membrane",
    "fabric": "Amorphous Fabric",
}


def class_of(material: str) -> str:
    """RoofNet's class of a material of materials.ROOFS, told by how its name begins."""
    return next((name for part, name in _PARTS.items() if material.startswith(part)), UNKNOWN)
