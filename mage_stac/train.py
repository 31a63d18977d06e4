"""Training: from labelled pairs to a model Item, by one explicit loop on Lightning Fabric."""

from __future__ import annotations

import math
import os
import shutil
import sys
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from lightning.fabric.strategies.ddp import DDPStrategy
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from mage_stac import catalogue, chips, folders, models
from mage_stac.adapt import built, event, methods
from mage_stac.adapt.step import Learner
from mage_stac.curves import TERMS
from mage_stac.errors import ModelError, RecipeError
from mage_stac.graded import Outlines
from mage_stac.loader import Access, Batch
from mage_stac.material import Material, gather, graded_pairs
from mage_stac.models import calibration, checkpoint, held_out, item, pretrained, together
from mage_stac.models.average import Average
from mage_stac.models.checkpoint import Progress, State
from mage_stac.progress import Step
from mage_stac.recipe import Recipe
from mage_stac.samplers import Sampling
from mage_stac.unread import Unread

START, END = 1 / 25, 1 / 1000
"""Learning rate at the first and the last step, as shares of the highest (one-cycle: Smith and Topin 2018)."""


def train(
    recipe: Recipe,
    synthetic: Path | Sequence[Path],
    out: Path,
    *,
    real: Path | None = None,
    graded: Outlines | None = None,
    start: Path | None = None,
    restart: bool = False,
    progress: Step | None = None,
) -> Path:
    """Train the recipe's network on labelled pairs and publish it as a model Item.

    A run that was stopped goes on from its last checkpoint, OUT/training/<recipe name>/checkpoint.safetensors; a
    finished one is not repeated. Under torchrun every process takes its part of each batch. An asset that cannot be
    read costs a line in the log and its own chips.

    Args:
        recipe: decides everything.
        synthetic: catalogues of labelled pairs.
        out: the models catalogue.
        real: a catalogue of unlabelled real images, whose look the pairs may borrow.
        graded: outlines of buildings in `real` with their grades (graded.publish_pairs): as many chips show them
            as show any one hazard that was rendered.
        start: a model Item whose weights to go on from.
        restart: forget an unfinished run of this recipe's name.
        progress: called after every step.

    Returns:
        Path of the model Item's JSON.

    Raises:
        CatalogueError: no labelled pairs, nothing observed or to learn in them, fewer than two places, no real images,
            or `out` cannot be written.
        AssetError: an Item lacks an asset or band, or nothing can be read any more.
        GridError: a pair's rasters lie on different grids.
        RecipeError: the recipe does not fit the pairs or needs real images, or an unfinished run of its name is of
            another recipe.
        ModelError: the loss is no longer a number.
    """
    roots = [synthetic] if isinstance(synthetic, Path) else list(synthetic)
    folder = out / "training" / recipe.name
    fabric, unread = _fabric(recipe), Unread()
    with fabric.rank_zero_first():
        if fabric.is_global_zero:
            folders.check_writable(out)
        if graded is not None:
            roots.append(graded_pairs(recipe, real, graded, folder / "graded"))
        material = gather(recipe, roots, real, progress, start, unread)
    name = f"{recipe.name}-{material.digest}"
    made = catalogue.has(out, item.COLLECTION, name)
    fabric.barrier()
    if made:
        return out / item.COLLECTION / name / f"{name}.json"
    if restart and fabric.is_global_zero:
        (folder / "checkpoint.safetensors").unlink(missing_ok=True)
    fabric.barrier()
    state = fit(fabric, material, folder, progress)
    if fabric.is_global_zero:
        item.publish(_trained(name, material, state, unread), out)
        (folder / "checkpoint.safetensors").unlink(missing_ok=True)
    fabric.barrier()
    return out / item.COLLECTION / name / f"{name}.json"


def _fabric(recipe: Recipe) -> Fabric:
    """One device, or what torchrun started."""
    world, local = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    fabric = Fabric(
        accelerator="auto",
        devices=local,
        num_nodes=world // local,
        strategy=DDPStrategy(broadcast_buffers=False) if world > 1 else "auto",  # batch norms are shared already
        precision=recipe.optimiser.precision,
    )
    fabric.launch()
    return fabric


def fit(fabric: Fabric, material: Material, folder: Path, progress: Step | None = None) -> State:
    """Run all steps that are not yet done; the state after the last one.

    Everything random in step k is seeded with (seed, k), so a run that was stopped ends like one that was not, and one
    in several processes like one in a single one.
    """
    recipe, settings = material.recipe, material.recipe.optimiser
    path = folder / "checkpoint.safetensors"
    network = _network(material, fabric.world_size)
    made = _optimiser(network, settings.learning_rate, settings.weight_decay)
    model, optimiser = fabric.setup(_compiled(network, recipe), made)
    state = State(
        model=network, average=Average(network, settings.average), optimiser=optimiser.optimizer, progress=Progress()
    )
    if path.is_file():
        checkpoint.restore(path, state, recipe=recipe, run=material.digest)
    fabric.barrier()
    done = state.progress
    learner = Learner(fabric=fabric, model=model, teacher=state.average.shadow, material=material)
    writer = SummaryWriter(str(folder / "tensorboard"), purge_step=done.step) if fabric.is_global_zero else None
    access = Access(cache=folder.parent / "pixels" if recipe.run.cache else None, on_problem=material.on_problem)
    with closing(_stream(fabric, material, done.step, access)) as stream:
        for step in range(done.step, settings.steps):
            started = time.perf_counter()
            batch, target = next(stream)
            waited = time.perf_counter() - started
            rate = learning_rate(recipe, step)
            for group in optimiser.param_groups:
                group["lr"] = rate
            terms = learner.gradients(batch, target, step)
            fabric.clip_gradients(model, optimiser, max_norm=settings.clip)
            optimiser.step()
            optimiser.zero_grad()
            state.average.update(step)
            done.losses.append(_numbers(terms, step, rate))
            done.step, done.waited = step + 1, done.waited + waited
            done.seconds += time.perf_counter() - started
            if writer is not None:
                _after(step + 1, state, material, path, writer, terms)
            if progress:
                progress(step + 1, settings.steps, f"loss {done.losses[-1][0]:.3f}")
    if writer is not None:
        writer.close()
    return state


