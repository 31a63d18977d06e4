from __future__ import annotations

import torch

from mage_stac.adapt import mixing
from mage_stac.adapt.augment import Chips
from mage_stac.adapt.chance import Chance


def chance(seed: int, chips: int) -> Chance:
    return Chance(generator=torch.Generator().manual_seed(seed), chips=chips)


def masks(number: int = 40, edge: int = 24) -> torch.Tensor:
    """Five stripes of the five classes, each chip turned by some rows."""
    stripes = torch.arange(edge).div(5, rounding_mode="floor").clamp(max=4)
    return torch.stack([stripes.roll(n) for n in range(number)])[:, :, None].repeat(1, 1, edge)


def test_whole_classes_are_pasted_half_of_those_shown() -> None:
    mask = masks()
    where = mixing.pasted(mask, torch.ones_like(mask, dtype=torch.bool), 0, chance(0, len(mask)))
    drawn: set[frozenset[int]] = set()
    for one, picked in zip(mask, where, strict=True):
        inside = set(one[picked].tolist())
        assert len(inside) == 3  # of five, rounded up
        assert not inside & set(one[~picked].tolist())
        drawn.add(frozenset(inside))
    assert len(drawn) > 5


def test_a_single_class_is_pasted_and_nothing_of_what_was_not_seen() -> None:
    mask = torch.full((2, 8, 8), 3)
    mask[1] = 255
    valid = torch.ones_like(mask, dtype=torch.bool)
    valid[0, :4] = False
    where = mixing.pasted(mask, valid, 2, chance(0, 2))
    assert torch.equal(where[0], valid[0])
    assert not where[1].any()


def test_surroundings_come_along_but_no_neighbour() -> None:
    mask = torch.zeros(60, 20, 20, dtype=torch.long)
    mask[:, 8:11, 8:11] = 4
    mask[:, 8:11, 12:14] = 1
    where = mixing.pasted(mask, torch.ones_like(mask, dtype=torch.bool), 2, chance(1, 60))
    around = torch.zeros(20, 20, dtype=torch.bool)
    around[6:13, 6:16] = True  # two pixels around both buildings
    kinds = {(bool(one[0, 0]), bool(one[9, 9]), bool(one[9, 12])): one for one in where}
    assert set(kinds) == {(True, True, False), (True, False, True), (False, True, True)}  # two of three classes
    assert torch.equal(kinds[False, True, True], around)
    assert torch.equal(kinds[True, True, False], mask[0] != 1)


def test_mixed_pairs_take_image_label_and_validity_together() -> None:
    over = Chips(torch.ones(1, 2, 3, 4, 4), torch.full((1, 4, 4), 2), torch.ones(1, 4, 4, dtype=torch.bool))
    under = Chips(torch.zeros(1, 2, 3, 4, 4), torch.full((1, 4, 4), 255), torch.zeros(1, 4, 4, dtype=torch.bool))
    where = torch.eye(4, dtype=torch.bool)[None]
    out = mixing.mixed(over, under, where)
    assert torch.equal(out.image, where[:, None, None].expand(1, 2, 3, 4, 4).float())
    assert torch.equal(out.mask, torch.where(where, 2, 255))
    assert torch.equal(out.valid, where)
