from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from mage_stac.adapt import batch_norm
from mage_stac.errors import ModelError


def features(number: int, seed: int, shift: float = 0.0) -> torch.Tensor:
    return torch.randn(number, 3, 8, 8, generator=torch.Generator().manual_seed(seed)) * 2 + shift


def test_statistics_become_numpy_s_mean_and_variance_of_the_real_features() -> None:
    network = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU())
    batches = [features(4, 1), features(7, 2, shift=5.0), features(1, 3)]
    assert batch_norm.adapt(network, batches) == 1
    rows = torch.cat(batches).numpy().transpose(1, 0, 2, 3).reshape(3, -1)
    np.testing.assert_allclose(network[0].running_mean, rows.mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(network[0].running_var, rows.var(axis=1, ddof=1), rtol=1e-5)


def test_a_share_lies_between_both() -> None:
    whole, half = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
    before = half.running_mean.clone()
    batch_norm.adapt(whole, [features(4, 1, 2.0)])
    batch_norm.adapt(half, [features(4, 1, 2.0)], share=0.5)
    torch.testing.assert_close(half.running_mean, (before + whole.running_mean) / 2)


def test_deeper_layers_see_what_normalised_batches_cause_and_nothing_else_changes() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout(0.5)).eval()
    weights = network[1].weight.clone()
    network[2].train()  # a mode of its own
    batch = features(4, 1, 3.0)
    assert batch_norm.adapt(network, [batch]) == 2
    normalised = (batch - batch.mean((0, 2, 3), keepdim=True)) / torch.sqrt(
        batch.var((0, 2, 3), correction=0, keepdim=True) + 1e-5
    )
    inner = network[1](normalised).detach()
    torch.testing.assert_close(network[2].running_mean, inner.mean((0, 2, 3)), atol=1e-5, rtol=1e-4)
    assert torch.equal(network[1].weight, weights)
    assert [layer.training for layer in network] == [False, False, True, False]
    assert network[0].momentum == 0.1
    assert int(network[0].num_batches_tracked) == 0
    assert not network[0]._forward_pre_hooks


def test_without_batch_norm_nothing_is_asked_and_without_images_it_is_told() -> None:
    assert batch_norm.adapt(nn.Conv2d(3, 3, 1), []) == 0
    assert batch_norm.adapt(nn.BatchNorm2d(3), [], share=0.0) == 0
    with pytest.raises(ModelError, match="no real image"):
        batch_norm.adapt(nn.BatchNorm2d(3), [])


def test_one_window_of_a_single_value_is_told() -> None:
    network = nn.Sequential(nn.AvgPool2d(8), nn.BatchNorm2d(3))
    assert batch_norm.adapt(network, [features(2, 1)]) == 1
    with pytest.raises(ModelError, match=r"1 window of 8 px at a time: look at more \(event\.chips, --chips\)"):
        batch_norm.adapt(network, [features(1, 1)])
