"""Water from one image: what rendered floods teach, what the map says, and how it is scored."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pystac
import pytest
import rasterio
import synthetic
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from mage_stac import catalogue, models, publish, recipe, sensors, validate, water, water_score
from mage_stac.classes import WATER_CLASSES, colour_table
from mage_stac.errors import AssetError, CatalogueError, GridError, ModelError, RecipeError

CARDS = Path(__file__).parents[1] / "catalogs" / "example" / "models"
SENSOR = "sentinel-2-l1c-6"
LAND, WATER = (1100, 1000, 1200, 2800, 2500, 1600), (900, 800, 700, 300, 100, 80)
"""Reflectance times 10,000 in the sensor's six bands."""
QUICK = """
name = "quick"
task = "water"
[data]
bands = ["blue", "green", "red", "nir", "swir16", "swir22"]
gsd = 10.0
size = 32
margin = 8
[network]
encoder = "tu-regnety_002"
decoder = [32, 24, 16, 16, 16]
[augment]
shift = 0.0
haze = 0.0
mixing = 0.0
saturation = [1.0, 1.0]
jpeg = 0.0
[optimiser]
steps = 30
batch = 4
learning_rate = 4e-3
average = 0.8
"""


def _box(number: int, size: int = 64) -> GeoBox:
    return GeoBox((size, size), Affine(10, 0, 500_000 + 10_000 * number, 0, -10, 4_100_000), "EPSG:32630")


def _picture(wet: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int16]:
    mean = np.where(wet, np.array(WATER)[:, None, None], np.array(LAND)[:, None, None])
    return (mean * rng.uniform(0.85, 1.15, mean.shape)).astype(np.int16)


def _image(root: Path, name: str, picture: NDArray[np.int16], box: GeoBox, **properties: str) -> pystac.Item:
    with catalogue.staged(root, synthetic.COLLECTION, name) as folder:
        publish.write_cog(folder / "image.tif", picture, box, nodata=0)
        item = publish.imagery_item(
            id=name, geobox=box, datetime="2019-09-18T11:00:00Z", sensor=sensors.read(SENSOR), folder=folder,
            properties=properties,
        )  # fmt: skip
        item.collection_id = synthetic.COLLECTION
        catalogue.write_item(folder, item)
    return catalogue.read_item(root / synthetic.COLLECTION / name)


def _label(root: Path, pair: str, code: NDArray[np.uint8], box: GeoBox, sources: list[pystac.Item]) -> None:
    synthetic.write_label(root, pair, np.ones_like(code), box, sources)
    folder = root / synthetic.COLLECTION / f"{pair}-label"
    item = catalogue.read_item(folder)
    publish.write_cog(folder / "water.tif", code, box, nodata=255, colours=colour_table(WATER_CLASSES))
    asset = publish.class_asset(str(folder / "water.tif"), title="Water", classes=WATER_CLASSES, geobox=box)
    item.add_asset("water", asset)
    catalogue.write_item(folder, item)


def _code(number: int) -> NDArray[np.uint8]:
    """A canal, and a flood over a third of the scene."""
    code = np.zeros((64, 64), np.uint8)
    code[10 + number : 32 + number, 8:] = 1
    code[:, 40:44] = 2
    return code


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("floods")
    for number in range(3):
        rng, box, pair = np.random.default_rng(number), _box(number), f"flood-0-{number}"
        code = _code(number)
        both = [
            _image(
                root, f"{pair}-{phase}", _picture(wet, rng), box,
                **{"synthetic:pair": pair, "synthetic:phase": phase},
            )
            for phase, wet in (("pre", code == 2), ("post", code > 0))
        ]  # fmt: skip
        _label(root, pair, code, box, both)
    synthetic.index(root)
    return root


