"""Ablation: what each part of the way from renders to a real map is worth, at equal effort, on Joplin.

    python benchmarks/ablation.py run OUT --data ../shared/data/joplin --real out/joplin/real --seeds 0 1 2
    python benchmarks/ablation.py table OUT

Every row is the recipe `joplin` without `event.built` and with one thing changed, trained for STEPS steps (the recipe:
900) on pairs in OUT/sets, which these commands make:

    mage-stac render --like out/joplin/real/pre --place $data/joplin_damage_pseudolabel.geojson --hazard wind \
        --pairs 64 --undamaged 0.1 --seed 5 --size 384 --out OUT/sets/hybrid
    mage-stac render --procedural suburb --hazard wind --pairs 64 --undamaged 0.1 --seed 31 --size 384 --gsd 0.6 \
        --keep OUT/passes --out OUT/sets/suburb
    mage-stac render --procedural suburb ... --sensor benchmarks/clear.toml --out OUT/sets/suburb-clear
    mage-stac translate --synthetic OUT/sets/hybrid --real out/joplin/real --out OUT/sets/hybrid-flow

`run` keeps what is done (OUT/<row>-<seed>.json) and may be given --rows. The reference is another model's output, for
reporting only: no row was chosen by it. Nothing is held out of training, so that a set's size is what its row says.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import geopandas
import torch

from mage_stac import catalogue, predict, recipe, score, train
from mage_stac.adapt import refit
from mage_stac.catalogue import read_items
from mage_stac.graded import Outlines
from mage_stac.products import buildings
from mage_stac.products.footprints import SMALLEST
from mage_stac.recipe import Event, Recipe

STEPS = 120
EACH = 5
"""Buildings of each grade that a person grades, of row `labels`."""
POLYGONS, RASTER = "joplin_damage_pseudolabel.geojson", "joplin_damage_pseudolabel_60cm.tif"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of the table."""

    title: str
    sets: tuple[tuple[str, int], ...] = (("hybrid", 64),)
    """Folders of OUT/sets, and how many of their pairs."""
    changes: dict[str, object] = field(default_factory=dict)
    """Fields of the recipe under their dotted names."""
    event: Event | None = None
    """What the trained network is fitted to the event by; the model is the row `of`."""
    more: bool = False
    """Whether it goes on, for a third of the steps, from the row `of`."""
    graded: bool = False
    """Whether it does so with 20 buildings graded by the reference, which are left out of the score by building."""
    of: str = "base"


