from __future__ import annotations

import torch

from mage_stac.models.water_local import WaterLocal


def test_each_date_is_looked_at_by_itself() -> None:
    torch.manual_seed(0)
    network, image = WaterLocal(6), torch.rand(2, 2, 6, 20, 24)
    logits = network(image)
    assert logits.shape == (2, 2, 20, 24)
    torch.testing.assert_close(network(image[:, 1:]), logits[:, 1:])


def test_five_by_five_pixels_decide() -> None:
    torch.manual_seed(0)
    network = WaterLocal(3)
    image = torch.rand(1, 1, 3, 21, 21, requires_grad=True)
    network(image)[0, 0, 10, 10].backward()
    assert image.grad is not None
    rows, columns = torch.nonzero(image.grad[0, 0].abs().sum(0), as_tuple=True)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (8, 12, 8, 12)
