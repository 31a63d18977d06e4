"""Joplin: its map beside the reference and hybrid pairs beside the photographs, drawn; the reference in halves; and
buildings that one of us graded.

    data=../shared/data/joplin
    python benchmarks/joplin.py $data --map out/joplin/predictions/predictions/damage-* --picture docs/joplin.jpg
    python benchmarks/joplin.py $data --hybrid out/joplin/hybrid --picture docs/hybrid.jpg
    python benchmarks/joplin.py $data --halves out/joplin/halves
    python benchmarks/joplin.py $data --graded out/joplin/predictions/predictions/damage-*

Halves are what a model that learns from real labels is held against: outlines by their middles (west.gpkg, east.gpkg),
and the raster's pixels (west.tif, east.tif), cut where half of the outlines lie on either side.

    mage-stac train joplin --steps 300 --start out/joplin/models/joplin-* --synthetic out/joplin/hybrid \
        --real out/joplin/real --real-labels out/joplin/halves/west.gpkg --out out/joplin/west   # map; score on east

Graded buildings are those of joplin_grades.csv: rows of the reference's file (from 0) with the state that both
photographs show, or `none` for outlines that hold no building as a whole (slivers, yards) or lie outside the rasters.
90 of 20 m2 or more were drawn at random, 30 of each state of the reference, then 67 within the rasters (30 standing,
30 destroyed, the 7 majors that were left), shuffled, and graded with neither map nor the reference's grades in sight.
A roof under a tarpaulin stands; one that lacks a good part is major; where walls or less are left, destroyed.

The photographs are the data's own 0.6 m rasters of both dates.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import rasterio
from numpy.typing import NDArray
from PIL import Image
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from mage_stac import picture

PAIRS = ("wind-5-00009", "wind-5-00006", "wind-5-00045")
"""Of the hybrids that README's command renders: a storm's edge, its middle, and large roofs."""
SIDES = {"map": 620, "hybrid": 264}
"""Pixels of a panel."""
GRADES = Path(__file__).with_name("joplin_grades.csv")
STATES = ("standing", "major", "destroyed")
SMALLEST = 20.0
"""Square metres of the outlines that buildings to grade were drawn from."""


def on_grid(path: Path, like: Path, resampling: Resampling, bands: int = 1) -> NDArray[Any]:
    """A raster's bands (bands, y, x) on the grid of another."""
    with (
        rasterio.open(like) as grid,
        rasterio.open(path) as source,
        WarpedVRT(
            source, crs=grid.crs, transform=grid.transform, height=grid.height, width=grid.width, resampling=resampling
        ) as view,
    ):
        return np.asarray(view.read(list(range(1, bands + 1))))


def photograph(path: Path, like: Path) -> NDArray[np.uint8]:
    """Its colours (y, x, 3) on the grid of another raster."""
    return np.moveaxis(on_grid(path, like, Resampling.bilinear, 3), 0, -1)


def mapped(data: Path, folder: Path) -> tuple[list[str], list[NDArray[np.uint8]]]:
    """Both dates, the reference, and the map of a prediction's folder."""
    reference = data / "joplin_damage_pseudolabel_60cm.tif"
    before, after = (photograph(data / f"joplin_{date}_60cm.tif", reference) for date in ("pre", "post"))
    grades = [on_grid(path, reference, Resampling.nearest)[0] for path in (reference, folder / "damage.tif")]
    titles = ["before", "after", "another model, trained on real labels", "ours, never saw a real label"]
    return titles, [before, after, *(picture.overlay(after, one) for one in grades)]


def paired(data: Path, root: Path) -> tuple[list[str], list[NDArray[np.uint8]]]:
    """Of each of PAIRS the photograph before, its render, the render after, its truth, and the photograph after."""
    titles, shown = [], []
    for name in PAIRS:
        pre, post, label = (root / "wind-pairs" / f"{name}-{part}" for part in ("pre", "post", "label"))
        grid = label / "damage.tif"
        rendered = photograph(post / "visual.tif", grid)
        titles += ["photograph before", "render before", "render after", "its truth", "photograph after"]
        shown += [
            photograph(data / "joplin_pre_60cm.tif", grid),
            photograph(pre / "visual.tif", grid),
            rendered,
            picture.overlay(rendered, on_grid(grid, grid, Resampling.nearest)[0]),
            photograph(data / "joplin_post_60cm.tif", grid),
        ]
    return titles, shown


