"""Mixing: part of the classes of one labelled pair pasted over another pair (ClassMix: Olsson et al. 2021, arXiv
2007.07936; across domains DACS: Tranheden et al. 2021, arXiv 2007.08702).

Axes: B chips, H and W pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from mage_stac.adapt.augment import Chips
from mage_stac.adapt.chance import Chance
from mage_stac.classes import NOT_OBSERVED

CLASSES = 5
"""Damage classes 0..4."""


def pasted(mask: Tensor, valid: Tensor, spread: int, chance: Chance) -> Tensor:
    """Where each chip is pasted: pixels of half of the classes that it shows, rounded up, drawn at random.

    Args:
        mask: (B, H, W) int64 classes 0..4, 255 not observed.
        valid: (B, H, W) bool.
        spread: pixels around the buildings pasted that come along: debris, shadows.
        chance: draws which classes.

    Returns:
        (B, H, W) bool; False where nothing was observed.
    """
    seen = valid & (mask < CLASSES)
    planes = functional.one_hot(torch.where(seen, mask, CLASSES), CLASSES + 1)[..., :CLASSES].movedim(-1, 1) > 0
    there = planes.flatten(2).any(2)
    order = torch.where(there, chance.uniform((len(mask), CLASSES)), 2.0).argsort(1).argsort(1)
    chosen = there & (order < (there.sum(1, keepdim=True) + 1) // 2)
    taken = planes & chosen[:, :, None, None]
    buildings = taken[:, 1:].any(1)
    if spread:
        wide = functional.max_pool2d(buildings[:, None].float(), 2 * spread + 1, stride=1, padding=spread)[:, 0] > 0
        buildings = buildings | (wide & (mask == 0))  # not over a neighbour whose class was not chosen
    return (taken[:, 0] | buildings) & seen


def mixed(over: Chips, under: Chips, where: Tensor) -> Chips:
    """`over` where `where` (B, H, W) is True, else `under`; on both dates, with label and validity.

    What roofs of `under` have lost is unknown.
    """
    return Chips(
        torch.where(where[:, None, None], over.image, under.image),
        torch.where(where, over.mask, under.mask),
        torch.where(where, over.valid, under.valid),
        None if over.lost is None else torch.where(where, over.lost, NOT_OBSERVED),
    )
