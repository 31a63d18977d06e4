"""A tiny catalogue of labelled pairs, as `mage-stac render` writes them but without Blender: square houses on noise;
damage takes their roof away."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pystac
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from mage_stac import catalogue, publish, sensors
from mage_stac.sensors import Sensor

GSD = 0.6
COLLECTION = "blocks-pairs"
HOUSE = 16
"""Edge of a house, px."""


def geobox(size: int, number: int = 0) -> GeoBox:
    return GeoBox((size, size), Affine(GSD, 0, 500_000 + 10_000 * number, 0, -GSD, 4_100_000), "EPSG:32615")


def draw(rng: np.random.Generator, size: int, damaged: float) -> tuple[NDArray, NDArray, NDArray]:
    """Pre and post (3, size, size) uint8, damage (size, size) uint8."""
    ground = rng.normal(90, 12, (3, size, size))
    pre, post = ground + 10, ground * 0.8 + rng.normal(0, 6, ground.shape)
    label = np.zeros((size, size), np.uint8)
    step = 2 * HOUSE
    for row in range(HOUSE // 2, size - HOUSE, step):
        for column in range(HOUSE // 2, size - HOUSE, step):
            here = np.s_[row : row + HOUSE, column : column + HOUSE]
            grade = int(rng.integers(2, 5)) if rng.random() < damaged else 1
            roof = np.array([200, 120, 90]) + rng.normal(0, 10, 3)
            label[here] = grade
            pre[(slice(None), *here)] = roof[:, None, None] + rng.normal(0, 4, (3, HOUSE, HOUSE))
            rubble = rng.normal(110, 60, (3, HOUSE, HOUSE))
            after = roof[:, None, None] * 0.8 + rng.normal(0, 4, (3, HOUSE, HOUSE))
            lost = np.arange(HOUSE) < HOUSE * (grade - 1) / 3
            post[(slice(None), *here)] = np.where(lost, rubble, after)
    return pre.clip(1, 255).astype(np.uint8), post.clip(1, 255).astype(np.uint8), label


def write(
    root: Path,
    *,
    scenes: int = 3,
    size: int = 128,
    seed: int = 0,
    damaged: float = 0.6,
    first: int = 0,
    places: str = "",
) -> Path:
    """Write a catalogue of `scenes` pairs of (size, size) px; the same arguments, the same bytes.

    Scene k lies 10 km east of scene k - 1, in a place of its own: `places` and its number, else the pair itself.
    """
    for number in range(first, first + scenes):
        rng = np.random.default_rng([seed, number])
        pre, post, label = draw(rng, size, damaged)
        place = f"{places}-{number}" if places else ""
        write_pair(root, f"blocks-{seed}-{number:05d}", geobox(size, number), pre, post, label, place)
    index(root)
    return root


def index(root: Path) -> None:
    template = {"title": "Blocks", "description": "Squares on noise, for tests.", "license": "CC0-1.0"}
    catalogue.index(root, id="blocks", title="Blocks", collections={COLLECTION: template})


def write_pair(
    root: Path, pair: str, grid: GeoBox, pre: NDArray, post: NDArray, label: NDArray, place: str = ""
) -> tuple[pystac.Item, pystac.Item, pystac.Item]:
    """Write the three Items of a pair without indexing the catalogue."""
    items = [
        write_image(root, pair, phase, image, grid, f"2011-05-{day}T17:00:00Z", place=place)
        for phase, image, day in (("pre", pre, "01"), ("post", post, "24"))
    ]
    return items[0], items[1], write_label(root, pair, label, grid, items)


def _properties(pair: str, phase: str, place: str = "") -> dict[str, object]:
    return {"synthetic:pair": pair, "synthetic:phase": phase, **({"synthetic:place": place} if place else {})}


def write_image(
    root: Path,
    pair: str,
    phase: str,
    image: NDArray,
    grid: GeoBox,
    date: str,
    sensor: Sensor | None = None,
    *,
    place: str = "",
) -> pystac.Item:
    name = f"{pair}-{phase}"
    with catalogue.staged(root, COLLECTION, name) as folder:
        publish.write_cog(folder / "image.tif", image, grid)
        item = publish.imagery_item(
            id=name, geobox=grid, datetime=date, sensor=sensor or sensors.read("aerial-rgb"), folder=folder,
            properties=_properties(pair, phase, place),
        )  # fmt: skip
        item.collection_id = COLLECTION
        catalogue.write_item(folder, item)
    return catalogue.read_item(root / COLLECTION / name)


def radar() -> Sensor:
    """A radar whose files hold decibels themselves."""
    return replace(sensors.read("sar-x"), dtype="float32", scale=1.0, offset=0.0, nodata=None)


def decibels(image: NDArray) -> NDArray:
    """(1, H, W) float32: the green band of an image as a radar's, -25 to 5 dB."""
    return (image[1:2].astype(np.float32) / 255 * 30 - 25).astype(np.float32)


def write_seen_by_radar(root: Path, *, scenes: int = 4, size: int = 96) -> Path:
    """Like `write`, but what is after is seen by a radar."""
    for number in range(scenes):
        pre, post, label = draw(np.random.default_rng([0, number]), size, 0.6)
        pair, grid = f"radar-{number:05d}", geobox(size, number)
        items = [
            write_image(root, pair, "pre", pre, grid, "2011-05-01T17:00:00Z"),
            write_image(root, pair, "post", decibels(post), grid, "2011-05-24T17:00:00Z", radar()),
        ]
        write_label(root, pair, label, grid, items)
    index(root)
    return root


def write_label(root: Path, pair: str, label: NDArray, grid: GeoBox, sources: list[pystac.Item]) -> pystac.Item:
    name = f"{pair}-label"
    with catalogue.staged(root, COLLECTION, name) as folder:
        colours = publish.colour_table(publish.DAMAGE_CLASSES)
        publish.write_cog(folder / "damage.tif", label, grid, nodata=255, colours=colours)
        post = sources[1]
        item = pystac.Item(
            id=name, geometry=post.geometry, bbox=post.bbox, datetime=post.datetime,
            properties={
                **_properties(pair, "label"), **publish.grid_fields(grid), "label:type": "raster",
                "label:tasks": ["segmentation"], "label:description": "Damage", "label:properties": None,
                "label:classes": [{"name": None, "classes": ["1", "2", "3", "4"]}],
            },
        )  # fmt: skip
        item.add_asset("damage", publish.class_asset(
            str(folder / "damage.tif"), title="Damage", classes=publish.DAMAGE_CLASSES, geobox=grid,
            roles=("data", "labels"),
        ))  # fmt: skip
        for source in sources:
            catalogue.link_to(item, source, "source", **{"label:assets": ["image"]})
        item.collection_id = COLLECTION
        catalogue.write_item(folder, item)
    return catalogue.read_item(root / COLLECTION / name)


def write_event(root: Path) -> Path:
    """Another place in another light, without labels."""
    pre, post, _ = draw(np.random.default_rng(9), 96, damaged=0.9)
    for phase, image, date in (("pre", pre, "2011-05-01T17:00:00Z"), ("post", post // 2, "2011-05-24T17:00:00Z")):
        write_image(root, "place", phase, image, geobox(96, 7), date)
    index(root)
    return root
