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
        for (_, row, column), counts in zip(whole.cells[whole.starts[number] :], whole.counts[whole.starts[number] :]):  # noqa: B905 - the first of them
            cell = label[row : row + 32, column : column + 32]
            assert counts.tolist() == [(cell == value).sum() for value in tally.CLASSES]
            break


def test_labels_higher_than_a_strip_and_of_odd_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "STRIP", 64)
    label = np.random.default_rng(0).integers(0, 5, (150, 150))
    index = written(tmp_path, label)
    assert index.totals()[:5] == tuple(np.bincount(label.ravel(), minlength=5))
    assert len(index.cells) == 25
    assert index.cells[:, 1].max() == 128


def test_a_split_holds_whole_places_out(whole: tally.ChipIndex) -> None:
    training, validation = tally.split(whole, 0.4)
    ours, theirs = ({pair.id for pair in part.pairs} for part in (training, validation))
    assert len(ours) == 3
    assert len(theirs) == 2
    assert not ours & theirs
    assert (training.by_pair.sum(axis=0) + validation.by_pair.sum(axis=0)).tolist() == list(whole.totals())
    assert training.cells[:, 0].max() == 2


def test_each_grade_is_drawn_as_often_however_rare_it_is(tmp_path: Path) -> None:
    label = np.zeros((256, 256))
    label[:, :64] = 1
    label[100:120, 200:220] = 4
    index = written(tmp_path, label, np.zeros((256, 256)))
    places = tally.draw(index, np.random.default_rng(0), 400, edge=32, background=0)
    held = [set(np.unique(label[row : row + 32, column : column + 32])) for pair, row, column in places]
    assert {pair for pair, _, _ in places} == {0}
    assert 0.35 < np.mean([4 in values for values in held]) < 0.65
    anywhere = tally.draw(index, np.random.default_rng(0), 400, edge=32, background=1)
    assert 0.4 < np.mean([pair == 0 for pair, _, _ in anywhere]) < 0.6


def test_windows_stay_inside_scenes_that_are_large_enough(whole: tally.ChipIndex) -> None:
    places = np.array(tally.draw(whole, np.random.default_rng(1), 300, edge=96, background=0.5))
    assert places[:, 1:].min() == 0
    assert places[:, 1:].max() == 160 - 96
    small = np.array(tally.draw(whole, np.random.default_rng(1), 5, edge=200, background=0.5))
    assert (small[:, 1:] == -20).all()


def test_drawing_depends_on_the_seed_alone(whole: tally.ChipIndex) -> None:
    first, same, other = (tally.draw(whole, np.random.default_rng(s), 9, edge=64, background=0.1) for s in (3, 3, 4))
    assert first == same != other


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


def test_a_label_with_strange_values(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"Item p0-label holds 7, which is no damage class"):
        written(tmp_path, np.full((64, 64), 7))
