"""A trained network as a STAC Item with the Machine Learning Model extension (MLM 1.5.2)."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pystac
import shapely
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from mage_stac import catalogue, curves
from mage_stac import publish as publishing
from mage_stac import recipe as recipes
from mage_stac.classes import DAMAGE_CLASSES
from mage_stac.errors import CatalogueError
from mage_stac.models import OFFSETS, TEMPERATURES
from mage_stac.models.calibration import Offsets, Temperatures
from mage_stac.pairs import PHASES
from mage_stac.readings import UNIT, Readings
from mage_stac.recipe import Recipe

COLLECTION = "models"
TEMPLATE = {
    "title": "Models",
    "description": "Networks trained by mage-stac on rendered disasters, with what they saw and how they were made.",
    "license": "Apache-2.0",
    "keywords": ["damage", "disaster", "segmentation", "mlm"],
}
WRITTEN = {"model": "model.safetensors", "recipe": "recipe.toml"}
"""Assets that every model has, and their files."""
TASKS = ["semantic-segmentation"]


LOST = (
    ". With l, the sigmoid of the logit that the roof is lost, the classes are then what a pixel shows: destroyed p l,"
    " no and minor damage share p (1 - l), major none; a building's grade follows from its share of l"
)
"""What a third head adds to the description of the output."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What training hands over."""

    id: str
    recipe: Recipe
    weights: Mapping[str, Tensor]
    parameters: int
    """Number of weights that are learnt."""
    mean: Sequence[float]
    """Of each band, 0..1."""
    std: Sequence[float]
    sources: Sequence[pystac.Item]
    """Items it saw; at least one."""
    losses: Sequence[Sequence[float]]
    """Of each step, in the order of curves.TERMS."""
    validation: Sequence[Mapping[str, Any]]
    """Figures on the held-out places by step."""
    record: Mapping[str, Any]
    """Goes into the asset `training`: Items with their split, speed, figures."""
    temperatures: Temperatures = field(default_factory=Temperatures)
    """Fitted to the held-out places."""
    offsets: Offsets = field(default_factory=Offsets)
    """Fitted to the event, if asked for."""


@dataclass(frozen=True, kw_only=True)
class Refitted:
    """A published model, fitted to an event."""

    id: str
    recipe: Recipe
    """With its table `event`."""
    weights: Mapping[str, Tensor]
    offsets: Offsets
    record: Mapping[str, Any]
    """Goes into the asset `training`, as `event`."""
    sources: Sequence[pystac.Item]
    """The event's images."""


def publish(trained: Trained, out: Path) -> Path:
    """Write the model Item into the catalogue at `out`; the path of its JSON.

    Raises:
        CatalogueError: the disk refuses.
    """
    with catalogue.staged(out, COLLECTION, trained.id) as folder:
        _write(folder, trained.weights, trained.recipe)
        curves.draw(folder / "curves.png", trained.losses, trained.validation)
        catalogue.write_json(folder / "training.json", trained.record)
        catalogue.write_item(folder, _item(trained, folder))
    catalogue.index(out, id="models", title="Models", collections={COLLECTION: TEMPLATE})
    return out / COLLECTION / trained.id / f"{trained.id}.json"


def publish_refitted(parent: pystac.Item, refitted: Refitted, out: Path) -> Path:
    """Write a model that was fitted to an event beside, or far from, the one that it was; the path of its JSON.

    Raises:
        CatalogueError: the disk refuses.
        AssetError: the parent Item lacks an asset.
    """
    with catalogue.staged(out, COLLECTION, refitted.id) as folder:
        made = parent.clone()
        made.clear_links()
        made.id, made.collection_id = refitted.id, COLLECTION
        made.datetime = datetime.now(UTC).replace(microsecond=0)
        made.properties |= {
            "mlm:name": refitted.id,
            "mlm:hyperparameters": recipes.flat(refitted.recipe),
            OFFSETS: asdict(refitted.offsets),
        }
        _write(folder, refitted.weights, refitted.recipe)
        for key, asset in made.assets.items():
            source = Path(catalogue.asset_path(parent, key))
            if key not in WRITTEN and source.is_file():
                shutil.copyfile(source, folder / source.name)
            asset.href = str(folder / WRITTEN.get(key, source.name))
        known = catalogue.read_json(folder / "training.json") if (folder / "training.json").is_file() else {}
        catalogue.write_json(folder / "training.json", {**known, "event": dict(refitted.record), "parent": parent.id})
        publishing.derived_from(made, [parent, *refitted.sources])
        catalogue.write_item(folder, made)
    catalogue.index(out, id="models", title="Models", collections={COLLECTION: TEMPLATE})
    return out / COLLECTION / refitted.id / f"{refitted.id}.json"


def _write(folder: Path, weights: Mapping[str, Tensor], recipe: Recipe) -> None:
    try:
        save_file({key: value.cpu().contiguous() for key, value in weights.items()}, folder / WRITTEN["model"])
    except SafetensorError as error:
        raise CatalogueError(f"weights cannot be written to {folder}: {error}") from error
    (folder / WRITTEN["recipe"]).write_text(recipes.as_toml(recipe), "utf-8")


