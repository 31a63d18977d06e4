from __future__ import annotations

import numpy as np
import shapely
import shapely.affinity
from test_highways import CLIP, ORIGIN, TRADITION, lines
from test_scene_buildings import make

from mage_stac.scene import highways, premises, traditions

STREET = [
    strip.surface
    for strip in highways.strips(
        lines(shapely.LineString([(500000, 5000080), (500200, 5000080)]), kind="residential"),
        CLIP,
        ORIGIN,
        TRADITION,
        1,
    )
]
HOUSES = [shapely.box(500020 + 25 * i, 5000100, 500032 + 25 * i, 5000109) for i in range(5)]


def yards(**known: object) -> premises.Premises:
    made = [building for building, _ in make(*HOUSES, **known)]  # type: ignore[arg-type]
    suburb = [traditions.of(-94.5, 37.1, 0.1)] * len(made)
    taken = highways.covered((surface.ring, surface.holes) for surface in STREET)
    return premises.around(made, suburb, STREET, taken)


def test_lawns_do_not_overlap_and_stay_off_the_street() -> None:
    lawns = [shapely.Polygon(surface.ring, surface.holes) for surface in yards(kind="house").lawns]
    street = shapely.Polygon(STREET[0].ring)
    assert len(lawns) == 5
    assert sum(lawn.area for lawn in lawns) - shapely.union_all(lawns).area < 1.0
    assert all(lawn.intersection(street).area < 0.1 for lawn in lawns)


def test_drives_lead_from_the_street_to_the_house() -> None:
    drives = [surface for surface in yards(kind="house").built if surface.use == "drive"]
    assert drives
    for drive in drives:
        assert shapely.Point(drive.line[0]).distance(shapely.LineString(STREET[0].line)) < STREET[0].width / 2
        assert (
            min(shapely.Point(drive.line[-1]).distance(shapely.transform(h, lambda p: p - ORIGIN)) for h in HOUSES)
            < 0.5
        )


def test_works_stand_on_hard_ground_and_sheds_on_none() -> None:
    assert {surface.semantic for surface in yards(kind="industrial").lawns} == {"paved"}
    assert yards(kind="shed").lawns == ()


def test_no_buildings() -> None:
    assert premises.around((), (), STREET, shapely.Polygon()).lawns == ()


def test_lone_works_stand_on_a_square_plot_along_their_walls() -> None:
    plan = shapely.affinity.rotate(shapely.box(500020, 5000020, 500050, 5000032), 20)
    ((works, _),) = make(plan, kind="industrial")
    (lot,) = premises.around([works], [TRADITION], [], shapely.Polygon()).lawns
    level, hall = (
        shapely.affinity.rotate(shapely.Polygon(ring), -20, origin=(0, 0)) for ring in (lot.ring, works.footprint)
    )
    assert level.area / shapely.box(*level.bounds).area > 0.999  # simplified by less than a metre
    reach = np.abs(np.subtract(level.bounds, hall.bounds))
    assert (reach > premises.NEAREST * premises.REACH - 0.01).all()
    assert (reach < premises.REACH + 0.01).all()
    assert len(set(np.rint(reach * 10))) > 1
