from __future__ import annotations

import pytest
import torch

from mage_stac.adapt.chance import Chance


def chance(chips: int, rank: int = 0, world: int = 1) -> Chance:
    return Chance(generator=torch.Generator().manual_seed(3), chips=chips, rank=rank, world=world)


def drawn(one: Chance, shape: tuple[int, ...]) -> list[torch.Tensor]:
    """Every kind of number, one after the other; the first axis has two things a chip."""
    return [one.uniform(shape, -1, 2), one.normal(shape), one.integers(8, shape)]


@pytest.mark.parametrize("world", [2, 3])
def test_processes_draw_the_numbers_of_their_own_chips(world: int) -> None:
    chips = 6
    whole = drawn(chance(chips), (2 * chips, 5))
    for rank in range(world):
        part = drawn(chance(chips // world, rank, world), (2 * chips // world, 5))
        for ours, all_of in zip(part, whole, strict=True):
            assert torch.equal(ours, all_of.unflatten(0, (chips, 2))[rank::world].flatten(0, 1))


def test_numbers_lie_where_asked() -> None:
    one = chance(4)
    assert -1 <= one.uniform((400,), -1, 2).min() < -0.9
    assert set(one.integers(3, (400,)).tolist()) == {0, 1, 2}
