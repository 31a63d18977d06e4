"""Training: from labelled pairs to a model Item, by one explicit loop on Lightning Fabric."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Generator, Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from mage_stac import catalogue, chips, models, pairs, tally, unlabelled
from mage_stac import graded as graded_pairs
from mage_stac import recipe as recipes
from mage_stac.adapt import augment, event, style
from mage_stac.adapt.chance import Chance
from mage_stac.chip_table import ChipTable
from mage_stac.chips import Looks
from mage_stac.curves import TERMS
from mage_stac.errors import CatalogueError, ModelError, RecipeError
from mage_stac.loader import Batch
from mage_stac.models import calibration, checkpoint, held_out, item, losses, pretrained
from mage_stac.models.average import Average
from mage_stac.models.checkpoint import Progress, State
from mage_stac.recipe import Recipe
from mage_stac.samplers import Sampling
from mage_stac.tally import GRADES, ChipIndex

Step = Callable[[int, int, str], None]
"""Called with what is done, what there is to do, and what is being done."""

START, END = 1 / 25, 1 / 1000
"""Learning rate at the first and the last step, as shares of the highest (one-cycle: Smith and Topin 2018)."""


@dataclass(frozen=True, kw_only=True)
class Material:
    """All that a run learns from."""

    recipe: Recipe
    training: ChipIndex
    validation: ChipIndex
    """Of places that no training chip shows."""
    mean: tuple[float, ...]
    std: tuple[float, ...]
    weights: tuple[float, ...]
    """Of grades 1..4 in the loss."""
    looks: Looks | None
    target: ChipTable | None = None
    """Where the event's unlabelled images were observed, if the recipe adapts to them."""
    start: models.LoadedModel | None = None
    """Whose weights to go on from."""

    @property
    def digest(self) -> str:
        """Changes with the recipe, the Items and, by their statistics, the pixels."""
        ids = [[pair.id for pair in part.pairs] for part in (self.training, self.validation)]
        real = [one.item_id for one in (*self.looks.pre, *self.looks.post)] if self.looks else []
        if self.target:
            real += [one.item_id for stack in self.target.stacks for date in stack.dates for one in date]
        before = [self.start.id] if self.start else []
        return recipes.digest(self.recipe, ids, real, self.training.totals(), self.mean, self.std, *before)


def train(
    recipe: Recipe,
    synthetic: Path | Sequence[Path],
    out: Path,
    *,
    real: Path | None = None,
    graded: Path | None = None,
    start: Path | None = None,
    restart: bool = False,
    progress: Step | None = None,
) -> Path:
    """Train the recipe's network on labelled pairs and publish it as a model Item.

    A run that was stopped goes on from its last checkpoint, OUT/training/<recipe name>/checkpoint.safetensors; a
    finished one is not repeated. Under torchrun every process takes its part of each batch.

    Args:
        recipe: decides everything.
        synthetic: catalogues of labelled pairs.
        out: the models catalogue.
        real: a catalogue of unlabelled real images, whose look the pairs may borrow.
        graded: outlines of buildings in `real` with their grades (graded.publish_pairs): half of the chips show them.
        start: a model Item whose weights to go on from.
        restart: forget an unfinished run of this recipe's name.
        progress: called after every step.

    Returns:
        Path of the model Item's JSON.

    Raises:
        CatalogueError: no labelled pairs, nothing observed or to learn in them, fewer than two places, no real images.
        AssetError: an asset or band is missing or broken.
        GridError: a pair's rasters lie on different grids.
        RecipeError: the recipe does not fit the pairs or needs real images, or an unfinished run of its name is of
            another recipe.
        ModelError: the loss is no longer a number.
    """
    roots = [synthetic] if isinstance(synthetic, Path) else list(synthetic)
    if graded is not None:
        roots.append(_graded(recipe, real, graded, out / "training" / recipe.name / "graded"))
    material = gather(recipe, roots, real, progress, start)
    name = f"{recipe.name}-{material.digest}"
    if catalogue.has(out, item.COLLECTION, name):
        return out / item.COLLECTION / name / f"{name}.json"
    folder = out / "training" / recipe.name
    if restart:
        (folder / "checkpoint.safetensors").unlink(missing_ok=True)
    fabric = _fabric(recipe)
    state = fit(fabric, material, folder, progress)
    if fabric.is_global_zero:
        item.publish(_trained(name, material, state), out)
        (folder / "checkpoint.safetensors").unlink(missing_ok=True)
    fabric.barrier()
    return out / item.COLLECTION / name / f"{name}.json"


def _graded(recipe: Recipe, real: Path | None, gradings: Path, out: Path) -> Path:
    if real is None:
        raise CatalogueError(f"graded buildings ({gradings}) need the real images that show them: give --real")
    return graded_pairs.publish_pairs(real, gradings, out, bands=recipe.data.bands, gsd=recipe.data.gsd)


