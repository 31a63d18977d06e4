from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import predictions
import pytest
import rasterio

from mage_stac import catalogue
from mage_stac.classes import DAMAGE_CLASSES, WATER_CLASSES, Classes, colour_table
from mage_stac.products import qgis
from mage_stac.validate import validate


def parsed(path: Path) -> ET.Element:
    return ET.parse(path).getroot()  # noqa: S314 - our own file


def palette(path: Path) -> list[dict[str, str]]:
    return [dict(entry.attrib) for entry in parsed(path).findall(".//colorPalette/paletteEntry")]


@pytest.mark.parametrize("classes", [DAMAGE_CLASSES, WATER_CLASSES])
def test_every_class_has_its_colour_and_name(tmp_path: Path, classes: Classes) -> None:
    qgis.write(tmp_path / "x.qml", classes)
    entries = palette(tmp_path / "x.qml")
    assert {int(entry["value"]): entry["color"] for entry in entries} == {
        value: f"#{red:02x}{green:02x}{blue:02x}" for value, (red, green, blue) in colour_table(classes).items()
    }
    assert [entry["value"] for entry in entries if entry["alpha"] == "0"] == ["0", "255"]
    assert entries[1]["label"] == classes[1].name.replace("-", " ")


def test_a_prediction_brings_the_style_of_its_map(tmp_path: Path, schemas: Path) -> None:
    item = predictions.write(tmp_path / "out", [(10, 10, 3)])
    path = Path(catalogue.asset_path(item, "style"))
    assert (path.name, item.assets["style"].roles) == ("damage.qml", ["style"])
    root = parsed(path)
    assert root.tag == "qgis"
    renderer = root.find("pipe/rasterrenderer")
    assert renderer is not None
    assert (renderer.get("type"), renderer.get("band")) == ("paletted", "1")
    with rasterio.open(catalogue.asset_path(item, "damage")) as source:
        colours = source.colormap(1)
    for entry in palette(path):
        assert entry["color"] == "#{:02x}{:02x}{:02x}".format(*colours[int(entry["value"])][:3])
    assert not validate(tmp_path / "out", schemas).problems
