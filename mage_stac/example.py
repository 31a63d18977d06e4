"""The example catalogue of the repository: a rendered pair with its labels, a model card, and what that model maps."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pystac

from mage_stac import catalogue, synthesis
from mage_stac.errors import CatalogueError, ModelError, RenderError
from mage_stac.progress import Step

TITLE = "mage-stac example: a rendered tornado"
PAIR = synthesis.RenderSpec(hazard="wind", style="suburb", seed=2029, size_px=320, gsd=0.6, undamaged_share=0.0)
"""A swath that ends within the image, so that every grade is in it."""

CARD = "The weights are not part of this example: train the recipe, or use `mage-stac demo`."


def make(out: Path, *, model: Path, spec: synthesis.RenderSpec = PAIR, progress: Step | None = None) -> Path:
    """Render a pair, map its damage with a model, and write both with the model's card into one catalogue.

    Args:
        out: the catalogue's folder; what was in it goes.
        model: a model Item, as `train` writes it.
        spec: what to render; one pair.
        progress: told what is done, what there is to do, and what is being done.

    Returns:
        `out`.

    Raises:
        MageStacError: as rendering and predicting do; or `out` holds something else than a catalogue.
    """
    if out.exists() and not (out / "catalog.json").is_file():
        raise CatalogueError(f"{out} is no catalogue, so it is not replaced by the example: give another folder")
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        _fill(partial, catalogue.read_item(model), spec, progress)
        shutil.rmtree(out, ignore_errors=True)
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return out


def _fill(out: Path, model: pystac.Item, spec: synthesis.RenderSpec, progress: Step | None) -> None:
    report = synthesis.render_pairs(spec, out, progress)
    if report.failed:
        raise RenderError(f"the example's pair cannot be rendered: {next(iter(report.failed.values()))}")
    images = {str(item.properties.get("synthetic:phase")): item for item in catalogue.read_items(out)}
    card = _with_weights(out, model)
    _predict(card, images["pre"], images["post"], out)
    _without_weights(card)
    catalogue.index(out, id="mage-stac-example", title=TITLE, collections={})


def _predict(card: Path, pre: pystac.Item, post: pystac.Item, out: Path) -> None:
    from mage_stac import predict  # torch takes seconds to import

    predict.predict(card, [pre], [post], out, id="damage")


def _with_weights(out: Path, model: pystac.Item) -> Path:
    """Copy a model Item into the catalogue; its links to what is elsewhere on this disk stay behind."""
    if model.collection_id is None or "model" not in model.assets:
        raise ModelError(f"Item {model.id} is no model: it has no asset 'model', or belongs to no collection")
    source = Path(str(model.get_self_href())).parent
    with catalogue.staged(out, model.collection_id, model.id) as folder:
        copied = model.clone()
        copied.clear_links()
        for key, asset in copied.assets.items():
            name = Path(catalogue.asset_path(model, key)).name
            shutil.copyfile(catalogue.asset_path(model, key), folder / name)
            asset.href = f"./{name}"
        catalogue.write_item(folder, copied)
    shutil.copyfile(source.parent / "collection.json", out / model.collection_id / "collection.json")
    return out / model.collection_id / model.id


def _without_weights(folder: Path) -> None:
    """Take the weights out of a model's Item: its recipe, from which they can be made again, stands in for them."""
    path = folder / f"{folder.name}.json"
    document = catalogue.read_json(path)
    assets: dict[str, Any] = document["assets"]
    weights, recipe = assets["model"], assets.pop("recipe")
    (folder / weights["href"]).unlink()
    document["properties"]["description"] += f" {CARD}"
    assets["model"] = {
        **weights, "href": recipe["href"], "type": recipe["type"], "title": recipe["title"], "description": CARD,
        "mlm:artifact_type": "mage-stac recipe", "roles": ["mlm:model", *recipe["roles"]],
    }  # fmt: skip
    catalogue.write_json(path, document)
