"""Consistency: what is surely a building in a real image before the event is one under other light too.

FixMatch (Sohn et al. 2020, arXiv 2001.07685) for the head that looks at a single image: the network's own answer on
the image as it is, where it is sure, labels a strongly augmented copy of it.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from mage_stac.adapt import augment
from mage_stac.adapt.methods import Moment
from mage_stac.models import together


def term(moment: Moment) -> Tensor:
    """Weighted loss of the building head; pixels of which it is not sure count as 0."""
    settings = moment.recipe.consistency
    with torch.no_grad():
        p = torch.sigmoid(moment.student(moment.normalise(moment.target))["building"][:, 0].float())
    sure = (torch.maximum(p, 1 - p) > settings.threshold) & moment.target.valid
    images = augment.photometric(moment.target.image.flatten(0, 1), moment.recipe.augment, moment.chance)
    strong = moment.target._replace(image=images.reshape(moment.target.image.shape))
    logits = moment.student(moment.normalise(strong))["building"][:, 0].float()
    wrong = functional.binary_cross_entropy_with_logits(logits, (p >= 0.5).float(), reduction="none")
    sums = together.summed(torch.stack([(wrong * sure).sum(), moment.target.valid.sum().float()]))
    return settings.weight * sums[0] / sums[1].detach().clamp(min=1)
