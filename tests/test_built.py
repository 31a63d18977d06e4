"""As much of an event is mapped as building as its twin is built over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import synthetic
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mage_stac import tally, unlabelled
from mage_stac.adapt import built
from mage_stac.chip_table import ChipTable
from mage_stac.errors import ModelError

BANDS = ("red", "green", "blue")


@pytest.fixture(scope="module")
def event(tmp_path_factory: pytest.TempPathFactory) -> ChipTable:
    return unlabelled.table(synthetic.write_event(tmp_path_factory.mktemp("real")), bands=BANDS, gsd=0.6)


def test_the_share_is_that_of_the_pairs_of_the_place(event: ChipTable, tmp_path: Path) -> None:
    root = synthetic.write(tmp_path, scenes=8, size=96, places="twin")  # the last lies where the event does
    whole = tally.index([root], bands=BANDS, gsd=0.6)
    here = [pair for pair in whole.pairs if pair.geobox == event.stacks[0].geobox]
    assert len(here) == 1
    with rasterio.open(here[0].label) as source:
        label = source.read(1)
    assert built.share([whole], event) == pytest.approx((label > 0).mean())
    assert built.share([whole, whole], event) == pytest.approx((label > 0).mean())


@pytest.mark.parametrize("wanted", [{"first": 7}, {"places": "twin"}], ids=["invented there", "of elsewhere"])
def test_other_places_tell_none(event: ChipTable, tmp_path: Path, wanted: dict[str, Any]) -> None:
    root = synthetic.write(tmp_path, scenes=3, size=96, **wanted)
    assert built.share([tally.index([root], bands=BANDS, gsd=0.6)], event) is None


@given(
    logits=arrays.arrays(np.float64, st.integers(50, 300), elements=st.floats(-1.5, 1.5), unique=True),
    wanted=st.floats(0.05, 0.95),
)
def test_so_much_is_building_then(logits: np.ndarray, wanted: float) -> None:
    moved = logits + built.offset(logits, wanted)
    assert abs((moved > 0).mean() - wanted) <= 1.5 / len(logits)


def test_odds_are_moved_so_far_and_no_further() -> None:
    sure = np.full(10, 9.0)
    assert built.offset(sure, 0.1) == -built.FURTHEST
    assert built.offset(-sure, 0.1) == built.FURTHEST
    with pytest.raises(ModelError, match="show no pixel"):
        built.offset(np.zeros(0), 0.1)
