"""Consistency: what is surely a building, or water, in a real image is so under other light too.

FixMatch (Sohn et al. 2020, arXiv 2001.07685) for heads that look at a single image: the network's own answer on the
image as it is, where it is sure, labels a strongly augmented copy of it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from mage_stac.adapt import augment
from mage_stac.adapt.augment import Chips
from mage_stac.adapt.chance import Chance
from mage_stac.adapt.methods import Moment
from mage_stac.models import together
from mage_stac.recipe import Recipe


def term(moment: Moment) -> Tensor:
    """Weighted loss of the building head on the images before the event."""
    return matched(
        lambda chips: moment.student(moment.normalise(chips))["building"][:, :1],
        moment.target,
        recipe=moment.recipe,
        chance=moment.chance,
    )


def matched(answer: Callable[[Chips], Tensor], target: Chips, *, recipe: Recipe, chance: Chance) -> Tensor:
    """Weighted loss of the answers under other light against those without; pixels of unsure ones count as 0.

    Args:
        answer: the network, chips -> logits (B, D, H, W) of the first D dates.
        target: unlabelled real chips, images 0..1 in their own light.
        recipe: its `consistency` and `augment`.
        chance: draws the light.
    """
    settings = recipe.consistency
    with torch.no_grad():
        p = torch.sigmoid(answer(target).float())
    seen = target.valid[:, None].expand_as(p)
    sure = (torch.maximum(p, 1 - p) > settings.threshold) & seen
    images = augment.photometric(target.image.flatten(0, 1), recipe.augment, chance)
    logits = answer(target._replace(image=images.reshape(target.image.shape))).float()
    wrong = functional.binary_cross_entropy_with_logits(logits, (p >= 0.5).float(), reduction="none")
    sums = together.summed(torch.stack([(wrong * sure).sum(), seen.sum().float()]))
    return settings.weight * sums[0] / sums[1].detach().clamp(min=1)
