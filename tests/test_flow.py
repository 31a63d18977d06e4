"""Flows whose end is known: points that move by a constant, images whose colours change by a straight line."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from mage_stac.adapt import flow
from mage_stac.adapt.flow import Coupled

AWAY = torch.tensor([3.0, -2.0])


class Points(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 32), nn.SiLU(), nn.Linear(32, 32), nn.SiLU(), nn.Linear(32, 2))

    def forward(self, x: torch.Tensor, time: torch.Tensor, date: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.net(torch.cat([x, time[:, None], date[:, None]], dim=1))
        return out


def gaussians(steps: int, couple: bool) -> Iterator[Coupled]:
    """From N(0, 1) to N(AWAY, 1) before, and to N(-AWAY, 1) after."""
    random = torch.Generator().manual_seed(0)
    for _ in range(steps):
        source, target = (torch.randn(64, 2, generator=random) for _ in range(2))
        date = torch.arange(64) % 2
        target = target + torch.where(date[:, None] == 0, AWAY, -AWAY)
        if couple:
            for number in (0, 1):
                here = date == number
                target[here] = target[here][flow.coupled(source[here], target[here])]
        yield Coupled(source=source, target=target, date=date.float())


def test_optimal_transport_finds_the_partner_of_every_point_and_image() -> None:
    random = torch.Generator().manual_seed(0)
    order = torch.randperm(12, generator=random)
    points = torch.randn(12, 2, generator=random)
    moved = (points + AWAY)[order]  # a common motion keeps the best partners
    assert torch.equal(order[flow.coupled(points, moved)], torch.arange(12))
    images = torch.rand(12, 3, 8, 8, generator=random).repeat_interleave(8, 2).repeat_interleave(8, 3)
    darker = (0.6 * images)[order]
    assert torch.equal(order[flow.coupled(images, darker)], torch.arange(12))


def test_gaussians_are_carried_by_the_distance_of_their_means() -> None:
    torch.manual_seed(0)
    net = Points()
    flow.learn(net, gaussians(500, couple=True), rate=5e-3, seed=0)
    start = torch.randn(400, 2, generator=torch.Generator().manual_seed(5))
    for date, way in ((0.0, AWAY), (1.0, -AWAY)):
        end = flow.translated(net, start, torch.full((400,), date), steps=8)
        torch.testing.assert_close(end.mean(0), start.mean(0) + way, atol=0.25, rtol=0)
        torch.testing.assert_close(end.std(0), start.std(0), atol=0.25, rtol=0)
        # Optimal transport between equal Gaussians is a translation: everyone keeps their place in the crowd.
        assert float((end - start - way).square().mean().sqrt()) < 0.5


def test_straight_paths_are_exact_in_a_single_step() -> None:
    def constant(x: torch.Tensor, _time: torch.Tensor, _date: torch.Tensor) -> torch.Tensor:
        return AWAY.expand_as(x)

    start = torch.randn(5, 2)
    for steps in (1, 7):
        end = flow.translated(constant, start, torch.zeros(5), steps)
        torch.testing.assert_close(end, start + AWAY)
    pair = Coupled(source=start, target=start + AWAY, date=torch.zeros(5))
    assert flow.loss(constant, pair, torch.Generator()) == pytest.approx(0, abs=1e-12)


def test_what_was_not_seen_has_no_part_in_the_loss() -> None:
    def still(x: torch.Tensor, _time: torch.Tensor, _date: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(x)

    source, target = torch.zeros(2, 3, 4, 4), torch.ones(2, 3, 4, 4)
    target[0, :, :2] = 50.0
    seen = torch.ones(2, 4, 4, dtype=torch.bool)
    seen[0, :2] = False
    pair = Coupled(source=source, target=target, date=torch.zeros(2), seen=seen)
    assert flow.loss(still, pair, torch.Generator()) == pytest.approx(1.0)


def test_the_network_starts_still_has_a_million_weights_and_takes_any_size() -> None:
    net = flow.FlowNet(3)
    assert 0.6e6 < sum(p.numel() for p in net.parameters()) < 1.4e6
    image = torch.rand(2, 3, 37, 50)
    assert torch.equal(flow.translated(net, image, torch.tensor([0.0, 1.0]), 2), image)


def test_a_change_of_colours_is_learnt_from_coupled_images() -> None:
    torch.manual_seed(0)
    random = torch.Generator().manual_seed(1)

    def pictures(number: int) -> torch.Tensor:
        coarse = torch.rand(number, 3, 4, 4, generator=random)
        return nn.functional.interpolate(coarse, size=16, mode="bilinear")

    def real(image: torch.Tensor) -> torch.Tensor:
        return 0.6 * image + torch.tensor([0.3, 0.1, 0.0])[:, None, None]

    def batches() -> Iterator[Coupled]:
        for _ in range(120):
            source = pictures(8)
            yield Coupled(source=source, target=real(source), date=torch.zeros(8))

    net = flow.FlowNet(3, widths=(16, 16))
    flow.learn(net, batches(), rate=5e-3, seed=0)
    fresh = pictures(8)
    out = flow.translated(net, fresh, torch.zeros(8), steps=4)
    before, after = ((one - real(fresh)).square().mean().sqrt() for one in (fresh, out))
    assert after < before / 4
