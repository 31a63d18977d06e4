"""What JPEG does to an image, without its entropy coding: 8x8 DCT coefficients rounded to a quantisation table."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor
from torch.nn import functional

EDGE = 8

# ITU-T T.81 (1992), table K.1: luminance.
_TABLE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)


def compress(images: Tensor, quality: Tensor) -> Tensor:
    """Quantise each band of images as the luminance of a JPEG would be.

    Args:
        images: (N, C, H, W) 0..1.
        quality: (N,) in the scale of the Independent JPEG Group, 1..99.

    Returns:
        (N, C, H, W) 0..1.
    """
    height, width = images.shape[-2:]
    pad = (0, -width % EDGE, 0, -height % EDGE)
    planes = functional.pad(images * 255 - 128, pad, mode="replicate")
    rows, columns = planes.shape[-2] // EDGE, planes.shape[-1] // EDGE
    blocks = planes.reshape(*images.shape[:2], rows, EDGE, columns, EDGE)
    dct = _dct(images.device)
    spectrum = torch.einsum("ur,nchrws,vs->nchuwv", dct, blocks, dct)
    steps = _steps(quality)[:, None, None, :, None, :]
    rounded = (spectrum / steps).round() * steps
    back = torch.einsum("ur,nchuwv,vs->nchrws", dct, rounded, dct)
    out = back.reshape(planes.shape)[..., :height, :width]
    return ((out + 128) / 255).clamp(0, 1)


def _steps(quality: Tensor) -> Tensor:
    """Quantisation steps (N, 8, 8); scaling of the Independent JPEG Group's library (jpeg_quality_scaling)."""
    percent = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)
    table = torch.tensor(_TABLE, dtype=torch.float32, device=quality.device)
    return ((table * percent[:, None, None] + 50) / 100).floor().clamp(1, 255)


@functools.cache
def _dct(device: torch.device) -> Tensor:
    """Orthonormal DCT-II matrix (8 frequencies, 8 samples)."""
    samples = torch.arange(EDGE, dtype=torch.float64)
    rows = torch.cos((2 * samples + 1) * samples[:, None] * math.pi / (2 * EDGE)) * math.sqrt(2 / EDGE)
    rows[0] /= math.sqrt(2)
    return rows.float().to(device)
