from __future__ import annotations

import tracemalloc
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from scipy.ndimage import uniform_filter

from mage_stac import jobs, mosaic
from mage_stac.errors import GridError
from mage_stac.mosaic import Strip, Tiling


def grid(rows: int, columns: int) -> GeoBox:
    return GeoBox((rows, columns), Affine(1, 0, 0, 0, -1, 0), "EPSG:32615")


class Scene:
    """An image in memory that may be read like a file; keeps what was asked for."""

    def __init__(self, image: np.ndarray, seen: np.ndarray | None = None) -> None:
        self.image = image
        self.seen = np.ones((2, *image.shape[-2:]), bool) if seen is None else seen
        self.asked: list[tuple[slice, slice]] = []

    def __call__(self, rows: slice, columns: slice) -> tuple[np.ndarray, np.ndarray]:
        self.asked.append((rows, columns))
        return self.image[:, :, rows, columns], self.seen[:, rows, columns]


def noise(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((2, 1, rows, columns), dtype=np.float32)


def constant(images: np.ndarray, _: np.ndarray) -> np.ndarray:
    shares = np.array([0.1, 0.2, 0.3, 0.15, 0.25], np.float32)
    return np.broadcast_to(shares[:, None, None], (len(images), 5, *images.shape[-2:]))


def pointwise(images: np.ndarray, _: np.ndarray) -> np.ndarray:
    """Sees one pixel at a time: P(1) is the pre value."""
    chance = images[:, 0, 0]
    zero = np.zeros_like(chance)
    return np.stack([1 - chance, chance, zero, zero, zero], axis=1)


def blurred(reach: int) -> jobs.Network:
    """Sees `reach` pixels around each."""

    def network(images: np.ndarray, seen: np.ndarray) -> np.ndarray:
        soft = uniform_filter(
            images, (1, 1, 1, 2 * reach + 1, 2 * reach + 1), mode="constant"
        )  # edges of the window show
        return pointwise(soft, seen)

    return network


@dataclass
class Known:
    """An answer that is there."""

    shares: np.ndarray

    def result(self) -> np.ndarray:
        return self.shares


def at_once(network: jobs.Network) -> jobs.Jobs:
    """A network that runs where it is asked."""
    return jobs.Jobs(submit=lambda images, observed: Known(network(images, observed)))


def whole(
    image: np.ndarray, tiling: Tiling, network: jobs.Network, seen: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The strips put together, after checking that they follow each other without gap or overlap."""
    rows, columns = image.shape[-2:]
    found = [strip for strip, _ in mosaic.strips(grid(rows, columns), tiling, Scene(image, seen), at_once(network))]
    starts = np.cumsum([0, *(len(strip.valid) for strip in found)])
    assert [strip.row for strip in found] == starts[:-1].tolist()
    assert starts[-1] == rows
    return np.concatenate([s.probabilities for s in found], axis=1), np.concatenate([s.valid for s in found])


tilings = st.builds(
    lambda core, margin, batch: Tiling(window=core + 2 * margin, margin=margin, batch=batch),
    st.integers(1, 40), st.integers(0, 30), st.integers(1, 5),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(rows=st.integers(1, 70), columns=st.integers(1, 70), tiling=tilings)
def test_a_constant_field_stays_constant_to_the_last_pixel(rows: int, columns: int, tiling: Tiling) -> None:
    shares, valid = whole(noise(rows, columns), tiling, constant)
    assert valid.all()
    assert np.abs(shares - constant(np.zeros((1, 2, 1, 1, 1)), valid)[0]).max() < 1e-5


@settings(max_examples=60, deadline=None)
@given(rows=st.integers(1, 70), columns=st.integers(1, 70), tiling=tilings)
def test_every_pixel_comes_from_its_own_place(rows: int, columns: int, tiling: Tiling) -> None:
    image = noise(rows, columns)
    shares, _ = whole(image, tiling, pointwise)
    assert np.abs(shares[1] - image[0, 0]).max() < 1e-5
    assert np.abs(shares.sum(axis=0) - 1).max() < 1e-5


@pytest.mark.parametrize("margin", [16, 24, 40])
def test_the_window_does_not_show_when_the_margin_holds_the_receptive_field(margin: int) -> None:
    image = noise(150, 130)
    reach = margin // 2
    padded = np.pad(image, ((0, 0), (0, 0), (2 * reach, 2 * reach), (2 * reach, 2 * reach)), mode="reflect")
    single = blurred(reach)(padded[None], np.ones(0))[0][:, 2 * reach : -2 * reach, 2 * reach : -2 * reach]
    for core in (17, 32, 64, 200):
        shares, _ = whole(image, Tiling(window=core + 2 * margin, margin=margin), blurred(reach))
        assert np.abs(shares - single).max() < 1 / 255 / 10


def test_blending_hides_the_borders_of_windows() -> None:
    """A network that answers by the window it sees: without blending its answer jumps."""

    def moody(images: np.ndarray, seen: np.ndarray) -> np.ndarray:
        return pointwise(np.broadcast_to(images.mean(axis=(-1, -2), keepdims=True), images.shape), seen)

    image = noise(128, 128)
    image[..., 64:] *= 0.2
    hard, _ = whole(image, Tiling(window=64, margin=0), moody)
    soft, _ = whole(image, Tiling(window=64, margin=16), moody)
    assert np.abs(np.diff(hard[1], axis=1)).max() > 0.3
    assert np.abs(np.diff(soft[1], axis=1)).max() < 0.06


def test_not_observed_on_either_date_is_not_observed() -> None:
    rng = np.random.default_rng(0)
    image = noise(60, 50)
    seen = rng.random((2, 60, 50)) > 0.3
    shares, valid = whole(image, Tiling(window=32, margin=4), pointwise, seen)
    assert (valid == seen.all(axis=0)).all()
    assert (shares[:, ~valid] == 0).all()
    assert np.abs(shares[1] - image[0, 0])[valid].max() < 1e-5


def test_the_network_is_told_what_was_observed_and_empty_windows_are_passed_over() -> None:
    seen = np.ones((2, 64, 64), bool)
    seen[1, :, 32:] = False
    told: list[np.ndarray] = []

    def listening(images: np.ndarray, observed: np.ndarray) -> np.ndarray:
        told.extend(observed)
        return pointwise(images, observed)

    steps: list[tuple[int, int]] = []
    list(
        mosaic.strips(
            grid(64, 64), Tiling(window=32, margin=0, batch=1), Scene(noise(64, 64), seen), at_once(listening),
            lambda done, total, _: steps.append((done, total)),
        )
    )  # fmt: skip
    assert len(told) == 2
    assert all(window[0].all() and window[1].all() for window in told)
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]


@given(start=st.integers(-200, 200), size=st.integers(1, 100), length=st.integers(1, 60))
def test_mirroring_agrees_with_numpy(start: int, size: int, length: int) -> None:
    padded = np.pad(np.arange(length), (400, 400), mode="reflect") if length > 1 else np.zeros(900, int)
    assert (mosaic.mirrored(start, size, length) == padded[400 + start : 400 + start + size]).all()


@given(tiling=tilings)
def test_weights_of_neighbours_sum_to_one(tiling: Tiling) -> None:
    weight = np.sqrt(np.diag(mosaic.taper(tiling)))
    total = np.zeros(tiling.core * 5 + 2 * tiling.margin)
    for i in range(5):
        total[i * tiling.core : i * tiling.core + tiling.window] += weight
    middle = total[2 * tiling.core + tiling.margin :][: tiling.core]
    if tiling.core > tiling.margin:
        assert middle == pytest.approx(1, abs=1e-5)
    if tiling.margin:
        assert weight[: tiling.margin // 2].max(initial=0) == pytest.approx(0, abs=1e-6)


def test_coding_keeps_probabilities_to_a_five_hundredth() -> None:
    shares = np.random.default_rng(0).dirichlet(np.ones(5), 400).T.reshape(5, 20, 20).astype(np.float32)
    valid = np.ones((20, 20), bool)
    valid[3, 4] = False
    code = mosaic.coded(Strip(row=0, probabilities=shares, valid=valid))
    assert (code[:, 3, 4] == 255).all()
    assert code[:, valid].max() <= 250
    assert np.abs(code / mosaic.LEVELS - shares)[:, valid].max() <= 1 / 500 + 1e-6


def test_classes_ask_first_whether_there_is_a_building() -> None:
    shares = np.array([[0.4, 0.2, 0.15, 0.15, 0.1], [0.51, 0, 0, 0, 0.49], [0.0, 0.1, 0.2, 0.3, 0.4], [1, 0, 0, 0, 0]])
    valid = np.array([[True, True, True, False]])
    strip = Strip(row=0, probabilities=shares.T[:, None].astype(np.float32), valid=valid)
    assert mosaic.classed(strip).tolist() == [[1, 0, 4, 255]]


@pytest.mark.parametrize(("window", "margin", "batch"), [(64, 32, 1), (64, -1, 1), (10, 0, 0)])
def test_impossible_tilings_are_refused(window: int, margin: int, batch: int) -> None:
    with pytest.raises(GridError, match=f"windows of {window} px with margins of {margin}"):
        Tiling(window=window, margin=margin, batch=batch)


def test_a_small_scene_needs_no_large_window() -> None:
    assert Tiling().fitted(grid(100, 60)) == Tiling(window=128 + 128)
    assert Tiling().fitted(grid(5000, 60)) == Tiling()


def test_memory_does_not_grow_with_the_height_of_the_scene() -> None:
    def read(rows: slice, columns: slice) -> tuple[np.ndarray, np.ndarray]:
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        return np.zeros((2, 1, *shape), np.float32), np.ones((2, *shape), bool)

    def peak(rows: int) -> int:
        tracemalloc.start()
        for _ in mosaic.strips(grid(rows, 256), Tiling(window=128, margin=16), read, at_once(constant)):
            pass
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(8000) < 1.2 * peak(1000)


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 90), columns=st.integers(1, 60), tiling=tilings, share=st.floats(0, 1))
def test_a_run_that_begins_after_any_strip_gives_the_same_to_the_bit(
    rows: int, columns: int, tiling: Tiling, share: float
) -> None:
    image, run = noise(rows, columns), at_once(blurred(1))
    made = mosaic.strips(grid(rows, columns), tiling, Scene(image), run)
    every = [(strip, deepcopy(rest)) for strip, rest in made]
    last = min(int(share * len(every)), len(every) - 1)
    again = list(mosaic.strips(grid(rows, columns), tiling, Scene(image), run, after=every[last][1]))
    assert [strip.row for strip, _ in again] == [strip.row for strip, _ in every[last + 1 :]]
    for (one, _), (two, _) in zip(again, every[last + 1 :], strict=True):
        assert (one.probabilities == two.probabilities).all()


def test_a_network_in_its_own_thread_gives_the_same_and_its_error_comes_through() -> None:
    image, tiling = noise(150, 130), Tiling(window=48, margin=8, batch=2)
    with jobs.beside(blurred(3)) as run:
        found = [strip for strip, _ in mosaic.strips(grid(150, 130), tiling, Scene(image), run)]
    shares, _ = whole(image, tiling, blurred(3))
    assert (np.concatenate([strip.probabilities for strip in found], axis=1) == shares).all()

    def broken(_: np.ndarray, __: np.ndarray) -> np.ndarray:
        raise GridError("no")

    with pytest.raises(GridError, match="no"), jobs.beside(broken) as run:
        list(mosaic.strips(grid(150, 130), tiling, Scene(image), run))
