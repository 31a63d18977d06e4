"""The whole loop, tiny but real: Blender renders, a network learns, a catalogued map comes out."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from mage_stac import demo, validate
from mage_stac.catalogue import read_item, read_items

TINY = """
name = "tiny"
[data]
size = 32
margin = 8
[optimiser]
steps = 3
batch = 2
[run]
validation_chips = 2
"""


def silent(_: str) -> demo.Step:
    return lambda _done, _total, _what: None


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, demo.Outcome]:
    folder = tmp_path_factory.mktemp("demo")
    (folder / "tiny.toml").write_text(TINY)
    plan = demo.Plan(pairs=3, size_px=64, stand_in_px=96, recipe=str(folder / "tiny.toml"), workers=1)
    return folder / "out", demo.run(folder / "out", plan=plan, progress=silent)


@pytest.mark.blender
def test_it_leaves_four_valid_catalogues(loop: tuple[Path, demo.Outcome], schemas: Path) -> None:
    out, _ = loop
    for name in ("synthetic", "real", "models", "predictions"):
        assert validate.validate(out / name, schemas).problems == (), name
        assert read_items(out / name), name


@pytest.mark.blender
def test_the_stand_in_says_that_it_is_rendered(loop: tuple[Path, demo.Outcome]) -> None:
    out, outcome = loop
    assert outcome.real_is_rendered
    assert all("synthetic:generator" in item.properties for item in read_items(out / "real"))
    styles = {item.properties["synthetic:style"] for item in read_items(out / "synthetic")}
    assert styles.isdisjoint(item.properties["synthetic:style"] for item in read_items(out / "real"))


@pytest.mark.blender
def test_the_map_lies_on_the_stand_ins_pixels_and_is_scored_and_drawn(loop: tuple[Path, demo.Outcome]) -> None:
    out, outcome = loop
    before = next(item for item in read_items(out / "real") if item.properties.get("synthetic:phase") == "pre")
    shape = before.assets["image"].extra_fields["proj:shape"]
    assert read_item(outcome.prediction).assets["damage"].extra_fields["proj:shape"] == shape
    assert outcome.scores is not None
    assert outcome.scores.pixels is not None
    assert outcome.scores.pixels.compared + outcome.scores.pixels.unseen == shape[0] * shape[1]
    with Image.open(outcome.picture) as picture:
        assert picture.width > 3 * picture.height  # four panels


@pytest.mark.blender
def test_running_again_makes_nothing_anew(loop: tuple[Path, demo.Outcome]) -> None:
    out, outcome = loop
    files = {path: path.stat().st_mtime_ns for path in out.rglob("*.tif")}
    plan = demo.Plan(pairs=3, size_px=64, stand_in_px=96, recipe=str(out.parent / "tiny.toml"), workers=1)
    again = demo.run(out, plan=plan, progress=silent)
    assert again.prediction == outcome.prediction
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.tif")} == files
