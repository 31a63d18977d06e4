"""Water training: what rendered floods, and if asked for unlabelled real images, teach the network of `water`."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mage_stac import catalogue, chips, folders, pairs, tally, unlabelled, value_range, water, water_items
from mage_stac import recipe as recipes
from mage_stac.adapt import augment, consistency
from mage_stac.adapt.augment import Chips
from mage_stac.adapt.chance import Chance
from mage_stac.chip_table import ChipTable
from mage_stac.classes import NOT_OBSERVED
from mage_stac.errors import AssetError, CatalogueError, ModelError, RecipeError
from mage_stac.loader import Access, Batch
from mage_stac.models import losses
from mage_stac.models.average import Average
from mage_stac.progress import Step
from mage_stac.recipe import Recipe
from mage_stac.samplers import Sampling
from mage_stac.tally import ChipIndex
from mage_stac.train import learning_rate
from mage_stac.unread import Unread

FLOOD, PERMANENT = 1, 2
IDLE = (
    "data.post_", "network.dates", "network.lost", "loss.", "augment.partial", "augment.swap", "style.",
    "self_training.", "event.", "optimiser.precision", "optimiser.accumulate",
)  # fmt: skip
"""Beginnings of the names of fields that are of grades, or of how these are learnt."""
Scaling = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True, kw_only=True)
class Material:
    """All that a run learns from."""

    recipe: Recipe
    training: ChipIndex
    validation: ChipIndex
    """Of places that no training chip shows."""
    scaling: Scaling
    """Mean and standard deviation of each band, of `data.range` as 0..1."""
    target: ChipTable | None
    """Where real images were observed, if the recipe learns from some."""
    unread: Unread

    @property
    def real(self) -> list[str]:
        """Ids of the real Items."""
        stacks = self.target.stacks if self.target else ()
        return list(dict.fromkeys(one.item_id for stack in stacks for date in stack.dates for one in date))

    def normalised(self, given: Chips) -> Tensor:
        """What the network is fed."""
        return water.fed(given.image, given.valid, *self.scaling)


def train(
    recipe: Recipe, synthetic: Sequence[Path], out: Path, *, real: Path | None = None, progress: Step | None = None
) -> Path:
    """Train the recipe's water head on both dates of labelled pairs and publish it as a model Item.

    Before the event only permanent water is water; after it, the flood too. Whole places are held out for the figures
    that the Item tells; no figure chooses the weights, which are the moving average after the last step. An asset that
    cannot be read costs a line in the log and its own chips.

    Args:
        recipe: with the task `water`.
        synthetic: catalogues of pairs whose labels have an asset `water`.
        out: the models catalogue.
        real: a catalogue of unlabelled real images to adapt to, of one date or two, if the recipe does
            (`consistency.weight`).
        progress: called after every step.

    Returns:
        Path of the model Item's JSON.

    Raises:
        CatalogueError: no labelled pairs, no water in them, fewer than two places, no real images, or `out` cannot be
            written.
        AssetError: an Item lacks an asset or band, or nothing can be read any more.
        GridError: a pair's rasters lie on different grids.
        RecipeError: the recipe does not fit the pairs or asks for what is of grades alone, or real images are given to
            one that does not adapt, or none to one that does.
        ModelError: the loss is no longer a number, or the real images are of another unit.
    """
    _check(recipe)
    folders.check_writable(out)
    material = _gather(recipe, synthetic, real, progress)
    ids = [[pair.id for pair in part.pairs] for part in (material.training, material.validation)]
    seen = [material.real] if material.real else []
    name = f"{recipe.name}-{recipes.digest(recipe, ids, material.training.totals(), *material.scaling, *seen)}"
    if not catalogue.has(out, water_items.MODELS, name):
        network, curve = _fit(material, progress)
        parts = (material.training, material.validation)
        trained = water_items.Trained(
            id=name, recipe=recipe, weights=network.state_dict(), mean=material.scaling[0], std=material.scaling[1],
            losses=curve, held_out=_held_out(network, material),
            sources=[source for part in parts for pair in part.pairs for source in pair.items],
            pairs={"training": ids[0], "validation": ids[1]}, real=material.real, unread=material.unread.record(),
        )  # fmt: skip
        water_items.publish_model(trained, out)
    return out / water_items.MODELS / name / f"{name}.json"


def _check(recipe: Recipe) -> None:
    """Refuse a recipe with fields that a water head does not heed, or whose labels would not lie on the images."""
    told, plain = recipes.flat(recipe), recipes.flat(Recipe(name="plain"))
    idle = [name for name, value in told.items() if name.startswith(IDLE) and value != plain[name]]
    if idle:
        raise RecipeError(f"recipe {recipe.name}: {', '.join(idle)} have no part in learning water: leave them out")
    if recipe.augment.shift:
        raise RecipeError(
            f"recipe {recipe.name}: augment.shift = {recipe.augment.shift:g} moves the image after off its label of"
            " water: set it to 0"
        )


def _gather(recipe: Recipe, synthetic: Sequence[Path], real: Path | None, progress: Step | None) -> Material:
    """Index the pairs, hold whole places out, and measure what normalisation needs."""
    unread = Unread()
    target = _target(recipe, real)
    training, validation = tally.split(_index(recipe, synthetic, progress, unread), recipe.data.holdout)
    if not sum(training.totals()[FLOOD:]):
        raise CatalogueError(f"the water labels of the {len(training.pairs)} training pairs hold no water")
    low, high = recipe.data.range
    mean, std = (
        tuple((value - zero) / (high - low) for value in values)
        for values, zero in zip(chips.statistics(training, recipe.seed, unread), (low, 0.0), strict=True)
    )
    return Material(
        recipe=recipe, training=training, validation=validation, scaling=(mean, std), target=target, unread=unread
    )


def _target(recipe: Recipe, real: Path | None) -> ChipTable | None:
    adapts = recipe.consistency.weight > 0
    if real is None:
        if adapts:
            raise RecipeError(f"recipe {recipe.name} adapts to real images: give them with --real")
        return None
    if not adapts:
        raise RecipeError(
            f"recipe {recipe.name} learns nothing from real images: set consistency.weight, or leave --real out"
        )
    return unlabelled.table(real, bands=recipe.data.bands, gsd=recipe.data.gsd, dates=1)


def _index(recipe: Recipe, roots: Sequence[Path], progress: Step | None, unread: Unread) -> ChipIndex:
    """The pairs by their water label."""
    found = [
        replace(pair, label=catalogue.asset_path(pair.items[2], water.LABEL))
        for pair in pairs.read(roots, bands=recipe.data.bands, gsd=recipe.data.gsd)
    ]
    whole = tally.build(found, progress=progress, on_problem=unread)
    odd = set(whole.table.classes) - {0, FLOOD, PERMANENT}
    if odd:
        raise AssetError(f"water labels hold {sorted(odd)}: they have 0 dry, 1 flood, 2 permanent, 255 not observed")
    return whole


def _fit(material: Material, progress: Step | None) -> tuple[nn.Module, list[float]]:
    """The averaged network after all steps, and the loss of each; everything random follows from the recipe's seed."""
    recipe, settings = material.recipe, material.recipe.optimiser
    torch.manual_seed(recipe.seed)
    network = water.network_of(recipe)
    average = Average(network, settings.average)
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    curve = list[float]()
    with closing(_labelled(material)) as stream, closing(_unlabelled(material)) as more:
        for step, batch, target in zip(range(settings.steps), stream, more, strict=False):
            chance = Chance(
                generator=torch.Generator().manual_seed(recipe.seed * 1_000_003 + step), chips=settings.batch
            )
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(recipe, step)
            network.train()
            loss = _loss(network, batch, target, material, chance)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), settings.clip)
            optimiser.step()
            average.update(step)
            curve.append(float(loss.detach()))
            if not np.isfinite(curve[-1]):
                raise ModelError(f"the loss is {curve[-1]} at step {step + 1}: lower optimiser.learning_rate")
            if progress:
                progress(step + 1, settings.steps, f"loss {curve[-1]:.3f}")
    return average.shadow, curve


