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


THINNED = shapely.Polygon(
    [
        (177.16033249585698, 156.54846019888734), (177.701, 151.154), (180.871, 140.963),
        (177.60399336699444, 152.1218747414383), (219.409, 142.26), (247.84659683664532, 286.0470012627058),
        (276.2601784964088, 286.0470012627058), (215.199, 104.191), (152.505, 110.832),
    ],
    [[
        (262.86452813742386, 273.1065281374238), (262.7772719409964, 273.1856125440353),
        (262.6826842796235, 273.25576353476305),
    ]],
)  # fmt: skip
"""A notch narrower than a picometre: make_valid fails on it once moved."""
HOLED = shapely.Polygon(
    [(110.0, 157.0), (54.32, 122.241), (13.0, 96.0), (13.0, 131.0)],
    [[(50.5466811305, 121.8839035292), (48.718, 130.065), (50.586, 121.708), (54.32, 122.241)]],
)
"""A hole that touches a corner of the outline: set_precision fails on it once moved."""


@pytest.mark.parametrize(
    ("garden", "corner"),
    [(THINNED, (366_642.60000000003, 4_103_548.8)), (HOLED, (366_674.4, 4_104_004.1999999997))],
)
def test_gardens_of_joplin_whose_edges_come_to_cross_stay_valid(
    garden: shapely.Polygon, corner: tuple[float, float]
) -> None:
    at = Site(crs=CRS(26915), bounds=(*corner, corner[0] + 240.0, corner[1] + 240.0))
    assert garden.is_valid
    assert not shapely.transform(garden, lambda points: points + at.origin).is_valid
    made = assembly._world(garden, at)
    assert made.is_valid
    assert made.area == pytest.approx(garden.area, rel=1e-4)


def test_areas_that_geos_cannot_mend_after_the_move_are_mended_before() -> None:
    """A garden between houses in rows, thinned: rings that touch in a point cross once it is moved."""
    at = Site(crs=CRS(32632), bounds=(736_246.0261012081, 4_987_129.504698914, 736_646.0, 4_987_529.0))
    outline = [
        (251.1831309435468, 74.96827817938212), (220.54538444097622, 121.59879308715881),
        (281.1741807758308, 94.91544491807781),
    ]  # fmt: skip
    holes = [
        [(251.669, 77.532), (251.65366794084974, 78.35873648820704), (251.1831309435468, 74.96827817938212)],
        [
            (250.36334105679896, 100.645165766901), (251.669, 107.532), (250.50583191222992, 101.3967486409705),
            (244.9083777085225, 100.42321921795508), (251.65366794084974, 78.35873648820704),
        ],
    ]  # fmt: skip
    garden = shapely.Polygon(outline, holes)
    assert not shapely.transform(garden, lambda points: points + at.origin).is_valid
    made = assembly._world(garden, at)
    assert made.is_valid
    assert made.area == pytest.approx(garden.area, rel=1e-3)
