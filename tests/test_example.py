"""The example catalogue: the one in the repository, and the making of another."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import rasterio
import synthetic

from mage_stac import catalogue, example
from mage_stac.errors import CatalogueError, ModelError
from mage_stac.render_spec import RenderSpec
from mage_stac.validate import validate

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "catalogs" / "example"
FAKE = Path(__file__).with_name("fake_blender.py")


def model(root: Path) -> Path:
    """A model Item as `train` writes it, with random weights."""
    import torch

    from mage_stac import models
    from mage_stac.models.item import Trained, publish
    from mage_stac.recipe import Network, Recipe

    recipe = Recipe(name="toy", network=Network(encoder="resnet18", decoder=(8, 8)))
    torch.manual_seed(0)
    source = catalogue.read_items(synthetic.write(root / "synthetic", scenes=1, size=64))
    return publish(
        Trained(
            id="toy-model", recipe=recipe, weights=models.build(recipe).state_dict(), parameters=1, mean=(0.4,) * 3,
            std=(0.2,) * 3, sources=source, losses=[[1.0] * 4] * 2, validation=[], record={},
        ),
        root / "models",
    )  # fmt: skip


def spec(folder: Path) -> RenderSpec:
    """A tiny pair from a stand-in for Blender."""
    program = folder / "python-with-bpy"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{FAKE}"\n')
    program.chmod(0o755)
    return RenderSpec(hazard="wind", size_px=64, seed=3, undamaged_share=0.0, blender=str(program), timeout=60.0)


def contained(root: Path) -> None:
    """Assert that nothing in a catalogue leads out of its folder or into a machine."""
    for path in root.rglob("*.json"):
        text = path.read_text("utf-8")
        assert not [place for place in ("/work", "/tmp", "/root", "/home", "file:") if place in text], path  # noqa: S108
        document = catalogue.read_json(path)
        if "stac_version" in document:
            for one in (*document["links"], *document.get("assets", {}).values()):
                target = (path.parent / one["href"]).resolve()
                assert target.is_relative_to(root.resolve()), (path, one["href"])
                assert target.exists(), (path, one["href"])


def test_the_repositorys_example_is_whole_small_and_valid(schemas: Path) -> None:
    report = validate(EXAMPLE, schemas)
    assert report.problems == ()
    assert not report.unchecked
    contained(EXAMPLE)
    files = [path for path in EXAMPLE.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 5e6
    assert not [path for path in files if path.suffix in {".safetensors", ".partial"}]
    items = {item.collection_id: item for item in catalogue.read_items(EXAMPLE)}
    assert set(items) == {"models", "predictions", "wind-pairs"}
    sources = {link.get_href() for link in items["predictions"].links if link.rel == "derived_from"}
    assert len(sources) == 3


def test_its_map_shows_every_grade() -> None:
    for folder in ("predictions/damage", "wind-pairs/wind-2029-00000-label"):
        with rasterio.open(EXAMPLE / folder / "damage.tif") as source:
            assert {1, 2, 3, 4} <= set(source.read(1).ravel().tolist()), folder


def test_it_is_made_by_one_call_and_a_second_replaces_it(tmp_path: Path, schemas: Path) -> None:
    trained = model(tmp_path)
    out = tmp_path / "example"
    assert example.make(out, model=trained, spec=spec(tmp_path)) == out
    (out / "stray.txt").touch()
    example.make(out, model=trained, spec=spec(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir() if "example" in path.name) == ["example"]
    assert not (out / "stray.txt").exists()
    assert validate(out, schemas).problems == ()
    contained(out)
    card = catalogue.read_item(out / "models" / "toy-model")
    assert sorted(path.name for path in (out / "models" / "toy-model").iterdir()) == [
        "curves.png", "recipe.toml", "toy-model.json", "training.json",
    ]  # fmt: skip
    assert example.CARD in card.properties["description"]
    assert (trained.parent / "model.safetensors").is_file()


def test_a_card_without_weights_is_no_model_in_one_line() -> None:
    from mage_stac import models

    (card,) = catalogue.read_items(EXAMPLE, collection="models")
    with pytest.raises(ModelError) as error:
        models.load(card, "cpu")
    assert "\n" not in str(error.value)


def test_what_is_no_catalogue_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(CatalogueError, match="is no catalogue"):
        example.make(tmp_path, model=tmp_path)
    (card,) = catalogue.read_items(EXAMPLE, collection="models")
    with pytest.raises(ModelError, match="no model"):
        example._with_weights(tmp_path, catalogue.read_items(EXAMPLE, collection="predictions")[0])
    assert card.assets["model"].href.endswith("recipe.toml")
