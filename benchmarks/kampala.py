"""Kampala: what training on half of its real labels reaches on the other half, to hold a model of renders against.

    python benchmarks/kampala.py halves ../shared/data/kampala out/kampala
    mage-stac train benchmarks/recipes/kampala/west.toml --synthetic out/kampala/west --out out/kampala
    mage-stac predict --model out/kampala/models/kampala-west-* --pre out/kampala/real \
        --id west --out out/kampala/predictions
    mage-stac score --prediction out/kampala/predictions/predictions/west --reference out/kampala/east.tif
    python benchmarks/kampala.py picture ../shared/data/kampala out/kampala docs/kampala.jpg

`halves` writes each half's labels as they are, to score against (west.tif, east.tif), and each half's image with its
labels as real pairs, to train the yardstick on. `picture` draws image, truth, ours, and for each half the map of the
yardstick that learnt from the other, from predictions of these names.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from PIL import Image
from rasterio.enums import Resampling
from rasterio.warp import reproject
from rasterio.windows import Window

from mage_stac import catalogue, graded, grid, overlap, pairs, picture
from mage_stac.classes import NOT_OBSERVED

GSD = 0.3
BANDS = ("red", "green", "blue")
NAME = "kampala_rgb_z21"
LABELS = "kampala_buildings_z21.tif"
WIDTH = 520
"""Pixels of each panel of the picture."""


def halves(data: Path, out: Path) -> None:
    """Write both halves' references and real pairs."""
    items = catalogue.read_items(out / "real")
    whole = overlap.grid_of_both(items, items, pairs.IMAGE, GSD)
    middle = whole.shape[1] // 2
    for name, columns in (("west", slice(0, middle)), ("east", slice(middle, whole.shape[1]))):
        part = grid.crop(whole, slice(0, whole.shape[0]), columns)
        _cut(data / LABELS, out / f"{name}.tif", part)
        truth = _on_grid(data / LABELS, part)
        graded.write_pair(out / name, f"kampala-{name}", part, (items, items), BANDS, truth)
        graded.index(out / name, f"kampala_buildings.geojson, the {name}ern half")


def _cut(labels: Path, out: Path, part: GeoBox) -> None:
    """The labels' own pixels that lie on a grid."""
    with rasterio.open(labels) as source:
        left, _, right, _ = part.boundingbox.bbox
        first, last = (round((x - source.bounds.left) / source.res[0]) for x in (left, right))
        window = Window(first, 0, min(last, source.width) - first, source.height)
        profile = source.profile | {"width": window.width, "transform": source.window_transform(window)}
        with rasterio.open(out, "w", **profile) as target:
            target.write(source.read(window=window))


def _on_grid(labels: Path, part: GeoBox) -> NDArray[np.uint8]:
    """The commonest class of each pixel."""
    truth = np.full(part.shape, NOT_OBSERVED, np.uint8)
    with rasterio.open(labels) as source:
        reproject(
            rasterio.band(source, 1), truth, dst_transform=part.affine, dst_crs=str(part.crs),
            resampling=Resampling.mode, init_dest_nodata=False,
        )  # fmt: skip
    return truth


def draw(data: Path, out: Path, target: Path, *, ours: str, west: str, east: str) -> None:
    """Draw the picture, a JPEG."""
    maps = {}
    for name in (ours, west, east):
        with rasterio.open(out / "predictions" / "predictions" / name / "damage.tif") as source:
            maps[name] = source.read(1)
    rows, columns = maps[ours].shape
    middle = columns // 2
    other = np.concatenate([maps[east][:, :middle], maps[west][:, middle:]], axis=1)
    with rasterio.open(data / f"{NAME}.tif") as source:
        image = np.moveaxis(source.read(out_shape=(3, rows, columns), resampling=Resampling.average), 0, -1)
    with rasterio.open(data / LABELS) as source:
        truth = source.read(1, out_shape=(rows, columns), resampling=Resampling.mode)
    titles = ("The photograph", "Labels", "Learnt from renders", "Learnt from the labels of the other half")
    shown = [image, *(picture.overlay(image, classes) for classes in (truth, maps[ours], other))]
    png = target.with_suffix(".png")
    picture.panel(png, titles, shown, columns=2, side=WIDTH, legend=False)
    Image.open(png).convert("RGB").save(target, quality=75, optimize=True)
    png.unlink()


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("halves", "picture"):
        one = verbs.add_parser(verb)
        one.add_argument("data", type=Path)
        one.add_argument("out", type=Path)
    one.add_argument("target", type=Path)
    for name in ("ours", "west", "east"):
        one.add_argument(f"--{name}", default=name)
    given = parser.parse_args()
    if given.verb == "halves":
        halves(given.data, given.out)
    else:
        draw(given.data, given.out, given.target, ours=given.ours, west=given.west, east=given.east)


if __name__ == "__main__":
    main()
