"""Refit: a published model fitted to an event, by its unlabelled images or a few graded buildings, as a model Item."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from mage_stac import catalogue, graded, material, models, tally, unlabelled
from mage_stac import recipe as recipes
from mage_stac.adapt import built, event, gradings
from mage_stac.adapt.event import Fitted
from mage_stac.chip_table import ChipTable
from mage_stac.errors import RecipeError
from mage_stac.graded import Outlines
from mage_stac.models import LoadedModel, held_out, item
from mage_stac.models.calibration import Offsets
from mage_stac.models.held_out import Said
from mage_stac.progress import Step
from mage_stac.recipe import Event, Recipe
from mage_stac.tally import ChipIndex


def refit(
    model: Path,
    real: Path,
    out: Path,
    settings: Event,
    *,
    synthetic: Sequence[Path] = (),
    labels: Outlines | None = None,
    progress: Step | None = None,
) -> Path:
    """Fit a model Item to an event (`event.fit`, `gradings.read`) and publish it; one that is there already is kept.

    Args:
        model: the model Item.
        real: catalogue of the event's images before and after.
        out: models catalogue to write to.
        settings: what to fit.
        synthetic: the pairs that the model learnt from; its held-out places among them tell how far it can be trusted.
        labels: outlines of buildings in `real` with their grades (graded.publish_pairs).
        progress: called as the images are looked at.

    Returns:
        Path of the new model Item's JSON.

    Raises:
        RecipeError: nothing is asked for, the model cannot use it, or `synthetic` is needed and not given.
        AssetError: `labels` holds no outlines with grades.
        CatalogueError: no real images of both dates, no labelled pairs, or no graded building in the images.
        ModelError: the model is incomplete, or finds no building.
    """
    if labels is None and not event.wanted(settings):
        raise RecipeError(
            "nothing to fit: ask for batch norm, the share built over (built), shares of the grades (prior) or"
            " thresholds, or give graded buildings"
        )
    if not synthetic and (settings.prior != "none" or settings.thresholds or settings.built):
        raise RecipeError(
            "the share built over, shares of the grades and thresholds are told by renders: give the --synthetic"
            " catalogues that the model learnt from"
        )
    parent = catalogue.read_item(model)
    loaded = models.load(parent)
    recipe = replace(loaded.recipe, event=settings)
    models.check(recipe)
    if labels is not None and recipe.network.dates == 1:
        raise RecipeError(f"model {parent.id} looks at one date and grades nothing: graded buildings say nothing to it")
    table = unlabelled.table(real, bands=recipe.data.readings, gsd=loaded.gsd, progress=progress)
    images = material.told([raster for stack in table.stacks for mosaic in stack.dates for raster in mosaic])
    told = [] if labels is None else [graded.digest(labels)]
    name = f"{recipe.name}-{recipes.digest(recipe, parent.id, images, [str(root) for root in synthetic], *told)}"
    if not catalogue.has(out, item.COLLECTION, name):
        fitted = _fitted(loaded, settings, table, synthetic)
        if labels is not None:
            fitted = _by_labels(loaded, fitted, real, labels)
        made = item.Refitted(
            id=name,
            recipe=recipe,
            weights=loaded.model.state_dict(),
            offsets=fitted.offsets,
            record=fitted.record,
            sources=[one for side in unlabelled.images(real) for one in side],
        )
        item.publish_refitted(parent, made, out)
    return out / item.COLLECTION / name / f"{name}.json"


def _fitted(loaded: LoadedModel, settings: Event, table: ChipTable, synthetic: Sequence[Path]) -> Fitted:
    """The model fitted to the event's unlabelled images; its own offsets stay where no new ones are asked for."""
    recipe = replace(loaded.recipe, event=settings)
    whole = tally.index(synthetic, bands=recipe.data.readings, gsd=recipe.data.gsd) if synthetic else None
    said = [] if whole is None else _held_out(loaded, recipe, whole)
    twin = None if whole is None else built.share([whole], table)
    if settings.built and twin is None:
        raise RecipeError(
            "none of the --synthetic pairs was rendered of the place that the real images show, so how much of it is"
            " built over is not known: give pairs rendered --like them, with its outlines as --place"
        )
    windows = event.windows(table, recipe, loaded.mean, loaded.std) if event.wanted(settings) else []
    fitted = event.fit(loaded.model, loaded.temperatures, settings, held_out=said, real=windows, twin=twin)
    shifts = settings.prior != "none" or settings.thresholds
    offsets = Offsets(
        building=fitted.offsets.building if settings.built else loaded.offsets.building,
        damage=fitted.offsets.damage if shifts else loaded.offsets.damage,
    )
    return replace(fitted, offsets=offsets)


def _by_labels(loaded: LoadedModel, fitted: Fitted, real: Path, labels: Outlines) -> Fitted:
    """What was fitted, its offsets moved to what graded buildings say."""
    recipe = loaded.recipe
    with tempfile.TemporaryDirectory() as folder:
        pairs = material.graded_pairs(recipe, real, labels, Path(folder))
        part = tally.index([pairs], bands=recipe.data.readings, gsd=recipe.data.gsd)
        said = held_out.outputs(
            loaded.model, part, recipe, loaded.mean, loaded.std, size=graded.TILE, limit=len(part.pairs)
        )
        found = gradings.shown(said, loaded.temperatures, fitted.offsets)
    read = gradings.read(found, (1, 2) if recipe.network.lost else (1, 2, 3, 4))  # the others go by what is lost
    damage = tuple(round(a + b, 4) for a, b in zip(fitted.offsets.damage, read.offsets, strict=True))
    record = fitted.record | read.record | {"offsets": list(damage)}
    return Fitted(offsets=replace(fitted.offsets, damage=damage), record=record)


@torch.inference_mode()
def _held_out(loaded: LoadedModel, recipe: Recipe, whole: ChipIndex) -> list[Said]:
    part = tally.split(whole, recipe.data.holdout)[1]
    return list(held_out.outputs(loaded.model, part, recipe, loaded.mean, loaded.std))