@pytest.fixture(scope="module")
def trained(pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return water.train(recipe.parse(QUICK, "test"), [pairs], tmp_path_factory.mktemp("models"))


def test_the_model_item_tells_what_it_is_and_how_good_on_places_held_out(trained: Path) -> None:
    item = catalogue.read_item(trained)
    record = json.loads((trained.parent / "training.json").read_text())
    assert record["held_out"]["water_iou"] > 0.8
    assert not set(record["pairs"]["training"]) & set(record["pairs"]["validation"])
    assert [band["name"] for band in item.properties["bands"]] == ["blue", "green", "red", "nir", "swir16", "swir22"]
    assert item.properties["mlm:output"][0]["name"] == "water"


def test_the_same_recipe_on_the_same_pairs_is_not_trained_again(trained: Path, pairs: Path) -> None:
    before = trained.stat().st_mtime_ns
    assert water.train(recipe.parse(QUICK, "test"), [pairs], trained.parents[2]) == trained
    assert trained.stat().st_mtime_ns == before


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_read(pairs: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    steps: list[int] = []
    with pytest.raises(CatalogueError, match=r"--out .*models cannot be written to: .*; give another folder"):
        water.train(
            recipe.parse(QUICK, "test"), [pairs], tmp_path / "file" / "models",
            progress=lambda done, _, __: steps.append(done),
        )  # fmt: skip
    assert not steps


def test_a_map_finds_the_water_and_keeps_what_was_not_observed(trained: Path, tmp_path: Path, schemas: Path) -> None:
    box, rng = _box(9, 300), np.random.default_rng(5)
    wet = np.zeros((300, 300), bool)
    wet[120:280, 50:270] = True
    picture = _picture(wet, rng)
    picture[:, :20] = 0
    _image(tmp_path / "real", "scene", picture, box)
    folder = water.predict(trained, tmp_path / "real" / synthetic.COLLECTION / "scene", tmp_path / "out")
    assert validate.validate(tmp_path / "out", schemas).problems == ()
    assert validate.validate(trained.parents[2], schemas).problems == ()
    with rasterio.open(folder / "water.tif") as source:
        said = source.read(1)
        assert source.transform == box.affine
    assert (said[:20] == 255).all()
    assert not (said[20:] == 255).any()
    hit, union = np.count_nonzero((said == 1) & wet), np.count_nonzero((said[20:] == 1) | wet[20:])
    assert hit / union > 0.8
    truth = np.where(rng.random(wet.shape) < 0.1, -1, wet).astype(np.int16)
    publish.write_cog(tmp_path / "truth.tif", truth, box)
    found = water_score.score(folder, tmp_path / "truth.tif")
    known = (truth >= 0) & (said != 255)
    assert found.compared == np.count_nonzero(known)
    assert found.unseen == np.count_nonzero(truth[:20] >= 0)
    both, either = (said == 1) & wet & known, ((said == 1) | wet) & known
    assert found.iou == pytest.approx(np.count_nonzero(both) / np.count_nonzero(either))
    assert found.water_everywhere_iou == pytest.approx(np.mean(wet[known]))


def _wet(rows: slice) -> NDArray[np.bool_]:
    wet = np.zeros((64, 64), bool)
    wet[rows] = True
    return wet


def _scene(root: Path, wet: NDArray[np.bool_]) -> Path:
    """An Item `scene` of some pixels; its folder."""
    _image(root, "scene", _picture(wet, np.random.default_rng(5)), _box(9))
    return root / synthetic.COLLECTION / "scene"


def _said(folder: Path) -> NDArray[np.uint8]:
    with rasterio.open(folder / "water.tif") as source:
        found: NDArray[np.uint8] = source.read(1)
    return found


def test_a_finished_map_is_kept(trained: Path, tmp_path: Path) -> None:
    scene, steps = _scene(tmp_path / "real", _wet(slice(32))), list[int]()
    folder = water.predict(trained, scene, tmp_path / "out", progress=lambda done, _, __: steps.append(done))
    before = (folder / "water.tif").stat().st_mtime_ns
    (tmp_path / "out" / "catalog.json").unlink()  # as a run leaves it that was stopped before it wrote this
    assert water.predict(trained, scene, tmp_path / "out", progress=lambda done, _, __: steps.append(done)) == folder
    assert steps == [1]
    assert (folder / "water.tif").stat().st_mtime_ns == before
    assert [item.id for item in catalogue.read_items(tmp_path / "out")] == [folder.name]


def test_other_pixels_of_the_same_ids_are_another_map(trained: Path, tmp_path: Path) -> None:
    wet = {"upper": _wet(slice(32)), "lower": _wet(slice(32, 64))}
    scenes = {name: _scene(tmp_path / name, where) for name, where in wet.items()}
    folders = {name: water.predict(trained, scene, tmp_path / "out") for name, scene in scenes.items()}
    assert len(catalogue.read_items(tmp_path / "out")) == 2
    for name, folder in folders.items():
        assert np.mean((_said(folder) == 1) == wet[name]) > 0.9
        again = water.predict(trained, scenes[name], tmp_path / "named", id="one")
        assert (_said(again) == _said(folder)).all()  # of a given id the last inputs stand
    told = scenes["upper"] / "scene.json"
    document = catalogue.read_json(told)
    document["assets"]["image"]["raster:scale"] *= 2
    catalogue.write_json(told, document)
    assert water.predict(trained, scenes["upper"], tmp_path / "out") not in folders.values()


def test_a_stopped_map_leaves_nothing_and_is_made_again(trained: Path, tmp_path: Path) -> None:
    def stop(_done: int, _total: int, _what: str) -> None:
        raise KeyboardInterrupt

    scene = _scene(tmp_path / "real", _wet(slice(32)))
    with pytest.raises(KeyboardInterrupt):
        water.predict(trained, scene, tmp_path / "out", progress=stop)
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    whole = water.predict(trained, scene, tmp_path / "whole")
    assert (_said(water.predict(trained, scene, tmp_path / "out")) == _said(whole)).all()


def test_bad_input_ends_in_one_line(trained: Path, pairs: Path, tmp_path: Path) -> None:
    coarse = GeoBox((32, 32), Affine(60, 0, 500_000, 0, -60, 4_100_000), "EPSG:32630")
    rng = np.random.default_rng(0)
    item = _image(tmp_path / "real", "coarse", _picture(np.zeros((32, 32), bool), rng), coarse)
    at = tmp_path / "real" / synthetic.COLLECTION / "coarse"
    with pytest.raises(GridError, match="60 x 60 m, the model learnt from 10 m"):
        water.predict(trained, at, tmp_path / "out")
    with pytest.raises(ModelError, match="maps water, not damage: use `mage-stac water`"):
        models.load(catalogue.read_item(trained))
    with pytest.raises(AssetError, match="water"):
        water_score.score(at, Path(item.assets["image"].get_absolute_href() or ""))
    _image(tmp_path / "real", "raw", _picture(np.zeros((64, 64), bool), rng), _box(0))
    raw = tmp_path / "real" / synthetic.COLLECTION / "raw" / "raw.json"
    document = catalogue.read_json(raw)
    del document["assets"]["image"]["raster:scale"]
    catalogue.write_json(raw, document)
    with pytest.raises(ModelError, match=r"the image of Item raw holds values about .* must state raster:scale"):
        water.predict(trained, raw, tmp_path / "out")
    with pytest.raises(ModelError, match=r"model Item joplin\S+ is a card without weights: train \S+recipe\.toml with"):
        water.predict(next(iter(CARDS.glob("joplin*"))), raw, tmp_path / "out")
    with pytest.raises(ModelError, match=r"Item raw has no asset 'model'.* a model Item as"):
        water.predict(raw, raw, tmp_path / "out")
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    three = recipe.parse(QUICK.replace("[32, 24, 16, 16, 16]", "[32, 16]"), "test")
    with pytest.raises(RecipeError, match="the water head needs five"):
        water.train(three, [pairs], tmp_path / "models")
    dry = synthetic.write(tmp_path / "dry", scenes=2, size=64)
    with pytest.raises((AssetError, CatalogueError, RecipeError)):
        water.train(recipe.parse(QUICK, "test"), [dry], tmp_path / "models")
