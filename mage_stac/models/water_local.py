"""Water, local: from a pixel's spectrum and those of its nearest neighbours to whether water shows there."""

from __future__ import annotations

from torch import Tensor, nn

ENCODER = "none"
"""`network.encoder` of a recipe that asks for this network."""
WIDTH = 48
"""Channels of each layer."""


class WaterLocal(nn.Module):
    """Images of any number of dates, each by itself, to logits of water; each from 5 x 5 pixels.

    For bands whose spectra tell water apart. What sees farther smooths: it fills the parcels that banks keep dry.
    """

    def __init__(self, bands: int) -> None:
        """Build for images of `bands` channels, with random weights."""
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(bands, WIDTH, 1),
            nn.ReLU(),
            nn.Conv2d(WIDTH, WIDTH, 1),
            nn.ReLU(),
            nn.Conv2d(WIDTH, WIDTH, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(WIDTH, WIDTH, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(WIDTH, 1, 1),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, T, H, W) of images (B, T, C, H, W), normalised."""
        logits: Tensor = self.layers(image.flatten(0, 1))
        return logits.reshape(*image.shape[:2], *logits.shape[-2:])
