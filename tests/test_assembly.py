from __future__ import annotations

import pytest
import shapely
from pyproj import CRS

from mage_stac.scene import assembly
from mage_stac.scene.site import Site


def test_areas_stay_valid_where_large_coordinates_are_rounded() -> None:
    at = Site(crs=CRS(26915), bounds=(367_264.0, 4_103_440.0, 367_364.0, 4_103_540.0))
    notched = shapely.Polygon([(0, 0), (10, 0), (10, 10), (5, 1e-11), (0, 10)])  # the notch ends just above the edge
    moved = shapely.transform(notched, lambda points: points + at.origin)
    assert notched.is_valid
    assert not moved.is_valid
    made = assembly._world(notched, at)
    assert made.is_valid
    assert made.area == pytest.approx(50.0)
    assert shapely.box(*at.bounds).difference(made).area == pytest.approx(100.0**2 - 50.0)