def _labelled(material: Material) -> Generator[Batch, None, None]:
    recipe = material.recipe
    data = recipe.data
    sampling = Sampling(kind="balanced", background=data.background, reuse=data.reuse)
    yield from chips.batches(
        material.training,
        edge=data.size + 2 * data.margin,
        batch=recipe.optimiser.batch,
        seed=recipe.seed,
        sampling=sampling,
        access=Access(on_problem=material.unread),
    )


def _unlabelled(material: Material) -> Generator[Batch | None, None, None]:
    """Batches of real images; endless None where the recipe does not learn from any."""
    recipe = material.recipe
    if material.target is None:
        yield from repeat(None)
        return
    stream = chips.unlabelled(
        material.target,
        edge=recipe.data.size + 2 * recipe.data.margin,
        batch=recipe.optimiser.batch,
        seed=recipe.seed,
        access=Access(on_problem=material.unread),
    )
    with closing(stream):
        for batch in stream:
            for image, seen in zip(batch["image"].flatten(0, 1), batch["valid"].repeat_interleave(2, 0), strict=True):
                value_range.check(image.numpy(), seen.numpy(), recipe.data.range, "a window of the real images")
            yield batch


def _loss(network: nn.Module, batch: Batch, target: Batch | None, material: Material, chance: Chance) -> Tensor:
    recipe = material.recipe
    made = augment.augment(_chips(batch, recipe), size=recipe.data.size, settings=recipe.augment, chance=chance)
    loss = _supervised(network(material.normalised(made)), made)
    if target is None:
        return loss
    real = augment.geometric(_chips(target, recipe), size=recipe.data.size, settings=recipe.augment, chance=chance)
    return loss + consistency.matched(
        lambda given: network(material.normalised(given)), real, recipe=recipe, chance=chance
    )


