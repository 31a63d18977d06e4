"""Partial loss: what of a roof is lost, pixel by pixel; and damaged houses that get their roof back, or a part of it.

A network that learns grades alone tells major damage from destruction by how the ruins look, and minor damage from none
by what lies around the house; both look otherwise in renders than in photographs. Here the same ruins occur in both
grades, and the same surroundings, so that the roof itself must tell.

Axes: B chips, C bands, H and W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from mage_stac.adapt.augment import Chips
from mage_stac.adapt.chance import Chance
from mage_stac.classes import NOT_OBSERVED, PARTLY_LOST

UNDAMAGED, MINOR, MAJOR, DESTROYED = 1, 2, 3, 4
SMALLEST = 40
"""Pixels of a house below which it is left as it is."""
ROUGH = (0.3, 2.0)
"""Range of how far the edge of what is left strays, px."""
SOFT = 0.6
"""Blur of that edge, px: about the sensor's."""
GAIN, LEAST = (0.7, 1.4), 150
"""Range of light after over light before that is believed, and pixels of standing houses that it takes to measure."""
LOST = np.full(256, NOT_OBSERVED, np.uint8)
LOST[[1, 2]], LOST[DESTROYED] = 0, 1
"""What of a house is lost, by its class."""


def roofs(chips: Chips, shares: Sequence[float], chance: Chance) -> Chips:
    """The chips with `lost` known: 0 on houses of grades 1 and 2, 1 on destroyed ones, 255 elsewhere: where no house
    is, or one of which nobody says what is lost.

    Of a chip's destroyed houses its share get 40 to 80 % of their roof back from the image before, in its light after,
    on one side of a ragged line or around a hole. They are graded major then. Of those of minor damage as many get all
    of it back and are undamaged.

    Args:
        chips: not yet augmented: both dates lie on each other.
        shares: of each chip, 0..1; 0 for photographs, whose dates never lie quite on each other.
        chance: draws which, and what is left.
    """
    seeds = chance.integers(2**31 - 1, (len(chips.mask),)).tolist()
    image, mask = (part.cpu().numpy().copy() for part in (chips.image, chips.mask))
    lost = LOST[mask]
    for one, (share, seed) in enumerate(zip(shares, seeds, strict=True)):
        _restore(image[one], mask[one], lost[one], share, np.random.default_rng(seed))
    known = (torch.from_numpy(part).to(chips.mask.device) for part in (image, mask, lost))
    return chips._replace(**dict(zip(("image", "mask", "lost"), known, strict=True)))


def _restore(
    image: NDArray[np.float32],
    mask: NDArray[np.int64],
    lost: NDArray[np.uint8],
    share: float,
    rng: np.random.Generator,
) -> None:
    """Give houses of one chip their roofs back, in place: (2, C, H, W), (H, W), (H, W)."""
    light = _light(image, mask)
    for grade, then in ((DESTROYED, MAJOR), (MINOR, UNDAMAGED)):
        parts, _ = ndimage.label(mask == grade)
        for number, place in enumerate(ndimage.find_objects(parts), start=1):
            own = parts[place] == number
            if rng.random() >= share or own.sum() < SMALLEST:
                continue
            gone = _gone(own, rng) if then == MAJOR else np.zeros_like(own)
            kept = ndimage.gaussian_filter((own & ~gone).astype(np.float32), SOFT) * own
            before, after = (image[date][(slice(None), *place)] for date in (0, 1))
            after += (np.clip(before * light, 0, 1) - after) * kept
            mask[place][own], lost[place][own] = then, gone[own]


def _gone(own: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """What of a house (rows, columns) stays lost: one side of it, or what lies around one of its points."""
    places: NDArray[np.float32] = np.indices(own.shape, dtype=np.float32)
    y, x = places[0], places[1]
    angle, centre = rng.uniform(0, 2 * np.pi), int(rng.integers(own.sum()))
    if rng.random() < 0.5:
        along = x * np.cos(angle) + y * np.sin(angle)
    else:
        along = np.hypot(x - x[own][centre], y - y[own][centre])
    stray = ndimage.gaussian_filter(rng.standard_normal(own.shape), 1.5)
    along = along + stray / max(float(stray.std()), 1e-6) * rng.uniform(*ROUGH)
    gone: NDArray[np.bool_] = own & (along <= np.quantile(along[own], rng.uniform(*PARTLY_LOST)))
    return gone


def _light(image: NDArray[np.float32], mask: NDArray[np.int64]) -> NDArray[np.float32]:
    """(C, 1, 1): how much brighter undamaged houses are after; 1 where too few of them show."""
    standing = mask == UNDAMAGED
    if standing.sum() < LEAST:
        return np.ones((image.shape[1], 1, 1), np.float32)
    means = image.reshape(*image.shape[:2], -1) @ standing.ravel().astype(np.float32) / np.float32(standing.sum())
    ratio: NDArray[np.float32] = np.clip(means[1] / np.maximum(means[0], 1e-3), *GAIN)
    return ratio[:, None, None]
