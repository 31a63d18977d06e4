"""The pictures of docs/gallery.md: every place and style, undamaged.

    python benchmarks/gallery.py SHARED OUT [--all] [--hybrid CATALOGUE] [NAME...]

Renders into OUT what is not there yet, writes the commands to OUT/commands.txt, checks every Item, and writes
OUT/gallery-places.jpg and OUT/gallery-styles.jpg: straight down from an aircraft, with --all also at 25 degrees and by
two more sensors. With --hybrid, OUT/gallery-joplin.jpg: photographs beside the renders of pairs made by
`render --like`. About 17 seconds of a processor an image.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

import numpy as np
import rasterio
from mage_stac.cli import app
from PIL import Image, ImageDraw
from rasterio.windows import from_bounds

from mage_stac.validate import validate

STYLES = ("suburb", "old_town", "village", "hillside", "informal", "industrial", "farmland", "compounds")
VIEWS = {"nadir": ("--off-nadir", "0"), "25": ("--off-nadir", "25", "--off-nadir-from", "25")}
SENSORS = {"aerial-rgb": "0.5", "worldview-3": "0.5", "naip": "0.6"}
"""With the ground sampling distance, metres."""
TILE = 256
LINE = 14
"""Height of a caption, px."""
ACROSS = 3
"""Pictures side by side."""
MOST = 350_000
"""Bytes of a sheet."""


def options(shared: Path) -> dict[str, tuple[str, ...]]:
    """Options of `render` by name."""
    twins, osm = shared / "data" / "twins", shared / "data" / "osm"
    files = {
        "Norcia": (twins / "norcia" / "EMSR190_10NORCIA_GRADING_OVERVIEW-MONIT02_v1_vector.zip",),
        "Delft": (twins / "delft" / "delft.json",),
        "Zurich": (twins / "zurich" / "zurich_subset_lod2.json",),
        "Alexandria": tuple(twins / "alexandria" / name for name in ("buildings.geojson", "dtm.tif", "dsm.tif")),
        "Liechtenstein": (osm / "liechtenstein-latest.osm.pbf",),
    }
    places = {name: tuple(word for file in chosen for word in ("--place", str(file))) for name, chosen in files.items()}
    return {**places, **{style: ("--procedural", style) for style in STYLES}}


def render(out: Path, name: str, chosen: tuple[str, ...], view: str, sensor: str) -> Path:
    """The catalogue of one undamaged pair, rendered if it is not there, in this process: imports take longer."""
    folder = out / name / f"{view}-{sensor}"
    look = ("--sensor", sensor, "--gsd", SENSORS[sensor], "--size", str(TILE))
    words = ["render", *chosen, "--hazard", "none", "--seed", "3", *look, *VIEWS[view], "--out", str(folder)]
    with (out / "commands.txt").open("a") as commands:
        commands.write(f"mage-stac {shlex.join(words)}\n")
    if not folder.exists():
        sys.argv = ["mage-stac", *words]
        try:
            app.main()
        except SystemExit as end:
            if end.code:
                raise
    return folder


def picture(path: Path, window: tuple[float, float, float, float] | None = None) -> Image.Image:
    """A visual.tif, or what a larger one shows within bounds."""
    with rasterio.open(path) as source:
        part = None if window is None else from_bounds(*window, source.transform)
        shape = (3, TILE, TILE)
        found = source.read([1, 2, 3], window=part, out_shape=shape, resampling=rasterio.enums.Resampling.bilinear)
    return Image.fromarray(np.moveaxis(found, 0, -1))


def sheet(path: Path, pictures: list[tuple[str, Image.Image]], across: int = ACROSS) -> None:
    """Pictures under their captions, as a JPEG of at most MOST bytes."""
    rows = -(-len(pictures) // across)
    page = Image.new("RGB", (across * TILE, rows * (TILE + LINE)), "white")
    draw = ImageDraw.Draw(page)
    for number, (caption, one) in enumerate(pictures):
        x, y = number % across * TILE, number // across * (TILE + LINE)
        draw.text((x + 3, y + 1), caption, fill="black")
        page.paste(one, (x, y + LINE))
    for quality in range(88, 30, -4):
        page.save(path, quality=quality, optimize=True)
        if path.stat().st_size <= MOST:
            return


def hybrids(path: Path, catalogue: Path, real: Path) -> None:
    """Photographs above, the renders of the same ground below."""
    pairs = []
    for image in sorted(catalogue.glob("*-pairs/*-pre/visual.tif")):
        with rasterio.open(image) as source:
            bounds = tuple(source.bounds)
        with rasterio.open(real) as source:
            all_of_it = source.bounds
        if bounds[0] >= all_of_it[0] and bounds[1] >= all_of_it[1] and bounds[2] <= all_of_it[2]:
            pairs.append((picture(real, bounds), picture(image)))
    chosen = pairs[:: max(len(pairs) // ACROSS, 1)][:ACROSS]
    sheet(path, [("photograph", one) for one, _ in chosen] + [("rendered", two) for _, two in chosen])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--hybrid", type=Path)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "commands.txt").unlink(missing_ok=True)
    columns = [(view, sensor) for view in VIEWS for sensor in SENSORS] if given.all else [("nadir", "aerial-rgb")]
    pages: dict[str, list[tuple[str, Image.Image]]] = {}
    checked, problems = 0, 0
    for name, chosen in options(given.shared).items():
        for view, sensor in columns if not given.names or name in given.names else ():
            folder = render(given.out, name, chosen, view, sensor)
            found = validate(folder, given.shared / "schemas")
            checked, problems = checked + found.checked, problems + len(found.problems)
            one = picture(next(folder.glob("none-pairs/*-pre/visual.tif")))
            caption = f"{name}, {view}, {sensor}" if given.all else name.replace("_", " ")
            pages.setdefault("styles" if name in STYLES else "places", []).append((caption, one))
    for title, pictures in pages.items():
        sheet(given.out / f"gallery-{title}.jpg", pictures, across=len(columns) if given.all else ACROSS)
    print(f"{checked} STAC objects checked, {problems} problems")
    if given.hybrid is not None:
        real = given.shared / "data" / "joplin" / "joplin_pre_60cm.tif"
        hybrids(given.out / "gallery-joplin.jpg", given.hybrid, real)


if __name__ == "__main__":
    main()
