"""Together: several processes that train one network compute what one process would: sums and batch norms of all chips.

With the gradients averaged over the processes, as DistributedDataParallel does, each step is that of one process with
all chips, to rounding.
"""

from __future__ import annotations

from typing import Any

import torch
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, distributed, nn


def summed(values: Tensor) -> Tensor:
    """The sum over all processes, differentiable; the values themselves where there is but one process."""
    return _Summed.apply(values) if _several() else values


def _several() -> bool:
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


class _Summed(torch.autograd.Function):
    """What every process's loss owes to this process's values is summed on the way back."""

    @staticmethod
    def forward(_context: Any, values: Tensor) -> Tensor:
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(_context: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        distributed.all_reduce(total)
        return total


class _Shared(nn.BatchNorm2d):
    """Batch norm over the chips of all processes."""

    def normalised(self, features: Tensor) -> Tensor:
        """Features (B, C, H, W) under the statistics of all processes, scaled and shifted."""
        values = features.float()
        count = torch.full((1,), values.numel() / values.shape[1], device=values.device)
        sums = summed(torch.cat([values.sum(dim=(0, 2, 3)), count]))
        number = sums[-1].detach()
        mean = sums[:-1] / number
        centred = values - mean[:, None, None]
        variance = summed(centred.square().sum(dim=(0, 2, 3))) / number
        self._follow(mean.detach(), variance.detach() * (number / (number - 1).clamp(min=1)))
        scale = torch.rsqrt(variance + self.eps) * self.weight
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(features.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


class _SharedPlain(_Shared):
    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        return self.normalised(input) if self.training and _several() else super().forward(input)


class _SharedAct(BatchNormAct2d, _Shared):
    """timm's batch norm, which has its activation inside."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training and _several():
            out: Tensor = self.act(self.drop(self.normalised(x)))
            return out
        return super().forward(x)  # type: ignore[no-any-return, no-untyped-call] # untyped


SHARED: dict[type[nn.Module], type[nn.Module]] = {nn.BatchNorm2d: _SharedPlain, BatchNormAct2d: _SharedAct}
"""Layer -> what it becomes."""


def share_batch_norms(network: nn.Module) -> None:
    """Make the batch norms of a network take their statistics over all processes; alone they work as before."""
    for layer in network.modules():
        layer.__class__ = SHARED.get(type(layer), type(layer))
