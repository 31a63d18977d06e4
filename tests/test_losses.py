from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import grey_dilation
from torch.nn import functional

from mage_stac.models import losses
from mage_stac.recipe import Loss

EVEN = torch.ones(4)


def outputs(seed: int = 0, size: int = 12) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "building": torch.randn(2, 1, size, size, generator=generator, requires_grad=True),
        "damage": torch.randn(2, 4, size, size, generator=generator, requires_grad=True),
    }


def masks(seed: int = 0, size: int = 12) -> torch.Tensor:
    return torch.randint(0, 5, (2, size, size), generator=torch.Generator().manual_seed(seed))


def everything(
    mask: torch.Tensor, valid: torch.Tensor, loss: Loss | None = None, seed: int = 0
) -> dict[str, torch.Tensor]:
    return losses.total(outputs(seed), mask, valid, weights=EVEN, loss=loss or Loss())


def test_what_is_not_observed_has_no_part_in_the_loss_or_its_gradient() -> None:
    mask, valid = masks(), torch.rand(2, 12, 12) > 0.4
    twin = outputs()
    hidden = torch.where(valid, mask, 3)
    unseen = torch.where(valid, mask, 255)
    for other in (hidden, unseen):
        mine, theirs = everything(mask, valid), everything(other, valid)
        assert all(torch.equal(mine[key], theirs[key]) for key in mine)
    losses.total(twin, mask, valid, weights=EVEN, loss=Loss())["total"].backward()
    assert (twin["building"].grad[:, 0][~valid] == 0).all()
    assert (twin["damage"].grad.movedim(1, -1)[~valid] == 0).all()


def test_nothing_observed_gives_a_loss_without_gradient() -> None:
    out = outputs()
    terms = losses.total(out, masks(), torch.zeros(2, 12, 12, dtype=torch.bool), weights=EVEN, loss=Loss())
    terms["total"].backward()
    assert torch.isfinite(terms["total"])
    assert all((value.grad == 0).all() for value in out.values())


@torch.no_grad()
def test_without_focus_and_dilation_damage_is_torch_s_cross_entropy() -> None:
    out, mask = outputs(), masks()
    weights = torch.tensor([0.2, 1.0, 2.0, 0.5])
    expected = functional.cross_entropy(out["damage"], mask - 1, weight=weights, ignore_index=-1)
    assert float(losses.damage(out["damage"], mask, weights, 0.0)) == pytest.approx(float(expected), rel=1e-5)


@torch.no_grad()
def test_focus_turns_to_hard_pixels() -> None:
    out, mask = outputs(), masks()
    plain, focused = (losses.damage(out["damage"], mask, EVEN, gamma) for gamma in (0.0, 2.0))
    assert 0 < focused < plain


@torch.no_grad()
def test_building_is_cross_entropy_plus_dice() -> None:
    logits, mask = outputs()["building"][:, 0], masks() > 0
    seen = torch.ones_like(mask)
    share, truth = torch.sigmoid(logits), mask.float()
    dice = 1 - (2 * (share * truth).sum() + 1) / (share.sum() + truth.sum() + 1)
    expected = functional.binary_cross_entropy(share, truth) + dice
    assert float(losses.building(logits, mask, seen)) == pytest.approx(float(expected), rel=1e-5)
    perfect = torch.where(mask, 30.0, -30.0)
    assert float(losses.building(perfect, mask, seen)) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(("grade", "distance"), [(1, 0), (2, 1), (3, 2), (4, 3)])
def test_ordinal_costs_as_many_steps_as_the_grade_is_off(grade: int, distance: int) -> None:
    certain = torch.full((1, 4, 2, 2), -40.0)
    certain[:, 0] = 40
    grades = torch.full((1, 2, 2), grade)
    assert float(losses.ordinal(certain, grades, EVEN)) == pytest.approx(distance, abs=1e-5)


@pytest.mark.parametrize("radius", [0, 1, 2])
def test_dilation_spreads_the_higher_grade_and_keeps_the_buildings_own(radius: int) -> None:
    mask = np.zeros((1, 20, 20), np.int64)
    mask[0, 4:8, 4:8], mask[0, 4:8, 9:12], mask[0, 15, 15] = 2, 4, 1
    spread = losses.dilate(torch.from_numpy(mask), torch.ones(1, 20, 20, dtype=torch.bool), radius)[0].numpy()
    dilated = grey_dilation(mask[0], size=2 * radius + 1, mode="constant")
    np.testing.assert_array_equal(spread, np.where(mask[0] > 0, mask[0], dilated))


def test_dilation_does_not_reach_the_unobserved() -> None:
    mask = torch.tensor([[[3, 0, 0]]])
    assert losses.dilate(mask, torch.tensor([[[True, False, True]]]), 2).tolist() == [[[3, 0, 3]]]


def test_class_weights() -> None:
    assert losses.class_weights([10, 10, 10, 10], 0.5) == pytest.approx((1, 1, 1, 1))
    rare = losses.class_weights([900, 0, 0, 100], 1.0)
    assert rare[3] / rare[0] == pytest.approx(9)
    assert rare[1] == rare[2] == 0
    assert rare[0] * 0.9 + rare[3] * 0.1 == pytest.approx(1)
    assert losses.class_weights([900, 50, 25, 25], 0.0) == pytest.approx((1, 1, 1, 1))


def test_what_is_lost_costs_torch_s_entropy_averaged_over_lost_and_whole_alike() -> None:
    out, mask, valid = {**outputs(), "lost": outputs(1)["building"]}, masks(), torch.ones(2, 12, 12, dtype=torch.bool)
    lost = torch.where(mask == 4, 1, torch.where(mask == 3, 255, 0)).to(torch.uint8)
    terms = losses.total(out, mask, valid, weights=EVEN, loss=Loss(lost=2.0), lost=lost)
    entropy = functional.binary_cross_entropy_with_logits(out["lost"][:, 0], (lost == 1).float(), reduction="none")
    expected = (entropy[lost == 1].mean() + entropy[lost == 0].mean()) / 2
    assert terms["lost"].item() == pytest.approx(expected.item(), rel=1e-5)
    others = losses.total(outputs(), mask, valid, weights=EVEN, loss=Loss())
    assert terms["total"].item() == pytest.approx(others["total"].item() + 2 * expected.item(), rel=1e-5)
    terms["total"].backward()
    assert (out["lost"].grad[:, 0][lost == 255] == 0).all()
