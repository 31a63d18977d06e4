from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mage_stac import curves

ROW = {"step": 5, "building_iou": 0.5, "macro_f1": None, "damage_recall": 0.1, "no_damage_macro_f1": 0.2}


@pytest.mark.parametrize(("steps", "rows"), [(0, []), (1, [ROW]), (957, [ROW, {**ROW, "step": 900}])])
def test_a_picture_is_drawn_whatever_there_is(tmp_path: Path, steps: int, rows: list[dict[str, float]]) -> None:
    curves.draw(tmp_path / "c.png", [(1.0, 0.5, 0.3, 0.2)] * steps, rows)
    with Image.open(tmp_path / "c.png") as picture:
        assert picture.size == (1000, 400)


def test_smoothing_keeps_means() -> None:
    losses = np.random.default_rng(0).random((1000, 4))
    steps, means = curves._smoothed(losses)
    assert len(steps) == len(means) == curves.POINTS
    np.testing.assert_allclose(means.mean(axis=0), losses.mean(axis=0))
    assert steps[0] == 5.5
