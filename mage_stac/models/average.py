"""Exponential moving average of a network's weights: less noisy than the last step's."""

from __future__ import annotations

import copy

import torch
from torch import nn


class Average:
    """A shadow of a network that follows it slowly; batch-norm statistics follow too."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.shadow = copy.deepcopy(model).eval().requires_grad_(requires_grad=False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move towards `model` after step number `step`, faster at first so that the random start is forgotten."""
        follow = 1 - min(self.decay, (1 + step) / (10 + step))
        ours, theirs = self.shadow.state_dict(), model.state_dict()
        floats = [key for key, value in ours.items() if value.is_floating_point()]
        torch._foreach_lerp_([ours[key] for key in floats], [theirs[key] for key in floats], follow)
        for key in ours.keys() - set(floats):
            ours[key].copy_(theirs[key])
