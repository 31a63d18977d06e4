"""Held out: what a network says of places that it never learnt from, and how good that is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mage_stac import chips, confusion, models, tally
from mage_stac.classes import NOT_OBSERVED
from mage_stac.recipe import Recipe
from mage_stac.tally import ChipIndex
from mage_stac.unread import Problem

Said = tuple[dict[str, Tensor], Tensor, Tensor]
"""Logits of both heads, (B, 1, H, W) and (B, 4, H, W); mask (B, H, W) of classes 0..4 and 255; valid (B, H, W) bool."""


@torch.inference_mode()
def outputs(
    network: nn.Module,
    part: ChipIndex,
    recipe: Recipe,
    mean: Tensor,
    std: Tensor,
    on_problem: Problem | None = None,
    *,
    size: int | None = None,
    limit: int | None = None,
) -> Iterator[Said]:
    """What a network in evaluation mode says of evenly spread windows, unaugmented, batch by batch.

    Args:
        network: takes normalised images.
        part: labelled pairs.
        recipe: the network's.
        mean: (C,) of its normalisation.
        std: (C,)
        on_problem: told of files that cannot be read, which are then passed over.
        size: edge of the windows, px; the recipe's unless given.
        limit: of their number; the recipe's unless given.

    Raises:
        AssetError: a file cannot be read and nobody is told, or none can.
    """
    edge, number = size or recipe.data.size, limit or recipe.run.validation_chips
    device = next(network.parameters()).device
    mean, std = mean.to(device), std.to(device)
    with closing(chips.at(part, tally.tiles(part, edge, number), edge, recipe.optimiser.batch, on_problem)) as stream:
        for batch in stream:
            image = models.blank(models.normalise(batch["image"], mean, std), batch["valid"])
            yield network(image), batch["mask"], batch["valid"]


def measured(said: Iterable[Said]) -> dict[str, Any]:
    """Figures per pixel; None where undefined."""
    matrix = np.zeros((5, 5), np.int64)
    for logits, mask, valid in said:
        predicted = models.classes(models.probabilities(logits)).cpu().numpy()
        matrix += confusion.count(np.where(valid, mask, NOT_OBSERVED), predicted)
    every = confusion.figures(matrix)
    built = matrix[1:, 1:].sum()
    union = matrix.sum() - matrix[0, 0]
    return {
        "building_iou": float(built / union) if union else None,
        "macro_f1": every.summary.macro_f1,
        "damage_recall": every.summary.damage_recall,
        "damage_f1": every.summary.damage_f1,
        "no_damage_macro_f1": every.no_damage_anywhere.macro_f1,
        "class_f1": {row.name: row.f1 for row in every.classes},
        "confusion": matrix.tolist(),
    }
