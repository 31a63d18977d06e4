"""What rendered floods and unlabelled real images teach the water network, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import floods
import numpy as np
import pytest
import synthetic
from floods import QUICK

from mage_stac import catalogue, recipe, water, water_training
from mage_stac.errors import AssetError, CatalogueError, ModelError, RecipeError

ADAPTS = QUICK.replace("steps = 30", "steps = 4") + "[consistency]\nweight = 1.0\nthreshold = 0.5\n"


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return floods.write(tmp_path_factory.mktemp("floods"))


@pytest.fixture(scope="module")
def trained(pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return water_training.train(recipe.parse(QUICK, "test"), [pairs], tmp_path_factory.mktemp("models"))


@pytest.fixture
def real(tmp_path: Path) -> Path:
    """One scene, a lake in its north."""
    wet = np.zeros((64, 64), bool)
    wet[:24] = True
    floods.image(tmp_path / "real", "scene", floods.picture(wet, np.random.default_rng(7)), floods.box_of(9))
    synthetic.index(tmp_path / "real")
    return tmp_path / "real"


def test_the_model_item_tells_what_it_is_and_how_good_on_places_held_out(trained: Path) -> None:
    item = catalogue.read_item(trained)
    record = json.loads((trained.parent / "training.json").read_text())
    assert record["held_out"]["water_iou"] > 0.8
    assert not set(record["pairs"]["training"]) & set(record["pairs"]["validation"])
    assert [band["name"] for band in item.properties["bands"]] == ["blue", "green", "red", "nir", "swir16", "swir22"]
    assert item.properties["mlm:output"][0]["name"] == "water"


def test_the_same_recipe_on_the_same_pairs_is_not_trained_again(trained: Path, pairs: Path) -> None:
    before = trained.stat().st_mtime_ns
    assert water_training.train(recipe.parse(QUICK, "test"), [pairs], trained.parents[2]) == trained
    assert trained.stat().st_mtime_ns == before


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_read(pairs: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    steps: list[int] = []
    with pytest.raises(CatalogueError, match=r"--out .*models cannot be written to: .*; give another folder"):
        water_training.train(
            recipe.parse(QUICK, "test"), [pairs], tmp_path / "file" / "models",
            progress=lambda done, _, __: steps.append(done),
        )  # fmt: skip
    assert not steps


def test_real_images_teach_too_and_are_named(pairs: Path, real: Path, tmp_path: Path) -> None:
    adapts, plain = recipe.parse(ADAPTS, "test"), recipe.parse(QUICK.replace("steps = 30", "steps = 4"), "test")
    made = [water_training.train(adapts, [pairs], tmp_path / name, real=real) for name in ("one", "two")]
    made.append(water_training.train(plain, [pairs], tmp_path / "one"))
    records = [json.loads((path.parent / "training.json").read_text()) for path in made]
    assert [record["real"] for record in records] == [["scene"], ["scene"], []]
    assert records[0]["losses"] == records[1]["losses"]
    # Before the first step both runs have the same network: what is more in the loss is the real images' term.
    assert records[0]["losses"][0] > records[2]["losses"][0] + 0.01
    assert made[0].stem != made[2].stem


def test_bad_input_ends_in_one_line(pairs: Path, real: Path, tmp_path: Path) -> None:
    plain, adapts = recipe.parse(QUICK, "test"), recipe.parse(ADAPTS, "test")
    with pytest.raises(RecipeError, match="recipe quick adapts to real images: give them with --real"):
        water_training.train(adapts, [pairs], tmp_path / "models")
    with pytest.raises(RecipeError, match=r"learns nothing from real images: set consistency\.weight"):
        water_training.train(plain, [pairs], tmp_path / "models", real=real)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CatalogueError, match="empty"):
        water_training.train(adapts, [pairs], tmp_path / "models", real=tmp_path / "empty")
    path = real / synthetic.COLLECTION / "scene" / "scene.json"
    document = catalogue.read_json(path)
    del document["assets"]["image"]["raster:scale"]
    catalogue.write_json(path, document)
    with pytest.raises(ModelError, match=r"a window of the real images holds values about .* must state raster:scale"):
        water_training.train(adapts, [pairs], tmp_path / "models", real=real)
    three = recipe.parse(QUICK.replace("[32, 24, 16, 16, 16]", "[32, 16]"), "test")
    with pytest.raises(RecipeError, match="the water head needs five"):
        water_training.train(three, [pairs], tmp_path / "models")
    dry = synthetic.write(tmp_path / "dry", scenes=2, size=64)
    with pytest.raises((AssetError, CatalogueError, RecipeError)):
        water_training.train(recipe.parse(QUICK, "test"), [dry], tmp_path / "models")


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("swap = 0.5", "augment.swap"),  # after the flood the dry image of before would be called flooded
        ("shift = 2.0", "augment.shift = 2"),
        ("[style]\nmethod = 'fourier'", "style.method"),
        ("[event]\nbatch_norm = 1.0", "event.batch_norm"),
        ("[self_training]\nweight = 1.0", "self_training.weight"),
        ("[loss]\nfocal = 2.0", "loss.focal"),
    ],
)
def test_fields_that_water_does_not_heed_are_refused(pairs: Path, tmp_path: Path, line: str, named: str) -> None:
    text = QUICK.replace("shift = 0.0\n", "" if "shift" in line else "shift = 0.0\n")
    own = text.replace("[optimiser]", line + "\n[optimiser]")
    with pytest.raises(RecipeError, match=named):
        water_training.train(recipe.parse(own, "test"), [pairs], tmp_path)
    for name in ("water-s1", "water-s2", "water-naip"):
        water_training._check(recipe.read(name))


def test_a_network_without_an_encoder_learns_too(pairs: Path, tmp_path: Path) -> None:
    local = recipe.parse(QUICK.replace('encoder = "tu-regnety_002"', 'encoder = "none"'), "test")
    made = water_training.train(local, [pairs], tmp_path / "models")
    item = catalogue.read_item(made)
    assert item.properties["mlm:architecture"] == "5 x 5 pixels"
    assert json.loads((made.parent / "training.json").read_text())["held_out"]["water_iou"] > 0.8
    assert water.load(made).recipe == local
