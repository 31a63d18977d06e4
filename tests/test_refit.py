"""A trained model fitted to an event: a tiny one, and one whose answers are known."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
import synthetic
import torch
from imagery import box, index, smooth, write_image
from torch import nn

from mage_stac import catalogue, material, models, pairs, train, unlabelled, validate
from mage_stac.adapt import event, refit
from mage_stac.errors import CatalogueError, ModelError, RecipeError
from mage_stac.graded import Outlines
from mage_stac.models.calibration import Offsets, Temperatures
from mage_stac.recipe import Data, Event, Network, Optimiser, Recipe, Run

TINY = Recipe(
    name="tiny",
    data=Data(size=32, margin=4),
    network=Network(encoder="tu-test_resnet", decoder=(8, 8)),
    optimiser=Optimiser(steps=2, batch=4),
    run=Run(validation_chips=4),
)
EVERYTHING = Event(batch_norm=1.0, prior="bbse", thresholds=True, chips=12)


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic.write(tmp_path_factory.mktemp("blocks"), scenes=3, size=96)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic.write_event(tmp_path_factory.mktemp("real"))


@pytest.fixture(scope="module")
def model(blocks: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untrained but for its head, which finds buildings everywhere."""
    path = train.train(TINY, blocks, tmp_path_factory.mktemp("models"))
    from safetensors.torch import load_file, save_file

    weights = load_file(path.parent / "model.safetensors")
    weights["building_head.bias"] += 9
    save_file(weights, path.parent / "model.safetensors")
    return path


def test_both_sides_lie_on_one_grid(real: Path, tmp_path: Path) -> None:
    table = unlabelled.table(real, bands=("red", "green", "blue"), gsd=0.6)
    (stack,) = table.stacks
    assert len(stack.dates) == 2
    assert tuple(stack.geobox.shape) == (96, 96)
    assert table.seen.sum() == 96 * 96
    synthetic.index(tmp_path)
    with pytest.raises(CatalogueError, match="no real side"):
        unlabelled.table(tmp_path, bands=("red",), gsd=0.6)
    pre = next(p for p in (real / synthetic.COLLECTION).iterdir() if p.name.endswith("-pre"))
    with pytest.raises(CatalogueError, match="all 1 images are of one date"):
        unlabelled.images(pre)
    only, again = unlabelled.images(pre, dates=1)
    assert only == again
    (stack,) = unlabelled.table(pre, bands=("red", "green", "blue"), gsd=0.6, dates=1).stacks
    assert stack.dates[0] == stack.dates[1]


def test_a_model_is_fitted_published_and_kept(model: Path, blocks: Path, real: Path, schemas: Path) -> None:
    out = model.parents[2]
    path = refit.refit(model, real, out, EVERYTHING, synthetic=[blocks])
    assert path != model
    assert not validate.validate(out, schemas).problems
    ours, theirs = (models.load(catalogue.read_item(one)) for one in (path, model))
    assert ours.recipe == replace(TINY, event=EVERYTHING)
    assert ours.temperatures == theirs.temperatures
    changed = {
        key for key, value in ours.model.state_dict().items() if not torch.equal(value, theirs.model.state_dict()[key])
    }
    assert changed
    assert all(key.endswith(("running_mean", "running_var")) for key in changed)
    told = json.loads((path.parent / "training.json").read_text("utf-8"))
    assert told["parent"] == catalogue.read_item(model).id
    assert sum(told["event"]["shares_of_grades"]["estimated"]) == pytest.approx(1, abs=1e-3)
    assert tuple(told["event"]["offsets"]) == ours.offsets.damage
    links = [link for link in catalogue.read_item(path).links if link.rel == "derived_from"]
    assert len(links) == 3
    stamp = path.stat().st_mtime_ns
    assert refit.refit(model, real, out, EVERYTHING, synthetic=[blocks]) == path
    assert path.stat().st_mtime_ns == stamp


