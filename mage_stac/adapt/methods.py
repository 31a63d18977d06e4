"""Methods: what a recipe adds to the loss of each step from unlabelled real pairs. The training loop asks here only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from mage_stac.adapt.augment import Chips
from mage_stac.adapt.chance import Chance
from mage_stac.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One step of training, as a method sees it."""

    recipe: Recipe
    progress: float
    """Share of the steps that are done, 0..1."""
    student: nn.Module
    """Learns: normalised images (B, 2, C, H, W) -> logits of both heads."""
    teacher: nn.Module
    """The moving average of the student, in evaluation mode."""
    source: Chips
    """Labelled, augmented; image 0..1."""
    target: Chips
    """Unlabelled real pairs, cut and turned as the source is, but in their own light; mask 255 everywhere."""
    weights: Tensor
    """(4,) of grades 1..4 in the loss."""
    normalise: Callable[[Chips], Tensor]
    """Images 0..1 -> what the networks are fed."""
    chance: Chance


Method = Callable[[Moment], Tensor]
"""A term of the loss, weighted, a scalar."""


def chosen(recipe: Recipe) -> Mapping[str, Method]:
    """The methods that a recipe asks for, by the name of their table."""
    from mage_stac.adapt import consistency, mean_teacher

    every: Mapping[str, tuple[float, Method]] = {
        "self_training": (recipe.self_training.weight, mean_teacher.term),
        "consistency": (recipe.consistency.weight, consistency.term),
    }
    return {name: method for name, (weight, method) in every.items() if weight > 0}
