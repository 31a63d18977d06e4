from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.fft import dctn

from mage_stac.adapt import jpeg


def scene(size: int = 64) -> np.ndarray:
    rows, columns = np.mgrid[:size, :size]
    noise = np.random.default_rng(0).normal(0, 12, (size, size))
    return (120 + 60 * np.sin(rows / 5) * np.cos(columns / 7) + noise).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("quality", [20, 50, 90])
def test_grey_images_look_as_after_libjpeg(quality: int) -> None:
    image = scene()
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality)
    expected = np.asarray(Image.open(stream), float)
    batch = torch.from_numpy(image / 255).float()[None, None]
    ours = jpeg.compress(batch, torch.tensor([float(quality)]))[0, 0].numpy() * 255
    assert np.abs(ours - expected).mean() < 0.6
    assert np.abs(ours - expected).mean() < 0.25 * max(1.0, np.abs(image - expected).mean())


def test_the_transform_is_orthonormal_dct() -> None:
    block = np.random.default_rng(0).normal(size=(8, 8))
    matrix = jpeg._dct(torch.device("cpu")).double().numpy()
    np.testing.assert_allclose(matrix @ block @ matrix.T, dctn(block, norm="ortho"), atol=1e-5)


def test_sizes_that_are_no_multiple_of_eight() -> None:
    batch = torch.rand(2, 4, 13, 21, generator=torch.Generator().manual_seed(0))
    out = jpeg.compress(batch, torch.tensor([90.0, 30.0]))
    assert out.shape == batch.shape
    assert 0 <= out.min() <= out.max() <= 1
