from __future__ import annotations

import numpy as np
import pytest

from mage_stac.scene import columns, infrared, lots, materials, roofnet, traditions
from mage_stac.scene.scene import SEMANTIC

ONE_OF_EACH = {
    "Thatch": "thatch", "Green Vegetative": "green_roof", "Stone Slates": "slate", "Clay Tiles": "tile_orange",
    "Asphalt Tiles": "shingle_dark", "Concrete Tiles": "tile_concrete", "Wood Tiles": "shake",
    "Metal Sheet Materials": "metal_rusty", "Polycarbonate Sheet Materials": "polycarbonate",
    "Amorphous Asphalt": "bitumen", "Amorphous Concrete": "roof_concrete", "Amorphous Membrane": "membrane_white",
    "Amorphous Fabric": "fabric",
}  # fmt: skip
"""Classes as RoofNet's authors list them in their repository, and one of our materials of each."""


def test_every_class_that_can_be_shown_has_a_material() -> None:
    assert {roofnet.class_of(name) for name in materials.ROOFS} == set(roofnet.CLASSES) - set(roofnet.NOT_SHOWN)
    assert {*ONE_OF_EACH, *roofnet.NOT_SHOWN} == set(roofnet.CLASSES)
    assert len(roofnet.CLASSES) == 14
    assert {name: roofnet.class_of(material) for name, material in ONE_OF_EACH.items()} == {n: n for n in ONE_OF_EACH}
    assert roofnet.class_of("gold") == roofnet.UNKNOWN


@pytest.mark.parametrize("name", ["osm", "overture"])
def test_what_maps_call_a_roof_comes_out_in_its_class(name: str) -> None:
    (table,) = (
        next(iter(layer.words["roof_material"].values()))
        for layer in columns.shipped()[name].layers
        if "roof_material" in layer.words
    )
    wanted = {
        "roof_tiles": "Clay Tiles", "slate": "Stone Slates", "metal": "Metal Sheet Materials", "thatch": "Thatch",
        "concrete": "Amorphous Concrete", "tar_paper": "Amorphous Asphalt", "wood": "Wood Tiles",
        "grass": "Green Vegetative", "plastic": "Polycarbonate Sheet Materials",
    }  # fmt: skip
    assert {value: roofnet.class_of(table[value]) for value in wanted} == wanted


def test_made_up_roofs_are_of_known_classes() -> None:
    tables = [traditions.FLAT, lots.FLAT_ROOFS, *(one.roofs for one in traditions.OTHERS.values())]
    tables += [region.roofs or {} for region in traditions.REGIONS.values()]
    drawn = {roofnet.class_of(name) for table in tables for name in table}
    assert drawn <= set(roofnet.CLASSES)
    assert {"Green Vegetative", "Amorphous Concrete", "Concrete Tiles", "Wood Tiles", "Thatch"} <= drawn


def test_a_green_roof_is_green_and_bright_in_the_infrared() -> None:
    kinds = np.full(1, SEMANTIC["building"], np.uint8)
    near = {name: infrared.of(np.array([materials.ROOFS[name].variants[0]], np.float32), kinds)[0, 0]
            for name in ("green_roof", "shingle_green", "metal_colour")}  # fmt: skip
    assert near["green_roof"] > 2 * near["shingle_green"]
    red, green, blue = materials.ROOFS["green_roof"].variants[0]
    assert green > red > blue
