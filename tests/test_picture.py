from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mage_stac import picture
from mage_stac.classes import DAMAGE_CLASSES, rgb
from mage_stac.errors import CatalogueError


def damage(rows: int = 40, columns: int = 60) -> np.ndarray:
    made = np.zeros((rows, columns), np.uint8)
    made[5:20, 5:20] = 1
    made[5:20, 30:45] = 4
    made[25:35, 10:50] = 255
    return made


def photograph(rows: int = 40, columns: int = 60) -> np.ndarray:
    return np.random.default_rng(0).integers(60, 180, (rows, columns, 3), dtype=np.uint8)


def test_classes_have_their_colours() -> None:
    found = picture.classes(damage())
    assert found.shape == (40, 60, 3)
    assert found[10, 35].tolist() == [0xD7, 0x19, 0x1C]
    assert found[0, 0].tolist() == [0x40] * 3
    assert found[30, 20].tolist() == [255] * 3


def test_an_overlay_keeps_the_photograph_and_tints_the_buildings() -> None:
    photo, grades = photograph(), damage()
    found = picture.overlay(photo, grades, opacity=0.5)
    assert (found[grades == 0] == photo[grades == 0]).all()
    assert found[10, 10] == pytest.approx((photo[10, 10].astype(int) + picture.classes(grades)[10, 10]) / 2, abs=1)
    assert (found[5, 5:20] == picture.classes(grades)[5, 5]).all()  # outline
    unseen = grades == 255
    assert 0.05 < (found[unseen] == 255).all(axis=1).mean() < 0.3
    assert (photo == photograph()).all()


def test_a_panel_holds_its_images_side_by_side(tmp_path: Path) -> None:
    out = tmp_path / "deep/panel.png"
    picture.panel(out, ["before", "damage"], [photograph(480, 480), picture.classes(damage(480, 480))])
    found = np.asarray(Image.open(out))
    assert found.shape == (12 + 26 + 480 + 12 + 26, 12 + 2 * (480 + 12), 3)
    assert (found[38 : 38 + 480, 12 : 12 + 480] == photograph(480, 480)).all()
    assert (found[:12] == 255).all()
    assert (found[12:38, 12:100] < 128).any()  # a caption
    assert (found[-26:] == [0xD7, 0x19, 0x1C]).all(axis=-1).any()  # the legend
    assert [path.name for path in out.parent.iterdir()] == ["panel.png"]


@pytest.mark.parametrize("side", [60, 130, 320, 900])
def test_the_legend_names_every_class_however_narrow_the_sheet(tmp_path: Path, side: int) -> None:
    grey = np.full((40, 40, 3), 128, np.uint8)
    picture.panel(tmp_path / "p.png", ["one"], [grey], side=side)
    picture.panel(tmp_path / "bare.png", ["one"], [grey], side=side, legend=False)
    found, bare = (np.asarray(Image.open(tmp_path / name)) for name in ("p.png", "bare.png"))
    assert (found[: len(bare)] == bare).all()
    for entry in DAMAGE_CLASSES:  # a swatch is some 15 pixels high and wide
        assert (found[len(bare) :] == rgb(entry.colour)).all(axis=-1).sum() > 150, entry.name


@pytest.mark.parametrize("shape", [(30, 900), (900, 30), (3, 3), (1000, 1200)])
def test_images_of_any_shape_fit(tmp_path: Path, shape: tuple[int, int]) -> None:
    picture.panel(tmp_path / "p.png", ["a" * 300, ""], [photograph(*shape), photograph(64, 64)], side=100)
    with Image.open(tmp_path / "p.png") as found:
        assert found.width == 12 + 2 * 112


def test_a_contact_sheet_has_a_row_for_each_name(tmp_path: Path) -> None:
    rows = [("first", [photograph(50, 50)] * 3), ("second", [photograph(50, 50)])]
    picture.contact_sheet(tmp_path / "sheet.png", rows, side=50)
    found = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert found.shape == (12 + 2 * (26 + 50 + 12), 12 + 3 * 62, 3)
    assert (found[38:88, 12:62] == photograph(50, 50)).all()
    assert (found[-62:-12, 74:] == 255).all()


def test_titles_must_match(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 titles for 0 images"):
        picture.panel(tmp_path / "p.png", ["a"], [])


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CatalogueError, match=r"p\.png cannot be written"):
        picture.panel(tmp_path / "file/p.png", ["a"], [photograph()])