def _chips(batch: Batch, recipe: Recipe) -> Chips:
    return Chips(water.unit(batch["image"], recipe), batch["mask"], batch["valid"])


def _truth(mask: Tensor) -> Tensor:
    """(B, 2, H, W) bool: permanent water before, all water after."""
    return torch.stack([mask == PERMANENT, (mask == FLOOD) | (mask == PERMANENT)], dim=1)


def _supervised(logits: Tensor, made: Chips) -> Tensor:
    seen = (made.valid & (made.mask != NOT_OBSERVED))[:, None].expand_as(logits)
    return losses.building(logits.flatten(0, 1), _truth(made.mask).flatten(0, 1), seen.flatten(0, 1))


@torch.inference_mode()
def _held_out(network: nn.Module, material: Material) -> dict[str, float]:
    """Water of both dates on the held-out places, unaugmented: IoU, precision and recall."""
    recipe, part = material.recipe, material.validation
    size, counts = recipe.data.size, np.zeros(3)
    places = tally.tiles(part, size, recipe.run.validation_chips)
    with closing(chips.at(part, places, size, recipe.optimiser.batch, material.unread)) as stream:
        for batch in stream:
            given = _chips(batch, recipe)
            said = network(material.normalised(given)) > 0
            seen, truth = (given.valid & (given.mask != NOT_OBSERVED))[:, None], _truth(given.mask)
            hits = (said & truth, said & ~truth, ~said & truth)
            counts += [int((part & seen).sum()) for part in hits]
    hit, false, missed = counts
    return {
        "water_iou": float(hit / max(hit + false + missed, 1)),
        "precision": float(hit / max(hit + false, 1)),
        "recall": float(hit / max(hit + missed, 1)),
    }