def test_other_pixels_of_the_same_items_are_fitted_to_anew(model: Path, blocks: Path, tmp_path: Path) -> None:
    real, settings = synthetic.write_event(tmp_path / "real"), Event(batch_norm=1.0, chips=4)
    adapts = replace(TINY, event=settings)

    def made() -> tuple[Path, str, str]:
        materials = (material.gather(recipe, [blocks], real) for recipe in (adapts, TINY))
        return refit.refit(model, real, tmp_path / "models", settings), *(one.digest for one in materials)

    first = made()
    assert made() == first
    image = next(real.glob("*/place-post/image.tif"))
    with rasterio.open(image, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as source:
        source.write(np.random.default_rng(0).integers(1, 99, (3, 96, 96), dtype=np.uint8))
    assert not set(made()) & set(first)


def test_offsets_outlast_another_fit_of_batch_norm(model: Path, blocks: Path, real: Path, tmp_path: Path) -> None:
    first = refit.refit(model, real, tmp_path, Event(prior="em", chips=8), synthetic=[blocks])
    second = refit.refit(first, real, tmp_path, Event(batch_norm=0.5, chips=8))
    before, after = (models.load(catalogue.read_item(path)).offsets for path in (first, second))
    assert before == after != Offsets()


def test_a_twin_s_share_moves_buildings_alone(model: Path, real: Path, tmp_path: Path) -> None:
    twin = synthetic.write(
        tmp_path / "twin", scenes=2, size=96, first=7, places="twin"
    )  # the first lies where the event does
    first = refit.refit(model, real, tmp_path, Event(prior="em", chips=8), synthetic=[twin])
    second = refit.refit(first, real, tmp_path, Event(built=True, chips=8), synthetic=[twin])
    before, after = (models.load(catalogue.read_item(path)).offsets for path in (first, second))
    assert after.damage == before.damage
    assert after.building == pytest.approx(-np.log(5), abs=1e-4)  # the model finds buildings everywhere
    told = json.loads((second.parent / "training.json").read_text("utf-8"))["event"]["built"]
    assert told["said of the event"] == 1
    assert 0 < told["twin"] < 0.5


def test_invented_places_do_not_tell_how_much_of_an_event_is_built_over(
    model: Path, blocks: Path, real: Path, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match="none of the --synthetic pairs was rendered of the place"):
        refit.refit(model, real, tmp_path, Event(built=True, chips=8), synthetic=[blocks])
    recipe = replace(TINY, event=Event(built=True, chips=8))
    trained = [train.train(recipe, blocks, tmp_path / str(where), real=where) for where in (None, real)]
    assert [models.load(catalogue.read_item(path)).offsets for path in trained] == [Offsets()] * 2


def test_training_fits_as_much_as_a_refit_does(real: Path, tmp_path: Path) -> None:
    twin, wanted = (
        synthetic.write(tmp_path / "twin", scenes=2, size=96, first=7, places="twin"),
        Event(built=True, chips=8),
    )
    at_once = train.train(replace(TINY, event=wanted), twin, tmp_path / "once", real=real)
    first = train.train(TINY, twin, tmp_path / "first", real=real)
    later = refit.refit(first, real, tmp_path, wanted, synthetic=[twin])
    one, other = (models.load(catalogue.read_item(path)).offsets for path in (at_once, later))
    assert one.building != 0
    assert one == other


def test_an_event_that_is_hardly_observed_is_refused_before_training(real: Path, tmp_path: Path) -> None:
    recipe = replace(TINY, data=Data(size=128, margin=4), event=Event(batch_norm=1.0, chips=8))
    with pytest.raises(ModelError, match="no real window of 128 px"):
        material.gather(recipe, [synthetic.write(tmp_path, scenes=3, size=160)], real)


def test_what_a_recipe_does_where_it_can_be_done_stops_no_training(real: Path, tmp_path: Path) -> None:
    twin = synthetic.write(tmp_path / "twin", scenes=2, size=160, first=7, places="twin")
    recipe = replace(TINY, data=Data(size=128, margin=4), event=Event(built=True, chips=8))
    path = train.train(recipe, twin, tmp_path, real=real)
    assert models.load(catalogue.read_item(path)).offsets == Offsets()
    assert (
        "no real window of 128 px" in json.loads((path.parent / "training.json").read_text("utf-8"))["event"]["built"]
    )


def graded_houses(real: Path, path: Path, grades: tuple[int, ...]) -> Path:
    """Outlines of 9 m along the middle of the event's image."""
    west, south, east, north = catalogue.read_items(real)[0].bbox or (0, 0, 0, 0)
    middle = gpd.GeoSeries([shapely.Point((west + east) / 2, (south + north) / 2)], crs="EPSG:4326")
    centre = middle.to_crs(middle.estimate_utm_crs())
    x, y = centre.iloc[0].x, centre.iloc[0].y
    shapes = [shapely.box(x - 25 + 12 * k, y, x - 16 + 12 * k, y + 9) for k in range(len(grades))]
    gpd.GeoDataFrame({"damage": grades}, geometry=shapes, crs=centre.crs).to_file(path)
    return path


def test_graded_buildings_fit_a_model_once_for_each_set_of_grades(
    model: Path, real: Path, tmp_path: Path, schemas: Path
) -> None:
    labels = graded_houses(real, tmp_path / "graded.gpkg", (1, 2, 1, 4))
    path = refit.refit(model, real, tmp_path / "out", Event(), labels=Outlines(path=labels))
    assert not validate.validate(tmp_path / "out", schemas).problems
    told = json.loads((path.parent / "training.json").read_text("utf-8"))["event"]
    assert told["graded_buildings"] == {"1": 2, "2": 1, "3": 0, "4": 1}
    ours = models.load(catalogue.read_item(path))
    assert ours.offsets.damage == tuple(told["offsets"])
    for key, value in models.load(catalogue.read_item(model)).model.state_dict().items():
        assert torch.equal(value, ours.model.state_dict()[key])
    assert refit.refit(model, real, tmp_path / "out", Event(), labels=Outlines(path=labels)) == path
    again = graded_houses(real, tmp_path / "again.gpkg", (1, 2, 1, 3))
    assert refit.refit(model, real, tmp_path / "out", Event(), labels=Outlines(path=again)) != path


def test_what_cannot_be_done_is_told(model: Path, real: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="nothing to fit"):
        refit.refit(model, real, tmp_path, Event())
    with pytest.raises(RecipeError, match="give the --synthetic catalogues"):
        refit.refit(model, real, tmp_path, Event(prior="em"))


def test_training_fits_the_event_when_its_recipe_says_so(blocks: Path, real: Path, tmp_path: Path) -> None:
    recipe = replace(TINY, event=Event(batch_norm=1.0, chips=8))
    with pytest.raises(RecipeError, match="real images: give them with --real"):
        train.gather(recipe, [blocks], None)
    path = train.train(recipe, blocks, tmp_path, real=real)
    told = json.loads((path.parent / "training.json").read_text("utf-8"))
    assert told["event"]["batch_norms_changed"] > 3
    assert models.load(catalogue.read_item(path)).offsets == Offsets()


class Seer(nn.Module):
    """Buildings everywhere; the grades' logits are the image's own four planes."""

    def __init__(self) -> None:
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(1))

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"building": torch.full_like(image[:, 0, :1], 9.0), "damage": image[:, 0]}


