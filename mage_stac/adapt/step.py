"""Step: the gradients of one batch, in as many parts as memory asks for; the methods' terms beside the labels'."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Generator, Tensor, nn

from mage_stac import graded, models
from mage_stac.adapt import augment, methods, partial, style
from mage_stac.adapt.augment import Chips
from mage_stac.adapt.chance import Chance
from mage_stac.adapt.methods import Method, Moment
from mage_stac.errors import ModelError
from mage_stac.loader import Batch
from mage_stac.material import Material
from mage_stac.models import losses

LOG = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Learner:
    """Turns batches into gradients."""

    fabric: Fabric
    model: nn.Module
    """As Fabric set it up."""
    teacher: nn.Module
    """The moving average."""
    material: Material
    parts: int = field(init=False)
    """In which a batch is learnt from; grows when memory does not suffice."""
    methods: Mapping[str, Method] = field(init=False)

    def __post_init__(self) -> None:
        self.parts = self.material.recipe.optimiser.accumulate
        self.methods = methods.chosen(self.material.recipe)

    def gradients(self, batch: Batch, target: Batch | None, step: int) -> dict[str, Tensor]:
        """Add a batch's gradients to the network's; the mean of each term of the loss, `total` among them.

        When a GPU's memory does not suffice the batch is learnt from in smaller parts, from then on.

        Raises:
            ModelError: not even one chip at a time fits, or one of several processes lacks memory.
        """
        while True:
            try:
                return self._tried(batch, target, step)
            except torch.OutOfMemoryError as error:
                self.model.zero_grad(set_to_none=True)
                self._smaller(len(batch["mask"]), error)

    def _smaller(self, size: int, error: torch.OutOfMemoryError) -> None:
        recipe = self.material.recipe
        if self.fabric.world_size > 1 or self.parts >= size:
            raise ModelError(
                f"out of memory with {max(1, size // self.parts)} chips of {recipe.data.size} px at a time: raise"
                " optimiser.accumulate, or lower optimiser.batch, data.size or the network's decoder"
            ) from error
        self.parts = min(size, 2 * self.parts)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        LOG.warning(
            "out of memory: going on with %d parts of a batch, %d chips at a time", self.parts, -(-size // self.parts)
        )

    def _tried(self, batch: Batch, target: Batch | None, step: int) -> dict[str, Tensor]:
        recipe, rank, world = self.material.recipe, self.fabric.global_rank, self.fabric.world_size
        device = next(self.model.parameters()).device
        torch.manual_seed(_seed(recipe.seed, step, rank))  # for dropout, if the encoder has any
        generator = Generator(device).manual_seed(_seed(recipe.seed, step, 0))
        chance = Chance(generator=generator, chips=len(batch["mask"]), rank=rank, world=world)
        source = labelled(batch, self.material, chance)
        real = None if target is None else unlabelled(target, self.material, chance)
        self.model.train()
        sums: dict[str, Tensor] = {}
        parts = min(self.parts, len(batch["mask"]))
        for n in range(parts):
            part = _part(source, n, parts)
            share = len(part.mask) / len(batch["mask"])
            with self.fabric.no_backward_sync(self.model, enabled=n < parts - 1):  # type: ignore[arg-type] # setup() has wrapped it
                terms = self._terms(part, real and _part(real, n, parts), chance, step)
                self.fabric.backward(terms["total"] * share)
            for name, value in terms.items():
                sums[name] = sums.get(name, 0) + value.detach() * share
        return sums

    def _terms(self, source: Chips, real: Chips | None, chance: Chance, step: int) -> dict[str, Tensor]:
        terms = batch_losses(self.model, source, self.material)
        if real is None:
            return terms
        recipe = self.material.recipe
        moment = Moment(
            recipe=recipe,
            progress=step / recipe.optimiser.steps,
            student=self.model,
            teacher=self.teacher,
            source=source,
            target=real,
            weights=torch.tensor(self.material.weights, device=source.image.device),
            normalise=lambda chips: normalised(chips, self.material),
            chance=Chance(generator=chance.generator, chips=len(real.mask), rank=chance.rank, world=chance.world),
        )
        more = {name: method(moment) for name, method in self.methods.items()}
        return {**terms, **more, "total": terms["total"] + torch.stack(list(more.values())).sum()}


def _seed(*parts: int) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _part(chips: Chips, number: int, parts: int) -> Chips:
    """Chips that follow one another: of several processes, which have every so many of them, together the same ones."""
    size = len(chips.mask)
    return augment.each(chips, lambda values: values[number * size // parts : (number + 1) * size // parts])


def _chips(batch: Batch, device: torch.device) -> Chips:
    return Chips(*(batch[key].to(device, non_blocking=True) for key in ("image", "mask", "valid")))


def labelled(batch: Batch, material: Material, chance: Chance) -> Chips:
    """A batch of labelled pairs, augmented, images 0..1."""
    recipe = material.recipe

    def restyle(images: Tensor, seen: Tensor) -> Tensor:
        looks = batch["look"].to(chance.device).flatten(0, 1)
        return style.transfer(images, looks, settings=recipe.style, chance=chance, seen=seen)

    chips = _chips(batch, chance.device)
    if recipe.network.lost:
        rendered = (not name.startswith(graded.NAME) for name in batch["item_ids"])
        chips = partial.roofs(chips, [recipe.augment.partial * one for one in rendered], chance)
    return augment.augment(
        chips,
        size=recipe.data.size,
        settings=recipe.augment,
        chance=chance,
        restyle=restyle if "look" in batch else None,
    )


def unlabelled(batch: Batch, material: Material, chance: Chance) -> Chips:
    """A batch of real pairs, cut and turned, in their own light."""
    recipe = material.recipe
    return augment.geometric(
        _chips(batch, chance.device), size=recipe.data.size, settings=recipe.augment, chance=chance
    )


def normalised(chips: Chips, material: Material) -> Tensor:
    """What the network is fed."""
    mean, std = (torch.tensor(row, device=chips.image.device) for row in (material.mean, material.std))
    return models.blank(models.normalise(chips.image, mean, std), chips.valid)


def batch_losses(model: nn.Module, chips: Chips, material: Material) -> dict[str, Tensor]:
    """Run the network on augmented labelled chips and take the losses."""
    weights = torch.tensor(material.weights, device=chips.image.device)
    outputs = model(normalised(chips, material))
    loss = material.recipe.loss
    return losses.total(outputs, chips.mask, chips.valid, weights=weights, loss=loss, lost=chips.lost)
