"""Refit: a published model fitted to an event's unlabelled images, as a model Item of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from mage_stac import catalogue, models, tally, unlabelled
from mage_stac import recipe as recipes
from mage_stac.adapt import event
from mage_stac.errors import RecipeError
from mage_stac.models import LoadedModel, held_out, item
from mage_stac.models.held_out import Said
from mage_stac.recipe import Event, Recipe

Step = Callable[[int, int, str], None]


def refit(
    model: Path,
    real: Path,
    out: Path,
    settings: Event,
    *,
    synthetic: Sequence[Path] = (),
    progress: Step | None = None,
) -> Path:
    """Fit a model Item to an event (see `event.fit`) and publish the result; one that is there already is kept.

    Args:
        model: the model Item.
        real: catalogue of the event's images before and after.
        out: models catalogue to write to.
        settings: what to fit.
        synthetic: the pairs that the model learnt from; its held-out places among them tell how far it can be trusted.
        progress: called as the images are looked at.

    Returns:
        Path of the new model Item's JSON.

    Raises:
        RecipeError: nothing is asked for, the model cannot use it, or `synthetic` is needed and not given.
        CatalogueError: no real images of both dates, or no labelled pairs.
        ModelError: the model is incomplete, or finds no building.
    """
    if not event.wanted(settings):
        raise RecipeError("nothing to fit: ask for batch norm, shares of the grades (prior) or thresholds")
    if not synthetic and (settings.prior != "none" or settings.thresholds):
        raise RecipeError(
            "shares of the grades and thresholds are estimated from what the model says of held-out renders: give"
            " the --synthetic catalogues that it learnt from"
        )
    parent = catalogue.read_item(model)
    loaded = models.load(parent)
    recipe = replace(loaded.recipe, event=settings)
    models.check(recipe)
    table = unlabelled.table(real, bands=loaded.bands, gsd=loaded.gsd, progress=progress)
    stacks = [raster.item_id for stack in table.stacks for mosaic in stack.dates for raster in mosaic]
    name = f"{recipe.name}-{recipes.digest(recipe, parent.id, stacks, [str(root) for root in synthetic])}"
    if not catalogue.has(out, item.COLLECTION, name):
        said = _held_out(loaded, recipe, synthetic)
        windows = event.windows(table, recipe, loaded.mean, loaded.std)
        fitted = event.fit(loaded.model, loaded.temperatures, settings, held_out=said, real=windows)
        made = item.Refitted(
            id=name,
            recipe=recipe,
            weights=loaded.model.state_dict(),
            offsets=fitted.offsets if synthetic else loaded.offsets,
            record=fitted.record,
            sources=[one for side in unlabelled.images(real) for one in side],
        )
        item.publish_refitted(parent, made, out)
    return out / item.COLLECTION / name / f"{name}.json"


@torch.inference_mode()
def _held_out(loaded: LoadedModel, recipe: Recipe, roots: Sequence[Path]) -> list[Said]:
    if not roots:
        return []
    whole = tally.index(roots, bands=recipe.data.bands, gsd=recipe.data.gsd)
    part = tally.split(whole, recipe.data.holdout)[1]
    return list(held_out.outputs(loaded.model, part, recipe, loaded.mean, loaded.std))