def drawn(shares: list[float], seed: int, here: list[float]) -> tuple[torch.Tensor, torch.Tensor]:
    """Bayes' logits (B, 2, 4, 90, 90) for the shares `here`, and the classes drawn by `shares` (B, 90, 90)."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(4, (2, 90, 90), p=shares)
    logits = (rng.normal(0, 0.8, (2, 90, 90, 4)) + np.eye(4)[truth]) / 0.64 + np.log(here)
    image = torch.from_numpy(logits).float().movedim(-1, 1)[:, None].repeat(1, 2, 1, 1, 1)
    return image, torch.from_numpy(truth)


@pytest.mark.parametrize("prior", ["bbse", "em"])
def test_the_shares_of_a_known_event_are_found_and_help(prior: str) -> None:
    here, there = [0.55, 0.15, 0.2, 0.1], [0.15, 0.1, 0.25, 0.5]
    renders, truth = drawn(here, 1, here)
    real, secret = drawn(there, 2, here)
    seer = Seer()
    said = [(seer(renders), truth + 1, torch.ones_like(truth, dtype=torch.bool))]
    fitted = event.fit(seer, Temperatures(), Event(prior=prior), held_out=said, real=[real])
    assert fitted.record["shares_of_grades"]["estimated"] == pytest.approx(there, abs=0.08)
    before = seer(real)
    after = fitted.offsets.applied(before)
    right = [float((one["damage"].argmax(1) == secret).float().mean()) for one in (before, after)]
    assert right[1] > right[0] + 0.05


def test_a_model_that_finds_nothing_says_so() -> None:
    image, truth = drawn([0.25] * 4, 1, [0.25] * 4)
    none = {"building": torch.full((2, 1, 90, 90), -9.0), "damage": image[:, 0]}
    said = [(none, truth + 1, torch.ones_like(truth, dtype=torch.bool))]
    with pytest.raises(ModelError, match="no building in the held-out"):
        event.fit(Seer(), Temperatures(), Event(prior="em"), held_out=said, real=[image])


def test_no_window_is_looked_at_by_itself(real: Path) -> None:
    recipe = replace(TINY, event=Event(batch_norm=1, chips=event.TOGETHER + 1))
    table = unlabelled.table(real, bands=("red", "green", "blue"), gsd=0.6)
    mean, std = torch.zeros(3), torch.ones(3)
    assert [len(part) for part in event.windows(table, recipe, mean, std)] == [9, 8]


def test_windows_that_are_hardly_observed_are_not_looked_at(real: Path) -> None:
    recipe = replace(TINY, event=Event(chips=6))
    mean, std = torch.zeros(3), torch.ones(3)
    table = unlabelled.table(real, bands=recipe.data.bands, gsd=0.6)
    kept = event.windows(table, recipe, mean, std)
    assert sum(len(batch) for batch in kept) == 6
    assert kept[0].shape[1:] == (2, 3, 32, 32)
    larger = replace(recipe, data=Data(size=256))
    with pytest.raises(ModelError, match="no real window of 256 px"):
        event.windows(table, larger, mean, std)


@pytest.mark.parametrize("told", [{"damage": [1, 2]}, {"building": "much"}, {"damage": [0, 0, 0, float("inf")]}, "x"])
def test_broken_offsets_of_an_item_are_named(model: Path, told: object) -> None:
    item = catalogue.read_item(model)
    item.properties[models.OFFSETS] = told
    with pytest.raises(ModelError, match="mage:logit_offsets"):
        models.load(item)


def test_items_need_dates() -> None:
    import pystac

    one = pystac.Item("a", None, None, datetime(2020, 1, 1, tzinfo=UTC), {})
    one.datetime = None
    with pytest.raises(CatalogueError, match="no datetime"):
        pairs.by_phase([one])


def test_images_after_alone_are_enough_for_one_date(tmp_path: Path) -> None:
    write_image(tmp_path, "after", smooth(40, 40), box(40, 40), collection="post")
    index(tmp_path, "post")
    pre, post = unlabelled.images(tmp_path, dates=1)
    assert [one.id for one in (*pre, *post)] == ["after", "after"]
    with pytest.raises(CatalogueError, match="all 1 images are of one date"):
        unlabelled.images(tmp_path)
