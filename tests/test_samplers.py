from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layers import made

from mage_stac import chip_table, samplers
from mage_stac.chip_table import ChipTable
from mage_stac.errors import RecipeError
from mage_stac.samplers import Sampling

Kind = Literal["random", "balanced"]
KINDS: tuple[Kind, ...] = ("random", "balanced")


def table(*labels: np.ndarray, events: str = "") -> ChipTable:
    """A chip index without files: labels (y, x) of stacks; one letter of `events` for each."""
    stacks = tuple(made(label.shape, event=events[i : i + 1] or "e", name=f"s{i}") for i, label in enumerate(labels))
    size = chip_table.CELL
    cells, counts, spots = [], [], []
    for number, label in enumerate(labels):
        for row in range(0, label.shape[0], size):
            for column in range(0, label.shape[1], size):
                part = label[row : row + size, column : column + size]
                cells.append((number, row, column))
                counts.append([(part == value).sum() for value in range(5)])
                seen = np.argwhere(part < 5)
                spots.append(seen[-1] + (row, column) if len(seen) else (0, 0))
    kept = np.array(counts).sum(axis=1) > 0
    found = np.array(counts)[kept]
    present = np.flatnonzero(found.any(axis=0))
    return ChipTable(
        stacks=stacks,
        cells=np.array(cells, np.int32)[kept],
        seen=found.sum(axis=1),
        spots=np.array(spots, np.int32)[kept],
        counts=found[:, present],
        classes=tuple(present.tolist()),
    )


def shown(label: np.ndarray, place: np.ndarray, edge: int) -> set[int]:
    _, row, column = place
    return set(np.unique(label[max(0, row) : row + edge, max(0, column) : column + edge]))


@pytest.fixture
def rare() -> np.ndarray:
    label = np.zeros((256, 256), np.uint8)
    label[:, :64] = 1
    label[100:120, 200:220] = 4
    return label


def test_each_class_is_drawn_as_often_however_rare_it_is(rare: np.ndarray) -> None:
    index = table(rare, np.zeros((256, 256), np.uint8))
    balanced = Sampling(kind="balanced", ignored=(0,))
    places = samplers.draw(index, balanced, np.random.default_rng(0), 400, 32)
    assert set(places[:, 0]) == {0}
    assert 0.35 < np.mean([4 in shown(rare, place, 32) for place in places]) < 0.65
    anywhere = Sampling(kind="balanced", ignored=(0,), background=1)
    stacks = samplers.draw(index, anywhere, np.random.default_rng(0), 400, 32)[:, 0]
    assert 0.4 < np.mean(stacks == 0) < 0.6


def test_rare_classes_are_drawn_by_daformer_s_formula(rare: np.ndarray) -> None:
    one = table(rare)
    pixels = one.counts.sum(axis=0)
    frequency = pixels / pixels.sum()
    for temperature in (0.01, 0.5):
        expected = np.exp((1 - frequency) / temperature)
        drawn = samplers._classes(one, Sampling(kind="balanced", rarity=temperature), np.random.default_rng(0), 20_000)
        np.testing.assert_allclose(
            np.bincount(drawn, minlength=len(pixels)) / 20_000, expected / expected.sum(), atol=0.015
        )


def test_each_event_that_shows_a_class_is_drawn_as_often() -> None:
    damaged, sound = np.full((64, 64), 3, np.uint8), np.zeros((64, 64), np.uint8)
    index = table(*[damaged] * 6, damaged, sound, events="fffffffw"[:6] + "ww")
    balanced = Sampling(kind="balanced", ignored=(0,))
    stacks = samplers.draw(index, balanced, np.random.default_rng(0), 600, 32)[:, 0]
    assert 0.4 < np.mean(stacks == 6) < 0.6
    assert 7 not in stacks


def test_pairs_without_any_event_are_drawn_as_often_as_others_of_their_class() -> None:
    sound = np.full((64, 64), 1, np.uint8)
    stacks = tuple(
        replace(stack, event="none" if n == 9 else "wind") for n, stack in enumerate(table(*[sound] * 10).stacks)
    )
    index = replace(table(*[sound] * 10), stacks=stacks)
    drawn = samplers.draw(index, Sampling(kind="balanced", ignored=(0,)), np.random.default_rng(0), 2000, 32)[:, 0]
    np.testing.assert_allclose(np.bincount(drawn) / 2000, 0.1, atol=0.03)
    alone = index.only(np.arange(10) == 9)
    assert len(samplers.draw(alone, Sampling(kind="balanced", ignored=(0,)), np.random.default_rng(0), 20, 32)) == 20


def test_a_class_that_only_other_parts_of_the_table_show_is_not_drawn(rare: np.ndarray) -> None:
    whole = table(np.full((64, 64), 3, np.uint8), rare)
    part = whole.only(np.array([False, True]))
    assert 3 in part.classes
    assert len(samplers.draw(part, Sampling(kind="balanced", ignored=(0,)), np.random.default_rng(0), 50, 32)) == 50


