"""Mean teacher: the average of the weights so far labels real pairs, on which the network then learns.

Self-training as DAFormer does it (Hoyer, Dai and Van Gool 2022, arXiv 2111.14887), on pairs of images: half of the
classes of a rendered pair are pasted over a real one (DACS), the mixed pair is strongly augmented, and real pixels
count by the share of them of which the teacher (Tarvainen and Valpola 2017, arXiv 1703.01780) is sure. Rare classes are
drawn more often by `self_training.rarity`. Its feature distance to ImageNet is left out.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from mage_stac.adapt import augment, mixing
from mage_stac.adapt.augment import Chips
from mage_stac.adapt.methods import Moment
from mage_stac.classes import NOT_OBSERVED
from mage_stac.models import together

BUILDING = 0.5


def term(moment: Moment) -> Tensor:
    """Weighted loss of the mixed pairs; rises from 0 over the first `rise` of the steps."""
    settings = moment.recipe.self_training
    labels, sure = pseudo(moment, settings.threshold)
    strong = augment.photometric(moment.target.image.flatten(0, 1), moment.recipe.augment, moment.chance)
    under = moment.target._replace(image=strong.reshape(moment.target.image.shape), mask=labels)
    where = mixing.pasted(moment.source.mask, moment.source.valid, settings.spread, moment.chance)
    chips = mixing.mixed(moment.source, under, where)
    trust = torch.where(where[:, None], 1.0, sure[:, :, None, None])
    loss = trusted(moment.student(moment.normalise(chips)), chips, trust, moment.weights)
    ramp = min(1.0, moment.progress / settings.rise) if settings.rise else 1.0
    return settings.weight * ramp * loss


@torch.no_grad()
def pseudo(moment: Moment, threshold: float) -> tuple[Tensor, Tensor]:
    """What the teacher says of the real pairs.

    Returns:
        Damage classes (B, H, W) int64, 255 where not observed; and (B, 2) the share of pixels whose building, and of
        building pixels whose grade, is more probable than `threshold`.
    """
    outputs = moment.teacher(moment.normalise(moment.target))
    p = torch.sigmoid(outputs["building"][:, 0].float())
    grades = torch.softmax(outputs["damage"].float(), dim=1)
    there = p >= BUILDING
    seen = moment.target.valid
    labels = torch.where(there, grades.argmax(1) + 1, 0)
    sure = torch.stack(
        [_share(torch.maximum(p, 1 - p) > threshold, seen), _share(grades.amax(1) > threshold, seen & there)], dim=1
    )
    return torch.where(seen, labels, NOT_OBSERVED), sure


def _share(what: Tensor, of: Tensor) -> Tensor:
    """(B,) of the pixels `of`, how many are `what`; 0 where there are none."""
    return (what & of).flatten(1).sum(1) / of.flatten(1).sum(1).clamp(min=1)


def trusted(outputs: dict[str, Tensor], chips: Chips, trust: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy of both heads, each pixel's by how far its label is trusted; over all processes.

    Args:
        outputs: logits of both heads.
        chips: with labels.
        trust: (B, 2, H, W) 0..1, of the building and of the grade.
        weights: (4,) of the grades.
    """
    seen = chips.valid & (chips.mask < mixing.CLASSES)
    built = seen & (chips.mask > 0)
    entropy = functional.binary_cross_entropy_with_logits(
        outputs["building"][:, 0].float(), built.float(), reduction="none"
    )
    target = torch.where(built, chips.mask - 1, 0)
    wrong = functional.cross_entropy(outputs["damage"].float(), target, reduction="none")
    weight = torch.where(built, weights.to(wrong)[target], 0.0)
    sums = together.summed(
        torch.stack([(entropy * trust[:, 0] * seen).sum(), (wrong * trust[:, 1] * weight).sum()])
    ) / together.summed(torch.stack([seen.sum().float(), weight.sum()])).clamp(min=1e-6)
    return sums.sum()
