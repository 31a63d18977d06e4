"""The pictures of docs/gallery.md: every place and style, undamaged, straight down and at 25 degrees, in three sensors.

Usage: python benchmarks/gallery.py SHARED OUT [NAME...]. Renders into OUT what is not there yet, checks it, and writes
OUT/places.jpg and OUT/styles.jpg. About twenty seconds of a processor an image.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import rasterio
from PIL import Image, ImageDraw

BIN = Path(sys.executable).parent / "mage-stac"
STYLES = ("suburb", "old_town", "village", "hillside", "informal", "industrial")
VIEWS = (("nadir", ("--off-nadir", "0")), ("25", ("--off-nadir", "25", "--off-nadir-from", "25")))
SENSORS = (("aerial-rgb", "0.5"), ("worldview-3", "0.4"), ("naip", "0.6"))
TILE = 256
LINE = 16
"""Height of a caption, px."""


def places(shared: Path) -> dict[str, tuple[str, ...]]:
    """Options of `render` by name."""
    twins, osm = shared / "data" / "twins", shared / "data" / "osm"
    norcia = twins / "norcia" / "EMSR190_10NORCIA_GRADING_OVERVIEW-MONIT02_v1_vector.zip"
    alexandria = (twins / "alexandria" / name for name in ("buildings.geojson", "dtm.tif", "dsm.tif"))
    return {
        "Norcia": ("--place", str(norcia)),
        "Delft": ("--place", str(twins / "delft" / "delft.json")),
        "Zurich": ("--place", str(twins / "zurich" / "zurich_subset_lod2.json")),
        "Alexandria": tuple(word for file in alexandria for word in ("--place", str(file))),
        "Liechtenstein": ("--place", str(osm / "liechtenstein-latest.osm.pbf")),
        **{style: ("--procedural", style) for style in STYLES},
    }


def render(out: Path, name: str, view: str, sensor: tuple[str, str], options: tuple[str, ...]) -> Path:
    """One undamaged pair; returns the pre image."""
    folder = out / name / f"{view}-{sensor[0]}"
    common = ("--hazard", "none", "--size", str(TILE), "--seed", "3", "--sensor", sensor[0], "--gsd", sensor[1])
    subprocess.run([BIN, "render", *options, *common, "--out", folder], check=True)
    subprocess.run([BIN, "check", folder], check=True)
    return folder / "none-pairs" / "none-3-00000-pre" / "visual.tif"


def sheet(path: Path, rows: dict[str, list[Path]]) -> None:
    """A row of images for each name, captions above."""
    columns = max(len(images) for images in rows.values())
    page = Image.new("RGB", (columns * TILE, len(rows) * (TILE + LINE)), "white")
    draw = ImageDraw.Draw(page)
    for number, (name, images) in enumerate(rows.items()):
        draw.text((4, number * (TILE + LINE) + 2), name, fill="black")
        for column, image in enumerate(images):
            with rasterio.open(image) as source:
                tile = Image.fromarray(np.moveaxis(source.read([1, 2, 3]), 0, -1))
            page.paste(tile, (column * TILE, number * (TILE + LINE) + LINE))
    page.save(path, quality=82)


def main(shared: Path, out: Path, wanted: list[str]) -> None:
    rows: dict[str, list[Path]] = {}
    for name, options in places(shared).items():
        if wanted and name not in wanted:
            continue
        rows[name] = [render(out, name, view, sensor, (*options, *lean)) for view, lean in VIEWS for sensor in SENSORS]
    for title, chosen in (("places", set(rows) - set(STYLES)), ("styles", set(rows) & set(STYLES))):
        if chosen:
            sheet(out / f"{title}.jpg", {name: images for name, images in rows.items() if name in chosen})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