PLAIN = {"network.lost": False}
ROWS = {
    "base": Row(title="64 hybrids, recipe `joplin` but for `event.built`"),
    "built": Row(title="mapped as building as much as the twin is built over (recipe)", event=Event(built=True)),
    "suburb": Row(title="64 invented suburbs instead", sets=(("suburb", 64),)),
    "both": Row(title="32 hybrids and 32 suburbs", sets=(("hybrid", 32), ("suburb", 32))),
    "all": Row(title="64 hybrids and 64 suburbs", sets=(("hybrid", 64), ("suburb", 64))),
    "hybrid-16": Row(title="16 hybrids (x4)", sets=(("hybrid", 16),)),
    "hybrid-4": Row(title="4 hybrids (x1)", sets=(("hybrid", 4),)),
    "suburb-16": Row(title="16 invented suburbs (x4)", sets=(("suburb", 16),)),
    "suburb-4": Row(title="4 invented suburbs (x1)", sets=(("suburb", 4),)),
    "source": Row(
        title="source only: 64 invented suburbs, no look of real images", sets=(("suburb", 64),),
        changes={"style.method": "none"},
    ),
    "source-looks": Row(
        title="the same, grades told by looks", sets=(("suburb", 64),), changes={"style.method": "none", **PLAIN}
    ),
    "bare": Row(title="no look of real images", changes={"style.method": "none"}),
    "fourier": Row(title="Fourier transfer (FDA) instead of histograms", changes={"style.method": "fourier"}),
    "teacher": Row(
        title="grades by looks, and a mean teacher with class mixing", changes={**PLAIN, "self_training.weight": 1.0}
    ),
    "consistency": Row(title="FixMatch on buildings as well", changes={"consistency.weight": 1.0}),
    "flow": Row(title="hybrids translated by flow matching", sets=(("hybrid-flow", 64),)),
    "looks": Row(title="grades told by looks (`network.lost = false`)", changes=PLAIN),
    "batch-norm": Row(title="grades by looks, and AdaBN", event=Event(batch_norm=1.0), of="looks"),
    "em": Row(title="grades by looks, and shares of grades by EM", event=Event(prior="em"), of="looks"),
    "bbse": Row(title="grades by looks, and shares of grades by BBSE", event=Event(prior="bbse"), of="looks"),
    "more": Row(title="40 steps more", more=True),
    "labels": Row(title="40 steps more with 20 graded buildings; *given*: the others", more=True, graded=True),
    "scratch": Row(title="no ImageNet weights", changes={"network.weights": "none"}),
    "whole-roofs": Row(title="no parts of roofs given back", changes={"augment.partial": 0.0}),
    "plain": Row(
        title="no augmentation but flips, half a pixel of shift",
        changes={
            "augment.shift": 0.5, "augment.scale": (1.0, 1.0), "augment.gain": (1.0, 1.0), "augment.gamma": (1.0, 1.0),
            "augment.contrast": (1.0, 1.0), "augment.saturation": (1.0, 1.0), "augment.bias": 0.0,
            "augment.cast": 0.0, "augment.mixing": 0.0, "augment.haze": 0.0, "augment.sharpness": (0.0, 0.0),
            "augment.noise": 0.0, "augment.jpeg": 0.0,
        },
    ),
    "no-shift": Row(title="no misregistration", changes={"augment.shift": 0.0}),
    "no-haze": Row(title="no haze", changes={"augment.haze": 0.0}),
    "no-light": Row(
        title="no change of light and colour",
        changes={
            "augment.gain": (1.0, 1.0), "augment.gamma": (1.0, 1.0), "augment.contrast": (1.0, 1.0),
            "augment.saturation": (1.0, 1.0), "augment.bias": 0.0, "augment.cast": 0.0, "augment.mixing": 0.0,
        },
    ),
    "no-sensor": Row(
        title="no blur, noise and JPEG",
        changes={"augment.sharpness": (0.0, 0.0), "augment.noise": 0.0, "augment.jpeg": 0.0},
    ),
    "suburb-clear": Row(title="invented suburbs seen by a perfect sensor", sets=(("suburb-clear", 64),)),
}  # fmt: skip
FIGURES = {
    "damage F1, pixels": ("pixels", "damage_f1"),
    "macro-F1, pixels": ("pixels", "macro_f1"),
    "mean IoU of grades": ("pixels", "iou"),
    "damage F1, given": ("given", "damage_f1"),
    "three states, given": ("given", "three_state_macro_f1"),
}


def changed(plain: Recipe, changes: dict[str, object]) -> Recipe:
    """The recipe with fields under dotted names replaced."""
    for name, value in changes.items():
        table, _, key = name.partition(".")
        plain = replace(plain, **{table: replace(getattr(plain, table), **{key: value})})
    return plain


def told(row: Row, seed: int, name: str, steps: int) -> Recipe:
    """The recipe of a row."""
    fixed = {
        "data.holdout": 0.0, "optimiser.steps": steps, "run.validate_every": steps,
        "run.checkpoint_every": steps, "run.validation_chips": 8, "event.built": False, **row.changes,
    }  # fmt: skip
    return replace(changed(recipe.read("joplin"), fixed), name=f"ablation-{name}", seed=seed)