def gather(
    recipe: Recipe,
    roots: Sequence[Path],
    real: Path | None,
    progress: Step | None = None,
    start: Path | None = None,
) -> Material:
    """Index the pairs, hold whole places out, and measure what normalisation and class weights need."""
    data = recipe.data
    whole = tally.index(roots, bands=data.bands, gsd=data.gsd, progress=progress)
    training, validation = tally.split(whole, data.holdout)
    tally.check_classes(training)
    first = None if start is None else models.load(catalogue.read_item(start))
    mean, std = chips.statistics(training, recipe.seed) if first is None else _scaling(first)
    looks = None
    if real is not None and recipe.style.method != "none":
        pre, post = pairs.unlabelled(real, bands=data.bands)
        looks = Looks(pre=pre, post=post, gsd=data.gsd)
    totals = training.totals()
    return Material(
        recipe=recipe,
        training=training,
        validation=validation,
        mean=mean,
        std=std,
        weights=losses.class_weights([totals[grade] for grade in GRADES], recipe.loss.balance),
        looks=looks,
        target=_target(recipe, real),
        start=first,
    )


def _target(recipe: Recipe, real: Path | None) -> ChipTable | None:
    if not event.wanted(recipe.event):
        return None
    if real is None:
        raise RecipeError(f"recipe {recipe.name} adapts to an event (table [event]): give its images with --real")
    return unlabelled.table(real, bands=recipe.data.bands, gsd=recipe.data.gsd)


def _scaling(model: models.LoadedModel) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return tuple(model.mean.tolist()), tuple(model.std.tolist())


def _fabric(recipe: Recipe) -> Fabric:
    """One device, or what torchrun started."""
    world, local = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    fabric = Fabric(
        accelerator="auto",
        devices=local,
        num_nodes=world // local,
        strategy="ddp" if world > 1 else "auto",
        precision=recipe.optimiser.precision,
    )
    fabric.launch()
    return fabric


def fit(fabric: Fabric, material: Material, folder: Path, progress: Step | None = None) -> State:
    """Run all steps that are not yet done; the state after the last one.

    Everything random in step k is seeded with (seed, k), so a run that was stopped ends like one that was not.
    """
    recipe, settings = material.recipe, material.recipe.optimiser
    path = folder / "checkpoint.safetensors"
    torch.manual_seed(recipe.seed)
    network = models.build(recipe)
    if recipe.network.weights == "imagenet":
        pretrained.start(network.encoder, recipe.network.encoder)
    if material.start is not None:
        _go_on(network, material.start)
    model, optimiser = fabric.setup(network, _optimiser(network, settings.learning_rate, settings.weight_decay))
    state = State(
        model=network, average=Average(network, settings.average), optimiser=optimiser.optimizer, progress=Progress()
    )
    if path.is_file():
        checkpoint.restore(path, state, recipe=recipe, run=material.digest)
    done = state.progress
    writer = SummaryWriter(str(folder / "tensorboard"), purge_step=done.step) if fabric.is_global_zero else None
    with closing(_stream(fabric, material, done.step)) as stream:
        for step in range(done.step, settings.steps):
            started = time.perf_counter()
            batch = next(stream)
            waited = time.perf_counter() - started
            rate = learning_rate(recipe, step)
            for group in optimiser.param_groups:
                group["lr"] = rate
            model.train()
            terms = batch_losses(model, batch, material, seed=_seed(recipe.seed, step, fabric.global_rank))
            fabric.backward(terms["total"])
            fabric.clip_gradients(model, optimiser, max_norm=settings.clip)
            optimiser.step()
            optimiser.zero_grad()
            state.average.update(network, step)
            done.losses.append(_numbers(terms, step, rate))
            done.step, done.waited = step + 1, done.waited + waited
            done.seconds += time.perf_counter() - started
            if writer is not None:
                _after(step + 1, state, material, path, writer)
            if progress:
                progress(step + 1, settings.steps, f"loss {done.losses[-1][0]:.3f}")
    if writer is not None:
        writer.close()
    return state


def _go_on(network: nn.Module, start: models.LoadedModel) -> None:
    try:
        network.load_state_dict(start.model.state_dict())
    except RuntimeError as error:
        raise ModelError(
            f"model {start.id} has another network than the recipe: give its own ({start.recipe.network.encoder})"
        ) from error


def _stream(fabric: Fabric, material: Material, start: int) -> Any:
    recipe = material.recipe
    return chips.batches(
        material.training,
        edge=recipe.data.size + 2 * recipe.data.margin,
        batch=recipe.optimiser.batch,
        seed=recipe.seed,
        sampling=Sampling(kind="balanced", ignored=(0,), background=recipe.data.background, reuse=recipe.data.reuse),
        start=start,
        shard=(fabric.global_rank, fabric.world_size),
        looks=material.looks,
    )


def _optimiser(model: nn.Module, rate: float, decay: float) -> torch.optim.AdamW:
    """AdamW; biases and norms are not decayed."""
    groups = [
        {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in model.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=rate, fused=True)


def learning_rate(recipe: Recipe, step: int) -> float:
    """Rate of a step: a linear rise, then half a cosine."""
    settings = recipe.optimiser
    rise = settings.warmup * settings.steps
    if step < rise:
        return settings.learning_rate * (START + (1 - START) * step / rise)
    along = (step - rise) / max(1.0, settings.steps - 1 - rise)
    return settings.learning_rate * (END + (1 - END) * (1 + math.cos(math.pi * along)) / 2)


def _seed(*parts: int) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))