def _item(trained: Trained, folder: Path) -> pystac.Item:
    boxes = [item.bbox for item in trained.sources if item.bbox is not None]
    west, south, _, _ = (min(side) for side in zip(*boxes, strict=True))
    _, _, east, north = (max(side) for side in zip(*boxes, strict=True))
    area = shapely.box(west, south, east, north)
    item = pystac.Item(
        id=trained.id,
        geometry=shapely.geometry.mapping(area),
        bbox=list(area.bounds),
        datetime=datetime.now(UTC).replace(microsecond=0),
        properties=_properties(trained),
        collection=COLLECTION,
    )
    for key, asset in _assets(trained, folder).items():
        item.add_asset(key, asset)
    for path in sorted({_collection(source) for source in trained.sources}):
        link = pystac.Link("derived_from", str(path), media_type="application/json", title=path.parent.name)
        item.add_link(link)
    return item


def _collection(item: pystac.Item) -> Path:
    """The collection.json above an Item on disk."""
    return Path(item.get_self_href() or item.id).absolute().parents[1] / "collection.json"


def _properties(trained: Trained) -> dict[str, Any]:
    recipe = trained.recipe
    return {
        "title": recipe.title or recipe.name,
        "description": _description(trained),
        "gsd": recipe.data.gsd,
        "bands": [{"name": name} for name in dict.fromkeys(_bands(recipe))],
        "mlm:name": trained.id,
        "mlm:architecture": f"Siamese U-Net, {recipe.network.encoder} encoder",
        "mlm:tasks": TASKS,
        "mlm:framework": "PyTorch",
        "mlm:framework_version": torch.__version__.split("+")[0],
        "mlm:total_parameters": trained.parameters,
        "mlm:pretrained": recipe.network.weights != "none",
        "mlm:pretrained_source": "ImageNet" if recipe.network.weights == "imagenet" else None,
        "mlm:batch_size_suggestion": recipe.optimiser.batch,
        "mlm:input": [_input(trained)],
        "mlm:output": [_output(recipe)],
        "mlm:hyperparameters": recipes.flat(recipe),
        TEMPERATURES: asdict(trained.temperatures),
        **({OFFSETS: asdict(trained.offsets)} if trained.offsets != Offsets() else {}),
    }


def _description(trained: Trained) -> str:
    last = trained.validation[-1] if trained.validation else {}
    shown = ", ".join(f"{label} {last[key]:.3f}" for key, label in curves.FIGURES.items() if last.get(key) is not None)
    by_looks = (
        " and of grades told by looks, where maps tell them by what is lost" if trained.recipe.network.lost else ""
    )
    return (
        f"Grades damage to buildings from an image before and one after. On held-out rendered places: {shown or 'not'}"
        f" measured. These figures are of renders, not of real disasters{by_looks}."
    )


def _input(trained: Trained) -> dict[str, Any]:
    data = trained.recipe.data
    return {
        "name": "Images before and after, in this order, 0..1" + _ranges(data.readings),
        "bands": list(_bands(trained.recipe)),
        "input": {
            "shape": [-1, 2, len(data.bands), data.size, data.size],
            "dim_order": ["batch", "time", "bands", "height", "width"],
            "data_type": "float32",
        },
        "value_scaling": [
            {"type": "z-score", "mean": mean, "stddev": std}
            for mean, std in zip(trained.mean, trained.std, strict=True)
        ],
    }


def _bands(recipe: Recipe) -> tuple[str, ...]:
    """Names of what `value_scaling` lists: of both dates if they are alike, else of before and then of after."""
    pre, post = recipe.data.readings
    return (*pre.bands, *post.bands) if recipe.data.post_bands else pre.bands


def _ranges(readings: Readings) -> str:
    """What is taken as 0 and 1, where that is not the values themselves."""
    told = [f"{name} {one.range[0]:g} to {one.range[1]:g}" for name, one in zip(PHASES, readings, strict=True)]
    return "" if all(one.range == UNIT for one in readings) else f": {', '.join(told)} in the Items' unit"


def _output(recipe: Recipe) -> dict[str, Any]:
    classes = [entry for entry in DAMAGE_CLASSES if not entry.nodata]
    return {
        "name": "damage",
        "description": "Probability of each damage class: 1 - p, then p times the softmax over the grades, where p is"
        " the sigmoid of the building logit; logits are divided by their head's `mage:temperatures` first, and"
        " `mage:logit_offsets`, if any, are added" + (LOST if recipe.network.lost else ""),
        "tasks": TASKS,
        "result": {
            "shape": [-1, len(classes), recipe.data.size, recipe.data.size],
            "dim_order": ["batch", "class", "height", "width"],
            "data_type": "float32",
        },
        "classification:classes": [entry.as_dict() for entry in classes],
    }


def _assets(trained: Trained, folder: Path) -> dict[str, pystac.Asset]:
    def asset(name: str, title: str, media: str, roles: list[str], **fields: Any) -> pystac.Asset:
        return pystac.Asset(str(folder / name), title=title, media_type=media, roles=roles, extra_fields=fields)

    bands = [{"name": name} for name in dict.fromkeys(_bands(trained.recipe))]
    return {
        "model": asset(
            "model.safetensors", "Weights", "application/octet-stream", ["mlm:model", "mlm:weights"],
            **{"mlm:artifact_type": "safetensors.torch.save_file", "bands": bands},
        ),
        "recipe": asset("recipe.toml", "Recipe", "application/toml", ["mlm:training", "metadata"]),
        "training": asset("training.json", "What it saw", "application/json", ["metadata"]),
        "curves": asset("curves.png", "Losses and figures", "image/png", ["overview"]),
    }  # fmt: skip
