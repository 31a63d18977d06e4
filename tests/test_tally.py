from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import synthetic

from mage_stac import tally
from mage_stac.errors import AssetError, CatalogueError

RGB = ("red", "green", "blue")


def written(root: Path, *labels: np.ndarray) -> tally.ChipIndex:
    """The index of pairs with given labels."""
    for number, label in enumerate(labels):
        grey = np.full((3, *label.shape), 100, np.uint8)
        grid = synthetic.geobox(label.shape[0], number)
        synthetic.write_pair(root, f"p{number}", grid, grey, grey, label.astype(np.uint8))
    synthetic.index(root)
    return tally.index([root], bands=RGB, gsd=0.6)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tally.ChipIndex:
    root = synthetic.write(tmp_path_factory.mktemp("blocks"), scenes=5, size=160)
    return tally.index([root], bands=RGB, gsd=0.6)


def test_counts_agree_with_the_rasters(whole: tally.ChipIndex) -> None:
    for number, pair in enumerate(whole.pairs):
        with rasterio.open(pair.label) as source:
            label = source.read(1)
        assert whole.by_pair[number].tolist() == [(label == value).sum() for value in tally.CLASSES]


def test_pixels_not_observed_on_both_dates_do_not_count(tmp_path: Path) -> None:
    grid, label = synthetic.geobox(64), np.ones((64, 64), np.uint8)
    grey = np.full((3, 64, 64), 100, np.uint8)
    label[:10] = 255
    synthetic.write_pair(tmp_path, "p", grid, grey, grey, label)
    synthetic.index(tmp_path)
    index = tally.index([tmp_path], bands=RGB, gsd=0.6)
    assert index.totals() == (0, 54 * 64, 0, 0, 0)


def test_a_split_holds_whole_places_out(whole: tally.ChipIndex) -> None:
    training, validation = tally.split(whole, 0.4)
    ours, theirs = ({pair.id for pair in part.pairs} for part in (training, validation))
    assert len(ours) == 3
    assert len(theirs) == 2
    assert not ours & theirs
    assert (training.by_pair.sum(axis=0) + validation.by_pair.sum(axis=0)).tolist() == list(whole.totals())
    assert training.table.cells[:, 0].max() == 2


def test_a_split_that_holds_nothing_out(whole: tally.ChipIndex) -> None:
    for part in tally.split(whole, 0.0):
        assert part.totals() == whole.totals()


def test_tiles_are_disjoint_and_spread_over_all_scenes(whole: tally.ChipIndex) -> None:
    every = tally.tiles(whole, 64, 1000)
    assert len(set(every)) == len(every) == 5 * 4
    some = tally.tiles(whole, 64, 10)
    assert len(some) == 10
    assert {pair for pair, _, _ in some} == set(range(5))
    assert len(tally.tiles(whole, 500, 1000)) == 5


@pytest.mark.parametrize(
    ("value", "words"), [(0, "no building pixel"), (1, "have grade 1: .* at least two grades"), (4, "have grade 4")]
)
def test_labels_that_teach_no_damage(tmp_path: Path, value: int, words: str) -> None:
    index = written(tmp_path, np.full((64, 64), value), np.zeros((64, 64)))
    with pytest.raises(CatalogueError, match=words):
        tally.check_classes(index)
    if value:
        tally.check_classes(index, graded=False)


def test_a_label_with_strange_values(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"Item p0-label holds 7, which is no damage class"):
        written(tmp_path, np.full((64, 64), 7))
