from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from mage_stac.adapt import augment, partial
from mage_stac.adapt.augment import Chips
from mage_stac.adapt.chance import Chance
from mage_stac.classes import PARTLY_LOST
from mage_stac.recipe import Augment

HOUSE = np.s_[10:26, 8:30]
STANDING = np.s_[40:56, 8:30]


def chance(seed: int = 0, chips: int = 1) -> Chance:
    return Chance(generator=torch.Generator().manual_seed(seed), chips=chips)


def chips(number: int = 40) -> Chips:
    """A destroyed house, dark before and bright after, and one that stands, half as bright again after."""
    mask = torch.zeros(number, 64, 64, dtype=torch.long)
    mask[(slice(None), *HOUSE)], mask[(slice(None), *STANDING)] = 4, 1
    image = torch.full((number, 2, 3, 64, 64), 0.5)
    image[(slice(None), 0, slice(None), *HOUSE)] = 0.2
    image[(slice(None), 1, slice(None), *HOUSE)] = 0.9
    image[(slice(None), 0, slice(None), *STANDING)] = 0.4
    image[(slice(None), 1, slice(None), *STANDING)] = 0.48
    return Chips(image, mask, torch.ones_like(mask, dtype=torch.bool))


def test_houses_left_alone_are_wholly_lost_or_whole() -> None:
    given = chips(3)
    out = partial.roofs(given, [0.0] * 3, chance(chips=3))
    assert torch.equal(out.image, given.image)
    assert torch.equal(out.mask, given.mask)
    assert out.lost is not None
    assert (out.lost[(slice(None), *HOUSE)] == 1).all()
    assert (out.lost[(slice(None), *STANDING)] == 0).all()
    assert (out.lost[given.mask == 0] == 255).all()


def test_a_roof_comes_back_in_part_in_the_light_after_and_the_house_is_major() -> None:
    given = chips()
    out = partial.roofs(given, [1.0] * 40, chance(chips=40))
    assert out.lost is not None
    shares = []
    for image, mask, lost in zip(out.image.numpy(), out.mask.numpy(), out.lost.numpy(), strict=True):
        assert set(np.unique(mask)) == {0, 1, 3}
        assert (mask[HOUSE] == 3).all()
        gone = lost[HOUSE] == 1
        shares.append(gone.mean())
        whole = ndimage.binary_erosion(~gone, iterations=4)
        np.testing.assert_allclose(image[1][:, *HOUSE][:, whole], 0.2 * 0.48 / 0.4, atol=1e-3)
        np.testing.assert_allclose(image[1][:, *HOUSE][:, ndimage.binary_erosion(gone, iterations=4)], 0.9, atol=1e-3)
    assert PARTLY_LOST[0] - 0.01 < min(shares) < 0.3
    assert 0.5 < max(shares) < PARTLY_LOST[1] + 0.01
    outside = torch.ones(64, 64, dtype=torch.bool)
    outside[HOUSE] = False
    assert torch.equal(out.image[..., outside], given.image[..., outside])
    assert torch.equal(out.image[:, 0], given.image[:, 0])


def test_a_slightly_damaged_house_gets_all_of_its_roof_back_and_is_undamaged_amid_its_litter() -> None:
    given = chips()
    given.mask[(slice(None), *HOUSE)] = 2
    out = partial.roofs(given, [1.0] * 40, chance(chips=40))
    assert out.lost is not None
    assert (out.mask[(slice(None), *HOUSE)] == 1).all()
    assert (out.lost[(slice(None), *HOUSE)] == 0).all()
    within = np.s_[14:22, 12:26]
    np.testing.assert_allclose(out.image[:, 1, :, *within], 0.2 * 0.48 / 0.4, atol=1e-3)
    outside = torch.ones(64, 64, dtype=torch.bool)
    outside[HOUSE] = False
    assert torch.equal(out.image[..., outside], given.image[..., outside])
    assert torch.equal(partial.roofs(given, [0.0] * 40, chance(chips=40)).mask, given.mask)


@pytest.mark.parametrize(("grade", "then"), [(4, 3), (2, 1)])
@pytest.mark.parametrize("share", [0.25, 0.75])
def test_a_share_of_the_houses_comes_back_and_small_ones_never(share: float, grade: int, then: int) -> None:
    given = chips(400)
    given.mask[(slice(None), *HOUSE)], given.mask[:, 60:63, 60:63] = grade, grade
    out = partial.roofs(given, [share] * 400, chance(chips=400))
    assert abs((out.mask[:, 12, 12] == then).float().mean() - share) < 0.08  # three standard deviations
    assert (out.mask[:, 61, 61] == grade).all()


def test_a_chip_depends_on_its_place_in_the_batch_alone() -> None:
    given = chips(4)
    whole = partial.roofs(given, [0.5] * 4, chance(7, 4))
    half = Chance(generator=torch.Generator().manual_seed(7), chips=2, rank=1, world=2)
    part = partial.roofs(augment.each(given, lambda values: values[1::2]), [0.5] * 2, half)
    assert torch.equal(part.image, whole.image[1::2])
    assert part.lost is not None
    assert whole.lost is not None
    assert torch.equal(part.lost, whole.lost[1::2])


def test_what_is_lost_moves_with_the_mask() -> None:
    out = augment.geometric(
        partial.roofs(chips(6), [1.0] * 6, chance(chips=6)), size=48, settings=Augment(), chance=chance(1, 6)
    )
    assert out.lost is not None
    assert out.lost.dtype == torch.uint8
    assert set(out.lost.flatten().tolist()) == {0, 1, 255}
    assert ((out.lost == 1) <= (out.mask == 3)).all()
    assert ((out.lost == 255) == (out.mask == 0)).all()


def test_the_same_day_twice_has_lost_nothing() -> None:
    settings = Augment(swap=1.0)
    out = augment.augment(
        partial.roofs(chips(4), [0.5] * 4, chance(chips=4)), size=48, settings=settings, chance=chance(1, 4)
    )
    assert out.lost is not None
    assert set(out.lost[out.mask > 0].tolist()) == {0}
