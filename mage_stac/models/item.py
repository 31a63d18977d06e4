"""A trained network as a STAC Item with the Machine Learning Model extension (MLM 1.5.2)."""

from __future__ import annotations

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
from mage_stac import recipe as recipes
from mage_stac.classes import DAMAGE_CLASSES
from mage_stac.errors import CatalogueError
from mage_stac.models import TEMPERATURES
from mage_stac.models.calibration import Temperatures
from mage_stac.recipe import Recipe

COLLECTION = "models"
TEMPLATE = {
    "title": "Models",
    "description": "Networks trained by mage-stac on rendered disasters, with what they saw and how they were made.",
    "license": "Apache-2.0",
    "keywords": ["damage", "disaster", "segmentation", "mlm"],
}
TASKS = ["semantic-segmentation"]


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


def publish(trained: Trained, out: Path) -> Path:
    """Write the model Item into the catalogue at `out`; the path of its JSON.

    Raises:
        CatalogueError: the disk refuses.
    """
    with catalogue.staged(out, COLLECTION, trained.id) as folder:
        try:
            save_file(
                {key: value.cpu().contiguous() for key, value in trained.weights.items()}, folder / "model.safetensors"
            )
        except SafetensorError as error:
            raise CatalogueError(f"weights cannot be written to {folder}: {error}") from error
        (folder / "recipe.toml").write_text(recipes.as_toml(trained.recipe), "utf-8")
        curves.draw(folder / "curves.png", trained.losses, trained.validation)
        catalogue.write_json(folder / "training.json", trained.record)
        catalogue.write_item(folder, _item(trained, folder))
    catalogue.index(out, id="models", title="Models", collections={COLLECTION: TEMPLATE})
    return out / COLLECTION / trained.id / f"{trained.id}.json"


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
        "bands": [{"name": name} for name in recipe.data.bands],
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
    }


def _description(trained: Trained) -> str:
    last = trained.validation[-1] if trained.validation else {}
    shown = ", ".join(f"{label} {last[key]:.3f}" for key, label in curves.FIGURES.items() if last.get(key) is not None)
    return (
        f"Grades damage to buildings from an image before and one after. On held-out rendered places: {shown or 'not'}"
        " measured. These figures are of renders, not of real disasters."
    )


def _input(trained: Trained) -> dict[str, Any]:
    data = trained.recipe.data
    return {
        "name": "Images before and after, in this order, 0..1",
        "bands": list(data.bands),
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


def _output(recipe: Recipe) -> dict[str, Any]:
    classes = [entry for entry in DAMAGE_CLASSES if not entry.nodata]
    return {
        "name": "damage",
        "description": "Probability of each damage class: 1 - p, then p times the softmax over the grades, where p is"
        " the sigmoid of the building logit; logits are divided by their head's `mage:temperatures` first",
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

    bands = [{"name": name} for name in trained.recipe.data.bands]
    return {
        "model": asset(
            "model.safetensors", "Weights", "application/octet-stream", ["mlm:model", "mlm:weights"],
            **{"mlm:artifact_type": "safetensors.torch.save_file", "bands": bands},
        ),
        "recipe": asset("recipe.toml", "Recipe", "application/toml", ["mlm:training", "metadata"]),
        "training": asset("training.json", "What it saw", "application/json", ["metadata"]),
        "curves": asset("curves.png", "Losses and figures", "image/png", ["overview"]),
    }  # fmt: skip
