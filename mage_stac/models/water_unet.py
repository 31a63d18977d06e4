"""Water U-Net: from one image to where water stands; the spectrum of a pixel beside what lies around it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder
from torch import Tensor, nn

from mage_stac.errors import RecipeError
from mage_stac.models import siamese

SPECTRUM = 32
"""Channels of the part that sees each pixel alone: at 10 m a parcel is a few pixels wide, which the U-Net's first
halving would lose."""


class WaterUnet(nn.Module):
    """Images of any number of dates, each by itself, to logits of water."""

    def __init__(self, *, bands: int, encoder: str, decoder: Sequence[int]) -> None:
        """Build with random weights.

        Args:
            bands: channels C of one image.
            encoder: a name of segmentation-models-pytorch.
            decoder: channels from coarse to fine, five: it ends at the image's own resolution.

        Raises:
            RecipeError: the encoder's name is unknown, or the decoder has not five steps.
        """
        super().__init__()
        if len(decoder) != 5:
            raise RecipeError(f"network.decoder = {list(decoder)}: the water head needs five, one for each halving")
        self.encoder = siamese.encoder_of(encoder, bands)
        channels = [int(n) for n in self.encoder.out_channels]  # type: ignore[union-attr] # a list, not a module
        self.decoder = UnetDecoder(channels, tuple(decoder), n_blocks=5)
        self.spectrum = nn.Sequential(
            nn.Conv2d(bands, SPECTRUM, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(SPECTRUM, SPECTRUM, 1),
            nn.ReLU(inplace=True),
        )
        self.head = nn.Sequential(
            nn.Conv2d(SPECTRUM + decoder[-1], SPECTRUM, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(SPECTRUM, 1, 1)
        )

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, T, H, W) of images (B, T, C, H, W), normalised; H and W are multiples of 32."""
        flat = image.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        around = self.decoder(self.encoder(flat))
        logits: Tensor = self.head(torch.cat([self.spectrum(flat), around], dim=1))
        return logits.reshape(*image.shape[:2], *logits.shape[-2:])
