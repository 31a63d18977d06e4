from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from mage_stac.adapt import augment
from mage_stac.adapt.augment import Chips
from mage_stac.adapt.chance import Chance
from mage_stac.recipe import Augment

STILL = Augment(
    flips=False, shift=0, scale=(1, 1), gain=(1, 1), gamma=(1, 1), contrast=(1, 1), saturation=(1, 1), bias=0, cast=0,
    mixing=0, haze=0, sharpness=(0, 0), noise=0, jpeg=0, swap=0,
)  # fmt: skip


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def chance(seed: int = 0) -> Chance:
    return Chance(generator=generator(seed))


def chips(edge: int = 48, seed: int = 0, bands: int = 3) -> Chips:
    g = generator(seed)
    mask = torch.randint(0, 5, (3, edge // 4, edge // 4), generator=g)
    mask = mask.repeat_interleave(4, 1).repeat_interleave(4, 2)
    image = torch.rand(3, 2, bands, edge, edge, generator=g) * 0.8 + 0.1
    image[:, :, 0] = mask[:, None] / 5  # the first band shows the mask, on both dates
    return Chips(image, mask, torch.ones_like(mask, dtype=torch.bool))


def changed(one: Chips, seed: int = 0, size: int = 32, **changes: object) -> Chips:
    from dataclasses import replace

    return augment.augment(one, size=size, settings=replace(STILL, **changes), chance=chance(seed))


def test_without_any_change_the_middle_comes_back() -> None:
    one = chips()
    out, middle = changed(one), augment.centre(one, 32)
    torch.testing.assert_close(out.image, middle.image, atol=2e-4, rtol=0)
    assert torch.equal(out.mask, middle.mask)
    assert out.valid.all()


@pytest.mark.parametrize("change", [{"flips": True}, {"scale": (2.0, 2.0)}, {"scale": (0.8, 0.8)}])
def test_masks_move_with_their_pre_image(change: dict[str, object]) -> None:
    out = changed(chips(), **change)
    # Sampling is bilinear in the image and nearest in the mask: they agree away from edges
    shown = (out.image[:, 0, 0] * 5).round().long()
    agree = (shown == out.mask)[:, 2:-2, 2:-2].float().mean()
    assert agree > 0.7
    assert torch.equal(out.image[:, 0].isnan(), torch.zeros_like(out.image[:, 0], dtype=torch.bool))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_misregistration_moves_the_post_image_only_and_at_most_so_far(seed: int) -> None:
    one = chips(edge=64)
    out = changed(one, seed=seed, size=32, shift=8.0)
    middle = augment.centre(one, 32)
    torch.testing.assert_close(out.image[:, 0], middle.image[:, 0], atol=2e-4, rtol=0)
    assert torch.equal(out.mask, middle.mask)
    for number in range(3):
        pre, post = out.image[number, 0, 0].numpy(), one.image[number, 1, 0].numpy()
        errors = {
            (dy, dx): np.abs(post[16 + dy : 48 + dy, 16 + dx : 48 + dx] - out.image[number, 1, 0].numpy()).mean()
            for dy in range(-9, 10)
            for dx in range(-9, 10)
        }
        dy, dx = min(errors, key=errors.__getitem__)
        assert max(abs(dy), abs(dx)) <= 8
        assert errors[dy, dx] < 0.5 * np.median(list(errors.values()))  # half a pixel between two of noise at most
        assert pre.shape == (32, 32)


def test_what_a_shift_brings_in_from_beyond_is_not_valid() -> None:
    one = chips(edge=32)
    out = changed(one, shift=8.0)
    share = 1 - out.valid.float().mean(dim=(1, 2))
    assert (share > 0).all()
    assert (share < 0.5).all()
    unseen = one._replace(valid=torch.zeros_like(one.valid))
    assert not changed(unseen, shift=3.0, flips=True).valid.any()


def test_flips_are_the_eight_symmetries() -> None:
    plane = torch.arange(9).reshape(3, 3)
    turned = {tuple(augment._turned(plane, kind).flatten().tolist()) for kind in range(8)}
    assert len(turned) == 8


@pytest.mark.parametrize("bands", [1, 3, 4])
def test_photometric_changes_stay_in_range_and_differ_between_dates(bands: int) -> None:
    image = chips(bands=bands).image
    image[:, 1] = image[:, 0]
    out = augment.photometric(image.flatten(0, 1), Augment(), chance()).reshape(image.shape)
    assert 0 <= out.min() <= out.max() <= 1
    assert torch.isfinite(out).all()
    assert (out[:, 0] - out[:, 1]).abs().mean() > 0.02
    again = augment.photometric(image.flatten(0, 1), Augment(), chance()).reshape(image.shape)
    assert torch.equal(out, again)


def test_grey_keeps_grey_under_saturation_and_mixing() -> None:
    from dataclasses import replace

    grey = torch.rand(4, 1, 8, 8, generator=generator()).expand(-1, 3, -1, -1)
    out = augment.photometric(grey, replace(STILL, saturation=(0.2, 2.0), mixing=0.1), chance())
    torch.testing.assert_close(out, grey.clamp(1e-4), atol=1e-4, rtol=0)


def test_the_blur_is_a_gaussian() -> None:
    image = torch.rand(2, 1, 40, 40, generator=generator())
    out = augment._blurred(image, torch.tensor([1.0, 1.5])).numpy()
    for number, sigma in enumerate((1.0, 1.5)):
        expected = gaussian_filter(image[number, 0].numpy(), sigma, truncate=8)
        np.testing.assert_allclose(out[number, 0, 10:-10, 10:-10], expected[10:-10, 10:-10], atol=1e-5)


def test_a_swapped_chip_shows_one_day_twice_and_no_damage() -> None:
    one = chips()
    one.image[:, 1] = 0.5
    out = changed(one, swap=1.0)
    torch.testing.assert_close(out.image[:, 0], out.image[:, 1])
    assert set(out.mask.unique().tolist()) == {0, 1}


def test_restyle_sees_cut_images_before_the_light_changes() -> None:
    told = []

    def restyle(images: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        told.append((images.shape, seen))
        return images * 0

    given = chips()
    given.valid[1, :20] = False
    out = augment.augment(given, size=32, settings=STILL, chance=chance(), restyle=restyle)
    ((shape, seen),) = told
    assert shape == (6, 3, 32, 32)
    assert torch.equal(seen.reshape(3, 2, 32, 32), out.valid[:, None].expand(3, 2, 32, 32))
    assert not seen[2:4].all()
    assert out.image.max() < 1e-3
