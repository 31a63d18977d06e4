"""QGIS styles (.qml) of class rasters: each class with its colour, name and, where not observed, no colour at all."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pystac

from mage_stac.classes import DAMAGE_CLASSES, Classes
from mage_stac.cog import writing

HEADER = b"<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
VERSION = "3.22"
"""QGIS whose form of file this is; later ones read it."""


def style(classes: Classes) -> ET.Element:
    """The style of the first band of a raster of classes; nodata classes and class 0 ("nothing there") see-through."""
    root = ET.Element("qgis", version=VERSION, styleCategories="Symbology")
    pipe = ET.SubElement(root, "pipe")
    renderer = ET.SubElement(
        pipe, "rasterrenderer", type="paletted", band="1", opacity="1", alphaBand="-1", nodataColor=""
    )
    palette = ET.SubElement(renderer, "colorPalette")
    for entry in classes:
        seen = not entry.nodata and entry.value != 0
        ET.SubElement(
            palette, "paletteEntry", value=str(entry.value), label=entry.name.replace("-", " "),
            color=f"#{entry.colour.lower()}", alpha="255" if seen else "0",
        )  # fmt: skip
    ET.SubElement(root, "blendMode").text = "0"
    return root


def write(path: Path, classes: Classes = DAMAGE_CLASSES) -> None:
    """Write a .qml; QGIS takes it by itself for a raster of the same name beside it.

    Raises:
        CatalogueError: the disk refuses.
    """
    root = style(classes)
    ET.indent(root)
    with writing(path):
        path.write_bytes(HEADER + ET.tostring(root, encoding="utf-8") + b"\n")


def asset(href: str) -> pystac.Asset:
    """The asset of such a file."""
    return pystac.Asset(href, title="Style for QGIS", media_type="application/xml", roles=["style"])
