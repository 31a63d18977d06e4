"""The pictures of docs/gallery.md: every place and style, undamaged.

    python benchmarks/gallery.py SHARED OUT [--all] [--like ITEM] [--hybrid CATALOGUE] [NAME...]

Renders into OUT what is not there yet, writes the commands that do the same to OUT/commands.txt, checks every Item, and
writes OUT/gallery-places.jpg and OUT/gallery-styles.jpg: straight down from an aircraft, with --all also at 25 degrees
and by two more sensors, which share the passes. With --like, the Items of Joplin before the tornado, Joplin in their
pixels too: OUT/gallery-likes.jpg. With --hybrid, OUT/gallery-joplin.jpg: photographs beside the renders of pairs made
by `render --like`. About 6 seconds of a processor a picture.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
from pathlib import Path

import numpy as np
import rasterio
from PIL import Image, ImageDraw
from rasterio.windows import from_bounds

from mage_stac import blender, catalogue, kept, likeness, rendering, synthesis
from mage_stac.render_spec import RenderSpec
from mage_stac.validate import validate

STYLES = ("suburb", "old_town", "village", "hillside", "informal", "industrial", "farmland", "compounds")
LIKED = "Joplin"
"""The place that is made like a real image, if one is given."""
VIEWS = {"nadir": (0.0, None), "25": (25.0, 25.0)}
"""The most and the least lean, degrees."""
SENSORS = ("worldview-3", "naip", "aerial-rgb")
"""Those with near infrared first: their passes serve the others."""
GSD = 0.3
TILE = 256
"""Pixels a side."""
SEED, SEEDS = 4, {"Zurich": 8, "village": 8}
"""Weather whose sun is neither low nor veiled, and windows of scattered places in which houses stand."""
LINE = 14
"""Height of a caption, px."""
ACROSS = 3
"""Pictures side by side."""
MOST = 700_000
"""Bytes of a sheet."""


def options(shared: Path) -> dict[str, tuple[tuple[str, ...] | None, str]]:
    """A real place's files, or None and a style, by name."""
    twins, osm = shared / "data" / "twins", shared / "data" / "osm"
    files = {
        "Norcia": (twins / "norcia" / "EMSR190_10NORCIA_GRADING_OVERVIEW-MONIT02_v1_vector.zip",),
        "Delft": (twins / "delft" / "delft.json",),
        "Zurich": (twins / "zurich" / "zurich_subset_lod2.json",),
        "Alexandria": tuple(twins / "alexandria" / name for name in ("buildings.geojson", "dtm.tif", "dsm.tif")),
        "Liechtenstein": (osm / "liechtenstein-latest.osm.pbf",),
    }
    files[LIKED] = (shared / "data" / "joplin" / "joplin_damage_pseudolabel.geojson",)
    places = {name: (tuple(str(file) for file in chosen), STYLES[0]) for name, chosen in files.items()}
    return {**places, **{style: (None, style) for style in STYLES}}


def command(spec: RenderSpec, folder: Path) -> str:
    """What makes the same Items in the same place."""
    where = [word for file in spec.place or () for word in ("--place", file)] or ["--procedural", spec.style]
    where += [] if spec.like is None else ["--like", spec.like]
    least = [] if spec.off_nadir_from is None else ["--off-nadir-from", f"{spec.off_nadir_from:g}"]
    words = ["--hazard", spec.hazard, "--seed", str(spec.seed), "--sensor", spec.sensor, "--gsd", f"{spec.gsd:g}"]
    words += ["--size", str(spec.size_px), "--off-nadir", f"{spec.off_nadir:g}", *least]
    return f"mage-stac render {shlex.join([*where, *words, '--out', str(folder)])}"


def render(session: kept.Session, folder: Path, spec: RenderSpec) -> None:
    """The catalogue of one undamaged pair, if it is not there: by the one Blender that serves all."""
    collection = folder / synthesis.collection_id(spec)
    if not catalogue.has(folder, collection.name, f"{spec.pair_id(0)}-label"):
        rendering.render_pair(spec, 0, collection, session)
        synthesis.index(folder)


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
    parser.add_argument("--like", type=Path)
    parser.add_argument("--hybrid", type=Path)
    given = parser.parse_intermixed_args()
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "commands.txt").unlink(missing_ok=True)
    columns = [(view, sensor) for view in VIEWS for sensor in SENSORS] if given.all else [("nadir", "aerial-rgb")]
    pages: dict[str, list[tuple[str, Image.Image]]] = {}
    checked, problems = 0, 0
    passes = given.out / "passes"
    with kept.Session(blender.find(), keep=passes) as session:
        for name, (place, style) in options(given.shared).items():
            like = None if name != LIKED or given.like is None else str(given.like)
            wanted = (not given.names or name in given.names) and (name != LIKED or like is not None)
            for view, sensor in columns if wanted else ():
                most, least = VIEWS[view]
                gsd = GSD if like is None else likeness.opened(like).gsd
                spec = RenderSpec(
                    hazard="none", seed=SEEDS.get(name, SEED), sensor=sensor, gsd=gsd, size_px=TILE,
                    off_nadir=most, off_nadir_from=least,
                    place=place, style=style, like=like,
                )  # fmt: skip
                folder = given.out / name / f"{view}-{sensor}"
                with (given.out / "commands.txt").open("a") as commands:
                    commands.write(f"{command(spec, folder)}\n")
                render(session, folder, spec)
                found = validate(folder, given.shared / "schemas")
                checked, problems = checked + found.checked, problems + len(found.problems)
                print(name, view, sensor, *found.problems, flush=True)
                one = picture(next(folder.glob("none-pairs/*-pre/visual.tif")))
                caption = f"{name}, {view}, {sensor}" if given.all else name.replace("_", " ")
                page = "styles" if name in STYLES else "places" if like is None else "likes"
                pages.setdefault(page, []).append((caption, one))
            shutil.rmtree(passes, ignore_errors=True)
    for title, pictures in pages.items():
        sheet(given.out / f"gallery-{title}.jpg", pictures, across=len(columns) if given.all else ACROSS)
    print(f"{checked} STAC objects checked, {problems} problems")
    if given.hybrid is not None:
        real = given.shared / "data" / "joplin" / "joplin_pre_60cm.tif"
        hybrids(given.out / "gallery-joplin.jpg", given.hybrid, real)


if __name__ == "__main__":
    main()
