"""The contact sheet of a catalogue."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import synthetic
from PIL import Image

from mage_stac import gallery
from mage_stac.errors import CatalogueError


def test_a_row_for_each_pair_up_to_the_limit(tmp_path: Path) -> None:
    synthetic.write(tmp_path / "set", scenes=3, size=64)
    out = tmp_path / "sheet.png"
    assert gallery.sheet(tmp_path / "set", out, limit=2, side=64) == 2
    with Image.open(out) as sheet:
        pixels = np.asarray(sheet.convert("RGB"))
    red = (pixels == (215, 25, 28)).all(-1)
    assert red.any()  # the colour of destroyed, from the truth column
    assert red[:, : pixels.shape[1] // 2].sum() < red[:, pixels.shape[1] // 2 :].sum()


def test_a_catalogue_with_nothing_to_show_is_told(tmp_path: Path) -> None:
    synthetic.write(tmp_path, scenes=1, size=64)
    for item in tmp_path.glob("*/*/*.json"):
        item.unlink()
    with pytest.raises(CatalogueError):
        gallery.sheet(tmp_path, tmp_path / "sheet.png")
