"""compare: identical sides, shifts of known size, sampling distances, labels, bad input."""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from imagery import box, index, write_image, write_raster
from mage_stac.cli import app as cli
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from mage_stac import realism_plot
from mage_stac.errors import CatalogueError, GridError
from mage_stac.realism import Comparison, Row, compare
from mage_stac.tiles import averaged


def picture(seed: int, side: int = 192) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(40, 160, (3, side, side), dtype="uint8")


def write(root: Path, image: NDArray[np.uint8], grid: GeoBox | None = None) -> Path:
    write_image(root, "a", image, grid or box(*image.shape[1:]))
    index(root)
    return root


def row(found: Comparison, measure: str, kind: str = "all", band: str = "red") -> Row:
    (wanted,) = [row for row in found.rows if (row.measure, row.kind, row.band) == (measure, kind, band)]
    return wanted


def test_a_side_is_like_itself(tmp_path: Path) -> None:
    root = write(tmp_path, picture(0))
    found = compare(root, root, side=64, most=9)
    assert found.tiles == (9, 9)
    assert {row.measure for row in found.rows} == {"values", "gradient", "deviation", "spectrum slope"}
    for entry in found.rows:  # the pixels drawn differ
        assert entry.distance < 0.02


def test_a_brighter_side_is_as_far_as_it_is_brighter(tmp_path: Path) -> None:
    image = picture(0)
    found = compare(write(tmp_path / "a", image + np.uint8(51)), write(tmp_path / "b", image), side=64)
    for band in ("red", "green", "blue"):
        assert row(found, "values", band=band).distance == pytest.approx(51 / 255, abs=0.005)
        assert row(found, "gradient", band=band).distance < 0.005
    assert row(found, "values").floor == pytest.approx(0, abs=0.01)


def test_features_tell_noise_from_smoothness(tmp_path: Path) -> None:
    noise = picture(0, 384)
    blocks = np.repeat(np.repeat(picture(1, 96), 4, 1), 4, 2)
    real = write(tmp_path / "real", noise)
    far = compare(write(tmp_path / "far", blocks), real, side=64, most=36)
    near = compare(write(tmp_path / "near", picture(2, 384)), real, side=64, most=36)
    assert row(far, "features", band="together").distance > 4 * row(near, "features", band="together").distance
    assert row(far, "spectrum slope").distance > 0.5


def test_the_finer_side_is_averaged_and_said_so(tmp_path: Path) -> None:
    coarse = picture(0, 96)
    fine = np.repeat(np.repeat(coarse, 2, axis=1), 2, axis=2)
    found = compare(
        write(tmp_path / "fine", fine, box(192, 192, step=0.3)), write(tmp_path / "b", coarse), side=32, most=9
    )
    assert found.gsd == pytest.approx(0.6, rel=0.01)
    assert found.notes[0].startswith("synthetic side averaged from 0.3 m to 0.6 m")
    assert row(found, "values").distance < 0.01


def test_averaging_keeps_the_mean_and_weighs_by_area() -> None:
    values = np.arange(9, dtype="float32").reshape(1, 3, 3)
    assert averaged(values, 2)[0] == pytest.approx(np.array([[4 / 3, 8 / 3], [16 / 3, 20 / 3]]), rel=1e-5)


def test_classes_of_a_raster_are_kept_apart(tmp_path: Path) -> None:
    image = np.full((3, 128, 128), 50, "uint8")
    image[:, :, 64:] = 150
    grid = box(128, 128)
    write_image(tmp_path / "c", "a", image, grid)
    classes = np.zeros((1, 128, 128), "uint8")
    classes[:, :, 64:] = 3
    classes[:, :10] = 255
    with_labels = write_raster(tmp_path / "classes.tif", classes, grid)
    index(tmp_path / "c")
    found = compare(tmp_path / "c", tmp_path / "c", labels=with_labels, side=64)
    assert not [row for row in found.rows if row.kind != "all"]  # only one side has labels
    assert any("no labels on the synthetic side" in note for note in found.notes)


def test_bad_input_is_named(tmp_path: Path) -> None:
    root = write(tmp_path / "c", picture(0, 64))
    with pytest.raises(GridError, match=r"no image of 0\.6 m holds a whole observed tile of 128 px"):
        compare(root, root)
    with pytest.raises(CatalogueError, match="nothing"):
        compare(root, tmp_path / "nothing")


@pytest.mark.parametrize("side", [32, 64, 128])
def test_no_words_of_the_picture_lie_on_others(tmp_path: Path, side: int) -> None:
    root = write(tmp_path / "c", picture(0, 256))
    figure = realism_plot.drawn(compare(root, root, side=side))
    figure.canvas.draw()
    for axes in figure.axes:
        labels = [text for text in axes.get_xticklabels(which="both") if text.get_text() and text.get_visible()]
        low, high = axes.get_xlim()
        boxes = [text.get_window_extent() for text in labels if low <= text.get_position()[0] <= high]
        assert len(boxes) >= 3
        assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


def test_the_verb_prints_a_row_a_figure_and_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = str(write(tmp_path / "c", picture(0, 128)))
    for more in ([], ["--json", "--out", str(tmp_path / "plot.png")]):
        monkeypatch.setattr(sys, "argv", ["mage-stac", "compare", root, root, "--tile", "32", *more])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert not stop.value.code
    out = capsys.readouterr().out
    assert "spectrum slope" in out
    told = json.loads(out.splitlines()[-1])
    assert told["tiles"] == [16, 16]
    assert (tmp_path / "plot.png").stat().st_size > 10_000