def batch_losses(model: nn.Module, batch: Batch, material: Material, *, seed: int) -> dict[str, Tensor]:
    """Augment a batch, run the network on it, and take the losses; `seed` decides all that is random."""
    recipe = material.recipe
    mean, std, weights = (torch.tensor(row) for row in (material.mean, material.std, material.weights))
    device = next(model.parameters()).device
    torch.manual_seed(seed)  # for dropout, if the encoder has any
    chance = Chance(generator=Generator(device).manual_seed(seed), chips=len(batch["mask"]))

    def restyle(images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        looks = batch["look"][..., :height, :width].to(device).flatten(0, 1)
        return style.transfer(images, looks, settings=recipe.style, chance=chance)

    changed = augment.augment(
        augment.Chips(*(batch[key].to(device, non_blocking=True) for key in ("image", "mask", "valid"))),
        size=recipe.data.size,
        settings=recipe.augment,
        chance=chance,
        restyle=restyle if "look" in batch else None,
    )
    image = models.blank(models.normalise(changed.image, mean.to(device), std.to(device)), changed.valid)
    return losses.total(model(image), changed.mask, changed.valid, weights=weights.to(device), loss=recipe.loss)


def _numbers(terms: Mapping[str, Tensor], step: int, rate: float) -> tuple[float, ...]:
    numbers = tuple(float(terms[term].detach()) for term in TERMS)
    if not math.isfinite(numbers[0]):
        raise ModelError(
            f"the loss is {numbers[0]} at step {step + 1} (learning rate {rate:.2g}): lower optimiser.learning_rate,"
            " and start anew with --restart if the checkpoint is bad too"
        )
    return numbers


def _after(step: int, state: State, material: Material, path: Path, writer: SummaryWriter) -> None:
    """Log, validate and checkpoint where the recipe says so; always after the last step."""
    run, last = material.recipe.run, step == material.recipe.optimiser.steps
    for term, value in zip(TERMS, state.progress.losses[-1], strict=True):
        writer.add_scalar(f"loss/{term}", value, step)
    if last or step % run.validate_every == 0:
        figures = {"step": step, **validate(state.average.shadow, material)}
        state.progress.validation.append(figures)
        for key, value in figures.items():
            if isinstance(value, float):
                writer.add_scalar(f"held out/{key}", value, step)
    if last or step % run.checkpoint_every == 0:
        checkpoint.save(path, state, recipe=material.recipe, run=material.digest)


def validate(model: nn.Module, material: Material) -> dict[str, Any]:
    """Figures of a network on the held-out places, unaugmented, per pixel; None where undefined."""
    return held_out.measured(_held_out(model, material))


def _held_out(model: nn.Module, material: Material) -> Iterator[held_out.Said]:
    mean, std = torch.tensor(material.mean), torch.tensor(material.std)
    return held_out.outputs(model, material.validation, material.recipe, mean, std)


def _trained(name: str, material: Material, state: State) -> item.Trained:
    done, recipe, network = state.progress, material.recipe, state.average.shadow
    calibrated = calibration.measure(_held_out(network, material))
    fitted = _fitted(network, calibrated.temperatures, material)
    split = {"training": material.training, "validation": material.validation}
    return item.Trained(
        id=name,
        recipe=recipe,
        weights=network.state_dict(),
        parameters=sum(p.numel() for p in state.model.parameters()),
        mean=material.mean,
        std=material.std,
        sources=[source for part in split.values() for pair in part.pairs for source in pair.items],
        losses=done.losses,
        validation=done.validation,
        temperatures=calibrated.temperatures,
        offsets=fitted.offsets,
        record={
            "items": {key: [source.id for pair in part.pairs for source in pair.items] for key, part in split.items()},
            "places": {key: sorted({pair.place for pair in part.pairs}) for key, part in split.items()},
            "pixels_by_grade": {key: dict(zip("1234", part.totals()[1:5], strict=True)) for key, part in split.items()},
            "checkpoint": "the average of the weights after the last step; no figure chose it",
            "validation": done.validation,
            "calibration_error": {"before": calibrated.before, "after": calibrated.after},
            **({"event": fitted.record} if fitted.record else {}),
            "seconds": round(done.seconds, 1),
            "pairs_per_second": round(len(done.losses) * recipe.optimiser.batch / max(done.seconds, 1e-9), 2),
            "waiting_for_chips": round(done.waited / max(done.seconds, 1e-9), 4),
        },
    )


def _fitted(network: nn.Module, temperatures: calibration.Temperatures, material: Material) -> event.Fitted:
    """Fit the network to the event, if the recipe asks for it."""
    settings = material.recipe.event
    if material.target is None or not event.wanted(settings):
        return event.Fitted(offsets=calibration.Offsets(), record={})
    mean, std = torch.tensor(material.mean), torch.tensor(material.std)
    windows = event.windows(material.target, material.recipe, mean, std)
    return event.fit(network, temperatures, settings, held_out=_held_out(network, material), real=windows)
