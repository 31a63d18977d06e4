from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mage_stac import plan

SIZES = np.array([(3000, 2000), (100, 90)])
spots = st.lists(st.tuples(st.just(0), st.integers(0, 2744), st.integers(0, 1744)), min_size=1, max_size=40)


@given(spots)
def test_every_chip_lies_in_the_window_that_it_is_cut_from(places: list[tuple[int, int, int]]) -> None:
    jobs = plan.jobs(np.array(places), SIZES, 256)
    found = np.concatenate([job.chips for job in jobs])
    assert sorted(found[:, 0]) == list(range(len(places)))
    for job in jobs:
        assert max(job.rows.stop - job.rows.start, job.columns.stop - job.columns.start) <= plan.LARGEST
        for number, row, column in job.chips:
            assert places[number] == (job.stack, row, column)
            assert job.rows.start <= row <= job.rows.stop - 256
            assert job.columns.start <= column <= job.columns.stop - 256


def test_chips_that_share_blocks_share_a_window() -> None:
    near = [(0, 0, 0), (0, 200, 200), (0, 256, 10), (0, 2700, 1700)]
    jobs = plan.jobs(np.array(near), SIZES, 256)
    assert sorted(len(job.chips) for job in jobs) == [1, 3]
    assert (jobs[0].rows, jobs[0].columns) == (slice(0, 512), slice(0, 456))


def test_chips_larger_than_their_stack() -> None:
    (job,) = plan.jobs(np.array([(1, -78, -83)]), SIZES, 256)
    assert (job.stack, job.rows, job.columns) == (1, slice(0, 100), slice(0, 90))