def part(root: Path, count: int, out: Path) -> Path:
    """A catalogue that links to the first pairs of another."""
    chosen = sorted({str(item.properties["synthetic:pair"]) for item in read_items(root)})[:count]
    if len(chosen) < count:
        raise SystemExit(f"{root} holds {len(chosen)} pairs, not {count}: render more")
    target = out / f"{root.name}-{count}" / "catalog.json"
    links = [
        {"rel": "item", "href": os.path.relpath(str(item.get_self_href()), target.parent)}
        for item in read_items(root)
        if item.properties["synthetic:pair"] in chosen
    ]
    target.parent.mkdir(parents=True, exist_ok=True)
    catalogue.write_json(
        target, {"type": "Catalog", "stac_version": "1.1.0", "id": "part", "description": "Pairs", "links": links}
    )
    return target.parent


def run(out: Path, data: Path, real: Path, name: str, seed: int, steps: int) -> None:
    """Train, map, score; what is there already is kept."""
    kept = out / f"{name}-{seed}.json"
    if kept.is_file():
        return
    model = trained(out, data, real, name, seed, steps)
    folder = predict.predict(
        model, real / "pre", real / "post", out / "maps", id=f"{name}-{seed}", footprints=data / POLYGONS
    )
    pixels = score.score(folder, data / RASTER).pixels
    given = score.score(folder, shown(out, data, seed)[1] if ROWS[name].graded else data / POLYGONS).given
    if pixels is None or given is None:
        raise SystemExit(f"{data}: no raster or no polygons to score against")
    tables = {"pixels": pixels.figures.as_dict(), "given": given.figures.as_dict()}
    kept.write_text(json.dumps({"model": model.stem, "steps": steps, **tables}), "utf-8")
    shutil.rmtree(folder)


def trained(out: Path, data: Path, real: Path, name: str, seed: int, steps: int) -> Path:
    """The model Item of a row."""
    row, models = ROWS[name], out / "models"
    roots = [part(out / "sets" / folder, count, out / "parts") for folder, count in row.sets]
    if row.event:
        return refit.refit(trained(out, data, real, row.of, seed, steps), real, models, row.event, synthetic=roots)
    if row.more:
        start = trained(out, data, real, row.of, seed, steps)
        graded = Outlines(path=shown(out, data, seed)[0]) if row.graded else None
        return train.train(told(row, seed, name, steps // 3), roots, models, real=real, start=start, graded=graded)
    return train.train(told(row, seed, name, steps), roots, models, real=real)


def shown(out: Path, data: Path, seed: int) -> tuple[Path, Path]:
    """Two files: EACH buildings of each grade, none smaller than what is scored, and all others."""
    few, rest = (out / f"{name}-{seed}.gpkg" for name in ("few", "rest"))
    if not rest.is_file():
        frame = geopandas.read_file(data / POLYGONS)
        houses = frame[frame["dmg"].isin([1, 2, 3, 4]) & (buildings.areas(frame.geometry) >= SMALLEST)]
        chosen = houses.groupby("dmg").sample(EACH, random_state=seed).index
        frame.loc[chosen].to_file(few)
        frame.drop(chosen).to_file(rest)
    return few, rest


def table(out: Path) -> str:
    """Markdown: mean and spread over the seeds."""
    lines = [f"| row | seeds | {' | '.join(FIGURES)} |", "|---|---|" + "---|" * len(FIGURES)]
    for name, row in ROWS.items():
        found = [json.loads(path.read_text("utf-8")) for path in sorted(out.glob(f"{name}-[0-9].json"))]
        if found:
            cells = (_cell([figure(one, *where) for one in found]) for where in FIGURES.values())
            lines.append(f"| {row.title} | {len(found)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def figure(found: dict[str, Any], kind: str, name: str) -> float:
    """One figure of a run."""
    if name == "iou":
        return statistics.fmean(entry["iou"] or 0.0 for entry in found[kind]["classes"][1:])
    return float(found[kind]["summary"][name] or 0.0)


def _cell(values: list[float]) -> str:
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.3f}{spread}"


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "table"))
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/joplin"))
    parser.add_argument("--real", type=Path, default=Path("out/joplin/real"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS), metavar="ROW")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    if asked.what == "run":
        for seed in asked.seeds:
            for name in asked.rows:
                run(asked.out, asked.data, asked.real, name, seed, asked.steps)
    print(table(asked.out))


if __name__ == "__main__":
    main()
