"""Strong augmentation: every change between two dates, and between a render and a sensor, that means no damage.

All functions take and give batches, draw from one source of chance, and run wherever the batch lies. Axes: B chips,
T = 2 dates, C bands, H and W pixels, N = B T images.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from mage_stac.adapt import jpeg
from mage_stac.adapt.chance import Chance
from mage_stac.classes import NOT_OBSERVED
from mage_stac.recipe import Augment

AIRLIGHT = (0.75, 0.98)
"""Range of the brightness of thick haze."""
BLUR = (0.6, 1.6)
"""Range of the radius of unsharp masking, px (standard deviation)."""
REACH = math.ceil(4 * BLUR[1])
"""Pixels at which a Gaussian of that radius is cut off: e^-8 of its height."""
JPEG_QUALITY = (25.0, 90.0)
"""IJG quality, as in reference software and archives of aerial orthos."""


class Chips(NamedTuple):
    """What is augmented."""

    image: Tensor
    """(B, 2, C, H, W) float32 0..1"""
    mask: Tensor
    """(B, H, W) int64"""
    valid: Tensor
    """(B, H, W) bool"""
    lost: Tensor | None = None
    """(B, H, W) uint8, 1 where the roof before is lost after, 0 where it is whole, 255 unknown (`partial`)."""


def each(chips: Chips, change: Callable[[Tensor], Tensor]) -> Chips:
    """A change of all parts of the chips alike."""
    return Chips(*(None if part is None else change(part) for part in chips))  # type: ignore[arg-type] # None only where it was


def augment(
    chips: Chips,
    *,
    size: int,
    settings: Augment,
    chance: Chance,
    restyle: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> Chips:
    """Change chips at random and cut them to (size, size).

    The mask stays on the pre image's grid: misregistration moves the post image only. `valid` becomes False where a
    shift or a scaling brought in what was not read. `restyle` takes and gives images (N, C, size, size), told
    where they were observed (N, size, size), between the changes of geometry and those of light.
    """
    chips = geometric(_swapped(chips, settings, chance), size=size, settings=settings, chance=chance)
    images = chips.image.flatten(0, 1)
    if restyle is not None:
        images = restyle(images, chips.valid.repeat_interleave(chips.image.shape[1], dim=0))
    return chips._replace(image=photometric(images, settings, chance).reshape(chips.image.shape))


def geometric(chips: Chips, *, size: int, settings: Augment, chance: Chance) -> Chips:
    """The changes of geometry alone: scale, misregistration, flips; cut to (size, size)."""
    chips = _moved(chips, size, settings, chance)
    return _flipped(chips, chance) if settings.flips else chips


def centre(chips: Chips, size: int) -> Chips:
    """The middle (size, size) of chips read with a margin."""
    top, left = ((edge - size) // 2 for edge in chips.mask.shape[-2:])
    return each(chips, lambda part: part[..., top : top + size, left : left + size])


def _log_uniform(shape: tuple[int, ...], low: float, high: float, chance: Chance) -> Tensor:
    return chance.uniform(shape, math.log(low), math.log(high)).exp()


def _swapped(chips: Chips, settings: Augment, chance: Chance) -> Chips:
    """Some chips show the same undamaged day twice; what differs afterwards is light, sensor and registration."""
    pick = chance.uniform((len(chips.mask),), 0, 1) < settings.swap
    if not pick.any():
        return chips
    post = torch.where(pick[:, None, None, None], chips.image[:, 0], chips.image[:, 1])
    standing = torch.where((chips.mask > 0) & (chips.mask < NOT_OBSERVED), 1, chips.mask)
    mask = torch.where(pick[:, None, None], standing, chips.mask)
    lost = None if chips.lost is None else torch.where(pick[:, None, None] & (standing == 1), 0, chips.lost)
    return chips._replace(image=torch.stack([chips.image[:, 0], post], dim=1), mask=mask, lost=lost)


def _moved(chips: Chips, size: int, settings: Augment, chance: Chance) -> Chips:
    """Scale both dates alike, shift the post image, and cut; one bilinear sampling for both."""
    count, height, width = chips.mask.shape
    scale = _log_uniform((count,), *settings.scale, chance)
    shift = chance.uniform((count, 2), -settings.shift, settings.shift)
    # Pixel offsets from the chip's centre, (B, size, size, 2) as x, y
    steps = torch.arange(size, device=chance.device) - (size - 1) / 2
    offsets = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), dim=-1) / scale[:, None, None, None]
    extent = torch.tensor([width / 2, height / 2], device=chance.device)
    pre, post = offsets / extent, (offsets + shift[:, None, None]) / extent
    seen = chips.valid.float()
    planes = [seen, chips.mask.float()] if chips.lost is None else [seen, chips.mask.float(), _unknown_as_0(chips.lost)]
    cut = _nearest(torch.stack(planes, dim=1), pre)
    image = torch.stack([_bilinear(chips.image[:, i], grid) for i, grid in enumerate((pre, post))], dim=1)
    return Chips(
        image=image,
        mask=cut[:, 1].long(),
        valid=(cut[:, 0] > 0.5) & (_nearest(seen[:, None], post)[:, 0] > 0.5),
        lost=None if chips.lost is None else (cut[:, 2] + NOT_OBSERVED).to(torch.uint8),
    )


def _unknown_as_0(lost: Tensor) -> Tensor:
    """What is lost as float32 with 0 where unknown, which is what sampling brings in from beyond."""
    return lost.float() - NOT_OBSERVED


def _bilinear(image: Tensor, grid: Tensor) -> Tensor:
    return functional.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _nearest(planes: Tensor, grid: Tensor) -> Tensor:
    """(B, K, H, W) sampled; 0 outside."""
    return functional.grid_sample(planes, grid, mode="nearest", padding_mode="zeros", align_corners=False)


def _flipped(chips: Chips, chance: Chance) -> Chips:
    """One of the eight symmetries of the square for each chip."""
    kinds = chance.integers(8, (len(chips.mask),)).tolist()
    return each(chips, lambda part: torch.stack([_turned(one, kind) for one, kind in zip(part, kinds, strict=True)]))


def _turned(plane: Tensor, kind: int) -> Tensor:
    turned = torch.rot90(plane, kind % 4, dims=(-2, -1))
    return turned.flip(-1) if kind >= 4 else turned


def photometric(images: Tensor, settings: Augment, chance: Chance) -> Tensor:
    """Change light, season and sensor of each image of (N, C, H, W) by itself; stays within 0..1.

    The order is that of the light's way: season, air, optics, exposure, noise, compression.
    """
    out = _seasoned(images, settings, chance)
    out = _hazed(out, settings, chance)
    out = _focused(out, settings, chance)
    out = _exposed(out, settings, chance)
    noise = chance.normal(tuple(out.shape))
    out = out.add_(noise.mul_(chance.uniform((len(out), 1, 1, 1), 0, settings.noise))).clamp_(0, 1)
    return _compressed(out, settings, chance)


def _seasoned(images: Tensor, settings: Augment, chance: Chance) -> Tensor:
    """Leak bands into each other and change saturation; grey stays grey on average."""
    count, bands = images.shape[:2]
    leak = chance.normal((count, bands, bands)) * settings.mixing
    mixer = torch.eye(bands, device=images.device) + leak - leak.mean(2, keepdim=True)
    saturation = chance.uniform((count, 1, 1), *settings.saturation)
    grey = torch.full_like(mixer, 1 / bands)
    mixer = torch.bmm(grey + saturation * (torch.eye(bands, device=images.device) - grey), mixer)
    return torch.bmm(mixer, images.flatten(2)).reshape(images.shape)


def _hazed(images: Tensor, settings: Augment, chance: Chance) -> Tensor:
    """Half of the images are seen through some haze, of nearly grey light."""
    count, bands = images.shape[:2]
    share = (chance.uniform((count, 1, 1, 1), -1, 1) * settings.haze).clamp(min=0)
    light = chance.uniform((count, 1, 1, 1), *AIRLIGHT) + 0.03 * chance.normal((count, bands, 1, 1))
    return (images * (1 - share)).add_(light * share)


def _focused(images: Tensor, settings: Augment, chance: Chance) -> Tensor:
    """Unsharp masking by a random amount: negative blurs."""
    sigma = chance.uniform((len(images),), *BLUR)
    amount = chance.uniform((len(images), 1, 1, 1), *settings.sharpness)
    return (images - _blurred(images, sigma)).mul_(amount).add_(images)


def _blurred(images: Tensor, sigma: Tensor) -> Tensor:
    """Each image (N, C, H, W) under its own Gaussian, sigma (N,) px; mirrored beyond its edges."""
    steps = torch.arange(-REACH, REACH + 1, device=sigma.device)
    weight = torch.exp(-0.5 * (steps / sigma[:, None]).square())
    weight = (weight / weight.sum(dim=1, keepdim=True)).repeat_interleave(images.shape[1], dim=0)
    planes = functional.pad(images.flatten(0, 1)[None], (REACH,) * 4, mode="reflect")
    down = functional.conv2d(planes, weight[:, None, :, None], groups=len(weight))
    return functional.conv2d(down, weight[:, None, None, :], groups=len(weight)).reshape(images.shape)


def _exposed(images: Tensor, settings: Augment, chance: Chance) -> Tensor:
    """Contrast about the mean, gain, colour cast, offset and tone curve."""
    count, bands = images.shape[:2]
    contrast = chance.uniform((count, 1, 1, 1), *settings.contrast)
    gain = _log_uniform((count, 1, 1, 1), *settings.gain, chance)
    cast = (chance.normal((count, bands, 1, 1)) * settings.cast).exp()
    bias = chance.uniform((count, bands, 1, 1), -settings.bias, settings.bias)
    gamma = _log_uniform((count, 1, 1, 1), *settings.gamma, chance)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    out = (images - mean).mul_(contrast).add_(mean).mul_(gain).mul_(cast).add_(bias)
    return out.clamp_(1e-4, 1).pow_(gamma)


def _compressed(images: Tensor, settings: Augment, chance: Chance) -> Tensor:
    pick = chance.uniform((len(images),), 0, 1) < settings.jpeg
    quality = chance.uniform((len(images),), *JPEG_QUALITY)[pick]  # drawn anyhow: other processes may have picked some
    if not pick.any():
        return images
    out = images.clone()
    out[pick] = jpeg.compress(images[pick], quality)
    return out
