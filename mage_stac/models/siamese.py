"""Siamese U-Net: an encoder for both dates, buildings from before, grades from before, after and their difference."""

from __future__ import annotations

import math
from collections.abc import Sequence

import segmentation_models_pytorch as smp
import torch
from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder
from torch import Tensor, nn
from torch.nn import functional

from mage_stac.classes import GRADES
from mage_stac.errors import RecipeError

BUILDING_SHARE = 0.1
"""Building pixels in a suburb, about; only the start of the building head's bias."""


class Fuse(nn.Module):
    """Features (B, C, h, w) of two dates -> (B, C, h, w) of the pair."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = nn.Sequential(
            nn.Conv2d(3 * channels, channels, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
        )

    def forward(self, pre: Tensor, post: Tensor) -> Tensor:
        fused: Tensor = self.mix(torch.cat([pre, post, (pre - post).abs()], dim=1))
        return fused


class SiameseUnet(nn.Module):
    """Pre and post images -> logits of building and of the grade.

    The encoder's weights serve both dates (as in the xView2 winner, so that a change is a difference of like features),
    unless they are of different sensors, which look alike nowhere (a pseudo-siamese network: Chen et al. 2025,
    doi:10.5194/essd-17-6217-2025, use them for optical and radar images).
    The building decoder sees the pre image only: what stood there does not depend on what is left of it.
    """

    def __init__(
        self, *, bands: int, encoder: str, decoder: Sequence[int], lost: bool = False, shared: bool = True
    ) -> None:
        """Build with random weights.

        Args:
            bands: channels C of one image.
            encoder: a name of segmentation-models-pytorch.
            decoder: channels from coarse to fine, at most five.
            lost: whether a third head says what of a roof is lost.
            shared: whether one encoder serves both dates.

        Raises:
            RecipeError: the encoder's name is unknown.
        """
        super().__init__()
        self.encoder = encoder_of(encoder, bands)
        self.post_encoder = None if shared else encoder_of(encoder, bands)
        channels = [int(n) for n in self.encoder.out_channels]  # type: ignore[union-attr] # a list, not a module
        self.fuse = nn.ModuleList([Fuse(n) for n in channels[1:]])
        for finer in self.fuse[: max(0, len(self.fuse) - len(decoder))]:
            finer.requires_grad_(requires_grad=False)  # the decoder does not look that closely; DDP wants to know
        self.building_decoder = UnetDecoder(channels, tuple(decoder), n_blocks=len(decoder))
        self.damage_decoder = UnetDecoder(channels, tuple(decoder), n_blocks=len(decoder))
        self.building_head = building_head(decoder[-1])
        self.damage_head = nn.Conv2d(decoder[-1], len(GRADES), 3, padding=1)
        self.lost_head = nn.Conv2d(decoder[-1], 1, 3, padding=1) if lost else None

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Logits on the image's own grid.

        Args:
            image: (B, 2, C, H, W) float, normalised, pre before post; any H and W.

        Returns:
            building (B, 1, H, W) and damage (B, 4, H, W); with the third head also lost (B, 1, H, W).
        """
        pre, post = self._features(image)
        fused = [pre[0], *(fuse(a, b) for fuse, a, b in zip(self.fuse, pre[1:], post[1:], strict=True))]
        changed = self.damage_decoder(fused)
        heads = {"building": self.building_head(self.building_decoder(pre)), "damage": self.damage_head(changed)}
        if self.lost_head is not None:
            heads["lost"] = self.lost_head(changed)
        return {name: resized(logits, image.shape[-2:]) for name, logits in heads.items()}

    def _features(self, image: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Per stage, full resolution first: features (B, c, h, w) of each date; one pass over both if they share."""
        if self.post_encoder is not None:
            dates = (image[:, number].contiguous(memory_format=torch.channels_last) for number in (0, 1))
            before, after = (net(one) for net, one in zip((self.encoder, self.post_encoder), dates, strict=True))
            return before, after
        stacked = image.transpose(0, 1).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        stages: list[Tensor] = self.encoder(stacked)
        half = image.shape[0]
        return [stage[:half] for stage in stages], [stage[half:] for stage in stages]


def encoder_of(name: str, bands: int) -> nn.Module:
    """An encoder of five stages with random weights; RecipeError for a name that is unknown."""
    try:
        encoder: nn.Module = smp.encoders.get_encoder(name, in_channels=bands, depth=5, weights=None)
    except (KeyError, RuntimeError) as error:
        raise RecipeError(
            f"network.encoder = {name!r}: not an encoder of segmentation-models-pytorch; resnet18 is one"
        ) from error
    return encoder


def building_head(channels: int) -> nn.Conv2d:
    """Features to a logit of building, which starts from BUILDING_SHARE."""
    head = nn.Conv2d(channels, 1, 3, padding=1)
    nn.init.constant_(head.bias, math.log(BUILDING_SHARE / (1 - BUILDING_SHARE)))  # type: ignore[arg-type]
    return head


def resized(logits: Tensor, size: torch.Size) -> Tensor:
    """Logits (B, K, h, w) on a grid of another size."""
    if logits.shape[-2:] == size:
        return logits
    return functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)
