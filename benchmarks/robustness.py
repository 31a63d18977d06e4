"""Robustness: damage F1 against pre/post shift, GSD, haze and off-nadir angle, from renders whose truth is known.

    python benchmarks/robustness.py --model out/models/models/M --synthetic out/synthetic --plot docs/robustness.png
    mage-stac render ... --off-nadir 40 --out out/tilted      # then also: --tilted out/tilted

Shift, GSD and haze are put on renders that are there, one at a time, through the light: values are turned into
reflectance and back by the sensor's tone curve. Only places are used that the model did not learn from, if its training
record names some of the pairs as held out. Maps are graded and painted as `predict` does it, in one window. F1 is of
damaged (grades 2-4) pixels and of the three states, pooled over the pairs; beside it what "no damage anywhere" would
score.

*Shift*: of post against pre, in random directions; what the render itself was shifted by is taken out first. *Moved
back*: the same, after `predict` has measured the shift and, where it believes it, taken it out. *GSD*: both dates
averaged over that many pixels and interpolated back, as `predict` reads coarse images. *Haze*: share of the post
image's light that is the air's. *Off-nadir*: the post view's angle, in bins of 10 degrees, of another catalogue; its
shift is taken out too.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from scipy import ndimage

from mage_stac import catalogue, confusion, models, mosaic, pairs, predict, prediction, registration
from mage_stac.jobs import Network
from mage_stac.models import LoadedModel
from mage_stac.raster import opened

SHIFTS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0)
COARSER = (1.0, 1.5, 2.0, 3.0, 4.0)
HAZES = (0.0, 0.2, 0.35, 0.5, 0.65)
BIN = 10.0
AIR = 0.8
"""Reflectance of the air's own light."""
GAMMA = 2.2
"""Tone curve of pictures."""

Image = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A rendered pair."""

    pre: Image
    """(C, rows, columns) 0..1"""
    post: Image
    truth: NDArray[np.uint8]
    grid: GeoBox
    gsd: float
    shift: tuple[float, float]
    """Rows and columns by which the post image was rendered aside."""
    angle: float
    """Off nadir, degrees, of the post image."""


def read(pair: pairs.Pair) -> Scene:
    def image(layer: pairs.Layer) -> Image:
        with opened(layer.path, pair.id) as source:
            return source.read(layer.bands).astype(np.float32) * layer.scale + layer.offset

    with opened(pair.label, pair.id) as source:
        truth = source.read(1)
    told: dict[str, Any] = pair.items[1].properties
    return Scene(
        pre=image(pair.pre), post=image(pair.post), truth=truth, grid=pair.geobox, gsd=pair.pre.gsd,
        shift=tuple(told.get("synthetic:shift", (0.0, 0.0))), angle=float(told.get("view:off_nadir") or 0.0),
    )  # fmt: skip


def chosen(model: LoadedModel, item: Path, root: Path, number: int) -> list[pairs.Pair]:
    """Evenly spread over those held out, if the model's record names any; else over all."""
    every = pairs.read([root], bands=model.bands, gsd=model.gsd)
    record = (item if item.is_dir() else item.parent) / "training.json"
    told = json.loads(record.read_text("utf-8")) if record.is_file() else {}
    kept = set(told.get("items", {}).get("validation", ()))
    held = [pair for pair in every if pair.items[2].id in kept]
    print(f"{len(held)} of {len(every)} pairs are held out" + ("" if held else ": all are used"))
    pool = held or list(every)
    return [pool[int(i * len(pool) / min(number, len(pool)))] for i in range(min(number, len(pool)))]


def moved(scene: Scene, pixels: float, turn: float) -> tuple[Image, Image]:
    by = (0.0, pixels * math.sin(turn) - scene.shift[0], pixels * math.cos(turn) - scene.shift[1])
    return scene.pre, ndimage.shift(scene.post, by, order=1, mode="nearest")


def moved_back(scene: Scene, pixels: float, turn: float) -> tuple[Image, Image]:
    pre, post = moved(scene, pixels, turn)
    grey, seen = (pre.mean(axis=0), post.mean(axis=0)), np.ones(scene.truth.shape, bool)
    shift = registration.measure((grey[0][at], grey[1][at], seen[at]) for at in registration.patches(scene.grid))
    if not (shift.confident and shift.size >= predict.ALIGN_FROM):
        return pre, post
    return pre, ndimage.shift(post, (0.0, -shift.rows, -shift.columns), order=1, mode="nearest")


def coarser(scene: Scene, factor: float, _turn: float) -> tuple[Image, Image]:
    def one(image: Image) -> Image:
        if factor == 1:
            return image
        seen = ndimage.gaussian_filter(image, (0, *[0.42 * math.sqrt(factor**2 - 1)] * 2))  # an aperture that wide
        small = ndimage.zoom(seen, (1, 1 / factor, 1 / factor), order=1, grid_mode=True, mode="nearest")
        scale = [1.0, *(a / b for a, b in zip(image.shape[1:], small.shape[1:], strict=True))]
        return ndimage.zoom(small, scale, order=1, grid_mode=True, mode="nearest")

    return one(scene.pre), one(scene.post)