def halves(data: Path, out: Path) -> None:
    """Write outlines and raster of the western and of the eastern half."""
    out.mkdir(parents=True, exist_ok=True)
    with rasterio.open(data / "joplin_damage_pseudolabel_60cm.tif") as source:
        frame = geopandas.read_file(data / "joplin_damage_pseudolabel.geojson").to_crs(source.crs)
        east = frame.geometry.centroid.x
        middle = round((float(east.median()) - source.bounds.left) / source.res[0])
        limit = source.bounds.left + middle * source.res[0]
        for name, own, first, last in (
            ("west", east < limit, 0, middle),
            ("east", east >= limit, middle, source.width),
        ):
            frame[own].to_file(out / f"{name}.gpkg")
            window = Window(first, 0, last - first, source.height)
            size = {"width": window.width, "transform": source.window_transform(window)}
            profile = {**source.profile, **size, "tiled": False}
            for key in ("blockxsize", "blockysize"):
                profile.pop(key, None)
            with rasterio.open(out / f"{name}.tif", "w", **profile) as target:
                target.write(source.read(window=window))


def graded(data: Path, maps: list[Path]) -> None:
    """Print F1 by state over the buildings that we graded, of each map and of the reference's own grades.

    Once with equal weights, and once with each building standing for as many outlines of SMALLEST or more as the
    reference has of its state for each that was graded, as states were drawn evenly. Spreads are those of 1000
    resamples of the buildings.
    """
    frame = geopandas.read_file(data / "joplin_damage_pseudolabel.geojson").to_crs(32615)
    states = pd.cut(frame["dmg"].clip(1, 4), [0, 2, 3, 4], labels=list(STATES)).astype(str)
    table = pd.read_csv(GRADES)
    table = table[table["state"] != "none"]
    own = states.iloc[table["outline"]].to_numpy()
    shares = states[frame.area >= SMALLEST].value_counts() / pd.Series(own).value_counts()
    called = {"the reference": own}
    for folder in maps:
        buildings = geopandas.read_parquet(folder / "buildings.parquet").dropna(subset="footprint_id")
        grades = buildings.set_index(buildings["footprint_id"].astype(int))["grade"].reindex(table["outline"])
        called[str(folder)] = grades.map({1: "standing", 2: "standing", 3: "major", 4: "destroyed"}).to_numpy()
    truth = table["state"].to_numpy()
    print(f"{len(truth)} buildings:", *(f"{(truth == state).sum()} {state}" for state in STATES))
    resamples = np.random.default_rng(0).integers(len(truth), size=(1000, len(truth)))
    for name, values in called.items():
        print(name)
        for title, weights in (("", np.ones(len(truth))), ("weighted", shares[own].to_numpy())):
            scores = by_state(truth, values, weights)
            again = [by_state(truth[drawn], values[drawn], weights[drawn]).mean() for drawn in resamples]
            print(
                f"  {title:8} macro-F1 {scores.mean():.3f} +- {np.std(again):.3f},", *(f"{one:.2f}" for one in scores)
            )


def by_state(truth: NDArray[Any], called: NDArray[Any], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """F1 of each of STATES over weighted buildings."""
    found = [(truth == state, called == state) for state in STATES]
    return np.array([2 * weights[is_ & said].sum() / (weights[is_].sum() + weights[said].sum()) for is_, said in found])


def main() -> None:
    """Draw what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--picture", type=Path)
    either = parser.add_mutually_exclusive_group(required=True)
    either.add_argument("--map", type=Path, help="folder of a damage map")
    either.add_argument("--hybrid", type=Path, help="catalogue of hybrid pairs")
    either.add_argument("--halves", type=Path, help="folder to write them to")
    either.add_argument(
        "--graded", type=Path, nargs="+", help="folders of damage maps made with the reference's outlines"
    )
    given = parser.parse_args()
    if given.graded:
        graded(given.data, given.graded)
        return
    if given.halves:
        halves(given.data, given.halves)
        return
    if given.picture is None:
        parser.error("--picture: where to?")
    kind = "map" if given.map else "hybrid"
    titles, images = mapped(given.data, given.map) if given.map else paired(given.data, given.hybrid)
    png = given.picture.with_suffix(".png")
    picture.panel(png, titles, images, columns=2 if given.map else 5, side=SIDES[kind])
    Image.open(png).convert("RGB").save(given.picture, quality=70, optimize=True)
    png.unlink()


if __name__ == "__main__":
    main()
