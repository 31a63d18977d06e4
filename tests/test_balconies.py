from __future__ import annotations

import numpy as np
import pytest
import shapely
from plans import building

from mage_stac.scene import balconies, roofs, shells
from mage_stac.scene.scene import SEMANTIC, Building, Face

SQUARE = ((0, 0), (10, 0), (10, 10), (0, 10))


def house(west: float = 0.0, **fields: object) -> Building:
    ring = tuple((x + west, y) for x, y in SQUARE)
    return building(ring, **{"id": f"b{west:g}", "storeys": 3, "height": 9.0, "kind": "apartment", **fields})


def test_a_share_of_storeyed_dwellings_has_some() -> None:
    several = [house(30.0 * number, kind="house", seed=number) for number in range(300)]
    shares = {share: np.mean([bool(one.balconies) for one in balconies.hung(several, [share] * 300)])
              for share in (0.0, 0.35, 1.0)}  # fmt: skip
    assert shares == {0.0: 0.0, 0.35: pytest.approx(0.35, abs=0.08), 1.0: 1.0}
    low = [house(storeys=1, height=3.0), house(kind="shed"), house(kind="commercial")]
    assert not any(one.balconies for one in balconies.hung(low, [1.0] * 3))
    flats = [house(30.0 * number, seed=number) for number in range(300)]
    assert np.mean([bool(one.balconies) for one in balconies.hung(flats, [0.0] * 300)]) > 0.5


def test_none_hangs_into_a_neighbour() -> None:
    """Three houses in a row, wall to wall: sides 1 (east) and 3 (west) of the middle one are taken."""
    for seed in range(20):
        row = [house(10.0 * number, kind="house", seed=seed + number) for number in range(3)]
        left, middle, right = (set(one.balconies) for one in balconies.hung(row, [1.0] * 3))
        assert left <= {0, 2, 3}
        assert middle <= {0, 2}
        assert right <= {0, 1, 2}
        assert left
        assert middle


@pytest.mark.parametrize("seed", range(6))
def test_they_hang_outside_the_walls_below_the_roof(seed: int) -> None:
    one = house(balconies=(0, 3), seed=seed, base=20.0, roof="hipped", pitch=30.0, overhang=0.6)
    whole = balconies.build(one, 4)
    outline = shapely.Polygon(one.footprint)
    points = whole.vertices.astype(float)
    away = shapely.distance(shapely.points(points[:, :2]), outline)
    assert not shapely.contains_xy(outline.buffer(-1e-3), *points[:, :2].T).any()
    assert balconies.DEEP[0] - 1e-3 < away.max() < balconies.DEEP[1] + 1e-3
    assert points[:, 2].min() == pytest.approx(20.0 + 3.0 - balconies.SLAB)
    assert points[:, 2].max() == pytest.approx(20.0 + 6.0 + balconies.PARAPET)
    assert points[:, 2].max() < 20.0 + balconies.lowest_roof(one) - balconies.UNDER_ROOF
    shell = shells.of([one])[0]
    assert shell.tiles.corners[..., 2].min() == pytest.approx(balconies.lowest_roof(one), abs=1e-6)
    assert (set(whole.instance), set(whole.semantic)) == ({4}, {SEMANTIC["building"]})
    corners = points[whole.triangles]
    area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    up = area[area[:, 2] > 1e-6]
    assert len(up) == len(whole.triangles) / 4
    assert (np.abs(area[area[:, 2] <= 1e-6, 2]) < 1e-4).all()


def test_they_are_part_of_the_walls() -> None:
    with_some, without = (shells.walls(shells.of([house(balconies=sides)])[0]) for sides in ((0, 1), ()))
    assert len(with_some.triangles) > len(without.triangles)
    outline = roofs.plan(house())
    reach = shapely.distance(shapely.points(with_some.vertices[:, :2].astype(float)), outline).max()
    assert reach > 0.8


def test_a_measured_roof_s_lowest_point() -> None:
    roof = Face(ring=((0, 0, 612), (10, 0, 612), (10, 10, 615), (0, 10, 615)))
    annex = Face(ring=((10, 0, 604), (14, 0, 604), (14, 10, 604), (10, 10, 604)))
    assert balconies.lowest_roof(house(faces=(roof, annex), base=600.0)) == pytest.approx(4.0)
