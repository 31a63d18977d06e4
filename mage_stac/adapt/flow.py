"""Flow: an ordinary differential equation that carries rendered images to real ones, learnt by flow matching.

Flow matching: Lipman et al. 2023 (arXiv 2210.02747). Straight paths between coupled images: where nothing is paired the
images of a batch are coupled by optimal transport (Tong et al. 2024, arXiv 2302.00482), where a render shows a place
whose photograph is there the two are coupled: a coupling that depends on the data, as in FlowEO (Le Bellier and
Audebert 2026, arXiv 2512.05140), which works in a latent space; here images are small enough to do without.

Axes: B images, C bands, H and W pixels. Images are 0..1; dates are 0 (before the event) and 1 (after).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment
from torch import Generator, Tensor, nn
from torch.nn import functional

THUMBNAIL = 16
"""Edge to which images are averaged before they are compared: what counts is where it is bright and of what colour."""
WAVES = 32
"""Sines and cosines that tell the network the time."""
GROUPS = 8

Velocity = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Points (B, ...), times (B,) 0..1 and dates (B,) -> their velocities (B, ...)."""


class Block(nn.Module):
    """Two convolutions, a shortcut, and a bias that depends on time and date."""

    def __init__(self, inside: int, out: int, told: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.GroupNorm(GROUPS, inside), nn.SiLU(), nn.Conv2d(inside, out, 3, padding=1))
        self.told = nn.Linear(told, out)
        self.second = nn.Sequential(nn.GroupNorm(GROUPS, out), nn.SiLU(), nn.Conv2d(out, out, 3, padding=1))
        self.shortcut = nn.Conv2d(inside, out, 1) if inside != out else nn.Identity()

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        hidden = self.first(x) + self.told(told)[:, :, None, None]
        out: Tensor = self.second(hidden) + self.shortcut(x)
        return out


class FlowNet(nn.Module):
    """A U-Net of about a million weights that gives the velocity of images; starts as no motion at all."""

    def __init__(self, bands: int, widths: tuple[int, ...] = (32, 64, 96)) -> None:
        """Build with random weights.

        Args:
            bands: C.
            widths: channels of each resolution, fine to coarse; multiples of 8.
        """
        super().__init__()
        told = 4 * widths[0]
        self.embed = nn.Sequential(nn.Linear(2 * WAVES + 1, told), nn.SiLU(), nn.Linear(told, told))
        self.enter = nn.Conv2d(bands, widths[0], 3, padding=1)
        self.down = nn.ModuleList([Block(a, b, told) for a, b in zip((widths[0], *widths), widths, strict=False)])
        self.middle = Block(widths[-1], widths[-1], told)
        ups = list(zip((widths[-1], *widths[:0:-1]), widths[::-1], strict=True))
        self.up = nn.ModuleList([Block(a + b, b, told) for a, b in ups])
        self.leave = nn.Sequential(
            nn.GroupNorm(GROUPS, widths[0]), nn.SiLU(), nn.Conv2d(widths[0], bands, 3, padding=1)
        )
        last = self.leave[-1]
        nn.init.zeros_(last.weight)  # type: ignore[arg-type] # a tensor
        nn.init.zeros_(last.bias)  # type: ignore[arg-type] # a tensor

    def forward(self, x: Tensor, time: Tensor, date: Tensor) -> Tensor:
        """Velocities (B, C, H, W) of images (B, C, H, W) at times (B,) of dates (B,); any H and W."""
        waves = time[:, None] * (math.pi * torch.logspace(0, 3, WAVES, 2.0, device=x.device))
        told = self.embed(torch.cat([waves.sin(), waves.cos(), date[:, None].to(waves)], dim=1))
        hidden, kept = self.enter(x), []
        for number, block in enumerate(self.down):
            hidden = block(functional.avg_pool2d(hidden, 2, ceil_mode=True) if number else hidden, told)
            kept.append(hidden)
        hidden = self.middle(hidden, told)
        for block in self.up:
            beside = kept.pop()
            hidden = functional.interpolate(hidden, size=beside.shape[-2:], mode="nearest")
            hidden = block(torch.cat([hidden, beside], dim=1), told)
        out: Tensor = self.leave(hidden)
        return out


def coupled(source: Tensor, target: Tensor) -> Tensor:
    """Places (B,) in `target` of the partners of `source`: optimal transport within the batch, least squared distance.

    Args:
        source: (B, ...) points, or images (B, C, H, W), which are compared by their thumbnails.
        target: likewise.
    """
    ours, theirs = _compared(source), _compared(target)
    cost = torch.cdist(ours, theirs).square()
    _, places = linear_sum_assignment(cost.cpu().numpy())
    return torch.from_numpy(places).to(target.device)


def _compared(points: Tensor) -> Tensor:
    if points.ndim == 4 and min(points.shape[-2:]) > THUMBNAIL:
        points = functional.adaptive_avg_pool2d(points, THUMBNAIL)
    return points.flatten(1).double()


@dataclass(frozen=True, kw_only=True, slots=True)
class Coupled:
    """What is to become of what."""

    source: Tensor
    """(B, ...)"""
    target: Tensor
    """(B, ...)"""
    date: Tensor
    """(B,)"""
    seen: Tensor | None = None
    """(B, H, W) bool: where both images were observed; everywhere if None."""


def loss(velocity: Velocity, pair: Coupled, generator: Generator) -> Tensor:
    """Mean squared error of the velocity at a random time of each straight path."""
    time = torch.rand(len(pair.source), generator=generator, device=pair.source.device)
    at = time.reshape(-1, *[1] * (pair.source.ndim - 1))
    here = torch.lerp(pair.source, pair.target, at)
    wrong = (velocity(here, time, pair.date) - (pair.target - pair.source)).square()
    if pair.seen is None:
        return wrong.mean()
    weight = pair.seen[:, None].expand_as(wrong).to(wrong.dtype)
    return (wrong * weight).sum() / weight.sum().clamp(min=1)


def learn(
    network: nn.Module,
    pairs: Iterable[Coupled],
    *,
    rate: float,
    seed: int,
    told: Callable[[int, float], None] | None = None,
) -> None:
    """Teach a velocity network, in place, one step for each batch of coupled images; Adam, then a moving average.

    Args:
        network: a Velocity with weights.
        pairs: as many batches as steps.
        rate: learning rate.
        seed: of the times.
        told: called with the number of steps done and the loss.
    """
    from mage_stac.models.average import Average

    device = next(network.parameters()).device
    generator = Generator(device).manual_seed(seed)
    optimiser = torch.optim.Adam(network.parameters(), lr=rate)
    average = Average(network, AVERAGE)
    network.train()
    for step, pair in enumerate(pairs):
        error = loss(network, pair, generator)
        error.backward()  # type: ignore[no-untyped-call] # torch's
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        average.update(step)
        if told:
            told(step + 1, float(error.detach()))
    network.load_state_dict(average.shadow.state_dict())
    network.eval()


AVERAGE = 0.99
"""Decay of the moving average of the weights, which is what is used."""


@torch.no_grad()
def translated(velocity: Velocity, source: Tensor, date: Tensor, steps: int) -> Tensor:
    """Carry points or images (B, ...) along the flow from time 0 to 1 by Euler's method."""
    here = source
    for number in range(steps):
        time = torch.full((len(here),), number / steps, device=here.device)
        here = here + velocity(here, time, date) / steps
    return here
