from __future__ import annotations

import numpy as np
import pytest

from mage_stac.plane import Plane, column, observed


def test_a_pixel_is_missing_where_all_bands_hold_nodata_or_one_is_nan() -> None:
    values = np.array([[[0, 0, 5]], [[0, 3, 5]]], np.int16)
    assert observed(values, 0.0).tolist() == [[False, True, True]]
    assert observed(values, None) is None
    assert observed(values, 9.0) is None
    fractions = np.array([[[np.nan, 1.0, -1.0]], [[2.0, 1.0, -1.0]]], np.float32)
    assert observed(fractions, -1.0).tolist() == [[False, True, False]]
    assert observed(fractions, float("nan")).tolist() == [[False, True, True]]


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32"])
def test_writing_scales_once_and_blanks_what_is_missing(dtype: str) -> None:
    values = np.arange(2 * 4 * 4).reshape(2, 4, 4).astype(dtype)
    seen = np.ones((4, 4), bool)
    seen[1, 1] = False
    plane = Plane(values=values, scale=column((0.5, 2.0), 1.0), offset=column((0.0, 1.0), 0.0), seen=seen)
    image, valid = np.full((2, 3, 3), 7, np.float32), np.ones((3, 3), bool)
    plane.write(slice(1, 4), slice(1, 4), image, valid)
    expected = values[:, 1:, 1:] * np.float32([0.5, 2])[:, None, None] + np.float32([0, 1])[:, None, None]
    expected[:, 0, 0] = 0
    np.testing.assert_allclose(image, expected)
    assert (~valid).sum() == 1
    np.testing.assert_allclose(plane.units()[:, 1:, 1:], expected)


def test_neutral_numbers_need_no_work() -> None:
    assert column((1.0, 1.0), 1.0) is None
    assert column((1.0, 2.0), 1.0).tolist() == [[[1.0]], [[2.0]]]
