"""What grows on a photograph's ground."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st

from mage_stac.scene import growth

GSD = 0.5
LAWN, ASPHALT, RED_SOIL, STRAW = (0.06, 0.10, 0.045), (0.19, 0.185, 0.155), (0.30, 0.19, 0.11), (0.30, 0.26, 0.17)


def quarters() -> np.ndarray:
    """80 x 80 m: lawn, asphalt, red soil and dry grass, each 40 x 40 m, with a little even noise."""
    ground = np.empty((160, 160, 3), np.float32)
    for (row, column), colour in zip(
        ((0, 0), (0, 80), (80, 0), (80, 80)), (LAWN, ASPHALT, RED_SOIL, STRAW), strict=True
    ):
        ground[row : row + 80, column : column + 80] = colour
    return ground * (1 + 0.02 * np.random.default_rng(1).standard_normal((160, 160, 1))).astype(np.float32)


def with_crowns(ground: np.ndarray, centres: list[tuple[int, int]], radius: float) -> np.ndarray:
    """The ground with crowns of `radius` metres: leaves in the sun and in their own shade, texel by texel."""
    rows, columns = np.indices(ground.shape[:2])
    rng = np.random.default_rng(2)
    shade = np.where(rng.random(ground.shape[:2]) < 0.5, 0.035, 0.075)[..., None] * np.array([0.8, 1.25, 0.75])
    inside = np.any([np.hypot(rows - r, columns - c) * GSD < radius for r, c in centres], axis=0)
    return np.where(inside[..., None], shade, ground).astype(np.float32)


def test_streets_and_red_soil_do_not_burn_lawns_and_dry_grass_do() -> None:
    plants = growth.of(quarters(), GSD).plants
    lawn, asphalt, soil, straw = plants[8:72, 8:72], plants[8:72, 88:152], plants[88:152, 8:72], plants[88:152, 88:152]
    assert lawn.min() > 0.9
    assert straw.min() > 0.5
    assert asphalt.max() < 0.2
    assert soil.max() < 0.2


def test_crowns_are_found_where_they_stand() -> None:
    centres = [(20, 20), (20, 60), (60, 20), (60, 60)]
    crowns = growth.of(with_crowns(quarters(), centres, 4.0), GSD).crowns
    assert all(crowns[row, column] > 0.9 for row, column in centres)
    found = crowns[:80, :80] > 0.5
    assert found.sum() * GSD**2 == pytest.approx(4 * np.pi * 4.0**2, rel=0.35)  # rims of about a metre are soft
    assert crowns[40, 40] < 0.05, "lawn between them"
    assert crowns[:80, 90:].max() < 0.05, "nor on asphalt"


def test_pixels_wider_than_crowns_show_none() -> None:
    found = growth.of(with_crowns(quarters(), [(40, 40)], 6.0), 2.0)
    assert found.crowns.max() == 0.0
    assert found.plants[40, 40] > 0.5


@given(st.floats(0.5, 1.5), st.integers(0, 2**16))
def test_shares_are_shares_at_any_exposure(gain: float, seed: int) -> None:
    noise = np.random.default_rng(seed).random((24, 24, 3)).astype(np.float32)
    found = growth.of((gain * 0.3 * noise).clip(0.005, 0.95), GSD)
    for share in (found.plants, found.crowns):
        assert share.shape == (24, 24)
        assert 0.0 <= share.min() <= share.max() <= 1.0
    assert np.isfinite(found.tone).all()


@pytest.mark.parametrize(("row", "column", "burns"), [(781, 1036, True), (456, 1121, False), (731, 1273, False)])
def test_a_meadow_of_joplin_burns_its_streets_do_not(shared: Path, row: int, column: int, *, burns: bool) -> None:
    with rasterio.open(shared / "joplin" / "joplin_pre_60cm.tif") as source:
        window = rasterio.windows.Window(column - 100, row - 100, 200, 200)
        ground = np.moveaxis(source.read([1, 2, 3], window=window), 0, -1).astype(np.float32) / 255
    found = growth.of((0.5 * ground**2.2).clip(0.005, 0.95), 0.6)  # display values to about reflectance
    share = float(found.plants[98:103, 98:103].mean())
    assert share > 0.8 if burns else share < 0.35
