"""Single-image U-Net: the buildings of the earlier image alone, all of them called undamaged."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder
from torch import Tensor, nn

from mage_stac.classes import GRADES
from mage_stac.models import siamese

SURE = 100.0
"""Logit by which "no damage" leads: its probability is 1 in float32 at any temperature of models.calibration."""


class SingleUnet(nn.Module):
    """The building half of the siamese U-Net; a third of its work."""

    def __init__(self, *, bands: int, encoder: str, decoder: Sequence[int]) -> None:
        """Build with random weights; arguments and errors as of SiameseUnet."""
        super().__init__()
        self.encoder = siamese.encoder_of(encoder, bands)
        channels = [int(n) for n in self.encoder.out_channels]  # type: ignore[union-attr] # a list, not a module
        self.building_decoder = UnetDecoder(channels, tuple(decoder), n_blocks=len(decoder))
        self.building_head = siamese.building_head(decoder[-1])

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Logits on the image's own grid.

        Args:
            image: (B, 2, C, H, W) float, normalised; the second image is not looked at.

        Returns:
            building (B, 1, H, W) and damage (B, 4, H, W): "no damage" everywhere, which nothing can learn from.
        """
        stages: list[Tensor] = self.encoder(image[:, 0].contiguous(memory_format=torch.channels_last))
        building = siamese.resized(self.building_head(self.building_decoder(stages)), image.shape[-2:])
        damage = building.new_zeros((len(building), len(GRADES), *building.shape[-2:]))
        damage[:, 0] = SURE
        return {"building": building, "damage": damage}
