"""Exponential moving average of a network's weights: less noisy than the last step's."""

from __future__ import annotations

import copy

import torch
from torch import nn


class Average:
    """A shadow of a network that follows it slowly; batch-norm statistics follow too."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        """Start from the model as it is, on the device where it stays."""
        self.shadow = copy.deepcopy(model).eval().requires_grad_(requires_grad=False)
        self.decay = decay
        every = list(zip(self.shadow.state_dict().values(), model.state_dict().values(), strict=True))
        self._ours, self._theirs = ([pair[i] for pair in every if pair[0].is_floating_point()] for i in (0, 1))
        self._counters = [pair for pair in every if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move towards the model after step number `step`, faster at first so that the random start is forgotten."""
        follow = 1 - min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._ours, self._theirs, follow)
        for ours, theirs in self._counters:
            ours.copy_(theirs)
