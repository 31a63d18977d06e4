"""Batch norm: a network's normalisation statistics taken from real images instead of rendered ones.

AdaBN: Li et al. 2018, Adaptive Batch Normalization for practical domain adaptation, Pattern Recognition 80 (arXiv
1603.04779). Mixing both statistics: Schneider et al. 2020, Improving robustness against common corruptions by
covariate shift adaptation (arXiv 2006.16971).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mage_stac.errors import ModelError


@dataclass(slots=True)
class Moments:
    """Mean and variance of each channel over everything added, by the update of Chan et al. (1979)."""

    count: int = 0
    mean: Tensor | None = None
    """(C,) float64"""
    squares: Tensor | None = None
    """(C,) float64: sum of squared distances from the mean."""

    def add(self, values: Tensor) -> None:
        """Add features (N, C, ...)."""
        rows = values.detach().transpose(0, 1).flatten(1).double()
        count, mean = rows.shape[1], rows.mean(dim=1)
        squares = (rows - mean[:, None]).square().sum(dim=1)
        if self.mean is None or self.squares is None:
            self.count, self.mean, self.squares = count, mean, squares
            return
        total, gap = self.count + count, mean - self.mean
        self.squares = self.squares + squares + gap.square() * (self.count * count / total)
        self.mean = self.mean + gap * (count / total)
        self.count = total


@torch.no_grad()
def adapt(network: nn.Module, batches: Iterable[Tensor], share: float = 1.0) -> int:
    """Move the running statistics of every batch norm towards those of the features that images cause.

    While they are measured, every layer normalises each batch by its own statistics, as in training.

    Args:
        network: changed in place; its mode stays.
        batches: normalised inputs of the network.
        share: of the new statistics, 0..1; 1 is AdaBN.

    Returns:
        The number of layers changed; 0 for a network without batch norm, which is then left as it is.

    Raises:
        ModelError: no batch, though there are layers to change, or one whose deepest features are a single value.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, _BatchNorm) and layer.track_running_stats]
    if not layers or share == 0:
        return 0
    found = [Moments() for _ in layers]
    with _measuring(network, layers, found):
        for batch in batches:
            try:
                network(batch)
            except ValueError as error:  # torch's: the deepest features of one small window are a single value
                raise ModelError(
                    f"batch norm cannot be adapted to {len(batch)} window of {batch.shape[-1]} px at a time: look at"
                    " more (event.chips, --chips)"
                ) from error
    for layer, moments in zip(layers, found, strict=True):
        if moments.mean is None or moments.squares is None or moments.count < 2:
            raise ModelError("batch norm cannot be adapted: there is no real image to take its statistics from")
        layer.running_mean.lerp_(moments.mean.to(layer.running_mean), share)  # type: ignore[union-attr] # tracked
        variance = moments.squares / (moments.count - 1)
        layer.running_var.lerp_(variance.to(layer.running_var), share)  # type: ignore[union-attr] # tracked
    return len(layers)


@contextmanager
def _measuring(network: nn.Module, layers: list[_BatchNorm], found: list[Moments]) -> Iterator[None]:
    """Layers normalise by each batch, keep their running statistics, and report what they are given."""
    modes = [(module, module.training) for module in network.modules()]
    momenta = [layer.momentum for layer in layers]
    counters = [layer.num_batches_tracked.clone() for layer in layers if layer.num_batches_tracked is not None]

    def reporter(moments: Moments) -> Any:
        return lambda _, inputs: moments.add(inputs[0])

    hooks = [layer.register_forward_pre_hook(reporter(one)) for layer, one in zip(layers, found, strict=True)]
    try:
        network.eval()
        for layer in layers:
            layer.train()
            layer.momentum = 0.0
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        for layer, counter in zip(layers, counters, strict=False):
            layer.num_batches_tracked = counter
        for module, mode in modes:
            module.training = mode
