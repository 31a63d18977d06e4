"""Losses of the two heads; a pixel that is not valid has no part in any of them.

Means are taken over the chips of all processes that train together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from mage_stac.classes import GRADES, NOT_OBSERVED
from mage_stac.models import together
from mage_stac.recipe import Loss

LITTLE = 1e-9
"""Stands for no weight at all."""


def class_weights(counts: Sequence[int], balance: float) -> tuple[float, ...]:
    """Weight of each class: frequency ** -balance, scaled to a mean of 1 over the pixels.

    Args:
        counts: pixels of each class; a class without pixels gets weight 0.
        balance: 0 weighs pixels alike, 1 weighs classes alike.
    """
    total = sum(counts)
    raw = [(count / total) ** -balance if count else 0.0 for count in counts]
    mean = sum(weight * count for weight, count in zip(raw, counts, strict=True)) / total
    return tuple(weight / mean for weight in raw)


def total(
    outputs: Mapping[str, Tensor],
    mask: Tensor,
    valid: Tensor,
    *,
    weights: Tensor,
    loss: Loss,
    lost: Tensor | None = None,
) -> dict[str, Tensor]:
    """All terms and their weighted sum, scalars, under `total`, `building`, `damage`, `ordinal` and, if asked, `lost`.

    Args:
        outputs: logits, `building` (B, 1, H, W) and `damage` (B, 4, H, W); `lost` (B, 1, H, W) if its truth is given.
        mask: (B, H, W) int64 damage classes 0..4, 255 not observed.
        valid: (B, H, W) bool, True = observed.
        weights: (4,) class weights of grades 1..4.
        loss: the recipe's weights and exponents.
        lost: (B, H, W) uint8 as in `augment.Chips`.
    """
    seen = valid & (mask != NOT_OBSERVED)
    grades = dilate(mask, seen, loss.dilation)
    terms = {
        "building": building(outputs["building"][:, 0], (mask > 0) & seen, seen),
        "damage": damage(outputs["damage"], grades, weights, loss.focal),
        "ordinal": ordinal(outputs["damage"], grades, weights),
    }
    if lost is not None:
        terms["lost"] = roof(outputs["lost"][:, 0], torch.where(seen, lost, NOT_OBSERVED))
    total = sum((getattr(loss, name) * term for name, term in terms.items()), torch.zeros(()))
    return {"total": total, **terms}


def building(logits: Tensor, target: Tensor, seen: Tensor) -> Tensor:
    """Binary cross-entropy plus Dice over the seen pixels of the batch; all (B, H, W)."""
    weight, truth = seen.to(logits.dtype), target.to(logits.dtype)
    entropy = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    share = torch.sigmoid(logits) * weight
    parts = [entropy * weight, weight, share * truth, share, truth * weight]
    wrong, number, overlap, said, built = together.summed(torch.stack([part.sum() for part in parts]))
    dice = 1 - (2 * overlap + 1) / (said + built + 1)
    loss: Tensor = wrong / number.clamp(min=1) + dice
    return loss


def dilate(mask: Tensor, seen: Tensor, radius: int) -> Tensor:
    """Grades (B, H, W) int64 1..4 spread by `radius` px over the background, 0 elsewhere and where nothing was seen.

    Where two buildings meet the higher grade wins. A building's own pixels keep their grade.
    """
    grades = torch.where(seen, mask, 0)
    if radius == 0:
        return grades
    spread = functional.max_pool2d(grades[:, None].float(), 2 * radius + 1, stride=1, padding=radius)[:, 0].long()
    return torch.where(grades > 0, grades, torch.where(seen, spread, 0))


def damage(logits: Tensor, grades: Tensor, weights: Tensor, focal: float) -> Tensor:
    """Focal cross-entropy (Lin et al. 2017) over pixels with a grade, averaged by class weight.

    Args:
        logits: (B, 4, H, W).
        grades: (B, H, W) int64 1..4, 0 where none.
        weights: (4,).
        focal: exponent gamma.
    """
    log_p, target = _picked(logits, grades)
    log_pt = log_p.gather(1, target[:, None])[:, 0]
    weight = weights.to(log_p)[target]
    return _mean(-((1 - log_pt.exp()) ** focal) * log_pt, weight)


def roof(logits: Tensor, lost: Tensor) -> Tensor:
    """Binary cross-entropy of what is lost, means over lost and over whole pixels alike; logits and truth (B, H, W)."""
    gone, whole = lost == 1, lost == 0
    wrong = functional.binary_cross_entropy_with_logits(logits.float(), gone.float(), reduction="none")
    sums = together.summed(torch.stack([(wrong * where).sum() for where in (gone, whole)] + [gone.sum(), whole.sum()]))
    return 0.5 * (sums[:2] / sums[2:].clamp(min=1)).sum()


def ordinal(logits: Tensor, grades: Tensor, weights: Tensor) -> Tensor:
    """Squared earth mover's distance between predicted and true grade (Hou et al. 2016), 0..3, same arguments."""
    log_p, target = _picked(logits, grades)
    steps = torch.arange(len(GRADES), device=target.device)
    truth = (steps >= target[:, None]).to(log_p)
    distance = (log_p.exp().cumsum(1) - truth).square().sum(1)
    weight = weights.to(log_p)[target]
    return _mean(distance, weight)


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean (N,) over the pixels of all processes; 0 of none."""
    total, weights = together.summed(torch.stack([(weight * values).sum(), weight.sum()]))
    mean: Tensor = total / weights.clamp(min=LITTLE)
    return mean


def _picked(logits: Tensor, grades: Tensor) -> tuple[Tensor, Tensor]:
    """Log probabilities (N, 4) and class indices (N,) 0..3 of the pixels that have a grade."""
    here = grades > 0
    return functional.log_softmax(logits.movedim(1, -1)[here].float(), dim=1), grades[here] - 1
