"""Water from one image: what rendered floods teach, what the map says, and how it is scored."""

from __future__ import annotations

from pathlib import Path

import floods
import numpy as np
import pytest
import rasterio
import synthetic
from affine import Affine
from floods import QUICK, box_of, image, picture
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from mage_stac import catalogue, models, publish, recipe, validate, water, water_score, water_training
from mage_stac.errors import AssetError, GridError, ModelError

CARDS = Path(__file__).parents[1] / "catalogs" / "example" / "models"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pairs = floods.write(tmp_path_factory.mktemp("floods"))
    return water_training.train(recipe.parse(QUICK, "test"), [pairs], tmp_path_factory.mktemp("models"))


def test_a_map_finds_the_water_and_keeps_what_was_not_observed(trained: Path, tmp_path: Path, schemas: Path) -> None:
    box, rng = box_of(9, 300), np.random.default_rng(5)
    wet = np.zeros((300, 300), bool)
    wet[120:280, 50:270] = True
    pixels = picture(wet, rng)
    pixels[:, :20] = 0
    image(tmp_path / "real", "scene", pixels, box)
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
    image(root, "scene", picture(wet, np.random.default_rng(5)), box_of(9))
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


def test_bad_input_ends_in_one_line(trained: Path, tmp_path: Path) -> None:
    coarse = GeoBox((32, 32), Affine(60, 0, 500_000, 0, -60, 4_100_000), "EPSG:32630")
    rng = np.random.default_rng(0)
    item = image(tmp_path / "real", "coarse", picture(np.zeros((32, 32), bool), rng), coarse)
    at = tmp_path / "real" / synthetic.COLLECTION / "coarse"
    with pytest.raises(GridError, match="60 x 60 m, the model learnt from 10 m"):
        water.predict(trained, at, tmp_path / "out")
    with pytest.raises(ModelError, match="maps water, not damage: use `mage-stac water`"):
        models.load(catalogue.read_item(trained))
    with pytest.raises(AssetError, match="water"):
        water_score.score(at, Path(item.assets["image"].get_absolute_href() or ""))
    image(tmp_path / "real", "raw", picture(np.zeros((64, 64), bool), rng), box_of(0))
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
