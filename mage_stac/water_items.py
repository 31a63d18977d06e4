"""The Items of water models and of water maps."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pystac
import shapely
from odc.geo.geobox import GeoBox
from pystac.utils import datetime_to_str
from safetensors import SafetensorError
from safetensors.torch import save_file

import mage_stac
from mage_stac import catalogue, footprint, hrefs, pairs, prediction, publish
from mage_stac import recipe as recipes
from mage_stac.classes import NOT_OBSERVED, SURFACE_WATER
from mage_stac.errors import CatalogueError
from mage_stac.models import item as damage_models
from mage_stac.models import water_local
from mage_stac.mosaic import LEVELS
from mage_stac.raster import opened
from mage_stac.recipe import Recipe

MODELS, PREDICTIONS = damage_models.COLLECTION, prediction.COLLECTION


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What training hands over."""

    id: str
    recipe: Recipe
    weights: Mapping[str, Any]
    mean: Sequence[float]
    """Of each band, 0..1."""
    std: Sequence[float]
    losses: Sequence[float]
    """Of each step."""
    held_out: Mapping[str, float]
    """Figures on places that no training chip shows."""
    sources: Sequence[pystac.Item]
    pairs: Mapping[str, Sequence[str]]
    """Ids by their part in the split."""
    real: Sequence[str]
    """Ids of the unlabelled real Items that it learnt from as well."""
    unread: Mapping[str, Sequence[str]]
    """Assets that could not be read, if there were any (Unread.record)."""


def publish_model(trained: Trained, out: Path) -> None:
    """Write the model Item into the catalogue at `out`.

    Raises:
        CatalogueError: the disk refuses.
    """
    with catalogue.staged(out, MODELS, trained.id) as folder:
        try:
            save_file(
                {key: value.cpu().contiguous() for key, value in trained.weights.items()}, folder / "model.safetensors"
            )
        except SafetensorError as error:
            raise CatalogueError(f"weights cannot be written to {folder}: {error}") from error
        (folder / "recipe.toml").write_text(recipes.as_toml(trained.recipe), "utf-8")
        shown = {name: getattr(trained, name) for name in ("pairs", "real", "held_out", "losses")}
        record = {**shown, **trained.unread}
        told = {"checkpoint": "the average of the weights after the last step; no figure chose it"}
        catalogue.write_json(folder / "training.json", {**record, **told})
        catalogue.write_item(folder, _model(trained, folder))
    catalogue.index(out, id="models", title="Models", collections={MODELS: damage_models.TEMPLATE})


def _model(trained: Trained, folder: Path) -> pystac.Item:
    outlines = [shapely.geometry.shape(item.geometry) for item in trained.sources if item.geometry]
    area = shapely.box(*shapely.total_bounds(outlines))
    made = pystac.Item(
        id=trained.id,
        geometry=shapely.geometry.mapping(area),
        bbox=list(area.bounds),
        datetime=datetime.now(UTC).replace(microsecond=0),
        properties=_about_model(trained),
        collection=MODELS,
    )
    bands = [{"name": name} for name in trained.recipe.data.bands]
    weights = {"mlm:artifact_type": "safetensors.torch.save_file", "bands": bands}
    for key, name, title, media, roles, fields in (
        ("model", "model.safetensors", "Weights", "application/octet-stream", ["mlm:model", "mlm:weights"], weights),
        ("recipe", "recipe.toml", "Recipe", "application/toml", ["mlm:training", "metadata"], {}),
        ("training", "training.json", "What it saw", "application/json", ["metadata"], {}),
    ):
        made.add_asset(key, pystac.Asset(str(folder / name), title, None, media, list(roles), fields))
    for path in sorted({Path(source.get_self_href() or source.id).absolute().parents[1] for source in trained.sources}):
        link = pystac.Link(
            "derived_from", str(path / "collection.json"), media_type="application/json", title=path.name
        )
        made.add_link(link)
    return made


