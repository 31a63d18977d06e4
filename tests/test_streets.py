from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from shapely import Polygon, box, unary_union

from mage_stac.scene import plane, streets
from mage_stac.scene.plane import Frame
from mage_stac.scene.streets import Block, Grid

GRID = Grid(short=80.0, long=150.0, regular=0.6, arterial=0.6, widths=(16.0, 8.0, 5.0), verge=3.0, lane=0.2)
WHOLE = Block(low=(-300.0, -250.0), high=(300.0, 250.0), ranks=(9, 9, 9, 9))
FLAT = plane.Plane(centre=(0.0, 0.0), turn=0.0, bend=0.0, waves=())


@pytest.mark.parametrize("seed", range(6))
def test_blocks_and_streets_fill_the_plan_without_overlap(seed: int) -> None:
    network, blocks = streets.lay(WHOLE, GRID, np.random.default_rng(seed))
    shapes = [box(*block.low, *block.high) for block in blocks]
    paved = unary_union(
        [
            Polygon(surface.ring)
            for surface in streets.pave(network, FLAT, [{"asphalt": 1}] * 3, np.random.default_rng(0))
        ]
    )
    assert unary_union(shapes).area == pytest.approx(sum(shape.area for shape in shapes))
    assert unary_union(shapes).intersection(paved).area < 1e-6
    whole = box(*WHOLE.low, *WHOLE.high)
    verges = whole.difference(unary_union([*shapes, paved]))
    assert verges.buffer(-GRID.verge / 2 - 0.2).is_empty
    assert all(max(block.size) <= 1.56 * GRID.long for block in blocks)


def test_blocks_know_the_streets_along_their_sides() -> None:
    network, blocks = streets.lay(WHOLE, GRID, np.random.default_rng(3))
    for block in blocks:
        (u0, v0), (u1, v1) = block.low, block.high
        for rank, at in zip(block.ranks, ((u0 + 1, v0), (u1, v0 + 1), (u0 + 1, v1), (u0, v0 + 1)), strict=True):
            if rank == 9:
                continue
            reach = GRID.verge + GRID.widths[rank] / 2 + 0.01
            near = [
                street
                for street in network
                if street.rank == rank
                and box(*np.min(street.ends, axis=0), *np.max(street.ends, axis=0))
                .buffer(reach)
                .covers(box(*at, *at).centroid)
            ]
            assert near


def test_bends_keep_streets_whole_and_frames_square() -> None:
    bent = plane.draw(np.random.default_rng(1), (150.0, 150.0), turn=0.4, bend=30.0)
    network, _ = streets.lay(WHOLE, GRID, np.random.default_rng(1))
    for surface in streets.pave(network, bent, [{"asphalt": 1}] * 3, np.random.default_rng(0)):
        shape = Polygon(surface.ring)
        assert shape.is_valid
        assert shape.exterior.is_ccw
    frame = bent.frame(40.0, -25.0, 1)
    assert np.hypot(*frame.x) == pytest.approx(1.0)
    corner = frame.world([(3.0, 4.0)])[0] - np.array(frame.origin)
    assert np.hypot(*corner) == pytest.approx(5.0)


def test_rings_come_out_anticlockwise_and_rounded() -> None:
    ring = plane.ring([(0.0, 0.0), (0.0, 1.00049), (1.0, 1.0)])
    assert Polygon(ring).exterior.is_ccw
    assert (1.0, 1.0) in ring
    assert (0.0, 1.0) in ring
    frame = Frame(origin=(10.0, 0.0), x=(0.0, 1.0))
    assert frame.world([(2.0, 1.0)]).tolist() == [[9.0, 2.0]]


def test_one_lot_gives_one_network() -> None:
    first, second = (streets.lay(WHOLE, GRID, np.random.default_rng(5)) for _ in range(2))
    assert first == second
    assert first != streets.lay(WHOLE, replace(GRID, short=60.0), np.random.default_rng(5))