def test_no_chip_is_empty_and_every_observed_pixel_as_likely() -> None:
    label = np.full((256, 512), 255, np.uint8)
    label[:32, :32] = 0
    label[224:, 256:] = 0
    places = samplers.draw(table(label), Sampling(), np.random.default_rng(0), 500, 64)
    assert all(0 in shown(label, place, 64) for place in places)
    assert 0.8 < np.mean(places[:, 2] >= 150) < 0.98


@given(st.data(), st.integers(1, 90), st.integers(1, 4), st.sampled_from(KINDS))
def test_no_chip_is_empty_however_small(data: st.DataObject, edge: int, reuse: int, kind: Kind) -> None:
    shape = data.draw(st.tuples(st.integers(1, 150), st.integers(1, 150)))
    label = np.full(shape, 255, np.uint8)
    pixels = st.tuples(*(st.integers(0, size - 1) for size in shape), st.integers(0, 4))
    for row, column, value in data.draw(st.lists(pixels, min_size=1, max_size=12)):
        label[row, column] = value
    sampling = Sampling(kind=kind, reuse=reuse, span=data.draw(st.integers(1, 200)), background=0.5)
    places = samplers.draw(table(label), sampling, np.random.default_rng(0), 20, edge)
    assert all(shown(label, place, edge) - {255} for place in places)


def test_chips_stay_inside_stacks_that_are_large_enough() -> None:
    index = table(*[np.ones((160, 160), np.uint8)] * 3)
    places = samplers.draw(index, Sampling(kind="balanced", background=0.5), np.random.default_rng(1), 300, 96)
    assert (places[:, 1:].min(), places[:, 1:].max()) == (0, 160 - 96)
    small = samplers.draw(index, Sampling(), np.random.default_rng(1), 5, 200)
    assert (small[:, 1:] == -20).all()


@pytest.mark.parametrize("reuse", [1, 8])
def test_drawing_depends_on_the_seed_alone(rare: np.ndarray, reuse: int) -> None:
    index, sampling = table(rare), Sampling(kind="balanced", reuse=reuse, span=128)
    first, same, other = (samplers.draw(index, sampling, np.random.default_rng(s), 19, 32) for s in (3, 3, 4))
    assert first.shape == (19, 3)
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


def test_reused_chips_lie_together_and_keep_the_balance() -> None:
    label = np.zeros((2048, 2048), np.uint8)
    label[::64, ::64] = 4
    label[600:700, 600:700] = 1
    index = table(label)
    sampling = Sampling(kind="balanced", ignored=(0,), reuse=8, span=1024)
    places = samplers.draw(index, sampling, np.random.default_rng(0), 800, 64)
    assert places[:, 1:].min() >= 0
    assert places[:, 1:].max() <= 2048 - 64
    assert 0.3 < np.mean([1 in shown(label, place, 64) for place in places]) < 0.75
    anchors = np.unique(places[:, 1:] // 1024, axis=0)
    assert len(anchors) == 4


def test_reused_chips_lie_within_a_block() -> None:
    label = np.full((1000, 1300), 255, np.uint8)
    label[:40], label[500:700, 490:530] = 1, 2
    places = samplers.draw(table(label), Sampling(reuse=8), np.random.default_rng(0), 1600, 200)
    assert all(shown(label, place, 200) - {255} for place in places)
    blocks = places[:, 1:] // samplers.BLOCK
    assert (blocks == (places[:, 1:] + 199) // samplers.BLOCK).all()
    assert {tuple(block) for block in blocks} == {(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)}


@given(st.integers(1, 700), st.integers(1, 700), st.integers(8, 256), st.integers(1, 256))
def test_a_grid_shows_every_pixel(rows: int, columns: int, edge: int, stride: int) -> None:
    step = min(stride, edge)
    places = samplers.grid(table(np.ones((rows, columns), np.uint8)), edge, stride=step)
    if len(places) < 4000:
        times = np.zeros((rows, columns), int)
        for _, row, column in places:
            times[max(0, row) : row + edge, max(0, column) : column + edge] += 1
        assert times.min() >= 1


def test_a_grid_leaves_out_what_was_not_observed() -> None:
    label = np.full((256, 256), 255, np.uint8)
    label[:128, :96] = 0
    places = samplers.grid(table(label), 64)
    assert places[:, 1:].tolist() == [[0, 0], [0, 64], [64, 0], [64, 64]]
    assert samplers.grid(table(label), 64, least=0.75)[:, 1:].tolist() == [[0, 0], [64, 0]]


def test_settings_that_make_no_sense() -> None:
    with pytest.raises(RecipeError, match=r"reuse 0, span 512, background 0\.0, rarity 0\.0: reuse and span must"):
        Sampling(reuse=0)
