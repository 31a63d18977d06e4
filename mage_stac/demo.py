"""Demo: the whole loop, search to score, on rendered towns or on a real catalogue, ending with one picture."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pystac
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from mage_stac import catalogue, cube, grid, pairs, picture, recipe, score, search, synthesis
from mage_stac.classes import NOT_OBSERVED
from mage_stac.errors import CatalogueError
from mage_stac.progress import Step
from mage_stac.query import Query

Progress = Callable[[str], Step]
"""Given the name of a step, returns the function that is told of its progress."""

TRAINING = (("village", 11), ("old_town", 12), ("industrial", 13))
"""Styles and seeds of the training set, which they share equally."""
STAND_IN = ("suburb", 2029)
"""Of the place that stands in for a real one: a style the model never sees, a seed whose swath ends in the image."""
SENSORS = ("aerial-rgb", "worldview-3")
"""Of the two sides."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """How large a loop; the defaults take about a quarter of an hour of one core, see README."""

    pairs: int = 24
    size_px: int = 320
    """Pixels a side of a training scene."""
    stand_in_px: int = 512
    """Pixels a side of the place that stands in for a real one."""
    gsd: float = 0.6
    """Metres."""
    recipe: str = "demo"
    """A name or file for recipe.read."""
    workers: int = 2
    """Blender processes at a time."""
    blender: str | None = None
    """See blender.find."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What the demo made."""

    picture: Path
    """PNG: pre, post, truth (where there is one), prediction."""
    prediction: Path
    """Folder of the prediction Item."""
    real_is_rendered: bool
    """True: nothing here was photographed."""
    scores: score.Scores | None
    """Against the rendered place's truth; None for real imagery, which has no labels."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Wall seconds by step."""


def run(out: Path, *, plan: Plan, real: Path | None = None, progress: Progress) -> Outcome:
    """Render a training set, train, predict, score and draw; what is complete from an earlier run is kept.

    Args:
        out: folder; gets `synthetic`, `models`, `predictions` and, without `real`, `real`, each a catalogue.
        plan: sizes and tools.
        real: a catalogue with images before and after an event; those dated in the first half of its time are before.
        progress: gives each step its progress function.

    Raises:
        MageStacError: as the steps do.
    """
    seconds: dict[str, float] = {}
    with _timed(seconds, "render"):
        for style, seed in TRAINING:
            synthesis.render_pairs(_training(plan, style, seed), out / "synthetic", progress(f"render {style}"))
    if real is None:
        with _timed(seconds, "stand-in"):
            synthesis.render_pairs(_stand_in(plan), out / "real", progress("stand-in"))
    with _timed(seconds, "search"):
        pre, post = _dates(real or out / "real")
    with _timed(seconds, "train"):
        model = _train(plan, out, real or out / "real", progress)
    with _timed(seconds, "predict"):
        prediction = _predict(model, pre, post, out / "predictions", progress)
    scores = None
    truth = _truth(out / "real") if real is None else None
    if truth is not None:
        scores = score.score(prediction, Path(catalogue.asset_path(truth, "damage")))
    drawn = _draw(out / "demo.png", catalogue.read_item(prediction), pre, post, truth)
    return Outcome(picture=drawn, prediction=prediction, real_is_rendered=real is None, scores=scores, seconds=seconds)


@contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    start = time.monotonic()
    yield
    seconds[step] = round(time.monotonic() - start, 1)


def _training(plan: Plan, style: str, seed: int) -> synthesis.RenderSpec:
    return synthesis.RenderSpec(
        hazard="wind",
        seed=seed,
        style=style,
        sensor=SENSORS[0],
        size_px=plan.size_px,
        gsd=plan.gsd,
        pairs=-(-plan.pairs // len(TRAINING)),
        workers=plan.workers,
        blender=plan.blender,
    )


def _stand_in(plan: Plan) -> synthesis.RenderSpec:
    style, seed = STAND_IN
    return synthesis.RenderSpec(
        hazard="wind",
        seed=seed,
        style=style,
        sensor=SENSORS[1],
        size_px=plan.stand_in_px,
        gsd=plan.gsd,
        pairs=1,
        undamaged_share=0.0,
        workers=plan.workers,
        blender=plan.blender,
    )


def _dates(real: Path) -> tuple[tuple[pystac.Item, ...], tuple[pystac.Item, ...]]:
    """The images of before and after, found by the same search that a user makes."""
    found = [item for item in search.search(Query(api=str(real))).items if pairs.IMAGE in item.assets]
    pre, post = pairs.by_phase(found)
    if not (pre and post):
        raise CatalogueError(
            f"{real}: no images of two dates, so there is no before and after; found {len(found)} images"
        )
    return pre, post


def _train(plan: Plan, out: Path, real: Path, progress: Progress) -> Path:
    """Labels come from the renders alone; the place to be mapped lends its look."""
    from mage_stac import train  # torch takes seconds to import

    step = progress("train")
    return train.train(recipe.read(plan.recipe), out / "synthetic", out / "models", real=real, progress=step)


def _predict(
    model: Path, pre: Sequence[pystac.Item], post: Sequence[pystac.Item], out: Path, progress: Progress
) -> Path:
    from mage_stac import predict

    return predict.predict(model, pre, post, out, progress=progress("predict"))


def _truth(real: Path) -> pystac.Item | None:
    labels = [item for item in catalogue.read_items(real) if "damage" in item.assets]
    if not labels:
        raise CatalogueError(f"{real}: the rendered place has no label Item; delete the folder and run again")
    return labels[0]


def _draw(
    path: Path,
    prediction: pystac.Item,
    pre: Sequence[pystac.Item],
    post: Sequence[pystac.Item],
    truth: pystac.Item | None,
) -> Path:
    """Draw pre, post, truth and prediction, on the prediction's grid."""
    geobox = grid.of_asset(prediction, "damage")
    titles = ["before", "after"]
    images = [_photograph(pre, geobox), _photograph(post, geobox)]
    for title, item in (("truth", truth), ("prediction", prediction)):
        if item is not None:
            titles.append(title)
            images.append(picture.classes(_grades(item, geobox)))
    picture.panel(path, titles, images)
    return path


def _photograph(items: Sequence[pystac.Item], geobox: GeoBox) -> NDArray[np.uint8]:
    """(y, x, 3) of the `visual` assets."""
    values, _ = cube.read(items, geobox, asset="visual")
    return np.round(values[:3].transpose(1, 2, 0) * 255).astype("uint8")


def _grades(item: pystac.Item, geobox: GeoBox) -> NDArray[np.uint8]:
    values, valid = cube.read([item], geobox, asset="damage")
    return np.where(valid, values[0], NOT_OBSERVED).astype("uint8")