def _about_model(trained: Trained) -> dict[str, Any]:
    recipe = trained.recipe
    shown = ", ".join(f"{key.replace('_', ' ')} {value:.3f}" for key, value in trained.held_out.items())
    encoder = recipe.network.encoder
    return {
        "title": recipe.title or recipe.name,
        "description": f"Maps water in one image. On held-out rendered places, not real ones: {shown}.",
        "gsd": recipe.data.gsd,
        "bands": [{"name": name} for name in recipe.data.bands],
        "mlm:name": trained.id,
        "mlm:architecture": "5 x 5 pixels" if encoder == water_local.ENCODER else f"Water U-Net, {encoder} encoder",
        "mlm:tasks": damage_models.TASKS,
        "mlm:framework": "PyTorch",
        "mlm:total_parameters": sum(int(weight.numel()) for weight in trained.weights.values()),
        "mlm:pretrained": False,
        "mlm:input": [_input(trained)],
        "mlm:output": [_output(recipe)],
        "mlm:hyperparameters": recipes.flat(recipe),
    }


def _input(trained: Trained) -> dict[str, Any]:
    data = trained.recipe.data
    scaling = zip(trained.mean, trained.std, strict=True)
    return {
        "name": "One image, 0..1",
        "bands": list(data.bands),
        "input": {
            "shape": [-1, 1, len(data.bands), data.size, data.size],
            "dim_order": ["batch", "time", "bands", "height", "width"],
            "data_type": "float32",
        },
        "value_scaling": [{"type": "z-score", "mean": mean, "stddev": std} for mean, std in scaling],
    }


def _output(recipe: Recipe) -> dict[str, Any]:
    return {
        "name": "water",
        "description": "Logit of water; its sigmoid is the probability",
        "tasks": damage_models.TASKS,
        "result": {
            "shape": [-1, 1, recipe.data.size, recipe.data.size],
            "dim_order": ["batch", "time", "height", "width"],
            "data_type": "float32",
        },
        "classification:classes": [entry.as_dict() for entry in SURFACE_WATER if not entry.nodata],
    }


def inputs(model: pystac.Item, images: Sequence[pystac.Item]) -> str:
    """Digest of all that decides a water map: version, the model's files, the images' files and what is told of them.

    Raises:
        AssetError: an Item has no image, or it may not be opened.
    """
    network = [prediction.state(model, key) for key in sorted(model.assets)]
    pixels = [prediction.state(item, pairs.IMAGE) for item in images]
    text = json.dumps([mage_stac.__version__, network, pixels], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def prediction_id(images: Sequence[pystac.Item], digest: str) -> str:
    """Date and the first six hex digits of the digest of a map's inputs: other inputs, another id."""
    return f"water-{max(map(prediction.taken, images)):%Y%m%d}-{digest[:6]}"


def map_item(
    name: str, folder: Path, box: GeoBox, model: pystac.Item, images: Sequence[pystac.Item], digest: str
) -> pystac.Item:
    """The Item of a water map whose files lie in a folder."""
    with opened(folder / "water.tif") as source:
        geometry, bbox = footprint.of_valid(source, box)
    date = max(map(prediction.taken, images))
    made = pystac.Item(
        id=name,
        geometry=geometry,
        bbox=bbox,
        datetime=date,
        properties={
            "title": f"Water on {date:%Y-%m-%d}",
            "description": f"Water by {model.id}; a model's output, not checked on the ground.",
            "created": datetime_to_str(datetime.now(UTC)),
            "processing:level": "L4",
            "processing:expression": {
                "format": "stac-mlm",
                "expression": hrefs.portable(model.get_self_href() or model.id, folder),
            },
            "processing:lineage": f"Probability of water by model {model.id}; water where it is above one half.",
            "processing:software": publish.SOFTWARE,
            "mage:inputs": digest,
            **publish.grid_fields(box),
        },
        collection=PREDICTIONS,
    )
    probability = publish.raster_asset(
        "probability.tif", title="Probability of water", geobox=box, dtype="uint8", nodata=NOT_OBSERVED
    )
    probability.extra_fields |= {"raster:scale": 1 / LEVELS, "raster:offset": 0.0}
    rgb, looks = ("red", "green", "blue"), ("visual", "overview")
    for key, asset in {
        "water": publish.class_asset("water.tif", title="Water", classes=SURFACE_WATER, geobox=box),
        "probability": probability,
        "visual": publish.raster_asset(
            "visual.tif", title="Water in colours", geobox=box, dtype="uint8", bands=rgb, roles=looks
        ),
        "thumbnail": publish.thumbnail("thumbnail.png"),
    }.items():
        made.add_asset(key, asset)
    publish.derived_from(made, [*images, model])
    return made
