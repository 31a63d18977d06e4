from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import pytest
import synthetic
import torch
from safetensors.torch import load_file

from mage_stac import catalogue, recipe, validate
from mage_stac.errors import CatalogueError
from mage_stac.models import item
from mage_stac.recipe import Recipe

FIGURES = {"step": 2, "building_iou": 0.5, "macro_f1": 0.4, "damage_recall": None, "no_damage_macro_f1": 0.1}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> item.Trained:
    root = synthetic.write(tmp_path_factory.mktemp("synthetic"), scenes=2, size=64)
    return item.Trained(
        id="tiny-0123", recipe=Recipe(name="tiny", title="Tiny"), weights={"a": torch.ones(2, 3)}, parameters=6,
        mean=(0.1, 0.2, 0.3), std=(1.0, 1.0, 1.0), sources=catalogue.read_items(root), validation=[FIGURES],
        losses=[(1.0, 0.5, 0.4, 0.2)] * 2, record={"items": {"training": ["x"]}},
    )  # fmt: skip


def test_a_model_item_is_valid_stac_and_says_what_it_is(trained: item.Trained, tmp_path: Path, schemas: Path) -> None:
    out = tmp_path / "models"
    path = item.publish(trained, out)
    report = validate.validate(out, schemas)
    assert not report.problems
    assert report.checked >= 3
    made = catalogue.read_item(path)
    assert set(made.assets) == {"model", "recipe", "training", "curves"}
    assert all(Path(asset.href).is_file() for asset in made.assets.values())
    assert torch.equal(load_file(made.assets["model"].href)["a"], torch.ones(2, 3))
    assert recipe.read(made.assets["recipe"].href) == trained.recipe
    assert made.properties["mlm:hyperparameters"]["optimiser.steps"] == 1000
    assert "building IoU 0.500" in made.properties["description"]
    assert "damage recall" not in made.properties["description"]


def test_its_lineage_leads_to_the_collections_it_saw(trained: item.Trained, tmp_path: Path) -> None:
    path = item.publish(trained, tmp_path)
    links = [link for link in catalogue.read_json(path)["links"] if link["rel"] == "derived_from"]
    assert len(links) == 1
    assert (path.parent / links[0]["href"]).resolve().name == "collection.json"
    assert (path.parent / links[0]["href"]).is_file()
    boxes = [source.bbox for source in trained.sources]
    assert catalogue.read_json(path)["bbox"] == pytest.approx(
        [min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes)]
    )


def test_a_full_disk_leaves_nothing(trained: item.Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(item, "save_file", full)
    with pytest.raises(CatalogueError, match="No space left on device"):
        item.publish(replace(trained, id="other"), tmp_path)
    assert not list(tmp_path.rglob("*other*"))
