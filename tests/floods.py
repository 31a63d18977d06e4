"""Floods in small: rendered pairs with labels of water, and real scenes, as water_training and water read them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pystac
import synthetic
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from mage_stac import catalogue, publish, sensors
from mage_stac.classes import WATER_CLASSES, colour_table

SENSOR = "sentinel-2-l1c-6"
LAND, WATER = (1100, 1000, 1200, 2800, 2500, 1600), (900, 800, 700, 300, 100, 80)
"""Reflectance times 10,000 in the sensor's six bands."""
QUICK = """
name = "quick"
task = "water"
[data]
bands = ["blue", "green", "red", "nir", "swir16", "swir22"]
gsd = 10.0
size = 32
margin = 8
[network]
encoder = "tu-regnety_002"
decoder = [32, 24, 16, 16, 16]
[augment]
shift = 0.0
haze = 0.0
mixing = 0.0
saturation = [1.0, 1.0]
jpeg = 0.0
[optimiser]
steps = 30
batch = 4
learning_rate = 4e-3
average = 0.8
"""


def box_of(number: int, size: int = 64) -> GeoBox:
    return GeoBox((size, size), Affine(10, 0, 500_000 + 10_000 * number, 0, -10, 4_100_000), "EPSG:32630")


def picture(wet: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int16]:
    mean = np.where(wet, np.array(WATER)[:, None, None], np.array(LAND)[:, None, None])
    return (mean * rng.uniform(0.85, 1.15, mean.shape)).astype(np.int16)


def image(root: Path, name: str, picture: NDArray[np.int16], box: GeoBox, **properties: str) -> pystac.Item:
    with catalogue.staged(root, synthetic.COLLECTION, name) as folder:
        publish.write_cog(folder / "image.tif", picture, box, nodata=0)
        item = publish.imagery_item(
            id=name, geobox=box, datetime="2019-09-18T11:00:00Z", sensor=sensors.read(SENSOR), folder=folder,
            properties=properties,
        )  # fmt: skip
        item.collection_id = synthetic.COLLECTION
        catalogue.write_item(folder, item)
    return catalogue.read_item(root / synthetic.COLLECTION / name)


def label(root: Path, pair: str, code: NDArray[np.uint8], box: GeoBox, sources: list[pystac.Item]) -> None:
    synthetic.write_label(root, pair, np.ones_like(code), box, sources)
    folder = root / synthetic.COLLECTION / f"{pair}-label"
    item = catalogue.read_item(folder)
    publish.write_cog(folder / "water.tif", code, box, nodata=255, colours=colour_table(WATER_CLASSES))
    asset = publish.class_asset(str(folder / "water.tif"), title="Water", classes=WATER_CLASSES, geobox=box)
    item.add_asset("water", asset)
    catalogue.write_item(folder, item)


def code(number: int) -> NDArray[np.uint8]:
    """A canal, and a flood over a third of the scene."""
    code = np.zeros((64, 64), np.uint8)
    code[10 + number : 32 + number, 8:] = 1
    code[:, 40:44] = 2
    return code


def write(root: Path) -> Path:
    """A catalogue of three pairs with a canal and a flood."""
    for number in range(3):
        rng, box, pair = np.random.default_rng(number), box_of(number), f"flood-0-{number}"
        mask = code(number)
        both = [
            image(
                root, f"{pair}-{phase}", picture(wet, rng), box,
                **{"synthetic:pair": pair, "synthetic:phase": phase},
            )
            for phase, wet in (("pre", mask == 2), ("post", mask > 0))
        ]  # fmt: skip
        label(root, pair, mask, box, both)
    synthetic.index(root)

    return root