def _waiting(done: Progress) -> float:
    """Share of the steps' time in which no batch was ready, 0..1."""
    return done.waited / max(done.seconds, 1e-9)


def _network(material: Material, processes: int) -> nn.Module:
    recipe = material.recipe
    torch.manual_seed(recipe.seed)
    network = models.build(recipe)
    if recipe.network.weights == "imagenet":
        for encoder in (network.encoder, getattr(network, "post_encoder", None)):  # one encoder if it sees one date
            if encoder is not None:
                pretrained.start(encoder, recipe.network.encoder)
    if material.start is not None:
        _go_on(network, material.start)
    if processes > 1:
        together.share_batch_norms(network)
    return network


def _compiled(network: nn.Module, recipe: Recipe) -> nn.Module:
    """Translated if the recipe asks for it; what cannot be translated runs as it is.

    Raises:
        RecipeError: there is nothing to translate with.
    """
    if not recipe.run.compile:
        return network
    compiler = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")  # as torch looks for it
    if shutil.which(compiler) is None:
        raise RecipeError(
            f"run.compile = true needs a C++ compiler, and {compiler} is not found: install it, or leave compile out"
        )
    torch._dynamo.config.suppress_errors = True  # noqa: SLF001 - its documented switch
    compiled: nn.Module = torch.compile(network)  # type: ignore[assignment] # callable like the module it wraps
    return compiled


def _go_on(network: nn.Module, start: models.LoadedModel) -> None:
    try:
        network.load_state_dict(start.model.state_dict())
    except RuntimeError as error:
        raise ModelError(
            f"model {start.id} has another network than the recipe: give its own ({start.recipe.network.encoder})"
        ) from error


def _stream(
    fabric: Fabric, material: Material, start: int, access: Access
) -> Generator[tuple[Batch, Batch | None], None, None]:
    """Labelled batches, each with one of unlabelled real pairs if a method learns from them."""
    recipe, data = material.recipe, material.recipe.data
    edge, batch, seed = data.size + 2 * data.margin, recipe.optimiser.batch, recipe.seed
    shard = fabric.global_rank, fabric.world_size
    rarity = recipe.self_training.rarity if recipe.self_training.weight else 0.0
    labelled = chips.batches(
        material.training,
        edge=edge,
        batch=batch,
        seed=seed,
        sampling=Sampling(kind="balanced", ignored=(0,), background=data.background, reuse=data.reuse, rarity=rarity),
        start=start,
        shard=shard,
        access=access,
    )
    if material.looks is not None:
        labelled = chips.lent(
            labelled, material.looks, edge=data.size, batch=batch, seed=seed, start=start, shard=shard
        )
    with closing(labelled):
        if material.target is None or not methods.chosen(recipe):
            yield from ((batch, None) for batch in labelled)
            return
        real = chips.unlabelled(
            material.target, edge=edge, batch=batch, seed=seed, start=start, shard=shard, access=access
        )
        with closing(real):
            yield from zip(labelled, real, strict=False)


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


def _numbers(terms: Mapping[str, Tensor], step: int, rate: float) -> tuple[float, ...]:
    numbers = tuple(float(terms[term]) for term in TERMS)
    if not math.isfinite(numbers[0]):
        raise ModelError(
            f"the loss is {numbers[0]} at step {step + 1} (learning rate {rate:.2g}): lower optimiser.learning_rate,"
            " and start anew with --restart if the checkpoint is bad too"
        )
    return numbers


def _after(
    step: int, state: State, material: Material, path: Path, writer: SummaryWriter, terms: Mapping[str, Tensor]
) -> None:
    """Log, validate and checkpoint where the recipe says so; always after the last step."""
    run, last = material.recipe.run, step == material.recipe.optimiser.steps
    for term, loss in terms.items():
        writer.add_scalar(f"loss/{term}", float(loss), step)
    writer.add_scalar("waiting for chips", _waiting(state.progress), step)
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
    return held_out.outputs(model, material.validation, material.recipe, mean, std, material.on_problem)


def _trained(name: str, material: Material, state: State, unread: Unread) -> item.Trained:
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
            "waiting_for_chips": round(_waiting(done), 4),
            **unread.record(),
        },
    )


def _fitted(network: nn.Module, temperatures: calibration.Temperatures, material: Material) -> event.Fitted:
    """Fit the network to the event, if the recipe asks for it."""
    settings = material.recipe.event
    if material.target is None or not event.wanted(settings):
        return event.Fitted(offsets=calibration.Offsets(), record={})
    twin = built.share((material.training, material.validation), material.target) if settings.built else None
    mean, std = torch.tensor(material.mean), torch.tensor(material.std)
    try:
        windows = event.windows(material.target, material.recipe, mean, std)
    except ModelError as problem:
        if event.more(settings):
            raise
        return event.Fitted(offsets=calibration.Offsets(), record={"built": str(problem)})
    said = _held_out(network, material)
    return event.fit(network, temperatures, settings, held_out=said, real=windows, twin=twin)