def hazy(scene: Scene, share: float, _turn: float) -> tuple[Image, Image]:
    light = np.clip(scene.post, 0, 1) ** GAMMA * (1 - share) + AIR * share
    return scene.pre, (light ** (1 / GAMMA)).astype(np.float32)


def unmoved(scene: Scene, _value: float, turn: float) -> tuple[Image, Image]:
    return moved(scene, 0.0, turn)


@dataclass(frozen=True, kw_only=True)
class Mapper:
    """Maps pairs as `predict` does."""

    network: Network
    bands: tuple[str, ...]
    """Names of the probabilities: they tell how buildings are graded."""

    def matrix(self, both: tuple[Image, Image], scene: Scene) -> NDArray[np.int64]:
        """(5, 5) pixels by truth and map."""
        seen = np.ones(scene.truth.shape, bool)
        said = self.network(np.stack(both)[None].astype(np.float32), np.stack([seen, seen])[None])[0]
        with tempfile.TemporaryDirectory() as folder:
            strip = mosaic.Strip(row=0, probabilities=said, valid=seen)
            prediction.write_maps(Path(folder), scene.grid, [mosaic.finished(strip)], self.bands)
            with opened(Path(folder) / "damage.tif") as source:
                return confusion.count(scene.truth, source.read(1))


Change = Callable[[Scene, float, float], tuple[Image, Image]]


def curve(mapper: Mapper, scenes: Sequence[Scene], change: Change, values: Iterable[float]) -> list[dict[str, Any]]:
    rows = []
    for value in values:
        turns = np.random.default_rng(0).uniform(0, 2 * math.pi, len(scenes))
        total = sum(
            mapper.matrix(change(scene, value, float(turn)), scene) for scene, turn in zip(scenes, turns, strict=True)
        )
        rows.append(figures(value, total, len(scenes)))
    return rows


def tilted(mapper: Mapper, scenes: Sequence[Scene]) -> list[dict[str, Any]]:
    bins: dict[float, list[Scene]] = {}
    for scene in scenes:
        bins.setdefault((scene.angle // BIN + 0.5) * BIN, []).append(scene)
    return [row for middle, some in sorted(bins.items()) for row in curve(mapper, some, unmoved, [middle])]


def figures(value: float, total: Any, number: int) -> dict[str, Any]:
    every = confusion.figures(np.asarray(total))
    return {
        "value": value,
        "pairs": number,
        "damage_f1": every.summary.damage_f1,
        "three_state": every.summary.three_state_macro_f1,
        "localisation_f1": every.summary.localisation_f1,
        "no_damage_three_state": every.no_damage_anywhere.three_state_macro_f1,
    }


def draw(path: Path, found: dict[str, list[dict[str, Any]]]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.6 * len(found), 2.6), layout="constrained")
    FigureCanvasAgg(figure)
    lines = {
        "damage_f1": ("damage (2-4)", "tab:red", "-"), "three_state": ("three states", "tab:blue", "-"),
        "localisation_f1": ("buildings", "tab:grey", "-"),
        "no_damage_three_state": ("no damage anywhere", "black", ":"),
    }  # fmt: skip
    for axes, (name, rows) in zip(
        np.atleast_1d(figure.subplots(1, len(found), sharey=True)), found.items(), strict=True
    ):
        for key, (label, colour, style) in lines.items():
            axes.plot(
                [row["value"] for row in rows], [row[key] for row in rows], style, color=colour, label=label, marker="."
            )
        axes.set(xlabel=name, ylim=(0, 1))
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("F1")
    figure.axes[0].legend(fontsize="x-small")
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--synthetic", type=Path, required=True)
    parser.add_argument("--tilted", type=Path, help="catalogue rendered with --off-nadir")
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    item = catalogue.read_item(options.model)
    model = models.load(item)
    mapper = Mapper(network=predict.network_of(model), bands=prediction.bands(item))
    scenes = [read(pair) for pair in chosen(model, options.model, options.synthetic, options.pairs)]
    gsd = scenes[0].gsd
    found = {
        "shift of post, px": curve(mapper, scenes, moved, SHIFTS),
        "the same, moved back, px": curve(mapper, scenes, moved_back, SHIFTS),
        "GSD, m": [row | {"value": round(row["value"] * gsd, 2)} for row in curve(mapper, scenes, coarser, COARSER)],
        "haze, share of the light": curve(mapper, scenes, hazy, HAZES),
    }
    if options.tilted:
        leaning = [read(pair) for pair in chosen(model, options.model, options.tilted, 10**6)]
        found["off nadir, degrees"] = tilted(mapper, leaning)
    for name, rows in found.items():
        print(f"\n{name:28s} pairs  damage F1  three states  buildings  (no damage anywhere: three states)")
        for row in rows:
            told = [row[key] for key in ("damage_f1", "three_state", "localisation_f1", "no_damage_three_state")]
            print(
                f"{row['value']:28g} {row['pairs']:5d}",
                *(f"{value:11.3f}" if value is not None else "-" for value in told),
            )
    if options.json:
        options.json.write_text(json.dumps(found, indent=1), "utf-8")
    if options.plot:
        draw(options.plot, found)


if __name__ == "__main__":
    main()
